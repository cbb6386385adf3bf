"""What the command does with settings: all that is wrong is told at once before anything runs, and secrets to nobody."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Callable, Dict, Set

import pytest

from tests.support.eventually import eventually
from tests.support.scene import Scene

if TYPE_CHECKING:
    from tests.support.service import Service

pytestmark = pytest.mark.processes

WITHIN_SECONDS = 5.0
WRONG = {
    "MAX_IN_FLIGHT": "many",  # not a number
    "DRAIN_SECONDS": "-1",  # out of its range
    "MAX_ATTEMPS": "5",  # misspelt
    "KAFKA_CONSUMER_SESION_TIMEOUT_MS": "6000",  # misspelt property
}
SECRET = "correct horse battery staple"


def test_all_faults_of_a_configuration_are_told_in_one_message_and_nothing_is_started(scene: Scene) -> None:
    began = time.monotonic()
    service = scene.service(flags=["--group", ""], handler="no.such_module:work", env=WRONG)

    started = commands_until_the_end(service)

    assert time.monotonic() - began < WITHIN_SECONDS
    assert service.returncode == 78
    head, *faults = service.log.strip().split("\n  - ")
    assert head == "The configuration is wrong, nothing was started:"
    for wanted in (
        'MAX_IN_FLIGHT = "many"',
        'DRAIN_SECONDS = "-1"',
        "MAX_ATTEMPS is not a setting (the environment); did you mean MAX_ATTEMPTS?",
        "did you mean KAFKA_CONSUMER_SESSION_TIMEOUT_MS?",
        '--group = ""',
        "HANDLER=no.such_module:work cannot be imported",
    ):
        assert sum(wanted in fault for fault in faults) == 1, wanted
    assert len(faults) == len(WRONG) + 2
    assert "Traceback" not in service.log
    assert not [command for command in started if "--slot" in command], "a consumer process was started"


def commands_until_the_end(service: Service) -> Set[str]:
    """The command lines of all processes of the service that were seen until its supervisor ended."""
    seen: Set[str] = set()

    def ended() -> bool:
        seen.update(command_lines(service).values())
        return service.returncode is not None

    eventually(ended, 4 * WITHIN_SECONDS, "the command ends")
    return seen


def command_lines(service: Service) -> Dict[int, str]:
    """Of all processes of the service: their words, as anybody on the machine may read them."""
    found = {}
    for pid in service.pids():
        with contextlib.suppress(FileNotFoundError):  # ended meanwhile
            found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return found


def test_a_handler_that_ends_whoever_imports_it_is_refused(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "deadly_handler.py").write_text("import os\nos._exit(3)\n")
    service = scene.service(handler="deadly_handler:work", env={"PYTHONPATH": str(tmp_path)})

    assert service.wait(4 * WITHIN_SECONDS) == 78
    assert "HANDLER=deadly_handler:work ends the process that imports it (exit 3)" in service.log
    assert "started process" not in service.log


def test_a_wrong_schema_is_told_by_the_check_together_with_a_wrong_handler(
    service: Callable[..., Service], tmp_path: Path
) -> None:
    (tmp_path / "schema.json").write_text('{"properties": {"order": {"type": "nmber"}}}')
    never_started = service("topic", "group", handler="no.such_module:work", env={"MESSAGE_SCHEMA": f"{tmp_path}/schema.json"})

    checked = never_started.command("--check-config")

    assert checked.returncode == 78
    faults = checked.stderr.strip().split("\n  - ")[1:]
    assert [fault.split("=", 1)[0] for fault in faults] == ["MESSAGE_SCHEMA", "HANDLER"]
    assert "/properties/order/type: value is not valid" in faults[0]
    assert "Traceback" not in checked.stderr


def test_a_password_reaches_the_processes_and_is_shown_nowhere(scene: Scene) -> None:
    secret = {"KAFKA_CLIENT_SASL_PASSWORD": SECRET, "KAFKA_CLIENT_SECURITY_PROTOCOL": "plaintext"}
    service = scene.ready_service(env=secret)
    lines = command_lines(service)

    checked = service.command("--check-config")

    assert set(lines) == {service.pid, *service.children().values()}
    assert not [line for line in lines.values() if SECRET in line]
    assert checked.returncode == 0
    assert "KAFKA_CLIENT_SASL_PASSWORD=********\n" in checked.stdout
    assert SECRET not in checked.stdout + checked.stderr + service.log + str(service.status())
