"""What the commands share: their exit codes, the settings of the environment and .env, and the terminal."""

import argparse
import os
import sys
from pathlib import Path
from typing import TextIO, TypeAlias

from bot.config.load import load_config
from bot.config.settings import Config

DONE, FAILED, USAGE = 0, 1, 2
ENV_FILE = Path(".env")

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def read_config() -> Config:
    """Return the settings of the environment and .env, or raise ConfigError."""
    return load_config(os.environ, ENV_FILE)


def say(text: str, *, to: TextIO | None = None) -> None:
    """Write a line to the terminal at once."""
    (to or sys.stdout).write(f"{text}\n")
    (to or sys.stdout).flush()
