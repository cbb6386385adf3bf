"""Tokens for SASL/OAUTHBEARER from the function that KAFKA_OAUTH names. The client asks for them in a thread of its own, and
makes little of a function that fails: who makes a client then waits for ten seconds, and gets an error that is no exception.

So ours always answers, and soon: with a token, or, while there is none, with one that no broker takes. That a broker refuses
that is no verdict on us: `problem` says what is the matter, until there is a token.
"""

from __future__ import annotations

import inspect
import logging
import math
import re
import threading
import time
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.errors import quoted
from kafka_worker.shared.foreign.functions import NoFunctionError, imported_with_care
from kafka_worker.shared.logs import Seldom
from kafka_worker.shared.output.last_words import while_
from kafka_worker.shared.settings import Settings

log = logs.logger(__name__)

SETTING = "oauth_cb"  # what the client calls it
PATIENCE_SECONDS = 3.0  # for the function; what it brings later is used at the next question
WITHOUT_SECONDS = 5.0  # until the client asks again, when there is no token
MEMORY_SECONDS = 30.0  # the client tries again every 10 s, and says nothing when that works
FRESH = 0.7  # of the life of a token, in which others get it too; the client wants another after 0.8
LONGEST_SECONDS = 10 * 365 * 86400.0  # that a token may hold: who says more has said it in milliseconds
WANTED = "(token, when it ends in seconds since 1970), or with the principal and a dict of extensions as well"

Function = Callable[[str], Any]


class Token(NamedTuple):
    """As the client wants it."""

    text: str
    ends: float  # seconds since 1970
    principal: str = ""
    extensions: Dict[str, str] = {}  # noqa: RUF012 (never written to)


class UnusableTokenError(Exception):
    """What the function has returned is no token; the text says why, and never what."""


class Tokens:
    """Those of one process. The client calls it by the name of `oauth_cb`, in any thread."""

    def __init__(self, function: Function, source: str, wall: Callable[[], float] = time.time) -> None:
        """`source`: the setting that names the function."""
        self._function = function
        self._source = source
        self._wall = wall
        self._complaint = Seldom(log, time.monotonic)
        self._lock = threading.Lock()
        self._asked: Optional[threading.Event] = None  # set when the call that runs has come to its end; None: none runs
        self._token = Token("", -math.inf)
        self._fresh_until = -math.inf
        self.problem = ""  # why there is no new token; empty: there is one

    def __call__(self, config: Optional[str]) -> Tuple[Any, ...]:
        """A token, of the user's if there is one. `config`: sasl.oauthbearer.config."""
        asked = self._ask(config or "")
        if asked is not None and not asked.wait(PATIENCE_SECONDS):
            with self._lock:  # it may have returned this moment
                if self._asked is asked:
                    self._failed(f"has not returned within {PATIENCE_SECONDS:g} s")
        token, now = self._token, self._wall()
        return tuple(token if token.ends > now else Token("none", now + WITHOUT_SECONDS))

    def _ask(self, config: str) -> Optional[threading.Event]:
        """What tells when the function has returned; None: there is no need to ask it. Never twice at once: it may hang."""
        with self._lock:
            if self._wall() < self._fresh_until:
                return None
            if self._asked is None:
                asked = threading.Event()
                try:
                    threading.Thread(target=self._call, args=(config, asked), name="oauth", daemon=True).start()
                except RuntimeError as problem:  # the machine has no room for one now
                    self._failed(f"can't be called: {problem}")
                    return None
                self._asked = asked
            return self._asked

    def _call(self, config: str, asked: threading.Event) -> None:
        now = self._wall()
        token: Optional[Token]
        try:
            with while_(f"calling {self._source}"):
                returned = self._function(config)
            token = checked(returned, now)
        except BaseException as problem:  # SystemExit too: it is the user's
            self._failed(str(problem) if isinstance(problem, UnusableTokenError) else f"raised {quoted(problem)}")
            token = None
        with self._lock:
            self._asked = None
            if token is not None:
                self._token, self._fresh_until = token, now + FRESH * (token.ends - now)
                if self.problem:
                    self.problem = ""
                    log.info("%s gives tokens again", self._source, extra=about(Event.SIGN_IN_BACK))
        asked.set()

    def _failed(self, how: str) -> None:
        self.problem = f"there is no token to sign in with: {self._source} {how}"
        self._complaint.log(
            logging.ERROR, "No token to sign in with: %s %s. It is asked again every few seconds",
            self._source, how, extra=about(Event.SIGN_IN_TROUBLE),
        )  # fmt: skip


