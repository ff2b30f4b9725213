"""What the daily report counts, and when it comes."""

from bot.chat.texts.daily_report import render_report
from bot.core.activity import DayLog
from fetchers.health import Condition
from scoring.records import compare
from tests.bot.builders import make_funnel
from tests.storage.builders import DECIDED_MS, make_outcome, make_signal
from tests.telegram_html import read_html


def test_a_day() -> None:
    """The report says that the bot lives, what it saw, what it did and which venues were there."""
    log = DayLog(since_ms=DECIDED_MS)
    for tick in range(720):
        conditions = {"bybit": Condition.OK, "mexc": Condition.BLIND if tick < 72 else Condition.DEGRADED}
        log.note(2400, (60 + tick / 100, "PEPE/USDT Bybit"), {"ups": make_funnel()}, conditions)
    signal, outcome = make_signal(1), make_outcome(1)
    html = render_report(
        log,
        [(signal, outcome), (make_signal(2), None)],
        compare([(signal, outcome)]),
        DECIDED_MS + 3_600_000,
        "UTC",
    )
    assert read_html(html).splitlines() == [
        "Alive: 720 looks at 2,400 pairs, 28,800 scans a minute",
        "Since 14 Nov 22:13 UTC, 1 h",
        "Best score: 67.2 PEPE/USDT Bybit",
        "Alerts: 2, of them 1 still open",
        "Ended: alerts +1.77 R (too few days for an interval, n 1), 1 of 1 won, 100 % (21 to 100 %), unproven",
        "Too few yet to compare with chance (1 alert, 0 controls)",
        "ups: 12 of 2,000 pairs seen whole in a tick",
        "Not seen: book not seen 1,900, exhaustion warming up 88",
        "Refused first by: score 10, sweep 1; 1 passed",
        "Venues seen: Bybit 100.0 %, MEXC 90.0 %",
    ]


def test_a_day_of_nothing() -> None:
    """A bot that has not looked yet says so and divides by nothing."""
    text = read_html(render_report(DayLog(since_ms=DECIDED_MS), [], None, DECIDED_MS, "UTC"))
    assert "Nothing was scored" in text
    assert "Ended: none" in text
