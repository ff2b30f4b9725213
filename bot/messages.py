"""Every text for people: records in, Telegram HTML out, all that comes from outside escaped.

What is known only when a message leaves (how long it took, whether it is late or may repeat) is added by the `mark_`
functions. bot/sender.py makes plain text of all this for the terminal.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from math import isfinite
from urllib.parse import quote
from zoneinfo import ZoneInfo

from bot.status import BotStatus, VenueStatus
from scoring.prices import format_price
from scoring.reasons import VENUE_NAMES
from scoring.signals import FOREVER_MS, ExitReason, OpenSignal, Outcome, Result, Signal
from scoring.statistics import BAND_POINTS, band_of, summarise

#: Telegram takes 4096 characters; the rest is room for what the `mark_` functions add
LONGEST = 3_800
#: Stands where the sending time goes: nothing to a reader, and nothing escaped can look like it.
SENT_MARK = "<i></i>"

_PAIR_PAGES = {
    "binance": "https://www.binance.com/en/futures/{}",
    "bybit": "https://www.bybit.com/trade/usdt/{}",
    "mexc": "https://www.mexc.com/futures/{}",
    "lbank": "https://www.lbank.com/futures/{}",
}
_EXIT_WORDS = {
    ExitReason.TAKE_PROFIT: "TP hit",
    ExitReason.STOP_LOSS: "SL hit",
    ExitReason.TRAILING: "Trailing exit",
    ExitReason.BTC_PUMP: "Exit, BTC is pumping",
    ExitReason.LIQUIDITY_FLIP: "Exit, the bids came back",
    ExitReason.TIMEOUT: "Exit, time is up",
    ExitReason.DELISTED: "Ended, the pair was delisted",
}


def render_entry(signal: Signal, *, track_record: str, decided_after_ms: int) -> str:
    """Return the alert; `decided_after_ms` runs from the last reply of the tick to the decision.

    The first line fits a lock screen: side, coin, venue, entry, SL, TP.
    """
    levels = signal.levels
    stop, *targets = (format_price(price, signal.tick_size) for price in (levels.stop, *levels.take_profits))
    return _fit(
        f"<b>{_headline(signal)}</b> SL {stop} TP {' / '.join(targets)}",
        f"TP {levels.take_profit_percent:.2f} %, net {_signed(levels.net_take_profit_percent)} %"
        f" · SL {levels.stop_percent:.2f} %, net {_signed(-levels.net_stop_percent)} %"
        f" · breaks even at {100 * levels.break_even_win_rate:.0f} % wins",
        f"Sellable within 0.1 %: {_usdt(signal.sellable_usdt)}",
        "",
        f"<b>Score {signal.score:.1f}</b>",
        _score_table(signal),
        *(f"• {escape(reason)}" for reason in signal.reasons),
        escape(signal.borrowed) or None,
        f"Missing: {_missing(signal.missing)}" if signal.missing else None,
        f"Alerts like it: {escape(track_record)}",
        f"{_book_age(signal)}, decided +{decided_after_ms} ms{SENT_MARK}",
        f"#{signal.id} · {_link(signal)}",
    )


def render_track_record(closed: Sequence[tuple[Signal, Outcome]], score: float) -> str:
    """Return how the alerts of the same band of five points have done, plain text."""
    band = band_of(score)
    past = summarise(row for row in closed if band_of(row[0].score) == band)
    name = f"scores {band} to {band + BAND_POINTS}"
    if past.n == 0:
        return f"{name}: no data"
    rates = (100 * rate for rate in (past.win_rate, past.win_rate_low, past.win_rate_high))
    share, low, high = (f"{rate:.0f}" for rate in rates)
    unproven = f", {past.standing}" if past.standing else ""
    won = f"{past.wins} of {past.n} won, {share} % (95 % interval {low} to {high} %)"
    return f"{name}: {won}, {past.expectancy_r:+.2f} R each{unproven}"


def render_exit(signal: Signal, outcome: Outcome, *, reach_s: float) -> str:
    """Return the reply that ends an alert; `reach_s` is REACH_SECONDS."""
    ideal = outcome.ideal
    fill, entry = (format_price(price, signal.tick_size) for price in (outcome.fill, ideal.entry))
    return _fit(
        f"<b>{_EXIT_WORDS[outcome.reason]}: {_name(signal)} {_net(ideal)}</b>",
        f"{entry} → {fill}, gross {_signed(ideal.gross_percent)} %, held {_duration(outcome.held_s)}",
        f"On the way: best {_signed(outcome.mfe_percent)} %, worst {_signed(-outcome.mae_percent)} %",
        _reachable(signal, outcome.reachable, reach_s),
        "Stop and target were hit between two looks: counted as the stop" if outcome.is_ambiguous else None,
        escape(outcome.note) or None,
        f"#{signal.id}",
    )


def mark_sent(html: str, after_ms: int) -> str:
    """Complete the latency stamp of an alert that leaves `after_ms` after its decision; other texts have none."""
    return html.replace(SENT_MARK, f", sent +{_age(after_ms)}")


def mark_late(html: str, age_s: float, drift_percent: float | None) -> str:
    """Say above an alert how late it is, and how far the price has moved where that is known."""
    drift = "" if drift_percent is None else f", price {_signed(drift_percent)} % since"
    return f"<b>LATE {_duration(age_s)}</b>{drift}\n{html}"


def mark_may_repeat(html: str) -> str:
    """Say above a message that the chat may have it already."""
    return f"<b>MAY REPEAT</b>, the first sending was not confirmed\n{html}"


def mark_expired(html: str, count: int) -> str:
    """Say below a message how many before it were too old to be sent."""
    return f"{html}\n\n{count} earlier {'alert' if count == 1 else 'alerts'} could not be sent in time and expired"


def render_start(version: str, instruments: Mapping[str, int], open_signals: Sequence[OpenSignal], now_ms: int) -> str:
    """Return the first message of a run; `instruments` counts the pairs watched, by venue."""
    counts = (
        f"{_venue(venue)} {count:,}" if count else f"{_venue(venue)} none yet" for venue, count in instruments.items()
    )
    return _fit(f"<b>SGNL {escape(version)} is watching</b>", ", ".join(counts), *_open_lines(open_signals, now_ms))


def render_stop(why: str, open_signals: Sequence[OpenSignal], now_ms: int) -> str:
    """Return the last message of a run."""
    return _fit(
        f"<b>SGNL has stopped</b>: {escape(why)}",
        *_open_lines(open_signals, now_ms),
        "What happens to them meanwhile is settled at the next start" if open_signals else None,
    )


def render_venue_blind(venue: str, blind_s: float, why: str) -> str:
    """Return the notice that a venue has given no data for `blind_s`."""
    return (
        f"<b>{_venue(venue)} has been blind for {_duration(blind_s)}</b>: {escape(why)}\n"
        "No alerts from it until it is back; what is open there is settled then"
    )


def render_venue_back(venue: str, blind_s: float) -> str:
    """Return the notice that a venue gives data again."""
    return f"<b>{_venue(venue)} is back</b> after {_duration(blind_s)}"


def render_help(menu: Iterable[tuple[str, str]]) -> str:
    """Return the commands (name, what it does) a reader may use."""
    return _fit(
        "<b>SGNL</b> watches perpetuals for short scalps and alerts the few that pass every gate. It places no orders.",
        "",
        *(f"/{name} {escape(text)}" for name, text in menu),
    )


def render_status(status: BotStatus, timezone: str) -> str:
    """Return the answer to /status, times in `timezone`."""
    refused = ", ".join(f"{escape(gate)} {count:,}" for gate, count in status.refused.items() if count)
    unsent = ", ".join(f"{count} {state}" for state, count in status.outbox.items() if state != "sent" and count)
    return _fit(
        f"<b>SGNL {escape(status.version)}</b>, up {_duration((status.now_ms - status.started_ms) / 1000)}",
        _activity(status, ZoneInfo(timezone)),
        _ticks(status),
        f"Best now: {escape(status.best) or 'nothing scored yet'}",
        f"Signals today: {status.signals_today} of {status.max_daily_signals}",
        *_open_lines(status.open_signals, status.now_ms),
        "",
        *(_venue_line(venue) for venue in status.venues),
        f"\nRefused by gate: {refused}" if refused else None,
        f"Messages: {unsent}" if unsent else None,
        *(f"Problem: {escape(problem)}" for problem in status.problems()),
    )


def _fit(*lines: str | None) -> str:
    """Join the lines that are there, leaving out the last ones where Telegram would refuse the whole."""
    kept = [line for line in lines if line is not None]
    while sum(len(line) + 1 for line in kept) > LONGEST:
        kept[-2:] = ["…"]
    return "\n".join(kept)


def _headline(signal: Signal) -> str:
    entry = format_price(signal.levels.entry, signal.tick_size)
    return f"{signal.side.upper()} {_name(signal)} {entry}"


def _name(signal: Signal) -> str:
    """The coin as the venue counts it, since the prices are of that: 1000PEPE, not PEPE."""
    return f"{escape(signal.pair.partition('/')[0])} {_venue(signal.venue)}"


def _venue(venue: str) -> str:
    return VENUE_NAMES.get(venue) or escape(venue)


def _link(signal: Signal) -> str:
    text = f"{escape(signal.pair)} on {_venue(signal.venue)}"
    if (page := _PAIR_PAGES.get(signal.venue)) is None:
        return text
    # LBank's pages are in lower case, its ids are not.
    pair = signal.instrument_id.lower() if signal.venue == "lbank" else signal.instrument_id
    return f'<a href="{page.format(quote(pair, safe=""))}">{text}</a>'


def _score_table(signal: Signal) -> str:
    """Points, and how much of its full each sub-score reached; 32 columns fit a phone."""
    rows = (
        f"{_words(name)[:19]:<19}{points:5.1f} {signal.sub_scores[name]:4.0f} %"
        for name, points in signal.contributions.items()
    )
    return f"<pre>{escape(chr(10).join(rows))}</pre>"


def _words(name: str) -> str:
    """A sub-score, part or gate as people read it: "OI divergence"."""
    words = name.replace("_", " ").replace("oi ", "OI ").replace("btc ", "BTC ")
    return words[:1].upper() + words[1:]


def _missing(missing: Mapping[str, str]) -> str:
    return escape(", ".join(f"{_words(part).lower()} ({why})" for part, why in missing.items()))


def _book_age(signal: Signal) -> str:
    if signal.data_times.book_ms is None:
        return "no book"
    return f"book {_age(signal.decided_ms - signal.data_times.book_ms)} old"


def _reachable(signal: Signal, result: Result | None, reach_s: float) -> str:
    if result is None:
        return f"Nobody could have entered: it ended within {_duration(reach_s)}"
    entry = format_price(result.entry, signal.tick_size)
    return f"From {entry}, the price {_duration(reach_s)} later: {_net(result)}"


def _net(result: Result) -> str:
    return f"{_signed(result.net_percent)} % net, {result.r:+.2f} R"


def _open_lines(open_signals: Sequence[OpenSignal], now_ms: int) -> list[str]:
    if not open_signals:
        return ["No open signal"]
    ages = ((open_signal.signal, (now_ms - open_signal.signal.decided_ms) / 1000) for open_signal in open_signals)
    return [f"Open: #{signal.id} {_headline(signal)}, {_duration(age_s)}" for signal, age_s in ages]


def _activity(status: BotStatus, zone: ZoneInfo) -> str:
    if status.paused_until_ms is not None and status.paused_until_ms > status.now_ms:
        return f"Paused {_until(status.paused_until_ms, zone)}: no new alerts, open signals are followed"
    if status.guard_until_ms > status.now_ms:
        return f"Stop-loss guard {_until(status.guard_until_ms, zone)}: no new alerts, open signals are followed"
    return "Watching"


def _until(until_ms: int, zone: ZoneInfo) -> str:
    if until_ms >= FOREVER_MS:
        return "until /resume"
    return f"until {datetime.fromtimestamp(until_ms / 1000, UTC).astimezone(zone):%d %b %H:%M %Z}"


def _ticks(status: BotStatus) -> str:
    if status.last_tick_ms is None:
        return "No tick has ended yet"
    age = _age(status.now_ms - status.last_tick_ms)
    return f"{status.ticks:,} ticks, p50 {status.tick_p50_ms:.0f} ms, p95 {status.tick_p95_ms:.0f} ms, last {age} ago"


def _venue_line(venue: VenueStatus) -> str:
    used = f"{venue.budget_used_percent:.0f} % of its limit used"
    note = f": {escape(venue.note)}" if venue.note else ""
    return f"{_venue(venue.venue)} {escape(venue.state)}, {venue.instruments:,} pairs, {used}{note}"


def _signed(percent: float) -> str:
    return f"{percent:+.2f}"


def _usdt(amount: float) -> str:
    return f"{amount:,.0f} USDT" if isfinite(amount) else "unknown"


def _age(age_ms: int) -> str:
    """A short span; clocks that disagree a little make no negative one."""
    return f"{max(0, age_ms)} ms" if age_ms < 1_000 else _duration(age_ms / 1000)


def _duration(seconds: float) -> str:
    """The two largest units, rounded down: "45 s", "12 min 3 s", "2 d 5 h"."""
    if seconds < 10 and seconds % 1 >= 0.05:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = ((days, "d"), (hours, "h"), (minutes, "min"), (rest_s, "s"))
    first = next((index for index, (count, _) in enumerate(units) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count) or "0 s"
