"""Tasks and their outcomes on their way between a process and its task process: plain data, one frame each way at a time.

`marshal`, because it takes bytes as they are, and makes nothing but plain data of what arrives: unlike with pickle, no code
of the user's runs on our side. Both ends are the same interpreter, which is all that its format asks for. (JSON would need
base64 for the bytes.)
"""

from __future__ import annotations

import marshal
import socket
import struct
from typing import Any

_LENGTH = struct.Struct("!Q")
_PIECE = 65536  # bytes


def is_plain(content: Any) -> bool:
    """Whether it can be sent: numbers, text, bytes, None, and tuples, lists, sets and dictionaries of them."""
    try:
        marshal.dumps(content)
    except ValueError:
        return False
    return True


class Frames:
    """One end. Not thread-safe. The socket may block (then so do the methods) or not (then `flush` sends the rest, and
    `receive` says None until all has come)."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over `connection`."""
        self._socket = connection
        self._incoming = bytearray()
        self._outgoing = memoryview(b"")

    def fileno(self) -> int:
        """For a poll."""
        return self._socket.fileno()

    @property
    def pending(self) -> bool:
        """Whether something still waits to be sent."""
        return bool(self._outgoing)

    def send(self, content: Any) -> None:
        """Send plain data. Raises ValueError for what is none, and OSError when the other side is gone."""
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
        """The next frame's content; None: not all of it has come. Raises EOFError or OSError when the other side is gone, or
        does not speak our language."""
        try:
            while self._missing() > 0:
                data = self._socket.recv(max(_PIECE, self._missing()))
                if not data:
                    raise EOFError
                self._incoming += data
        except BlockingIOError:
            return None
        frame, self._incoming = memoryview(self._incoming), bytearray()
        try:
            return marshal.loads(frame[_LENGTH.size :])  # noqa: S302 (see above)
        except (ValueError, TypeError) as problem:
            raise EOFError from problem

    def _missing(self) -> int:
        """Bytes that must still come, as far as known."""
        have = len(self._incoming) - _LENGTH.size
        return -have if have < 0 else int(_LENGTH.unpack_from(self._incoming)[0]) - have

    def close(self) -> None:
        """Close our end."""
        self._socket.close()
