"""A network cable in user space, with delay and loss: kernels of test machines often lack netem."""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import threading
import time
from typing import Dict, List, Tuple

_TUNSETIFF, _TAP_WITHOUT_HEADER = 0x400454CA, 0x1002  # linux/if_tun.h
_FRAME_BYTES = 65536
_count = itertools.count()

Waiting = Tuple[float, int, int, bytes]  # when due, a number for equals, to which tap, the frame


def ip(*words: str) -> None:
    """Run iproute2's `ip`."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Cable(threading.Thread):
    """Carries frames between two tap devices, each late by delay ± jitter seconds, some lost; in order."""

    def __init__(self, *ends: Tuple[str, str]) -> None:
        """An end: network namespace, and what the device is called there."""
        super().__init__(daemon=True)
        self.delay = self.jitter = self.loss = 0.0
        self._stopping = False
        self._taps = [_tap(space, name) for space, name in ends]
        self._last = dict.fromkeys(self._taps, 0.0)
        self._waiting: List[Waiting] = []

    def run(self) -> None:
        """The thread, until `close`."""
        while not self._stopping:
            rest = self._waiting[0][0] - time.monotonic() if self._waiting else 0.2
            for tap in select.select(self._taps, [], [], max(0.0, rest))[0]:
                self._take(tap)
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                _, _, tap, frame = heapq.heappop(self._waiting)
                with contextlib.suppress(OSError):  # the other end is down: lost
                    os.write(tap, frame)

    def close(self) -> None:
        """Unplug both ends."""
        self._stopping = True
        if self.is_alive():
            self.join()
        for tap in self._taps:
            os.close(tap)

    def _take(self, tap: int) -> None:
        other: Dict[int, int] = dict(zip(self._taps, reversed(self._taps)))
        with contextlib.suppress(OSError):  # nothing more now
            while True:
                frame = os.read(tap, _FRAME_BYTES)
                if random.random() >= self.loss:
                    due = time.monotonic() + self.delay + random.uniform(-self.jitter, self.jitter)
                    self._last[tap] = max(due, self._last[tap])
                    heapq.heappush(self._waiting, (self._last[tap], next(_count), other[tap], frame))


def _tap(space: str, name: str) -> int:
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    unique = f"tap{os.getpid() % 100000}.{next(_count)}"
    fcntl.ioctl(tap, _TUNSETIFF, struct.pack("16sH22x", unique.encode(), _TAP_WITHOUT_HEADER))
    ip("link", "set", unique, "netns", space, "name", name)
    return tap
