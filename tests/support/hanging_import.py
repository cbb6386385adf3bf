"""A handler whose import never ends: in the process that HANGS_IN names, the check before the start or what runs handlers."""

from __future__ import annotations

import os
import sys
import threading
from typing import Any

from tests.support.ledger import Ledger

WHERE = "check" if "--check" in sys.argv else "process"


def work(_message: Any) -> None:
    """Is never called."""


Ledger(os.environ["LEDGER"]).write("import", WHERE)
if os.environ["HANGS_IN"] == WHERE:
    threading.Event().wait()
