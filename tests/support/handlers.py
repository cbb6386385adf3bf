"""Handlers for tests. A message says what becomes of it:

    {"id": "7", "sleep_ms": 20, "trouble": "raise" | "exit" | "segfault" | "overflow" | "killed" | "hang" | "hold_gil"}

`times` limits the trouble to the first so many runs of that message, counted over all processes; `while`, to the time in which
the file of that path exists; without them, it never ends. A list of troubles has one for each run. `uses` names a dependency
that the handler `depending` calls. Further troubles are the names in RAISED, "recurse", and "files", which opens all that may
be open. "hold_gil" needs "hold_gil_ms"; "stay" ends with the file `while`.
"leak_mb" megabytes are kept for ever. What they do they write into the ledger that LEDGER names.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from enum import Enum
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

from kafka_worker.shared.foreign.answers import BatchError, Reject, Retry, Send
from tests.support.ledger import Ledger

EXIT_CODE = 42  # of a process that a handler ended
SLICE_SECONDS = 0.01
LEAKED: List[bytes] = []
OPENED: List[int] = []


class TroubleError(Exception):
    """What a handler raises that was told to."""


class CancelledError(Exception):
    """What a handler raises that gave up because the service wanted it to."""


class UnprintableError(Exception):
    """Raises again when somebody wants its text, and in a way that few expect."""

    def __str__(self) -> str:
        raise SystemExit("from __str__")


RAISED: Dict[str, Callable[[str], BaseException]] = {
    "raise": TroubleError,
    "system_exit": SystemExit,
    "keyboard_interrupt": KeyboardInterrupt,
    "unprintable": UnprintableError,
    "data": lambda reason: UnicodeDecodeError("utf-8", b"\xff", 0, 1, reason),
    "reject": Reject,
    "later": lambda reason: Retry(reason, after=1.0),
    "far": lambda reason: Retry(reason, after=3600.0),
}


def anything(value: Any, context: Any) -> None:
    """For values that say nothing: the ledger gets what they are."""
    ledger = Ledger(os.environ["LEDGER"])
    place = {"partition": context.partition, "offset": context.offset, "attempt": context.attempt}
    ledger.write("start", repr(value)[:40], None, **place)
    len(context.headers), context.key, context.timestamp
    ledger.write("end", repr(value)[:40], None, **place)


def quick(_message: Any) -> None:
    """Nothing, and no ledger."""


def plain(message: Dict[str, Any]) -> None:
    """The contract's form with one argument. Key, partition and offset stay unknown to the ledger."""
    _run(message, None, lambda: time.sleep(_seconds(message)))


def work(message: Dict[str, Any], context: Any) -> None:
    """The contract's form with two arguments."""
    _run(message, context, lambda: time.sleep(_seconds(message)))


def computing(message: Dict[str, Any], context: Any) -> None:
    """Like `work`, but uses the CPU for as long as others sleep."""
    until = time.thread_time() + _seconds(message)

    def compute() -> None:
        while time.thread_time() < until:
            pass

    _run(message, context, compute)


def cooperative(message: Dict[str, Any], context: Any) -> None:
    """Like `work`, but looks whether it is cancelled, and raises then."""
    _run(message, context, lambda: _sleep_unless_cancelled(_seconds(message), context))


async def coroutine(message: Dict[str, Any], context: Any) -> None:
    """Like `work`, as a coroutine."""
    with _noted(message, context):
        await asyncio.sleep(_seconds(message))


def batch(messages: List[Dict[str, Any]], contexts: List[Any]) -> None:
    """Like `work`, for lists. The trouble "item" is told of that message alone, any other is that of the whole list."""
    bad = {}
    with contextlib.ExitStack() as stack:
        for index, (message, context) in enumerate(zip(messages, contexts)):
            if message.get("trouble") == "item":
                bad[index] = f"message {message['id']} says so"
            else:
                stack.enter_context(_noted(message, context))
        time.sleep(max(map(_seconds, messages)))
    if bad:
        raise BatchError(bad)


def forward(message: Dict[str, Any], context: Any) -> Send:
    """Like `work`, and sends the message on to the topic that it names."""
    work(message, context)
    return Send(message["to"], {"id": message["id"]}, key=context.key)


def forward_batch(messages: List[Dict[str, Any]], contexts: List[Any]) -> List[Send]:
    """Like `batch`, and sends each of them on to the topic that it names."""
    batch(messages, contexts)
    return [Send(message["to"], {"id": message["id"]}, key=context.key) for message, context in zip(messages, contexts)]


