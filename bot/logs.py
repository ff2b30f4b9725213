"""The log: one line an event, in UTC, without secrets, on stderr and in files of a size that is kept small."""

import logging
import re
import sys
from collections.abc import Callable, Iterable
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO
from urllib.parse import quote

from loguru import logger

from storage.files import make_private

FOLDER = "logs"  #: in DATA_DIR
_FILE = "sgnl.log"
_FILE_BYTES, _OLDER_FILES = 5_000_000, 5
_TAIL_BYTES = 1_000_000  #: of a file, more than anybody asks for on the phone
_FORMAT = "<dim>{time:YYYY-MM-DD HH:mm:ss.SSS!UTC}Z</> <level>{level: <7}</> {message}"
_FIRST_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z ")
_WORD = 8  #: a shorter secret may be part of an ordinary word, so it is looked for as a word of its own


def set_up_logs(level: str, *, secrets: Iterable[str], stream: TextIO = sys.stderr) -> None:
    """Log to `stream` from `level` on, with every one of `secrets` blotted out, in messages and in tracebacks."""
    blot = _blotter(secrets)

    def write(line: str) -> None:
        stream.write(blot(line))
        stream.flush()

    logger.remove()
    # `diagnose` would print the values of variables, and with them secrets
    logger.add(write, level=level, format=_FORMAT, colorize=stream.isatty(), backtrace=False, diagnose=False)
    # Libraries speak from WARNING on: at INFO some log every URL, and Telegram's hold the token.
    logging.basicConfig(handlers=[_ToLoguru()], level=logging.WARNING, force=True)


class LogFile:
    """The log in `folder`, while the context lasts: files that only their owner may read, the oldest deleted.

    A disk that takes nothing is said once on stderr, and costs nothing but what could not be written.
    """

    def __init__(self, folder: Path, level: str, *, secrets: Iterable[str]) -> None:
        self._path = folder / _FILE
        self._level = level
        self._blot = _blotter(secrets)
        self._files = _Files(self._path)
        self._sink = 0

    def __enter__(self) -> Self:
        self._sink = logger.add(self._write, level=self._level, format=_FORMAT, backtrace=False, diagnose=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        logger.remove(self._sink)
        self._files.close()

    def latest(self, count: int) -> list[str]:
        """Return the latest `count` events, the latest first, each with the lines of its traceback."""
        events: list[str] = []
        for number in range(_OLDER_FILES + 1):
            path = self._path.with_name(f"{_FILE}.{number}") if number else self._path
            events += reversed(_events(path))
            if len(events) >= count:
                break
        return [self._blot(event) for event in events[:count]]

    def _write(self, line: str) -> None:
        self._files.handle(logging.makeLogRecord({"msg": self._blot(line).rstrip("\n")}))


class _Files(RotatingFileHandler):
    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            maxBytes=_FILE_BYTES,
            backupCount=_OLDER_FILES,
            encoding="utf-8",
            errors="backslashreplace",
            delay=True,
        )
        self._is_ill = False

    def _open(self) -> TextIOWrapper:
        path = Path(self.baseFilename)
        if not path.parent.exists():
            path.parent.mkdir(parents=True, mode=0o700)
        make_private(path)
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - the standard library's
        if not self._is_ill:
            sys.stderr.write(f"{self.baseFilename}: the log cannot be written there ({sys.exc_info()[1]})\n")
        self._is_ill = True


def _events(path: Path) -> list[str]:
    """Return what is at the end of a file, the earliest first; nothing where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return []
    events: list[list[str]] = []
    for line in lines:
        if _FIRST_LINE.match(line):
            events.append([line])
        elif events:  # before the first one is the rest of an event that was cut
            events[-1].append(line)
    return ["\n".join(event) for event in events]


def _blotter(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return what blots out every one of `secrets`, also as part of a URL."""
    forms = {form for secret in secrets if secret for form in (secret, quote(secret, safe=""))}
    patterns = [re.escape(form) if len(form) >= _WORD else rf"(?<!\w){re.escape(form)}(?!\w)" for form in forms]
    pattern = re.compile("|".join(sorted(patterns, key=len, reverse=True)))  # a longer one may contain a shorter
    return (lambda text: pattern.sub("***", text)) if forms else str


class _ToLoguru(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        known = {"WARNING", "ERROR", "CRITICAL"}
        level = record.levelname if record.levelname in known else record.levelno
        logger.opt(exception=record.exc_info).log(level, f"{record.name}: {record.getMessage()}")
