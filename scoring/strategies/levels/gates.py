"""The gates of levels, and which instruments are worth polling for it."""

from collections.abc import Collection

import numpy as np

from features.candle_frame import WARM_ROWS
from features.facts.market import FloatArray
from features.frame import FeatureFrame
from scoring.gates import BOOK, DATA_AGE, LIMIT_GATES, SPREAD, STOP_DISTANCE, Gate, GateInputs, check_gates, score_gate
from scoring.score import add_up
from scoring.settings import ScoringSettings
from scoring.signals import Limits
from scoring.strategies.levels.legs import find_legs
from scoring.strategies.levels.plan import compute_leg_levels
from scoring.strategies.levels.score import WEIGHTS, compute_sub_scores
from scoring.strategies.levels.settings import LevelsSettings
from scoring.strategies.ups_short.settings import UpsSettings

MOST_ROWS = 96  #: candles since the leg's end became known
NEAR = 0.05  #: of the leg before its entry from where on book and prints are asked for


def _outside_zone(inputs: GateInputs) -> FloatArray:
    legs = find_legs(inputs.features, inputs.settings)
    return np.maximum(legs.entry1 - legs.retraced, legs.retraced - legs.late)


def _short_of_entry_before(inputs: GateInputs) -> FloatArray:
    legs = find_legs(inputs.features, inputs.settings)
    return np.where(legs.has_tick_before, legs.entry1 - legs.retraced_before, np.nan)


def _rows_since_known(inputs: GateInputs) -> FloatArray:
    candles = inputs.features.candles
    return (
        np.full(len(inputs.features.instruments), np.nan)
        if candles is None
        else candles.readings.known_rows.astype(float)
    )


def _candle_lag_s(inputs: GateInputs) -> FloatArray:
    candles, features = inputs.features.candles, inputs.features
    if candles is None:
        return np.full(len(features.instruments), np.nan)
    lag_s = (inputs.now_ms - candles.readings.closed_ms) / 1000 - candles.interval_s
    return np.where(candles.readings.whole_rows >= WARM_ROWS, np.maximum(lag_s, 0), np.nan)


def _reward(inputs: GateInputs) -> FloatArray:
    levels = inputs.levels
    return (levels.take_profit_percent - levels.cost_percent) / (levels.stop_percent + levels.cost_percent)


def _side_depth(inputs: GateInputs) -> FloatArray:
    features = inputs.features
    return np.where(inputs.levels.direction < 0, features.bid_depth_usdt, features.ask_depth_usdt)


GATES = (
    score_gate(lambda settings: settings.of(LevelsSettings).min_score),
    Gate(
        name="zone",
        measure=_outside_zone,
        holds=np.less_equal,
        limit=lambda _: 0.0,
        words="{value:+.3f} of the leg outside its entries {sign} {limit:g}",
        when_unknown="no leg that comes back",
    ),
    Gate(
        name="first_touch",
        measure=_short_of_entry_before,
        holds=np.greater,
        limit=lambda _: 0.0,
        words="before this tick {value:.3f} of the leg short of its entry {sign} {limit:g}",
        when_unknown="no price since the last candle to compare with",
    ),
    Gate(
        name="range",
        measure=lambda inputs: find_legs(inputs.features, inputs.settings).height_percent,
        holds=np.greater_equal,
        limit=lambda settings: settings.of(LevelsSettings).min_range_percent,
        words="leg of {value:.2f} % {sign} {limit:g} %",
        when_unknown="no leg",
    ),
    Gate(
        name="leg_fresh",
        measure=_rows_since_known,
        holds=np.less_equal,
        limit=lambda _: float(MOST_ROWS),
        words="the leg's end known for {value:.0f} candles {sign} {limit:g}",
    ),
    Gate(
        name="candles",
        measure=_candle_lag_s,
        holds=np.less_equal,
        limit=lambda settings: settings.of(LevelsSettings).candle_max_lag_s,
        words="the next candle late by {value:.0f} s {sign} {limit:g} s",
        when_unknown="too few candles since the last hole",
        needs=("candles",),
    ),
    Gate(
        name="reward",
        measure=_reward,
        holds=np.greater_equal,
        limit=lambda settings: settings.of(LevelsSettings).min_reward,
        words="reward over risk {value:.2f} {sign} {limit:g}",
        when_unknown="no levels",
        needs=("spread", "funding"),
    ),
    Gate(
        name="depth",
        measure=_side_depth,
        holds=np.greater_equal,
        limit=lambda settings: settings.of(UpsSettings).min_bid_depth_usdt,
        words="depth of the side that is hit {value:,.0f} {sign} {limit:,.0f} USDT",
        needs=("book",),
    ),
    SPREAD,
    STOP_DISTANCE,
    Gate(
        name="btc_against",
        measure=lambda inputs: -100 * inputs.levels.direction * inputs.features.btc_return,
        holds=np.less,
        limit=lambda settings: settings.max_btc_pump_percent,
        words="BTC {value:+.2f} % against it {sign} {limit:g} %",
        needs=("btc_return",),
    ),
    DATA_AGE,
    BOOK,
    *LIMIT_GATES,
)
#: those that no poll can open, the zone apart
BULK_GATES = (
    *("first_touch", "range", "leg_fresh", "candles", "btc_against"),
    *("cooldown", "open_signal", "muted", "eligible"),
)


def upper_bound(
    features: FeatureFrame, settings: ScoringSettings, limits: Limits, open_names: Collection[str]
) -> FloatArray:
    """Return the score, which no poll changes, where the price is in the zone; shortly before it at least the lowest.

    -inf elsewhere: what comes near is polled early, so that its book is known when it arrives.
    """
    scores = add_up(compute_sub_scores(features, settings), WEIGHTS)
    inputs = GateInputs(
        now_ms=features.now_ms,
        features=features,
        scores=scores,
        levels=compute_leg_levels(features.now_ms, features, settings),
        limits=limits,
        open_names=open_names,
        settings=settings,
    )
    checked, legs = check_gates(GATES, inputs), find_legs(features, settings)
    is_near = (legs.retraced >= legs.entry1 - NEAR) & (legs.retraced <= legs.late)
    at_least = np.where(legs.retraced < legs.entry1, settings.of(LevelsSettings).min_score, 0.0)
    is_possible = is_near & checked.passed_by(*BULK_GATES)
    return np.where(is_possible, np.maximum(scores.total, at_least), -np.inf)
