"""Levels from planted legs to signals: phases and scores by hand, each leg once, decoys never, why to the bit."""

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from bot.chat.texts.notices import render_legs
from bot.core.leg_watch import LegWatch
from features.candle_frame import candle_frame
from features.frame import FeatureFrame
from scoring.capture import capture, recompute
from scoring.decide import Decision, decide
from scoring.settings import ScoringSettings
from scoring.signals import Limits, Side, Signal
from scoring.strategies.levels import LEVELS
from scoring.strategies.levels.legs import Phase, find_legs
from scoring.strategies.levels.score import compute_sub_scores
from storage.blobs import from_blob, to_blob
from storage.codec import to_plain
from tests.builders import instrument
from tests.features.phenomena.candle_series import Series, long_setup
from tests.scoring.strategies.planted import Planted, planted, with_history


def settings_of(**own: Any) -> ScoringSettings:
    """Return settings with these of levels."""
    return ScoringSettings(btc_window_s=5.0, own={"levels": {"min_score": 50.0} | own})


def decided(
    frame: FeatureFrame, settings: ScoringSettings | None = None, limits: Limits | None = None, open_names: Any = ()
) -> Decision:
    """Return what levels decides on a frame."""
    used = settings or settings_of()
    return decide(frame.now_ms, frame, limits or Limits.fresh(), open_names, used, (LEVELS,))


def approach(market: Planted, *paths: tuple[float, ...], settings: ScoringSettings | None = None) -> list[Signal]:
    """Return the signals of prices that come tick by tick; every signal counts as open from then on."""
    signals: list[Signal] = []
    limits, names = Limits.fresh(), set[str]()
    for prices in zip(*paths, strict=True):
        decision = decided(market.tick(*prices), settings, limits, names)
        limits = replace(decision.limits, last_signal_ms={}, last_of_instrument_ms={})
        signals += decision.signals
    return signals


@pytest.mark.parametrize(
    ("low", "high", "side", "expected"),
    [
        # the rows that the strategy's first description printed, to the unit and to the cent
        (100_734, 104_014, 1, {0.70: 101_718, 0.90: 101_062, 0.5: 102_374, 0.382: 102_761, 0.236: 103_240}),
        (151.02, 160.97, -1, {0.618: 157.17, 0.789: 158.87, 0.382: 154.82, 0.236: 153.37, 0.0: 151.02}),
    ],
)
def test_prices_are_shares_of_the_leg(low: float, high: float, side: int, expected: dict[float, float]) -> None:
    """The entries, stops and targets of BTC and SOL follow from the ends of their legs."""
    setup = long_setup() if side > 0 else long_setup().mirrored(100.0)
    scale = (high - low) / (110.2 - 89.8)
    names = [one.name for one in fields(Series)]
    series = Series(**{name: low + scale * (getattr(setup, name) - 89.8) for name in names})
    market = Planted([with_history(series, 59)])
    legs = find_legs(market.tick((low + high) / 2), settings_of())
    assert legs.direction[0] == side
    unit = 0 if low > 1000 else 2
    for ratio, price in expected.items():
        assert round(float(legs.price(np.full(2, ratio))[0]), unit) == price


def test_the_planted_long_is_alerted_once_at_its_price() -> None:
    """At the first tick in the zone, with stop and targets at their shares of the leg; not again in the same zone."""
    market = planted(rows=59)
    path = (97.3, 96.9, 96.2, 95.9, 95.8, 96.1, 95.9)
    (signal,) = approach(market, path, (102.7,) * len(path))
    assert (signal.strategy, signal.side, signal.coin) == ("levels", Side.LONG, market.instruments[0].coin)
    levels = signal.levels
    assert levels.entry == 95.901
    assert levels.stop == 91.84
    assert levels.take_profits == (100.0, 102.407, 105.385)
    assert levels.shares == (0.34, 0.33, 0.33)
    assert levels.timeout_s == 21600
    assert signal.plan["retraced"] == pytest.approx(0.70098, abs=1e-5)
    assert (signal.plan["start"], signal.plan["end"]) == pytest.approx((89.8, 110.2))
    assert signal.plan["entry1"] == pytest.approx(95.92)
    assert {name: round(value) for name, value in signal.sub_scores.items()} == {
        "fib": 100,
        "sr": 47,
        "ob": 0,
        "rsi": 55,
        "swing": 100,
    }
    assert signal.score == pytest.approx(20 + 25 * 0.466 + 20 + 0.15 * signal.sub_scores["rsi"], abs=0.1)
    assert any(reason.startswith("came back 70.1 % of a leg up of 22.7 %") for reason in signal.reasons)
    assert any(reason.startswith("support 95.85") for reason in signal.reasons)
    assert sum(signal.contributions.values()) == signal.score


