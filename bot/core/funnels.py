"""Funnels added up over ticks: how far the instruments of a usual tick came, for people who receive nothing."""

from collections import Counter
from dataclasses import dataclass, field

from scoring.decide import Funnel


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelMeans:
    """Instruments of a usual tick, by one strategy; each is counted once."""

    eligible: float
    not_seen: dict[str, float]  #: by what their data lacked, the most frequent first
    seen: float  #: with whole data
    refused: dict[str, float]  #: by the first gate that refused them, in the order of the gates
    passed: float


@dataclass(slots=True, kw_only=True)
class FunnelLog:
    """The sum of one strategy's funnels."""

    ticks: int = 0
    not_seen: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    passed: int = 0

    def note(self, funnel: Funnel) -> None:
        """Add a tick's."""
        self.ticks += 1
        self.not_seen.update(funnel.not_seen)
        self.refused.update(funnel.refused)
        self.passed += funnel.passed

    def means(self) -> FunnelMeans:
        """Return what a usual tick was like; zeros before the first."""
        ticks = max(1, self.ticks)
        seen = self.refused.total() + self.passed
        return FunnelMeans(
            eligible=(seen + self.not_seen.total()) / ticks,
            not_seen={why: count / ticks for why, count in self.not_seen.most_common()},
            seen=seen / ticks,
            refused={gate: count / ticks for gate, count in self.refused.items()},
            passed=self.passed / ticks,
        )
