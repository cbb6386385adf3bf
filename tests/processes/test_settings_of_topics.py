"""Several topics in one service, each with settings of its own from a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Callable

from tests.support.messages import message

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.service import Service

FILE = """\
max_attempts = 3
retry_backoff_seconds = 0.05
retry_topics = ["1s"]

[topics."{strict}"]
max_attempts = 1
ordering = "none"
handler_timeout_seconds = 0.5
max_message_bytes = 200
priority = 5

[topics."^{patient}$"]
max_attempts = 2
threads_share = 0.5
"""


def test_each_topic_is_handled_by_its_own_settings_and_its_retries_too(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service], tmp_path: Path
) -> None:
    usual, strict, patient = (topic(partitions=1) for _ in range(3))
    for name in (usual, strict, patient):
        for suffix in (".retry.1s", ".dlq"):
            admin.create_topic(name + suffix, partitions=1)
    file = tmp_path / "worker.toml"
    file.write_text(FILE.format(strict=strict, patient=patient))
    for name in (usual, strict):
        sent = [
            message(f"{name} fails", key="a", trouble="raise"),
            message(f"{name} first", key="b", sleep_ms=400),
            message(f"{name} second", key="b"),
            message(f"{name} long", key="c", filler="x" * 200),
            message(f"{name} slow", key="d", sleep_ms=900),
        ]
        admin.produce(name, [each.row for each in sent])
    admin.produce(patient, [message("patient", key="a", trouble="later").row])

    names, handler = f"{usual},{strict},{patient}", "tests.support.handlers:cooperative"
    running = service(names, group, processes=1, threads=8, handler=handler, env={"SETTINGS_FILE": str(file)}).start()
    running.wait_ready(partitions=6)
    for name in (usual, strict, patient):
        admin.wait_committed(group, name)
        admin.wait_committed(group, name + ".retry.1s")

    ledger = running.ledger
    assert [len(admin.records(name + ".dlq")) for name in (usual, strict, patient)] == [1, 3, 1]
    assert {name: ledger.attempts(f"{name} fails") for name in (usual, strict)} == {usual: [1, 2, 3], strict: [1]}
    assert ledger.attempts("patient") == [1, 2]  # the second came from the retry topic
    assert set(ledger.done()) == {*(f"{usual} {name}" for name in ("first", "second", "long", "slow")), *(
        f"{strict} {name}" for name in ("first", "second")
    )}  # fmt: skip
    assert ledger.done().index(f"{usual} first") < ledger.done().index(f"{usual} second")  # the same key, in order
    assert ledger.done().index(f"{strict} first") > ledger.done().index(f"{strict} second")  # in none
    assert running.status()["topic_settings"][f"^{patient}$"] == "MAX_ATTEMPTS=2, THREADS_SHARE=0.5"
    assert (
        f"settings of {strict}: MAX_ATTEMPTS=1, ORDERING=none, HANDLER_TIMEOUT_SECONDS=0.5" in running.command("status").stdout
    )
