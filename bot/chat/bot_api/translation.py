"""Errors of python-telegram-bot translated into those of a message that was being sent."""

import re
from datetime import timedelta

from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    NetworkError,
    RetryAfter,
    TelegramError,
)

from bot.chat.bot_api.request import NeverLeft, NoAnswer
from bot.chat.delivery.sender import (
    BadText,
    Blocked,
    MaybeSent,
    Migrated,
    NoTopic,
    NotSent,
    Rejected,
    SendError,
)

LONGEST_WORDS = 300


_NO_TOPIC = ("message thread not found", "topic_deleted", "topic_id_invalid")


_CHAT_REFUSES = (
    "chat not found",
    "not enough rights",
    "need administrator rights",
    "have no rights to send",
    "have no write access",
    "group chat was deactivated",
    "bot is not a member",
    "user is deactivated",
    "user not found",
    "topic_closed",
    "topic closed",
)


_ABOUT_THE_CHAT = re.compile(
    r"\b(CHAT|CHANNEL|TOPIC|PEER|USER|INPUT_USER)_[A-Z_]+\b|\b[A-Z_]+_(FORBIDDEN|ADMIN_REQUIRED|RESTRICTED)\b",
    re.IGNORECASE,  # PTB writes the first letter large and the others small
)


def translate(error: TelegramError) -> SendError:
    """Say what an error of PTB means for the message that was being sent."""
    text = str(error)[:LONGEST_WORDS]
    match error:
        case RetryAfter():
            return NotSent(text, retry_after_s=wait_s(error))
        case ChatMigrated():
            return Migrated(str(error.new_chat_id))
        case Forbidden():
            return Blocked(text)
        case BadRequest():
            return _refusal(text)
        case InvalidToken() | Conflict() | NeverLeft():
            return NotSent(text)
        case NoAnswer():
            return MaybeSent(text)
        # What bot_api/request.py lets through is Telegram's own refusal, here with a code that PTB does not know;
        # what PTB itself stumbled over has a cause.
        case NetworkError() if error.__cause__ is None:
            return Rejected(text)
        case _:
            return MaybeSent(text)


def _refusal(text: str) -> SendError:
    """Return what a 400 is about: the text, the topic, the chat or this one message.

    Telegram gives all of them the same code, so its words decide: telegram-bot-api turns a 403 of the server that is
    all in capitals into a 400 (Client.cpp, fail_query_with_error).
    """
    words = text.lower()
    if "can't parse entities" in words:
        return BadText(text)
    if any(phrase in words for phrase in _NO_TOPIC):
        return NoTopic(text)
    if _ABOUT_THE_CHAT.search(text) or any(phrase in words for phrase in _CHAT_REFUSES):
        return Blocked(text)
    return Rejected(text)


def wait_s(error: RetryAfter) -> float:
    """Return how long Telegram asks to wait [s]."""
    wait = error.retry_after
    return wait.total_seconds() if isinstance(wait, timedelta) else wait
