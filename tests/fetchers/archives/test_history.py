"""Ticks of tables: nothing before its time, and each thing once."""

import math
from dataclasses import replace

import numpy as np
import pytest

from features.facts.market import OpenInterest, OrderBook, Quotes, Trades
from fetchers.archives.history import (
    History,
    Interest,
    best_prices,
    instrument_of,
    make_ticks,
    tick_size,
    volume_24h,
)
from fetchers.archives.history_profile import Profile
from fetchers.archives.prints import Prints
from fetchers.archives.vision import Funding, parse_klines
from fetchers.tape.records import TapeTick
from tests.builders import order_book
from tests.fetchers.archives.test_vision import DAY_MS, kline

PROFILE = Profile(source="vision")


def prints(*rows: tuple[int, float, bool], holes: tuple[tuple[int, int], ...] = ()) -> Prints:
    """Return prints of (ms after midnight, price, taker sold), each known 300 ms later."""
    time_ms = DAY_MS + np.array([row[0] for row in rows], np.int64)
    return Prints(
        time_ms=time_ms,
        price=np.array([row[1] for row in rows], float),
        quantity=np.ones(len(rows)),
        is_taker_sell=np.array([row[2] for row in rows], bool),
        seen_ms=time_ms + 300,
        holes=tuple((DAY_MS + before, DAY_MS + after) for before, after in holes),
    )


def history(some: Prints, books: tuple[OrderBook, ...] = (), interest: tuple[tuple[int, float], ...] = ()) -> History:
    """Return one coin's."""
    return History(
        instrument=instrument_of("binance", "WIFUSDT", np.array([1.25, 1.2501]), is_eligible=True),
        prints=some,
        books=iter(books),
        interest=Interest(
            time_ms=DAY_MS + np.array([time for time, _ in interest], np.int64),
            base=np.array([base for _, base in interest], float),
        ),
        klines=parse_klines([kline(0), kline(1)]),
        funding=Funding(
            time_ms=np.array([DAY_MS - 1000, DAY_MS + 9500]),
            interval_h=np.array([8.0, 4.0]),
            rate=np.array([1e-4, 2e-4]),
        ),
        has_exact_books=False,
    )


def ticks(one: History, seconds: int) -> list[TapeTick]:
    """Return the ticks of the first seconds of the day."""
    return list(make_ticks([one], DAY_MS, DAY_MS + 1000 * seconds, PROFILE))


def test_tick_size() -> None:
    """The greatest common divisor of all prices."""
    assert tick_size(np.array([1.25, 1.2505, 1.2495])) == pytest.approx(0.0005)
    assert tick_size(np.array([60_000.0, 60_010.0])) == 10.0
    assert tick_size(np.array([0.0000012, 0.0000013])) == pytest.approx(1e-7)


def test_instrument() -> None:
    """The multiplier is in the name, and Bitcoin never signals."""
    pepe = instrument_of("binance", "1000PEPEUSDT", np.array([0.01]), is_eligible=True)
    assert (pepe.coin, pepe.multiplier, pepe.is_eligible) == ("PEPE", 1000.0, True)
    assert not instrument_of("binance", "BTCUSDT", np.array([1.0]), is_eligible=True).is_eligible


def test_best_prices() -> None:
    """The last sell and the last buy that were known; crossed ones are a tick apart; old ones are none."""
    some = prints((0, 10.0, True), (1000, 10.1, False), (3000, 10.3, True), (20_000, 10.2, False))
    at_ms = DAY_MS + np.array([299, 1300, 3300, 17_000, 20_300])
    bid, ask, time_ms = best_prices(some, at_ms, 0.1, PROFILE)
    assert np.isnan(bid).tolist() == [True, False, False, True, True]
    assert (bid[1], ask[1]) == (10.0, 10.1)
    assert (bid[2], ask[2]) == pytest.approx((10.3, 10.4))  # it sold above the last buy: the ask must be higher
    assert time_ms[2] == DAY_MS + 3000


