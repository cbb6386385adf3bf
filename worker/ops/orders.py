"""`supervisor.py pause`, `resume`, `pauses` and `park`: what an operator orders the service on this host, and what is in
force.

Exit code: 0 done, 1 it can't be done (with the reason), 2 not running, 78 something is wrong with what was asked.
"""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Sequence

from kafka_worker.ops import asking
from kafka_worker.ops.tables import Columns, duration, safe, table
from kafka_worker.shared.configuration.load import Configuration
from kafka_worker.shared.configuration.words.order_flags import OrderRequest, fields
from kafka_worker.shared.configuration.words.place import Place
from kafka_worker.shared.ipc.snapshot import OrderReport, Snapshot, from_json
from kafka_worker.shared.output.streams import complain, show

DONE, REFUSED = 0, 1  # exit codes


def run(configuration: Configuration) -> int:
    """The command; its exit code."""
    return asking.exit_code_of(configuration.settings, lambda found: _run(configuration, found))


def _run(configuration: Configuration, found: asking.RunningService) -> int:
    if configuration.asked.command == "pauses":
        return _list(from_json(Snapshot, found.snapshot), as_json=configuration.asked.as_json)
    request = configuration.asked.order or OrderRequest(Place(""))
    answer = found.ask(configuration.asked.command, fields(request))
    if "error" in answer:
        complain(str(answer["error"]))
        return REFUSED
    if answer.get("problem"):
        complain(answer["problem"])
    return _SAID[configuration.asked.command](request, answer)


# ---- what was done ----------------------------------------------------------------------------------------------------


def _paused(request: OrderRequest, answer: Dict[str, Any]) -> int:
    span = f" for {duration(request.seconds)}" if request.seconds else ""
    here = (
        ""
        if answer.get("here")
        else " No process here has any of it now (lag lists who does): it is paused as soon as one has."
    )
    show(
        f"{request.place} is paused{span}, on this host only: what runs is finished, nothing more is started or fetched, and "
        f"what is done is committed.{here}{_former(answer)}\n"
        f"To let it go on: resume {request.place if request.place.topic else '--all'}"
    )
    return DONE


def _resumed(request: OrderRequest, answer: Dict[str, Any]) -> int:
    ended, still = ", ".join(answer.get("ended", [])), ", ".join(answer.get("still", []))
    if request.place.offset is not None:
        slots = ", ".join(map(str, answer.get("silent", [])))
        doubt = f". But slot {slots} has not answered: if it had begun, there is a dead letter (dead-letters list)"
        show(f"{ended} is not to be parked any more{doubt if slots else ''}{_former(answer)}")
    else:
        named = answer.get("named", [])
        stay = f"\nStill to be parked: {', '.join(named)}. To take one back: resume {named[0]}" if named else ""
        wider = f". But so is still: {still}" if still else ""
        show(f"{ended}: paused no more, on this host{wider}{_former(answer)}{stay}")
    return DONE


def _parked(request: OrderRequest, answer: Dict[str, Any]) -> int:
    place, outcome = request.place, answer.get("outcome")
    if outcome == "parked":
        show(
            f"{place} is parked: it is a dead letter now, and its offset counts as done. If it ran, its call is told that it "
            "is cancelled, and goes on in vain."
            f"{_former(answer)}\nTo bring it back: dead-letters replay (dead-letters list shows its place)"
        )
    elif outcome == "done":
        complain(f"{place} had come to its end before it could be parked: there is no letter of it")
        return REFUSED
    else:
        show(
            f"{place} is kept by name, and parked as soon as it can be: explain {place} says what it waits for."
            f"{_former(answer)}\nTo take that back: resume {place}"
        )
    return DONE


def _former(answer: Dict[str, Any]) -> str:
    """What was in force before: somebody else may have ordered it."""
    lines = in_lines([from_json(OrderReport, each) for each in answer.get("former", [])])
    return safe("\n".join(["", "Until now:", *lines])) if lines else ""


_SAID: Dict[str, Callable[[OrderRequest, Dict[str, Any]], int]] = {"pause": _paused, "resume": _resumed, "park": _parked}


# ---- what is in force -------------------------------------------------------------------------------------------------


def _list(snapshot: Snapshot, *, as_json: bool) -> int:
    if as_json:
        show(json.dumps([each._asdict() for each in snapshot.orders], indent=2))
    elif snapshot.orders:
        show(safe("\n".join(table(COLUMNS, snapshot.orders))))
    else:
        show("Nothing is paused or to be parked on this host")
    return DONE


def place_of(order: OrderReport) -> Place:
    """What it is about."""
    return Place(order.topic, order.partition, order.offset)


def what(order: OrderReport) -> str:
    """What is ordered."""
    return "paused" if order.offset is None else "being parked" if order.sent else "to be parked"


def in_lines(orders: Sequence[OrderReport]) -> List[str]:
    """Each in a line, as status says it."""
    return [f"  {what(each)}: {place_of(each)}, {_since(each)}: {each.reason}" for each in orders]


def _since(order: OrderReport) -> str:
    left = f", {duration(order.left)} left" if order.left >= 0 else ""
    return f"by {order.by} for {duration(order.seconds)}{left}"


COLUMNS: Columns = (
    ("WHERE", lambda order: str(place_of(order))),
    ("WHAT", what),
    ("BY", lambda order: order.by),
    ("SINCE", lambda order: duration(order.seconds)),
    ("LEFT", lambda order: duration(order.left) if order.left >= 0 else "-"),
    ("REASON", lambda order: order.reason),
)
