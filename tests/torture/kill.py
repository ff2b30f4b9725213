"""The real bot killed again and again, and what its database and its chats hold afterwards.

`python -m tests.torture.kill [KILLS] [SEED]` kills it 200 times and more, at every labelled step and at random, and
writes docs/torture-kill.md.
"""

import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random

from bot.cli.demo import addresses
from bot.clock import SystemClock
from bot.core.recompute import explain_signal
from storage.store import StoreReader
from tests.telegram_stand_in import TOKEN, Fault, Received, TelegramStandIn
from tests.torture.killable import AT_THE_START, NEVER, STEPS
from tests.torture.market import SETTINGS

ROOT = Path(__file__).parents[2]
PERSON, GROUP = 100, -200
RANDOM, UNANSWERED = "at random", "between the request and its reply"
ALL_STEPS = (*STEPS, UNANSWERED, RANDOM)
PATIENCE_S = 18.0  #: for a step to come; then the process is killed wherever it is
SETTLE_S = 120.0
KILLS, KILLS_A_CAMPAIGN, LANES = 200, 20, 2
NO_CAP, LOW_CAP = 1000, 4
LONGEST_CAMPAIGN_S = 300.0
RESULT = ROOT / "docs" / "torture-kill.md"
ALERT = "Alerts like it"
MAY_REPEAT = "MAY REPEAT"


