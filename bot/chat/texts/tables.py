"""Parts of answers that several commands share: a table of scores, and what the gates say."""

from collections.abc import Iterable

from bot.chat.texts.markup import Markup, monospaced
from scoring.signals import Verdict


def table(rows: Iterable[tuple[str, float, str]]) -> Markup:
    """Return rows of a name, a figure and a text, 32 columns wide."""
    return monospaced("\n".join(f"{name[:19]:<19}{figure:6.1f} {rest:>6}" for name, figure, rest in rows))


def verdict_lines(verdicts: Iterable[Verdict]) -> list[str]:
    """Return each gate's verdict on a line of its own."""
    return [f"{'✓' if verdict.passed else '✗'} {verdict.reason}" for verdict in verdicts]
