"""Asks the site as a browser would, without a socket."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Awaitable, Callable, Dict, List, Optional

from kafka_worker.ops.serve.happenings import Happenings
from kafka_worker.ops.serve.history import History
from kafka_worker.ops.serve.site import application
from kafka_worker.ops.serve.watching import Watch
from kafka_worker.shared.ipc.snapshot import Snapshot, as_json
from tests.unit.fakes import some_settings

HOST = "localhost:8080"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Dict[str, str]
    body: str


class Door:
    """One request after the other."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def ask(
        self,
        path: str,
        *,
        method: str = "GET",
        query: str = "",
        host: Optional[str] = HOST,
        body: bytes = b"",
        after_piece: Callable[[], bool] = lambda: False,
        **headers: str,
    ) -> Answer:
        """`after_piece`: called with each piece of a stream; whether it is to be left now."""
        said: List[Any] = []
        enough = asyncio.Event()
        asked = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            if asked and method != "GET":
                return asked.pop()
            await enough.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            said.append(message)
            if message["type"] == "http.response.body" and after_piece():
                enough.set()

        given = {**({} if host is None else {"host": host}), **headers}
        rows = [(name.replace("_", "-").encode(), text.encode()) for name, text in given.items()]
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
            "headers": rows, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8080),
        }  # fmt: skip
        await asyncio.wait_for(self._app(scope, receive, send), 5)
        text = b"".join(message.get("body", b"") for message in said[1:]).decode()
        return Answer(said[0]["status"], {name.decode(): value.decode() for name, value in said[0]["headers"]}, text)


def visit(
    script: Callable[[Door, Watch], Awaitable[Any]],
    snapshot: Optional[Snapshot] = None,
    events: Optional[Dict[str, Any]] = None,
    **settings: Any,
) -> Any:
    """What the script returns, of a site that has seen this snapshot, and has heard of these events."""

    async def run() -> Any:
        used = some_settings(**{"http": "127.0.0.1:8080", **settings})
        watch = Watch(used)
        if snapshot is not None:
            watch.see(as_json(snapshot))
        recent = Happenings()
        recent.hear(events or {})
        return await script(Door(application(used, watch, History(), recent)), watch)

    return asyncio.run(run())


def answer(path: str, snapshot: Optional[Snapshot] = None, *, given: Any = None, **how: Any) -> Answer:
    """The answer to one request. `given`: settings."""
    found: Answer = visit(lambda door, _watch: door.ask(path, **how), snapshot, **(given or {}))
    return found
