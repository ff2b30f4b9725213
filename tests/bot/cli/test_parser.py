"""One file a command, and one row."""

import argparse
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import bot.cli
from bot.cli import run
from bot.cli.parser import COMMANDS, make_parser

FILES = sorted(path.stem for path in Path(bot.cli.__path__[0]).glob("*.py"))


def test_every_file_is_a_row() -> None:
    """Whatever file adds a command is called by its name, and none is forgotten."""
    modules = [import_module(f"bot.cli.{name}") for name in FILES if name != "__init__"]
    commands = [module for module in modules if hasattr(module, "add")]
    assert {module.__name__ for module in commands} == {module.__name__ for module in COMMANDS}
    assert set(map(_name, COMMANDS)) == _choices()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs_its_own(command: ModuleType) -> None:
    """Each command's options hold the function of its file."""
    arguments = {
        "why": ["1"],
        "backup": ["file"],
        "restore": ["file"],
        "replay": ["file"],
        "sweep": ["file", "--grid=MIN_SCORE_THRESHOLD=70"],
    }
    arguments["import"] = ["vision", "--coins", "WIFUSDT", "--from", "2026-07-01", "--to", "2026-07-01"]
    name = _name(command)
    assert make_parser().parse_args([name, *arguments.get(name, [])]).run is command.run


def test_without_a_command() -> None:
    """It runs."""
    assert make_parser().parse_args([]).run is run.run


def _name(command: ModuleType) -> str:
    # a file cannot be called by a word of the language
    return command.__name__.rpartition(".")[2].rstrip("_")


def _choices() -> set[str]:
    (commands,) = (one for one in make_parser()._actions if isinstance(one, argparse._SubParsersAction))
    return set(commands.choices)
