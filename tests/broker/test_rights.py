"""A broker that refuses: said in the log, waited for a moment, given up with an exit code of its own."""

from __future__ import annotations

from typing import Callable, Iterator

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from tests.support.admin import Admin
from tests.support.eventually import eventually
from tests.support.kafka import Cluster
from tests.support.service import Service

SECONDS = 30.0
STRICT = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}


@pytest.fixture
def strict() -> Iterator[Cluster]:
    """A broker that heeds rules about rights, and has none yet."""
    with Cluster(properties=STRICT) as cluster:
        yield cluster


def forbid_group(bootstrap: str, group: str) -> None:
    """From now on nobody may join this group."""
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    rule = AclBinding(
        ResourceType.GROUP, group, ResourcePatternType.LITERAL,
        "User:ANONYMOUS", "*", AclOperation.READ, AclPermissionType.DENY,
    )  # fmt: skip
    for future in client.create_acls([rule]).values():
        future.result(SECONDS)


def test_a_group_that_refuses_us_ends_the_process_with_its_own_exit_code_and_it_is_tried_again_a_minute_later(
    strict: Cluster, group: str, service: Callable[..., Service]
) -> None:
    name = Admin(strict.bootstrap).create_topic(partitions=1)
    forbid_group(strict.bootstrap, group)

    running = service(name, group, strict.bootstrap, processes=1).start()

    eventually(lambda: running.slots() and not running.children(), SECONDS, "the process has ended")
    assert "Check credentials and rights (ACLs)" in running.log
    slot = running.slots()[0]
    assert slot["last_exit"] == "exit 77 (not authorised)"
    assert 30 < slot["restart_in"] <= 60
    assert running.returncode is None
