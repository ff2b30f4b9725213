"""A signal's code hash tells code that decides alike from code that does not."""

import tomllib
from pathlib import Path

from bot.version import VERSION, code_hash


def test_version_is_the_project_s() -> None:
    """The version people see is the one of pyproject.toml."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_code_hash_is_stable() -> None:
    """The same files give the same short hash."""
    assert code_hash() == code_hash()
    assert len(code_hash()) == 12
