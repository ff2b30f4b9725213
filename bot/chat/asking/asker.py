"""The sender of a command or press, and the address of the answer."""

from collections.abc import Collection

from telegram import Chat, Message, User

from bot.config.kinds import SHARED_IDS


class Asker:
    """The sender of a command or press."""

    def __init__(self, user: User | None, sender_chat: Chat | None, admin_ids: Collection[int]) -> None:
        self.id = user.id if user is not None else 0
        #: many write under one id: anonymous admins, channels; and a bot cannot be asked what it meant
        self.is_shared = user is None or user.is_bot or sender_chat is not None or user.id in SHARED_IDS
        self.is_admin = not self.is_shared and self.id in admin_ids


def address_of(message: Message) -> str:
    """Return the chat of a message, with its topic."""
    return f"{message.chat_id}:{message.message_thread_id}" if message.is_topic_message else f"{message.chat_id}"
