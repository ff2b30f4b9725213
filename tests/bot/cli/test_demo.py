"""What the demo says of itself."""

from pathlib import Path

from bot.cli.demo import OVERRIDES, Market, demo_config, demo_settings, planted_summary, scenario_for
from bot.config.settings import SETTINGS
from fetchers.simulated.scenario import Planted

SETUP = Planted(coin="AAA", venue="mexc", start_s=10, hold_s=5, fate="timeout")
LATER = Planted(coin="BBB", venue="mexc", start_s=90, hold_s=5, fate="timeout")
DECOY = Planted(coin="CCC", venue="mexc", start_s=10, hold_s=5, fate="timeout", lacks="sweep")
MARKET = Market(urls={"mexc": "http://127.0.0.1:1"}, planted=(SETUP, LATER, DECOY), start_ms=0)


def test_summary_of_a_good_run() -> None:
    """A setup whose time has not come is not counted."""
    assert planted_summary(MARKET, ["AAA"], 60_000) == (
        "planted setups alerted exactly once: 1 of 1; decoys alerted: 0 of 1; others alerted: 0"
    )


def test_summary_of_a_bad_run() -> None:
    """A setup alerted twice, one missed, a decoy and a dull coin alerted are all told, the last two by name."""
    assert planted_summary(MARKET, ["AAA", "AAA", "CCC", "DDD"], 120_000) == (
        "planted setups alerted exactly once: 0 of 2; decoys alerted: 1 of 1 (CCC); others alerted: 1 (DDD)"
    )


def test_overrides_are_all_there_is() -> None:
    """The demo's bot differs from a user's in what it prints, the market's addresses and its folder only."""
    changed = {line.partition("=")[0] for line in demo_config(MARKET, Path("x")).changed()}
    overridden = {name for name, value in OVERRIDES.items() if SETTINGS[name].default != value}
    assert changed == overridden | {"MEXC_URL", "MEXC_STREAM_URL", "DATA_DIR"}


def test_scenario_fits_the_time() -> None:
    """Every setup can end, by its fate or the timeout, before the demo does."""
    config = demo_settings()
    for planted in scenario_for(config, 120).planted:
        assert planted.end_s + config.scoring.signal_timeout_s <= 120
