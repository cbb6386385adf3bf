"""A partition that should move and does not is told, and one of which something explains it is not."""

from __future__ import annotations

from typing import Callable, Dict, List, Tuple, cast

import pytest

from kafka_worker.kafka.ends import End, Ends
from kafka_worker.kafka.outgoing.record import OutgoingRecord
from kafka_worker.partitions.assignment import Partition
from kafka_worker.partitions.stored import UNKNOWN
from kafka_worker.partitions.task import Task
from kafka_worker.partitions.undecided import Raised
from kafka_worker.shared.foreign.answers import Retry
from kafka_worker.standstill.standstills import AT_REST_SECONDS, FROZEN_SECONDS
from tests.unit.fakes import TOPIC, Message
from tests.unit.standstill.bench import Bench

SECONDS = 15.0


@pytest.fixture
def bench() -> Bench:
    return Bench()


def of_another_partition() -> Task:
    partition = Partition(TOPIC, 1)
    return 0, partition.tracker.take(0)[0], Message(0), None, 1, partition


def committed(bench: Bench, offset: int) -> None:
    bench.partition.stored.found(offset, "", UNKNOWN)


def test_nothing_is_told_of_a_partition_that_is_read_to_its_end(bench: Bench) -> None:
    committed(bench, 7)
    bench.ends_at(7)

    assert bench.look(10 * SECONDS) == ""


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ((9, 9, ""), "nothing is delivered from offset 7 on, the broker has 2 there"),
        ((9, 7, ""), "all behind offset 7 waits for a transaction"),
        ((-1, -1, "no leader"), "the broker does not tell its end: no leader"),
    ],
)
def test_what_the_broker_has_and_does_not_deliver_is_told_within_the_time_and_no_sooner(
    bench: Bench, end: Tuple[int, int, str], words: str
) -> None:
    committed(bench, 7)
    latest, stable, problem = end
    bench.ends.known = {(TOPIC, 0): End(stable, latest, problem)}

    before, after = bench.look(SECONDS - 1), bench.look(1)

    assert before == ""
    assert after.startswith(words)


def test_partitions_of_a_topic_that_was_deleted_do_not_stand_still_besides(bench: Bench) -> None:
    committed(bench, 7)
    bench.ends_at(-1, problem="Unknown partition")
    bench.missing = [TOPIC]

    assert bench.look(SECONDS + 1) == ""


def test_of_what_is_not_delivered_it_is_known_how_much_it_is_or_that_it_is_not_known(bench: Bench) -> None:
    """The client knows of no end beyond its last fetch, and would tell that nothing waits."""
    committed(bench, 7)
    bench.ends_at(9)
    bench.look(SECONDS)
    lag, head = bench.partition.report(-1).lag, bench.head().head
    bench.ends_at(-1, problem="no leader")
    bench.look(SECONDS)
    (unknown,) = bench.reports(-1)
    bench.ends_at(7)
    bench.look(2)

    assert (lag, head and head.offset, unknown.lag, unknown.lag_seconds) == (2, 7, -1, -1.0)
    assert bench.partition.report(7).lag == 0


def test_nobody_is_told_to_step_over_messages_that_come_over_a_slow_link(bench: Bench) -> None:
    """He would lose them. A fetch of a megabyte may take longer than a partition may stand still."""
    committed(bench, 7)
    bench.ends_at(9)
    bench.slow = True

    told = bench.look(SECONDS)

    assert told.startswith(
        "nothing is delivered from offset 7 on, and the broker has 2 there: the client waits for its fetches"
    )
    assert "--reset-offsets" not in told


def test_that_it_stands_still_and_that_it_is_over_is_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="kafka_worker")  # another test may have left it higher
    committed(bench, 7)
    bench.ends_at(9)
    bench.look(2 * SECONDS)
    bench.ends_at(7)
    bench.look(2)

    assert [vars(each)["event"] for each in caplog.records] == ["partition-stalled", "partition-goes-on"]
    assert "topic[0] stands still: nothing is delivered from offset 7 on" in caplog.text


