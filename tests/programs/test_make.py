"""What `make` says where a tool is missing that pip does not bring."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.kafka_jars import ROOT

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TOOLS = {"image": "docker", "deploy": "kubectl", "monitoring": "promtool", "page": "chromium", "instructions": "valgrind"}
#: Modules that are not ours.
OF_OTHERS = {"pip", "pytest", "venv"}


def test_what_a_target_runs_of_ours_is_there() -> None:
    modules = set(re.findall(r"(?:python|PYTHON\)) -m ([\w.]+)", MAKEFILE)) - OF_OTHERS
    files = set(re.findall(r"\b(?:tests|deploy|monitoring|bench)/[\w./]+", MAKEFILE))

    assert {"bench", "tests.support.unit_tests"} <= modules
    assert [module for module in modules if find_spec(module) is None] == []
    assert [file for file in files if not (ROOT / file).exists()] == []


@pytest.mark.parametrize("target", TOOLS)
def test_a_target_whose_tool_is_missing_says_so_in_one_line_before_it_fetches_anything(target: str, tmp_path: Path) -> None:
    make = shutil.which("make")
    assert make

    asked = subprocess.run([make, f"needs-{target}"], cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, check=False)

    told, _ = asked.stderr.decode().splitlines()  # the second is make's own
    assert re.match(rf"make {target} needs .*\b{TOOLS[target]}, and finds none that works: \w+", told)
    assert f"\n{target}: needs-{target} " in MAKEFILE
