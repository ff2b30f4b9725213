"""Near misses: coins that came close to a signal, the highest score of each episode, and what they would have made."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from scoring.episodes import EpisodeKey, score_alone
from scoring.exits import start_near_miss
from scoring.signals import NearMiss, OpenSignal, Outcome
from storage.codec import from_plain
from storage.connection import Statement
from storage.database import Reader
from storage.following import outcome_from_row, outcome_to_row, tracking_to_row, with_tracking
from storage.rows import Row, to_fields, to_row

Peaks: TypeAlias = Mapping[EpisodeKey, float]  #: new highest scores

_COLUMNS = ("decided_ms", "venue", "instrument_id", "coin")

_INSERT = """
    INSERT INTO near_misses (decided_ms, venue, instrument_id, coin, details, peak_score)
    VALUES (:decided_ms, :venue, :instrument_id, :coin, :details, :peak_score)
"""
_RAISE_PEAK = """
    UPDATE near_misses SET peak_score = :peak_score
    WHERE id = (
        SELECT max(id) FROM near_misses
        WHERE coin = :coin AND coalesce(json_extract(details, '$.strategy'), 'ups') = :strategy
    )
"""
_FOLLOW = """
    INSERT INTO followed_near_misses (near_miss_id)
    SELECT id FROM near_misses
    WHERE decided_ms = :decided_ms AND coin = :coin AND coalesce(json_extract(details, '$.strategy'), 'ups') = :strategy
"""
_TRACK = "UPDATE followed_near_misses SET tracking = :tracking WHERE near_miss_id = :signal_id"
_INSERT_OUTCOME = """
    INSERT INTO near_miss_outcomes (near_miss_id, exit_ms, reason, outcome)
    VALUES (:near_miss_id, :exit_ms, :reason, :outcome)
"""
_FORGET = "DELETE FROM followed_near_misses WHERE near_miss_id = :near_miss_id"
_SHIFT_FOLLOWED = """
    UPDATE near_misses SET decided_ms = decided_ms + :step_ms
    WHERE id IN (SELECT near_miss_id FROM followed_near_misses)
