"""The HTTP part (`ops.serve`), kept running with HTTP=host:port: one more child, and no slot. Whatever becomes of it is a
problem that status tells, never a reason to end. The listening socket is ours: whoever calls while a process is started again
waits a moment, and the port stays."""

from __future__ import annotations

import random
import selectors
import socket
import subprocess
import sys
from typing import Callable, List, Mapping, Optional

from kafka_worker import start
from kafka_worker.shared import http_settings, logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import described
from kafka_worker.shared.ipc.channel import Channel, Message
from kafka_worker.shared.ipc.health import Kind
from kafka_worker.shared.ipc.snapshot import Condition, HttpReport
from kafka_worker.shared.settings import Settings
from kafka_worker.supervision.children.prepared import make_end
from kafka_worker.supervision.slots.restart_policy import LONGEST_BACKOFF_SECONDS, RestartPolicy, SlotRecord
from kafka_worker.supervision.systemd import without_systemd

log = logs.logger(__name__)

AGAIN_SECONDS = 2.0  # until a port that is in use is tried again


class HttpProcess:
    """What keeps it. With HTTP unset it does nothing."""

    def __init__(
        self,
        settings: Settings,
        environment: Mapping[str, str],
        selector: selectors.BaseSelector,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """Nothing runs yet."""
        self._settings = settings
        self._environment = environment
        self._selector = selector
        self._policy = RestartPolicy(sys.maxsize, LONGEST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS, chance)
        self._record = SlotRecord()
        self._listener: Optional[socket.socket] = None
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._channel: Optional[Channel] = None
        self._started_at = self._start_at = 0.0
        self._heard_at = 0.0  # in awake seconds
        self._trouble = ""
        self._events: List[Message] = []  # that it has told of, of this turn

    def tend(self, now: float, awake: float) -> List[Message]:
        """To be called in each turn. The events that it tells of."""
        if self._settings.http:
            self._tend(now, awake)
        events, self._events = self._events, []
        return events

    def _tend(self, now: float, awake: float) -> None:
        if self._process is not None and self._channel is not None:
            self._look_after(self._process, self._channel, now, awake)
        elif now >= self._start_at:
            try:
                self._start(now, awake)
            except OSError as problem:  # of the port, or no memory, no process, no descriptor: that may pass
                self._start_at = now + AGAIN_SECONDS
                self._complain(http_settings.refused(problem))

    def _look_after(self, process: subprocess.Popen[bytes], channel: Channel, now: float, awake: float) -> None:
        channel.flush()
        for message in channel.receive():
            self._heard_at, self._trouble = awake, ""
            self._events += message.get("events", ())
        if not channel.readable:
            channel.leave(self._selector)
        if awake - self._heard_at > self._settings.heartbeat_timeout_seconds:
            log.error("HTTP: process %d hangs: SIGKILL", process.pid, extra=about(Event.PROCESS_HUNG))
            process.kill()
            self._heard_at = awake
        status = process.poll()
        if status is not None:
            self._forget(channel)
            delay = self._policy.delay(self._record, status, now - self._started_at, now)
            self._start_at = now + (LONGEST_BACKOFF_SECONDS if delay is None else delay)
            self._complain(f"process {process.pid} ended: {described(status)}")

    def _start(self, now: float, awake: float) -> None:
        """Raises OSError."""
        if self._listener is None:
            self._listener = http_settings.listen(self._settings.http)
            log.info("HTTP at %s", http_settings.written(self._listener), extra=about(Event.HTTP_SERVED))
        ours, theirs = socket.socketpair()
        with theirs:
            descriptors = (theirs.fileno(), self._listener.fileno())
            try:
                self._process = subprocess.Popen(
                    start.command("ops.serve.command", "--channel", str(descriptors[0]), "--listener", str(descriptors[1])),
                    env=without_systemd(self._environment),
                    stdin=subprocess.DEVNULL,
                    pass_fds=descriptors,
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                raise
        self._channel = Channel(ours)
        self._channel.send({"settings": self._settings.to_json()})
        self._selector.register(self._channel, selectors.EVENT_READ)
        self._started_at, self._heard_at = now, awake

    def _complain(self, problem: str) -> None:
        if problem != self._trouble:
            told = about(Event.HTTP_NOT_SERVED, reason=problem)
            log.warning("HTTP can't be served at %s: %s", self._settings.http, problem, extra=told)
        self._trouble = problem

    def _forget(self, channel: Channel) -> None:
        channel.leave(self._selector)
        channel.close()
        self._process = self._channel = None

    @property
    def pid(self) -> int:
        """Of the process; 0: there is none now."""
        return self._process.pid if self._process else 0

    def report(self) -> Optional[HttpReport]:
        """What the snapshot says of it."""
        if not self._settings.http:
            return None
        address = http_settings.written(self._listener) if self._listener else ""
        return HttpReport(self.pid, address, self._record.restarts)

    def conditions(self) -> List[Condition]:
        """The problem, if there is one: from its end until its successor is heard."""
        text = f"HTTP is not served at {self._settings.http}: {self._trouble}"
        return [Condition(Kind.HTTP.value, None, text)] if self._trouble else []

    def patience(self, now: float) -> float:
        """How long it can be left alone."""
        idle = not self._settings.http or self._process is not None
        return LONGEST_BACKOFF_SECONDS if idle else max(0.0, self._start_at - now)

    def end(self) -> None:
        """It has nothing to lose, and is the last to go: until then it says how the end goes."""
        if self._process is not None and self._channel is not None:
            make_end(self._process)
            self._forget(self._channel)
        if self._listener is not None:
            self._listener.close()
