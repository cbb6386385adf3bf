"""The unit tests by two pytests, each of which reads and runs every second file: `python -m tests.support.unit_tests`, as
`make test` does. Two workers of xdist read all files each, and tell a third process of each test.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import List

ROOT = Path(__file__).resolve().parents[2]
PYTESTS = 2


def shares() -> List[List[str]]:
    """The files of each pytest."""
    files = sorted(str(file) for file in (ROOT / "tests" / "unit").rglob("test_*.py"))
    return [files[first::PYTESTS] for first in range(PYTESTS)]


def begun(files: List[str], *, heard: bool) -> subprocess.Popen[str]:
    """What the others tell would stand in the midst of what is heard at once."""
    command = [sys.executable, "-m", "pytest", "--quiet", "-p", "no:xdist", *files]
    return subprocess.Popen(command, cwd=ROOT, stdout=None if heard else subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def main() -> int:
    """The first exit status that is not 0."""
    runs = [begun(files, heard=not number) for number, files in enumerate(shares())]
    for run in runs:
        told, _ = run.communicate()
        print(told or "", flush=True)
    return next((run.returncode for run in runs if run.returncode), 0)


if __name__ == "__main__":
    sys.exit(main())
