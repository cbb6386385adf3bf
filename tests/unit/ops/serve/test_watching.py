"""Following a supervisor by its control socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Any, Awaitable, Callable, List

import pytest

from kafka_worker.ops.serve import watching
from kafka_worker.ops.serve.watching import Watch
from kafka_worker.shared.ipc.channel import line_of
from kafka_worker.shared.ipc.snapshot import as_json
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import runtime_files
from tests.unit import reports
from tests.unit.fakes import some_settings

SNAPSHOT = as_json(reports.snapshot(reports.slot(0), group="group"))
LONG = 5.0

Script = Callable[["Scene"], Awaitable[None]]


class Scene:
    """A supervisor that says what a test has it say to each who comes, and who follows it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.says: List[List[Any]] = []  # to the next who comes, and then it ends; nothing: it says nothing, for ever
        self.asked: List[bytes] = []
        self.watch = Watch(settings)
        self.serving: List[Any] = []
        self._seen: Any = None

    async def supervise(self, path: str) -> Any:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.serving.append(asyncio.current_task())
            self.asked.append(await reader.readline())
            if self.says:
                for line in self.says.pop(0):
                    writer.write(line if isinstance(line, bytes) else line_of(line))
            else:
                await reader.read()
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

        return await asyncio.start_unix_server(serve, path)

    async def next(self) -> Any:
        """What is seen next."""
        self._seen = await self.watch.next(self._seen, LONG)
        assert self._seen, self.watch.silence
        return self._seen.data


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 (who makes it true tells nobody)
        await asyncio.sleep(0)


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a script with a supervisor at the control socket, or at the place `at`."""
    monkeypatch.setattr(watching, "AGAIN_SECONDS", 0.005)
    settings = some_settings(runtime_directory=str(tmp_path), state_directory=str(tmp_path), host="here")

    def run(script: Script, says: List[List[Any]], host: str = "here") -> None:
        path = runtime_files.control_socket(some_settings(runtime_directory=str(tmp_path), host=host))
        os.makedirs(os.path.dirname(path))

        async def all_of_it() -> None:
            scene = Scene(settings)
            scene.says = says
            server = await scene.supervise(path)
            following = asyncio.ensure_future(scene.watch.follow())
            await asyncio.wait_for(script(scene), LONG)
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            server.close()
            if scene.serving:
                await asyncio.wait(scene.serving)
            await server.wait_closed()

        asyncio.run(all_of_it())

    return run


def test_each_snapshot_is_seen_as_it_comes_and_who_ends_is_followed_anew(play: Callable[..., None]) -> None:
    async def script(scene: Scene) -> None:
        while (await scene.next())["uptime"] != 3:
            pass
        assert scene.watch.silence == ""
        assert scene.asked[:2] == [b'{"command":"watch"}\n'] * 2

    play(script, [[{**SNAPSHOT, "uptime": 1}, {**SNAPSHOT, "uptime": 2}], [{**SNAPSHOT, "uptime": 3}]])


@pytest.mark.parametrize("nonsense", [b"", b"{", b"no JSON\n", b"[]\n", b"{}\n", b"\xff\n", {"error": "unknown command"}])
def test_whatever_else_is_said_there_is_no_snapshot_and_the_next_one_is(play: Callable[..., None], nonsense: Any) -> None:
    async def script(scene: Scene) -> None:
        assert (await scene.next()) == SNAPSHOT

    play(script, [[nonsense], [SNAPSHOT]])


def test_a_supervisor_that_knows_no_watching_is_named(play: Callable[..., None]) -> None:
    async def script(scene: Scene) -> None:
        await until(lambda: "it does not let us watch: {'error': 'unknown command'}" in scene.watch.silence)

    play(script, [[{"error": "unknown command"}]] * 100)


def test_who_says_nothing_is_left_and_asked_anew(play: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "SILENT_SECONDS", 0.01)

    async def script(scene: Scene) -> None:
        await until(lambda: len(scene.asked) >= 3)
        assert "it has ended, or says nothing for" in scene.watch.silence

    play(script, [])


def test_a_service_whose_host_was_renamed_is_found_all_the_same(play: Callable[..., None]) -> None:
    async def script(scene: Scene) -> None:
        assert (await scene.next()) == SNAPSHOT

    play(script, [[SNAPSHOT]], host="before")


def test_another_group_nearby_is_not_taken_for_ours(play: Callable[..., None]) -> None:
    async def script(scene: Scene) -> None:
        await until(lambda: len(scene.asked) >= 3)
        assert scene.watch.newest is None

    play(script, [[{**SNAPSHOT, "group": "group.2"}]] * 10, host="before")
