"""Server and client of the control socket, over a real one."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import stat
import threading
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from kafka_worker.shared.ipc import control
from kafka_worker.shared.ipc.control import ControlServer, NotRunningError, ask

LARGE = {"filler": "x" * 600_000}  # does not fit a socket's buffer


class Turning:
    """A server whose loop turns in a thread of its own, as it does in the supervisor."""

    def __init__(self, path: str, commands: Dict[str, Callable[[], Dict[str, Any]]], **questions: Any) -> None:
        self._selector = selectors.DefaultSelector()
        self._server = ControlServer(path, self._selector, commands, questions)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._turn)
        self._thread.start()

    def _turn(self) -> None:
        while not self._over.is_set():
            self._selector.select(0.01)
            self._server.serve()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._server.close()
        self._selector.close()


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "control")


@pytest.fixture
def server(path: str) -> Iterator[Turning]:
    made = Turning(path, {"status": lambda: {"state": "running"}, "large": lambda: LARGE})
    yield made
    made.close()


def test_a_question_has_its_answer(server: Turning, path: str) -> None:
    assert ask(path, {"command": "status"}) == {"state": "running"}


def test_an_answer_larger_than_a_sockets_buffer_arrives_whole(server: Turning, path: str) -> None:
    assert ask(path, {"command": "large"}) == LARGE


@pytest.mark.parametrize("request_", [{"command": "dance"}, {"command": None}, {}, {"command": ["status"]}])
def test_an_unknown_command_is_answered_with_those_that_are_known(
    server: Turning, path: str, request_: Dict[str, Any]
) -> None:
    assert ask(path, request_) == {"error": "unknown command; known: large, status, watch"}


def test_the_socket_is_its_users_alone(server: Turning, path: str) -> None:
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_a_client_that_talks_nonsense_is_cut_off_and_others_are_served(server: Turning, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as rude:
        rude.settimeout(5)
        rude.connect(path)
        rude.sendall(b"GET / HTTP/1.1\r\n\r\n")

        assert rude.recv(100) == b""
    assert ask(path, {"command": "status"}) == {"state": "running"}


def test_a_client_that_never_reads_keeps_nobody_waiting(server: Turning, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as lazy:
        lazy.connect(path)
        lazy.sendall(b'{"command":"large"}\n' * 3)

        assert ask(path, {"command": "status"}) == {"state": "running"}


def test_a_client_that_says_at_once_that_it_asks_no_more_has_its_answer(server: Turning, path: str) -> None:
    """As `socat` does at the end of its input. Also an answer that takes several turns."""
    for command, answer in (("status", {"state": "running"}), ("large", LARGE)):
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(path)
            client.sendall(b'{"command":"%s"}\n' % command.encode())
            client.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as answers:
                assert json.loads(answers.read()) == answer


@pytest.mark.parametrize("said", [b"", b"{", b'{"command":"large"}\n'])
def test_clients_that_have_forgotten_what_they_wanted_keep_nobody_out(server: Turning, path: str, said: bytes) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(control.MOST_CLIENTS + 8):
            idle = stack.enter_context(socket.socket(socket.AF_UNIX))
            idle.connect(path)
            idle.sendall(said)

        assert ask(path, {"command": "status"}) == {"state": "running"}


def test_a_client_that_asks_without_an_end_is_answered_once(path: str) -> None:
    answered: List[int] = []

    def status() -> Dict[str, Any]:
        answered.append(1)
        return {"state": "running"}

    server = Turning(path, {"status": status})
    with socket.socket(socket.AF_UNIX) as eager:
        eager.settimeout(5)
        eager.connect(path)
        with contextlib.suppress(OSError):  # it is not heard to the end
            eager.sendall(b'{"command":"status"}\n' * 50_000)
        with contextlib.suppress(ConnectionResetError):
            assert eager.recv(100) == b'{"state":"running"}\n'
            assert eager.recv(100) == b""

    server.close()
    assert len(answered) == 1


def test_a_question_that_has_no_end_is_cut_off(server: Turning, path: str) -> None:
    with socket.socket(socket.AF_UNIX) as endless:
        endless.settimeout(5)
        endless.connect(path)
        with pytest.raises(OSError, match=r"pipe|reset"):
            while True:
                endless.sendall(b" " * 100_000)


def test_a_turn_of_the_loop_answers_a_few_only(path: str) -> None:
    selector = selectors.DefaultSelector()
    answered: List[int] = []

    def status() -> Dict[str, Any]:
        answered.append(1)
        return {}

    server = ControlServer(path, selector, {"status": status})
    with contextlib.ExitStack() as stack:
        for _ in range(3 * control.MOST_ANSWERS):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(path)
            client.sendall(b'{"command":"status"}\n')
        counts = []
        for _ in range(3):
            server.serve()
            counts.append(len(answered))

    assert counts == [control.MOST_ANSWERS * turns for turns in (1, 2, 3)]
    server.close()
    selector.close()


def test_nobody_at_the_socket_is_not_running(path: str) -> None:
    with pytest.raises(NotRunningError, match=r"no supervisor answers at .* \(No such file or directory\).*KAFKA_GROUP_ID"):
        ask(path, {"command": "status"})


def test_a_socket_that_a_dead_supervisor_left_is_not_running_and_is_replaced(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with pytest.raises(NotRunningError, match="Connection refused"):
        ask(path, {"command": "status"})

    server = Turning(path, {"status": lambda: {"state": "running"}})

    assert ask(path, {"command": "status"}) == {"state": "running"}
    server.close()


def test_a_supervisor_that_does_not_answer_in_time_is_not_running_and_is_named(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(path)
        frozen.listen()

        with pytest.raises(
            NotRunningError, match=f"accepted the question and did not answer within 0 s: process {os.getpid()} is"
        ):
            ask(path, {"command": "status"}, timeout=0.05)


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (
            PermissionError(13, "Permission denied"),
            "No answer: no supervisor answers at {} (Permission denied). Only its own user",
        ),
        (BlockingIOError(11, "Resource temporarily unavailable"), "No answer: no supervisor answers at {} (Resource"),
        (FileNotFoundError(2, "No such file or directory"), "Not running: no supervisor answers at {} (No such file"),
        (
            ConnectionRefusedError(111, "Connection refused"),
            "Not running: no supervisor answers at {} (Connection refused): the last one was killed. What is left of its",
        ),
    ],
)
def test_that_nobody_may_be_asked_is_no_word_about_who_runs(
    path: str, monkeypatch: pytest.MonkeyPatch, problem: OSError, told: str
) -> None:
    class Refusing(socket.socket):
        def connect(self, _address: object) -> None:
            raise problem

    monkeypatch.setattr(socket, "socket", Refusing)
    with pytest.raises(NotRunningError) as found:
        ask(path, {"command": "status"})

    assert found.value.told.startswith(told.format(path))


def test_a_path_that_no_socket_can_have_is_not_running() -> None:
    with pytest.raises(NotRunningError, match="too long"):
        ask("/" + "x" * 200, {"command": "status"})


def test_close_leaves_no_socket_behind(path: str) -> None:
    Turning(path, {}).close()

    assert not os.path.exists(path)


def test_who_answers_for_another_user_is_not_believed(server: Turning, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    monkeypatch.setattr(control, "_peer", lambda _connection: control.Caller(7, 666))

    with pytest.raises(NotRunningError, match="user 666 answers at"):
        ask(path, {"command": "status"})


def test_who_is_looked_for_nearby_is_not_found_in_another_container(
    server: Turning, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ask(path, {"command": "status"}, nearby=True) == {"state": "running"}
    monkeypatch.setattr(control, "_peer", lambda _connection: control.Caller(0, os.getuid()))

    with pytest.raises(NotRunningError, match="is on another host"):
        ask(path, {"command": "status"}, nearby=True)


def test_who_waits_for_an_answer_that_is_still_to_come_keeps_nobody_waiting_and_has_it_then(path: str) -> None:
    answers: List[Dict[str, Any]] = []
    server = Turning(path, {"status": lambda: {"state": "running"}}, inquire=lambda *_: lambda: next(iter(answers), None))
    with socket.socket(socket.AF_UNIX) as waiting:
        waiting.settimeout(5)
        waiting.connect(path)
        waiting.sendall(b'{"command":"inquire"}\n')

        meanwhile = [ask(path, {"command": "status"}) for _ in range(3)]
        answers.append(LARGE)
        with waiting.makefile("rb") as lines:
            assert json.loads(lines.read()) == LARGE

    server.close()
    assert meanwhile == [{"state": "running"}] * 3


def test_who_asks_is_known_to_whom_he_asks(path: str) -> None:
    server = Turning(path, {}, pause=lambda _, caller: lambda: {"pid": caller.pid, "uid": caller.uid})

    assert ask(path, {"command": "pause"}) == {"pid": os.getpid(), "uid": os.getuid()}
    server.close()


def test_who_goes_before_his_answer_comes_or_waits_for_ever_keeps_nobody_out(path: str) -> None:
    answers: List[Dict[str, Any]] = []
    server = Turning(path, {"status": lambda: {"state": "running"}}, inquire=lambda *_: lambda: next(iter(answers), None))
    with contextlib.ExitStack() as stack:
        for number in range(control.MOST_CLIENTS + 8):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(path)
            client.sendall(b'{"command":"inquire"}\n')
            if number % 2:
                client.close()
        before = ask(path, {"command": "status"})
        answers.append(LARGE)

        assert before == ask(path, {"command": "status"}) == {"state": "running"}

    server.close()
