"""The control socket: how anybody asks a running supervisor something. One question a connection, a JSON object on one line,
and its answer; `{"command": "status"}` answers with the snapshot, `{"command": "watch"}` with one after the other (see
`watchers`), and `{"command": "inquire"}` with what only a process of the service knows, when that one has answered. It belongs
to the user of the service alone (mode 0600, in a folder of mode 0700).

The server never waits for a client, and does no more in a turn of the supervisor's loop than answer a few: whoever asks
without an end, says nothing, or does not read, keeps nobody else waiting.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import struct
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Type

from kafka_worker.shared.ipc.channel import Channel, Message
from kafka_worker.shared.ipc.watchers import Watchers
from kafka_worker.shared.system.deadline import Deadline
from kafka_worker.shared.system.runtime_files import is_there

MOST_CLIENTS = 32  # at once; the oldest makes room for the next
MOST_ANSWERS = 4  # in one turn of the loop
LONGEST_QUESTION = 4096  # bytes
WATCH = "watch"

#: Gives an answer that is still to come, as soon as it is there. Must not wait; None: not yet.
Later = Callable[[], Optional[Message]]


class Caller(NamedTuple):
    """Who is at the other end, as the kernel says."""

    pid: int  # 0: of one that is not ours to see
    uid: int


class ControlServer:
    """The supervisor's side."""

    def __init__(
        self,
        path: str,
        selector: selectors.BaseSelector,
        commands: Dict[str, Callable[[], Message]],
        questions: Optional[Mapping[str, Callable[[Message, Caller], Later]]] = None,
    ) -> None:
        """Listen at `path`. The caller holds the supervisor's lock, so a socket that is there is a dead supervisor's.
        `commands` are answered at once; `questions` when that can be done, and they are told who asks."""
        self._path = path
        self._selector = selector
        self._commands = commands
        self._questions = questions or {}
        self._clients: Dict[Channel, Caller] = {}  # the oldest first
        self._later: Dict[Channel, Later] = {}
        self._left = 0  # answers, in this turn
        self._watchers = Watchers(selector, lambda: self._answer({"command": "status"}))
        self._listen()

    def _listen(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        listener = socket.socket(socket.AF_UNIX)
        listener.setblocking(False)
        try:
            listener.bind(self._path)
            os.chmod(self._path, 0o600)  # nobody else gets into the folder meanwhile
        except OSError:
            listener.close()
            raise
        listener.listen()
        self._found = os.stat(self._path, follow_symlinks=False)
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ)

    def is_there(self) -> bool:
        """Whether the socket's file is; it may have been taken away. Any thread. Raises OSError."""
        return is_there(self._path, self._found)

    def keep(self) -> None:
        """Listen anew, if it is not. Raises OSError."""
        if not self.is_there():
            former = self._listener
            self._listen()
            self._selector.unregister(former)
            former.close()

    def serve(self) -> None:
        """Answer what has come."""
        self._welcome()
        self._left = MOST_ANSWERS
        for client in list(self._clients):
            if self._over(client):
                self._dismiss(client)
        self._watchers.serve()

    def _over(self, client: Channel) -> bool:
        """Do what can be done for a client now; whether that was all: it has its answer, or is gone."""
        if client.pending:
            client.flush()
        elif client in self._later:
            return self._over_later(client)
        elif self._left:
            questions = client.receive()
            if not questions:
                return not client.readable
            self._left -= 1
            if questions[0].get("command") == WATCH:
                del self._clients[client]
                self._watchers.add(client)
                return False
            question = self._questions.get(str(questions[0].get("command")))
            if question is not None:
                self._later[client] = question(questions[0], self._clients[client])
                client.leave(self._selector)  # it is heard no more: its end shows when it is answered
                return self._over_later(client)
            self._selector.modify(client, selectors.EVENT_WRITE)  # an answer that it does not take at once goes on then
            client.send(self._answer(questions[0]))
        else:
            return False
        return not (client.pending and client.writable)

    def _over_later(self, client: Channel) -> bool:
        answer = self._later[client]()
        if answer is None:
            return False
        del self._later[client]
        self._selector.register(client, selectors.EVENT_WRITE)
        client.send(answer)
        return not (client.pending and client.writable)

    def _dismiss(self, client: Channel) -> None:
        self._later.pop(client, None)
        del self._clients[client]
        client.leave(self._selector)
        client.close()

    def close(self) -> None:
        """Listen no more, and leave no socket behind."""
        for client in self._clients:
            client.close()
        self._watchers.close()
        self._listener.close()
        with contextlib.suppress(OSError):  # the folder may be gone
            os.unlink(self._path)

    def _welcome(self) -> None:
        with contextlib.suppress(OSError):  # nobody waits; or no descriptor is left, which must not end the service
            for _ in range(MOST_CLIENTS):
                connection, _ = self._listener.accept()
                if len(self._clients) >= MOST_CLIENTS:
                    self._dismiss(next(iter(self._clients)))
                caller = _peer(connection)
                client = Channel(connection, LONGEST_QUESTION)
                self._clients[client] = caller
                self._selector.register(client, selectors.EVENT_READ)

    def _answer(self, request: Message) -> Message:
        command = self._commands.get(str(request.get("command")))
        if command is None:
            return {"error": f"unknown command; known: {', '.join(sorted([*self._commands, *self._questions, WATCH]))}"}
        return command()


