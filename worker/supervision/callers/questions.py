"""Questions about a process of the service that only itself can answer: where its code is now, what becomes of one message.
The supervisor passes them on, and waits for nothing: whoever asked is answered when the process has, or after a while without
it.
"""

from __future__ import annotations

import time
from typing import Callable, Mapping, Optional

from kafka_worker.shared.ipc.channel import Message
from kafka_worker.shared.ipc.control import Caller, Later
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.supervision.slots.slot import Slot

ANSWER_SECONDS = 2.0


class Questions:
    """Those of one supervisor."""

    def __init__(self, slots: Mapping[int, Slot], clock: Callable[[], float] = time.monotonic) -> None:
        """`slots`: by their numbers, as they are at any time."""
        self._slots = slots
        self._clock = clock

    def inquire(self, request: Message, _caller: Caller) -> Later:
        """Ask the process of the slot `slot` what `question` says."""
        number, question = request.get("slot"), request.get("question")
        slot = self._slots.get(number) if isinstance(number, int) else None
        child = slot.child if slot is not None else None
        if child is None or not isinstance(question, dict):
            return lambda: {"error": f"slot {number!r} has no process"}
        if child.channel.pending:  # it does not even listen
            return lambda: {"error": f"process {child.pid} does not listen"}
        answer, deadline = child.ask(question), Deadline(ANSWER_SECONDS, self._clock)

        def later() -> Optional[Message]:
            given = answer()
            if given is None and (deadline.expired() or not child.channel.readable):
                return {"error": f"process {child.pid} has not answered"}
            return given

        return later
