"""A hint means what it means where it was written, whatever has been made of that function."""

from __future__ import annotations

import functools
from typing import Any

import pydantic
import pytest

from kafka_worker.handler.validation.typed import hint_of


class Model(pydantic.BaseModel):
    number: int


def of_model(message: Model) -> Any: ...


def of_client(client: str, message: Model, retries: int = 3) -> Any: ...


class Called:
    def __call__(self, message: Model) -> Any: ...

    def of_two(self, client: str, message: Model) -> Any: ...

    of_one = functools.partialmethod(of_two, "client")


@pytest.mark.parametrize(
    "made",
    [
        functools.partial(of_client, "client"), functools.partial(functools.partial(of_client, "client"), retries=5),
        functools.partial(functools.lru_cache(of_model)), Called(), functools.partial(Called()), Called().of_one,
        functools.partial(Called().of_two, "client"),
    ],
)  # fmt: skip
def test_the_hint_of_what_is_made_of_a_function_is_the_functions(made: Any) -> None:
    assert hint_of(made) is Model
