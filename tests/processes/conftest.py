"""Fixtures of tests that run the service as its users do."""

from __future__ import annotations

import tempfile
from typing import Callable, Iterator, List, Union

import pytest

from tests.support.admin import Admin
from tests.support.kafka import Cluster, GivenCluster
from tests.support.messages import Sent
from tests.support.oracle import Oracle
from tests.support.systemd_sandbox import SystemdSandbox
from tests.support.systemd_service import SystemdService, install


@pytest.fixture(scope="session")
def systemd() -> Iterator[SystemdSandbox]:
    """A systemd of our own with the service installed. A machine that cannot boot it fails these tests, with the reason."""
    with SystemdSandbox() as sandbox:
        install(sandbox)
        yield sandbox


@pytest.fixture
def unit(
    systemd: SystemdSandbox, kafka: Union[Cluster, GivenCluster], topic: Callable[..., str], group: str
) -> Iterator[SystemdService]:
    """The installed service on the shared broker: two processes of two threads on a topic of four partitions. Not started."""
    service = SystemdService(
        systemd,
        KAFKA_BOOTSTRAP_SERVERS=kafka.bootstrap,
        KAFKA_GROUP_ID=group,
        KAFKA_TOPIC=topic(partitions=4),
        PROCESSES=2,
        THREADS=2,
    )
    yield service
    service.close()


@pytest.fixture
def send(admin: Admin) -> Callable[[SystemdService, List[Sent]], Oracle]:
    """Sends messages to a service's topic; who is to judge what becomes of them."""

    def produce(service: SystemdService, batch: List[Sent]) -> Oracle:
        admin.produce(str(service.settings["KAFKA_TOPIC"]), [each.row for each in batch])
        return Oracle(service.ledger, batch)

    return produce


@pytest.fixture
def shared() -> Iterator[str]:
    """A runtime directory of several services, as on a file system that two hosts mount. Short: a Unix socket's path has 107
    bytes."""
    with tempfile.TemporaryDirectory(prefix="two-") as folder:
        yield folder
