"""How far the instruments of a usual tick came, and what another threshold would have given, as HTML."""

from collections.abc import Iterator

from bot.chat.texts.markup import html
from bot.chat.texts.phrases import counted, words
from bot.core.funnels import FunnelMeans
from scoring.thresholds import ThresholdRates


def funnel_lines(strategy: str, means: FunnelMeans) -> Iterator[str]:
    """Yield the funnel as lines of HTML."""
    yield html("<b>{}</b>: {} of {} pairs seen whole in a tick", strategy, _count(means.seen), _count(means.eligible))
    if lacking := _listed(means.not_seen):
        yield f"Not seen: {lacking}"
    if refused := _listed(means.refused):
        yield f"Refused first by: {refused}; {_count(means.passed)} passed"


def thresholds_text(rates: ThresholdRates) -> str:
    """Return what another threshold would have given."""
    return (
        f"Last {counted(round(rates.days), 'day')}: a threshold of {rates.now.threshold:g} gave"
        f" {rates.now.a_day:.1f} a day, {rates.lower.threshold:g} would have given {rates.lower.a_day:.1f}"
    )


def _listed(counts: dict[str, float]) -> str:
    return ", ".join(f"{words(name).lower()} {_count(mean)}" for name, mean in counts.items() if mean)


def _count(mean: float) -> str:
    return f"{mean:,.0f}" if mean >= 10 or mean == round(mean) else f"{mean:.1f}" if mean >= 0.05 else "under 0.1"
