"""A handler with hooks, whose database hangs as long as the file is there that HANGS names, and then is down as long as that
of REFUSES is. It tells what happens, a line each, to the file that TOLD names."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Any, Dict, Iterator

from kafka_worker import per_process, per_thread
from tests.support.eventually import eventually

HANGS, REFUSES, TOLD = (os.environ[name] for name in ("HANGS", "REFUSES", "TOLD"))


def tell(what: str) -> None:
    with open(TOLD, "a", encoding="utf-8") as file:
        file.write(f"{os.getpid()} {threading.current_thread().name} {what}\n")


atexit.register(tell, "exit functions")


@per_process
def database() -> Iterator[Dict[str, Any]]:
    eventually(lambda: not os.path.exists(HANGS), 600, "the database answers")
    if os.path.exists(REFUSES):
        raise ConnectionRefusedError("the database is down")
    tell("database starts")
    yield {"open": True}
    tell("database stops")


@per_thread
def session() -> Iterator[Dict[str, Any]]:
    tell(f"session starts on {database()['open']}")
    yield database()
    tell("session stops here")


def work(message: Any) -> None:
    tell(f"works on {message['id']} with {session()['open']}")
