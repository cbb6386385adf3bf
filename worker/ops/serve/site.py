"""What there is to see, by its paths. Read only: nothing can be changed from here."""

from __future__ import annotations

import json
import os
from http import HTTPStatus
from typing import Any, AsyncIterator, Dict, List, Optional, Tuple

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from kafka_worker.ops.serve import happenings, probes
from kafka_worker.ops.serve.explaining import Explaining
from kafka_worker.ops.serve.guard import Guard
from kafka_worker.ops.serve.happenings import Happenings
from kafka_worker.ops.serve.history import History
from kafka_worker.ops.serve.watching import Seen, Watch
from kafka_worker.ops.views import exposition, metrics
from kafka_worker.shared.foreign.errors import unquoted
from kafka_worker.shared.ipc.snapshot import Snapshot
from kafka_worker.shared.settings import Settings

STATIC = os.path.join(os.path.dirname(__file__), "static")
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".txt": "text/plain"}
EVENTS = "/api/v1/events"
MOST_STREAMS = 32
BREATH_SECONDS = 15.0  # a stream that has nothing to tell says so: whoever is between must not take it for dead
PATHS = f"""\
/livez            200 while the supervisor answers
/readyz           200 while the service works; ?verbose
/healthz          the same
/metrics          for Prometheus; text or OpenMetrics
/api/v1/snapshot  what it is doing, as JSON
{EVENTS}    what happens, and the snapshot with each change, as server-sent events; ?only=event, ?only=snapshot
/api/v1/history   the last hour in steps of five seconds
/api/v1/explain   ?topic=&partition=&offset=: what their commits wait for, asked of their processes
"""


class Site:
    """Answers from what was seen."""

    def __init__(self, watch: Watch, history: History, recent: Happenings, settings: Settings) -> None:
        """What is told is as the settings say."""
        self._watch = watch
        self._history = history
        self._happenings = recent
        self._show_keys = settings.http_show_keys == "on"
        self._metrics_also = settings.metrics_also
        self._explaining = Explaining(watch)
        self._streams = 0
        self._made: Dict[str, Tuple[Seen, Any]] = {}  # of the newest snapshot, made once for all who ask

    def routes(self) -> List[BaseRoute]:
        """All of it."""
        return [
            Route("/livez", self.livez),
            Route("/readyz", self.readyz),
            Route("/healthz", self.readyz),
            Route("/metrics", self.metrics),
            Route("/api/v1/snapshot", self.snapshot),
            Route(EVENTS, self.events),
            Route("/api/v1/history", self.history),
            Route("/api/v1/explain", self.explain),
            *_front(),
        ]

    async def livez(self, request: Request) -> Response:
        """Whether the supervisor answers."""
        return self._probe(request, probes.alive(self._watch.silence))

    async def readyz(self, request: Request) -> Response:
        """Whether the service works."""
        return self._probe(request, probes.ready(self._heard(), self._watch.silence))

    def _heard(self) -> Optional[Snapshot]:
        seen = self._watch.newest
        return seen.snapshot if seen is not None and not self._watch.silence else None

    def _probe(self, request: Request, checks: List[probes.Check]) -> Response:
        text = probes.text(checks, self._heard(), verbose="verbose" in request.query_params)
        status = 503 if any(check.fault for check in checks) else 200
        return PlainTextResponse(text if self._show_keys else unquoted(text), status)

    async def metrics(self, request: Request) -> Response:
        """Numbers that are out of date would be worse than none."""
        seen = self._watch.newest
        if seen is None or self._watch.silence:
            return PlainTextResponse(self._watch.silence + "\n", 503)
        form = exposition.OPEN if exposition.OPEN in request.headers.get("accept", "") else exposition.PLAIN
        body, content_type = self._once(form, seen, lambda: metrics.exposition(seen.snapshot, form, self._metrics_also))
        return Response(body, headers={"content-type": content_type})

    async def snapshot(self, _request: Request) -> Response:
        """The newest one, however old it is: `age` says so, in seconds."""
        seen = self._watch.newest
        if seen is None:
            return JSONResponse({"error": self._watch.silence}, 503)
        return Response(self._json(seen), media_type="application/json", headers={"age": str(int(self._watch.age))})

    async def history(self, _request: Request) -> Response:
        """For charts."""
        return JSONResponse(self._history.as_json())

    async def explain(self, request: Request) -> Response:
        """What the commands of that name tells."""
        status, found = await self._explaining.answer(request.query_params)
        return JSONResponse(found if self._show_keys else without_quotes(found), status)

    async def events(self, request: Request) -> Response:
        """What has happened and happens, and each new snapshot, as they come."""
        if request.method == "HEAD":
            return Response(media_type="text/event-stream")
        if self._streams >= MOST_STREAMS:
            return PlainTextResponse("Too many follow already\n", 503, {"retry-after": "10"})
        only, mark = request.query_params.get("only", ""), happenings.read(request.headers.get("last-event-id", ""))
        if only not in ("", "event", "snapshot"):
            return PlainTextResponse("only is event or snapshot; without it, both come\n", 400)
        return StreamingResponse(self._stream(only, mark), media_type="text/event-stream")

    async def _stream(self, only: str, mark: happenings.Mark) -> AsyncIterator[bytes]:
        self._streams += 1
        try:
            seen: Optional[Seen] = None
            while True:
                new = await self._watch.next(seen, BREATH_SECONDS)
                seen = new or seen
                pieces = []
                if only != "snapshot":
                    events, mark = self._happenings.after(mark)
                    pieces = [self._event(mark, event) for event in events]
                if new and only != "event":
                    pieces.append(b"event: snapshot\ndata: " + self._json(new) + b"\n\n")
                yield b"".join(pieces) or b": still here\n\n"
        finally:
            self._streams -= 1

    def _event(self, mark: happenings.Mark, event: happenings.Event) -> bytes:
        told = json.dumps(event if self._show_keys else without_quotes(happenings.for_strangers(event)))
        return f"event: event\nid: {happenings.written(mark[0], event)}\ndata: {told}\n\n".encode()

    def _json(self, seen: Seen) -> bytes:
        shown = self._once("json", seen, lambda: json.dumps(seen.data if self._show_keys else without_quotes(seen.data)))
        return bytes(shown.encode())

    def _once(self, name: str, seen: Seen, make: Any) -> Any:
        if name not in self._made or self._made[name][0] is not seen:
            self._made[name] = (seen, make())
        return self._made[name][1]


