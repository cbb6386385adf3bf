"""A broker that refuses: said in the log, waited for a moment, given up with an exit code of its own."""

from __future__ import annotations

import functools
import gc
import json
import socket
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, Iterator

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from kafka_worker.kafka import brokers
from kafka_worker.kafka.outgoing import outbox
from kafka_worker.ops import commands, connection
from tests.support.admin import Admin
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.support.guarded import Guarded
from tests.support.messages import between, message, messages
from tests.support.oracle import Oracle
from tests.support.schema_registry import SchemaRegistry
from tests.support.service import Service

SECONDS = 30.0
SASL = {"KAFKA_CLIENT_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_CLIENT_SASL_MECHANISM": "PLAIN"}
TOKENS = {**SASL, "KAFKA_CLIENT_SASL_MECHANISM": "OAUTHBEARER"}


@pytest.fixture(scope="module")
def strict() -> Iterator[Guarded]:
    cluster = Guarded("PLAIN", "OAUTHBEARER")
    with cluster:
        yield cluster


def alice(password: str) -> Dict[str, str]:
    """Settings of a service that comes by the second door."""
    return {**SASL, "KAFKA_CLIENT_SASL_USERNAME": "alice", "KAFKA_CLIENT_SASL_PASSWORD": password}


def by_function(name: str, **more: str) -> Dict[str, str]:
    """Settings of one that comes by the third."""
    return {**TOKENS, "KAFKA_OAUTH": f"tests.support.token_functions:{name}", **more}


def forbid(bootstrap: str, kind: ResourceType, name: str, operation: AclOperation) -> Callable[[], None]:
    """From now on nobody may do this to that group or topic, until what is returned is called."""
    return rule(bootstrap, kind, name, operation, AclPermissionType.DENY)


def rule(
    bootstrap: str, kind: ResourceType, name: str, operation: AclOperation, permission: AclPermissionType
) -> Callable[[], None]:
    """Holds until what is returned is called. What has a rule is no longer open to everybody in other ways."""
    client = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    binding = (kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, permission)
    for future in client.create_acls([AclBinding(*binding)]).values():
        future.result(SECONDS)

    def allow() -> None:
        for future in client.delete_acls([AclBindingFilter(*binding)]).values():
            future.result(SECONDS)

    return allow


def has_ended(service: Service) -> bool:
    """Its process, not its supervisor."""
    return bool(service.slots()) and not service.children()


def test_whom_the_broker_refuses_ends_the_process_with_its_own_exit_code_and_is_tried_again_a_minute_later(
    strict: Guarded, group: str, service: Callable[..., Service]
) -> None:
    """By a group's rule, a wrong password or an old token. All at once, because each takes ten seconds."""
    name = Admin(strict.bootstrap).create_topic(partitions=1)
    forbid(strict.bootstrap, ResourceType.GROUP, group, AclOperation.READ)
    welcome = service(name, group + "-of-alice", strict.doors["PLAIN"], processes=1, env=alice("right")).start()

    refused = [
        service(name, group, strict.bootstrap, processes=1).start(),
        service(name, group + "-of-mallory", strict.doors["PLAIN"], processes=1, env=alice("wrong-one")).start(),
        service(name, group + "-of-old", strict.doors["OAUTHBEARER"], processes=1, env=by_function("expired")).start(),
    ]

    welcome.wait_ready(partitions=1)
    for running in refused:
        eventually(functools.partial(has_ended, running), SECONDS, "the process has ended")
        assert "Check credentials and rights (ACLs)" in running.log
        slot = running.slots()[0]
        assert slot["last_exit"] == "exit 77 (not authorised)"
        assert 30 < slot["restart_in"] <= 60
        assert running.returncode is None
    assert "wrong-one" not in refused[1].log
    assert "refuses" not in welcome.log


def test_who_has_no_token_waits_for_one_and_says_so_and_signs_in_everywhere_when_there_is_one(
    strict: Guarded, group: str, service: Callable[..., Service], tmp_path: Path
) -> None:
    name = Admin(strict.bootstrap).create_topic(partitions=1)
    letters = Admin(strict.bootstrap).create_topic(name + ".dlq", partitions=1)
    Admin(strict.bootstrap).produce(name, [message("hopeless", trouble="reject").row])
    says = tmp_path / "says"
    says.write_text("nothing known")
    env = by_function("by_file", TOKENS=str(says))
    running = service(name, group, strict.doors["OAUTHBEARER"], processes=1, env=env).start()
    told = "no token to sign in with: KAFKA_OAUTH=tests.support.token_functions:by_file raised KeyError: «'nothing known'»"

    eventually(lambda: told in running.command("status").stdout, SECONDS, "status says why it is not in the group")
    (pid,) = running.children().values()
    lag = running.command("lag")
    assert lag.returncode == 2
    assert told in lag.stderr
    says.write_text("right")
    Admin(strict.bootstrap).wait_committed(group, name)

    assert len(Admin(strict.bootstrap).records(letters)) == 1
    assert list(running.children().values()) == [pid]
    assert running.command("lag").returncode == 0
    eventually(lambda: "no token" not in running.command("status").stdout, SECONDS, "status has forgotten it")


