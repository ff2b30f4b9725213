"""Gates: each measures every instrument, compares with its limit and says why in words (docs/features.md).

The engine, and the gates that all strategies share; a strategy lists those it wants beside its own. All are evaluated,
none short-circuits. What cannot be measured is NaN, which no comparison lets through.
"""

import math
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from features.facts.market import FUTURE_MS, BoolArray, FloatArray
from features.frame import FeatureFrame
from features.missing import Missing
from scoring.levels import LevelFrame
from scoring.limits import seconds_since_last, seconds_until, signals_today, signals_within
from scoring.score import ScoreFrame
from scoring.settings import ScoringSettings
from scoring.signals import Limits, Verdict

MIN_STOP_SPREADS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GateInputs:
    """Everything a gate may look at."""

    now_ms: int
    features: FeatureFrame
    scores: ScoreFrame
    levels: LevelFrame
    limits: Limits
    open_names: Collection[str]  #: the coins and instruments that have an open signal
    settings: ScoringSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One predicate: `holds(measure, limit)`."""

    name: str
    measure: Callable[[GateInputs], ArrayLike]  #: (n,), or one value for all
    holds: Callable[..., Any]  #: a comparison of `SIGNS`
    limit: Callable[[ScoringSettings], float]
    words: str  #: the reason, of {value}, {sign} and {limit}
    when_infinite: str = ""  #: the reason where the value has no figure
    when_zero: str = ""
    when_unknown: str = "no data"
    needs: tuple[str, ...] = ()  #: the frame's parts whose absence explains a NaN before `when_unknown` does
    counts_signals: bool = False  #: it may say something else after another signal of the same tick


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFrame:
    """The verdicts of g gates on n instruments."""

    gates: tuple[Gate, ...]
    values: FloatArray  #: (g, n)
    passed: BoolArray  #: (g, n)

    def value_of(self, name: str) -> FloatArray:
        """Return what one gate measured, (n,)."""
        return np.asarray(self.values[self._row(name)])

    def passed_by(self, *names: str) -> BoolArray:
        """Return where all the named gates passed, (n,)."""
        return np.asarray(self.passed[[self._row(name) for name in names]].all(axis=0))

    def _row(self, name: str) -> int:
        return [gate.name for gate in self.gates].index(name)


def check_gates(gates: tuple[Gate, ...], inputs: GateInputs, before: GateFrame | None = None) -> GateFrame:
    """Evaluate every gate on every instrument.

    `before` is what they said of the same features before the last signal: then only those that count signals are
    evaluated.
    """
    shape = len(gates), len(inputs.features.instruments)
    values = np.empty(shape) if before is None else before.values.copy()
    passed = np.empty(shape, bool) if before is None else before.passed.copy()
    for row, gate in enumerate(gates):
        if before is None or gate.counts_signals:
            values[row] = gate.measure(inputs)
            gate.holds(values[row], gate.limit(inputs.settings), out=passed[row])
    return GateFrame(gates=gates, values=values, passed=passed)


def verdicts_at(checked: GateFrame, inputs: GateInputs, column: int) -> tuple[Verdict, ...]:
    """Render one instrument's column in words."""
    values = checked.values[:, column].tolist()
    return tuple(_verdict(gate, value, inputs, column) for gate, value in zip(checked.gates, values, strict=True))


def _verdict(gate: Gate, value: float, inputs: GateInputs, column: int) -> Verdict:
    limit = gate.limit(inputs.settings)
    passed = bool(gate.holds(value, limit))
    if np.isnan(value):
        reason = _absence(gate, inputs.features, column)
    elif np.isinf(value):
        reason = gate.when_infinite.format(limit=limit)
    elif value == 0 and gate.when_zero:
        reason = gate.when_zero
    else:
        reason = gate.words.format(value=_shown(gate, value, limit), sign=SIGNS[gate.holds][not passed], limit=limit)
    return Verdict(name=gate.name, passed=passed, value=value, limit=limit, reason=reason)


