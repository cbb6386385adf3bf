"""What the page says of a partition, run by node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kafka_worker.shared.ipc.snapshot import HeadReport, Waits, as_json
from tests.page.by_node import said


@pytest.mark.parametrize(("offset", "shown"), [(120, "120 held, 9 s"), (0, "0 held, 9 s"), (-1, "? held, 9 s")])
def test_an_offset_that_is_not_known_is_not_shown_as_one(tmp_path: Path, offset: int, shown: str) -> None:
    head = json.dumps(as_json(HeadReport(offset, Waits.HELD, 9.0)))

    assert said(tmp_path, f'import {{ headOf }} from "./page_map.js"; console.log(JSON.stringify(headOf({head})));') == shown
