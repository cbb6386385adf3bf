"""Apache Kafka's jars and how to run their classes. Maven fetches them once, into `.build/`.

`python -m tests.support.kafka_jars` fetches them before any test's own time limit runs. TEST_KAFKA_VERSION asks for another
version than the pom's.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List

ROOT = Path(__file__).resolve().parents[2]
POM = ROOT / "tests" / "kafka" / "pom.xml"
BUILD = ROOT / ".build"

INSTALL = "install them with: apt-get install openjdk-17-jre-headless maven"
QUICK = ["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]  # a quick start and a small JVM


class KafkaUnavailableError(RuntimeError):
    """This machine cannot run Kafka; the text says what to install. A failure, never a reason to skip."""


def version() -> str:
    """Of Kafka, as asked for, or as the pom has it."""
    asked = os.environ.get("TEST_KAFKA_VERSION")
    if asked:
        return asked
    found = re.search(r"<kafka.version>(.+?)</kafka.version>", POM.read_text())
    assert found, f"{POM} names no kafka.version"
    return found.group(1)


def classpath() -> str:
    """All jars, fetched if they are not there. Raises KafkaUnavailableError."""
    for tool in ("java", "mvn"):
        if not shutil.which(tool):
            raise KafkaUnavailableError(f"tests need a real Kafka, and {tool} is not installed; {INSTALL}")
    libs = BUILD / f"kafka-libs-{version()}"
    if not libs.exists():
        BUILD.mkdir(exist_ok=True)
        with open(f"{libs}.lock", "w") as lock:  # two test runs at once: the second waits and finds the jars
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not libs.exists():
                _fetch(libs)
    return f"{libs}/*"


def _fetch(libs: Path) -> None:
    """Beside their place first: what is in place is always complete."""
    partial = tempfile.mkdtemp(prefix=f"{libs.name}.", dir=BUILD)
    try:
        done = subprocess.run(
            ["mvn", "-q", "-B", "-f", str(POM), f"-Dkafka.version={version()}", "dependency:copy-dependencies",
             "-DincludeScope=runtime", f"-DoutputDirectory={partial}"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise KafkaUnavailableError(f"Maven could not fetch Kafka's jars ({POM}):\n{done.stdout[-3000:]}")
        os.rename(partial, libs)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def java(name: str, *words: str, options: List[str] = QUICK) -> List[str]:
    """The command that runs the main method of a class."""
    return ["java", *options, "-cp", classpath(), name, *words]


if __name__ == "__main__":
    try:
        print(classpath())
    except KafkaUnavailableError as problem:
        sys.exit(str(problem))
