"""Texts as a reader sees them, judged by Telegram's rules for HTML."""

import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.chat.asking.handlers import render_help
from bot.chat.commands.status import render_status
from bot.chat.delivery.sender import plain_text
from bot.chat.texts.alerts import copy_text, entry_buttons, render_entry, render_exit
from bot.chat.texts.marks import mark_late, mark_lost, mark_may_repeat, mark_no_topic, mark_sent, mark_time
from bot.chat.texts.markup import Markup
from bot.chat.texts.notices import (
    render_cap,
    render_changes,
    render_guard,
    render_start,
    render_stop,
    render_storm,
    render_venue_back,
    render_venue_blind,
)
from bot.core.funnels import FunnelMeans
from fetchers.parsing.tallies import Change
from scoring.signals import FOREVER_MS, DataTimes, ExitReason, Fill, Result, Side, Signal, Unreachable
from storage.messages import Lost
from tests.bot.builders import make_open_signal, make_status, make_venue
from tests.storage.builders import DECIDED_MS, make_levels, make_near_miss, make_outcome, make_signal
from tests.telegram_html import length, read_html

NASTY = "<b>&\"'</pre>"


def read(html: str) -> str:
    """What a reader sees, on the phone and in the terminal alike; fails where Telegram would refuse it."""
    text = read_html(html)
    assert length(text) <= 4096
    assert plain_text(html) == text
    return text


LOST = Lost(expired=10_000, uncertain=10_000, failed=10_000)


def alert(signal: Signal) -> Markup:
    """The alert of a signal."""
    return render_entry(signal, track_record="unproven (n = 3)", decided_after_ms=12)


def make_full_signal(**changes: Any) -> Signal:
    """1000PEPE on Binance with everything an alert can say."""
    return make_signal(
        **{
            "id": 42,
            "venue": "binance",
            "instrument_id": "1000PEPEUSDT",
            "coin": "PEPE",
            "pair": "1000PEPE/USDT",
            "contributions": {"oi_divergence": 18.2, "btc_microtrend": 10.0, "funding": 0.0},
            "sub_scores": {"oi_divergence": 91.0, "btc_microtrend": 100.0, "funding": 0.0},
            "score": 78.41,
            "reasons": ("OI +2.1% while price -1.3% in 15 min", "asks 71% of the book's depth"),
            "missing": {"funding": "stale"},
            "borrowed": "OI and flow: Bybit",
            "data_times": DataTimes(
                price_ms=None, book_ms=DECIDED_MS + 915, trades_ms=None, open_interest_ms=None, funding_ms=None
            ),
            **changes,
        }
    )


def test_a_contract_to_be_careful_with() -> None:
    """The alert says what is unusual about the contract."""
    words = "Innovation Zone: taker fee 0.1 % each way, closed in many countries"
    assert words in render_entry(make_signal(caution=words), track_record="no data", decided_after_ms=1)


def test_entry() -> None:
    """The alert says everything, and its first line is all a lock screen needs."""
    html = alert(make_full_signal())
    assert 'href="https://www.binance.com/en/futures/1000PEPEUSDT"' in html
    assert read(mark_sent(html, 340)) == (
        "SHORT 1000PEPE Binance 0.000012345 SL 0.000012444 TP 0.000012136\n"
        "TP 1.69 %, net +1.59 % · SL 0.80 %, net -0.90 %\n"
        "Can be sold at the bid within 0.1 %: 1,234 USDT\n"
        "\n"
        "Score 78.4\n"
        "OI divergence       18.2   91 %\n"
        "BTC microtrend      10.0  100 %\n"
        "Funding              0.0    0 %\n"
        "• OI +2.1% while price -1.3% in 15 min\n"
        "• asks 71% of the book's depth\n"
        "OI and flow: Bybit\n"
        "Missing: funding (stale)\n"
        "Alerts like it, unproven (n = 3)\n"
        "book 85 ms old, decided +12 ms, sent +340 ms\n"
        "#42 · 1000PEPE/USDT on Binance"
    )


