"""Events reach every subscriber once, in order, and not before they are flushed."""

from bot.core.events import Event, Events, SignalEnded, SignalGiven
from tests.scoring.frames import outcome, signal


def test_every_subscriber_once_in_order() -> None:
    """What was added before the flush is handed on by it, and by no later one."""
    first: list[Event] = []
    second: list[Event] = []
    events = Events((first.append, second.append))
    given, ended = SignalGiven(signal()), SignalEnded(signal(), outcome())
    events.add(given)
    events.add(ended)
    assert first == []
    events.flush()
    events.flush()
    assert first == second == [given, ended]


def test_an_event_that_leads_to_another() -> None:
    """What a subscriber adds waits for the next flush."""
    seen: list[Event] = []

    def note(event: Event) -> None:
        seen.append(event)
        if len(seen) == 1:
            events.add(SignalGiven(signal()))

    events = Events((note,))
    events.add(SignalGiven(signal()))
    events.flush()
    assert len(seen) == 1
    events.flush()
    assert len(seen) == 2