def without_quotes(data: Any) -> Any:
    """The same without what is out of messages, or may be, and perhaps somebody's name: what is in fields called `key`, and
    what errors say."""
    if isinstance(data, dict):
        return {name: None if name == "key" else without_quotes(value) for name, value in data.items()}
    if isinstance(data, list):
        return [without_quotes(each) for each in data]
    return unquoted(data) if isinstance(data, str) else data


def _front() -> List[BaseRoute]:
    """The page and its files, where there are some; else what paths there are. They are read once: what reads files while it
    serves takes a thread for each."""
    names = os.listdir(STATIC) if os.path.isdir(STATIC) else []
    files = {name: _file(name) for name in names if os.path.splitext(name)[1] in TYPES}
    front = files.get("index.html", Response(PATHS, media_type="text/plain"))
    return [_fixed("/", front), *(_fixed(f"/{name}", answer) for name, answer in files.items())]


def _file(name: str) -> Response:
    with open(os.path.join(STATIC, name), "rb") as file:
        return Response(file.read(), media_type=TYPES[os.path.splitext(name)[1]])


def _fixed(path: str, answer: Response) -> Route:
    async def endpoint(_request: Request) -> Response:
        return answer

    return Route(path, endpoint)


def application(settings: Settings, watch: Watch, history: History, recent: Happenings) -> ASGIApp:
    """The site with its guard."""
    routes = Site(watch, history, recent, settings).routes()
    site = Starlette(routes=routes, exception_handlers={HTTPException: _refused})
    site.router.redirect_slashes = False
    return Guard(site, settings)


async def _refused(_request: Request, problem: Exception) -> Response:
    """In place of the library's own, which may take a thread for each."""
    status, headers = (problem.status_code, problem.headers) if isinstance(problem, HTTPException) else (500, None)
    return PlainTextResponse(f"{HTTPStatus(status).phrase}\n", status, headers)
