"""The four venue classes over HTTP against the simulated market, whose own numbers say what is right."""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from loguru import logger
from numpy.testing import assert_allclose, assert_array_equal

from features.facts.market import CANDLE_INTERVALS, Quotes
from fetchers.base import Venue
from fetchers.errors import RateLimited, UnknownSymbol, Unreachable
from fetchers.simulated.coins import Row
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.named_coins import ListingKind
from fetchers.simulated.server import Servers, serve
from fetchers.simulated.wire import next_settlement_ms
from fetchers.venues import VENUES, build_venues
from fetchers.venues.base import RestVenue
from fetchers.venues.binance import INTERVALS
from tests.fetchers.simulated.stage import START_MS, make_market
from tests.hand_clock import HandClock

NAMES = tuple(VENUES)
PUBLISHING = tuple(name for name in NAMES if name != "lbank")
NOW_MS = START_MS + 61_000


@dataclass
class Stage:
    clock: HandClock
    market: SimulatedMarket
    servers: Servers
    venues: Mapping[str, Venue]

    def row(self, venue: str, base: str) -> Row:
        return next(row for row in self.market.rows[venue] if row.base == base and row.kind is ListingKind.PERPETUAL)


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    """The demo's market; it is a pure function of time, so all tests may share it."""
    return make_market()


@pytest.fixture
async def stage(market: SimulatedMarket) -> AsyncIterator[Stage]:
    """Four servers and our four clients of them, a minute into the scenario."""
    clock = HandClock(NOW_MS)
    servers = await serve(market, clock.now_ms)
    venues = {venue.name: venue for venue in build_venues(NAMES, dict(servers.urls), clock.now_ms)}
    for venue in venues.values():
        await venue.open()
    yield Stage(clock, market, servers, venues)
    for venue in venues.values():
        await venue.close()
    await servers.close()


def close(ours: float, theirs: float, unit: float) -> None:
    """Equal but for the decimals that the wire leaves out."""
    assert ours == pytest.approx(theirs, rel=1e-9, abs=1.01 * unit)


def merged(quotes: list[Quotes], name: str, row_id: str) -> float:
    """The value for an instrument in whichever of the replies has that column."""
    for reply in quotes:
        values = getattr(reply, name)
        if values is not None and row_id in reply.ids:
            return float(values[reply.ids.index(row_id)])
    return float("nan")


@pytest.mark.parametrize("name", NAMES)
async def test_load_markets_keeps_exactly_the_usdt_perpetuals(stage: Stage, name: str) -> None:
    """Every row comes back, and what is dropped is what the simulated venue lists for other reasons."""
    listings = {one.instrument.id: one for one in await stage.venues[name].load_markets()}
    rows = stage.market.rows[name]
    assert listings.keys() == {row.id for row in rows}
    unmarked = {ListingKind.STOCK} if name == "lbank" else set()  # LBank marks nothing; metals are known by their names
    for row in rows:
        listing = listings[row.id]
        kept = row.kind is ListingKind.PERPETUAL or row.kind in unmarked
        assert (listing.dropped == "") == kept, (row, listing)
        assert listing.instrument.base == (row.alias if name == "lbank" and row.alias.isalnum() else row.base)
        if name == "lbank":
            assert set(re.findall(r"\w+", row.alias)) <= listing.instrument.names
        assert listing.instrument.tick_size == pytest.approx(row.tick)
        assert listing.instrument.contract_size == pytest.approx(row.contract_size)
        if kept and not row.alias:
            assert listing.instrument.multiplier == row.multiplier


@pytest.mark.parametrize("name", NAMES)
async def test_quotes_are_the_venues_numbers_in_base_coin(stage: Stage, name: str) -> None:
    """Prices, funding, open interest and volume of each perpetual equal the simulated snapshot."""
    venue = stage.venues[name]
    await venue.load_markets()
    quotes = await venue.fetch_quotes()
    snapshot = stage.market.snapshot(name, NOW_MS)
    for place, row in enumerate(stage.market.rows[name]):
        if row.kind is not ListingKind.PERPETUAL:
            continue
        fine = 10.0 ** -(row.price_decimals + 2)
        close(merged(quotes, "mark_price", row.id), snapshot.mark_price[place], fine)
        if row.has_index:
            close(merged(quotes, "index_price", row.id), snapshot.index_price[place], fine)
        if row.has_funding:
            close(merged(quotes, "funding_rate", row.id), snapshot.funding_rate[place], 1e-6)
        assert merged(quotes, "funding_interval_h", row.id) == row.funding_interval_h
        assert merged(quotes, "next_funding_ms", row.id) == next_settlement_ms(row, NOW_MS)
        close(merged(quotes, "volume_usdt_24h", row.id), snapshot.turnover_24h[place], 0.01)
        contract = row.contract_size if name == "mexc" else 10.0**-row.quantity_decimals
        close(merged(quotes, "volume_base_24h", row.id), snapshot.volume_24h[place], contract)
        if name != "lbank":
            close(merged(quotes, "bid_price", row.id), snapshot.bid_price[place], fine)
            close(merged(quotes, "ask_price", row.id), snapshot.ask_price[place], fine)
        if name in {"bybit", "mexc"}:
            close(merged(quotes, "open_interest_base", row.id), snapshot.open_interest[place], contract)
    oldest_ms = NOW_MS - (1_300 if name == "lbank" else 300)  # LBank's times are whole seconds
    assert all(oldest_ms <= reply.exchange_ms.min() <= reply.received_ms == NOW_MS for reply in quotes)


