"""A venue's market list, parsed by ccxt off the loop from rows that our own client has fetched.

ccxt knows ids, ticks, contract sizes and statuses of each venue, and the hosts. It is imported only here and only when
needed. Which of the markets are for us is each venue's own to say.
"""

import asyncio
import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from features.facts.market import Instrument
from fetchers.errors import BadPayload
from fetchers.listing import NOT_CRYPTO, Listing
from fetchers.parsing.payload import LARGEST, SMALLEST
from fetchers.universe import strip_multiplier

Market: TypeAlias = Mapping[str, Any]  #: as ccxt unifies it; the venue's own row is under "info"

UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class CcxtVenue:
    """A venue's names in ccxt, and the reply that ccxt parses."""

    id: str
    ccxt_class: str
    host: tuple[str, ...]  #: keys of the host's URL in ccxt's `urls["api"]`
    reply: Callable[[str, list[Any]], Mapping[str, Any]]  #: the venue's reply to a URL with these rows of the list
    options: Mapping[str, Any] = field(default_factory=dict)  #: ccxt's own


def default_url(venue: CcxtVenue) -> str:
    """Return the venue's own base URL."""
    exchange = _exchange(venue)
    url = exchange.urls["api"]
    for key in venue.host:
        url = url[key]
    parts = urlsplit(exchange.implode_hostname(url))
    return f"{parts.scheme}://{parts.netloc}"


async def parse_markets(
    venue: CcxtVenue, rows: Sequence[Any], listing: Callable[[Market], Listing]
) -> tuple[Listing, ...]:
    """Return what `listing` makes of each row in a thread of its own; an unreadable row is dropped as such."""
    listings = await asyncio.to_thread(_parse, venue, rows, listing)
    if all(one.dropped == UNREADABLE for one in listings):
        raise BadPayload(f"{venue.id} markets: none of {len(rows)} rows could be read")
    return listings


def instrument(
    venue: str,
    market: Market,
    *,
    base: str = "",
    other_names: Sequence[str] = (),
    taker_fee_percent: float = 0.0,
    is_innovation_zone: bool = False,
    **published: bool,
) -> Instrument:
    """Return the instrument; names are the venue's own, for ccxt renames some (MEXC's GAS is its GASDAO)."""
    coin, _ = strip_multiplier(base or market["baseId"])
    _, multiplier = strip_multiplier(market["baseId"])
    tick_size, contract_size = float(market["precision"]["price"]), float(market["contractSize"])
    if not (SMALLEST <= tick_size <= LARGEST and SMALLEST <= contract_size <= LARGEST):
        raise ValueError(f"{market['id']}: the tick was {tick_size}, the contract size {contract_size}")
    return Instrument(
        venue=venue,
        id=market["id"],
        base=base or market["baseId"],
        coin=coin,
        tick_size=tick_size,
        contract_size=contract_size,
        multiplier=multiplier,
        other_names=tuple(sorted({strip_multiplier(name)[0] for name in other_names if name} - {coin})),
        taker_fee_percent=taker_fee_percent,
        is_innovation_zone=is_innovation_zone,
        **published,
    )


def listed(shown: Instrument, why_not: str, *, is_crypto: bool | None) -> Listing:
    """Return the row: that it is no crypto is a reason before any other."""
    return Listing(instrument=shown, dropped=NOT_CRYPTO if is_crypto is False else why_not, is_crypto=is_crypto)


def _parse(venue: CcxtVenue, rows: Sequence[Any], listing: Callable[[Market], Listing]) -> tuple[Listing, ...]:
    exchange = _exchange(venue)
    asked: list[Any] = []

    exchange.fetch = lambda url, *_: venue.reply(url, asked)  # in place of any I/O
    exchange.fetch_spot_markets = lambda _: []  # some classes ask for that list too
    listings = []
    for row in rows:  # one by one, so that an odd row costs only itself
        asked[:] = [row]
        try:
            (market,) = exchange.fetch_markets()
            listings.append(listing(market))
        except Exception:  # noqa: BLE001 - ccxt raises anything on a row of odd types
            listings.append(_unreadable(venue.id, row))
    return tuple(listings)


def _unreadable(venue: str, row: object) -> Listing:
    symbol = str(row.get("symbol", "")) if isinstance(row, dict) else ""
    nameless = Instrument(venue=venue, id=symbol, base=symbol, coin=symbol, tick_size=float("nan"))
    return Listing(instrument=nameless, dropped=UNREADABLE)


def _exchange(venue: CcxtVenue) -> Any:
    return _ccxt_class(venue.ccxt_class)({"enableRateLimit": False, "options": dict(venue.options)})


@cache
def _ccxt_class(name: str) -> Any:
    # Its package imports all hundred exchanges: 30 MiB, and a quarter of a second that the loop feels. So an empty
    # package takes its place, with the same modules inside.
    if "ccxt" not in sys.modules:
        found = find_spec("ccxt")
        assert found is not None
        package = sys.modules["ccxt"] = ModuleType("ccxt")
        package.__path__ = list(found.submodule_search_locations or ())
    gc.disable()  # it would hold up the loop to look through what is imported, again and again
    try:
        return getattr(import_module(f"ccxt.{name}"), name)
    finally:
        gc.freeze()
        gc.enable()
