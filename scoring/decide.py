"""The decision: features, limits and settings in, signals and near misses out; live, demo and replay call this one."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from features.facts.market import BoolArray, Instrument
from features.frame import FeatureFrame, features_at
from features.missing import Missing
from scoring.controls import draw_controls
from scoring.gates import GateFrame, GateInputs, check_gates, verdicts_at
from scoring.levels import levels_at
from scoring.limits import after_signal
from scoring.reasons import borrowed, missing_parts
from scoring.score import ScoreFrame
from scoring.settings import ScoringSettings, record_version
from scoring.signals import Control, DataTimes, Limits, NearMiss, Side, Signal, Verdict
from scoring.strategies.base import Strategy


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """How far a tick's eligible instruments came with one strategy; every one of them is counted once."""

    not_seen: dict[str, int]  #: those whose data was not whole, by the first thing that lacked, such as "book no data"
    refused: dict[
        str, int
    ]  #: of the others, by the first gate that refused them, in the order of the gates, 0 included
    passed: int  #: of the others, those that no gate refused

    @property
    def seen(self) -> int:
        """How many had whole data."""
        return sum(self.refused.values()) + self.passed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidates:
    strategy: Strategy
    inputs: GateInputs
    checked: GateFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One strategy's judgement of a tick."""

    near_misses: tuple[NearMiss, ...]  #: one for each coin at most, best first
    _last: _Candidates  #: as the signals leave the limits
    _taken: tuple[int, ...]  #: the columns that signalled

    @property
    def scores(self) -> ScoreFrame:
        """The scores of every instrument."""
        return self._last.inputs.scores

    def signal_of(self, column: int) -> Signal | None:
        """Return what a signal of this instrument would have been, whatever the gates say; None without levels."""
        levels = self._last.inputs.levels
        tick_size = self._last.inputs.features.instruments[column].tick_size
        return None if levels_at(levels, column, tick_size) is None else _signal(column, self._last)

    def funnel(self) -> Funnel:
        """Count how far the instruments came; no alert waits for it."""
        return _funnel(self._last, self._taken)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The decision of one tick."""

    signals: tuple[Signal, ...]  #: in the order they were taken
    controls: tuple[Control, ...]  #: drawn by chance with each of them
    by_strategy: dict[str, Judgement]  #: in the order of the strategies
    limits: Limits  #: as the signals leave them

    @property
    def near_misses(self) -> tuple[NearMiss, ...]:
        """Those of all strategies."""
        return tuple(one for judgement in self.by_strategy.values() for one in judgement.near_misses)


def decide(
    now_ms: int,
    features: FeatureFrame,
    limits: Limits,
    open_names: Collection[str],
    settings: ScoringSettings,
    strategies: Iterable[Strategy],
) -> Decision:
    """Decide which instruments become signals at `now_ms`.

    The best that passes every gate of its strategy (first strategy, highest score, then the deeper side) becomes a
    signal; then all are looked at again under the limits it used up, until nothing passes. So a coin gives one signal
    however many venues list it and whichever strategies find it. `open_names` are the coins and the instruments
    (`Instrument.key_name`) that have an open signal.
    """
    signals: list[Signal] = []
    controls: list[Control] = []
    found = [_candidates(strategy, now_ms, features, limits, open_names, settings) for strategy in strategies]
    taken: dict[str, list[int]] = {one.strategy.name: [] for one in found}
    while (best := _best(found)) is not None:
        one, column = best
        signal = _signal(column, one)
        signals.append(signal)
        controls += draw_controls(signal, one.inputs, one.checked)
        taken[one.strategy.name].append(column)
        limits = after_signal(limits, signal, settings)
        open_names = {*open_names, signal.coin, signal.key_name}
        found = [_check_again(one, limits, open_names) for one in found]
    judgements = {
        one.strategy.name: Judgement(near_misses=_near_misses(one), _last=one, _taken=tuple(taken[one.strategy.name]))
        for one in found
    }
    return Decision(signals=tuple(signals), controls=tuple(controls), by_strategy=judgements, limits=limits)


def explain(
    strategy: Strategy,
    now_ms: int,
    features: FeatureFrame,
    limits: Limits,
    open_names: Collection[str],
    settings: ScoringSettings,
    column: int,
) -> tuple[Verdict, ...]:
    """Return every gate's verdict on the instrument in `column` at `now_ms`."""
    one = _candidates(strategy, now_ms, features, limits, open_names, settings)
    return verdicts_at(one.checked, one.inputs, column)


def _candidates(
    strategy: Strategy,
    now_ms: int,
    features: FeatureFrame,
    limits: Limits,
    open_names: Collection[str],
    settings: ScoringSettings,
) -> _Candidates:
    inputs = GateInputs(
        now_ms=now_ms,
        features=features,
        scores=strategy.score(features, settings),
        levels=strategy.levels(now_ms, features, settings),
        limits=limits,
        open_names=open_names,
        settings=settings,
    )
    return _Candidates(strategy=strategy, inputs=inputs, checked=check_gates(strategy.gates, inputs))


def _check_again(one: _Candidates, limits: Limits, open_names: Collection[str]) -> _Candidates:
    inputs = replace(one.inputs, limits=limits, open_names=open_names)
    return replace(one, inputs=inputs, checked=check_gates(one.strategy.gates, inputs, before=one.checked))


def _best(found: Sequence[_Candidates]) -> tuple[_Candidates, int] | None:
    # the first strategy's best that passes, and its column
    for one in found:
        if passing := _best_first(np.all(one.checked.passed, axis=0), one.inputs):
            return one, passing[0]
    return None


