"""Test hosts: network namespaces joined by a bridge, with faults on the wire, for tests of what a service does then.

Each host has an eth0 with an address of its own in a network that leads nowhere else: the bridge lives in a namespace too,
and the machine's own network is not touched. Files, pids and users are the machine's. Needs root and iproute2.

    with NetHosts("broker", "a", "b") as net, net["broker"].inside():   # sockets made now are that host's
        cluster = Cluster(host=net["broker"].ip).start()
    Service(cluster.bootstrap, …, prefix=net["a"].prefix)
    net.cut("a", "broker")                             # packets vanish both ways, silently; nobody gets an error
    net.cut("a", "broker", both=False)                 # only those from a to broker: an asymmetric partition
    net.unplug("b"); net.plug("b")                     # the cable
    net.slow("a", delay=0.1, jitter=0.02, loss=0.05)   # on the host's cable, each way: a round trip grows by 0.2 s
    net.heal()                                         # all of it undone
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, Optional

from tests.support.cable import Cable, ip

NETWORK = "10.77.0."
NOBODY = "02:00:00:00:00:01"  # an Ethernet address that no host has: frames to it end on the bridge
SPACES = "/run/netns"
_CLONE_NEWNET = 0x40000000
_count = itertools.count()


class UnavailableError(RuntimeError):
    """This machine cannot make test hosts; the text says why. A failure, never a reason to skip."""


class Host:
    """One of the hosts, as a test sees it."""

    def __init__(self, name: str, space: str, number: int) -> None:
        """`space`: its network namespace, not made yet."""
        self.name, self.space = name, space
        self.cable: Optional[Cable] = None
        self.ip = NETWORK + str(number)
        self.mac = f"02:00:00:00:01:{number:02x}"
        self.port = f"port{number}"  # of the bridge
        self.prefix = ["nsenter", f"--net={SPACES}/{space}", "--"]  # runs a command on this host

    def run(self, command: List[str], timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Run a command on this host."""
        return subprocess.run([*self.prefix, *command], timeout=timeout, capture_output=True, text=True, check=False)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is on this host: its sockets, and the processes, threads and clients that it starts."""
        with open("/proc/thread-self/ns/net") as home, open(f"{SPACES}/{self.space}") as there:
            _set_namespace(there.fileno())
            try:
                yield
            finally:
                _set_namespace(home.fileno())


class NetHosts:
    """Use it in a `with`. Raises UnavailableError there."""

    def __init__(self, *names: str) -> None:
        """`names` of the hosts; they get their addresses in this order, from 10.77.0.1."""
        stem = f"test{os.getpid()}-{next(_count)}-"
        self._switch, self._was_mounted = stem + "switch", True
        self._hosts = {name: Host(name, stem + name, number) for number, name in enumerate(names, 1)}

    def __getitem__(self, name: str) -> Host:
        return self._hosts[name]

    def __enter__(self) -> NetHosts:  # noqa: PYI034 (typing.Self needs Python 3.11)
        _check()
        _remove_of_killed_runs()
        self._was_mounted = _mounted()
        try:
            self._make()
        except subprocess.CalledProcessError as problem:
            self.__exit__()
            raise UnavailableError(f"{' '.join(problem.cmd)}: {problem.stderr.decode().strip()}") from problem
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for space in [*(host.space for host in self._hosts.values()), self._switch]:
            _delete(space)
        if _mounted() and not self._was_mounted:  # by our first "netns add"; busy if others use it by now
            subprocess.run(["umount", SPACES], stderr=subprocess.DEVNULL, check=False)
        for host in self._hosts.values():
            if host.cable:
                host.cable.close()

    def _make(self) -> None:
        ip("netns", "add", self._switch)
        ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self._switch, "link", "set", "bridge", "up")
        for host in self._hosts.values():
            ip("netns", "add", host.space)
            ip("-n", host.space, "link", "set", "lo", "up")
            pair = ["type", "veth", "peer", "name", "eth0", "netns", host.space]
            ip("-n", self._switch, "link", "add", host.port, *pair)
            self._wire(host)

    def _wire(self, host: Host) -> None:
        """Give the host's eth0 its addresses, and put its other end on the bridge."""
        ip("-n", host.space, "link", "set", "eth0", "address", host.mac, "up")
        ip("-n", host.space, "addr", "replace", host.ip + "/24", "dev", "eth0")
        ip("-n", self._switch, "link", "set", host.port, "master", "bridge", "up")

    def cut(self, source: str, target: str, *, both: bool = True) -> None:
        """Lose all packets from source to target (and back): source is told a wrong Ethernet address."""
        entry = [self[target].ip, "lladdr", NOBODY, "nud", "permanent", "dev", "eth0"]
        ip("-n", self[source].space, "neigh", "replace", *entry)
        if both:
            self.cut(target, source, both=False)

    def unplug(self, name: str) -> None:
        """Pull the host's cable."""
        ip("-n", self._switch, "link", "set", self[name].port, "down")

    def plug(self, name: str) -> None:
        """Put it back."""
        ip("-n", self._switch, "link", "set", self[name].port, "up")

    def slow(self, name: str, delay: float = 0.0, jitter: float = 0.0, loss: float = 0.0) -> None:
        """Delay (seconds) and loss (0 to 1) on the host's cable, each way; open connections live on."""
        host = self[name]
        if not host.cable:  # the first time: a cable of ours in place of the kernel's
            ip("-n", self._switch, "link", "del", host.port)
            host.cable = Cable((host.space, "eth0"), (self._switch, host.port))
            self._wire(host)
            host.cable.start()
        host.cable.delay, host.cable.jitter, host.cable.loss = delay, jitter, loss

    def heal(self) -> None:
        """Undo every fault."""
        for host in self._hosts.values():
            self.plug(host.name)
            if host.cable:
                self.slow(host.name)
            ip("-n", host.space, "neigh", "flush", "dev", "eth0", "nud", "permanent")


def _check() -> None:
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        raise UnavailableError("test hosts need Linux and root: run the tests as root")
    if not shutil.which("ip") or not shutil.which("nsenter"):
        raise UnavailableError("test hosts need ip and nsenter: apt-get install iproute2 util-linux")


def _set_namespace(descriptor: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _remove_of_killed_runs() -> None:
    for old in os.listdir(SPACES) if os.path.isdir(SPACES) else ():
        owner = old[len("test") :].split("-")[0]
        if old.startswith("test") and owner.isdigit() and not os.path.exists("/proc/" + owner):
            _delete(old)


def _mounted() -> bool:
    return any(line.split()[4] == SPACES for line in Path("/proc/self/mountinfo").read_text().splitlines())


def _delete(space: str) -> None:
    """Kill the processes of a network namespace, and remove it."""
    listed = subprocess.run(["ip", "netns", "pids", space], capture_output=True, check=False)
    for pid in map(int, listed.stdout.split()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    subprocess.run(["ip", "netns", "del", space], stderr=subprocess.DEVNULL, check=False)
