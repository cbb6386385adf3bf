"""Python's collector of garbage, held off for a moment."""

from __future__ import annotations

import contextlib
import gc
from typing import Iterator


@contextlib.contextmanager
def held_off() -> Iterator[None]:
    """Nothing is collected meanwhile, so no finalizer of anybody's runs in this thread."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()
