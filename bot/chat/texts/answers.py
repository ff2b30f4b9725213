"""The texts of answers to commands: records in, Telegram HTML out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import chain
from math import isfinite, isinf
from typing import Any

from bot.chat.delivery.chat_states import ChatState
from bot.chat.delivery.sender import plain_text
from bot.chat.texts.funnels import funnel_lines
from bot.chat.texts.messages import CLOCK_IS_BEHIND, exit_words
from bot.chat.texts.phrases import (
    age_text,
    comparison_text,
    duration_text,
    expectancy_text,
    fit,
    headline,
    local_time,
    net_text,
    record_text,
    signed,
    until_text,
    venue_name,
    words,
)
from bot.core.status import BotStatus
from features.frame import FEATURES
from scoring.prices import format_price
from scoring.signals import Limits, NearMiss, OpenSignal, Outcome, Side, Signal, Verdict
from scoring.statistics import Record, Summary

PAGE_LINES = 10
LONGEST_PAGE = 3_500  #: characters of HTML; Telegram takes 4,096 of text, and counts some signs twice
LONGEST_LINE = 2_000
LONGEST_PIECE = 500  #: at most six times as much once escaped

Row = tuple[Signal, Outcome | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list that may be longer than a message: it is shown page by page."""

    title: str  #: HTML, as each of the lines
    lines: Sequence[str]
    is_table: bool = False  #: columns stand under each other

    @property
    def pages(self) -> int:
        """How many there are, one where the list is empty."""
        return len(self._pages())

    def _pages(self) -> list[list[str]]:
        """Cut the lines into pages by their number and their length, so that Telegram takes each."""
        pages: list[list[str]] = [[]]
        left = LONGEST_PAGE - len(self.title)
        for line in chain.from_iterable(map(_pieces, self.lines)):
            if pages[-1] and (len(pages[-1]) == PAGE_LINES or len(line) + 1 > left):
                pages.append([])
                left = LONGEST_PAGE - len(self.title)
            pages[-1].append(line)
            left -= len(line) + 1
        return pages

    def page(self, number: int) -> str:
        """Return page `number` from 0."""
        pages = self._pages()
        lines = "\n".join(pages[number]) or "Nothing yet"
        body = f"<pre>{lines}</pre>" if self.is_table and self.lines else lines
        count = f"\nPage {number + 1} of {len(pages)}" if len(pages) > 1 else ""
        return f"{self.title}\n{body}{count}"


def _pieces(line: str) -> Iterator[str]:
    """Yield a line as it is, or the pieces of one that is too long, as plain text: a cut could go through a tag."""
    if len(line) <= LONGEST_LINE:
        yield line
        return
    plain = plain_text(line)
    for at in range(0, len(plain), LONGEST_PIECE):
        yield escape(plain[at : at + LONGEST_PIECE])


def signal_line(row: Row, timezone: str) -> str:
    """Return one alert and its end on a line."""
    signal, outcome = row
    end = "open" if outcome is None else _ended(signal.side, outcome)
    return f"#{signal.id} {local_time(signal.decided_ms, timezone):%d %b %H:%M} {headline(signal)}: {end}"


def _ended(side: Side, outcome: Outcome) -> str:
    return f"{exit_words(outcome.reason, side)} {net_text(outcome.ideal)}"


def open_line(open_signal: OpenSignal, price: float | None, now_ms: int) -> str:
    """Return one open signal with what the move has been so far, before costs."""
    signal = open_signal.signal
    moved = "price unknown"
    if price is not None:
        moved = f"now {format_price(price, signal.tick_size)}, {signed(_move(signal, price))} %"
    best, worst = (signed(_move(signal, extreme)) for extreme in (open_signal.best_price, open_signal.worst_price))
    stop, target = (
        format_price(level, signal.tick_size) for level in (signal.levels.stop, signal.levels.take_profits[0])
    )
    age = duration_text((now_ms - signal.decided_ms) / 1000)
    return f"#{signal.id} {headline(signal)} SL {stop} TP {target}\n  {moved} (best {best}, worst {worst}), {age}"


def top_line(row: Mapping[str, Any]) -> str:
    """Return a line of the leaderboard, 32 columns at most."""
    return escape(f"{row['score']:5.1f} {row['pair'].partition('/')[0][:14]:<14} ") + venue_name(row["venue"])


