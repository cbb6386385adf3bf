"""Every way in which a partition can stand still is named in `status`, with the place and what to do, and the others go on."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Callable, Dict, List, Union

import pytest
from confluent_kafka import Producer

from tests.support.damage import Stored
from tests.support.eventually import eventually
from tests.support.kafka import Cluster, GivenCluster, stored
from tests.support.messages import Sent, keys_of, message

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.service import Service

SECONDS = 30.0
GOOD, BOMB, DAMAGED, SILENT, UNKNOWN, OPEN, GONE, NOWHERE = range(8)
PARTITIONS = 8
BATCH = 3
#: A client that looks at checksums, takes little, and must be told where to begin.
CLIENT = {
    "KAFKA_CONSUMER_CHECK_CRCS": "true",
    "KAFKA_CONSUMER_RECEIVE_MESSAGE_MAX_BYTES": "1100000",
    "KAFKA_CONSUMER_FETCH_MAX_BYTES": "1000000",
    "KAFKA_CONSUMER_AUTO_OFFSET_RESET": "error",
    "STALL_SECONDS": "2",
}


def send(admin: Admin, topic: str, partition: int, names: List[str], **properties: object) -> List[Sent]:
    """As one batch."""
    (key,) = keys_of(partition, PARTITIONS)
    sent = [message(f"{partition}-{name}", key, sleep_ms=0) for name in names]
    admin.produce(topic, [each.row for each in sent], {"linger.ms": 200, **properties})
    return sent


def open_transaction(admin: Admin, topic: str) -> Producer:
    """Of which a message stands behind all others of OPEN."""
    producer = Producer({"bootstrap.servers": admin.bootstrap, "transactional.id": topic})
    producer.init_transactions(SECONDS)
    producer.begin_transaction()
    key, value, _ = message(f"{OPEN}-late", sleep_ms=0).row
    producer.produce(topic, value, key, OPEN)
    producer.flush()
    return producer


def with_what_nobody_can_read(admin: Admin, topic: str, file_of: Callable[[int], Stored]) -> bytes:
    """In the middle of all partitions but one; what stood where UNKNOWN is damaged."""
    for partition in range(PARTITIONS):
        send(admin, topic, partition, ["first"])
        if partition == BOMB:  # of 5 MB, packed into some hundred bytes
            row = (keys_of(partition, PARTITIONS)[0].encode(), b"\0" * 5_000_000, None)
            admin.produce(topic, [row], {"compression.type": "zstd", "message.max.bytes": 10_000_000})
        else:
            packed = "gzip" if partition == UNKNOWN else "none"
            send(admin, topic, partition, [f"middle-{number}" for number in range(BATCH)], **{"compression.type": packed})
        send(admin, topic, partition, ["last"])
    file_of(SILENT).write(1, 61, b"\xff\xff\xff\xff\x7f", checksum=True)  # the length of its first record
    file_of(DAMAGED).write(1, 80, b"?", checksum=False)
    return file_of(UNKNOWN).write(1, 21, b"\0\6", checksum=True)  # how it is packed


SAID = {
    BOMB: "offset 1 can't be read: Decompression",
    DAMAGED: "offset 1 can't be read: MessageSet at offset 1 (",
    OPEN: "all behind offset 5 waits for a transaction of its producer",
    SILENT: "nothing is delivered from offset 1 on, the broker has 4 there",
    UNKNOWN: "offset 1 can't be read: Decompression (codec 0x6)",
    GONE: "offset 77 is not there, and auto.offset.reset is error",
    NOWHERE: "the group has no offset there, and auto.offset.reset is error",
}


def told(running: Service) -> Dict[int, str]:
    """What status says of each partition."""
    owned = [each for slot in running.slots() if slot["child"] for each in slot["child"]["partitions"]]
    return {each["partition"]: f"{each['held']}{each['stalled']}" for each in owned if each["held"] or each["stalled"]}


def check_words(running: Service, bootstrap: str) -> None:
    """Each is named, with its place and the remedy."""
    said, status, explained = told(running), running.command("status"), running.command("explain", running.topic).stdout
    told_of = [each for each in explained.split("\n\n") if " more partition" not in each]
    paragraphs = {int(each.split(" ")[0].rpartition("/")[2]): each for each in told_of}
    step_over = f"--group {running.group} --topic {running.topic}:%d --reset-offsets %s --execute"
    for partition, words in SAID.items():
        assert said[partition].startswith(words), said[partition]
        assert words in paragraphs[partition], paragraphs[partition]
        whereto = "--to-earliest" if partition in (GONE, NOWHERE) else "--to-offset 2"
        assert partition == OPEN or step_over % (partition, whereto) in said[partition]
    assert f"--bootstrap-server {shlex.quote(bootstrap)}" in said[BOMB]
    assert "KAFKA_CONSUMER_RECEIVE_MESSAGE_MAX_BYTES" in said[BOMB]
    assert (status.returncode, status.stdout[:8]) == (1, "DEGRADED")
    assert f"{running.topic}[{SILENT}] is stalled: {SAID[SILENT]}" in status.stdout
    assert f"{running.topic}[{BOMB}] is held: {SAID[BOMB]}" in status.stdout


def test_what_can_not_be_read_is_named_with_place_and_remedy_and_the_other_partitions_go_on(
    kafka: Union[Cluster, GivenCluster], admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    if kafka.folder is None:
        pytest.skip("a broker whose files can't be reached")
    folder = kafka.folder
    name = topic(partitions=PARTITIONS)
    was = with_what_nobody_can_read(admin, name, lambda partition: Stored(stored(folder, name, partition)))
    undecided = open_transaction(admin, name)
    admin.move(group, name, {**dict.fromkeys(range(PARTITIONS - 1), 0), GONE: 77})
    running = service(name, group, processes=1, env=CLIENT).start()
    eventually(lambda: set(told(running)) == set(SAID), SECONDS, "all that stand still are named")
    check_words(running, admin.bootstrap)

    Stored(stored(folder, name, UNKNOWN)).write(1, 21, was, checksum=True)
    undecided.commit_transaction(SECONDS)

    mended = {GOOD, UNKNOWN, OPEN}
    rest = [f"{partition}-{name}" for partition in mended for name in ("middle-0", "middle-1", "middle-2", "last")]
    firsts = [f"{partition}-first" for partition in (*mended, BOMB, DAMAGED, SILENT)]
    expected = sorted([*firsts, *rest, f"{OPEN}-late"])
    eventually(lambda: len(running.ledger.done()) >= len(expected), SECONDS, "what can be read again is done")
    eventually(lambda: set(told(running)) == set(SAID) - mended, SECONDS, "it is named no more")
    running.terminate()
    running.wait(SECONDS)
    assert sorted(running.ledger.done()) == expected, "each once, and nothing behind what could not be read"
    committed = admin.committed(group, name)
    assert {number: committed[number] for number in (BOMB, DAMAGED, SILENT, UNKNOWN)} == {
        BOMB: 1, DAMAGED: 1, SILENT: 1, UNKNOWN: 5,
    }  # fmt: skip
