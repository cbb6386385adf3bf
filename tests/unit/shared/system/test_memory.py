from __future__ import annotations

import pytest

from kafka_worker.kafka.properties import CONSUMER_DEFAULTS, consumer_properties
from kafka_worker.shared.system import memory
from kafka_worker.shared.system.memory import LEAST_BYTES, MEBIBYTE, SUPERVISOR_BYTES
from tests.unit.fakes import some_settings


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("123", 123), ("123B", 123), ("1k", 1024), ("512M", 512 << 20), ("512 MiB", 512 << 20), ("1.5GB", 3 << 29),
     ("2t", 2 << 40)],
)  # fmt: skip
def test_a_size_is_read_in_powers_of_1024(text: str, size: int) -> None:
    assert memory.size(text) == size


def test_without_a_limit_there_are_no_shares_and_no_faults() -> None:
    settings = some_settings()

    assert memory.shares(settings) is None
    assert memory.faults(settings) == []


@pytest.mark.parametrize("processes", [1, 8])
@pytest.mark.parametrize("share", [96, 200, 5000])
def test_all_that_is_promised_to_messages_fits_below_the_soft_limit(processes: int, share: int) -> None:
    limit = SUPERVISOR_BYTES + processes * share * MEBIBYTE
    shares = memory.shares(some_settings(memory_limit=str(limit), processes=processes))

    assert shares is not None
    assert shares.process == share * MEBIBYTE
    assert shares.soft < shares.process
    assert memory.BASE_BYTES + 2 * shares.prefetch + shares.in_flight <= shares.soft
    assert shares.prefetch > MEBIBYTE


def test_a_limit_that_is_too_small_is_told_with_what_is_needed() -> None:
    just_enough = SUPERVISOR_BYTES + 4 * LEAST_BYTES

    assert memory.faults(some_settings(memory_limit=str(just_enough), processes=4)) == []
    (fault,) = memory.faults(some_settings(memory_limit="400M", processes=4))
    assert fault == (
        "MEMORY_LIMIT = 400M is too small for PROCESSES = 4: each needs at least 96M and the supervisor 40M, 424M in all. "
        "Raise it, or lower PROCESSES."
    )


def test_the_client_fetches_less_ahead_where_memory_is_short_and_never_more_than_by_default() -> None:
    def ahead(limit: str) -> int:
        return int(consumer_properties(some_settings(memory_limit=limit), "m")["queued.max.messages.kbytes"])

    default = CONSUMER_DEFAULTS["queued.max.messages.kbytes"]
    assert ahead("150M") < default
    assert ahead("100G") == ahead("0") == default


def test_what_the_user_says_about_fetching_ahead_stands() -> None:
    settings = some_settings(memory_limit="150M", consumer_properties={"queued.max.messages.kbytes": "9"})

    assert consumer_properties(settings, "m")["queued.max.messages.kbytes"] == "9"
