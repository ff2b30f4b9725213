"""Legs on whose way back the price comes near its entry: worth a look, and no signal."""

from dataclasses import dataclass

import numpy as np

from features.facts.market import Instrument
from features.frame import FeatureFrame
from scoring.settings import ScoringSettings
from scoring.signals import Side
from scoring.strategies.levels.gates import MOST_ROWS
from scoring.strategies.levels.legs import Phase, find_legs


@dataclass(frozen=True, slots=True, kw_only=True)
class Approach:
    """One leg that is approaching its entry."""

    instrument: Instrument
    side: Side
    retraced: float  #: how far the price has come back, as a share of the leg
    entry: float  #: [USDT] its first
    key: tuple[str, str, int]  #: of the leg: venue, id, when its end opened


def find_approaches(features: FeatureFrame, settings: ScoringSettings) -> list[Approach]:
    """Return the legs between approach and entry that no price has reached the entry of, nearest to it first."""
    if features.candles is None:
        return []
    legs, readings, instruments = find_legs(features, settings), features.candles.readings, features.instruments
    is_untouched = ~(legs.retraced_before >= legs.entry1)
    is_fresh = instruments.is_eligible & (readings.known_rows <= MOST_ROWS)
    columns = np.flatnonzero((legs.phase == Phase.APPROACHING) & is_untouched & is_fresh)
    columns = columns[np.argsort((legs.entry1 - legs.retraced)[columns], kind="stable")]
    entry = legs.price(legs.entry1)
    return [
        Approach(
            instrument=instruments[column],
            side=Side.LONG if legs.direction[column] > 0 else Side.SHORT,
            retraced=float(legs.retraced[column]),
            entry=float(entry[column]),
            key=(*instruments[column].key, int(readings.end_ms[column])),
        )
        for column in columns.tolist()
    ]
