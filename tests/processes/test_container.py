"""The image's and the manifests' promises, kept by the service in a container made by hand."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Iterator

import pytest

from tests.support.container import USER, Container
from tests.support.eventually import eventually
from tests.support.http_part import get
from tests.support.messages import message, messages
from tests.support.oracle import Oracle
from tests.support.scene import SECONDS

if TYPE_CHECKING:
    from tests.support.admin import Admin

pytestmark = pytest.mark.processes

PARTITIONS = 4
ONLY_IN_A_CONTAINER = ("PermissionError", "Read-only file system", "Traceback", "ERROR")


@pytest.fixture
def container(admin: Admin, topic: Callable[..., str], group: str) -> Iterator[Container]:
    """Of two processes of two threads, with probes. Not started."""
    with tempfile.TemporaryDirectory(prefix="pod-") as volumes:  # short: a Unix socket's path has 107 bytes
        name, probes = topic(PARTITIONS), {"HTTP": "127.0.0.1:0"}
        made = Container(admin.bootstrap, name, group, Path(volumes), threads=2, env=probes)
        yield made
        made.close()


def test_it_works_as_pid_1_with_no_rights_and_goes_on_after_all_of_it_was_killed_at_once(
    container: Container, admin: Admin
) -> None:
    quick = messages(60, keys=20)
    sent = [message("hangs", "its own", trouble="hang", times=1), *quick]
    oracle = Oracle(container.ledger, sent)
    container.start().wait_ready(partitions=PARTITIONS)
    admin.produce(container.topic, [each.row for each in sent])
    eventually(lambda: oracle.missing() == ["hangs"], SECONDS, "all but one are done")

    owner = Path(f"/proc/{container.init}").stat().st_uid
    address = container.status()["http"]["address"]
    eventually(lambda: get(address, "/readyz") == (200, "ok\n"), SECONDS, "it is ready")
    assert (owner, get(address, "/livez")) == (USER, (200, "ok\n"))
    assert not any(word in container.log for word in ONLY_IN_A_CONTAINER), container.log

    container.kill_all_at_once()
    container.start().wait_ready(timeout=10, partitions=PARTITIONS)  # the session of its members would be a minute
    oracle.wait_done(SECONDS, "what hung is done, too")
    assert oracle.started_twice() == ["hangs"]
    assert "Running when this slot's process died" in container.log

    container.terminate()
    assert container.wait(SECONDS) == 0
    assert admin.group_state(container.group) == "EMPTY"
