"""What is watched, and which tickers are the same coin."""

from typing import Any

import numpy as np
import pytest

from features.facts.market import Instrument, Quotes
from fetchers.listing import Listing
from fetchers.universe import Universe, UniverseSettings, build_universe, strip_multiplier
from tests.builders import instrument, quotes

SETTINGS = UniverseSettings()
LBANK: dict[str, Any] = {"publishes_trades": False, "publishes_open_interest": False}

Row = tuple[Listing, float, float]  #: with price and volume


def row(
    venue: str,
    base: str,
    *,
    price: float = 1.0,
    volume: float = 5e6,
    dropped: str = "",
    is_crypto: bool | None = None,
    **changed: Any,
) -> Row:
    """Return one line of a venue's list with its price and volume."""
    coin, multiplier = strip_multiplier(base)
    record = {"venue": venue, "id": f"{base}USDT", "base": base, "coin": coin, "multiplier": multiplier}
    return Listing(instrument=instrument(**record | changed), dropped=dropped, is_crypto=is_crypto), price, volume


def universe(*rows: Row, settings: UniverseSettings = SETTINGS, keep: tuple[tuple[str, str], ...] = ()) -> Universe:
    """Build the universe of these rows."""
    listings: dict[str, list[Listing]] = {}
    replies: dict[str, list[Quotes]] = {}
    for listing, price, volume in rows:
        venue = listing.instrument.venue
        listings.setdefault(venue, []).append(listing)
        ids = (listing.instrument.id,)
        replies.setdefault(venue, []).append(
            quotes(venue=venue, ids=ids, bid_price=None, ask_price=None, mark_price=price, volume_usdt_24h=volume)
        )
    return build_universe(listings, replies, settings, keep=keep)


def coins(built: Universe) -> dict[str, str]:
    """Return the coin by venue, for universes of one instrument a venue."""
    return {one.venue: one.coin for one in built.instruments}


@pytest.mark.parametrize(
    ("base", "coin", "multiplier"),
    [
        ("PEPE", "PEPE", 1.0),
        ("1000PEPE", "PEPE", 1e3),
        ("10000LADYS", "LADYS", 1e4),
        ("1000000MOG", "MOG", 1e6),
        ("10001000SATS", "SATS", 1e6),
        ("SHIB1000", "SHIB", 1e3),
        ("1INCH", "1INCH", 1.0),
        ("10SET", "10SET", 1.0),
        ("100X", "100X", 1.0),
        ("1000X", "X", 1e3),
        ("1000", "1000", 1.0),
        ("SPX6900", "SPX6900", 1.0),
        ("1000币安人生", "币安人生", 1e3),
    ],
)
def test_multipliers_are_stripped_and_names_left_alone(base: str, coin: str, multiplier: float) -> None:
    """Powers of ten from a thousand on are multipliers, in front or behind; other digits belong to the name."""
    assert strip_multiplier(base) == (coin, multiplier)


def test_the_volume_band_and_every_reason_is_counted() -> None:
    """What does not trade within the band, or is excluded, unpriced or dropped by its venue, is counted by reason."""
    built = universe(
        row("bybit", "PEPE"),
        row("bybit", "TINY", volume=4e5),
        row("bybit", "HUGE", volume=3e8),
        row("bybit", "1000LUNC"),
        row("bybit", "GONE", price=np.nan),
        row("bybit", "QUIET", volume=np.nan),
        row("bybit", "TSLA", is_crypto=False),
        settings=UniverseSettings(exclude_coins=frozenset({"LUNC"})),
    )
    assert [(one.id, one.is_eligible, one.volume_usdt_24h) for one in built.instruments] == [("PEPEUSDT", True, 5e6)]
    reasons = ("volume too low", "volume too high", "excluded", "no price", "no volume", "not crypto")
    assert built.dropped == {"bybit": dict.fromkeys(reasons, 1)}
    assert built.eligible_by_venue() == {"bybit": 1}


