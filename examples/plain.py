"""A function, what it needs, and what it says when it can't."""

from __future__ import annotations

import queue
import time
from typing import Any, Dict, Iterator

from kafka_worker import Context, Reject, Retry, Send, per_process


class Renderer:
    """In the place of a service on the network that takes a few calls at once."""

    def __init__(self, places: int) -> None:
        self._places: queue.Queue[None] = queue.Queue(places)

    def render(self, scenario: str, seconds: float) -> str:
        """Raises queue.Full when it is busy."""
        self._places.put_nowait(None)
        try:
            time.sleep(seconds)
        finally:
            self._places.get_nowait()
        return f"{scenario}.png"


@per_process
def renderer() -> Iterator[Renderer]:
    """One for all threads of a process, made before its first message."""
    yield Renderer(places=8)  # what comes after the yield is run after the last message


def process_message(message: Dict[str, Any], context: Context) -> Send:
    """Render a scenario; the picture's name goes to another topic, before this message counts as done."""
    if "scenario" not in message:
        raise Reject("no scenario")  # no attempt will ever do: a dead letter at once
    try:
        picture = renderer().render(message["scenario"], seconds=float(message.get("seconds", 1)))
    except queue.Full as problem:
        raise Retry("the renderer is busy", after=5) from problem
    return Send("pictures", {"picture": picture}, key=context.key)
