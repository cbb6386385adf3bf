"""Functions of the user's, imported with care."""

from __future__ import annotations

from typing import List

import pytest

from kafka_worker.shared.foreign.functions import NoFunctionError, imported_with_care
from kafka_worker.shared.system import room
from tests.unit.fakes import some_settings


@pytest.mark.parametrize(("before", "blamed"), [(["20 threads"], False), ([], True), (["30 threads"], True)])
def test_a_limit_is_lowered_by_a_module_only_where_it_was_not_as_low_before(
    before: List[str], blamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([before, ["20 threads"]])
    monkeypatch.setattr(room, "make", lambda _settings: next(looks))
    if not blamed:
        assert callable(imported_with_care("json:loads", "HANDLER=json:loads", some_settings()))
        return

    with pytest.raises(NoFunctionError, match="lowers a limit: 20 threads"):
        imported_with_care("json:loads", "HANDLER=json:loads", some_settings())
