"""Events are asked for when there are new ones."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, List

from kafka_worker.ops.serve.happenings import NOTHING, Happenings
from kafka_worker.ops.serve.watching import Watch
from kafka_worker.shared.ipc.recent import Recent
from tests.unit.fakes import some_settings


def answered(began: float, *numbers: int) -> Any:
    return {"began": began, "newest": numbers[-1], "events": [{"number": number, "event": "assigned"} for number in numbers]}


def test_they_are_asked_for_when_a_snapshot_has_newer_ones_and_kept_of_the_service_that_runs() -> None:
    asked: List[Any] = []
    answers = [answered(1.0, 1, 2), OSError("gone"), answered(1.0, 3), answered(2.0, 3)]
    recent = Happenings()

    async def play() -> None:
        watch = Watch(some_settings())

        async def ask(request: Any) -> Any:
            asked.append((request["after"], request["began"]))
            said = answers.pop(0)
            if isinstance(said, Exception):
                raise said
            return said

        watch.ask = ask  # type: ignore[method-assign]
        following = asyncio.ensure_future(recent.follow(watch))
        for pid, newest in ((7, 2), (7, 2), (7, 3), (7, 3), (7, 3), (8, 3)):
            await asyncio.sleep(0)
            watch.see({"pid": pid, "newest_event": newest})
            for _ in range(5):
                await asyncio.sleep(0)
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following

    asyncio.run(play())

    assert asked == [(0, 0.0), (2, 1.0), (2, 1.0), (3, 1.0)]
    assert recent.after(NOTHING) == ([{"number": 3, "event": "assigned"}], (2.0, 3))


def test_what_comes_by_thousands_and_in_parts_pushes_nothing_else_out_here_either() -> None:
    service, recent = Recent(1.0), Happenings()
    for kind in ("process-started", *["attempt-failed"] * 300):
        service.hear([{"event": kind}])
        recent.hear(service.asked({"after": recent.after(NOTHING)[1][1], "began": 1.0})() or {})

    assert recent.after(NOTHING)[0] == service.asked({})()["events"]  # type: ignore[index]
