"""JSON lines over a connected socket that never blocks its owner: between supervisor and child, and on the control socket.
One side's death is the other side's end of file, which is how each learns that it is alone.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from json import dumps, loads
from typing import Any, Dict, List, Optional

Message = Dict[str, Any]

LONGEST_LINE = 64 * 1024 * 1024  # bytes; beyond it the other side is not one of ours


def line_of(message: Message) -> bytes:
    """The message as it is sent."""
    return dumps(message, separators=(",", ":")).encode() + b"\n"


class Channel:
    """Not thread-safe: one thread owns each end. The two directions end each by itself: that nothing can be sent any more says
    nothing of what the other side has sent before it went."""

    def __init__(self, connection: socket.socket, longest: Optional[int] = None) -> None:
        """Take over `connection`, and make it non-blocking and private to this process. `longest`: bytes of a line; little
        more than that is read ahead."""
        self._socket = connection
        self._longest = longest
        self._socket.setblocking(False)
        self._socket.set_inheritable(False)
        self._incoming = bytearray()
        self._outgoing = bytearray()
        self.readable = True  # false: everything that the other side has said is received, and there will be no more
        self.writable = True  # false: the other side takes nothing any more

    def fileno(self) -> int:
        """The descriptor that a selector waits for."""
        return self._socket.fileno()

    @property
    def pending(self) -> bool:
        """Whether something still waits to be sent."""
        return bool(self._outgoing)

    def send(self, message: Message) -> None:
        """Queue a message and send what the socket takes now; `flush` sends the rest."""
        self.send_line(line_of(message))

    def send_line(self, line: bytes) -> None:
        """The same with a message as `line_of` has written it, which several may be sent."""
        self._outgoing += line
        self.flush()

    def offer(self, message: Message) -> bool:
        """Send a message unless an older one still waits: for reports of which only the newest counts."""
        free = self.free()
        if free:
            self.send(message)
        return free

    def free(self) -> bool:
        """Whether none waits, and the other side is there: what is sent now goes now."""
        self.flush()
        return not self._outgoing and self.writable

    def flush(self) -> None:
        """Send what waits, as far as the socket takes it."""
        try:
            while self._outgoing and self.writable:
                del self._outgoing[: self._socket.send(self._outgoing)]
        except BlockingIOError:
            pass
        except OSError:  # reset or broken pipe: the other side is gone
            self.writable = False

    def receive(self, most: int = -1) -> List[Message]:
        """The whole messages that have come, or so many of them. A line that is no JSON object ends both directions: that is
        not one of ours."""
        self._read()
        *lines, rest = self._incoming.split(b"\n", most)
        self._incoming = rest
        if len(rest) > (self._longest or LONGEST_LINE):
            self._end()
        return [message for message in map(self._parsed, map(bytes, lines)) if message is not None]

    def _read(self) -> None:
        try:
            while self.readable and len(self._incoming) <= (self._longest or LONGEST_LINE):
                data = self._socket.recv(65536)
                self._incoming += data
                self.readable = bool(data)
        except BlockingIOError:
            pass
        except OSError:
            self.readable = False

    def _parsed(self, line: bytes) -> Any:
        try:
            message = loads(line)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self._end()
            return None
        return message

    def _end(self) -> None:
        self.readable = self.writable = False

    def leave(self, selector: selectors.BaseSelector) -> None:
        """Wake its owner no more, also if it did not before: the end of the other side would wake it again and again."""
        with contextlib.suppress(KeyError):
            selector.unregister(self)

    def close(self) -> None:
        """Close our end."""
        self._end()
        self._socket.close()
