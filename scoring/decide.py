"""The decision: features, limits and settings in, signals and near misses out; live, demo and replay call this one."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np

from features.frame import FEATURES, FeatureFrame
from features.market import BoolArray
from scoring.gates import GATES, ROW, GateFrame, GateInputs, check_gates, verdicts_at
from scoring.levels import compute_levels, levels_at
from scoring.limits import after_signal
from scoring.reasons import borrowed, explain_score, missing_parts
from scoring.score import WEIGHTS, ScoreFrame, compute_scores
from scoring.settings import ScoringSettings
from scoring.signals import DataTimes, Limits, NearMiss, Signal, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one tick decided."""

    signals: tuple[Signal, ...]  #: best first
    near_misses: tuple[NearMiss, ...]  #: one for each coin at most, best first
    refused: dict[str, int]  #: how many eligible instruments each gate refused, 0 included
    scores: ScoreFrame
    limits: Limits  #: as the signals leave them


def decide(
    now_ms: int, features: FeatureFrame, limits: Limits, open_coins: Collection[str], settings: ScoringSettings
) -> Decision:
    """Decide which instruments become signals at `now_ms`.

    The best that passes every gate (highest score, then deeper bid) becomes a signal; then all are looked at again
    under the limits it used up, until nothing passes. So a coin gives one signal however many venues list it.
    """
    inputs = _gate_inputs(now_ms, features, limits, open_coins, settings)
    signals: list[Signal] = []
    checked = check_gates(inputs)
    while passing := _best_first(np.all(checked.passed, axis=0), inputs):
        signal = _signal(passing[0], inputs, checked)
        signals.append(signal)
        inputs = replace(
            inputs,
            limits=after_signal(inputs.limits, signal, settings),
            open_coins={*inputs.open_coins, signal.coin},
        )
        checked = check_gates(inputs, before=checked)
    return Decision(
        signals=tuple(signals),
        near_misses=_near_misses(inputs, checked),
        refused=_refused(checked),
        scores=inputs.scores,
        limits=inputs.limits,
    )


def explain(
    now_ms: int,
    features: FeatureFrame,
    limits: Limits,
    open_coins: Collection[str],
    settings: ScoringSettings,
    column: int,
) -> tuple[Verdict, ...]:
    """Return every gate's verdict on the instrument in `column` at `now_ms`."""
    inputs = _gate_inputs(now_ms, features, limits, open_coins, settings)
    return verdicts_at(check_gates(inputs), inputs, column)


def _gate_inputs(
    now_ms: int, features: FeatureFrame, limits: Limits, open_coins: Collection[str], settings: ScoringSettings
) -> GateInputs:
    return GateInputs(
        now_ms=now_ms,
        features=features,
        scores=compute_scores(features, settings),
        levels=compute_levels(now_ms, features, settings),
        limits=limits,
        open_coins=open_coins,
        settings=settings,
    )


def _best_first(chosen: BoolArray, inputs: GateInputs) -> list[int]:
    columns = np.flatnonzero(chosen)
    order = np.lexsort((-inputs.features.bid_depth_usdt[columns], -inputs.scores.ups[columns]))
    return [int(column) for column in columns[order]]


def _refused(checked: GateFrame) -> dict[str, int]:
    eligible = checked.passed[ROW["eligible"]]
    counts = (eligible & ~checked.passed).sum(axis=1)
    return {gate.name: int(count) for gate, count in zip(GATES, counts, strict=True) if gate.name != "eligible"}


def _near_misses(inputs: GateInputs, checked: GateFrame) -> tuple[NearMiss, ...]:
    # a coin with an open or a recent signal was not missed
    free = checked.passed[[ROW["eligible"], ROW["open_signal"], ROW["cooldown"]]].all(axis=0)
    near = inputs.scores.ups >= inputs.settings.min_score - inputs.settings.near_miss_points
    near |= (~checked.passed).sum(axis=0) == 1
    first_of_coin: dict[str, NearMiss] = {}
    for column in _best_first(free & near, inputs):
        coin = inputs.features.instruments[column].coin
        if coin not in first_of_coin:
            first_of_coin[coin] = _near_miss(column, inputs, checked)
    return tuple(first_of_coin.values())


def _near_miss(column: int, inputs: GateInputs, checked: GateFrame) -> NearMiss:
    instrument = inputs.features.instruments[column]
    return NearMiss(
        decided_ms=inputs.now_ms,
        venue=instrument.venue,
        instrument_id=instrument.id,
        coin=instrument.coin,
        score=float(inputs.scores.ups[column]),
        entry=float(inputs.features.best_bid[column]),
        failed=tuple(gate.name for gate, passed in zip(GATES, checked.passed[:, column], strict=True) if not passed),
        levels=levels_at(inputs.levels, column, instrument.tick_size),
    )


def _signal(column: int, inputs: GateInputs, checked: GateFrame) -> Signal:
    features, scores, settings = inputs.features, inputs.scores, inputs.settings
    instrument = features.instruments[column]
    levels = levels_at(inputs.levels, column, instrument.tick_size)
    assert levels is not None, "the gates on the levels passed"
    return Signal(
        id=inputs.limits.next_id,
        side=levels.side,
        venue=instrument.venue,
        instrument_id=instrument.id,
        coin=instrument.coin,
        pair=instrument.pair,
        tick_size=instrument.tick_size,
        decided_ms=inputs.now_ms,
        levels=levels,
        score=float(scores.ups[column]),
        sub_scores=dict(zip(WEIGHTS, scores.sub_scores[:, column].tolist(), strict=True)),
        contributions=dict(zip(WEIGHTS, scores.contributions[:, column].tolist(), strict=True)),
        features=features_at(features, column),
        verdicts=verdicts_at(checked, inputs, column),
        reasons=explain_score(features, scores, column, settings),
        missing=missing_parts(features, column),
        borrowed=borrowed(features, column),
        sellable_usdt=float(features.sellable_usdt[column]),
        data_times=_data_times(features, column),
        code_hash=settings.code_hash,
        config_hash=settings.config_hash,
    )


def features_at(features: FeatureFrame, column: int) -> dict[str, float]:
    """Return every feature of one instrument by name, Bitcoin's return among them."""
    values = {feature.name: float(getattr(features, feature.name)[column]) for feature in FEATURES}
    return values | {"btc_return": features.btc_return}


def _data_times(features: FeatureFrame, column: int) -> DataTimes:
    return DataTimes(
        price_ms=int(features.price_ms[column]) or None,
        book_ms=int(features.book_ms[column]) or None,
        trades_ms=int(features.trades_ms[column]) or None,
        open_interest_ms=int(features.open_interest_ms[column]) or None,
        funding_ms=int(features.funding_ms[column]) or None,
    )
