"""The OpenAPI document of the JSON API; tests/bot/web/test_openapi.py holds every answer against it."""

from typing import Any

from bot.version import VERSION
from scoring.signals import ExitReason, Side
from storage.signals import OPEN

Schema = dict[str, Any]

NUMBER: Schema = {"type": ["number", "null"]}  # NaN is null
WHOLE: Schema = {"type": "integer"}
TEXT: Schema = {"type": "string"}
_ANY: Schema = {"type": "object"}
_LARGEST = 2**53


def _object(**fields: Schema) -> Schema:
    return {"type": "object", "properties": fields, "required": list(fields)}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _or_null(name: str) -> Schema:
    return {"anyOf": [_ref(name), {"type": "null"}]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _query(name: str, text: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": schema}


def _path(name: str, text: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "description": text, "schema": schema}


def _whole(low: int, high: int) -> Schema:
    return {"type": "integer", "minimum": low, "maximum": high}


_VENUE = _path("venue", "the venue's id, as binance", {**TEXT, "minLength": 1})
_ID = _path("id", "the venue's id of the pair, as BTCUSDT", {**TEXT, "minLength": 1})
_SINCE = _query("since", "epoch milliseconds", _whole(0, _LARGEST))
_LIMIT = _query("limit", "at most as many", _whole(1, 1000))
_STRATEGY = _query("strategy", "the name of one that runs, the leading one without it", TEXT)
_DAYS = _query("days", "the last so many days, every day without it", _whole(1, 36_500))

SCHEMAS: dict[str, Schema] = {
    "Error": _object(error={"type": ["string", "null"]}),
    "Health": {
        "type": "object",
        "properties": {"status": {"enum": ["ok", "unwell"]}, "problems": _list(TEXT)},
        "required": ["status"],
    },
    "Status": _object(
        status=_object(version=TEXT, now_ms=WHOLE, ticks=WHOLE, venues=_list(_ANY), outbox=_ANY), problems=_list(TEXT)
    ),
    "MarketRow": _object(
        venue=TEXT, id=TEXT, coin=TEXT, pair=TEXT, score=NUMBER, price=NUMBER, spread_bps=NUMBER, tick_size=NUMBER
    ),
    "Markets": _object(markets=_list(_ref("MarketRow"))),
    "Market": {
        "allOf": [
            _ref("MarketRow"),
            _object(
                strategy=TEXT,
                scores=_ANY,
                sub_scores=_ANY,
                contributions=_ANY,
                features=_ANY,
                missing=_ANY,
                verdicts=_list(_ref("Verdict")),
                book={"type": ["object", "null"]},
            ),
        ]
    },
    "Verdict": _object(name=TEXT, passed={"type": "boolean"}, value=NUMBER, limit=NUMBER, reason=TEXT),
    "History": _object(time_ms=_list(WHOLE), price=_list(NUMBER), open_interest=_list(NUMBER)),
    "Candles": _object(interval=TEXT, columns=_list(TEXT), candles=_list(_list(NUMBER))),
    "Levels": _object(
        price=NUMBER,
        closed_ms=WHOLE,
        side={"enum": ["long", "short", None]},
        start=NUMBER,
        end=NUMBER,
        known_ms=WHOLE,
        retraced=NUMBER,
        phase=TEXT,
        entry1=NUMBER,
        entry2=NUMBER,
        stop=NUMBER,
        take_profits=_list(NUMBER),
        score=NUMBER,
        sub_scores=_ANY,
        levels=_list(_ANY),
        blocks=_list(_ANY),
        swings=_list(NUMBER),
        swing_points=_list(_ref("SwingPoint")),
    ),
    "SwingPoint": _object(kind={"enum": ["high", "low"]}, price=NUMBER, open_ms=WHOLE, known_ms=WHOLE),
    "Scores": _object(strategy=TEXT, threshold=NUMBER, edges=_list(NUMBER), counts=_list(WHOLE)),
    "Position": _object(id=WHOLE, coin=TEXT, venue=TEXT, side=TEXT, entry=NUMBER, stop=NUMBER, price=NUMBER),
    "Positions": _object(positions=_list(_ref("Position"))),
    "Signal": _object(id=WHOLE, strategy=TEXT, side=TEXT, venue=TEXT, coin=TEXT, decided_ms=WHOLE, score=NUMBER),
    "Outcome": _object(signal_id=WHOLE, reason=TEXT, exit_ms=WHOLE, fill=NUMBER),
    "SignalRow": _object(signal=_ref("Signal"), outcome=_or_null("Outcome")),
    "Signals": _object(signals=_list(_ref("SignalRow"))),
    "OneSignal": {"allOf": [_ref("SignalRow"), _object(controls=_list(_ANY))]},
    "NearMisses": _object(
        near_misses=_list(_object(near_miss=_ANY, outcome=_or_null("Outcome"))), refusals={"type": "object"}
    ),
    "Stats": _object(total=_ANY, kind=_ANY, score_band=_ANY, refusals=_ANY, left_out=WHOLE),
    "Equity": _object(
        alerts=_list({"type": "array", "prefixItems": [WHOLE, NUMBER], "minItems": 2, "maxItems": 2}),
        controls=_list({"type": "array", "prefixItems": [WHOLE, NUMBER], "minItems": 2, "maxItems": 2}),
        ended=_object(alerts=WHOLE, controls=WHOLE),
        left_out=WHOLE,
    ),
}

#: path: what it answers, the schema, its parameters
_PATHS: dict[str, tuple[str, str, tuple[Schema, ...]]] = {
    "/health": ("Whether all is well: 200, or 503 with the reasons", "Health", ()),
    "/api/status": ("The bot and its venues", "Status", ()),
    "/api/markets": (
        "The leaderboard, best score first",
        "Markets",
        (_query("limit", "at most as many", _whole(1, 5000)), _STRATEGY),
    ),
    "/api/markets/{venue}/{id}": (
        "One pair: features, sub-scores, gates, its book, and what is missing",
        "Market",
        (_VENUE, _ID, _STRATEGY),
    ),
    "/api/markets/{venue}/{id}/history": ("Its price and open interest over time", "History", (_VENUE, _ID)),
    "/api/candles/{venue}/{id}": (
        "Closed candles of a pair, oldest first, where a strategy keeps them",
        "Candles",
        (
            _VENUE,
            _ID,
            _query("interval", "15m without it; CANDLE_INTERVAL and LEVELS_CONFIRM_INTERVAL are kept", TEXT),
            _query("limit", "at most as many", _whole(1, 256)),
            _query(
                "before",
                "only those that opened before it [epoch ms]: older ones",
                _whole(0, _LARGEST),
            ),
        ),
    ),
    "/api/levels/{venue}/{id}": ("The leg of a pair, its phase, plan, score and zones", "Levels", (_VENUE, _ID)),
    "/api/scores": ("How many instruments have which score, and the threshold", "Scores", (_STRATEGY,)),
    "/api/positions": ("Open signals with the price now", "Positions", ()),
    "/api/signals": (
        "Signals and their outcomes, newest first",
        "Signals",
        (
            _query("symbol", "a coin, a pair or a venue's id", TEXT),
            _SINCE,
            _query("until", "epoch milliseconds, decided before", _whole(0, _LARGEST)),
            _LIMIT,
            _query("outcome", "open, or why it ended", {"enum": [OPEN, *(reason.value for reason in ExitReason)]}),
            _query("strategy", "the strategy's name", TEXT),
            _query("side", "short or long", {"enum": [side.value for side in Side]}),
        ),
    ),
    "/api/signals/summary": ("The newest signal of each coin and strategy, the open ones first", "Signals", (_LIMIT,)),
    "/api/signals/{id}": (
        "One of them, and the controls that were drawn with it",
        "OneSignal",
        (_path("id", "the alert's number", _whole(0, 10**18 - 1)),),
    ),
    "/api/near_misses": (
        "Near misses and what they would have made, newest first",
        "NearMisses",
        (_SINCE, _LIMIT),
    ),
    "/api/stats": ("What signals have made, beside what chance made", "Stats", (_DAYS,)),
    "/api/equity": ("R made over time by alerts and by controls, 500 points of each at most", "Equity", (_DAYS,)),
}


def document() -> dict[str, Any]:
    """Return the document, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "SGNL",
            "version": VERSION,
            "description": "For reading only. With HTTP_TOKEN each path but /health asks for it. "
            "What happens comes over the WebSocket /ws as {type, data}: signal, exit, venue, leaderboard, position, "
            "heartbeat; a client may send {refresh_s}. /metrics has the figures for Prometheus.",
        },
        "paths": {path: {"get": _operation(path, *about)} for path, about in _PATHS.items()},
        "components": {"schemas": SCHEMAS, "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "security": [{"token": []}, {}],
    }


def _operation(path: str, summary: str, schema: str, parameters: tuple[Schema, ...]) -> dict[str, Any]:
    errors = {"400": "a parameter is wrong", "401": "the token is missing", "403": "another site asks"}
    if "{" in path:
        errors["404"] = "there is none"
    answers = {"200": _answer(summary, schema)} | {code: _answer(text, "Error") for code, text in errors.items()}
    if schema == "Health":
        answers["503"] = _answer("it is not well", schema)
    return {"summary": summary, "parameters": list(parameters), "responses": answers}


def _answer(text: str, schema: str) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": _ref(schema)}}}
