"""What the settings of HTTP mean: where it is served, for whom, and what is wrong with them. Standard library only, as the
supervisor opens the address itself."""

from __future__ import annotations

import errno
import os
import socket
from importlib.util import find_spec
from typing import Any, List, Mapping, Tuple

from kafka_worker import start
from kafka_worker.shared.system import files

LOCAL = "127.0.0.1"
HIGHEST_PORT = 65_535
_REMEDIES = {
    errno.EADDRINUSE: ". Free the port, or set HTTP to another",
    errno.EACCES: ". Set HTTP to a port above 1023",
    errno.EADDRNOTAVAIL: ". Set HTTP to an address of this machine",
}
SHORTEST_TOKEN, LONGEST_TOKEN = 16, 4096  # characters
BACKLOG = 128  # who calls while the process that answers is started again waits there


def parsed(address: str) -> Tuple[str, int]:
    """IP address and port of `host:port`. Raises ValueError. (Names are not looked up: that can take for ever.)"""
    host, _, port = address.rpartition(":")
    ip = _ip(LOCAL if host == "localhost" else host.strip("[]"))
    if int(port) > HIGHEST_PORT:
        raise ValueError(f"the highest port is {HIGHEST_PORT}")
    return str(ip), int(port)


def written(listener: socket.socket) -> str:
    """Where a socket listens, as `host:port`."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_of_this_machine_alone(address: str) -> bool:
    """Whether nobody from elsewhere reaches it."""
    return bool(_ip(parsed(address)[0]).is_loopback)


def _ip(text: str) -> Any:
    from ipaddress import ip_address  # here, because most services have no address

    return ip_address(text)


def refused(problem: OSError) -> str:
    """Why nothing can listen there, and what is to be done, if that is known."""
    why = os.strerror(problem.errno) if problem.errno else str(problem)  # what Python adds is the address once more
    return why + _REMEDIES.get(problem.errno or 0, "")


def listen(address: str) -> socket.socket:
    """A socket that listens there. Raises OSError."""
    host, port = parsed(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    both = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, backlog=BACKLOG, dualstack_ipv6=both)


def token(path: str) -> str:
    """The token that the file holds now: it may be replaced while we run. Raises OSError and ValueError."""
    found = files.text(path).strip()
    if not SHORTEST_TOKEN <= len(found) <= LONGEST_TOKEN or not found.isascii() or not found.isprintable():
        raise ValueError(f"the token must have {SHORTEST_TOKEN} to {LONGEST_TOKEN} printable ASCII characters")
    return found


def faults(values: Mapping[str, Any], command: str) -> List[str]:
    """What is wrong with them, one line each, where the command serves, or is asked whether one could."""
    found: List[str] = []
    if command not in ("run", "serve", "check"):
        return found
    if command == "serve" and not values["http"]:
        found.append(f"serve needs an address. Write: {start.program()} serve --http 127.0.0.1:8080")
    if values["http"]:
        try:
            parsed(values["http"])
        except ValueError as problem:
            found.append(f"HTTP = {values['http']} is no address: {problem}. Correct it.")
    if values["http_token_file"]:
        try:
            token(values["http_token_file"])
        except (OSError, ValueError) as problem:
            found.append(
                f"HTTP_TOKEN_FILE = {values['http_token_file']} can't be used: {problem}. To make one: "
                'python3 -c "import secrets; print(secrets.token_urlsafe())" > FILE'
            )
    return found


def missing(address: str) -> List[str]:
    """The fault when something is to be served, and the libraries for it are not there."""
    lacking = [name for name in ("starlette", "uvicorn") if address and find_spec(name) is None]
    if not lacking:
        return []
    what = "-r requirements-http.txt" if start.program() == start.IN_CHECKOUT else "'kafka-worker[http]'"
    are = "is" if not lacking[1:] else "are"
    fault = (
        f"HTTP = {address} needs {' and '.join(lacking)}, which {are} not installed. Do: pip install {what}, or leave HTTP out"
    )
    return [fault]
