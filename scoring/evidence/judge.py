"""The whole judgement of one history: every figure of docs/evaluate.md, and one verdict by a rule fixed beforehand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from features.facts.market import FloatArray
from scoring.evidence.calibration import Calibrated, judge_calibration
from scoring.evidence.ordering import BAND_EDGES, Ordering, judge_order, quintiles
from scoring.evidence.parts import Part, Split, judge_gates, judge_missing, judge_parts
from scoring.evidence.power import design_effect, rows_for_mean, rows_for_rates
from scoring.evidence.resampling import FEWEST_DAYS, FEWEST_ROWS, Estimate, estimate
from scoring.evidence.rows import Rows
from scoring.evidence.selection import deflated_sharpe_ratio, sharpe_ratio
from scoring.statistics import Summary, Tally

#: the arm that takes the market's own fall out: another coin of the same minute
MATCHED_ARM = "other_instrument"
WORTH_R = 0.05  #: a difference from chance below this pays nobody
MONTHS_ABOVE_ZERO = 2 / 3
DEFLATED_FROM = 0.95
Verdict: TypeAlias = Literal["edge", "no edge", "cannot tell"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One evaluation of one configuration on one set of tapes, as the ledger keeps it."""

    config_hash: str
    data_hash: str
    sharpe_ratio: float  #: by day


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """The result of one UTC month."""

    name: str
    n: int
    expectancy_r: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """The costs [R] of the mean row: fees and funding."""

    gross_r: float
    net_r: float
    share: float  #: of the gross gain; NaN where there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The results of the rows of one sample: alerts as shipped, or moments without the gates."""

    n: int  #: rows with a result
    not_reached: int  #: others, which nobody could enter or whose end is not known
    win_rate: float  #: [0…1] net above 0
    win_rate_low: float  #: Wilson, 95 %
    win_rate_high: float
    break_even_win_rate: float  #: [0…1] mean loss / (mean win + mean loss) of these rows
    days: int
    coins: int
    expectancy: Estimate
    costs: Costs
    deltas: dict[str, Estimate]  #: by arm: each row less the mean of its own controls
    order: Ordering
    order_by_quintiles: Ordering
    order_word: str  #: ordered, not ordered, cannot tell
    parts: tuple[Part, ...]
    gates: tuple[Split, ...]
    missing: tuple[Split, ...]
    strict: Estimate  #: the rows whose parts are all there, none of them approximate
    months: tuple[Month, ...]  #: the worst first
    calibrated: Calibrated  #: the chance of a win, foretold by a monotone map of the months before
    rho: float  #: how much rows of one day go together
    design_effect: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The judgement. It is about the past of one history, and no advice."""

    alerts: Sample
    moments: Sample | None
    verdict: Verdict
    reasons: tuple[str, ...]  #: each condition of the verdict with its figure
    rows_needed: int  #: alerts that would show WORTH_R against controls, the design effect included; 0: not known
    rows_for_five_points: int  #: alerts per arm that would show five points of win rate
    deflated: float  #: [0…1] the chance that the Sharpe ratio by day is more than the best of all trials' luck
    trials: int  #: configurations ever tried on this data, this one among them


def judge(
    alerts: Rows, moments: Rows | None = None, *, ledger: Sequence[Trial] = (), draws: int = 10_000, seed: int = 1
) -> Evidence:
    """Return the judgement; the same rows, ledger and seed always give the same.

    `ledger` are the trials of this data, the one that is judged among them.
    """
    judged = judge_sample(alerts, draws=draws, seed=seed)
    known = alerts.where(alerts.has_result)
    trials = max(1, len({trial.config_hash for trial in ledger}))
    deflated = deflated_sharpe_ratio(by_day(known), trials=trials, variance=_variance(ledger))
    verdict, reasons = decide_verdict(judged, deflated)
    spread = float(np.std(known.net_r, ddof=1)) if len(known) > 1 else math.nan
    effect = 1.0 if math.isnan(judged.design_effect) else judged.design_effect
    rate = judged.win_rate
    return Evidence(
        alerts=judged,
        moments=None if moments is None else judge_sample(moments, draws=draws, seed=seed),
        verdict=verdict,
        reasons=reasons,
        rows_needed=math.ceil(effect * rows_for_mean(spread, WORTH_R)) if spread > 0 else 0,
        rows_for_five_points=math.ceil(effect * rows_for_rates(rate, rate + 0.05)) if rate < 0.95 else 0,
        deflated=deflated,
        trials=trials,
    )


def judge_sample(rows: Rows, *, draws: int, seed: int, signal_timeout_s: float = 3600.0) -> Sample:
    """Return the figures of one sample."""
    known = rows.where(rows.has_result)
    summary = _summary(known)
    costs = _costs(known)
    order = judge_order(known, BAND_EDGES, draws=draws, seed=seed)
    by_month = [(name, known.net_r[known.month == name]) for name in np.unique(known.month)]
    months = [Month(name=str(name), n=len(made), expectancy_r=float(made.mean())) for name, made in by_month]
    rho, effect = design_effect(known.net_r, known.day)
    return Sample(
        n=len(known),
        not_reached=len(rows) - len(known),
        win_rate=summary.win_rate,
        win_rate_low=summary.win_rate_low,
        win_rate_high=summary.win_rate_high,
        break_even_win_rate=summary.break_even_win_rate,
        days=len(np.unique(known.day)),
        coins=len(np.unique(known.coin)),
        expectancy=estimate(known, known.net_r, draws=draws, seed=seed),
        costs=costs,
        deltas={
            arm: estimate(known, _less_controls(known, drawn), draws=draws, seed=seed)
            for arm, drawn in known.controls.items()
        },
        order=order,
        order_by_quintiles=judge_order(known, quintiles(known.score), draws=draws, seed=seed),
        order_word=order.verdict(costs.gross_r - costs.net_r),
        parts=judge_parts(known, draws=draws, seed=seed),
        gates=judge_gates(known, draws=draws, seed=seed),
        missing=judge_missing(known, draws=draws, seed=seed),
        strict=estimate(known, np.where(known.is_strict, known.net_r, math.nan), draws=draws, seed=seed),
        months=tuple(sorted(months, key=lambda month: month.expectancy_r)),
        calibrated=judge_calibration(known, signal_timeout_s),
        rho=rho,
        design_effect=effect,
    )


def decide_verdict(sample: Sample, deflated: float) -> tuple[Verdict, tuple[str, ...]]:
    """Return the verdict by the rule that was fixed before anything was looked at, and its reasons.

    Edge: the difference from a random coin of the same minute is above 0 with 95 % by day, at least two months in
    three end above 0 net of costs, and the deflated Sharpe ratio is at least 0.95. No edge: the interval of that
    difference lies below WORTH_R. Else nobody can tell.
    """
    delta = sample.deltas.get(MATCHED_ARM)
    above = sum(month.expectancy_r > 0 for month in sample.months)
    reasons = (
        _delta_reason(delta),
        f"{above} of {len(sample.months)} months ended above 0 net of costs",
        "no Sharpe ratio by day" if math.isnan(deflated) else f"deflated Sharpe ratio {deflated:.2f}, wants 0.95",
    )
    if delta is None or not delta.is_proven:
        return "cannot tell", reasons
    if delta.day_high < WORTH_R:
        return "no edge", reasons
    is_lasting = above >= MONTHS_ABOVE_ZERO * len(sample.months)
    if delta.day_low > 0 and is_lasting and deflated >= DEFLATED_FROM:
        return "edge", reasons
    return "cannot tell", reasons


def by_day(rows: Rows) -> FloatArray:
    """Return the R of each UTC day from the first to the last, 0 where there was none, (days,)."""
    if not len(rows):
        return np.empty(0)
    day = rows.day - rows.day.min()
    return np.asarray(np.bincount(day, np.nan_to_num(rows.net_r)), float)


def trial(rows: Rows, *, config_hash: str, data_hash: str) -> Trial:
    """Return what the ledger keeps of these alerts."""
    ratio = sharpe_ratio(by_day(rows.where(rows.has_result)))
    return Trial(config_hash=config_hash, data_hash=data_hash, sharpe_ratio=ratio)


def _delta_reason(delta: Estimate | None) -> str:
    if delta is None:
        return "no random coin of the same minute was followed beside the alerts"
    if not delta.is_proven:
        return (
            f"{delta.n} alerts with controls on {delta.days} days: "
            f"an interval wants at least {FEWEST_ROWS} on {FEWEST_DAYS}"
        )
    return (
        f"against a random coin of the same minute {delta.mean:+.2f} R ({delta.day_low:+.2f} … {delta.day_high:+.2f})"
    )


def _variance(ledger: Sequence[Trial]) -> float:
    by_config = {one.config_hash: one.sharpe_ratio for one in ledger if not math.isnan(one.sharpe_ratio)}
    return float(np.var(list(by_config.values()), ddof=1)) if len(by_config) > 1 else 0.0


def _summary(rows: Rows) -> Summary:
    tally = Tally()
    for decided_ms, r in zip(rows.decided_ms.tolist(), rows.net_r.tolist(), strict=True):
        tally.add(decided_ms, is_known=True, net_percent=r, r=r)
    return tally.summary()


def _costs(rows: Rows) -> Costs:
    if not len(rows):
        return Costs(gross_r=math.nan, net_r=math.nan, share=math.nan)
    gross, net = float(rows.gross_r.mean()), float(rows.net_r.mean())
    return Costs(gross_r=gross, net_r=net, share=(gross - net) / gross if gross > 0 else math.nan)


def _less_controls(rows: Rows, drawn: FloatArray) -> FloatArray:
    is_known = ~np.isnan(drawn)
    count = is_known.sum(axis=1)
    mean = np.where(is_known, drawn, 0.0).sum(axis=1) / np.maximum(count, 1)
    return np.asarray(np.where(count > 0, rows.net_r - mean, math.nan))
