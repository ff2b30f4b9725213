"""The small phrases of every text."""

import re

import pytest

from bot.chat.texts.phrases import (
    LONGEST,
    comparison_text,
    counted,
    duration_text,
    fit,
    record_text,
    signed,
    until_text,
    usdt_text,
    words,
)
from scoring.records import Row, compare
from scoring.signals import FOREVER_MS
from tests.builders import NOW_MS
from tests.scoring.frames import outcome, signal


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


def rows(mean_r: float, days: int = 40, each: int = 2) -> list[Row]:
    """Return rows of that mean on so many days, with half an R of luck."""
    return [
        (signal(decided_ms=NOW_MS + day * 86_400_000), outcome(mean_r + (0.5, -0.5)[(day + n) % 2]))
        for day in range(days)
        for n in range(each)
    ]


@pytest.mark.parametrize(
    ("alerts", "chance", "begins", "ends"),
    [
        (rows(0.4, each=1), rows(-0.1, each=3), "Alerts less chance: +0.50 R (+0.", "), better than chance"),
        (rows(-0.2, each=1), rows(-0.9, each=3), "Alerts less", "), better than chance, but not shown to earn"),
        (rows(0.0, each=1), rows(-0.1, each=3), "Alerts less chance: +0.10 R (-0.", "), no difference shown"),
        (rows(0.4, each=1), rows(0.3, each=3), "Alerts less", "), no difference shown"),
        (rows(-0.9, each=1), rows(-0.1, each=3), "Alerts less", "), worse than chance"),
        (rows(5.0, each=1), [], "Too few yet to compare with chance", " (40 alerts, 0 controls)"),
        (rows(5.0, days=9, each=4), rows(-5.0), "Too few yet to compare with chance", " (36 alerts, 80 controls)"),
    ],
)
def test_the_sentence_that_compares(alerts: list[Row], chance: list[Row], begins: str, ends: str) -> None:
    """It calls alerts better only where the intervals are apart, and then says where they do not earn."""
    said = comparison_text(compare(alerts, chance))
    assert said is not None
    assert said.startswith(begins)
    assert said.endswith(ends)
    assert comparison_text(compare([], chance)) is None


def test_the_record_and_its_controls() -> None:
    """Chance stands beside the alerts with its interval and n, and only where there are controls."""
    alerts, chance = rows(0.1), rows(-0.1, each=4)
    said = record_text(compare(alerts, chance, left_out=3))
    assert re.match(
        r"alerts \+0\.10 R \([-+]0\.\d\d … \+0\.\d\d, n 80\), chance -0\.10 R \(-0\.\d\d … [-+]0\.\d\d, n 160\), ", said
    )
    assert said.endswith(", 3 of other settings left out")
    assert "chance" not in record_text(compare(alerts))
