"""The planted setups, checked from the wire with the formulas of docs/features.md in plain Python."""

import numpy as np
import pytest

from features.settings import FeatureSettings
from fetchers.simulated.scenario import FATE_S, Planted, Scenario
from fetchers.simulated.setups import Setup
from tests.fetchers.simulated import formulas
from tests.fetchers.simulated.stage import (
    SECONDS,
    SETTINGS,
    START_MS,
    TIMEOUT_S,
    Look,
    look,
    make_market,
    make_scenario,
    make_wires,
)

SCENARIO = make_scenario()
MARKET = make_market(scenario=SCENARIO)
SETUPS = [planted for planted in SCENARIO.planted if planted.lacks is None]
DECOYS = [planted for planted in SCENARIO.planted if planted.lacks is not None]
OFFSET_MS = 137  # ticks do not fall on full seconds


def _watch(planted: Planted, first_s: float, last_s: float, *, step_s: float = 1.0) -> tuple[list[Look], list[Look]]:
    """Look at a planted coin, and at where its flow is, every `step_s`."""
    wires = make_wires(MARKET)  # with fresh limits
    looks, flow = [], []
    for elapsed_s in np.arange(np.floor(first_s), last_s, step_s):
        now_ms = START_MS + int(elapsed_s * 1000) + OFFSET_MS
        looks.append(look(wires, planted.venue, planted.coin, now_ms))
        is_borrowed = planted.flow_venue != planted.venue
        flow.append(look(wires, planted.flow_venue, planted.coin, now_ms) if is_borrowed else looks[-1])
    return looks, flow


def _btc_return(now_ms: int) -> float:
    now, then = (
        MARKET.snapshot("bybit", at).bid_price[MARKET.place("bybit", "BTCUSDT")]
        for at in (now_ms, now_ms - int(SETTINGS.btc_window_s * 1000))
    )
    return float(now / then - 1)


def _held(planted: Planted, looks: list[Look]) -> list[int]:
    """The looks inside the hold from the first that can have seen a sweep and two books of it."""
    first_ms = START_MS + (np.ceil(planted.start_s) + 1) * 1000
    last_ms = START_MS + planted.end_s * 1000
    return [i for i, looked in enumerate(looks) if first_ms <= looked.now_ms < last_ms]


@pytest.mark.parametrize("planted", SETUPS, ids=lambda planted: planted.coin)
def test_a_setup_holds_well_past_each_limit_and_is_over_with_its_hold(planted: Planted) -> None:
    """Every gate passes with room through the hold, the score begins above 95, and afterwards nothing passes."""
    looks, flow = _watch(planted, planted.start_s - 21, planted.end_s + 5)
    held = _held(planted, looks)
    assert len(held) >= 8
    for i in held:
        seen, lent, now_ms = looks[: i + 1], flow[: i + 1], looks[i].now_ms
        score, rise, fall = formulas.oi_divergence(lent, SETTINGS)
        assert formulas.score(seen, lent, _btc_return(now_ms), SETTINGS) >= 85
        assert score == 100
        assert rise >= 0.025
        assert fall <= -0.012
        assert formulas.wall_ratio(seen[-1]) >= 12
        assert formulas.exhaustion(seen, SETTINGS) >= 0.5
        assert formulas.depths(seen[-1])[0] >= 10_000
        assert formulas.ask_share(seen[-1]) >= 0.8
        assert formulas.sell_share(lent[-1].prints, now_ms, SETTINGS) > 0.8
        assert formulas.best_sweep(lent[-1].prints, now_ms, SETTINGS)[1] >= 10
        assert formulas.spread(seen[-1]) < 0.001
        assert seen[-1].funding_rate_8h >= 0.001
        assert seen[-1].price / seen[-1].vwap_24h - 1 > 0.05
        assert not formulas.failed_gates(seen, lent, _btc_return(now_ms), SETTINGS)
        assert abs(seen[-1].price / looks[held[0]].price - 1) < 0.003
    first = looks[: held[0] + 1], flow[: held[0] + 1]
    assert formulas.score(*first, _btc_return(first[0][-1].now_ms), SETTINGS) > 95
    assert formulas.momentum_z(looks[: held[0]], SETTINGS) < -2  # at the start of the hold, falling fast
    after = [i for i, looked in enumerate(looks) if looked.now_ms >= START_MS + planted.end_s * 1000 + 250]
    for i in (held[0] - 3, *after):
        failed = formulas.failed_gates(looks[: i + 1], flow[: i + 1], _btc_return(looks[i].now_ms), SETTINGS)
        assert {"score", "ask_imbalance"} <= failed


