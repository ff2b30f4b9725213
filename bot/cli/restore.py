"""`bot restore`: put a backup in the place of the database."""

import argparse
import asyncio
from pathlib import Path

from bot.cli.shared import DONE, Subparsers, read_config, say
from bot.clock import SystemClock
from bot.lifecycle import Interrupt
from storage.restoring import restore


def add(commands: Subparsers) -> None:
    """Add the command."""
    command = commands.add_parser("restore", help="put a backup in the place of the database; the bot must not run")
    command.add_argument("file", type=Path, help="the backup")
    command.set_defaults(run=run)


async def run(options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Replace the database, which is kept."""
    path = read_config().database
    replaced = await asyncio.to_thread(restore, path, options.file, SystemClock().now_ms())
    say(f"{path} is now as it was in {options.file}; start the bot")
    if replaced is not None:
        say(f"what it replaced is in {replaced}")
    return DONE
