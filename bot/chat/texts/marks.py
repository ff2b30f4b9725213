"""Marks added as a message leaves: how long it took, whether it is late or may repeat, what was lost."""

from datetime import datetime

from bot.chat.texts.markup import Markup, bold, html, lines, stored
from bot.chat.texts.phrases import (
    LONGEST_SENT,
    age_text,
    counted,
    duration_text,
    signed,
)
from storage.messages import Lost

#: Placeholder of the sending time: invisible, and no escaped text can look like it.
SENT_MARK = html("<i></i>")


def mark_sent(message: Markup, after_ms: int) -> Markup:
    """Complete the latency stamp of an alert that leaves `after_ms` after its decision; other texts have none."""
    return message.replace(SENT_MARK, f", sent +{age_text(after_ms)}")


def mark_late(message: Markup, age_s: float, drift_percent: float | None) -> Markup:
    """Put above an alert how late it is, and how far the price has moved where that is known."""
    drift = "" if drift_percent is None else f", price {signed(drift_percent)} % since"
    return lines([html("<b>LATE {}</b>{}", duration_text(age_s), drift), message])


def mark_may_repeat(message: Markup) -> Markup:
    """Put above a message that the chat may have it already."""
    return lines([html("<b>MAY REPEAT</b>, the first sending was not confirmed"), message])


def mark_time(message: Markup, created: datetime, age_s: float) -> Markup:
    """Put above a message that leaves late the time it is of."""
    return lines([html("<b>From {:%d %b %H:%M}</b>, {} ago", created, duration_text(age_s)), message])


def mark_no_topic(message: Markup) -> Markup:
    """Put above a message why it is in the group and not in its topic."""
    return lines([bold("Its topic is gone"), message])


def mark_lost(message: Markup, lost: Lost) -> Markup:
    """Put below a message what its chat did not get before it, or may not have got."""
    return lines([message, "", *lost_lines(lost)])


def add_follow_ups(message: Markup, follow_up: str) -> Markup:
    """Return an alert with the lines of what has become of it since, less the first ones if it were too long."""
    added = stored(follow_up).split("\n")[1:]
    while added and len(message) + sum(len(line) + 1 for line in added) > LONGEST_SENT:
        del added[0]
    return lines([message, *added])


def lost_lines(lost: Lost) -> list[str]:
    """Return how many earlier messages did not arrive, a line for each way."""
    ends = {
        "could not be sent in time and expired": lost.expired,
        "may not have arrived: no answer came": lost.uncertain,
        "would not be taken by Telegram": lost.failed,
    }
    return [f"{counted(count, 'earlier message')} {end}" for end, count in ends.items() if count]
