"""Whoever dawdles is cut off, and a probe is answered whatever else comes."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import socket
import threading
from typing import Iterator, Tuple

import pytest

from kafka_worker.ops.serve import server, site
from kafka_worker.ops.serve.happenings import Happenings
from kafka_worker.ops.serve.history import History
from kafka_worker.ops.serve.server import Bounds
from kafka_worker.ops.serve.site import EVENTS, application
from kafka_worker.ops.serve.watching import Watch
from kafka_worker.shared import http_settings
from kafka_worker.shared.ipc.snapshot import as_json
from tests.support.eventually import eventually
from tests.unit import reports
from tests.unit.fakes import some_settings

MOST = 8
SOON = 5.0  # seconds; a wait that fails the test
SHORT = Bounds(most=MOST, request_seconds=0.05, answer_seconds=0.05, streams={EVENTS: SOON})
LONG = Bounds(most=MOST, request_seconds=60.0, answer_seconds=60.0)


class Running:
    """The real server in a thread, with a site that has seen a snapshot."""

    def __init__(self, bounds: Bounds, address: str = "127.0.0.1:0") -> None:
        self.listener = http_settings.listen(address)
        self.port = self.listener.getsockname()[1]
        self._bounds = bounds
        self._begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        assert self._begun.wait(SOON)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        settings = some_settings(http="127.0.0.1:0")
        watch = Watch(settings)
        watch.see(as_json(reports.snapshot(reports.slot(0))))
        self._begun.set()
        await server.run(application(settings, watch, History(), Happenings()), self._bounds, self.listener, stop=self._stop)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self.listener.close()

    def get(self, path: str) -> Tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SOON)
        with contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def said(self, *pieces: bytes) -> bytes:
        """What is answered to these bytes, until the end of the connection."""
        with self.caller() as caller:
            for piece in pieces:
                with contextlib.suppress(OSError):  # it has heard enough
                    caller.sendall(piece)
            return until_end(caller)

    def caller(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=SOON)


def until_end(caller: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while True:
            piece = caller.recv(65536)
            if not piece:
                break
            found += piece
    return found


@pytest.fixture(scope="module")
def hasty() -> Iterator[Running]:
    made = Running(SHORT)
    yield made
    made.close()


@pytest.fixture(scope="module")
def patient() -> Iterator[Running]:
    made = Running(LONG)
    yield made
    made.close()


WITHOUT_END = {
    "nothing": b"",
    "a letter": b"G",
    "half of the head": b"GET /livez HTTP/1.1\r\nHost: localhost\r\n",
    "no body": b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
    "half of a piece": b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
}
NONSENSE = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "no host": b"GET /livez HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
    "a bare CR": b"GET /livez HTTP/1.1\r\nHost: local\rhost\r\n\r\n",
    "a line break in the target": b"GET /livez\r\nX: y HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a blank before the colon": b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX : y\r\n\r\n",
    "two lengths": b"GET /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "not ASCII": b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a header without end": b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 1_000_000,
    "a target without end": b"GET /" + b"y" * 1_000_000,
}


@pytest.mark.parametrize("begun", WITHOUT_END.values(), ids=WITHOUT_END)
def test_a_request_that_does_not_come_whole_is_cut_off(hasty: Running, begun: bytes) -> None:
    said = hasty.said(begun)

    assert b" 200 " not in said


def test_who_drips_is_cut_off_at_the_same_time(hasty: Running) -> None:
    with hasty.caller() as dripping:
        sent = 0
        with contextlib.suppress(OSError):
            for byte in b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"y" * 100_000:
                dripping.sendall(bytes([byte]))
                dripping.settimeout(0.005)
                with contextlib.suppress(socket.timeout):
                    if not dripping.recv(1):
                        break
                sent += 1

    assert sent < 1000


def test_who_does_not_take_his_answer_is_cut_off(hasty: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "PATHS", "x" * 20_000_000)  # more than sockets hold
    with hasty.caller() as lazy:
        lazy.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")

        eventually(lambda: is_cut_off(lazy), SOON, "nobody hears it any more")


def is_cut_off(caller: socket.socket) -> bool:
    """What it says is refused. (That its answer has an end, it would learn behind all that it does not take.)"""
    try:
        caller.sendall(b"x")
    except OSError:
        return True
    return False


def test_a_stream_goes_on_for_longer_than_an_answer_may_take(hasty: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site, "BREATH_SECONDS", SHORT.answer_seconds)
    with hasty.caller() as follower:
        follower.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        found = b""
        while found.count(b": still here") < 3:
            piece = follower.recv(65536)
            assert piece, found[-100:]
            found += piece


@pytest.mark.parametrize("begun", WITHOUT_END.values(), ids=WITHOUT_END)
def test_a_probe_is_answered_whoever_else_has_come(patient: Running, begun: bytes) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(5 * MOST):
            stack.enter_context(patient.caller()).sendall(begun)

            assert patient.get("/livez") == (200, b"ok\n")


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE)
def test_what_is_no_request_is_refused_and_the_next_one_is_answered(patient: Running, nonsense: bytes) -> None:
    said = patient.said(nonsense)

    assert said[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 431", b"")
    assert patient.get("/livez")[0] == 200


@pytest.mark.parametrize(
    "path", ["/%0d%0aSet-Cookie:%20a=b", "/livez%0d%0aX:y", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/hosts"]
)
def test_nothing_of_a_path_gets_into_a_header_or_out_of_the_folder(patient: Running, path: str) -> None:
    said = patient.said(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    assert said.startswith(b"HTTP/1.1 404 ")
    assert b"set-cookie" not in said.lower()
    assert b"root:" not in said


def test_a_second_request_on_the_same_connection_is_not_heard(patient: Running) -> None:
    said = patient.said(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)

    assert said.count(b"HTTP/1.1") == 1
    assert b"connection: close" in said
    assert b"server:" not in said.lower()


def test_who_wants_another_protocol_gets_this_one(patient: Running) -> None:
    upgrade = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"

    assert patient.said(upgrade).startswith(b"HTTP/1.1 200 ")
