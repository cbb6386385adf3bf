"""One group on one topic: the services of several hosts, one ledger, one account of what was sent."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Sequence

from confluent_kafka import KafkaException

from tests.support.admin import Admin
from tests.support.eventually import eventually
from tests.support.ledger import Ledger
from tests.support.load import Load
from tests.support.oracle import Oracle

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.messages import Sent
    from tests.support.service import Service

PARTITIONS = 8
ENOUGH = 40  # tasks done: a load is on its way then
SECONDS = 60.0  # for what has no promise of its own: a busy machine may take its time


class Scene:
    """What a test of several services needs to know and to do."""

    def __init__(self, admin: Admin, topic: str, group: str, folder: Path, make: Callable[..., Service]) -> None:
        """`make` is the fixture `service`, which ends what it made."""
        self.admin, self.topic, self.group = admin, topic, group
        self.ledger = Ledger(str(folder / "ledger"))
        self.sent: List[Sent] = []
        self.oracle = Oracle(self.ledger, self.sent)
        self._make = make

    def service(self, host: str = "", **options: Any) -> Service:
        """A service that was just started, on a host of another name if one is given; `output` as in `Service.start`."""
        output = options.pop("output", None)
        options.setdefault("prefix", on_host(host) if host else ())
        made = self._make(self.topic, self.group, self.admin.bootstrap, ledger=self.ledger, **options)
        return made.start(output)

    def ready_service(self, **options: Any) -> Service:
        """The same, when it has all partitions."""
        return self.service(**options).wait_ready(partitions=PARTITIONS)

    def send(self, messages: Sequence[Sent]) -> None:
        """All acknowledged when this returns."""
        self.admin.produce(self.topic, [each.row for each in messages])
        self.sent += messages

    @contextlib.contextmanager
    def load(self) -> Iterator[None]:
        """No partition runs out of work meanwhile. Begins when work is done already."""
        with Load(self.admin, self.topic, Ledger(self.ledger.path), self.sent, PARTITIONS):
            self.wait_progress()
            yield

    def wait_progress(self) -> None:
        """Until some more tasks have come to their end."""
        before = len(self.ledger.of("end"))
        eventually(lambda: len(self.ledger.of("end")) >= before + ENOUGH, SECONDS, "tasks are done")

    def wait_running(self, name: str, times: int = 1) -> None:
        """Until a message was started so often."""
        eventually(
            lambda: sum(entry.id == name for entry in self.ledger.of("start")) >= times,
            SECONDS,
            f"message {name} is started, {times} times in all",
        )

    def wait_done(self) -> None:
        """Until everything sent has come to its end: nothing is lost."""
        self.oracle.wait_done(SECONDS, f"{len(self.sent)} messages are done")

    def assert_each_ran_once(self) -> None:
        """Everything sent is done, was started once, and in order."""
        self.wait_done()
        assert self.oracle.started_twice() == []
        assert self.oracle.order_violations_per_key() == []

    def all_committed(self) -> bool:
        """Asked by another client while it is not settled who leads what; and of the group's state before, which waits for its
        coordinator: the other question ends the process by SIGSEGV where that does not know yet that it is one."""
        try:
            self.admin.group_state(self.group)
            return self.admin.lag(self.group, self.topic) == 0
        except KafkaException:
            self.admin = Admin(self.admin.bootstrap)
            return False

    def owners(self) -> Dict[int, str]:
        """Partition to the member that has it, `<host>-<slot>`, as the broker knows it; none in a rebalance."""
        members = self.admin.members(self.group)
        return {number: each.client_id for each in members for _, number in each.partitions}

    def wait_owned_by(self, members: Sequence[str], seconds: float) -> None:
        """Until these members have all partitions, and nobody else any."""
        eventually(
            lambda: len(self.owners()) == PARTITIONS and set(self.owners().values()) == set(members),
            seconds,
            f"{', '.join(members)} have all partitions",
        )


def on_host(name: str) -> List[str]:
    """A prefix for a command, which sees another host name then. Needs root."""
    return ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', name]


def revocations(log: str) -> List[int]:
    """The pid of each process of a log that had partitions taken away, as often as that happened."""
    return [int(pid) for pid in re.findall(r" slot-\d+\[(\d+)\] (?:Revoked|Lost): ", log)]