def near_miss_line(near_miss: NearMiss, outcome: Outcome | None, timezone: str) -> str:
    """Return one near miss on a line, and what it would have made where that is known."""
    when = f"{local_time(near_miss.decided_ms, timezone):%H:%M}"
    failed = ", ".join(words(name).lower() for name in near_miss.failed)
    made, levels = "", near_miss.levels
    if outcome is not None and levels is not None:
        by_quotes = " (by quotes only)" if outcome.is_by_quotes else ""
        made = f", would be {_ended(levels.side, outcome)}{by_quotes}"
    name = f"{escape(near_miss.coin)} {venue_name(near_miss.venue)}"
    return f"{when} {name} {near_miss.score:.1f}: {escape(failed)}{made}"


def near_miss_title(refusals: Mapping[str, int]) -> str:
    """Return what stopped how many."""
    counts = ", ".join(f"{words(gate).lower()} {count}" for gate, count in list(refusals.items())[:6])
    return f"<b>Near misses of the last day</b>\n{escape(counts) or 'none'}"


def render_why(signal: Signal, outcome: Outcome | None, timezone: str, again: str) -> str:
    """Return everything a decision rested on; `again` says what comes of deciding it again."""
    ended = "still open" if outcome is None else _ended(signal.side, outcome)
    return fit(
        f"<b>#{signal.id} {headline(signal)}</b>",
        f"{local_time(signal.decided_ms, timezone):%d %b %H:%M:%S %Z}, {ended}",
        "",
        f"<b>Score {signal.score:.2f}</b>: points, and how full each part is",
        _table(
            (words(name), points, f"{signal.sub_scores[name]:.0f} %") for name, points in signal.contributions.items()
        ),
        *(f"• {escape(reason)}" for reason in signal.reasons),
        escape(signal.borrowed) or None,
        escape(signal.caution) or None,
        "",
        "<b>Gates</b>",
        *_verdict_lines(signal.verdicts),
        "",
        "<b>Features</b>",
        _features(signal.features),
        f"code {escape(signal.code_hash)}, settings {escape(signal.config_hash)}",
        escape(again),
    )


def render_score(market: Mapping[str, Any], others: Sequence[str]) -> str:
    """Return the score of one pair now and why it is no alert; `others` are the coin's other venues, a line each."""
    instrument = market["instrument"]
    contributions, sub_scores = market["contributions"], market["sub_scores"]
    refused = [verdict for verdict in market["verdicts"] if not verdict.passed]
    missing = ", ".join(f"{words(part).lower()} ({why})" for part, why in market["missing"].items())
    return fit(
        f"<b>{escape(instrument.base)} {venue_name(instrument.venue)} {market['score']:.1f}</b>",
        _table((words(name), points, f"{sub_scores[name]:.0f} %") for name, points in contributions.items()),
        f"Missing: {escape(missing)}" if missing else None,
        f"Refused by {len(refused)} of {len(market['verdicts'])} gates:" if refused else "Every gate passes",
        *_verdict_lines(refused),
        *others,
    )


def render_stats(title: str, total: Record, groups: Mapping[str, Record], at_alert: Summary) -> str:
    """Return what signals have made, group by group, and all of them as if entered at the alert's own price."""
    return fit(
        f"<b>{escape(title)}</b>, from the price a person could reach, net of fees, spread and funding",
        _record_line("all", total),
        comparison_text(total),
        *(_record_line(name, record) for name, record in groups.items()),
        f"from the alert's own price, which nobody gets: {expectancy_text(at_alert)}" if at_alert.n else None,
    )


def render_count(status: BotStatus, limits: Limits, timezone: str) -> str:
    """Return how much of today's alerts is used."""
    if status.signals_today is None:
        return CLOCK_IS_BEHIND
    left = max(0, status.max_daily_signals - status.signals_today)
    stops = len([time_ms for time_ms in limits.stop_times_ms if time_ms > status.now_ms - 3_600_000])
    return (
        f"{status.signals_today} of {status.max_daily_signals} alerts used today, {left} left until midnight in "
        f"{escape(timezone)}; open now: {len(status.open_signals)}, stops in the last hour: {stops}"
    )


def render_mutes(limits: Limits, now_ms: int, timezone: str) -> str:
    """Return what is muted and until when."""
    lines = [
        f"{name} {until_text(until_ms, timezone, ended_by='/unmute')}"
        for names in (
            {escape(coin): until_ms for coin, until_ms in limits.muted_coins.items()},
            {venue_name(venue): until_ms for venue, until_ms in limits.muted_venues.items()},
        )
        for name, until_ms in sorted(names.items())
        if until_ms > now_ms
    ]
    return (
        fit("<b>Muted</b>", *lines) if lines else "Nothing is muted. /mute PEPE 1h mutes a coin, /mute LBank a venue."
    )