def test_first_sixty_characters() -> None:
    """Side, coin, venue, entry, SL and TP fit 60 characters even for a price of nine decimals."""
    signal = make_signal(venue="binance", pair="PEPE/USDT")
    assert read(alert(signal))[:60] == "SHORT PEPE Binance 0.000012345 SL 0.000012444 TP 0.000012136"


def test_copy_keeps_to_cornix_rules() -> None:
    """The copied text is a signal by the rules Cornix publishes (help.cornix.io/en/articles/5814956-signal-posting)."""
    for signal in (
        make_full_signal(),
        make_full_signal(levels=make_levels(take_profits=(0.000012136, 0.000012))),
        make_signal(pair="1000000MOG/USDT:USDT", levels=make_levels()),
    ):
        text = copy_text(signal)
        lines = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
        assert re.fullmatch(r"\w+/USDT", text.splitlines()[0]), "always a full coin pair name"
        entry, stop = float(lines["Entry"]), float(lines["Stop"])  # always Buy or Entry, always Sell or Stop
        targets = [float(target) for target in lines["Targets"].split()]
        assert max(targets) < entry < stop, "a stop loss may not be below an entry for a short"
        assert not re.search(r"S/L|\.P\b", text), "type out the word Stop; TradingView's suffix is no pair"
        assert not re.search(r"\d\s*-\s*\d", text), "100-200 would be two entries"
        assert not re.search(r"(?i)above|below|zone|lev|spot|amount|risk", text), "words it would act on"
        assert "e-" not in text, "prices as the venue prints them"
        assert all(character.isascii() for character in text), "no emojis"
        assert 1 <= length(text) <= 256, "what a button may copy"


def test_buttons() -> None:
    """Under an alert stand its four buttons, each carrying what it needs and no more than Telegram lets it."""
    details, chart, mute, copy = entry_buttons(make_full_signal(id=10**14))
    assert [button.text for button in (details, chart, mute, copy)] == ["Details", "Chart", "Mute 1 h", "Copy"]
    assert all(len(button.press.encode()) <= 64 for button in (details, chart, mute))
    assert (copy.press, copy.copy) == ("", copy_text(make_full_signal()))


def test_storm() -> None:
    """The list of a storm is sorted, says that it is no alert, and stays a message however long it gets."""
    refused = [make_near_miss(coin=f"COIN{number}", score=70 + number / 10) for number in range(300)]
    lines = read(render_storm(refused, 2, 300.0)).splitlines()
    assert lines[:3] == [
        "Many at once: more than 2 within 5 min",
        "These passed every other gate. They are no alerts, and no record counts them:",
        "99.9 COIN299 Bybit",
    ]
    assert lines[-1] == "…"


def test_guard_and_cap() -> None:
    """The guard says why and until when, the cap until when."""
    assert read(render_guard(3, 3600.0, DECIDED_MS + 3_600_000, "UTC")) == (
        "Stop-loss guard: 3 stops within 1 h\nNo new alerts until 14 Nov 23:13 UTC; open signals are followed"
    )
    assert read(render_cap(8, "Europe/Rome")).endswith("No new ones before midnight in Europe/Rome")


def test_several_targets() -> None:
    """All take-profits are in the headline."""
    signal = make_signal(levels=make_levels(take_profits=(0.000012136, 0.000012), shares=(0.5, 0.5)))
    assert "TP 0.000012136 / 0.000012000\n" in read(alert(signal))


def test_the_newest_candle_that_was_read() -> None:
    """An alert that stands on closed candles says when the newest closed."""
    text = read(alert(make_signal(plan={"closed_ms": DECIDED_MS - 11_000.0})))
    assert "candle closed 12 s ago, book" in text


