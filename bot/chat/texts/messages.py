"""Every text for people: records in, Telegram HTML out, all that comes from outside escaped.

What is known only when a message leaves (how long it took, whether it is late or may repeat) is added by the `mark_`
functions. bot/chat/delivery/sender.py makes plain text of all this for the terminal.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from urllib.parse import quote

from bot.chat.texts.funnels import funnel_lines, thresholds_text
from bot.chat.texts.phrases import (
    LONGEST_SENT,
    age_text,
    coin_name,
    comparison_text,
    counted,
    duration_text,
    fit,
    headline,
    net_text,
    record_text,
    signed,
    until_text,
    usdt_text,
    venue_name,
    words,
)
from bot.core.status import BotStatus, VenueStatus
from features.facts.venues import VENUES
from fetchers.parsing.tallies import CHANGE, Change
from scoring.prices import format_price
from scoring.signals import ExitReason, NearMiss, OpenSignal, Outcome, Side, Signal, Unreachable
from scoring.statistics import BAND_POINTS, Record, band_of
from storage.messages import Button, Lost

#: Stands where the sending time goes: nothing to a reader, and nothing escaped can look like it.
SENT_MARK = "<i></i>"

_EXIT_WORDS = {
    ExitReason.TAKE_PROFIT: "TP hit",
    ExitReason.STOP_LOSS: "SL hit",
    ExitReason.TRAILING: "Trailing exit",
    ExitReason.TIMEOUT: "Exit, time is up",
    ExitReason.DELISTED: "Ended, the venue trades the pair no more",
    ExitReason.NOT_KNOWN: "Ended, and how is not known",
    ExitReason.NO_LONGER_WATCHED: "No longer watched",
}
_EXIT_WORDS_OF_SIDE = {
    (ExitReason.BTC_PUMP, Side.SHORT): "Exit, BTC is pumping",
    (ExitReason.BTC_PUMP, Side.LONG): "Exit, BTC is falling",
    (ExitReason.LIQUIDITY_FLIP, Side.SHORT): "Exit, the bids came back",
    (ExitReason.LIQUIDITY_FLIP, Side.LONG): "Exit, the asks came back",
}


def render_entry(signal: Signal, *, track_record: str, decided_after_ms: int) -> str:
    """Return the alert; `decided_after_ms` runs from the last reply of the tick to the decision.

    The first line fits a lock screen: side, coin, venue, entry, SL, TP.
    """
    levels = signal.levels
    how = "sold at the bid" if signal.side is Side.SHORT else "bought at the ask"
    stop, *targets = (format_price(price, signal.tick_size) for price in (levels.stop, *levels.take_profits))
    return fit(
        f"<b>{headline(signal)}</b> SL {stop} TP {' / '.join(targets)}",
        f"TP {levels.take_profit_percent:.2f} %, net {signed(levels.net_take_profit_percent)} %"
        f" · SL {levels.stop_percent:.2f} %, net {signed(-levels.net_stop_percent)} %",
        f"Can be {how} within 0.1 %: {usdt_text(signal.sellable_usdt)}",
        "",
        f"<b>Score {signal.score:.1f}</b>",
        _score_table(signal),
        *(f"• {escape(reason)}" for reason in signal.reasons),
        escape(signal.borrowed) or None,
        escape(signal.caution) or None,
        f"Missing: {_missing(signal.missing)}" if signal.missing else None,
        f"Alerts like it, {escape(track_record)}",
        f"{_book_age(signal)}, decided +{decided_after_ms} ms{SENT_MARK}",
        f"#{signal.id} · {_link(signal)}",
    )


def entry_buttons(signal: Signal) -> tuple[Button, ...]:
    """Return what stands under an alert."""
    return (
        Button(text="Details", press=f"why:{signal.id}"),
        Button(text="Chart", press=f"chart:{signal.id}"),
        Button(text="Mute 1 h", press=f"mute:{signal.id}"),
        Button(text="Copy", copy=copy_text(signal)),
    )


def copy_text(signal: Signal) -> str:
    """Return the alert as Cornix reads it: full pair, the words Entry, Targets, Stop, and no word it would act on.

    References
    ----------
    help.cornix.io/en/articles/5814956-signal-posting
    """
    levels = signal.levels
    entry, stop, *targets = (
        format_price(price, signal.tick_size) for price in (levels.entry, levels.stop, *levels.take_profits)
    )
    pair = signal.pair.partition(":")[0]
    return f"{pair}\n{signal.side.upper()}\nEntry {entry}\nTargets {' '.join(targets)}\nStop {stop}"


def render_track_record(record: Record, score: float) -> str:
    """Return how the alerts of the same kind and band of five points have done, and chance beside them, plain text."""
    band = band_of(score)
    made = f"scores {band} to {band + BAND_POINTS}: {record_text(record)}"
    return "\n".join(filter(None, [made, comparison_text(record)]))


def exit_words(reason: ExitReason, side: Side) -> str:
    """Return why a signal of that side ended."""
    return _EXIT_WORDS.get(reason) or _EXIT_WORDS_OF_SIDE[reason, side]


def render_exit(signal: Signal, outcome: Outcome, *, reach_s: float) -> str:
    """Return the reply that ends an alert; `reach_s` is REACH_SECONDS."""
    title = f"<b>{exit_words(outcome.reason, signal.side)}: {coin_name(signal)} {net_text(outcome.ideal)}</b>"
    way = f"best {signed(outcome.mfe_percent)} %, worst {signed(-outcome.mae_percent)} %"
    note, ends = escape(outcome.note) or None, f"#{signal.id}"
    if (ideal := outcome.ideal) is None:
        watched = "It is followed no further, and no record counts it. If you are in it, look after it yourself"
        return fit(title, f"Seen before: {way}", note, watched, ends)
    fill, entry = (format_price(price, signal.tick_size) for price in (outcome.fill, ideal.entry))
    stop = "Trailing stop" if outcome.reason is ExitReason.TRAILING else "Stop"
    return fit(
        title,
        f"{entry} → {fill}, gross {signed(ideal.gross_percent)} %, held {duration_text(outcome.held_s)}",
        f"On the way: {way}",
        _reachable(signal, outcome, reach_s),
        f"{stop} and target were hit between two looks: counted as the stop" if outcome.is_ambiguous else None,
        note,
        ends,
    )


def mark_sent(html: str, after_ms: int) -> str:
    """Complete the latency stamp of an alert that leaves `after_ms` after its decision; other texts have none."""
    return html.replace(SENT_MARK, f", sent +{age_text(after_ms)}")


def mark_late(html: str, age_s: float, drift_percent: float | None) -> str:
    """Say above an alert how late it is, and how far the price has moved where that is known."""
    drift = "" if drift_percent is None else f", price {signed(drift_percent)} % since"
    return f"<b>LATE {duration_text(age_s)}</b>{drift}\n{html}"


def mark_may_repeat(html: str) -> str:
    """Say above a message that the chat may have it already."""
    return f"<b>MAY REPEAT</b>, the first sending was not confirmed\n{html}"


def mark_time(html: str, created: datetime, age_s: float) -> str:
    """Say above a message that leaves late which time it speaks of."""
    return f"<b>From {created:%d %b %H:%M}</b>, {duration_text(age_s)} ago\n{html}"


def mark_no_topic(html: str) -> str:
    """Say above a message why it stands in the group and not in its topic."""
    return f"<b>Its topic is gone</b>\n{html}"


def mark_lost(html: str, lost: Lost) -> str:
    """Say below a message what its chat did not get before it, or may not have got."""
    return "\n".join([f"{html}\n", *_lost_lines(lost)])


def _lost_lines(lost: Lost) -> list[str]:
    ends = {
        "could not be sent in time and expired": lost.expired,
        "may not have arrived: no answer came": lost.uncertain,
        "would not be taken by Telegram": lost.failed,
    }
    return [f"{counted(count, 'earlier message')} {end}" for end, count in ends.items() if count]


def add_follow_ups(html: str, follow_up: str) -> str:
    """Return an alert with the lines of what has become of it since, less the first ones if it were too long."""
    lines = follow_up.split("\n")[1:]
    while lines and len(html) + sum(len(line) + 1 for line in lines) > LONGEST_SENT:
        del lines[0]
    return "\n".join([html, *lines])


def render_start(version: str, instruments: Mapping[str, int], open_signals: Sequence[OpenSignal], now_ms: int) -> str:
    """Return the first message of a run; `instruments` counts the pairs watched, by venue."""
    counts = (
        f"{venue_name(venue)} {count:,}" if count else f"{venue_name(venue)} none yet"
        for venue, count in instruments.items()
    )
    pairs = f"Pairs: {', '.join(counts)}"
    return fit(f"<b>SGNL {escape(version)} is watching</b>", pairs, *_open_lines(open_signals, now_ms))


def render_stop(why: str, open_signals: Sequence[OpenSignal], now_ms: int) -> str:
    """Return the last message of a run."""
    return fit(
        f"<b>SGNL has stopped</b>: {escape(why)}",
        *_open_lines(open_signals, now_ms),
        "What happens to them meanwhile is settled at the next start" if open_signals else None,
    )


def render_venue_blind(venue: str, blind_s: float, why: str) -> str:
    """Return the notice that a venue has given no data for `blind_s`."""
    return (
        f"<b>{venue_name(venue)} has been blind for {duration_text(blind_s)}</b>: {escape(why)}\n"
        "No alerts from it until it is back; what is open there is settled then"
    )


def render_changes(venue: str, changes: Sequence[Change]) -> str:
    """Return the notice that what a venue sends is no longer what it was."""
    lines = []
    for one in changes:
        for what, before, now in zip(("unreadable rows", "impossible values"), one.before, one.now, strict=True):
            if abs(now - before) > CHANGE:
                lines.append(f"{escape(one.endpoint)}: {what} {before:.0%} before, {now:.0%} now")
        if one.new_fields:
            lines.append(f"{escape(one.endpoint)}: new fields {escape(', '.join(one.new_fields))}")
    return fit(f"<b>{venue_name(venue)} answers in another way than before</b>; /health has the counts", *lines)


def render_venue_back(venue: str, blind_s: float) -> str:
    """Return the notice that a venue gives data again."""
    return f"<b>{venue_name(venue)} is back</b> after {duration_text(blind_s)}"


def render_guard(stops: int, within_s: float, until_ms: int, timezone: str) -> str:
    """Return the notice that the stop-loss guard has begun."""
    return (
        f"<b>Stop-loss guard</b>: {counted(stops, 'stop')} within {duration_text(within_s)}\n"
        f"No new alerts {until_text(until_ms, timezone)}; open signals are followed"
    )


def render_cap(most: int, timezone: str) -> str:
    """Return the notice that the day's alerts are used up."""
    return f"<b>All {most} alerts of today are used</b>\nNo new ones before midnight in {escape(timezone)}"


