"""Rows of SQLite to rows of the history: prices as decimals, times as UTC, NaN and infinity as NULL."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson

from storage.rows import Row

HistoryRow = tuple[str, tuple[Any, ...]]  #: table and values in the order of its COLUMNS

_END = (
    *("exited_at", "reason", "fill", "gross_percent", "net_percent", "r", "reachable_entry"),
    *("reachable_gross_percent", "reachable_net_percent", "reachable_r", "mae_percent", "mfe_percent"),
    *("held_s", "is_ambiguous", "note"),
)
COLUMNS = {
    "signals": (
        *("id", "decided_at", "side", "venue", "instrument_id", "coin", "pair", "score"),
        *("entry", "take_profit", "stop"),
        *("take_profit_percent", "stop_percent", "cost_percent", "net_take_profit_percent", "net_stop_percent"),
        *("break_even_win_rate", "sellable_usdt", "reasons", "borrowed", "code_hash", "config_hash"),
    ),
    "signal_versions": ("signal_id", "strategy", "version"),
    "signal_features": ("signal_id", "kind", "name", "value"),
    "signal_targets": ("signal_id", "place", "price", "share"),
    "near_misses": ("id", "decided_at", "venue", "instrument_id", "coin", "score", "entry"),
    "verdicts": ("subject", "subject_id", "gate", "passed", "value", "limit_value", "reason"),
    "exits": ("signal_id", *_END),
    "exit_fills": ("signal_id", "place", "share", "price", "filled_at", "reason"),
    "controls": (
        *("id", "signal_id", "arm", "decided_at", "venue", "instrument_id", "coin", "pair"),
        *("entry", "take_profit", "stop"),
    ),
    "control_exits": ("control_id", *_END),
    "near_miss_exits": ("near_miss_id", *_END, "is_by_quotes"),
    "deliveries": (
        *("id", "signal_id", "chat_id", "kind", "state", "attempts", "may_repeat", "created_at", "sent_at"),
        *("message_id", "error"),
    ),
    "runs": ("id", "started_at", "ended_at", "version", "code_hash", "config_hash"),
    "venue_health": ("id", "changed_at", "venue", "state", "note"),
    "steering": ("id", "done_at", "user_id", "chat_id", "command", "answer"),
}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def upsert(table: str) -> str:
    """Return the statement that adds a row to `table` or replaces its values."""
    # VALUES() is deprecated in MySQL 8, but of the ways to name the new row it is the one that both servers take.
    columns = COLUMNS[table]
    marks = ", ".join(["%s"] * len(columns))
    updates = ", ".join(f"{column} = VALUES({column})" for column in columns)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks}) ON DUPLICATE KEY UPDATE {updates}"  # noqa: S608 - names of ours


def history_of_signal(row: Row) -> Iterator[HistoryRow]:
    """Yield the rows of the history for a row of `signals`."""
    details = orjson.loads(row["details"])
    levels = details["levels"]
    yield (
        "signals",
        (
            *(row["id"], _utc(row["decided_ms"]), row["side"], row["venue"], row["instrument_id"], row["coin"]),
            *(row["pair"], _double(details["score"])),
            *(_price(levels["entry"]), _price(levels["take_profits"][0]), _price(levels["stop"])),
            *(_double(levels["take_profit_percent"]), _double(levels["stop_percent"]), _double(levels["cost_percent"])),
            *(_double(levels["net_take_profit_percent"]), _double(levels["net_stop_percent"])),
            *(_double(levels["break_even_win_rate"]), _double(details["sellable_usdt"])),
            *("\n".join(details["reasons"]), details["borrowed"], details["code_hash"], details["config_hash"]),
        ),
    )
    yield "signal_versions", (row["id"], details.get("strategy", "ups"), details.get("version", ""))
    for kind, field in (("feature", "features"), ("sub_score", "sub_scores"), ("contribution", "contributions")):
        for name, value in details[field].items():
            yield "signal_features", (row["id"], kind, name, _double(value))
    for name, value in details.get("plan", {}).items():
        yield "signal_features", (row["id"], "plan", name, _double(value))
    shares = levels.get("shares", [1.0])
    for place, (price, share) in enumerate(zip(levels["take_profits"], shares, strict=True), start=1):
        yield "signal_targets", (row["id"], place, _price(price), share)
    for verdict in details["verdicts"]:
        value, limit = _double(verdict["value"]), _double(verdict["limit"])
        gate = (verdict["name"], verdict["passed"], value, limit, verdict["reason"])
        yield "verdicts", ("signal", row["id"], *gate)


def history_of_outcome(row: Row) -> Iterator[HistoryRow]:
    """Yield the rows of the history for a row of `outcomes`."""
    yield "exits", (row["signal_id"], *_end(row))
    for place, fill in enumerate(orjson.loads(row["outcome"]).get("fills", ()), start=1):
        filled_at = _utc(fill["time_ms"])
        yield "exit_fills", (row["signal_id"], place, fill["share"], _price(fill["price"]), filled_at, fill["reason"])


def history_of_control(row: Row) -> Iterator[HistoryRow]:
    """Yield the rows of the history for a row of `controls`."""
    details = orjson.loads(row["details"])
    levels = details["levels"] or {"entry": None, "take_profits": [None], "stop": None}
    yield (
        "controls",
        (
            *(row["id"], row["signal_id"], row["arm"], _utc(row["decided_ms"])),
            *(row["venue"], row["instrument_id"], row["coin"], details["pair"]),
            *(_price(levels["entry"]), _price(levels["take_profits"][0]), _price(levels["stop"])),
        ),
    )


def history_of_control_outcome(row: Row) -> Iterator[HistoryRow]:
    """Yield the rows of the history for a row of `control_outcomes`."""
    yield "control_exits", (row["control_id"], *_end(row))


def history_of_near_miss_outcome(row: Row) -> Iterator[HistoryRow]:
    """Yield the rows of the history for a row of `near_miss_outcomes`."""
    is_by_quotes = orjson.loads(row["outcome"]).get("is_by_quotes", False)
    yield "near_miss_exits", (row["near_miss_id"], *_end(row), is_by_quotes)


def _end(row: Row) -> tuple[Any, ...]:
    outcome = orjson.loads(row["outcome"])
    nothing = dict.fromkeys(("entry", "gross_percent", "net_percent", "r"))
    ideal, reachable = outcome["ideal"] or nothing, outcome["reachable"] or nothing
    return (
        *(_utc(row["exit_ms"]), row["reason"], _price(outcome["fill"])),
        *(_double(ideal[name]) for name in ("gross_percent", "net_percent", "r")),
        _price(reachable["entry"]),
        *(_double(reachable[name]) for name in ("gross_percent", "net_percent", "r")),
        *(_double(outcome[name]) for name in ("mae_percent", "mfe_percent", "held_s")),
        *(outcome["is_ambiguous"], outcome["note"]),
    )


def history_of_near_miss(row: Row) -> Iterator[HistoryRow]:
    """Yield the rows of the history for a row of `near_misses`."""
    details = orjson.loads(row["details"])
    identity = (row["venue"], row["instrument_id"], row["coin"])
    yield (
        "near_misses",
        (row["id"], _utc(row["decided_ms"]), *identity, _double(details["score"]), _price(details["entry"])),
    )
    for gate in details["failed"]:
        yield "verdicts", ("near_miss", row["id"], gate, False, None, None, "")


def history_of_message(row: Row) -> Iterator[HistoryRow]:
    """Yield the rows of the history for a row of `outbox`."""
    yield (
        "deliveries",
        (
            *(row["id"], row["signal_id"], row["chat_id"], row["kind"], row["state"], row["attempts"]),
            *(row["may_repeat"], _utc(row["created_ms"]), _utc(row["sent_ms"]), row["message_id"], row["error"]),
        ),
    )


def history_of_run(row: Row) -> Iterator[HistoryRow]:
    """Yield the rows of the history for a row of `runs`."""
    hashes = (row["version"], row["code_hash"], row["config_hash"])
    yield "runs", (row["id"], _utc(row["started_ms"]), _utc(row["ended_ms"]), *hashes)


def history_of_venue_health(row: Row) -> Iterator[HistoryRow]:
    """Yield the rows of the history for a row of `venue_health`."""
    yield "venue_health", (row["id"], _utc(row["changed_ms"]), row["venue"], row["state"], row["note"])


def history_of_steering(row: Row) -> Iterator[HistoryRow]:
    """Yield the rows of the history for a row of `steering`."""
    who = (row["user_id"], row["chat_id"])
    yield "steering", (row["id"], _utc(row["done_ms"]), *who, row["command"], row["answer"])


#: Tables of SQLite, their keys, and the function that makes rows of the history; those referred to come first.
SOURCES: tuple[tuple[str, str, Callable[[Row], Iterator[HistoryRow]]], ...] = (
    ("signals", "id", history_of_signal),
    ("outcomes", "signal_id", history_of_outcome),
    ("controls", "id", history_of_control),
    ("control_outcomes", "control_id", history_of_control_outcome),
    ("near_misses", "id", history_of_near_miss),
    ("near_miss_outcomes", "near_miss_id", history_of_near_miss_outcome),
    ("outbox", "id", history_of_message),
    ("runs", "id", history_of_run),
    ("venue_health", "id", history_of_venue_health),
    ("steering", "id", history_of_steering),
)


def _utc(epoch_ms: int | None) -> str | None:
    return (
        None if epoch_ms is None else (_EPOCH + timedelta(milliseconds=epoch_ms)).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    )


def _double(value: float | str | None) -> float | None:
    return None if isinstance(value, str) else value  # "inf" and "-inf": MySQL has no infinity


def _price(value: float | str | None) -> str | None:
    """Return all the digits that make up the float, never with an exponent, which would be a double to MySQL."""
    return None if value is None or isinstance(value, str) else format(Decimal(repr(float(value))), "f")
