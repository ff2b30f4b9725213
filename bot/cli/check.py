"""`bot check`: is everything that was configured there, before anyone relies on it."""

import argparse
from contextlib import suppress
from dataclasses import asdict
from random import random

import orjson

from bot.chat.bot_api.pairing import with_paired_chat
from bot.cli import checks
from bot.cli.shared import DONE, ENV_FILE, FAILED, Subparsers, read_config, say
from bot.clock import SystemClock
from bot.config.load import hints
from bot.lifecycle import Interrupt
from bot.logs import set_up_logs
from bot.wiring import configured_streams, configured_venues
from features.facts.venues import venue_title
from storage.errors import StorageError
from storage.store import StoreReader

STREAMS_S = 60.0


def add(commands: Subparsers) -> None:
    """Add the command."""
    command = commands.add_parser("check", help="try settings, venues, Telegram and MySQL; exit code 1 if one fails")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument(
        "--deep", action="store_true", help="ask the venues for all that the bot asks, and say what came"
    )
    command.add_argument(
        "--streams",
        nargs="?",
        type=float,
        const=STREAMS_S,
        metavar="SECONDS",
        help="listen to the venues' trade streams (default: for %(const).0f s), and say what came",
    )
    command.set_defaults(run=run)


async def run(options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Print a line of each part; fail where one does."""
    config = read_config()
    set_up_logs(config.log_level, secrets=config.secrets())
    with suppress(StorageError):  # there is no database before the first run
        async with await StoreReader.open(config.database) as reader:
            config = await with_paired_chat(config, reader)
    clock = SystemClock()
    results = await checks.check_all(config, configured_venues(config, clock), config.universe)
    if options.deep:
        results += await checks.check_deep(config, configured_venues(config, clock), clock)
    if options.streams is not None:
        streams = configured_streams(config, random)
        results += await checks.check_streams(config, configured_venues(config, clock), streams, clock, options.streams)
    results[1:1] = [checks.Check(name="settings", is_ok=True, text=hint) for hint in hints(config, ENV_FILE)]
    if options.json:
        say(orjson.dumps([asdict(result) for result in results]).decode())
    else:
        for result in results:
            say(f"{'ok    ' if result.is_ok else 'FAILED'} {venue_title(result.name)}: {result.text}")
    return DONE if all(result.is_ok for result in results) else FAILED
