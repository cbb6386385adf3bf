"""What probes say of a snapshot."""

from __future__ import annotations

from typing import Any, List

import pytest

from kafka_worker.ops.serve import probes
from kafka_worker.shared.ipc.snapshot import Snapshot
from tests.unit import reports
from tests.unit.reports import BREAKER, HELD, child, slot


def faults(snapshot: Snapshot) -> List[str]:
    return [check.name for check in probes.ready(snapshot, "") if check.fault]


def two(**changes: Any) -> Snapshot:
    """One of two processes is not as well as the other."""
    return reports.snapshot(slot(0), slot(1, child=child(**changes)))


def test_a_service_that_works_is_ready() -> None:
    assert faults(reports.snapshot(slot(0))) == []
    assert faults(reports.snapshot(slot(0), state="rolling")) == []


@pytest.mark.parametrize(
    ("fault", "snapshot"),
    [
        ("running", reports.snapshot(slot(0), state="starting")),
        ("running", reports.snapshot(slot(0), state="stopping")),
        ("broker", reports.snapshot(slot(0, child=child(broker_away=True)), slot(1, child=child(broker_away=True)))),
        ("group", reports.snapshot(slot(0, child=child(joined=False)))),
        ("group", reports.snapshot(slot(0, pid=0))),
        ("group", reports.snapshot(slot(0, child=None))),
    ],
)
def test_what_keeps_it_from_working_makes_it_not_ready(fault: str, snapshot: Snapshot) -> None:
    assert faults(snapshot) == [fault]


@pytest.mark.parametrize(
    ("kind", "snapshot"),
    [
        ("breaker", two(breakers=[BREAKER])),
        ("held", two(partitions=[HELD])),
        ("no-broker", two(broker_away=True)),
        ("not-joined", two(joined=False)),
        ("no-process", reports.snapshot(slot(0), slot(1, pid=0))),
    ],
)
def test_what_somebody_has_to_look_at_is_a_line_and_no_more(kind: str, snapshot: Snapshot) -> None:
    checks = probes.ready(snapshot, "")

    assert faults(snapshot) == []
    assert f"[!]{kind}: slot 1: " in probes.text(checks, snapshot, verbose=True)
    assert probes.text(checks, snapshot, verbose=False) == "ok\n"


def test_what_is_wrong_is_named_and_with_verbose_what_is_well_too() -> None:
    snapshot = reports.snapshot(slot(0), state="stopping")
    checks = probes.ready(snapshot, "")

    assert probes.text(checks, snapshot, verbose=False) == "[-]running: the service is stopping\n"
    assert probes.text(checks, snapshot, verbose=True).splitlines() == [
        "[+]supervisor ok", "[+]broker ok", "[+]group ok", "[-]running: the service is stopping",
        "[!]supervisor: the supervisor is stopping", "failed",
    ]  # fmt: skip
