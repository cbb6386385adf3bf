"""The unit file and its install page: what systemd's own tools say of it, its exit codes, credentials, the journal."""

from __future__ import annotations

import re
import subprocess
from typing import List

import pytest

from kafka_worker.shared.exit_codes import ExitCode
from tests.support.kafka_jars import ROOT
from tests.support.systemd_sandbox import SystemdSandbox
from tests.support.systemd_service import NAME, UNIT_FILE, UNITS, SystemdService

pytestmark = pytest.mark.systemd

PAGE = (ROOT / "systemd" / "README.md").read_text()
LINES = re.findall(r"^(\w+)=(.*)$", UNIT_FILE.read_text(), re.MULTILINE)
SECRET = "correct-horse-battery"


def of_unit(key: str) -> List[str]:
    return [value for name, value in LINES if name == key]


def test_the_units_exposure_is_at_most_1_5() -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=15", str(UNIT_FILE)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout


def test_systemd_finds_no_fault_in_the_unit(systemd: SystemdSandbox) -> None:
    done = systemd.run(["systemd-analyze", "verify", "--man=no", f"{UNITS}/{NAME}"])

    assert (done.stdout, done.stderr) == ("", "")


def test_only_a_wrong_configuration_keeps_systemd_from_starting_the_service_again() -> None:
    assert of_unit("Restart") == ["on-failure"]
    assert of_unit("RestartPreventExitStatus") == [str(int(ExitCode.CONFIGURATION))]


def test_the_install_page_says_what_each_exit_code_of_the_supervisor_makes_systemd_do() -> None:
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", PAGE, re.MULTILINE)}

    assert told == {ExitCode.OK, ExitCode.FAULT, ExitCode.GAVE_UP, ExitCode.CONFIGURATION}


def test_the_install_page_gives_a_reason_for_each_setting_of_the_unit() -> None:
    table = "\n".join(re.findall(r"^\| `.*$", PAGE, re.MULTILINE))

    assert [name for name, _ in LINES if f"`{name}=" not in table] == []


def test_the_pages_credential_reaches_the_client_and_no_environment_or_command_line(unit: SystemdService) -> None:
    in_etc, in_run = "/etc/kafka-consumer/sasl-password", "/run/sasl-password"
    drop_in = re.search(r"^\[Service\]\nLoadCredential=.*?(?=^```)", PAGE, re.MULTILINE | re.DOTALL)
    assert drop_in
    unit.drop_in_text("credentials", drop_in[0].replace(in_etc, in_run))
    password = unit.sandbox.path(in_run)
    password.write_text(SECRET)
    password.chmod(0o600)

    unit.start()  # a setting whose file can't be read is a fault of the configuration

    pids = [unit.main_pid(), *unit.children()]
    files = [f"/proc/{pid}/{file}" for pid in pids for file in ("environ", "cmdline")]
    seen = unit.sandbox.run(["cat", *files]).stdout
    assert "KAFKA_CLIENT_SASL_PASSWORD_FILE=/run/credentials/" in seen
    assert SECRET not in seen


def test_a_line_in_the_journal_has_its_level_and_the_process_that_wrote_it(unit: SystemdService) -> None:
    unit.start()
    supervisor, victim = unit.main_pid(), unit.children()[0]
    unit.signal("KILL", victim)
    unit.wait_well(4)

    entries = unit.sandbox.journal(NAME)

    told = [entry for entry in entries if f"process {victim} ended" in entry["MESSAGE"]]
    assert [(entry["PRIORITY"], entry["_PID"]) for entry in told] == [("3", str(supervisor))]
    ready = [entry for entry in entries if "Using 2 threads" in entry["MESSAGE"]]
    assert {entry["PRIORITY"] for entry in ready} == {"6"}
    assert str(victim) in {entry["_PID"] for entry in ready}


def test_no_process_but_the_supervisor_inherits_what_speaks_to_systemd(unit: SystemdService) -> None:
    unit.start()

    for pid in unit.children():
        inherited = unit.sandbox.run(["cat", f"/proc/{pid}/environ"]).stdout
        assert "INVOCATION_ID=" in inherited
        assert "NOTIFY_SOCKET=" not in inherited
        assert "WATCHDOG_" not in inherited
