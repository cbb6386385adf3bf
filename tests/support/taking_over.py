"""A handler's module that takes its process for its own, as libraries and habits do, in every way that we can live with. Its
handler is `tests.support.handlers.work`, which has what it needs before all that, and what it prints is not written at once.
"""

from __future__ import annotations

import asyncio
import atexit
import decimal
import faulthandler
import gc
import json
import locale
import multiprocessing
import os
import random
import signal
import socket
import sys
import threading
import tracemalloc
import warnings
from pathlib import Path
from typing import Any, Callable, Dict

from tests.support.ledger import Ledger

ALARM_SECONDS = 0.02
ORIGINAL: Dict[str, Callable[..., Any]] = {"dumps": json.dumps, "loads": json.loads}
ledger = Ledger(os.environ["LEDGER"])


def not_for_us(name: str) -> Callable[..., Any]:
    """Another library's, which does not know what we ask of it. Tests may have the original."""

    def replaced(*given: Any, **options: Any) -> Any:
        if str(sys._getframe(1).f_globals.get("__name__")).startswith("kafka_worker"):
            raise TypeError(f"json.{name} is another one here")
        return ORIGINAL[name](*given, **options)

    return replaced


def ring(*_: Any) -> None:
    raise TimeoutError("an alarm, in whatever the main thread does")


def end(*_: Any) -> None:
    os._exit(9)


def trace(*_: Any) -> Any:
    return trace


class Policy(asyncio.DefaultEventLoopPolicy):
    """As uvloop sets one."""


os.environ.clear()
os.chdir("/")
sys.stdin.read()
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGABRT):
    signal.signal(number, ring)
signal.signal(signal.SIGALRM, ring)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
signal.set_wakeup_fd(-1)
warnings.simplefilter("error")
locale.setlocale(locale.LC_ALL, "C")
decimal.getcontext().prec = 1
random.seed(0)
gc.disable()
gc.freeze()
tracemalloc.start()
faulthandler.disable()
socket.setdefaulttimeout(0.01)
multiprocessing.set_start_method("spawn", force=True)
asyncio.run(asyncio.sleep(0))
asyncio.set_event_loop_policy(Policy())
sys.setswitchinterval(1000)
sys.setrecursionlimit(100)
threading.stack_size(32768)
sys.settrace(trace)
threading.settrace(trace)
sys.excepthook = threading.excepthook = end
json.dumps, json.loads = not_for_us("dumps"), not_for_us("loads")
for name in [name for name in sys.modules if name.startswith("kafka_worker.")]:
    del sys.modules[name]
sys.path[:] = []
sys.executable = "/nonexistent"
threading.Thread(target=threading.Event().wait).start()  # would keep a program from its end
atexit.register(lambda: Path(f"{ledger.path}.end-{os.getpid()}").write_text("done"))


def work(message: Dict[str, Any], context: Any) -> None:
    """Works, and goes on like that. `trouble`: "killed", once, as by the out-of-memory killer."""
    place = {"partition": context.partition, "offset": context.offset, "attempt": context.attempt}
    ledger.write("start", message["id"], context.key.decode(), **place)
    if message.get("trouble") == "killed" and sum(each.id == message["id"] for each in ledger.of("start")) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    print(f"message {message['id']} is printed")
    if threading.current_thread() is not threading.main_thread():  # else it would be the handler's own
        signal.setitimer(signal.ITIMER_REAL, ALARM_SECONDS)
    faulthandler.disable()
    os.environ.clear()
    threading.Event().wait(message["sleep_ms"] / 1000)
    ledger.write("end", message["id"], context.key.decode(), **place)
