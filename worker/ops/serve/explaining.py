"""What `explain` tells, by HTTP: the newest snapshot says which partitions are meant, their processes what only they know."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Mapping, Tuple

from kafka_worker.ops.explain.cases import Case, cases, owned
from kafka_worker.ops.serve.watching import Watch
from kafka_worker.shared.configuration.words.place import place
from kafka_worker.shared.ipc.control import NotRunningError

MOST = 2  # answers that are made at once; whoever comes then comes again
MOST_QUESTIONS = 8  # at once, of one answer

Answer = Tuple[int, Any]  # status and what is told


class Explaining:
    """Asks on behalf of whoever asks us."""

    def __init__(self, watch: Watch) -> None:
        """Nobody asks yet."""
        self._watch = watch
        self._open = 0

    async def answer(self, words: Mapping[str, str]) -> Answer:
        """`words`: topic, and perhaps partition, and offset."""
        given = [words.get(name, "") for name in ("topic", "partition", "offset")]
        meant, fault = place(["/".join(given).rstrip("/")])
        if meant is None or "/" in given[0]:
            return 400, {"error": fault or "a topic has no slash"}
        seen = self._watch.newest
        if seen is None or self._watch.silence:
            return 503, {"error": self._watch.silence}
        found = cases(seen.snapshot, meant)
        if not found:
            return 404, {"error": f"{meant}: no process of this service has it ({owned(seen.snapshot, meant)})"}
        if self._open >= MOST:
            return 503, {"error": "too many ask already"}
        self._open += 1
        try:
            turns = asyncio.Semaphore(MOST_QUESTIONS)
            asked = await asyncio.gather(*(self._asked(case, turns) for case in found))
        finally:
            self._open -= 1
        return 200, [case.as_json() for case in asked]

    async def _asked(self, case: Case, turns: asyncio.Semaphore) -> Case:
        if not case.question:
            return case
        async with turns:
            try:
                request = {"command": "inquire", "slot": case.slot.slot, "question": case.question}
                return replace(case, answer=await self._watch.ask(request))
            except (OSError, ValueError, NotRunningError) as problem:  # what the snapshot says is told all the same
                return replace(case, answer={"error": str(problem)})
