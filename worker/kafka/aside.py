"""Questions asked beside the consumer, by a second client that belongs to no group, and answered in threads of their own."""

from __future__ import annotations

import threading
from concurrent import futures
from typing import Any, Callable, Dict, Mapping, TypeVar

T = TypeVar("T")
ANSWER_SECONDS = 5.0
_QUIET = {"log_level": 0}  # it has no trouble but that of the consumer, which tells it
_LOUD = ("debug", "statistics.interval.ms")
_OF_MEMBERS = ("group.instance.id",)


def quiet(properties: Mapping[str, Any]) -> Dict[str, Any]:
    """The consumer's properties, for a client beside it."""
    return {**{name: properties[name] for name in properties if name not in (*_LOUD, *_OF_MEMBERS)}, **_QUIET}


def aside(name: str, question: Callable[[], T], unasked: T) -> futures.Future[T]:
    """The answer to a question for which the client keeps its caller waiting: it is asked in a thread of this name, which
    lives as long as that. The question raises nothing. `unasked`: the answer, while the machine has no room for a thread."""
    told: futures.Future[T] = futures.Future()
    try:
        threading.Thread(target=lambda: told.set_result(question()), name=name, daemon=True).start()
    except RuntimeError:
        told.set_result(unasked)
    return told
