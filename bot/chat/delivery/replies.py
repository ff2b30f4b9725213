"""Answers to commands: past the outbox, a few times if need be; one that comes twice does no harm."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from loguru import logger

from bot.chat.delivery.chat_states import ChatStates
from bot.chat.delivery.sender import Content, MaybeSent, Migrated, NotSent, Rejected, SendError
from bot.chat.delivery.transmission import Transmission
from bot.chat.delivery.turns import Turns
from bot.chat.texts.markup import lines
from bot.clock import Clock

_TRIES = 4
_LONGEST_WAIT_S = 60.0  #: the asker has gone by then
_NOT_SHOWN = "The answer could not be shown:"


class Replies:
    """Answers in a chat and changes answers in place."""

    def __init__(
        self,
        transmission: Transmission,
        turns: Turns,
        chat_states: ChatStates,
        clock: Clock,
        backoff_s: Callable[[int], float],
    ) -> None:
        self._transmission = transmission
        self._turns = turns
        self._chat_states = chat_states
        self._clock = clock
        self._backoff_s = backoff_s

    async def send(
        self, chat_id: str, content: Content, reply_to_message_id: int | None = None, *, is_urgent: bool = False
    ) -> None:
        """Answer a command.

        Its pace leaves room for alerts, unless it `is_urgent`: who steers has to know what came of it.
        """
        try:
            await self._persist(
                chat_id,
                lambda: self._transmission.send(chat_id, content, reply_to_message_id, is_silent=False),
                is_urgent=is_urgent,
            )
        except Migrated as error:
            await self.send(error.new_chat_id, content, is_urgent=is_urgent)
        except SendError as error:
            logger.warning("an answer to chat {} was lost: {}", chat_id, error)
            if content.picture is not None:  # groups may forbid pictures
                text = lines([content.html, f"The picture was refused: {error}"])
                await self.send(chat_id, replace(content, text=text, picture=None), reply_to_message_id)
            elif isinstance(error, Rejected) and not content.html.startswith(_NOT_SHOWN):
                answer = Content(text=f"{_NOT_SHOWN} {error}")
                await self.send(chat_id, answer, reply_to_message_id)
        else:
            await self._chat_states.take_up(chat_id)

    async def turn_page(self, chat_id: str, message_id: int, content: Content) -> None:
        """Change an answer in place, or say why it cannot be."""
        try:
            await self._persist(chat_id, lambda: self._transmission.edit(chat_id, message_id, content))
        except SendError as error:
            logger.warning("an answer in chat {} could not be changed: {}", chat_id, error)
            await self.send(chat_id, Content(text=f"{_NOT_SHOWN} {error}"), message_id)

    async def _persist(self, chat_id: str, send: Callable[[], Awaitable[object]], *, is_urgent: bool = False) -> None:
        for attempt in range(1, _TRIES + 1):
            await self._turns.wait(chat_id, is_urgent=is_urgent)
            try:
                await send()
            except (NotSent, MaybeSent) as error:
                wait_s = (isinstance(error, NotSent) and error.retry_after_s) or self._backoff_s(attempt)
                if attempt == _TRIES or wait_s > _LONGEST_WAIT_S:
                    raise
                await self._clock.sleep(wait_s)
            else:
                return
