"""A log that nobody reads: standard output and error are one pipe, and that is full."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import Iterator, List, Tuple

import pytest

from tests.support.eventually import eventually
from tests.support.messages import messages
from tests.support.scene import SECONDS, Scene

pytestmark = pytest.mark.processes

HANDLER = "tests.support.talkative:work"
STOP_SECONDS = 10.0  # much less than its drain deadline


@pytest.fixture
def full_pipe() -> Iterator[Tuple[int, int]]:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"\n" * 4096)
    os.set_blocking(writer, True)
    yield reader, writer
    os.close(reader)


class Reader:
    """Reads a pipe until it is told to stop, and somebody has written once more."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._chunks: List[bytes] = []
        self._wanted = True
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        os.set_blocking(self._pipe, True)
        while self._wanted:
            self._chunks.append(os.read(self._pipe, 1 << 16))

    @property
    def text(self) -> str:
        return b"".join(self._chunks).decode(errors="replace")

    def stop(self) -> None:
        self._wanted = False
        self._thread.join()


def test_a_log_that_nobody_reads_holds_up_nothing_and_says_what_is_missing_when_it_flows(
    scene: Scene, full_pipe: Tuple[int, int]
) -> None:
    """Nor does a handler's module that configures logging silence ours."""
    reader, writer = full_pipe
    service = scene.ready_service(output=writer, handler=HANDLER, env={"DRAIN_SECONDS": "60"})
    before = service.children()
    scene.send(messages(300))
    scene.wait_done()

    def told() -> List[int]:
        return [slot["child"]["log_untold"] for slot in service.slots() if slot["child"]]

    eventually(lambda: min(told()) > 0, SECONDS, "each process says that its log is not read")
    assert {each["kind"] for each in service.status()["conditions"]} == {"log"}
    assert 'log_lines_dropped_total{process="slot-1"}' in service.command("metrics").stdout
    os.kill(before[0], signal.SIGABRT)
    eventually(lambda: service.children().get(0, before[0]) != before[0], SECONDS, "who crashes is replaced")

    flow = Reader(reader)
    eventually(lambda: "of the log, which nobody has read for a while" in flow.text, SECONDS, "it is told")
    eventually(lambda: sum(told()) == 0, SECONDS, "and is no problem any more")
    assert f"WARNING slot-1[{before[1]}] " in flow.text
    scene.send(messages(10, seed=2))
    scene.wait_done()
    scene.send(messages(50, seed=3))
    flow.stop()
    scene.wait_done()
    service.terminate()

    assert service.wait(STOP_SECONDS) == 0
    os.close(writer)
