"""Whatever a venue, a coin, a chat or an error is called, it arrives as it is written: escaped, and once."""

import inspect
import pkgutil
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

import bot.chat
from bot.chat.asking.handlers import render_help
from bot.chat.asking.stale import render_stale
from bot.chat.commands.chats import chat_line
from bot.chat.commands.count import render_count
from bot.chat.commands.health import render_health
from bot.chat.commands.levels import render_levels
from bot.chat.commands.misses import near_miss_line, near_miss_title
from bot.chat.commands.mutes import render_mutes
from bot.chat.commands.open_signals import open_line
from bot.chat.commands.score import other_venue_line, render_score
from bot.chat.commands.signals import signal_line
from bot.chat.commands.stats import render_stats
from bot.chat.commands.status import render_status
from bot.chat.commands.top import top_line
from bot.chat.commands.why import render_why
from bot.chat.delivery.chat_states import ChatState
from bot.chat.delivery.sender import Content, plain_text
from bot.chat.texts import follow_ups, notices
from bot.chat.texts.alerts import render_entry, render_exit, render_track_record
from bot.chat.texts.daily_report import render_report
from bot.chat.texts.listing import LONGEST_LINE, Listing
from bot.chat.texts.marks import add_follow_ups, mark_may_repeat
from bot.chat.texts.markup import Markup, escape, html, stored
from bot.core.activity import DayLog
from bot.core.status import Incident
from fetchers.health import Condition, Notice
from fetchers.parsing.tallies import Change
from scoring.records import compare, summarise
from scoring.settings import ScoringSettings
from scoring.signals import FOREVER_MS, OpenSignal, Side, Verdict
from scoring.statistics import Record
from scoring.strategies.levels.watch import Approach
from storage.messages import Lost
from tests.bot.builders import make_funnel, make_open_signal, make_status, make_venue
from tests.builders import instrument
from tests.storage.builders import DECIDED_MS, make_limits, make_near_miss, make_outcome, make_signal
from tests.telegram_html import read_html

ODD = "<&>\"'"  #: as a name
ZONE = "UTC"
VERDICT = Verdict(name=ODD, passed=False, value=1.0, limit=2.0, reason=ODD)
SIGNAL = make_signal(
    7,
    venue=ODD,
    pair=f"{ODD}/USDT",
    instrument_id=ODD,
    coin=ODD,
    contributions={ODD: 3.0},
    sub_scores={ODD: 50.0},
    reasons=(ODD,),
    borrowed=ODD,
    caution=ODD,
    missing={ODD: ODD},
    verdicts=(VERDICT,),
    code_hash=ODD,
    config_hash=ODD,
)
LISTED = make_signal(8, instrument_id=ODD, pair=f"{ODD}/USDT")  # of a venue with a page for each pair
OUTCOME = make_outcome(7, note=ODD)
NEAR_MISS = make_near_miss(coin=ODD, venue=ODD, failed=(ODD,), levels=SIGNAL.levels)
LEG = Approach(
    instrument=replace(instrument(id="PEPEUSDT"), base=ODD), side=Side.LONG, retraced=0.5, entry=1.0, key=("", "", 0)
)
MARKET: dict[str, Any] = {
    "venue": ODD,
    "pair": f"{ODD}/USDT",
    "score": 64.2,
    "instrument": replace(instrument(id="PEPEUSDT"), base=ODD),
    "sub_scores": SIGNAL.sub_scores,
    "contributions": SIGNAL.contributions,
    "missing": {ODD: ODD},
    "verdicts": (VERDICT,),
}
STATUS = make_status(
    version=ODD,
    best=ODD,
    venues=(make_venue(ODD, note=ODD),),
    funnels={ODD: next(iter(make_status().funnels.values()))},
    faults=(ODD,),
    notes=(ODD,),
    incidents=(Incident(what=ODD, count=1, last_ms=DECIDED_MS, words=ODD),),
)


def open_signal() -> OpenSignal:
    """Return the signal, open."""
    return make_open_signal(7, signal=SIGNAL)


def record() -> Record:
    """Return a record of one alert."""
    return compare([(SIGNAL, OUTCOME)])


def report() -> Markup:
    """Return a day's report."""
    log = DayLog(since_ms=DECIDED_MS - 86_400_000)
    log.note(2410, (71.2, ODD), {ODD: make_funnel()}, {ODD: Condition.OK})
    return render_report(log, [], None, DECIDED_MS, ZONE)


def of_chat() -> str:
    """Return a chat of which nothing is well."""
    state = ChatState(title=ODD, refusal=ODD, rejected=1, rejection=ODD)
    now = {"now_ms": DECIDED_MS, "monotonic_ms": 0}
    return chat_line(ODD, state, last_sent_ms=None, waiting=1, is_operator=False, timezone=ZONE, **now)


