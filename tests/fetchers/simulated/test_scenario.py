from dataclasses import replace

import pytest

from features.facts.venues import VENUES
from features.settings import FeatureSettings
from fetchers.simulated.scenario import FATE_S, Planted, Scenario, default_scenario
from tests.fetchers.simulated.stage import SECONDS, SETTINGS, TIMEOUT_S, make_scenario

PLANTED = Planted(coin="AAA", venue="bybit", start_s=30.0, hold_s=10.0, fate="timeout")


def test_the_default_scenario_fills_the_demo() -> None:
    """A setup per venue, every fate, a decoy per lacking condition, and all of it over when the demo is."""
    scenario = make_scenario()
    setups = [planted for planted in scenario.planted if planted.lacks is None]
    decoys = [planted for planted in scenario.planted if planted.lacks is not None]
    assert {planted.venue for planted in setups} == set(VENUES)
    assert {planted.fate for planted in setups} == {"take_profit", "stop_loss", "timeout"}
    assert len({planted.lacks for planted in decoys}) == len(decoys) == 7
    assert 20 <= min(planted.start_s for planted in setups) <= 25
    assert max(planted.end_s for planted in setups) + max(TIMEOUT_S, FATE_S) < SECONDS
    borrower = next(planted for planted in setups if planted.venue == "lbank")
    assert borrower.flow_venue == "bybit"


def test_the_default_scenario_follows_the_windows() -> None:
    """With the full-length windows the same story takes its time."""
    scenario = default_scenario(FeatureSettings(), seconds=14_400, signal_timeout_s=3600)
    assert {planted.hold_s for planted in scenario.planted} == {630.0}
    assert min(planted.start_s for planted in scenario.planted) == pytest.approx(990.0)


def test_impossible_plans_are_refused() -> None:
    """A hold that outlasts the window, no hold at all, and a coin planted twice."""
    with pytest.raises(ValueError, match="hold_s was 16"):
        Scenario(settings=SETTINGS, planted=(replace(PLANTED, hold_s=16.0),))
    with pytest.raises(ValueError, match="hold_s was 0"):
        replace(PLANTED, hold_s=0.0)
    with pytest.raises(ValueError, match="planted twice"):
        Scenario(settings=SETTINGS, planted=(PLANTED, PLANTED))