def test_an_exit_of_several_targets() -> None:
    """What each target closed, and what the rest was closed by."""
    signal = make_signal(levels=make_levels(take_profits=(0.000012136, 0.000012), shares=(0.6, 0.4)))
    fills = (
        Fill(share=0.6, price=0.000012136, time_ms=DECIDED_MS, reason=ExitReason.TAKE_PROFIT),
        Fill(share=0.4, price=0.000012444, time_ms=DECIDED_MS, reason=ExitReason.STOP_LOSS),
    )
    text = read(render_exit(signal, make_outcome(reason=ExitReason.STOP_LOSS, fills=fills), reach_s=15))
    assert "\nClosed: 60% at 0.000012136 (TP 1), 40% at 0.000012444 (SL hit)\n" in text
    assert copy_text(signal).splitlines()[3] == "Targets 0.000012136 0.000012000"


def test_what_is_not_there_is_not_mentioned() -> None:
    """Nothing missing and nothing borrowed take no line; no book and unknown bids are said so."""
    nothing = DataTimes(price_ms=None, book_ms=None, trades_ms=None, open_interest_ms=None, funding_ms=None)
    text = read(alert(make_signal(missing={}, borrowed="", sellable_usdt=float("nan"), data_times=nothing)))
    assert "Missing" not in text
    assert "Bybit\n" not in text
    assert "Can be sold at the bid within 0.1 %: unknown\n" in text
    assert "no book, decided +12 ms\n" in text


def test_a_long_buys_at_the_ask() -> None:
    """What can be filled at once is named by side."""
    assert "Can be bought at the ask within 0.1 %: 1,234 USDT\n" in read(alert(make_signal(side=Side.LONG)))


def test_table_fits_a_phone() -> None:
    """No line of the score table is wider than 32 columns, whatever a strategy calls its parts."""
    name = "a_sub_score_with_a_very_long_name"
    html = alert(make_signal(contributions={name: 100.0}, sub_scores={name: 100.0}))
    table = html.partition("<pre>")[2].partition("</pre>")[0]
    assert max(map(len, table.splitlines())) <= 32


@pytest.mark.parametrize(
    ("venue", "instrument_id", "page"),
    [
        ("binance", "XLMUSDT", "https://www.binance.com/en/futures/XLMUSDT"),
        ("bybit", "XLMUSDT", "https://www.bybit.com/trade/usdt/XLMUSDT"),
        ("mexc", "XLM_USDT", "https://www.mexc.com/futures/XLM_USDT"),
        ("lbank", "XLMUSDT", "https://www.lbank.com/futures/xlmusdt"),
        ("binance", "币安人生USDT", "https://www.binance.com/en/futures/%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT"),
    ],
)
def test_link(venue: str, instrument_id: str, page: str) -> None:
    """The link opens the pair on its venue."""
    assert f'<a href="{page}">' in alert(make_signal(venue=venue, instrument_id=instrument_id))


def test_nothing_from_outside_is_markup() -> None:
    """Names, reasons and notes full of markup arrive as they are, in every text."""
    signal = make_full_signal(
        venue=NASTY,
        instrument_id=NASTY,
        pair=f"{NASTY}/USDT",
        reasons=(NASTY,),
        missing={NASTY: NASTY},
        borrowed=NASTY,
        contributions={NASTY: 1.0},
        sub_scores={NASTY: 1.0},
    )
    venues = (make_venue(NASTY, state=NASTY, note=NASTY),)
    followed = (make_open_signal(signal=signal),)
    funnel = FunnelMeans(eligible=1, not_seen={NASTY: 1}, seen=0, refused={NASTY: 1}, passed=0)
    status = make_status(
        version=NASTY, best=NASTY, venues=venues, funnels={NASTY: funnel}, faults=(NASTY,), open_signals=followed
    )
    for html in (
        render_entry(signal, track_record=NASTY, decided_after_ms=1),
        render_exit(signal, make_outcome(note=NASTY), reach_s=15),
        render_start(NASTY, {NASTY: 1}, followed, DECIDED_MS),
        render_stop(NASTY, followed, DECIDED_MS),
        render_venue_blind(NASTY, 120, NASTY),
        render_venue_back(NASTY, 120),
        render_changes(NASTY, [Change(NASTY, (0.0, 0.0), (0.5, 0.0), (NASTY,))]),
        render_help([("pause", NASTY)]),
        render_status(status, "UTC"),
    ):
        assert NASTY.partition("/")[0] in read(html)


