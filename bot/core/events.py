"""Events, emitted after they are stored, to subscribers that the tick knows nothing of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bot.core.tick import Tick
from fetchers.health import Notice
from scoring.signals import Outcome, Signal


@dataclass(frozen=True, slots=True)
class SignalGiven:
    """A signal was stored with its messages."""

    signal: Signal


@dataclass(frozen=True, slots=True)
class SignalEnded:
    """The outcome of a signal was stored."""

    signal: Signal
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class VenueChanged:
    """A venue is blind or back."""

    notice: Notice


@dataclass(frozen=True, slots=True)
class TickEnded:
    """A tick has ended well."""

    tick: Tick


@dataclass(frozen=True, slots=True)
class LookEnded:
    """A look between two ticks has ended well."""

    look: Tick


Event: TypeAlias = SignalGiven | SignalEnded | VenueChanged | TickEnded | LookEnded


class Events:
    """Collects events and hands them on when the alerts are out.

    Subscribers are called in the loop and must return at once: one with more to do queues the event
    (bot/core/event_queue.py).
    """

    def __init__(self, subscribers: Sequence[Callable[[Event], None]] = ()) -> None:
        self._subscribers = subscribers
        self._waiting: list[Event] = []

    def add(self, event: Event) -> None:
        """Keep an event until the next flush."""
        self._waiting.append(event)

    def flush(self) -> None:
        """Hand every event to every subscriber, in order."""
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            for subscriber in self._subscribers:
                subscriber(event)