#: by the function that writes it: a text or Markup, and how often the odd name stands in it
TEXTS: dict[Callable[..., object], tuple[Callable[[], str], int]] = {
    render_entry: (lambda: render_entry(SIGNAL, track_record=ODD, decided_after_ms=12), 11),
    render_exit: (lambda: render_exit(SIGNAL, OUTCOME, reach_s=15), 3),
    render_track_record: (lambda: f"{render_track_record(record(), 70)}{ODD}", 1),
    render_help: (lambda: render_help([("x", ODD)]), 1),
    render_stale: (lambda: render_stale([(ODD, 90.0)]), 1),
    render_report: (report, 3),
    render_count: (lambda: render_count(STATUS, make_limits(), ODD), 1),
    render_health: (lambda: render_health(STATUS, ZONE), 6),
    render_levels: (
        lambda: render_levels(
            {"instrument": MARKET["instrument"], "is_borrowed": True, "side": None, "candles_since_hole": 0}
        ),
        1,
    ),
    render_mutes: (
        lambda: render_mutes(make_limits(muted_coins={ODD: FOREVER_MS}, muted_venues={ODD: FOREVER_MS}), 0, ZONE),
        2,
    ),
    render_score: (lambda: render_score(MARKET, [other_venue_line(MARKET)]), 6),
    render_stats: (lambda: render_stats(ODD, record(), {ODD: record()}, summarise([], "ideal")), 2),
    render_status: (lambda: render_status(STATUS, ZONE), 7),
    render_why: (lambda: render_why(SIGNAL, OUTCOME, ZONE, ODD), 10),
    notices.render_start: (lambda: notices.render_start(ODD, {ODD: 1}, [open_signal()], DECIDED_MS), 4),
    notices.render_stop: (lambda: notices.render_stop(ODD, [], DECIDED_MS), 1),
    notices.render_venue_blind: (lambda: notices.render_venue_blind(ODD, 130, ODD), 2),
    notices.render_venue_back: (lambda: notices.render_venue_back(ODD, 310), 1),
    notices.render_changes: (
        lambda: notices.render_changes(ODD, [Change(endpoint=ODD, before=(0, 0), now=(1, 0), new_fields=(ODD,))]),
        4,
    ),
    notices.render_guard: (lambda: notices.render_guard(3, 3600, FOREVER_MS, ZONE) + escape(ODD), 1),
    notices.render_cap: (lambda: notices.render_cap(8, ODD), 1),
    notices.render_polling_conflict: (lambda: notices.render_polling_conflict(ODD), 1),
    notices.render_commands_back: (lambda: notices.render_commands_back() + escape(ODD), 1),
    notices.render_refusing: (lambda: notices.render_refusing(ODD, ODD, ODD), 3),
    notices.render_taking: (lambda: notices.render_taking(ODD, ODD), 2),
    notices.render_topic_gone: (lambda: notices.render_topic_gone(ODD), 1),
    notices.render_lost: (lambda: notices.render_lost({ODD: Lost(expired=1)}), 1),
    notices.render_storm: (lambda: notices.render_storm([NEAR_MISS], 2, 300), 2),
    notices.render_legs: (lambda: notices.render_legs([LEG]), 1),
    notices.render_clock_set: (lambda: notices.render_clock_set(5_000) + escape(ODD), 1),
    notices.render_disk: (lambda: notices.render_disk(ODD), 1),
    chat_line: (of_chat, 4),
    near_miss_line: (lambda: near_miss_line(NEAR_MISS, OUTCOME, ZONE), 3),
    near_miss_title: (lambda: near_miss_title({ODD: 1}), 1),
    open_line: (lambda: open_line(open_signal(), None, DECIDED_MS), 2),
    signal_line: (lambda: signal_line((SIGNAL, OUTCOME), ZONE), 2),
    top_line: (lambda: top_line(MARKET), 2),
    other_venue_line: (lambda: other_venue_line(MARKET), 1),
    follow_ups.of_exit: (lambda: stored(follow_ups.of_exit(SIGNAL, OUTCOME, ScoringSettings()).html) + escape(ODD), 1),
    follow_ups.of_venue: (
        lambda: stored(
            follow_ups.of_venue(
                Notice(venue=ODD, is_back=True, since_ms=0), [open_signal()], DECIDED_MS, ScoringSettings()
            )[0].html
        ),
        1,
    ),
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=lambda _: "")
def test_odd_names_arrive_as_they_are(text: tuple[Callable[[], str], int]) -> None:
    """Each odd name in a message is escaped once: Telegram takes the HTML and its reader sees the name."""
    write, count = text
    message = Content(text=write())
    assert read_html(message.html).count(ODD) == count
    assert plain_text(message.html).count(ODD) == count, "the terminal shows the same"


def test_every_text_is_tried() -> None:
    """No function that writes a text is missing above."""
    modules = [import_module(one.name) for one in pkgutil.walk_packages(bot.chat.__path__, "bot.chat.")]
    writers = {
        function
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if name.startswith("render_") or (name.endswith("_line") and not name.startswith("_"))
    }
    assert writers - TEXTS.keys() == set()


def test_a_pair_page_of_an_odd_id() -> None:
    """The link of an alert is an address, whatever the pair is called."""
    message = render_entry(LISTED, track_record="", decided_after_ms=12)
    assert "<a href=" in message
    assert f"{ODD}/USDT on Bybit" in read_html(message)


def test_what_is_added_as_a_message_leaves() -> None:
    """Marks and follow-ups frame a stored message without escaping it again."""
    message = add_follow_ups(mark_may_repeat(stored(escape(ODD))), f"\n{escape(ODD)}")
    assert read_html(message) == f"MAY REPEAT, the first sending was not confirmed\n{ODD}\n{ODD}"


@pytest.mark.parametrize("line", [ODD, ODD * LONGEST_LINE, html("<b>{}</b>", ODD)])
def test_lists(line: str) -> None:
    """Lines of a list are text or Markup, and a line that is cut into pieces loses nothing."""
    listing = Listing(title=ODD, lines=[line], is_table=True)
    pages = "".join(read_html(listing.page(number)) for number in range(listing.pages))
    assert pages.replace("\n", "").count(ODD) == plain_text(line).count(ODD) + listing.pages