def test_too_long_is_cut_on_a_line() -> None:
    """A text Telegram would refuse loses its last lines whole, and keeps room for the marks of the delivery."""
    html = alert(make_signal(reasons=("§" * 500,) * 20))
    marked = mark_lost(mark_no_topic(mark_may_repeat(mark_late(mark_sent(html, 10**7), 86_399, -12.345))), LOST)
    assert read(marked).count("§") == 500 * 7
    assert read(html).endswith(f"• {'§' * 500}\n…")


def test_exit() -> None:
    """The exit gives reason, prices, gross and net, R, time and the way there, also from the reachable price."""
    reachable = Result(entry=0.0000122, gross_percent=0.52, net_percent=0.42, r=0.466)
    outcome = make_outcome(reachable=reachable, held_s=723.4)
    assert read(render_exit(make_full_signal(), outcome, reach_s=15)) == (
        "TP hit: 1000PEPE Binance +1.59 % net, +1.77 R\n"
        "0.000012345 → 0.000012136, gross +1.69 %, held 12 min 3 s\n"
        "On the way: best +1.80 %, worst -0.20 %\n"
        "From 0.000012200, the price 15 s later: +0.42 % net, +0.47 R\n"
        "#42"
    )


def exit_lines(**changes: object) -> list[str]:
    """Return the exit's lines between the way there and the number."""
    outcome = make_outcome(**changes)  # type: ignore[arg-type]
    return read(render_exit(make_signal(), outcome, reach_s=15)).splitlines()[3:-1]


NOBODY = "Nobody could have entered: it ended within 15 s"
NOT_SEEN = "The price 15 s later was not seen: no result from it"
BOTH = "Stop and target were hit between two looks: counted as the stop"


def test_exit_with_doubts() -> None:
    """Nobody could enter, stop and target together, and how it was settled: each is said where it is so."""
    doubts = {"is_ambiguous": True, "note": "settled from 1-minute candles", "unreachable": Unreachable.ENDED_BEFORE}
    lines = exit_lines(reason=ExitReason.STOP_LOSS, **doubts)
    assert lines == [NOBODY, BOTH, "settled from 1-minute candles"]
    assert exit_lines(reason=ExitReason.TRAILING, is_ambiguous=True, reachable=None)[1] == f"Trailing s{BOTH[1:]}"
    assert exit_lines(reachable=None) == [NOT_SEEN], "an older row whose reason nobody kept"


def test_nobody_could_have_entered() -> None:
    """It is said of what ended within the 15 s, and of nothing that was open longer."""
    assert exit_lines(unreachable=Unreachable.ENDED_BEFORE) == [NOBODY]
    assert exit_lines(unreachable=Unreachable.NOT_SEEN) == [NOT_SEEN]
    reachable = Result(entry=0.0000122, gross_percent=0.52, net_percent=0.42, r=0.466)
    (line,) = exit_lines(reachable=reachable)
    assert line.startswith("From 0.000012200, the price 15 s later")


def test_price_of_another_time() -> None:
    """The time the reachable price was taken is said as it was, also where the clock was set meanwhile."""
    reachable = Result(entry=0.0000122, gross_percent=0.52, net_percent=0.42, r=0.466)
    exit_ms = make_outcome().exit_ms + 3_600_000
    outcome = {"reachable": reachable, "exit_ms": exit_ms, "held_s": 600, "reachable_ms": exit_ms - 600_000 + 19_300}
    (line,) = exit_lines(**outcome)
    assert line.startswith("From 0.000012200, the price 19 s later")


@pytest.mark.parametrize("reason", [ExitReason.NOT_KNOWN, ExitReason.NO_LONGER_WATCHED, ExitReason.DELISTED])
def test_exit_without_a_result(reason: ExitReason) -> None:
    """What nobody can tell has no figures, is counted nowhere, and leaves the trade to its owner."""
    outcome = make_outcome(reason=reason, ideal=None, fill=math.nan, note="no price was seen at its end")
    text = read(render_exit(make_signal(), outcome, reach_s=15))
    assert "nan" not in text
    assert " R\n" not in text
    assert text.splitlines()[0].endswith(": XLM Bybit no result")
    assert text.splitlines()[1:] == [
        "Seen before: best +1.80 %, worst -0.20 %",
        "no price was seen at its end",
        "It is followed no further, and no record counts it. If you are in it, look after it yourself",
        "#1",
    ]