def render_deaf(why: str) -> str:
    """Return the notice that commands are not heard."""
    return f"<b>I hear no commands</b>: {escape(why)}"


def render_hearing() -> str:
    """Return the notice that commands are heard again."""
    return "<b>Commands are heard again</b>"


def render_refusing(chat_id: str, title: str, refusal: str) -> str:
    """Return the notice that nothing can be written to a chat."""
    return (
        f"<b>Chat {_chat_name(chat_id, title)} gets nothing</b>: {escape(refusal)}\n"
        "It is tried again by itself, at once by the button under /chats"
    )


def render_taking(chat_id: str, title: str) -> str:
    """Return the notice that a chat takes messages again."""
    return f"<b>Chat {_chat_name(chat_id, title)} takes messages again</b>"


def render_lost(lost: Mapping[str, Lost]) -> str:
    """Return the notice of what chats did not get."""
    lines = (f"Chat {escape(chat_id)}: {line}" for chat_id, one in lost.items() for line in _lost_lines(one))
    return fit("<b>Messages that did not arrive</b>", *lines)


def _chat_name(chat_id: str, title: str) -> str:
    return escape(f"{title} ({chat_id})" if title else chat_id)


def render_storm(refused: Sequence[NearMiss], limit: int, window_s: float) -> str:
    """Return the list of coins that passed every gate but the burst limit, best first."""
    rows = (
        f"{near_miss.score:.1f} {escape(near_miss.coin)} {venue_name(near_miss.venue)}"
        for near_miss in sorted(refused, key=lambda near_miss: -near_miss.score)
    )
    return fit(
        f"<b>Many at once</b>: more than {limit} within {duration_text(window_s)}",
        "These passed every other gate. They are no alerts, and no record counts them:",
        *rows,
    )


