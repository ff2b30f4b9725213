"""The bot's own end of Telegram, whole: a real database, real python-telegram-bot over HTTP, a clock moved by hand."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bot.chat.announcer import ChatAnnouncer
from bot.chat.bot_api.edge import AnyApplication, TelegramEdge, TelegramSender, Timeouts, build_application
from bot.chat.commands.answers import Answers
from bot.chat.commands.handlers import Commands
from bot.chat.delivery.outbox_loop import Delivery
from bot.config.load import load_config
from bot.core.orchestrator import Orchestrator
from bot.core.tick import Tick
from bot.live_status import Reports
from bot.tasks import spawn
from features.facts.market import Instrument
from fetchers.feed import Feed
from scoring.decide import decide
from storage.messages import DeliveryState, FollowUp, NewMessage
from storage.store import Store
from tests.bot.builders import make_core
from tests.builders import feature_frame
from tests.hand_clock import HandClock
from tests.storage.builders import make_limits, make_signal
from tests.telegram_stand_in import TOKEN, TelegramStandIn

T = TypeVar("T")

PERSON, OTHER_PERSON, GROUP = 100, 7, -200
TIMEOUTS = Timeouts(connect_s=1.0, answer_s=1.0, poll_s=1)  # of real time, on a machine that may be busy


@dataclass(slots=True, kw_only=True)
class World:
    """What a test of delivery or of commands arranges and looks at."""

    clock: HandClock
    store: Store
    telegram: TelegramStandIn
    application: AnyApplication
    delivery: Delivery
    prices: dict[int, float]  #: by signal, what `current_price` answers
    orchestrator: Orchestrator
    announcer: ChatAnnouncer
    answers: Answers
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    commands: list[Commands] = field(default_factory=list)

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


def build_edge(
    world: World,
    chat_ids: Sequence[str] = (str(PERSON), f"{GROUP}:7"),
    *,
    notify: Callable[[str], Awaitable[None]] | None = None,
    now_ms: Callable[[], int] | None = None,
    admin_ids: Sequence[int] = (PERSON,),
) -> TelegramEdge:
    """Return the edge of a bot that PERSON may steer and that writes to GROUP too."""
    commands = Commands(
        world.answers,
        world.delivery,
        world.store,
        admin_ids=admin_ids,
        chat_ids=chat_ids,
        now_ms=now_ms or world.clock.now_ms,
    )
    world.commands.append(commands)
    return TelegramEdge(
        world.application,
        handlers=commands.handlers(),
        menus=commands.menus(),
        clock=world.clock,
        poll_s=TIMEOUTS.poll_s,
        notify=notify,
    )


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
    prices: dict[int, float] = {}
    async with TelegramStandIn(clock.now_ms) as telegram, await Store.open(tmp_path / "sgnl.sqlite3") as store:
        telegram.people |= {PERSON, OTHER_PERSON}
        telegram.groups |= {GROUP}
        await store.remember([make_signal(number) for number in (1, 2, 3)], make_limits(next_id=4), [])
        application = build_application(TOKEN, telegram.url, TIMEOUTS)
        sender = TelegramSender(application.bot)
        delivery = Delivery(store, sender, clock, max_signal_age_s=30, current_price=prices.get)
        config = load_config({"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_CHAT_ID": f"{PERSON},{GROUP}"})
        tasks: set[asyncio.Task[None]] = set()
        feed = Feed(
            [],
            settings=config.universe,
            now_ms=clock.now_ms,
            sleep=clock.sleep,
            spawn=lambda work, name: spawn(work, name=name, keep=tasks),
        )
        orchestrator, announcer = make_core(config, clock, feed, store, delivery.wake)
        reports = Reports(config=config, clock=clock, feed=feed, orchestrator=orchestrator, delivery=delivery)
        world = World(
            clock=clock,
            store=store,
            telegram=telegram,
            application=application,
            delivery=delivery,
            prices=prices,
            orchestrator=orchestrator,
            announcer=announcer,
            answers=Answers(
                config=config,
                clock=clock,
                store=store,
                orchestrator=orchestrator,
                announcer=announcer,
                delivery=delivery,
                reports=reports,
            ),
            tasks=tasks,
        )
        yield world
        under_way = world.tasks.union(*(commands._tasks for commands in world.commands))
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await application.shutdown()
        await application.bot.request.shutdown()  # the application leaves it open where it was only sent with