EXITS = {
    ExitReason.TAKE_PROFIT: "TP hit",
    ExitReason.STOP_LOSS: "SL hit",
    ExitReason.TRAILING: "Trailing exit",
    ExitReason.BTC_PUMP: "Exit, BTC is pumping",
    ExitReason.LIQUIDITY_FLIP: "Exit, the bids came back",
    ExitReason.TIMEOUT: "Exit, time is up",
    ExitReason.DELISTED: "Ended, the venue trades the pair no more",
    ExitReason.NOT_KNOWN: "Ended, and how is not known",
    ExitReason.NO_LONGER_WATCHED: "No longer watched",
}
EXITS_OF_LONG = {
    ExitReason.BTC_PUMP: "Exit, BTC is falling",
    ExitReason.LIQUIDITY_FLIP: "Exit, the asks came back",
}


@pytest.mark.parametrize("reason", ExitReason)
def test_every_exit_has_words(reason: ExitReason) -> None:
    """Each reason opens the reply in words of its own."""
    text = read(render_exit(make_signal(), make_outcome(reason=reason), reach_s=15))
    assert text.startswith(f"{EXITS[reason]}: XLM Bybit +1.59 % net")
    text = read(render_exit(make_signal(side=Side.LONG), make_outcome(reason=reason), reach_s=15))
    assert text.startswith(f"{(EXITS | EXITS_OF_LONG)[reason]}: XLM Bybit +1.59 % net")


def test_marks_of_the_delivery() -> None:
    """Late with the drift, may repeat and expired frame the message, whose own text stays."""
    assert read(mark_late(Markup("SHORT"), 45.4, 0.314)) == "LATE 45 s, price +0.31 % since\nSHORT"
    assert read(mark_late(Markup("SHORT"), 125, None)) == "LATE 2 min 5 s\nSHORT"
    assert read(mark_may_repeat(Markup("SHORT"))) == "MAY REPEAT, the first sending was not confirmed\nSHORT"
    assert (
        read(mark_lost(Markup("SHORT"), Lost(expired=1)))
        == "SHORT\n\n1 earlier message could not be sent in time and expired"
    )
    assert read(mark_lost(Markup("SHORT"), Lost(uncertain=2, failed=1))) == (
        "SHORT\n\n2 earlier messages may not have arrived: no answer came\n"
        "1 earlier message would not be taken by Telegram"
    )
    assert read(mark_time(Markup("EXIT"), datetime(2023, 11, 14, 22, 13, tzinfo=UTC), 18_000)) == (
        "From 14 Nov 22:13, 5 h ago\nEXIT"
    )


def test_sent_stamp() -> None:
    """The stamp is filled in when the alert leaves; unfilled, and in other texts, it is invisible."""
    html = alert(make_signal())
    assert "decided +12 ms\n" in read(html)
    assert "decided +12 ms, sent +2.3 s\n" in read(mark_sent(html, 2345))
    assert mark_sent(Markup("a notice"), 5) == "a notice"


def test_clocks_that_disagree_make_no_negative_age() -> None:
    """A book from a venue whose clock is a little ahead is 0 ms old."""
    times = replace(make_signal().data_times, book_ms=DECIDED_MS + 1_030)
    assert "book 0 ms old" in read(alert(make_signal(data_times=times)))


def test_start_and_stop() -> None:
    """The first and the last message count what is watched and what is open."""
    followed = (make_open_signal(),)
    assert read(render_start("0.1.0", {"binance": 1412, "mexc": 0}, (), DECIDED_MS)) == (
        "SGNL 0.1.0 is watching\nPairs: Binance 1,412, MEXC none yet\nNo open signal"
    )
    assert read(render_stop("SIGTERM", followed, DECIDED_MS + 61_000)) == (
        "SGNL has stopped: SIGTERM\n"
        "Open: #1 SHORT XLM Bybit 0.000012345, 1 min\n"
        "What happens to them meanwhile is settled at the next start"
    )


