"""Runs the unit tests and one end-to-end test on the oldest and the newest Python of this machine, so that what the project
promises of Python 3.8 to 3.13 is true: `python -m tests.support.other_pythons`, as `make test` does.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Tuple

ROOT = Path(__file__).resolve().parents[2]
OLDEST, NEWEST = 8, 13  # of Python 3
REQUIREMENTS = tuple(f"requirements{part}.txt" for part in ("", "-http", "-top", "-tracing", "-dev"))
TESTS = ("tests/unit", "tests/processes/test_end_to_end.py")

Version = Tuple[int, int]


def interpreters() -> Dict[Version, str]:
    """A working interpreter for each version that is on the PATH or installed by pyenv."""
    found: Dict[Version, str] = {}
    for minor in range(OLDEST, NEWEST + 1):
        name = f"python3.{minor}"
        pyenv = sorted(glob.glob(os.path.expanduser(f"~/.pyenv/versions/3.{minor}.*/bin/python")))
        for candidate in [*pyenv, shutil.which(name)]:
            if candidate and _works(candidate, (3, minor)):
                found[3, minor] = candidate
                break
    return found


def _works(interpreter: str, version: Version) -> bool:
    """Also that it can make environments: Debian's needs a package more for that. A shim may stand for nothing."""
    program = f"import ensurepip, sys; print(sys.version_info[:2] == {version!r})"
    asked = subprocess.run(
        [interpreter, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False
    )
    return asked.stdout.strip() == "True"


def environment(version: Version, interpreter: str) -> str:
    """The Python of an environment with everything the tests need; made anew when the requirements change."""
    wanted = hashlib.sha256(b"".join((ROOT / name).read_bytes() for name in REQUIREMENTS)).hexdigest()
    folder = ROOT / ".build" / "python{}.{}".format(*version)
    stamp, python = folder / "requirements.sha256", str(folder / "bin" / "python")
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([interpreter, "-m", "venv", "--clear", str(folder)], check=True)
        install = [python, "-m", "pip", "install", "--quiet", "--requirement", str(ROOT / REQUIREMENTS[-1])]
        subprocess.run(install, check=True)
        stamp.write_text(wanted)
    return python


def main() -> int:
    """The first exit status that is not 0."""
    found = interpreters()
    others = sorted({min(found), max(found)} - {sys.version_info[:2]}) if found else []
    if not others:
        print(f"only Python {sys.version_info[0]}.{sys.version_info[1]} is on this machine: no other to try")
    for version in others:
        print("==> Python {}.{}".format(*version), flush=True)
        command: List[str] = [environment(version, found[version]), "-m", "pytest", "--quiet", "-p", "no:cacheprovider"]
        command += ["--numprocesses", "2"]  # as `make test-unit`
        done = subprocess.run([*command, *TESTS], cwd=ROOT, check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
