"""Shared by the venues' wire modules: requests, answers, and fast writing of bulk rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from fetchers.simulated.coins import Row
from fetchers.simulated.limits import Quota

HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One GET request, and when it came."""

    path: str
    query: Mapping[str, str]
    now_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP reply."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


class Rejected(Exception):
    """Ends the handling of a request with the venue's error code."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Wire(Protocol):
    """One venue: requests in, replies out, no sockets."""

    quotas: dict[str, Quota]

    def answer(self, call: Call, /) -> Answer:
        """Reply to a GET as the venue would."""

    def too_many(self, now_ms: int, /) -> Answer:
        """Return the venue's reply to more requests than it allows."""

    def banned(self, now_ms: int, /) -> Answer:
        """Return its reply to an address that it has banned; as to too many requests where it has no ban."""


def json_answer(value: Any, *, status: int = 200) -> Answer:
    """Return an answer of `value` as JSON; bytes are taken as JSON already."""
    return Answer(body=value if isinstance(value, bytes) else orjson.dumps(value), status=status)


def html_answer(status: int, title: str) -> Answer:
    """Return an edge's page instead of the venue's JSON."""
    body = f"<html><head><title>{title}</title></head><body><center><h1>{title}</h1></center></body></html>\r\n"
    return Answer(body=body.encode(), status=status, content_type="text/html")


def fill(templates: Iterable[str], *columns: Iterable[Any]) -> str:
    """Return one JSON row per template, its %-places filled from the columns."""
    return ",".join([template % values for template, values in zip(templates, zip(*columns, strict=True), strict=True)])


def levels(row: Row, ticks: Sequence[int], quantities: Sequence[float]) -> list[list[str]]:
    """Return book levels as pairs of strings, the way Binance and Bybit write them."""
    return [
        [f"{tick * row.tick:.{row.price_decimals}f}", f"{quantity:.{row.quantity_decimals}f}"]
        for tick, quantity in zip(ticks, quantities, strict=True)
    ]


def next_settlement_ms(row: Row, now_ms: int) -> int:
    """Return when funding is paid next."""
    interval_ms = row.funding_interval_h * HOUR_MS
    return now_ms - now_ms % interval_ms + interval_ms


def whole_number(text: str) -> int | None:
    """Return the text as a number without sign, None where it is not one."""
    return int(text) if text.isascii() and text.isdigit() else None
