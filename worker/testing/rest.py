"""When a worker that is tested has come to rest: nothing more happens before the clock is turned, or a message comes. It is
told by what the service says of each message that is not done, never by how long nothing was seen to happen."""

from __future__ import annotations

from typing import AbstractSet, Dict, Optional, Set

from kafka_worker.partitions.task import in_words
from kafka_worker.pools import stacks
from kafka_worker.shared.ipc.snapshot import HeadReport, Waits
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.testing.bench import Bench
from kafka_worker.testing.results import Result

#: Nothing but another message, or the end, moves what waits so.
RESTING = (Waits.BEHIND_ITS_KEY, Waits.HELD, Waits.LEAVING)
#: There is no room for it. Who takes it, if there is some, is the consumer thread, and so who asks.
NOT_TAKEN = (Waits.PAUSED, Waits.UNDELIVERED)
CALM_TURNS = 3


class NotAtRestError(AssertionError):
    """A handler has not come to its end; the text says where it is."""


class Rest:
    """That of one worker."""

    def __init__(self, bench: Bench, patience: float) -> None:
        """`patience`: true seconds, for calls to come to their end."""
        self._bench = bench
        self._patience = patience
        self._finished: Set[Result] = set()

    def come(self, let_run: AbstractSet[Result], patience: Optional[float] = None) -> None:
        """Turn until there is rest, but for the calls of those that may run on. `patience`: for this once. Raises
        NotAtRestError."""
        deadline = Deadline(self._patience if patience is None else patience, self._bench.clock.true)
        calm = 0
        while True:
            self._bench.turn()
            # In this order: what runs no more has left its outcome, and whatever follows from it that may run now.
            busy = any(self._bench.waited_for(let_run)) or self._bench.member.has_more
            heads = self._heads()
            moving = {result for result, head in heads.items() if self._moves(result, head, let_run)}
            busy = busy or any(self._bench.waited_for(let_run))  # what was found queued may have begun since
            if not busy and not any(heads[result].waits not in NOT_TAKEN for result in moving):
                calm += 1
                if not moving or calm > CALM_TURNS:
                    return
            else:
                calm = 0
            if deadline.expired():
                raise self.fault(let_run)

    def waits(self) -> Set[Waits]:
        """What those wait for that are not done."""
        return {head.waits for head in self._heads().values()}

    def _heads(self) -> Dict[Result, HeadReport]:
        """What the service says of each that is not done with."""
        found = {}
        for result in self._bench.results():
            head = None if result in self._finished else self._bench.head(result)
            if head is None:
                self._finished.add(result)
            else:
                found[result] = head
        return found

    def _moves(self, result: Result, head: HeadReport, let_run: AbstractSet[Result]) -> bool:
        """Whether something will become of it by itself."""
        if head.waits in (Waits.RETRY, Waits.SCHEDULED):
            return head.due_in <= 0.0
        if head.waits is Waits.RUNNING:
            return result not in let_run and not result.hung
        if head.waits is Waits.QUEUED:
            return not self._has_no_thread(result, let_run)
        if head.waits is Waits.BREAKER:
            return self._bench.parts.gates.trying(result.topic) and not self._has_no_thread(result, let_run)
        return head.waits not in RESTING

    def _has_no_thread(self, result: Result, let_run: AbstractSet[Result]) -> bool:
        """Whether calls that nobody waits for have all threads that could take it. (Any other call is of this very message, or
        comes to its end.)"""
        return any(self._bench.running_on(let_run)) and self._bench.pool.full(result.topic)

    def fault(self, let_run: AbstractSet[Result]) -> NotAtRestError:
        """That it does not come, with what keeps it away."""
        lines = ["the worker has not come to rest (`patience` gives it more time, and what is begun by `start` may run on):"]
        for thread, task in self._bench.waited_for(let_run):
            lines += [f"{in_words(task)} runs in {thread.name}:", stacks.text(stacks.of_handler(thread.calls()))]
        return NotAtRestError("\n".join([*lines, *map(repr, self._bench.results())]))
