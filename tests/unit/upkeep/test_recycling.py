from __future__ import annotations

from typing import List, Tuple

import pytest

from kafka_worker.upkeep.recycling import EARLY_SECONDS, Recycling

MB = 1_000_000


def recycling(messages: int = 0, seconds: float = 0.0, soft_limit: int = 0, chance: float = 0.5) -> Recycling:
    return Recycling(messages, seconds, soft_limit, lambda: chance)


def test_what_is_off_gives_no_reason() -> None:
    assert recycling().reason(1e9, 1_000_000_000, 1 << 40) == ""


@pytest.mark.parametrize(("chance", "after"), [(0.0, 90), (0.5, 100), (1.0, 110)])
def test_messages_and_age_count_with_a_tenth_of_chance(chance: float, after: int) -> None:
    by_messages = recycling(messages=100, chance=chance)
    by_age = recycling(seconds=100.0, chance=chance)

    assert by_messages.reason(0.0, after - 1, 0) == ""
    assert by_messages.reason(0.0, after + 1, 0) == f"{after + 1} messages done"
    assert by_age.reason(after - 1.0, 0, 0) == ""
    assert by_age.reason(after + 1.0, 0, 0) == f"{after + 1} s old"


def test_who_outgrows_the_soft_limit_later_is_recycled_at_once() -> None:
    ours = recycling(soft_limit=200 * MB)

    assert ours.reason(EARLY_SECONDS, 0, 200 * MB) == ""
    assert ours.reason(EARLY_SECONDS, 0, 250 * MB) == "RSS 250 MB above its share of 200 MB"
    assert not ours.oversized
    assert not ours.outgrown  # a leak, which the next process has not at once


def test_who_is_too_large_from_the_start_is_recycled_only_when_it_grows_on() -> None:
    ours = recycling(soft_limit=200 * MB)

    reasons = [ours.reason(age, 0, rss * MB) for age, rss in [(1.0, 250), (2.0, 260), (1000.0, 274)]]
    assert (reasons, ours.oversized, ours.outgrown) == (["", "", ""], True, False)
    assert ours.reason(1001.0, 0, 275 * MB) == "RSS 275 MB above its share of 200 MB"
    assert (ours.oversized, ours.outgrown) == (False, True)


def test_who_was_too_large_for_a_moment_is_not_oversized_any_more() -> None:
    ours = recycling(soft_limit=200 * MB)
    ours.reason(1.0, 0, 250 * MB)
    ours.reason(2.0, 0, 150 * MB)

    assert not ours.oversized
    assert not ours.outgrown


@pytest.mark.parametrize(
    ("looks", "reason"),
    [
        ([(10.0, 40, 1024), (70.0, 819, 1024)], ""),
        ([(10.0, 40, 1024), (70.0, 820, 1024)], "820 files open, of 1024 that may be"),
        ([(10.0, 900, 1024), (70.0, 1000, 1024)], ""),  # a new process would have as many
        ([(10.0, 900, 1024), (11.0, 1024, 1024)], "1024 files open, of 1024 that may be"),
        ([(10.0, 900, 1024), (11.0, 1020, 1024)], ""),
        ([(10.0, 900, 1024), (11.0, 1021, 1024)], "1021 files open, of 1024 that may be"),
        ([(70.0, 250, 256)], ""),
        ([(70.0, 256, 256)], "256 files open, of 256 that may be"),
        ([(70.0, 100_000, 0)], ""),
    ],
    ids=["enough", "leak", "early", "none-left", "some-left", "next-to-none-left", "few", "none-of-few", "any-number"],
)
def test_who_leaves_files_open_is_recycled_before_there_are_none_left(
    looks: List[Tuple[float, int, int]], reason: str
) -> None:
    ours = recycling()

    assert [ours.reason(age, 0, 0, files, most) for age, files, most in looks][-1] == reason
