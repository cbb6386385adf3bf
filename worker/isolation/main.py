"""A handler in a process of its own. It loads the handler once, then runs one task after the other for the process that
started it, and never outlives that one.

The handler runs in the main thread, where everything works that a library may want there (signals, event loops, some C
libraries). A second thread listens meanwhile: it answers pings, which tell a handler that holds the interpreter's lock from
one that takes long, hears that a task is cancelled, and ends the process when nobody is left to work for.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import sys
import threading
from _thread import start_new_thread
from functools import partial
from typing import TYPE_CHECKING, Any, Awaitable, Dict, List, Optional, Tuple

from kafka_worker import start
from kafka_worker.handler import lives, single
from kafka_worker.handler.hooks import HookError
from kafka_worker.handler.loading import Call, HandlerError, Kind
from kafka_worker.handler.routing import Handlers
from kafka_worker.isolation.frames import LOST, Frames
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.undecided import sends_of
from kafka_worker.pools import stacks
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.answers import Send
from kafka_worker.shared.foreign.errors import UndecodableError, causes_of
from kafka_worker.shared.foreign.exceptions import RemoteTraceback, as_data, copied
from kafka_worker.shared.ipc.channel import Channel, Message
from kafka_worker.shared.ipc.startup import received_settings
from kafka_worker.shared.leaving import leave
from kafka_worker.shared.output.last_words import write_last_words_to
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import forks, room, signals

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

log = logs.logger(__name__)

PR_SET_PDEATHSIG = 1  # of prctl(2)
LOST_SECONDS = 1.0  # for what is in buffers, when nobody waits for us
_MAIN, _Selector = threading.get_ident(), selectors.DefaultSelector  # a handler may replace what gives them

Outcome = Tuple[str, Any, Any]  # what kind it is, what belongs to that kind, and the calls of dependencies


class RemoteMessage:
    """Answers like a message of the Kafka client."""

    __slots__ = ("_data", "given")

    def __init__(self, data: Dict[str, Any]) -> None:
        """`data`: as `task_process` describes a message."""
        self._data = data
        self.given: Optional[List[Any]] = None  # the headers that it was given here

    def topic(self) -> str:
        """The topic."""
        return str(self._data["topic"])

    def partition(self) -> int:
        """The number of the partition."""
        return int(self._data["partition"])

    def offset(self) -> int:
        """The offset in the partition."""
        return int(self._data["offset"])

    def key(self) -> Optional[bytes]:
        """The key as it was produced."""
        return self._data["key"]  # type: ignore[no-any-return]

    def value(self) -> Optional[bytes]:
        """The value as it was produced."""
        return self._data["value"]  # type: ignore[no-any-return]

    def headers(self) -> List[Tuple[str, Optional[bytes]]]:
        """Headers as produced. Raises UndecodableError where the client could not read them."""
        if isinstance(self._data["headers"], str):
            raise UndecodableError(self._data["headers"])
        return self._data["headers"]  # type: ignore[no-any-return]

    def set_headers(self, headers: List[Tuple[str, Any]]) -> None:
        """Give it others."""
        self._data["headers"] = headers
        self.given = list(headers)

    def timestamp(self) -> Tuple[int, int]:
        """The kind of the timestamp, and its milliseconds."""
        return self._data["timestamp"]  # type: ignore[no-any-return]


def main() -> None:
    """Only `task_process` calls it, with its name, its parent's pid, and three descriptors."""
    _program, name, *numbers = sys.argv
    parent, work, control, words = map(int, numbers)
    os.setpgid(0, 0)  # a handler that ends its process group (`os.killpg(0, …)`) ends itself, not our parent
    _die_with(parent)
    write_last_words_to(words)  # SIGABRT, which a hung process gets, has it write the stacks of all threads
    signals.disregard(signal.SIGTERM)  # who is to drain decides our parent
    channel = Channel(socket.socket(fileno=control))
    settings = received_settings(channel)
    logs.set_up(settings.log_level, settings.log_format, name)
    connection = socket.socket(fileno=work)
    connection.set_inheritable(False)
    connection.settimeout(None)  # `socket.setdefaulttimeout` of a handler counts for every socket, on either side
    start.users_first()
    try:
        TaskMain(settings, Frames(connection), channel).run()
    except BaseException:  # a handler has closed or used what is ours, or an alarm of its own rings after its end
        log.exception("This task process can't go on", extra=about(Event.FAULT))
        leave(LOST, LOST_SECONDS, in_order=False)
    leave(ExitCode.OK, settings.drain_seconds)  # or sooner: our parent knows


