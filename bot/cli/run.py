"""`bot run`: watch the live venues."""

import argparse
import asyncio
import random
import sys
from dataclasses import replace

from loguru import logger

from bot.chat.bot_api.pairing import with_paired_chat
from bot.cli.shared import DONE, ENV_FILE, Subparsers, read_config, say
from bot.cli.summary import Run, summarise
from bot.clock import SystemClock
from bot.config.load import hints
from bot.config.settings import Config
from bot.lifecycle import Interrupt, run_beside, started
from bot.logs import FOLDER as LOG_FOLDER
from bot.logs import LogFile, set_up_logs
from bot.services import services, watch
from bot.version import VERSION, code_hash
from bot.wiring import Bot, build_feed, build_sender, build_telegram
from storage.store import Store


def add(commands: Subparsers) -> None:
    """Add the command."""
    commands.add_parser("run", help="watch the live venues with your .env").set_defaults(run=run)


async def run(_options: argparse.Namespace, interrupt: Interrupt) -> int:
    """Watch until interrupted."""
    await run_bot(read_config(), interrupt)
    return DONE


async def run_bot(config: Config, interrupt: Interrupt, *, seconds: float | None = None) -> Run:
    """Watch until interrupted, or for `seconds` from here."""
    set_up_logs(config.log_level, secrets=config.secrets())
    if seconds is not None:
        asyncio.get_running_loop().call_later(seconds, interrupt.asked.set)
    config = replace(config, scoring=replace(config.scoring, code_hash=code_hash()))
    clock = SystemClock()
    log_file = LogFile(config.data_dir / LOG_FOLDER, config.log_level, secrets=config.secrets())
    async with await Store.open(config.database) as store:
        with log_file:
            for hint in hints(config, ENV_FILE):
                logger.warning("{}", hint)
            for change in config.changed():
                logger.info("set: {}", change)
            await store.runs.begin(clock.now_ms(), VERSION, config.scoring.code_hash, config.scoring.config_hash)
            config = await with_paired_chat(config, store)
            telegram = build_telegram(config, clock)
            tasks: set[asyncio.Task[None]] = set()
            feed = build_feed(config, clock, tasks, random.random)
            bot = Bot(
                config,
                clock=clock,
                feed=feed,
                store=store,
                sender=build_sender(telegram, sys.stdout),
                telegram=telegram,
                log_file=log_file,
                show=say,
                draw=random.random,
            )
            living = services(bot, feed)
            async with started(living):
                interrupt.is_graceful = True
                await run_beside(living, watch(bot, interrupt.asked))
                await store.runs.end(clock.now_ms())
                return await summarise(bot)
