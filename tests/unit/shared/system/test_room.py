"""What there is room for: limits that are raised, refused, and named when a process has died of them."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest

from kafka_worker.shared.system import room
from tests.unit.fakes import some_settings
from tests.unit.shared.system.test_machine import tree

NONE = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
PIDS = {"proc/self/cgroup": "8:pids:/orders\n", "sys/fs/cgroup/pids/orders/pids.max": "20\n"}
V2 = {"proc/self/cgroup": "0::/orders\n", "sys/fs/cgroup/orders/pids.max": "20\n"}


def limits(patch: pytest.MonkeyPatch, **given: Tuple[int, int]) -> List[Tuple[int, Tuple[int, int]]]:
    """No other limits than these, by their names; what they are set to."""
    by_number = {getattr(resource, name): pair for name, pair in given.items()}
    set_to: List[Tuple[int, Tuple[int, int]]] = []
    patch.setattr(resource, "getrlimit", lambda what: by_number.get(what, NONE))
    patch.setattr(resource, "setrlimit", lambda what, wanted: set_to.append((what, wanted)))
    patch.setattr(os, "getuid", lambda: 1000)
    return set_to


@pytest.mark.parametrize(
    ("pair", "raised", "fault"),
    [
        ((1024, 4096), None, False),
        ((70, 4096), 76, False),
        ((10, 10), None, True),
        ((10, resource.RLIM_INFINITY), 76, False),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), None, False),
    ],
)
def test_the_limit_of_open_files_is_raised_as_far_as_needed_or_refused(
    pair: Tuple[int, int], raised: Optional[int], fault: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to = limits(monkeypatch, RLIMIT_NOFILE=pair)

    found = room.make(some_settings(processes=2))

    assert set_to == ([] if raised is None else [(resource.RLIMIT_NOFILE, (raised, pair[1]))])
    assert bool(found) is fault


@pytest.mark.parametrize(
    ("pair", "kept"),
    [((1024, 4096), []), ((200, 200), [192]), ((resource.RLIM_INFINITY, 200), [192]), (NONE, [])],
)
def test_a_few_of_the_files_that_may_be_open_are_kept_for_what_has_to_be_written(
    pair: Tuple[int, int], kept: List[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    set_to = limits(monkeypatch, RLIMIT_NOFILE=pair)

    room.keep_spare_files()

    assert set_to == [(resource.RLIMIT_NOFILE, (soft, pair[1])) for soft in kept]


@pytest.mark.parametrize(
    ("name", "limit", "fault"),
    [
        ("RLIMIT_NPROC", 21, "21 processes and threads are allowed, and 22 needed. Raise the limit (of this user"),
        ("RLIMIT_FSIZE", 1000, "1000 bytes of a file are allowed, and 1048576 needed. Raise the limit (ulimit -f"),
        ("RLIMIT_AS", 1000, None),
    ],
)
def test_what_is_too_little_in_any_case_is_refused_with_the_limit_and_what_is_needed(
    monkeypatch: pytest.MonkeyPatch, name: str, limit: int, fault: Optional[str]
) -> None:
    limits(monkeypatch, **{name: (limit, limit)})

    found = room.make(some_settings(processes=2, threads=4))

    assert [text[: len(fault or "")] for text in found] == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("files", "given", "named"),
    [
        (
            {**PIDS, "sys/fs/cgroup/pids/orders/pids.current": "11\n"},
            {},
            "20 processes and threads are allowed (of its",
        ),
        ({**V2, "sys/fs/cgroup/orders/pids.current": "11\n"}, {}, "20 processes and threads are allowed (of its"),
        ({**V2, "sys/fs/cgroup/orders/pids.current": "10\n"}, {}, ""),
        ({**V2, "sys/fs/cgroup/orders/pids.max": "max\n"}, {}, ""),
        ({"proc/loadavg": "1 1 1 3/95 7\n", "proc/sys/kernel/threads-max": "100\n"}, {}, "100 processes and threads are"),
        (
            {"proc/7/task/7/stat": "", "proc/7/task/8/stat": ""},
            {"RLIMIT_NPROC": (11, 11)},
            "11 processes and threads are",
        ),
        ({"proc/7/task/7/stat": ""}, {"RLIMIT_NPROC": (11, 11)}, ""),
        ({}, {"RLIMIT_AS": (600_000_000, 600_000_000)}, "for want of addresses: 600 MB"),
        ({}, {"RLIMIT_DATA": (60_000_000, 60_000_000)}, "60 MB are allowed (ulimit -d, LimitDATA= of"),
        ({}, {}, ""),
    ],
)
def test_what_a_process_may_have_died_of_is_named_with_its_limit_and_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: Dict[str, str], given: Any, named: str
) -> None:
    root = tree(tmp_path, {"proc/version": "", **files})
    limits(monkeypatch, **given)
    monkeypatch.setattr(os, "getuid", lambda: os.stat(root).st_uid or 1000)
    if os.stat(root).st_uid == 0:
        os.chown(f"{root}/proc/7", 1000, 1000) if "RLIMIT_NPROC" in given else None

    told = room.lack(some_settings(threads=4), f"{root}/")

    assert named in told
    assert bool(told) is bool(named)


def test_who_can_open_nothing_is_told_of_no_lack_of_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked when no process could be started, as for want of descriptors: the supervisor would end by it."""

    def none_left(_folder: str) -> List[str]:
        raise OSError(errno.EMFILE, "Too many open files")

    limits(monkeypatch, RLIMIT_NPROC=(11, 11))
    monkeypatch.setattr(os, "listdir", none_left)

    assert room.lack_of_threads(1, f"{tmp_path}/") == ""
