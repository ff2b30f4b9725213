"""Every record comes back from its bytes to the bit."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from features.facts.market import Candles, Quotes, Trades, read_only
from fetchers.tape.records import CandleReply, Checkpoint, Gap, Record, Watched
from tests.builders import NOW_MS, instrument, prints_of, quotes, trades
from tests.fetchers.tape.builders import HEADER, read, same, tick, written

FLOATS = some.floats(width=64) | some.decimals(-1000, 1000, places=8).map(float) | some.sampled_from([0.0, -0.0])


def test_every_kind_of_record(tmp_path: Path) -> None:
    """What was written comes back, in its order and to the bit."""
    watched = Watched(
        instruments=(instrument(other_names=("PEPE2",)), instrument(id="XUSDT", volume_usdt_24h=1.5)),
        delisted=frozenset({("bybit", "GONEUSDT")}),
    )
    open_ms = read_only([NOW_MS, NOW_MS + 60_000], np.int64)
    prices: dict[str, Any] = {
        name: read_only([1.5, float("nan")], np.float64) for name in ("open", "high", "low", "close")
    }
    candles = Candles(venue="bybit", id="PEPEUSDT", open_ms=open_ms, received_ms=NOW_MS, interval_s=60, **prices)
    quarter_hours = replace(
        candles,
        interval_s=900,
        open_ms=read_only([0, 900_000], np.int64),
        volume_base=read_only([0.0, 7.25], np.float64),
    )
    replies = [
        CandleReply(key=("bybit", "PEPEUSDT"), since_ms=NOW_MS, candles=candles),
        CandleReply(key=("mexc", "X_USDT"), since_ms=NOW_MS, candles=None),
    ]
    records: list[Record] = [
        Checkpoint(at_ms=NOW_MS, state=b"\x00whatever\xff"),
        tick(0, watched=watched, conditions={"bybit": "ok"}, clock_step_ms=-3_600_000),
        tick(1, candles=replies, limits=[{"paused_until_ms": NOW_MS}, {"muted_coins": {"PEPE": NOW_MS}}]),
        Gap(ticks=3, reason="the disk is full"),
        tick(2, quotes=[quotes(NOW_MS, ids=("XUSDT",)), candles, quarter_hours], portions=(), digest=""),
    ]
    found, lines = read(written(*records), tmp_path)
    assert same(found, [HEADER, *records])
    assert not lines


def test_prints_of_a_stream(tmp_path: Path) -> None:
    """Many instruments at once, the quiet ones and gaps too, from record to record with the same and with new ids."""
    three = trades([(NOW_MS, 1.5, 2.0, True), (NOW_MS + 7, 1.25, 3.5, False), (NOW_MS + 7, 0.1 + 0.2, 1e-7, True)])
    one, none = trades([(NOW_MS - 5, 9.0, 4.0, True)], id="XUSDT", continues=False), trades(id="QUIETUSDT")
    quiet = prints_of(
        lag_ms=float("nan"),
        symbols=("XUSDT", "YUSDT"),
        starts=read_only([0, 0, 0], np.int64),
        continues=read_only([True, False], np.bool_),
    )
    arrived = [
        prints_of(three, none, one),
        trades([(NOW_MS, 1.0, 1.0, True)], id="ZUSDT"),
        prints_of(one, three),
        quiet,
        prints_of(replace(one, venue="mexc")),
    ]
    records = [tick(0, portions=[arrived]), tick(1, quotes=[prints_of()], portions=[[prints_of(three)]])]
    found, lines = read(written(*records), tmp_path)
    assert same(found, [HEADER, *records])
    assert not lines


@settings(max_examples=60, deadline=None)
@given(some.lists(some.lists(FLOATS, min_size=3, max_size=3), min_size=1, max_size=4))
def test_any_float_of_a_reply(tmp_path_factory: pytest.TempPathFactory, replies: list[list[float]]) -> None:
    """NaN, infinities, -0.0 and what is no short decimal come back as they were, reply after reply."""
    folder = tmp_path_factory.mktemp("tape")
    ids = ("A", "B", "C")
    ticks = [
        tick(
            number, quotes=[Quotes(venue="lbank", ids=ids, exchange_ms=times(number), received_ms=7, mark_price=values)]
        )
        for number, values in enumerate(np.array(replies))
    ]
    assert same(read(written(*ticks), folder)[0][1:], ticks)


def times(number: int) -> Any:
    """Return times of three rows: one moves, one stays, one is never."""
    return read_only([NOW_MS + 5000 * number, NOW_MS, 0], np.int64)


@settings(max_examples=60, deadline=None)
@given(some.lists(some.lists(FLOATS.filter(lambda value: value == value), max_size=6), min_size=1, max_size=5))
def test_any_float_of_a_book(tmp_path_factory: pytest.TempPathFactory, sides: list[list[float]]) -> None:
    """The same for books of any length, of which the state looks at most closely."""
    folder = tmp_path_factory.mktemp("tape")
    made = [_unchecked(side) for side in sides]
    assert same(read(written(tick(portions=[made])), folder)[0][1], tick(portions=[made]))


def _unchecked(values: list[float]) -> Trades:
    found = trades()
    object.__setattr__(found, "prints", np.array([values, values[::-1], values, [1.0] * len(values)], np.float64))
    return found
