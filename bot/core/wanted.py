"""Instruments that a tick polls: the open signals', and all that the bulk data does not rule out."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np

from features.frame import FeatureFrame
from fetchers.poll_plan import Key, Wanted
from scoring.settings import ScoringSettings
from scoring.signals import Limits
from scoring.strategies.base import Strategy


def wanted(
    features: FeatureFrame,
    column: Mapping[Key, int],
    strategies: Sequence[Strategy],
    limits: Limits,
    settings: ScoringSettings,
    *,
    open_keys: Collection[Key],
    open_names: Collection[str],
) -> list[Wanted]:
    """Return the instruments that are followed, then the candidates, each with how far it could pass its threshold.

    `features` are of bulk data only; `column` gives the place of each instrument in them.
    """
    # the scores of two strategies cannot be compared; how far each could pass its own threshold can
    margins = [one.bound(features, settings, limits, open_names) - one.lowest_score(settings) for one in strategies]
    bound = np.max(margins, axis=0)
    keys = list(column)

    def want(place: int, kind: Literal["open", "candidate"], margin: float = 0.0) -> Wanted:
        lender = int(features.lender[place])
        return Wanted(key=keys[place], kind=kind, bound=margin, lender=keys[lender] if lender >= 0 else None)

    followed = [want(column[key], "open") if key in column else Wanted(key=key, kind="open") for key in open_keys]
    return followed + [want(place, "candidate", float(bound[place])) for place in np.flatnonzero(bound >= 0).tolist()]
