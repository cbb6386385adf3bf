"""Tokens of a user's function, whatever that does."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, Dict, List, Tuple
from unittest.mock import Mock

import pytest

from kafka_worker.kafka import brokers, consumer, tokens
from kafka_worker.kafka.consumer import GroupConsumer
from kafka_worker.kafka.listener import RebalanceListener
from kafka_worker.kafka.tokens import FRESH, MEMORY_SECONDS, SETTING, WITHOUT_SECONDS, Tokens, with_tokens
from kafka_worker.shared.exit_codes import ExitCode
from kafka_worker.shared.foreign.functions import NoFunctionError
from tests.support.eventually import eventually
from tests.unit.fakes import some_settings
from tests.unit.kafka.test_consumer import Client

HERE = __name__
SECURE = {"security.protocol": "sasl_ssl", "sasl.mechanism": "OAUTHBEARER"}
NONE: Tuple[Any, ...] = ("none", 1000.0 + WITHOUT_SECONDS, "", {})


def give(_config: str) -> Any:
    """As users write it."""


async def awaited(_config: str) -> Any:
    """Nobody would wait for it."""


def yielded(_config: str) -> Any:
    """Nobody would ask it for more."""
    yield


def asks_nothing() -> Any:
    """It is called with something."""


class Provider:
    """A user's function, and the time by its clock."""

    def __init__(self, *answers: Any) -> None:
        self.now, self.calls, self.answers = 1000.0, 0, list(answers)
        self.tokens = Tokens(self.give, "KAFKA_OAUTH=m:f", lambda: self.now)

    def give(self, _config: str) -> Any:
        self.calls += 1
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer() if callable(answer) else answer


@pytest.mark.parametrize("returned", [("abc", 1100), ["abc", 1100.0, ""], ("abc", 1100, "", {})])
def test_what_the_function_returns_goes_to_the_client(returned: Any) -> None:
    provider = Provider(returned)

    assert provider.tokens(None) == ("abc", 1100.0, "", {})
    assert provider.tokens.problem == ""


def test_all_clients_have_one_token_until_it_grows_old_and_the_old_one_until_there_is_another() -> None:
    provider = Provider(("first", 1100, "me", {"a": "b"}), ValueError("away"), ("second", 1200))
    first = [provider.tokens("") for _ in range(3)]
    provider.now += FRESH * 100

    again, problem = provider.tokens(""), provider.tokens.problem
    second = provider.tokens("")

    assert first == [("first", 1100.0, "me", {"a": "b"})] * 3
    assert (again, second, provider.calls) == (first[0], ("second", 1200.0, "", {}), 3)
    assert problem == "there is no token to sign in with: KAFKA_OAUTH=m:f raised ValueError: «away»"
    assert provider.tokens.problem == ""


@pytest.mark.parametrize(
    ("answer", "how"),
    [
        (ValueError("away"), "raised ValueError: «away»"),
        (SystemExit(3), "raised SystemExit: «3»"),
        ("secret", "returned a str that is no token: wanted: (token, when it ends"),
        (None, "returned a NoneType that is no token"),
        (("secret",), "returned a tuple that is no token"),
        (("secret", "soon"), "returned a tuple that is no token"),
        ((b"secret", 1100), "returned a tuple that is no token"),
        (("secret", 1100, None), "returned a tuple that is no token"),
        (("secret", 1100, "me", {}, 5), "returned a tuple that is no token"),
        (("two words", 1100), "returned a token with characters that none can have"),
        (("", 1100), "returned a token with characters that none can have, or an empty one"),
        (("secret", 900), "returned a token that ends -100 s from now"),
        (("secret", float("nan")), "returned a token that ends nan s from now"),
        (("secret", 1100 * 1000**3), "returned a token that ends 1.1e+12 s from now: wanted: (token, when it ends in seconds"),
    ],
)  # fmt: skip
def test_a_function_that_gives_no_token_is_told_and_nothing_of_what_it_gave(
    answer: Any, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    provider = Provider(answer)

    assert provider.tokens("") == NONE
    assert how in provider.tokens.problem
    assert how in caplog.text
    assert "secret" not in caplog.text + provider.tokens.problem


def test_a_function_for_which_there_is_no_thread_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    provider = Provider(("abc", 1100))
    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", Mock(side_effect=RuntimeError("can't start new thread")))
        before, problem = provider.tokens(""), provider.tokens.problem

    assert (before, problem) == (
        NONE,
        "there is no token to sign in with: KAFKA_OAUTH=m:f can't be called: can't start new thread",
    )
    assert provider.tokens("")[0] == "abc"
    assert provider.tokens.problem == ""


def test_a_function_that_hangs_is_asked_once_and_what_it_brings_late_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "PATIENCE_SECONDS", 0.01)
    go_on = threading.Event()

    def late() -> Any:
        go_on.wait(10)
        return "late", 1100

    provider = Provider(late)
    while_it_hangs = [provider.tokens("") for _ in range(2)]
    problem = provider.tokens.problem
    go_on.set()
    eventually(lambda: not provider.tokens.problem, 10, "the function returns")

    assert (while_it_hangs, provider.calls) == ([NONE, NONE], 1)
    assert problem == "there is no token to sign in with: KAFKA_OAUTH=m:f has not returned within 0.01 s"
    assert (provider.tokens(""), provider.calls) == (("late", 1100.0, "", {}), 1)


