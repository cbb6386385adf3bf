"""Handlers for task processes: a message is `[name, argument]`, and names one of them. They need no ledger: what they return
is their witness."""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import logging
import marshal
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, Callable, Dict

from kafka_worker.shared.foreign.answers import Reject, Retry, Send

LOOK_SECONDS = 0.005
WORK = 3  # which argument of a task process is the descriptor of its connection

log = logging.getLogger(__name__)


class Topics(str, Enum):
    """Text that is no `str` itself."""

    OUT = "out"


class Octets(bytes):
    """Bytes that are no `bytes` themselves."""


class BusyError(Retry):
    """A wish of the user's own."""


class OwnError(KeyError):
    """An error of the user's, made of two arguments."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one + two)


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise SystemExit


RAISED: Dict[str, Callable[[], BaseException]] = {
    "own": lambda: OwnError("one", "two"),
    "retry": lambda: Retry("busy", after=2.5),
    "decimal": lambda: BusyError("busy", after=Decimal("2.5")),  # type: ignore[arg-type]  # a number all the same
    "enum": lambda: ValueError(Topics.OUT),
    "reject": lambda: Reject("never"),
    "exit": lambda: SystemExit(3),
    "unprintable": UnprintableError,
    "refused": lambda: ConnectionError("refused"),
}


def handle(message: Any, context: Any) -> Any:
    name, argument = message
    log.info("%s begins", name)
    return HANDLERS[name](argument, context)


def crash(_argument: Any, _context: Any) -> None:
    ctypes.string_at(0)


def fail(name: str, _context: Any) -> None:
    error = RAISED[name]()
    raise error


def depend(how: str, context: Any) -> None:
    """Calls a dependency well, and then badly; what that raises is caught, or leads to another error."""
    with context.dependency("well"):
        pass
    try:
        with context.dependency("ill"):
            fail("refused", context)
    except ConnectionError as problem:
        if how == "raise":
            raise ValueError("no answer") from problem


def hog(size: int, _context: Any) -> None:
    """Takes so much memory, and ends its process."""
    bytearray(b"x") * size
    os._exit(42)


def hold_gil(seconds: int, _context: Any) -> None:
    ctypes.PyDLL(None).sleep(ctypes.c_uint(seconds))


def hang(_argument: Any, _context: Any) -> None:
    threading.Event().wait()


def stop(seconds: float, _context: Any) -> str:
    """Is stopped, as by an operator or a debugger, for so long; 0: for good."""
    if seconds:
        subprocess.Popen(["sh", "-c", f"sleep {seconds:f}; kill -CONT {os.getpid()}"])
    os.kill(os.getpid(), signal.SIGSTOP)
    return "woken"


def fork(_argument: Any, _context: Any) -> None:
    """Ends its process, and leaves one behind that has all its descriptors."""
    if os.fork() == 0:
        threading.Event().wait()
    os._exit(42)


def name_by_enum(_argument: Any, context: Any) -> Any:
    """Everything that may have a name has one that is an enum of text."""
    with context.dependency(Topics.OUT):
        return Send(Topics.OUT, Octets(b"v"), Topics.OUT, {Topics.OUT: Octets(b"h")})


def speak_up(how: str, _context: Any) -> None:
    """Writes into the connection of its process, as a copy of it does, or something else that has its descriptors."""
    other = marshal.dumps((os.getpid() + 1, 1, "done", "forged", (), False))
    words = {"copy": struct.pack("!Q", len(other)) + other, "noise": b"x" * 20, "short": struct.pack("!Q", 2) + b"xx"}
    os.write(int(sys.argv[WORK]), words[how])


def close_everything(argument: Any, context: Any) -> None:
    """As a program does that wants to be on its own; and goes on, if so told."""
    os.closerange(3, 100)
    if argument == "hang":
        hang(argument, context)


def break_sockets(argument: Any, context: Any) -> None:
    """As a library does that mends sockets for itself; and goes on, if so told, until it is asked whether it lives."""

    def broken(*_: Any) -> None:
        raise RuntimeError("not for you")

    socket.socket.recv = socket.socket.send = broken  # type: ignore[method-assign, assignment]
    if argument == "hang":
        hang(argument, context)


def leave_for_the_end(path: str, _context: Any) -> None:
    """What Python does at the end of a program."""
    atexit.register(Path(path).write_text, "done")
    atexit.register(sys.exit, "not the last word")
    sys.stdout = open(f"{path}.printed", "w")  # noqa: SIM115 (for as long as the process lives)
    print("printed")


def use_up_files(_argument: Any, _context: Any) -> None:
    """Opens as many as may be, and keeps them."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    while True:
        os.open("/", os.O_RDONLY)


def environment(_argument: Any, _context: Any) -> Any:
    return dict(os.environ)


def come_back(how: str, _context: Any) -> Any:
    """Forks, and the copy comes back: because its program can't be started, by the end of the handler, or past Python."""
    pid = ctypes.CDLL(None).fork() if how == "past Python" else os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] >> 8
    if how == "exec":
        os.execv("/no/such/program", ["program"])
    if how == "exit":
        sys.exit()
    return "the copy's"


def until_cancelled(argument: Any, context: Any) -> Any:
    """The deadline; unless it is late, once there is one."""
    log.info("until_cancelled waits")
    while not (context.cancelled and (context.deadline or argument == "late")):
        threading.Event().wait(LOOK_SECONDS)
    return context.deadline


async def coroutine_until_cancelled(_message: Any, context: Any) -> None:
    """A handler by itself."""
    while not context.cancelled:  # noqa: ASYNC110 (what handlers do)
        await asyncio.sleep(LOOK_SECONDS)


def facts(_argument: Any, context: Any) -> Any:
    """What it can see of its message and of its process."""
    program = [sys.executable, "-S", "-c", "import signal; print(signal.getsignal(15) is signal.SIG_DFL)"]
    return {
        "place": (context.topic, context.partition, context.offset, context.attempt),
        "rest": (context.key, context.headers, context.timestamp, context.cancelled, context.deadline),
        "main": threading.current_thread() is threading.main_thread(),
        "confluent_kafka": "confluent_kafka" in sys.modules,
        "sigterm": signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL,
        "programs": subprocess.run(program, stdout=subprocess.PIPE, check=True, text=True).stdout.strip(),
    }


HANDLERS: Dict[str, Callable[[Any, Any], Any]] = {
    "echo": lambda argument, _context: argument,
    "object": lambda _argument, _context: object(),
    "send": lambda topic, _context: Send(topic, {"a": 1}, "k", [("h", "1"), ("h", None)]),
    "pid": lambda _argument, _context: os.getpid(),
    "headers": lambda _argument, context: context.headers,
    **{kind.__name__: kind for kind in (crash, depend, fail, hog, hold_gil, hang, stop, fork, until_cancelled, facts)},
    "objects": lambda _argument, _context: [object()],
    **{kind.__name__: kind for kind in (name_by_enum, speak_up, close_everything, come_back)},
    **{kind.__name__: kind for kind in (break_sockets, leave_for_the_end, environment, use_up_files)},
}
