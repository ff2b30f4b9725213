"""Beside the ticks: the disk, the age of what is on it, the venues' health."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from bot.chat.commands.status import render_status
from bot.chat.delivery.sender import TERMINAL_CHAT
from bot.chat.texts.notices import render_disk
from bot.core.housekeeping import Housekeeper
from bot.tasks import spawn
from fetchers.simulated.scenario import Planted
from scoring.signals import Limits
from storage.messages import DeliveryState, Kind, NewMessage
from storage.mysql.mirror import Mirror, MirrorStatus
from tests.bot.stage import RunningBot, Stage, staged
from tests.builders import NOW_MS
from tests.storage.builders import make_near_miss, make_outcome, make_signal

ROOT = Path(__file__).parents[3]
DAY_MS = 86_400_000
SETUP = Planted(coin="KORVA", venue="bybit", start_s=22, hold_s=10, fate="take_profit")


def housekeeper(stage: Stage, bot: RunningBot, mirror: Mirror | None = None) -> Housekeeper:
    """Return one for a bot on the stage."""
    return Housekeeper(
        store=bot.store,
        feed=bot.feed,
        mirror=mirror,
        clock=stage.clock,
        announcer=bot.parts.announcer,
        retention_days=30,
        scoring=stage.config.scoring,
        strategies=stage.config.strategies,
    )


async def prune(stage: Stage, bot: RunningBot, mirror: Mirror | None = None) -> None:
    """Prune while the hand clock goes on."""
    work = housekeeper(stage, bot, mirror).prune()
    await bot.until_done(spawn(work, name="prune", keep=bot.tasks))


class FarMirror(Mirror):
    """A mirror that has come to a change of the test's choice."""

    def __init__(self, copied: int, fault: str = "", set_aside: int = 0) -> None:
        self._status = MirrorStatus(behind=0, copied=copied, fault=fault, set_aside=set_aside)


async def test_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    """The phone is told once, the setup is alerted and followed to its end, and later everything is on the disk."""
    async with staged(tmp_path, SETUP, exchanges={"bybit"}) as stage:
        async with stage.bot() as bot:
            keeper = bot.parts.housekeeper
            await bot.tick_for(10)
            await bot.store.database._writer.execute("PRAGMA query_only = 1")
            for _ in range(5):
                await bot.tick_for(10)
                await keeper.look()
            await bot.delivery.drain(1)
            told = stage.terminal.getvalue()
            assert told.count("The database cannot be written:") == 1
            assert told.count("SHORT KORVA") == 1
            assert told.count("TP hit: KORVA") == 1
            assert bot.orchestrator.fault == ""
            (note,) = keeper.notes()
            assert note.startswith("kept in memory only: ")
            assert list(bot.live_status.status().problems()) == []
            assert "Note: kept in memory only" in render_status(bot.live_status.status(), "UTC")
            await bot.store.database._writer.execute("PRAGMA query_only = 0")
            await keeper.look()
            await bot.delivery.drain(1)
            assert stage.terminal.getvalue().count("The database is written again.") == 1
            assert keeper.notes() == ()
        async with stage.bot() as bot:
            ((signal, outcome),) = await bot.store.signals.find()
            assert (signal.coin, outcome is not None) == ("KORVA", True)
            assert bot.orchestrator.ledger.limits.next_id == 2


def test_an_ill_disk_at_the_start(tmp_path: Path) -> None:
    """A bot that cannot write its database, here because no file may grow, does not start: one line and exit code 1."""
    command = ("/bin/sh", "-c", 'ulimit -f 0 && exec "$0" -m bot run', sys.executable)
    environ = {"DATA_DIR": str(tmp_path), "LOG_LEVEL": "ERROR", "PATH": os.environ["PATH"]}
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"{tmp_path}/sgnl.db: the disk cannot read or write it\n"


