"""Handlers for tests. A message says what becomes of it:

    {"id": "7", "sleep_ms": 20, "trouble": "raise" | "exit" | "hang" | "hold_gil", "times": 2}

`times` limits the trouble to the first so many runs of that message, counted over all processes; without it, it never ends.
Further troubles are the names in RAISED, and "recurse". "hold_gil" needs "hold_gil_ms". "leak_mb" megabytes are kept for ever.
What they do they write into the ledger that LEDGER names.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from typing import Any, Callable, Dict, List, Optional

from service.outcomes import Reject, Retry
from tests.support.ledger import Ledger

EXIT_CODE = 42  # of a process that a handler ended
SLICE_SECONDS = 0.01
LEAKED: List[bytes] = []


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
    "reject": Reject,
    "later": lambda reason: Retry(reason, after=1.0),
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


def cooperative(message: Dict[str, Any], context: Any) -> None:
    """Like `work`, but looks whether it is cancelled, and raises then."""
    _run(message, context, lambda: _sleep_unless_cancelled(_seconds(message), context))


def _run(message: Dict[str, Any], context: Optional[Any], sleep: Callable[[], None]) -> None:
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
        sleep()
    except BaseException:
        ledger.write("fail", name, key, **place)
        raise
    ledger.write("end", name, key, **place)


def _trouble(message: Dict[str, Any], ledger: Ledger) -> None:
    trouble = message.get("trouble")
    if trouble is None or ("times" in message and _runs(message, ledger) > message["times"]):
        return
    if trouble in RAISED:
        raise RAISED[trouble](f"message {message['id']} says so")
    if trouble == "recurse":
        _trouble(message, ledger)
    if trouble == "exit":
        os._exit(EXIT_CODE)
    if trouble == "hang":
        threading.Event().wait()
    if trouble == "hold_gil":  # as a C extension does that forgets to release it: no other thread runs meanwhile
        ctypes.PyDLL(None).usleep(ctypes.c_uint(1000 * int(message["hold_gil_ms"])))


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
