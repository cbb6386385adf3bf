"""A private systemd, booted for one test and gone after it, so that the project's real unit files can be tested.

It is PID 1 of its own pid, mount, cgroup, uts and ipc namespaces. It shares the machine's files and network (127.0.0.1 and a
server on it are the machine's), but has its own /run, /dev, /etc/systemd/system, /var/{lib,log,cache,tmp}, boot id and
journal, and a read-only /sys and /proc/sys: what a unit does there leaves nothing behind. What it writes to other folders
(/tmp without PrivateTmp=, /etc by ConfigurationDirectory=, …) is written to the machine's. Needs root and systemd.

    with SystemdSandbox() as sd:
        sd.unit("demo.service", text)                  # "name@.service", ".socket", ".target" too; sd.drop_in() changes one
        sd.systemctl("start", "demo"); sd.wait("demo", ActiveState="active", NRestarts=0)
        sd.pids("demo"); sd.journal("demo")[-1]["MESSAGE"]; sd.run(["ps", "-ef"]).stdout
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from tests.support.eventually import eventually

TMP = os.path.join("/tmp", "systemd-private-")  # and a boot id: the folders of PrivateTmp= and DynamicUser=
OURS = "5db05db0"  # so begin the boot ids that we make; the owner's pid comes next
V1 = {"memory", "pids", "cpu", "cpuacct", "blkio", "devices", "name=systemd"}  # cgroups that systemd writes to
TOOLS = ("/lib/systemd/systemd", "unshare", "nsenter", "setpriv", "mount", "systemctl", "journalctl")
BOOT = Path(__file__).with_name("systemd_boot.sh")
NAMESPACES = ["--fork", "--pid", "--mount", "--uts", "--ipc"]


class UnavailableError(RuntimeError):
    """This machine cannot run the sandbox; the text says why. A failure, never a reason to skip."""


def cgroup_folders() -> Dict[str, str]:
    """{"": version 2 cgroup folder, version 1 names: our own folder there, …}. Raises UnavailableError."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        raise UnavailableError("a systemd of our own needs Linux and root: run the tests as root")
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        raise UnavailableError(f"not installed: {', '.join(missing)}: apt-get install systemd util-linux")
    places = _mounted_cgroups()
    if "" not in places:
        raise UnavailableError("no writable cgroup version 2 hierarchy is mounted")
    probe = ["unshare", *NAMESPACES, "--cgroup", "mount", "-t", "proc", "proc", "/proc"]
    tried = subprocess.run(probe, capture_output=True, text=True, check=False)
    if tried.returncode:
        raise UnavailableError(f"namespaces are refused: {tried.stderr.strip()}")
    return places


def _mounted_cgroups() -> Dict[str, str]:
    own: Dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        own[names] = path
    places: Dict[str, str] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields, rest = (part.split() for part in line.split(" - "))
        if rest[0] == "cgroup2" and "ro" not in fields[5].split(","):
            places.setdefault("", fields[4])  # at its top: there the controllers are handed out
        for names in own if rest[0] == "cgroup" else ():
            if set(names.split(",")) & V1 & set(rest[2].split(",")):
                inside = os.path.relpath(own[names], fields[3])
                places.setdefault(names, os.path.normpath(f"{fields[4]}/{inside}"))
    return places


