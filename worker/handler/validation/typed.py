"""Handlers that name the type they want: a pydantic model or a msgspec Struct, or whatever holds one (`Optional[Model]`,
`Union[A, B]`, `List[Model]`). The type's own library decodes the bytes, in one step and by its own rules.

Both libraries are the user's: nothing here imports them, and whoever defined such a class has imported its library.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
import types
import typing
from typing import Any, Callable, Dict, Iterator, Optional, Tuple, Union

from kafka_worker.handler.decoding import Decoder, invalid
from kafka_worker.shared import logs
from kafka_worker.shared.events import Event, about
from kafka_worker.shared.foreign.errors import InvalidMessageError, UndecodableError

log = logs.logger(__name__)

# With `Annotated`, which may tell a library more of a type; before Python 3.9 nothing takes that away.
_hints: Callable[..., Any] = (
    functools.partial(typing.get_type_hints, include_extras=True) if sys.version_info >= (3, 9) else typing.get_type_hints
)
_UNIONS = (Union, getattr(types, "UnionType", Union))  # the second is what `X | Y` makes, from Python 3.10 on


_MOST_NAMES = 20  # that a type is given, one after the other


class HintError(Exception):
    """A handler's type hint names a model that messages can't be decoded into; the text says why."""


def hint_of(function: Callable[..., Any]) -> Any:
    """The type that the first parameter of a handler is annotated with; None when it has none, or one whose names can't be
    found, which is said in the log."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin without a signature
        return None
    first = next(iter(parameters.values()), None)
    if first is None or first.annotation is first.empty:
        return None
    # Of that parameter alone: those of the others may be names that exist for type checkers only.
    holder = types.SimpleNamespace(__annotations__={"hint": first.annotation})
    try:
        hint = _hints(holder, _names_around(function))["hint"]
        list(_classes(hint))  # what a `type` statement says is looked up only now
    except Exception as problem:  # an annotation may be any expression
        log.warning(
            "The handler gets plain JSON: the type hint %s of its first parameter can't be resolved (%s: %s)",
            first.annotation, type(problem).__name__, problem,
            extra=about(Event.HINT_UNKNOWN),
        )  # fmt: skip
        return None
    return hint


def _names_around(function: Any) -> Any:
    """The names that its hints may use: of the module in which it was written, whatever has been made of it since."""
    written = inspect.unwrap(function)
    if isinstance(written, functools.partial):
        return _names_around(written.func)
    if not hasattr(written, "__globals__"):  # an object that is called
        written = inspect.unwrap(type(written).__call__)
    return written.__globals__


def element_of(hint: Any) -> Any:
    """What a list of this type holds, for handlers that take lists; None when the hint does not say."""
    arguments = typing.get_args(bare(hint))
    return arguments[0] if len(arguments) == 1 else None


def typed_decoder(hint: Any) -> Optional[Decoder]:
    """What decodes JSON into this type; None when it names no model. Raises HintError."""
    decoder = _made(hint, decoded=False)
    if decoder is None:
        return None
    decode, none_too = decoder, takes_none(hint)
    return lambda value: decode(value) if value is not None else tombstone(takes_none=none_too)


def converter(hint: Any, *, of_users: bool = False) -> Optional[Callable[[Any], Any]]:
    """The same of what is decoded already, by whatever format: plain data. `of_users`: by a function of theirs, which may make
    of it whatever they want."""
    return _made(hint, decoded=True, of_users=of_users)


def bare(hint: Any) -> Any:
    """The type itself, without the names that it was given (`type Order = …`, `NewType`), and without notes (`Annotated`)."""
    for _ in range(_MOST_NAMES):
        if hasattr(hint, "__metadata__"):
            hint = hint.__origin__
        elif hasattr(hint, "__supertype__"):
            hint = hint.__supertype__
        elif hasattr(hint, "__value__"):
            hint = _meant(hint)
        else:
            break
    return hint


def _meant(hint: Any) -> Any:
    """What a `type` statement says of this name, and of the types that it is given; all else as it is."""
    value, given = getattr(hint, "__value__", hint), typing.get_args(hint)
    if value is hint or not given:
        return value
    names, parameters = hint.__type_params__, getattr(value, "__parameters__", ())
    types_of: Dict[Any, Tuple[Any, ...]] = {}
    for name in names:  # one of them may stand for any number of types: for those that the others leave
        count = 1 + len(given) - (len(names) - len(types_of)) if type(name).__name__ == "TypeVarTuple" else 1
        types_of[name], given = given[:count], given[count:]
    return value[tuple(each for name in parameters for each in types_of[name])] if parameters else value


def takes_none(hint: Any) -> bool:
    """Whether a type lets None through: `Optional[…]`."""
    hint = bare(hint)
    return hint is type(None) or (typing.get_origin(hint) in _UNIONS and any(map(takes_none, typing.get_args(hint))))


def wanted(hint: Any) -> Any:
    """The type itself, or the one that `Optional[…]` has in it, by whatever names."""
    hint = bare(hint)
    others = [each for each in typing.get_args(hint) if bare(each) is not type(None)]
    return wanted(others[0]) if typing.get_origin(hint) in _UNIONS and len(others) == 1 else hint


