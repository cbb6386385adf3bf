"""`DELIVERY=exactly-once` where something is in the way of one record. tests/processes/test_exactly_once.py has the deaths."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Callable, Dict

from tests.support.eventually import eventually
from tests.support.messages import message

if TYPE_CHECKING:
    from tests.support.admin import Admin
    from tests.support.service import Service

SECONDS = 30.0
PROMPT_SECONDS = 10.0
# So long the client takes to find a topic missing, and a transaction is open meanwhile: of 5 s, where it is seen.
UNAIDED = {"KAFKA_PRODUCER_TOPIC_METADATA_PROPAGATION_MAX_MS": "20000"}


def test_a_results_topic_that_is_missing_holds_its_own_partition_at_once_and_nobody_else(
    admin: Admin, topic: Callable[..., str], group: str, service: Callable[..., Service]
) -> None:
    first, second, results = (topic(partitions=1) for _ in range(3))
    env = {"DELIVERY": "exactly-once", **UNAIDED}
    running = service(f"{first},{second}", group, processes=1, handler="tests.support.handlers:forward", env=env).start()
    admin.produce(second, [message("there", to=results).row])
    eventually(lambda: len(admin.records(results)) == 1, SECONDS, "the first result is seen")

    def held() -> Dict[str, str]:
        return {each["topic"]: each["held"] for each in running.slots()[0]["child"]["partitions"] if each["held"]}

    began = time.monotonic()
    admin.produce(first, [message("lost", to=results + "-absent").row])
    admin.produce(second, [message(str(number), "key", to=results).row for number in range(20)])
    eventually(held, SECONDS, "the one partition is held")
    eventually(lambda: len(admin.records(results)) == 21, SECONDS, "the results of the other are seen")
    seconds = time.monotonic() - began

    unknown = "Broker: Unknown topic or partition. To mend it, create the topic"
    assert held() == {first: f"a result can't be stored in {results}-absent: {unknown}"}
    assert seconds < PROMPT_SECONDS
    assert results + "-absent" not in admin.topics()
    admin.create_topic(results + "-absent", partitions=1)
    admin.wait_committed(group, first)
    assert len(admin.records(results + "-absent")) == 1