def _best_first(chosen: BoolArray, inputs: GateInputs) -> list[int]:
    columns, features = np.flatnonzero(chosen), inputs.features
    depth = np.where(inputs.levels.direction < 0, features.bid_depth_usdt, features.ask_depth_usdt)
    order = np.lexsort((-depth[columns], -inputs.scores.total[columns]))
    return [int(column) for column in columns[order]]


def _funnel(one: _Candidates, taken: Sequence[int]) -> Funnel:
    # as the signals leave the limits, but for the instruments that signalled
    checked, parts = one.checked, one.strategy.all_parts
    eligible = checked.passed_by("eligible")
    lacks = np.zeros(len(eligible), np.int64)  # the first part that lacks anything, and why, in one number
    for place, part in reversed(list(enumerate(parts))):
        code = one.inputs.features.missing[part].astype(np.int64)
        np.copyto(lacks, place * len(Missing) + code, where=code != 0)
    counts = np.bincount(lacks[eligible])
    most_first = [int(place) for place in np.argsort(-counts, kind="stable") if counts[place] and place]
    is_refused = eligible & (lacks == 0)
    is_refused[list(taken)] = False
    first_gate = (~checked.passed)[:, is_refused].argmax(axis=0)
    by_gate = np.bincount(first_gate, minlength=len(checked.gates)).tolist()
    return Funnel(
        not_seen={
            f"{parts[place // len(Missing)].replace('_', ' ')} {Missing(place % len(Missing)).text}": int(counts[place])
            for place in most_first
        },
        refused={gate.name: n for gate, n in zip(checked.gates, by_gate, strict=True) if gate.name != "eligible"},
        passed=len(taken),
    )


def _near_misses(one: _Candidates) -> tuple[NearMiss, ...]:
    # a coin with an open or a recent signal was not missed
    inputs, checked = one.inputs, one.checked
    free = checked.passed_by("eligible", "open_signal", "cooldown")
    near = inputs.scores.total >= one.strategy.lowest_score(inputs.settings) - inputs.settings.near_miss_points
    near |= (~checked.passed).sum(axis=0) == 1
    first_of_coin: dict[str, NearMiss] = {}
    for column in _best_first(free & near, inputs):
        coin = inputs.features.instruments[column].coin
        if coin not in first_of_coin:
            first_of_coin[coin] = _near_miss(column, one)
    return tuple(first_of_coin.values())


def _near_miss(column: int, one: _Candidates) -> NearMiss:
    inputs, passed = one.inputs, one.checked.passed[:, column]
    instrument = inputs.features.instruments[column]
    quotes = inputs.features.best_bid if inputs.levels.direction[column] < 0 else inputs.features.best_ask
    return NearMiss(
        strategy=one.strategy.name,
        decided_ms=inputs.now_ms,
        venue=instrument.venue,
        instrument_id=instrument.id,
        coin=instrument.coin,
        score=float(inputs.scores.total[column]),
        entry=float(quotes[column]),
        failed=tuple(gate.name for gate, is_open in zip(one.checked.gates, passed, strict=True) if not is_open),
        levels=levels_at(inputs.levels, column, instrument.tick_size),
    )


def _signal(column: int, one: _Candidates) -> Signal:
    strategy, inputs = one.strategy, one.inputs
    features, scores, settings = inputs.features, inputs.scores, inputs.settings
    instrument = features.instruments[column]
    levels = levels_at(inputs.levels, column, instrument.tick_size)
    assert levels is not None, "the gates on the levels passed"
    at_once_usdt = features.sellable_usdt if levels.side is Side.SHORT else features.buyable_usdt
    return Signal(
        id=inputs.limits.next_id,
        strategy=strategy.name,
        side=levels.side,
        venue=instrument.venue,
        instrument_id=instrument.id,
        coin=instrument.coin,
        pair=instrument.pair,
        tick_size=instrument.tick_size,
        decided_ms=inputs.now_ms,
        levels=levels,
        score=float(scores.total[column]),
        sub_scores=dict(zip(strategy.weights, scores.sub_scores[:, column].tolist(), strict=True)),
        contributions=dict(zip(strategy.weights, scores.contributions[:, column].tolist(), strict=True)),
        features=features_at(features, column),
        verdicts=verdicts_at(one.checked, inputs, column),
        reasons=strategy.reasons(features, scores, column, settings),
        missing=missing_parts(features, strategy.all_parts, column),
        borrowed=borrowed(features, column),
        caution=_caution(instrument),
        sellable_usdt=float(at_once_usdt[column]),
        data_times=_data_times(features, column),
        code_hash=settings.code_hash,
        config_hash=settings.config_hash,
        version=record_version(strategy.version, settings, strategy.settings),
        plan=strategy.plan(features, column, settings),
    )


def _caution(instrument: Instrument) -> str:
    if not instrument.is_innovation_zone:
        return ""
    return f"Innovation Zone: taker fee {instrument.taker_fee_percent:g} % each way, closed in many countries"


def _data_times(features: FeatureFrame, column: int) -> DataTimes:
    return DataTimes(
        price_ms=int(features.price_ms[column]) or None,
        book_ms=int(features.book_ms[column]) or None,
        trades_ms=int(features.trades_ms[column]) or None,
        open_interest_ms=int(features.open_interest_ms[column]) or None,
        funding_ms=int(features.funding_ms[column]) or None,
    )
