"""Checked values out of decoded JSON.

A single value that is wrong ends in BadPayload naming the call, the field and what it was; in a column it is NaN.
Anything beyond `LARGEST` is garbage too: products of two must stay finite.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, TypeVar

import numpy as np

from features.facts.market import FloatArray
from fetchers.errors import BadPayload

SMALLEST = 1e-18
LARGEST = 1e24
EARLIEST_MS = 1e12  #: September 2001; a venue that counts seconds, or nothing, falls below
LATEST_MS = 1e13  #: the year 2286
NUMERIC: set[type] = {
    str,
    int,
    float,
}  #: what a number comes as; a bool is none, though Python counts it among the ints

Kind = TypeVar("Kind")


def bad(call: str, field: str, value: object, expected: str) -> BadPayload:
    """Return the error for one wrong value; `call` begins with the venue."""
    return BadPayload(f"{call}: {field} was {repr(value)[:80]}, expected {expected}")


def member(payload: object, field: str, kind: type[Kind], call: str) -> Kind:
    """Return a member of a JSON object, of exactly that type."""
    if not isinstance(payload, dict):
        raise bad(call, "the reply", payload, f"an object with {field}")
    value = payload.get(field)
    if type(value) is not kind:
        raise bad(call, field, value, f"a {kind.__name__}")
    return value


def number(payload: object, field: str, call: str, *, least: float = SMALLEST, most: float = LARGEST) -> float:
    """Return a number of a JSON object, no less than `least` and no more than `most`."""
    if not isinstance(payload, dict):
        raise bad(call, "the reply", payload, f"an object with {field}")
    value = _cell(payload.get(field))
    if not least <= value <= most:
        raise bad(call, field, payload.get(field), f"a number in [{least:g}, {most:g}]")
    return value


def time_ms(payload: object, field: str, call: str) -> float:
    """Return a venue's time in epoch milliseconds."""
    return number(payload, field, call, least=EARLIEST_MS, most=LATEST_MS)


def column(
    rows: Sequence[Mapping[str, Any]], field: str, *, least: float = SMALLEST, most: float = LARGEST
) -> FloatArray:
    """Return one field of all rows (n,), NaN where it is missing, empty, no number or out of range."""
    values = [row.get(field) for row in rows]
    try:
        if not set(map(type, values)) <= NUMERIC:
            raise TypeError(field)
        array = np.fromiter(map(float, values), np.float64, len(values))  # type: ignore[arg-type]  # each one of NUMERIC
    except (TypeError, ValueError, OverflowError):
        array = np.array([_cell(value) for value in values], dtype=np.float64)
    array[~((array >= least) & (array <= most))] = np.nan
    return array


def times(rows: Sequence[Mapping[str, Any]], field: str) -> FloatArray:
    """Return the venue's times of all rows (n,) [epoch ms], NaN where there is none."""
    return column(rows, field, least=EARLIEST_MS, most=LATEST_MS)


def whole(values: FloatArray, rows: Sequence[Mapping[str, Any]], field: str, call: str) -> FloatArray:
    """Return a column that has no gap; for replies in which each row counts."""
    if np.isnan(values).any():
        row = int(np.flatnonzero(np.isnan(values))[0])
        raise bad(call, f"{field} of row {row}", rows[row].get(field), "a number in range")
    return values


def objects(payload: object, call: str) -> list[dict[str, Any]]:
    """Return a list of objects each of which counts."""
    if type(payload) is list and set(map(type, payload)) <= {dict}:
        return payload
    raise bad(call, "the list", payload, "a list of objects")


def each(rows: Sequence[Mapping[str, Any]], field: str, kind: type[Kind], call: str) -> list[Kind]:
    """Return one field of all rows, all of exactly that type."""
    values = [row.get(field) for row in rows]
    if set(map(type, values)) <= {kind}:
        return values  # type: ignore[return-value]  # just looked
    raise bad(call, field, next(value for value in values if type(value) is not kind), f"a {kind.__name__}")


def table(rows: object, width: int, call: str, field: str) -> FloatArray:
    """Return a list of lists of numbers as (n, width), what is further right in a row left out."""
    if type(rows) is list and set(map(type, rows)) <= {list}:
        cut = rows if set(map(len, rows)) <= {width} else [row[:width] for row in rows]
        flat = list(chain.from_iterable(cut))
        if len(flat) == width * len(rows) and set(map(type, flat)) <= NUMERIC:
            try:
                numbers = list(map(float, flat))
            except (ValueError, OverflowError) as error:
                raise bad(call, field, rows, f"a list of {width} numbers each") from error
            if max(numbers, default=0.0) > LARGEST:
                raise bad(call, field, rows, f"no number beyond {LARGEST:g}")
            return np.array(numbers, dtype=np.float64).reshape(len(rows), width)
    raise bad(call, field, rows, f"a list of {width} numbers each")


def usable(rows: object, width: int, call: str, field: str) -> FloatArray:
    """Return a list of lists of numbers as (n, width), a row that is none, or has a cell that is no number, as NaN."""
    try:
        return table(rows, width, call, field)
    except BadPayload:
        if type(rows) is not list:
            raise
    gap = [float("nan")] * width
    read = [[_cell(cell) for cell in row[:width]] if type(row) is list and len(row) >= width else gap for row in rows]
    numbers = np.array(read, dtype=np.float64).reshape(len(rows), width)
    numbers[~(np.abs(numbers) <= LARGEST)] = np.nan
    return numbers


def whole_number(payload: object, field: str) -> int | None:
    """Return a whole number of a JSON object, which some venues write as a text at times; None where there is none."""
    value = payload.get(field) if isinstance(payload, dict) else None
    if type(value) is str and value.isdecimal() and len(value) < 20:
        return int(value)
    return value if type(value) is int and value >= 0 else None


def error_code(payload: object, field: str) -> int:
    """Return the code that a venue puts into its reply, 0 where there is none."""
    value = _cell(payload.get(field)) if isinstance(payload, dict) else 0.0
    return int(value) if -LARGEST < value < LARGEST else 0


def _cell(value: object) -> float:
    """Return a number, NaN where there is none."""
    if type(value) not in NUMERIC:
        return float("nan")
    try:
        return float(value)  # type: ignore[arg-type]  # one of NUMERIC
    except (ValueError, OverflowError):
        return float("nan")
