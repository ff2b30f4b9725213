"""The running bot's status: /status, /health, the leaderboard, one pair."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bot.clock import Clock
from bot.config.settings import Config
from bot.core.housekeeping import Housekeeper
from bot.core.live_levels import candles_of, levels_of, swings_of
from bot.core.market import PriceHistory
from bot.core.orchestrator import Orchestrator
from bot.core.status import BotStatus, Incident, Replies, VenueStatus
from bot.core.tick import Tick
from bot.version import VERSION
from features.facts.market import Instrument, OrderBook
from features.frame import features_at
from features.missing import Missing
from fetchers.base import MarketFeed
from fetchers.venue_report import VenueReport
from scoring.decide import explain
from scoring.limits import signals_today
from scoring.reasons import missing_parts
from scoring.score import ScoreFrame
from scoring.signals import OpenSignal
from scoring.strategies.base import Strategy
from storage.symbols import symbol_key

LEADERS = 100
BAND_EDGES = np.arange(0, 101, 5)
BOOK_LEVELS = 20  #: of each side, for a picture
_DEAD_AFTER_MS = 120_000  #: without the end of a tick


class LiveStatus:
    """Reads the parts of the bot, and changes nothing."""

    def __init__(
        self,
        *,
        config: Config,
        clock: Clock,
        feed: MarketFeed,
        orchestrator: Orchestrator,
        housekeeper: Housekeeper,
        faults: Callable[[], Iterable[str]],
        notes: Callable[[], Iterable[str]],
        incidents: Callable[[], tuple[Incident, ...]],
        alert_latency_ms: Callable[[], tuple[float, float]],
    ) -> None:
        self._config = config
        self._clock = clock
        self._feed = feed
        self._orchestrator = orchestrator
        self._housekeeper = housekeeper
        self._faults = faults
        self._notes = notes
        self._incidents = incidents
        self._alert_latency_ms = alert_latency_ms  # p50 and p95

    def status(self) -> BotStatus:
        """Return the bot's state now."""
        bot, now_ms = self._orchestrator, self._clock.now_ms()
        used = signals_today(bot.ledger.limits, now_ms, self._config.scoring.timezone)
        alert_p50_ms, alert_p95_ms = self._alert_latency_ms()
        p50_ms, p95_ms = np.percentile(bot.activity.durations_ms or [np.nan], (50, 95))
        return BotStatus(
            version=VERSION,
            now_ms=now_ms,
            started_ms=bot.activity.started_ms,
            refresh_interval_s=self._config.features.refresh_interval_s,
            ticks=bot.activity.ticks,
            last_tick_ms=bot.activity.last_tick.ended_ms if bot.activity.last_tick else None,
            tick_p50_ms=float(p50_ms),
            tick_p95_ms=float(p95_ms),
            venues=tuple(self._venue(name, report) for name, report in self._feed.status().items()),
            best=self._best(),
            open_signals=tuple(bot.ledger.open_signals.values()),
            signals_today=int(used) if math.isfinite(used) else None,
            max_daily_signals=self._config.scoring.max_daily_trades,
            paused_until_ms=bot.ledger.limits.paused_until_ms,
            guard_until_ms=bot.ledger.limits.guard_until_ms,
            funnels={name: log.means() for name, log in bot.activity.funnels.items()},
            thresholds=dict(self._housekeeper.thresholds),
            outbox=bot.activity.last_tick.outbox if bot.activity.last_tick else {},
            faults=tuple(filter(None, self._faults())),
            notes=(*self._housekeeper.notes(), *self._notes()),
            incidents=self._incidents(),
            alert_p50_ms=alert_p50_ms,
            alert_p95_ms=alert_p95_ms,
            mysql_behind=self._housekeeper.mysql_behind(),
        )

    def now_ms(self) -> int:
        """Return the time on the bot's clock."""
        return self._clock.now_ms()

    def strategies(self) -> tuple[str, ...]:
        """Return the names of those that run, the leading one first."""
        return tuple(one.name for one in self._orchestrator.strategies)

    def markets(self, limit: int = LEADERS, strategy: str = "") -> Sequence[Mapping[str, Any]]:
        """Return the leaderboard of a strategy, the leading one where none is named: the best scores, best first."""
        tick, chosen = self._orchestrator.activity.last_tick, self._strategy(strategy)
        if tick is None:
            return []
        scores = tick.decision.by_strategy[chosen.name].scores
        eligible = np.flatnonzero(tick.features.instruments.is_eligible)
        best = eligible[np.argsort(-scores.total[eligible], kind="stable")[:limit]].tolist()
        contributions = scores.contributions[:, best].T.tolist()
        return [
            {**_row(tick, column, scores), "contributions": dict(zip(chosen.weights, points, strict=True))}
            for column, points in zip(best, contributions, strict=True)
        ]

    def scores(self, strategy: str = "") -> Mapping[str, Any]:
        """Return how many eligible instruments have which score, by five points, and the threshold."""
        tick, chosen = self._orchestrator.activity.last_tick, self._strategy(strategy)
        total = np.zeros(0)
        if tick is not None:
            total = tick.decision.by_strategy[chosen.name].scores.total[tick.features.instruments.is_eligible]
        counts, edges = np.histogram(total, bins=BAND_EDGES)
        return {
            "strategy": chosen.name,
            "threshold": chosen.lowest_score(self._config.scoring),
            "edges": edges.tolist(),
            "counts": counts.tolist(),
        }

    def positions(self) -> Sequence[Mapping[str, Any]]:
        """Return the open signals, oldest first, with the price at which each could be left now, NaN if unknown."""
        return [self._position(one) for one in self._orchestrator.ledger.open_signals.values()]

    async def history(self, venue: str, instrument_id: str) -> PriceHistory | None:
        """Return what is kept of a pair's price and open interest, None for nothing."""
        return await self._orchestrator.market.price_history((venue, instrument_id))

    def market(self, venue: str, instrument_id: str, strategy: str = "") -> Mapping[str, Any] | None:
        """Return everything known of one pair by a strategy, None where it is not watched."""
        tick = self._orchestrator.activity.last_tick
        keys = [instrument.key for instrument in tick.features.instruments] if tick else []
        if tick is None or (venue, instrument_id) not in keys:
            return None
        column = keys.index((venue, instrument_id))
        bot, chosen, judged = self._orchestrator, self._strategy(strategy), tick.decision.by_strategy
        scores = judged[chosen.name].scores
        return {
            **_row(tick, column, scores),
            "strategy": chosen.name,
            "scores": {name: float(judgement.scores.total[column]) for name, judgement in judged.items()},
            "instrument": tick.features.instruments[column],
            "sub_scores": dict(zip(chosen.weights, scores.sub_scores[:, column].tolist(), strict=True)),
            "contributions": dict(zip(chosen.weights, scores.contributions[:, column].tolist(), strict=True)),
            "features": features_at(tick.features, column),
            "missing": missing_parts(tick.features, chosen.all_parts, column),
            "book": _book(bot.market.books.get((venue, instrument_id))),
            "verdicts": explain(
                chosen,
                tick.decided_ms,  # as the limits count: a signal of this tick is not of the future
                tick.features,
                bot.ledger.limits,
                bot.ledger.open_names(),
                self._config.scoring,
                column,
            ),
        }

    def levels(self, venue: str, instrument_id: str) -> Mapping[str, Any] | None:
        """Return what levels makes of one pair, None where it is not watched or no candles are kept."""
        tick = self._orchestrator.activity.last_tick
        column = self._orchestrator.market.state.column.get((venue, instrument_id))
        if tick is None or column is None or column >= len(tick.features.instruments):
            return None
        found, store = levels_of(tick.features, column, self._config.scoring), self._orchestrator.market.state.candles
        return None if found is None or store is None else {**found, "swing_points": swings_of(store, column)}

    def candles(
        self, venue: str, instrument_id: str, interval: str, limit: int, before_ms: int | None = None
    ) -> list[list[float]] | None:
        """Return closed candles of one pair, oldest first; None where none are kept of it in that interval."""
        state = self._orchestrator.market.state
        column = state.column.get((venue, instrument_id))
        if column is None or state.candles is None:
            return None
        return candles_of(state.candles, column, interval, limit, before_ms)

    def find(self, symbol: str) -> list[Instrument]:
        """Return the instruments of a coin, a pair or a venue's id, the best score first."""
        tick, wanted = self._orchestrator.activity.last_tick, symbol_key(symbol)
        if tick is None:
            return []
        total, instruments = tick.leading_scores.total, tick.features.instruments
        found = [
            column
            for column, one in enumerate(instruments)
            if wanted in {symbol_key(name) for name in (one.id, *one.names)}
        ]
        return [instruments[column] for column in sorted(found, key=lambda column: -total[column])]

    def _strategy(self, name: str) -> Strategy:
        strategies = self._orchestrator.strategies
        return next(one for one in strategies if name in ("", one.name))

    def is_alive(self) -> bool:
        """Return whether ticks end, slowly or not: where they hang, only a new start helps."""
        tick = self._orchestrator.activity.last_tick
        return tick is None or self._clock.now_ms() - tick.ended_ms < _DEAD_AFTER_MS

    def _position(self, open_signal: OpenSignal) -> dict[str, Any]:
        signal, levels = open_signal.signal, open_signal.signal.levels
        price = self._orchestrator.activity.exit_price(signal)
        moved = math.nan if price is None else signal.side.direction * 100 * (price / levels.entry - 1)
        return {
            "id": signal.id,
            "strategy": signal.strategy,
            "side": signal.side,
            "venue": signal.venue,
            "instrument_id": signal.instrument_id,
            "coin": signal.coin,
            "pair": signal.pair,
            "tick_size": signal.tick_size,
            "decided_ms": signal.decided_ms,
            "score": signal.score,
            "entry": levels.entry,
            "stop": levels.stop,
            "take_profits": levels.take_profits,
            "price": price,
            "moved_percent": moved,
            "net_percent": moved - levels.cost_percent,
            "best_price": open_signal.best_price,
            "worst_price": open_signal.worst_price,
        }

    def _best(self) -> str:
        leaders = self.markets(1)
        return f"{leaders[0]['pair']} {leaders[0]['venue']} {leaders[0]['score']:.1f}" if leaders else ""

    def _venue(self, name: str, report: VenueReport) -> VenueStatus:
        notes = [
            report.last_error if report.condition != "ok" else "",
            f"{report.polls.pruned} of {report.polls.eligible} pruned, {report.polls.polled} polled a tick",
            f"{report.polls.starved} wanted beyond the budget" if report.polls.starved else "",
            "" if report.streams is None else report.streams.summary(),
        ]
        warming = self._warming(name)
        return VenueStatus(
            venue=name,
            state=report.condition.value,
            note="; ".join(filter(None, notes)),
            warming=warming,
            warm_by_ms=report.full_by_ms if warming else None,
            instruments=report.kept,
            last_reply_ms=report.last_quotes_ms,
            budget_used_percent=100 * max(report.used_share.values(), default=0.0),
            streams=() if report.streams is None else report.streams.channels,
            replies={
                endpoint: Replies(
                    rows=tally.rows,
                    unreadable=tally.unreadable,
                    impossible=tally.impossible,
                    new_fields=tuple(sorted(tally.new_fields)),
                )
                for endpoint, tally in report.tallies.items()
            },
        )

    def _warming(self, venue: str) -> int:
        """Return how many of the venue's instruments still wait for their windows to fill."""
        tick = self._orchestrator.activity.last_tick
        if tick is None:
            return 0
        here = np.array([instrument.venue == venue for instrument in tick.features.instruments], bool)
        parts = (tick.features.missing[part] == Missing.WARMING_UP for part in ("momentum", "open_interest_change"))
        return int(np.count_nonzero(np.logical_or(*parts) & here))


def _book(book: OrderBook | None) -> dict[str, Any] | None:
    if book is None:
        return None
    return {
        "exchange_ms": book.exchange_ms,
        "bids": book.bids[:, :BOOK_LEVELS].T.tolist(),
        "asks": book.asks[:, :BOOK_LEVELS].T.tolist(),
    }


def _row(tick: Tick, column: int, scores: ScoreFrame) -> dict[str, Any]:
    features, instrument = tick.features, tick.features.instruments[column]
    return {
        "venue": instrument.venue,
        "id": instrument.id,
        "coin": instrument.coin,
        "pair": instrument.pair,
        "score": float(scores.total[column]),
        "price": float(features.price[column]),
        "spread_bps": float(features.spread_bps[column]),
        "tick_size": instrument.tick_size,
    }
