"""What lives as long as a bot, by its settings; in real processes it lives in tests/bot/test_main.py."""

import asyncio
import io
from pathlib import Path

import pytest

from bot.chat.delivery.sender import TerminalSender
from bot.clock import SystemClock
from bot.config.load import load_config
from bot.services import services
from bot.wiring import Bot, build_feed, build_telegram
from storage.store import Store
from tests.telegram_stand_in import TOKEN

ALWAYS = ["web", "watchdog", "windows", "feed", "delivery", "daily report", "housekeeping", "stuck tick", "loop lag"]
TELEGRAM = {"TELEGRAM_BOT_TOKEN": TOKEN}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ALWAYS),
        ({"MYSQL_HOST": "127.0.0.1", "MYSQL_PASSWORD": "secret"}, ["mysql", *ALWAYS]),
        ({"HEARTBEAT_URL": "https://ping.example/1"}, [*ALWAYS[:2], "heartbeat", *ALWAYS[2:]]),
        (TELEGRAM, [*ALWAYS[:2], "pairing", "connection", "commands", *ALWAYS[2:]]),
        (TELEGRAM | {"TELEGRAM_CHAT_ID": "1"}, [*ALWAYS[:2], "connection", "commands", *ALWAYS[2:]]),
    ],
)
async def test_the_order(tmp_path: Path, settings: dict[str, str], expected: list[str]) -> None:
    """What shows the bot's health starts first, then who is written to is settled, then the market is loaded."""
    config, clock, tasks = load_config(settings), SystemClock(), set[asyncio.Task[None]]()
    async with await Store.open(tmp_path / "sgnl.db") as store:
        feed, sender = build_feed(config, clock, tasks), TerminalSender(io.StringIO())
        telegram = build_telegram(config, clock)
        bot = Bot(config, clock=clock, feed=feed, store=store, sender=sender, telegram=telegram)
        living = services(bot, feed)
    assert [service.name for service in living] == expected
    assert [service.name for service in living if service.is_companion] == [
        name for name in expected if name in ("watchdog", "heartbeat")
    ]
