"""Intervals of means by resampling whole blocks: the rows of one day share its market, those of one coin its nature."""

import math
from dataclasses import dataclass

import numpy as np

from features.facts.market import FloatArray, IntArray
from scoring.evidence.rows import Rows, codes

FEWEST_DAYS = 20  #: an interval from fewer days is too narrow
FEWEST_ROWS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean with its interval of 95 %; NaN where there is nothing, or too little for an interval."""

    n: int
    days: int
    coins: int
    mean: float
    low: float  #: the lower of the intervals by day and by coin
    high: float
    day_low: float
    day_high: float
    coin_low: float
    coin_high: float
    clustered_low: float  #: the cross-check: normal, with the variance clustered by day and by coin
    clustered_high: float

    @property
    def is_proven(self) -> bool:
        """Whether there is enough for an interval."""
        return not math.isnan(self.low)


def estimate(rows: Rows, values: FloatArray, *, draws: int, seed: int, minus: FloatArray | None = None) -> Estimate:
    """Return the mean of `values`, (n,), less that of `minus` where given; NaN are left out of each.

    The interval is the wider of two block bootstraps, of UTC days with all their rows and of coins with all theirs;
    days that go with the day before are drawn as runs (see `draw_days`). A bound is NaN from fewer than FEWEST_DAYS
    days or FEWEST_ROWS rows; the bounds by coin are NaN from fewer than two coins, and the others stand alone.

    References
    ----------
    Davison and Hinkley (1997), Bootstrap methods and their application, section 3.8.
    Cameron, Gelbach and Miller (2011), Robust inference with multiway clustering, equation 2.3.
    """
    groups = [values] if minus is None else [values, minus]
    is_used = ~np.all(np.isnan(groups), axis=0)
    rows, groups = rows.where(is_used), [group[is_used] for group in groups]
    day, coin = codes(rows.day), codes(rows.coin)
    n, days, coins = len(rows), _count(day), _count(coin)
    means = [float(np.nanmean(group)) if (~np.isnan(group)).any() else math.nan for group in groups]
    mean = means[0] - (means[1] if len(means) > 1 else 0.0)
    bounds = np.full((3, 2), math.nan)
    if n >= FEWEST_ROWS and days >= FEWEST_DAYS and not math.isnan(mean):
        rng = np.random.default_rng(seed)
        bounds[0] = _bounds(groups, day, draw_days(_day_totals(groups, means, day), draws, rng))
        if coins > 1:
            bounds[1] = _bounds(groups, coin, rng.multinomial(coins, np.full(coins, 1 / coins), draws))
        half = 1.959964 * math.sqrt(_clustered_variance(groups, means, day, coin))
        bounds[2] = mean - half, mean + half
    has_any = not np.isnan(bounds[0]).any()
    (day_low, day_high), (coin_low, coin_high), (clustered_low, clustered_high) = bounds.tolist()
    return Estimate(
        n=n,
        days=days,
        coins=coins,
        mean=mean,
        low=float(np.nanmin(bounds[:2, 0])) if has_any else math.nan,
        high=float(np.nanmax(bounds[:2, 1])) if has_any else math.nan,
        day_low=day_low,
        day_high=day_high,
        coin_low=coin_low,
        coin_high=coin_high,
        clustered_low=clustered_low,
        clustered_high=clustered_high,
    )


def draw_days(totals: FloatArray, draws: int, rng: np.random.Generator) -> IntArray:
    """Return how often each draw takes each day, (draws, days).

    Each day alone where days do not go with the day before; else runs of days of random length (the stationary
    bootstrap), on average as long as `run_length` says.
    """
    days = len(totals)
    length = run_length(totals)
    if length <= 1:
        return rng.multinomial(days, np.full(days, 1 / days), draws)
    is_new = rng.random((draws, days)) < 1 / length
    is_new[:, 0] = True
    steps = np.arange(days)
    since = steps - np.maximum.accumulate(np.where(is_new, steps, 0), axis=1)
    starts = rng.integers(0, days, (draws, days))
    begun = np.take_along_axis(starts, steps - since, axis=1)
    taken = (begun + since) % days + days * np.arange(draws)[:, None]
    return np.bincount(taken.ravel(), minlength=draws * days).reshape(draws, days)


def run_length(totals: FloatArray) -> float:
    """Return the mean length of the stationary bootstrap's runs for the totals of days; 1 where days are independent.

    References
    ----------
    Politis and White (2004), Automatic block-length selection; Patton, Politis and White (2009), Correction.
    """
    n = len(totals)
    centred = totals - totals.mean()
    variance = float(centred @ centred) / n
    most = int(min(math.ceil(math.sqrt(n)) + max(5, math.ceil(math.log10(n))), n - 1))
    if variance == 0:
        return 1.0
    lagged = np.array([float(centred[lag:] @ centred[: n - lag]) / n for lag in range(most + 1)])
    is_small = np.abs(lagged[1:] / variance) < 2 * math.sqrt(math.log10(n) / n)
    in_a_row = max(5, math.ceil(math.sqrt(math.log10(n))))
    small_runs = [lag for lag in range(most - in_a_row + 1) if is_small[lag : lag + in_a_row].all()]
    last_large = small_runs[0] if small_runs else int(np.flatnonzero(~is_small)[-1]) + 1
    if last_large == 0:
        return 1.0
    lags = np.arange(1, min(2 * last_large, most) + 1)
    weights = np.clip(2 * (1 - lags / (2 * last_large)), 0.0, 1.0)
    spread = 2 * float(weights @ (lags * lagged[lags]))
    long_run = variance + 2 * float(weights @ lagged[lags])
    if long_run == 0:
        return 1.0
    length = (spread**2 / long_run**2 * n) ** (1 / 3)
    return float(min(max(1.0, length), math.ceil(min(3 * math.sqrt(n), n / 3))))


def _count(code: IntArray) -> int:
    return int(code.max()) + 1 if len(code) else 0


def _sums(group: FloatArray, block: IntArray) -> tuple[FloatArray, FloatArray]:
    is_known, blocks = ~np.isnan(group), _count(block)
    totals = (np.bincount(block, weights, blocks) for weights in (np.where(is_known, group, 0.0), is_known))
    sums, counts = (np.asarray(total, float) for total in totals)
    return sums, counts


def _bounds(groups: list[FloatArray], block: IntArray, taken: IntArray) -> FloatArray:
    drawn = np.zeros(len(taken))
    for sign, group in zip((1, -1), groups, strict=False):
        sums, counts = _sums(group, block)
        total = taken @ counts
        drawn += sign * np.where(total > 0, taken @ sums / np.maximum(total, 1), math.nan)
    return np.nanquantile(drawn, (0.025, 0.975))


def _influence(groups: list[FloatArray], means: list[float]) -> FloatArray:
    # what each row adds to the error of the mean, (n,)
    rows = np.zeros(len(groups[0]))
    for sign, group, mean in zip((1, -1), groups, means, strict=False):
        is_known = ~np.isnan(group)
        rows += sign * np.where(is_known, group - mean, 0.0) / is_known.sum()
    return rows


def _day_totals(groups: list[FloatArray], means: list[float], day: IntArray) -> FloatArray:
    return np.asarray(np.bincount(day, _influence(groups, means)), float)


def _clustered_variance(groups: list[FloatArray], means: list[float], day: IntArray, coin: IntArray) -> float:
    rows = _influence(groups, means)
    of = [float((np.bincount(block, rows) ** 2).sum()) for block in (day, coin, codes(day, coin))]
    return max(of[0] + of[1] - of[2], of[0])  # the difference may be negative in small samples
