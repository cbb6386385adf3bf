"""A child of the supervisor without a process: the test is its other end."""

from __future__ import annotations

import signal
import socket
from typing import Any, List, Optional, Sequence, cast

from kafka_worker.shared.ipc.channel import Channel
from kafka_worker.shared.ipc.snapshot import Stage, as_json
from kafka_worker.shared.ipc.work import WorkOfAll
from kafka_worker.shared.output.last_words import LastWords
from kafka_worker.supervision.children.child import Child, ChildState
from tests.unit.reports import child


class Process:
    """In the place of `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.status: Optional[int] = None
        self.signals: List[signal.Signals] = []

    def poll(self) -> Optional[int]:
        return self.status

    def send_signal(self, number: int) -> None:
        if self.status is not None:
            raise ProcessLookupError
        self.signals.append(signal.Signals(number))


class Puppet:
    """A child in slot 3, spawned at 100.0 (clock) and 50.0 (awake seconds)."""

    def __init__(self, pid: int = 7) -> None:
        ours, theirs = socket.socketpair()
        self.process = Process(pid)
        self.line = Channel(theirs)
        self.words = LastWords()
        self.child = Child(3, cast("Any", self.process), Channel(ours), self.words, now=100.0, awake=50.0)

    def says(self, stage: str, awake: float = 50.0, **more: Any) -> None:
        """A heartbeat, heard at `awake`."""
        self.writes(stage, **more)
        self.child.hear(awake, WorkOfAll())

    def writes(self, stage: str, events: Sequence[Any] = (), **more: Any) -> None:
        """A heartbeat that nobody has heard yet."""
        report = as_json(child(stage=Stage(stage), **{"poll_age": 0.0, **more}))
        self.line.send({"report": report, "events": list(events)})

    def becomes(self, *states: ChildState) -> None:
        for state in states:
            self.child.move(state)

    def ends(self, status: int) -> None:
        self.process.status = status

    def close(self) -> None:
        self.line.close()
        self.words.close()
        self.child.channel.close()
