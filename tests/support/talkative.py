"""A handler's module as many are: it configures logging as if the process were its own, and the handler says a lot."""

from __future__ import annotations

import logging.config
import sys
import warnings
from typing import Any, Dict

from tests.support import handlers

logging.config.dictConfig(
    {
        "version": 1,
        "handlers": {"own": {"class": "logging.StreamHandler", "level": "DEBUG"}},
        "root": {"level": "DEBUG", "handlers": ["own"]},
    }
)
logging.disable(logging.INFO)
logging.raiseExceptions = True
log = logging.getLogger("users.own")
LINE = "x" * 200


def work(message: Dict[str, Any], context: Any) -> None:
    """Like `handlers.work`."""
    for _ in range(40):
        print(LINE)
        print(LINE, file=sys.stderr)
        log.warning(LINE)
    warnings.warn(str(message["id"]), stacklevel=1)
    handlers.work(message, context)
