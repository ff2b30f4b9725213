"""When the bot ran, with which code and settings, and how the venues were meanwhile."""

from storage.database import Database

_BEGIN_GENERATION = "INSERT INTO generations (first_seq) SELECT coalesce(max(seq), 0) FROM changes"
_BEGIN = """
    INSERT INTO runs (started_ms, version, code_hash, config_hash)
    VALUES (:started_ms, :version, :code_hash, :config_hash)
"""
_END = "UPDATE runs SET ended_ms = :ended_ms WHERE id = (SELECT max(id) FROM runs)"
_INSERT_HEALTH = """
    INSERT INTO venue_health (changed_ms, venue, state, note) VALUES (:changed_ms, :venue, :state, :note)
"""


class Runs:
    """Reads and writes the bot's runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, started_ms: int, version: str, code_hash: str, config_hash: str) -> None:
        """Store which bot runs from now on, and how it is set."""
        run = {"started_ms": started_ms, "version": version, "code_hash": code_hash, "config_hash": config_hash}
        await self._database.write((_BEGIN_GENERATION, [{}]), (_BEGIN, [run]))

    async def end(self, ended_ms: int) -> None:
        """Store that the run ended as it should; one that was killed has no end."""
        await self._database.write((_END, [{"ended_ms": ended_ms}]))

    async def first_started_ms(self) -> int | None:
        """Return when the bot ran for the first time [epoch ms], None where it never has."""
        ((first_ms,),) = await self._database.read("SELECT min(started_ms) FROM runs")
        return None if first_ms is None else int(first_ms)

    async def record_health(self, changed_ms: int, venue: str, state: str, note: str) -> None:
        """Store that a venue is in another state than before."""
        change = {"changed_ms": changed_ms, "venue": venue, "state": state, "note": note}
        await self._database.write((_INSERT_HEALTH, [change]))
