"""Errors in words."""

from __future__ import annotations

import pytest

from kafka_worker.shared.foreign.errors import quoted, unquoted


@pytest.mark.parametrize("text", ["", "customer-9", "a » b « c", "«", "»", "two\nlines"])
def test_what_an_error_says_can_be_left_out_of_a_text_whatever_it_says(text: str) -> None:
    assert unquoted(f"before {quoted(ValueError(text))} after") == "before ValueError: … after"
