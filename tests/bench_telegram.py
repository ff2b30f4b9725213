"""How long an alert takes from the tick's last reply to Telegram's door, on a market of full size.

`python -m tests.bench_telegram` prints it. Orchestrator, store, delivery and python-telegram-bot are the real ones; the
market is handed over in memory, in portions as the feed does, one setup a tick, the limits on many alerts lifted.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from aiohttp import web
from loguru import logger

from bot.chat.bot_api.sending import TelegramSender
from bot.clock import SystemClock
from bot.config.load import load_config
from bot.core.orchestrator import Orchestrator
from bot.tasks import spawn
from bot.wiring import Bot, build_telegram
from features.facts.market import Candles, FloatArray, Observation, OrderBook, Trades, read_only
from fetchers.health import Condition, Notice
from fetchers.parsing.tallies import Change
from fetchers.poll_plan import Key, Wanted
from fetchers.universe import Universe
from fetchers.venue_report import VenueReport, report_without_polls
from storage.store import Store
from tests.bench_frame import STEADY, Maker
from tests.telegram_stand_in import TOKEN, Fault, TelegramStandIn
from tests.yardstick import at_quiet_moments, yardstick_ms

ALERTS = 60
PORTIONS = 16  #: of a tick, as the feed hands over what arrives in 400 ms
WARM_TICKS, TICK_MS = 240, 5_000
MANY = {
    "MIN_SCORE_THRESHOLD": "55",
    "MIN_BID_DEPTH_USDT": "0",
    "MAX_BTC_PUMP_PERCENT": "50",
    "BURST_LIMIT": "10000",
    "MAX_DAILY_TRADES": "10000",
    "STOPLOSS_GUARD_COUNT": "10000",
    "TP_PERCENT": "50",
}

WELL = report_without_polls(Condition.OK)


class LeapingClock(SystemClock):
    """Skips the time between two ticks."""

    def __init__(self) -> None:
        super().__init__()
        self._leapt_ms = 0

    def now_ms(self) -> int:
        """Return the time it would be had nobody leapt."""
        return super().now_ms() + self._leapt_ms

    def monotonic_ms(self) -> int:
        """Return it on the clock that nobody sets."""
        return super().monotonic_ms() + self._leapt_ms

    def leap(self) -> None:
        """Go on to the next tick."""
        self._leapt_ms += TICK_MS


class Door(TelegramStandIn):
    """Notes when each message arrives."""

    def __init__(self) -> None:
        super().__init__(SystemClock().now_ms)
        self.arrived_s: list[float] = []

    async def _handle(self, request: web.Request) -> web.Response:
        if request.match_info["method"] == "sendMessage":
            self.arrived_s.append(time.perf_counter())
        return await super()._handle(request)


class Market:
    """A `MarketFeed` that yields the next tick of a random market at once."""

    def __init__(self, maker: Maker, now_ms: Callable[[], int]) -> None:
        self.universe = Universe(instruments=tuple(maker.instruments))
        self.replied_s = 0.0
        self.is_heard_between_ticks = self.is_late = False
        self._maker = maker
        self._now_ms = now_ms
        self._prices: deque[FloatArray] = deque(maxlen=180)  # of the open-interest window
        self._done: set[int] = set()

    async def poll_quotes(self) -> list[Observation]:
        """Return nothing: all comes with the candidates."""
        return []

    async def poll_candidates(
        self,
        wanted: Callable[[], Sequence[Wanted]],
        *,
        held: Collection[str] = (),
        urgent: Callable[[], Sequence[Key]] = list,
    ) -> AsyncIterator[list[Observation]]:
        """Yield a tick of the whole market as it comes from the venues, and at its end a setup of one instrument."""
        del wanted, held, urgent
        now_ms = self._now_ms()
        found = self.tick(now_ms)
        for first in range(0, len(found), len(found) // PORTIONS):
            portion = found[first : first + len(found) // PORTIONS]
            is_last = first + len(portion) == len(found)
            self.replied_s = time.perf_counter()
            yield [*portion, *self._setup(now_ms)] if is_last else portion

    async def listen(self) -> list[list[Observation]]:
        """Return nothing: all comes with the candidates."""
        return []

    async def poll_now(self, _: Sequence[Key], /) -> AsyncIterator[list[Observation]]:
        """Yield nothing."""
        yield []

    async def fetch_candles(self, _: Key, __: int, /) -> Candles | None:
        """Return None: this market has no candles."""
        return None

    def renew(self) -> None:
        """Have no windows to fill."""

    def notices(self) -> list[Notice]:
        """Return none: all is well."""
        return []

    def changes(self) -> dict[str, list[Change]]:
        """Return none: replies stay as they are."""
        return {}

    def status(self) -> dict[str, VenueReport]:
        """Return every venue, well."""
        return dict.fromkeys((one.venue for one in self._maker.instruments), WELL)

    def tick(self, now_ms: int) -> list[Observation]:
        """Return what the venues tell of the whole market."""
        self._prices.append(self._maker.price.copy())
        return self._maker.tick(now_ms)

    def _setup(self, now_ms: int) -> tuple[OrderBook, Trades]:
        """Return a book whose bids have gone, and a sweep, of whoever has fallen most and is polled every tick."""
        fallen = np.argsort(self._maker.price / self._prices[0])
        column = next(one for one in fallen.tolist() if one in STEADY and one not in self._done)
        self._done.add(column)
        one, price = self._maker.instruments[column], self._maker.price[column]
        prices = price * np.array([0.9999, 0.9998, 0.9997])
        book = self._maker.book(column, now_ms + 1)
        return (
            replace(book, bids=book.bids * [[1], [1 / 3]]),
            Trades(
                venue=one.venue,
                id=one.id,
                prints=read_only([np.full(3, now_ms), prices, 1e8 / prices, np.ones(3)], np.float64),
                exchange_ms=now_ms,
                received_ms=now_ms,
                continues=True,
            ),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """From the last reply of a tick to the request at Telegram's door."""

    alerts: int
    p50_ms: float
    p95_ms: float
    quiet_alerts: int  #: those at moments when nothing else slowed the machine down
    quiet_p50_ms: float
    tick_hung_ms: float  #: the longest tick while Telegram answers nothing


