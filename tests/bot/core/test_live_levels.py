"""The candles and the leg of one pair as figures, and the answer of /levels."""

from typing import Any

import orjson
from jsonschema import Draft202012Validator

from bot.chat.candle_charts import draw_candles
from bot.chat.commands.levels import render_levels
from bot.core.live_levels import candles_of, interval_name, levels_of, swings_of
from bot.web.openapi import document
from bot.web.replies import to_json
from features.state.snapshot import restore, take_snapshot, take_windows
from tests.scoring.strategies.planted import CLOSE_MS, planted
from tests.scoring.strategies.test_levels_strategy import settings_of


def test_the_planted_long_as_figures_and_in_words() -> None:
    """Leg, phase, plan, score and zones of the pair; the other side of it is a SHORT."""
    market = planted(rows=59)
    for price in (97.3, 96.9, 96.2):
        frame = market.tick(price, 102.7)
    found = levels_of(frame, 0, settings_of())
    assert found is not None
    assert (found["side"], found["phase"]) == ("long", "approaching")
    assert found["levels"] == [{"level": 95.85, "touches": 2}] or round(found["levels"][0]["level"], 6) == 95.85
    described = {"$ref": "#/components/schemas/Levels", "components": document()["components"]}
    store = market.state.candles
    assert store is not None
    answer = {**found, "swing_points": swings_of(store, 0)}
    Draft202012Validator(described).validate(orjson.loads(to_json(answer)))
    text = render_levels(found)
    assert "Leg 89.800 to 110.200, 22.7 %, for a LONG: approaching, 68.6 % back" in text
    assert "Entry 95.920 to 95.512, SL 91.840, TP 100.000 / 102.407 / 105.386" in text
    assert "Order blocks: 89.800 to 91.629" in text
    short = levels_of(frame, 1, settings_of())
    assert short is not None
    assert short["side"] == "short"
    bitcoin = levels_of(frame, 2, settings_of())
    assert bitcoin is not None
    assert "No leg yet: 0 candles" in render_levels(bitcoin)


def test_candles_of_both_intervals() -> None:
    """The newest, oldest first, of the intervals that are kept."""
    store = planted(rows=59).state.candles
    assert store is not None
    found = candles_of(store, 0, "15m", 3)
    assert found is not None
    assert [row[0] for row in found] == [CLOSE_MS - 2_700_000, CLOSE_MS - 1_800_000, CLOSE_MS - 900_000]
    older = candles_of(store, 0, "15m", 2, before_ms=CLOSE_MS - 900_000)
    assert older == found[:2]
    assert len(candles_of(store, 0, "1h", 500) or ()) >= 44
    assert candles_of(store, 0, "5m", 3) is None
    assert candles_of(store, 2, "15m", 3) == []


def test_swings_with_the_time_they_became_known() -> None:
    """The ends of the leg are among them, each known six candles after it opened, oldest first."""
    store = planted(rows=59).state.candles
    assert store is not None
    points = swings_of(store, 0)
    assert [point["open_ms"] for point in points] == sorted(point["open_ms"] for point in points)
    assert all(point["known_ms"] - point["open_ms"] == 6 * 900_000 for point in points)
    assert {store.readings.start[0], store.readings.end[0]} <= {point["price"] for point in points}


def test_a_stop_keeps_the_candles_and_a_minute_does_not() -> None:
    """They are large; a tape's checkpoint has them as well."""
    market = planted(rows=59)
    market.tick(97.3, 102.7)
    assert take_windows(market.state).candles is None
    for kept in (take_windows(market.state, with_candles=True), take_snapshot(market.state)):
        again = restore(kept).candles
        assert again is not None
        assert again.readings.end[0] == market.state.candles.readings.end[0] if market.state.candles else False


def test_candles_are_drawn_with_what_levels_makes_of_them() -> None:
    """With a leg that counts, with one that is over, and with none: a picture for a phone each."""
    market = planted(rows=59)
    for price in (97.3, 96.9, 96.2):
        frame = market.tick(price, 102.7)
    store = market.state.candles
    assert store is not None
    found = levels_of(frame, 0, settings_of())
    candles = candles_of(store, 0, interval_name(900), 140)
    assert found is not None
    assert candles is not None
    found = {**found, "swing_points": swings_of(store, 0)}
    over: dict[str, Any] = {"phase": "none"}
    for changes in ({}, over, over | {"side": None, "swing_points": []}):
        for rows in (candles, candles[-1:]):
            drawn = draw_candles("$$PEPE", rows, {**found, **changes}, tick_size=0.01, timezone="Europe/Rome")
            assert drawn.startswith(b"\x89PNG")
            assert int.from_bytes(drawn[16:20]) < int.from_bytes(drawn[20:24]) * 1.2