async def forward_all(message: Dict[str, Any], context: Any) -> List[Send]:
    """The same as a coroutine, to several."""
    await coroutine(message, context)
    return [Send(topic, message["id"], headers={"from": context.topic}) for topic in message["to"]]


def odd(message: Dict[str, Any], context: Any) -> Optional[Send]:
    """Like `work`, and does what users do. `forks`: makes a copy whose program can't start. `to`: sends the message on, to
    a topic that is an enum of text, and calls a dependency of that name; `header` is the name of a header then."""
    if message.get("forks"):
        copy = os.fork()
        if copy == 0:
            os.execv("/no/such/program", ["program"])
        os.waitpid(copy, 0)
    if "to" not in message:
        work(message, context)
        return None
    topic = Enum("Topics", {"OUT": message["to"]}, type=str).OUT  # type: ignore[attr-defined]
    with context.dependency(topic):
        work(message, context)
    return Send(topic, {"id": message["id"]}, topic, {message.get("header", topic): topic})


def depending(message: Dict[str, Any], context: Any) -> None:
    """Like `work`, inside a dependency if the message uses one."""
    with context.dependency(message["uses"]) if "uses" in message else contextlib.nullcontext():
        work(message, context)


def _run(message: Dict[str, Any], context: Optional[Any], sleep: Callable[[], None]) -> None:
    with _noted(message, context):
        sleep()


@contextlib.contextmanager
def _noted(message: Dict[str, Any], context: Optional[Any]) -> Iterator[None]:
    """Notes beginning and end, and has the trouble at the beginning."""
    ledger = Ledger(os.environ["LEDGER"])
    name = message["id"]
    key, place = message.get("key"), {}
    if context is not None:
        key = context.key.decode() if context.key else None
        place = {"partition": context.partition, "offset": context.offset, "attempt": context.attempt}
    ledger.write("start", name, key, **place)
    try:
        if "leak_mb" in message:
            LEAKED.append(b"x" * (message["leak_mb"] * 1_000_000))
        _trouble(message, ledger)
        yield
    except BaseException:
        ledger.write("fail", name, key, **place)
        raise
    ledger.write("end", name, key, **place)


def _trouble(message: Dict[str, Any], ledger: Ledger) -> None:
    trouble = message.get("trouble")
    if trouble is None or ("times" in message and _runs(message, ledger) > message["times"]):
        return
    if "while" in message and not Path(message["while"]).exists():
        return
    if isinstance(trouble, list):
        trouble = trouble[_runs(message, ledger) - 1]
    if trouble in RAISED:
        raise RAISED[trouble](f"message {message['id']} says so")
    while trouble == "files":
        OPENED.append(os.open(os.devnull, os.O_RDONLY))
    if trouble == "recurse":
        _trouble(message, ledger)
    if trouble == "exit":
        os._exit(EXIT_CODE)
    if trouble == "segfault":
        ctypes.string_at(0)
    if trouble == "overflow":
        _overflow()
    if trouble == "killed":  # with its process group, as by who ends a program with all that it has started
        os.killpg(0, signal.SIGKILL)
    while trouble == "stay" and Path(message["while"]).exists():
        time.sleep(SLICE_SECONDS)
    if trouble == "hang":
        threading.Event().wait()
    if trouble == "hold_gil":  # as a C extension does that forgets to release it: no other thread runs meanwhile
        ctypes.PyDLL(None).usleep(ctypes.c_uint(1000 * int(message["hold_gil_ms"])))


def _overflow() -> None:
    """Of the C stack, as by a C extension that calls back into Python that calls it again."""
    sys.setrecursionlimit(10_000_000)

    @ctypes.CFUNCTYPE(None)  # type: ignore[untyped-decorator]
    def deeper() -> None:
        deeper()

    deeper()


def _runs(message: Dict[str, Any], ledger: Ledger) -> int:
    """How often this message was started, this time included."""
    return sum(entry.id == message["id"] for entry in ledger.of("start"))


def _seconds(message: Dict[str, Any]) -> float:
    return float(message.get("sleep_ms", 0)) / 1000


def _sleep_unless_cancelled(seconds: float, context: Any) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if context.cancelled:
            raise CancelledError
        time.sleep(min(SLICE_SECONDS, max(0.0, until - time.monotonic())))
