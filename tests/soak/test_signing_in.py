"""Every way to sign in at a real broker, by every client that we have, and what becomes of whom it does not believe."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Dict, Iterator, List

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from kafka_worker.kafka import brokers
from kafka_worker.shared.exit_codes import ExitCode
from tests.support.admin import Admin
from tests.support.engine import Engine
from tests.support.eventually import eventually
from tests.support.guarded import TLS, Guarded, certify
from tests.support.messages import message
from tests.support.service import Service
from tests.support.token_functions import HELD_SECONDS, unsecured

SECONDS = 40.0
SCRAM = "SCRAM-SHA-512"
Properties = Dict[str, str]


class Provider(BaseHTTPRequestHandler):
    """A token endpoint, as librdkafka asks it: who has the right secret gets a token."""

    asked: List[str] = []  # noqa: RUF012

    def do_POST(self) -> None:
        """Answer."""
        self.asked.append(self.path)
        is_right = self.headers["Authorization"] == "Basic YWxpY2U6cmlnaHQ="  # alice:right
        answer: Dict[str, Any] = {"error": "invalid_client"}
        if is_right:
            answer = {"access_token": unsecured("alice"), "token_type": "Bearer", "expires_in": HELD_SECONDS}
        body = json.dumps(answer).encode()
        self.send_response(200 if is_right else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Not to standard error."""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/token"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    with Guarded("PLAIN", "OAUTHBEARER", SCRAM, certificates=certify(tmp_path_factory.mktemp("certificates"))) as cluster:
        assert isinstance(cluster, Guarded)
        made = UserScramCredentialUpsertion("alice", ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096), b"right")
        client = AdminClient({"bootstrap.servers": cluster.bootstrap})
        for future in client.alter_user_scram_credentials([made]).values():
            future.result(SECONDS)
        yield cluster


def password(mechanism: str, word: str) -> Properties:
    return {
        "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": mechanism, "sasl.username": "alice", "sasl.password": word,
    }  # fmt: skip


def certificate(folder: str, name: str) -> Properties:
    own = {f"ssl.{what}.location": f"{folder}/{name}.{ending}" for what, ending in (("certificate", "crt"), ("key", "key"))}
    return {"security.protocol": "SSL", "ssl.ca.location": f"{folder}/ca.crt", **(own if name else {})}


def by_provider(url: str, word: str) -> Properties:
    return {
        "security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc",
        "sasl.oauthbearer.client.id": "alice", "sasl.oauthbearer.client.secret": word,
        "sasl.oauthbearer.token.endpoint.url": url,
    }  # fmt: skip


def way(name: str, guarded: Guarded, url: str, *, right: bool) -> Properties:
    word = "right" if right else "wrong"
    if name == TLS:
        return certificate(guarded._certificates, "alice" if right else "mallory")
    return by_provider(url, word) if name == "OAUTHBEARER" else password(name, word)


WAYS = ["PLAIN", SCRAM, TLS, "OAUTHBEARER"]


@pytest.mark.parametrize("name", WAYS)
def test_who_is_known_consumes_and_produces_and_every_command_works(
    name: str, guarded: Guarded, provider: str, group: str, service: Callable[..., Service]
) -> None:
    admin = Admin(guarded.bootstrap)
    topic = admin.create_topic(partitions=1)
    letters = admin.create_topic(topic + ".dlq", partitions=1)
    admin.produce(topic, [message("hopeless", trouble="reject").row])
    properties = way(name, guarded, provider, right=True)
    env = {f"KAFKA_CLIENT_{each.upper().replace('.', '_')}": value for each, value in properties.items()}

    running = service(topic, group, guarded.doors[name], processes=1, env=env).start().wait_ready(partitions=1)

    admin.wait_committed(group, topic)
    assert len(admin.records(letters)) == 1
    assert [running.command(*words).returncode for words in (("lag",), ("dead-letters", "list"), ("check",))] == [0, 0, 0]
    assert "refuses" not in running.log


@pytest.mark.parametrize("name", WAYS[:-1])
def test_whom_the_broker_does_not_believe_ends_with_the_exit_code_for_that(
    name: str, guarded: Guarded, provider: str, group: str, engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokers, "UNAUTHORISED_AFTER", 1.0)
    topic = Admin(guarded.bootstrap).create_topic(partitions=1)
    properties = way(name, guarded, provider, right=False)

    refused = engine(topic, group, bootstrap_servers=guarded.doors[name], client_properties=properties).start(wait=False)

    eventually(lambda: refused.code is not None, SECONDS, "it has ended")
    assert refused.code is ExitCode.NOT_AUTHORISED


def test_a_provider_that_gives_no_token_is_told_and_ends_no_process(
    guarded: Guarded, provider: str, group: str, engine: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brokers, "UNAUTHORISED_AFTER", 1.0)
    topic = Admin(guarded.bootstrap).create_topic(partitions=1)
    properties = way("OAUTHBEARER", guarded, provider, right=False)

    waits = engine(
        topic, group, bootstrap_servers=guarded.doors["OAUTHBEARER"], client_properties=properties
    ).start(wait=False)  # fmt: skip

    eventually(lambda: "invalid_client" in waits.loop.report.trouble, SECONDS, "it is told")
    told_at = time.monotonic()
    eventually(lambda: waits.loop.turned_at > told_at + 2.0, SECONDS, "twice as long as a refusal lasts")
    assert waits.code is None
