#!/usr/bin/env python3
"""Keeps N consumer processes in one Kafka consumer group: spawns, watches, restarts, rolls and stops them.

    python supervisor.py --processes 8          run the service (all settings: --help)
    python supervisor.py metrics                the same as numbers, for Prometheus
    python supervisor.py status [--json]        what is it doing, and why; exit 0 healthy, 1 degraded, 2 not running
    python supervisor.py dead-letters list      what failed; also show, replay, drop: --help

| signal | effect |
|---|---|
| SIGTERM, SIGINT | stop in order: start no task, finish what runs within DRAIN_SECONDS, commit, leave; a second one hurries |
| SIGHUP | rolling restart, one slot at a time; the next process is imported and waiting before the old one closes |
| SIGTTIN, SIGTTOU | one process more, one less |

| exit code | meaning |
|---|---|
| 0 | stopped in order |
| 70 | a fault in our own code |
| 75 | gave up for now: something was cut off by a deadline, too many restarts, or another supervisor runs this group here |
| 78 | a setting is wrong: restarting is useless |
"""

from __future__ import annotations

import sys

from kafka_worker.ops.commands import main

if __name__ == "__main__":
    sys.exit(main())
