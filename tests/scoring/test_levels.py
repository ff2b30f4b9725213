"""Levels on the tick, costs and what they are worth, against figures worked out by hand."""

from dataclasses import fields, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.levels import (
    break_even_win_rate,
    compute_levels,
    levels_at,
    settlement_times_ms,
    stop_percent,
    taker_fee_percent,
)
from scoring.settings import ScoringSettings
from scoring.signals import Levels, Side
from tests.builders import NOW_MS, instrument
from tests.scoring.frames import NAN, SETTINGS, passing, signal
from tests.scoring.test_prices import TICKS

HOUR_MS = 3_600_000


def levels_of(side: Side = Side.SHORT, tick_size: float = 0.01, interval_h: float = 8, **changed: Any) -> Levels | None:
    """Return the levels of one instrument; settings by their names, the rest changes the frame."""
    names = {field.name for field in fields(ScoringSettings)}
    settings = ScoringSettings(**{name: changed.pop(name) for name in set(changed) & names})
    now_ms = changed.pop("now_ms", NOW_MS)
    one = [instrument(tick_size=tick_size, taker_fee_percent=changed.pop("contract_fee_percent", 0.0))]
    changed = {"funding_interval_h": interval_h} | changed
    frame = compute_levels(now_ms, passing(instruments=one, **changed), settings, side.direction)
    return levels_at(frame, 0, tick_size)


@pytest.mark.parametrize(
    ("volatility", "expected"), [(0.0, 0.7), (0.001, 0.7), (0.003, 0.9), (0.005, 1.1), (0.02, 1.1), (NAN, NAN)]
)
def test_stop_percent(volatility: float, expected: float) -> None:
    """The stop goes from its nearest at 0.1 % a minute to its farthest at 0.5 %."""
    np.testing.assert_allclose(stop_percent(volatility, SETTINGS), expected)


def test_short() -> None:
    """From a bid of 1000.0 at ticks of 0.1: TP 983.0, SL 1007.0, a tenth of a percent in fees."""
    levels = levels_of(tick_size=0.1, best_bid=1000.0, best_ask=1000.1)
    assert levels is not None
    assert (levels.entry, levels.take_profits, levels.stop) == (1000.0, (983.0,), 1007.0)
    assert levels.take_profit_percent == pytest.approx(1.7)
    assert levels.stop_percent == pytest.approx(0.7)
    assert levels.cost_percent == pytest.approx(0.1)
    assert levels.net_take_profit_percent == pytest.approx(1.6)
    assert levels.net_stop_percent == pytest.approx(0.8)
    assert levels.break_even_win_rate == pytest.approx(1 / 3)


def test_long() -> None:
    """A LONG is its mirror: from an ask of 1000.0, TP 1017.0, SL 993.0."""
    levels = levels_of(Side.LONG, tick_size=0.1, best_bid=999.9, best_ask=1000.0)
    assert levels is not None
    assert (levels.side, levels.entry, levels.take_profits, levels.stop) == (Side.LONG, 1000.0, (1017.0,), 993.0)


def test_rounding_is_toward_the_entry() -> None:
    """0.000012345 at ticks of 1e-9: TP 12135.135 up to 12136, SL 12431.4 down to 12431."""
    levels = levels_of(tick_size=1e-9, best_bid=1.2345e-05, best_ask=1.2346e-05)
    assert levels is not None
    assert (levels.entry, levels.take_profits, levels.stop) == (1.2345e-05, (1.2136e-05,), 1.2431e-05)


@pytest.mark.parametrize("side", list(Side))
@given(tick_size=TICKS, ticks=st.integers(200, 10**9), volatility=st.floats(0, 0.01))
def test_rounding_property(side: Side, tick_size: float, ticks: int, volatility: float) -> None:
    """For any price the levels are the outermost ticks that neither promise nor risk more than was asked for."""
    tick = Decimal(repr(tick_size))
    entry = float(ticks * tick)
    levels = levels_of(side, tick_size, best_bid=entry, best_ask=entry, volatility_minute=volatility)
    assert levels is not None
    # the stop's percentage is taken to seven decimals, beyond which a float is noise
    stop = round(Decimal(float(stop_percent(volatility, SETTINGS))), 7) / 100
    target, up = Decimal("0.017"), side is Side.LONG
    exact_target = ticks * (1 + target if up else 1 - target)
    exact_stop = ticks * (1 - stop if up else 1 + stop)
    target_ticks = exact_target.to_integral_value(ROUND_FLOOR if up else ROUND_CEILING)
    stop_ticks = exact_stop.to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
    assert levels.entry == entry
    assert levels.take_profits == (float(target_ticks * tick),)
    assert levels.stop == float(stop_ticks * tick)


@pytest.mark.parametrize(("side", "cost"), [(Side.SHORT, 0.1 - 0.02), (Side.LONG, 0.1 + 0.02)])
def test_funding_in_the_costs(side: Side, cost: float) -> None:
    """0.04 % per eight hours is 0.02 % at a settlement of four: a SHORT earns it, a LONG pays it."""
    before_midnight = NOW_MS - NOW_MS % (24 * HOUR_MS) - 60_000
    levels = levels_of(side, interval_h=4, funding_rate=0.0002, now_ms=before_midnight)
    assert levels is not None
    assert levels.cost_percent == pytest.approx(cost)


