"""ccxt's part: it reads rows that our client has fetched, without any I/O of its own."""

import socket
from importlib import import_module

import pytest

from fetchers.errors import BadPayload
from fetchers.listing import Listing
from fetchers.parsing.market_lists import UNREADABLE, Market, default_url, parse_markets
from fetchers.venues import VENUES
from fetchers.venues.lbank import CCXT, listing
from tests.fetchers.replies import recorded


@pytest.mark.parametrize("venue", list(VENUES))
def test_hosts_come_from_ccxt(venue: str) -> None:
    """Where no base URL is given the venue's own is taken."""
    url = default_url(import_module(f"fetchers.venues.{venue}").CCXT)
    assert url.startswith("https://")
    assert url.endswith(("binance.com", "bybit.com", "mexc.com", "lbank.com"))


async def test_no_row_needs_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every connection refused the recorded list is read as before."""

    def refuse(*_: object) -> None:
        raise AssertionError("a socket was opened")

    rows = recorded("lbank/instrument.json")["data"]
    monkeypatch.setattr(socket.socket, "connect", refuse)
    assert len(await parse_markets(CCXT, rows, listing)) == 2


@pytest.mark.parametrize("row", [None, 7, "x", [], {}, {"symbol": ["x"]}, {"symbol": "AUSDT"}])
async def test_an_odd_row_is_counted_and_named(row: object) -> None:
    """It is dropped as unreadable and costs the others nothing."""
    good = recorded("lbank/instrument.json")["data"][0]
    odd, fine = await parse_markets(CCXT, [row, good], listing)
    assert (odd.dropped, fine.dropped) == (UNREADABLE, "")


async def test_a_list_without_a_readable_row_is_none() -> None:
    """It would otherwise look like a venue that delisted everything."""
    for rows in ([], [{}, 7]):
        with pytest.raises(BadPayload, match="lbank markets"):
            await parse_markets(CCXT, rows, listing)


async def test_what_a_venue_cannot_say_of_a_row_is_unreadable_too() -> None:
    """Its own reading may trip over a row that ccxt could read."""

    def trip(market: Market) -> Listing:
        raise KeyError(market["id"])

    with pytest.raises(BadPayload):
        await parse_markets(CCXT, recorded("lbank/instrument.json")["data"], trip)
