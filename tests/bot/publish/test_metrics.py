"""What Prometheus reads, by its own parser."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.core.events import SignalEnded, SignalGiven, TickEnded
from bot.core.status import BotStatus, Replies
from bot.publish.metrics import Metrics
from tests.bot.builders import make_status, make_venue
from tests.bot.core.test_activity import tick
from tests.scoring.frames import outcome, signal


def read(metrics: Metrics, status: BotStatus) -> dict[tuple[str, frozenset[str]], float]:
    """Return every sample by its name and labels."""
    text = metrics.exposition(status).decode()
    return {
        (sample.name, frozenset(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_events() -> None:
    """Signals, outcomes and ticks are counted by what they are of."""
    metrics = Metrics()
    for event in (SignalGiven(signal()), SignalGiven(signal()), SignalEnded(signal(), outcome()), TickEnded(tick())):
        metrics.note(event)
    found = read(metrics, make_status())
    one, end = signal(), outcome()
    labels = frozenset((one.strategy, one.side.value, one.venue))
    assert found["sgnl_signals_total", labels] == 2
    assert found["sgnl_outcomes_total", labels | {end.reason.value}] == 1
    assert found["sgnl_tick_seconds_sum", frozenset()] == pytest.approx(0.3)
    assert found["sgnl_tick_seconds_bucket", frozenset(("0.25",))] == 0
    assert found["sgnl_tick_seconds_bucket", frozenset(("0.5",))] == 1


def test_the_state_now() -> None:
    """The venues, how readable their replies are, the outbox and the trouble are those of the moment."""
    replies = {"ticker/24hr": Replies(rows=100, unreadable=7, impossible=2, new_fields=("new",))}
    venue = make_venue("mexc", state="blind", last_reply_ms=None, budget_used_percent=25.0, replies=replies)
    found = read(Metrics(), make_status(venues=(venue,), outbox={"sent": 3}, faults=("no chat",)))
    assert (
        found[
            "sgnl_venue_state",
            frozenset(
                (
                    "mexc",
                    "blind",
                )
            ),
        ]
        == 1
    )
    assert found["sgnl_venue_budget_used_ratio", frozenset(("mexc",))] == 0.25
    assert ("sgnl_venue_reply_age_seconds", frozenset(("mexc",))) not in found, "none has come yet"
    assert (
        found[
            "sgnl_venue_unreadable_rows_total",
            frozenset(
                (
                    "mexc",
                    "ticker/24hr",
                )
            ),
        ]
        == 7
    )
    assert (
        found[
            "sgnl_venue_impossible_values_total",
            frozenset(
                (
                    "mexc",
                    "ticker/24hr",
                )
            ),
        ]
        == 2
    )
    assert (
        found[
            "sgnl_venue_new_fields",
            frozenset(
                (
                    "mexc",
                    "ticker/24hr",
                )
            ),
        ]
        == 1
    )
    assert found["sgnl_outbox_messages", frozenset(("sent",))] == 3
    assert found["sgnl_problems", frozenset()] == 2


def test_a_label_that_needs_escaping() -> None:
    """A venue's words end no line."""
    venue = make_venue('me"xc\n', replies={})
    assert read(Metrics(), make_status(venues=(venue,)))["sgnl_venue_instruments", frozenset(('me"xc\n',))] == 412
