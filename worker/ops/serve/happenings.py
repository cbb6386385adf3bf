"""What has happened of late in the service: its last events, asked of the supervisor whenever a snapshot says that there are
new ones."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, List, Tuple

from kafka_worker.ops.serve.watching import Watch
from kafka_worker.shared.events import QUOTING
from kafka_worker.shared.ipc.control import NotRunningError
from kafka_worker.shared.ipc.recent import keep

HIDDEN = ("message", "reason", "key_hash")  # where keys are not told

Event = Dict[str, Any]
Mark = Tuple[float, int]  # when the service began, and the number of an event
NOTHING: Mark = (0.0, 0)


class Happenings:
    """The last ones, the oldest first."""

    def __init__(self) -> None:
        """Nothing was heard of yet."""
        self._began = 0.0
        self._newest = 0
        self._heard_of: Tuple[Any, int] = (None, 0)  # of which supervisor the newest one is, and its number
        self._events: List[Event] = []

    async def follow(self, watch: Watch) -> None:
        """For ever."""
        async for seen in watch.each():
            newest = seen.data.get("pid"), seen.data.get("newest_event", 0)
            if newest != self._heard_of:
                # Why it can't be asked is told by the watch; the next snapshot says again that there are some.
                with contextlib.suppress(OSError, ValueError, NotRunningError):
                    self.hear(await watch.ask({"command": "events", "after": self._newest, "began": self._began}))
                    self._heard_of = newest

    def hear(self, answer: Event) -> None:
        """The supervisor's answer. Of one that was started anew it is all of them."""
        if answer.get("began") != self._began:
            self._events.clear()
        self._began, self._newest = answer.get("began", 0.0), answer.get("newest", 0)
        for event in answer.get("events", []):
            keep(self._events, event)

    def after(self, mark: Mark) -> Tuple[List[Event], Mark]:
        """Those that came after that one, all of them where it is of another service; and where it is by now."""
        since = mark[1] if mark[0] == self._began else 0
        return [event for event in self._events if event["number"] > since], (self._began, self._newest)


def written(began: float, event: Event) -> str:
    """The mark of an event, as an id of server-sent events."""
    return f"{began}-{event['number']}"


def read(text: str) -> Mark:
    """The mark that was written so; NOTHING: it was not."""
    began, _, number = text.rpartition("-")
    try:
        return float(began), int(number)
    except ValueError:
        return NOTHING


def for_strangers(event: Event) -> Event:
    """The same without the fields that may be a message's."""
    hidden = HIDDEN if event.get("event") in QUOTING else ("key_hash",)
    return {name: value for name, value in event.items() if name not in hidden}
