"""python-telegram-bot's application, as this bot uses it: aiohttp in place of httpx, and no Updater."""

import os
from dataclasses import dataclass
from typing import Any

from loguru import logger
from telegram.error import (
    TelegramError,
)
from telegram.ext import Application, ApplicationBuilder

from bot.chat.bot_api.request import AiohttpRequest, TelegramClock
from fetchers.transport.route import ANY_ROUTE, Route

AnyApplication = Application[Any, Any, Any, Any, Any, Any]


UNKNOWN_BOT = "TELEGRAM_BOT_TOKEN: Telegram does not know this bot; copy the token from @BotFather again"


class StartError(TelegramError):
    """The bot cannot work with what it was given; the text is for the person who configured it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long Telegram may take [s]."""

    connect_s: float = 5.0
    answer_s: float = 10.0
    poll_s: int = 25  #: a long poll without news; Telegram takes whole seconds


def build_application(
    bot_token: str,
    api_url: str,
    timeouts: Timeouts = Timeouts(),
    telegram_clock: TelegramClock | None = None,
    route: Route = ANY_ROUTE,
) -> AnyApplication:
    """Build PTB's application for the Bot API at `api_url`; it opens no connection yet.

    `telegram_clock` learns of the Date of each answer.
    """
    os.environ.setdefault("PTB_TIMEDELTA", "1")  # PTB's future; without it each flood wait it reads warns of it
    application = (
        ApplicationBuilder()
        .token(bot_token)
        .base_url(f"{api_url}/bot")
        .request(_request(api_url, 8, timeouts, telegram_clock, route))
        .get_updates_request(_request(api_url, 1, timeouts, telegram_clock, route))
        .updater(None)
        .job_queue(None)
        .build()
    )
    application.add_error_handler(_log_error)
    return application


def _request(
    api_url: str, connections: int, timeouts: Timeouts, clock: TelegramClock | None, route: Route
) -> AiohttpRequest:
    return AiohttpRequest(
        api_url,
        route=route,
        connections=connections,
        connect_s=timeouts.connect_s,
        answer_s=timeouts.answer_s,
        telegram_clock=clock,
    )


async def _log_error(_update: object, context: Any) -> None:
    logger.opt(exception=context.error).error("a Telegram update could not be handled")
