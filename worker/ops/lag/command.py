"""`python supervisor.py lag`: how far the whole group is, on whatever machines, also when nothing of it runs.

Exit code: 0 told, 1 something of it can't be told (with its reason), 2 no broker answers, 78 something is wrong with what is
set.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Dict, List, Tuple

from kafka_worker.kafka.properties import consumer_properties
from kafka_worker.ops.connection import NOT_ALL, BrokerError, exit_code_of
from kafka_worker.ops.lag.group import Group
from kafka_worker.ops.lag.rows import Member, Offsets, Row, first_undone, oldest, rows, total, uneven
from kafka_worker.ops.tables import Columns, duration, table
from kafka_worker.shared import routes
from kafka_worker.shared.configuration.load import Configuration
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.texts import counted, escaped
from kafka_worker.shared.ipc.snapshot import TopicPartition
from kafka_worker.shared.output.streams import complain, show
from kafka_worker.shared.settings import Settings

COLUMNS: Columns = (
    ("PARTITION", lambda row: f"{row.topic}[{row.partition}]"),
    ("COMMITTED", lambda row: _known(row.committed)),
    ("END", lambda row: _known(row.end)),
    ("LAG", lambda row: _known(row.lag)),
    ("BEHIND", lambda row: "?" if row.lag_seconds < 0 else duration(row.lag_seconds) if row.lag_seconds else "-"),
    ("MEMBER", lambda row: row.member or "-"),
    ("FROM", lambda row: row.address or "-"),
)


def run(configuration: Configuration) -> int:
    """The command; its exit code."""
    settings = configuration.settings
    return exit_code_of(settings, Group, lambda group: _run(settings, group, as_json=configuration.asked.as_json))


def _run(settings: Settings, group: Group, *, as_json: bool) -> int:
    complaints: List[str] = []
    places = _places(settings, group.topics(), complaints)
    committed = group.committed(places)
    state, members = _members(group, complaints)
    found = _rows(settings, group, committed, members)
    complaints += [
        f"{row.topic}[{row.partition}]: its end can't be told: no broker that answers leads it" for row in found if row.end < 0
    ]
    if as_json:
        sums = {"lag": total(found), "lag_seconds": oldest(found)}
        show(
            json.dumps({"group": settings.group_id, "state": state, **sums, "partitions": list(map(asdict, found))}, indent=2)
        )
    else:
        show("\n".join(map(escaped, _text(settings, state, found))))
    for line in complaints:
        complain(line)
    return NOT_ALL if complaints else ExitCode.OK


def _places(settings: Settings, topics: Dict[str, List[int]], complaints: List[str]) -> List[TopicPartition]:
    """All partitions that the group consumes."""
    wanted = routes.consumed(settings, topics)
    unseen = "there is no such topic, or it may not be seen with these rights"
    complaints += [f"{name}: {unseen}" for name in wanted if name not in topics]
    return [(name, number) for name in wanted for number in topics.get(name, ())]


def _members(group: Group, complaints: List[str]) -> Tuple[str, List[Member]]:
    try:
        return group.described()
    except BrokerError as problem:  # another right is asked for than that to consume
        complaints.append(f"Who its members are can't be told: {problem}")
        return "?", []


def _rows(settings: Settings, group: Group, committed: Dict[TopicPartition, int], members: List[Member]) -> List[Row]:
    ends = group.ends(committed)
    offsets = Offsets(committed, group.beginnings(ends), ends)  # whose end is not told, of that no beginning is
    undone = first_undone(offsets, consumer_properties(settings, "")["auto.offset.reset"])
    behind = {place: offset for place, offset in undone.items() if offset < offsets.ends.get(place, offset + 1)}
    due = {**dict.fromkeys(undone.keys() - behind.keys()), **group.due(behind)}
    return rows(offsets, undone, due, members, time.time())


def _text(settings: Settings, state: str, found: List[Row]) -> List[str]:
    owners = {row.member for row in found if row.member}
    who = f"{counted(len(owners), 'member')} {'has' if len(owners) == 1 else 'have'} partitions"
    head = f"group {settings.group_id} is {state.replace('_', ' ')}, {who}; lag {total(found)}"
    behind = oldest(found)
    return [
        head + (f", the oldest message waits for {duration(behind)}" if behind else ""),
        *_spread(found),
        *_gone(found),
        "",
        *table(COLUMNS, found),
    ]


def _spread(found: List[Row]) -> List[str]:
    most = uneven(found)
    if most is None:
        return []
    share, name = f"{most.lag / total(found):.0%}", f"{most.topic}[{most.partition}]"
    look = f"on its host: explain {most.topic}/{most.partition}"
    return [f"{share} of it is in {name}: keys that are not spread evenly, or something is in the way there ({look})"]


def _gone(found: List[Row]) -> List[str]:
    why = "retention was quicker than the group, or somebody has deleted them"
    return [
        f"gone: {counted(row.gone, 'message')} of {row.topic}[{row.partition}], from offset {row.committed} on: {why}"
        for row in found
        if row.gone
    ]


def _known(number: int) -> str:
    return "-" if number < 0 else str(number)
