"""`python -m kafka_worker.ops.first_run`, as `make run` does."""

from __future__ import annotations

import sys

from kafka_worker.start import run

sys.exit(run("ops.first_run.command"))
