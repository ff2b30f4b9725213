"""Ten minutes of everything that can go wrong with Telegram, with 200 alerts and their exits to deliver meanwhile.

`python -m tests.torture.telegram` runs some seeds and the hours in which Telegram is away, and writes
docs/torture-telegram.md; the suite runs shorter ones. The real store, delivery, commands and python-telegram-bot talk
by HTTP to the stand-in, on a virtual clock. The bot is restarted as compose would whenever it ends.
"""

import asyncio
import logging
import math
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from loguru import logger

from bot.chat.asking.answering import Answering
from bot.chat.bot_api.application import StartError, Timeouts
from bot.chat.bot_api.sending import TelegramSender
from bot.chat.delivery.outbox_loop import Delivery
from bot.config.chat_ids import is_person
from bot.config.load import load_config
from bot.config.settings import Config
from bot.core.orchestrator import Orchestrator
from bot.tasks import spawn
from bot.wiring import Bot, build_feed, build_telegram
from storage.messages import DeliveryState, FollowUp, Kind, NewMessage
from storage.store import Store
from tests.storage.builders import make_limits, make_signal
from tests.telegram_stand_in import TOKEN, Fault, Received, TelegramStandIn
from tests.virtual_time import VirtualClock, run_virtually

SEEDS = 3
SECONDS, SIGNALS = 600.0, 200
FAULT_EVERY_S = 2.0
LONGEST_OUTAGE_S = 60.0
ADMIN, PERSON, FICKLE = 100, 7, 55  #: FICKLE blocks the bot now and then
GROUP, SUPERGROUP, PLAIN, FORUM, TOPIC, CHANNEL, NAMED = -200, -1001, -300, -400, 7, -1005, -1006
PEOPLE = (ADMIN, PERSON, FICKLE)
#: as the settings name them, with the ids under which Telegram knows them
CHATS = {
    **{str(person): {person} for person in PEOPLE},
    str(GROUP): {GROUP, SUPERGROUP},
    str(PLAIN): {PLAIN},
    f"{FORUM}:{TOPIC}": {FORUM},
    str(CHANNEL): {CHANNEL},
    "@calls": {NAMED},
}
HOUR_S = 3600.0
RESULT = Path(__file__).parents[2] / "docs" / "torture-telegram.md"
STATES = (DeliveryState.SENT, DeliveryState.UNCERTAIN, DeliveryState.EXPIRED, DeliveryState.FAILED)
KINDS = (
    *("send", "send", "send", "send", "edit", "poll", "flood", "flood", "away", "killed", "bad HTML"),
    *("401", "403", "409", "rights", "removed", "topic closed", "topic gone", "odd update", "clock set", "stopped"),
)
#: by which the machine's clock is set [s]
STEPS_S = (-3600.0, -90.0, -2.0, 2.0, 90.0, 3600.0)
TICK_S = 5.0
OVER = "the storm is over"
STALE = "ignored"
ANSWERED_WITHIN_MS = 60_000
_COLUMNS = (
    *("run", "queued", *(state.value for state in STATES), "repeated, marked"),
    *("starts", "answered", "obeyed", "slowest", "problems"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the database says of a message."""

    state: DeliveryState
    may_repeat: bool
    error: str
    follow_up: str


@dataclass(slots=True, kw_only=True)
class Order:
    """A command of the admin's that steers."""

    text: str
    chat_id: int
    message_id: int
    done_ms: int | None = None  #: when it was carried out, on the clock that nobody sets


@dataclass(slots=True, kw_only=True)
class Storm:
    """A bot under way, what it was given, and what went wrong on purpose."""

    dice: random.Random
    clock: VirtualClock
    telegram: TelegramStandIn
    path: Path
    config: Config
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    store: Store = field(init=False)
    delivery: Delivery = field(init=False)
    task: asyncio.Task[None] = field(init=False)
    is_up: asyncio.Event = field(default_factory=asyncio.Event)
    queued: list[NewMessage] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    asked: int = 0
    orders: list[Order] = field(default_factory=list)
    decided_ms: dict[str, int] = field(default_factory=dict)  #: by text, on the clock that nobody sets
    set_while_down_ms: list[int] = field(default_factory=list)  #: starts before which the clock was set
    ends_ms: list[int] = field(default_factory=list)  #: when the bot was stopped or killed
    stop: Callable[[], None] = field(default=lambda: None)  #: cancels at once whatever the bot has under way
    away: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def live(self) -> None:
        """Run the bot, and again a few seconds after each end of it, as compose does."""
        while True:
            with suppress(StartError):
                await self._run_once()
            await self.clock.sleep(self.dice.uniform(3, 8))

    async def _run_once(self) -> None:
        """Run what of the bot speaks to Telegram."""
        self.lives += 1
        async with AsyncExitStack() as resources:
            self.store = await resources.enter_async_context(await Store.open(self.path))
            if self.clock.rebase():  # a program that starts takes the clock as it is
                self.set_while_down_ms.append(self.clock.monotonic_ms())
            way = build_telegram(self.config, self.clock, Timeouts(connect_s=2, answer_s=3, poll_s=10))
            assert way is not None
            bot = Bot(
                self.config,
                clock=self.clock,
                feed=build_feed(self.config, self.clock, self.tasks),
                store=self.store,
                sender=TelegramSender(way.application.bot),
                telegram=way,
            )
            self.delivery, handlers, polling = bot.delivery, bot.handlers, bot.polling
            assert handlers is not None
            assert polling is not None
            self._note_orders(handlers.answering)
            resources.push_async_callback(polling.close)
            resources.push_async_callback(handlers.waiting.finish)

            def stop() -> None:
                for task in (*polling._tasks, *handlers.waiting.tasks):
                    task.cancel()

            self.stop = stop
            await polling.start()
            self.is_up.set()
            resources.callback(self.is_up.clear)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self.delivery.run(), name="delivery")
                    group.create_task(polling.run(), name="commands")
                    group.create_task(self._tick(bot.orchestrator), name="ticks")
            except ExceptionGroup as errors:
                raise errors.exceptions[0] from None

    async def _tick(self, orchestrator: Orchestrator) -> None:
        """What a tick does of its own accord about the clock."""
        while True:
            await orchestrator._follow_clock()
            await self.clock.sleep(TICK_S)

    def _note_orders(self, answering: Answering) -> None:
        keep = answering.keep

        async def note(asker: Any, address: str, command: str, answer: str) -> None:
            for order in self.orders:
                if order.text == command:
                    order.done_ms = self.clock.monotonic_ms()
            await keep(asker, address, command, answer)

        answering.keep = note  # type: ignore[method-assign]

    async def queue(self, kind: Kind, text: str, signal_id: int | None = None) -> None:
        """Commit a message to every chat, as a tick does, and with an exit what it adds to the alert."""
        ends = [FollowUp(signal_id=signal_id or 0, html=f"ended {signal_id}")] if kind is Kind.EXIT else []
        while True:
            await self.is_up.wait()  # a bot that is down decides nothing
            with suppress(ValueError):  # it ended just then: nothing was written, and it is decided again
                async with self.store.times:
                    message = NewMessage(
                        chat_id="", kind=kind, html=text, created_ms=self.clock.now_ms(), signal_id=signal_id
                    )
                    messages = [replace(message, chat_id=chat) for chat in CHATS]
                    self.decided_ms[text] = self.clock.monotonic_ms()
                    await self.store.outbox.enqueue([*messages, *ends])
                break
        self.queued += messages
        self.delivery.wake()

    async def go_wrong(self) -> None:
        """Let one thing go wrong, drawn at random."""
        kind = self.dice.choice(KINDS)
        now_ms = self.clock.monotonic_ms()
        match kind:
            case "send" | "edit" | "poll":
                fault = self.dice.choice(list(Fault))
                methods = {"send": "sendMessage", "edit": "editMessageText", "poll": "getUpdates"}
                self.telegram.faults.append((methods[kind], fault))
                kind = f"{kind}: {fault.name.lower().replace('_', ' ')}"
            case "flood":
                chat = self.dice.choice([ADMIN, PERSON, CHANNEL, self.telegram.migrated.get(GROUP, GROUP)])
                until_ms = now_ms + round(1000 * self.dice.uniform(1, 30))
                if self.dice.random() < 0.3:
                    self.telegram.edits_held_until_ms = until_ms
                else:
                    self.telegram.held_until_ms[chat] = until_ms
            case "away":
                self._spawn(self._go_away(min(self.dice.expovariate(0.1), LONGEST_OUTAGE_S)))
            case "killed" | "stopped":
                await self.end(by_force=kind == "killed")
            case "clock set":
                self.clock.set_wall_clock(self.dice.choice(STEPS_S))
            case "topic gone":
                self._spawn(self._lose_topic())
            case "bad HTML":
                await self.queue(Kind.NOTICE, f"<b>broken {len(self.queued)}")
            case "401":
                self._spawn(self._revoke(self.dice.uniform(1, 5)))
            case "403":
                self._spawn(self._block(self.dice.uniform(5, 30)))
            case "409":
                self._spawn(self._poll_too())
            case "rights":
                self._spawn(self._lacks(self.telegram.without_rights, self.dice.choice([CHANNEL, NAMED, PLAIN])))
            case "topic closed":
                self._spawn(self._lacks(self.telegram.closed_topics, (FORUM, TOPIC)))
            case "removed":
                self._spawn(self._remove(self.dice.choice([CHANNEL, PLAIN]), self.dice.uniform(5, 60)))
            case "odd update":
                odd: list[Any] = [{"message_id": 1}, "odd", None]
                await self.telegram.push("message", self.dice.choice(odd))
        self.faults[kind] += 1

    async def ask(self) -> None:
        """The admin asks something; what comes of it is seen at the end."""
        self.asked += 1
        await self.telegram.user_sends(self.dice.choice(["/status", "/signals", "/health"]), user_id=ADMIN)

    async def steer(self) -> None:
        """The admin mutes a venue for a time that no other command names; whether he is obeyed is seen at the end."""
        text = f"/mute LBank {len(self.orders) + 1}m"
        chat_id = self.dice.choice([ADMIN, self.telegram.migrated.get(GROUP, GROUP)])
        order = Order(text=text, chat_id=chat_id, message_id=0)
        self.orders.append(order)
        order.message_id = await self.telegram.user_sends(text, user_id=ADMIN, chat_id=chat_id)

    async def end(self, *, by_force: bool) -> None:
        """Stop the bot, or kill it in whatever it is doing, and start it again."""
        self.ends_ms.append(self.clock.monotonic_ms())
        if by_force:
            self.stop()
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        await self.clock.sleep(self.dice.uniform(3, 8))
        self.task = spawn(self.live(), name="bot", keep=self.tasks)

    async def finish(self) -> Counter[DeliveryState]:
        """Let everything out that can still go, and return what became of the messages."""
        telegram = self.telegram
        while (
            self.away.locked()
            or telegram.blocked
            or telegram.without_rights
            or telegram.closed_topics
            or not telegram.topics[FORUM]
        ):
            await self.clock.sleep(1)
        telegram.faults.clear()
        await self.clock.sleep(300)  # a bot that met a 409 tries again within as long
        await self.queue(Kind.NOTICE, OVER)
        async with asyncio.timeout(4 * HOUR_S):
            while True:
                await self.is_up.wait()
                counts = await self.store.outbox.counts()
                if not counts[DeliveryState.PENDING] + counts[DeliveryState.SENDING]:
                    return Counter(counts)
                await self.clock.sleep(1)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        spawn(work, name="fault", keep=self.tasks)

    async def _go_away(self, seconds: float) -> None:
        async with self.away:
            await self.telegram.close()
            await self.clock.sleep(seconds)
            await self.telegram.open()

    async def _revoke(self, seconds: float) -> None:
        async with self.away:
            self.telegram.token = "123456:another"
            await self.clock.sleep(seconds)
            self.telegram.token = TOKEN

    async def _block(self, seconds: float) -> None:
        self.telegram.blocked.add(FICKLE)
        await self.clock.sleep(seconds)
        self.telegram.blocked.discard(FICKLE)
        await self.telegram.user_sends("/start", user_id=FICKLE)

    async def _lacks(self, of: set[Any], what: object) -> None:
        of.add(what)
        await self.clock.sleep(self.dice.uniform(5, 60))
        of.discard(what)
        if isinstance(what, int) and self.dice.random() < 0.5:  # of rights given back Telegram may tell
            await self.telegram.bot_becomes("administrator", what, by=ADMIN)

    async def _lose_topic(self) -> None:
        self.telegram.topics[FORUM].discard(TOPIC)
        await self.clock.sleep(self.dice.uniform(5, 60))
        self.telegram.topics[FORUM].add(TOPIC)

    async def _remove(self, chat_id: int, seconds: float) -> None:
        await self.telegram.bot_becomes("kicked", chat_id, by=ADMIN)
        await self.clock.sleep(seconds)
        await self.telegram.bot_becomes("administrator" if chat_id == CHANNEL else "member", chat_id, by=ADMIN)

    async def _poll_too(self) -> None:
        async with httpx.AsyncClient() as other:
            with suppress(httpx.HTTPError):
                await other.post(f"{self.telegram.url}/bot{self.telegram.token}/getUpdates", data={"timeout": "0"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one storm."""

    name: str
    queued: int
    states: dict[DeliveryState, int]
    repeated: int
    faults: dict[str, int]
    lives: int
    answered: str
    obeyed: str  #: of the admin's orders that arrived in time
    slowest_s: float  #: from the arrival of an order to its being carried out
    problems: tuple[str, ...]


def begin(seed: int, folder: Path, telegram: TelegramStandIn, clock: VirtualClock) -> Storm:
    """Return a bot about to start in a Telegram with people and a group."""
    telegram.people |= set(PEOPLE)
    telegram.groups |= {GROUP, SUPERGROUP, PLAIN, FORUM}
    telegram.channels |= {CHANNEL, NAMED}
    telegram.topics[FORUM] = {TOPIC}
    telegram.names["@calls"] = NAMED
    settings = {"TELEGRAM_CHAT_ID": ",".join(CHATS), "TELEGRAM_ADMIN_IDS": str(ADMIN)}
    config = load_config(settings | {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": telegram.url})
    config = replace(config, venues=replace(config.venues, exchanges=()))
    dice = random.Random(seed)
    storm = Storm(dice=dice, clock=clock, telegram=telegram, path=folder / "sgnl.sqlite3", config=config)
    storm.task = spawn(storm.live(), name="bot", keep=storm.tasks)
    return storm


async def torture(seed: int, folder: Path, seconds: float = SECONDS, signals: int = SIGNALS) -> Result:
    """Run one storm on the virtual loop."""
    clock = VirtualClock()
    async with TelegramStandIn(clock.monotonic_ms) as telegram:
        storm = begin(seed, folder, telegram, clock)
        await storm.is_up.wait()
        await storm.store.remember([make_signal(number) for number in range(1, signals + 1)], make_limits(), [])
        await _live(storm, seconds, signals)
        return await _judge(f"storm {seed}", storm)


async def hour_away(how: Fault | None, folder: Path, hour_s: float = HOUR_S) -> Result:
    """Let Telegram be away for an hour: refuse connections (None), or meet every request with `how`."""
    clock, name = VirtualClock(), "no connection" if how is None else how.value
    async with TelegramStandIn(clock.monotonic_ms) as telegram:
        storm = begin(1, folder, telegram, clock)
        await storm.is_up.wait()
        await storm.store.remember([make_signal(number) for number in range(1, 13)], make_limits(), [])
        for number in (1, 2):
            await storm.queue(Kind.ENTRY, f"SHORT {number}", number)
        await clock.sleep(10)
        telegram.outage = how
        if how is None:
            await telegram.close()
        for number in range(3, 13):  # the last one so shortly before the end that it is only late
            await storm.queue(Kind.ENTRY, f"SHORT {number}", number)
            await clock.sleep(hour_s / 11 if number < 12 else 60)
            await storm.queue(Kind.EXIT, f"EXIT {number - 2}", number - 2)
        await storm.queue(Kind.NOTICE, "a notice of the hour")
        telegram.outage = None
        if how is None:
            await telegram.open()
        return await _judge(f"an hour: {name}", storm)


async def _judge(name: str, storm: Storm) -> Result:
    states = await storm.finish()
    asked = len(storm.telegram.messages)
    await storm.telegram.user_sends("/version", user_id=ADMIN)
    with suppress(TimeoutError):
        async with asyncio.timeout(120):
            while not any(one.text.startswith("SGNL 0") for one in storm.telegram.messages[asked:]):
                await storm.clock.sleep(1)
    stored = await _stored(storm)
    lags, disobeyed = _obedience(storm)
    storm.task.cancel()
    await asyncio.gather(*storm.tasks, return_exceptions=True)
    problems = [*_problems(storm, stored), *disobeyed]
    if not any(one.text.startswith("SGNL 0") for one in storm.telegram.messages[asked:]):
        problems.append("no command is heard afterwards")
    heads = ("SGNL", "Alerts", "All is", "Not well", "/")
    answers = sum(one.chat_id == ADMIN and one.text.startswith(heads) for one in storm.telegram.messages)
    return Result(
        name=name,
        queued=len(storm.queued),
        states={state: states[state] for state in STATES},
        repeated=sum(len(_copies(storm, message)) > 1 for message in storm.queued),
        faults=dict(sorted(storm.faults.items())),
        lives=storm.lives,
        answered=f"{answers - 1} of {storm.asked}",
        obeyed=f"{len(lags)} of {len(storm.orders)}",
        slowest_s=max(lags, default=0.0),
        problems=tuple(problems),
    )


async def _live(storm: Storm, seconds: float, signals: int) -> None:
    """Give alerts, exits and lists for so long, with faults between them and the group's move half-way."""
    events = [(storm.dice.uniform(0, seconds), "fault", 0) for _ in range(round(seconds / FAULT_EVERY_S))]
    events += [(storm.dice.uniform(0, seconds), "ask", 0) for _ in range(round(seconds / 20))]
    events += [(storm.dice.uniform(0, seconds), "steer", 0) for _ in range(round(seconds / 10))]
    events.append((seconds / 2, "move", 0))
    for number in range(1, signals + 1):
        at_s = storm.dice.uniform(0, seconds)
        events += [(at_s, "entry", number), (at_s + storm.dice.uniform(1, 90), "exit", number)]
    began_ms = storm.clock.now_ms()
    for at_s, what, number in sorted(events):
        await storm.clock.sleep(max(0.0, at_s - (storm.clock.now_ms() - began_ms) / 1000))
        match what:
            case "entry":
                await storm.queue(Kind.ENTRY, f"SHORT {number}", number)
            case "exit":
                await storm.queue(Kind.EXIT, f"EXIT {number}", number)
            case "move":
                storm.telegram.migrated[GROUP] = SUPERGROUP
            case "ask":
                await storm.ask()
            case "steer":
                await storm.steer()
            case _:
                await storm.go_wrong()


def _obedience(storm: Storm) -> tuple[list[float], list[str]]:
    """Return how long each of the admin's orders took once it had arrived [s], and what is wrong with that.

    An order arrives with the last answer that carries it: of an earlier one nothing has reached the bot, or the bot
    was killed. One that arrives over a minute after it was sent is not to be carried out, and that is said.
    """
    lags, problems = [], []
    for order in storm.orders:
        sent_ms, fetched_ms = storm.telegram.fetched.get(order.text, (0, []))
        in_time = [at_ms for at_ms in fetched_ms if at_ms - sent_ms < 59_000]
        if order.done_ms is not None:
            arrived_ms = max(at_ms for at_ms in fetched_ms if at_ms <= order.done_ms)
            lags.append((order.done_ms - arrived_ms) / 1000)
            if lags[-1] > 2:
                problems.append(f"{order.text} was carried out {lags[-1]:.1f} s after its arrival")
        elif in_time and max(in_time) == max(fetched_ms):
            problems.append(f"{order.text} was not carried out")
        if fetched_ms and not _is_answered(storm, order, max(fetched_ms)):
            problems.append(f"{order.text} in {order.chat_id} was not answered")
    return lags, problems


def _is_answered(storm: Storm, order: Order, arrived_ms: int) -> bool:
    """Whether an order was answered: that it was carried out, or that it was too old; a bot that ended says nothing."""
    chats = next(chats for chats in CHATS.values() if order.chat_id in chats)
    moved = order.chat_id == GROUP  # what is said in its new place replies to nothing of the old one
    return any(
        one.chat_id in chats
        and (
            one.reply_to == order.message_id
            or STALE in one.text
            or (moved and one.chat_id == SUPERGROUP and one.text.startswith("LBank is muted"))
        )
        for one in storm.telegram.messages
    ) or any(0 <= ended_ms - arrived_ms < ANSWERED_WITHIN_MS for ended_ms in storm.ends_ms)


async def _stored(storm: Storm) -> dict[tuple[str, str], Stored]:
    """Return what became of each message, by chat and text."""
    rows = await storm.store.database.read("SELECT * FROM outbox")
    return {
        (row["chat_id"], line): Stored(
            state=DeliveryState(row["state"]),
            may_repeat=bool(row["may_repeat"]),
            error=row["error"],
            follow_up=row["follow_up"],
        )
        for row in rows
        for line in row["html"].split("\n")
    }


def _problems(storm: Storm, stored: dict[tuple[str, str], Stored]) -> Iterable[str]:
    """Yield what Telegram got that it should not have, or did not get that it should have."""
    too_fast = [
        at_ms
        for at_ms in storm.telegram.too_fast_ms
        if not any(start_ms <= at_ms <= start_ms + 66_000 for start_ms in storm.set_while_down_ms)
    ]  # a program that starts under another time cannot know when it sent before
    if too_fast:
        yield f"{len(too_fast)} requests were too fast by the stand-in's own count"
    for message in storm.queued:
        record, copies = stored[message.chat_id, message.html], _copies(storm, message)
        for problem in (*_wrong(message, record, copies), *_wrong_age(storm, message, copies)):
            yield f"{message.html} to {message.chat_id} {problem}"
    yield from _untold(storm, stored)
    for chat in CHATS:
        yield from _out_of_order(storm, stored, chat)


def _wrong(message: NewMessage, record: Stored, copies: Sequence[Received]) -> Iterable[str]:
    if record.state is DeliveryState.SENT and not copies:
        yield "is lost"
    if record.state is DeliveryState.UNCERTAIN and not record.may_repeat and is_person(message.chat_id):
        yield "is in doubt and was not repeated"
    if record.state is DeliveryState.FAILED:
        yield f"was given up: {record.error}"
    if record.state is DeliveryState.EXPIRED and message.kind is not Kind.ENTRY:
        yield "expired"
    if len(copies) > (2 if is_person(message.chat_id) else 1):
        yield f"stands there {len(copies)} times"
    if len(copies) > 1 and not record.may_repeat:
        yield "was repeated without a doubt"
    if any("MAY REPEAT" not in copy.text for copy in copies[1:]):
        yield "is repeated without a word"
    is_current = copies and copies[-1].chat_id != GROUP  # what stood in the group's old id cannot be edited any more
    if (
        record.follow_up
        and record.state is DeliveryState.SENT
        and is_current
        and not copies[-1].html.endswith(record.follow_up)
    ):
        yield f"does not say {record.follow_up.strip()}"


def _wrong_age(storm: Storm, message: NewMessage, copies: Sequence[Received]) -> Iterable[str]:
    """An alert says that it is late where it is, by the clock that nobody sets."""
    decided_ms = storm.decided_ms[message.html]
    if message.kind is not Kind.ENTRY or not copies:
        return
    at_ms = copies[0].at_ms
    age_s, is_late = (at_ms - decided_ms) / 1000, "LATE" in copies[0].text
    if any(decided_ms <= start_ms <= at_ms for start_ms in storm.set_while_down_ms):
        return  # nobody could know by how much
    if (age_s < 29 and is_late) or (age_s > 40 and not is_late):
        yield f"came after {age_s:.0f} s and says {copies[0].text.splitlines()[0]}"


def _untold(storm: Storm, stored: dict[tuple[str, str], Stored]) -> Iterable[str]:
    ends = {DeliveryState.EXPIRED: "could not be sent in time", DeliveryState.UNCERTAIN: "may not have arrived"}
    lost = Counter((message.chat_id, stored[message.chat_id, message.html].state) for message in storm.queued)
    for (chat_id, state), count in lost.items():
        if state in ends:
            lines = [line for _, message in _in_chat(storm, chat_id) for line in message.text.splitlines()]
            lines = [line for line in lines if line.split()[1:2] == ["earlier"] and ends[state] in line]
            told = sum(int(line.split()[0]) for line in lines)
            if told < count:
                yield f"chat {chat_id} was told of {told} of {count} messages that are {state}"


def _out_of_order(storm: Storm, stored: dict[tuple[str, str], Stored], chat_id: str) -> Iterable[str]:
    """Alerts of a chat that were never in doubt come in the order they were given, exits after their alerts."""
    places: dict[str, int] = {}
    for place, received in _in_chat(storm, chat_id):
        for line in received.text.splitlines():
            places.setdefault(line, place)
    sure = {
        text: place
        for text, place in places.items()
        if (record := stored.get((chat_id, text))) and record.state is DeliveryState.SENT and not record.may_repeat
    }
    given = [message.html for message in storm.queued if message.chat_id == chat_id and message.kind is Kind.ENTRY]
    first = [sure[text] for text in given if text in sure]
    if first != sorted(first):
        yield f"chat {chat_id} got its alerts out of order"
    for message in storm.queued:
        alert = f"SHORT {message.signal_id}"
        is_exit = message.chat_id == chat_id and message.kind is Kind.EXIT
        if is_exit and alert in sure and places.get(message.html, math.inf) < sure[alert]:
            yield f"chat {chat_id} got {message.html} before its alert"


def _copies(storm: Storm, message: NewMessage) -> list[Received]:
    text = message.html.removeprefix("<b>")
    return [one for _, one in _in_chat(storm, message.chat_id) if text in one.text.split("\n")]


def _in_chat(storm: Storm, chat_id: str) -> list[tuple[int, Received]]:
    ids = CHATS[chat_id]
    return [(place, one) for place, one in enumerate(storm.telegram.messages) if one.chat_id in ids]


def render(results: Iterable[Result]) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Telegram at its worst",
        "",
        "Written by `python -m tests.torture.telegram`: the real store, delivery, commands and python-telegram-bot",
        f"against the strict stand-in, by HTTP on a virtual clock. {SIGNALS} alerts and their exits go to eight chats",
        "(three people, a group that moves half-way, a plain group, a topic of a forum, a channel, a channel by its",
        f"name) within {SECONDS / 60:.0f} minutes, more than Telegram lets into a group, while something goes wrong",
        f"every {FAULT_EVERY_S:g} seconds at random: a send, an edit or a poll that hangs, is cut off before or after",
        "it is carried out, is answered 500 or 502 in Telegram's own JSON (after it was carried out, or not), 401, 404",
        "or 409 in its JSON, 400 to 502 in a page or the JSON of something before it, or by a redirect; a flood wait",
        f"of up to 30 s, of edits alone or of a chat; no connection for up to {LONGEST_OUTAGE_S:.0f} s; the bot",
        "killed, or stopped as by SIGTERM; the machine's clock set by 2 s to an hour, back or forward; HTML that",
        "cannot be read; the token refused; a person blocking the bot; the right to write taken and given back, with",
        "and without a word of Telegram's; the bot removed and put back; the topic closed or deleted; an update that",
        "cannot be read; another bot on the token. Then come hours in which Telegram is away altogether.",
        "",
        "Checked: nothing marked sent is missing; nothing is given up; nothing is repeated but once, marked, to a",
        "person, after a doubt; exits come after their alerts, alerts in their order; every alert that stands says",
        "how it ended, and that it is late where it is, by a clock that nobody sets; a chat is told of every message",
        "that expired or is in doubt; the stand-in counts no request as too fast; each order of the admin that arrives",
        "within a minute is carried out within 2 s of its arrival, and answered within a minute unless the bot ends",
        "meanwhile; commands are heard afterwards. A program that starts under another time cannot know how old what",
        "it finds is, nor when it last wrote: that much is not asked of it. Uncertain is a message to a group or",
        "channel of which no word of Telegram's says what became of it, or one to a person whose repetition ended so",
        "too: by design neither is sent again. Obeyed are the orders that arrived in time: while the bot",
        "is down, or for up to five minutes after a 409, none does. Answered are the questions: they leave room for",
        "alerts, and in this storm the chat is full of them; a bot that is killed answers no more.",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        f"|{'---|' * len(_COLUMNS)}",
    ]
    faults: Counter[str] = Counter()
    for result in results:
        faults.update(result.faults)
        sent, uncertain, expired, failed = (result.states[state] for state in STATES)
        problems = "; ".join(result.problems) or "none"
        lines.append(
            f"| {result.name} | {result.queued} | {sent} | {uncertain} | {expired} | {failed} | {result.repeated}"
            f" | {result.lives} | {result.answered} | {result.obeyed} | {result.slowest_s:.1f} s | {problems} |"
        )
    counted = ", ".join(f"{name} {count}" for name, count in sorted(faults.items()))
    return "\n".join([*lines, "", f"Faults of all storms: {counted}."]) + "\n"


def main() -> int:
    """Run the seeds and the hours, write the result, and return 1 where one has a problem."""
    logger.remove()
    logging.disable(logging.ERROR)  # python-telegram-bot's, of what is no JSON
    runs = [(torture, seed) for seed in range(1, SEEDS + 1)]
    runs += [(hour_away, how) for how in (None, Fault.HANG, Fault.BAD_GATEWAY, Fault.RESET)]  # type: ignore[misc]
    results = []
    for run, what in runs:
        with tempfile.TemporaryDirectory() as folder:
            results.append(run_virtually(run(what, Path(folder))))
        sys.stdout.write(f"{results[-1].name}: {results[-1].queued} messages, {results[-1].problems or 'no problem'}\n")
        sys.stdout.flush()
    RESULT.write_text(render(results))
    return int(any(result.problems for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