def _die_with(parent: int) -> None:
    """The kernel ends us when our parent dies, also while the handler holds the interpreter. Where it can't (it is Linux's),
    the end of our channel is all there is."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it died before we asked for that
        leave(ExitCode.OK, LOST_SECONDS, in_order=False)


class TaskMain:
    """The life of a task process."""

    def __init__(self, settings: Settings, work: Frames, control: Channel) -> None:
        """`work`: tasks and outcomes, the main thread's; `control`: the listening thread's."""
        self._settings = settings
        self._pid = os.getpid()
        self._work = work
        self._control = control
        self._current: Tuple[int, Optional[Partition], int] = (0, None, -1)  # number of a task, its partition and offset
        self._cancelled: Tuple[int, Optional[float]] = (0, None)  # number of a task, and its deadline
        self._coroutine: Any = None  # that runs, of an async handler

    def run(self) -> None:
        """Load the handlers and serve, until our parent closes its end."""
        before = signals.reactions()
        try:
            handlers = Handlers(self._settings).usable()
        except HandlerError as problem:
            self._answer(0, "unusable", str(problem))
            return
        signals.keep(before, tame=False)
        # After the import, because monkey patching (gevent's) wants to be alone; by name, because it patches `threading` too.
        start_new_thread(self._listen, ())
        self._answer(0, "ready")
        loop = start.late("asyncio").new_event_loop() if handlers.of_kind(Kind.ASYNC) else None
        hooks = lives.of_task_process(partial(_in_loop, loop), self._waits)
        try:
            hooks.start()
        except HookError as problem:
            log.error("%s", problem, exc_info=problem.__cause__, extra=about(Event.HOOK_FAILED))  # noqa: TRY400 (its own)
            self._answer(0, "unprepared", str(problem))
        else:
            self._answer(0, "prepared")
            self._serve(single.call_of(handlers, loop, self._note))
        hooks.stop()

    def _note(self, coroutine: Any) -> None:
        self._coroutine = coroutine

    def _waits(self, what: str) -> None:
        with contextlib.suppress(OSError):  # nobody is left who would hear it, and what has begun is stopped all the same
            self._answer(0, "waits", what)

    def _serve(self, call: Call) -> None:
        while True:
            try:
                number, attempt, message = self._work.receive()
            except (EOFError, ConnectionError):
                return  # our parent has no more tasks
            self._answer(number, *self._outcome(call, number, attempt, message))

    def _answer(self, number: int, kind: str, content: Any = None, calls: Any = ()) -> None:
        """Of whatever a handler returns only plain data can cross, and nobody would look at the rest. Who has no files left
        says so: whatever were called here next would fail for it."""
        if os.getpid() != self._pid:
            forks.end()
        spent = room.out_of_files()
        try:
            self._work.send((self._pid, number, kind, content, calls, spent))
        except (ValueError, MemoryError):
            self._work.send((self._pid, number, kind, None, calls, spent))

    def _outcome(self, call: Call, number: int, attempt: int, data: Dict[str, Any]) -> Outcome:
        """What kind it is, what belongs to that kind, and the calls of dependencies."""
        message = RemoteMessage(data)
        partition = Partition(message.topic(), message.partition())
        # First the note, then the look, and `_cancel` the other way round: a cancellation that comes early is not lost.
        self._current = (number, partition, message.offset())
        if self._cancelled[0] == number:
            partition.closing.close(self._cancelled[1])
        try:
            returned = call(message, partition, attempt)
            results = sends_of(returned, ())
        except BaseException as problem:  # SystemExit and KeyboardInterrupt too: the task has failed, not the process
            error = copied(problem)
            return "raised", {**as_data(error), "headers": message.given}, _calls(partition, error)
        if results:
            return "send", [_fields(send) for send in results.sends], _calls(partition)
        return "done", returned, _calls(partition)

    def _listen(self) -> None:
        try:
            with _Selector() as selector:
                selector.register(self._control, selectors.EVENT_READ)
                while self._control.readable:
                    selector.select()
                    for message in self._control.receive():
                        self._hear(message)
        except BaseException:  # silence would count as the death of the message that runs
            log.exception("This task process can't hear any more", extra=about(Event.FAULT))
        leave(LOST, LOST_SECONDS, in_order=False)  # nobody is left who would hear the outcome

    def _hear(self, message: Message) -> None:
        if "cancel" in message:
            self._cancel(message["cancel"], message["deadline"], message["why"])
        self._control.send({"calls": stacks.plain(self._where())} if "calls" in message else {"alive": True})

    def _where(self) -> stacks.Calls:
        """The handler's calls: what its coroutine waits for, or, if there is none or it keeps the loop busy, its thread's."""
        try:
            coroutine = self._coroutine
            if coroutine is not None and not coroutine.cr_running:
                return stacks.of_coroutine(coroutine)
            return stacks.of_handler(stacks.of_thread(_MAIN))
        except Exception:  # a handler may have replaced whatever this takes
            return stacks.Calls()

    def _cancel(self, number: int, deadline: Optional[float], why: str) -> None:
        self._cancelled = (number, deadline)
        current, partition, offset = self._current
        if current != number or partition is None:
            return
        if why:
            limit = self._settings.of(partition.topic).handler_timeout_seconds
            what = "is parked" if why == Event.PARKED else f"has run for {limit:g} s"
            log.warning(
                "%s offset %d %s and is told that it is cancelled; it is here:",
                partition, offset, what, exc_info=RemoteTraceback("".join(self._where().format())),
                extra=about(Event(why), **partition.facts, offset=offset),
            )  # fmt: skip
        partition.closing.close(deadline)


def _in_loop(loop: Optional[AbstractEventLoop], awaitable: Awaitable[Any]) -> Any:
    """`loop` is there where an async handler is, and no async hook is without one."""
    if loop is None:
        return None
    start.late("asyncio").set_event_loop(loop)
    return loop.run_until_complete(awaitable)


def _fields(send: Send) -> Tuple[Any, ...]:
    return send.topic, send.value, send.key, send.headers


def _calls(partition: Partition, raised: Optional[BaseException] = None) -> List[Tuple[Any, ...]]:
    """The calls of dependencies that the handler has reported: name, when each began, what it raised, and whether that is, or
    caused, what the handler has `exceptions`."""
    causes = [] if raised is None else causes_of(raised)
    ended = partition.dependencies.ended
    taken = [ended.popleft() for _ in range(len(ended))]  # threads of the handler's own may still add to it
    return [
        (name, began, None if error is None else as_data(error), error is not None and any(error is cause for cause in causes))
        for name, _topic, _closing, began, error, _before in taken
    ]
