from __future__ import annotations

import os
import select
import signal
from typing import Iterator

import pytest

from kafka_worker.shared.system.signals import SignalInbox, ignore

OURS = [signal.SIGUSR1, signal.SIGUSR2]


@pytest.fixture(autouse=True)
def _reactions() -> Iterator[None]:
    """Puts the process's reactions back."""
    before = {number: signal.getsignal(number) for number in OURS}
    descriptor = signal.set_wakeup_fd(-1)
    yield
    signal.set_wakeup_fd(descriptor)
    for number, reaction in before.items():
        signal.signal(number, reaction)


@pytest.fixture
def inbox() -> Iterator[SignalInbox]:
    made = SignalInbox(OURS)
    yield made
    signal.set_wakeup_fd(-1)
    made._reader.close()
    made._writer.close()


def test_signals_come_as_numbers_in_order_and_once(inbox: SignalInbox) -> None:
    for number in (*OURS, signal.SIGUSR1):
        signal.raise_signal(number)

    assert inbox.take() == [signal.SIGUSR1, signal.SIGUSR2, signal.SIGUSR1]
    assert inbox.take() == []


def test_a_signal_wakes_a_selector(inbox: SignalInbox) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)

    assert select.select([inbox], [], [], 5.0)[0] == [inbox]


def test_a_flood_of_signals_blocks_nobody(inbox: SignalInbox) -> None:
    for _ in range(5000):
        signal.raise_signal(signal.SIGUSR1)

    assert set(inbox.take()) == {signal.SIGUSR1}


def test_ignored_signals_do_nothing(inbox: SignalInbox) -> None:
    ignore(*OURS)

    signal.raise_signal(signal.SIGUSR2)

    assert inbox.take() == []
