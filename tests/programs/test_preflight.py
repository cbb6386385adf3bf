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


def test_of_several_modules_the_words_of_one_are_not_taken_for_anothers(tmp_path: Path) -> None:
    (tmp_path / "needs_a_key.py").write_text(SAID_ELSEWHERE)
    (tmp_path / "fine.py").write_text("print('connected')\ndef work(message): pass\n")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}

    (fault,) = preflight.thorough(some_settings(handlers=("a=needs_a_key:work", "b=fine:work")), environment).faults

    assert "SystemExit" in fault
    assert "connected" not in fault
