"""One message waits for hours, and more are done behind it than the journal has room for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Callable

import psutil
import pytest

from kafka_worker.partitions.tracker import SEGMENT_SIZE
from kafka_worker.recovery.journal import RECORDS
from tests.support.bulk import QUICK, WAIT
from tests.support.eventually import eventually
from tests.support.hours import Hours

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.service import Service

ROUND, ROUNDS = 100_000, 13
MEGABYTE = 1 << 20


@pytest.mark.timeout(600)
def test_a_million_messages_behind_one_that_waits(
    admin: Admin, topic: Callable[..., str], group: str, tmp_path: Path, service: Callable[..., Service]
) -> None:
    hours = Hours(admin, topic(partitions=1), group, str(tmp_path), service)
    hours.send([WAIT])
    hours.start()
    memory = []
    for number in range(1, ROUNDS + 1):
        hours.send([QUICK] * ROUND)
        hours.wait_ended(number * ROUND, 120)
        memory.append(psutil.Process(hours.process).memory_info().rss / MEGABYTE)
    assert ROUNDS * ROUND > RECORDS * SEGMENT_SIZE
    eventually(lambda: hours.held() == [(1, ROUNDS * ROUND + 1)], 30, "the commit carries the map")

    mark = hours.bulk.mark()
    hours.kill_process()
    hours.send([QUICK])
    eventually(lambda: hours.bulk.since(mark).ended == [ROUNDS * ROUND + 1], 120, "the next one is done")

    print(f"{ROUNDS * ROUND} messages; {memory[0]:.0f} MB after the first {ROUND}, {memory[-1]:.0f} MB after all")
    assert sorted(hours.bulk.since(mark).started) == [0, ROUNDS * ROUND + 1]
    assert "The journal is full" not in hours.service.log
    assert memory[-1] < memory[0] + 30
