"""With real task processes: one that the tests share as far as they let it live. Slower tests: tests/processes."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import socket
import threading
import time
from typing import Any, Callable, Iterator, List

import pytest

from kafka_worker import start
from kafka_worker.handler.loading import HandlerError
from kafka_worker.isolation import spawn, task_process
from kafka_worker.isolation.task_process import ConnectionLostError, TaskDiedError, TaskProcessError
from kafka_worker.partitions.assignment import Partition
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.answers import Reject, Retry
from kafka_worker.shared.foreign.errors import UndecodableError
from kafka_worker.shared.foreign.exceptions import RemoteError
from kafka_worker.shared.system.deadline import Deadline
from tests.support.eventually import eventually
from tests.support.task_processes import Runner
from tests.unit.fakes import TOPIC, Message

BREAKS = [("speak_up", "noise"), ("speak_up", "short"), ("close_everything", None), ("close_everything", "hang")]
BREAKS += [("break_sockets", None), ("break_sockets", "hang")]


@pytest.fixture(scope="module")
def shared() -> Iterator[Runner]:
    made = Runner()
    # As a handler thread that ends: the process must outlive the thread that started it.
    starter = threading.Thread(target=made.start)
    starter.start()
    starter.join()
    with contextlib.closing(made):
        yield made


def test_a_process_runs_one_task_after_the_other(shared: Runner) -> None:
    assert shared.call("pid") == shared.call("pid") != os.getpid()


def test_a_process_whose_handler_has_opened_all_files_runs_no_other_task() -> None:
    with contextlib.closing(Runner()) as runner:
        before = runner.call("pid")
        with pytest.raises(RemoteError, match="Too many open files"):
            runner.call("use_up_files")

        assert runner.call("environment")
        assert runner.call("pid") != before


def test_what_a_handler_returns_arrives_if_it_is_plain_data(shared: Runner) -> None:
    assert shared.call("echo", {"a": [1, None, "ä"]}) == {"a": [1, None, "ä"]}
    assert shared.call("object") is None
    assert shared.call("objects") is None


def test_what_a_handler_wants_to_be_sent_arrives(shared: Runner) -> None:
    (sent,) = shared.call("send", "out")

    assert (sent.topic, sent.value, sent.key, sent.headers) == ("out", b'{"a":1}', b"k", [("h", b"1"), ("h", None)])


def test_a_message_of_ten_megabytes_goes_both_ways(shared: Runner) -> None:
    long = "x" * 10_000_000

    assert shared.call("echo", long) == long


def test_the_handler_sees_its_message_and_runs_where_libraries_work(shared: Runner) -> None:
    message = Message(41, b"key", b'["facts", null]', 7)
    message.given_headers = [("h", b"1"), ("h", None)]

    facts = shared.message(message)

    assert facts["place"] == ("topic", 7, 41, 2)
    assert facts["rest"] == (b"key", [("h", b"1"), ("h", None)], 1.5, False, None)
    assert (facts["main"], facts["confluent_kafka"]) == (True, False)
    assert facts["sigterm"], "who is to drain decides our parent"
    assert facts["programs"] == "True", "a program that the handler starts can be ended by SIGTERM"


def test_an_exception_arrives_with_the_names_of_its_class_and_bases(shared: Runner) -> None:
    with pytest.raises(RemoteError, match="onetwo") as raised:
        shared.call("fail", "own")

    assert type(raised.value).__name__ == "OwnError"
    assert {"tests.support.task_handlers.OwnError", "builtins.KeyError", "builtins.LookupError"} <= set(raised.value.names)
    assert "in fail\n" in raised.value.remote_traceback


@pytest.mark.parametrize(("name", "text"), [("exit", "3"), ("unprintable", r"\(its text raised SystemExit\)")])
def test_whatever_a_handler_raises_is_a_failure_of_its_task(shared: Runner, name: str, text: str) -> None:
    before = shared.call("pid")

    with pytest.raises(RemoteError, match=text):
        shared.call("fail", name)

    assert shared.call("pid") == before


def test_calls_of_dependencies_arrive_with_what_they_led_to(shared: Runner) -> None:
    ended = shared.partition.dependencies.ended
    shared.call("depend", "catch")
    well, ill = ended.popleft(), ended.popleft()
    with pytest.raises(RemoteError, match="no answer") as raised:
        shared.call("depend", "raise")

    assert (well.name, well.closing, well.error) == ("well", shared.partition.closing, None)
    assert (ill.name, str(ill.error)) == ("ill", "refused")
    assert well.began <= ill.began <= time.monotonic()
    assert [outcome.error for outcome in ended] == [None, raised.value]
    ended.clear()


def test_what_the_handler_wants_arrives_as_it_is(shared: Runner) -> None:
    with pytest.raises(Retry, match="busy") as retry:
        shared.call("fail", "retry")
    with pytest.raises(Reject, match="never"):
        shared.call("fail", "reject")
    with pytest.raises(UndecodableError, match="JSONDecodeError"):
        shared.message(Message(0, value=b"{"))

    assert retry.value.after == 2.5


def test_names_may_be_enums_of_text_and_arrive_as_text(shared: Runner) -> None:
    (sent,) = shared.call("name_by_enum")
    ended = shared.partition.dependencies.ended.popleft()

    fields = [sent.topic, sent.value, sent.key, *sent.headers[0], ended.name]
    assert fields == ["out", b"v", b"out", "out", b"h", "out"]
    assert {type(field) for field in fields} == {str, bytes}


def test_a_wish_of_the_users_own_class_is_one_and_keeps_its_name_and_any_number(shared: Runner) -> None:
    with pytest.raises(Retry, match="busy") as retry:
        shared.call("fail", "decimal")

    assert (type(retry.value).__name__, retry.value.after) == ("BusyError", 2.5)


def test_a_text_that_is_no_plain_one_arrives(shared: Runner) -> None:
    with pytest.raises(RemoteError, match="OUT"):
        shared.call("fail", "enum")


def test_what_a_copy_of_the_process_says_is_not_heard(shared: Runner, caplog: pytest.LogCaptureFixture) -> None:
    assert shared.call("speak_up", "copy", kill_after=10) is None
    assert shared.call("echo", 1) == 1
    assert "is not heard" in caplog.text


@pytest.mark.parametrize("how", ["exec", "exit", "return", "past Python"])
def test_a_copy_that_comes_back_from_a_handler_ends_and_answers_for_nobody(shared: Runner, how: str) -> None:
    assert shared.call("come_back", how, kill_after=10) == ExitCode.FAULT
    assert [shared.call("echo", number, kill_after=10) for number in range(3)] == [0, 1, 2]


@pytest.mark.parametrize(("name", "argument"), BREAKS)
def test_a_handler_that_breaks_the_connection_fails_and_is_not_dead(
    shared: Runner, monkeypatch: pytest.MonkeyPatch, name: str, argument: Any
) -> None:
    monkeypatch.setattr(spawn, "ABORT_SECONDS", 0.05)

    with pytest.raises(ConnectionLostError):
        shared.call(name, argument, kill_after=10)

    assert shared.call("echo", 1) == 1


def test_headers_that_the_client_cannot_read_are_an_error_where_the_handler_asks_for_them(shared: Runner) -> None:
    unread, read = Message(0, value=b'["echo", 1]'), Message(0, value=b'["headers", null]')
    unread.broken = read.broken = True

    assert shared.message(unread) == 1
    with pytest.raises(UndecodableError, match="the name of a header is not UTF-8"):
        shared.message(read)


def test_a_running_task_hears_that_its_partition_is_closed_and_the_next_one_is_not_cancelled(shared: Runner) -> None:
    returned: List[Any] = []
    thread = threading.Thread(target=lambda: returned.append(shared.call("until_cancelled")))
    thread.start()
    shared.partition.closing.close(None)
    shared.partition.closing.close(12.5)
    thread.join(10)
    shared.partition = Partition(TOPIC, 7)

    assert returned == [12.5]
    assert shared.call("facts")["rest"][3] is False


@pytest.mark.parametrize(("parked", "said"), [(False, "has run for 1.5 s"), (True, "is parked")])
def test_a_task_that_takes_too_long_or_is_parked_hears_of_it_and_its_stack_is_logged(
    capfd: Any, said: str, *, parked: bool
) -> None:
    log = ""

    def begun() -> bool:
        nonlocal log
        log += capfd.readouterr().err
        if parked and "until_cancelled waits" in log:
            runner.partition.parked.add((7, 41))
        return not parked and "until_cancelled waits" in log

    with contextlib.closing(Runner(handler_timeout_seconds=1.5)) as runner:
        message = Message(41, value=b'["until_cancelled", "late"]', partition=7)

        assert runner.run(message, runner.partition, 1, cancelled=begun) is None

    log += capfd.readouterr().err
    assert f"topic[7] offset 41 {said} and is told that it is cancelled; it is here:" in log
    assert ("has run for" in log) is not parked
    assert "in until_cancelled\n" in log


def test_a_crash_is_told_with_its_signal_and_the_stack_and_the_next_task_which_exits_with_its_code_and_the_memory(
    capfd: Any,
) -> None:
    with contextlib.closing(Runner()) as runner:
        with pytest.raises(TaskDiedError) as died:
            runner.call("crash")
        with pytest.raises(TaskDiedError) as exited:
            runner.call("hog", 200_000_000)

    assert died.value.how == "killed by SIGSEGV"
    assert 'task_handlers.py", line' in died.value.last_stack
    assert "in crash\n" in died.value.last_stack
    assert (exited.value.how, exited.value.last_stack) == ("exit 42", "")
    assert exited.value.peak_memory > 200_000_000
    assert re.search(r" slot-3/handler-1\[\d+\] crash begins", capfd.readouterr().err), "what the handler logs is in our log"


def test_no_task_is_blamed_for_a_process_that_ended_before_it(shared: Runner) -> None:
    before = shared.call("pid")
    os.kill(before, signal.SIGKILL)
    os.waitid(os.P_PID, before, os.WEXITED | os.WNOWAIT)

    assert shared.call("pid") != before


def test_a_handler_that_cannot_be_loaded_is_a_fault_of_the_setting() -> None:
    with pytest.raises(HandlerError, match=r"HANDLER=no\.such:thing cannot be imported"):
        Runner("no.such:thing").start()


def test_a_handler_that_cannot_be_loaded_when_a_task_needs_it_is_no_tasks_fault() -> None:
    with pytest.raises(TaskProcessError, match=r"HANDLER=no\.such:thing cannot be imported"):
        Runner("no.such:thing").call("echo", 1)


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextlib.contextmanager
def no_more_threads() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spawn, "_STARTER", spawn.Starter())
        patch.setattr(threading.Thread, "start", refuse_a_thread)
        yield


def refuse_a_thread(_self: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


@contextlib.contextmanager
def no_folder() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spawn, "FOLDER", "/no/such/folder")
        yield


@pytest.mark.parametrize("lack", [no_descriptors, no_more_threads, no_folder])
def test_where_the_machine_has_no_room_for_a_task_process_no_task_is_blamed(
    lack: Callable[[], contextlib.AbstractContextManager[None]],
) -> None:
    runner = Runner()

    with pytest.raises(TaskProcessError, match="no task process can be started"), lack():
        runner.call("echo", 1)


def test_where_none_can_be_had_it_is_not_tried_for_each_task(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def nowhere(*_: Any) -> Any:
        tried.append(1)
        raise OSError("no room")

    monkeypatch.setattr(task_process, "Spawned", nowhere)
    monkeypatch.setattr(task_process, "PAUSE_SECONDS", 60.0)
    runner = Runner()
    for _ in range(3):
        with pytest.raises(TaskProcessError, match="no task process can be started: no room"):
            runner.call("echo", 1)
    patient = Runner()
    monkeypatch.setattr(task_process, "PAUSE_SECONDS", 0.0)
    for _ in range(3):
        with pytest.raises(TaskProcessError, match="no task process can be started: no room"):
            patient.call("echo", 1)

    assert len(tried) == 1 + 3


def test_a_task_process_runs_whatever_the_handler_has_done_to_ours(tmp_path: Any) -> None:
    """It has gone to another folder, which is gone too, has set a time limit for all sockets, closed standard input, and taken
    all variables out of the environment, among them the path to itself."""
    folder, stdin, environment = os.getcwd(), os.dup(0), dict(os.environ)
    (tmp_path / "gone").mkdir()
    try:
        os.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        socket.setdefaulttimeout(0.05)
        os.close(0)
        os.environ.clear()
        with contextlib.closing(Runner()) as runner:
            first = runner.call("echo", 1)
            threading.Event().wait(0.1)
            assert (first, runner.call("echo", 2)) == (1, 2)
            assert runner.call("environment").items() >= start.ENVIRONMENT.items()
    finally:
        os.environ.update(environment)
        socket.setdefaulttimeout(None)
        os.dup2(stdin, 0)
        os.close(stdin)
        os.chdir(folder)


def test_what_a_handler_has_left_for_the_end_is_done_when_its_process_ends_in_order(tmp_path: Any) -> None:
    with contextlib.closing(Runner()) as runner:
        runner.call("leave_for_the_end", str(tmp_path / "end"))

    assert (tmp_path / "end").read_text() == "done"
    assert (tmp_path / "end.printed").read_text() == "printed\n"


def where(runner: Runner, function: str) -> List[str]:
    """The names of the functions in which its handler is, when it has come to this one; then that is cancelled."""

    def found() -> bool:
        if runner.calls is None:
            return False
        if any(name == function for _, _, name, _ in runner.calls):
            return True
        runner.want_calls()  # it had not begun
        return False

    running = threading.Thread(target=runner.call, args=("until_cancelled",))
    running.start()
    runner.want_calls()
    try:
        eventually(found, 10, "it says where it is")
        return [name for _, _, name, _ in runner.calls or []]
    finally:
        runner.partition.closing.close(time.monotonic() + 60)
        running.join()
        runner.partition = Partition(TOPIC, 7)


def test_where_the_handler_is_is_told_while_it_runs(shared: Runner) -> None:
    assert where(shared, "until_cancelled")[0] != "run", "what of ours led to the handler is left out"


def test_where_a_coroutine_waits_is_told_and_not_where_its_loop_is() -> None:
    with contextlib.closing(Runner("tests.support.task_handlers:coroutine_until_cancelled")) as runner:
        assert where(runner, "coroutine_until_cancelled")[-1] == "sleep"


def test_all_processes_end_in_order_within_one_deadline(tmp_path: Any) -> None:
    with contextlib.closing(Runner()) as one, contextlib.closing(Runner()) as other:
        for number, runner in enumerate((one, other)):
            runner.call("leave_for_the_end", str(tmp_path / f"end-{number}"))

        spawn.end_all(Deadline(10))

        assert sorted(path.name for path in tmp_path.glob("end-?")) == ["end-0", "end-1"]
