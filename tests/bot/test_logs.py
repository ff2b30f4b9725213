"""What ends up in the log, and what must not."""

import io
import logging
import re
from collections.abc import Iterator

import pytest
from loguru import logger

from bot.logs import set_up_logs

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
