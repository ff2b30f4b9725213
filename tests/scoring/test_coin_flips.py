"""Alerts given at random make what chance makes: their costs. No figure and no sentence may call that good."""

import math

import numpy as np
import pytest

from bot.chat.texts.phrases import comparison_text, record_text
from features.facts.market import read_only
from features.frame import FeatureFrame
from scoring.controls import as_signal, begin_control, draw_controls
from scoring.exits import Look, follow, start
from scoring.levels import levels_at
from scoring.records import Records, closed_of
from scoring.signals import Control, OpenSignal, Outcome
from scoring.statistics import Record
from tests.builders import NOW_MS, instrument
from tests.scoring.frames import SETTINGS, UPS, check, passing, signal

pytestmark = pytest.mark.long

DAYS, COINS, PER_DAY = 24, 8, 8
DAY_MS = 86_400_000
LOOK_S, HOUR_S = 15, 3600  #: a look brings the prints of so many seconds, one a second
HALF_SPREAD = 0.0001  #: [fraction]
VOLATILITY = 0.006  #: [fraction] per square root of a minute
SEEDS = range(3)


def market(now_ms: int) -> FeatureFrame:
    """Return coins that are all at 100."""
    return passing(
        instruments=[instrument(id=f"C{number}USDT", tick_size=1e-4) for number in range(COINS)],
        now_ms=now_ms,
        best_bid=100 * (1 - HALF_SPREAD),
        best_ask=100 * (1 + HALF_SPREAD),
        spread_bps=2e4 * HALF_SPREAD,
        volatility_minute=VOLATILITY,
        funding_rate=0.0,
    )


def outcome(one: OpenSignal, random: np.random.Generator) -> Outcome:
    """Follow a price without drift from 100 to the signal's end."""
    steps = VOLATILITY / math.sqrt(60) * random.normal(size=HOUR_S + LOOK_S)
    price = 100 * np.exp(np.cumsum(steps - np.square(VOLATILITY) / 120))
    times_ms = one.decided_ms + 1000 * np.arange(1, len(price) + 1)
    for first in range(0, len(price), LOOK_S):
        seen = slice(first, first + LOOK_S)
        last, now_ms = float(price[seen][-1]), int(times_ms[seen][-1])
        look = Look(
            now_ms=now_ms,
            trade_time_ms=read_only(times_ms[seen], np.int64),
            trade_price=read_only(price[seen], np.float64),
            tape_ms=now_ms,
            best_bid=last * (1 - HALF_SPREAD),
            best_ask=last * (1 + HALF_SPREAD),
            funding_rate=0.0,
        )
        followed = follow(one, look, SETTINGS)
        if isinstance(followed, Outcome):
            return followed
        one = followed
    raise AssertionError("it never ended")


def coin_flips(seed: int) -> Record:
    """Return the record of alerts on any coin at any time of DAYS days, beside their controls."""
    random, records = np.random.default_rng(seed), Records()
    times_ms = NOW_MS + np.sort(random.choice(DAYS * DAY_MS, DAYS * PER_DAY, replace=False))
    for number, decided_ms in enumerate(times_ms.tolist(), start=1):
        features, column = market(decided_ms), int(random.integers(COINS))
        levels = levels_at(UPS.levels(decided_ms, features, SETTINGS), column, 1e-4)
        assert levels is not None
        one = features.instruments[column]
        alert = signal(
            id=number, instrument_id=one.id, coin=one.coin, tick_size=1e-4, decided_ms=decided_ms, levels=levels
        )
        records.add(closed_of(alert, outcome(start(alert, 0.0), random)))
        for drawn in draw_controls(alert, *check(features)):
            begun: Control | Outcome | None = drawn
            if drawn.levels is None:
                place = int(drawn.instrument_id[1])
                begun = begin_control(drawn, alert, market(drawn.decided_ms), place, SETTINGS, UPS)
            assert isinstance(begun, Control)
            ended = outcome(start(as_signal(begun, alert), 0.0), random)
            records.add(closed_of(alert, ended, is_control=True))
    return records.like(signal())


@pytest.fixture(scope="module")
def flips() -> list[Record]:
    """Return the records of some such months."""
    return [coin_flips(seed) for seed in SEEDS]


def test_they_make_their_costs(flips: list[Record]) -> None:
    """The expectancy of alerts and of controls is minus fees and spread, in R, as far as their intervals go."""
    costs_r = -(0.1 + 200 * HALF_SPREAD) / 1.1  # R is 1.1 % in so wild a market
    for group in ("alerts", "chance"):
        made = [getattr(record, group) for record in flips]
        assert all(one.n > DAYS * PER_DAY * (0.9 if group == "alerts" else 1.8) for one in made)
        held = [one.expectancy_r_low <= costs_r <= one.expectancy_r_high for one in made]
        assert sum(held) >= len(SEEDS) - 1, [(one.expectancy_r, one.n) for one in made]
        assert np.mean([one.expectancy_r for one in made]) == pytest.approx(costs_r, abs=0.1)


def test_alerts_and_controls_agree(flips: list[Record]) -> None:
    """Their intervals overlap, and that of their difference holds nothing nearly always."""
    assert {record.verdict for record in flips} == {"no difference"}
    holds_zero = [record.difference_r_low <= 0 <= record.difference_r_high for record in flips]
    assert sum(holds_zero) >= len(SEEDS) - 1


def test_no_sentence_calls_them_good(flips: list[Record]) -> None:
    """What people read says that no difference is shown, and shows the break-even that was not reached."""
    for record in flips:
        said = f"{record_text(record)}\n{comparison_text(record)}"
        assert said.endswith("no difference shown")
        assert not {"better", "good", "earn", "profit", "proven"} & set(said.replace(",", " ").split())
        assert record.alerts.expectancy_r_low < 0