def test_venue_notices() -> None:
    """A venue gone and a venue back are told with how long it was."""
    assert read(render_venue_blind("mexc", 120, "MEXC quotes: timed out")) == (
        "MEXC has been blind for 2 min: MEXC quotes: timed out\n"
        "No alerts from it until it is back; what is open there is settled then"
    )
    assert read(render_venue_back("mexc", 3_900)) == "MEXC is back after 1 h 5 min"


def test_help() -> None:
    """Every command has its line."""
    assert read(render_help([("status", "how it goes")])).endswith("\n\n/status how it goes")


def test_status() -> None:
    """/status of a bot that is well."""
    assert read(render_status(make_status(), "UTC")) == (
        "SGNL 0.1.0, up 3 h 12 min\n"
        "Watching\n"
        "2,304 ticks, p50 610 ms, p95 1130 ms, last 3 s ago\n"
        "Best now: PEPE Binance 71.2\n"
        "Signals today: 3 of 8\n"
        "No open signal\n"
        "\n"
        "Binance ok, 412 pairs, 38 % of its limit used\n"
        "Bybit ok, 1,300 pairs, 38 % of its limit used\n"
        "\n"
        "ups: 12 of 2,000 pairs seen whole in a tick\n"
        "Not seen: book not seen 1,900, exhaustion warming up 88\n"
        "Refused first by: score 11, sweep 0.5; 0.5 passed\n"
        "Last 7 days: a threshold of 72 gave 0.0 a day, 66 would have given 3.1"
    )


def test_status_of_a_bot_in_trouble() -> None:
    """/status says what is paused, held, unsent and wrong, in the user's time zone."""
    status = make_status(
        last_tick_ms=None,
        best="",
        paused_until_ms=DECIDED_MS + 60_000,
        venues=(
            make_venue("mexc", state="held", note="510: too frequent", warming=12, warm_by_ms=DECIDED_MS + 60_000),
        ),
        funnels={},
        thresholds={},
        outbox={"sent": 1, "pending": 2, "failed": 1},
    )
    assert read(render_status(status, "Europe/Rome")).splitlines()[1:] == [
        "Paused until 14 Nov 23:14 CET: no new alerts, open signals are followed",
        "No tick has ended yet",
        "Best now: nothing scored yet",
        "Signals today: 3 of 8",
        "No open signal",
        "",
        "MEXC held, 412 pairs, 38 % of its limit used: 510: too frequent; 12 warming up until 14 Nov 23:14 CET",
        "Messages: 2 pending, 1 failed",
        "Problem: no tick has ended yet",
    ]


@pytest.mark.parametrize(
    ("paused_until_ms", "guard_until_ms", "line"),
    [
        (FOREVER_MS, 0, "Paused until /resume: no new alerts, open signals are followed"),
        (DECIDED_MS - 1, 0, "Watching"),
        (None, DECIDED_MS + 1, "Stop-loss guard until 14 Nov 22:13 UTC: no new alerts, open signals are followed"),
    ],
)
def test_status_of_a_bot_that_holds_back(paused_until_ms: int | None, guard_until_ms: int, line: str) -> None:
    """Pauses and the guard are told while they last."""
    status = make_status(paused_until_ms=paused_until_ms, guard_until_ms=guard_until_ms)
    assert read(render_status(status, "UTC")).splitlines()[1] == line


def test_changes() -> None:
    """A venue that answers in another way is named, with what has changed and nothing else."""
    changes = [Change("tickers", (0.0, 0.01), (0.12, 0.01), ()), Change("klines", (0.0, 0.0), (0.0, 0.0), ("x", "y"))]
    assert read(render_changes("bybit", changes)).splitlines() == [
        "Bybit answers in another way than before; /health has the counts",
        "tickers: unreadable rows 0% before, 12% now",
        "klines: new fields x, y",
    ]
