"""How many instructions a message takes that takes no time: counted, so the same each time, however busy the machine is.

`python -m bench.instructions`: Python's own, beside those that are recorded; a unit test holds them to 5 %. `--record` notes
them for this Python. `--native`: the processor's, by valgrind, which depend on how this Python was built and are recorded
nowhere."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Dict

from bench.path import instructions

RECORDED = Path(__file__).with_name("instructions.json")
VERSION = "{}.{}".format(*sys.version_info[:2])
ORDERINGS = ("key", "none")
MESSAGES = 1000
NATIVE = (1000, 3000)  # messages of two runs, whose difference is that of the messages alone


def counted(ordering: str) -> float:
    """Python's instructions a message."""
    return instructions(ordering, MESSAGES) / MESSAGES


def recorded() -> Dict[str, Dict[str, float]]:
    """By version of Python and by ordering."""
    return dict(json.loads(RECORDED.read_text()))


def record(numbers: Dict[str, float]) -> None:
    """These are what they should be from now on, for this Python."""
    known = {**recorded(), VERSION: {name: round(number, 1) for name, number in numbers.items()}}
    lines = [f"  {json.dumps(version)}: {json.dumps(known[version])}" for version in sorted(known, key=_minor)]
    RECORDED.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def native(ordering: str) -> float:
    """The processor's instructions a message."""
    fewer, more = (_native(ordering, messages) for messages in NATIVE)
    return (more - fewer) / (NATIVE[1] - NATIVE[0])


def _native(ordering: str, messages: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
        done = subprocess.run(
            [*command, sys.executable, "-m", "bench.path", ordering, str(messages)],
            stderr=subprocess.PIPE, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "0"},
        )  # fmt: skip
    found = re.search(r"Collected : (\d+)", done.stderr)
    assert found, done.stderr
    return int(found[1])


def _minor(version: str) -> int:
    return int(version.split(".")[1])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.instructions", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--record", action="store_true", help="these numbers are what they should be from now on")
    parser.add_argument("--native", action="store_true", help="the processor's, too; takes two minutes and needs valgrind")
    words = parser.parse_args()
    numbers = {ordering: counted(ordering) for ordering in ORDERINGS}
    for ordering, number in numbers.items():
        known = recorded().get(VERSION, {}).get(ordering)
        print(f"{ordering:<6} {number:8.1f} of Python {VERSION} a message (recorded: {known})")
    if words.record:
        record(numbers)
    for ordering in ORDERINGS if words.native else ():
        print(f"{ordering:<6} {native(ordering):8,.0f} of the processor a message")


if __name__ == "__main__":
    main()
