"""A message whose handler opens all files that its process may have, and keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.eventually import eventually
from tests.support.messages import message

if TYPE_CHECKING:
    from tests.support.scene import Scene

SECONDS = 60.0


@pytest.mark.parametrize(
    ("handler", "most", "isolation"),
    [
        ("work", 400, "none"),
        ("work", 200, "none"),
        ("coroutine", 400, "none"),
        ("batch", 400, "none"),
        ("work", 400, "process"),
    ],
)
def test_it_becomes_the_only_dead_letter_by_its_own_attempts(scene: Scene, handler: str, most: int, isolation: str) -> None:
    letters = scene.admin.create_topic(scene.topic + ".dlq", partitions=1)
    service = scene.ready_service(
        handler=f"tests.support.handlers:{handler}",
        env={"MAX_ATTEMPTS": "3", "ISOLATION": isolation},
        prefix=("prlimit", f"--nofile={most}:{most}"),
    )
    hungry = message("hungry", "key-x", trouble="files")
    scene.admin.produce(scene.topic, [hungry.row])
    scene.send([message(f"{number}", f"key-{number}", sleep_ms=100) for number in range(100)])

    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 0, SECONDS, "everything has its outcome")

    (letter,) = scene.admin.records(letters)
    assert letter.value == hungry.row[1]
    told = dict(letter.headers)
    assert told["dead-letter.attempts"] == b"3"
    assert b"Too many open files" in (told["dead-letter.error"] or b"")
    assert service.log.count("recycling process") == (isolation == "none")
    scene.wait_done()
