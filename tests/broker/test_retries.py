"""What fails is tried again, later, and holds up neither a thread nor the poll loop meanwhile."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Callable

import pytest

from tests.support.eventually import eventually
from tests.support.messages import message

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.engine import Engine
    from tests.support.service import Service

SECONDS = 30.0
DRAIN_SECONDS = 30.0
AT_ONCE = 8.0  # seconds, for a process to end on a busy machine; measured: 0.5
TROUBLES = ["raise", "system_exit", "keyboard_interrupt", "recurse", "unprintable"]


def test_what_fails_twice_and_then_works_sees_attempts_1_2_and_3_and_is_no_dead_letter(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=1)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    admin.produce(name, [message("unlucky", trouble="raise", times=2).row])

    running = engine(name, group, max_attempts=3, retry_backoff_seconds=0.2).start()

    admin.wait_committed(group, name)
    assert running.ledger.attempts("unlucky") == [1, 2, 3]
    assert running.ledger.done() == ["unlucky"]
    assert admin.records(letters) == []
    starts = [entry.at for entry in running.ledger.of("start")]
    assert starts[1] - starts[0] >= 0.2
    assert starts[2] - starts[1] >= 0.4  # the wait doubles


def test_a_handler_says_by_what_it_raises_when_to_try_again_and_when_never(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=1)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    admin.produce(name, [message("hopeless", key="a", trouble="reject").row])
    admin.produce(name, [message("busy", key="b", trouble="later", times=1).row])

    running = engine(name, group, max_attempts=5, retry_backoff_seconds=600.0, retry_backoff_max_seconds=600.0).start()

    admin.wait_committed(group, name)
    assert running.ledger.attempts("hopeless") == [1]
    assert running.ledger.attempts("busy") == [1, 2]
    first, second = (entry.at for entry in running.ledger.of("start") if entry.id == "busy")
    assert second - first >= 1.0
    (letter,) = admin.records(letters)
    assert dict(letter.headers or [])["dead-letter.error"] == b"Reject: message hopeless says so"


def test_classes_of_errors_and_the_time_since_the_first_failure_decide_what_is_tried_again(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=1)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    admin.produce(name, [message(each, key=each, trouble=each).row for each in ("raise", "system_exit", "keyboard_interrupt")])

    running = engine(
        name, group, max_attempts=5, retry_backoff_seconds=0.4, retry_max_age_seconds=1.0,
        retryable_errors=("TroubleError", "SystemExit"), fatal_errors=("tests.support.handlers.TroubleError",),
    ).start()  # fmt: skip

    admin.wait_committed(group, name)
    tried = {each: running.ledger.attempts(each) for each in ("raise", "system_exit", "keyboard_interrupt")}
    # The waits of the retryable one are 0.4 s, and 0.8 s that would end too late.
    assert tried == {"raise": [1], "system_exit": [1, 2], "keyboard_interrupt": [1]}
    told = {(letter.key or b"").decode(): dict(letter.headers) for letter in admin.records(letters)}
    assert {each: headers["dead-letter.attempts"] for each, headers in told.items()} == {
        "raise": b"1", "system_exit": b"2", "keyboard_interrupt": b"1",
    }  # fmt: skip
    assert told["raise"]["dead-letter.error-class"] == b"tests.support.handlers.TroubleError"
    assert b"in _trouble" in bytes(told["raise"]["dead-letter.traceback"] or b"")  # type: ignore[arg-type]
    assert told["raise"]["dead-letter.slot"] == b"0"


def test_whatever_a_handler_raises_it_is_tried_max_attempts_times_and_the_process_survives(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    name = topic(partitions=1)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    admin.produce(name, [message(trouble, key=trouble, trouble=trouble).row for trouble in TROUBLES])
    admin.produce(name, [message("good").row])
    env = {"MAX_ATTEMPTS": "3", "RETRY_BACKOFF_SECONDS": "0.1"}
    running = service(name, group, processes=1, env=env).start()
    before = running.wait_ready(partitions=1).children()

    admin.wait_committed(group, name)

    assert {trouble: running.ledger.attempts(trouble) for trouble in TROUBLES} == {trouble: [1, 2, 3] for trouble in TROUBLES}
    assert running.ledger.done() == ["good"]
    headers = {(letter.key or b"").decode(): dict(letter.headers) for letter in admin.records(letters)}
    assert set(headers) == set(TROUBLES)
    assert {each["dead-letter.attempts"] for each in headers.values()} == {b"3"}
    assert headers["raise"]["dead-letter.error"] == b"TroubleError: message raise says so"
    assert headers["unprintable"]["dead-letter.error"] == b"UnprintableError: (its text raised SystemExit)"
    assert running.children() == before
    assert "--- Logging error ---" not in running.log


def test_a_message_that_waits_for_its_retry_holds_no_thread_and_not_the_poll(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine]
) -> None:
    name = topic(partitions=1)
    admin.produce(name, [message("failing", key="failing", trouble="raise", times=1).row])
    admin.produce(name, [message(str(number), key="others", sleep_ms=5).row for number in range(100)])

    running = engine(name, group, threads=1, retry_backoff_seconds=3.0).start()
    eventually(lambda: running.ledger.of("fail"), SECONDS, "the first attempt has failed")
    turns = set()

    def tried_again() -> bool:
        turns.add(running.loop.turned_at)
        return len(running.ledger.attempts("failing")) == 2

    eventually(tried_again, SECONDS, "it is tried again")
    failed = running.ledger.of("fail")[0]
    again = [entry for entry in running.ledger.of("start") if entry.id == "failing"][1]
    assert again.at - failed.at >= 3.0
    assert sum(failed.at < entry.at < again.at for entry in running.ledger.of("end")) == 100
    pauses = sorted(turns)
    assert max(later - earlier for earlier, later in zip(pauses, pauses[1:])) < 1.0
    admin.wait_committed(group, name)
    assert running.ledger.attempts("failing") == [1, 2]


def test_a_stop_does_not_wait_for_a_far_retry_and_the_message_runs_again_afterwards(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    name = topic(partitions=1)
    admin.produce(name, [message("before").row])
    admin.produce(name, [message("failing", key="failing", trouble="raise", times=1).row])
    admin.produce(name, [message(f"behind-{number}").row for number in range(5)])
    env = {"RETRY_BACKOFF_SECONDS": "3600", "RETRY_BACKOFF_MAX_SECONDS": "86400", "DRAIN_SECONDS": str(DRAIN_SECONDS)}
    running = service(name, group, processes=1, env=env).start()
    eventually(lambda: len(running.ledger.done()) == 6, SECONDS, "all but the failing one are done")

    asked = time.monotonic()
    running.terminate()
    code = running.wait(DRAIN_SECONDS)

    assert time.monotonic() - asked < AT_ONCE
    assert code == 0
    assert admin.committed(group, name) == {0: 1}  # up to the failing one
    running.start()
    admin.wait_committed(group, name)
    assert running.ledger.attempts("failing") == [1, 1]
    assert "failing" in running.ledger.done()


@pytest.mark.parametrize("ordering", ["key", "none"])
def test_nothing_behind_a_waiting_retry_is_committed(
    admin: Admin, topic: Callable[..., str], group: str, engine: Callable[..., Engine], ordering: str
) -> None:
    name = topic(partitions=1)
    admin.produce(name, [message("0").row, message("1", key="failing", trouble="raise", times=1).row])
    admin.produce(name, [message(str(number)).row for number in range(2, 50)])

    running = engine(name, group, ordering=ordering, retry_backoff_seconds=1.5, commit_interval_seconds=0.05).start()

    seen = set()
    while running.ledger.attempts("1") != [1, 2]:
        seen.add(admin.committed(group, name)[0])
    assert seen <= {None, 0, 1}
    assert 1 in seen
    admin.wait_committed(group, name)
