"""Bybit linear's stream: one bad or repeated topic fails the whole message."""

from collections.abc import Sequence
from typing import Any

import orjson

from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.streams.stream_wire import Client, Print, row_of

VENUE = "bybit"
MOST_CHARACTERS = 21_000
MOST_PRINTS = 1024  #: of a message
TRADES = "publicTrade."


class BybitStream:
    """Limits and traps of v5/public/linear."""

    paths: Sequence[str] = ("/v5/public/linear",)
    is_compressed: bool = True

    def __init__(self, market: SimulatedMarket) -> None:
        self.life_ms = 10**12  # without end
        self.client_silence_ms: int | None = 600_000
        self.refused = 0
        self._market = market

    def topic(self, symbol: str) -> str:
        """Return its name."""
        return TRADES + symbol

    def message(self, client: Client, text: str, now_ms: int) -> list[bytes]:
        """Reply to a ping, or to topics: all of them or none."""
        try:
            message: Any = orjson.loads(text)
        except orjson.JSONDecodeError:
            message = None
        if not isinstance(message, dict):
            self.refused += 1
            return [_reply({"success": False, "ret_msg": "json decode error", "req_id": "", "op": ""})]
        client.last_ping_ms = now_ms
        operation, number = message.get("op"), message.get("req_id", "")
        if operation == "ping":
            return [_reply({"success": True, "ret_msg": "pong", "req_id": number, "op": "ping"})]
        topics = [str(topic) for topic in message.get("args", [])]
        error = ""
        if operation == "subscribe":
            error = self._why_not(client, topics)
        elif operation != "unsubscribe":
            error = "error:unknown op"
        if error:
            self.refused += 1
            return [_reply({"success": False, "ret_msg": error, "req_id": number, "op": operation})]
        for topic in topics:
            if operation == "subscribe":
                client.topics[topic] = None
            else:
                client.topics.pop(topic, None)
        return [_reply({"success": True, "ret_msg": "", "req_id": number, "op": operation})]

    def _why_not(self, client: Client, topics: Sequence[str]) -> str:
        for topic in topics:
            if topic in client.topics:
                return f"error:already subscribed,topic:{topic}"
            if not topic.startswith(TRADES) or row_of(self._market, VENUE, topic.removeprefix(TRADES)) is None:
                return f"error:handler not found,topic:{topic}"
        characters = sum(len(topic) for topic in (*client.topics, *topics))
        return "error:args size over limit" if characters > MOST_CHARACTERS else ""

    def sends(self, client: Client, symbol: str) -> bool:
        """Return whether it was asked for."""
        return self.topic(symbol) in client.topics

    def frames(self, symbol: str, prints: Sequence[Print], now_ms: int) -> list[bytes]:
        """Return a message with all of them."""
        row = row_of(self._market, VENUE, symbol)
        if row is None:
            return []
        digits, quantity_digits = row.price_decimals, row.quantity_decimals
        rows = ",".join(
            f'{{"T":{one.time_ms},"s":"{symbol}","S":"{"Sell" if one.is_sell else "Buy"}",'
            f'"v":"{one.quantity:.{quantity_digits}f}","p":"{one.price:.{digits}f}","L":"MinusTick",'
            f'"i":"{symbol}-{one.number}","BT":false,"RPI":false,"seq":{one.number}}}'
            for one in prints[:MOST_PRINTS]
        )
        return [f'{{"topic":"{TRADES}{symbol}","type":"snapshot","ts":{now_ms},"data":[{rows}]}}'.encode()]


def _reply(fields: dict[str, Any]) -> bytes:
    return orjson.dumps({**fields, "conn_id": "a0b1"})


STREAM = BybitStream
