"""A handler in a test is run as the service runs it, with a clock that the test turns."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List

import pytest

from kafka_worker import BatchError, Context, Reject, Retry, Send
from kafka_worker.handler.loading import HandlerError
from kafka_worker.shared.configuration.load import ConfigurationError
from kafka_worker.testing import NotAtRestError, TestWorker


class MuteError(Exception):
    def __getattribute__(self, _name: str) -> Any:
        raise SystemExit("whatever it is asked")


def fails(message: Any) -> None:
    kinds = {"reject": Reject, "retry": Retry, "value": ValueError, "key": KeyError, "mute": MuteError}
    raise kinds[message["how"]]("why")


def heard(context: Context) -> None:
    """Until it is told that it is cancelled."""
    while not context.cancelled:
        threading.Event().wait(0.001)


# ---- one message -------------------------------------------------------------------------------------------------------


def test_a_message_comes_to_its_handler_as_from_kafka_and_what_it_returns_is_produced() -> None:
    seen: List[Any] = []

    def handle(message: Any, context: Context) -> Send:
        seen.extend(
            [message, context.key, context.headers, context.topic, context.partition, context.timestamp, context.attempt]
        )
        return Send("prices", {"price": 3, "id": message["id"]}, key=context.key)

    with TestWorker(handle, kafka_topic="orders") as worker:
        result = worker.run({"id": 1}, key="k", headers={"trace": "t"}, partition=2, timestamp=1.5)

        assert result.done
        assert result.sent == worker.sent == [Send("prices", {"id": 1, "price": 3}, key="k")]
        assert result.sent != [Send("prices", {"id": 1, "price": 4}, key="k")]
        assert (result.sent[0].json["price"], repr(result.sent[0])) == (3, "Sent('prices', {'price': 3, 'id': 1}, key=b'k')")
    assert seen == [{"id": 1}, b"k", [("trace", b"t")], "orders", 2, 1.5, 1]


def test_a_topic_has_the_settings_that_a_file_gives_it(tmp_path: Path) -> None:
    file = tmp_path / "worker.toml"
    file.write_text("[topics.strict]\nmax_attempts = 1\nmax_message_bytes = 20\n")
    with TestWorker(fails, kafka_topic=["usual", "strict"], settings_file=str(file)) as worker:
        found = [worker.run(Send(topic, {"how": how})) for topic in ("usual", "strict") for how in ("value", "a" * 20)]

        assert [(each.attempts, each.dead_letter and each.dead_letter.reason) for each in found] == [
            (1, None), (1, None), (1, "attempts"), (1, "invalid"),
        ]  # fmt: skip


def test_values_take_the_way_over_bytes_and_a_tombstone_is_none() -> None:
    seen: List[Any] = []
    with TestWorker(seen.append) as worker:
        for value in ((1, "a"), '{"text": 1}', b"[2]", None, Send("Scenario-Execute", {"whole": True})):
            assert worker.run(value).done

    assert seen == [[1, "a"], {"text": 1}, [2], None, {"whole": True}]


@pytest.mark.parametrize("retry_topics", [[], ["1m"]])
def test_a_message_with_a_time_waits_until_the_clock_is_turned_to_it(retry_topics: List[str]) -> None:
    seen: List[Any] = []
    with TestWorker(seen.append, deliver_at_max_seconds=7200, retry_topics=retry_topics) as worker:
        result = worker.run(Send("Scenario-Execute", 1, deliver_at=time.time() + 3600))
        before = (result.state, result.attempts, list(seen))
        worker.advance(3590)
        nearly = list(seen)
        worker.advance(20)

        assert (before, nearly, seen) == (("scheduled", 0, []), [], [1])
        assert result.done


@pytest.mark.parametrize(
    ("value", "settings", "reason", "attempts", "error"),
    [
        ({"how": "reject"}, {}, "rejected", 1, "Reject: why"),
        (b"{", {}, "invalid", 1, "UndecodableError: JSONDecodeError"),
        ({"how": "value"}, {"max_message_bytes": 5}, "invalid", 1, "TooLongError: 15 bytes"),
        ({"how": "value"}, {"max_attempts": 1}, "attempts", 1, "ValueError: why"),
        ({"how": "value"}, {"max_attempts": 4}, "attempts", 4, "ValueError: why"),
        ({"how": "retry"}, {"max_attempts": 2}, "attempts", 2, "Retry: why"),
        ({"how": "key"}, {"fatal_errors": ["LookupError"]}, "fatal", 1, "KeyError: 'why'"),
        ({"how": "mute"}, {"max_attempts": 1}, "attempts", 1, "MuteError: why"),
    ],
)
def test_a_dead_letter_says_why_and_after_how_many_attempts(
    value: Any, settings: Dict[str, Any], reason: str, attempts: int, error: str
) -> None:
    with TestWorker(fails, **settings) as worker:
        result = worker.run(value, key="k")
        worker.finish()

        letter = result.dead_letter
        assert letter
        assert worker.dead_letters == [letter]
        assert (result.state, letter.topic, letter.reason, letter.key) == (
            "dead letter", "Scenario-Execute.dlq", reason, b"k",
        )  # fmt: skip
        assert (result.attempts, letter.error[: len(error)]) == (attempts, error)
        assert ("dead-letter.attempts", b"%d" % attempts) in letter.headers
        assert error.split(":", maxsplit=1)[0] in repr(result)


@pytest.mark.parametrize(
    ("at", "error"),
    [
        ("soon", "InvalidMessageError: its header deliver-at is not"),
        ("2999-01-01T00:00:00Z", "InvalidMessageError: the time of"),
    ],
)
def test_a_dead_letter_for_a_time_that_is_none_says_so_though_its_handler_was_not_called(at: str, error: str) -> None:
    with TestWorker(fails, deliver_at_max_seconds=60) as worker:
        result = worker.run({}, headers={"deliver-at": at})

        letter = result.dead_letter
        assert letter
        assert (result.attempts, letter.reason, letter.error[: len(error)]) == (0, "invalid", error)


def test_what_can_not_be_done_work_has_failed_as_it_has_in_the_service() -> None:
    def handle(_message: Any) -> Any:
        return [Send("a", 1), "no Send"]

    with TestWorker(handle, max_attempts=1) as worker:
        assert isinstance(worker.run({}).error, TypeError)


# ---- time ---------------------------------------------------------------------------------------------------------------


def test_next_attempts_come_when_the_clock_is_turned_and_others_of_the_key_wait() -> None:
    done: List[int] = []

    def handle(message: Any, context: Context) -> None:
        if message == 0 and context.attempt < 4:
            raise Retry(after=7) if context.attempt == 1 else OSError("busy")
        done.append(message)

    with TestWorker(handle, max_attempts=4, retry_backoff_seconds=10) as worker:
        first, second, other = (worker.run(number, key=key) for number, key in enumerate("aab"))

        assert (first.retrying, first.retry_in, second.state, done) == (True, 7.0, "behind-its-key", [2])
        assert other.done
        worker.advance(6)
        assert first.attempts == 1
        worker.advance(2)
        assert (first.attempts, first.retry_in) == (2, 20.0)
        worker.advance(100)  # both that are left, each at its time
        assert (first.done, first.attempts, second.done, done) == (True, 4, True, [2, 0, 1])
        assert [type(error) for error in first.errors] == [Retry, OSError, OSError]


def test_a_long_wait_goes_over_its_retry_topic_and_comes_back() -> None:
    def handle(_message: Any, context: Context) -> None:
        if context.attempt == 1:
            raise Retry(after=3600)

    with TestWorker(handle, kafka_topic="orders", retry_topics=["10m"]) as worker:
        result = worker.run({"id": 1}, key="k")
        assert (result.retrying, result.attempts) == (True, 1)
        worker.advance(3590)
        assert result.retrying
        worker.advance(20)

        assert (result.done, result.attempts, worker.results) == (True, 2, [result])


def test_a_call_is_told_at_its_first_time_limit_and_given_up_at_the_second() -> None:
    release = threading.Event()

    def handle(message: Any, context: Context) -> None:
        if message == "obeys":
            heard(context)
            raise TimeoutError("told to stop")
        release.wait(20)

    with TestWorker(handle, handler_timeout_seconds=5, handler_kill_seconds=20, max_attempts=1) as worker:
        obeys = worker.start('"obeys"')
        worker.advance(4)
        assert obeys.running
        worker.advance(2)
        worker.wait()
        assert (obeys.state, str(obeys.error)) == ("dead letter", "told to stop")

        blocks = worker.start('"blocks"')
        worker.advance(6)
        with pytest.raises(NotAtRestError, match=r"offset 1 runs in handler-0:(.|\n)*release.wait"):
            worker.wait(patience=0.02)
        worker.advance(15)
        worker.wait()
        assert (blocks.hung, blocks.running) == (True, True)
        release.set()


def test_a_breaker_holds_messages_in_an_outage_and_goes_on_when_the_clock_says_so() -> None:
    away = True

    def handle(_message: Any, context: Context) -> None:
        with context.dependency("payments"):
            if away:
                raise ConnectionError("away")

    with TestWorker(handle, breaker_min_calls=3, breaker_open_seconds=10, max_attempts=2) as worker:
        results = [worker.run(number) for number in range(6)]
        assert {result.state for result in results[3:]} == {"breaker"}
        began = worker.now()
        assert worker.finish() == results, "as long as the outage lasts"
        assert {result.state for result in results} == {"breaker"}
        assert worker.now() - began >= 10, "it has tried again"
        away = False
        assert worker.finish() == []
        assert [result.ended for result in results] == [True] * 6


AWAY = {"a", "b"}


def of_a(_message: Any) -> None:
    if "a" in AWAY:
        raise ConnectionError("away")


def of_b(_message: Any) -> None:
    raise ConnectionError("away")


def test_a_breaker_that_has_nothing_left_to_try_keeps_no_other_from_its_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: Dict[str, Any] = {"breaker_min_calls": 3, "breaker_probes": 5, "breaker_open_seconds": 10, "patience": 1}
    with TestWorker(handlers={"a": of_a, "b": of_b}, **settings) as worker:
        tried = [worker.run(number, topic="a") for number in range(3)]
        monkeypatch.setattr(f"{__name__}.AWAY", set())
        worker.advance(11)
        assert [result.done for result in tried] == [True] * 3, "too few to close it"

        waiting = [worker.run(number, topic="b") for number in range(4)]

        assert waiting[-1].state == "breaker"


# ---- handlers of every kind ---------------------------------------------------------------------------------------------


def test_a_batch_is_one_call_and_of_one_that_fails_as_a_whole_each_message_is_called_alone() -> None:
    calls: List[List[int]] = []

    def handle(messages: List[int]) -> Any:
        calls.append(messages)
        if 3 in messages:
            raise BatchError({messages.index(3): Reject("three")})
        if 7 in messages:
            raise ValueError("seven is bad")
        return Send("sums", sum(messages))

    with TestWorker(handle, max_attempts=1, batch_size=4) as worker:
        good = worker.run_all([1, 2])
        some = worker.run_all([3, 4])
        bad = worker.run_all([6, 7, 8])

        assert [result.done for result in [*good, *some, *bad]] == [True, True, False, True, True, False, True]
        assert calls == [[1, 2], [3, 4], [6, 7, 8], [6], [7], [8]]
        assert [sent.json for sent in worker.sent] == [3, 6, 8]
        assert [letter.reason for letter in worker.dead_letters] == ["rejected", "attempts"]
        assert (bad[0].errors, [str(error) for error in bad[1].errors]) == ([], ["seven is bad"])


def test_coroutines_run_as_in_the_service_many_at_once() -> None:
    running: List[int] = []
    most = 0

    async def handle(message: Any, context: Context) -> Send:
        nonlocal most
        running.append(message)
        most = max(most, len(running))
        await asyncio.sleep(0.01)
        running.remove(message)
        if message == 1 and context.attempt == 1:
            raise Retry(after=30)
        return Send("done", message)

    with TestWorker(handle) as worker:
        results = worker.run_all([0, 1, 2])
        assert (most, results[1].retry_in) == (3, 30.0)
        worker.advance(31)
        assert sorted(sent.json for sent in worker.sent) == [0, 1, 2]


def test_each_topic_has_its_handler_and_what_one_sends_to_another_is_handled_too() -> None:
    handlers = f"orders={__name__}:forwarding,^paid-.*={__name__}:ending"
    with TestWorker(handlers=handlers) as worker:
        result = worker.run({"id": 1}, topic="orders")

        assert result.sent == [Send("paid-eu", {"id": 1})]
        assert [(each.topic, each.state) for each in worker.results] == [("orders", "done"), ("paid-eu", "dead letter")]
        with pytest.raises(ValueError, match="the service does not consume others, but orders"):
            worker.run({}, topic="others")


def forwarding(message: Any) -> Send:
    return Send("paid-eu", message)


def ending(_message: Any) -> None:
    raise Reject("the end")


# ---- the end ------------------------------------------------------------------------------------------------------------


def test_at_the_end_what_runs_is_told_and_what_it_leaves_undone_is_no_failure() -> None:
    def handle(message: Any, context: Context) -> None:
        heard(context)
        if message == "undone":
            raise InterruptedError

    with TestWorker(handle, threads=2, max_attempts=1) as worker:
        undone, done, waits = (worker.start(f'"{word}"') for word in ("undone", "done", "waits"))
        worker.stop()

        assert (undone.state, done.state, waits.state) == ("leaving", "done", "leaving")
        assert (waits.attempts, worker.dead_letters) == (0, [])


# ---- what a test gets wrong ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "problem", "text"),
    [
        ({"max_attempt": 3}, TypeError, "there is no setting max_attempt; did you mean max_attempts?"),
        ({"max_attempts": 0}, ConfigurationError, "MAX_ATTEMPTS"),
        ({"isolation": "process", "handler": lambda _: None}, TypeError, "a function that other processes can import"),
        ({"isolation": "process", "replace": {fails: 1}}, TypeError, "nothing can choose or replace them"),
        ({"replace": {fails: 1}}, TypeError, "not a hook, .*: <function fails"),
        ({"handlers": "^o.*=nowhere:at_all"}, HandlerError, "HANDLERS=nowhere:at_all cannot be imported"),
    ],
)
def test_wrong_settings_are_told_in_the_words_of_the_service(settings: Dict[str, Any], problem: Any, text: str) -> None:
    with pytest.raises(problem, match=text):
        TestWorker(**{**({} if "handlers" in settings else {"handler": fails}), **settings})


def test_a_worker_that_does_not_run_takes_nothing() -> None:
    worker = TestWorker(fails)
    with pytest.raises(RuntimeError, match="use it in a `with`"):
        worker.run({})
    with worker:
        worker.stop()
        with pytest.raises(RuntimeError, match="not after its end"):
            worker.run({})


def test_a_message_that_is_tried_again_without_an_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kafka_worker.testing.worker.Deadline", lambda _seconds: SimpleNamespace(expired=lambda: True))
    with TestWorker(fails, max_attempts=1000, retry_backoff_max_seconds=1) as worker:
        worker.run({"how": "value"})
        with pytest.raises(NotAtRestError, match="retry in 1 s, attempt"):
            worker.finish()


def test_settings_may_be_given_as_python_has_them() -> None:
    errors = [TimeoutError, json.JSONDecodeError, "KeyError"]
    handlers = {"orders": fails, "^paid-.*": f"{__name__}:ending"}
    settings = TestWorker(
        handlers=handlers, message_schema=None, decoder=json.loads, fatal_errors=errors, journal=False
    ).settings

    assert (settings.topics, settings.message_schema, settings.decoder) == (("orders", "^paid-.*"), "", "json:loads")
    assert (settings.fatal_errors, settings.journal) == (("TimeoutError", "json.decoder.JSONDecodeError", "KeyError"), "off")


def test_settings_of_the_environment_change_no_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_ATTEMPTS", "17")

    assert TestWorker(fails).settings.max_attempts == 3
