"""Whether, until when and how a process should end; `ending` does it. Two threads have a say, each in a field of its own: the
main thread passes on what it is asked, the consumer thread may find by itself that it must end.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Optional

from kafka_worker.shared.system.deadline import Deadline


class Stop(NamedTuple):
    """A wish to end."""

    deadline: Deadline  # by when running tasks have to finish
    leave: bool  # whether to give up the seat in the group, instead of keeping it for a successor


class Stopping:
    """What is wished of one process. Any thread may look; the deadline it sees may be brought forward at any moment."""

    def __init__(self) -> None:
        """It goes on."""
        self.asked: Optional[Stop] = None  # from outside
        self.found: Optional[Stop] = None  # by the consumer thread

    @property
    def wish(self) -> Optional[Stop]:
        """The wish that counts: one from outside has the last word. None: it goes on."""
        return self.asked or self.found

    def until(self, limit: float = math.inf) -> float:
        """When a wait that may last until `limit` has to end, in monotonic seconds. To be asked again and again: a stop, and a
        hurry, also cut short what began before."""
        return min([limit, *(stop.deadline.at for stop in (self.asked, self.found) if stop)])
