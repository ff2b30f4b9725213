"""A small simulated market for the tests, the four wires asked without sockets, and what a look at a row says.

The readers here know only docs/venues.md: they are neither the market's writers nor the bot's parsers.
"""

from dataclasses import dataclass
from typing import Any

import orjson

from features.settings import FeatureSettings
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.scenario import Scenario, default_scenario
from fetchers.simulated.wire import Answer, Call, Wire
from fetchers.simulated.wires.binance import BinanceWire
from fetchers.simulated.wires.bybit import BybitWire
from fetchers.simulated.wires.lbank import LbankWire
from fetchers.simulated.wires.mexc import MexcWire

START_MS = 1_790_000_000_000
LBANK = "/cfd/openApi/v1/pub/"
MEXC = "/api/v1/contract/"

#: the demo's windows
SETTINGS = FeatureSettings(
    refresh_interval_s=1.0,
    oi_window_s=20.0,
    book_window_s=40.0,
    flow_window_s=10.0,
    sweep_baseline_s=30.0,
    sweep_ttl_s=8.0,
    btc_window_s=20.0,
    momentum_window_s=2.0,
)
SECONDS, TIMEOUT_S = 120.0, 30.0


def make_scenario() -> Scenario:
    """The demo's scenario."""
    return default_scenario(SETTINGS, seconds=SECONDS, signal_timeout_s=TIMEOUT_S)


def make_market(
    *, seed: int = 1, coins_per_venue: int = 0, scenario: Scenario | None = None, start_ms: int = START_MS
) -> SimulatedMarket:
    """A market with the demo's scenario unless told otherwise, and no invented coins."""
    return SimulatedMarket(
        seed=seed, coins_per_venue=coins_per_venue, scenario=scenario or make_scenario(), start_ms=start_ms
    )


def make_wires(market: SimulatedMarket) -> dict[str, Wire]:
    """The four venues of a market."""
    return {
        "binance": BinanceWire(market),
        "bybit": BybitWire(market),
        "mexc": MexcWire(market),
        "lbank": LbankWire(market),
    }


def get(wire: Wire, path: str, now_ms: int, **query: object) -> Answer:
    """Ask a wire."""
    return wire.answer(Call(path=path, query={name: str(value) for name, value in query.items()}, now_ms=now_ms))


def get_json(wire: Wire, path: str, now_ms: int, **query: object) -> Any:
    """Ask a wire and read its JSON."""
    return orjson.loads(get(wire, path, now_ms, **query).body)


@dataclass(frozen=True, slots=True, kw_only=True)
class Print:
    """One print as a venue tells it, in base coin."""

    time_ms: int
    price: float
    quantity: float
    is_sell: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one venue says of one row at one time; sides best first as (price, base quantity)."""

    now_ms: int
    price: float
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    book_ms: int
    funding_rate_8h: float
    vwap_24h: float
    open_interest: float | None
    prints: list[Print]


def look(wires: dict[str, Wire], venue: str, coin: str, now_ms: int) -> Look:
    """Ask everything a venue says of a coin's USDT perpetual (one coin per base only)."""
    return {"binance": _binance, "bybit": _bybit, "mexc": _mexc, "lbank": _lbank}[venue](wires[venue], coin, now_ms)


def _pairs(levels: list[list[Any]], size: float = 1.0) -> list[tuple[float, float]]:
    return [(float(level[0]), float(level[1]) * size) for level in levels]


def _binance(wire: Wire, coin: str, now_ms: int) -> Look:
    symbol = f"{coin}USDT"
    quote = get_json(wire, "/fapi/v1/ticker/bookTicker", now_ms, symbol=symbol)
    day = get_json(wire, "/fapi/v1/ticker/24hr", now_ms, symbol=symbol)
    depth = get_json(wire, "/fapi/v1/depth", now_ms, symbol=symbol, limit=50)
    trades = get_json(wire, "/fapi/v1/trades", now_ms, symbol=symbol, limit=1000)
    return Look(
        now_ms=now_ms,
        price=(float(quote["bidPrice"]) + float(quote["askPrice"])) / 2,
        bids=_pairs(depth["bids"]),
        asks=_pairs(depth["asks"]),
        book_ms=depth["E"],
        funding_rate_8h=float(get_json(wire, "/fapi/v1/premiumIndex", now_ms, symbol=symbol)["lastFundingRate"]),
        vwap_24h=float(day["quoteVolume"]) / float(day["volume"]),
        open_interest=float(get_json(wire, "/fapi/v1/openInterest", now_ms, symbol=symbol)["openInterest"]),
        prints=[
            Print(time_ms=t["time"], price=float(t["price"]), quantity=float(t["qty"]), is_sell=t["isBuyerMaker"])
            for t in trades
        ],
    )


