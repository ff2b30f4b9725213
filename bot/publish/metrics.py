"""The bot's figures for Prometheus: signals, outcomes and ticks counted from the events, the rest read on request."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bot.core.events import Event, SignalEnded, SignalGiven, TickEnded
from bot.core.status import BotStatus, VenueStatus
from fetchers.streams.stream_report import ChannelReport

PHASES = ("poll", "decide", "after")
TICK_BUCKETS_S = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 20)
LAG_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)

Values: TypeAlias = Mapping[tuple[str, ...], float]  #: by the values of the labels
Rows: TypeAlias = Iterable[tuple[tuple[str, ...], float]]  #: the same as pairs


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A figure that a part of the bot keeps, read whenever Prometheus asks."""

    name: str  #: without the _total of a counter
    help_text: str
    read: Callable[[], float | Values]
    labels: tuple[str, ...] = ()
    is_counter: bool = False  #: it never falls before the bot ends


class Metrics:
    """Counts the events that `note`, a subscriber, gets."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ("strategy", "side", "venue")
        self._signals = Counter("sgnl_signals", "Signals given since the start", labels, registry=self._registry)
        self._outcomes = Counter(
            "sgnl_outcomes", "Signals ended since the start", (*labels, "reason"), registry=self._registry
        )
        self._phases = Histogram(
            "sgnl_tick_phase_seconds",
            "How long polling, deciding, and what comes after the alerts took",
            ("phase",),
            buckets=TICK_BUCKETS_S,
            registry=self._registry,
        )
        ProcessCollector(registry=self._registry)
        self._ticks = Histogram(
            "sgnl_tick_seconds", "How long a tick took", buckets=TICK_BUCKETS_S, registry=self._registry
        )
        self._lag = Histogram(
            "sgnl_loop_lag_seconds",
            "By how much the event loop was late: so long something held it",
            buckets=LAG_BUCKETS_S,
            registry=self._registry,
        )

    def watch(self, readings: Iterable[Reading]) -> None:
        """Read these too from now on."""
        self._registry.register(_Readings(tuple(readings)))

    def note_lag(self, lag_s: float) -> None:
        """Count by how much the event loop was late."""
        self._lag.observe(lag_s)

    def note(self, event: Event) -> None:
        """Count what has happened."""
        match event:
            case SignalGiven(signal):
                self._signals.labels(signal.strategy, signal.side.value, signal.venue).inc()
            case SignalEnded(signal, outcome):
                self._outcomes.labels(signal.strategy, signal.side.value, signal.venue, outcome.reason.value).inc()
            case TickEnded(tick):
                self._ticks.observe((tick.ended_ms - tick.started_ms) / 1000)
                times_ms = tick.started_ms, tick.features.now_ms, tick.decided_ms, tick.ended_ms
                for phase, (begin_ms, end_ms) in zip(PHASES, pairwise(times_ms), strict=True):
                    self._phases.labels(phase).observe((end_ms - begin_ms) / 1000)

    def exposition(self, status: BotStatus) -> bytes:
        """Return all figures in Prometheus' text format, version 0.0.4; those that no event tells are of `status`."""
        now = CollectorRegistry()
        now.register(_StatusCollector(status))
        return generate_latest(self._registry) + generate_latest(now)


class _Readings(Collector):
    def __init__(self, readings: tuple[Reading, ...]) -> None:
        self._readings = readings

    def describe(self) -> Iterator[Metric]:
        """Yield the names, for which nothing needs to be read."""
        for one in self._readings:
            yield _family(one)

    def collect(self) -> Iterator[Metric]:
        """Yield the figures now."""
        for one in self._readings:
            found = one.read()
            yield _filled(_family(one), found.items() if isinstance(found, Mapping) else [((), found)])


def _family(one: Reading) -> CounterMetricFamily | GaugeMetricFamily:
    return (CounterMetricFamily if one.is_counter else GaugeMetricFamily)(one.name, one.help_text, labels=one.labels)


