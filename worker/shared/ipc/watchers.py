"""Who watches: clients of the control socket that have asked once, by `{"command": "watch"}`, and are told the newest snapshot
from then on, about once a second. One that reads slowly misses some and gets the newest next; nobody waits for it."""

from __future__ import annotations

import selectors
import time
from typing import Callable, List

from kafka_worker.shared.ipc.channel import Channel, Message, line_of

WATCH_SECONDS = 1.0  # from one snapshot to the next
MOST_WATCHERS = 16  # at once; the oldest makes room for the next


class Watchers:
    """The control server's. It hands over whoever asks to watch."""

    def __init__(self, selector: selectors.BaseSelector, newest: Callable[[], Message]) -> None:
        """Nobody watches yet. `newest` makes what they are told: once for all of them."""
        self._selector = selector
        self._newest = newest
        self._clients: List[Channel] = []
        self._due = 0.0

    def add(self, client: Channel) -> None:
        """From now on it is told, and not heard any more: that it is gone shows when it is told something."""
        if len(self._clients) >= MOST_WATCHERS:
            self._dismiss(self._clients[0])
        client.leave(self._selector)
        self._clients.append(client)
        self._due = 0.0

    def serve(self) -> None:
        """Tell them what is due, as far as their sockets take it."""
        for client in self._clients:
            client.flush()
        now = time.monotonic()
        if self._clients and now >= self._due:
            self._due = now + WATCH_SECONDS
            line = line_of(self._newest())
            for client in self._clients:
                if not client.pending:
                    client.send_line(line)
        for client in list(self._clients):
            client.leave(self._selector)
            if not client.writable:
                self._dismiss(client)
            elif client.pending:
                self._selector.register(client, selectors.EVENT_WRITE)

    def close(self) -> None:
        """Tell nobody any more."""
        while self._clients:
            self._dismiss(self._clients[0])

    def _dismiss(self, client: Channel) -> None:
        self._clients.remove(client)
        client.leave(self._selector)
        client.close()
