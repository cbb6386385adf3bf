"""What results are of: machine, versions, settings."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Dict

from bench.environments import UnavailableError
from bench.sides.side import Side
from bench.topics import VALUE_BYTES
from bench.usage import MB
from tests.support import kafka_jars


def facts() -> Dict[str, str]:
    """Of the machine, and of what all sides have."""
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MB / 1024
    return {
        "Machine": f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"{platform.system()} {platform.release()}",
        "Broker": f"Apache Kafka {kafka_jars.version()}, one node (KRaft) on the same cores, PLAINTEXT, no wait before "
        "a first rebalance",
        "Python": platform.python_version(),
        "Messages": f"JSON of {VALUE_BYTES} bytes, 10,000 keys, 16 partitions where nothing else is said",
    }


def versions_in_words(sides: Dict[str, Side]) -> Dict[str, str]:
    """Of each of these."""
    listed = []
    for side in sides.values():
        with contextlib.suppress(UnavailableError, OSError):
            listed.append((side.title, ", ".join(" ".join(pair) for pair in side.versions().items())))
    return {"Versions": "; ".join(f"{title}: {versions}" for title, versions in listed if versions)}


def commit() -> str:
    """Which of ours."""
    command = ["git", "-C", str(kafka_jars.ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
