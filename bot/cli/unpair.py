"""`bot unpair`: forget the paired chat."""

import argparse

from bot.chat.bot_api.pairing import unpair
from bot.cli.shared import DONE, Subparsers, read_config, say
from bot.lifecycle import Interrupt
from storage.store import Store


def add(commands: Subparsers) -> None:
    """Add the command."""
    command = commands.add_parser("unpair", help="forget the paired chat, so that the next start shows a new code")
    command.set_defaults(run=run)


async def run(_options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Forget it."""
    async with await Store.open(read_config().database) as store:
        was_paired = await unpair(store)
    say("no chat is paired any more; the next start shows a new code" if was_paired else "no chat was paired")
    return DONE
