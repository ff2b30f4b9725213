"""What is known only when a message leaves: how long it took, whether it is late or may repeat, what was lost."""

from datetime import datetime

from bot.chat.texts.phrases import (
    LONGEST_SENT,
    age_text,
    counted,
    duration_text,
    signed,
)
from storage.messages import Lost

#: Stands where the sending time goes: nothing to a reader, and nothing escaped can look like it.
SENT_MARK = "<i></i>"


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
    return "\n".join([f"{html}\n", *lost_lines(lost)])


def add_follow_ups(html: str, follow_up: str) -> str:
    """Return an alert with the lines of what has become of it since, less the first ones if it were too long."""
    lines = follow_up.split("\n")[1:]
    while lines and len(html) + sum(len(line) + 1 for line in lines) > LONGEST_SENT:
        del lines[0]
    return "\n".join([html, *lines])


def lost_lines(lost: Lost) -> list[str]:
    """Return how many earlier messages did not arrive, a line for each way."""
    ends = {
        "could not be sent in time and expired": lost.expired,
        "may not have arrived: no answer came": lost.uncertain,
        "would not be taken by Telegram": lost.failed,
    }
    return [f"{counted(count, 'earlier message')} {end}" for end, count in ends.items() if count]
