from __future__ import annotations

import random

import pytest

from kafka_worker.gates.rate_limit import BURST_SECONDS, TokenBucket


@pytest.mark.parametrize("rate", [0.7, 10.0, 333.3, 5000.0])
def test_in_turns_of_any_length_up_to_the_longest_the_tokens_are_the_rate(rate: float) -> None:
    chance, now, came = random.Random(1), 0.0, 0
    bucket = TokenBucket(rate, now)

    while now < 100.0:
        now += chance.uniform(0.0001, 0.12)
        came += bucket.fill(0, now)

    assert came == pytest.approx(rate * now, abs=1.0)


def test_unspent_tokens_pile_up_to_a_burst_and_not_beyond() -> None:
    bucket, unspent = TokenBucket(100.0, 0.0), 0

    for now in range(1, 100):
        unspent += bucket.fill(unspent, float(now))

    assert unspent == 1 + 100.0 * BURST_SECONDS


def test_a_slow_rate_still_gives_whole_tokens() -> None:
    bucket = TokenBucket(0.1, 0.0)

    assert [bucket.fill(0, float(now)) for now in (5, 9, 10, 19, 20)] == [0, 0, 1, 0, 1]


def test_a_clock_that_stands_gives_nothing() -> None:
    bucket = TokenBucket(1000.0, 5.0)

    assert [bucket.fill(0, 5.0), bucket.fill(0, 5.0)] == [0, 0]