#: What is known of it besides. Who ends in order takes the socket along.
_MORE: Dict[Type[OSError], str] = {
    ConnectionRefusedError: ": the last one was killed. What is left of its processes finishes what runs, and ends",
    FileNotFoundError: ". Where one runs, this command wants its KAFKA_GROUP_ID, RUNTIME_DIRECTORY and user",
}


class NotRunningError(Exception):
    """Nobody answers at the control socket."""

    heading = "Not running"

    @property
    def told(self) -> str:
        """For people."""
        return f"{self.heading}: {self}"


class SilentError(NotRunningError):
    """Whether a service runs there is not known: nobody answers us, and somebody may be there."""

    heading = "No answer"


def ask(path: str, request: Message, timeout: float = 5.0, *, nearby: bool = False) -> Dict[str, Any]:
    """Send one request and return the answer. Raises NotRunningError when no supervisor answers within `timeout` seconds, or
    it is another user's (SilentError, where somebody may be there). `nearby`: or it is in a container that is not ours."""
    deadline = Deadline(timeout)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as connection, selectors.DefaultSelector() as selector:
        try:
            connection.settimeout(timeout)
            connection.connect(path)
        except PermissionError as problem:
            ask_as = "Only its own user may ask a service, and root: ask as that user"
            raise SilentError(f"no supervisor answers at {path} ({problem.strerror}). {ask_as}") from problem
        except OSError as problem:
            kind = SilentError if isinstance(problem, (BlockingIOError, socket.timeout)) else NotRunningError
            more = _MORE.get(type(problem), "")
            raise kind(f"no supervisor answers at {path} ({problem.strerror or problem}){more}") from problem
        must_be_ours(connection, path, nearby=nearby)
        channel = Channel(connection)
        channel.send(request)
        selector.register(channel, selectors.EVENT_READ)
        while not deadline.expired() and channel.readable:
            selector.select(min(0.1, deadline.remaining()))
            channel.flush()
            for answer in channel.receive():
                return answer
        pid, asked = _peer(connection).pid, f"the supervisor at {path} accepted the question and"
    if not channel.readable:
        raise SilentError(f"{asked} ended before it has answered")
    why = f": process {pid} is stopped, or has no time. kill -CONT {pid} lets one go on that is stopped" if pid else ""
    raise SilentError(f"{asked} did not answer within {timeout:.0f} s{why}")


def must_be_ours(connection: socket.socket, path: str, *, nearby: bool) -> None:
    """Raises NotRunningError when another user answers, and, with `nearby`, somebody in a container that is not ours."""
    peer = _peer(connection)
    if os.getuid() not in (0, peer.uid) and peer.uid:
        raise SilentError(f"user {peer.uid} answers at {path}, and not yours")
    if nearby and not peer.pid:
        raise NotRunningError(f"who answers at {path} is on another host")


def _peer(connection: socket.socket) -> Caller:
    """Only Linux tells; elsewhere it is ours."""
    if not hasattr(socket, "SO_PEERCRED"):
        return Caller(os.getpid(), os.getuid())
    pid, uid, _group = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return Caller(pid, uid)
