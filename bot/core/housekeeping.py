"""Work beside the ticks: the disk, the age of what is on it, and how the venues were."""

from loguru import logger

from bot.clock import Clock
from bot.core.announcer import Announcer
from fetchers.base import MarketFeed
from fetchers.health import Condition
from scoring.settings import ScoringSettings
from scoring.strategies import chosen
from scoring.thresholds import ThresholdRates, threshold_rates
from storage.errors import StorageError
from storage.mysql.mirror import Mirror
from storage.store import Store

_LOOK_EVERY_S = 5.0
_PRUNE_EVERY_S = 6 * 3600.0
_PRUNE_REST_S = 0.2  #: between two portions, so that the ticks' own writes get in
_DAY_MS = 86_400_000
_THRESHOLDS_EVERY = 120  #: looks
_THRESHOLDS_DAYS = 7


class Housekeeper:
    """Looks every few seconds, until cancelled."""

    def __init__(
        self,
        *,
        store: Store,
        feed: MarketFeed,
        mirror: Mirror | None,
        clock: Clock,
        announcer: Announcer,
        retention_days: int,
        scoring: ScoringSettings,
        strategies: tuple[str, ...],
    ) -> None:
        self._store = store
        self._feed = feed
        self._mirror = mirror
        self._clock = clock
        self._announcer = announcer
        self._retention_ms = retention_days * _DAY_MS
        self._scoring = scoring
        self._strategies = strategies
        self._looks = 0
        self._health: dict[str, Condition] = {}
        self._is_fault_announced = False
        self.thresholds: dict[str, ThresholdRates] = {}  #: by strategy, what another threshold would have given of late

    async def run(self) -> None:
        """Look and prune until cancelled."""
        prune_at_ms = self._clock.monotonic_ms()
        while True:
            try:
                await self.look()
                await self._store.database.keep_log_short()
                if self._clock.monotonic_ms() >= prune_at_ms:
                    await self.prune()
                    prune_at_ms = self._clock.monotonic_ms() + round(1000 * _PRUNE_EVERY_S)
            except StorageError as error:  # no passing fault of the disk: memory takes those writes
                logger.warning("the database could not be looked after: {}", error)
            await self._clock.sleep(_LOOK_EVERY_S)

    async def look(self) -> None:
        """Try a failed disk again, announce when it stops or begins to take writes, record the venues' health."""
        await self._store.database.recover()
        if bool(self._store.database.fault) != self._is_fault_announced:
            self._is_fault_announced = bool(self._store.database.fault)
            await self._store.outbox.enqueue(self._announcer.disk(self._store.database.fault))
            self._announcer.wake()
        for venue, report in self._feed.status().items():
            if self._health.get(venue) != report.condition:
                self._health[venue] = report.condition
                note = "" if report.condition is Condition.OK else report.last_error
                await self._store.runs.record_health(self._clock.now_ms(), venue, report.condition.value, note)
        if self._looks % _THRESHOLDS_EVERY == 0:
            await self._look_at_thresholds()
        self._looks += 1

    async def _look_at_thresholds(self) -> None:
        now_ms = self._clock.now_ms()
        since_ms = now_ms - _THRESHOLDS_DAYS * _DAY_MS
        first_ms = await self._store.runs.first_started_ms()
        watched_ms = now_ms - max(since_ms, now_ms if first_ms is None else first_ms)
        for strategy in chosen(self._strategies):
            rates = threshold_rates(
                await self._store.signals.scores(since_ms, strategy.name),
                await self._store.near_misses.peaks(since_ms, strategy.name),
                threshold=strategy.lowest_score(self._scoring),
                near_points=self._scoring.near_miss_points,
                days=watched_ms / _DAY_MS,
            )
            if rates is not None:
                self.thresholds[strategy.name] = rates

    async def prune(self) -> None:
        """Delete what is older than RETENTION_DAYS, except signals, outcomes, and what MySQL does not have yet."""
        before_ms = self._clock.now_ms() - self._retention_ms
        while await self._store.prune(before_ms, self._mirror.status().copied if self._mirror else None):
            await self._clock.sleep(_PRUNE_REST_S)

    def mysql_behind(self) -> int | None:
        """Return how many changes are still to be copied to MySQL, None where there is none."""
        return None if self._mirror is None else self._mirror.status().behind

    def notes(self) -> tuple[str, ...]:
        """Return the faults of the databases while alerts go on, for /status."""
        notes = [f"kept in memory only: {self._store.database.fault}"] if self._store.database.fault else []
        mirror = self._mirror.status() if self._mirror else None
        if mirror is not None and mirror.fault:
            notes.append(f"the history in MySQL is behind: {mirror.fault}")
        if mirror is not None and mirror.set_aside:
            notes.append(f"rows that MySQL has refused: {mirror.set_aside}; its table refused_rows says why")
        return tuple(notes)
