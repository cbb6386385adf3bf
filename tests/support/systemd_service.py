"""The service installed where its unit file wants it, in a private systemd: the real unit, changed in timings only."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import Dict, List

from tests.support.eventually import eventually
from tests.support.installed import source
from tests.support.kafka_jars import ROOT
from tests.support.ledger import Ledger
from tests.support.processes import MARKER, marker_value
from tests.support.systemd_sandbox import SystemdSandbox

NAME = "kafka-consumer.service"
UNIT_FILE = ROOT / "systemd" / NAME
HOME = "/opt/kafka-consumer"
PYTHON = "/opt/python"
PAGE = ROOT / "systemd" / "README.md"
INSTALL_SECONDS = 90.0
UNITS = "/run/systemd/system"
SETTINGS = "/run/service.env"  # the sandbox's /etc is the machine's: nothing may be written there
STATE = "/var/lib/kafka-consumer"
STAGE = "/run/install"  # becomes /opt; on a file system of the sandbox's own
PACE = {"WatchdogSec": "2", "RestartSec": "200ms"}  # a test's, instead of an operator's
READY_SECONDS = 30.0


def install(sandbox: SystemdSandbox) -> None:
    """By the page's commands, and test handlers beside. The interpreter is the one that runs the tests, seen below /opt: the
    unit may look into no home folder.
    """
    home = sandbox.path(f"{STAGE}/kafka-consumer")
    (home / "tests" / "support").mkdir(parents=True)
    for file in ("tests/support/handlers.py", "tests/support/ledger.py"):
        shutil.copy(ROOT / file, home / file)
    sandbox.path(f"{STAGE}/python").mkdir()
    sandbox.run(["mount", "--bind", "-o", "ro", sys.base_prefix, f"{STAGE}/python"])
    sandbox.run(["mount", "--rbind", STAGE, "/opt"])
    sandbox.path(UNITS).mkdir(exist_ok=True)
    checkout = source(sandbox.path("/run/checkout"))
    assert (checkout / "systemd" / NAME).exists()
    program = Path(sys.executable).resolve().relative_to(Path(sys.base_prefix).resolve())
    commands = commands_of_page("Install").replace("/usr/bin/python3", f"{PYTHON}/{program}")
    # Nothing may be enabled before it is configured; and what pip keeps for the next time is root's, not the service's.
    commands = re.sub("^systemctl enable .*", "", in_sandbox(commands), flags=re.MULTILINE)
    script = f"cd /run/checkout; export HOME={os.path.expanduser('~')} LD_LIBRARY_PATH={PYTHON}/lib\n{commands}"
    sandbox.run(["sh", "-euc", script], timeout=INSTALL_SECONDS)


def commands_of_page(heading: str) -> str:
    """The first commands below a heading of the page, as a shell takes them."""
    found = re.search(rf"^## {heading}\n.*?^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"the page has no commands below {heading}"
    return found[1]


def in_sandbox(commands: str) -> str:
    """Commands of the page, but for /etc, which is the machine's, and for systemd-run, which needs a message bus."""
    commands = re.sub(r"systemd-run (?:\S+ )*?-p EnvironmentFile=(\S+) (?:-p \S+ )*", r"env $(cat \1) ", commands)
    return (
        commands.replace("/etc/systemd/system", UNITS)
        .replace("/etc/kafka-consumer/service.env", SETTINGS)
        .replace("/etc/kafka-consumer", "/run/etc")
    )