"""


def near_miss_to_row(near_miss: NearMiss) -> dict[str, Any]:
    """Return the row of `near_misses`."""
    return {**to_row(near_miss, _COLUMNS, "details"), "peak_score": score_alone(near_miss)}


def near_miss_from_row(row: Row) -> NearMiss:
    """Return the near miss of a row of `near_misses`."""
    return from_plain(NearMiss, to_fields(row, _COLUMNS, "details"))


def followed_from_row(row: Row) -> OpenSignal | None:
    """Return what is followed of a row of `near_misses` joined with `followed_near_misses`; None without levels."""
    begun = start_near_miss(near_miss_from_row(row), row["id"])
    return None if begun is None else with_tracking(begun, row)


def insert_near_misses(near_misses: Iterable[NearMiss]) -> Statement:
    """Return the statement that stores new near misses; the database gives them their ids."""
    return _INSERT, [near_miss_to_row(near_miss) for near_miss in near_misses]


def raise_peaks(peaks: Peaks) -> Statement:
    """Return the statement that stores new highest scores, each in the latest near miss of its coin and strategy."""
    return _RAISE_PEAK, [
        {"coin": coin, "strategy": strategy, "peak_score": peak} for (coin, strategy), peak in peaks.items()
    ]


def follow_near_misses(near_misses: Iterable[NearMiss]) -> Statement:
    """Return the statement with which the following of stored near misses begins."""
    return _FOLLOW, [{"decided_ms": one.decided_ms, "coin": one.coin, "strategy": one.strategy} for one in near_misses]


def track_near_misses(followed: Iterable[OpenSignal]) -> Statement:
    """Return the statement that stores how far near misses have been followed, each under its own id."""
    return _TRACK, [tracking_to_row(one) for one in followed]


def end_near_misses(outcomes: Iterable[Outcome], lost: Iterable[int]) -> tuple[Statement, ...]:
    """Return the statements that store what near misses have made, and end the following of these and the `lost`."""
    rows = [outcome_to_row(outcome, "near_miss_id") for outcome in outcomes]
    ids = [*(row["near_miss_id"] for row in rows), *lost]
    return (_INSERT_OUTCOME, rows), (_FORGET, [{"near_miss_id": near_miss_id} for near_miss_id in ids])


def shift_followed_near_misses(step_ms: int) -> Statement:
    """Return the statement that moves the near misses that are followed by `step_ms`."""
    return _SHIFT_FOLLOWED, [{"step_ms": step_ms}]


class NearMisses:
    """Reads near misses and what they would have made."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def find(self, since_ms: int, limit: int = 100) -> list[tuple[NearMiss, Outcome | None]]:
        """Return near misses decided at `since_ms` or later, newest first, each with what it would have made.

        None: it is still being followed, was not (only some can be), or its pair left the universe meanwhile.
        """
        rows = await self._reader.read(
            "SELECT * FROM near_misses LEFT JOIN near_miss_outcomes ON near_miss_id = id"
            " WHERE decided_ms >= :since_ms ORDER BY id DESC LIMIT :limit",
            {"since_ms": since_ms, "limit": limit},
        )
        return [(near_miss_from_row(row), outcome_from_row(row, "near_miss_id")) for row in rows]

    async def with_peaks(self, since_ms: int) -> list[tuple[NearMiss, float | None]]:
        """Return near misses decided at `since_ms` or later, oldest first, each with the highest score of its episode.

        None: more than the threshold refused it all the time.
        """
        rows = await self._reader.read(
            "SELECT * FROM near_misses WHERE decided_ms >= :since_ms ORDER BY id", {"since_ms": since_ms}
        )
        return [(near_miss_from_row(row), row["peak_score"]) for row in rows]

    async def peaks(self, since_ms: int, strategy: str) -> list[float]:
        """Return the highest scores of the strategy's episodes since then that the threshold alone refused."""
        rows = await self._reader.read(
            "SELECT peak_score FROM near_misses WHERE decided_ms >= :since_ms AND peak_score IS NOT NULL"
            " AND coalesce(json_extract(details, '$.strategy'), 'ups') = :strategy",
            {"since_ms": since_ms, "strategy": strategy},
        )
        return [peak for (peak,) in rows]

    async def followed(self) -> tuple[OpenSignal, ...]:
        """Return the near misses that are followed, oldest first, each under its own id."""
        rows = await self._reader.read(
            "SELECT * FROM near_misses JOIN followed_near_misses ON near_miss_id = id"
            " WHERE id NOT IN (SELECT near_miss_id FROM near_miss_outcomes) ORDER BY id"
        )
        return tuple(followed for row in rows if (followed := followed_from_row(row)) is not None)

    async def ids(self, decided_ms: int) -> dict[EpisodeKey, int]:
        """Return the ids of the near misses of one decision."""
        rows = await self._reader.read(
            "SELECT coin, coalesce(json_extract(details, '$.strategy'), 'ups'), id FROM near_misses"
            " WHERE decided_ms = :ms ORDER BY id",
            {"ms": decided_ms},
        )
        return {(coin, strategy): near_miss_id for coin, strategy, near_miss_id in rows}

    async def refusals(
        self, since_ms: int, *, coin: str | None = None, venue: str | None = None, band: int | None = None
    ) -> dict[str, int]:
        """Return how many near misses each gate refused since then, the most frequent first.

        `band` is the lower end of five points of score, as in scoring.records.
        """
        rows = await self._reader.read(
            "SELECT gate.value, count(*) FROM near_misses, json_each(details, '$.failed') AS gate"
            " WHERE decided_ms >= :since_ms AND (:venue IS NULL OR venue = :venue)"
            " AND (:coin IS NULL OR symbol_key(coin) = :coin)"
            " AND (:band IS NULL OR min(95, 5 * CAST(score / 5 AS INTEGER)) = :band)"
            " GROUP BY gate.value ORDER BY count(*) DESC, gate.value",
            {"since_ms": since_ms, "coin": coin, "venue": venue, "band": band},
        )
        return dict(map(tuple, rows))
