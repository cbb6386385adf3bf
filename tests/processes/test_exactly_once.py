"""What handlers send is seen once by those who read what is committed, and what they do once by those who look into their
database, whatever happens to the processes."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Dict

import pytest

from tests.support.eventually import eventually
from tests.support.exactly import EXACTLY, HANDLER, Forwarding, kill_one
from tests.support.messages import between
from tests.support.scene import SECONDS, Scene

pytestmark = pytest.mark.processes


def test_results_and_dead_letters_are_seen_once_though_processes_are_killed_and_tasks_run_again(scene: Scene) -> None:
    forwarding, chance = Forwarding(scene), random.Random(1)
    service = scene.ready_service(handler=HANDLER, processes=2, threads=4, env=EXACTLY)
    for seed in (1, 2):  # a second and a half of work each: some is left when results are seen, on a busy machine too
        forwarding.send(forwarding.some(120, seed, between(50, 150)), seen=5)
        kill_one(service, chance)
    scene.admin.wait_committed(scene.group, scene.topic)
    again = Counter(entry.id for entry in scene.ledger.of("start"))
    service.terminate()
    code = service.wait(SECONDS)

    assert code == 0
    assert max(again.values()) > 1, "nothing ran again, so nothing was shown"
    assert forwarding.wrong() == []


def paid(database: Path) -> Dict[str, int]:
    """What the accounts have."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return dict(connection.execute("SELECT name, balance FROM accounts"))


def test_the_recipe_with_a_database_counts_each_message_once_though_messages_run_again(scene: Scene, tmp_path: Path) -> None:
    database, amounts = tmp_path / "accounts.db", list(range(200))
    rows = [(b"key-%d" % amount, b'{"account": "a%d", "amount": %d}' % (amount % 7, amount), None) for amount in amounts]
    environment = {"JOURNAL": "off", "OFFSET_MAP": "off", "COMMIT_INTERVAL_SECONDS": "60", "DATABASE": str(database)}
    service = scene.ready_service(handler="tests.support.paying:pay", processes=2, env=environment)
    scene.admin.produce(scene.topic, rows[:100])
    eventually(lambda: len(scene.ledger.of("start")) >= 100, SECONDS, "half of it is done")
    kill_one(service, random.Random(2))
    scene.admin.produce(scene.topic, rows[100:])  # behind what runs again, in each partition
    eventually(lambda: len({entry.id for entry in scene.ledger.of("start")}) == len(amounts), SECONDS, "all have been started")
    service.terminate()
    code = service.wait(SECONDS)

    assert (code, scene.admin.lag(scene.group, scene.topic)) == (0, 0)
    assert len(scene.ledger.of("start")) > len(amounts), "nothing ran again, so nothing was shown"
    assert paid(database) == {f"a{rest}": sum(amounts[rest::7]) for rest in range(7)}
