"""`supervisor.py lag`: how far the whole group is, from Kafka alone."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple

import pytest
from confluent_kafka import Producer

from kafka_worker.ops import commands
from tests.support.answering import command_settings
from tests.support.eventually import eventually
from tests.support.kafka import described_group
from tests.support.messages import keys_of, message

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.admin import Admin
    from tests.support.engine import Engine

SECONDS = 30.0
MINUTES_AGO = 600.0


def told(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> str:
    capsys.readouterr()
    found = commands.main(["lag", *words])
    said = capsys.readouterr()
    assert found == code, said.out + said.err
    return said.out + said.err


def partitions_of(report: Dict[str, Any]) -> Dict[Tuple[str, int], Dict[str, Any]]:
    return {(row["topic"], row["partition"]): row for row in report["partitions"]}


def at_rest(running: Engine) -> Optional[Dict[Tuple[str, int], Tuple[int, int, int]]]:
    """Committed, end and lag of each partition as metrics have them, when all that is done is committed."""
    reports = running.loop.report.partitions
    if any(each.committed < each.watermark or each.committed < 0 for each in reports):
        return None
    return {(each.topic, each.partition): (each.committed, each.end, each.lag) for each in reports}


def a_message(**what: Any) -> bytes:
    value = message(uuid.uuid4().hex, **what).row[1]
    assert value is not None
    return value


def fill(bootstrap: str, name: str, stays: Path) -> None:
    """0: four messages, the first two of long ago. 1: two of a transaction, and its marker. 2: two, which run for as long as
    there is the file `stays`. 3: nothing."""
    plain = Producer({"bootstrap.servers": bootstrap})
    for number, age in ((0, 2 * MINUTES_AGO), (0, MINUTES_AGO), (0, 0), (0, 0), (2, 0), (2, 0)):
        what = {"trouble": "stay", "while": str(stays)} if number == 2 else {}
        plain.produce(name, a_message(**what), partition=number, timestamp=int(1000 * (time.time() - age)))
    assert plain.flush(SECONDS) == 0
    transactional = Producer({"bootstrap.servers": bootstrap, "transactional.id": uuid.uuid4().hex})
    transactional.init_transactions(SECONDS)
    transactional.begin_transaction()
    for _ in range(2):
        transactional.produce(name, a_message(), partition=1)
    transactional.commit_transaction(SECONDS)


def test_the_lag_of_a_group_is_told_without_it_and_at_rest_as_kafkas_own_tool_and_its_members_tell_it(
    admin: Admin,
    topic: Callable[..., str],
    group: str,
    engine: Callable[..., Engine],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    name = topic(partitions=4)
    command_settings(monkeypatch, tmp_path, admin.bootstrap, group, name)
    stays = tmp_path / "stays"
    stays.touch()
    fill(admin.bootstrap, name, stays)
    admin.move(group, name, {0: 1, 1: 2})

    report = json.loads(told(capsys, "--json"))
    rows = partitions_of(report)

    assert [rows[name, number]["lag"] for number in range(4)] == [3, 1, 2, 0]
    assert MINUTES_AGO <= rows[name, 0]["lag_seconds"] < MINUTES_AGO + SECONDS
    assert rows[name, 1]["lag_seconds"] == 0  # but a marker
    assert report["lag"] == 6
    assert report["state"] == "empty"

    admin.produce(name, [message(uuid.uuid4().hex, keys_of(3, 4)[0], sleep_ms=0).row for _ in range(300)])
    uneven = told(capsys)
    running = engine(name, group).start()
    eventually(lambda: admin.lag(group, name) == 2, SECONDS, "everything is dealt with but what stays, and what is behind it")
    ours = eventually(lambda: at_rest(running), SECONDS, "the engine knows all that it has committed")
    rows = partitions_of(json.loads(told(capsys, "--json")))
    theirs = eventually(lambda: described_group(admin.bootstrap, group), SECONDS, "the tool finds the group's coordinator")

    # Behind the marker of a transaction, too, which is no message, and where there never was one.
    assert {place: (int(row[0]), int(row[1]), int(row[2])) for place, row in theirs.items()} == ours
    assert {place: (row["committed"], row["end"], row["lag"]) for place, row in rows.items()} == ours
    assert [ours[name, number][2] for number in range(4)] == [0, 0, 2, 0]

    stays.unlink()
    eventually(lambda: admin.lag(group, name) == 0, SECONDS, "everything is dealt with")
    said = told(capsys)
    running.stop()

    assert uneven.splitlines()[1].startswith(f"98% of it is in {name}[3]: keys that are not spread evenly, or something is in")
    assert f"group {group} is stable, 1 member has partitions; lag 0" in said
    assert said.count("engine-0") == 4
    monkeypatch.setenv("KAFKA_TOPIC", f"{name},{name}-absent")
    assert f"{name}-absent: there is no such topic" in told(capsys, code=1)
