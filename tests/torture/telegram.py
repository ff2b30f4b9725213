"""Ten minutes of everything that can go wrong with Telegram, with 200 alerts and their exits to deliver meanwhile.

`python -m tests.torture.telegram` runs some seeds and writes docs/torture-telegram.md; the suite runs a shorter one.
The real store, delivery and python-telegram-bot talk by HTTP to the stand-in, on a virtual clock.
"""

import asyncio
import logging
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from loguru import logger

from bot.delivery import Delivery
from bot.tasks import spawn
from bot.telegram_edge import AnyApplication, TelegramSender, Timeouts, build_application
from storage.outbox import DeliveryState, Kind, NewMessage
from storage.sqlite import Store
from tests.storage.builders import make_limits, make_signal
from tests.telegram_stand_in import TOKEN, Fault, Received, TelegramStandIn
from tests.virtual_time import VirtualClock, run_virtually

SEEDS = 5
SECONDS, SIGNALS = 600.0, 200
PEOPLE, GROUP, SUPERGROUP = (100, 7), -200, -1001
CHATS = (*PEOPLE, GROUP)
FAULT_EVERY_S = 5.0
RESULT = Path(__file__).parents[2] / "docs" / "torture-telegram.md"
STATES = (DeliveryState.SENT, DeliveryState.UNCERTAIN, DeliveryState.EXPIRED, DeliveryState.FAILED)


