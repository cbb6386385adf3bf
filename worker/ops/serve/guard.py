"""Who may see what, before anything else is asked; and what each answer says to browsers. Pure ASGI: it stands around the
site.

Probes and metrics are for everybody who comes here. The rest is for this machine, where nobody else comes; elsewhere, or
where a token file is given, for whoever has the token: as a bearer, or as a cookie that is given for it at /login.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import re
import threading
from concurrent import futures
from http.cookies import CookieError, SimpleCookie
from typing import Optional
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kafka_worker.shared import http_settings
from kafka_worker.shared.settings import Settings

FOR_EVERYBODY = ("/livez", "/readyz", "/healthz", "/metrics")
LOGIN = "/login"
COOKIE = "kafka_worker"
LARGEST_HEADERS = 16_384  # bytes, of a request
LARGEST_FORM = 8192
READ_SECONDS = 2.0  # for the token's file
HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d*)?")
FORM = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Log in</title>
<form method="post" action="/login"><label>Token <input type="password" name="token" autofocus required></label>
<button>Log in</button></form></html>
"""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
ALWAYS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "connection": "close",  # one request a connection: each has its own time
}


class TokenFile:
    """The file with the token, which is read in a thread: its disk may not answer, or nobody write to it, if it is a pipe. All
    who ask meanwhile wait for the same reading, so there is one thread for that, however many they are."""

    def __init__(self, path: str) -> None:
        """`path`: empty, where there is none."""
        self.path = path
        self._reading: Optional[futures.Future[str]] = None

    async def token(self) -> str:
        """What it holds now. Raises OSError and ValueError, asyncio's TimeoutError, and RuntimeError where the machine has no
        room for a thread."""
        if self._reading is None or self._reading.done():
            reading: futures.Future[str] = futures.Future()
            threading.Thread(target=self._read, args=(reading,), name="token", daemon=True).start()
            self._reading = reading  # not before: where no thread began, the next one tries again
        return await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(self._reading)), READ_SECONDS)

    def _read(self, reading: futures.Future[str]) -> None:
        try:
            reading.set_result(http_settings.token(self.path))
        except Exception as problem:
            reading.set_exception(problem)


class Guard:
    """Stands around a site."""

    def __init__(self, site: ASGIApp, settings: Settings) -> None:
        """Token and hosts are those of the settings."""
        self._site = site
        self._token_file = TokenFile(settings.http_token_file)
        self._among_us = http_settings.is_of_this_machine_alone(settings.http)
        self._hosts = {name.lower() for name in ("localhost", settings.host, *settings.http_hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        answer = await self._refused_or_login(Request(scope, receive))

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(ALWAYS)
            await send(message)

        await (answer or self._site)(scope, receive, send_safely)

    async def _refused_or_login(self, request: Request) -> Response | None:
        """The answer, where the site is not to be asked."""
        path = request.scope["path"]  # not `request.url`, which is put together with the Host that was given
        target = len(request.scope["raw_path"]) + len(request.scope["query_string"])
        if target + sum(len(name) + len(value) for name, value in request.headers.raw) > LARGEST_HEADERS:
            return PlainTextResponse("The headers are too large\n", 431)
        if "host" in request.headers and not self._is_host(request.headers["host"]):  # none: HTTP/1.0, and no browser's
            return PlainTextResponse("This name is not one of HTTP_HOSTS\n", 400)
        if path in FOR_EVERYBODY or (self._among_us and not self._token_file.path):
            return None
        if not self._token_file.path:
            return PlainTextResponse("Only probes and metrics are here without HTTP_TOKEN_FILE\n", 403)
        try:
            token = await self._token_file.token()
        except (OSError, ValueError, RuntimeError, asyncio.TimeoutError):
            return PlainTextResponse("HTTP_TOKEN_FILE can't be used now\n", 503)
        if path == LOGIN:
            return await _login(request, token)
        return None if _has(request.headers, token) else _ask_for_token(request)

    def _is_host(self, given: str) -> bool:
        """Whether the Host of a request may be meant for us. A stranger's page can lead its own name to our address, but an
        address is nobody's to lead."""
        parts = HOST.fullmatch(given.lower())
        name = parts[1].strip("[]") if parts else ""
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return bool(name) and not self._hosts.isdisjoint(("*", name, "*." + name.partition(".")[2]))
        return True


def cookie_of(token: str) -> str:
    """What the cookie holds: nothing that the token could be read from, and nothing that holds when it is another."""
    return hmac.new(token.encode(), b"cookie", hashlib.sha256).hexdigest()


def _has(headers: Headers, token: str) -> bool:
    kind, _, given = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and _same(given.strip(), token):
        return True
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return False
    return cookie is not None and _same(cookie.value, cookie_of(token))


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())


def _ask_for_token(request: Request) -> Response:
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(LOGIN, 303)
    return PlainTextResponse("The token is wanted\n", 401, {"www-authenticate": "Bearer"})


async def _login(request: Request, token: str) -> Response:
    if request.method != "POST":
        return HTMLResponse(FORM)
    form = await _form(request)
    if form is None:
        return PlainTextResponse("The form is too large\n", 413)
    if not _same("".join(parse_qs(form).get("token", [])).strip(), token):
        return HTMLResponse("<p>This is not the token.</p>" + FORM, 401)
    answer = RedirectResponse("/", 303)
    answer.set_cookie(COOKIE, cookie_of(token), httponly=True, samesite="strict")
    return answer


async def _form(request: Request) -> str | None:
    body = b""
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > LARGEST_FORM:
                return None
    except ClientDisconnect:
        return ""
    return body.decode(errors="replace")
