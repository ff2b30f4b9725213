"""MEXC futures' stream of deals; traps and limits in docs/streams.md."""

import re
from collections.abc import Sequence

import orjson

from fetchers.streams.wire import Answer, Collected, ContractSizes, Format, Frames, Heard, StreamWire, heard, messages

PRINT = Format(time="t", price="p", quantity="v", side="T", taker_sells=2, taker_buys=1, sent="ts")
SELF_TRADE = ("M", 1)  #: a field and its value, as of the REST replies
NAMED = re.compile(r"Contract \[(\w+)\]")
ACCEPTED = "success"


def read(frames: Frames, contract_sizes: ContractSizes) -> Heard:
    """Return what frames say; deals have no id, so what tells them apart is time, price, contracts and side."""
    collected = Collected()
    for message in messages(frames, collected):
        channel, data = message.get("channel"), message.get("data")
        if channel == "push.deal":
            symbol, deals = message.get("symbol"), data if type(data) is list else [data]  # an object until 2025-08
            rows = [row for row in deals if type(row) is dict]
            if len(rows) < len(deals):
                collected.unreadable += len(deals) - len(rows)
                collected.spoilt.update([symbol] if type(symbol) is str else [])
            field, value = SELF_TRADE
            rows = [row for row in rows if row.get(field) != value]
            collected.rows += rows
            collected.symbols += [symbol] * len(rows)
            if type(symbol) is str:
                collected.heard.add(symbol)
            collected.sent_ms.append(message)
        elif channel == "pong":
            collected.has_pong = True
        elif channel == "rs.error":
            named = NAMED.search(str(data))
            collected.answers.append(Answer(error=str(data)[:200], symbol=named[1] if named else ""))
        elif channel in ("rs.sub.deal", "rs.unsub.deal"):
            collected.answers.append(Answer(error="" if data == ACCEPTED else str(data)[:200] or "refused"))
        else:
            collected.unreadable += 1
    rows = collected.rows
    values = [(row.get("t"), row.get("p"), row.get("v"), row.get("T")) for row in rows]
    return heard(collected, PRINT, [_hash(value) for value in values], contract_sizes)


def _hash(value: tuple[object, ...]) -> int | None:
    try:
        return hash(value)
    except TypeError:  # a list or an object in a print
        return None


def _ask(method: str, topics: Sequence[str]) -> bytes:
    (symbol,) = topics
    return orjson.dumps({"method": method, "param": {"symbol": symbol}})


WIRE = StreamWire(
    venue="mexc",
    url="wss://contract.mexc.com",
    path="/edge",
    topics_a_connection=150,
    topics_a_message=1,
    message_apart_ms=60,
    ping_every_ms=15_000,
    silent_ms=20_000,
    answers_by_order=True,
    has_ids=False,
    is_compressed=False,
    topic=lambda symbol: symbol,
    subscribe=lambda topics, _: _ask("sub.deal", topics),
    unsubscribe=lambda topics, _: _ask("unsub.deal", topics),
    ping=b'{"method":"ping"}',
    read=read,
)
