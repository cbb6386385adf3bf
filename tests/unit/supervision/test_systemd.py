"""What systemd would receive, on a socket of ours."""

from __future__ import annotations

import itertools
import socket
import uuid
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pytest

from kafka_worker.supervision.systemd import Notifier

PID = 4242


class Listener:
    """In systemd's place; `environment` is what it would set."""

    def __init__(self, name: str, *, abstract: bool) -> None:
        self.environment = {"NOTIFY_SOCKET": ("@" if abstract else "") + name}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(("\0" if abstract else "") + name)
        self._socket.setblocking(False)

    def heard(self) -> List[str]:
        messages = []
        try:
            while True:
                messages.append(self._socket.recv(4096).decode())
        except BlockingIOError:
            return messages

    def fill(self) -> int:
        """Send until there is no room; how many it took."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            for count in itertools.count():
                try:
                    sender.sendto(b"-", self._socket.getsockname())
                except BlockingIOError:
                    return count
        raise AssertionError("never reached")

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(params=[False, True], ids=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    made = Listener(str(tmp_path / uuid.uuid4().hex), abstract=request.param)
    yield made
    made.close()


def test_each_word_is_a_datagram_of_its_own(listener: Listener) -> None:
    notifier = Notifier(listener.environment, PID)

    notifier.ready()
    notifier.reloading(12.5)
    notifier.stopping()

    assert listener.heard() == ["READY=1", "RELOADING=1\nMONOTONIC_USEC=12500000", "STOPPING=1"]


def test_a_status_is_said_when_it_changes(listener: Listener) -> None:
    notifier = Notifier(listener.environment, PID)
    for text in ("a", "a", "b", "a"):
        notifier.status(text)

    assert listener.heard() == ["STATUS=a", "STATUS=b", "STATUS=a"]


def test_a_status_is_due_once_a_second(listener: Listener) -> None:
    notifier = Notifier(listener.environment, PID)

    assert [notifier.status_due(now) for now in (100.0, 100.9, 101.0)] == [True, False, True]


@pytest.mark.parametrize("own_pid", [{}, {"WATCHDOG_PID": str(PID)}])
def test_the_watchdog_is_fed_three_times_in_its_interval(listener: Listener, own_pid: Dict[str, str]) -> None:
    notifier = Notifier({**listener.environment, "WATCHDOG_USEC": "3000000", **own_pid}, PID)
    for tenth in range(1000, 1030):
        notifier.ping(tenth / 10)

    assert listener.heard() == ["WATCHDOG=1"] * 3


@pytest.mark.parametrize("watchdog", [{}, {"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}])
def test_a_watchdog_that_is_not_ours_is_not_fed(listener: Listener, watchdog: Dict[str, str]) -> None:
    Notifier({**listener.environment, **watchdog}, PID).ping(100.0)

    assert listener.heard() == []


def test_more_time_to_stop_is_asked_for_once_a_second(listener: Listener) -> None:
    notifier = Notifier(listener.environment, PID)
    for now in (100.0, 100.5, 101.0):
        notifier.extend(now)

    assert listener.heard() == ["EXTEND_TIMEOUT_USEC=10000000"] * 2


@pytest.mark.parametrize("word", [Notifier.ready, Notifier.stopping, lambda notifier: notifier.reloading(1.0)])
def test_an_announcement_that_systemd_had_no_room_for_is_made_again(
    listener: Listener, word: Callable[[Notifier], None]
) -> None:
    notifier = Notifier(listener.environment, PID)
    room = listener.fill()
    word(notifier)
    assert len(listener.heard()) == room

    notifier.ping(100.0)
    notifier.ping(101.0)

    assert len(listener.heard()) == 1


WORDS: List[Callable[[Notifier], None]] = [
    Notifier.ready,
    Notifier.stopping,
    lambda notifier: notifier.status("text"),
    lambda notifier: notifier.ping(100.0),
    lambda notifier: notifier.extend(100.0),
]


@pytest.mark.parametrize("word", WORDS)
def test_without_systemd_nothing_is_sent(word: Callable[[Notifier], None], monkeypatch: pytest.MonkeyPatch) -> None:
    made: List[object] = []
    monkeypatch.setattr(socket, "socket", lambda *arguments: made.append(arguments))

    word(Notifier({"WATCHDOG_USEC": "3000000"}, PID))

    assert made == []


@pytest.mark.parametrize("word", WORDS)
def test_a_systemd_that_is_gone_disturbs_nothing(word: Callable[[Notifier], None], tmp_path: Path) -> None:
    word(Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "3000000"}, PID))


def test_no_status_is_due_without_a_listener() -> None:
    assert not Notifier({}, PID).status_due(100.0)
