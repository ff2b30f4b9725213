"""Recorded bodies, and replies as our client would hand them on, for the tests of parsers and judges."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from multidict import CIMultiDict

from fetchers.parsing.build_records import Arrival
from fetchers.transport.client import Reply
from tests.builders import NOW_MS

DATA = Path(__file__).parent.parent / "data"
ARRIVAL = Arrival(received_ms=NOW_MS)


def recorded(name: str) -> Any:
    """Return a recorded body of tests/data, decoded; see SOURCE.md there."""
    return orjson.loads((DATA / name).read_bytes())


def reply(
    body: bytes | dict[str, Any],
    *,
    status: int = 200,
    pools: tuple[str, ...] = ("requests",),
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Return a reply that arrived now."""
    return Reply(
        path="/path",
        pools=pools,
        status=status,
        headers=CIMultiDict(headers or {}),
        body=body if isinstance(body, bytes) else orjson.dumps(body),
        json=body if isinstance(body, dict) else None,
        sent_ms=NOW_MS - 100,
        received_ms=NOW_MS,
    )
