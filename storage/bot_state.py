"""JSON values that the bot keeps under a key, its limits among them."""

from collections.abc import Mapping
from typing import Any

import orjson

from scoring.signals import Limits
from storage.codec import from_plain, to_json
from storage.connection import Statement
from storage.database import Database, Reader

_LIMITS = "limits"  #: their key
_PUT = "INSERT OR REPLACE INTO state (key, value) VALUES (:key, :value)"


def put_values(values: Mapping[str, Any]) -> Statement:
    """Return the statement that keeps JSON values by key."""
    return _PUT, [{"key": key, "value": to_json(value)} for key, value in values.items()]


def put_limits(limits: Limits) -> Statement:
    """Return the statement that stores the limits."""
    return put_values({_LIMITS: limits})


class BotStateReader:
    """Reads what the bot keeps."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def get(self, key: str) -> Any:
        """Return the JSON value kept under `key`, None where there is none."""
        rows = await self._reader.read("SELECT value FROM state WHERE key = :key", {"key": key})
        return orjson.loads(rows[0]["value"]) if rows else None

    async def limits(self) -> Limits:
        """Return the limits, fresh ones where none are stored."""
        limits = await self.get(_LIMITS)
        return Limits.fresh() if limits is None else from_plain(Limits, limits)


class BotState(BotStateReader):
    """Reads and writes what the bot keeps."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._database = database

    async def put(self, key: str, value: Any) -> None:
        """Keep a JSON value under `key`."""
        await self._database.write(put_values({key: value}))

    async def save_limits(self, limits: Limits) -> None:
        """Store limits that a command has changed."""
        await self._database.write(put_limits(limits))
