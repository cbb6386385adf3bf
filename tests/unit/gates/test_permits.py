"""While a breaker tries, or a rate is limited, each task costs a permit: none is lost, and nobody is woken in vain."""

from __future__ import annotations

import threading
from typing import Any, Callable, List

import pytest

from kafka_worker.gates.gate import PermitQueue, Permits
from kafka_worker.partitions.queues import InOrderOfOffset
from tests.unit.fakes import TOPIC
from tests.unit.gates.bench import OPEN_SECONDS, PROBES, Bench


def test_a_probe_costs_a_token_too_and_no_permit_is_lost_for_want_of_one() -> None:
    bench = Bench(max_messages_per_second=10.0)
    bench.turn(0.2)
    bench.fail(*bench.taken(2))
    bench.turn(0.2)
    bench.fail(*bench.taken(2))
    bench.turn()
    bench.turn(OPEN_SECONDS)

    assert len(bench.taken()) == PROBES


def test_what_has_permits_and_no_tokens_is_nothing_that_the_next_thread_is_woken_for() -> None:
    bench = Bench(max_messages_per_second=10.0)
    for _ in range(2):
        bench.turn(0.2)
        bench.fail(*bench.taken(2))
    bench.turn()
    bench.turn(OPEN_SECONDS)
    bench.gates._tokens.clear()

    assert (len(bench.gates._gate(TOPIC).permits), [queue.free for queue in bench.queues]) == (PROBES, [0])


@pytest.mark.parametrize(("look", "told"), [(PermitQueue.next, (0,)), (PermitQueue.free.fget, 1)], ids=["to take", "to count"])  # type: ignore[attr-defined]
def test_who_looks_while_another_has_the_permit_in_hand_finds_it_when_that_one_gives_it_back(
    look: Callable[[PermitQueue], Any], told: object
) -> None:
    permits, emptied, other = Permits(), InOrderOfOffset(), InOrderOfOffset()
    permits.append(None)
    other.put((0,))
    found: List[Any] = []
    late = threading.Thread(target=lambda: found.append(look(PermitQueue(other, permits))))

    def taken_by_somebody_else_just_now() -> Any:
        late.start()
        late.join(0.005)
        raise IndexError

    emptied.pop = taken_by_somebody_else_just_now
    nothing = PermitQueue(emptied, permits).next()
    late.join()

    assert (nothing, found) == (None, [told])


@pytest.mark.parametrize("others", [16, 0], ids=["others wait", "nothing else waits"])
def test_in_a_half_open_round_threads_are_woken_for_what_is_new_alone(others: int, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tasks=4 + others).until_open()
    woken: List[int] = []
    monkeypatch.setattr(bench.pool, "wake", lambda tasks: woken.append(tasks) if tasks else None)
    bench.turn(OPEN_SECONDS)
    bench.turn()
    at_first, probe = list(woken), bench.taken(1)
    woken.clear()
    for _ in range(5):
        bench.turn()

    assert (at_first, woken) == ([PROBES if others else PROBES + 1], [])
    bench.succeed(*probe)
    assert woken, "one that is done makes room for others"