def test_no_funding_where_nothing_settles() -> None:
    """Two hours before a settlement an hour's signal pays fees only, and needs no rate."""
    two_before = NOW_MS - NOW_MS % (24 * HOUR_MS) - 2 * HOUR_MS
    levels = levels_of(now_ms=two_before, funding_rate_8h=NAN)
    assert levels is not None
    assert levels.cost_percent == pytest.approx(0.1)


def test_fee_of_the_venue() -> None:
    """A venue's own fee goes before the default."""
    levels = levels_of(taker_fee_percent={"bybit": 0.02})
    assert levels is not None
    assert levels.cost_percent == pytest.approx(0.04)


@pytest.mark.parametrize(("published", "counted"), [(0.0, 0.05), (0.02, 0.05), (0.1, 0.1)])
def test_fee_of_the_contract(published: float, counted: float) -> None:
    """A contract that costs more than the user's fee counts with its own, in the levels and in what becomes of them."""
    levels = levels_of(contract_fee_percent=published)
    assert levels is not None
    assert levels.taker_fee_percent == pytest.approx(counted)
    assert levels.cost_percent == pytest.approx(2 * counted)
    assert taker_fee_percent(signal(levels=levels), ScoringSettings()) == pytest.approx(counted)
    older = replace(levels, taker_fee_percent=NAN)
    assert taker_fee_percent(signal(levels=older), ScoringSettings(taker_fee_percent={"bybit": 0.03})) == 0.03


@pytest.mark.parametrize(
    "changed", [{"best_bid": NAN}, {"volatility_minute": NAN}, {"best_bid": 100.0, "tick_size": 1.0}]
)
def test_no_levels(changed: dict[str, Any]) -> None:
    """Without an entry or a volatility, or where the stop is within a tick, there are none."""
    assert levels_of(**changed) is None


def test_settlement_times() -> None:
    """Settlements are whole multiples of the interval from midnight UTC; the end counts, the beginning does not."""
    midnight = NOW_MS - NOW_MS % (24 * HOUR_MS)
    assert settlement_times_ms(midnight, midnight + 16 * HOUR_MS, 8) == (
        midnight + 8 * HOUR_MS,
        midnight + 16 * HOUR_MS,
    )
    assert settlement_times_ms(midnight - 1, midnight, 8) == (midnight,)
    assert settlement_times_ms(midnight, midnight + HOUR_MS, 4) == ()


@pytest.mark.parametrize(
    ("win", "loss", "expected"),
    [(1.6, 0.8, 1 / 3), (1.0, 1.0, 0.5), (0.0, 1.0, 1.0), (-1.0, 1.0, 1.0), (1.0, -0.1, 0.0)],
)
def test_break_even_win_rate(win: float, loss: float, expected: float) -> None:
    """So many wins and losses cancel."""
    assert break_even_win_rate(win, loss) == pytest.approx(expected)


def test_settlement_times_by_the_venue() -> None:
    """They are whole intervals from the settlement that the venue names, also from one of a minute ago."""
    named = NOW_MS - NOW_MS % HOUR_MS + 600_000
    for of_then in (named - 8 * HOUR_MS, named, named + 4 * HOUR_MS):
        assert settlement_times_ms(named - 1, named + 4 * HOUR_MS, 4, of_then) == (named, named + 4 * HOUR_MS)
        assert settlement_times_ms(named, named + 4 * HOUR_MS - 1, 4, of_then) == ()
    assert settlement_times_ms(named - 1, named + 8 * HOUR_MS, NAN, named) == (named,)
    assert settlement_times_ms(named - 1, named + 8 * HOUR_MS, NAN) == ()


@pytest.mark.parametrize(
    ("interval_h", "next_in_s", "cost"),
    [
        (8.0, 0, 0.1),  # half past one by the clock
        (8.0, 1800, 0.15),
        (8.0, 3601, 0.1),
        (1.0, 0, 0.15),
        (0.25, 900, 0.3),
        (NAN, 3601, 0.1),
    ],
)
def test_funding_by_the_venues_own_settlement(interval_h: float, next_in_s: int, cost: float) -> None:
    """A SHORT at -0.05 % pays at each settlement of its hour, by the venue's word or by the interval."""
    half_past_one = NOW_MS - NOW_MS % (24 * HOUR_MS) + HOUR_MS + HOUR_MS // 2
    next_ms = half_past_one + 1000 * next_in_s if next_in_s else 0
    levels = levels_of(
        now_ms=half_past_one, funding_interval_h=interval_h, next_funding_ms=next_ms, funding_rate=-0.0005
    )
    assert levels is not None
    assert levels.cost_percent == pytest.approx(cost)


@pytest.mark.parametrize("next_in_s", [0, -60, 1800])
def test_no_levels_at_an_unknown_interval(next_in_s: int) -> None:
    """An interval that no venue has said is not eight hours: what would be paid is not known."""
    next_ms = NOW_MS + 1000 * next_in_s if next_in_s else 0
    assert levels_of(funding_interval_h=NAN, next_funding_ms=next_ms) is None


@pytest.mark.parametrize(("side", "entry"), [(Side.SHORT, 99.5), (Side.LONG, 100.5)])
def test_an_entry_is_never_better_than_the_quote(side: Side, entry: float) -> None:
    """A book finer than the tick: a SHORT's entry goes down to the tick, a LONG's up."""
    levels = levels_of(side, 0.5, best_bid=99.9, best_ask=100.1, volatility_minute=0.005)
    assert levels is not None
    assert levels.entry == entry
