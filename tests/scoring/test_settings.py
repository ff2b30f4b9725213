"""Which settings part one record from another."""

from dataclasses import replace

import pytest

from scoring.settings import ScoringSettings, record_version


@pytest.mark.parametrize(
    "changes", [{"min_score": 80.0}, {"burst_limit": 7}, {"timezone": "Asia/Tokyo"}, {"config_hash": "other"}]
)
def test_settings_outside_a_record(changes: dict[str, object]) -> None:
    """How many alerts may come, and what is only a name, begins no new record."""
    settings = ScoringSettings()
    assert record_version("1", replace(settings, **changes)) == record_version("1", settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"signal_timeout_s": 60.0}, {"max_spread_percent": 0.1}, {"features_hash": "x"}])
def test_settings_of_a_record(changes: dict[str, object]) -> None:
    """What decides an alert or how it ends begins a new record; so do other formulas."""
    settings = ScoringSettings()
    assert record_version("1", replace(settings, **changes)) != record_version("1", settings)  # type: ignore[arg-type]
    assert record_version("2", settings) != record_version("1", settings)
