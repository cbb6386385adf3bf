"""Whether, until when and how a process should end; `ending` does it. Two threads have a say in it, each in a field of its
own: the main thread passes on what it is asked, the consumer thread may find by itself that it must.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Optional

from kafka_worker.shared.system.deadline import Deadline


class Stop(NamedTuple):
    """A wish to end."""

    deadline: Deadline  # until when running tasks may finish
    leave: bool  # whether to give the seat in the group up, instead of keeping it for a successor


class Stopping:
    """What is wished of one process. Any thread may look; what it sees may be brought forward at any moment."""

    def __init__(self) -> None:
        """It goes on."""
        self.asked: Optional[Stop] = None  # from outside
        self.found: Optional[Stop] = None  # by the consumer thread

    @property
    def wish(self) -> Optional[Stop]:
        """What counts: whoever asks from outside has the last word. None: it goes on."""
        return self.asked or self.found

    def until(self, limit: float = math.inf) -> float:
        """The end of a wait, in monotonic seconds, whose own is `limit`. To be asked again and again: a stop, and its hurry,
        cut short also what began before."""
        return min([limit, *(stop.deadline.at for stop in (self.asked, self.found) if stop)])