def test_time_counts_from_when_there_is_something_to_deliver(bench: Bench) -> None:
    committed(bench, 7)
    bench.ends_at(7)
    bench.look(100)
    bench.ends_at(8)

    assert bench.look(SECONDS / 2) == ""
    assert bench.look(SECONDS) != ""


def test_what_is_paused_for_the_work_of_others_is_explained_and_what_is_paused_for_nothing_is_told(bench: Bench) -> None:
    committed(bench, 7)
    bench.ends_at(9)
    bench.partition.flow.pause()
    bench.pool.threads[0].task = of_another_partition()

    explained = bench.look(3 * SECONDS)
    bench.pool.threads[0].task = None

    assert explained == ""
    assert bench.look(1).startswith("nothing is delivered")


@pytest.mark.parametrize("held", [False, True])
def test_of_a_partition_of_which_nothing_is_fetched_for_long_the_end_is_asked_for_and_told_until_it_is_fetched_again(
    bench: Bench, held: bool
) -> None:
    committed(bench, 7)
    runs(bench, bench.take(7))
    if held:
        bench.partition.flow.unread = "offset 8 can't be read"
    else:
        bench.partition.flow.pause()
    bench.look(FROZEN_SECONDS - 1)
    before = bench.ends.seldom
    bench.look(1.5)
    bench.ends_at(1007)
    asked, lag = bench.ends.seldom, [bench.partition.report(9).lag]
    bench.look(0)
    bench.ends.known = {}  # of others
    lag.append(bench.partition.report(9).lag)
    bench.partition.flow.resume()
    bench.partition.flow.unread = ""
    lag.append(bench.partition.report(9).lag)

    assert (before, asked, lag) == ([], [(TOPIC, 0)], [2, 1000, 2])


def runs(bench: Bench, task: Task) -> None:
    bench.pool.threads[0].task = task


def waits_for_a_thread(bench: Bench, task: Task) -> None:
    bench.partition.queue.put(task)
    bench.pool.threads[0].task = of_another_partition()


def waits_for_its_next_attempt(bench: Bench, task: Task) -> None:
    bench.parts.decisions._retries.hold(task, bench.now + 3600)


def is_to_be_decided(bench: Bench, task: Task) -> None:
    bench.pool.undecided.append(Raised(task, Retry("")))


def is_on_its_way_to_a_topic(bench: Bench, _task: Task) -> None:
    bench.partition.flow.sent()


def can_not_be_stored(bench: Bench, _task: Task) -> None:
    bench.partition.flow.refused("no room", again=False)


def can_not_be_read(bench: Bench, _task: Task) -> None:
    bench.partition.flow.unreadable("it is damaged", 1, bench.now)


EXPLAINED: List[Callable[[Bench, Task], None]] = [
    runs, waits_for_a_thread, waits_for_its_next_attempt, is_to_be_decided, is_on_its_way_to_a_topic, can_not_be_stored,
    can_not_be_read,
]  # fmt: skip


@pytest.mark.parametrize("how", EXPLAINED)
def test_what_is_in_flight_and_explained_is_not_told(bench: Bench, how: Callable[[Bench, Task], None]) -> None:
    how(bench, bench.take())

    assert bench.look(10 * SECONDS) == ""


@pytest.mark.parametrize(("offset", "told"), [(0, ""), (1, "of 2 messages here none runs or waits for anything")])
def test_what_waits_to_be_stored_with_all_below_it_is_explained_by_what_keeps_that(offset: int, told: str) -> None:
    bench = Bench(delivery="exactly-once")
    tasks = [bench.take(0), bench.take(1)]
    record = OutgoingRecord("results", None, b"", [])
    bench.parts.decisions.transactions.send("result", tasks[offset], record, lambda _: None)  # type: ignore[union-attr]

    assert bench.look(SECONDS + 1)[: len(told) or None] == told


def test_what_waits_for_the_rate_limit_is_explained() -> None:
    bench = Bench(max_messages_per_second=0.001)
    bench.partition.queue.put(bench.take())

    assert bench.look(10 * SECONDS) == ""


