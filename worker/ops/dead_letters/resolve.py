"""Replaying and dropping: the message first, then the marker that says so. Whoever is cut off in between replays the
message once more, and loses none."""

from __future__ import annotations

import contextlib
import getpass
import os
import signal
import socket
import sys
import time
from typing import Callable, Dict, Iterator, List, Mapping, Set

from kafka_worker.ops.dead_letters.cluster import Cluster, Stored
from kafka_worker.ops.dead_letters.letter import Letter, MessageId, history, iso
from kafka_worker.ops.dead_letters.plan import Action, Outgoing, Summary, batches, first_open, marker, reason_to_skip, replayed
from kafka_worker.ops.dead_letters.scope import Scope
from kafka_worker.ops.dead_letters.text import source
from kafka_worker.ops.dead_letters.turn import Turn
from kafka_worker.shared.configuration.words.dead_letter_flags import DeadLetterRequest, LetterId
from kafka_worker.shared.output.streams import complain, show, tell

PROGRESS_SECONDS = 5.0


class Resolver:
    """One replay, or one drop."""

    def __init__(self, cluster: Cluster, wanted: DeadLetterRequest, topics: Mapping[str, List[int]]) -> None:
        """`topics`: all there are, with their partitions."""
        self._cluster = cluster
        self._wanted = wanted
        self._topics = topics
        self._by = f"{_user()}@{socket.gethostname()}"
        self._resolved: Set[LetterId] = set()  # by us, in one scope
        self._summary = Summary(Action.REPLAYED if wanted.action == "replay" else Action.DROPPED, wanted.dry_run)
        self._progress_at = time.monotonic() + PROGRESS_SECONDS

    def run(self, scopes: List[Scope]) -> int:
        """How many things could not be done. What was done is told in any case."""
        failed = 0
        chosen = self._wanted.places or self._wanted.filtered or self._wanted.all
        try:
            for scope in scopes:
                self._resolved = set()
                problems = self._resolve(scope) if chosen else 0
                if self._wanted.purge and not problems:  # it would free what another says by which he has the turn
                    problems = self._purge(scope)
                failed += problems
        finally:
            show(str(self._summary))
        return failed + self._summary.failed

    def _resolve(self, scope: Scope) -> int:
        """Do it, when it is our turn; 1: it was not, or not for long enough."""
        if self._wanted.dry_run:
            self._work(scope, lambda: False)
            return 0
        skipped = self._summary.skipped.copy()
        if next(self._to_do(scope), None) is None:
            return 0  # by a timer this may be so each minute, and each turn leaves two records
        self._summary.skipped = skipped
        turn = Turn(self._cluster, scope.name, scope.partitions[0], self._by)
        try:
            with _uninterrupted():
                problem = turn.begin()
            if problem:
                complain(f"{scope.name}: {problem}")
                self._cluster.topics()  # raises, when it is because there is no broker any more
                return 1
            scope.refresh()  # whoever had the turn before us has resolved some
            self._work(scope, turn.passed)
        finally:
            with _uninterrupted():
                turn.end()
        if turn.passed():
            complain(f"{scope.name}: given up, because this was held up, and another may have begun since. Begin again")
        return int(turn.passed())

    def _work(self, scope: Scope, is_over: Callable[[], bool]) -> None:
        for batch in batches(self._to_do(scope)):
            if is_over():
                return
            with _uninterrupted():
                self._perform(scope, batch)

    def _to_do(self, scope: Scope) -> Iterator[Letter]:
        most = sys.maxsize if self._wanted.limit is None else self._wanted.limit
        left = most - self._summary.done - self._summary.failed
        for letter, resolution in scope.letters():
            if resolution is not None and not self._wanted.places:
                continue
            reason = reason_to_skip(letter, resolution, self._wanted)
            if reason:
                self._summary.skipped[reason] += 1
            elif left > 0:
                left -= 1
                yield letter

    def _perform(self, scope: Scope, batch: List[Letter]) -> None:
        """Do it to these letters, and count what came of it."""
        went: Dict[LetterId, Stored] = self._replay(batch) if self._wanted.action == "replay" else {}
        problems = {place: each.problem for place, each in went.items()}
        good = [letter for letter in batch if not problems.get(letter.place)]
        if not self._wanted.dry_run:
            places = {place: (each.partition, each.offset) for place, each in went.items() if each.offset >= 0}
            problems.update(self._mark(good, places))
        for letter in batch:
            self._tell(scope, letter, problems.get(letter.place, ""))
        if self._summary.failed and not good:
            self._cluster.topics()  # raises, when it is because there is no broker any more
        if time.monotonic() >= self._progress_at:
            self._progress_at = time.monotonic() + PROGRESS_SECONDS
            complain(f"so far: {self._summary}")

    def _replay(self, batch: List[Letter]) -> Dict[LetterId, Stored]:
        """What became of it, by letter."""
        planned = {letter.place: replayed(letter, self._topics) for letter in batch}
        went = {place: Stored(plan) for place, plan in planned.items() if isinstance(plan, str)}
        ready = {place: plan for place, plan in planned.items() if isinstance(plan, Outgoing)}
        if not self._wanted.dry_run:
            went.update(zip(ready, self._cluster.store(list(ready.values()))))
        return went

    def _mark(self, letters: List[Letter], went: Mapping[LetterId, MessageId]) -> Dict[LetterId, str]:
        """Store the markers of these letters, whose messages went to these places. What went wrong, by letter."""
        note = "it was replayed, but that could not be noted: " if self._summary.action is Action.REPLAYED else ""
        now = iso(time.time())
        markers = [marker(letter, self._summary.action, now, self._by, went.get(letter.place)) for letter in letters]
        stored = zip(letters, self._cluster.store(markers))
        return {letter.place: note + each.problem for letter, each in stored if each.problem}

    def _tell(self, scope: Scope, letter: Letter, problem: str) -> None:
        line = "{} {}:{}: ".format(scope.name, *letter.place)
        if problem:
            self._summary.failed += 1
            complain(line + problem)
            return
        self._summary.done += 1
        self._resolved.add(letter.place)
        if self._summary.dry:
            tell(line + f"would be {self._summary.action.value}, from {source(letter)}")

    def _purge(self, scope: Scope) -> int:
        """Free what lies in front of the first open letter; how often that was refused. Letters and markers have come since
        the command began, so the topic is read anew. What says by now who else is at work is not freed: it is behind that, or
        keeps us from it."""
        ranges = scope.now()
        known = self._resolved.union(history(self._cluster.read(scope.name, ranges)).resolutions)
        lowest = first_open(self._cluster.read(scope.name, ranges), known, ranges)
        useless = {number: offset for number, offset in lowest.items() if offset > ranges[number][0]}
        for number, offset in useless.items():
            verb = "would free" if self._wanted.dry_run else "frees"
            tell(f"{scope.name}[{number}]: {verb} everything below offset {offset}")
        if self._wanted.dry_run or not useless:
            return 0
        first = scope.partitions[0]
        other = Turn(self._cluster, scope.name, first, self._by).taken(ranges[first][1])
        if other:
            complain(f"{scope.name}: nothing was freed, because letters of it are being replayed or dropped since {other}")
            return 1
        problems = self._cluster.delete_before(scope.name, useless)
        for problem in problems:
            complain(f"nothing was freed: {problem}")
        return len(problems)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits, and so does all else that a terminal sends, also when it is closed: between a message that is replayed
    and the marker that says so, it would have it replayed again. And a turn that is not given back is waited for."""
    signals = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return f"uid {os.getuid()}"
