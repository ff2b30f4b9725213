"""A quiet list of legs that come near their entry, where LEVELS_WATCH asks for it: edited as others join."""

from collections.abc import Sequence

from features.frame import FeatureFrame
from scoring.settings import ScoringSettings
from scoring.strategies.levels.settings import LevelsSettings
from scoring.strategies.levels.watch import Approach, find_approaches

LIST_MS = 3_600_000  #: after so long a new list begins
MOST_LEGS = 20


class LegWatch:
    """Collects the legs of one list; each is told once."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str, int], Approach] = {}
        self._began_ms = 0
        self.key = ""  #: what one list is edited by

    def add(self, features: FeatureFrame, settings: ScoringSettings) -> Sequence[Approach]:
        """Return the list where a leg has joined it, the newest first, nothing where none has."""
        if not settings.of(LevelsSettings).watch:
            return ()
        joined = [one for one in find_approaches(features, settings) if one.key not in self._told]
        if not joined:
            return ()
        if not 0 <= features.now_ms - self._began_ms < LIST_MS:
            self._told, self._began_ms, self.key = {}, features.now_ms, f"legs {features.now_ms}"
        self._told = {one.key: one for one in joined} | self._told
        return tuple(self._told.values())[:MOST_LEGS]