class SystemdService:
    """The installed service, configured for one test."""

    def __init__(self, sandbox: SystemdSandbox, **settings: object) -> None:
        """Nothing is started. `settings`: environment names and their values."""
        self.sandbox = sandbox
        self.settings: Dict[str, object] = {
            MARKER: marker_value("systemd"),
            "LD_LIBRARY_PATH": f"{PYTHON}/lib",  # for an interpreter that is a shared library
            "HANDLER": "tests.support.handlers:work",
            "LEDGER": f"{STATE}/ledger",
            **settings,
        }
        self.configure()
        self.drop_in("pace", EnvironmentFile=SETTINGS, **PACE)

    # ---- its settings ---------------------------------------------------------------------------------------------

    def configure(self, **settings: object) -> None:
        """Add settings; None takes one away. They hold from the next start on."""
        self.settings.update(settings)
        lines = [f"{name}={value}\n" for name, value in self.settings.items() if value is not None]
        self.sandbox.path(SETTINGS).write_text("".join(lines))

    def drop_in(self, file: str, **lines: str) -> None:
        """Change what the unit's [Service] section says."""
        self.drop_in_text(file, "[Service]\n" + "".join(f"{name}={value}\n" for name, value in lines.items()))

    def drop_in_text(self, file: str, text: str) -> None:
        """The same, as a whole file."""
        folder = self.sandbox.path(f"{UNITS}/{NAME}.d")
        folder.mkdir(exist_ok=True)
        (folder / f"{file}.conf").write_text(text)
        self.sandbox.systemctl("daemon-reload")

    # ---- its life -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Returns when systemd considers it started."""
        self.sandbox.systemctl("start", NAME)

    def stop(self) -> None:
        """Returns when it has ended."""
        self.sandbox.systemctl("stop", NAME)

    def reload(self) -> None:
        """Returns when the signal is sent: systemd may or may not wait for the end of the reload."""
        self.sandbox.systemctl("--no-block", "reload", NAME)

    def signal(self, name: str, pid: int) -> None:
        """`kill -NAME` of one of its processes."""
        self.sandbox.run(["kill", f"-{name}", str(pid)])

    def wait(self, **wanted: str) -> Dict[str, str]:
        """Until systemd says so of the unit; all it says then."""
        return self.sandbox.wait(NAME, None, **wanted)

    def wait_well(self, partitions: int) -> str:
        """Until the status line says that all is well, with so many partitions, and the lag of each is known; that line."""
        wanted = f" {partitions} partitions"

        def well() -> str:
            line = self.status_line()
            return line if wanted in line and "degraded" not in line and "+?" not in line else ""

        return eventually(well, READY_SECONDS, f"the service has{wanted} and is well")

    def close(self) -> None:
        """End it by force, and remove what the test has written. pytest shows the journal if the test failed."""
        self.sandbox.systemctl("kill", "--signal=KILL", NAME, check=False)
        self.sandbox.systemctl("stop", NAME)
        self.sandbox.systemctl("reset-failed", NAME, check=False)
        print(f"---- journal ----\n{self.journal_text()}")
        self.sandbox.run(["journalctl", "--rotate"])
        self.sandbox.run(["journalctl", "--vacuum-time=1us"])
        shutil.rmtree(self.sandbox.path(f"{UNITS}/{NAME}.d"))
        shutil.rmtree(self.sandbox.path("/var/lib/private/kafka-consumer"), ignore_errors=True)

    # ---- what it says ---------------------------------------------------------------------------------------------

    def properties(self) -> Dict[str, str]:
        """What systemd knows of the unit."""
        return self.sandbox.show(NAME)

    def main_pid(self) -> int:
        """Of the supervisor."""
        return int(self.properties()["MainPID"])

    def status_line(self) -> str:
        """What it said last by STATUS=."""
        return self.properties()["StatusText"]

    def pids(self) -> List[int]:
        """Of all its processes, as the sandbox counts them. A unit that has ended has no control group."""
        return self.sandbox.pids(NAME) if self.properties().get("ControlGroup") else []

    def children(self) -> List[int]:
        """The pids of its consumer processes."""
        return sorted(set(self.pids()) - {self.main_pid()})

    def journal_text(self) -> str:
        """All lines of it, and systemd's about it."""
        return "\n".join(str(entry["MESSAGE"]) for entry in self.sandbox.journal(NAME))

    @property
    def ledger(self) -> Ledger:
        """What the handlers have done."""
        return Ledger(str(self.sandbox.path(f"{STATE}/ledger")))