def _shown(gate: Gate, value: float, limit: float) -> float:
    # What is just short of a limit is not rounded onto it: 71.96 is "71.9 < 72", not "72.0 < 72".
    digits = _decimals(gate.words)
    if bool(gate.holds(round(value, digits), limit)) == bool(gate.holds(value, limit)):
        return value
    round_off = math.floor if gate.holds in (np.greater_equal, np.less) else math.ceil
    return float(round_off(value * 10**digits) / 10**digits)


@cache
def _decimals(words: str) -> int:
    return int(found[1]) if (found := _DECIMALS.search(words)) else 0


def _absence(gate: Gate, features: FeatureFrame, column: int) -> str:
    for part in gate.needs:
        if code := features.missing[part][column]:
            return f"{part.replace('_', ' ')} {Missing(code).text}"
    return gate.when_unknown


def _stop_spreads(inputs: GateInputs) -> FloatArray:
    stop, spread = inputs.levels.stop, inputs.levels.spread
    return np.where(spread > 0, stop / np.where(spread > 0, spread, 1), np.nan)


def _data_age_s(inputs: GateInputs) -> FloatArray:
    features = inputs.features
    times_ms = np.array([features.price_ms, features.book_ms, features.trades_ms])
    oldest_ms, newest_ms = times_ms.min(axis=0), times_ms.max(axis=0)
    age_s = np.where(oldest_ms > 0, (inputs.now_ms - oldest_ms) / 1000, np.nan)
    return np.where(newest_ms > inputs.now_ms + FUTURE_MS, np.inf, age_s)


def _or_passing(values: FloatArray) -> FloatArray:
    # for a gate that only a known value may fail
    return np.where(np.isnan(values), -np.inf, values + 0.0)


def _seconds_since_last(inputs: GateInputs) -> FloatArray:
    ages_s = seconds_since_last(inputs.limits, inputs.now_ms)
    shortest = {name: -age_s for name, age_s in ages_s.items()}
    return -inputs.features.instruments.identity.largest(shortest, otherwise=-np.inf)


def _seconds_muted(inputs: GateInputs) -> FloatArray:
    limits, venue = inputs.limits, inputs.features.instruments.venue
    names = inputs.features.instruments.any_name
    coins = {coin.upper(): seconds_until(until_ms, inputs.now_ms) for coin, until_ms in limits.muted_coins.items()}
    venues = {name: seconds_until(until_ms, inputs.now_ms) for name, until_ms in limits.muted_venues.items()}
    return np.maximum(names.largest(coins, otherwise=0.0), venue.look_up(venues, otherwise=0.0))


_DECIMALS = re.compile(r"\{value:[^}]*\.(\d)f")
#: how a comparison that held, and one that did not, is written
SIGNS: dict[Any, str] = {np.greater_equal: "≥<", np.greater: ">≤", np.less: "<≥", np.less_equal: "≤>"}


def score_gate(lowest: Callable[[ScoringSettings], float]) -> Gate:
    """Return the gate on a strategy's own score."""
    return Gate(
        name="score",
        measure=lambda inputs: inputs.scores.total,
        holds=np.greater_equal,
        limit=lowest,
        words="score {value:.1f} {sign} {limit:g}",
    )


