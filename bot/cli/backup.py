"""`bot backup`: copy the database, also while the bot runs."""

import argparse
from pathlib import Path

from bot.cli.shared import DONE, Subparsers, read_config, say
from bot.lifecycle import Interrupt
from storage.store import StoreReader


def add(commands: Subparsers) -> None:
    """Add the command."""
    command = commands.add_parser("backup", help="copy the database to a file; the bot may go on running")
    command.add_argument("file", type=Path, help="where to")
    command.set_defaults(run=run)


async def run(options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Copy it."""
    async with await StoreReader.open(read_config().database) as reader:
        await reader.database.back_up(options.file)
    say(f"the database as it is now is in {options.file}")
    return DONE
