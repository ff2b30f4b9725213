"""The record of a strategy: everything that decides, and nothing that acts on a decision."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from features.facts.market import FloatArray
from features.frame import FeatureFrame, features_at
from scoring.gates import Gate
from scoring.levels import LevelFrame
from scoring.reasons import Phrase, explain_score, missing_parts
from scoring.score import ScoreFrame, add_up
from scoring.settings import ScoringSettings, StrategySettings
from scoring.signals import Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """One way to find signals; its functions are pure and look at all n instruments at once."""

    name: str  #: in STRATEGIES, in the database and in statistics
    version: str  #: changes with its formulas: records of two versions are never added up
    weights: Mapping[str, float]  #: points of the hundred by sub-score, in the order in which they are added up
    parts: Mapping[str, tuple[str, ...]]  #: by sub-score, the parts of the feature frame that it needs
    #: (k, n) sub-scores of 0 to 100 in the order of the weights; what is missing adds 0
    sub_scores: Callable[[FeatureFrame, ScoringSettings], FloatArray]
    gates: tuple[Gate, ...]  #: all that must hold, in the order in which people read them; one is named "score"
    #: side, entry, targets and stop of a signal on each instrument, at a time [epoch ms]
    levels: Callable[[int, FeatureFrame, ScoringSettings], LevelFrame]
    #: (n,) the highest score that polling an instrument could still bring; -inf where none would bring a signal
    bound: Callable[[FeatureFrame, ScoringSettings, Limits, Collection[str]], FloatArray]
    #: (n,) the same where the prints are known, for a look between two ticks; None: it is not looked at between ticks
    hot_bound: Callable[[FeatureFrame, ScoringSettings, Limits, Collection[str]], FloatArray] | None = None
    phrases: tuple[Phrase, ...]  #: the words for its sub-scores
    needs_candles: bool = False  #: it reads closed candles, which are kept only then
    settings: type[StrategySettings] = StrategySettings  #: what it alone takes, for `ScoringSettings.of`
    #: what the phrases quote of the instrument in a column
    figures: Callable[[FeatureFrame, int, ScoringSettings], Mapping[str, Any]] = lambda features, column, _: (
        features_at(features, column)
    )

    #: what a signal on the instrument in a column keeps of why its levels are where they are
    plan: Callable[[FeatureFrame, int, ScoringSettings], dict[str, float]] = lambda *_: {}

    def score(self, features: FeatureFrame, settings: ScoringSettings) -> ScoreFrame:
        """Score every instrument."""
        return add_up(self.sub_scores(features, settings), self.weights)

    def reasons(
        self, features: FeatureFrame, scores: ScoreFrame, column: int, settings: ScoringSettings
    ) -> tuple[str, ...]:
        """Return what lifts the score of the instrument in `column`, strongest first."""
        return explain_score(
            scores,
            column,
            weights=self.weights,
            phrases=self.phrases,
            figures=self.figures(features, column, settings),
            missing=missing_parts(features, self.all_parts, column),
        )

    def lowest_score(self, settings: ScoringSettings) -> float:
        """Return the score from which on it signals."""
        return next(gate.limit(settings) for gate in self.gates if gate.name == "score")

    @property
    def all_parts(self) -> tuple[str, ...]:
        """The parts of the feature frame that the score needs, in the order of its sub-scores."""
        return tuple(dict.fromkeys(part for parts in self.parts.values() for part in parts))
