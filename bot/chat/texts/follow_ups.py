"""Lines below an alert while its signal is open and when it has ended: edited in, without a sound."""

from collections.abc import Iterable

from bot.chat.texts.alerts import entry_buttons, exit_words, fill_words
from bot.chat.texts.markup import bold, escape
from bot.chat.texts.phrases import local_time, net_text, venue_name
from fetchers.health import Notice
from scoring.prices import format_price
from scoring.settings import ScoringSettings
from scoring.signals import OpenSignal, Outcome, Signal
from storage.messages import FollowUp


def of_look(before: OpenSignal, after: OpenSignal, settings: ScoringSettings) -> list[FollowUp]:
    """Return what a look at an open signal changed: targets that were hit, its trailing exit is armed."""
    return [*_hits(before, after, settings), *_armed(before, after, settings)]


def _hits(before: OpenSignal, after: OpenSignal, settings: ScoringSettings) -> list[FollowUp]:
    signal, lines = after.signal, []
    for place, fill in enumerate(after.fills[len(before.fills) :], start=len(before.fills) + 1):
        left = 1 - sum(one.share for one in after.fills[:place])
        text = f"{_clock(fill.time_ms, settings)} Closed {fill_words(fill, place, signal)}, {left:.0%} stay open"
        lines.append(FollowUp(signal_id=signal.id, html=escape(text)))
    return lines


def _armed(before: OpenSignal, after: OpenSignal, settings: ScoringSettings) -> list[FollowUp]:
    if before.is_trailing_armed or not after.is_trailing_armed:
        return []
    signal, distance = after.signal, settings.trail_distance_percent
    stop = format_price(after.best_price * (1 - signal.side.direction * distance / 100), signal.tick_size)
    when = _clock(after.looked_ms, settings)
    text = f"{when} Trailing: the stop is now {stop} and follows the best price by {distance:g} %"
    return [FollowUp(signal_id=signal.id, html=escape(text))]


def of_exit(signal: Signal, outcome: Outcome, settings: ScoringSettings) -> FollowUp:
    """Return how it ended; the reply to the alert says the rest. Nobody should copy the trade any more."""
    buttons = tuple(button for button in entry_buttons(signal) if not button.copy)
    words = exit_words(outcome.reason, signal.side)
    line = bold(f"{_clock(outcome.exit_ms, settings)} {words}: {net_text(outcome.ideal)}")
    return FollowUp(signal_id=signal.id, html=line, buttons=buttons)


def of_venue(
    notice: Notice, open_signals: Iterable[OpenSignal], now_ms: int, settings: ScoringSettings
) -> list[FollowUp]:
    """Return what becomes of the open signals of a venue that is blind or back."""
    venue, when = venue_name(notice.venue), _clock(now_ms, settings)
    text = (
        f"{when} {venue} is back: what happened meanwhile is settled now"
        if notice.is_back
        else f"{when} {venue} is blind: nothing is seen of this pair until it is back"
    )
    here = (one.signal for one in open_signals if one.signal.venue == notice.venue)
    return [FollowUp(signal_id=signal.id, html=escape(text)) for signal in here]


def _clock(time_ms: int, settings: ScoringSettings) -> str:
    return f"{local_time(time_ms, settings.timezone):%H:%M}"
