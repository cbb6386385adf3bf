"""What has happened of late in a service: the last events of all its processes, but for task processes, whose log has theirs.
Pure.

Some come by thousands, as failed attempts do in an outage: of one kind only so many are kept, so that they push nothing else
out.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional

from kafka_worker.shared.ipc.channel import Message

KEPT = 200
MOST_OF_A_KIND = 40

Event = Dict[str, Any]  # the fields of a line of JSON in the log, and its `number`


def keep(events: List[Event], event: Event) -> None:
    """Add it to those that are kept, the oldest first."""
    events.append(event)
    alike = [place for place, each in enumerate(events) if each.get("event") == event.get("event")]
    if len(alike) > MOST_OF_A_KIND:
        del events[alike[0]]
    del events[:-KEPT]


class Recent:
    """The supervisor's. Events are numbered as they come, from 1 on."""

    def __init__(self, began: float) -> None:
        """Nothing has happened. `began`: seconds since 1970; with it a number means the same event for ever."""
        self.began = began
        self._events: List[Event] = []
        self.newest = 0  # number

    def hear(self, events: Iterable[Mapping[str, Any]]) -> None:
        """These have happened, one after the other."""
        for event in events:
            self.newest += 1
            keep(self._events, {"number": self.newest, **event})

    def asked(self, request: Message, _caller: object = None) -> Callable[[], Optional[Message]]:
        """The answer to whoever asks at the control socket: all of them, the oldest first, but for those up to the number
        `after` where he has these of us (`began`)."""
        after = request.get("after") if request.get("began") == self.began else 0
        since = after if isinstance(after, int) else 0
        events = [event for event in self._events if event["number"] > since]
        return lambda: {"events": events, "newest": self.newest, "began": self.began}
