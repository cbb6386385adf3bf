"""A process that dies while it gives partitions up, as it does when another one joins."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Sequence, Set

import pytest

from tests.support.eventually import eventually
from tests.support.messages import keys_of, message
from tests.support.scene import PARTITIONS, SECONDS, Scene, revocations
from tests.support.service import PROTOCOL, Service

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.processes

OWNED_SECONDS = 30.0  # less than a session, after which the group would rebalance by itself
EAGER = {"KAFKA_CONSUMER_PARTITION_ASSIGNMENT_STRATEGY": "range"}
STRATEGIES = [{}, EAGER] if PROTOCOL == "classic" else [{}]  # by the other one it is the brokers who assign


def test_what_a_killed_process_was_giving_up_is_not_left_to_nobody(scene: Scene, tmp_path: Path) -> None:
    running = tmp_path / "running"
    running.touch()
    service = scene.ready_service(host="here", processes=1, threads=PARTITIONS)
    killed = service.children()[0]
    keys = [keys_of(partition, PARTITIONS)[0] for partition in range(PARTITIONS)]
    stay: Dict[str, Any] = {"trouble": "stay", "while": str(running)}
    scene.send([message(key, key, **stay) for key in keys])
    for key in keys:
        scene.wait_running(key)

    scene.service("other", processes=1)
    eventually(lambda: killed in revocations(service.log), SECONDS, "it is to give partitions up, and waits for what runs")
    os.kill(killed, signal.SIGKILL)
    running.unlink()

    scene.wait_owned_by(["here-0", "other-0"], OWNED_SECONDS)
    scene.wait_done()


@pytest.mark.parametrize("env", STRATEGIES)
def test_who_starts_with_other_topics_after_a_crash_consumes_just_these(
    topic: Callable[..., str], group: str, service: Callable[..., Service], shared: str, env: Dict[str, str]
) -> None:
    """The seats of the dead are subscribed to what was consumed before, and who sits down in them gets partitions of that, for
    ever: whatever was noted of it (one topic more), or lost (another topic)."""
    names = [topic(partitions=2) for _ in range(3)]

    def start(topics: Sequence[str], folder: Optional[str]) -> Service:
        return service(",".join(topics), group, processes=1, runtime_directory=folder, env=env).start()

    start(names[:1], shared).wait_ready(partitions=2).close()
    second = start(names[:2], shared)
    eventually(lambda: topics_of(second) == set(names[:2]), OWNED_SECONDS, "what is new is consumed, too")
    second.close()
    third = start(names[2:], None)
    eventually(lambda: topics_of(third) == set(names[2:]), OWNED_SECONDS, "what is not ours any more is not")


def topics_of(service: Service) -> Set[str]:
    return {topic for owned in service.partitions().values() for topic, _ in owned}
