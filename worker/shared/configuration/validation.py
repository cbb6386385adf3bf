"""Validates settings with pydantic, by a model made from the table. Only the supervisor imports it: the
library costs each process that loads it a tenth of a second and 24 MB.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple, Type, get_type_hints

from pydantic import Field, ValidationError, ValidationInfo, create_model, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from kafka_worker.shared.setting import AUTO, Setting
from kafka_worker.shared.settings import ABSOLUTE_PATH, TABLE, Settings

if TYPE_CHECKING:
    from kafka_worker.shared.configuration.given import Given

Source = Mapping[str, "Given"]  # by field of Settings


class _Given(PydanticBaseSettingsSource):
    """One source, as pydantic-settings asks for it."""

    def __init__(self, model: Type[BaseSettings], given: Source) -> None:
        super().__init__(model)
        self._given = given

    def get_field_value(self, field: Any, field_name: str) -> Tuple[Any, str, bool]:  # noqa: ARG002 (its interface)
        return self._given[field_name].value, field_name, False

    def __call__(self) -> Dict[str, Any]:
        return {name: each.value for name, each in self._given.items()}


def validate(sources: Sequence[Source], optional: Sequence[str] = ()) -> Tuple[Dict[str, Any], List[str]]:
    """Values by field, and all faults, one line each. The first source that has a setting wins; `optional`
    settings may be missing. A value left to "auto" is None; a wrong one is as if it had not been given.
    """
    try:
        return _model(sources, optional)().model_dump(), []
    except ValidationError as problem:
        wrong = {str(error["loc"][0]) for error in problem.errors()}
    right = [{name: given for name, given in source.items() if name not in wrong} for source in sources]
    return _model(right, [*optional, *wrong])().model_dump(), [_fault(name, sources) for name in TABLE if name in wrong]


def _model(sources: Sequence[Source], optional: Sequence[str]) -> Type[BaseSettings]:
    """A model that reads our own sources in our own order, in place of those of pydantic-settings."""

    class Ordered(BaseSettings):
        model_config = SettingsConfigDict(allow_inf_nan=False, validate_default=False)

        @classmethod
        def settings_customise_sources(
            cls, settings_cls: Type[BaseSettings], *_: Any, **__: Any
        ) -> Tuple[PydanticBaseSettingsSource, ...]:
            return tuple(_Given(settings_cls, source) for source in sources)

        @field_validator("*", mode="before")
        @classmethod
        def _read(cls, value: str, info: ValidationInfo) -> Any:
            return _plain(TABLE[str(info.field_name)], value.strip())

    hints = get_type_hints(Settings)
    columns: Dict[str, Any] = {
        each.name: _column(each, hints[each.name], optional=each.name in optional)
        for each in dataclasses.fields(Settings)
        if each.name in TABLE
    }
    return create_model("Validated", __base__=Ordered, **columns)


def _column(each: dataclasses.Field[Any], kind: Any, *, optional: bool) -> Tuple[Any, Any]:
    """Type, default and range of one setting, as pydantic's `create_model` wants them."""
    row = TABLE[each.name]
    limits: Dict[str, Any] = {"ge": row.lowest, "le": row.highest} if row.highest else {}
    if row.automatic:
        return Optional[kind], Field(None, **limits)
    required = "" if optional else ...
    return kind, Field(required if each.default is dataclasses.MISSING else each.default, **limits)


def _plain(row: Setting, value: str) -> Any:
    """A value without what only its written form has; numbers are left to pydantic. Raises ValueError."""
    if row.automatic and value.lower() == AUTO:
        return None
    if row.choices:
        return next((choice for choice in row.choices if choice.lower() == value.lower()), None)
    if row.form == ABSOLUTE_PATH:
        value = value.split(":", 1)[0]  # systemd gives all directories of a unit
    if not value and not row.default and not row.required:
        return () if row.several else ""
    if row.several:
        items = tuple(dict.fromkeys(item.strip() for item in value.split(",")))
        return tuple(_matching(row.pattern, item) for item in items)
    return _matching(row.pattern, value) if row.pattern else value


def _matching(pattern: str, value: str) -> str:
    if not re.fullmatch(pattern, value):
        raise ValueError
    return value


def _fault(name: str, sources: Sequence[Source]) -> str:
    """One line: what was given and where, what is wanted, what to do."""
    row = TABLE[name]
    given = next((source[name] for source in sources if name in source), None)
    if given is None:
        missing = f"{row.environment} is required, but not given. It must be {row.wanted}."
        return f"{missing} Set {row.environment} or {row.flag}."
    default = "" if row.required else f", or remove it for the default {row.default}" if row.default else ", or remove it"
    return f"{given.described()} must be {row.wanted}. Correct it{default}."
