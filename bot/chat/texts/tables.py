"""Parts of answers that several commands share: a table of scores, and what the gates say."""

from collections.abc import Iterable
from html import escape

from scoring.signals import Verdict


def table(rows: Iterable[tuple[str, float, str]]) -> str:
    """Return rows of a name, a figure and a text, 32 columns wide."""
    lines = "\n".join(f"{name[:19]:<19}{figure:6.1f} {rest:>6}" for name, figure, rest in rows)
    return f"<pre>{escape(lines)}</pre>"


def verdict_lines(verdicts: Iterable[Verdict]) -> list[str]:
    """Return each gate's verdict on a line of its own."""
    return [f"{'✓' if verdict.passed else '✗'} {escape(verdict.reason)}" for verdict in verdicts]
