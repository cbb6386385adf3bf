"""The HTTP part is kept running, and whatever becomes of it is a problem and no more."""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
from typing import Any, Dict, Iterator, List, Optional

import pytest

from kafka_worker.shared import http_settings
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.channel import Channel
from kafka_worker.supervision.callers.http_process import AGAIN_SECONDS, HttpProcess
from tests.unit.fakes import some_settings

TIMEOUT = 30.0


class Serving:
    """In the place of `subprocess.Popen`: the process has its ends of the descriptors that it was given."""

    def __init__(self, pid: int, options: Dict[str, Any]) -> None:
        self.pid = pid
        self.status: Optional[int] = None
        self.line = Channel(socket.socket(fileno=os.dup(options["pass_fds"][0])))
        self.environment = options["env"]

    def poll(self) -> Optional[int]:
        return self.status

    def kill(self) -> None:
        self.status = -9

    def wait(self, _seconds: float) -> int:
        assert self.status is not None
        return self.status


class Desk:
    """A supervisor's turns, with a clock that only the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, address: str = "127.0.0.1:0") -> None:
        self.started: List[Serving] = []
        self.now = 100.0
        self.selector = selectors.DefaultSelector()
        monkeypatch.setattr(subprocess, "Popen", self._popen)
        settings = some_settings(http=address, heartbeat_timeout_seconds=TIMEOUT)
        self.part = HttpProcess(settings, {"NOTIFY_SOCKET": "x", "A": "b"}, self.selector, lambda: 0.5)

    def _popen(self, _command: Any, **options: Any) -> Serving:
        self.started.append(Serving(1000 + len(self.started), options))
        return self.started[-1]

    def turn(self, seconds: float = 0.0) -> None:
        self.now += seconds
        self.part.tend(self.now, self.now)

    def beat(self) -> None:
        self.started[-1].line.send({"beat": True})
        self.turn()

    def dies(self, status: int = -9) -> None:
        self.started[-1].status = status
        self.turn()

    @property
    def problem(self) -> str:
        return "".join(each.text for each in self.part.conditions())

    def close(self) -> None:
        self.part.end()
        for each in self.started:
            each.line.close()
        self.selector.close()


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(monkeypatch)
    yield made
    made.close()


def test_without_an_address_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, address="")
    desk.turn()
    desk.close()

    assert (desk.started, desk.part.report(), desk.problem) == ([], None, "")


def test_it_is_started_with_settings_and_socket_and_the_real_port_is_told(desk: Desk) -> None:
    desk.turn()
    desk.beat()

    told = desk.part.report()
    assert told is not None
    assert (told.pid, told.restarts, desk.problem) == (1000, 0, "")
    assert told.address.startswith("127.0.0.1:")
    assert not told.address.endswith(":0")
    assert '"http": "127.0.0.1:0"' in desk.started[0].line.receive()[0]["settings"]
    assert desk.started[0].environment == {"A": "b"}


def test_a_death_is_a_problem_until_the_next_one_is_heard_and_the_port_stays(desk: Desk) -> None:
    desk.turn()
    before = desk.part.report()
    desk.dies()

    assert [each.kind for each in desk.part.conditions()] == ["http"]
    assert "process 1000 ended: killed by SIGKILL" in desk.problem
    desk.turn()
    assert len(desk.started) == 2
    assert "process 1000" in desk.problem
    desk.beat()
    assert desk.problem == ""
    after = desk.part.report()
    assert before
    assert after
    assert (after.pid, after.restarts, after.address) == (1001, 1, before.address)


def test_one_that_dies_again_and_again_is_started_ever_more_seldom(desk: Desk) -> None:
    waits = []
    for _ in range(12):
        desk.turn()
        desk.dies()
        waits.append(desk.part.patience(desk.now))
        desk.now += waits[-1]

    assert waits == pytest.approx([0, 0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10])


@pytest.mark.parametrize("status", [ExitCode.CONFIGURATION, ExitCode.FENCED, ExitCode.OK, 1, -6])
def test_however_it_ends_it_is_started_again(desk: Desk, status: int) -> None:
    desk.turn()
    desk.dies(status)
    desk.turn(desk.part.patience(desk.now))

    assert len(desk.started) == 2


def test_one_that_hangs_is_killed_and_one_that_was_heard_is_not(desk: Desk) -> None:
    desk.turn()
    desk.turn(TIMEOUT - 1)
    desk.beat()
    desk.turn(TIMEOUT)
    assert desk.started[0].status is None

    desk.turn(1)
    desk.turn()

    assert desk.started[0].status == -9
    assert len(desk.started) == 2


def test_a_port_in_use_is_a_problem_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with http_settings.listen("127.0.0.1:0") as other:
        desk = Desk(monkeypatch, address=http_settings.written(other))
        desk.turn()

        assert (desk.started, "Address already in use" in desk.problem) == ([], True)
        told = desk.part.report()
        assert told
        assert (told.pid, told.address) == (0, "")
        assert desk.part.patience(desk.now) == AGAIN_SECONDS
    desk.turn(AGAIN_SECONDS)
    desk.beat()
    assert (len(desk.started), desk.problem) == (1, "")
    desk.close()


def test_a_process_that_cannot_be_started_is_a_problem_and_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: Any, **__: Any) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", none)
        desk.turn()
        assert "Resource temporarily unavailable" in desk.problem
    desk.turn(AGAIN_SECONDS)

    assert len(desk.started) == 1


def test_at_the_end_it_is_gone_and_so_is_its_socket(desk: Desk) -> None:
    desk.turn()
    told = desk.part.report()
    desk.part.end()

    assert told
    assert desk.started[0].status == -9
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(http_settings.parsed(told.address), 5)


def test_one_that_even_the_kernel_can_not_end_is_not_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def stays(process: Serving, seconds: float) -> int:
        raise subprocess.TimeoutExpired(str(process.pid), seconds)

    monkeypatch.setattr(Serving, "wait", stays)
    desk.turn()
    desk.part.end()

    assert desk.part.pid == 0


def test_what_happens_to_it_is_told_once(desk: Desk) -> None:
    desk.turn()
    desk.started[-1].line.send({"beat": True, "events": [{"event": "fault"}]})

    assert [desk.part.tend(desk.now, desk.now) for _ in range(2)] == [[{"event": "fault"}], []]
