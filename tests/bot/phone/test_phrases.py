"""The small phrases of every text."""

import pytest

from bot.phone.phrases import LONGEST, counted, duration_text, fit, signed, until_text, usdt_text, words
from scoring.signals import FOREVER_MS
from tests.builders import NOW_MS


def test_fit() -> None:
    """Absent lines take no room, and what is too long ends with an ellipsis instead of being cut inside a line."""
    assert fit("a", None, "b") == "a\nb"
    lines = fit(*["x" * 99] * 60).split("\n")
    assert lines[-1] == "…"
    assert set(lines[:-1]) == {"x" * 99}
    assert sum(len(line) + 1 for line in lines) <= LONGEST


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (7.14, "7.1 s"), (45, "45 s"), (723, "12 min 3 s"), (7_200, "2 h"), (190_000, "2 d 4 h")],
)
def test_durations(seconds: float, text: str) -> None:
    """Two units at most, rounded down."""
    assert duration_text(seconds) == text


def test_figures() -> None:
    """Percentages have their sign and no -0.00; amounts that are not known say so."""
    assert [signed(value) for value in (1.234, -0.5, -0.001, 0.0)] == ["+1.23", "-0.50", "+0.00", "+0.00"]
    assert (usdt_text(1234.5), usdt_text(float("nan"))) == ("1,234 USDT", "unknown")


def test_ends() -> None:
    """The end of a pause is a local time, or the command that ends it."""
    assert until_text(NOW_MS, "Europe/Rome") == "until 14 Nov 23:13 CET"
    assert until_text(FOREVER_MS, "UTC", ended_by="/unmute") == "until /unmute"


def test_counted() -> None:
    """One is not many."""
    assert [counted(count, "stop") for count in (0, 1, 2, 1200)] == ["0 stops", "1 stop", "2 stops", "1,200 stops"]


def test_words() -> None:
    """Names of the code become words."""
    assert [words(name) for name in ("oi_divergence", "btc_pump", "sweep")] == ["OI divergence", "BTC pump", "Sweep"]
