"""Questions asked beside the consumer, by a second client that belongs to no group, and answered in threads of their own."""

from __future__ import annotations

import threading
from concurrent import futures
from typing import Any, Callable, Dict, Mapping, TypeVar

T = TypeVar("T")
ANSWER_SECONDS = 5.0
_NOT_ITS = ("debug", "statistics.interval.ms", "group.instance.id")


def its_properties(properties: Mapping[str, Any]) -> Dict[str, Any]:
    """The consumer's, but quiet: it has no trouble but that of the consumer, which tells it."""
    return {**{name: properties[name] for name in properties if name not in _NOT_ITS}, "log_level": 0}


def ask(name: str, question: Callable[[], T], unasked: T) -> futures.Future[T]:
    """The answer to a question for which the client keeps its caller waiting: it is asked in a thread of this name, which
    lives as long as that. The question raises nothing. `unasked`: the answer, while the machine has no room for a thread."""
    told: futures.Future[T] = futures.Future()
    try:
        threading.Thread(target=lambda: told.set_result(question()), name=name, daemon=True).start()
    except RuntimeError:
        told.set_result(unasked)
    return told
