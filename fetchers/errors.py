"""Errors of a venue: one class for each thing a caller does differently.

FetchError               log, count against the venue's health
+-- Unreachable          refused, reset, timed out, 5xx: the venue may be away; try again next tick
+-- RateLimited          hold the pool (or the venue) until `until_ms`, touch nothing else
+-- BadPayload           an answer that is no answer: empty, HTML, cut, wrong types; treat as missing data
+-- UnknownSymbol        quarantine that instrument and look at the market list again
"""


class FetchError(Exception):
    """A venue did not give what was asked; the text names the venue, the call and what came instead."""


class Unreachable(FetchError):
    """No usable reply: refused, reset, timed out or a server error."""


class RateLimited(FetchError):
    """The venue wants to be left alone until `until_ms`; `pool` None means all of it."""

    def __init__(self, message: str, *, until_ms: int, pool: str | None = None) -> None:
        super().__init__(message)
        self.until_ms = until_ms
        self.pool = pool


class BadPayload(FetchError):
    """The reply was not what the venue documents."""


class UnknownSymbol(FetchError):
    """The venue does not know (or no longer lists) the instrument."""
