"""All rows, by their letters."""

from __future__ import annotations

from bench.rows import crash, delay, footprint, growth, loop, noop, tasks, watched

MODULES = (noop, tasks, delay, crash, footprint, growth, loop, watched)
ROWS = {module.ROW.letter: module.ROW for module in MODULES}
