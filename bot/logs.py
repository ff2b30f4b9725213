"""The log: one line an event on stderr, in UTC, without secrets."""

import logging
import sys
from collections.abc import Iterable
from typing import TextIO
from urllib.parse import quote

from loguru import logger

_FORMAT = "<dim>{time:YYYY-MM-DD HH:mm:ss.SSS!UTC}Z</> <level>{level: <7}</> {message}"


def set_up_logs(level: str, *, secrets: Iterable[str], stream: TextIO = sys.stderr) -> None:
    """Log to `stream` from `level` on, with every one of `secrets` blotted out, in messages and in tracebacks."""
    hidden = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""))}

    def write(line: str) -> None:
        for secret in hidden:
            line = line.replace(secret, "***")
        stream.write(line)
        stream.flush()

    logger.remove()
    # `diagnose` would print the values of variables, and with them what nobody should read
    logger.add(write, level=level, format=_FORMAT, colorize=stream.isatty(), backtrace=False, diagnose=False)
    # Libraries speak from WARNING on: at INFO some log every URL, and Telegram's hold the token.
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)


class _ToLoguru(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        known = {"WARNING", "ERROR", "CRITICAL"}
        level = record.levelname if record.levelname in known else record.levelno
        logger.opt(exception=record.exc_info).log(level, f"{record.name}: {record.getMessage()}")