@dataclass(slots=True, kw_only=True)
class Tally:
    """What a campaign has seen."""

    kills: Counter[str] = field(default_factory=Counter)
    signals: int = 0
    outcomes: int = 0
    alerts: int = 0  #: in the person's chat
    repeated: int = 0  #: of them marked
    in_doubt: int = 0  #: messages to the person whose repetition was cut off as well
    group_in_doubt: int = 0  #: messages to the group that are not repeated
    caps_reached: int = 0

    def add(self, other: "Tally") -> None:
        """Count another campaign in."""
        self.kills.update(other.kills)
        for name in ("signals", "outcomes", "alerts", "repeated", "in_doubt", "group_in_doubt", "caps_reached"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


@asynccontextmanager
async def child(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a module of ours; it ends when its standard input does."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *arguments),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def market(seed: int, seconds: float) -> AsyncIterator[dict[str, str]]:
    """Run the market and yield the settings that lead to it."""
    async with child("tests.torture.market", str(seed), str(seconds)) as process:
        assert process.stdout is not None
        urls = json.loads(await process.stdout.readline())
        yield addresses(urls)


class Campaign:
    """One database, lived in by many bots, each of which is killed but the last."""

    def __init__(
        self,
        nursery: asyncio.subprocess.Process,
        folder: Path,
        telegram: TelegramStandIn,
        urls: dict[str, str],
        random: Random,
        cap: int,
    ) -> None:
        self._nursery = nursery
        self._pid = 0  #: of the bot that lives now
        self._errors = folder / "stderr.txt"
        self._telegram = telegram
        self._random = random
        self._cap = cap
        self._environ = {
            **{name: text for name, text in os.environ.items() if name in {"PATH", "HOME", "TMPDIR", "LANG"}},
            **SETTINGS,
            **urls,
            "MAX_DAILY_TRADES": str(cap),
            "DATA_DIR": str(folder),
            "TELEGRAM_API_URL": telegram.url,
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_CHAT_ID": f"{PERSON},{GROUP}",
        }
        self.tally = Tally()

    @property
    def database(self) -> Path:
        """Where the bots keep what they know."""
        return self._errors.with_name("sgnl.db")

    async def kill_at(self, step: str) -> None:
        """Live until the step comes, and die there; whatever is left must be sound."""
        is_ours = step in STEPS
        nth = 1 if step == AT_THE_START else self._random.choice((1, 1, 1, 2))
        await self._start(step if is_ours else NEVER, nth)
        if step == UNANSWERED:
            await self._wait_for_request()
        code = await self._end(PATIENCE_S if is_ours else self._random.uniform(0.3, 6.0) if step == RANDOM else 0.0)
        is_late = code is None
        if code is None:
            os.kill(self._pid, signal.SIGKILL)
            code = await self._end(PATIENCE_S)
        if code != -signal.SIGKILL:
            raise AssertionError(f"ended by itself with {code}: {self._errors.read_text()}")
        self.tally.kills[RANDOM if is_ours and is_late else step] += 1
        self.check_sound()

    async def live_on(self) -> None:
        """Start once more, to give no new signal, and end as one should when all is settled and said."""
        before = self._count_runs()
        await self._start(NEVER, 1, MIN_SCORE_THRESHOLD="100")
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                while self._count_runs() == before or not self._is_settled():  # noqa: ASYNC110 - another process's
                    await asyncio.sleep(0.3)
        with suppress(ProcessLookupError):  # it has ended by itself: its own words are below
            os.kill(self._pid, signal.SIGTERM)
        assert await self._end(PATIENCE_S) == 0, self._errors.read_text()
        assert self._is_settled(), f"something was left: {self._errors.read_text()}"

    def check_sound(self) -> None:
        """Check what must hold at any instant, however the bot died."""
        if not self.database.exists():
            return
        with closing(sqlite3.connect(self.database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            if connection.execute("PRAGMA user_version").fetchone() == (0,):
                return
            self._check_limits(connection)
            stored = {number for (number,) in connection.execute("SELECT id FROM signals")}
            kept = {number for (number,) in connection.execute("SELECT signal_id FROM captures")}
            queued = Counter(connection.execute("SELECT signal_id, kind FROM outbox WHERE signal_id NOT NULL"))
            ended = {number for (number,) in connection.execute("SELECT signal_id FROM outcomes")}
        assert kept == stored, "every signal has its input"
        assert queued == Counter(
            {**{(number, "entry"): 2 for number in stored}, **{(number, "exit"): 2 for number in ended}}
        ), "every signal has its alert, every outcome its exit, one in each chat"
        told = {number for number, _ in self._messages(PERSON) if number}
        assert told <= stored, "nothing was said that is not stored"

    async def check_end(self) -> Tally:
        """Check what must hold when the last bot has ended, and return the count."""
        self.check_sound()
        with closing(sqlite3.connect(self.database)) as connection:
            stored = [number for (number,) in connection.execute("SELECT id FROM signals")]
            ended = [number for (number,) in connection.execute("SELECT signal_id FROM outcomes")]
            assert sorted(stored) == sorted(ended), "every signal was settled"
            assert connection.execute("SELECT count(*) FROM open_signals").fetchone() == (0,)
            states = set(connection.execute("SELECT state, may_repeat FROM outbox WHERE chat_id = ?", (str(PERSON),)))
            assert states <= {("sent", 0), ("sent", 1), ("uncertain", 1)}, "what is in doubt has gone twice"
            doubts = Counter(
                chat for (chat,) in connection.execute("SELECT chat_id FROM outbox WHERE state = 'uncertain'")
            )
        for chat in (PERSON, GROUP):
            seen = Counter((number, ALERT in message.text) for number, message in self._messages(chat) if number)
            plain = Counter(
                (number, ALERT in message.text)
                for number, message in self._messages(chat)
                if number and MAY_REPEAT not in message.text
            )
            assert max(plain.values(), default=0) <= 1, "nothing was said twice without its mark"
            assert max(seen.values(), default=0) <= (2 if chat == PERSON else 1), "a group is never told twice"
            due = {(number, is_alert) for number in stored for is_alert in (True, False)}
            assert len(due - seen.keys()) <= doubts[str(chat)], "only what is known to be in doubt may be missing"
        async with await StoreReader.open(self.database) as history:
            for number in stored:
                why = await explain_signal(history, number)
                assert why is not None
                assert why.is_same, (number, why.differences)
        return self._count(stored, doubts)

    def _count(self, stored: Sequence[int], doubts: Counter[str]) -> Tally:
        alerts = [message for number, message in self._messages(PERSON) if number and ALERT in message.text]
        self.tally.signals = self.tally.outcomes = len(stored)
        self.tally.alerts = len(alerts)
        self.tally.repeated = sum(MAY_REPEAT in message.text for message in alerts)
        self.tally.in_doubt, self.tally.group_in_doubt = doubts[str(PERSON)], doubts[str(GROUP)]
        self.tally.caps_reached = int(len(stored) == self._cap)
        return self.tally

    def _check_limits(self, connection: sqlite3.Connection) -> None:
        signals = list(connection.execute("SELECT id, coin, decided_ms FROM signals ORDER BY id"))
        exits = list(connection.execute("SELECT coin, exit_ms FROM outcomes JOIN signals ON id = signal_id"))
        found = connection.execute("SELECT value FROM state WHERE key = 'limits'").fetchone()
        limits = json.loads(found[0]) if found else {"next_id": 1, "signal_times_ms": [], "last_exit_ms": {}}
        times = [decided_ms for _, _, decided_ms in signals]
        assert [number for number, _, _ in signals] == list(range(1, len(signals) + 1))
        assert (limits["next_id"], limits["signal_times_ms"]) == (len(signals) + 1, times), "the limits used up"
        last_exits: dict[str, int] = {}
        for coin, exit_ms in exits:
            last_exits[coin] = max(exit_ms, last_exits.get(coin, 0))
        assert limits["last_exit_ms"] == last_exits
        days = Counter(datetime.fromtimestamp(time / 1000, UTC).date() for time in times)
        assert max(days.values(), default=0) <= self._cap, "the cap"
        burst, window_ms = int(SETTINGS["BURST_LIMIT"]), 1000 * float(SETTINGS["BURST_WINDOW_SECONDS"])
        assert all(late - early >= window_ms for early, late in zip(times, times[burst:], strict=False)), "the burst"
        cooldown_ms = 1000 * float(SETTINGS["COOLDOWN_SECONDS"])
        for coin in {coin for _, coin, _ in signals}:
            own = sorted(decided_ms for _, name, decided_ms in signals if name == coin)
            assert all(later - earlier >= cooldown_ms for earlier, later in pairwise(own)), "the cooldown"

    def _messages(self, chat: int) -> Iterator[tuple[int | None, Received]]:
        for message in self._telegram.messages:
            if message.chat_id == chat:
                found = re.search(r"^#(\d+)\b", message.text, re.MULTILINE)
                yield (int(found[1]) if found else None), message

    def _count_runs(self) -> int:
        with closing(sqlite3.connect(self.database)) as connection:
            count: int = connection.execute("SELECT count(*) FROM runs").fetchone()[0]
            return count

    def _is_settled(self) -> bool:
        with closing(sqlite3.connect(self.database)) as connection:
            open_count = "SELECT count(*) FROM signals WHERE id NOT IN (SELECT signal_id FROM outcomes)"
            waiting = "SELECT count(*) FROM outbox WHERE state IN ('pending', 'sending')"
            return all(connection.execute(sql).fetchone() == (0,) for sql in (open_count, waiting))

    async def _wait_for_request(self) -> None:
        """Let a request of the bot's arrive, of which Telegram makes a message or not, and answer nothing."""
        self._telegram.faults.append(("sendMessage", self._random.choice((Fault.HANG, Fault.HOLD_REPLY))))
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while self._telegram.faults:  # noqa: ASYNC110 - the stand-in takes it away
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.1)
        self._telegram.faults.clear()

    async def _start(self, step: str, nth: int, **changed: str) -> None:
        order = {"step": step, "nth": nth, "environ": self._environ | changed, "errors": str(self._errors)}
        assert self._nursery.stdin is not None
        self._nursery.stdin.write(json.dumps(order).encode() + b"\n")
        self._pid = await self._told()

    async def _end(self, seconds: float) -> int | None:
        """Return the exit code of the bot, None where it has not ended by then."""
        try:
            async with asyncio.timeout(seconds):
                return await self._told()
        except TimeoutError:
            return None

    async def _told(self) -> int:
        assert self._nursery.stdout is not None
        return int(await self._nursery.stdout.readline())


async def campaign(steps: Sequence[str], seed: int, *, cap: int, seconds: float) -> Tally:
    """Kill one bot after the other at these steps, let the last one live, and check everything."""
    async with (
        child("tests.torture.killable") as nursery,
        market(seed, seconds) as urls,  # of its own: all bots of an address share the venue's limit
        TelegramStandIn(SystemClock().now_ms) as telegram,
    ):
        telegram.people.add(PERSON)
        telegram.groups.add(GROUP)
        with tempfile.TemporaryDirectory(prefix="sgnl-torture-") as folder:
            lives = Campaign(nursery, Path(folder), telegram, urls, Random(seed), cap)
            for step in steps:
                await lives.kill_at(step)
            await lives.live_on()
            return await lives.check_end()


async def torture(kills: int, seed: int) -> Tally:
    """Run campaigns, LANES at a time, until the bot has been killed so often."""
    random, left = Random(seed), kills
    plans: list[tuple[list[str], int, int]] = []
    while left > 0:
        steps = [*ALL_STEPS, *random.choices(ALL_STEPS, k=KILLS_A_CAMPAIGN - len(ALL_STEPS))]
        random.shuffle(steps)
        # a cap that is reached leaves no signals to die at: such a campaign is short, and dies at random in the end
        is_capped = len(plans) % 3 == 2
        steps = [*steps[:6], *[RANDOM] * 4] if is_capped else steps
        plans.append((steps, random.getrandbits(32), LOW_CAP if is_capped else NO_CAP))
        left -= len(steps)
    total, lanes = Tally(), asyncio.Semaphore(LANES)

    async def run(number: int, steps: list[str], seed: int, cap: int) -> None:
        async with lanes:
            done = await campaign(steps, seed, cap=cap, seconds=LONGEST_CAMPAIGN_S)
            total.add(done)
            say(f"kill campaign {number}: {done.kills.total()} kills, {done.signals} signals, all as it must be")

    async with asyncio.TaskGroup() as group:
        for number, plan in enumerate(plans, start=1):
            group.create_task(run(number, *plan))
    return total


def render(tally: Tally, seed: int) -> str:
    """Return the result as Markdown."""
    rows = [f"| {step} | {tally.kills[step]} |" for step in ALL_STEPS]
    return "\n".join(
        [
            "# The bot, killed",
            "",
            f"`python -m tests.torture.kill` (seed {seed}): the real process, with the chats of a person and a group",
            "on a Bot API of our own and with a simulated Bybit in a process of its own, ended by SIGKILL and started",
            "again, over and over on one database. The labelled steps are put around the product's methods by",
            "`tests/torture/killable.py`; the product knows nothing of them. The random moments include the start.",
            "",
            f"| killed | {tally.kills.total()} |",
            "|---|---|",
            *rows,
            "",
            "After every kill: `PRAGMA integrity_check` and `foreign_key_check` are clean; every signal has its input",
            "and one queued alert per chat, every outcome one exit per chat; ids have no gap; the limits stored are",
            "exactly those that the stored signals and exits use up; no cap, burst or cooldown was exceeded; nothing",
            "was said that is not stored.",
            "",
            "At the end of every campaign: every signal has its outcome, nothing is left open or unsent; the person",
            "has every alert and every exit, less those whose sending was killed twice, and none twice without MAY",
            "REPEAT; the group has none twice; every signal, decided again from its stored input, comes out the same",
            "to the bit.",
            "",
            "| | |",
            "|---|---|",
            f"| signals, all settled | {tally.signals} |",
            f"| alerts in the person's chat | {tally.alerts} |",
            f"| of them marked MAY REPEAT | {tally.repeated} |",
            f"| messages to the person left uncertain, both times killed over them | {tally.in_doubt} |",
            f"| messages to the group left uncertain, not repeated | {tally.group_in_doubt} |",
            f"| campaigns that ended at exactly their cap of {LOW_CAP} | {tally.caps_reached} |",
            "",
        ]
    )


def main(kills: int = KILLS, seed: int = 1) -> None:
    """Torture, and write down how it went."""
    RESULT.write_text(render(asyncio.run(torture(kills, seed)), seed))


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