@dataclass(slots=True, kw_only=True)
class Storm:
    """A bot under way, what it was given, and what went wrong on purpose."""

    dice: random.Random
    clock: VirtualClock
    telegram: TelegramStandIn
    path: Path
    application: AnyApplication
    store: Store
    delivery: Delivery
    task: asyncio.Task[None]
    tasks: set[asyncio.Task[None]]
    queued: list[NewMessage] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)

    async def queue(self, kind: Kind, text: str, signal_id: int | None = None) -> None:
        """Commit a message to every chat, as a tick does."""
        messages = [
            NewMessage(chat_id=str(chat), kind=kind, html=text, created_ms=self.clock.now_ms(), signal_id=signal_id)
            for chat in CHATS
        ]
        await self.store.enqueue(messages)
        self.queued += messages
        self.delivery.wake()

    async def go_wrong(self) -> None:
        """Let one thing go wrong, drawn at random."""
        kind = self.dice.choice(("send", "send", "send", "edit", "flood", "away", "killed", "bad HTML"))
        match kind:
            case "send" | "edit":
                fault = self.dice.choice(list(Fault))
                method = "sendMessage" if kind == "send" else "editMessageText"
                self.telegram.faults.append((method, fault))
                kind = fault.name.lower().replace("_", " ")
            case "flood":
                wait_ms = round(1000 * self.dice.uniform(1, 15))
                self.telegram.held_until_ms[self.dice.choice(PEOPLE)] = self.clock.now_ms() + wait_ms
            case "away":
                await self.telegram.close()
                await self.clock.sleep(self.dice.uniform(1, 10))
                await self.telegram.open()
            case "killed":
                await self.restart()
            case "bad HTML":
                await self.queue(Kind.NOTICE, f"<b>broken {len(self.queued)}")
        self.faults[kind] += 1

    async def restart(self) -> None:
        """Kill the bot, whatever it is sending, and start another one on its database."""
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        await self.store.close()
        self.store = await Store.open(self.path)
        self.start()

    def start(self) -> None:
        """Let a delivery run."""
        self.delivery = Delivery(self.store, TelegramSender(self.application.bot), self.clock, max_signal_age_s=30)
        self.task = spawn(self.delivery.run(), name="delivery", keep=self.tasks)

    async def finish(self) -> Counter[DeliveryState]:
        """Let everything out that can still go, and return what became of the messages."""
        self.telegram.faults.clear()
        await self.queue(Kind.NOTICE, "the storm is over")
        async with asyncio.timeout(7200):
            while True:
                counts = await self.store.outbox_counts()
                if not counts[DeliveryState.PENDING] + counts[DeliveryState.SENDING]:
                    return Counter(counts)
                await self.clock.sleep(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one storm."""

    seed: int
    queued: int
    states: dict[DeliveryState, int]
    repeated: int
    faults: dict[str, int]
    problems: tuple[str, ...]


async def torture(seed: int, folder: Path, seconds: float = SECONDS, signals: int = SIGNALS) -> Result:
    """Run one storm on the virtual loop."""
    clock, dice = VirtualClock(), random.Random(seed)
    tasks: set[asyncio.Task[None]] = set()
    path = folder / "sgnl.sqlite3"
    async with TelegramStandIn(clock.now_ms) as telegram:
        telegram.people |= set(PEOPLE)
        telegram.groups |= {GROUP, SUPERGROUP}
        store = await Store.open(path)
        await store.remember([make_signal(number) for number in range(1, signals + 1)], make_limits(), [])
        application = build_application(TOKEN, telegram.url, Timeouts(connect_s=2, answer_s=3))
        delivery = Delivery(store, TelegramSender(application.bot), clock, max_signal_age_s=30)
        storm = Storm(
            dice=dice,
            clock=clock,
            telegram=telegram,
            path=path,
            application=application,
            store=store,
            delivery=delivery,
            task=spawn(delivery.run(), name="delivery", keep=tasks),
            tasks=tasks,
        )
        await _live(storm, seconds, signals)
        states = await storm.finish()
        states_of = await _states(storm.store)
        storm.task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await storm.store.close()
        await application.bot.request.shutdown()
    problems = tuple(_problems(storm, states_of))
    repeated = sum(len(_copies(telegram.messages, message)) > 1 for message in storm.queued)
    return Result(
        seed=seed,
        queued=len(storm.queued),
        states={state: states[state] for state in STATES},
        repeated=repeated,
        faults=dict(sorted(storm.faults.items())),
        problems=problems,
    )


async def _live(storm: Storm, seconds: float, signals: int) -> None:
    """Give alerts, exits and lists for so long, with faults between them and the group's move half-way."""
    events = [(storm.dice.uniform(0, seconds), "fault", 0) for _ in range(round(seconds / FAULT_EVERY_S))]
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
            case _:
                await storm.go_wrong()


async def _states(store: Store) -> dict[tuple[str, str], DeliveryState]:
    """Return what became of each message, by chat and text."""
    rows = await store._read("SELECT chat_id, html, state FROM outbox")
    return {(row["chat_id"], row["html"]): DeliveryState(row["state"]) for row in rows}


def _problems(storm: Storm, states: dict[tuple[str, str], DeliveryState]) -> Iterable[str]:
    """Yield what Telegram got that it should not have, or did not get that it should have."""
    messages = storm.telegram.messages
    if storm.telegram.too_fast:
        yield f"{storm.telegram.too_fast} requests were too fast by the stand-in's own count"
    for message in storm.queued:
        copies, state = _copies(messages, message), states[message.chat_id, message.html]
        name = f"{message.html} to {message.chat_id}"
        if state is DeliveryState.SENT and not copies:
            yield f"{name} is lost"
        if state is DeliveryState.FAILED:
            yield f"{name} was given up"
        if state is DeliveryState.EXPIRED and message.kind is not Kind.ENTRY:
            yield f"{name} expired"
        if message.chat_id == str(GROUP) and len(copies) > 1:
            yield f"{name} stands there {len(copies)} times"
        if any("MAY REPEAT" not in copy.text for copy in copies[1:]):
            yield f"{name} is repeated without a word"
        alerts = _copies(messages, message, f"SHORT {message.signal_id}")
        if message.kind is Kind.EXIT and copies and alerts and copies[0].message_id < alerts[0].message_id:
            yield f"{name} came before its alert"
    yield from _untold(storm, states)
    yield from _out_of_order(storm, states)


def _untold(storm: Storm, states: dict[tuple[str, str], DeliveryState]) -> Iterable[str]:
    expired = Counter(chat_id for (chat_id, _), state in states.items() if state is DeliveryState.EXPIRED)
    for chat_id, count in expired.items():
        told = 0
        for message in storm.telegram.messages:
            last = message.text.splitlines()[-1]
            if _is_in(message, chat_id) and "could not be sent in time" in last:
                told += int(last.split()[0])
        if told < count:
            yield f"chat {chat_id} was told of {told} of {count} expired alerts"


def _out_of_order(storm: Storm, states: dict[tuple[str, str], DeliveryState]) -> Iterable[str]:
    """Alerts of a chat that were never in doubt come in the order they were given."""
    for chat in CHATS:
        given = [message for message in storm.queued if message.chat_id == str(chat) and message.kind is Kind.ENTRY]
        first = [
            copies[0].message_id
            for message in given
            if states[message.chat_id, message.html] is DeliveryState.SENT
            and len(copies := _copies(storm.telegram.messages, message)) == 1
            and "MAY REPEAT" not in copies[0].text
        ]
        if first != sorted(first):
            yield f"chat {chat} got its alerts out of order"


def _copies(messages: Iterable[Received], message: NewMessage, text: str = "") -> list[Received]:
    text = text or message.html
    return [one for one in messages if _is_in(one, message.chat_id) and text in one.html.split("\n")] or [
        one for one in messages if _is_in(one, message.chat_id) and text.removeprefix("<b>") in one.text.split("\n")
    ]


def _is_in(received: Received, chat_id: str) -> bool:
    return str(received.chat_id) == chat_id or (received.chat_id == SUPERGROUP and chat_id == str(GROUP))


def render(results: Iterable[Result]) -> str:
    """Return the results as Markdown."""
    lines = [
        "# Telegram at its worst",
        "",
        "Written by `python -m tests.torture.telegram`: the real store, delivery and python-telegram-bot against the",
        f"strict stand-in, by HTTP on a virtual clock. {SIGNALS} alerts and their exits go to two people and a group",
        f"within {SECONDS / 60:.0f} minutes (more than Telegram lets into a group) while something goes wrong",
        f"every {FAULT_EVERY_S:g} seconds, and the group moves to a new id. Checked: nothing marked sent is missing;",
        "nothing is repeated but marked and to a person; exits come after their alerts, alerts in their order; every",
        "expired alert is told of; the stand-in counts no request as too fast. Uncertain is a message to the group",
        "whose reply was lost, or one to a person whose repetition was lost too: by design neither is sent again.",
        "",
        "| seed | queued | sent | uncertain | expired and told | repeated, marked | faults | problems |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        sent, uncertain, expired, _ = (result.states[state] for state in STATES)
        faults = ", ".join(f"{name} {count}" for name, count in result.faults.items())
        problems = "; ".join(result.problems) or "none"
        lines.append(
            f"| {result.seed} | {result.queued} | {sent} | {uncertain} | {expired} | {result.repeated} | {faults}"
            f" | {problems} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the seeds, write the result, and return 1 where one has a problem."""
    logger.remove()
    logging.disable(logging.ERROR)  # python-telegram-bot's, of what is no JSON
    results = []
    for seed in range(1, SEEDS + 1):
        with tempfile.TemporaryDirectory() as folder:
            results.append(run_virtually(torture(seed, Path(folder))))
        sys.stdout.write(f"seed {seed}: {results[-1].queued} messages, {results[-1].problems or 'no problem'}\n")
    RESULT.write_text(render(results))
    return int(any(result.problems for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
