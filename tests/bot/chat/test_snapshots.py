"""Every kind of message as its reader sees it, kept in tests/snapshots to be looked at.

`SNAPSHOTS=write python -m pytest tests/bot/chat/test_snapshots.py` writes them anew after a wanted change.
"""

import math
import os
import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from bot.chat.asking.handlers import render_help
from bot.chat.commands.count import render_count
from bot.chat.commands.health import render_health
from bot.chat.commands.menu import COMMANDS
from bot.chat.commands.misses import near_miss_line, near_miss_title
from bot.chat.commands.mutes import render_mutes
from bot.chat.commands.open_signals import open_line
from bot.chat.commands.score import other_venue_line, render_score
from bot.chat.commands.signals import signal_line
from bot.chat.commands.stats import render_stats
from bot.chat.commands.status import render_status
from bot.chat.commands.top import top_line
from bot.chat.commands.why import render_why
from bot.chat.texts import follow_ups
from bot.chat.texts.alerts import copy_text, entry_buttons, render_entry, render_exit, render_track_record
from bot.chat.texts.daily_report import render_report
from bot.chat.texts.listing import Listing
from bot.chat.texts.marks import add_follow_ups, mark_late, mark_lost, mark_may_repeat, mark_sent
from bot.chat.texts.markup import Markup, bold
from bot.chat.texts.notices import (
    render_cap,
    render_disk,
    render_guard,
    render_polling_conflict,
    render_start,
    render_stop,
    render_storm,
    render_venue_back,
    render_venue_blind,
)
from bot.core.activity import DayLog
from bot.core.status import Incident
from fetchers.health import Condition, Notice
from scoring.records import Records, by_exit_reason, closed_of, compare, summarise
from scoring.settings import ScoringSettings
from scoring.signals import FOREVER_MS, ExitReason, Result, Unreachable, Verdict
from scoring.statistics import Record
from storage.messages import Lost
from tests.bot.builders import make_funnel, make_open_signal, make_status
from tests.builders import instrument
from tests.storage.builders import DECIDED_MS, make_limits, make_near_miss, make_outcome, make_signal
from tests.telegram_html import length, read_html

FOLDER = Path(__file__).parents[2] / "snapshots"
ZONE = "Europe/Rome"
SIGNAL = make_signal(
    42,
    pair="XLM/USDT",
    contributions={"oi_divergence": 18.2, "liquidity_pressure": 14.1, "sweep": 13.0, "btc_microtrend": 10.0},
    sub_scores={"oi_divergence": 91.0, "liquidity_pressure": 70.5, "sweep": 86.7, "btc_microtrend": 100.0},
    score=76.4,
    decided_ms=DECIDED_MS + 85,
    reasons=("OI +2.1 % while price -1.3 % in 15 min", "asks 71 % of the book's depth"),
)
OUTCOME = make_outcome(42, reachable=Result(entry=0.00001232, gross_percent=1.49, net_percent=1.39, r=1.52))
CLOSED = [(replace(SIGNAL, id=number), make_outcome(number)) for number in range(1, 4)]
LOSS = Result(entry=0.000012345, gross_percent=-0.8, net_percent=-0.9, r=-1.13)
CLOSED.append((replace(SIGNAL, id=4), make_outcome(4, reason=ExitReason.STOP_LOSS, ideal=LOSS, reachable=LOSS)))
STATUS = make_status(
    now_ms=SIGNAL.decided_ms + 90_000,
    last_tick_ms=SIGNAL.decided_ms + 87_000,
    open_signals=(make_open_signal(42),),
    incidents=(Incident(what="flood wait", count=2, last_ms=DECIDED_MS, words="chat -200: retry after 17"),),
)


def record() -> Record:
    """The record of CLOSED and of as many controls, and of three alerts of other settings."""
    records = Records()
    for signal, outcome in CLOSED:
        records.add(closed_of(signal, outcome))
        records.add(closed_of(signal, CLOSED[-1][1], is_control=True))
    for signal, outcome in CLOSED[:3]:
        records.add(closed_of(replace(signal, version="0-other"), outcome))
    return records.like(SIGNAL)


def alert() -> Markup:
    """The alert as it leaves."""
    html = render_entry(SIGNAL, track_record=render_track_record(record(), SIGNAL.score), decided_after_ms=12)
    return mark_sent(html, 340)


def followed_alert() -> Markup:
    """The alert as it stands after all that can become of it."""
    settings = ScoringSettings(timezone=ZONE)
    before = make_open_signal(42, signal=SIGNAL, best_price=0.00001222, looked_ms=DECIDED_MS + 60_000)
    notices = (Notice(venue="bybit", is_back=is_back, since_ms=0) for is_back in (False, True))
    lines = [
        *follow_ups.of_look(before, replace(before, is_trailing_armed=True), settings),
        *(line for notice in notices for line in follow_ups.of_venue(notice, [before], DECIDED_MS + 300_000, settings)),
        follow_ups.of_exit(SIGNAL, OUTCOME, settings),
    ]
    return add_follow_ups(alert(), "".join(f"\n{line.html}" for line in lines))


def score() -> str:
    """How a pair stands, and where else the coin trades."""
    market = {
        "venue": "bybit",
        "score": 64.2,
        "instrument": instrument(id="PEPEUSDT"),
        "sub_scores": SIGNAL.sub_scores,
        "contributions": SIGNAL.contributions,
        "missing": {"sweep": "no data"},
        "verdicts": (
            Verdict(name="score", passed=False, value=64.2, limit=72.0, reason="score 64.2 < 72"),
            Verdict(name="spread", passed=True, value=0.1, limit=0.5, reason="spread 0.10 % < 0.5 %"),
        ),
    }
    return render_score(market, [other_venue_line(market | {"venue": "binance", "score": 51.0})])


