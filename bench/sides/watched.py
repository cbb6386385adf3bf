"""This service with all that shows what it does: the HTTP part runs, remembers the last hour, and is asked for its metrics."""

from __future__ import annotations

import contextlib
import threading
import time
import urllib.request
from dataclasses import replace
from typing import List

from bench.sides.service import RunningService
from bench.sides.side import Setting
from kafka_worker.shared.ipc.control import NotRunningError

EVERY_SECONDS = 1.0  # Prometheus asks every 15 or 60


class Watched(RunningService):
    """Its metrics are asked for once a second."""

    def __init__(self, setting: Setting) -> None:
        """It is on its way when this returns."""
        super().__init__(replace(setting, ours={**setting.ours, "HTTP": "127.0.0.1:0"}), "key")
        self.scrapes: List[float] = []  # seconds that each took
        self._over = threading.Event()
        self._scraper = threading.Thread(target=self._scrape, daemon=True)
        self._scraper.start()

    def close(self) -> None:
        self._over.set()
        self._scraper.join()
        super().close()

    def _scrape(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            with contextlib.suppress(OSError, NotRunningError):  # it is not there yet
                address = self.status()["http"]["address"]
                began = time.monotonic()
                with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as answer:
                    answer.read()
                self.scrapes.append(time.monotonic() - began)
