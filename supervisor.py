#!/usr/bin/env python3
"""Keeps N consumer processes in one Kafka consumer group: spawns, watches, restarts, rolls and stops them.

    python supervisor.py --processes 8          run the service (all settings: --help)
    python supervisor.py status [--json]        what is it doing, and why; exit 0 healthy, 1 degraded, 2 not running
    python supervisor.py metrics                the same as numbers, for Prometheus
    python supervisor.py serve --http IP:PORT   both by HTTP, with probes; HTTP=IP:PORT does so beside the service
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

import os
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
# For this one import only: what else lies beside us is the user's, or nobody's. `start` sees to the rest of the path.
sys.path[:] = [HERE, *(path for path in sys.path if path != HERE)]
from worker.start import run  # noqa: E402

del sys.path[0]

if __name__ == "__main__":
    sys.exit(run("ops.commands"))