async def test_intervals_of_binance_are_asked_for_until_had(stage: Stage) -> None:
    """Without fundingInfo no interval is known, so it is asked for with the next quotes; what was had is kept."""
    venue = stage.venues["binance"]
    faults = stage.servers.faults["binance"]
    faults[INTERVALS] = "server_error"
    await venue.load_markets()
    assert all(reply.funding_interval_h is None for reply in await venue.fetch_quotes())
    faults.clear()
    await stage.clock.advance(5)
    await venue.fetch_quotes()
    await stage.clock.advance(5)
    faults[INTERVALS] = "server_error"
    await venue.load_markets()
    quotes = await venue.fetch_quotes()
    rows = [row for row in stage.market.rows["binance"] if row.kind is ListingKind.PERPETUAL]
    for row in rows:
        assert merged(quotes, "funding_interval_h", row.id) == row.funding_interval_h


async def test_day_tickers_of_binance_come_once_a_minute(stage: Stage) -> None:
    """Forty of weight are spent on them at first and then not again before a minute has passed."""
    venue = stage.venues["binance"]
    seen = []
    for _ in range(3):
        seen.append(sum(reply.volume_usdt_24h is not None for reply in await venue.fetch_quotes()))
        await stage.clock.advance(30)
    assert seen == [1, 0, 1]


#: levels a side where more than fifty cost no more
LEVELS = {"bybit": 200, "mexc": 100}


@pytest.mark.parametrize(
    ("name", "base"),
    [*((name, "SOL") for name in NAMES), ("binance", "1000PEPE"), ("bybit", "1000PEPE"), ("mexc", "PEPE")],
)
async def test_a_book_is_the_venues_book_in_base_coin(stage: Stage, name: str, base: str) -> None:
    """Prices and quantities of all levels equal the simulated book; MEXC's contracts have become coins."""
    venue = stage.venues[name]
    await venue.load_markets()
    row = stage.row(name, base)
    ours = await venue.fetch_order_book(row.id)
    theirs = stage.market.book(name, row.id, LEVELS.get(name, 50), NOW_MS)
    asks = len(ours.ask_price)
    forgotten = len(theirs.ask_ticks) - asks  # MEXC's last level may be gone: its quantity is 0
    assert forgotten in ((0, 1) if name == "mexc" else (0,))
    assert_allclose(ours.bid_price, theirs.bid_ticks * row.tick, rtol=1e-9)
    assert_allclose(ours.ask_price, theirs.ask_ticks[:asks] * row.tick, rtol=1e-9)
    assert_allclose(ours.bid_quantity, theirs.bid_quantity, rtol=1e-6)
    assert_allclose(ours.ask_quantity, theirs.ask_quantity[:asks], rtol=1e-6)
    assert ours.levels_asked == LEVELS.get(name, 50) - forgotten
    assert NOW_MS - 300 <= ours.exchange_ms <= ours.received_ms == NOW_MS


@pytest.mark.parametrize("name", PUBLISHING)
async def test_two_looks_at_the_prints_have_neither_holes_nor_doubles(stage: Stage, name: str) -> None:
    """The second look gives exactly what was printed since the first, and says that it continues."""
    venue = stage.venues[name]
    await venue.load_markets()
    row = stage.row(name, "SOL")
    first = await venue.fetch_trades(row.id)
    assert first is not None
    assert not first.continues
    assert len(first.price) > 0
    await stage.clock.advance(4)
    second = await venue.fetch_trades(row.id)
    assert second is not None
    assert second.continues
    theirs = stage.market.prints(name, row.id, NOW_MS + 1, NOW_MS + 4000)
    assert_array_equal(second.time_ms, theirs.time_ms)
    assert_allclose(second.price, theirs.price_ticks * row.tick, rtol=1e-9)
    assert_allclose(second.quantity, theirs.quantity, rtol=1e-6)
    assert_array_equal(second.is_taker_sell, theirs.is_sell)


