"""A record as a row: columns for what people filter and sort by, JSON text for the rest."""

from collections.abc import Sequence
from typing import Any, Protocol

import orjson

from storage.codec import to_plain, to_text


class Row(Protocol):
    """A row as the database gives it."""

    def __getitem__(self, column: str, /) -> Any: ...


def to_row(record: Any, columns: Sequence[str], rest: str) -> dict[str, Any]:
    """Return a record's row: its fields named in `columns`, and all others as JSON text in the column `rest`."""
    plain = to_plain(record)
    row = {column: plain.pop(column) for column in columns}
    return {**row, rest: to_text(plain)}


def to_fields(row: Row, columns: Sequence[str], rest: str) -> dict[str, Any]:
    """Return the plain fields of the record that `to_row` made the row from."""
    return {**{column: row[column] for column in columns}, **orjson.loads(row[rest])}
