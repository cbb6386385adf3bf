"""What is remembered of messages that were running when their process died. Pure; `suspects_file` keeps it on a disk.

Being a suspect costs a message one run in a task process, alone, and nothing more: it is forgotten as soon as it is done. Its
deaths are counted, so that one that kills again and again, over restarts of the service and of the host, comes to an end.
"""

from __future__ import annotations

import math
from json import dumps, loads
from typing import Dict, Iterable, NamedTuple, Tuple

from kafka_worker.partitions.task import TaskId

VERSION = 1
#: Seconds after the last death. Sidekiq's rule: its super_fetch counts how often a job was recovered within 72 hours.
REMEMBERED_SECONDS = 72 * 3600.0
MOST = 100_000  # suspects, the newest: enough for all processes of the host to die at once; eight megabytes
LONGEST_HOW = 200  # characters
FETCHED = "its process died while nothing was done but to fetch from here on"  # of places, no messages: see `probation`


class Suspicion(NamedTuple):
    """What is known of one message."""

    deaths: int
    first: float  # seconds since 1970
    last: float
    how: str  # of the last one


Suspects = Dict[TaskId, Suspicion]


def blamed(suspects: Suspects, places: Iterable[TaskId], how: str, now: float) -> Suspects:
    """After one more death of each of these messages."""
    after = dict(suspects)
    for place in places:
        before = after.get(place, Suspicion(0, now, now, ""))
        after[place] = Suspicion(before.deaths + 1, before.first, now, how[:LONGEST_HOW])
    return remembered(after, now)


def without(suspects: Suspects, places: Iterable[TaskId]) -> Suspects:
    """These messages have come to their end."""
    gone = set(places)
    return {place: suspicion for place, suspicion in suspects.items() if place not in gone}


def remembered(suspects: Suspects, now: float) -> Suspects:
    """Without those that are too old; if there are too many, the newest. A death in the future, as after the clock was set
    back, is as new as can be."""
    fresh = {place: each for place, each in suspects.items() if now - each.last < REMEMBERED_SECONDS}
    newest = sorted(fresh, key=lambda place: fresh[place].last, reverse=True)[:MOST]
    return {place: fresh[place] for place in newest}


def encoded(suspects: Suspects) -> str:
    """As text, one suspect a line, for a person to read."""
    lines = [dumps([*place, *suspicion]) for place, suspicion in suspects.items()]
    return '{{"version": {}, "suspects": [\n{}\n]}}\n'.format(VERSION, ",\n".join(lines))


def decoded(text: str) -> Suspects:
    """The reverse. Raises ValueError for anything that is not ours."""
    try:
        content = loads(text)
        if content["version"] != VERSION:
            raise ValueError(f"version {content['version']!r}")
        return dict(map(_entry, content["suspects"]))
    except (TypeError, KeyError, RecursionError, OverflowError) as problem:
        raise ValueError(f"{type(problem).__name__}: {problem}") from problem


def _entry(row: Iterable[object]) -> Tuple[TaskId, Suspicion]:
    topic, partition, offset, deaths, first, last, how = row
    if not (isinstance(topic, str) and isinstance(how, str)) or not all(
        isinstance(number, int) and not isinstance(number, bool) for number in (partition, offset, deaths)
    ):
        raise ValueError(f"not a suspect: {row!r:.100}")
    return (topic, partition, offset), Suspicion(deaths, _seconds(first), _seconds(last), how)  # type: ignore[arg-type, return-value]


def _seconds(value: object) -> float:
    if not isinstance(value, (int, float)) or not math.isfinite(value):  # else it would never be too old
        raise ValueError(f"not a time: {value!r}")
    return float(value)
