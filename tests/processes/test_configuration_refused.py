"""What the command does with settings: all that is wrong is told at once before anything runs, and secrets to nobody."""

from __future__ import annotations

import contextlib
import json
import textwrap
import time
from pathlib import Path
from typing import Callable, Dict

import pytest

from tests.support.eventually import eventually
from tests.support.scene import Scene
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

    assert service.wait(4 * WITHIN_SECONDS) == 78
    assert time.monotonic() - began < WITHIN_SECONDS
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
    # A process may have been on its way: it had no settings, so it has touched nothing, and it is gone.
    assert not [*Path(service.runtime_directory).rglob("slot-*"), *service.pids()], "a consumer process was started"


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
    assert (
        service.log.count("HANDLER=deadly_handler:work ends the process that imports it, or closes descriptors of it (exit 3)")
        == 1
    )
    assert "started process" not in service.log
    assert "Traceback" not in service.log
    assert service.pids() == [], "the process that was prepared is gone"


def test_a_client_that_ends_whoever_makes_it_is_told_as_that_and_not_as_the_handlers(
    service: Callable[..., Service], tmp_path: Path
) -> None:
    """As where there is a property that it makes nothing of, or no thread."""
    aborts = "import os; from kafka_worker import check; check.Consumer = lambda _: os.abort()"
    (tmp_path / "harmless.py").write_text(f"import sys\nif '--check' in sys.argv: {aborts}\ndef work(_): pass\n")
    never_started = service("topic", "group", handler="harmless:work", env={"PYTHONPATH": str(tmp_path)})

    checked = never_started.command("--check-config")

    assert checked.returncode == 78
    assert "  - The Kafka client ends the process that makes it (killed by SIGABRT" in checked.stderr


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


TELLS = """\
    import json, resource, subprocess, sys
    told = subprocess.run([sys.executable, "-c", "import json, os; print(json.dumps(dict(os.environ)))"], capture_output=True)
    with open({path!r}, "a") as file:
        limit = resource.getrlimit(resource.RLIMIT_CORE)[0]
        file.write(json.dumps({{"core": limit, "environment": json.loads(told.stdout)}}) + "\\n")
    def work(message): pass
"""


@pytest.mark.parametrize(("cores", "allowed"), [("off", 0), ("on", 4096)])
def test_what_handlers_start_gets_no_secret_of_the_file_and_nobody_leaves_a_core(
    tmp_path: Path, cores: str, allowed: int
) -> None:
    told, here = tmp_path / "told", tmp_path / "here"
    here.mkdir()
    (tmp_path / "telling_handler.py").write_text(textwrap.dedent(TELLS.format(path=str(told))))
    (here / ".env").write_text(
        f"KAFKA_CLIENT_SASL_PASSWORD={SECRET}\nKAFKA_CLIENT_SECURITY_PROTOCOL=plaintext\nCORE_DUMPS={cores}\nTHEIRS=1\n"
    )
    prefix = ["sh", "-c", f'cd {here} && ulimit -Sc 8 && exec "$@"', "sh"]
    env = {"PYTHONPATH": str(tmp_path)}
    service = Service("127.0.0.1:1", "topic", "group", processes=1, handler="telling_handler:work", env=env, prefix=prefix)
    with service:
        eventually(lambda: told.exists() and told.read_text().count("\n") == 2, 60, "the check and a process have imported it")
        service.terminate()
        assert service.wait(60) == 0
        assert SECRET not in service.log

    for each in map(json.loads, told.read_text().splitlines()):
        assert each["core"] == allowed
        assert each["environment"]["THEIRS"] == "1"
        assert not [name for name, value in each["environment"].items() if value == SECRET or name.startswith("KAFKA_CLIENT_")]
