"""The values handed on in a tick: the market as seen, and at the end what was decided on it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from features.facts.market import Observation
from features.frame import FeatureFrame
from fetchers.health import Condition
from fetchers.poll_plan import Key
from scoring.decide import Decision
from scoring.score import ScoreFrame
from scoring.signals import OpenSignal

Seen: TypeAlias = Mapping[Key, Sequence[Observation]]  #: the books and prints of one tick


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The market as one tick sees it."""

    features: FeatureFrame  #: as of `features.now_ms`, when the last poll was over
    column: Mapping[Key, int]  #: the place of each instrument in the features
    seen: Seen  #: what came in this tick


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A tick that has ended. The clock was read at its start, after the polls, to decide, and at its end."""

    started_ms: int
    features: FeatureFrame  #: as of the end of the polls
    decided_ms: int
    decision: Decision
    open_signals: Mapping[int, OpenSignal]  #: by id, with those it gave
    conditions: Mapping[str, Condition]  #: by venue
    outbox: Mapping[str, int]  #: messages by delivery state
    ended_ms: int
    clock_step_ms: int = 0  #: by which the machine's clock was set just before it
    is_look: bool = False  #: it was between two ticks, at a few instruments
    commands: Sequence[Mapping[str, Any]] = ()  #: fields of the limits that commands changed since the decision before

    @property
    def leading_scores(self) -> ScoreFrame:
        """The scores of the first strategy, which order the leaderboard: those of two cannot be compared."""
        return next(iter(self.decision.by_strategy.values())).scores