def test_its_mirror_image_is_a_short_by_the_ratios_of_shorts() -> None:
    """Entry at the bid, stop above, targets below down to the leg's low."""
    market = planted(rows=57)
    path = (101.0, 101.6, 102.2, 102.5, 102.6)
    (signal,) = approach(market, (99.0,) * len(path), path, settings=settings_of(min_score=20.0))
    assert signal.side is Side.SHORT
    assert signal.levels.entry == 102.499
    assert signal.levels.stop == 105.895
    assert signal.levels.take_profits == (97.593, 94.615, 89.8)


@pytest.mark.parametrize(
    ("price", "phase"),
    [
        (109.0, Phase.LEG),
        (102.0, Phase.PULLBACK),
        (97.0, Phase.APPROACHING),
        (95.9, Phase.ZONE),
        (95.5, Phase.LATE),
        (91.8, Phase.FAILED),
        (110.3, Phase.NONE),
    ],
)
def test_phases(price: float, phase: Phase) -> None:
    """By how far the price has come back; beyond the leg's end there is none."""
    legs = find_legs(planted(rows=55).tick(price, 100.0), settings_of())
    assert legs.phase[0] == phase


def test_the_scores_of_the_vector() -> None:
    """Row 60 of docs/levels.md: five parts and their sum, without the quiet history before it."""
    market = Planted([long_setup()])
    frame = market.tick(95.5)
    found = dict(zip(LEVELS.weights, compute_sub_scores(frame, settings_of())[:, 0].tolist(), strict=True))
    assert find_legs(frame, settings_of()).retraced[0] == pytest.approx(0.7206, abs=1e-4)
    assert found == pytest.approx({"fib": 99.673, "rsi": 95.531, "sr": 26.002, "swing": 17.722, "ob": 0}, abs=2e-3)
    assert LEVELS.score(frame, settings_of()).total[0] == pytest.approx(44.3092, abs=1e-3)


def lifted(series: Series, row: int, low: float) -> Series:
    """Return the series with another low in one row."""
    lows = series.low.copy()
    lows[row] = low
    return replace(series, low=lows)


def shrunk(series: Series) -> Series:
    """Return the series with a tenth of its moves."""
    return Series(**{name: 100 + (getattr(series, name) - 100) / 10 for name in ("open", "high", "low", "close")})


@pytest.mark.parametrize(
    ("decoy", "path"),
    [
        ("no zone", (97.3, 97.0, 96.6, 96.4)),  # never as far as its entry
        ("gap through the stop", (97.3, 96.9, 91.5, 91.4)),
        ("no tick before", (95.9,)),
        ("touched in a candle since", (97.3, 96.9, 95.9)),
        ("gone before known", (97.3, 96.9, 95.9)),
        ("leg too small", (99.73, 99.69, 99.59, 99.58)),
    ],
)
def test_decoys_are_never_alerted(decoy: str, path: tuple[float, ...]) -> None:
    """What only looks like a leg that comes back to its entry."""

    def change(series: Series) -> Series:
        if decoy == "touched in a candle since":
            return lifted(series, 55, 95.5)
        if decoy == "gone before known":
            return lifted(series, 47, 95.5)
        return shrunk(series) if decoy == "leg too small" else series

    market = planted(rows=59, change=change)
    assert approach(market, path, (102.7,) * len(path)) == []


