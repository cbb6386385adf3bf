"""One schedule, which follows from its seed: processes that come and go, until one is left in peace and does what is left."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import random
import tempfile
import warnings
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from kafka_worker.handler.loading import Kind
from tests.simulation.broker import DELAYS, OTHER, TOPIC, Broker, Topics
from tests.simulation.child import Host, Life, Plan
from tests.simulation.handlers import ENDS
from tests.simulation.oracle import Oracle

MOST_LIVES = 4
WORLD = {"more": 5, "retention": 1, "damage": 3, "away": 2, "refuses": 2, "down": 2}  # what happens, and how often
OFTEN = (0, 1, 1, 4)  # times as often in one schedule
QUIET_SECONDS = 2000.0  # within which the last process has done everything


@contextlib.contextmanager
def folder() -> Iterator[str]:
    """For journals, in memory where there is such a place."""
    where = "/dev/shm" if os.path.isdir("/dev/shm") else None
    logging.disable(logging.CRITICAL)
    try:
        with tempfile.TemporaryDirectory(dir=where) as path, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "coroutine .* was never awaited")  # of a process that was killed before
            yield path
    finally:
        gc.collect()  # processes that died while they opened their journals, and coroutines in their midst
        logging.disable(logging.NOTSET)


class Schedule:
    """From a seed."""

    def __init__(self, seed: int, path: str) -> None:
        self.chance = random.Random(seed)
        self._path = os.path.join(path, str(seed))
        os.mkdir(self._path)
        self.oracle = Oracle()
        delays = self.chance.choice([(), (), (), DELAYS, DELAYS[:1]])
        self._topics = Topics(self.chance.choice([(TOPIC,)] * 3 + [(TOPIC, OTHER)]), delays)
        # Not a bit of everything each time: what is rare would nearly never meet what is rare.
        self._kinds = self.chance.choice([[Kind.THREAD]] * 3 + [[Kind.BATCH]] * 2 + [[Kind.ASYNC], list(Kind)])
        self._ends = self._some_of(ENDS, "return")
        self._world = self._some_of(WORLD, "more")
        self.broker = Broker(self.chance, self.oracle, self._topics)
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
        problem = self._live(self._last_plan())
        if problem:
            return problem
        missing = self.oracle.missing()
        return f"without an outcome: {missing}" if missing else ""

    def _some_of(self, what: Dict[str, int], always: str) -> Dict[str, int]:
        return {each: max(int(each == always), number * self.chance.choice(OFTEN)) for each, number in what.items()}

    def _live(self, plan: Plan) -> str:
        life = Life(self.broker, self._host, plan, self._now)
        problem = life.run()
        self._now = life.scheduler.now + 0.1
        end = "killed" if life.code is None else life.code.name
        self.lives.append(f"{end} after {life.scheduler.steps} steps: {plan}")
        return problem

    def _last_plan(self) -> Plan:
        """Things go on to happen for a while, and then there is time enough for all that is left."""
        plan = self._plan()._replace(kill_at=-1, calm=self.chance.random() < 0.5, early=False, last=True)
        stop = {"stop": {"seconds": 30.0, "leave": True}}
        orders = [(at, word) for at, word in plan.stops if "orders" in word]
        end = max([60.0, *(at for at, _ in orders)])
        self._orders = []
        return plan._replace(stops=[*orders, (end, {"orders": []}), (end + QUIET_SECONDS, stop)])

    def _plan(self) -> Plan:
        chance = self.chance
        kill_at = chance.choice([-1, chance.randint(1, 60), chance.randint(1, 400), chance.randint(1, 2000)])
        moves = [0.1, *sorted(chance.uniform(0.1, 60.0) for _ in range(chance.randint(0, 4)))]
        stop = chance.uniform(0.0, 60.0) if chance.random() < 0.7 else chance.choice(moves) + chance.uniform(0.0, 3.0)
        stops: List[Tuple[float, Dict[str, Any]]] = [(stop, {"stop": {"leave": chance.random() < 0.5}})]
        if chance.random() < 0.5:
            hurry = {"seconds": chance.choice([0.0, 1.0, 5.0])}
            stops.append((stop + chance.uniform(0.0, 20.0), {"stop": hurry}))
        world = chance.choices(list(self._world), list(self._world.values()), k=chance.choice([0, 0, 2, 5]))
        happens = sorted((chance.uniform(0.0, 40.0), what) for what in world)
        orders = self._orders
        times = sorted(chance.uniform(0.0, 40.0) for _ in range(chance.choice([0, 0, 0, 1, 3])))
        if times and chance.random() < 0.5:  # about when the group gives or takes
            times = sorted(max(0.0, chance.choice(moves) + chance.uniform(-0.5, 2.0)) for _ in times)
        stops += [(at, {"orders": self._ordered()}) for at in times]
        stops.sort(key=lambda each: each[0])
        settings, early = self._settings(chance.choice([1.0, 60.0])), chance.random() < 0.2
        return Plan(self._slot(), kill_at, moves, stops, happens, orders, *self._calls(), settings, calm=False, early=early)

    def _calls(self) -> Tuple[Kind, Dict[str, int]]:
        return self.chance.choice(self._kinds), self._ends

    def _slot(self) -> int:
        return self.chance.choice([0, 0, 0, 1])

    def _settings(self, drain_seconds: float) -> Dict[str, Any]:
        chance = self.chance
        return {
            "drain_seconds": drain_seconds,
            "topics": self._topics.names,
            "retry_topics": self._topics.delays,
            "topic_tables": {OTHER: self._own()} if len(self._topics.names) > 1 else {},
            "ordering": chance.choice(["none"] if self._topics.delays else ["key", "key", "key", "partition", "none", "none"]),
            "delivery": chance.choice(["at-least-once"] * 3 + ["exactly-once"]),
            "offset_map": self._offset_map,
            "max_in_flight": chance.choice([1500, 1500, 4, 2]),
            "batch_size": chance.choice([2, 4]),
            "isolation": chance.choice(["none"] * 3 + ["process"]),
            "breaker_failure_share": chance.choice([0.0, 0.0, 0.5]),
            "dead_letter_storm_share": chance.choice([0.0, 0.0, 0.5]),
            "memory_limit": chance.choice(["0", "0", "1G"]),
            "max_messages_per_second": chance.choice([0.0] * 5 + [2.0]),
        }

    def _own(self) -> Dict[str, Any]:
        """The settings of the other topic."""
        chance = self.chance
        own: Dict[str, Any] = {"max_attempts": chance.choice([1, 5]), "priority": chance.choice([1, 3])}
        if not self._topics.delays:
            own["ordering"] = chance.choice(["key", "partition", "none"])
        return {**own, "threads_share": chance.choice([1.0, 0.5])}

    def _ordered(self) -> List[List[Any]]:
        """What is in force when an operator has ordered something more, or taken something back."""
        chance = self.chance
        if self._orders and chance.random() < 0.4:
            self._orders = chance.sample(self._orders, len(self._orders) - 1)
        else:
            offset = chance.choice([None, None, chance.randrange(12)])
            name = chance.choice(list(self.oracle.keys))
            place = [*name, offset] if chance.random() < 0.9 else ["", None, None]
            self._orders = [*self._orders, [*place, "why", "who", 0.0, None]]
        return self._orders

    def _between(self) -> None:
        """Nobody is in the group."""
        chance = self.chance
        what = chance.choice(["", "", "", "more", "more", "host", "anew", "group", "reset", "elsewhere", "world"])
        if what == "world":
            self.broker.happens(chance.choice(["damage", "retention"]), self._now)
        elif what == "more":
            for name in self._topics.partitions():
                self.broker.append(name, chance.randint(0, 6))
        elif what == "host":
            self._host = self._another_host()
        elif what == "anew" and not self._topics.delays:
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
