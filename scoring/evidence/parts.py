"""The worth of each part of the score, each gate and each gap in the data by itself."""

import math
from dataclasses import dataclass

import numpy as np

from features.facts.market import BoolArray, FloatArray
from scoring.evidence.ordering import Exchange, auc
from scoring.evidence.resampling import Estimate, estimate
from scoring.evidence.rows import Rows, codes
from scoring.evidence.selection import holm


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the score: alone, and what the score is without it."""

    name: str
    n: int  #: rows that have it
    auc_alone: float
    p_value: float  #: of it alone, by exchanges within each coin's day, one-sided
    p_holm: float  #: the same, adjusted for the number of parts
    auc_without: float  #: of the score less this part
    delta_without: float  #: the AUC of the score less `auc_without`: what the part adds


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The results of the rows inside and outside a condition."""

    name: str
    inside: Estimate
    outside: Estimate
    difference: Estimate


def judge_parts(rows: Rows, *, draws: int, seed: int) -> tuple[Part, ...]:
    """Return each part alone and left out; a missing part counts nothing in the score, and is left out alone."""
    rows = rows.where(rows.has_result)
    is_win, whole = rows.net_r > 0, auc(rows.score, rows.net_r > 0)
    alone = [_alone(rows, number, draws, seed) for number in range(len(rows.part_names))]
    adjusted = holm([p_value for _, _, p_value in alone])
    without = [auc(rows.score - np.nan_to_num(points), is_win) for points in rows.parts.T]
    return tuple(
        Part(
            name=name,
            n=n,
            auc_alone=of_itself,
            p_value=p_value,
            p_holm=p_holm,
            auc_without=left,
            delta_without=whole - left,
        )
        for name, (n, of_itself, p_value), p_holm, left in zip(rows.part_names, alone, adjusted, without, strict=True)
    )


def split(rows: Rows, name: str, is_inside: BoolArray, *, draws: int, seed: int) -> Split:
    """Return what the rows of the mask, (n,), made beside the others."""
    inside, outside = np.where(is_inside, rows.net_r, math.nan), np.where(is_inside, math.nan, rows.net_r)
    return Split(
        name=name,
        inside=estimate(rows, inside, draws=draws, seed=seed),
        outside=estimate(rows, outside, draws=draws, seed=seed),
        difference=estimate(rows, inside, minus=outside, draws=draws, seed=seed),
    )


def judge_gates(rows: Rows, *, draws: int, seed: int) -> tuple[Split, ...]:
    """Return, for each gate, what the rows that pass it made beside those that do not."""
    columns = zip(rows.gate_names, rows.gates.T, strict=True)
    return tuple(split(rows, name, passed, draws=draws, seed=seed) for name, passed in columns)


def judge_missing(rows: Rows, *, draws: int, seed: int) -> tuple[Split, ...]:
    """Return, for each part, what the rows that lack it made beside those that have it."""
    columns = zip(rows.part_names, np.isnan(rows.parts).T, strict=True)
    return tuple(split(rows, name, is_missing, draws=draws, seed=seed) for name, is_missing in columns)


def _alone(rows: Rows, number: int, draws: int, seed: int) -> tuple[int, float, float]:
    points = rows.parts[:, number]
    is_known = ~np.isnan(points)
    used = rows.where(is_known)
    values: FloatArray = points[is_known]
    of_itself = auc(values, used.net_r > 0)
    if math.isnan(of_itself):
        return len(used), math.nan, math.nan
    # the part's fifths as bands, so that one test serves the score and its parts
    band = np.searchsorted(np.unique(np.quantile(values, (0.2, 0.4, 0.6, 0.8))), values, side="right")
    if band.min() == band.max():
        return len(used), of_itself, math.nan
    exchange = Exchange(used.net_r, codes(used.coin, used.day))
    return len(used), of_itself, exchange.p_value(band, exchange.jonckheere(band), draws, seed)