def test_two_venues_list_a_coin_and_one_signals() -> None:
    """Each has its own leg; the coin is one signal."""
    long = with_history(long_setup(), 59)
    two = [instrument(venue=venue, id="A", base="A", coin="A", tick_size=0.001) for venue in ("binance", "bybit")]
    market = Planted([long, long.times(1.001)], two)
    path = (97.3, 96.9, 96.2, 95.9, 95.8)
    signals: list[Signal] = []
    limits, names = Limits.fresh(), set[str]()
    for price in path:
        decision = decided(market.tick(price, price * 1.001), None, limits, names)
        limits = decision.limits
        names |= {signal.coin for signal in decision.signals}
        signals += decision.signals
    assert len(signals) == 1


@pytest.mark.parametrize(("ratio", "is_lent"), [(1.01, True), (1.04, False)])
def test_a_venue_without_candles_borrows_its_lenders(ratio: float, *, is_lent: bool) -> None:
    """All prices times the ratio of their prices, while that is within 3 %; what is no price stays."""
    market = Planted([with_history(long_setup(), 59)], [instrument(id="A"), instrument(venue="lbank", id="A")])
    market.tick(97.0, 97.0 * ratio)
    found = candle_frame(market.state, market.now_ms, np.array([-1, 0, -1]))
    assert found is not None
    assert found.is_borrowed.tolist() == [False, is_lent, False]
    if is_lent:
        assert found.readings.end[1] == pytest.approx(110.2 * 1.01)
        assert found.readings.rsi[1] == found.readings.rsi[0]
        assert found.readings.touches[0, 1] == 2
        assert found.readings.end_ms[1] == found.readings.end_ms[0]
    assert market.state.candles is not None
    assert market.state.candles.readings.closed_ms[1] == 0


def test_why_decides_the_same_to_the_bit_of_what_was_kept() -> None:
    """The candles of the instrument, packed and unpacked, give the same signal."""
    market = planted(rows=59)
    settings = settings_of(sides=("long",))
    for price in (97.3, 96.9, 96.2):
        decided(market.tick(price, 102.7), settings)
    frame = market.tick(95.9, 102.7)
    (signal,) = decided(frame, settings).signals
    kept = capture(signal, market.state, frame, Limits.fresh(), settings, [])
    blob = to_blob(kept)
    assert len(blob) < 40_000
    again = recompute(from_blob(type(kept), blob), LEVELS)
    assert again.signal is not None
    assert to_plain(again.signal) == to_plain(signal)


def test_without_candles_nothing_is_decided() -> None:
    """Where none are kept the strategy says so of everything, and asks for nothing."""
    frame = replace(planted(rows=59).tick(96.0, 100.0), candles=None)
    assert decided(frame).signals == ()
    assert np.isneginf(LEVELS.bound(frame, settings_of(), Limits.fresh(), ())).all()


def test_a_leg_that_comes_near_is_listed_once() -> None:
    """Between approach and entry, where LEVELS_WATCH is on; not again, and not once the entry was reached."""
    market, watch, wanted = planted(rows=57), LegWatch(), settings_of(watch=True)
    assert watch.add(market.tick(99.0, 99.5), wanted) == (), "further away than its approach"
    (long, short) = sorted(watch.add(market.tick(97.3, 101.0), wanted), key=lambda one: one.side)
    assert (long.side, short.side) == (Side.LONG, Side.SHORT)
    assert long.entry == pytest.approx(95.92)
    assert "LONG L0 Bybit: 63% back, entry 95.920" in render_legs([long])
    assert watch.add(market.tick(97.0, 101.2), wanted) == ()
    assert LegWatch().add(market.tick(97.0, 101.2), settings_of()) == (), "LEVELS_WATCH is off"
    reached = planted(rows=57)
    reached.tick(95.9, 102.7)
    assert LegWatch().add(reached.tick(97.3, 101.0), wanted) == ()
