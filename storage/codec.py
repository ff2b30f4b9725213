"""Records to JSON text and back, by their type hints.

A float comes back to the bit: NaN travels as null, an infinity as "inf" or "-inf", which JSON has no number for.
A field that older rows lack takes its default, so records may grow; what has moved is put in its place by the record's
own `from_older`, where it has one.
"""

import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np
import orjson

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Return `value` as dicts, lists and scalars that JSON knows."""
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None if math.isnan(value) else str(float(value))
    if isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    names = _names(value.__class__)
    return {name: to_plain(getattr(value, name)) for name in names} if names else value


def from_plain(kind: type[T], value: Any) -> T:
    """Return the record of type `kind` that `to_plain` made `value` from."""
    read: Callable[[Any], T] = _reader(kind)  # type: ignore[arg-type]  # mypy holds type[T] unhashable
    return read(value)


def to_json(value: Any) -> str:
    """Return `value` as compact JSON text."""
    return to_text(to_plain(value))


def to_text(plain: Any) -> str:
    """Return plain dicts, lists and scalars as compact JSON text."""
    return orjson.dumps(plain).decode()


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """Return the function that makes a `kind` of its plain form."""
    if kind is Any:
        return lambda value: value
    if kind is float:
        return lambda value: math.nan if value is None else float(value)
    if is_dataclass(kind):
        return _record_reader(kind)
    arguments = [_reader(argument) for argument in get_args(kind) if argument not in (NoneType, ...)]
    origin = get_origin(kind)
    if origin is np.ndarray:
        return lambda value: value  # storage.blobs has put it there
    if origin is tuple:
        return lambda value: tuple(map(arguments[0], value))
    if origin is dict:
        return lambda value: {key: arguments[1](item) for key, item in value.items()}
    if NoneType in get_args(kind):
        return lambda value: None if value is None else arguments[0](value)
    return kind  # type: ignore[no-any-return]  # int, bool, str and enums are called on the value


def _record_reader(kind: Any) -> Callable[[Any], Any]:
    readers = {name: _reader(hint) for name, hint in get_type_hints(kind).items()}
    from_older = getattr(kind, "from_older", lambda value: value)

    def read_record(value: dict[str, Any]) -> Any:
        stored = from_older(value)
        return kind(**{name: read(stored[name]) for name, read in readers.items() if name in stored})

    return read_record