class SigningIn:
    """How one client fares with its tokens: those of ours, or of a provider that it asks by itself (OIDC)."""

    def __init__(self, tokens: Optional[Tokens], clock: Callable[[], float]) -> None:
        """`clock`: monotonic seconds."""
        self._tokens = tokens
        self._clock = clock
        self._complaint = Seldom(log, clock)
        self._told, self._told_at = "", -math.inf

    def failed(self, text: str) -> None:
        """The client says that it has got none. It says so again with each try."""
        self._told, self._told_at = text, self._clock()
        self._complaint.log(
            logging.ERROR, "No token to sign in with: %s. It is asked again every few seconds",
            text, extra=about(Event.SIGN_IN_TROUBLE),
        )  # fmt: skip

    @property
    def trouble(self) -> str:
        """Why there is no token; empty: there is one, as far as is known."""
        if self._clock() - self._told_at < MEMORY_SECONDS:
            return f"there is no token to sign in with: {self._told}"
        return "" if self._tokens is None else self._tokens.problem


def checked(returned: Any, now: float) -> Token:
    """What the function returned, if it is a token. Raises UnusableTokenError, which does not repeat it: it is a secret."""
    try:
        text, ends, *rest = returned
        token = Token(str(text), float(ends), *rest)
        fit = isinstance(text, str) and isinstance(token.principal, str) and isinstance(token.extensions, Mapping)
    except Exception:
        fit = False
    if not fit:
        raise UnusableTokenError(f"returned a {type(returned).__name__} that is no token: wanted: {WANTED}")
    if not re.fullmatch(r"[\x21-\x7e]+", token.text):
        raise UnusableTokenError("returned a token with characters that none can have, or an empty one")
    if not now < token.ends < now + LONGEST_SECONDS:
        raise UnusableTokenError(f"returned a token that ends {token.ends - now:g} s from now: wanted: {WANTED}")
    try:
        extensions = {str(name): str(value) for name, value in token.extensions.items()}
    except Exception as problem:
        raise UnusableTokenError("returned a token with extensions that are no texts") from problem
    return Token(token.text, token.ends, str(token.principal), extensions)


def of_settings(settings: Settings) -> Optional[Tokens]:
    """Those of KAFKA_OAUTH; None: it is not set. Imports the function: raises NoFunctionError, also for one that could never
    give a token."""
    if not settings.oauth:
        return None
    source = f"KAFKA_OAUTH={settings.oauth}"
    function = imported_with_care(settings.oauth, source, settings)
    wrong = _wrong_form(function)
    if wrong:
        raise NoFunctionError(f"{source} {wrong}; wanted: a plain function, token(config), that returns {WANTED}")
    return Tokens(function, source)


def _wrong_form(function: Function) -> str:
    """Why no call of it gives a token; empty: one may."""
    forms = (function, getattr(function, "__call__", None))  # noqa: B004 (an object with a method of that name)
    if any(map(inspect.iscoroutinefunction, forms)):
        return "is an async function"
    if any(inspect.isgeneratorfunction(form) or inspect.isasyncgenfunction(form) for form in forms):
        return "is a generator"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin without a signature
        return ""
    try:
        signature.bind("")
    except TypeError:
        return f"takes {signature}"
    return ""


def with_tokens(properties: Mapping[str, Any], tokens: Optional[Tokens]) -> Dict[str, Any]:
    """The properties of a client that signs in by tokens, if it does: any other would wait for them in vain."""
    mechanism = [value for name, value in properties.items() if name in ("sasl.mechanism", "sasl.mechanisms")][-1:]
    protocol = str(properties.get("security.protocol", ""))
    if tokens is None or not protocol.lower().startswith("sasl_") or mechanism != ["OAUTHBEARER"]:
        return dict(properties)
    return {**properties, SETTING: tokens}
