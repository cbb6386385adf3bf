"""What really happened, and what follows from it: every message's history, and what must never be. It knows nothing of how the
child remembers what is done.

A partition's *epoch* begins anew when its topic is made anew, its group deleted, or its offsets reset: what was done before
says nothing of what comes then.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

TopicPartition = Tuple[str, int]

HOLE, MARKER = b"", b"marker"  # in the place of a key: nothing is delivered of it; the client's position goes past a marker
LATEST_COMMIT_SECONDS = 16.0  # an interval, two polls of an idle topic, and the broker's time
LATEST_TRANSACTION_SECONDS = 32.0  # some fail
SAME_SECONDS = 0.002  # headers tell whole milliseconds
PAUSED_SECONDS = 8.0  # in which a process goes by an order of an operator: two lazy waits, and some


class Id(NamedTuple):
    """One message in one epoch."""

    name: TopicPartition
    epoch: int
    offset: int


class History:
    """Of one partition in one epoch."""

    def __init__(self, first: int) -> None:
        """It has to deliver everything from `first` on."""
        self.first = first
        self.done: Dict[int, float] = {}  # offset to when it got its outcome


class Promise:
    """What one call sends: these messages have their outcome when all of it is stored."""

    def __init__(self, tasks: List[Id], records: int) -> None:
        self.tasks = tasks
        self.missing = set(range(records))


class Oracle:
    """Notes, and complains by `fault`."""

    def __init__(self) -> None:
        self.epochs: Dict[TopicPartition, int] = {}
        self.histories: Dict[Tuple[TopicPartition, int], History] = {}
        self.keys: Dict[TopicPartition, List[bytes]] = {}  # by offset
        self.ordering, self.patience = "key", LATEST_COMMIT_SECONDS
        self.ordering_of: Dict[str, str] = {}  # topics that have one of their own
        self.calls: Set[Id] = set()  # that are running, in a handler, of the process that lives
        self.cancelled: Dict[Id, int] = {}  # attempts that ended because we told them to
        self.failures: Dict[Id, int] = {}  # attempts that failed by themselves
        self.strange: Set[Id] = set()  # calls that began before somebody else had their partition
        self.sent: Set[Id] = set()  # of what the records of a transaction tell
        self.due: Dict[Id, float] = {}  # of a message in a retry topic: not before
        self.promises: List[Promise] = []
        self.ordered: Set[Tuple[TopicPartition, int]] = set()  # places that an operator has had parked at any time
        self.pauses: Dict[TopicPartition, float] = {}  # what an operator has paused, and since when that is known
        self.unseen: Set[TopicPartition] = set()  # made anew, and known to the broker alone: commits name the former topic
        self.fresh: Dict[Id, float] = {}  # outcomes that the slot may remember, and since when
        self.known: Dict[TopicPartition, Set[int]] = {}  # offsets that the owner has to know as done, of the present epoch
        self.fault: Callable[[str], None] = _raise

    def begin(self, name: TopicPartition, first: int) -> None:
        """A new epoch."""
        self.epochs[name] = self.epochs.get(name, 0) + 1
        self.histories[name, self.epochs[name]] = History(first)
        self.known[name] = set()

    def now(self, name: TopicPartition) -> History:
        """The history of the present epoch."""
        return self.histories[name, self.epochs[name]]

    def place(self, name: TopicPartition, offset: int) -> Id:
        """In the present epoch."""
        return Id(name, self.epochs[name], offset)

    # ---- handlers ----

    def owed(self, name: TopicPartition, behind: Optional[int] = None) -> List[int]:
        """Offsets, below `behind`, of which the present epoch has to do something, and has not."""
        history, keys = self.now(name), self.keys[name]
        return [
            offset
            for offset in range(history.first, len(keys) if behind is None else behind)
            if keys[offset] not in (HOLE, MARKER) and offset not in history.done
        ]

    def delayed(self, task: Id, origin: Id, due: float) -> None:
        """A message has gone on to a retry topic."""
        self.due[task] = due
        self.failures[task] = self.failures.get(origin, 0)

    def called(self, task: Id, now: float, attempt: int) -> None:
        """A handler is called."""
        if now < self.due.get(task, now) - SAME_SECONDS:
            self.fault(f"{task} starts {self.due[task] - now:.3f} s before its time")
        if attempt > self.failures.get(task, 0) + 1:
            self.fault(f"{task} starts as attempt {attempt} after {self.failures.get(task, 0)} failures")
        if task.epoch == self.epochs[task.name]:
            keys = self.keys[task.name]
            if task.offset in self.known.get(task.name, ()):
                self.fault(f"{task} runs again, although that it was done was remembered")
            earlier = [
                offset
                for offset in self.owed(task.name, task.offset)
                if self._in_order(task.name[0], keys[offset], keys[task.offset]) and (task.name, offset) not in self.ordered
            ]
            if earlier:
                self.fault(f"{task} starts before {earlier}, although they are in order")
            if task in self.calls - self.strange:
                self.fault(f"{task} is called beside itself")
        if now > self.pauses.get(task.name, now) + PAUSED_SECONDS:
            self.fault(f"{task} starts although it is paused")
        self.calls.add(task)

    def _in_order(self, topic: str, one: bytes, another: bytes) -> bool:
        ordering = self.ordering_of.get(topic) or self.ordering
        return ordering == "partition" or (ordering == "key" and one == another)

    def returned(self, task: Id, now: float, *, done: bool, remembered: bool) -> None:
        """The call is over. `done`: that is its outcome; `remembered`: and its partition was still the child's."""
        self.calls.discard(task)
        self.strange.discard(task)
        if done:
            self.outcome(task, now, remembered=remembered)

    def outcome(self, task: Id, now: float, *, remembered: bool) -> None:
        """The message has its outcome."""
        self.histories[task.name, task.epoch].done.setdefault(task.offset, now)
        parked = (task.name, task.offset) in self.ordered  # so it may be of its call or of its letter: nobody knows
        if remembered and not parked and task.name not in self.unseen:
            self.fresh[task] = now

    def promise(self, tasks: List[Id], records: int) -> List[bytes]:
        """What a call of these sends: so many values."""
        self.promises.append(Promise(tasks, records))
        return [f"{len(self.promises) - 1} {record}".encode() for record in range(records)]

    def promise_of(self, value: bytes) -> Promise:
        """That of this value."""
        return self.promises[int(value.split()[0])]

    def is_missing(self, value: bytes) -> bool:
        """Whether it was not stored yet."""
        return int(value.split()[1]) in self.promise_of(value).missing

    def failed(self, tasks: Iterable[Id]) -> None:
        """An attempt of these has failed by itself."""
        for task in tasks:
            self.failures[task] = self.failures.get(task, 0) + 1

    def kept(self, value: bytes) -> Tuple[Promise, bool]:
        """One of them is stored: of what call it is, and whether that was the last."""
        promise, record = self.promise_of(value), int(value.split()[1])
        last = promise.missing == {record}
        promise.missing.discard(record)
        return promise, last

    def dead_letter(self, task: Id, most_attempts: int, *, rejected: bool) -> None:
        """A dead letter is about to be stored."""
        if not rejected and (task.name, task.offset) not in self.ordered and self.failures.get(task, 0) < most_attempts:
            self.fault(f"{task} is a dead letter after {self.failures.get(task, 0)} failures of its own")

    def forgets(self, tasks: Iterable[Id]) -> None:
        """The slot need not remember that these are done."""
        for task in tasks:
            self.fresh.pop(task, None)

    def remembered(self, name: TopicPartition) -> List[Id]:
        """What the slot may remember as done, of the present epoch."""
        return [Id(name, self.epochs[name], offset) for offset in self.offsets(name, self.fresh)]

    def offsets(self, name: TopicPartition, fresh: Dict[Id, float]) -> List[int]:
        """The same of any slot."""
        return [task.offset for task in fresh if task.name == name and task.epoch == self.epochs[name]]

    # ---- the broker ----

    def committed(self, name: TopicPartition, offset: int, done: List[int]) -> None:
        """The broker has stored this offset, and a map that says what is done beyond it."""
        owed = self.owed(name)
        wrong = [each for each in owed if each < offset or each in done]
        if wrong:
            self.fault(f"{name}: committed {offset} {done} without an outcome of {wrong}")

    def believed(self, name: TopicPartition, offsets: List[int]) -> None:
        """The child takes these for done."""
        wrong = [offset for offset in self.owed(name) if offset in offsets]
        if wrong:
            self.fault(f"{name}: {wrong} are taken for done, and have no outcome")

    def late(self, name: TopicPartition, held: Set[int], since: float, now: float) -> None:
        """The broker holds these offsets of a partition that has been the child's `since` then, and could have been told
        more."""
        for task in self.remembered(name):
            if task.offset not in held:
                age = now - max(since, self.fresh[task])
                if age > self.patience:
                    self.fault(f"{task} is done for {age:.1f} s, and no commit says so")

    def missing(self) -> List[Id]:
        """What has no outcome yet."""
        return [Id(name, epoch, offset) for name, epoch in self.epochs.items() for offset in self.owed(name)]

    # ---- deaths ----

    def suspected(self, places: Set[Tuple[str, int, int]], noted: Optional[Set[Id]], called: Set[Id]) -> None:
        """A process names the messages that may have killed the one before: `noted` are those that its threads had in their
        hands, None: it ended by its own will; `called` those whose handler was running."""
        if noted is None:
            if places:
                self.fault(f"{places} are suspects, and nothing has died")
            return
        allowed = {(*task.name, task.offset) for task in noted}
        # A call whose message was parked goes on in vain, and may have its letter for an outcome.
        wanted = {(*task.name, task.offset) for task in called if (task.name, task.offset) not in self.ordered}
        if not wanted <= places <= allowed:
            self.fault(f"suspects are {places}, and what ran was {called}")


def _raise(text: str) -> None:
    raise AssertionError(text)
