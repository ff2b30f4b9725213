"""Shared by the commands: exit codes, the settings of the environment and .env, and the terminal."""

import argparse
import os
import sys
from pathlib import Path
from typing import TextIO, TypeAlias

from bot.chat.bot_api.application import StartError
from bot.config.load import ConfigError, load_config
from bot.config.settings import Config
from bot.web.app import WebError
from fetchers.archives.download import DownloadError
from fetchers.archives.rows import ArchiveError
from fetchers.errors import FetchError
from fetchers.tape.records import TapeError
from storage.errors import StorageError

DONE, FAILED, USAGE = 0, 1, 2
ENV_FILE = Path(".env")

#: errors that end a command and that its user can mend: one line says how
FAILURES = (
    ArchiveError,
    ConfigError,
    DownloadError,
    FetchError,
    StartError,
    StorageError,
    TapeError,
    WebError,
)

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def read_config() -> Config:
    """Return the settings of the environment and .env, or raise ConfigError."""
    return load_config(os.environ, ENV_FILE)


def explain(error: Exception) -> int:
    """Say why a command has failed, and return its exit code."""
    if isinstance(error, ConfigError):
        for problem in error.problems:
            say(problem, to=sys.stderr)
        return USAGE
    say(f"{error}", to=sys.stderr)
    return FAILED


def say(text: str, *, to: TextIO | None = None) -> None:
    """Write a line to the terminal at once."""
    (to or sys.stdout).write(f"{text}\n")
    (to or sys.stdout).flush()
