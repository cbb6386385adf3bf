"""How the children of all slots begin, what they say, and what follows their end. When one begins or ends is the supervisor's
to decide."""

from __future__ import annotations

import selectors
from typing import Callable, List, Mapping

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.channel import Message
from kafka_worker.shared.ipc.orders import Orders
from kafka_worker.shared.ipc.work import WorkOfAll
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import room
from kafka_worker.supervision.children.child import Child, begin
from kafka_worker.supervision.children.leftovers import Leftovers
from kafka_worker.supervision.children.prepared import First, prepare

log = logs.logger("supervisor")


class Children:
    """Those of one service. `awake`: the supervisor's awake seconds."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        first: First,
        selector: selectors.BaseSelector,
        work: WorkOfAll,
        tell: Callable[[List[Message]], None],
        orders: Callable[[], Orders],
    ) -> None:
        """None yet, but for `first`. `tell` takes the events of which they tell; `orders`: those of operators in force."""
        self._settings = settings
        self._environment = environment
        self._first = first
        self._selector = selector
        self._work = work
        self._tell = tell
        self._orders = orders
        self._leftovers = Leftovers()

    def spawn(self, slot: int, now: float, awake: float) -> Child:
        """Start the slot's next one. Raises OSError where there is no memory, process or descriptor for it."""
        prepared = self._first.take(slot) or prepare(slot, self._environment)
        child = begin(prepared, self._settings, self._orders(), slot, now, awake)
        self._selector.register(child.channel, selectors.EVENT_READ)
        log.info("slot %d: started process %d", slot, child.pid, extra=about(Event.PROCESS_STARTED, slot=slot))
        return child

    def hear(self, child: Child, awake: float) -> None:
        """Take in what it has said."""
        self._tell(child.hear(awake, self._work))
        if not child.channel.readable:
            child.channel.leave(self._selector)

    def forget(self, child: Child, awake: float) -> None:
        """It has ended: hear its last words, and end what it has left behind."""
        self.hear(child, awake)
        if child.exit_code() != ExitCode.OK:
            child.why += room.lack(self._settings)
        self._work.end(child.pid)
        child.channel.leave(self._selector)
        child.channel.close()
        self._leftovers.end(child.pid, awake)

    def all_gone(self, awake: float) -> bool:
        """To be called in each turn: whether nothing is left of those that have ended."""
        return self._leftovers.gone(awake)