def render_health(status: BotStatus, timezone: str) -> str:
    """Return whether all is well, and all that has gone wrong with messages since the start."""
    problems = [escape(problem) for problem in status.problems()]
    waiting = ", ".join(f"{count} {state}" for state, count in status.outbox.items() if state != "sent" and count)
    return fit(
        "<b>Not well</b>" if problems else "<b>All is well</b>",
        *problems,
        *(f"Note: {escape(note)}" for note in status.notes),
        *(f"{venue_name(venue.venue)} {escape(venue.state)}" for venue in status.venues),
        "No tick has ended yet"
        if status.last_tick_ms is None
        else f"Last tick {age_text(status.now_ms - status.last_tick_ms)} ago, p95 {status.tick_p95_ms:.0f} ms",
        f"Messages: {waiting}" if waiting else "Messages: all sent",
        *(
            f"{words(incident.what)} {'once' if incident.count == 1 else f'{incident.count:,} times'}, last "
            f"{local_time(incident.last_ms, timezone):%d %b %H:%M} ({escape(incident.words)})"
            for incident in status.incidents
        ),
        *(line for strategy, means in status.funnels.items() for line in funnel_lines(strategy, means)),
    )


def chat_line(
    name: str,
    state: ChatState,
    *,
    last_sent_ms: int | None,
    waiting: int,
    is_operator: bool,
    now_ms: int,
    monotonic_ms: int,
    timezone: str,
) -> str:
    """Return how a chat fares; `monotonic_ms` is now by the clock of its waits."""
    title = escape(f"{state.title} ({name})" if state.title else name) + (", operator" if is_operator else "")
    parts = ["takes messages"]
    if state.refusal:
        since = f"{local_time(state.refused_since_ms, timezone):%d %b %H:%M}"
        parts = [f"<b>gets nothing</b> since {since}: {escape(state.refusal)}"]
        if state.try_at_ms > monotonic_ms:
            parts.append(f"next try in {duration_text((state.try_at_ms - monotonic_ms) / 1000)}")
    elif state.flood_until_ms > monotonic_ms:
        wait = duration_text((state.flood_until_ms - monotonic_ms) / 1000)
        parts = [f"<b>gets nothing</b> for {wait}: Telegram asks for patience"]
    if state.rejected:
        parts.append(f"last message rejected: {escape(state.rejection)}")
    if state.has_lost_topic:
        parts.append("its topic is gone, so messages go to the group")
    parts.append("nothing sent yet" if last_sent_ms is None else f"last sent {age_text(now_ms - last_sent_ms)} ago")
    if waiting:
        parts.append(f"{waiting} waiting")
    return f"{title}: {', '.join(parts)}"


def _move(signal: Signal, price: float) -> float:
    return signal.side.direction * 100 * (price / signal.levels.entry - 1)


def _table(rows: Iterable[tuple[str, float, str]]) -> str:
    lines = "\n".join(f"{name[:19]:<19}{figure:6.1f} {rest:>6}" for name, figure, rest in rows)
    return f"<pre>{escape(lines)}</pre>"


def _verdict_lines(verdicts: Iterable[Verdict]) -> list[str]:
    return [f"{'✓' if verdict.passed else '✗'} {escape(verdict.reason)}" for verdict in verdicts]


def _features(features: Mapping[str, float]) -> str:
    units = {feature.name: feature.unit for feature in FEATURES}
    rows = (
        f"{words(name)[:21]:<21}{_figure(figure):>11}"
        for name, figure in features.items()
        if name in units or name == "btc_return"
    )
    return f"<pre>{escape(chr(10).join(rows))}</pre>"


def _figure(value: float) -> str:
    """Four digits or nine decimals, never an exponent."""
    if not isfinite(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}" if abs(value) >= 1e-4 else f"{value:.9f}"


def _record_line(name: str, record: Record) -> str:
    text, made = record_text(record), record.alerts
    if made.n:
        factor = "∞" if isinf(made.profit_factor) else f"{made.profit_factor:.2f}"
        text += f", {signed(made.net_percent)} %, profit factor {factor}"
    return escape(f"{name}: {text}")


def other_venue_line(market: Mapping[str, Any]) -> str:
    """Return another venue's score of the same coin."""
    refused = sum(not verdict.passed for verdict in market["verdicts"])
    return f"{venue_name(market['venue'])} {market['score']:.1f}, refused by {refused}"
