"""What the bench wants of a peer, from the environment."""

from __future__ import annotations

import os

BOOTSTRAP = os.environ.get("BENCH_BOOTSTRAP", "")
TOPIC = os.environ.get("BENCH_TOPIC", "")
GROUP = os.environ.get("BENCH_GROUP", "")
THREADS = int(os.environ.get("BENCH_THREADS", "1"))  # calls at once, in each process
CONSUMERS = int(os.environ.get("BENCH_CONSUMERS", "1"))  # the same, as far as there are partitions for them