async def test_retention(tmp_path: Path) -> None:
    """What is older than RETENTION_DAYS goes, signals and outcomes stay, and so does what MySQL does not have yet."""
    async with staged(tmp_path, exchanges={"bybit"}) as stage, stage.bot() as bot:
        old_ms = NOW_MS - 31 * DAY_MS
        message = NewMessage(chat_id=TERMINAL_CHAT, kind=Kind.NOTICE, html="old", created_ms=old_ms)
        await bot.store.remember(
            [make_signal(1, decided_ms=old_ms)],
            Limits.fresh(),
            [message],
            [make_near_miss(decided_ms=old_ms), make_near_miss(decided_ms=NOW_MS)],
        )
        await bot.store.record_outcome(make_outcome(1, exit_ms=old_ms), Limits.fresh(), [])
        await bot.store.runs.record_health(old_ms, "bybit", "ok", "")
        await bot.delivery.drain(1)

        async def settled() -> int:
            """Return how many messages were sent or, as the old one may be, given up."""
            counts = await bot.store.outbox.counts()
            return counts[DeliveryState.SENT] + counts[DeliveryState.EXPIRED]

        before = await settled()
        await prune(stage, bot, FarMirror(copied=0))
        assert len(await bot.store.near_misses.find(0)) == 2
        await prune(stage, bot)
        assert [near_miss.decided_ms for near_miss, _ in await bot.store.near_misses.find(0)] == [NOW_MS]
        assert await settled() == before - 1
        assert await bot.store.database.read("SELECT * FROM venue_health") == []
        assert len(await bot.store.signals.closed()) == 1
        gone = "SELECT * FROM changes WHERE source = 'venue_health'"
        assert await bot.store.database.read(gone) == []


async def test_the_venues_health(tmp_path: Path) -> None:
    """A venue's state is recorded when it changes, with what the venue said."""
    async with staged(tmp_path, exchanges={"bybit", "lbank"}) as stage, stage.bot() as bot:
        keeper = housekeeper(stage, bot)
        await bot.tick_for(4)
        for _ in range(2):
            await keeper.look()
        stage.servers.faults["lbank"]["/cfd/openApi/v1/pub/marketData"] = "empty"
        await bot.tick_for(60)
        await keeper.look()
        rows = await bot.store.database.read("SELECT venue, state, note FROM venue_health ORDER BY id")
        found = [tuple(row) for row in rows]
        assert found[:2] == [("lbank", "ok", ""), ("bybit", "ok", "")] or found[:2] == [
            ("bybit", "ok", ""),
            ("lbank", "ok", ""),
        ]
        ((venue, state, note),) = found[2:]
        assert (venue, state != "ok", bool(note)) == ("lbank", True, True)


async def test_mysql_that_is_away(tmp_path: Path) -> None:
    """Said in /status, and no reason to call the bot unwell."""
    async with staged(tmp_path, exchanges={"bybit"}) as stage, stage.bot() as bot:
        keeper = housekeeper(stage, bot, FarMirror(copied=0, fault="Can't connect"))
        assert keeper.notes() == ("the history in MySQL is behind: Can't connect",)
        status = replace(bot.live_status.status(), notes=keeper.notes())
        assert "Can't connect" not in "".join(status.problems())


async def test_rows_that_mysql_refuses(tmp_path: Path) -> None:
    """What is lacking in the history for good is said in /status."""
    async with staged(tmp_path, exchanges={"bybit"}) as stage, stage.bot() as bot:
        keeper = housekeeper(stage, bot, FarMirror(copied=0, set_aside=2))
        status = replace(bot.live_status.status(), notes=keeper.notes())
        assert "Note: rows that MySQL has refused: 2; its table refused_rows says why" in render_status(status, "UTC")


def test_the_words_are_html() -> None:
    """A path in the message does not break it."""
    assert "&lt;folder&gt;/sgnl.db" in render_disk("<folder>/sgnl.db: the disk is full")
