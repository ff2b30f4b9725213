"""Every strategy, in the order in which they take candidates: a new one is a file or folder here and an entry below."""

from collections.abc import Iterable

from scoring.settings import ScoringSettings
from scoring.strategies.base import Strategy
from scoring.strategies.levels import LEVELS
from scoring.strategies.ups_short import UPS_SHORT

STRATEGIES = {strategy.name: strategy for strategy in (UPS_SHORT, LEVELS)}


def chosen(names: Iterable[str]) -> tuple[Strategy, ...]:
    """Return the named strategies in the order of `STRATEGIES`."""
    wanted = set(names)
    return tuple(strategy for name, strategy in STRATEGIES.items() if name in wanted)


def lowest_score(names: Iterable[str], settings: ScoringSettings) -> float:
    """Return the score from which on one of the named strategies signals."""
    return min(strategy.lowest_score(settings) for strategy in chosen(names))
