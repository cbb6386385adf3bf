"""A handler's module that is imported in the midst of a test run."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
from pathlib import Path
from typing import Any, List

import pytest

from kafka_worker.testing import TestWorker

MODULE = """
import gc

gc.set_threshold(100, 1, 1)
made = [[] for _ in range(20_000)]  # garbage is looked for meanwhile, as by chance in any import

def handle(message):
    return None
"""


class Left:
    """What a test before leaves behind: an open file, in a circle that nobody has any more."""

    def __init__(self, number: int) -> None:
        self.number, self.itself = number, self

    def __del__(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.number)


def test_it_is_not_blamed_for_what_earlier_tests_have_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "just_imported.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    thresholds, kept = gc.get_threshold(), os.open(os.devnull, os.O_RDONLY)
    numbers: List[Any] = [os.dup(kept) for _ in range(3)]
    try:
        gc.set_threshold(0)  # not before
        for number in numbers:
            Left(number)

        with TestWorker("just_imported:handle") as worker:
            assert worker.run({}).done
    finally:
        gc.set_threshold(*thresholds)
        os.close(kept)
        gc.collect()
        monkeypatch.delitem(sys.modules, "just_imported")
