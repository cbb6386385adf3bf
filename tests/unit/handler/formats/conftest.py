"""What tests of messages of a schema registry have in common."""

from __future__ import annotations

import functools
import ssl
from typing import Iterator

import pytest


@pytest.fixture(autouse=True, scope="package")
def _certificates() -> Iterator[None]:
    """Those of this machine are read once, and not by each client of a registry: that takes longer than the rest of a test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", functools.lru_cache(maxsize=None)(ssl.create_default_context))
        yield
