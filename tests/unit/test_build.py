from __future__ import annotations

import random
from pathlib import Path
from typing import Any, List

from kafka_worker import build
from kafka_worker.handler.lives import Hooks
from kafka_worker.handler.routing import Handlers
from kafka_worker.outcomes import retry
from kafka_worker.shared.ipc.stage import StageHolder
from tests.unit.fakes import some_settings


def test_no_two_processes_wait_alike_whatever_a_handler_does_with_the_common_random_numbers(
    tmp_path: Path, monkeypatch: Any
) -> None:
    settings = some_settings(runtime_directory=str(tmp_path), state_directory=str(tmp_path))
    chances: List[Any] = []

    def policies(settings: Any, chance: Any) -> Any:
        chances.append(chance)
        return retry.policies(settings, chance)

    monkeypatch.setattr(build, "policies", policies)
    monkeypatch.setattr(build, "Upkeep", lambda *_, chance: chances.append(chance))
    drawn = []
    for _process in range(2):
        build.process(settings, 0, Handlers(settings), Hooks(), StageHolder(), lambda: None)
        random.seed(0)
        drawn += [chance() for chance in chances]
        chances.clear()

    assert len(drawn) == len(set(drawn)) == 4
