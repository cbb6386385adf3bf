"""The last events of a service."""

from __future__ import annotations

from typing import Any, List

from kafka_worker.shared.ipc.recent import KEPT, MOST_OF_A_KIND, Recent

BEGAN = 1.5e9


def told(recent: Recent, **request: Any) -> Any:
    return recent.asked(request)()


def kinds(recent: Recent, **request: Any) -> List[Any]:
    return [event["event"] for event in told(recent, **request)["events"]]


def test_the_last_ones_are_kept_in_their_order_with_numbers_that_are_not_given_again() -> None:
    recent = Recent(BEGAN)
    recent.hear({"event": f"kind-{number % 50}", "message": str(number)} for number in range(KEPT + 30))

    found = told(recent)

    assert [event["number"] for event in found["events"]] == list(range(31, KEPT + 31))
    assert (found["events"][-1]["message"], found["newest"], found["began"]) == (str(KEPT + 29), KEPT + 30, BEGAN)


def test_what_comes_by_thousands_pushes_nothing_else_out() -> None:
    recent = Recent(BEGAN)
    recent.hear([{"event": "process-started"}])
    recent.hear([{"event": kind} for kind in ("attempt-failed", "dead-letter", "attempt-excused") for _ in range(1000)])

    assert kinds(recent).count("process-started") == 1
    assert [kinds(recent).count(kind) for kind in ("attempt-failed", "dead-letter")] == [MOST_OF_A_KIND] * 2


def test_whoever_has_some_is_told_the_rest_and_who_has_those_of_an_earlier_service_all() -> None:
    recent = Recent(BEGAN)
    recent.hear({"event": str(number)} for number in range(1, 4))

    assert [kinds(recent, after=after, began=BEGAN) for after in (0, 2, 3)] == [["1", "2", "3"], ["3"], []]
    assert [kinds(recent, after=2, began=BEGAN - 1), kinds(recent, after="x", began=BEGAN)] == [["1", "2", "3"]] * 2