class _StatusCollector(Collector):
    def __init__(self, status: BotStatus) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        """Yield the bot's state."""
        status = self._status
        yield _gauge("sgnl_build", "1, with the version", ("version",), [((status.version,), 1)])
        yield _gauge("sgnl_problems", "What makes the bot unwell, 0 is well", (), [((), len(list(status.problems())))])
        yield _gauge("sgnl_open_signals", "Signals without an end", (), [((), len(status.open_signals))])
        yield _gauge("sgnl_paused", "1 while no signals are given", (), [((), int(status.paused_until_ms is not None))])
        yield _gauge(
            "sgnl_outbox_messages",
            "Messages by delivery state",
            ("state",),
            [((state,), count) for state, count in status.outbox.items()],
        )
        funnels = status.funnels.items()
        yield _gauge(
            "sgnl_funnel_refused",
            "Instruments of a usual tick that each gate refused first, of those whose data is whole",
            ("strategy", "gate"),
            [((strategy, gate), count) for strategy, one in funnels for gate, count in one.refused.items()],
        )
        yield _gauge(
            "sgnl_funnel_seen",
            "Instruments of a usual tick whose data is whole",
            ("strategy",),
            [((strategy,), one.seen) for strategy, one in funnels],
        )
        latencies_ms = (("0.5", status.alert_p50_ms), ("0.95", status.alert_p95_ms))
        yield _gauge(
            "sgnl_alert_latency_seconds",
            "From a decision to Telegram's word that it has the alert, of the last alerts",
            ("quantile",),
            [((quantile,), ms / 1000) for quantile, ms in latencies_ms if math.isfinite(ms)],
        )
        if status.mysql_behind is not None:
            yield _gauge("sgnl_mysql_behind_rows", "Changes still to be copied", (), [((), status.mysql_behind)])
        yield from _of_venues(status.venues, status.now_ms)
        yield from _of_streams([(one.venue, channel) for one in status.venues for channel in one.streams])


def _of_venues(venues: tuple[VenueStatus, ...], now_ms: int) -> Iterator[Metric]:
    yield _gauge(
        "sgnl_venue_state",
        "1 at the state that the venue is in",
        ("venue", "state"),
        [((one.venue, one.state), 1) for one in venues],
    )
    yield _gauge("sgnl_venue_instruments", "Watched", ("venue",), [((one.venue,), one.instruments) for one in venues])
    yield _gauge(
        "sgnl_venue_reply_age_seconds",
        "Since the last good bulk reply",
        ("venue",),
        [((one.venue,), (now_ms - one.last_reply_ms) / 1000) for one in venues if one.last_reply_ms is not None],
    )
    yield _gauge(
        "sgnl_venue_budget_used_ratio",
        "The most used so far of a published limit",
        ("venue",),
        [((one.venue,), one.budget_used_percent / 100) for one in venues],
    )
    replies = [((one.venue, endpoint), reply) for one in venues for endpoint, reply in one.replies.items()]
    for name, help_text, field in (
        ("sgnl_venue_rows", "Rows of an endpoint's replies", "rows"),
        ("sgnl_venue_unreadable_rows", "Rows left out, or without the value they are for", "unreadable"),
        ("sgnl_venue_impossible_values", "Values that came and cannot be", "impossible"),
    ):
        yield _counter(
            name, help_text, ("venue", "endpoint"), [(labels, getattr(reply, field)) for labels, reply in replies]
        )
    yield _gauge(
        "sgnl_venue_new_fields",
        "Fields that an endpoint's first reply did not have",
        ("venue", "endpoint"),
        [(labels, len(reply.new_fields)) for labels, reply in replies],
    )


def _of_streams(channels: Sequence[tuple[str, ChannelReport]]) -> Iterator[Metric]:
    both = ("venue", "channel")
    yield _gauge(
        "sgnl_stream_state",
        "1 at the state that the connection is in",
        (*both, "state"),
        [((venue, one.name, one.state.value), 1) for venue, one in channels],
    )
    yield _gauge(
        "sgnl_stream_symbols",
        "Instruments that the connection is for, that were heard, and whose prints surely come",
        (*both, "what"),
        [
            ((venue, one.name, what), getattr(one, what))
            for venue, one in channels
            for what in ("wanted", "heard", "covered")
        ],
    )
    yield _gauge(
        "sgnl_stream_messages_per_second",
        "Of late",
        both,
        [((venue, one.name), one.messages_per_s) for venue, one in channels],
    )
    yield _gauge(
        "sgnl_stream_lag_seconds",
        "From the venue's time of a message to its reading",
        (*both, "quantile"),
        [
            ((venue, one.name, quantile), lag_ms / 1000)
            for venue, one in channels
            for quantile, lag_ms in (("0.5", one.lag_p50_ms), ("0.95", one.lag_p95_ms))
        ],
    )
    for name, help_text, field in (
        ("sgnl_stream_losses", "Connections that ended, or failed to open", "losses"),
        ("sgnl_stream_resyncs", "Instruments asked for again since they were silent", "resyncs"),
    ):
        yield _counter(name, help_text, both, [((venue, one.name), getattr(one, field)) for venue, one in channels])


def _gauge(name: str, help_text: str, labels: tuple[str, ...], values: Rows) -> Metric:
    return _filled(GaugeMetricFamily(name, help_text, labels=labels), values)


def _counter(name: str, help_text: str, labels: tuple[str, ...], values: Rows) -> Metric:
    return _filled(CounterMetricFamily(name, help_text, labels=labels), values)


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: Rows) -> Metric:
    for labels, value in values:
        family.add_metric(labels, value)
    return family
