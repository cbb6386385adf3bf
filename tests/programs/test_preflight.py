"""What a module has said that ends whoever imports it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kafka_worker.supervision import preflight
from tests.unit.fakes import some_settings

SAID_ELSEWHERE = "import sys\nprint('it begins')\nprint('no key', file=sys.stderr)\nsys.exit(1)\n"
AT_ONCE = "import os\nprint('it begins')\nprint('no key')\nos._exit(1)\n"


@pytest.mark.parametrize(
    ("module", "told"),
    [(SAID_ELSEWHERE, "; it has said: no key"), (AT_ONCE, " (exit 1: no key)")],
    ids=["in order", "at once"],
)
def test_what_a_module_has_said_last_is_told(tmp_path: Path, module: str, told: str) -> None:
    (tmp_path / "needs_a_key.py").write_text(module)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}

    (fault,) = preflight.thorough(some_settings(handler="needs_a_key:work"), environment).faults

    assert fault.endswith(told)
