"""The command line: one file a command, and one row here."""

import argparse
import asyncio
import signal
from collections.abc import Sequence

from bot.cli import backup, check, demo, evaluate, import_, replay, report, restore, run, simulate, sweep, unpair, why
from bot.cli.shared import DONE, FAILURES, explain
from bot.lifecycle import Interrupt
from bot.version import VERSION, code_hash

#: in the order of --help; each adds its arguments, and says by `set_defaults(run=...)` what runs
COMMANDS = (run, demo, check, simulate, replay, import_, evaluate, sweep, report, why, backup, restore, unpair)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = make_parser().parse_args(arguments)
    try:
        return asyncio.run(_run(options))
    except FAILURES as error:
        return explain(error)


def make_parser() -> argparse.ArgumentParser:
    """Return the parser; its options hold, as `run`, the coroutine function that is the command."""
    parser = argparse.ArgumentParser(
        prog="python -m bot", description="Alerts the few short scalps worth a look. Without a command it runs."
    )
    parser.add_argument("--version", action="version", version=f"SGNL {VERSION}, code {code_hash()}")
    parser.set_defaults(run=run.run)
    commands = parser.add_subparsers(dest="command", metavar="command")
    for command in COMMANDS:
        command.add(commands)
    return parser


async def _run(options: argparse.Namespace) -> int:
    task = asyncio.current_task()
    assert task is not None
    interrupt = Interrupt(task)
    for name in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(name, interrupt)
    try:
        code: int = await options.run(options, interrupt)
    except asyncio.CancelledError:
        if not interrupt.asked.is_set():
            raise
        return DONE
    return code
