"""Notices: what the bot says of itself, of the venues and of the chats, as Telegram HTML."""

from collections.abc import Mapping, Sequence
from html import escape

from bot.chat.texts.marks import lost_lines
from bot.chat.texts.phrases import (
    counted,
    duration_text,
    fit,
    headline,
    until_text,
    venue_name,
)
from fetchers.parsing.tallies import CHANGE, Change
from scoring.signals import NearMiss, OpenSignal
from storage.messages import Lost

#: where the signals of today cannot be counted
CLOCK_IS_BEHIND = "The machine's clock is behind the last signal: none is given until it has caught up"


def render_start(version: str, instruments: Mapping[str, int], open_signals: Sequence[OpenSignal], now_ms: int) -> str:
    """Return the first message of a run; `instruments` counts the pairs watched, by venue."""
    counts = (
        f"{venue_name(venue)} {count:,}" if count else f"{venue_name(venue)} none yet"
        for venue, count in instruments.items()
    )
    pairs = f"Pairs: {', '.join(counts)}"
    return fit(f"<b>SGNL {escape(version)} is watching</b>", pairs, *open_lines(open_signals, now_ms))


def render_stop(why: str, open_signals: Sequence[OpenSignal], now_ms: int) -> str:
    """Return the last message of a run."""
    return fit(
        f"<b>SGNL has stopped</b>: {escape(why)}",
        *open_lines(open_signals, now_ms),
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
    lines = (f"Chat {escape(chat_id)}: {line}" for chat_id, one in lost.items() for line in lost_lines(one))
    return fit("<b>Messages that did not arrive</b>", *lines)


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


def render_clock_set(step_ms: int) -> str:
    """Return what is said when the machine's clock was set, HTML."""
    way = "forward" if step_ms > 0 else "back"
    return (
        f"<b>The machine's clock was set {way} by {duration_text(abs(step_ms) / 1000)}.</b> Open signals, pauses and"
        " waits go on as long as they would have. The windows of the market fill again."
    )


def render_disk(fault: str) -> str:
    """Return what the phone is told when the disk stops or begins to take writes, HTML."""
    if not fault:
        return "<b>The database is written again.</b> What was kept in memory is on the disk now."
    return (
        f"<b>The database cannot be written:</b> {escape(fault)}\n"
        "Alerts go on, kept in memory only: a restart would forget them and could repeat them. "
        "Once the disk is well everything is written down."
    )


def open_lines(open_signals: Sequence[OpenSignal], now_ms: int) -> list[str]:
    """Return a line for each open signal."""
    if not open_signals:
        return ["No open signal"]
    ages = ((open_signal.signal, (now_ms - open_signal.signal.decided_ms) / 1000) for open_signal in open_signals)
    return [f"Open: #{signal.id} {headline(signal)}, {duration_text(age_s)}" for signal, age_s in ages]


def _chat_name(chat_id: str, title: str) -> str:
    return escape(f"{title} ({chat_id})" if title else chat_id)
