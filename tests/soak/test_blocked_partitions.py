"""Partitions of which everything waits for an hour-long task, and whose messages are all that memory has room for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict

from tests.support.eventually import eventually
from tests.support.messages import keys_of, message

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.service import Service

SECONDS = 90.0
PARTITIONS = 12
BLOCKED = 8
BEHIND = 60  # messages of each of those, of 20 kB
OTHERS = 1500  # of each of the others


def test_what_is_blocked_gives_its_memory_to_others_and_is_done_when_it_may(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service], tmp_path: Path
) -> None:
    name = topic(partitions=PARTITIONS)
    keys = [keys_of(number, PARTITIONS)[0] for number in range(PARTITIONS)]
    stop = tmp_path / "stay"
    stop.touch()
    staying: Dict[str, Any] = {"trouble": "stay", "while": str(stop)}
    first = [message(f"{n}-first", keys[n], **staying) for n in range(BLOCKED)]
    behind = [message(f"{n}-{i}", keys[n], sleep_ms=0, padding="x" * 20_000) for n in range(BLOCKED) for i in range(BEHIND)]
    admin.produce(name, [each.row for each in first + behind])
    running = service(
        name, group, processes=1, threads=16, env={"MEMORY_LIMIT": "136M", "ORDERING": "partition", "MAX_IN_FLIGHT": "32"}
    ).start()
    eventually(lambda: len(running.ledger.running()) == BLOCKED, SECONDS, "they run")

    others = [message(f"{n}-{i}", keys[n], sleep_ms=5) for i in range(OTHERS) for n in range(BLOCKED, PARTITIONS)]
    admin.produce(name, [each.row for each in others])

    eventually(lambda: len(set(running.ledger.done())) >= len(others), SECONDS, "the others are done")
    stop.unlink()
    everything = [each.id for each in first + behind + others]
    eventually(lambda: len(set(running.ledger.done())) == len(everything), SECONDS, "and then the rest")
    assert sorted(entry.id for entry in running.ledger.of("end")) == sorted(everything), "each once"