def render_help(menu: Iterable[tuple[str, str]]) -> str:
    """Return the commands (name, what it does) a reader may use."""
    return fit(
        "<b>SGNL</b> watches perpetuals for short scalps and alerts the few that pass every gate. It places no orders.",
        "",
        *(f"/{name} {escape(text)}" for name, text in menu),
    )


#: where the signals of today cannot be counted
CLOCK_IS_BEHIND = "The machine's clock is behind the last signal: none is given until it has caught up"


def render_clock_set(step_ms: int) -> str:
    """Return what is said when the machine's clock was set, HTML."""
    way = "forward" if step_ms > 0 else "back"
    return (
        f"<b>The machine's clock was set {way} by {duration_text(abs(step_ms) / 1000)}.</b> Open signals, pauses and"
        " waits go on as long as they would have. The windows of the market fill again."
    )


def render_disk(trouble: str) -> str:
    """Return what the phone is told when the disk stops or begins to take writes, HTML."""
    if not trouble:
        return "<b>The database is written again.</b> What was kept in memory is on the disk now."
    return (
        f"<b>The database cannot be written:</b> {escape(trouble)}\n"
        "Alerts go on, kept in memory only: a restart would forget them and could repeat them. "
        "Once the disk is well everything is written down."
    )


def render_status(status: BotStatus, timezone: str) -> str:
    """Return the answer to /status, times in `timezone`."""
    unsent = ", ".join(f"{count} {state}" for state, count in status.outbox.items() if state != "sent" and count)
    return fit(
        f"<b>SGNL {escape(status.version)}</b>, up {duration_text((status.now_ms - status.started_ms) / 1000)}",
        _activity(status, timezone),
        _ticks(status),
        f"Best now: {escape(status.best) or 'nothing scored yet'}",
        f"Signals today: {status.signals_today} of {status.max_daily_signals}"
        if status.signals_today is not None
        else CLOCK_IS_BEHIND,
        *_open_lines(status.open_signals, status.now_ms),
        "",
        *(_venue_line(venue, timezone) for venue in status.venues),
        "" if status.funnels else None,
        *(line for strategy, means in status.funnels.items() for line in funnel_lines(strategy, means)),
        thresholds_text(status.thresholds),
        f"Messages: {unsent}" if unsent else None,
        *(f"Problem: {escape(problem)}" for problem in status.problems()),
        *(f"Note: {escape(note)}" for note in status.notes),
    )