@pytest.mark.parametrize(
    ("properties", "asks"),
    [
        (SECURE, True),
        ({**SECURE, "sasl.mechanisms": "PLAIN"}, False),
        ({**SECURE, "security.protocol": "PLAINTEXT"}, False),
        ({"sasl.mechanism": "OAUTHBEARER"}, False),
        ({}, False),
    ],
)
def test_only_clients_that_sign_in_by_tokens_ask_for_them(properties: Dict[str, str], asks: bool) -> None:
    made = with_tokens(properties, Provider().tokens)

    assert {**properties, **({SETTING: made[SETTING]} if asks else {})} == made
    assert SETTING not in with_tokens(properties, None)


def test_a_function_that_cannot_be_had_is_a_fault() -> None:
    found: List[str] = []
    for name in ("no.such:f", *(f"{HERE}:{each}" for each in ("missing", "HERE", "awaited", "yielded", "asks_nothing"))):
        with pytest.raises(NoFunctionError) as caught:
            tokens.of_settings(some_settings(oauth=name))
        found.append(str(caught.value))

    assert found[0].startswith("KAFKA_OAUTH=no.such:f cannot be imported: ModuleNotFoundError")
    assert "AttributeError" in found[1]
    assert found[2] == f"KAFKA_OAUTH={HERE}:HERE is a str, not a function. Name a function"
    for fault, form in zip(found[3:], ("is an async function;", "is a generator;", "takes () ->")):
        assert f" {form}" in fault
        assert "; wanted: a plain function, token(config), that returns (token, when it ends in seconds since 1970)" in fault
    assert tokens.of_settings(some_settings()) is None
    assert tokens.of_settings(some_settings(oauth=f"{HERE}:give")) is not None


class Refusal:
    """As the client tells it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def name(self) -> str:
        return "_AUTHENTICATION"

    def str(self) -> str:
        return self.text


@pytest.mark.parametrize("of_a_function", [True, False])
def test_nobody_is_refused_for_want_of_a_token(monkeypatch: pytest.MonkeyPatch, of_a_function: bool) -> None:
    """That of a function of the user's, or of a provider that the client asks by itself."""
    monkeypatch.setattr(consumer, "create_consumer", Client)
    now, provider = [1000.0], Provider(ValueError("away"), ("abc", 1100))
    group = GroupConsumer({SETTING: provider.tokens} if of_a_function else {}, ["topic"], RebalanceListener(), lambda: now[0])
    if of_a_function:
        provider.tokens("")
    text = "invalid_token" if of_a_function else "Failed to acquire SASL OAUTHBEARER token: timed out"
    for _ in range(3):
        group._on_error(Refusal(text))
        now[0] += brokers.UNAUTHORISED_AFTER

    assert group.ending is None
    assert ("away" if of_a_function else "timed out") in group.signing_in.trouble
    provider.tokens("")
    now[0] += MEMORY_SECONDS
    assert group.signing_in.trouble == ""
    for _ in range(2):
        group._on_error(Refusal("invalid_token"))
        now[0] += brokers.UNAUTHORISED_AFTER
    assert group.ending is ExitCode.NOT_AUTHORISED


def test_a_function_that_returns_the_moment_its_time_is_over_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(lambda _config: ("token", 1100.0), "KAFKA_OAUTH", lambda: 1000.0)
    tokens("")
    monkeypatch.setattr(tokens, "_ask", lambda _config: SimpleNamespace(wait=lambda _seconds: False))

    assert tokens("")[0] == "token"
    assert tokens.problem == ""
