from __future__ import annotations

import json

import pytest

from kafka_worker.shared.ipc.snapshot import STAGES, SlotReport, Stage, as_json

ORDER = list(Stage)


@pytest.mark.parametrize("stage", ORDER)
def test_a_stage_only_leads_to_later_ones(stage: Stage) -> None:
    assert all(ORDER.index(to) > ORDER.index(stage) for to in STAGES[stage])


@pytest.mark.parametrize("stage", [stage for stage in ORDER if stage is not Stage.CLOSED])
def test_every_stage_has_a_way_to_the_end(stage: Stage) -> None:
    assert Stage.CLOSED in STAGES[stage]


def test_a_closed_child_goes_nowhere() -> None:
    assert STAGES[Stage.CLOSED] == frozenset()


def test_a_report_is_plain_json() -> None:
    report = as_json(SlotReport(0, "running", 7, 1.0, 0.5, 0, None, -1.0, 0, {"stage": Stage.CONSUMING}))

    assert json.loads(json.dumps(report))["child"] == {"stage": "consuming"}
