"""Orders outlive the service in a file, whose faults end nothing."""

from __future__ import annotations

import os
import pwd
import threading
from pathlib import Path

import pytest

from kafka_worker.shared.system import runtime_files
from kafka_worker.supervision.aside import PATIENCE_SECONDS, Aside
from kafka_worker.supervision.callers import orders_file
from kafka_worker.supervision.callers.orders_file import AGAIN_SECONDS, LOOK_SECONDS
from tests.support.eventually import eventually
from tests.unit.supervision.callers.ordering import THREE, Bench

DAMAGED = [b"", b"{", b'{"version": 1, "orders": [7]}', b"\xff\xfe", b"[" * 200_000]


@pytest.mark.parametrize("content", DAMAGED)
def test_a_damaged_file_is_told_and_put_aside_by_the_next_order(bench: Bench, content: bytes) -> None:
    path = Path(runtime_files.prepare_state(bench.settings)) / "orders.json"
    path.write_bytes(content)
    bench.start()
    conditions = bench.standing.conditions()
    bench.order("pause", THREE)

    assert bench.places == ["orders/5"]
    assert [condition.kind for condition in conditions] == ["orders"]
    assert bench.standing.conditions() == []
    assert path.with_name("orders.json.damaged").read_bytes() == content


def test_what_can_not_be_kept_is_in_force_and_told_and_kept_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(runtime_files, "replace", full)
        answer = bench.order("pause", THREE)
    heard = bench.heard()
    conditions = bench.standing.conditions()
    bench.now += AGAIN_SECONDS
    bench.heard()
    late = bench.standing.conditions()
    bench.start()

    assert "No space left" in (answer or {})["problem"]
    assert len(heard) == 1
    assert (len(conditions), late) == (1, [])
    assert bench.places == ["orders/5"]


def test_neither_a_disk_nor_a_list_of_users_that_does_not_answer_is_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(runtime_files, "replace", lambda *_: answers.wait(10))
    monkeypatch.setattr(pwd, "getpwuid", lambda _: answers.wait(10) and pwd.struct_passwd(("late", *range(6))))
    bench.start(Aside("orders", lambda: bench.now))
    answer = bench.order("pause", THREE)
    heard = bench.heard()
    for _ in range(4):
        bench.now += PATIENCE_SECONDS / 4
        bench.heard()
    silent = bench.later() or {}
    answers.set()

    assert (answer, len(heard)) == (None, 1), "it is in force"
    assert silent["problem"].endswith("orders.json does not answer")
    assert bench.standing.orders[0].by == f"uid-{os.getuid()}@host-a"
    eventually(lambda: bench.heard() or not bench.standing.conditions(), 5, "it answers again")


def test_nothing_starts_without_the_orders_of_before(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    monkeypatch.setattr(orders_file, "START_SECONDS", 0.01)
    monkeypatch.setattr(orders_file, "_read", lambda _: answers.wait(10))

    with pytest.raises(TimeoutError, match=r"orders\.json does not answer"):
        bench.start()
    answers.set()


def test_a_damaged_file_that_somebody_removes_keeps_no_order_from_being_kept(bench: Bench) -> None:
    path = Path(runtime_files.prepare_state(bench.settings)) / "orders.json"
    path.write_bytes(DAMAGED[0])
    bench.start()
    path.unlink()
    answer = bench.order("pause", THREE)
    bench.start()

    assert answer == {"here": 1, "former": [], "problem": ""}
    assert bench.places == ["orders/5"]


def test_orders_of_before_are_told_by_what_they_order(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", logger="kafka_worker")
    bench.order("pause", THREE)
    bench.order("park", {**THREE, "offset": 150})
    caplog.clear()
    bench.start()

    assert [vars(each)["event"] for each in caplog.records] == ["paused", "park-ordered"]


def test_a_file_that_is_taken_away_is_made_anew(bench: Bench) -> None:
    bench.order("pause", THREE)
    (Path(runtime_files.prepare_state(bench.settings)) / "orders.json").unlink()
    bench.now += LOOK_SECONDS
    bench.heard()
    bench.start()

    assert bench.places == ["orders/5"]


def test_a_link_in_place_of_the_file_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    bench.order("pause", THREE)
    path = Path(runtime_files.prepare_state(bench.settings)) / "orders.json"
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    bench.start()

    assert (bench.places, len(bench.standing.conditions())) == ([], 1)
