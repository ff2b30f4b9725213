"""Instruments that a tick polls: the open signals', all that the bulk data does not rule out, and recent candidates."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import numpy as np

from features.frame import FeatureFrame
from fetchers.poll_plan import Key, Wanted
from scoring.settings import ScoringSettings
from scoring.signals import Limits
from scoring.strategies.base import Strategy

WARM_MS = 600_000  #: wall and exhaustion compare with earlier books: these are there when a candidate comes back


class HotList:
    """The candidates of the last ten minutes, which are polled with what the others leave of the budget."""

    def __init__(self) -> None:
        self._until_ms: dict[Key, int] = {}

    def extend(self, found: Sequence[Wanted], now_ms: int, column: Mapping[Key, int]) -> list[Wanted]:
        """Return `found`, then the other candidates of the last WARM_MS, the latest first.

        `now_ms` is of a clock that is never set. Instruments that are no longer watched, in `column`, are forgotten.
        """
        asked = {want.key for want in found}
        fresh = {want.key: now_ms + WARM_MS for want in found if want.kind == "candidate"}
        late = {key: until_ms for key, until_ms in self._until_ms.items() if until_ms > now_ms and key in column}
        self._until_ms = late | fresh
        warm = sorted((key for key in late if key not in asked), key=lambda key: (-late[key], key))
        return [*found, *(Wanted(key=key, kind="warm") for key in warm)]


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
