"""The library uvicorn, with an end to everything: by itself it waits for ever for a request to come whole, and refuses whoever
comes next when too many are there. Here, who dawdles is cut off, and the oldest makes room: so a probe is answered whatever
else comes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from typing import Any, Dict, Iterator, Optional, Type, cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

LARGEST_REQUEST_HEAD = 16_384  # bytes that are read of one that has no end


@dataclass(frozen=True)
class Bounds:
    """Of connections."""

    most: int = 128  # at once
    request_seconds: float = 5.0  # until the request is there, whole
    answer_seconds: float = 20.0  # from then on, until the answer is taken
    streams: Dict[str, float] = field(default_factory=dict)  # the same, by the path of what goes on for longer


def bounded(bounds: Bounds) -> Type[H11Protocol]:
    """Its protocol with these bounds."""
    there: Dict[H11Protocol, None] = {}  # those of connections, the oldest first

    class Bounded(H11Protocol):
        """One connection."""

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(there) >= bounds.most:
                oldest = next(iter(there))
                del there[oldest]
                oldest.transport.abort()
            there[self] = None
            self._whole = False
            self._end = self.loop.call_later(bounds.request_seconds, transport.abort)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not self._whole and self.cycle is not None and not self.cycle.more_body:
                self._whole = True
                self._end.cancel()
                seconds = bounds.streams.get(self.scope["path"], bounds.answer_seconds)
                self._end = self.loop.call_later(seconds, self.transport.abort)

        def connection_lost(self, exc: Optional[Exception]) -> None:
            there.pop(self, None)
            self._end.cancel()
            super().connection_lost(exc)

    return Bounded


class _Server(uvicorn.Server):
    """Signals are its caller's business."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(site: ASGIApp, bounds: Bounds) -> uvicorn.Server:
    """A server that is to be run by `serve(sockets=[…])`, and ends soon after `should_exit` is set."""
    config = uvicorn.Config(
        cast("Any", site),
        http=bounded(bounds),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",  # else it tells of each request that is none
        access_log=False,
        proxy_headers=False,
        server_header=False,
        h11_max_incomplete_event_size=LARGEST_REQUEST_HEAD,
        timeout_graceful_shutdown=1,
    )
    return _Server(config)


async def run(site: ASGIApp, bounds: Bounds, listener: socket.socket, *, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    made = server(site, bounds)
    serving = asyncio.ensure_future(made.serve(sockets=[listener]))
    stopping = asyncio.ensure_future(stop.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    made.should_exit = True
    await serving
