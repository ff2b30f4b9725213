"""Frames as the venues document them, and ten thousand ways to damage them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from fetchers.streams.build import WIRES
from fetchers.streams.wire import Heard
from tests.builders import NOW_MS
from tests.fetchers.test_parsers_fuzz import damage

SIZES = {"BTC_USDT": 1e-4, "PEPE_USDT": 1e7}

AGG_TRADE: dict[str, Any] = {
    "e": "aggTrade",
    "E": NOW_MS - 20,
    "a": 5933014,
    "s": "BTCUSDT",
    "p": "0.001",
    "q": "100",
    "nq": "100",
    "f": 100,
    "l": 105,
    "T": NOW_MS - 30,
    "m": True,
    "st": 1,
}
PUBLIC_TRADE: dict[str, Any] = {
    "T": NOW_MS - 30,
    "s": "BTCUSDT",
    "S": "Sell",
    "v": "0.001",
    "p": "16578.50",
    "L": "MinusTick",
    "i": "20f43950-d8dd-5b31-9112-a178eb6023af",
    "BT": False,
    "RPI": False,
    "seq": 1783284617,
}
DEAL: dict[str, Any] = {"p": 114350.4, "v": 4, "T": 2, "O": 3, "M": 2, "t": NOW_MS - 30}


def agg_trade(**changed: Any) -> dict[str, Any]:
    """Return a frame of Binance's combined stream."""
    data = AGG_TRADE | changed
    return {"stream": f"{str(data['s']).lower()}@aggTrade", "data": data}


def public_trade(*trades: dict[str, Any], symbol: str = "BTCUSDT") -> dict[str, Any]:
    """Return a frame of Bybit's trades."""
    rows = [PUBLIC_TRADE | {"s": symbol} | trade for trade in trades or ({},)]
    return {"topic": f"publicTrade.{symbol}", "type": "snapshot", "ts": NOW_MS - 20, "data": rows}


def deals(*rows: dict[str, Any], symbol: str = "BTC_USDT") -> dict[str, Any]:
    """Return a frame of MEXC's deals."""
    return {"symbol": symbol, "data": [DEAL | row for row in rows or ({},)], "channel": "push.deal", "ts": NOW_MS - 20}


GOOD: Mapping[str, list[dict[str, Any]]] = {
    "binance": [agg_trade(), agg_trade(s="PEPEUSDT", m=False), {"result": None, "id": 1}],
    "bybit": [
        public_trade({}, {"i": "b", "S": "Buy"}),
        {"success": True, "ret_msg": "pong", "conn_id": "x", "req_id": "", "op": "ping"},
        {"success": True, "ret_msg": "", "conn_id": "x", "req_id": "1", "op": "subscribe"},
    ],
    "mexc": [
        deals({}, {"T": 1}),
        {"channel": "pong", "data": NOW_MS, "ts": NOW_MS},
        {"channel": "rs.sub.deal", "data": "success", "ts": NOW_MS},
    ],
}


def read(venue: str, *found: Any) -> Heard:
    """Return what frames say, given as they are or as JSON values."""
    frames = [frame if isinstance(frame, bytes) else orjson.dumps(frame) for frame in found]
    return WIRES[venue].read(frames, SIZES)


def check(heard: Heard) -> None:
    """Whatever came, the columns are as long as each other and hold nothing that no market can have."""
    count = len(heard.symbols)
    columns = (heard.ids, heard.venue_ms, heard.price, heard.quantity, heard.is_taker_sell)
    assert {len(one) for one in columns} == {count}
    assert all(type(symbol) is str for symbol in heard.symbols)
    assert all(type(symbol) is str for symbol in heard.heard)
    for values in (heard.venue_ms, heard.price, heard.quantity, heard.sent_ms):
        assert np.isfinite(values).all()
        assert (values > 0).all()
    assert heard.unreadable >= 0


def fuzz(venue: str, count: int) -> int:
    """Send so many damaged frames through a venue's reader, each beside a good one, which must be read; return prints.

    Damage is inside the JSON, or bytes are cut off, flipped or put in place of it.
    """
    random = np.random.default_rng(list(venue.encode()))
    good = GOOD[venue][0]
    least, prints = len(read(venue, good).symbols), 0
    assert least
    for _ in range(count):
        body = orjson.dumps(damage(GOOD[venue][int(random.integers(len(GOOD[venue])))], random))
        place = int(random.integers(len(body) + 1))
        match int(random.integers(6)):
            case 0:
                body = body[:place]
            case 1:
                body = body[:place] + bytes([int(random.integers(256))]) + body[place + 1 :]
            case 2:
                body = [b"", b"<html>502</html>", b"\x1f\x8b\x08", b"null", b"1},{", b"ping"][int(random.integers(6))]
        heard = read(venue, body, good)
        check(heard)
        assert len(heard.symbols) >= least, body
        prints += len(heard.symbols)
    return prints
