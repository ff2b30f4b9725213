"""Binance Vision's files, made in their own shape, with every trap that is known of them."""

import math
from collections.abc import Iterable

import numpy as np
import pytest

from fetchers.archives.prints import Prints
from fetchers.archives.vision import (
    BANDS,
    BOOK_DEPTH,
    KLINES,
    METRICS,
    Depths,
    measure_label,
    parse_agg_trades,
    parse_book_depth,
    parse_funding,
    parse_klines,
    parse_metrics,
)

DAY = "2026-07-01"
DAY_MS = 1_782_864_000_000
AGG_HEADER = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"


def test_agg_trades() -> None:
    """True means that the taker sold; a file without a header, unsorted, doubled, holed and cut gives the same rows."""
    rows = [
        f"{number},1.{number},2,1,1,{DAY_MS + number},{'true' if number % 2 else 'false'}" for number in (1, 2, 3, 5)
    ]
    made = parse_agg_trades([AGG_HEADER, *rows])
    assert made.is_taker_sell.tolist() == [True, False, True, True]
    assert made.price.tolist() == [1.1, 1.2, 1.3, 1.5]
    assert made.holes == ((DAY_MS + 3, DAY_MS + 5),)
    assert made.defects == {"missing ids": 1}
    messy = parse_agg_trades([rows[3], rows[0], rows[2], rows[1].replace("false", "False"), rows[0], "6,1.6,2,1"])
    assert np.array_equal(messy.price, made.price)
    assert messy.defects == {"missing ids": 1, "unsorted": 1, "double": 1, "cut row": 1}


def test_agg_trades_in_microseconds() -> None:
    """A time a thousand times too long is scaled, one that is no time at all is left out; both are counted."""
    made = parse_agg_trades([f"1,1,2,1,1,{DAY_MS}123,true", "2,1,2,1,1,17,true", f"3,x,2,1,1,{DAY_MS},true"])
    assert made.time_ms.tolist() == [DAY_MS]
    assert made.defects == {"time in microseconds": 1, "unreadable row": 2}


def snapshot(
    second: int, *, bands: Iterable[float] = BANDS, form: str = ".2f", bid: float = 100.0, ask: float = 100.0
) -> list[str]:
    """Return the rows of one snapshot: so much in each percent of a side, at a mid of 50."""
    time = f"{DAY} {second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    rows = []
    for band in bands:
        notional = (bid if band < 0 else ask) * abs(band)
        rows.append(f"{time},{band:{form}},{notional / (50 * (1 + band / 200)):.8f},{notional:.8f}")
    return rows


def depths(*snapshots: list[str]) -> Depths:
    """Parse them below a header."""
    return parse_book_depth([",".join(BOOK_DEPTH), *(row for rows in snapshots for row in rows)])


def test_book_depth() -> None:
    """Bands written -5 or -5.00, with 0.2 % or without; rows in any order."""
    old = snapshot(1, bands=[band for band in BANDS if abs(band) >= 1], form=".0f")
    made = depths(snapshot(31), old[::-1])
    assert made.time_ms.tolist() == [DAY_MS + 1000, DAY_MS + 31_000]
    assert made.notional[1].tolist() == pytest.approx([100 * abs(band) for band in BANDS])
    assert [math.isnan(one) for one in made.notional[0]] == [abs(band) == 0.2 for band in BANDS]
    assert not made.defects


def test_book_depth_that_is_cut_or_impossible() -> None:
    """A snapshot without all bands, one that shrinks outward and one whose bids lie above its asks are left out."""
    shrinking = snapshot(61)
    shrinking[0] = shrinking[0].rpartition(",")[0] + ",1.0"
    crossed = [row.replace(f"{DAY} 00:01:31", f"{DAY} 00:02:01") for row in snapshot(91)]
    prices = [row.split(",") for row in crossed]
    swapped = [",".join((*row[:2], *other[2:])) for row, other in zip(prices, prices[::-1], strict=True)]
    made = depths(snapshot(1), snapshot(31)[:-2], shrinking, swapped, snapshot(1)[:1], ["nonsense,1,2,3"])
    assert made.time_ms.tolist() == [DAY_MS + 1000]
    assert made.defects == {"cut snapshot": 1, "impossible snapshot": 2, "double": 1, "unreadable row": 1}


def test_book_depth_with_frozen_asks() -> None:
    """Asks that stand still for an hour while the bids move are marked, the hour before is not; a quiet coin is not."""
    moving = [snapshot(30 * n, bid=100 + n, ask=200 - n) for n in range(120)]
    frozen = [snapshot(3600 + 30 * n, bid=100 + n) for n in range(120)]
    quiet = [snapshot(7200 + 30 * n) for n in range(120)]
    made = depths(*moving, *frozen, *quiet)
    assert made.is_frozen[:120].sum() == 0
    assert made.is_frozen[120:240].tolist() == [[False, True]] * 120
    assert made.is_frozen[240:].sum() == 0
    assert made.defects == {"snapshot with a frozen side": 120}