async def measure(alerts: int = ALERTS) -> Latency:
    """Let a bot give one alert a tick, then some more while Telegram hangs."""
    clock, maker = LeapingClock(), Maker()
    tasks: set[asyncio.Task[None]] = set()
    with TemporaryDirectory() as folder:
        async with Door() as door, await Store.open(Path(folder) / "sgnl.db") as store:
            settings = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": "1", "TELEGRAM_API_URL": door.url}
            config = load_config(MANY | settings)
            market = Market(maker, clock.now_ms)
            telegram = build_telegram(config, clock)
            assert telegram is not None
            sender = TelegramSender(telegram.application.bot)
            bot = Bot(config, clock=clock, feed=market, store=store, sender=sender, telegram=telegram)
            orchestrator = bot.orchestrator
            spawn(bot.delivery.run(), name="delivery", keep=tasks)
            _warm_up(orchestrator, market, clock.now_ms())
            took_ms, yardsticks_ms = [], []
            for number in range(alerts):
                clock.leap()
                yard_ms = yardstick_ms()
                if (alert_ms := await _alert(bot, market, door, chat=number + 1)) is not None:
                    took_ms.append(alert_ms)
                    yardsticks_ms.append(yard_ms)
            door.faults += [("sendMessage", Fault.HANG)] * 5
            hung_ms = []
            for number in range(5):
                door.people.add(10_000 + number)
                bot.recipients.chats = (str(10_000 + number),)
                clock.leap()
                before_s = time.perf_counter()
                await orchestrator.tick()
                hung_ms.append(1000 * (time.perf_counter() - before_s))
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await telegram.application.bot.request.shutdown()
    quiet_ms = at_quiet_moments(took_ms, yardsticks_ms)
    return Latency(
        alerts=len(took_ms),
        p50_ms=float(np.percentile(took_ms, 50)),
        p95_ms=float(np.percentile(took_ms, 95)),
        quiet_alerts=len(quiet_ms),
        quiet_p50_ms=float(np.percentile(quiet_ms, 50)),
        tick_hung_ms=max(hung_ms),
    )


def _warm_up(orchestrator: Orchestrator, market: Market, now_ms: int) -> None:
    orchestrator.market.begin_tick(now_ms - TICK_MS * (WARM_TICKS + 1))
    for tick in range(WARM_TICKS, 0, -1):
        at_ms = now_ms - TICK_MS * tick
        orchestrator.market.state.advance(at_ms)
        orchestrator.market.state.append(market.tick(at_ms))


async def _alert(bot: Bot, market: Market, door: Door, *, chat: int) -> float | None:
    """Tick once and return how long its alert, if any, took to the door of a chat that nothing holds up [ms].

    Earlier signals are forgotten: there are eight a day, not one a tick.
    """
    orchestrator = bot.orchestrator
    orchestrator.ledger.open_signals.clear()
    door.people.add(chat)
    bot.recipients.chats = (str(chat),)
    before = len(door.arrived_s)
    await orchestrator.tick()
    if orchestrator.activity.last_tick is None or not orchestrator.activity.last_tick.decision.signals:
        return None
    await door.wait_for_messages(before + 1)
    return 1000 * (door.arrived_s[before] - market.replied_s)


def report(latency: Latency) -> str:
    """Return the figures beside their goals."""
    return (
        f"last reply to Telegram's door: p50 {latency.p50_ms:.1f} ms (goal: under 15), p95 {latency.p95_ms:.1f} ms "
        f"(goal: under 50), {latency.alerts} alerts on 2,500 instruments\n"
        f"the {latency.quiet_alerts} of them at moments when the machine was quiet: p50 {latency.quiet_p50_ms:.1f} ms\n"
        f"longest tick while Telegram hangs: {latency.tick_hung_ms:.0f} ms\n"
    )


def main() -> None:
    """Measure and print."""
    logger.remove()
    sys.stdout.write(report(asyncio.run(measure())))


if __name__ == "__main__":
    main()
