"""SIGTTIN and SIGTTOU: one process more, one less, under load."""

from __future__ import annotations

import signal

import pytest

from tests.support.eventually import eventually
from tests.support.scene import PARTITIONS, SECONDS, Scene

pytestmark = pytest.mark.processes

LEAVE_SECONDS = 2.0


def test_one_process_more_takes_partitions_and_one_less_gives_them_back_at_once(scene: Scene) -> None:
    service = scene.ready_service(host="here")
    old = service.children()
    with scene.load():
        service.signal(signal.SIGTTIN)
        eventually(lambda: len(service.partitions().get(2, ())) >= PARTITIONS // 3, SECONDS, "the third process has its share")
        scene.wait_progress()

        service.signal(signal.SIGTTOU)
        scene.wait_owned_by(["here-0", "here-1"], LEAVE_SECONDS)
        scene.wait_progress()
        eventually(lambda: service.children() == old, SECONDS, "the highest slot is gone, the others stayed")

    scene.assert_each_ran_once()
    assert service.returncode is None


def test_the_last_process_stays(scene: Scene) -> None:
    service = scene.ready_service(processes=2)
    only = {0: service.children()[0]}

    for count in (1, 2, 3):  # one after the other: two of a kind at once are one
        service.signal(signal.SIGTTOU)
        eventually(lambda: service.log.count("SIGTTOU received") == count, SECONDS, "the signal is seen")  # noqa: B023
    eventually(lambda: service.children() == only, SECONDS, "one process is left")
    assert service.log.count("slot 0: its process is the last one, and stays") == 2

    with scene.load():
        pass
    scene.assert_each_ran_once()
    assert service.children() == only
