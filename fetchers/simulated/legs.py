"""Planted legs: a price that has gone a long way, come back, and at a time reaches where `levels` enters; and decoys.

Shares are of the leg, counted from its end: 0 is the end, 1 the start. Rows are candles before the price reaches its
entry. Four earlier swings lie where the entry is, so that it is supported.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from features.facts.market import FloatArray

LegLack = Literal["range", "gone", "zone"]
LegFate = Literal["take_profit", "stop_loss"]

ENTRY = {"long": 0.71, "short": 0.65}  #: between the entries of the default settings
BEFORE = {"long": 0.60, "short": 0.52}  #: where the price waits
NEAR = {"long": 0.68, "short": 0.60}  #: near enough to be polled
FATES = {"take_profit": {"long": 0.15, "short": -0.03}, "stop_loss": {"long": 0.94, "short": 0.85}}
BACK, GONE = 0.40, 0.735
HEIGHT, SMALL_HEIGHT = 0.08, 0.024  #: of the price
END_ROW, START_ROW = -22, -38
EARLIER_ROWS = (-102, -86, -70, -54)
APART = (0.11, -0.08, -0.18, 0.21)  #: of the earlier swings from the entry, where they support nothing
APPROACH_S, WAIT_S, MOVE_S, FATE_S = 14.0, 6.0, 0.5, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantedLeg:
    """One leg (or decoy) on one coin of one venue; its price reaches the entry at `start_s`."""

    coin: str
    venue: str
    side: Literal["long", "short"]
    start_s: float  #: [s] after the market's start
    hold_s: float
    fate: LegFate = "take_profit"
    lacks: LegLack | None = None

    @property
    def end_s(self) -> float:
        """When the price leaves its entry for its fate [s]."""
        return self.start_s + self.hold_s


class LegPath:
    """The price of one planted leg; times are seconds since the market's start."""

    def __init__(self, planted: PlantedLeg, candle_interval_s: int) -> None:
        side, start_s = planted.side, planted.start_s
        entry, apart = ENTRY[side], APART if planted.lacks == "zone" else (0.0,) * len(APART)
        rows: list[tuple[float, float]] = [(EARLIER_ROWS[0] - 10, 0.55)]
        for row, aside in zip(EARLIER_ROWS, apart, strict=True):
            rows += [(row - 8, BACK), (row, entry + aside)]
        rows += [(START_ROW - 8, BACK), (START_ROW, 1.0), (END_ROW, 0.0)]
        if planted.lacks == "gone":  # before the end is known, and without a swing of its own
            rows += [(END_ROW + 4, GONE), (-3.5, GONE + 0.005), (-2.5, BEFORE[side])]
        points = [(start_s + row * candle_interval_s, share) for row, share in rows]
        points += [
            (start_s - APPROACH_S, BEFORE[side]),
            (start_s - WAIT_S, NEAR[side]),
            (start_s, NEAR[side]),
            (start_s + MOVE_S, entry),
            (planted.end_s, entry),
            (planted.end_s + FATE_S, FATES[planted.fate][side]),
        ]
        self._times_s, self._shares = np.array(points).T
        self._height = SMALL_HEIGHT if planted.lacks == "range" else HEIGHT
        self._is_long = side == "long"

    def log_price(self, elapsed_s: FloatArray) -> FloatArray:
        """Return what the leg adds to the coin's log price."""
        share = np.interp(elapsed_s, self._times_s, self._shares)
        return np.asarray(np.log1p(self._height * (1 - share if self._is_long else share)))


def default_legs(*, first_s: float, seconds: float) -> tuple[PlantedLeg, ...]:
    """Return one long and one short leg, and a decoy of each kind, for a run of `seconds`."""
    hold_s = 12.0
    last_s = max(first_s, seconds - hold_s - 2 * FATE_S)
    plans: tuple[tuple[str, str, Literal["long", "short"], LegLack | None], ...] = (
        ("LEGUP", "bybit", "long", None),
        ("LEGDOWN", "bybit", "short", None),
        ("LEGSMALL", "bybit", "long", "range"),
        ("LEGGONE", "bybit", "long", "gone"),
        ("LEGBARE", "bybit", "short", "zone"),
    )
    return tuple(
        PlantedLeg(
            coin=coin,
            venue=venue,
            side=side,
            start_s=first_s + (last_s - first_s) * place / (len(plans) - 1),
            hold_s=hold_s,
            lacks=lacks,
        )
        for place, (coin, venue, side, lacks) in enumerate(plans)
    )
