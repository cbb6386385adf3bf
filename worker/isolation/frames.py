"""Tasks and their outcomes on their way between a process and its task process: plain data, one frame each way at a time.

`marshal`, because it takes bytes as they are, and makes nothing but plain data of what arrives: unlike with pickle, no code
of the user's runs on our side. Both ends are the same interpreter, which is all that its format asks for. (JSON would need
base64 for the bytes.)
"""

from __future__ import annotations

import contextlib
import marshal
import socket
import struct
from typing import Any

from kafka_worker.shared.system import forks

_LENGTH = struct.Struct("!Q")
_SHORTEST, _LONGEST = 65536, 1 << 20  # bytes taken at once
LOST = 74  # exit status of a task process that could not go on talking to us: sysexits' EX_IOERR
LONGEST_FRAME = 1 << 32  # bytes; beyond it the other side is not one of ours


class GarbledError(Exception):
    """What came is no frame of ours: somebody else has written into the connection, or taken something out of it."""


class Frames:
    """One end. Not thread-safe. The socket may block (then so do the methods) or not (then `flush` sends the rest, and
    `receive` says None until all has come)."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over `connection`."""
        self._socket = connection
        forks.leave(self, Frames.close)
        self._incoming = bytearray()
        self._outgoing = memoryview(b"")

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._socket.fileno()

    @property
    def pending(self) -> bool:
        """Whether something still waits to be sent."""
        return bool(self._outgoing)

    def send(self, content: Any) -> None:
        """Send plain data: numbers, text, bytes, None, and tuples, lists, sets and dictionaries of them. Raises ValueError for
        what is none, and then nothing is sent; OSError when the other side is gone."""
        body = marshal.dumps(content)
        self._outgoing = memoryview(_LENGTH.pack(len(body)) + body)
        self.flush()

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it. Raises OSError."""
        try:
            while self._outgoing:
                self._outgoing = self._outgoing[self._socket.send(self._outgoing) :]
        except BlockingIOError:
            pass

    def receive(self) -> Any:
        """The next frame's content; None: not all of it has come. Raises EOFError or OSError when the other side is gone, and
        GarbledError when it does not speak our language."""
        try:
            while self._missing() > 0:
                data = self._socket.recv(min(max(_SHORTEST, self._missing()), _LONGEST))
                if not data:
                    raise EOFError
                self._incoming += data
        except BlockingIOError:
            return None
        end = len(self._incoming) + self._missing()  # behind it may stand what others have written
        frame, self._incoming = memoryview(self._incoming)[_LENGTH.size : end], self._incoming[end:]
        try:
            return marshal.loads(frame)  # noqa: S302 (see above)
        except (ValueError, TypeError, EOFError) as problem:
            raise GarbledError("no frame of ours has come") from problem

    def _missing(self) -> int:
        """How many bytes must still come, as far as that is known."""
        have = len(self._incoming) - _LENGTH.size
        if have < 0:
            return -have
        (wanted,) = _LENGTH.unpack_from(self._incoming)
        if wanted > LONGEST_FRAME:
            raise GarbledError(f"a frame of {wanted} bytes has come")
        return int(wanted) - have

    def finish(self) -> None:
        """Tell the other side that nothing more will come."""
        with contextlib.suppress(OSError):  # it is gone
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close our end."""
        self._socket.close()
