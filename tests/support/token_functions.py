"""Functions for KAFKA_OAUTH. Their tokens are unsecured JSON Web Signatures, as Kafka's own handler for tests takes them."""

from __future__ import annotations

import base64
import json
import os
import time
from pathlib import Path
from typing import Any, Dict, Tuple

HELD_SECONDS = 3600.0


def unsecured(name: str, holds: float = HELD_SECONDS) -> str:
    """A token for the user of this name."""
    now = time.time()
    parts: Tuple[Dict[str, Any], ...] = ({"alg": "none"}, {"sub": name, "iat": now - HELD_SECONDS, "exp": now + holds})
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts), ""])


def right(_config: str) -> Any:
    """A token that holds."""
    return unsecured("alice"), time.time() + HELD_SECONDS


def expired(_config: str) -> Any:
    """One that the broker finds expired, and the client does not."""
    return unsecured("alice", -60.0), time.time() + HELD_SECONDS


def by_file(config: str) -> Any:
    """One of the other functions, whose name stands in the file of TOKENS; else what `raise` does."""
    return {"right": right, "expired": expired}[Path(os.environ["TOKENS"]).read_text()](config)
