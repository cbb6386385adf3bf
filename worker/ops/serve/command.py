"""`supervisor.py serve`, and the same as a child of the supervisor: one event loop in which the supervisor is watched, the
last hour remembered, and whoever asks is answered."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from typing import Optional

from kafka_worker.ops.serve.happenings import Happenings
from kafka_worker.ops.serve.history import History
from kafka_worker.ops.serve.watching import Watch
from kafka_worker.shared import http_settings, logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.ipc.channel import Channel
from kafka_worker.shared.ipc.startup import received_settings
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system.signals import SignalInbox

log = logs.logger(__name__)

BEAT_SECONDS = 0.5
LONGEST_STREAM_SECONDS = 600.0  # browsers begin anew by themselves


def run(settings: Settings) -> int:
    """On its own. Returns the exit code."""
    try:
        listener = http_settings.listen(settings.http)
    except OSError as problem:
        told = about(Event.HTTP_NOT_SERVED, reason=str(problem))
        why = http_settings.refused(problem)
        log.error("HTTP can't be served at %s: %s", settings.http, why, extra=told)  # noqa: TRY400 (no fault of ours)
        return ExitCode.GAVE_UP
    log.info("HTTP at %s", http_settings.written(listener), extra=about(Event.HTTP_SERVED))
    asyncio.run(_serve(settings, listener, None))
    return ExitCode.OK


def main() -> int:
    """Only the supervisor starts it, with the descriptors of a channel to itself and of the socket that listens."""
    channel_number, listener = (int(sys.argv[sys.argv.index(flag) + 1]) for flag in ("--channel", "--listener"))
    channel = Channel(socket.socket(fileno=channel_number))
    settings = received_settings(channel)
    logs.set_up(settings.log_level, settings.log_format, "http")
    asyncio.run(_serve(settings, socket.socket(fileno=listener), channel))
    return ExitCode.OK


async def _serve(settings: Settings, listener: socket.socket, channel: Optional[Channel]) -> None:
    """Until a signal, or the end of the supervisor whose child we are."""
    from kafka_worker.ops.serve import server, site  # here, because their libraries are optional

    watch, history, recent, stop = Watch(settings), History(), Happenings(), asyncio.Event()
    inbox = SignalInbox([signal.SIGTERM, signal.SIGINT])
    asyncio.get_running_loop().add_reader(inbox.fileno(), stop.set)
    bounds = server.Bounds(streams={site.EVENTS: LONGEST_STREAM_SECONDS})
    parts = [
        server.run(site.application(settings, watch, history, recent), bounds, listener, stop=stop),
        watch.follow(),
        _remember(watch, history),
        recent.follow(watch),
        *([_beat(channel)] if channel else []),
    ]
    ended, _ = await asyncio.wait([asyncio.ensure_future(part) for part in parts], return_when=asyncio.FIRST_COMPLETED)
    for each in ended:
        each.result()  # which raises what it has raised


async def _remember(watch: Watch, history: History) -> None:
    async for seen in watch.each():
        now = time.monotonic()
        if history.due(now):
            history.add(seen.snapshot, now, time.time())


async def _beat(channel: Channel) -> None:
    """Tell the supervisor that we live, for as long as it does."""
    while channel.readable:
        if channel.free():
            channel.send({"beat": True, "events": logs.take_events()})
        channel.receive()
        await asyncio.sleep(BEAT_SECONDS)
    log.info("The supervisor is gone", extra=about(Event.SUPERVISOR_GONE))
