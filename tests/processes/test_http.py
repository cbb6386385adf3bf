"""The HTTP part beside a service at work: what it tells, and that nobody needs it."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, List, Set

from prometheus_client.parser import text_string_to_metric_families

from kafka_worker.shared import http_settings
from tests.support.eventually import eventually
from tests.support.http_part import get, kill_again_and_again, told
from tests.support.scene import PARTITIONS, SECONDS, Scene

if TYPE_CHECKING:
    from tests.support.service import Service

KILLS = 3


def kinds(service: Service) -> Set[str]:
    return {each["kind"] for each in service.status()["conditions"]}


def test_it_waits_for_its_port_tells_what_status_does_and_is_killed_under_load_while_nobody_notices(scene: Scene) -> None:
    with http_settings.listen("127.0.0.1:0") as other:
        address = http_settings.written(other)
        running = scene.ready_service(env={"HTTP": address})
        assert kinds(running) == {"http"}
        assert "Address already in use" in running.status()["problems"][0]
    eventually(lambda: not kinds(running), SECONDS, "the port is free, and it is served")

    assert running.status()["http"]["address"] == address
    snapshot = told(address)
    assert (snapshot["pid"], snapshot["group"]) == (running.pid, scene.group)
    assert get(address, "/livez") == (200, "ok\n")
    assert get(address, "/readyz?verbose") == (200, "[+]supervisor ok\n[+]running ok\n[+]broker ok\n[+]group ok\npassed\n")
    kill_again_and_again(scene, running, KILLS)
    families = {family.name: family for family in text_string_to_metric_families(get(address, "/metrics")[1])}
    assert len(families["kafka_worker_lag_messages"].samples) == PARTITIONS

    with running.beside("serve", "--http", "127.0.0.1:0") as sidecar:
        eventually(lambda: len(listening(running)) == 2, SECONDS, "the one beside says where it listens")
        assert told(listening(running)[-1])["pid"] == running.pid
    assert sidecar.returncode == 0
    running.terminate()
    assert running.wait(SECONDS) == 0
    with socket.socket() as nobody:
        assert nobody.connect_ex(http_settings.parsed(address)) != 0


def listening(service: Service) -> List[str]:
    """Where its log says that HTTP is served."""
    return re.findall(r"HTTP at (\S+)", service.log)
