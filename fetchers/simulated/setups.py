"""The course of one planted setup: how it bends price, open interest, book and flow of its coin over time.

Sizes are chosen well past each limit of docs/features.md; tests/fetchers/simulated/test_scenario.py computes
the formulas from the wire and checks so.
"""

from dataclasses import dataclass

import numpy as np

from features.facts.market import BoolArray, FloatArray, IntArray
from features.settings import FeatureSettings
from fetchers.simulated.scenario import FATE_S, Planted

_FATE_LOG_PRICE = {"take_profit": -0.028, "stop_loss": 0.022, "timeout": 0.0}
_EXTENDED_LOG_PRICE = 0.11  # how far above its earlier level the coin trades before the fall
_FALL = 0.0125
_HELD_FALL = 0.0015
_FROZEN_BEFORE_S = 5.0

WALL_LEVEL = 8  #: about which ask level carries the wall, 0 is the best
SWEEP_LEVELS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BookShape:
    """A planted book's difference from its ordinary self, as factors on its quantities."""

    bids: float = 1.0
    asks: float = 1.0
    wall: float = 1.0  #: on one level of the asks, on top of `asks`


class Setup:
    """One planted setup with its lengths worked out; times are seconds since the market's start."""

    def __init__(self, planted: Planted, settings: FeatureSettings) -> None:
        self.planted = planted
        self._settings = settings
        self._ramp_s = settings.oi_window_s - planted.hold_s
        self._sweep_period_s = int(min(max(settings.sweep_ttl_s / 3, 2), 10))

    def log_price(self, elapsed_s: FloatArray) -> FloatArray:
        """Return what the setup adds to the coin's log price."""
        fall = _FALL * self._ramp(elapsed_s)
        held = _HELD_FALL * self._held(elapsed_s)
        if self.planted.lacks == "oi_divergence":  # keeps falling: the points it has no open interest for
            held = _FALL * self._held(elapsed_s) * self.planted.hold_s / self._ramp_s
        after = np.clip((elapsed_s - self.planted.end_s) / FATE_S, 0, 1)
        return self._extension(elapsed_s) - fall - held + _FATE_LOG_PRICE[self.planted.fate] * after

    def open_interest(self, elapsed_s: FloatArray) -> FloatArray:
        """Return the factor on the coin's open interest: up while the price falls, given back after the hold."""
        after = np.clip((elapsed_s - self.planted.end_s) / (self._settings.oi_window_s / 4), 0, 1)
        size = {"oi_divergence": 0.0, "score": 0.25}.get(self.planted.lacks or "", 1.0)
        rise = 0.035 * self._ramp(elapsed_s) + 0.01 * self._held(elapsed_s)
        return np.asarray(1 + size * (rise - 0.06 * after))

    def funding_rate_8h(self) -> float:
        """Return the coin's funding rate."""
        return 0.0 if self.planted.lacks == "score" else 0.0012

    def book(self, elapsed_s: float) -> BookShape:
        """Return the book's shape: ordinary outside the hold."""
        if not self.is_held(elapsed_s):
            return BookShape()
        if self.planted.lacks == "score":
            return BookShape(asks=2.2)
        if self.planted.lacks == "ask_imbalance":
            return BookShape(bids=0.38, asks=0.26, wall=15.0)
        return BookShape(bids=0.38, asks=1.7, wall=15.0)

    def book_time_ms(self, time_ms: int, start_ms: int) -> int:
        """Return the time the venue prints on the book: where it went stale, the last one before it did."""
        if self.planted.lacks != "stale_data":
            return time_ms
        age_s = max(self._settings.max_data_age_s, self._settings.book_frozen_s) + _FROZEN_BEFORE_S
        return min(time_ms, start_ms + int((self.planted.start_s - age_s) * 1000))

    def sell_share(self, elapsed_s: FloatArray) -> FloatArray:
        """Return the chance of a print to be a taker sale."""
        is_pressed = (elapsed_s >= self.planted.start_s - 1.5 * self._settings.flow_window_s) & (
            elapsed_s < self.planted.end_s
        )
        return np.where(is_pressed, 0.93, 0.5)

    def is_sweep_second(self, second: IntArray) -> BoolArray:
        """Which whole seconds hold a sweep."""
        first = int(np.ceil(self.planted.start_s))
        is_held = (second >= first) & (second + 1 <= self.planted.end_s)
        return np.asarray(is_held & ((second - first) % self._sweep_period_s == 0) & (self.planted.lacks != "sweep"))

    def is_held(self, elapsed_s: float) -> bool:
        """Return whether the setup is on at this time."""
        return self.planted.start_s <= elapsed_s < self.planted.end_s

    def _ramp(self, elapsed_s: FloatArray) -> FloatArray:
        return np.clip(1 - (self.planted.start_s - elapsed_s) / self._ramp_s, 0, 1)

    def _held(self, elapsed_s: FloatArray) -> FloatArray:
        return np.clip((elapsed_s - self.planted.start_s) / self.planted.hold_s, 0, 1)

    def _extension(self, elapsed_s: FloatArray) -> FloatArray:
        # the day before: a slow rise from eight to four hours before the fall, and then sideways
        hours_before = (self.planted.start_s - self._ramp_s - elapsed_s) / 3600
        size = -0.03 if self.planted.lacks == "score" else _EXTENDED_LOG_PRICE
        return size * np.clip(2 - hours_before / 4, 0, 1)
