"""Many calls at once in one process, each of which waits most of its time. `COROUTINES` says how many."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Dict

from kafka_worker import Context

log = logging.getLogger(__name__)


async def process_message(message: Dict[str, Any], context: Context) -> None:
    """Ask several things at once. At the end of its time, or when the service stops before it is done, it is cancelled."""
    answers = await asyncio.gather(*(ask(question) for question in message["questions"]))
    log.info("%s: %s (attempt %d)", context.key, answers, context.attempt)


async def ask(question: str) -> str:
    """In the place of a call to another service."""
    await asyncio.sleep(0.5)
    return f"{question}!"
