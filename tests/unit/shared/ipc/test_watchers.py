"""Who watches is told the newest snapshot again and again, and keeps nobody waiting."""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from kafka_worker.shared.ipc import watchers
from kafka_worker.shared.ipc.control import ControlServer


class Desk:
    """A control server that the test turns, and a snapshot that counts how often it was made."""

    def __init__(self, path: str, monkeypatch: pytest.MonkeyPatch, filler: int) -> None:
        monkeypatch.setattr(watchers, "WATCH_SECONDS", 0.0)  # due in each turn
        self.path = path
        self.made = 0
        self.filler = "x" * filler
        self.selector = selectors.DefaultSelector()
        self.server = ControlServer(path, self.selector, {"status": self._status})
        self.clients = contextlib.ExitStack()

    def _status(self) -> Dict[str, Any]:
        self.made += 1
        return {"number": self.made, "filler": self.filler}

    def watcher(self) -> socket.socket:
        client = self.clients.enter_context(socket.socket(socket.AF_UNIX))
        client.settimeout(5)
        client.connect(self.path)
        client.sendall(b'{"command":"watch"}\n')
        self.server.serve()
        return client

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.server.serve()

    def close(self) -> None:
        self.clients.close()
        self.server.close()
        self.selector.close()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(str(tmp_path / "control"), monkeypatch, filler=10)
    yield made
    made.close()


def numbers(client: socket.socket, count: int) -> List[int]:
    with client.makefile("rb") as lines:
        return [json.loads(lines.readline())["number"] for _ in range(count)]


def test_who_watches_is_told_at_once_and_again_in_each_turn_without_asking(desk: Desk) -> None:
    client = desk.watcher()
    desk.turn(2)

    assert numbers(client, 3) == [1, 2, 3]


def test_a_snapshot_is_made_once_for_all_who_watch_and_not_before_it_is_due(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = desk.watcher(), desk.watcher()
    monkeypatch.setattr(watchers, "WATCH_SECONDS", 1000.0)
    desk.turn(5)

    assert numbers(first, 3) == [1, 2, 3]
    assert numbers(second, 2) == [2, 3]
    assert desk.made == 3


def test_who_reads_slowly_gets_whole_snapshots_the_newest_next_and_is_not_waited_for(desk: Desk) -> None:
    desk.filler = "x" * 1_000_000  # does not fit a socket's buffer
    slow = desk.watcher()
    desk.turn(50)
    selected = desk.selector.select(0)
    assert desk.made == 51

    with slow.makefile("rb") as lines:
        slow.setblocking(False)
        found: List[int] = []
        partial = b""
        while len(found) < 2:  # a reader that reads now, and turns between
            partial += lines.read(100_000) or b""
            *whole, partial = partial.split(b"\n")
            found += [json.loads(line)["number"] for line in whole]
            desk.turn()

    assert found[0] == 1
    assert found[1] > 50  # those between were never sent
    assert selected == []  # and nobody was woken in vain


def test_the_oldest_of_too_many_makes_room_for_the_next(desk: Desk) -> None:
    first = desk.watcher()
    others = [desk.watcher() for _ in range(watchers.MOST_WATCHERS)]
    desk.turn()

    with first.makefile("rb") as lines:
        assert len(lines.readlines()) == watchers.MOST_WATCHERS  # to its end
    assert numbers(others[-1], 1) == [watchers.MOST_WATCHERS + 1]


def test_who_is_gone_is_forgotten_and_what_a_watcher_says_is_not_heard(desk: Desk) -> None:
    client = desk.watcher()
    with contextlib.suppress(OSError):
        client.setblocking(False)
        client.sendall(b'{"command":"status"}\n' * 100_000)
    assert desk.selector.select(0) == []
    client.close()

    desk.turn(3)

    assert desk.made == 2  # one more was tried
