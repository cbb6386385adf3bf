"""One schedule, which follows from its seed: processes that come and go, until one is left in peace and does what is left."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import random
import tempfile
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from tests.simulation.broker import PARTITIONS, TOPIC, Broker
from tests.simulation.child import Host, Life, Plan
from tests.simulation.oracle import Oracle

MOST_LIVES = 4
QUIET_SECONDS = 2000.0  # within which the last process has done everything


@contextlib.contextmanager
def folder() -> Iterator[str]:
    """For journals, in memory where there is such a place."""
    where = "/dev/shm" if os.path.isdir("/dev/shm") else None
    logging.disable(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory(dir=where) as path:
            yield path
    finally:
        logging.disable(logging.NOTSET)
        gc.collect()  # processes that died while they opened their journals


class Schedule:
    """From a seed."""

    def __init__(self, seed: int, path: str) -> None:
        self.chance = random.Random(seed)
        self._path = os.path.join(path, str(seed))
        os.mkdir(self._path)
        self.oracle = Oracle()
        self.broker = Broker(self.chance, self.oracle)
        self.lives: List[str] = []
        self._now = 1000.0
        self._offset_map = self.chance.choice(["on"] * 4 + ["off"])
        self._orders: List[List[Any]] = []  # of operators, that are in force
        self._hosts = 0
        self._host = self._another_host()

    def play(self) -> str:
        """What was wrong, or nothing."""
        for _ in range(self.chance.randint(0, MOST_LIVES)):
            problem = self._live(self._plan())
            if problem:
                return problem
            self._between()
        calm = self.chance.random() < 0.7
        end: List[Tuple[float, Dict[str, Any]]] = [(5.0, {"orders": []})]
        end.append((QUIET_SECONDS, {"stop": {"seconds": 30.0, "leave": True}}))
        settings = self._settings(60.0)
        problem = self._live(Plan(self._slot(), -1, [0.1], end, [], self._orders, settings, calm=calm, last=True))
        if problem:
            return problem
        missing = self.oracle.missing()
        return f"without an outcome: {missing}" if missing else ""

    def _live(self, plan: Plan) -> str:
        life = Life(self.broker, self._host, plan, self._now)
        problem = life.run()
        self._now = life.scheduler.now + 0.1
        end = "killed" if life.code is None else life.code.name
        self.lives.append(f"{end} after {life.scheduler.steps} steps: {plan}")
        return problem

    def _plan(self) -> Plan:
        chance = self.chance
        kill_at = chance.choice([-1, chance.randint(1, 60), chance.randint(1, 400), chance.randint(1, 2000)])
        moves = [0.1, *sorted(chance.uniform(0.1, 60.0) for _ in range(chance.randint(0, 4)))]
        stop = chance.uniform(0.0, 60.0)
        stops: List[Tuple[float, Dict[str, Any]]] = [(stop, {"stop": {"leave": chance.random() < 0.5}})]
        if chance.random() < 0.5:
            hurry = {"seconds": chance.choice([0.0, 1.0, 5.0])}
            stops.append((stop + chance.uniform(0.0, 20.0), {"stop": hurry}))
        world = chance.choices(["more", "retention", "damage"], [5, 1, 3], k=chance.choice([0, 0, 2, 5]))
        happens = sorted((chance.uniform(0.0, 40.0), what) for what in world)
        orders = self._orders
        times = sorted(chance.uniform(0.0, 40.0) for _ in range(chance.choice([0, 0, 0, 1, 3])))
        stops += [(at, {"orders": self._ordered()}) for at in times]
        stops.sort(key=lambda each: each[0])
        settings = self._settings(chance.choice([1.0, 60.0]))
        return Plan(self._slot(), kill_at, moves, stops, happens, orders, settings, calm=False)

    def _slot(self) -> int:
        return self.chance.choice([0, 0, 0, 1])

    def _settings(self, drain_seconds: float) -> Dict[str, Any]:
        chance = self.chance
        return {
            "drain_seconds": drain_seconds,
            "ordering": chance.choice(["key", "key", "key", "partition", "none"]),
            "delivery": chance.choice(["at-least-once"] * 3 + ["exactly-once"]),
            "offset_map": self._offset_map,
            "max_in_flight": chance.choice([1500, 1500, 4, 2]),
        }

    def _ordered(self) -> List[List[Any]]:
        """What is in force when an operator has ordered something more, or taken something back."""
        chance = self.chance
        if self._orders and chance.random() < 0.4:
            self._orders = chance.sample(self._orders, len(self._orders) - 1)
        else:
            offset = chance.choice([None, None, chance.randrange(12)])
            place = [TOPIC, chance.randrange(PARTITIONS), offset] if chance.random() < 0.9 else ["", None, None]
            self._orders = [*self._orders, [*place, "why", "who", 0.0, None]]
        return self._orders

    def _between(self) -> None:
        """Nobody is in the group."""
        chance = self.chance
        what = chance.choice(["", "", "", "more", "more", "host", "anew", "group", "reset", "elsewhere", "world"])
        if what == "world":
            self.broker.happens(chance.choice(["damage", "retention"]), self._now)
        elif what == "more":
            for name in self.oracle.keys:
                self.broker.append(name, chance.randint(0, 6))
        elif what == "host":
            self._host = self._another_host()
        elif what == "anew":
            self.broker.made_anew()
        elif what == "group":
            self.broker.group_deleted()
        elif what == "reset":
            self.broker.reset()
        elif what == "elsewhere":
            for name in self.oracle.keys:
                self.broker.elsewhere(name, self._now)

    def _another_host(self) -> Host:
        self._hosts += 1
        path = os.path.join(self._path, str(self._hosts))
        os.mkdir(path)
        return Host(path)


def first_problem(seeds: Iterable[int]) -> Optional[str]:
    """What is wrong with the first of these seeds with which anything is, and how to see it again; None: nothing."""
    with folder() as path:
        for count, seed in enumerate(seeds, 1):
            schedule = Schedule(seed, path)
            problem = schedule.play()
            if problem:
                lives = "\n".join(schedule.lives)
                return f"{problem}\nSIMULATION_SEED={seed}, schedule {count} of these\n{lives}"
    return None