def test_the_dead_letters_command_says_whom_the_broker_does_not_believe(
    strict: Guarded, group: str, service: Callable[..., Service]
) -> None:
    asked = service("topic", group, strict.doors["PLAIN"], env=alice("wrong-one")).command("dead-letters", "list")

    assert asked.returncode == 78
    for told in (strict.doors["PLAIN"], "Authentication failed", "KAFKA_CLIENT_SASL_USERNAME", "KAFKA_CLIENT_SASL_PASSWORD"):
        assert told in asked.stderr, asked.stderr
    assert "wrong-one" not in asked.stderr + asked.stdout


class Doctor:
    """`check`, asked with these variables. `wrong` is what has not come out well, `fixes` what it has said to that."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
        self._capsys, self._monkeypatch, self.variables = capsys, monkeypatch, variables
        self.fixes: Dict[str, str] = {}

    def wrong(self, code: int, **changes: str) -> Dict[str, str]:
        with self._monkeypatch.context() as patch:
            for name, value in {**self.variables, **changes}.items():
                patch.setenv(name, value)
            gc.collect()  # clients of before would end their connections while the token's module is imported, which is blamed
            assert commands.main(["check", "--json"]) == code
        found = {each["check"]: each for each in json.loads(self._capsys.readouterr().out)}
        assert all(each["fix"] for each in found.values() if each["state"] in ("warn", "fail"))
        self.fixes = {name: each["fix"] for name, each in found.items()}
        return {name: each["text"] for name, each in found.items() if each["state"] in ("warn", "fail")}


@pytest.fixture
def doctor(
    strict: Guarded, group: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Doctor]:
    monkeypatch.chdir(tmp_path)  # no .env of a developer
    with tempfile.TemporaryDirectory() as short:  # the path of a socket may have no more than 107 bytes
        yield Doctor(
            capsys, monkeypatch,
            KAFKA_BOOTSTRAP_SERVERS=strict.bootstrap, KAFKA_GROUP_ID=group, PROCESSES="2", RUNTIME_DIRECTORY=f"{short}/run",
            KAFKA_TOPIC=Admin(strict.bootstrap).create_topic(partitions=2),
        )  # fmt: skip


def test_the_doctor_finds_each_thing_that_is_wrong_and_nothing_where_all_is_right(
    strict: Guarded, group: str, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, name = Admin(strict.bootstrap), doctor.variables["KAFKA_TOPIC"]

    assert set(doctor.wrong(1)) == {"dead letters"}
    letters = admin.create_topic(name + ".dlq", partitions=1)
    assert doctor.wrong(0, DELIVERY="exactly-once") == {}

    rule(strict.bootstrap, ResourceType.GROUP, group, AclOperation.DESCRIBE, AclPermissionType.ALLOW)
    assert doctor.wrong(1) == {"group": f"no right to read {group}: it may be looked at, not joined"}
    admin.configure(letters, "cleanup.policy", "compact")
    admin.configure(letters, "max.message.bytes", "1000")
    for operation in (AclOperation.READ, AclOperation.DESCRIBE_CONFIGS):
        rule(strict.bootstrap, ResourceType.TOPIC, letters, operation, AclPermissionType.ALLOW)
    forbid(strict.bootstrap, ResourceType.GROUP, group, AclOperation.READ)
    producer = Producer({"bootstrap.servers": strict.bootstrap})
    for ahead in (1800, -86_400):  # a producer's clock that is wrong one way or the other
        producer.produce(name, b"{}", partition=1, timestamp=int(1000 * (time.time() + ahead)))
    assert producer.flush(SECONDS) == 0
    too_long = {"KAFKA_CONSUMER_SESSION_TIMEOUT_MS": "1900000", "KAFKA_CONSUMER_MAX_POLL_INTERVAL_MS": "1900000"}
    found = doctor.wrong(1, PROCESSES="3", **too_long)

    assert set(found) == {"dead letters stay", "size of dead letters", "rights", "group", "partitions", "session", "clock"}
    assert found["rights"] == f"no right to write {letters}"
    assert "ahead of our clock" in found["clock"]
    assert f"the last message of {name} says that it is 88200 s older than one before it" in found["clock"]
    assert set(doctor.wrong(1, KAFKA_TOPIC=name + "-absent")) >= {"topics", "dead letters"}
    assert set(doctor.wrong(1, KAFKA_BOOTSTRAP_SERVERS=strict.doors["PLAIN"], **alice("wrong-one"))) == {"credentials"}
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 1.0)
    assert set(doctor.wrong(2, KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:1")) == {"brokers"}
    assert set(doctor.wrong(78, PROCESSES="none", HANDLER="nowhere:work")) == {"configuration"}


def test_the_doctor_asks_whoever_else_is_needed_at_the_first_message_failure_or_transaction(
    strict: Guarded, group: str, doctor: Doctor
) -> None:
    admin, name = Admin(strict.bootstrap), doctor.variables["KAFKA_TOPIC"]
    admin.create_topic(name + ".dlq", partitions=1)
    forbid(strict.bootstrap, ResourceType.TRANSACTIONAL_ID, f"{group}.{socket.gethostname()}-check", AclOperation.WRITE)
    by_door = {"KAFKA_PRODUCER_" + name[len("KAFKA_CLIENT_") :]: value for name, value in alice("wrong-one").items()}
    assert set(doctor.wrong(1, KAFKA_BOOTSTRAP_SERVERS=strict.doors["PLAIN"], **{**alice("right"), **by_door})) == {"producer"}
    tokens = by_function("by_file", TOKENS="/no", PYTHONPATH=str(Path(__file__).parents[2]))
    no_token = doctor.wrong(2, KAFKA_BOOTSTRAP_SERVERS=strict.doors["OAUTHBEARER"], **tokens)
    assert list(no_token) == ["brokers"] and "KAFKA_OAUTH=tests.support.token_functions:by_file raised" in no_token["brokers"]
    with SchemaRegistry() as registry:
        registry.registered({"schema": '"string"'}, f"/subjects/{name}-value/versions")
        by_registry = {"DECODER": "avro", "SCHEMA_REGISTRY_URL": registry.url}
        assert doctor.wrong(0, **by_registry) == {}
        admin.produce(name, [(None, b"\0\0\0\0\x11text", None)])
        assert set(doctor.wrong(1, DELIVERY="exactly-once", **by_registry)) == {"transactions", "schema registry"}
    assert doctor.fixes["transactions"] == (
        f"kafka-acls --add --operation WRITE --operation DESCRIBE --transactional-id {group}. --resource-pattern-type prefixed"
    )


def test_a_right_to_read_that_is_taken_and_given_back_ends_nothing_and_has_nothing_run_again(
    strict: Guarded, group: str, engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commits need it, too: what is done meanwhile waits for it."""
    monkeypatch.setattr(brokers, "UNAUTHORISED_AFTER", 0.1)
    monkeypatch.setattr(brokers, "UNCOMMITTED_SECONDS", 0.5)
    admin = Admin(strict.bootstrap)
    name = admin.create_topic(partitions=1)
    sent = messages(40, sleep_ms=between(20, 40))
    admin.produce(name, [each.row for each in sent])
    running = engine(name, group, bootstrap_servers=strict.bootstrap).start()
    eventually(lambda: admin.committed(group, name)[0], SECONDS, "it commits")

    allow = forbid(strict.bootstrap, ResourceType.TOPIC, name, AclOperation.READ)
    eventually(lambda: "no commit is stored" in running.loop.report.trouble, SECONDS, "it is told")
    Oracle(running.ledger, sent).wait_done(SECONDS, "what was fetched is done")
    assert running.code is None
    allow()

    admin.wait_committed(group, name)
    assert running.code is None
    assert Oracle(running.ledger, sent).started_twice() == []
    eventually(lambda: not running.loop.report.trouble, SECONDS, "it is told no more")


def test_a_dead_letter_topic_that_we_may_not_write_to_holds_the_partition_until_we_may(
    strict: Guarded,
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
    eventually(lambda: running.held() & running.paused(), SECONDS, "it is held")
    assert "allow us to write to that topic (ACL: WRITE)" in caplog.text

    allow()

    admin.wait_committed(group, name)
    assert len(admin.records(letters)) == 1
    eventually(lambda: not running.held() | running.paused(), SECONDS, "nothing is held")
