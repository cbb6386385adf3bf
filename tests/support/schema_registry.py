"""A schema registry that speaks the HTTP interface of Confluent's, as far as serializers and consumers ask, and does what a
test says: it can be away, and come back at the same address."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Dict, List, Optional, Tuple

Answer = Tuple[int, bytes]
NONE: Answer = (0, b"")  # the connection is closed


class SchemaRegistry:
    """Use it in a `with`."""

    def __init__(self) -> None:
        """Empty, at a free port."""
        self.schemas: List[Dict[str, Any]] = []  # that with id 1 first
        self.subjects: Dict[str, List[int]] = {}  # the ids of the versions of each, the first one first
        self.asked: List[str] = []
        self.instead: Optional[Answer] = None  # of any other answer
        self._address = ("127.0.0.1", 0)
        self._server: Optional[ThreadingHTTPServer] = None
        self.start()

    def start(self) -> None:
        """Answer again."""
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(registry.instead or registry.found(self.path))

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self._answer(registry.instead or registry.registered(body, self.path))

            def _answer(self, answer: Answer) -> None:
                registry.asked.append(self.path)
                status, content = answer
                if not status:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(self._address, Handler)
        self._address = self._server.server_address[:2]  # type: ignore[assignment]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Nobody answers there."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def be_away(self, instead: Optional[Answer] = None) -> None:
        """Answer no more, or all with the same, as whoever stands before it would."""
        self.instead = instead
        if instead is None:
            self.stop()

    def be_back(self) -> None:
        """Answer as ever."""
        self.instead = None
        if self._server is None:
            self.start()

    @property
    def url(self) -> str:
        """What SCHEMA_REGISTRY_URL is set to."""
        return "http://{}:{}".format(*self._address)

    def found(self, path: str) -> Answer:
        """The schema of this path."""
        version = re.match(r"/subjects/([^/]+)/versions/(\w+)", path)
        if version is not None:
            return self._version(*version.groups())
        number = re.match(r"/schemas/ids/(\d+)", path) or re.match(r"/schemas/guids/0{8}-0000-0000-0000-0*(\d+)", path)
        if number is None or not 0 < int(number[1]) <= len(self.schemas):
            return _unknown(40403, f"Schema {number and number[1]} not found")
        return 200, json.dumps(self.schemas[int(number[1]) - 1]).encode()

    def _version(self, subject: str, wanted: str) -> Answer:
        """One of a subject."""
        ids = self.subjects.get(subject, [])
        number = len(ids) if wanted == "latest" else int(wanted)
        if not ids:
            return _unknown(40401, f"Subject '{subject}' not found.")
        if not 0 < number <= len(ids):
            return _unknown(40402, f"Version {wanted} not found.")
        found = {"subject": subject, "version": number, "id": ids[number - 1], **self.schemas[ids[number - 1] - 1]}
        return 200, json.dumps(found).encode()

    def registered(self, body: Dict[str, Any], path: str = "") -> Answer:
        """A schema gets the next id, or has one; and, by its path, is the next version of a subject."""
        if body not in self.schemas:
            self.schemas.append(body)
        number = self.schemas.index(body) + 1
        subject = re.match(r"/subjects/([^/]+)/versions", path)
        if subject is not None and number not in self.subjects.setdefault(subject[1], []):
            self.subjects[subject[1]].append(number)
        return 200, json.dumps({"id": number}).encode()

    def __enter__(self) -> SchemaRegistry:  # noqa: PYI034 (typing.Self needs Python 3.11)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _unknown(code: int, text: str) -> Answer:
    return 404, json.dumps({"error_code": code, "message": text}).encode()
