"""The web app's questions to the running bot."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from bot.core.market import PriceHistory
from bot.core.status import BotStatus


class StatusSource(Protocol):
    """The bot as the web app reads it; numbers may be NaN or numpy's."""

    def status(self) -> BotStatus:
        """Return the bot's state now."""

    def now_ms(self) -> int:
        """Return the time on the bot's clock."""

    def strategies(self) -> Sequence[str]:
        """Return the names of the strategies that run, the leading one first."""

    def markets(self, limit: int = ..., strategy: str = ...) -> Sequence[Mapping[str, Any]]:
        """Return the leaderboard of a strategy, the leading one for "", best first."""

    def scores(self, strategy: str = ...) -> Mapping[str, Any]:
        """Return how many eligible instruments have which score, and the threshold."""

    def positions(self) -> Sequence[Mapping[str, Any]]:
        """Return the open signals with the price now."""

    def market(self, venue: str, instrument_id: str, strategy: str = ...) -> Mapping[str, Any] | None:
        """Return everything known of one pair, None where it is not watched."""

    def levels(self, venue: str, instrument_id: str) -> Mapping[str, Any] | None:
        """Return what levels makes of one pair, None where it is not watched or no candles are kept."""

    def candles(
        self, venue: str, instrument_id: str, interval: str, limit: int, before_ms: int | None = ...
    ) -> list[list[float]] | None:
        """Return closed candles of one pair, oldest first; None where none are kept of it in that interval."""

    async def history(self, venue: str, instrument_id: str) -> PriceHistory | None:
        """Return what is kept of a pair's price and open interest, None for nothing."""
