"""JSON lines over a connected socket that never blocks its owner: between supervisor and child, and on the control socket.
One side's death is the other side's end of file, which is how each learns that it is alone.
"""

from __future__ import annotations

import json
import socket
from typing import Any, Dict, List

Message = Dict[str, Any]

LONGEST_LINE = 64 * 1024 * 1024  # bytes; beyond it the other side is not one of ours


class Channel:
    """Not thread-safe: one thread owns each end. `closed` turns true when the other side is gone."""

    def __init__(self, connection: socket.socket) -> None:
        """Take over `connection`, and make it non-blocking and private to this process."""
        self._socket = connection
        self._socket.setblocking(False)
        self._socket.set_inheritable(False)
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self.closed = False

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    @property
    def pending(self) -> bool:
        """Whether something still waits to be sent."""
        return bool(self._outgoing)

    def send(self, message: Message) -> None:
        """Queue a message and send what the socket takes now; `flush` sends the rest."""
        self._outgoing += json.dumps(message, separators=(",", ":")).encode() + b"\n"
        self.flush()

    def offer(self, message: Message) -> bool:
        """Send a message unless an older one still waits: for reports of which only the newest counts."""
        self.flush()
        if self._outgoing or self.closed:
            return False
        self.send(message)
        return True

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        try:
            while self._outgoing and not self.closed:
                del self._outgoing[: self._socket.send(self._outgoing)]
        except BlockingIOError:
            pass
        except OSError:  # reset or broken pipe: the other side is gone
            self.closed = True

    def receive(self) -> List[Message]:
        """All whole messages that have come. A line that is no JSON object closes the channel: it is not one of ours."""
        self._read()
        *lines, rest = self._incoming.split(b"\n")
        self._incoming = rest
        if len(rest) > LONGEST_LINE:
            self.closed = True
        return [message for message in map(self._parsed, map(bytes, lines)) if message is not None]

    def _read(self) -> None:
        try:
            while not self.closed and len(self._incoming) <= LONGEST_LINE:
                data = self._socket.recv(65536)
                self._incoming += data
                self.closed = not data
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True

    def _parsed(self, line: bytes) -> Any:
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self.closed = True
            return None
        return message

    def close(self) -> None:
        """Close our end."""
        self.closed = True
        self._socket.close()