def _link(signal: Signal) -> str:
    text = f"{escape(signal.pair)} on {venue_name(signal.venue)}"
    if (venue := VENUES.get(signal.venue)) is None:
        return text
    pair = signal.instrument_id.lower() if venue.has_lower_case_pages else signal.instrument_id
    return f'<a href="{venue.pair_page.format(quote(pair, safe=""))}">{text}</a>'


def _score_table(signal: Signal) -> str:
    """Points, and how much of its full each sub-score reached; 32 columns fit a phone."""
    rows = (
        f"{words(name)[:19]:<19}{points:5.1f} {signal.sub_scores[name]:4.0f} %"
        for name, points in signal.contributions.items()
    )
    return f"<pre>{escape(chr(10).join(rows))}</pre>"


def _missing(missing: Mapping[str, str]) -> str:
    return escape(", ".join(f"{words(part).lower()} ({why})" for part, why in missing.items()))


def _book_age(signal: Signal) -> str:
    if signal.data_times.book_ms is None:
        return "no book"
    return f"book {age_text(signal.decided_ms - signal.data_times.book_ms)} old"


def _reachable(signal: Signal, outcome: Outcome, reach_s: float) -> str:
    after_s = reach_s if outcome.reachable_ms is None else outcome.reachable_ms / 1000 - _decided_s(outcome)
    if (result := outcome.reachable) is not None:
        entry = format_price(result.entry, signal.tick_size)
        return f"From {entry}, the price {duration_text(after_s)} later: {net_text(result)}"
    if outcome.unreachable is Unreachable.ENDED_BEFORE:
        return f"Nobody could have entered: it ended within {duration_text(reach_s)}"
    return f"The price {duration_text(reach_s)} later was not seen: no result from it"


def _decided_s(outcome: Outcome) -> float:
    # by the clock of the exit, which may have been set since the decision
    return outcome.exit_ms / 1000 - outcome.held_s


def _open_lines(open_signals: Sequence[OpenSignal], now_ms: int) -> list[str]:
    if not open_signals:
        return ["No open signal"]
    ages = ((open_signal.signal, (now_ms - open_signal.signal.decided_ms) / 1000) for open_signal in open_signals)
    return [f"Open: #{signal.id} {headline(signal)}, {duration_text(age_s)}" for signal, age_s in ages]


def _activity(status: BotStatus, timezone: str) -> str:
    if status.paused_until_ms is not None and status.paused_until_ms > status.now_ms:
        return f"Paused {until_text(status.paused_until_ms, timezone)}: no new alerts, open signals are followed"
    if status.guard_until_ms > status.now_ms:
        return (
            f"Stop-loss guard {until_text(status.guard_until_ms, timezone)}: no new alerts, open signals are followed"
        )
    return "Watching"


def _ticks(status: BotStatus) -> str:
    if status.last_tick_ms is None:
        return "No tick has ended yet"
    age = age_text(status.now_ms - status.last_tick_ms)
    return f"{status.ticks:,} ticks, p50 {status.tick_p50_ms:.0f} ms, p95 {status.tick_p95_ms:.0f} ms, last {age} ago"


def _venue_line(venue: VenueStatus, timezone: str) -> str:
    used = f"{venue.budget_used_percent:.0f} % of its limit used"
    until = f" {until_text(venue.warm_by_ms, timezone)}" if venue.warm_by_ms else ""
    notes = "; ".join(filter(None, [venue.note, f"{venue.warming} warming up{until}" if venue.warming else ""]))
    note = f": {escape(notes)}" if notes else ""
    return f"{venue_name(venue.venue)} {escape(venue.state)}, {venue.instruments:,} pairs, {used}{note}"
