"""How many cores we may use, read from control groups as they look on real machines."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Dict, Optional

import pytest

from kafka_worker.shared.system import machine

if TYPE_CHECKING:
    from pathlib import Path

V2_LINE = "0::/system.slice/orders.service\n"
V1_LINES = "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n"


def tree(root: Path, files: Dict[str, str]) -> str:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        pytest.param({}, None, id="no control groups at all"),
        pytest.param({"proc/self/cgroup": V2_LINE}, None, id="a group without the cpu controller"),
        pytest.param(
            {
                "proc/self/cgroup": V2_LINE,
                "sys/fs/cgroup/system.slice/orders.service/cpu.max": "max 100000\n",
            },
            None,
            id="v2, no limit",
        ),
        pytest.param(
            {
                "proc/self/cgroup": V2_LINE,
                "sys/fs/cgroup/system.slice/orders.service/cpu.max": "150000 100000\n",
            },
            1.5,
            id="v2, one and a half",
        ),
        pytest.param(
            {
                "proc/self/cgroup": V2_LINE,
                "sys/fs/cgroup/system.slice/orders.service/cpu.max": "400000 100000\n",
                "sys/fs/cgroup/system.slice/cpu.max": "200000 100000\n",
            },
            2,
            id="v2, the group above is tighter",
        ),
        pytest.param(
            {"proc/self/cgroup": "0::/../outside\n", "sys/fs/cgroup/cpu.max": "50000 100000\n"},
            0.5,
            id="v2 in a container that does not see its own folder",
        ),
        pytest.param(
            {
                "proc/self/cgroup": V1_LINES,
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "300000\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            3,
            id="v1, limited below an unlimited root",
        ),
        pytest.param(
            {
                "proc/self/cgroup": V1_LINES,
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            2.5,
            id="v1 in a container, mounted as cpu",
        ),
        pytest.param(
            {
                "proc/self/cgroup": "1:name=systemd:/x\n" + V2_LINE,
                "sys/fs/cgroup/unified/cpu.max": "100000 100000\n",
            },
            1,
            id="v1 and v2 mixed",
        ),
        pytest.param(
            {"proc/self/cgroup": V2_LINE, "sys/fs/cgroup/cpu.max": "rubbish\n"},
            None,
            id="an unreadable limit",
        ),
    ],
)
def test_the_tightest_quota_of_all_groups_above_us_counts(
    tmp_path: Path, files: Dict[str, str], quota: Optional[float]
) -> None:
    assert machine.cpu_quota(tree(tmp_path, files)) == quota


@pytest.mark.parametrize(("ours", "above", "limit"), [("max", "max", None), ("max", "4096", 4096), ("8192", "4096", 4096)])
def test_so_does_the_tightest_limit_of_memory(tmp_path: Path, ours: str, above: str, limit: Optional[int]) -> None:
    groups = {"service/memory.max": f"{ours}\n", "memory.max": f"{above}\n"}
    root = tree(
        tmp_path, {"proc/self/cgroup": "0::/service\n", **{f"sys/fs/cgroup/{name}": text for name, text in groups.items()}}
    )

    assert machine.memory_quota(root) == limit


@pytest.mark.parametrize(("quota", "cores"), [("20000", 1), ("150000", 2), ("1000000", 3), ("max", 3)])
def test_cores_are_the_smaller_of_affinity_and_the_quota_rounded_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1, 2}, raising=False)
    root = tree(tmp_path, {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": f"{quota} 100000\n"})

    assert machine.usable_cores(root) == cores


def test_that_memory_ran_out_is_known_for_a_while(tmp_path: Path) -> None:
    counts = tmp_path / "proc" / "vmstat"
    counts.parent.mkdir()
    counts.write_text("pgfault 7\noom_kill 3\noom_kill_other 9\n")
    kills = machine.OomKills(str(tmp_path))
    kills.check(100.0)
    before = kills.lately(101.0)
    counts.write_text("pgfault 7\noom_kill 4\n")

    told = [kills.lately(second) for second in (102.0, 108.0)]
    for second in range(109, 125):
        kills.check(float(second))

    assert (before, told, kills.lately(125.0)) == (False, [True, True], False)


def test_a_machine_that_does_not_tell_has_not_run_out_of_memory(tmp_path: Path) -> None:
    assert not machine.OomKills(str(tmp_path)).lately(100.0)
