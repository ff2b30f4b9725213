"""Binance USD-M's stream: accepts whatever is asked for, and is silent where it has nothing."""

from collections.abc import Sequence
from typing import Any

import orjson

from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.streams.stream_wire import Client, Closed, Print, row_of

VENUE = "binance"
MOST_TOPICS = 1024
MOST_MESSAGES = 5  #: in any second
SECOND_MS = 1_000


class BinanceStream:
    """Routes, limits and traps of fstream."""

    paths: Sequence[str] = ("/market/stream", "/public/stream", "/stream")
    is_compressed: bool = True
    client_silence_ms: int | None = None

    def __init__(self, market: SimulatedMarket) -> None:
        self.life_ms = 86_400_000
        self.refused = 0
        self._market = market
        self._rows = {row.id: row for row in market.rows[VENUE]}

    def topic(self, symbol: str) -> str:
        """Return its name in lower case."""
        return f"{symbol.lower()}@aggTrade"

    def message(self, client: Client, text: str, now_ms: int) -> list[bytes]:
        """Accept; close where too many messages come in a second."""
        client.messages_ms = [at_ms for at_ms in client.messages_ms if now_ms - at_ms < SECOND_MS] + [now_ms]
        if len(client.messages_ms) > MOST_MESSAGES:
            raise Closed(1008, "Too many requests")
        asked = _asked(text)
        if asked is None:
            self.refused += 1
            return [orjson.dumps({"error": {"code": 3, "msg": "Invalid JSON"}})]
        method, topics, number = asked
        if method == "UNSUBSCRIBE":
            for topic in topics:
                client.topics.pop(topic, None)
        elif method == "SUBSCRIBE" and len(client.topics | dict.fromkeys(topics)) <= MOST_TOPICS:
            client.topics |= dict.fromkeys(topics)
        else:
            self.refused += 1
            return [orjson.dumps({"error": {"code": 2, "msg": "Invalid request"}, "id": number})]
        return [orjson.dumps({"result": None, "id": number})]

    def sends(self, client: Client, symbol: str) -> bool:
        """Return whether it was asked for on the right route."""
        return client.route == "/market/stream" and self.topic(symbol) in client.topics

    def frames(self, symbol: str, prints: Sequence[Print], now_ms: int) -> list[bytes]:
        """Return an event a print."""
        row = row_of(self._market, VENUE, symbol)
        if row is None:
            return []
        digits, quantity_digits = row.price_decimals, row.quantity_decimals
        topic = self.topic(symbol)
        return [
            (
                f'{{"stream":"{topic}","data":{{"e":"aggTrade","E":{now_ms},"a":{one.number},"s":"{symbol}",'
                f'"p":"{one.price:.{digits}f}","q":"{one.quantity:.{quantity_digits}f}",'
                f'"nq":"{one.quantity:.{quantity_digits}f}","f":{one.number},"l":{one.number},"T":{one.time_ms},'
                f'"m":{"true" if one.is_sell else "false"},"st":1}}}}'
            ).encode()
            for one in prints
        ]


def _asked(text: str) -> tuple[str, list[str], int] | None:
    try:
        message: Any = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(message, dict) or not isinstance(message.get("params"), list):
        return None
    return str(message.get("method")), [str(topic) for topic in message["params"]], int(message.get("id") or 0)


STREAM = BinanceStream
