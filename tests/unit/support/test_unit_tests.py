from __future__ import annotations

import threading
from itertools import chain
from pathlib import Path
from typing import Any, Tuple

import pytest

from tests.support import unit_tests
from tests.support.unit_tests import WELL


class Run:
    def __init__(self, returncode: int) -> None:
        self.returncode = returncode

    def communicate(self) -> Tuple[str, None]:
        return "what it told", None


def test_each_file_is_run_by_one_of_two_that_have_as_many() -> None:
    shares = unit_tests.shares()
    files = {str(file) for file in Path(__file__).parents[1].rglob("*.py") if file.name.startswith("test_")}

    assert sorted(chain(*shares)) == sorted(files)
    assert abs(len(shares[0]) - len(shares[1])) <= 1


@pytest.mark.parametrize(("codes", "code"), [((WELL, 1), 1), ((-9, WELL), -9), ((WELL, WELL), 0), ((WELL, 0), 1)])
def test_it_fails_when_one_of_them_does_and_what_all_have_told_is_seen(
    codes: Tuple[int, int], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs: Any = iter(map(Run, codes))
    monkeypatch.setattr(unit_tests, "begun", lambda _files, *, heard: next(runs))

    assert unit_tests.main() == code
    assert capsys.readouterr().out.count("what it told") == 2


def test_what_one_tells_is_read_while_another_runs_or_else_it_would_wait_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    both = threading.Barrier(2, timeout=5.0)
    monkeypatch.setattr(Run, "communicate", lambda _run: (str(both.wait()), None))
    runs: Any = iter((Run(WELL), Run(WELL)))
    monkeypatch.setattr(unit_tests, "begun", lambda _files, *, heard: next(runs))

    assert unit_tests.main() == 0
