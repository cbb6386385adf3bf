"""What a module of a user's may have changed while it was imported: what is a fault, and what is put back."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
import time
from types import ModuleType
from typing import Any, Callable, Iterator
from unittest.mock import Mock

import pytest

from kafka_worker.shared.system import surroundings
from kafka_worker.shared.system.surroundings import Surroundings

START_THREAD = "_start_joinable_thread" if sys.version_info >= (3, 13) else "_start_new_thread"  # that `threading` calls


class Greenlet(threading.Thread):
    """Runs where it is started, as one does."""

    def start(self) -> None:
        self.run()


def forbidden(*_: Any) -> None:
    raise RuntimeError("not here")


@pytest.fixture
def interpreter() -> Iterator[None]:
    """Its settings are afterwards as they were."""
    before = sys.getswitchinterval(), sys.getrecursionlimit()
    yield
    sys.setswitchinterval(before[0])
    sys.setrecursionlimit(before[1])
    threading.stack_size(0)


@pytest.mark.parametrize(
    ("owner", "name", "by", "told"),
    [
        (threading, "Thread", Greenlet, "replaces threads"),
        (threading, "Thread", forbidden, "replaces threads"),
        (time, "monotonic", lambda: 0.0, "replaces clocks"),
        (time, "time", lambda: 0.0, "replaces clocks"),
        (socket, "socketpair", forbidden, "replaces sockets"),
    ],
)
def test_what_our_threads_rely_on_and_is_replaced_is_a_fault_but_in_a_process_where_they_do_not_run(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, by: Callable[..., Any], told: str
) -> None:
    before = Surroundings()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, by)
        (fault,), none = before.faults(apart=False), before.faults(apart=True)
        assert Surroundings().faults(apart=False) == []  # it was another module that did it

    assert fault.startswith(told)
    assert "ISOLATION=process" in fault
    assert none == []
    assert before.faults(apart=False) == []


@pytest.mark.parametrize(
    ("owner", "name", "lack"),
    [
        (threading, START_THREAD, RuntimeError("can't start new thread")),
        (socket, "socketpair", OSError(errno.EMFILE, "Too many open files")),
        (socket, "socketpair", MemoryError()),
    ],
)
def test_what_there_is_no_room_for_on_the_machine_is_not_taken_for_replaced(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, lack: Exception
) -> None:
    before = Surroundings()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, Mock(side_effect=lack))
        assert before.faults(apart=False) == []


@pytest.mark.parametrize("taken", [True, False])
def test_descriptors_that_are_closed_or_lead_elsewhere_are_a_fault_everywhere(
    monkeypatch: pytest.MonkeyPatch, taken: bool
) -> None:
    one, other = os.pipe()
    before = Surroundings()
    monkeypatch.setitem(sys.modules, "a_module_of_a_user", ModuleType("a_module_of_a_user"))
    os.close(one)
    if taken:
        assert os.open(os.devnull, os.O_RDONLY) == one

    assert before.faults(apart=True) == [f"closes descriptors that are not its own ({one})"]

    for number in (one, other) if taken else (other,):
        os.close(number)


def test_descriptors_that_are_closed_while_no_module_is_imported_are_nobodys_fault() -> None:
    """In a test run what earlier tests have left is collected at any moment."""
    one, other = os.pipe()
    before = Surroundings()
    os.close(one)

    assert before.faults(apart=False) == []

    os.close(other)


def test_files_that_are_opened_are_no_fault() -> None:
    before = Surroundings()
    with open(os.devnull, "rb"):
        assert before.faults(apart=False) == []


def test_another_user_could_not_use_the_files_of_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    before = Surroundings()
    monkeypatch.setattr(os, "geteuid", lambda: 12345)

    assert before.faults(apart=True) == [
        "changes the user, who can't use the files of the service then: start it as that user"
    ]


@pytest.mark.usefixtures("interpreter")
def test_settings_of_the_interpreter_that_are_in_our_way_are_put_back() -> None:
    before = sys.getswitchinterval(), sys.getrecursionlimit()
    sys.setswitchinterval(1000)
    sys.setrecursionlimit(200)
    threading.stack_size(32768)

    surroundings.after_import()

    assert (sys.getswitchinterval(), sys.getrecursionlimit()) == before
    assert threading.stack_size() == surroundings.SMALLEST_STACK


@pytest.mark.usefixtures("interpreter")
def test_settings_of_the_interpreter_that_a_handler_needs_are_left() -> None:
    sys.setswitchinterval(0.001)
    sys.setrecursionlimit(5000)
    threading.stack_size(64 << 20)

    surroundings.after_import()

    assert (sys.getswitchinterval(), sys.getrecursionlimit(), threading.stack_size()) == (0.001, 5000, 64 << 20)
