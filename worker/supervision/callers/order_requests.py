"""What operators order at the control socket: that something pauses or goes on, and that a message is parked. Whoever asks is
told at once what can't be done; the kernel says who that is, and the log records it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import time
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from kafka_worker.shared import logs, routes
from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.events import Event
from kafka_worker.shared.ipc.channel import Message
from kafka_worker.shared.ipc.control import Caller, Later
from kafka_worker.shared.ipc.orders import EVERYTHING, MOST, REASON, Order, is_reason, of_rows
from kafka_worker.shared.ipc.snapshot import PartitionReport
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.supervision.aside import PATIENCE_SECONDS, Aside
from kafka_worker.supervision.callers.standing_orders import StandingOrders, about_order
from kafka_worker.supervision.slots.slot import Slot

log = logs.logger(__name__)

USERS_SECONDS = 0.05  # at the start, for the names of users: they are known as a rule when the first order comes
KEPT_SECONDS = PATIENCE_SECONDS + 0.5  # for them to be written, before it is told that they are not
PARK_SECONDS = 2.0  # for a message to be parked, before who has ordered it is told that it is not yet


_TOO_LATE = (
    "{} can't be let off any more: its dead letter is on its way, or stored. To bring it back: dead-letters replay "
    "(dead-letters list shows its place)"
)


class _RefusedError(Exception):
    """An order that can't be given; the text says why."""


