"""The records of a tape; docs/tape.md says what a reader and a writer may rely on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from features.facts.market import Candles, Instrument, Observation
from fetchers.poll_plan import Key

VERSION = 2  #: of the format; a reader refuses any other

T = TypeVar("T")

LIVE = "live"  #: the source of what the bot recorded itself


class TapeError(Exception):
    """A file cannot be read as a tape; the message names it and says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first record of every file: where the data comes from, and what is wrong with it."""

    source: str = LIVE  #: or what it was imported from, e.g. "vision"
    profile: str = ""  #: by which rules it was made, where there are several
    started_ms: int  #: the first time that the file speaks of [epoch ms]
    session: str = ""  #: files of one run of the bot, or of one import, have it in common
    part: int = 0  #: the place of the file among those, from 0
    missing: Mapping[str, str] = field(default_factory=dict)  #: what the source does not give, and why: "order books"
    approximate: Mapping[str, str] = field(default_factory=dict)  #: what stands in for something else: "best bid"
    settings: Mapping[str, str] = field(default_factory=dict)  #: NAME -> value that it was recorded with
    config_hash: str = ""
    code_hash: str = ""
    software: str = ""  #: name and version of what wrote it
    version: int = VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """All that the bot held when the file began, so that a file can be played without those before it."""

    at_ms: int
    state: bytes  #: as bot/core packs it; opaque here


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """The instruments from a tick on."""

    instruments: tuple[Instrument, ...]
    delisted: frozenset[Key] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleReply:
    """A venue's answer to a request for candles."""

    key: Key
    since_ms: int
    candles: Candles | None  #: None: none published, or no answer


@dataclass(frozen=True, slots=True, kw_only=True)
class TapeTick:
    """Everything that one tick took in, in order."""

    started_ms: int  #: the clock at its start
    seen_ms: int  #: after the polls: the time of the features
    decided_ms: int
    ended_ms: int
    clock_step_ms: int = 0  #: by which the machine's clock was set just before it
    is_look: bool = False  #: it opened no row: it was between two ticks, at a few instruments
    heard: Sequence[Sequence[Observation]] = ()  #: what came since the tick or look before, as it was appended
    watched: Watched | None = None  #: None: as in the tick before
    quotes: Sequence[Observation] = ()  #: what came with the bulk calls
    portions: Sequence[Sequence[Observation]] = ()  #: what came after them, as it was appended
    candles: Sequence[CandleReply] = ()
    conditions: Mapping[str, str] | None = None  #: of the venues, by name; None: as in the tick before
    limits: Sequence[Mapping[str, Any]] = ()  #: fields of the limits that commands changed before the decision
    digest: str = ""  #: of its features and its decision; "" where nothing was decided on it


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Ticks that could not be written: the disk was too slow, or refused."""

    ticks: int
    reason: str


Record: TypeAlias = Header | Checkpoint | TapeTick | Gap


def trusted(kind: type[T], **values: Any) -> T:
    """Return an observation without the checks of its `__post_init__`, which it passed before it was written."""
    made = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made
