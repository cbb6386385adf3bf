"""What tests of this room have."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

import pytest

from tests.unit.fakes import some_settings
from tests.unit.supervision.callers.ordering import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(
        some_settings(state_directory=str(tmp_path / "state"), topics=("orders",), host="host-a", retry_topics=("30s",))
    )
    yield made
    made.puppet.close()
