"""One message through the sender, in plain text where Telegram cannot read its HTML."""

from dataclasses import replace

from loguru import logger

from bot.chat.delivery.record import DeliveryRecord
from bot.chat.delivery.sender import BadText, Content, Sender, plain_text
from bot.chat.delivery.turns import Turns


class Transmission:
    """Sends and edits once; raises what the sender raises."""

    def __init__(self, sender: Sender, turns: Turns, record: DeliveryRecord) -> None:
        self._sender = sender
        self._turns = turns
        self._record = record

    async def send(self, chat_id: str, content: Content, reply_to_message_id: int | None, *, is_silent: bool) -> int:
        """Return the id of the message in the chat."""
        try:
            return await self._sender.send(
                chat_id, content, reply_to_message_id=reply_to_message_id, is_silent=is_silent
            )
        except BadText as error:
            plain = await self._in_plain_text(chat_id, content, error)
            return await self._sender.send(chat_id, plain, reply_to_message_id=reply_to_message_id, is_silent=is_silent)

    async def edit(self, chat_id: str, message_id: int, content: Content) -> None:
        """Change a message of the chat."""
        try:
            await self._sender.edit(chat_id, message_id, content)
        except BadText as error:
            await self._sender.edit(chat_id, message_id, await self._in_plain_text(chat_id, content, error))

    async def _in_plain_text(self, chat_id: str, content: Content, error: BadText) -> Content:
        self._record.note("sent as plain text", chat_id, str(error))
        logger.error("Telegram cannot read this HTML ({}), so it goes as plain text: {}", error, content.html)
        await self._turns.take(chat_id)
        return replace(content, text=plain_text(content.html))
