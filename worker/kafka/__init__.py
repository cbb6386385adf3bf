"""The Kafka client, the only room that knows it: consumer, producer, their properties and errors, and back-pressure.

It is imported here, before anything of this room, without asyncio: its asynchronous forms alone use that, which brings OpenSSL
along, and is 6 MB and a fifth of what it takes to import a process (measured).
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import Any


class _Later(ModuleType):
    """Stands for a module until something of it is wanted."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


if "asyncio" not in sys.modules:
    later = sys.modules["asyncio"] = _Later("asyncio")
    try:
        import confluent_kafka  # noqa: F401
    finally:
        if sys.modules.get("asyncio") is later:
            del sys.modules["asyncio"]
