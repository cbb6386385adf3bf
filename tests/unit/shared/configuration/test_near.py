from __future__ import annotations

import difflib
import random

import pytest

from kafka_worker.shared.configuration.near import nearest
from kafka_worker.shared.settings import TABLE

NAMES = [row.environment for row in TABLE.values()]
LETTERS = "AEIKNOPRST_"


@pytest.mark.parametrize("likeness", [0.6, 0.88])
def test_what_comes_near_is_what_difflib_says_though_it_is_seldom_asked(likeness: float) -> None:
    chance = random.Random(7)
    for name in chance.sample(NAMES, 12):
        place = chance.randrange(len(name))
        wrong = name[:place] + "".join(chance.sample(LETTERS, chance.randrange(4))) + name[place + chance.randrange(4) :]
        expected = difflib.get_close_matches(wrong, NAMES, 1, likeness)

        assert [nearest(wrong, NAMES, likeness)] == (expected or [""])


def test_a_name_that_is_like_none_is_told_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(difflib, "get_close_matches")

    assert [nearest(name, NAMES, 0.88) for name in ("PATH", "LC_ALL", "PYTHONHASHSEED")] == [""] * 3
