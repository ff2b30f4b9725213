"""The contract that every strategy keeps, and two of them beside each other."""

from dataclasses import replace
from pathlib import Path

import pytest

from features.frame import FeatureFrame
from scoring.decide import decide
from scoring.gates import DISCOUNT
from scoring.settings import StrategySettings
from scoring.signals import Limits, Side
from scoring.strategies import STRATEGIES, chosen, lowest_score
from scoring.strategies.base import Strategy
from tests.builders import NOW_MS, instrument
from tests.scoring.frames import SETTINGS, UPS, limits, make_settings, passing
from tests.scoring.strategies.bounce_long import BOUNCE_LONG as BOUNCE
from tests.scoring.strategies.planted import planted

#: a fall that takers buy
FELL = {"taker_sell_share": 0.2, "momentum_z": -2.0}


@pytest.mark.parametrize("strategy", [*STRATEGIES.values(), BOUNCE], ids=lambda one: one.name)
def test_contract(strategy: Strategy) -> None:
    """Weights make a hundred, each sub-score names its parts, and the gates are named once, the score's among them."""
    assert sum(strategy.weights.values()) == 100
    assert strategy.parts.keys() == strategy.weights.keys()
    assert strategy.settings is StrategySettings or strategy.settings.strategy == strategy.name
    names = [gate.name for gate in strategy.gates]
    assert len(set(names)) == len(names)
    assert {"score", "eligible", "open_signal", "cooldown", "paused", "muted"} <= set(names)
    frame = legs_in_zone() if strategy.needs_candles else passing(3)
    scores = strategy.score(frame, SETTINGS)
    assert scores.sub_scores.shape == (len(strategy.weights), 3)
    bound = strategy.bound(frame, SETTINGS, Limits.fresh(), ())
    assert (bound >= scores.total)[frame.instruments.is_eligible & (scores.total > 0)].all()
    assert strategy.reasons(frame, scores, 0, SETTINGS)


def legs_in_zone() -> FeatureFrame:
    """Return a LONG at its entry, a SHORT that has gone past it, and Bitcoin."""
    market = planted()
    for price in (97.3, 96.9):
        market.tick(price, 99.0)
    return market.tick(95.9, 99.0)


def test_the_docs_show_the_example() -> None:
    """The code in docs/strategies.md is the example, so what a newcomer copies runs."""
    root = Path(__file__).parents[3]
    example = (root / "tests/scoring/strategies/bounce_long.py").read_text()
    assert example.split('"""', 2)[2].strip() in (root / "docs/strategies.md").read_text()


def test_lowest_score() -> None:
    """It is the limit of the gate on the score, the user's where there is a setting for it."""
    assert UPS.lowest_score(SETTINGS) == 72
    assert BOUNCE.lowest_score(SETTINGS) == 70
    assert UPS.lowest_score(make_settings(min_score=60.0)) == lowest_score(["ups"], make_settings(min_score=60.0)) == 60


def test_chosen() -> None:
    """The order is the table's, not the setting's."""
    assert [strategy.name for strategy in chosen(["ups"])] == ["ups"]
    assert chosen([]) == ()


def test_a_long_signal() -> None:
    """LONG enters at the ask, its target above and its stop below; the signal names its strategy."""
    (signal,) = decide(NOW_MS, passing(**FELL), Limits.fresh(), (), SETTINGS, (BOUNCE,)).signals
    assert (signal.strategy, signal.side) == ("bounce", Side.LONG)
    levels = signal.levels
    assert (levels.entry, levels.take_profits, levels.stop) == (100.01, (101.71,), 99.31)
    assert signal.reasons == ("price -2.0 sigma", "only 20 % of takers sell")
    assert list(signal.contributions) == ["fall", "buyers"]


@pytest.mark.parametrize(("strategy", "usdt"), [(UPS, 7_000.0), (BOUNCE, 9_000.0)], ids=["short", "long"])
def test_what_can_be_filled_at_once_is_of_the_side(strategy: Strategy, usdt: float) -> None:
    """A SHORT sells to the bids, a LONG buys from the asks."""
    frame = passing(sellable_usdt=7_000.0, buyable_usdt=9_000.0, **(FELL if strategy is BOUNCE else {}))
    (signal,) = decide(NOW_MS, frame, Limits.fresh(), (), SETTINGS, (strategy,)).signals
    assert signal.sellable_usdt == usdt


def test_one_coin_one_signal_whichever_strategy() -> None:
    """The first strategy takes the coin; the other finds it open, and takes its own."""
    frame = passing(2, taker_sell_share=[0.7, 0.2])
    two = (UPS, BOUNCE)
    given = decide(NOW_MS, frame, Limits.fresh(), (), SETTINGS, two)
    assert [(one.strategy, one.coin, one.id) for one in given.signals] == [("ups", "C0", 1), ("bounce", "C1", 2)]
    both = decide(NOW_MS, passing(**FELL, wall_ratio=12.0), Limits.fresh(), (), SETTINGS, two)
    assert [one.strategy for one in both.signals] == ["ups"]
    assert both.by_strategy["bounce"].funnel().refused["cooldown"] == 1


def test_limits_are_shared() -> None:
    """What one strategy used up of burst and cap is used up for the other."""
    used = limits(signal_times_ms=(NOW_MS - 2_000, NOW_MS - 1_000))
    decision = decide(NOW_MS, passing(**FELL), used, (), SETTINGS, (BOUNCE,))
    assert decision.signals == ()
    (miss,) = decision.near_misses
    assert (miss.strategy, miss.failed, miss.entry) == ("bounce", ("burst",), 100.01)


def test_the_deeper_side() -> None:
    """At equal scores a LONG prefers the deeper asks."""
    venues = [instrument(venue=venue) for venue in ("binance", "bybit")]
    frame = passing(instruments=venues, ask_depth_usdt=[6000.0, 7000.0], **FELL)
    (signal,) = decide(NOW_MS, frame, Limits.fresh(), (), SETTINGS, (BOUNCE,)).signals
    assert signal.venue == "bybit"


@pytest.mark.parametrize(("basis", "count"), [(0.0051, 0), (0.0049, 1), (-0.03, 1)])
def test_a_premium_to_the_index_is_too_late_for_a_long(basis: float, count: int) -> None:
    """The gate on the index is mirrored."""
    strategy = replace(BOUNCE, gates=(*BOUNCE.gates, DISCOUNT))
    decision = decide(NOW_MS, passing(index_basis=basis, **FELL), Limits.fresh(), (), SETTINGS, (strategy,))
    assert len(decision.signals) == count