def test_volume_of_a_day() -> None:
    """Of candles that were known, and none of the minute that runs."""
    klines = parse_klines([kline(0), kline(1), kline(2)])
    base, usdt = volume_24h(klines, DAY_MS + np.array([61_999, 62_000, 122_000, 86_400_000 + 62_000]), 2000)
    assert base.tolist()[1:] == [10.0, 20.0, 20.0]
    assert math.isnan(base[0])
    assert usdt[1] == 12.0


def test_nothing_comes_before_its_time() -> None:
    """Whatever a tick holds was known by then, whatever is cut off after it; and each print comes once."""
    books = tuple(
        replace(order_book(), venue="binance", id="WIFUSDT", exchange_ms=DAY_MS + ms, received_ms=DAY_MS + ms + 1000)
        for ms in (1000, 2000, 7000)
    )
    every = prints(*((700 * n, 1.25, n % 2 == 0) for n in range(30)))
    one = history(every, books, ((-300_000, 5.0), (2000, math.nan), (4000, 6.0)))
    made = ticks(one, 25)
    assert len(made) == 5
    assert [tick.watched is not None for tick in made] == [True, *[False] * 4]
    printed = []
    for tick in made:
        for portion in tick.portions:
            for seen in portion:
                assert seen.received_ms <= tick.seen_ms
                if isinstance(seen, Trades):
                    printed += seen.time_ms.tolist()
                    assert (seen.time_ms + 300 <= tick.seen_ms).all()
    assert printed == every.time_ms[every.seen_ms <= made[-1].seen_ms].tolist()
    kinds = [[type(seen) for portion in tick.portions for seen in portion] for tick in made]
    assert [OrderBook in kind for kind in kinds] == [False, True, True, False, False]
    interest = [seen for tick in made for seen in tick.portions[0] if isinstance(seen, OpenInterest)]
    assert [seen.open_interest_base for seen in interest] == [5.0, 6.0]
    quotes = [quote for tick in made for quote in tick.quotes if isinstance(quote, Quotes)]
    rates = [quote.funding_rate[0] for quote in quotes if quote.funding_rate is not None]
    assert rates == [1e-4, 1e-4, 1e-4, 2e-4, 2e-4]  # settled at 9.5 s, known a second later


def test_a_later_past_changes_nothing_before_it() -> None:
    """Cutting the prints at any time leaves every tick before it as it was."""
    every = prints(*((700 * n, 1.25 + n % 3 / 1e4, n % 2 == 0) for n in range(30)))
    cut = replace_after(every, DAY_MS + 12_000)
    for whole, part in zip(ticks(history(every), 10), ticks(history(cut), 10), strict=True):
        assert repr(whole) == repr(part)


def replace_after(some: Prints, until_ms: int) -> Prints:
    """Return the prints before a time, then one far away."""
    kept = some.time_ms < until_ms
    return Prints(
        time_ms=np.append(some.time_ms[kept], until_ms),
        price=np.append(some.price[kept], 999.0),
        quantity=np.append(some.quantity[kept], 9.0),
        is_taker_sell=np.append(some.is_taker_sell[kept], True),
        seen_ms=np.append(some.seen_ms[kept], until_ms + 300),
    )


def test_a_hole_breaks_the_prints() -> None:
    """The first reply and the one after a hole do not continue."""
    some = prints((0, 1.25, True), (4000, 1.25, False), (9000, 1.25, True), (14_000, 1.25, True), holes=((4000, 9000),))
    replies = [seen for tick in ticks(history(some), 25) for seen in tick.portions[0] if isinstance(seen, Trades)]
    assert [seen.continues for seen in replies] == [False, False, False, True, True]


def test_strict_and_off() -> None:
    """Strict open interest passes no gate alone; off is none."""
    for rule, wanted in (("strict", [False]), ("off", [])):
        profile = replace(PROFILE, open_interest=rule)  # type: ignore[arg-type]
        made = make_ticks([history(prints((0, 1.25, True)), (), ((-300_000, 5.0),))], DAY_MS, DAY_MS + 5000, profile)
        found = [seen.is_live for tick in made for seen in tick.portions[0] if isinstance(seen, OpenInterest)]
        assert found == wanted
