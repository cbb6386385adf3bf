"""Tasks from Kafka topics, each done at least once. What handlers may use of it:

    from kafka_worker import BatchError, Context, Reject, Retry, Send, per_process, per_thread

All else is the service itself, a room for each purpose:

- `supervision`: the parent of all processes; `ops`: commands for operators; `examples`
- `process`, `build` and `parts`, `loop`, `ownership`, `draining`, `check`: one consumer process, from start to end
- `report` and `heartbeat`, `inquiries`, `standstill`: what it says of itself
- `kafka`, `partitions`, `handler`, `pools`, `tracing`: from the broker to the user's function and back
- `outcomes`, `gates`, `recovery`, `isolation`, `upkeep`: when it fails, when all fail, when a process dies, and before
- `steering`: what operators have ordered
- `shared`: what every process has; `start`: how each begins
- `testing`: for tests of handlers: `from kafka_worker.testing import TestWorker`
"""

import sys

if sys.version_info < (3, 8):  # noqa: UP036 (this file and supervisor.py can be read by those that are too old, from 3.6 on)
    print(f"Python 3.8 or newer is needed, and {sys.executable} is {sys.version.split()[0]}", file=sys.stderr)
    sys.exit(78)

# Type checkers know the name, and Jedi, which knows it of `typing` only, must not see that it is false (editors would not find
# the public names). `typing` is not imported: the user's folders may still come first here.
TYPE_CHECKING = bool()  # noqa: UP018
if TYPE_CHECKING:
    from kafka_worker.handler.context import Context
    from kafka_worker.handler.hooks import per_process, per_thread
    from kafka_worker.shared.foreign.answers import BatchError, Reject, Retry, Send

__version__ = "0.1.0"
__all__ = ["BatchError", "Context", "Reject", "Retry", "Send", "per_process", "per_thread"]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Public names are imported when somebody asks for one: the service imports in its own way (see `start`)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        rooms = {"Context": "handler.context", "per_process": "handler.hooks", "per_thread": "handler.hooks"}
        return getattr(import_module(f"{__name__}.{rooms.get(name, 'shared.foreign.answers')}"), name)

    def __dir__() -> list:  # for completion at a prompt, and for Python's "Did you mean"
        return [*globals(), *__all__]
