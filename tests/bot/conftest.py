"""The bot's own end of Telegram, whole: a real database, real python-telegram-bot over HTTP, a clock moved by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bot.chat.bot_api.application import AnyApplication, Timeouts
from bot.chat.bot_api.sending import TelegramSender
from bot.chat.delivery.outbox_loop import Delivery
from bot.config.load import load_config
from bot.core.orchestrator import Orchestrator
from bot.core.tick import Tick
from bot.tasks import spawn
from bot.wiring import Bot, build_feed, build_telegram
from features.facts.market import Instrument
from scoring.decide import decide
from storage.messages import DeliveryState, FollowUp, NewMessage
from storage.store import Store
from tests.bot.builders import make_open_signal
from tests.builders import feature_frame, instrument
from tests.hand_clock import HandClock
from tests.storage.builders import make_limits, make_signal
from tests.telegram_stand_in import TOKEN, TelegramStandIn

T = TypeVar("T")

PERSON, OTHER_PERSON, GROUP = 100, 7, -200
TIMEOUTS = Timeouts(connect_s=1.0, answer_s=1.0, poll_s=1)  # of real time, on a machine that may be busy


@dataclass(slots=True, kw_only=True)
class World:
    """What a test of delivery or of commands arranges and looks at."""

    bot: Bot
    telegram: TelegramStandIn
    application: AnyApplication
    clock: HandClock
    store: Store
    orchestrator: Orchestrator
    delivery: Delivery
    sender: TelegramSender
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that ends with the test."""
        return spawn(work, name="test", keep=self.tasks)

    async def queue(self, *messages: NewMessage | FollowUp) -> None:
        """Commit messages and wake the delivery, as a tick does."""
        await self.store.outbox.enqueue(messages)
        self.delivery.wake()

    async def wait_for_states(self, **expected: int) -> None:
        """Return once that many messages are in each state named, and none in another."""
        wanted = {state: expected.get(state.value, 0) for state in DeliveryState}
        await eventually(self.store.outbox.counts, lambda counts: counts == wanted)

    async def pass_time(self, is_enough: Callable[[], bool], *, step_s: float = 0.5) -> None:
        """Move the clock on until `is_enough`, giving I/O real time to happen at each step."""
        async with asyncio.timeout(15):
            while not is_enough():
                await asyncio.sleep(0.002)
                await self.clock.advance(step_s)


def look(orchestrator: Orchestrator, *instruments: Instrument, **features: Any) -> None:
    """Let the bot have looked at these instruments once, with remarkable `features` where they are given."""
    now_ms = orchestrator.activity.started_ms
    frame = feature_frame(instruments, **features)
    settings, limits = orchestrator._config.scoring, orchestrator.ledger.limits
    decision = decide(now_ms, frame, limits, (), settings, orchestrator.strategies)
    orchestrator.activity.last_tick = Tick(
        started_ms=now_ms,
        features=frame,
        decided_ms=now_ms,
        decision=decision,
        open_signals={},
        conditions={},
        outbox={},
        ended_ms=now_ms,
    )


def quote(world: World, signal_id: int, price: float) -> None:
    """Let the last tick have seen this signal open, and what an entry would now start from."""
    signal = make_signal(signal_id)
    look(world.orchestrator, instrument(venue=signal.venue, id=signal.instrument_id), best_bid=[price])
    activity = world.orchestrator.activity
    assert activity.last_tick is not None
    activity.last_tick = replace(activity.last_tick, open_signals={signal_id: make_open_signal(signal_id)})


async def listen(world: World) -> asyncio.Task[None]:
    """Let the bot hear commands, and return the task."""
    assert world.bot.polling is not None
    await world.bot.polling.start()
    return world.run(world.bot.polling.run())


async def eventually(read: Callable[[], Coroutine[Any, Any, T]], is_as_expected: Callable[[T], bool]) -> None:
    """Return once what `read` gives is as expected; fail with the last of it after some seconds."""
    for _ in range(1500):
        if is_as_expected(last := await read()):
            return
        await asyncio.sleep(0.002)
    raise AssertionError(f"was {last}")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Yield a world at rest, with three signals decided and no message queued."""
    clock = HandClock()
    async with TelegramStandIn(clock.now_ms) as telegram, await Store.open(tmp_path / "sgnl.sqlite3") as store:
        telegram.people |= {PERSON, OTHER_PERSON}
        telegram.groups |= {GROUP}
        await store.remember([make_signal(number) for number in (1, 2, 3)], make_limits(next_id=4), [])
        config = load_config(
            {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": f"{PERSON},{GROUP}", "TELEGRAM_API_URL": telegram.url}
        )
        tasks: set[asyncio.Task[None]] = set()
        way = build_telegram(config, clock, TIMEOUTS)
        assert way is not None
        feed = build_feed(replace(config, venues=replace(config.venues, exchanges=())), clock, tasks)
        sender = TelegramSender(way.application.bot)
        bot = Bot(config, clock=clock, feed=feed, store=store, sender=sender, telegram=way)
        bot.delivery._recipients = None  # every chat gets what is for it, and no operator is told
        yield World(
            bot=bot,
            telegram=telegram,
            application=way.application,
            clock=clock,
            store=store,
            orchestrator=bot.orchestrator,
            delivery=bot.delivery,
            sender=sender,
            tasks=tasks,
        )
        assert bot.handlers is not None
        under_way = tasks | bot.handlers.waiting.tasks
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await way.application.shutdown()
        await way.application.bot.request.shutdown()  # the application leaves it open where it was only sent with
