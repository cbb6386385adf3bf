"""Handlers for task processes: a message names one of them and may give it an argument, `[name, argument]`."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
from typing import Any, Callable, Dict

from service.outcomes import Reject, Retry


class OwnError(KeyError):
    """An error of the user's."""

    def __init__(self, one: str, two: str) -> None:
        """Two arguments and one text: such an exception can't be unpickled."""
        super().__init__(one + two)


class UnprintableError(Exception):
    """Fails when it is looked at."""

    def __str__(self) -> str:
        raise SystemExit


def crash(_argument: Any) -> None:
    ctypes.string_at(0)


def fails(name: str) -> None:
    kinds: Dict[str, Callable[[], BaseException]] = {
        "own": lambda: OwnError("one", "two"),
        "retry": lambda: Retry("busy", after=2.5),
        "reject": lambda: Reject("never"),
        "exit": lambda: SystemExit(3),
        "unprintable": UnprintableError,
    }
    raise kinds[name]


def hog(size: int) -> None:
    bytearray(b"x") * size
    os._exit(42)


def hold_gil(seconds: int) -> None:
    ctypes.PyDLL(None).sleep(ctypes.c_uint(seconds))


def hang(_argument: Any) -> None:
    threading.Event().wait()


def facts(_argument: Any) -> Dict[str, Any]:
    return {
        "pid": os.getpid(),
        "main": threading.current_thread() is threading.main_thread(),
        "signals": [signal.getsignal(number) is signal.SIG_IGN for number in (signal.SIGTERM, signal.SIGINT)],
    }


def handle(message: Any, context: Any) -> Any:
    name, argument = message
    if name == "context":
        return (
            context.topic,
            context.partition,
            context.offset,
            context.key,
            context.headers,
            context.timestamp,
            context.attempt,
        )
    if name == "until_cancelled":
        waiting = threading.Event()
        while not (context.cancelled and context.deadline):
            waiting.wait(0.005)
        return context.deadline
    return {"echo": lambda value: value, "object": lambda _: object(), **globals()}[name](argument)