@pytest.mark.parametrize("planted", DECOYS, ids=lambda planted: planted.lacks)
def test_a_decoy_lacks_exactly_its_one_condition_by_far(planted: Planted) -> None:
    """All through the hold, and before and after it never nothing at all."""
    looks, flow = _watch(planted, planted.start_s - 21, planted.end_s + 5)
    held = _held(planted, looks)
    assert len(held) >= 8
    for i in range(held[0] - 4, len(looks)):
        seen, lent = looks[: i + 1], flow[: i + 1]
        failed = formulas.failed_gates(seen, lent, _btc_return(seen[-1].now_ms), SETTINGS)
        if i in held:
            assert failed == {planted.lacks}
        else:
            assert planted.lacks in failed or "score" in failed
    last = looks[held[-1]]
    by_far = {
        "score": lambda: formulas.score(looks[: held[-1] + 1], flow[: held[-1] + 1], 0.0, SETTINGS) < 62,
        "bid_depth": lambda: formulas.depths(last)[0] < 3_000,
        "ask_imbalance": lambda: formulas.ask_share(last) < 0.56,
        "sweep": lambda: formulas.best_sweep(flow[held[-1]].prints, last.now_ms, SETTINGS) == (0.0, 0.0),
        "oi_divergence": lambda: formulas.oi_divergence(flow[: held[-1] + 1], SETTINGS)[0] < 5,
        "spread": lambda: formulas.spread(last) > 0.008,
        "stale_data": lambda: last.now_ms - last.book_ms > 60_000,
    }
    assert by_far[planted.lacks or ""]()


def test_a_lender_is_not_alertable_itself() -> None:
    """The venue that lends open interest and flow shows an ordinary book."""
    planted = next(planted for planted in SETUPS if planted.flow_venue != planted.venue)
    looks, flow = _watch(planted, planted.start_s - 21, planted.end_s)
    for i in _held(planted, looks):
        failed = formulas.failed_gates(flow[: i + 1], flow[: i + 1], 0.0, SETTINGS)
        assert {"score", "ask_imbalance"} <= failed


@pytest.mark.parametrize("planted", SETUPS, ids=lambda planted: planted.coin)
def test_a_setup_meets_its_fate(planted: Planted) -> None:
    """After the hold the price falls past any take-profit, rises past any stop, or stays within 0.4 %."""
    looks, _ = _watch(planted, planted.end_s, planted.end_s + max(FATE_S, TIMEOUT_S) + 1, step_s=2.0)
    moves = np.array([looked.price for looked in looks]) / looks[0].price - 1
    if planted.fate == "take_profit":
        assert moves[6:].max() < -0.025
        assert moves.max() < 0.001
    elif planted.fate == "stop_loss":
        assert moves[6:].min() > 0.02
        assert moves.min() > -0.001
    else:
        assert np.abs(moves).max() < 0.004


def test_a_setup_of_full_length_reads_the_same() -> None:
    """With the default windows (15 minutes of open interest) the formulas agree as well."""
    settings = FeatureSettings()
    planted = Planted(coin="LONGA", venue="bybit", start_s=1000.0, hold_s=450.0, fate="timeout")
    market = make_market(scenario=Scenario(settings=settings, planted=(planted,)))
    wires = make_wires(market)
    times = [*range(100, 940, 20), *range(940, 1012, 5)]
    looks = [look(wires, "bybit", "LONGA", START_MS + at * 1000 + OFFSET_MS) for at in times]
    assert formulas.score(looks, looks, 0.0, settings) > 95
    assert not formulas.failed_gates(looks, looks, 0.0, settings)


def test_open_interest_and_price_bend_without_a_jump() -> None:
    """From a quarter second to the next neither moves by more than half a percent."""
    times = np.arange(0.0, SECONDS, 0.25)
    for planted in SCENARIO.planted:
        setup = Setup(planted, SETTINGS)
        assert np.abs(np.diff(setup.log_price(times))).max() < 0.001
        assert np.abs(np.diff(setup.open_interest(times))).max() < 0.005
