from __future__ import annotations

import os
from pathlib import Path
from typing import Iterator

import pytest

from tests.support.processes import stands_still


def test_who_runs_does_not_stand_still() -> None:
    assert not stands_still(os.getpid())


def test_a_thread_that_ends_while_it_is_looked_at_is_no_fault_and_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def ended(folder: Path) -> Iterator[Path]:
        yield folder / "0"  # nobody has this number

    monkeypatch.setattr(Path, "iterdir", ended)

    assert stands_still(os.getpid())
