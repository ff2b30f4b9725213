"""Chats: which there are, which refuse the bot, and what each of them has got and still waits for."""

from collections.abc import Iterable

from storage.codec import to_json
from storage.database import Database

_GIVE_UP_OTHERS = (
    "DELETE FROM former_chats",
    """
    INSERT INTO former_chats SELECT DISTINCT chat_id FROM outbox
    WHERE chat_id NOT IN (SELECT value FROM json_each(:chats))
    """,
    """
    UPDATE outbox SET state = iif(message_id IS NULL, 'failed', 'sent'), is_told = 1,
        error = 'the settings no longer name this chat'
    WHERE state IN ('pending', 'sending', 'uncertain') AND chat_id IN (SELECT chat_id FROM former_chats)
    """,
    "DELETE FROM blocked_chats WHERE chat_id NOT IN (SELECT value FROM json_each(:chats))",
)
_BLOCK = """
    INSERT INTO blocked_chats (chat_id, reason, since_ms) VALUES (:chat_id, :reason, :since_ms)
    ON CONFLICT (chat_id) DO UPDATE SET reason = :reason
"""
_FORGET_MESSAGES = """
    UPDATE outbox SET state = iif(message_id IS NULL, state, 'sent'), message_id = NULL
    WHERE chat_id = :chat_id OR chat_id LIKE :chat_id || ':%'
"""


class Chats:
    """Reads and writes how the chats are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep_only(self, chats: Iterable[str]) -> None:
        """Give up messages to any other chat than these, and edit none there any more."""
        named = {"chats": to_json(list(chats))}
        await self._database.write(*((sql, [named]) for sql in _GIVE_UP_OTHERS))

    async def block(self, chat_id: str, reason: str, since_ms: int = 0) -> None:
        """Store that a chat refuses the bot, until it is unblocked; what waits for it goes on waiting."""
        await self._database.write((_BLOCK, [{"chat_id": chat_id, "reason": reason, "since_ms": since_ms}]))

    async def unblock(self, chat_id: str) -> None:
        """Write to a chat again."""
        await self._database.write(("DELETE FROM blocked_chats WHERE chat_id = :chat_id", [{"chat_id": chat_id}]))

    async def blocked(self) -> dict[str, str]:
        """Return the chats that refuse the bot, each with Telegram's words."""
        return dict(map(tuple, await self._database.read("SELECT chat_id, reason FROM blocked_chats ORDER BY chat_id")))

    async def blocked_since_ms(self) -> dict[str, int]:
        """Return since when each of them does [epoch ms]."""
        return dict(map(tuple, await self._database.read("SELECT chat_id, since_ms FROM blocked_chats")))

    async def forget_messages(self, chat_id: str) -> None:
        """Neither edit nor reply to a chat's messages any more: it has a new id."""
        await self._database.write((_FORGET_MESSAGES, [{"chat_id": chat_id}]))

    async def last_sent_ms(self) -> dict[str, int]:
        """Return by chat when the last message arrived there [epoch ms]."""
        return dict(map(tuple, await self._database.read("SELECT chat_id, max(sent_ms) FROM outbox GROUP BY chat_id")))

    async def waiting_counts(self) -> dict[str, int]:
        """Return by chat how many new messages wait for it."""
        rows = await self._database.read(
            "SELECT chat_id, count(*) FROM outbox WHERE state = 'pending' AND message_id IS NULL GROUP BY chat_id"
        )
        return dict(map(tuple, rows))
