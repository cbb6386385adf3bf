"""A broker that refuses: said in the log, waited for a moment, given up with an exit code of its own."""

from __future__ import annotations

from typing import Callable, Iterator

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.support.admin import Admin
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.support.kafka import Cluster
from tests.support.messages import message
from tests.support.service import Service
from worker import outbox

SECONDS = 30.0
STRICT = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}


@pytest.fixture(scope="module")
def strict() -> Iterator[Cluster]:
    """A broker that heeds rules about rights, and has none yet."""
    with Cluster(properties=STRICT) as cluster:
        yield cluster


def forbid(bootstrap: str, kind: ResourceType, name: str, operation: AclOperation) -> Callable[[], None]:
    """From now on nobody may do this to that group or topic, until what is returned is called."""
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    rule = (kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, AclPermissionType.DENY)
    for future in client.create_acls([AclBinding(*rule)]).values():
        future.result(SECONDS)

    def allow() -> None:
        for future in client.delete_acls([AclBindingFilter(*rule)]).values():
            future.result(SECONDS)

    return allow


def test_a_group_that_refuses_us_ends_the_process_with_its_own_exit_code_and_it_is_tried_again_a_minute_later(
    strict: Cluster, group: str, service: Callable[..., Service]
) -> None:
    name = Admin(strict.bootstrap).create_topic(partitions=1)
    forbid(strict.bootstrap, ResourceType.GROUP, group, AclOperation.READ)

    running = service(name, group, strict.bootstrap, processes=1).start()

    eventually(lambda: running.slots() and not running.children(), SECONDS, "the process has ended")
    assert "Check credentials and rights (ACLs)" in running.log
    slot = running.slots()[0]
    assert slot["last_exit"] == "exit 77 (not authorised)"
    assert 30 < slot["restart_in"] <= 60
    assert running.returncode is None


def test_a_dead_letter_topic_that_we_may_not_write_to_holds_the_partition_until_we_may(
    strict: Cluster,
    group: str,
    engine: Callable[..., Engine],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(outbox, "RESEND_SECONDS", 0.3)
    admin = Admin(strict.bootstrap)
    name = admin.create_topic(partitions=1)
    letters = admin.create_topic(name + ".dlq", partitions=1)
    allow = forbid(strict.bootstrap, ResourceType.TOPIC, letters, AclOperation.WRITE)
    admin.produce(name, [message("hopeless", trouble="reject").row])
    running = engine(name, group, bootstrap_servers=strict.bootstrap).start()
    eventually(lambda: [p.held for p in running.loop.partitions if p.held and p.paused], SECONDS, "it is held")
    assert "allow us to write to that topic (ACL: WRITE)" in caplog.text

    allow()

    admin.wait_committed(group, name)
    assert len(admin.records(letters)) == 1
    eventually(lambda: not any(p.held or p.paused for p in running.loop.partitions), SECONDS, "nothing is held")
