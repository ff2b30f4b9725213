"""Execution of a command: its answer page by page, also where it fails, and the record of who steered."""

from collections.abc import Callable

from loguru import logger

from bot.chat.asking.asker import Asker
from bot.chat.commands.arguments import UsageError
from bot.chat.commands.base import Command, CommandContext, Said
from bot.chat.delivery.sender import Content, plain_text
from bot.chat.texts.listing import Listing
from bot.chat.texts.markup import html
from storage.errors import StorageError
from storage.messages import Button
from storage.steering import Steering

_LONGEST_KEPT = 300
_LONGEST_PRESS = 64  #: bytes Telegram lets a button carry


class Answering:
    """Runs commands on the bot."""

    def __init__(self, context: CommandContext, now_ms: Callable[[], int]) -> None:
        self.context = context
        self._now_ms = now_ms  #: in Telegram's count

    async def said(self, command: Command, argument: str, page: int = 0) -> Content:
        """Return what a command answers, also where it fails: the asker has to know."""
        try:
            return paged(await command.answer(self.context, argument), command.name, argument, page)
        except UsageError as error:
            return Content(text=str(error)[:_LONGEST_KEPT])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is said
            logger.exception("/{} failed", command.name)
            why = (str(error) or type(error).__name__)[:_LONGEST_KEPT]
            return Content(text=html("<b>/{} failed</b>: {}", command.name, why))

    async def steer(self, asker: Asker, address: str, command: Command, argument: str) -> Content:
        """Carry out what an admin orders, now, and keep who it was."""
        content = await self.said(command, argument)
        await self.keep(asker, address, f"/{command.name} {argument}".strip(), content.html)
        return content

    async def keep(self, asker: Asker, address: str, command: str, answer: str) -> None:
        """Keep who steered, where, and what came of it."""
        steering = Steering(
            done_ms=self._now_ms(),
            user_id=asker.id,
            chat_id=address,
            command=command[:_LONGEST_KEPT],
            answer=plain_text(answer).partition("\n")[0][:_LONGEST_KEPT],
        )
        logger.info("user {} in chat {}: {}", steering.user_id, steering.chat_id, steering.command)
        try:
            await self.context.store.steering.record(steering)
        except StorageError as error:
            logger.error("who steered could not be kept: {}", error)


def paged(said: Said, name: str, argument: str, number: int = 0) -> Content:
    """Return what was said, of a list one page with buttons for the ones beside it."""
    if not isinstance(said, Listing):
        return said
    number = min(number, said.pages - 1)
    beside = [("« Back", number - 1), ("More »", number + 1)]
    presses = [(text, f"page:{page}:{name}:{argument}") for text, page in beside if 0 <= page < said.pages]
    buttons = tuple(Button(text=text, press=press) for text, press in presses if len(press.encode()) <= _LONGEST_PRESS)
    return Content(text=said.page(number), buttons=buttons)
