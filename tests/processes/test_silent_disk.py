"""A disk that does not answer, as that of another machine may not: whoever opens a file there waits without an end."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict

import pytest

from kafka_worker.shared.ipc import control
from tests.support.eventually import eventually
from tests.support.scene import SECONDS
from tests.support.service import Service

pytestmark = pytest.mark.processes

NOBODY = "127.0.0.1:1"
TOPIC = {"topic": "orders", "reason": "why"}


def test_while_the_state_directory_is_silent_processes_are_replaced_orders_go_by_and_a_stop_is_heard(tmp_path: Path) -> None:
    with Service(NOBODY, "orders", tmp_path.name, processes=1, env={"STATE_DIRECTORY": str(tmp_path)}) as service:
        eventually(service.children, SECONDS, "its process is there")
        (path,) = Path(service.runtime_directory).glob("*/control")

        def order(command: str) -> Dict[str, Any]:
            return control.ask(str(path), {"command": command, **TOPIC}, SECONDS)

        kept = order("pause")
        (file,) = tmp_path.glob("*/orders.json")
        os.mkfifo(f"{file}.new")  # who writes it first waits for a reader
        with ThreadPoolExecutor() as operator:
            silent = operator.submit(order, "resume")
            eventually(lambda: service.status()["orders"] == [], SECONDS, "what is ordered is in force")
            (former,) = service.children().values()
            os.kill(former, signal.SIGKILL)
            eventually(lambda: set(service.children().values()) - {former}, SECONDS, "another process is in its place")

        assert (kept["problem"], silent.result()["ended"]) == ("", ["orders"])
        assert silent.result()["problem"].endswith(f"{file} does not answer")
        assert "orders" in [condition["kind"] for condition in service.status()["conditions"]]
        service.terminate()
        assert service.wait(SECONDS) == 0
