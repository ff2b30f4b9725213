"""The figures of the house: files, classes and fan-out stay small, and a change stays in one place.

What is larger stands in ARCHITECTURE.md's table of exceptions with its reason, and goes from there once it is not.
"""

import re
from collections.abc import Callable
from statistics import median

import pytest

from bot.chat.commands.menu import COMMANDS
from bot.config.settings import GROUPS
from tests.house import ROOT, Module, read_house

HOUSE = read_house()
LONGEST_FILE, MOST_METHODS, MOST_IMPORTS, LONGEST_FUNCTION = 300, 20, 12, 50  #: lines, of a class, modules, lines
DEEPEST = 38  #: modules in the longest chain of imports


def exceptions(kind: str) -> set[str]:
    """Return the names in ARCHITECTURE.md's table of exceptions of a kind."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("## Figures of the house")[2]
    rows = re.findall(rf"^\| {kind} \| (.*?) \| (.+?) \|$", text, re.MULTILINE)
    return {name for names, _reason in rows for name in re.findall(r"`([\w.]+)`", names)}


def beyond(kind: str, share: float = 1.0) -> set[str]:
    """Return what is larger than that share of the bound of a kind."""
    modules = HOUSE.modules
    figures = {
        "file": ({name: module.lines for name, module in modules.items()}, LONGEST_FILE),
        "class": (_named(lambda module: module.methods), MOST_METHODS),
        "imports": ({name: len(targets) for name, targets in HOUSE.imports.items()}, MOST_IMPORTS),
        "function": (_named(lambda module: module.functions), LONGEST_FUNCTION),
    }
    found, most = figures[kind]
    return {name for name, figure in found.items() if figure > share * most}


def _named(of: Callable[[Module], dict[str, int]]) -> dict[str, int]:
    figures = ((name, one, figure) for name, module in HOUSE.modules.items() for one, figure in of(module).items())
    return {f"{name}.{one.partition(':')[0]}": figure for name, one, figure in figures}


@pytest.mark.parametrize("kind", ["file", "class", "imports", "function"])
def test_nothing_grows_beyond_its_bound(kind: str) -> None:
    """What is larger than its bound has a reason in ARCHITECTURE.md; what is no longer near it needs none."""
    assert beyond(kind) - exceptions(kind) == set()
    assert exceptions(kind) - beyond(kind, 0.8) == set()


def test_functions_stay_short() -> None:
    """Half of all functions have six lines or fewer, nine of ten have twenty."""
    lengths = sorted(length for module in HOUSE.modules.values() for length in module.functions.values())
    assert (median(lengths), lengths[int(0.9 * len(lengths))]) <= (7, 20)


def test_no_chain_of_imports_is_long() -> None:
    """A reader who follows imports to the bottom comes there in so many modules."""
    assert len(HOUSE.deepest()) <= DEEPEST, " > ".join(HOUSE.deepest())
    assert HOUSE.cycles() == []


def test_a_command_is_a_file_and_a_row() -> None:
    """Each command has a module, which only the menu, and what shares a text or a button with it, imports."""
    folder = "bot.chat.commands"
    files = {
        name
        for name, module in HOUSE.modules.items()
        if name.startswith(f"{folder}.") and re.search(r"^COMMAND\b", module.text, re.MULTILINE)
    }
    assert len(files) == len(COMMANDS)
    others = {name: targets & files for name, targets in HOUSE.imports.items() if name != f"{folder}.menu"}
    assert {name for name, found in others.items() if found and not name.startswith(folder)} <= {
        "bot.chat.asking.presses",  # the button that mutes
        "bot.services",  # the daily report is sent by itself too
    }


def test_a_setting_is_one_declaration() -> None:
    """The name of a setting is written in the code where it is declared, and else only in texts for people."""
    for setting in (one for group in GROUPS.values() for one in group):
        pattern = re.compile(rf'"{setting.name}",? *(?:#.*)?$', re.MULTILINE)
        homes = {name for name, module in HOUSE.modules.items() if pattern.search(module.text)}
        assert len(homes) <= 1, f"{setting.name} is declared in {sorted(homes)}"
