"""Which settings part one record from another, and what one strategy alone takes."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest

from scoring.settings import ScoringSettings, StrategySettings, record_version
from scoring.strategies.ups_short.settings import UpsSettings
from storage.codec import from_plain, to_plain
from tests.scoring.frames import make_settings


@dataclass(frozen=True, slots=True, kw_only=True)
class CalmSettings(StrategySettings):
    """What another strategy takes."""

    strategy: ClassVar[str] = "calm"

    min_calm: float = 3.0


def version(settings: ScoringSettings, own: type[StrategySettings] = UpsSettings) -> str:
    """Return the version of a strategy's records."""
    return record_version("1", settings, own)


@pytest.mark.parametrize(
    "changes", [{"min_score": 80.0}, {"burst_limit": 7}, {"timezone": "Asia/Tokyo"}, {"config_hash": "other"}]
)
def test_settings_outside_a_record(changes: dict[str, Any]) -> None:
    """How many alerts may come, and what is only a name, begins no new record."""
    assert version(make_settings(**changes)) == version(ScoringSettings())


@pytest.mark.parametrize(
    "changes",
    [{"signal_timeout_s": 60.0}, {"max_spread_percent": 0.1}, {"features_hash": "x"}, {"min_oi_divergence": 20.0}],
)
def test_settings_of_a_record(changes: dict[str, Any]) -> None:
    """What decides an alert or how it ends begins a new record; so do other formulas."""
    settings = ScoringSettings()
    assert version(make_settings(**changes)) != version(settings)
    assert record_version("2", settings, UpsSettings) != version(settings)


def test_a_strategys_settings_are_its_own() -> None:
    """They begin no new record of another strategy."""
    settings, plain = make_settings(min_oi_divergence=20.0), ScoringSettings()
    calm = replace(settings, own=settings.own | {"calm": {"min_calm": 4.0}})
    assert (settings.of(UpsSettings).min_oi_divergence, settings.of(CalmSettings).min_calm) == (20, 3)
    assert (calm.of(UpsSettings).min_oi_divergence, calm.of(CalmSettings).min_calm) == (20, 4)
    assert version(calm) == version(settings)
    assert version(settings, CalmSettings) == version(plain, CalmSettings) != version(calm, CalmSettings)


def test_they_are_stored_and_read() -> None:
    """Also as older code stored them, UPS's among all others; a field that is no more is left out."""
    settings = make_settings(min_score=61.0, min_oi_divergence=20.0, burst_limit=4)
    stored = to_plain(settings)
    assert from_plain(ScoringSettings, stored) == settings
    older = {name: value for name, value in stored.items() if name != "own"} | stored["own"]["ups"] | {"gone": 1}
    assert from_plain(ScoringSettings, older).of(UpsSettings) == settings.of(UpsSettings)
