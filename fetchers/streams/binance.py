"""Binance USD-M's stream of aggregated trades; traps and limits in docs/streams.md."""

from collections.abc import Sequence
from typing import Any

import orjson

from fetchers.streams.wire import Answer, Collected, ContractSizes, Format, Frames, Heard, StreamWire, heard, messages

PRINT = Format(time="T", price="p", quantity="q", side="m", taker_sells=True, taker_buys=False, sent="E")
USD_M = (None, 1)  #: `st` of its rows; 2 is COIN-M
LARGEST_ID = 2**62


def read(frames: Frames, _: ContractSizes) -> Heard:
    """Return what frames of a combined stream say; ids are those of the aggregated trades, consecutive by symbol."""
    collected = Collected()
    rows, symbols, sent = collected.rows, collected.symbols, collected.sent_ms
    for message in messages(frames, collected):
        data = message.get("data")
        if type(data) is dict and data.get("e") == "aggTrade" and data.get("st") in USD_M:
            rows.append(data)
            symbols.append(data.get("s"))
            sent.append(data)
        elif "id" in message:
            collected.answers.append(_answer(message))
        elif type(data) is not dict:
            collected.unreadable += 1
    collected.heard.update(symbol for symbol in symbols if type(symbol) is str)
    ids = [row.get("a") for row in rows]
    return heard(collected, PRINT, [id_ if type(id_) is int and 0 <= id_ < LARGEST_ID else None for id_ in ids])


def _answer(message: dict[str, Any]) -> Answer:
    number = message["id"]
    error = message.get("error", message.get("msg"))
    words = str(error.get("msg", error) if isinstance(error, dict) else error or "")
    return Answer(request=number if type(number) is int else None, error=words[:200])


def _ask(method: str, topics: Sequence[str], request: int) -> bytes:
    return orjson.dumps({"method": method, "params": list(topics), "id": request})


WIRE = StreamWire(
    venue="binance",
    url="wss://fstream.binance.com",
    path="/market/stream",
    topics_a_connection=200,
    topics_a_message=100,
    message_apart_ms=350,
    silent_ms=10_000,
    has_consecutive_ids=True,
    is_compressed=True,
    topic=lambda symbol: f"{symbol.lower()}@aggTrade",
    subscribe=lambda topics, request: _ask("SUBSCRIBE", topics, request),
    unsubscribe=lambda topics, request: _ask("UNSUBSCRIBE", topics, request),
    read=read,
)
