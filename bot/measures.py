"""What /metrics reads of the bot's parts beside the status and the events."""

import asyncio

import numpy as np

from bot.core.tick import Tick
from bot.publish.metrics import Reading, Values
from bot.web.door import Door
from bot.wiring import Bot
from features.missing import Missing

QUANTILES = (0.5, 0.95)
#: parts of the features, and the time that says how old each is
AGES = {
    "price": "price_ms",
    "book": "book_ms",
    "taker_sell_share": "trades_ms",
    "open_interest_change": "open_interest_ms",
    "funding": "funding_ms",
}


def readings(bot: Bot, door: Door) -> list[Reading]:
    """Return them; they are asked in the event loop."""
    return [*_of_venues(bot), *_of_decisions(bot), *_of_the_process(bot, door)]


def _of_venues(bot: Bot) -> list[Reading]:
    feed = bot.feed

    def spent(field: str) -> Values:
        return {
            (venue, endpoint.lstrip("/")): getattr(one, field)
            for venue, report in feed.status().items()
            for endpoint, one in report.spent.items()
        }

    by_endpoint = ("venue", "endpoint")
    return [
        Reading(
            name="sgnl_venue_requests",
            help_text="Requests sent since the start",
            labels=by_endpoint,
            read=lambda: spent("requests"),
            is_counter=True,
        ),
        Reading(
            name="sgnl_venue_weight",
            help_text="What they cost of the venue's limits: weight where it has such, else requests",
            labels=by_endpoint,
            read=lambda: spent("weight"),
            is_counter=True,
        ),
        Reading(
            name="sgnl_venue_errors",
            help_text="Calls that failed since the start",
            labels=("venue",),
            read=lambda: {(venue,): report.errors for venue, report in feed.status().items()},
            is_counter=True,
        ),
        Reading(
            name="sgnl_data_age_seconds",
            help_text="How old the data of the last decision was, of instruments that may signal and have it",
            labels=("venue", "part", "quantile"),
            read=lambda: _ages(bot.activity.last_tick),
        ),
    ]


def _ages(tick: Tick | None) -> Values:
    if tick is None:
        return {}
    features, found = tick.features, dict[tuple[str, ...], float]()
    venues = np.array([instrument.venue for instrument in features.instruments])
    for part, field in AGES.items():
        age_s = (tick.decided_ms - getattr(features, field)) / 1000
        is_known = features.instruments.is_eligible & (features.missing[part] == Missing.PRESENT)
        for venue in sorted({*venues[is_known].tolist()}):
            for share, age in zip(QUANTILES, np.quantile(age_s[is_known & (venues == venue)], QUANTILES), strict=True):
                found[venue, part, f"{share:g}"] = float(age)
    return found


def _of_decisions(bot: Bot) -> list[Reading]:
    funnels = bot.activity.funnels
    return [
        Reading(
            name="sgnl_refused",
            help_text="Instruments with whole data that each gate refused first, added up over all ticks",
            labels=("strategy", "gate"),
            read=lambda: {(name, gate): n for name, log in funnels.items() for gate, n in log.refused.items()},
            is_counter=True,
        ),
        Reading(
            name="sgnl_not_seen",
            help_text="Instruments whose data was not whole, by what lacked, added up over all ticks",
            labels=("strategy", "lack"),
            read=lambda: {(name, lack): n for name, log in funnels.items() for lack, n in log.not_seen.items()},
            is_counter=True,
        ),
        Reading(
            name="sgnl_passed",
            help_text="Instruments that no gate refused, added up over all ticks",
            labels=("strategy",),
            read=lambda: {(name,): log.passed for name, log in funnels.items()},
            is_counter=True,
        ),
        Reading(
            name="sgnl_best_score",
            help_text="The best score of the last tick among those that may signal",
            labels=("strategy",),
            read=lambda: _best(bot.activity.last_tick),
        ),
    ]


def _best(tick: Tick | None) -> Values:
    if tick is None or not (is_eligible := tick.features.instruments.is_eligible).any():
        return {}
    return {
        (name,): float(judgement.scores.total[is_eligible].max())
        for name, judgement in tick.decision.by_strategy.items()
    }


def _of_the_process(bot: Bot, door: Door) -> list[Reading]:
    live, taping, handlers = bot.live, bot.taping, bot.handlers

    def queues() -> Values:
        waiting: dict[tuple[str, ...], float] = {("page",): live.waiting}
        if handlers is not None:
            waiting["answers",] = len(handlers.waiting.tasks)
        if taping is not None:
            waiting["tape",] = taping.waiting
        return waiting

    return [
        Reading(name="sgnl_tasks", help_text="Tasks of the event loop", read=lambda: len(asyncio.all_tasks())),
        Reading(
            name="sgnl_queue_length",
            help_text="What waits in the bot's queues; messages are in sgnl_outbox_messages",
            labels=("queue",),
            read=queues,
        ),
        Reading(name="sgnl_web_clients", help_text="Readers of /ws", read=lambda: live.clients),
        Reading(
            name="sgnl_web_clients_dropped",
            help_text="Readers of /ws that read too slowly, since the start",
            read=lambda: live.dropped,
            is_counter=True,
        ),
        Reading(
            name="sgnl_web_connections",
            help_text="Connections to the web app, readers of /ws too",
            read=lambda: len(door.connections),
        ),
        Reading(
            name="sgnl_web_connections_cut",
            help_text="Connections that took too long, or had to make room, since the start",
            read=lambda: door.cut,
            is_counter=True,
        ),
    ]
