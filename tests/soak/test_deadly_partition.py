"""Some kilobytes that unpack to more memory than there is: whoever fetches them dies before anything is delivered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Dict

from tests.support.eventually import eventually
from tests.support.messages import keys_of, message

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.service import Service

SECONDS = 60.0
PARTITIONS = 4
DEADLY = 2
BOMB_MB = 160


def test_the_partition_of_which_processes_die_is_found_and_held_and_the_others_go_on(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    name = topic(partitions=PARTITIONS)
    keys = [keys_of(number, PARTITIONS)[0] for number in range(PARTITIONS)]
    before = [message(f"{number}-before", key, sleep_ms=0) for number, key in enumerate(keys)]
    admin.produce(name, [each.row for each in before])
    row = (keys[DEADLY].encode(), b"\0" * BOMB_MB * 1_000_000, None)
    admin.produce(name, [row], {"compression.type": "gzip", "message.max.bytes": 2 * BOMB_MB * 1_000_000})
    behind = [message(f"{number}-behind", key, sleep_ms=0) for number, key in enumerate(keys)]
    admin.produce(name, [each.row for each in behind])

    running = service(
        name, group, processes=1, handler="tests.support.bomb_handlers:handle", env={"LITTLE_MB": str(BOMB_MB // 2)}
    ).start()

    def held() -> Dict[int, str]:
        owned = [each for slot in running.slots() if slot["child"] for each in slot["child"]["partitions"]]
        return {each["partition"]: each["held"] for each in owned if each["held"]}

    readable = [each.id for each in before + behind if each.id != f"{DEADLY}-behind"]
    eventually(lambda: set(readable) <= set(running.ledger.done()) and set(held()) == {DEADLY}, SECONDS, "it is found")
    eventually(lambda: "Joining anew, to fetch as usual" in running.log, SECONDS, "no more care is needed")
    (why,) = eventually(lambda: [*held().values()] if set(held()) == {DEADLY} else [], SECONDS, "it is held all the same")
    assert why.startswith("offset 1 can't be read: whatever process has fetched it has died")
    assert f"--topic {name}:{DEADLY} --reset-offsets --to-offset 2 --execute" in why
    assert running.slots()[0]["restarts"] <= 6, running.log
    assert running.command("status").stdout.startswith("DEGRADED")
    assert sorted(running.ledger.done()) == sorted(readable), "each once"

    running.terminate()
    running.wait(SECONDS)
    admin.move(group, name, {DEADLY: 2})
    running.start()

    eventually(lambda: f"{DEADLY}-behind" in running.ledger.done(), SECONDS, "what lies behind is done")
    eventually(lambda: running.command("status").stdout.startswith("HEALTHY"), SECONDS, "nothing is held")
