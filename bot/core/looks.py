"""When a decision between two ticks is worth its cost: who has become hot, and whose selling goes on."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from bot.clock import Clock
from bot.core.market import Market
from bot.core.tick import View
from features.facts.market import FloatArray, Observation, Prints, Trades
from features.frame import FeatureFrame
from fetchers.poll_plan import Key
from scoring.settings import ScoringSettings
from scoring.signals import Limits
from scoring.strategies.base import Strategy

APART_MS = 250  #: from one look to the next at least
COST_SHARE = 1 / 20  #: of the time that looks may take


class LookTrigger:
    """Knows who was hot, and which sweeps have been looked at already."""

    def __init__(self) -> None:
        self._hot: frozenset[Key] = frozenset()
        self._sweeps_ms: FloatArray = np.zeros(0)
        self._not_before_ms = 0

    def is_worth_features(self, arrived: Iterable[Observation], sweeps_ms: FloatArray, now_ms: int) -> bool:
        """Return whether somebody may have become hot: a sweep has grown, or more than prints has come.

        `sweeps_ms` is of `MarketState.newest_sweeps_ms`, `now_ms` of a clock that is never set.
        """
        if now_ms < self._not_before_ms:
            return False
        is_other = any(not isinstance(one, Prints | Trades) for one in arrived)
        return is_other or bool(self._has_grown(sweeps_ms).any())

    def choose(
        self,
        features: FeatureFrame,
        column: Mapping[Key, int],
        hot: Collection[Key],
        open_keys: Collection[Key],
        sweeps_ms: FloatArray,
    ) -> list[Key]:
        """Return who is to be looked at now: the newly hot, then the hot and the open whose sweep has grown.

        A borrower's sweep is its lender's.
        """
        source = np.where(features.borrows_flow, features.lender, np.arange(len(column)))
        has_grown = self._has_grown(sweeps_ms)[source]
        new = [key for key in hot if key not in self._hot]
        growing = [key for key in (*hot, *open_keys) if key in column and has_grown[column[key]]]
        self.saw(hot, sweeps_ms)
        return list(dict.fromkeys((*new, *growing)))

    def saw(self, hot: Collection[Key], sweeps_ms: FloatArray) -> None:
        """Take these as looked at, with the sweeps as they are."""
        self._hot, self._sweeps_ms = frozenset(hot), sweeps_ms

    def note(self, now_ms: int, took_ms: int, *, is_look: bool) -> None:
        """Space what follows: the question whom to look at took so long, and somebody is looked at or nobody."""
        self._not_before_ms = now_ms + max(APART_MS if is_look else 0, round(took_ms / COST_SHARE))

    def _has_grown(self, sweeps_ms: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        if len(self._sweeps_ms) != len(sweeps_ms):  # another universe: whoever sells is new
            self._sweeps_ms = np.zeros(len(sweeps_ms))
        return np.asarray(sweeps_ms > self._sweeps_ms)


def hot_keys(
    features: FeatureFrame,
    column: Mapping[Key, int],
    strategies: Sequence[Strategy],
    limits: Limits,
    settings: ScoringSettings,
    open_names: Collection[str],
) -> list[Key]:
    """Return who could pass every gate with another book and open interest, given the prints, the best first."""
    margins = [
        one.hot_bound(features, settings, limits, open_names) - one.lowest_score(settings)
        for one in strategies
        if one.hot_bound is not None
    ]
    if not margins:
        return []
    margin, keys = np.max(margins, axis=0), list(column)
    places = np.flatnonzero(margin >= 0)
    return [keys[place] for place in places[np.argsort(-margin[places], kind="stable")].tolist()]


class Bound(Protocol):
    """What earlier signals and the user's commands forbid, as the ledger knows it."""

    limits: Limits

    def open_names(self) -> Collection[str]:
        """Return the coins and the instruments that have an open signal."""

    def open_keys(self) -> Collection[Key]:
        """Return (venue, id) of the instruments that are followed."""


class Looks:
    """Chooses whom to look at between two ticks."""

    def __init__(
        self, market: Market, ledger: Bound, strategies: Sequence[Strategy], settings: ScoringSettings, clock: Clock
    ) -> None:
        self._market = market
        self._ledger = ledger
        self._strategies = strategies
        self._settings = settings
        self._clock = clock
        self._trigger = LookTrigger()

    def choose(self, arrived: Sequence[Observation]) -> list[Key]:
        """Return who is worth a look now that this has arrived."""
        began_ms, sweeps_ms = self._clock.monotonic_ms(), self._market.state.newest_sweeps_ms()
        if not self._trigger.is_worth_features(arrived, sweeps_ms, began_ms):
            return []
        view = self._market.view(self._clock.now_ms())
        keys = self._trigger.choose(view.features, view.column, self._hot(view), self._ledger.open_keys(), sweeps_ms)
        ended_ms = self._clock.monotonic_ms()
        # a look computes the features once more
        self._trigger.note(ended_ms, (ended_ms - began_ms) * (2 if keys else 1), is_look=bool(keys))
        return keys

    def saw(self, view: View) -> None:
        """Take whoever had a book or prints in a tick as looked at."""
        self._trigger.saw([key for key in self._hot(view) if key in view.seen], self._market.state.newest_sweeps_ms())

    def _hot(self, view: View) -> list[Key]:
        limits, names = self._ledger.limits, self._ledger.open_names()
        return hot_keys(view.features, view.column, self._strategies, limits, self._settings, names)
