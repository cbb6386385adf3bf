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

APART = """
def test_in_a_task_process(worker_for):
    worker = worker_for("app.tasks:confirm", isolation="process", max_attempts=1)

    assert worker.run({"id": 1, "item": "tea"}).sent[0].json == {"id": 1, "price": 3}
    assert worker.run({}).dead_letter.reason == "rejected"
"""


def test_the_documented_examples_pass_in_a_project_of_their_own(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "TESTING.md").read_text("utf-8")
    files = dict(re.findall(r"^```python\n# (\S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    files["tests/test_apart.py"] = APART
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=3"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", "MAX_ATTEMPTS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    print(done.stdout + done.stderr)
    assert f"{''.join(files.values()).count('def test_')} passed" in done.stdout
    assert {"app/tasks.py", "conftest.py", "tests/test_service.py"} < set(files)
