"""The steps of a deep check: calls made once, what came of each, and how many bytes."""

import zlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from fetchers.base import ProbedVenue
from fetchers.errors import FetchError, UnknownSymbol
from fetchers.transport.client import Reply

PAUSE_S = 0.4  #: between two calls: 25 take ten seconds
EXCERPT = 200  #: characters of a refusal, or of a reply that is no JSON
REFUSALS = (403, 418, 429, 451)

Result = TypeVar("Result")
Verdict: TypeAlias = tuple[bool, str]  #: whether it is as expected, and what came


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The expected and the actual result of one call, or of a few together."""

    step: str
    is_ok: bool
    expected: str
    came: str


class Steps:
    """Makes calls of one venue one after another; `save` is given each reply as it came, with the step's name."""

    def __init__(
        self,
        venue: ProbedVenue,
        *,
        now_ms: Callable[[], int],
        sleep: Callable[[float], Awaitable[None]],
        save: Callable[[str, Reply], None],
    ) -> None:
        self.venue = venue
        self.now_ms = now_ms
        self.findings: list[Finding] = []
        self.replies: list[Reply] = []  #: of the step under way
        self.bytes: Counter[str] = Counter()  #: by step
        self.is_refused = False  #: a venue that wants to be left alone is
        self._sleep = sleep
        self._save = save
        self._name = ""
        venue.observe(self._see)

    async def step(
        self,
        name: str,
        expected: str,
        call: Callable[[], Awaitable[Result]],
        check: Callable[[Result], Verdict],
        *,
        may_be_unknown: bool = False,
    ) -> Result | None:
        """Make a call and note what came of it; None where it failed, or where the venue refuses all."""
        if self.is_refused:
            return None
        self._name, self.replies = name, []
        result = None
        try:
            result = await call()
            is_ok, came = (True, "") if result is None else check(result)
        except UnknownSymbol as error:
            is_ok, came = may_be_unknown, f"unknown symbol: {error}"
        except FetchError as error:
            is_ok, came = False, f"{type(error).__name__}: {error}"
        for reply in self.replies:  # the parts of a call too, whose failures the bot lives with
            if reply.json is None or reply.status in REFUSALS:
                page = reply.body[:EXCERPT].decode(errors="replace")
                is_ok, came = False, f"{came}; {reply.path} said HTTP {reply.status}, {page!r}"
        budget, now_ms = self.venue.budget, self.now_ms()
        self.is_refused = all(budget.held_until_ms({pool: 1.0}) > now_ms for pool in budget.used_share())
        if self.is_refused:
            is_ok, came = False, f"{came}; the rest is not asked"
        if not is_ok or came:  # what a venue does not publish is no news
            self.found(name, expected, is_ok=is_ok, came=came)
        await self._sleep(PAUSE_S)
        return result

    def found(self, step: str, expected: str, *, is_ok: bool, came: str) -> None:
        """Note what came of a call, or of several together."""
        self.findings.append(Finding(step=step, is_ok=is_ok, expected=expected, came=came))

    def _see(self, reply: Reply) -> None:
        self.replies.append(reply)
        self.bytes[self._name] += size_on_wire(reply)
        self._save(self._name, reply)


def size_on_wire(reply: Reply) -> int:
    """Return the bytes of a reply on the wire; where it does not say, a packed body as long as packed anew."""
    head = sum(len(name) + len(value) + 4 for name, value in reply.headers.items())
    length = reply.headers.get("Content-Length", "")
    if length.isdecimal():
        return head + int(length)
    return head + len(zlib.compress(reply.body) if "Content-Encoding" in reply.headers else reply.body)
