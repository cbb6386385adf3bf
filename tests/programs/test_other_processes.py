"""What other processes have of ours: a lock that is taken, signals, the log and the stacks of a copy."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

from kafka_worker.shared.output.log_writer import LogWriter
from kafka_worker.shared.system.locks import Lock
from tests.support.kafka_jars import ROOT

TRY = "import sys; from kafka_worker.shared.system.locks import Lock; print(Lock(sys.argv[1]).try_acquire())"


def other_process_gets(path: str) -> bool:
    words = [sys.executable, "-c", TRY, path]
    return subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True).stdout == "True\n"


def test_a_lock_excludes_another_process_until_it_is_released(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    held = Lock(path)
    held.acquire()
    during = other_process_gets(path)

    held.release()

    assert not during
    assert other_process_gets(path)


def test_disregarded_signals_do_nothing_here_and_as_usual_in_programs_that_are_started() -> None:
    program = (
        "import os, signal, subprocess; from kafka_worker.shared.system import signals;"
        "inbox = signals.SignalInbox([signal.SIGUSR1]); signals.disregard(signal.SIGUSR2);"
        "os.kill(os.getpid(), signal.SIGUSR2);"
        "print(inbox.take(), subprocess.run(['sh', '-c', 'kill -USR2 $$']).returncode)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)

    assert done.stdout == f"[] {-signal.SIGUSR2:d}\n"


def test_a_copy_that_a_handler_has_forked_writes_its_log_by_itself() -> None:
    reader, writer = os.pipe()
    with open(reader, "rb") as read, open(writer, "wb") as written:
        with contextlib.closing(LogWriter(written.fileno(), lambda count: b"%d are missing\n" % count)) as log:
            copy = os.fork()
            if not copy:
                log.put(b"of the copy\n")
                log.flush(60)
                os._exit(0)

            assert os.waitpid(copy, 0)[1] == 0
        assert os.read(read.fileno(), 100) == b"of the copy\n"


def test_stacks_go_to_their_file_again_whatever_a_handler_has_done() -> None:
    program = (
        "import faulthandler, os, signal; from kafka_worker.shared.output import last_words;"
        "from kafka_worker.shared.system import surroundings;"
        "words = last_words.LastWords(); last_words.write_last_words_to(words.fileno());"
        "signal.signal(signal.SIGABRT, lambda *_: None); faulthandler.disable(); surroundings.restore();"
        "pid = os.fork();"
        "pid or os.kill(os.getpid(), signal.SIGABRT);"
        "print(os.WTERMSIG(os.waitpid(pid, 0)[1]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout == f"{int(signal.SIGABRT)}\n"
    assert "Fatal Python error: Aborted" in done.stderr  # those of a copy go there


def test_who_was_stopped_and_is_asked_for_its_stack_tells_that_of_its_main_thread() -> None:
    """As systemd does with a supervisor that hangs. Any thread may take a signal that comes while all are stopped."""
    program = (
        "import faulthandler, time; from kafka_worker.shared import logs; from kafka_worker.supervision.aside import Aside;"
        "logs.set_up('INFO', 'text', 'x'); aside = Aside('x'); aside.do(lambda: time.sleep(60));"
        "faulthandler.enable(all_threads=False); print('ready', flush=True); time.sleep(60)"
    )
    piped: Dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with contextlib.ExitStack() as stack:
        several = []
        for _ in range(6):
            several.append(stack.enter_context(subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, **piped)))
            stack.callback(several[-1].kill)
        for each in several:
            assert each.stdout and each.stdout.readline() == "ready\n"
            for number in (signal.SIGSTOP, signal.SIGABRT, signal.SIGCONT):
                each.send_signal(number)
            assert 'File "<string>", line 1 in <module>' in each.communicate()[1]


def test_a_copy_notes_nothing_where_standard_error_leads(tmp_path: Path) -> None:
    """As one that a function of `atexit` makes, and that comes back from there."""
    lines = [
        "import os, sys",
        "from kafka_worker.shared.output.last_words import LastWords, while_, write_last_words_to",
        "words = LastWords()",
        "write_last_words_to(words.fileno())",
        "print('a line of the log', file=sys.stderr, flush=True)",
        "with while_('calling m'):",
        "    pid = os.fork()",
        "    print(words.how('exit 3')) if pid and os.waitpid(pid, 0) else None",
    ]
    path = tmp_path / "log"
    with open(path, "wb") as log:
        words = [sys.executable, "-c", "\n".join(lines)]
        done = subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, check=True)

    assert done.stdout == b"exit 3, while calling m\n"
    assert path.read_bytes() == b"a line of the log\n"
