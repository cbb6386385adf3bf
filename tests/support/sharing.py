"""How several pytests share the work (`--dist loadscope`): tests that share what takes long to make go to the same of them,
the others wherever there is room, what takes longest first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Tuple

from xdist.scheduler import LoadScopeScheduling

# Files that share a systemd, environments, brokers, a task process, what a program has told, a server of HTTP.
TOGETHER: Tuple[Tuple[str, ...], ...] = (
    ("test_systemd", "test_systemd_install", "test_systemd_stop"),
    ("test_installed",),
    ("test_stop_without_broker", "test_broker_outage", "test_made_anew", "test_support_kafka"),
    ("test_rights",),
    ("test_odd_messages",),
    ("test_runner",),
    ("test_forks",),
    ("test_schema_registry", "test_registry_asked", "test_schema_look_up"),
    ("test_http_server",),
)
# These take longest: begun last, one pytest would be at work alone in the end.
LONG = ("test_exact_recovery", "test_poison", "test_long_tasks", "test_first_run", "test_users_names", "test_stop")
FIRST = (*(file for files in TOGETHER for file in files), *LONG)


def rank(path: Path) -> int:
    """The place of a file's tests among all."""
    return FIRST.index(path.stem) if path.stem in FIRST else len(FIRST)


class Scheduler(LoadScopeScheduling):  # type: ignore[misc]  # of a library without types
    """Hands them out in the order in which they were collected."""

    def __init__(self, config: Any, log: Any) -> None:
        config.option.loadscopereorder = False
        super().__init__(config, log)

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.split("::", maxsplit=1)[0]).stem
        return next((files[0] for files in TOGETHER if file in files), nodeid)
