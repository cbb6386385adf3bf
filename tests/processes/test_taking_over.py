"""Modules of handlers that take over the process: they work, or are refused at the start, and what is ours is never a
message's fault."""

from __future__ import annotations

from pathlib import Path
from typing import Sequence

import pytest

from tests.support.eventually import eventually
from tests.support.messages import message, messages
from tests.support.scene import SECONDS, Scene
from tests.support.service import Service

pytestmark = pytest.mark.processes

MODULE = "tests.support.taking_over:work"
IMPORTS = "import os, resource, sys, threading, time"
FUNCTION = "def work(message):\n    pass\n"
IN_PLACE_OF_THREADS = "threading.Thread.start = threading.Thread.run"  # as greenlets are
NO_CLOCK = "time.monotonic = lambda: 0.0"
FEW_FILES = "resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))"


@pytest.mark.parametrize("isolation", ["none", "process"])
def test_a_module_that_takes_the_process_for_its_own_does_its_work_and_has_its_end(scene: Scene, isolation: str) -> None:
    """Nothing is lost, nobody dies of it, and what it has left for the end of its processes is done."""
    scene.admin.create_topic(scene.topic + ".dlq", partitions=1)
    env = {"ISOLATION": isolation, "RETRY_BACKOFF_SECONDS": "0.1", "PYTHONWARNINGS": "error"}
    service = scene.ready_service(handler=MODULE, env=env, processes=1, threads=2)

    scene.send([*messages(40, seed=1), message("deadly", "deadly", sleep_ms=1, trouble="killed"), *messages(40, seed=2)])
    scene.wait_done()
    eventually(lambda: scene.admin.lag(scene.group, scene.topic) == 0, SECONDS, "everything is committed")

    assert [slot["restarts"] for slot in service.slots()] == [1 if isolation == "none" else 0]
    (child,) = service.children().values()
    service.terminate()
    assert service.wait(SECONDS) == 0
    assert scene.admin.records(scene.topic + ".dlq") == []
    assert service.log.count("message 2-39 is printed") == 1
    ends = {int(path.suffix.partition("-")[2]) for path in Path(scene.ledger.path).parent.glob("*.end-*")}
    last = {entry.pid for entry in scene.ledger.of("end") if entry.id.startswith("2-3")}
    assert ends >= (last if isolation == "process" else {child})
    assert "Traceback" not in service.log


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ([IN_PLACE_OF_THREADS, NO_CLOCK, FEW_FILES], ["replaces threads", "replaces clocks", "lowers a limit: 20 open files"]),
        (["os.closerange(3, 100)"], ["closes descriptors"]),
        # What the look at the start does not see, because it takes too long, say:
        ([f'if "--check" not in sys.argv: {IN_PLACE_OF_THREADS}'], ["replaces threads"]),
    ],
    ids=["several", "descriptors", "later"],
)
def test_what_our_process_can_not_live_with_is_refused_with_a_clear_text(
    lines: Sequence[str], told: Sequence[str], tmp_path: Path
) -> None:
    (tmp_path / "takes_over.py").write_text("\n".join([IMPORTS, *lines, FUNCTION]))

    with Service("127.0.0.1:1", "topic", "group", processes=1, handler="takes_over:work", cwd=str(tmp_path)) as service:
        assert service.wait(SECONDS) == 78
        assert [text for text in ("HANDLER=takes_over:work", *told) if text not in service.log] == []
        assert "Traceback" not in service.log
