"""The supervisor's newest snapshot, as its control socket tells it to who watches. For as long as nobody answers there, it is
tried again every second."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from functools import cached_property
from typing import Any, AsyncIterator, Awaitable, Callable, Dict, List, Optional, Tuple

from kafka_worker.shared.ipc import control
from kafka_worker.shared.ipc.channel import LONGEST_LINE, Message, line_of
from kafka_worker.shared.ipc.snapshot import Snapshot, from_json
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import runtime_files

AGAIN_SECONDS = 1.0
SILENT_SECONDS = 10.0  # after so long without a word the supervisor does not answer


class Seen:
    """One snapshot, and when it came."""

    def __init__(self, data: Dict[str, Any], at: float) -> None:
        """`at`: monotonic seconds."""
        self.data = data
        self.at = at

    @cached_property
    def snapshot(self) -> Snapshot:
        """The same, read: some milliseconds, once, and only when somebody needs it so."""
        return from_json(Snapshot, self.data)


class Watch:
    """Follows the supervisor of one group on this host."""

    def __init__(self, settings: Settings) -> None:
        """Nothing was seen yet. To be made in the event loop that it lives in."""
        self.newest: Optional[Seen] = None
        self._settings = settings
        self._changed = asyncio.Event()
        self._problem = "nothing was heard yet"
        self._place: Tuple[str, bool] = (runtime_files.control_socket(settings), False)  # where it was found last

    @property
    def silence(self) -> str:
        """Why the supervisor counts as one that does not answer; empty: it does."""
        age = self.age
        if self.newest is None:
            return f"no word of the supervisor yet: {self._problem}"
        return f"no word of the supervisor for {age:.0f} s: {self._problem}" if age > SILENT_SECONDS else ""

    @property
    def age(self) -> float:
        """Seconds since the newest snapshot came; -1: none did."""
        return time.monotonic() - self.newest.at if self.newest else -1.0

    async def each(self) -> AsyncIterator[Seen]:
        """For ever: the newest one, as soon as it is another than the last one given."""
        seen: Optional[Seen] = None
        while True:
            seen = await self.next(seen)
            if seen is not None:
                yield seen

    async def next(self, seen: Optional[Seen], seconds: Optional[float] = None) -> Optional[Seen]:
        """The newest one, as soon as that is another than `seen`; None: there is none within so many seconds."""
        if self.newest is seen:
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await asyncio.wait([changed], timeout=seconds)  # `wait_for` may miss that it is cancelled, before Python 3.12
            finally:
                changed.cancel()
        return None if self.newest is seen else self.newest

    def see(self, data: Dict[str, Any]) -> None:
        """This is the newest one now."""
        self.newest = Seen(data, time.monotonic())
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def follow(self) -> None:
        """For ever: at the control socket, or at that of the name that this machine had when the service was started."""
        while True:
            for path, nearby in self._places():
                try:
                    await self._follow(path, nearby=nearby)
                except (OSError, ValueError, control.NotRunningError) as problem:
                    if not nearby:
                        self._problem = str(problem)
            await asyncio.sleep(AGAIN_SECONDS)

    def _places(self) -> List[Tuple[str, bool]]:
        first = runtime_files.control_socket(self._settings)
        return [(first, False), *((path, True) for path in runtime_files.other_control_sockets(self._settings))]

    async def ask(self, request: Message) -> Message:
        """Its answer to any question, where it was found last. Raises OSError, ValueError and NotRunningError."""
        path, nearby = self._place
        async with _asked(path, request, nearby=nearby) as said:
            return await said()

    async def _follow(self, path: str, *, nearby: bool) -> None:
        """Until it ends, or says nothing for too long. Raises OSError, ValueError and NotRunningError."""
        async with _asked(path, {"command": control.WATCH}, nearby=nearby) as said:
            while True:
                data = await said()
                if "slots" not in data:
                    raise control.NotRunningError(f"it does not let us watch: {str(data)[:200]}")
                if nearby and data.get("group") != self._settings.group_id:
                    return
                self._place = path, nearby
                self.see(data)


@contextlib.asynccontextmanager
async def _asked(path: str, request: Message, *, nearby: bool) -> AsyncIterator[Callable[[], Awaitable[Message]]]:
    """A supervisor that was asked something; what waits for its next answer. Raises OSError, ValueError and
    NotRunningError."""
    reader, writer = await asyncio.open_unix_connection(path, limit=LONGEST_LINE)
    try:
        control.must_be_ours(writer.get_extra_info("socket"), path, nearby=nearby)
        writer.write(line_of(request))
        yield lambda: _said(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Message:
    """The next answer. Raises OSError, ValueError and NotRunningError."""
    silence = asyncio.get_running_loop().call_later(SILENT_SECONDS, writer.transport.abort)
    try:
        line = await reader.readline()
    finally:
        silence.cancel()
    if not line:
        raise control.NotRunningError(f"it has ended, or says nothing for {SILENT_SECONDS:.0f} s")
    data = json.loads(line)
    if not isinstance(data, dict):
        raise control.NotRunningError(f"it says what is no answer: {str(data)[:200]}")
    return data
