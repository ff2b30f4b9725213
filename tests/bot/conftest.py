"""The bot's own end of Telegram, whole: a real database, real python-telegram-bot over HTTP, a clock moved by hand."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bot.delivery import Delivery
from bot.tasks import spawn
from bot.telegram_commands import MENU, Commands, Control
from bot.telegram_edge import AnyApplication, TelegramEdge, TelegramSender, Timeouts, build_application
from storage.outbox import DeliveryState, NewMessage
from storage.sqlite import Store
from tests.hand_clock import HandClock
from tests.storage.builders import make_limits, make_signal
from tests.telegram_stand_in import TOKEN, TelegramStandIn

T = TypeVar("T")

PERSON, OTHER_PERSON, GROUP = 100, 7, -200
TIMEOUTS = Timeouts(connect_s=0.5, answer_s=0.25, poll_s=1)


@dataclass(slots=True, kw_only=True)
class World:
    """What a test of delivery or of commands arranges and looks at."""

    clock: HandClock
    store: Store
    telegram: TelegramStandIn
    application: AnyApplication
    delivery: Delivery
    prices: dict[int, float]  #: by signal, what `current_price` answers
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task that ends with the test."""
        return spawn(work, name="test", keep=self.tasks)

    async def queue(self, *messages: NewMessage) -> None:
        """Commit messages and wake the delivery, as a tick does."""
        await self.store.enqueue(messages)
        self.delivery.wake()

    async def wait_for_states(self, **expected: int) -> None:
        """Return once that many messages are in each state named, and none in another."""
        wanted = {state: expected.get(state.value, 0) for state in DeliveryState}
        await eventually(self.store.outbox_counts, lambda counts: counts == wanted)

    async def pass_time(self, is_enough: Callable[[], bool], *, step_s: float = 0.5) -> None:
        """Move the clock on until `is_enough`, giving I/O real time to happen at each step."""
        async with asyncio.timeout(15):
            while not is_enough():
                await asyncio.sleep(0.002)
                await self.clock.advance(step_s)


class RecordingControl:
    """Writes down what the commands asked of the bot."""

    def __init__(self) -> None:
        self.calls: list[str | int | None] = []

    async def status_text(self) -> str:
        """Return what stands for the bot's status."""
        return "<b>SGNL</b> is well"

    async def pause(self, until_ms: int | None) -> None:
        """Remember until when."""
        self.calls.append(until_ms)

    async def resume(self) -> None:
        """Remember that it was asked."""
        self.calls.append("resume")


def build_edge(world: World, control: Control) -> TelegramEdge:
    """Return the edge of a bot that PERSON may steer."""
    commands = Commands(control, world.delivery.reply, admin_ids=[PERSON], now_ms=world.clock.now_ms)
    return TelegramEdge(
        world.application,
        handlers=commands.handlers(),
        menu=MENU,
        admin_ids=[PERSON],
        clock=world.clock,
        poll_s=TIMEOUTS.poll_s,
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
        world = World(
            clock=clock, store=store, telegram=telegram, application=application, delivery=delivery, prices=prices
        )
        yield world
        for task in list(world.tasks):
            task.cancel()
        await asyncio.gather(*world.tasks, return_exceptions=True)
        await application.shutdown()
        await application.bot.request.shutdown()  # the application leaves it open where it was only sent with
