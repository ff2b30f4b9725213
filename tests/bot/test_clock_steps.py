"""The wall clock is set while the bot runs: nothing waits, ages or is lost by it."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.chat.delivery.outbox_loop import Delivery
from bot.chat.delivery.sender import Content, FoundChat, NotSent
from bot.config.load import load_config
from bot.tasks import spawn
from features.facts.market import Observation
from scoring.exits import start
from scoring.limits import after_signal, newest_ms, pause
from scoring.settings import ScoringSettings
from scoring.signals import FOREVER_MS, Arm, ExitReason, Outcome
from storage.messages import Kind, NewMessage
from tests.bot.builders import silent_bot
from tests.bot.scripted import Scripted, scripted
from tests.builders import NOW_MS, quotes, trades
from tests.hand_clock import HandClock
from tests.scoring.frames import outcome, signal
from tests.storage.builders import make_control
from tests.virtual_time import VirtualClock, run_virtually

pytestmark = pytest.mark.long

STEPS_S = [-3600.0, -600.0, -2.0, 2.0, 600.0, 3600.0, 50 * 365 * 86_400.0]
each_step = pytest.mark.parametrize("step_s", STEPS_S)


async def open_one(stage: Scripted) -> None:
    """Let the bot follow a SHORT from 100, target 98, stop 101."""
    one = signal(decided_ms=stage.clock.now_ms())
    await stage.store.remember([one], stage.bot.ledger.limits, [])
    stage.bot.ledger.open_signals[one.id] = start(one)


def seen_at(now_ms: int, bid: float, prints: Sequence[float] = ()) -> list[Observation]:
    """Return what a venue says at that time of our clock."""
    return [
        quotes(now_ms, bid_price=bid, ask_price=bid + 0.1),
        trades([(now_ms - 1, price, 5.0, False) for price in prints], exchange_ms=now_ms),
    ]


@each_step
def test_no_tick_is_lost(step_s: float) -> None:
    """The ticks go on at their pace, whichever way the clock is set and however far."""

    async def watch() -> int:
        clock = VirtualClock()
        async with scripted(clock) as stage:
            stop = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.call_later(21, clock.set_wall_clock, step_s)
            loop.call_later(58, stop.set)
            await stage.bot.run(stop)
            return stage.bot.activity.ticks

    assert run_virtually(watch()) == 12


@each_step
async def test_a_stop_is_seen_at_once(step_s: float) -> None:
    """An open signal whose stop is printed just after the step ends with that tick, held as long as it was."""
    async with scripted(HandClock()) as stage:
        await open_one(stage)
        await stage.tick(*seen_at(stage.clock.now_ms() + 5_000, 99.9))
        stage.clock.set_wall_clock(step_s)
        await stage.tick(*seen_at(stage.clock.now_ms() + 5_000 + round(1000 * step_s), 105.0, [105.0]))
        ((_, outcome),) = await stage.store.signals.find()
        assert outcome is not None
        assert outcome.reason is ExitReason.STOP_LOSS
        assert outcome.held_s == pytest.approx(10, abs=0.1)


@each_step
async def test_the_market_begins_anew(step_s: float) -> None:
    """What is new is taken at once, histories are asked for again, and one notice says by how much."""
    async with scripted(HandClock()) as stage:
        for _ in range(3):
            await stage.tick(*seen_at(stage.clock.now_ms() + 5_000, 100.0))
        stage.clock.set_wall_clock(step_s)
        for _ in range(3):
            await stage.tick(*seen_at(stage.clock.now_ms() + 5_000 + round(1000 * step_s), 110.0))
            step_s = 0
            assert stage.bot.activity.last_tick is not None
            assert stage.bot.activity.last_tick.features.best_bid[0] == 110.0
        assert stage.feed.renewed == 1
        due = await stage.store.outbox.due(stage.clock.now_ms(), limit=10)
        assert ["clock was set" in one.message.html for one in due] == [True]


@each_step
async def test_what_waits_goes_on(step_s: float) -> None:
    """Pauses, mutes, messages and uptime last as long as they would have."""
    step_ms = round(1000 * step_s)
    async with scripted(HandClock()) as stage:
        await open_one(stage)
        now_ms = stage.clock.now_ms()
        await stage.bot.ledger.change_limits(
            lambda limits: replace(pause(limits, now_ms + 60_000), muted_coins={"X": FOREVER_MS})
        )
        message = NewMessage(chat_id="1", kind=Kind.ENTRY, html="x", created_ms=now_ms - 3_000)
        await stage.store.outbox.enqueue([message])
        (queued,) = await stage.store.outbox.due(now_ms, limit=1)
        await stage.store.outbox.mark_retry(queued.id, now_ms + 20_000, "busy")
        stage.clock.set_wall_clock(step_s)
        await stage.tick()
        saved = await stage.store.load()
        assert stage.bot.ledger.limits == saved.limits
        assert saved.limits.paused_until_ms == now_ms + 60_000 + step_ms
        assert saved.limits.muted_coins == {"X": FOREVER_MS}
        assert [one.signal.decided_ms for one in saved.open_signals] == [now_ms + step_ms]
        assert stage.clock.now_ms() - stage.bot.activity.started_ms == 5_000
        (waiting,) = (
            one for one in await stage.store.outbox.due(now_ms + 20_000 + step_ms, limit=9) if one.id == queued.id
        )
        assert waiting.message.created_ms == now_ms - 3_000 + step_ms
        assert waiting.not_before_ms == now_ms + 20_000 + step_ms


@settings(max_examples=25, deadline=None)
@given(
    prices=st.lists(st.sampled_from([99.0, 99.5, 100.0, 100.4, 100.8, 101.2, 97.8]), min_size=2, max_size=12),
    steps=st.dictionaries(st.integers(0, 11), st.integers(-3600, 3600), max_size=3),
)
def test_outcomes_are_as_without_steps(prices: list[float], steps: dict[int, int]) -> None:
    """Whatever is printed, and whenever the clock is set, a signal ends as it would have, after the same time."""

    async def followed(steps: dict[int, int]) -> tuple[int, object]:
        async with scripted(HandClock()) as stage:
            await open_one(stage)
            for number, price in enumerate(prices):
                stage.clock.set_wall_clock(steps.get(number, 0))
                ahead_ms = (
                    stage.clock._wall_offset_ms
                    if abs(stage.clock._wall_offset_ms - stage.clock._offset_ms) > 1000
                    else stage.clock._offset_ms
                )
                await stage.tick(*seen_at(stage.clock.monotonic_ms() + 5_000 + ahead_ms, price, [price]))
            ((_, outcome),) = await stage.store.signals.find()
            return stage.bot.activity.ticks, None if outcome is None else timeless(outcome)

    def timeless(outcome: Outcome) -> object:
        return (
            outcome.reason,
            outcome.fill,
            outcome.ideal,
            outcome.reachable,
            round(outcome.held_s, 3),
            outcome.mae_percent,
        )

    assert asyncio.run(followed(steps)) == asyncio.run(followed({}))


class Phone:
    """Implements `Sender`: it is out of reach until told otherwise, and keeps what arrives."""

    def __init__(self) -> None:
        self.is_reached = False
        self.arrived: list[str] = []

    async def send(self, chat_id: str, content: Content, **_: object) -> int:
        """Keep what is for chat 1."""
        if not self.is_reached:
            raise NotSent("out of reach")
        self.arrived += [content.html] if chat_id == "1" else []
        return len(self.arrived)

    async def edit(self, *_: object) -> None:
        """Do nothing."""

    async def probe(self) -> None:
        """Do nothing."""

    async def look_up(self, chat_id: str) -> FoundChat:
        """It is there."""
        return FoundChat(id=chat_id, title=chat_id)


@pytest.mark.parametrize("step_s", [-3600.0, -60.0, 60.0, 3600.0])
@pytest.mark.parametrize(("out_s", "is_late"), [(5, False), (40, True)])
async def test_no_message_is_late_or_lost(step_s: float, out_s: int, *, is_late: bool) -> None:
    """An alert that is to be tried again when the clock is set arrives, and is called late only where it is."""
    async with scripted(HandClock()) as stage:
        phone = Phone()
        delivery = Delivery(stage.store, phone, stage.clock, max_signal_age_s=30)
        message = NewMessage(chat_id="1", kind=Kind.ENTRY, html="SHORT", created_ms=stage.clock.now_ms())
        await stage.store.outbox.enqueue([message])
        running = spawn(delivery.run(), name="delivery", keep=set())
        async with asyncio.timeout(20):
            while not delivery.record.fault:  # noqa: ASYNC110 - an attribute, which nobody signals
                await asyncio.sleep(0.005)
            stage.clock.set_wall_clock(step_s)
            await stage.tick(after_s=0)
            while not phone.arrived:
                phone.is_reached = stage.clock.monotonic_ms() >= NOW_MS + 1000 * out_s
                await stage.clock.advance(1)
                await asyncio.sleep(0.02)  # for the disk
        running.cancel()
        assert phone.arrived[0].endswith("SHORT")
        assert ("LATE" in phone.arrived[0]) == is_late
        assert stage.clock.monotonic_ms() - NOW_MS <= 1000 * (out_s + 45)


async def test_controls_move_with_the_clock() -> None:
    """Whether it is set while the bot runs or while nobody does, a control has been followed for as long as it was."""
    clock = HandClock()
    async with scripted(clock) as stage:
        one = signal(decided_ms=clock.now_ms())
        begun = make_control(levels=one.levels, decided_ms=clock.now_ms())
        waits = make_control(arm=Arm.OTHER_TIME, levels=None, decided_ms=clock.now_ms() + 3_600_000)
        await stage.store.remember([one], stage.bot.ledger.limits, [], controls=[begun, waits])
        await stage.store.record_outcome(outcome(), stage.bot.ledger.limits, [])
        await stage.bot.restore()
        for step_s in (-3600.0, 7200.0):
            clock.set_wall_clock(step_s)
            await stage.bot.tick()
        await stage.store.outbox.expire(2**62, 2**62, ())  # no message knows the time
        other = HandClock(clock.now_ms() - 400 * 86_400_000)
        again = silent_bot(load_config({}), other, stage.feed, stage.store).orchestrator
        for bot, now_ms in ((stage.bot, clock.now_ms()), (again, other.now_ms())):
            if bot is again:
                await bot.restore()
            (followed,) = bot.ledger._controls.followed.values()
            assert 0 <= now_ms - followed.decided_ms < 1000
            assert bot.ledger.open_signals == {}
            saved = {control.id: control.decided_ms for control, *_ in (await stage.store.load()).controls}
            assert saved[begun.id] == followed.decided_ms
            assert 3_599_000 < saved[waits.id] - now_ms <= 3_600_000


@pytest.mark.parametrize("back_s", [60.0, 3600.0, 400 * 86_400.0])
async def test_a_clock_set_back_while_nobody_ran(back_s: float) -> None:
    """After the start nothing is of the future: signals, mutes, cooldowns and messages go on from where they were."""
    clock = HandClock()
    async with scripted(clock) as stage:
        await open_one(stage)
        one = stage.bot.ledger.open_signals[1]
        limits = after_signal(stage.bot.ledger.limits, one.signal, ScoringSettings())
        limits = pause(limits, clock.now_ms() + 60_000)
        await stage.store.state.save_limits(limits)
        await stage.announcer.notify("before")
        other = HandClock(clock.now_ms() - round(1000 * back_s))
        again = silent_bot(load_config({}), other, stage.feed, stage.store).orchestrator
        await again.restore()
        now_ms = other.now_ms()
        assert newest_ms(again.ledger.limits) <= now_ms
        assert (again.ledger.limits.paused_until_ms or 0) - now_ms == 60_000
        assert [open_signal.decided_ms for open_signal in again.ledger.open_signals.values()] == [now_ms]
        assert await stage.store.outbox.latest_unsent_ms() <= now_ms
        assert (await stage.store.load()).limits == again.ledger.limits
        assert again.activity.started_ms == now_ms
        waiting = await stage.store.outbox.due(now_ms)
        before, clock_set = (message.message.html for message in waiting)
        assert before == "before"
        assert " set back by " in clock_set