def test_bitcoin_lenders_and_open_signals_are_kept_but_cannot_signal() -> None:
    """Outside the band only Bitcoin, the lender of an eligible borrower, and what an open signal is on stay."""
    built = universe(
        row("bybit", "BTC", price=9e4, volume=1e10),
        row("bybit", "PEPE", volume=3e8),
        row("bybit", "WIF", volume=3e8),
        row("bybit", "BONK", volume=3e8),
        row("bybit", "OPEN", volume=3e8, dropped="not trading"),
        row("lbank", "PEPE", **LBANK),
        row("lbank", "WIF", volume=3e8, **LBANK),
        keep=(("bybit", "OPENUSDT"),),
    )
    kept = {(one.venue, one.base): one.is_eligible for one in built.instruments}
    assert kept == {
        ("bybit", "BTC"): False,
        ("bybit", "PEPE"): False,
        ("bybit", "OPEN"): False,
        ("lbank", "PEPE"): True,
    }


def test_one_coin_under_multipliers_is_one_coin() -> None:
    """Prices are compared per coin: 1000PEPE at 0.0101 is PEPE at 0.00001."""
    built = universe(row("binance", "1000PEPE", price=0.0101), row("mexc", "PEPE", price=0.00001))
    assert coins(built) == {"binance": "PEPE", "mexc": "PEPE"}


def test_the_largest_agreeing_group_keeps_the_name() -> None:
    """A namesake at another price becomes COIN@venue, whoever is listed first."""
    built = universe(
        row("lbank", "ACE", price=7.0, volume=1e8),
        row("binance", "ACE", price=1.0),
        row("bybit", "ACE", price=1.029),
        row("mexc", "ACE", price=1.04),
    )
    assert coins(built) == {"lbank": "ACE@lbank", "binance": "ACE", "bybit": "ACE", "mexc": "ACE@mexc"}


def test_of_two_that_disagree_the_larger_volume_keeps_the_name() -> None:
    """Between groups of one the traded notional decides."""
    built = universe(row("lbank", "ACE", price=7.0, volume=1e6), row("mexc", "ACE", price=1.0, volume=2e6))
    assert coins(built) == {"lbank": "ACE@lbank", "mexc": "ACE"}


def test_a_lender_under_another_coin_lends_nothing() -> None:
    """The namesake of a borrowed coin is no lender and is dropped by its volume."""
    built = universe(row("lbank", "ACE", price=7.0, **LBANK), row("mexc", "ACE", price=1.0, volume=3e8))
    assert coins(built) == {"lbank": "ACE@lbank"}


def test_the_index_speaks_before_the_mark_and_the_bid() -> None:
    """A squeeze that lifts one venue's mark does not make it another coin."""
    pair: list[Instrument] = [instrument(venue=venue, id="ACEUSDT") for venue in ("mexc", "bybit")]
    replies = {
        one.venue: [quotes(venue=one.venue, ids=(one.id,), mark_price=mark, index_price=1.0, volume_usdt_24h=5e6)]
        for one, mark in zip(pair, (1.0, 1.1), strict=True)
    }
    built = build_universe({one.venue: [Listing(instrument=one)] for one in pair}, replies, SETTINGS)
    assert coins(built) == {"mexc": "ACE", "bybit": "ACE"}


def test_what_one_venue_marks_as_no_crypto_is_dropped_where_nobody_marks_anything() -> None:
    """LBank lists Tesla like a coin; a ticker that is a coin on a venue which tells them apart stays."""
    built = universe(
        row("bybit", "TSLA", is_crypto=False),
        row("bybit", "META", is_crypto=True),
        row("mexc", "META", is_crypto=False),
        row("lbank", "TSLA", **LBANK),
        row("lbank", "META", **LBANK),
    )
    assert [one.key for one in built.instruments] == [("bybit", "METAUSDT"), ("lbank", "METAUSDT")]
    assert built.dropped["lbank"] == {"not crypto": 1}