async def test_lbank_publishes_books_only(stage: Stage) -> None:
    """What LBank has not over REST is None or empty, and its instruments say so."""
    venue = stage.venues["lbank"]
    row = stage.row("lbank", "SOL")
    assert await venue.fetch_trades(row.id) is None
    assert await venue.fetch_open_interest(row.id) is None
    assert await venue.fetch_candles(row.id, 0) is None
    assert await venue.fetch_open_interest_history(row.id) == ()
    listings = await venue.load_markets()
    assert not any(one.instrument.publishes_trades or one.instrument.publishes_open_interest for one in listings)


async def test_live_open_interest_of_binance(stage: Stage) -> None:
    """It is the snapshot's, in base coin, and live."""
    row = stage.row("binance", "SOL")
    live = await stage.venues["binance"].fetch_open_interest(row.id)
    place = stage.market.place("binance", row.id)
    assert live is not None
    close(live.open_interest_base, float(stage.market.snapshot("binance", NOW_MS).open_interest[place]), 1e-3)
    assert live.is_live


@pytest.mark.parametrize("name", ["binance", "bybit"])
async def test_history_of_open_interest(stage: Stage, name: str) -> None:
    """Half an hour of 5-minute points, oldest first, none of them live."""
    row = stage.row(name, "SOL")
    points = await stage.venues[name].fetch_open_interest_history(row.id)
    times_ms = np.array([point.exchange_ms for point in points])
    assert len(points) == 7
    assert set(np.diff(times_ms)) == {300_000}
    theirs, _ = stage.market.open_interest(name, row.id, times_ms)
    assert_allclose([point.open_interest_base for point in points], theirs, rtol=1e-4)
    assert not any(point.is_live for point in points)


@pytest.mark.parametrize("name", PUBLISHING)
async def test_candles(stage: Stage, name: str) -> None:
    """Ten minutes back from now come as minutes, oldest first, with the venue's prices."""
    venue = stage.venues[name]
    await venue.load_markets()
    row = stage.row(name, "SOL")
    ours = await venue.fetch_candles(row.id, NOW_MS - 600_000)
    assert ours is not None
    theirs = stage.market.candles(name, row.id, int(ours.open_ms[0]), int(ours.open_ms[-1]), NOW_MS)
    assert 10 <= len(ours.open_ms) <= 11
    assert_array_equal(ours.open_ms, [candle.open_ms for candle in theirs])
    for field in ("open", "high", "low", "close"):
        assert_allclose(getattr(ours, field), [getattr(candle, field) for candle in theirs], rtol=1e-6)


@pytest.mark.parametrize("name", PUBLISHING)
@pytest.mark.parametrize("interval_s", CANDLE_INTERVALS.values())
async def test_candles_of_every_interval(stage: Stage, name: str, interval_s: int) -> None:
    """One call brings 499 candles of any interval with their volume in base coin, on whole epochs."""
    venue = stage.venues[name]
    await venue.load_markets()
    row = stage.row(name, "SOL")
    ours = await venue.fetch_candles(row.id, NOW_MS - 498_000 * interval_s, interval_s)
    assert ours is not None
    assert ours.interval_s == interval_s
    assert len(ours.open_ms) == 499
    assert set(ours.open_ms % (1000 * interval_s)) == {0}
    assert set(np.diff(ours.open_ms)) == {1000 * interval_s}
    assert ours.volume_base is not None
    if interval_s > 60:
        usdt = ours.volume_base[:-1] * ours.close[:-1]
        assert_allclose(usdt, row.volume_usdt_24h * interval_s / 86_400, rtol=0.02)


@pytest.mark.parametrize("name", PUBLISHING)
@pytest.mark.parametrize(("ago_ms", "count"), [(0, 1), (21_001, 2), (299_000, 6), (301_000, 6), (30 * 3_600_000, None)])
async def test_candles_begin_where_they_are_asked_for(
    market: SimulatedMarket, name: str, ago_ms: int, count: int | None
) -> None:
    """The minute that holds `since` is the first, whatever the second hands show; the first page of many comes."""
    clock = HandClock(NOW_MS)  # 21 s into its minute
    servers = await serve(market, clock.now_ms)
    (venue,) = build_venues([name], dict(servers.urls), clock.now_ms)
    await venue.open()
    try:
        row = next(row for row in market.rows[name] if row.base == "SOL")
        found = await venue.fetch_candles(row.id, NOW_MS - ago_ms)
    finally:
        await venue.close()
        await servers.close()
    assert found is not None
    assert found.open_ms[0] == (NOW_MS - ago_ms) // 60_000 * 60_000
    assert set(np.diff(found.open_ms)) <= {60_000}
    assert len(found.open_ms) == (count or {"binance": 1500, "bybit": 1000}.get(name, 1801))


