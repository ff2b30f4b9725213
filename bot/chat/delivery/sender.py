"""The sender's protocol, its errors, and the terminal as the plainest sender.

SendError
 ├── NotSent     it did not reach the chat: try again
 ├── MaybeSent   it left and the answer was lost: it may have arrived
 ├── BadText     Telegram cannot read the HTML
 ├── Blocked     the chat takes nothing from us now: whatever goes there waits
 │    └── NoTopic     its topic is gone: it goes without
 ├── Migrated    the chat has a new id
 └── Rejected    Telegram said no to this message: trying again is no use
"""

import re
from dataclasses import dataclass
from html import unescape
from typing import Protocol, TextIO

from bot.chat.texts.markup import Markup, escape
from storage.messages import Button

TERMINAL_CHAT = "terminal"

_TAG = re.compile(
    r"</?(?:a|b|strong|i|em|u|ins|s|strike|del|tg-spoiler|span|code|pre|blockquote)(?:\s[^<>]*)?>", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A message's text, buttons and picture."""

    text: str  #: plain, or HTML as Markup
    buttons: tuple[Button, ...] = ()
    picture: bytes | None = None  #: a PNG above the text, which is then at most 1,024 characters long

    @property
    def html(self) -> Markup:
        """The text as Telegram reads it."""
        return escape(self.text)


class SendError(Exception):
    """A message was not confirmed."""


class NotSent(SendError):
    """It did not reach the chat; try again, after `retry_after_s` where Telegram named a time."""

    def __init__(self, text: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class MaybeSent(SendError):
    """The request left and the answer was lost."""


class BadText(SendError):
    """The HTML cannot be read."""


class Blocked(SendError):
    """The bot may not write to the chat now: removed, without the right, the topic closed, no such chat."""


class NoTopic(Blocked):
    """The chat is there, its topic is not."""


class Migrated(SendError):
    """The chat goes on under a new id."""

    def __init__(self, new_chat_id: str) -> None:
        super().__init__(f"the chat is now {new_chat_id}")
        self.new_chat_id = new_chat_id


class Rejected(SendError):
    """Telegram will not take this message from us."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundChat:
    """A chat as Telegram knows it."""

    id: str  #: Telegram's number of it
    title: str
    problem: str = ""  #: why nothing can be written there, "" where it can


class Sender(Protocol):
    """Sends or edits one message, once."""

    async def send(
        self, chat_id: str, content: Content, *, reply_to_message_id: int | None = None, is_silent: bool = False
    ) -> int:
        """Return the id of the message in the chat, or raise a SendError."""

    async def edit(self, chat_id: str, message_id: int, content: Content) -> None:
        """Change text and buttons of a message without a picture, or raise a SendError."""

    async def probe(self) -> None:
        """Return if messages can be sent now, or raise a SendError; no chat sees it."""

    async def look_up(self, chat_id: str) -> FoundChat:
        """Return what is known of a chat, or raise a SendError; no chat sees it."""


class TerminalSender:
    """Writes the same text, plain, to a stream: what is used without a token."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._message_id = 0

    async def send(
        self, chat_id: str, content: Content, *, reply_to_message_id: int | None = None, is_silent: bool = False
    ) -> int:
        """Write the text and an empty line."""
        del chat_id, reply_to_message_id, is_silent  # a terminal is one chat and has no bell
        self._stream.write(f"{plain_text(content.html)}\n\n")
        self._stream.flush()
        self._message_id += 1
        return self._message_id

    async def edit(self, chat_id: str, message_id: int, content: Content) -> None:
        """Do nothing: a terminal's lines stay."""

    async def probe(self) -> None:
        """A terminal is always there."""

    async def look_up(self, chat_id: str) -> FoundChat:
        """A terminal is always there."""
        return FoundChat(id=chat_id, title=chat_id)


def plain_text(text: str) -> str:
    """Return what a reader of the text or Markup sees; a < that begins no tag of Telegram's stays."""
    return unescape(_TAG.sub("", escape(text)))