def metrics_row(minute: int, interest: float, ratio: float) -> str:
    """Return a row of metrics."""
    return f"{DAY} {minute // 60:02}:{minute % 60:02}:00,XUSDT,{interest:.16f},1.0,1,1,1,{ratio:.8f}"


def test_metrics() -> None:
    """Unsorted, doubled, with a hole and a zero: each label once, by time, and zero is no open interest."""
    rows = [metrics_row(10, 5.0, 1.0), metrics_row(0, 4.0, 1.0), metrics_row(0, 4.5, 2.0), metrics_row(15, 0.0, 1.0)]
    made = parse_metrics([",".join(METRICS), *rows])
    assert made.label_ms.tolist() == [DAY_MS, DAY_MS + 600_000, DAY_MS + 900_000]
    assert made.open_interest_base[:2].tolist() == [4.5, 5.0]
    assert math.isnan(made.open_interest_base[2])
    assert made.defects == {"unsorted": 1, "double": 1, "zero open interest": 1, "missing label": 1}
    assert made.state_ms("end")[0] == DAY_MS
    assert made.state_ms("start")[0] == DAY_MS + 300_000


@pytest.mark.parametrize("label", ["end", "start"])
def test_the_meaning_of_labels_is_measured(label: str) -> None:
    """The taker ratio of each label is that of the five minutes before it, or after it."""
    prints, ratios = flow()
    shift = 1 if label == "end" else 0
    rows = [metrics_row(5 * (n + shift), 1.0, ratio) for n, ratio in enumerate(ratios)]
    assert measure_label(parse_metrics([",".join(METRICS), *rows]), prints) == label


def test_labels_that_nothing_explains_are_late() -> None:
    """Ratios of another market, or no prints at all: the later meaning is taken, which never looks ahead."""
    prints, ratios = flow()
    other = parse_metrics([",".join(METRICS), *(metrics_row(5 * n, 1.0, 9 - ratio) for n, ratio in enumerate(ratios))])
    assert measure_label(other, prints) == "start"
    assert measure_label(other, parse_agg_trades([])) == "start"


def flow() -> tuple[Prints, list[float]]:
    """Return a buy and a sell in each five minutes of four hours, and bought over sold of each."""
    ratios = [0.5 + (n * 7 % 13) / 5 for n in range(48)]
    rows = []
    for n, ratio in enumerate(ratios):
        at = DAY_MS + 300_000 * n
        rows += [f"{2 * n},1,{ratio},1,1,{at + 1000},false", f"{2 * n + 1},1,1,1,1,{at + 2000},true"]
    return parse_agg_trades(rows), ratios


def kline(minute: int, count: int = 3) -> str:
    """Return a candle."""
    open_ms = DAY_MS + 60_000 * minute
    return f"{open_ms},1,1.5,0.5,1.2,10,{open_ms + 59_999},12,{count},1,1,0"


def test_klines() -> None:
    """With a header and without; a hole is counted, a candle of another length is none, a dead symbol has no trades."""
    made = parse_klines(
        [kline(3, 0), kline(0), kline(0), kline(1).replace(f"{DAY_MS + 119_999}", f"{DAY_MS + 119_998}")]
    )
    assert made.open_ms.tolist() == [DAY_MS, DAY_MS + 180_000]
    assert made.ohlc[:, 0].tolist() == [1.0, 1.5, 0.5, 1.2]
    assert (made.volume_base[0], made.volume_usdt[0]) == (10.0, 12.0)
    assert made.trades.tolist() == [3, 0]
    assert made.defects["missing minute"] == 2
    assert made.defects["double"] == 1
    assert np.array_equal(parse_klines([",".join(KLINES), kline(0)]).ohlc, made.ohlc[:, :1])


def test_funding() -> None:
    """Exponents, jitter of milliseconds, intervals of other lengths."""
    made = parse_funding(
        ["calc_time,funding_interval_hours,last_funding_rate", f"{DAY_MS + 7},4,-1.8E-7", f"{DAY_MS},8,0.0001", "x,8,0"]
    )
    assert made.time_ms.tolist() == [DAY_MS, DAY_MS + 7]
    assert made.rate.tolist() == [0.0001, -1.8e-7]
    assert made.interval_h.tolist() == [8.0, 4.0]
    assert made.defects == {"unreadable row": 1}
