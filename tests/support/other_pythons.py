"""Runs what needs no Kafka on the oldest and the newest Python of this machine, side by side, so that what the project
promises of Python 3.8 to 3.13 is true: `python -m tests.support.other_pythons`, as `make test` does. With `environments` it
only makes what they need.
"""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

ROOT = Path(__file__).resolve().parents[2]
OLDEST, NEWEST = 8, 13  # of Python 3
REQUIREMENTS = tuple(f"requirements{part}.txt" for part in ("", "-http", "-top", "-tracing", "-test"))
#: Side by side, as programs mostly wait; without those that look at the text of our files, which is the
#: same for each Python. What holds for all that is drawn is tried here more often than where one waits for it.
OFTEN = "--hypothesis-profile=thorough"
OF_TEXT = ("--ignore=tests/unit/test_architecture.py", "--ignore=tests/unit/test_rooms.py")
TESTS = (("tests/unit", OFTEN, *OF_TEXT), ("tests/programs",))

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


def others() -> Dict[Version, str]:
    """The oldest and the newest interpreter that are there, but for the one that runs us."""
    found = interpreters()
    wanted = {min(found), max(found)} - {sys.version_info[:2]} if found else set()
    return {version: found[version] for version in sorted(wanted)}


def environments() -> Dict[Version, str]:
    """An environment for each of the others."""
    found = others()
    with ThreadPoolExecutor() as threads:
        return dict(zip(found, threads.map(environment, found.keys(), found.values())))


def tested(python: str, tests: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """In one process."""
    command = [python, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", *tests]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


def main(words: List[str]) -> int:
    """The first exit status that is not 0."""
    found = environments()
    if words == ["environments"]:
        return 0
    if not found:
        print(f"only Python {sys.version_info[0]}.{sys.version_info[1]} is on this machine: no other to try")
    asked = [(version, python, tests) for version, python in found.items() for tests in TESTS]
    with ThreadPoolExecutor(2 * len(TESTS)) as threads:
        runs = list(threads.map(lambda each: tested(*each[1:]), asked))
    for (version, _, tests), run in zip(asked, runs):
        print("==> Python {}.{}: {}".format(*version, tests[0]), run.stdout, sep="\n", flush=True)
    return next((run.returncode for run in runs if run.returncode), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
