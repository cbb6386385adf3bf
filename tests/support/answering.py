"""For tests of the commands: something in the place of the supervisor that they ask, and where they find their settings."""

from __future__ import annotations

import contextlib
import os
import selectors
import tempfile
import threading
from pathlib import Path
from typing import Any, Dict, Iterator

import pytest

from kafka_worker.shared.configuration.load import load
from kafka_worker.shared.ipc.control import ControlServer
from kafka_worker.shared.system import runtime_files


@contextlib.contextmanager
def service_environment() -> Iterator[Dict[str, str]]:
    """Settings of a service in a folder of its own. Short: a Unix socket's path has 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="cmd-") as folder:
        ours = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "KAFKA_GROUP_ID": "commands", "RUNTIME_DIRECTORY": folder}
        yield {**{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}, **ours}


@contextlib.contextmanager
def answering(environment: Dict[str, str], answer: Dict[str, Any]) -> Iterator[None]:
    """It answers each question about that service so."""
    settings = load([], environment, os.devnull).settings
    runtime_files.prepare(settings)
    selector, over = selectors.DefaultSelector(), threading.Event()
    server = ControlServer(runtime_files.control_socket(settings), selector, {"status": lambda: answer})

    def serve() -> None:
        while not over.is_set():
            selector.select(0.01)
            server.serve()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        server.close()
        selector.close()


def command_settings(monkeypatch: pytest.MonkeyPatch, folder: Path, bootstrap: str, group: str, topic: str) -> None:
    """From now on commands in this process are about that group, and no `.env` of a developer is."""
    monkeypatch.chdir(folder)
    for variable, value in (("BOOTSTRAP_SERVERS", bootstrap), ("GROUP_ID", group), ("TOPIC", topic)):
        monkeypatch.setenv("KAFKA_" + variable, value)
