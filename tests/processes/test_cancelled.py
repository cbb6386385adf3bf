"""Handlers that do what `context.cancelled` asks for: they raise, and pay for nothing."""

from __future__ import annotations

import re
from typing import Dict, List

import pytest

from tests.support.eventually import eventually
from tests.support.messages import messages, uneven
from tests.support.scene import PARTITIONS, SECONDS, Scene

pytestmark = pytest.mark.processes

COUNT, KEYS = 300, 60


def broken_off(scene: Scene) -> List[str]:
    return [entry.id for entry in scene.ledger.of("fail")]


def wait_progress(scene: Scene) -> None:
    before = len(scene.ledger.done())
    eventually(lambda: len(scene.ledger.done()) >= before + 30, SECONDS, "some more tasks are done")


@pytest.mark.parametrize("how", [{}, {"ISOLATION": "process"}], ids=["threads", "task processes"])
def test_at_a_roll_a_rebalance_and_a_stop_handlers_that_give_up_lose_no_attempt(scene: Scene, how: Dict[str, str]) -> None:
    letters = scene.admin.create_topic(scene.topic + ".dlq", partitions=1)
    scene.send(messages(COUNT, keys=KEYS, sleep_ms=uneven(60, 1000, 0.3)))
    options = {"handler": "tests.support.handlers:cooperative", "threads": 4, "env": {"BREAKER_MIN_CALLS": "3", **how}}
    first = scene.ready_service(**options)
    wait_progress(scene)
    first.roll(SECONDS)
    wait_progress(scene)
    second = scene.service("other", **options)
    eventually(lambda: any(len(each) < PARTITIONS // 2 for each in first.partitions().values()), SECONDS, "some have moved")
    wait_progress(scene)
    first.terminate()
    assert first.wait(SECONDS) == 0
    scene.wait_done()
    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 0, SECONDS, "everything is committed")

    assert len(broken_off(scene)) > 10  # else it shows nothing
    assert {entry.attempt for entry in scene.ledger.of("start")} == {1}
    assert scene.admin.records(letters) == []
    assert scene.oracle.run_twice() == []
    assert scene.oracle.order_violations_per_key() == []
    assert not re.search("Circuit breaker of .* open", first.log + second.log)
