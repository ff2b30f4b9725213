"""The small phrases that every text for people is made of."""

from datetime import datetime
from math import isfinite, isnan
from zoneinfo import ZoneInfo

from bot.chat.texts.markup import Markup, escape, lines
from features.facts.venues import venue_title
from scoring.prices import format_price
from scoring.signals import FOREVER_MS, Result, Signal
from scoring.statistics import Record, Summary

LONGEST_SENT = 4_096  #: characters of text Telegram takes
LONGEST = 3_800  #: leaves room for what the `mark_` functions of bot/chat/texts/marks.py add


def fit(*parts: str | None) -> Markup:
    """Join the lines that are there, leaving out the last ones where Telegram would refuse the whole."""
    kept = [escape(part) for part in parts if part is not None]
    while sum(len(line) + 1 for line in kept) > LONGEST:
        kept[-2:] = [escape("…")]
    return lines(kept)


def headline(signal: Signal) -> str:
    """Side, coin, venue and entry."""
    entry = format_price(signal.levels.entry, signal.tick_size)
    return f"{signal.side.upper()} {coin_name(signal)} {entry}"


def coin_name(signal: Signal) -> str:
    """The coin as the venue counts it, since the prices are of that: 1000PEPE, not PEPE."""
    return f"{signal.pair.partition('/')[0]} {venue_name(signal.venue)}"


def venue_name(venue: str) -> str:
    """The venue as it writes itself."""
    return venue_title(venue)


def counted(count: int, noun: str) -> str:
    """How many there are of what has a regular plural."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def words(name: str) -> str:
    """A sub-score, part or gate as people read it: "OI divergence"."""
    said = name.replace("_", " ").replace("oi ", "OI ").replace("btc ", "BTC ")
    return said[:1].upper() + said[1:]


def net_text(result: Result | None) -> str:
    """Return a result, net of costs."""
    if result is None:
        return "no result"
    return f"{signed(result.net_percent)} % net, {result.r:+.2f} R"


def until_text(until_ms: int, timezone: str, *, ended_by: str = "/resume") -> str:
    """The end of a pause or a mute."""
    if until_ms >= FOREVER_MS:
        return f"until {ended_by}"
    return f"until {local_time(until_ms, timezone):%d %b %H:%M %Z}"


def local_time(time_ms: int, timezone: str) -> datetime:
    """The time where the user lives."""
    return datetime.fromtimestamp(time_ms / 1000, ZoneInfo(timezone))


def signed(percent: float) -> str:
    """Two decimals with their sign."""
    return f"{round(percent, 2) + 0.0:+.2f}"  # no -0.00


def usdt_text(amount: float) -> str:
    """Whole USDT."""
    return f"{amount:,.0f} USDT" if isfinite(amount) else "unknown"


def age_text(age_ms: int) -> str:
    """A short span; clocks that disagree a little make no negative one."""
    return f"{max(0, age_ms)} ms" if age_ms < 1_000 else duration_text(age_ms / 1000)


def duration_text(seconds: float) -> str:
    """The two largest units, rounded down: "45 s", "12 min 3 s", "2 d 5 h"."""
    if seconds < 10 and seconds % 1 >= 0.05:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    units = ((days, "d"), (hours, "h"), (minutes, "min"), (rest_s, "s"))
    first = next((index for index, (count, _) in enumerate(units) if count), 3)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count) or "0 s"


def record_text(record: Record) -> str:
    """Return what alerts of one kind have made, expectancy first, beside what their controls made; plain text."""
    made, chance = record.alerts, record.chance
    others = [
        f"{count} {words}"
        for count, words in (
            (made.not_known, "not known"),
            (made.not_reached, "ended before anyone could enter"),
            (record.left_out, "of other settings left out"),
        )
        if count
    ]
    if made.n == 0:
        return ", ".join(["no data", *others])
    parts = [f"alerts {expectancy_text(made)}"]
    if chance.n:
        parts.append(f"chance {expectancy_text(chance)}")
    parts.append(win_rate_text(made))
    if made.standing:
        parts.append(made.standing)
    return ", ".join([*parts, *others])


def comparison_text(record: Record) -> str | None:
    """Return in a sentence how the alerts compare with chance, None where there are none; plain text."""
    if record.alerts.n == 0:
        return None
    if record.verdict == "too few":
        n = f"{counted(record.alerts.n, 'alert')}, {counted(record.chance.n, 'control')}"
        return f"Too few yet to compare with chance ({n})"
    low, high = record.difference_r_low, record.difference_r_high
    difference = f"Alerts less chance: {record.difference_r:+.2f} R ({low:+.2f} … {high:+.2f})"
    if record.verdict == "better" and record.alerts.expectancy_r_low <= 0:
        return f"{difference}, better than chance, but not shown to earn"
    words = {"no difference": "no difference shown", "better": "better than chance", "worse": "worse than chance"}
    return f"{difference}, {words[record.verdict]}"


def expectancy_text(made: Summary) -> str:
    """Return the mean R with its interval, such as "+0.05 R (-0.10 … +0.20, n 61)"."""
    low, high = made.expectancy_r_low, made.expectancy_r_high
    interval = "too few days for an interval" if isnan(low) else f"{low:+.2f} … {high:+.2f}"
    return f"{made.expectancy_r:+.2f} R ({interval}, n {made.n})"


def win_rate_text(made: Summary) -> str:
    """Return the share of wins with its interval, beside the share at which these same rows would have paid nothing."""
    low, high = (f"{100 * rate:.0f}" for rate in (made.win_rate_low, made.win_rate_high))
    won = f"{made.wins} of {made.n} won, {100 * made.win_rate:.0f} % ({low} to {high} %)"
    if isnan(made.break_even_win_rate):
        return won
    return f"{won}, break-even of these {100 * made.break_even_win_rate:.0f} %"
