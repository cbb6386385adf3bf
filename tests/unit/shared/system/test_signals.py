from __future__ import annotations

import os
import select
import signal
from typing import Iterator

import pytest

from kafka_worker.shared.system import signals
from kafka_worker.shared.system.signals import SignalInbox

OURS = [signal.SIGUSR1, signal.SIGUSR2]


@pytest.fixture(autouse=True)
def _reactions() -> Iterator[None]:
    """Puts the process's reactions back."""
    before = {number: signal.getsignal(number) for number in OURS}
    descriptor = signal.set_wakeup_fd(-1)
    yield
    signals._NOTED.clear()
    signals._FORMER.clear()
    signals._INBOXES.clear()
    signal.set_wakeup_fd(descriptor)
    for number, reaction in before.items():
        signal.signal(number, reaction)


@pytest.fixture
def inbox() -> Iterator[SignalInbox]:
    made = SignalInbox(OURS)
    yield made
    made.close()


def test_signals_come_as_numbers_in_order_and_once(inbox: SignalInbox) -> None:
    for number in (*OURS, signal.SIGUSR1):
        signal.raise_signal(number)

    assert inbox.take() == [signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1]
    assert inbox.take() == []


def test_a_signal_wakes_a_selector(inbox: SignalInbox) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)

    assert select.select([inbox], [], [], 5.0)[0] == [inbox]


def test_after_an_import_ours_are_in_their_place_and_what_a_users_reaction_raises_ends_nothing(inbox: SignalInbox) -> None:
    number, other = OURS
    given, child = signal.getsignal(signal.SIGCHLD), signal.SIGCHLD
    seen = []

    def ring(*_: object) -> None:
        seen.append(1)
        raise TimeoutError

    before = signals.reactions()
    before[other] = signal.SIG_DFL  # the inbox has no part in it
    signal.signal(number, ring)
    signal.signal(other, ring)
    signal.signal(child, signal.SIG_IGN)

    signals.keep(before, tame=True)

    for each in (number, other, other):
        signal.raise_signal(each)
    assert number in inbox.take()
    assert (seen, signals.raised(), signals.raised()) == ([1, 1], ["SIGUSR2: TimeoutError"], [])
    assert signal.getsignal(child) == given


def test_where_the_handler_has_the_main_thread_its_reactions_may_raise() -> None:
    def ring(*_: object) -> None:
        raise TimeoutError

    before = signals.reactions()
    signal.signal(OURS[0], ring)

    signals.keep(before, tame=False)

    with pytest.raises(TimeoutError):
        signal.raise_signal(OURS[0])


def test_a_flood_of_signals_blocks_nobody(inbox: SignalInbox) -> None:
    for _ in range(5000):
        signal.raise_signal(signal.SIGUSR1)

    assert set(inbox.take()) == {signal.SIGUSR1}


def test_what_came_before_the_inbox_is_in_it() -> None:
    signals.note(*OURS)
    for number in (signal.SIGUSR2, signal.SIGUSR2):
        signal.raise_signal(number)

    assert signals.noted() == [signal.SIGUSR2, signal.SIGUSR2]
    made = SignalInbox(OURS)
    assert select.select([made], [], [], 5.0)[0] == [made]
    assert made.take() == [signal.SIGUSR2, signal.SIGUSR2]
    made.close()


def test_what_was_noted_and_nobody_wants_has_its_usual_effect() -> None:
    heard = []
    signal.signal(signal.SIGUSR1, lambda number, _frame: heard.append(number))
    signals.note(*OURS)
    signal.raise_signal(signal.SIGUSR1)
    assert heard == []

    SignalInbox([signal.SIGUSR2]).close()
    signal.raise_signal(signal.SIGUSR1)

    assert heard == [signal.SIGUSR1, signal.SIGUSR1]