def _made(hint: Any, *, decoded: bool, of_users: bool = False) -> Optional[Callable[[Any], Any]]:
    classes = list(_classes(hint))
    try:
        if any(map(_is_of_pydantic, classes)):
            return _of_model(hint, decoded=decoded)
        if any(hasattr(each, "__struct_fields__") for each in classes):
            return _of_struct(hint, decoded=decoded)
    except Exception as problem:  # whatever a library has to say of the user's classes
        text = "messages can't be decoded into %s, the type of its first parameter: %s: %s"
        raise HintError(text % (hint, type(problem).__name__, str(problem).split("\n", 1)[0])) from problem
    stranger = next(filter(_has_fields, classes), None)
    if stranger is not None and not of_users:
        raise HintError(
            f"messages can't be decoded into {stranger.__module__}.{stranger.__qualname__}, the type of its first parameter. "
            "Make it a model of pydantic 2 (for a dataclass: @pydantic.dataclasses.dataclass) or a msgspec.Struct; with the "
            "hint dict it gets plain JSON"
        )
    return None


def _is_of_pydantic(each: Any) -> bool:
    """A model, or one of its dataclasses."""
    return hasattr(each, "model_validate_json") or hasattr(each, "__pydantic_validator__")


def _has_fields(each: Any) -> bool:
    """Whether whoever names this class wants objects that JSON alone does not make: a dataclass, one of attrs, a named tuple,
    a model of pydantic 1."""
    fields = ("__dataclass_fields__", "__attrs_attrs__", "_fields", "__validators__")
    return isinstance(each, type) and any(hasattr(each, name) for name in fields)


def _classes(hint: Any, within: Tuple[Any, ...] = ()) -> Iterator[Any]:
    """All that a type is made of. A type that has itself in it is looked at once."""
    hint = bare(hint)
    if hint not in within:
        yield hint
        for each in (typing.get_origin(hint), *typing.get_args(hint)):
            yield from _classes(each, (*within, hint))


def tombstone(*, takes_none: bool) -> None:
    """What a handler gets of a tombstone. Raises InvalidMessageError, where its type hint lets no None through."""
    if not takes_none:
        raise invalid((), "a tombstone, which has no value; wanted by the handler's type hint: one (or None: Optional[…])")


def _of_model(hint: Any, *, decoded: bool) -> Callable[[Any], Any]:
    """Makes a pydantic model of the bytes, or of what is decoded."""
    model: Any = hint if inspect.isclass(hint) else None
    if hasattr(model, "model_validate_json"):
        model.model_rebuild()  # forward references that lead nowhere are found now, not at the first message
        validate = model.model_validate if decoded else model.model_validate_json
    else:
        adapter = sys.modules["pydantic"].TypeAdapter(hint)
        validate = adapter.validate_python if decoded else adapter.validate_json
    violation = sys.modules["pydantic"].ValidationError

    def decoder(value: Any) -> Any:
        try:
            return validate(value)
        except violation as problem:
            raise _of_pydantic(problem) from None

    return decoder


def without_values(problem: Exception) -> Optional[UndecodableError]:
    """The same of a violation that a function of the user's let through; None: it is none of these libraries'."""
    for library, told in (("pydantic", _of_pydantic), ("msgspec", lambda violation: _of_msgspec(str(violation)))):
        violation = getattr(sys.modules.get(library), "ValidationError", ())
        if isinstance(problem, violation):
            return told(problem)
    return None


def _of_pydantic(problem: Any) -> UndecodableError:
    """What pydantic says is wrong, without the values."""
    first = problem.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return UndecodableError(first["msg"])
    # The one text of pydantic's own that repeats a value. That of a validator is its author's.
    wanted = "not one of the expected tags" if first["type"] == "union_tag_invalid" else first["msg"]
    return invalid(first["loc"], wanted, problem.error_count() - 1)


def _of_struct(hint: Any, *, decoded: bool) -> Callable[[Any], Any]:
    """Makes a msgspec Struct of the bytes, or of what is decoded."""
    msgspec, hint = sys.modules["msgspec"], _meant(hint)
    of_json = msgspec.json.Decoder(hint).decode
    decode = functools.partial(msgspec.convert, type=hint) if decoded else of_json
    violation, malformed = msgspec.ValidationError, (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

    def decoder(value: Any) -> Any:
        try:
            return decode(value)
        except violation as problem:
            raise _of_msgspec(str(problem)) from None
        except malformed as problem:
            raise UndecodableError(f"{type(problem).__name__}: {problem}") from None

    return decoder


def _of_msgspec(text: str) -> InvalidMessageError:
    """Its word, like "Expected `int`, got `str` - at `$.items[2].price`", without the values. It stops at the first violation,
    and where it says `[...]`, at a key or value of a mapping, the place says `*`."""
    wanted, _, place = text.partition(" - at `")
    steps = re.findall(r"\.([^.\[`]+)|\[(\d+|\.\.\.)\]", place)
    path = [name or number.replace("...", "*") for name, number in steps]
    return invalid(path, re.sub(r"^(Invalid (?:enum )?value) .*", r"\1", wanted, flags=re.DOTALL))
