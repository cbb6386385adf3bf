"""What `stacks` shows of a process."""

from __future__ import annotations

from typing import Any, Dict, List

from kafka_worker.ops.explain import command
from tests.unit.reports import slot

CALLS = [["/srv/app/tasks.py", 88, "charge", "pay()"]]


def task(offset: int, **changes: Any) -> Dict[str, Any]:
    told = {"topic": "orders", "partition": 5, "offset": offset, "attempt": 1, "thread": "batch-0", "seconds": 12.0}
    return {**told, "calls": CALLS, **changes}


def shown(*tasks: Dict[str, Any]) -> List[str]:
    answer = {"tasks": list(tasks), "threads": [{"name": "batch-0", "calls": CALLS}]}
    return command._of_process(slot(3), answer).splitlines()


def test_a_list_is_told_by_its_first_message_and_how_many_there_are() -> None:
    assert shown(task(7), task(8), task(9))[1] == "  batch-0: orders[5] offset 7 and 2 more, for 12.0s, attempt 1"


def test_a_call_of_which_nothing_counts_any_more_says_why() -> None:
    assert shown(task(7, void="parked"))[1] == "  batch-0: orders[5] offset 7 (parked), for 12.0s, attempt 1"
