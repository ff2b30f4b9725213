"""Bybit linear's stream of trades; traps and limits in docs/streams.md."""

import re
from collections.abc import Sequence
from typing import Any

import orjson

from fetchers.streams.wire import Answer, Collected, ContractSizes, Format, Frames, Heard, StreamWire, heard, messages

PRINT = Format(time="T", price="p", quantity="v", side="S", taker_sells="Sell", taker_buys="Buy", sent="ts")
TRADES = "publicTrade."
NAMED = re.compile(r"topic:\s*publicTrade\.(\w+)")


def read(frames: Frames, _: ContractSizes) -> Heard:
    """Return what frames say; block trades are agreed off the book and left out, as of the REST replies."""
    collected = Collected()
    for message in messages(frames, collected):
        topic, data = message.get("topic"), message.get("data")
        if type(topic) is str and topic.startswith(TRADES) and type(data) is list:
            symbol = topic.removeprefix(TRADES)
            rows = [row for row in data if type(row) is dict and row.get("s") == symbol]
            if len(rows) < len(data):
                collected.unreadable += len(data) - len(rows)
                collected.spoilt.add(symbol)
            rows = [row for row in rows if row.get("BT") is not True]
            collected.rows += rows
            collected.symbols += [symbol] * len(rows)
            collected.heard.add(symbol)
            collected.sent_ms.append(message)
        elif message.get("ret_msg") == "pong" or message.get("op") == "pong":
            collected.has_pong = True
        elif "success" in message:
            collected.answers.append(_answer(message))
        else:
            collected.unreadable += 1
    return heard(collected, PRINT, [hash(id_) if type(id_ := row.get("i")) is str else None for row in collected.rows])


def _answer(message: dict[str, Any]) -> Answer:
    number, words = message.get("req_id"), str(message.get("ret_msg") or "")
    request = int(number) if type(number) is str and number.isdecimal() and len(number) < 10 else None
    if message["success"] is True:
        return Answer(request=request)
    named = NAMED.search(words)
    return Answer(
        request=request,
        error=words[:200] or "refused",
        symbol=named[1] if named else "",
        is_repeated="already subscribed" in words,
    )


def _ask(operation: str, topics: Sequence[str], request: int) -> bytes:
    return orjson.dumps({"req_id": str(request), "op": operation, "args": list(topics)})


WIRE = StreamWire(
    venue="bybit",
    url="wss://stream.bybit.com",
    path="/v5/public/linear",
    topics_a_connection=200,
    topics_a_message=100,
    message_apart_ms=250,
    characters_a_connection=21_000,
    ping_every_ms=20_000,
    silent_ms=10_000,
    is_compressed=True,
    topic=lambda symbol: TRADES + symbol,
    subscribe=lambda topics, request: _ask("subscribe", topics, request),
    unsubscribe=lambda topics, request: _ask("unsubscribe", topics, request),
    ping=b'{"op":"ping"}',
    read=read,
)
