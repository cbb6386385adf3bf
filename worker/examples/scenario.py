"""The example task: pretends to work on a scenario for TASK_SECONDS (environment, default 5), mostly waiting,
as tasks do. Replace it by a function of yours: `HANDLER=module:function`.
"""

from __future__ import annotations

import logging
import os
import time
from typing import Any

log = logging.getLogger(__name__)

TASK_SECONDS = float(os.environ.get("TASK_SECONDS", "5"))


def process_message(message: Any) -> None:
    """Work on one message: its decoded JSON value. Called by several threads at once."""
    log.info("Processing message: %s", message)
    time.sleep(TASK_SECONDS)
    log.info("Finished processing message: %s", message)