def report() -> str:
    """A day's report."""
    log = DayLog(since_ms=DECIDED_MS - 86_400_000)
    for _ in range(4):
        log.note(2410, (71.2, "PEPE/USDT Binance"), {"ups": make_funnel()}, {"mexc": Condition.OK})
    return render_report(log, [(SIGNAL, None)], compare(CLOSED), DECIDED_MS, ZONE)


MESSAGES: dict[str, Callable[[], str]] = {
    "alert": alert,
    "alert_late": lambda: mark_late(alert(), 45, -0.35),
    "alert_may_repeat": lambda: mark_may_repeat(alert()),
    "alert_after_lost": lambda: mark_lost(alert(), Lost(expired=2, uncertain=1, failed=1)),
    "alert_followed": followed_alert,
    "score": score,
    "top": lambda: Listing(
        title=bold("Best scores now"),
        lines=[top_line({"score": 71.24 - n, "pair": f"COIN{n}/USDT", "venue": "binance"}) for n in range(12)],
        is_table=True,
    ).page(1),
    "disk_ill": lambda: render_disk("sgnl.db: database or disk is full"),
    "disk_well": lambda: render_disk(""),
    "exit": lambda: render_exit(SIGNAL, OUTCOME, reach_s=15),
    "exit_nobody_entered": lambda: render_exit(
        SIGNAL, make_outcome(42, is_ambiguous=True, unreachable=Unreachable.ENDED_BEFORE), reach_s=15
    ),
    "exit_not_known": lambda: render_exit(
        SIGNAL,
        make_outcome(
            42,
            reason=ExitReason.NOT_KNOWN,
            ideal=None,
            fill=math.nan,
            note="the candles do not reach back to the last look",
        ),
        reach_s=15,
    ),
    "storm": lambda: render_storm([make_near_miss(coin=coin, score=80) for coin in ("XLM", "PEPE")], 2, 300),
    "start": lambda: render_start("0.1.0", {"binance": 412, "lbank": 0}, (make_open_signal(42),), DECIDED_MS + 90_000),
    "stop": lambda: render_stop("it was told to", (make_open_signal(42),), DECIDED_MS + 90_000),
    "venue_blind": lambda: render_venue_blind("mexc", 130, "HTTP 503"),
    "venue_back": lambda: render_venue_back("mexc", 310),
    "guard": lambda: render_guard(3, 3600, DECIDED_MS + 3_600_000, ZONE),
    "cap": lambda: render_cap(8, ZONE),
    "polling_conflict": lambda: render_polling_conflict("another program uses TELEGRAM_BOT_TOKEN"),
    "daily_report": report,
    "help": lambda: render_help((command.name, command.help) for command in COMMANDS),
    "status": lambda: render_status(STATUS, ZONE),
    "health": lambda: render_health(STATUS, ZONE),
    "count": lambda: render_count(STATUS, make_limits(stop_times_ms=(DECIDED_MS - 60_000,)), ZONE),
    "mutes": lambda: render_mutes(
        make_limits(muted_coins={"PEPE": DECIDED_MS + 3_600_000}, muted_venues={"lbank": FOREVER_MS}), DECIDED_MS, ZONE
    ),
    "why": lambda: render_why(SIGNAL, OUTCOME, ZONE, "decided again from its input: the same to the bit"),
    "stats": lambda: render_stats(
        "What alerts made in 30 days",
        compare(CLOSED, CLOSED[2:], left_out=12),
        by_exit_reason(CLOSED),
        summarise(CLOSED, "ideal"),
    ),
    "lists": lambda: "\n".join(
        [
            signal_line((SIGNAL, OUTCOME), ZONE),
            open_line(make_open_signal(42), 0.00001222, DECIDED_MS + 90_000),
            near_miss_title({"score": 12, "sweep": 3}),
            near_miss_line(make_near_miss(failed=("score", "sweep")), None, ZONE),
            near_miss_line(make_near_miss(failed=("burst",), levels=make_signal().levels), OUTCOME, ZONE),
            near_miss_line(
                make_near_miss(failed=("burst",), levels=make_signal().levels),
                replace(OUTCOME, is_by_quotes=True),
                ZONE,
            ),
        ]
    ),
    "buttons": lambda: "\n".join([*(f"[{one.text}] {one.press}" for one in entry_buttons(SIGNAL)), copy_text(SIGNAL)]),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_tables_fit_a_phone(name: str) -> None:
    """No line of a table is wider than 32 columns."""
    tables = re.findall(r"<pre>(.*?)</pre>", MESSAGES[name](), re.DOTALL)
    assert all(length(unescape(line)) <= 32 for table in tables for line in table.split("\n"))


@pytest.mark.parametrize("name", ["alert", "alert_followed"])
def test_the_lock_screen(name: str) -> None:
    """The first 60 characters carry side, coin, venue, entry, SL and TP."""
    assert read_html(MESSAGES[name]())[:60].split() == [
        *("SHORT", "XLM", "Bybit", "0.000012345", "SL", "0.000012444", "TP", "0.000012136", "TP")
    ]


@pytest.mark.parametrize("name", MESSAGES)
def test_snapshot(name: str) -> None:
    """The message reads as it did when somebody looked at it, and Telegram takes it."""
    text = read_html(MESSAGES[name]())
    assert 0 < length(text) <= 4096
    path = FOLDER / f"{name}.txt"
    if os.environ.get("SNAPSHOTS") == "write":
        path.write_text(f"{text}\n", encoding="utf-8")
    assert f"{text}\n" == path.read_text(encoding="utf-8")


def test_no_snapshot_is_left_over() -> None:
    """Each file belongs to a message."""
    assert {path.stem for path in FOLDER.glob("*.txt")} == MESSAGES.keys()