SPREAD = Gate(
    name="spread",
    measure=lambda inputs: inputs.features.spread_bps / 100,
    holds=np.less,
    limit=lambda settings: settings.max_spread_percent,
    words="spread {value:.3f} % {sign} {limit:g} %",
    needs=("spread",),
)
STOP_DISTANCE = Gate(
    name="stop_distance",
    measure=_stop_spreads,
    holds=np.greater_equal,
    limit=lambda _: MIN_STOP_SPREADS,
    words="stop {value:.1f} spreads away {sign} {limit:g}",
    needs=("spread",),
)
NET_TAKE_PROFIT = Gate(
    name="net_take_profit",
    measure=lambda inputs: inputs.levels.take_profit_percent - inputs.levels.cost_percent,
    holds=np.greater,
    limit=lambda _: 0.0,
    words="take-profit net of costs {value:.2f} % {sign} {limit:g} %",
    needs=("spread", "funding"),
)
DISCOUNT = Gate(
    name="discount",
    # a SHORT into a price already below the index, and a LONG into one above it, comes too late
    measure=lambda inputs: _or_passing(100 * inputs.levels.direction * inputs.features.index_basis),
    holds=np.less,
    limit=lambda settings: settings.max_discount_percent,
    words="price {value:+.2f} % past the index {sign} {limit:g} %",
    when_infinite="no index price to compare with",
)
DATA_AGE = Gate(
    name="data_age",
    measure=_data_age_s,
    holds=np.less_equal,
    limit=lambda settings: settings.max_data_age_s,
    words="oldest data {value:.1f} s {sign} {limit:g} s",
    when_infinite="data from the future: a clock is wrong",
    needs=("price", "book", "sweep"),
)
BOOK = Gate(
    name="book",
    measure=lambda inputs: np.where(inputs.features.missing["book"] == Missing.PRESENT, 1.0, np.nan),
    holds=np.greater_equal,
    limit=lambda _: 1.0,
    words="book whole and moving",
    needs=("book",),
)
#: what an entry may cost, whyever it is made
ENTRY_GATES = (SPREAD, STOP_DISTANCE, NET_TAKE_PROFIT)
#: what earlier signals and the user's commands forbid, and which instruments may signal at all
LIMIT_GATES = (
    Gate(
        name="cooldown",
        measure=_seconds_since_last,
        holds=np.greater_equal,
        limit=lambda settings: settings.cooldown_s,
        words="last signal or exit of the coin {value:.0f} s ago {sign} {limit:g} s",
        when_infinite="no signal or exit of the coin of late",
        counts_signals=True,
    ),
    Gate(
        name="open_signal",
        measure=lambda inputs: inputs.features.instruments.identity.largest(
            dict.fromkeys(inputs.open_names, 1.0), otherwise=0.0
        ),
        holds=np.less,
        limit=lambda _: 1.0,
        words="the coin has an open signal",
        when_zero="no open signal on the coin",
        counts_signals=True,
    ),
    Gate(
        name="burst",
        measure=lambda inputs: signals_within(inputs.limits, inputs.now_ms, inputs.settings.burst_window_s),
        holds=np.less,
        limit=lambda settings: float(settings.burst_limit),
        words="{value:.0f} signals in the burst window {sign} {limit:g}",
        counts_signals=True,
    ),
    Gate(
        name="daily_cap",
        measure=lambda inputs: signals_today(inputs.limits, inputs.now_ms, inputs.settings.timezone),
        holds=np.less,
        limit=lambda settings: float(settings.max_daily_trades),
        words="{value:.0f} signals today {sign} {limit:g}",
        when_infinite="the clock is behind the last signal",
        counts_signals=True,
    ),
    Gate(
        name="stoploss_guard",
        measure=lambda inputs: seconds_until(inputs.limits.guard_until_ms, inputs.now_ms),
        holds=np.less_equal,
        limit=lambda _: 0.0,
        words="resting after stop-losses for another {value:,.0f} s",
        when_zero="not resting after stop-losses",
    ),
    Gate(
        name="paused",
        measure=lambda inputs: seconds_until(inputs.limits.paused_until_ms, inputs.now_ms),
        holds=np.less_equal,
        limit=lambda _: 0.0,
        words="paused for another {value:,.0f} s",
        when_infinite="paused until resumed",
        when_zero="not paused",
    ),
    Gate(
        name="muted",
        measure=_seconds_muted,
        holds=np.less_equal,
        limit=lambda _: 0.0,
        words="coin or venue muted for another {value:,.0f} s",
        when_infinite="coin or venue muted until unmuted",
        when_zero="not muted",
    ),
    Gate(
        name="eligible",
        measure=lambda inputs: inputs.features.instruments.is_eligible,
        holds=np.greater_equal,
        limit=lambda _: 1.0,
        words="watched for signals",
        when_zero="only watched to lend to other venues",
    ),
)