class OrderRequests:
    """Hears what is ordered, and changes what is in force."""

    def __init__(
        self,
        settings: Settings,
        standing: StandingOrders,
        slots: Mapping[int, Slot],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`standing`: what is in force; `slots`: by their numbers, as they are at any time; `wall`: seconds since 1970."""
        self._settings = settings
        self._standing = standing
        self._slots = slots
        self._clock = clock
        self._wall = wall
        self._names: Dict[int, str] = {}  # of the users who can ask, as far as they are known
        users = Aside("users")
        users.do(self._look_users_up)
        users.wait(USERS_SECONDS)

    def _look_users_up(self) -> None:
        """Nobody but ourselves and root can ask. Not in the loop: the list of users may be another machine's."""
        for uid in (os.getuid(), 0):
            with contextlib.suppress(KeyError, OSError):
                self._names[uid] = pwd.getpwuid(uid).pw_name

    def pause(self, request: Message, caller: Caller) -> Later:
        """Start and fetch nothing more of a partition, a topic, or everything."""
        return self._heard(self._pause, request, caller, request.get("reason"))

    def resume(self, request: Message, caller: Caller) -> Later:
        """Let it go on: what was paused at this place and below, or a message that was to be parked."""
        return self._heard(self._resume, request, caller, "resume")

    def park(self, request: Message, caller: Caller) -> Later:
        """Have a message become a dead letter, wherever it is."""
        return self._heard(self._park, request, caller, request.get("reason"))

    def _heard(self, way: Callable[[Order, str], Later], request: Message, caller: Caller, reason: Any) -> Later:
        try:
            user = f"{self._names.get(caller.uid, f'uid-{caller.uid}')}@{self._settings.host}"
            return way(self._order(request, user, reason), f"{user} (process {caller.pid})")
        except _RefusedError as problem:
            answer = {"error": str(problem)}
            return lambda: answer

    def _order(self, request: Message, user: str, reason: Any) -> Order:
        if not is_reason(reason):
            raise _RefusedError(f"wanted as its reason: {REASON}")
        now, seconds = self._wall(), request.get("seconds")
        place = [request.get(name) for name in Place._fields]
        try:
            until = now + seconds if isinstance(seconds, (int, float)) else seconds
            (order,) = of_rows([[*place, reason, user, now, until]])
        except (ValueError, OverflowError) as problem:
            raise _RefusedError(str(problem)) from None
        return order

    def _pause(self, order: Order, user: str) -> Later:
        if order.parks:
            raise _RefusedError(f"{order.place} is a message: pause wants a topic, a partition, or everything")
        self._must_be_of_ours(order.place)
        former = self._add(order)
        span = "" if order.until is None else f" for {order.until - order.since:.0f} s"
        log.warning(
            "%s pauses %s on this host%s: %s%s",
            user, order.place, span, order.reason, _in_place_of(former), extra=about_order(Event.PAUSED, order),
        )  # fmt: skip
        here = sum(_covers(order.place, place) for place, _ in self._partitions())
        return self._when_kept(lambda: {"here": here, "former": former})

    def _resume(self, order: Order, user: str) -> Later:
        place, standing = order.place, self._standing.orders
        ended = [each for each in standing if each.parks == order.parks and _covers(place, each.place)]
        wider = [each for each in standing if not each.parks and each not in ended and _covers(each.place, place)]
        # What is to be parked does harm if it runs, as a rule: whoever lets a pause go does not mean that.
        named = [str(each.place) for each in standing if each.parks and each not in ended and _covers(place, each.place)]
        if not ended:
            raise self._nothing_of(place, wider, named)
        if place in self._standing.sent():
            raise _RefusedError(_TOO_LATE.format(place))
        former = self._standing.reports(ended)
        self._standing.keep(each for each in standing if each not in ended)
        for each in ended:
            what = "takes back the order to park" if each.parks else "ends the pause of"
            event = Event.PARK_WITHDRAWN if each.parks else Event.RESUMED
            log.warning("%s %s %s: %s", user, what, each.place, each.in_words, extra=about_order(event, each))
        told = {
            "ended": [str(each.place) for each in ended],
            "still": [str(each.place) for each in wider],
            "named": named,
            "former": [each._asdict() for each in former],
        }
        return self._when_kept(self._withdrawn(place, told) if order.parks else lambda: told)

    def _nothing_of(self, place: Place, wider: Sequence[Order], named: Sequence[str]) -> _RefusedError:
        """Why there is nothing at this place that could end."""
        if wider:
            return _RefusedError(f"{place} is paused with {wider[0].place}")
        if named:
            still = f"Still to be parked: {', '.join(named)}. To take one back: resume {named[0]}"
            return _RefusedError(f"{place}: nothing of it is paused here. {still}")
        self._must_be_of_ours(place)
        return _RefusedError(f"no order here is about {place}")

    def _withdrawn(self, place: Place, told: Message) -> Later:
        """Whether a message is not to be parked any more is known when its process goes by that, and not before: it may have
        begun just now."""
        deadline = Deadline(PARK_SECONDS, self._clock)

        def later() -> Optional[Message]:
            if place in self._standing.sent():
                return {"error": _TOO_LATE.format(place)}
            silent = self._standing.silent()
            return None if silent and not deadline.expired() else {**told, "silent": silent}

        return later

    def _park(self, order: Order, user: str) -> Later:
        self._must_be_of_ours(order.place)
        self._must_be_here(order.place)
        former = self._add(order)
        self._standing.outcomes.pop(order.place, None)
        log.warning(
            "%s has %s parked: %s%s",
            user, order.place, order.reason, _in_place_of(former), extra=about_order(Event.PARK_ORDERED, order),
        )  # fmt: skip
        deadline = Deadline(PARK_SECONDS, self._clock)

        def later() -> Optional[Message]:
            if order in self._standing.orders and not deadline.expired():
                return None
            return {"outcome": self._standing.outcomes.get(order.place, ""), "former": former}

        return self._when_kept(later)

    def _must_be_of_ours(self, place: Place) -> None:
        topics = routes.consumed(self._settings, [place.topic])
        if not place.topic or place.topic in topics:
            return
        if place.topic in self._settings.topics:
            raise _RefusedError(f"{place.topic} is a pattern; wanted: the name of a topic")
        known = dict.fromkeys([*self._settings.topics, *topics])
        raise _RefusedError(f"{place.topic} is none of the topics of this service: {', '.join(known)}")

    def _must_be_here(self, place: Place) -> None:
        """Else nobody here can park it, or there is nothing to park."""
        if place.offset is None:
            raise _RefusedError(f"{place} is no message: park wants TOPIC/PARTITION/OFFSET")
        partition = Place(place.topic, place.partition)
        found = [report for where, report in self._partitions() if where == partition]
        if not found:
            raise _RefusedError(f"no process on this host has {partition}. Who has it, of all hosts: lag")
        if place.offset < max(max(report.committed, report.watermark) for report in found):
            raise _RefusedError(f"{place} is done already")
        if all(0 <= report.end <= place.offset and not report.pause for report in found):  # of what is paused it is an old one
            raise _RefusedError(f"{place} is not there yet: the partition ends at {found[0].end}")

    def _partitions(self) -> Iterator[Tuple[Place, PartitionReport]]:
        for slot in self._slots.values():
            if slot.child is not None and slot.child.report is not None:
                yield from ((Place(each.topic, each.partition), each) for each in slot.child.report.partitions)

    def _add(self, order: Order) -> List[Dict[str, Any]]:
        """In place of a former one about the same, which is returned."""
        former = [each for each in self._standing.orders if each.place == order.place]
        others = [each for each in self._standing.orders if each.place != order.place]
        if len(others) >= MOST:
            raise _RefusedError(f"there are {MOST} orders, and no more are kept: pauses lists them, and resume ends them")
        told = [each._asdict() for each in self._standing.reports(former)]
        self._standing.keep([*others, order])
        return told

    def _when_kept(self, answer: Later) -> Later:
        """The answer, when it is known whether the orders can be kept, and with what keeps them from that."""
        deadline = Deadline(KEPT_SECONDS, self._clock)

        def later() -> Optional[Message]:
            said = None if self._standing.pending and not deadline.expired() else answer()
            return said if said is None or "error" in said else {**said, "problem": self._standing.problem}

        return later


def _in_place_of(former: Sequence[Mapping[str, Any]]) -> str:
    """What an order stands in place of, behind its reason."""
    return "".join(f" (in place of: {each['reason']} ({each['by']}))" for each in former)


def _covers(place: Place, other: Place) -> bool:
    """Whether the one is the other, or contains it. Who means a topic means its retry topics, too."""
    of_retries = place.partition is None and other.topic.startswith(place.topic + routes.RETRY_MARK)
    return place == EVERYTHING or of_retries or all(ours in (None, theirs) for ours, theirs in zip(place, other))
