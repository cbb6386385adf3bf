"""All rows, by their letters."""

from __future__ import annotations

from bench.rows import crash, delay, footprint, growth, loop, noop, tasks

ROWS = {row.letter: row for row in (noop.ROW, tasks.ROW, delay.ROW, crash.ROW, footprint.ROW, growth.ROW, loop.ROW)}
