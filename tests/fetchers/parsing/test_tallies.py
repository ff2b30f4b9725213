"""What is counted of replies, and when a change is worth a word."""

from typing import Any

import pytest

from fetchers.parsing.build_records import Arrival
from fetchers.parsing.tallies import FEWEST_ROWS, WINDOW_MS, Change, Tallies
from fetchers.venues import binance, bybit, mexc
from tests.builders import NOW_MS


def arrival(tallies: Tallies) -> Arrival:
    """Return an arrival whose rows are counted there."""
    return Arrival(received_ms=NOW_MS, tallies=tallies)


def test_a_bulk_reply() -> None:
    """Rows that are none, rows without their value, values that cannot be, and fields that are new are counted."""
    row = {"symbol": "AUSDT", "bidPrice": "1", "askPrice": "2", "time": NOW_MS}
    tallies = Tallies()
    binance.parse_book_tickers([row, row], arrival(tallies))
    damaged = [row, {**row, "bidPrice": "-1"}, {**row, "askPrice": ""}, "x", {**row, "yield": 1}]
    binance.parse_book_tickers(damaged, arrival(tallies))
    (tally,) = tallies.total.values()
    assert list(tallies.total) == ["bookTicker"]
    assert (tally.rows, tally.unreadable, tally.impossible, tally.new_fields) == (7, 2, 1, {"yield"})


@pytest.mark.parametrize("value", ["x", -1, True, [], 1e300])
def test_per_symbol_replies(value: Any) -> None:
    """A level, a print and a candle that are none are counted."""
    tallies = Tallies()
    data = {"asks": [[1.2, 3, 1], [1.3, value, 1]], "bids": [[1.1, 5, 1]], "version": 1, "timestamp": NOW_MS}
    mexc.parse_order_book({"success": True, "code": 0, "data": data}, "A_USDT", 1.0, arrival(tallies))
    prints = [{"p": 1.0, "v": 1, "T": 1, "O": 1, "M": 2, "t": NOW_MS - age} for age in (10, 20)]
    reply = {"success": True, "code": 0, "data": [{**prints[0], "p": value}, prints[1]]}
    mexc.parse_trades(reply, "A_USDT", 1.0, None, arrival(tallies))
    counts = {name: (tally.rows, tally.unreadable) for name, tally in tallies.total.items()}
    assert counts == {"depth": (3, 1), "deals": (2, 1)}


def test_empty_cells_are_no_impossible_values() -> None:
    """Pre-market rows come with empty quotes."""
    tallies = Tallies()
    row = {"symbol": "AUSDT", "markPrice": "1.0", "bid1Price": "", "ask1Price": None, "openInterest": "0"}
    payload = {"retCode": 0, "retMsg": "OK", "result": {"list": [row]}, "time": NOW_MS}
    bybit.parse_tickers(payload, arrival(tallies))
    assert tallies.total["tickers"].impossible == 0


def test_one_word_for_each_change() -> None:
    """The first ten minutes are what is usual; a share that moves from it is told once, and so is its way back."""
    tallies, now_ms, told = Tallies(), NOW_MS, []
    tallies.changes(now_ms)
    for unreadable in (1, 1, 30, 30, 1, 1):
        tallies.note("bybit tickers", FEWEST_ROWS, unreadable=unreadable, fields=("a",))
        assert tallies.changes(now_ms + WINDOW_MS - 1) == []
        now_ms += WINDOW_MS
        told.append(tallies.changes(now_ms))
    went, back = Change("tickers", (0.01, 0), (0.3, 0), ()), Change("tickers", (0.3, 0), (0.01, 0), ())
    assert told == [[], [], [went], [], [back], []]


def test_few_rows_say_little_and_a_new_field_is_told_once() -> None:
    """A handful of damaged rows is no change; a field that appears is one, whatever the shares."""
    tallies = Tallies()
    tallies.changes(NOW_MS)
    tallies.note("bybit kline", 3, unreadable=3, fields=("a",))
    assert tallies.changes(NOW_MS + WINDOW_MS) == []
    tallies.note("bybit kline", 3, unreadable=0, fields=("a", "b"))
    assert tallies.changes(NOW_MS + 2 * WINDOW_MS) == [Change("kline", (0.0, 0.0), (0.0, 0.0), ("b",))]
    tallies.note("bybit kline", 3, fields=("a", "b"))
    assert tallies.changes(NOW_MS + 3 * WINDOW_MS) == []
