"""The file of STATE_DIRECTORY in which orders of operators outlive the service, and a restart of the host. A fault of it is
told, and ends nothing: what is in force stays so.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import Callable

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.ipc.orders import Orders, decoded, encoded
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import runtime_files

log = logs.logger(__name__)

NAME = "orders.json"
LARGEST_FILE = 4_000_000  # characters: more than there can be of orders
AGAIN_SECONDS = 5.0  # between two tries to write what could not be written


class OrdersFile:
    """That of one service on one host. The supervisor alone reads and writes it."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        """Nothing is read yet."""
        self._settings = settings
        self._clock = clock
        self._path = os.path.join(runtime_files.state_folder(settings), NAME)
        self._owed_at = -1.0  # monotonic seconds, when it is written again; negative: it is as it should be
        self._damaged = False
        self.problem = ""  # why what is in force is not what it says; empty: it is

    def read(self) -> Orders:
        """The orders in it; none where it can't be read."""
        try:
            return _read(self._path)
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as problem:  # also a UnicodeDecodeError
            self._damaged = True
            self._complain(
                f"what operators had ordered can't be read from {self._path}, and nothing is done by it: {problem}. "
                "Give the orders anew: the first one makes another file"
            )
            return ()

    def write(self, orders: Orders) -> None:
        """These are in force. What can't be written now is written later."""
        try:
            runtime_files.prepare_state(self._settings)
            if self._damaged:
                with contextlib.suppress(FileNotFoundError):  # somebody has taken it away
                    os.replace(self._path, self._path + ".damaged")
                self._damaged = False
            runtime_files.replace(self._path, encoded(orders))
        except (OSError, runtime_files.UnsafeDirectoryError) as problem:
            self._owed_at = self._clock() + AGAIN_SECONDS
            self._complain(
                f"what operators have ordered is in force, and is not kept beyond the end of the service: {problem}"
            )
        else:
            self.problem, self._owed_at = "", -1.0

    def settle(self, orders: Orders) -> None:
        """Write what is owed, when that is due, and what was taken away."""
        gone = self._owed_at < 0 and bool(orders) and not os.path.exists(self._path)
        if gone or 0 <= self._owed_at <= self._clock():
            self.write(orders)

    def _complain(self, problem: str) -> None:
        if problem != self.problem:
            log.error("%s", problem, extra=about(Event.ORDERS_NOT_KEPT))
        self.problem = problem


def _read(path: str) -> Orders:
    """Raises OSError, and ValueError for what is not ours."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, encoding="utf-8") as file:
        if os.fstat(descriptor).st_uid != os.getuid():
            raise ValueError("it belongs to another user")
        return decoded(file.read(LARGEST_FILE))
