"""docs/TESTING.md promises three examples that work as they stand there: they are written into a stranger's project, and run
by its pytest, which has the fixtures by name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kafka_jars import ROOT

pytestmark = pytest.mark.processes

SETTINGS = {"MAX_ATTEMPTS": "1", "SCHEMA_REGISTRY_NONE": "such", "KAFKA_CLIENT_NONE": "such"}  # that change no test
ANOTHER = """
from kafka_worker import per_process


@per_process
async def of_another_service():
    yield
"""
APART = """
import os

from kafka_worker import Send


def told(message):
    return Send("told", {"tenant": os.environ["TENANT"], "schema": os.path.exists("order.json")})


def test_folder_and_environment_are_those_of_the_test(worker_for, service_for, monkeypatch):
    monkeypatch.setenv("TENANT", "tea")
    service = service_for(told, kafka_topic="orders", message_schema="order.json")
    worker = worker_for(told, isolation="process")

    for order in ({}, {"id": 1}, {}):
        service.send(order)
    service.wait_done()

    assert [sent.json for sent in service.received("told")] == [{"tenant": "tea", "schema": True}]
    assert worker.run({}).sent[0].json == {"tenant": "tea", "schema": True}
    assert len(service.received("orders.dlq")) == 2
    assert service.received("others", 0) == []


def test_a_result_is_waited_for_also_where_nothing_was_in_its_topic_before(service_for):
    service = service_for("app.tasks:confirm")
    service.send({"id": 1, "item": "tea"})

    assert [sent.json for sent in service.received("confirmations")] == [{"id": 1, "price": 3}]


def test_in_a_task_process(worker_for):
    worker = worker_for("app.tasks:confirm", isolation="process", max_attempts=1)

    assert worker.run({"id": 1, "item": "tea"}).sent[0].json == {"id": 1, "price": 3}
    assert worker.run({}).dead_letter.reason == "rejected"
"""


def test_the_documented_examples_pass_in_a_project_of_their_own(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "TESTING.md").read_text("utf-8")
    files = dict(re.findall(r"^```python\n# (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    files.update({"tests/test_another.py": ANOTHER, "tests/test_apart.py": APART})
    files["order.json"] = '{"required": ["id"]}'
    files[".env"] = "MAX_ATTEMPTS=none"
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=3"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **SETTINGS},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    print(done.stdout + done.stderr)
    assert f"{''.join(files.values()).count('def test_')} passed" in done.stdout
    assert {"app/tasks.py", "conftest.py", "tests/test_service.py"} < set(files)
