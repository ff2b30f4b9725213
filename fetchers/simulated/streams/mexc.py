"""MEXC futures' stream: one contract a message, answers that name nothing, contracts instead of coins."""

from collections.abc import Sequence
from typing import Any

import orjson

from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.streams.stream_wire import Client, Print, row_of

VENUE = "mexc"


class MexcStream:
    """Traps of contract.mexc.com/edge."""

    paths: Sequence[str] = ("/edge",)
    is_compressed: bool = False

    def __init__(self, market: SimulatedMarket) -> None:
        self.life_ms = 10**12  # without end
        self.client_silence_ms: int | None = 60_000  # though data flows
        self.refused = 0
        self._market = market

    def topic(self, symbol: str) -> str:
        """Return what `sub.deal` takes."""
        return symbol

    def message(self, client: Client, text: str, now_ms: int) -> list[bytes]:
        """Reply to a ping or to one contract; say nothing to what it does not know."""
        try:
            message: Any = orjson.loads(text)
        except orjson.JSONDecodeError:
            return []
        method = message.get("method") if isinstance(message, dict) else None
        if method == "ping":
            client.last_ping_ms = now_ms
            return [orjson.dumps({"channel": "pong", "data": now_ms, "ts": now_ms})]
        if method not in ("sub.deal", "unsub.deal"):
            return []
        symbol = str(message.get("param", {}).get("symbol"))
        if row_of(self._market, VENUE, symbol) is None:
            self.refused += 1
            return [orjson.dumps({"channel": "rs.error", "data": f"Contract [{symbol}] not exists", "ts": now_ms})]
        if method == "sub.deal":
            client.topics[symbol] = None
        else:
            client.topics.pop(symbol, None)
        return [orjson.dumps({"channel": f"rs.{method}", "data": "success", "ts": now_ms})]

    def sends(self, client: Client, symbol: str) -> bool:
        """Return whether it was asked for."""
        return symbol in client.topics

    def frames(self, symbol: str, prints: Sequence[Print], now_ms: int) -> list[bytes]:
        """Return a list of deals, or now and then a single one as an object."""
        row = row_of(self._market, VENUE, symbol)
        if row is None:
            return []
        deals = [
            {
                "p": one.price,
                "v": round(one.quantity / row.contract_size),
                "T": 2 if one.is_sell else 1,
                "O": 3,
                "M": 2,
                "t": one.time_ms,
            }
            for one in prints
        ]
        is_object = len(deals) == 1 and prints[0].number % 3 == 0
        data = deals[0] if is_object else deals
        return [orjson.dumps({"symbol": symbol, "data": data, "channel": "push.deal", "ts": now_ms})]


STREAM = MexcStream