@pytest.mark.parametrize("name", NAMES)
async def test_times_are_ours_where_the_venues_clock_is_ahead(market: SimulatedMarket, name: str) -> None:
    """A venue 30 s ahead is measured as such, and what it says happened is put back by as much."""
    clock = HandClock(NOW_MS)
    servers = await serve(market, lambda: clock.now_ms() + 30_000)
    (venue,) = build_venues([name], dict(servers.urls), clock.now_ms)
    await venue.open()
    try:
        assert (await venue.measure_clock()).offset_ms == 30_000
        await venue.load_markets()
        quotes = await venue.fetch_quotes()
        row = next(row for row in market.rows[name] if row.base == "SOL")
        book = await venue.fetch_order_book(row.id)
    finally:
        await venue.close()
        await servers.close()
    assert all(NOW_MS - 1_300 <= reply.exchange_ms.min() <= NOW_MS for reply in quotes)
    assert NOW_MS - 300 <= book.exchange_ms <= NOW_MS


@pytest.mark.parametrize("name", NAMES)
async def test_an_unknown_instrument_is_named_as_such(stage: Stage, name: str) -> None:
    """Asking for the book of what the venue does not list ends in UnknownSymbol on all four."""
    venue = stage.venues[name]
    await venue.load_markets()
    with pytest.raises(UnknownSymbol, match=name):
        await venue.fetch_order_book("NOSUCHUSDT")


async def test_a_delisted_book_of_mexc_is_an_unknown_symbol(stage: Stage) -> None:
    """MEXC goes on answering with success, empty sides and the last time there was."""
    venue = stage.venues["mexc"]
    await venue.load_markets()
    gone = next(row for row in stage.market.rows["mexc"] if row.kind is ListingKind.SUSPENDED)
    with pytest.raises(UnknownSymbol, match="frozen"):
        await venue.fetch_order_book(gone.id)


@pytest.mark.parametrize(
    ("name", "path", "others"),
    [("binance", "/fapi/v1/premiumIndex", 2), ("mexc", "/api/v1/contract/funding_rate", 1)],
)
async def test_a_bulk_part_that_fails_is_a_gap(stage: Stage, name: str, path: str, others: int) -> None:
    """Prices still come where funding does not; it is said once when that starts and once when it ends."""
    venue = stage.venues[name]
    await venue.load_markets()
    said: list[str] = []
    sink = logger.add(said.append, format="{level} {message}")
    stage.servers.faults[name][path] = "server_error"
    quotes = await venue.fetch_quotes()
    assert len(quotes) == others
    assert quotes[0].bid_price is not None
    await venue.fetch_quotes()
    stage.servers.faults[name].clear()
    assert any(reply.funding_rate is not None for reply in await venue.fetch_quotes())
    await venue.fetch_quotes()
    logger.remove(sink)
    assert [line.split()[:2] for line in said] == [["WARNING", f"{name}:"], ["INFO", f"{name}:"]]


async def test_prices_of_mexc_do_not_wait_for_funding_on_hold(stage: Stage) -> None:
    """However soon it ends: the tick has its prices now."""
    venue = stage.venues["mexc"]
    await venue.load_markets()
    venue.budget.hold("funding", stage.clock.now_ms() + 1_000)
    async with asyncio.timeout(0.9):
        (prices,) = await venue.fetch_quotes()
    assert prices.bid_price is not None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("binance", "/fapi/v1/ticker/bookTicker"),
        ("bybit", "/v5/market/tickers"),
        ("mexc", "/api/v1/contract/ticker"),
        ("lbank", "/cfd/openApi/v1/pub/marketData"),
    ],
)
async def test_without_prices_there_are_no_quotes(stage: Stage, name: str, path: str) -> None:
    """A failure of the call that has the prices is the venue's, and holds are respected by the next call."""
    venue = stage.venues[name]
    stage.servers.faults[name][path] = "server_error"
    with pytest.raises(Unreachable, match=name):
        await venue.fetch_quotes()
    stage.servers.faults[name][path] = "too_many"
    with pytest.raises(RateLimited) as first:
        await venue.fetch_quotes()
    asked = stage.servers.requests[name].count
    assert first.value.until_ms >= stage.clock.now_ms() + 10_000
    with pytest.raises(RateLimited, match="hold"):
        await venue.fetch_quotes()
    assert stage.servers.requests[name].count == asked + (name == "mexc")  # whose funding is another pool


async def test_used_weight_of_binance_corrects_the_budget(stage: Stage) -> None:
    """What another process behind the same address spends is seen in the next reply's header."""
    venue = stage.venues["binance"]
    assert isinstance(venue, RestVenue)
    other = build_venues(["binance"], dict(stage.servers.urls), stage.clock.now_ms)[0]
    await other.open()
    for _ in range(5):
        await other.fetch_quotes()
    await other.close()
    before = venue.budget.available(stage.clock.now_ms(), 60_000)["weight"]
    await venue.measure_clock()
    assert venue.budget.available(stage.clock.now_ms(), 60_000)["weight"] < before - 100
