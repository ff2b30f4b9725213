"""Binance's frames, and that aggregated trades show the sweeps that raw trades show."""

import gzip
from pathlib import Path

import numpy as np
import orjson
import pytest

from features.facts.market import BoolArray, FloatArray
from features.phenomena.trade_flow import Runs, find_runs
from fetchers.streams.binance import WIRE
from tests.builders import NOW_MS
from tests.fetchers.streams.frames import agg_trade, read

RAW = Path(__file__).parents[2] / "data" / "binance" / "raw_trades_ETHUSDT.csv.gz"
MIN_USDT = 1_000.0


def test_an_aggregated_trade() -> None:
    """Field m says that the buyer was the maker: the taker sold."""
    heard = read("binance", agg_trade(), agg_trade(a=5933015, m=False))
    assert heard.symbols == ("BTCUSDT", "BTCUSDT")
    assert heard.ids.tolist() == [5933014, 5933015]
    assert (heard.venue_ms[0], heard.price[0], heard.quantity[0]) == (NOW_MS - 30, 0.001, 100.0)
    assert heard.is_taker_sell.tolist() == [True, False]
    assert heard.sent_ms.tolist() == [NOW_MS - 20] * 2


@pytest.mark.parametrize(
    "changed", [{"p": "NaN"}, {"q": "-1"}, {"q": "0"}, {"m": 1}, {"a": "7"}, {"T": 5}, {"a": True}, {"s": 7}]
)
def test_a_row_that_is_no_print(changed: dict[str, object]) -> None:
    """It is counted and costs only itself."""
    heard = read("binance", agg_trade(**changed), agg_trade())
    assert (len(heard.symbols), heard.unreadable) == (1, 1)


def test_rows_of_another_product() -> None:
    """COIN-M's rows come on the same host; they are no fault."""
    heard = read("binance", agg_trade(st=2))
    assert (heard.symbols, heard.unreadable) == ((), 0)


def test_answers() -> None:
    """An acceptance, and both shapes of an error."""
    accepted, error, plain = read(
        "binance",
        {"result": None, "id": 1},
        {"error": {"code": 2, "msg": "Invalid request"}, "id": 2},
        {"code": 3, "msg": "Invalid JSON", "id": 3},
    ).answers
    assert (accepted.request, accepted.error) == (1, "")
    assert (error.request, error.error) == (2, "Invalid request")
    assert (plain.request, plain.error) == (3, "Invalid JSON")


def test_messages() -> None:
    """As documented, names in lower case."""
    topics = [WIRE.topic("BTCUSDT"), WIRE.topic("1000PEPEUSDT")]
    assert orjson.loads(WIRE.subscribe(topics, 7)) == {
        "method": "SUBSCRIBE",
        "params": ["btcusdt@aggTrade", "1000pepeusdt@aggTrade"],
        "id": 7,
    }
    assert orjson.loads(WIRE.unsubscribe(topics[:1], 8))["method"] == "UNSUBSCRIBE"


def test_sweeps_of_aggregated_trades_are_those_of_raw_trades() -> None:
    """On a recorded minute: same beginning, end, prices and notional; fills of one order at one price are one print."""
    with gzip.open(RAW, "rt") as file:
        raw = np.loadtxt(file, delimiter=",", skiprows=1)
    time_ms, price, quantity, is_sell = raw.T
    is_new = np.ones(len(raw), dtype=bool)
    is_new[1:] = (np.diff(time_ms) != 0) | (np.diff(price) != 0) | (np.diff(is_sell) != 0)
    start = np.flatnonzero(is_new)
    frames = [
        agg_trade(s="ETHUSDT", a=i, p=f"{price[at]:.2f}", q=f"{total:.3f}", T=int(time_ms[at]), m=bool(is_sell[at]))
        for i, (at, total) in enumerate(zip(start, np.add.reduceat(quantity, start), strict=True))
    ]
    heard = read("binance", *frames)
    assert len(heard.symbols) == len(start) < 0.6 * len(raw)
    of_raw = _sweeps(time_ms, price, quantity, is_sell)
    of_aggregated = _sweeps(heard.venue_ms, heard.price, heard.quantity, heard.is_taker_sell)
    assert len(of_raw.start_ms) > 20
    for ours, theirs in zip(of_aggregated, of_raw, strict=True):
        np.testing.assert_allclose(ours.astype(np.float64), theirs.astype(np.float64), rtol=1e-9)


def _sweeps(time_ms: FloatArray, price: FloatArray, quantity: FloatArray, is_sell: FloatArray | BoolArray) -> Runs:
    runs = find_runs(np.array([0]), time_ms, price, price * quantity, is_sell.astype(bool), MIN_USDT)
    return runs.take(runs.can_be_sweeps(MIN_USDT))