@pytest.mark.parametrize("queued", [True, False])
def test_what_is_in_flight_and_lost_sight_of_is_told(bench: Bench, queued: bool) -> None:
    task = bench.take()
    if queued:  # and the one thread there is has nothing to do
        bench.partition.queue.put(task)

    assert bench.look(SECONDS + 1).startswith("of 1 message here none runs or waits for anything")


def test_what_is_done_and_not_committed_is_told_whatever_runs_beyond(bench: Bench) -> None:
    offset, segment, *_ = bench.take(0)
    segment.complete(offset)
    told: Dict[int, str] = {}
    for step in range(1, 40):  # the partition is busy all the time
        following = bench.take(step)
        bench.pool.threads[0].task = following
        told[step] = bench.look(0.5)
        following[1].complete(step)

    assert told[5] == ""
    assert told[39].startswith("what is done up to offset 39 is not committed: the broker stores no commit beyond 0")


def test_what_waits_for_the_next_commit_does_not_stand_still() -> None:
    """With a long COMMIT_INTERVAL_SECONDS, and nothing more to do."""
    bench = Bench(commit_interval_seconds=60.0)
    offset, segment, *_ = bench.take(0)
    segment.complete(offset)

    before, after = bench.look(60 + SECONDS - 1), bench.look(1)

    assert before == ""
    assert after.startswith("what is done up to offset 1 is not committed")


def test_the_sleep_of_a_whole_machine_is_no_standstill(bench: Bench) -> None:
    """A notebook, a virtual machine that was paused, a container that was frozen."""
    offset, segment, *_ = bench.take(0)
    segment.complete(offset)  # and is not committed yet
    bench.look(0.5)
    bench.now += 3600.0

    assert bench.look(SECONDS - 2) == ""
    assert bench.look(2.5).startswith("what is done up to offset 1 is not committed")


def test_a_moment_in_which_nothing_can_move_is_not_counted(bench: Bench) -> None:
    committed(bench, 7)
    bench.ends_at(9)
    bench.look(SECONDS - 2)
    bench.standstills.excuse([(bench.partition, bench.partition.report(-1))], None, bench.now)

    assert bench.look(SECONDS - 2) == ""


def test_the_ends_are_asked_for_where_nothing_can_move_for_longer_than_most_drains_take(bench: Bench) -> None:
    committed(bench, 7)
    bench.ends_at(9)
    reported, told = [(bench.partition, bench.partition.report(-1))], []
    for seconds in (0.0, AT_REST_SECONDS - 0.1, 0.1):
        bench.now += seconds
        bench.standstills.excuse(reported, cast("Ends", bench.ends), bench.now)
        told.append(bench.partition.asked_end)
    bench.partition.asked_end = -1
    bench.ends.known = {}
    bench.look(1)
    bench.ends_at(9)
    bench.standstills.excuse(reported, cast("Ends", bench.ends), bench.now)
    told.append(bench.partition.asked_end)

    assert told == [-1, -1, 9, -1], "and once it has moved, time begins anew"


def test_where_a_partition_begins_and_ends_is_learnt_of_one_that_is_not_fetched_and_not_of_the_topic_before_it(
    bench: Bench,
) -> None:
    """What was told of a topic that was made anew since is known for some seconds more."""
    learnt = []
    bench.ends.known = {(TOPIC, 0): End(9, 9, "", 5)}
    for why in ("", "a look"):
        bench.partition.flow.suspend(why)
        bench.look(0.5)
        learnt.append((bench.partition.asked_first, bench.partition.asked_end))

    assert learnt == [(-1, -1), (5, 9)]


def test_the_rest_of_the_report_stays(bench: Bench) -> None:
    committed(bench, 7)
    bench.ends_at(9)
    bench.look(SECONDS + 1)
    before = bench.partition.report(9)

    (after,) = bench.standstills.added_to([(bench.partition, before)], cast("Ends", bench.ends), bench.now, lambda _: False)

    assert after.stalled
    assert after._replace(stalled="") == before
