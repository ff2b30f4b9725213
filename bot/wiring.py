"""The parts of the bot, put together."""

from bot.clock import Clock
from bot.config.settings import Config
from fetchers.base import ProbedVenue
from fetchers.venues import build_venues


def configured_venues(config: Config, clock: Clock) -> list[ProbedVenue]:
    """Return the venues that the settings name, asked as they say."""
    venues = config.venues
    return build_venues(venues.exchanges, venues.urls, clock.monotonic_ms, venues.headroom, venues.routes)