class SystemdSandbox:
    """Use it in a `with`. Raises UnavailableError there."""

    def __init__(self, timeout: float = 30, prefix: Sequence[str] = ()) -> None:
        """`timeout`: seconds, for boot and for each command. `prefix`: to boot under, as Host.prefix of nethosts."""
        self._timeout, self._prefix = timeout, list(prefix)
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._cgroups: List[str] = []
        self._version1 = False
        self._boot_id = uuid.UUID(f"{OURS}{os.getpid():08x}{id(self):016x}")
        self.pid = 0  # of its PID 1, as the machine counts

    def __enter__(self) -> SystemdSandbox:  # noqa: PYI034 (typing.Self needs Python 3.11)
        v1 = cgroup_folders()
        v2 = v1.pop("")
        # MemoryMax= works on either version, OOMPolicy= on 2 only: on 1 systemd does not hear of OOM kills
        self._version1 = "memory" not in Path(v2, "cgroup.controllers").read_text().split()
        v1 = v1 if self._version1 else {}
        _remove_of_killed_runs([v2, *v1.values()])
        try:
            for place in [v2, *v1.values()]:
                self._cgroups.append(f"{place}/sdbox.{os.getpid()}.{id(self)}")
                os.mkdir(self._cgroups[-1])
            with tempfile.TemporaryFile("w+b") as output:
                self._boot(v1, output)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Kill PID 1, and with it all in its namespaces; remove our cgroups and private folders in /tmp."""
        if self._process and self._process.poll() is None:
            os.kill(self._init() or self._process.pid, signal.SIGKILL)  # not unshare: it has to reap its child
            self._process.wait()
        while self._cgroups:
            _remove(self._cgroups.pop())
        for folder in glob.glob(TMP + self._boot_id.hex + "*"):
            shutil.rmtree(folder, ignore_errors=True)

    def _boot(self, v1: Dict[str, str], output: Any) -> None:
        # pdeathsig and kill-child: if this process (or the thread that is here) dies, so do systemd and its units
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--kill-child", *NAMESPACES, "sh", "-euc"]
        variables = {"CGROUPS": " ".join(self._cgroups), "V1": " ".join(v1), "ID": str(self._boot_id)}
        self._process = subprocess.Popen(
            [*self._prefix, *command, BOOT.read_text()],
            env={**os.environ, **variables},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            eventually(self._booted, self._timeout, "systemd has booted")
        except AssertionError as problem:
            output.seek(0)
            raise RuntimeError(f"{problem}; it says:\n{output.read().decode(errors='replace')}") from None

    def _booted(self) -> bool:
        assert self._process
        assert self._process.poll() is None, f"systemd ended with {self._process.poll()}"
        self.pid = self.pid or self._init()
        if not self.pid or not self.path("/run/sandbox").exists():  # still the machine's folders
            return False
        if not self.path("/run/systemd/private").exists():
            return False
        state = self.systemctl("is-system-running", check=False).stdout.strip()
        return state in {"running", "degraded"}

    def _init(self) -> int:
        """unshare's child, which is PID 1 inside; 0 as long as there is none."""
        assert self._process
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        with contextlib.suppress(FileNotFoundError):
            return int((children.read_text().split() or ["0"])[0])
        return 0

    def path(self, inside: str) -> Path:
        """A path of the sandbox as seen from outside, to read or write files of its /run, /var/lib, …"""
        return Path(f"/proc/{self.pid}/root") / inside.lstrip("/")

    def unit(self, name: str, text: str) -> None:
        """Install a unit file."""
        file = self.path("/run/systemd/system/" + name)
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        self.systemctl("daemon-reload")

    def drop_in(self, unit: str, text: str) -> None:
        """Change a unit."""
        self.unit(f"{unit}.d/50-test.conf", text)

    def run(
        self, command: Sequence[str], *, check: bool = True, timeout: Optional[float] = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command beside the units. Raises RuntimeError when it fails, unless told not to check."""
        enter = ["nsenter", "-t", str(self.pid), "-m", "-p", "-n", "-C", "-u", "-i", "--"]
        done = subprocess.run(
            [*enter, *command], capture_output=True, text=True, timeout=timeout or self._timeout, check=False
        )
        if check and done.returncode:
            raise RuntimeError(f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def systemctl(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run systemctl."""
        return self.run(["systemctl", "--no-pager", *words], check=check)

    def show(self, unit: str) -> Dict[str, str]:
        """The unit's properties: ActiveState, MainPID, NRestarts, Result, StatusText, …"""
        lines = self.systemctl("show", unit).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def wait(self, unit: str, timeout: Optional[float] = None, **wanted: object) -> Dict[str, str]:
        """Poll until the unit's properties are as wanted, and return them all."""
        last: Dict[str, str] = {}

        def as_wanted() -> bool:
            last.update(self.show(unit))
            return all(last.get(key) == str(value) for key, value in wanted.items())

        try:
            eventually(as_wanted, timeout or self._timeout, f"{unit} has {wanted}")
        except AssertionError as problem:
            raise AssertionError(f"{problem}; it has { {key: last.get(key) for key in wanted} }") from None
        return last

    def pids(self, unit: str) -> List[int]:
        """The unit's processes, as the sandbox counts them (so kill them by run(["kill", …]))."""
        group = self.show(unit)["ControlGroup"]
        top = "/sys/fs/cgroup/unified" if self._version1 else "/sys/fs/cgroup"
        return [int(pid) for pid in self.run(["cat", f"{top}{group}/cgroup.procs"]).stdout.split()]

    def journal(self, unit: str, *words: str) -> List[Dict[str, Any]]:
        """The unit's journal, its own lines and systemd's about it: MESSAGE, PRIORITY, _PID, …"""
        self.run(["journalctl", "--sync"])
        lines = self.run(["journalctl", "-a", "-o", "json", "-u", unit, *words]).stdout.splitlines()
        return [json.loads(line) for line in lines]


def _remove_of_killed_runs(cgroups: Sequence[str]) -> None:
    for old in glob.glob(TMP + OURS + "*"):
        if not os.path.exists(f"/proc/{int(old[len(TMP + OURS) :][:8], 16)}"):
            shutil.rmtree(old, ignore_errors=True)
    for place in cgroups:
        for old in glob.glob(place + "/sdbox.*"):
            if not os.path.exists("/proc/" + old.split(".")[-2]):
                _remove(old)


def _remove(group: str) -> None:
    """Remove a cgroup and those below it; the kernel may take a moment to let go of the dead."""

    def gone() -> bool:
        for folder, _, _ in os.walk(group, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        return not os.path.isdir(group)

    eventually(gone, 10, f"the control group {group} is empty")
