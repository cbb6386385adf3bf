"""`python -m kafka_worker` and, once installed, `kafka-worker`: the same as `supervisor.py`."""

from __future__ import annotations

import sys

from kafka_worker.start import run


def main() -> int:
    """The command. Returns the exit code."""
    return run("ops.commands")


if __name__ == "__main__":
    sys.exit(main())
