"""One command says what a partition stands still for, where that is and what lets go of it."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any, Callable, Dict

from tests.support.eventually import eventually
from tests.support.messages import message

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.admin import Admin
    from tests.support.service import Service

SECONDS = 30.0


def test_each_reason_for_which_a_partition_stands_still_is_named_in_turn(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service], tmp_path: Path
) -> None:
    """A task that takes long, with one behind its key; one that fails again and again; one that can't be stored."""
    name, long, again = topic(partitions=1), tmp_path / "long", tmp_path / "again"
    long.touch()
    again.touch()
    sent = [
        message("long", "a", 0, **{"trouble": "stay", "while": str(long)}),
        message("follower", "a"),
        message("again", "b", 0, **{"trouble": "later", "while": str(again)}),
        message("rejected", "c", trouble="reject"),
        message("done", "d"),
    ]
    admin.produce(name, [each.row for each in sent])
    running = service(name, group, processes=1, threads=2, env={"MAX_ATTEMPTS": "1000"}).start()

    def explained(*words: str) -> str:
        return running.command("explain", *words).stdout

    eventually(lambda: "is running" in explained(f"{name}/0"), SECONDS, "the long one runs")
    runs, follower, stacks = explained(f"{name}/0"), explained(f"{name}/0/1"), running.command("stacks", "0").stdout
    (pid,) = running.children().values()
    os.kill(pid, signal.SIGSTOP)
    silent = running.command("explain", f"{name}/0")
    os.kill(pid, signal.SIGCONT)
    long.unlink()
    eventually(lambda: "offset 2 waits for its next attempt" in explained(name), SECONDS, "what fails is named")
    again.unlink()
    eventually(lambda: "offset 3 waits to be stored" in explained(name), SECONDS, "what can't be stored is named")
    unstored = as_json(running, name)
    admin.create_topic(name + ".dlq", partitions=1)
    eventually(lambda: "nothing of it waits; committed 5" in explained(name), SECONDS, "all is done")

    assert runs.startswith(f"{name}/0 (slot 0, pid {pid}): committed")
    assert "  0: is running for" in runs
    assert "handlers.py:" in runs
    assert ": its end" in runs, "by what is told when it has run for some seconds (see the unit tests)"
    assert "1 waits for it, to keep the order" in runs, "a slow key is known by those behind it"
    assert "  1: is queued behind its key" in follower
    assert f"{name}[0] offset 0, for" in stacks
    assert "  consumer\n" in stacks
    assert (silent.returncode, "is running" in silent.stdout) == (0, True), "what the snapshot says is told without an answer"
    assert "a dead letter can't be stored in" in unstored["head"]["why"]
    assert unstored["done_beyond"] == 1


def as_json(running: Service, name: str) -> Dict[str, Any]:
    (case,) = json.loads(running.command("explain", name, "--json").stdout)
    return dict(case)
