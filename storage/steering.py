"""The log of the commands and presses that changed what the bot does."""

from dataclasses import dataclass

from storage.database import Database

_INSERT = """
    INSERT INTO steering (done_ms, user_id, chat_id, command, answer)
    VALUES (:done_ms, :user_id, :chat_id, :command, :answer)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """A command or press that changed what the bot does."""

    done_ms: int
    user_id: int
    chat_id: str
    command: str  #: with its argument
    answer: str  #: plain text, what came of it


class SteeringLog:
    """Reads and writes who steered the bot."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(self, limit: int) -> list[Steering]:
        """Return who steered the bot, the latest first."""
        rows = await self._database.read("SELECT * FROM steering ORDER BY id DESC LIMIT :limit", {"limit": limit})
        return [Steering(**{name: row[name] for name in Steering.__slots__}) for row in rows]

    async def record(self, steering: Steering) -> None:
        """Store who steered the bot."""
        await self._database.write((_INSERT, [{name: getattr(steering, name) for name in Steering.__slots__}]))
