"""Notices: what the bot says of itself, of the venues and of the chats, as Telegram HTML."""

from collections.abc import Mapping, Sequence

from bot.chat.texts.marks import lost_lines
from bot.chat.texts.markup import Markup, bold, html
from bot.chat.texts.phrases import (
    counted,
    duration_text,
    fit,
    headline,
    until_text,
    venue_name,
)
from fetchers.parsing.tallies import CHANGE, Change
from scoring.prices import format_price
from scoring.signals import NearMiss, OpenSignal
from scoring.strategies.levels.watch import Approach
from storage.messages import Lost

#: where the signals of today cannot be counted
CLOCK_IS_BEHIND = "The machine's clock is behind the last signal: none is given until it has caught up"


def render_start(
    version: str, instruments: Mapping[str, int], open_signals: Sequence[OpenSignal], now_ms: int
) -> Markup:
    """Return the first message of a run; `instruments` counts the pairs watched, by venue."""
    counts = (
        f"{venue_name(venue)} {count:,}" if count else f"{venue_name(venue)} none yet"
        for venue, count in instruments.items()
    )
    pairs = f"Pairs: {', '.join(counts)}"
    return fit(bold(f"SGNL {version} is watching"), pairs, *open_lines(open_signals, now_ms))


def render_stop(why: str, open_signals: Sequence[OpenSignal], now_ms: int) -> Markup:
    """Return the last message of a run."""
    return fit(
        html("<b>SGNL has stopped</b>: {}", why),
        *open_lines(open_signals, now_ms),
        "What happens to them meanwhile is settled at the next start" if open_signals else None,
    )


def render_venue_blind(venue: str, blind_s: float, why: str) -> Markup:
    """Return the notice that a venue has given no data for `blind_s`."""
    return fit(
        html("<b>{} has been blind for {}</b>: {}", venue_name(venue), duration_text(blind_s), why),
        "No alerts from it until it is back; what is open there is settled then",
    )


def render_changes(venue: str, changes: Sequence[Change]) -> Markup:
    """Return the notice that what a venue sends is no longer what it was."""
    changed = []
    for one in changes:
        for what, before, now in zip(("unreadable rows", "impossible values"), one.before, one.now, strict=True):
            if abs(now - before) > CHANGE:
                changed.append(f"{one.endpoint}: {what} {before:.0%} before, {now:.0%} now")
        if one.new_fields:
            changed.append(f"{one.endpoint}: new fields {', '.join(one.new_fields)}")
    title = html("<b>{} answers in another way than before</b>; /health has the counts", venue_name(venue))
    return fit(title, *changed)


def render_venue_back(venue: str, blind_s: float) -> Markup:
    """Return the notice that a venue gives data again."""
    return html("<b>{} is back</b> after {}", venue_name(venue), duration_text(blind_s))


def render_guard(stops: int, within_s: float, until_ms: int, timezone: str) -> Markup:
    """Return the notice that the stop-loss guard has begun."""
    return fit(
        html("<b>Stop-loss guard</b>: {} within {}", counted(stops, "stop"), duration_text(within_s)),
        f"No new alerts {until_text(until_ms, timezone)}; open signals are followed",
    )


def render_cap(most: int, timezone: str) -> Markup:
    """Return the notice that the day's alerts are used up."""
    return fit(bold(f"All {most} alerts of today are used"), f"No new ones before midnight in {timezone}")


def render_polling_conflict(why: str) -> Markup:
    """Return the notice that another program takes the commands."""
    return html("<b>I receive no commands</b>: {}", why)


def render_commands_back() -> Markup:
    """Return the notice that commands arrive again."""
    return bold("Commands are received again")


def render_refusing(chat_id: str, title: str, refusal: str) -> Markup:
    """Return the notice that nothing can be written to a chat."""
    return fit(
        html("<b>Chat {} gets nothing</b>: {}", _chat_name(chat_id, title), refusal),
        "It is tried again by itself, at once by the button under /chats",
    )


def render_taking(chat_id: str, title: str) -> Markup:
    """Return the notice that a chat takes messages again."""
    return bold(f"Chat {_chat_name(chat_id, title)} takes messages again")


def render_topic_gone(chat_id: str) -> Markup:
    """Return the notice that a chat's topic does not exist any more."""
    return html(
        "<b>The topic of chat {} is gone</b>: its messages go to the group without it. "
        "Put another topic into TELEGRAM_CHAT_ID.",
        chat_id,
    )


def render_lost(lost: Mapping[str, Lost]) -> Markup:
    """Return the notice of what chats did not get."""
    losses = (f"Chat {chat_id}: {line}" for chat_id, one in lost.items() for line in lost_lines(one))
    return fit(bold("Messages that did not arrive"), *losses)


def render_storm(refused: Sequence[NearMiss], limit: int, window_s: float) -> Markup:
    """Return the list of coins that passed every gate but the burst limit, best first."""
    rows = (
        f"{near_miss.score:.1f} {near_miss.coin} {venue_name(near_miss.venue)}"
        for near_miss in sorted(refused, key=lambda near_miss: -near_miss.score)
    )
    return fit(
        html("<b>Many at once</b>: more than {} within {}", limit, duration_text(window_s)),
        "These passed every other gate. They are no alerts, and no record counts them:",
        *rows,
    )


def render_legs(approaches: Sequence[Approach]) -> Markup:
    """Return the list of legs whose price comes near the entry."""
    rows = (
        f"{one.side.upper()} {one.instrument.base} {venue_name(one.instrument.venue)}: {one.retraced:.0%} back, entry"
        f" {format_price(one.entry, one.instrument.tick_size)}"
        for one in approaches
    )
    return fit(bold("Legs near their entry"), "They are no alerts, and no record counts them:", *rows)


def render_clock_set(step_ms: int) -> Markup:
    """Return the notice that the machine's clock was set."""
    way = "forward" if step_ms > 0 else "back"
    return html(
        "<b>The machine's clock was set {} by {}.</b> Open signals, pauses and"
        " waits go on as long as they would have. The windows of the market fill again.",
        way,
        duration_text(abs(step_ms) / 1000),
    )


def render_disk(fault: str) -> Markup:
    """Return the notice that the disk takes no writes, or takes them again."""
    if not fault:
        return html("<b>The database is written again.</b> What was kept in memory is on the disk now.")
    return fit(
        html("<b>The database cannot be written:</b> {}", fault),
        "Alerts go on, kept in memory only: a restart would forget them and could repeat them. "
        "Once the disk is well everything is written down.",
    )


def open_lines(open_signals: Sequence[OpenSignal], now_ms: int) -> list[str]:
    """Return a line for each open signal."""
    if not open_signals:
        return ["No open signal"]
    ages = ((open_signal.signal, (now_ms - open_signal.signal.decided_ms) / 1000) for open_signal in open_signals)
    return [f"Open: #{signal.id} {headline(signal)}, {duration_text(age_s)}" for signal, age_s in ages]


def _chat_name(chat_id: str, title: str) -> str:
    return f"{title} ({chat_id})" if title else chat_id
