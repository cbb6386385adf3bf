"""What the exit status of a child, and of the supervisor, says. Numbers follow BSD's sysexits, so that they read the same
in a shell, in systemd (`RestartPreventExitStatus=78`) and in the log."""

from __future__ import annotations

import signal
from enum import IntEnum


class ExitCode(IntEnum):
    """One sentence each; what the supervisor does about it stands in `worker/supervision/slots/restart_policy.py`."""

    OK = 0  # drained and closed
    FAULT = 70  # a fault in our own code
    GAVE_UP = 75  # gave up for now: a drain or close deadline was cut, or the restart limit reached
    FENCED = 76  # another member with the same id took over
    NOT_AUTHORISED = 77  # the broker refuses our credentials or rights
    CONFIGURATION = 78  # a setting is wrong: restarting is useless


def described(status: int) -> str:
    """An exit status in words, as `subprocess.Popen.returncode` gives it (negative: killed by that signal)."""
    if status < 0:
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"
    try:
        return f"exit {status} ({ExitCode(status).name.lower().replace('_', ' ')})"
    except ValueError:
        return f"exit {status}"
