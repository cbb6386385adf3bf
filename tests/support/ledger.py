"""What handlers have done, as they write it down themselves: one line an event, in one file that all
processes of a test share. It outlives every `kill -9`, which is what makes it the witness of "nothing lost".
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import List, Optional

LONGEST_LINE = 4096  # bytes; a single write of so few is never mixed with another process's


@dataclass(frozen=True)
class Entry:
    """One event. `at` is CLOCK_MONOTONIC, which is the same for all processes of a machine."""

    event: str  # "start", then "end" (returned) or "fail" (raised); neither after a death
    id: str
    key: Optional[str] = None
    partition: int = -1  # -1: a handler without context does not know
    offset: int = -1
    attempt: int = 0
    pid: int = 0
    thread: str = ""
    at: float = 0.0


class Ledger:
    """Handlers write, the test reads; each has its own object on the same path."""

    def __init__(self, path: str) -> None:
        """The file need not exist yet."""
        self.path = path
        self._read_up_to = 0
        self._entries: List[Entry] = []

    def write(self, event: str, name: str, key: Optional[str] = None, **place: int) -> None:
        """Note an event that happens now, in this thread of this process."""
        thread = threading.current_thread().name
        entry = Entry(event, name, key, **place, pid=os.getpid(), thread=thread, at=time.monotonic())
        line = json.dumps(asdict(entry), separators=(",", ":")).encode() + b"\n"
        assert len(line) < LONGEST_LINE, "too long for a ledger line"
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def entries(self) -> List[Entry]:
        """All events so far, in the order they were written."""
        if Path(self.path).exists():
            with open(self.path, "rb") as file:
                file.seek(self._read_up_to)
                whole = file.read().rpartition(b"\n")[0]
            if whole:
                self._read_up_to += len(whole) + 1
                self._entries += [Entry(**json.loads(line)) for line in whole.split(b"\n")]
        return self._entries

    def of(self, event: str) -> List[Entry]:
        """The events of one kind."""
        return [entry for entry in self.entries() if entry.event == event]

    def attempts(self, name: str) -> List[int]:
        """As which attempts a message was started, in order."""
        return [entry.attempt for entry in self.of("start") if entry.id == name]

    def done(self) -> List[str]:
        """The ids of all tasks that came to their end at least once, in the order of their first end."""
        return list(dict.fromkeys(entry.id for entry in self.of("end")))

    def running(self) -> List[Entry]:
        """The starts without an outcome: what runs now, or was running in a process that died."""
        open_starts = {}
        for entry in self.entries():
            task = (entry.pid, entry.thread)
            if entry.event == "start":
                open_starts[task] = entry
            else:
                open_starts.pop(task, None)
        return list(open_starts.values())
