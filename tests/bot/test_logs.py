"""What ends up in the log, and what must not."""

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from loguru import logger

from bot import logs
from bot.logs import LogFile, set_up_logs

TOKEN = "123456:AAbb-cc_dd"


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Yield what is logged at INFO while the token is a secret."""
    root = logging.getLogger()
    before = root.level, root.handlers[:]
    stream = io.StringIO()
    set_up_logs("INFO", secrets=[TOKEN, ""], stream=stream)
    yield stream
    logger.remove()
    root.level, root.handlers = before


def test_a_line(log: io.StringIO) -> None:
    """A line has the time in UTC, the level and the message, and nothing below the level is written."""
    logger.debug("not this")
    logger.info("{} pairs", 3)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z INFO    3 pairs\n", log.getvalue())


def test_secrets_are_blotted_out(log: io.StringIO) -> None:
    """Neither a message nor a traceback shows a secret, plain or as part of a URL."""
    try:
        raise ValueError(f"POST https://api.telegram.org/bot{TOKEN}/sendMessage")
    except ValueError:
        logger.exception("lost at /bot123456%3AAAbb-cc_dd/")
    assert "AAbb" not in log.getvalue()
    assert "/bot***/sendMessage" in log.getvalue()


def test_libraries_speak_through_it_from_warning_on(log: io.StringIO) -> None:
    """What other people's code logs arrives with its name, braces and all, but httpx's URLs at INFO do not."""
    logging.getLogger("httpx").info("HTTP Request: POST https://api.telegram.org")
    logging.getLogger("aiohttp.server").error("unhandled {%s}", "x", exc_info=ValueError("boom"))
    logging.getLogger("odd").log(35, "between two levels")
    text = log.getvalue()
    assert "HTTP Request" not in text
    assert "ERROR   aiohttp.server: unhandled {x}\n" in text
    assert "ValueError: boom" in text
    assert "odd: between two levels" in text


def test_a_short_secret_is_a_word(log: io.StringIO) -> None:
    """A secret that is part of ordinary words blots out none of them."""
    set_up_logs("INFO", secrets=["pass"], stream=log)
    logger.info("all 3 passed, mysql://sgnl:pass@db")
    assert log.getvalue().endswith("all 3 passed, mysql://sgnl:***@db\n")


@pytest.mark.usefixtures("log")
def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files stay small and few, only their owner may read them, and none holds a secret."""
    monkeypatch.setattr(logs, "_FILE_BYTES", 2_000)
    folder = tmp_path / "data" / "logs"
    with LogFile(folder, "INFO", secrets=[TOKEN]) as log_file:
        for number in range(300):
            logger.info("{} POST /bot{}/sendMessage \ud800", number, TOKEN)
        latest = log_file.latest(30)
    logger.info("after its end")
    paths = sorted(folder.iterdir())
    assert len(paths) == 6
    assert all(path.stat().st_size < 2_100 and path.stat().st_mode & 0o777 == 0o600 for path in paths)
    assert folder.stat().st_mode & 0o777 == 0o700
    text = "".join(path.read_text() for path in paths)
    assert "AAbb" not in text
    assert "after its end" not in text
    assert [line.split()[3] for line in latest] == [str(number) for number in range(299, 269, -1)]


@pytest.mark.usefixtures("log")
def test_an_event_keeps_its_traceback(tmp_path: Path) -> None:
    """An event of many lines is one, also where only the end of a file is read; a file of before is gone on with."""
    (tmp_path / "sgnl.log").write_text("the end of a line\n2026-01-01 00:00:00.000Z INFO    before\n")
    (tmp_path / "sgnl.log").chmod(0o644)
    with LogFile(tmp_path, "INFO", secrets=[]) as log_file:
        try:
            raise ValueError("boom")
        except ValueError:
            logger.exception("lost")
        latest, before = log_file.latest(5)
    assert latest.splitlines()[0].endswith("ERROR   lost")
    assert latest.splitlines()[-1] == "ValueError: boom"
    assert before.endswith("before")
    assert (tmp_path / "sgnl.log").stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("log")
def test_a_log_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A disk that takes nothing is said once, and nothing else suffers."""
    (tmp_path / "file").write_text("")
    with LogFile(tmp_path / "file" / "logs", "INFO", secrets=[]) as log_file:
        for _ in range(3):
            logger.info("lost")
        with pytest.raises(NotADirectoryError):
            log_file.latest(1)
    said = capsys.readouterr().err
    assert said.count("the log cannot be written there") == 1
    assert "Traceback" not in said
