"""What the probes say of a snapshot. Pure.

What a restart could mend makes it not alive; what keeps it from working makes it not ready. What somebody has to look at (a
breaker that is open, a partition that is held) is a line, and no more: traffic sent elsewhere, or a restart, would not help.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional

from kafka_worker.shared.ipc.health import WORKING
from kafka_worker.shared.ipc.snapshot import Snapshot
from kafka_worker.shared.ipc.sums import reporting


class Check(NamedTuple):
    """One thing that is looked at."""

    name: str
    fault: str  # empty: it is well


def alive(silence: str) -> List[Check]:
    """Whether the supervisor answers. Knows nothing of Kafka."""
    return [Check("supervisor", silence)]


def ready(snapshot: Optional[Snapshot], silence: str) -> List[Check]:
    """Whether it works."""
    if snapshot is None:
        return alive(silence)
    children = reporting(snapshot.slots)
    joined = [child for child in children if child.joined]
    away = bool(children) and all(child.broker_away for child in children)
    return [
        *alive(silence),
        Check("running", "" if snapshot.state in WORKING else f"the service is {snapshot.state}"),
        Check("broker", "no broker answers" if away else ""),
        Check("group", "" if joined else "no process has its place in the group"),
    ]


def text(checks: List[Check], snapshot: Optional[Snapshot], *, verbose: bool) -> str:
    """What the answer says: all that was looked at, and everything that is not well besides; or only what is wrong."""
    failed = [f"[-]{check.name}: {check.fault}" for check in checks if check.fault]
    if not verbose:
        return "\n".join(failed or ["ok"]) + "\n"
    well = [f"[+]{check.name} ok" for check in checks if not check.fault]
    told = [f"[!]{each.kind}: {each.text}" for each in snapshot.conditions] if snapshot else []
    return "\n".join([*well, *failed, *told, "failed" if failed else "passed"]) + "\n"
