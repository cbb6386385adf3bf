"""The file of STATE_DIRECTORY in which orders of operators outlive the service, and a restart of the host. If it fails, that
is told, and ends nothing: what is in force stays in force.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import time
from typing import Callable, Optional

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.ipc.orders import Orders, decoded, encoded
from kafka_worker.shared.settings import Settings
from kafka_worker.shared.system import runtime_files
from kafka_worker.supervision.aside import START_SECONDS, Aside, within

log = logs.logger(__name__)

NAME = "orders.json"
LARGEST_FILE = 4_000_000  # characters: more than there can be of orders
LOOK_SECONDS = 0.5  # between two looks whether it is still there
AGAIN_SECONDS = 5.0  # between two tries to write what could not be written
SOON_SECONDS = 0.05  # within which it is written as a rule: whoever has ordered is answered at once then
_NOT_KEPT = "what operators have ordered is in force, and is not kept beyond the end of the service"


class OrdersFile:
    """That of one service on one host. The supervisor alone reads and writes it: at its start, and then beside its loop."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic, aside: Optional[Aside] = None) -> None:
        """Nothing is read yet. `aside`: who writes."""
        self._settings = settings
        self._clock = clock
        self._aside = aside or Aside("orders", clock)
        self._path = os.path.join(runtime_files.state_folder(settings), NAME)
        self._kept: Orders = ()  # what it says
        self._wanted: Orders = ()  # what it should say
        self._again_at = -math.inf  # monotonic seconds, when it is looked at, or written, again
        self._damaged = False
        self.problem = ""  # why what is in force is not what it says; empty: it is, or will be in a moment

    def read(self) -> Orders:
        """The orders in it; none where it can't be read. Raises TimeoutError: without them nothing may start."""
        try:
            self._kept = self._wanted = within(START_SECONDS, self._path, functools.partial(_read, self._path))
        except TimeoutError:
            raise
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as problem:  # also a UnicodeDecodeError
            self._damaged = True
            self._complain(
                f"what operators had ordered can't be read from {self._path}, and nothing is done by it: {problem}. "
                "Give the orders anew: the first one makes another file"
            )
        return self._kept

    def write(self, orders: Orders) -> None:
        """These are in force. As a rule they are written when this returns."""
        self._again_at = -math.inf
        self.write_owed(orders)
        self._aside.wait(SOON_SECONDS)

    @property
    def pending(self) -> bool:
        """Whether it is not known yet if what is in force can be written."""
        return self._wanted != self._kept and not self.problem

    def write_owed(self, orders: Orders) -> None:
        """To be called in each turn: have what is in force written, when that is due, and what was taken away."""
        self._wanted = orders
        if self._aside.stuck:
            self._complain(f"{_NOT_KEPT}: {self._path} does not answer")
        elif not self._aside.busy and (orders or self._kept) and (self.pending or self._clock() >= self._again_at):
            self._aside.do(functools.partial(self._keep, orders))

    # ---- beside the loop --------------------------------------------------------------------------------------------

    def _keep(self, orders: Orders) -> None:
        try:
            if orders != self._kept or not os.path.exists(self._path):
                self._write(orders)
        except (OSError, runtime_files.UnsafeDirectoryError) as problem:
            self._again_at = self._clock() + AGAIN_SECONDS
            self._complain(f"{_NOT_KEPT}: {problem}")
        else:
            self._kept, self.problem = orders, ""
            self._again_at = self._clock() + LOOK_SECONDS

    def _write(self, orders: Orders) -> None:
        """Raises OSError and UnsafeDirectoryError."""
        runtime_files.prepare_state(self._settings)
        if self._damaged:
            with contextlib.suppress(FileNotFoundError):  # somebody has taken it away
                os.replace(self._path, self._path + ".damaged")
            self._damaged = False
        runtime_files.replace(self._path, encoded(orders))

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