def _bybit(wire: Wire, coin: str, now_ms: int) -> Look:
    asked = {"category": "linear", "symbol": f"{coin}USDT"}
    ticker = get_json(wire, "/v5/market/tickers", now_ms, **asked)["result"]["list"][0]
    book = get_json(wire, "/v5/market/orderbook", now_ms, **asked, limit=50)["result"]
    trades = get_json(wire, "/v5/market/recent-trade", now_ms, **asked, limit=1000)["result"]["list"]
    return Look(
        now_ms=now_ms,
        price=(float(ticker["bid1Price"]) + float(ticker["ask1Price"])) / 2,
        bids=_pairs(book["b"]),
        asks=_pairs(book["a"]),
        book_ms=book["ts"],
        funding_rate_8h=float(ticker["fundingRate"]) * 8 / float(ticker["fundingIntervalHour"]),
        vwap_24h=float(ticker["turnover24h"]) / float(ticker["volume24h"]),
        open_interest=float(ticker["openInterest"]),
        prints=[
            Print(
                time_ms=int(t["time"]), price=float(t["price"]), quantity=float(t["size"]), is_sell=t["side"] == "Sell"
            )
            for t in reversed(trades)
        ],
    )


def _mexc(wire: Wire, coin: str, now_ms: int) -> Look:
    symbol = f"{coin}_USDT"
    details = get_json(wire, f"{MEXC}detail", now_ms)["data"]
    size = next(row["contractSize"] for row in details if row["symbol"] == symbol)
    ticker = next(row for row in get_json(wire, f"{MEXC}ticker", now_ms)["data"] if row["symbol"] == symbol)
    funding = get_json(wire, f"{MEXC}funding_rate/{symbol}", now_ms)["data"]
    depth = get_json(wire, f"{MEXC}depth/{symbol}", now_ms, limit=50)["data"]
    deals = get_json(wire, f"{MEXC}deals/{symbol}", now_ms, limit=100)["data"]
    return Look(
        now_ms=now_ms,
        price=(ticker["bid1"] + ticker["ask1"]) / 2,
        bids=_pairs(depth["bids"], size),
        asks=_pairs(depth["asks"], size),
        book_ms=depth["timestamp"],
        funding_rate_8h=funding["fundingRate"] * 8 / funding["collectCycle"],
        vwap_24h=ticker["amount24"] / (ticker["volume24"] * size),
        open_interest=ticker["holdVol"] * size,
        prints=[Print(time_ms=d["t"], price=d["p"], quantity=d["v"] * size, is_sell=d["T"] == 2) for d in deals[::-1]],
    )


def _lbank(wire: Wire, coin: str, now_ms: int) -> Look:
    symbol = f"{coin}USDT"
    rows = get_json(wire, f"{LBANK}marketData", now_ms, productGroup="SwapU")["data"]
    row = next(row for row in rows if row["symbol"] == symbol)
    book = get_json(wire, f"{LBANK}marketOrder", now_ms, symbol=symbol, depth=50)["data"]
    return Look(
        now_ms=now_ms,
        price=float(row["markedPrice"]),
        bids=[(float(level["price"]), float(level["volume"])) for level in book["bids"]],
        asks=[(float(level["price"]), float(level["volume"])) for level in book["asks"]],
        book_ms=now_ms,
        funding_rate_8h=float(row["fundingRate"]) * 28800 / float(row["positionFeeTime"]),
        vwap_24h=float(row["turnover"]) / float(row["volume"]),
        open_interest=None,
        prints=[],
    )
