"""Funnels added up over ticks: how far the instruments of a usual tick came, for people who receive nothing."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import escape

from bot.chat.texts.phrases import counted, words
from scoring.decide import Funnel
from scoring.thresholds import ThresholdRates


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


def funnel_lines(strategy: str, means: FunnelMeans) -> Iterator[str]:
    """Yield the funnel as lines of HTML."""
    yield f"<b>{escape(strategy)}</b>: {_count(means.seen)} of {_count(means.eligible)} pairs seen whole in a tick"
    if lacking := _listed(means.not_seen):
        yield f"Not seen: {lacking}"
    if refused := _listed(means.refused):
        yield f"Refused first by: {refused}; {_count(means.passed)} passed"


def thresholds_text(rates: ThresholdRates | None) -> str | None:
    """Return what another threshold would have given, None where nothing can be said."""
    if rates is None:
        return None
    return (
        f"Last {counted(round(rates.days), 'day')}: a threshold of {rates.now.threshold:g} gave"
        f" {rates.now.a_day:.1f} a day, {rates.lower.threshold:g} would have given {rates.lower.a_day:.1f}"
    )


def _listed(counts: dict[str, float]) -> str:
    return ", ".join(f"{escape(words(name).lower())} {_count(mean)}" for name, mean in counts.items() if mean)


def _count(mean: float) -> str:
    return f"{mean:,.0f}" if mean >= 10 or mean == round(mean) else f"{mean:.1f}" if mean >= 0.05 else "under 0.1"
