"""The HTTP part beside a service at work: what it tells, and that nobody needs it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from itertools import islice
from typing import TYPE_CHECKING, Any, Dict, List, Set

from prometheus_client.parser import text_string_to_metric_families

from kafka_worker.shared import http_settings
from tests.support.eventually import eventually
from tests.support.http_part import get, kill_again_and_again, stream, told
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
    ready = (200, "[+]supervisor ok\n[+]running ok\n[+]broker ok\n[+]group ok\npassed\n")
    eventually(lambda: get(address, "/readyz?verbose") == ready, SECONDS, "the HTTP part has been told that it is served")
    kill_again_and_again(scene, running, KILLS)
    what_happened_is_told(running, address)
    eventually(lambda: len(lags(address)) == PARTITIONS, SECONDS, "of each partition it is known how far it is behind")

    with running.beside("serve", "--http", "127.0.0.1:0") as sidecar:
        eventually(lambda: len(listening(running)) == 2, SECONDS, "the one beside says where it listens")
        assert told(listening(running)[-1])["pid"] == running.pid
    assert sidecar.returncode == 0
    running.terminate()
    assert running.wait(SECONDS) == 0
    with socket.socket() as nobody:
        assert nobody.connect_ex(http_settings.parsed(address)) != 0


def own_partitions(running: Service) -> List[Dict[str, Any]]:
    """Of the process of slot 0, as it says."""
    child = running.slots()[0]["child"]
    return child["partitions"] if child else []


def lags(address: str) -> List[float]:
    """Those that are known, as Prometheus is told."""
    families = text_string_to_metric_families(get(address, "/metrics")[1])
    return [sample.value for family in families if family.name == "kafka_worker_lag_messages" for sample in family.samples]


def what_happened_is_told(running: Service, address: str) -> None:
    """By the command and by HTTP: of the supervisor and of its processes, when one of these is killed, too."""
    os.kill(running.children()[0], signal.SIGKILL)
    eventually(lambda: len(running.children()) == len(running.slots()) and not kinds(running), SECONDS, "it is back")

    listed = [json.loads(line) for line in running.command("events", "--json").stdout.splitlines()]
    by_process = {(each["process"], each["event"]) for each in listed}
    assert {("supervisor", "service-starting"), ("supervisor", "http-not-served"), ("slot-0", "assigned")} <= by_process
    (death,) = [each for each in listed if each["event"] == "process-ended"]
    assert (death["slot"], death["reason"][:17]) == (0, "killed by SIGKILL")
    streamed = islice(stream(address, "/api/v1/events?only=event"), len(listed))
    assert [each["number"] for each in streamed] == [each["number"] for each in listed]

    (partition, *_) = eventually(lambda: own_partitions(running), SECONDS, "it has its seat")
    asked = f"/api/v1/explain?topic={partition['topic']}&partition={partition['partition']}&offset=0"

    def explained() -> str:
        status, said = get(address, asked)
        return said if status == 200 else ""

    (case,) = json.loads(eventually(explained, SECONDS, "the HTTP part has been told of it, too"))
    assert (case["slot"], case["partition"], case["error"]) == (0, partition["partition"], "")


def listening(service: Service) -> List[str]:
    """Where its log says that HTTP is served."""
    return re.findall(r"HTTP at (\S+)", service.log)
