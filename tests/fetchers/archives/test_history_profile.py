"""The rules by which a history was made."""

from bot.config.load import load_config
from fetchers.archives.history_profile import Profile
from scoring.strategies.ups_short.score import WEIGHTS


def test_a_name_says_what_is_not_usual() -> None:
    """Two sets of rules never share a name."""
    assert Profile(source="vision").name == "vision"
    assert Profile(source="vision", open_interest="strict", every_s=30).name == "vision-every_s=30-open_interest=strict"


def test_settings_are_the_bots() -> None:
    """They load, and the age of open interest is relaxed only where the rule says so."""
    config = load_config(Profile(source="vision").settings)
    assert (config.features.max_data_age_s, config.features.max_oi_age_s) == (35.0, 305.0)
    assert config.venues.exchanges == ("binance",)
    assert "MAX_OI_AGE_SECONDS" not in Profile(source="bybit", open_interest="strict").settings


def test_approximate_parts_are_parts() -> None:
    """What is named so is found again among the parts of the score."""
    assert Profile(source="vision").approximate.keys() < WEIGHTS.keys()
    assert "wall" in Profile(source="vision").missing
    assert not Profile(source="tardis").approximate
