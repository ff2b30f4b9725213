"""A setting is declared once, at the field of the record that holds its value: name, default, what it takes, help.

    max_oi_age_s: float = AGES.setting("MAX_OI_AGE_SECONDS", "60", SECONDS, "Older open interest is stale", unit="s")

The configuration collects the declarations of all records, reads the values and builds the records. Defaults are
written as a user would write them, so they go through the same parser as the user's own.
"""

import re
import zoneinfo
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

from features.facts.venues import VENUES

T = TypeVar("T")
V = TypeVar("V")
N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T]):
    """The kind of a setting's values: `parse` raises ValueError where the text is not as `expected` says."""

    expected: str
    parse: Callable[[str], T]
    empty: Any = ""  #: the value of a setting that is not set
    is_free: bool = False  #: any text will do, so what looks like a comment behind it may be part of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting(Generic[T]):
    """One thing that a user can set."""

    group: str  #: the title it is listed under
    name: str
    default: str  #: "" is not set
    kind: Kind[T]
    meaning: str
    unit: str = ""
    is_secret: bool = False  #: never shown, and may be given as the path of a file in NAME_FILE

    def parse(self, text: str) -> T:
        """Return the value of `text`, or raise ValueError."""
        return self.kind.parse(text) if text else self.kind.empty

    def field(self, take: Callable[[T], V]) -> V:
        """Return a record's field that is `take` of the value: several fields may come from one setting."""
        return _field((self,), lambda values: take(values[self.name]))


@dataclass(frozen=True, slots=True)
class Group:
    """Settings that are listed together."""

    title: str

    def row(
        self, name: str, default: str, kind: Kind[T], meaning: str, *, unit: str = "", is_secret: bool = False
    ) -> Setting[T]:
        """Return a setting of this group, for `Setting.field` or `by_key`."""
        return Setting(
            group=self.title, name=name, default=default, kind=kind, meaning=meaning, unit=unit, is_secret=is_secret
        )

    def setting(
        self, name: str, default: str, kind: Kind[T], meaning: str, *, unit: str = "", is_secret: bool = False
    ) -> T:
        """Return a record's field that is the value of a setting."""
        return self.row(name, default, kind, meaning, unit=unit, is_secret=is_secret).field(lambda value: value)


@dataclass(frozen=True, slots=True)
class Source:
    """Where a record's field comes from."""

    settings: tuple[Setting[Any], ...]
    make: Callable[[Mapping[str, Any]], Any]  #: its value, of the values of all settings by name


def by_key(rows: Mapping[V, Setting[T]]) -> dict[V, T]:
    """Return a record's field that is a dict with one setting for each key."""
    return _field(tuple(rows.values()), lambda values: {key: values[setting.name] for key, setting in rows.items()})


def _field(settings: tuple[Setting[Any], ...], make: Callable[[Mapping[str, Any]], V]) -> V:
    default = make({setting.name: setting.parse(setting.default) for setting in settings})
    shown = not any(setting.is_secret for setting in settings)
    source = Source(settings, make)
    made: V = field(default_factory=lambda: default, repr=shown, metadata={"source": source})
    return made


def sources_of(record: Any) -> dict[str, Source]:
    """Return where the fields of a record (its class) come from, by name; those that no setting feeds are left out."""
    return {one.name: one.metadata["source"] for one in fields(record) if "source" in one.metadata}


def settings_of(record: Any) -> Iterator[Setting[Any]]:
    """Yield the settings that a record declares or inherits."""
    for source in sources_of(record).values():
        yield from source.settings


def build(record: type[T], values: Mapping[str, Any], **others: Any) -> T:
    """Return a record of the values of the settings by name, and of `others` for the fields that no setting feeds."""
    return record(**{name: source.make(values) for name, source in sources_of(record).items()}, **others)


def _plain(text: str) -> str:
    """Refuse what only Python takes for a number: "8_080", digits of other scripts."""
    if "_" in text or not text.isascii():
        raise ValueError
    return text


def number(low: float, high: float) -> Kind[float]:
    """Take a number of a range."""
    return _in_range(float, low, high, f"a number from {low:.15g} to {high:.15g}")


def whole(low: int, high: int) -> Kind[int]:
    """Take a whole number of a range."""
    return _in_range(int, low, high, f"a whole number from {low} to {high}")


def _in_range(convert: Callable[[str], N], low: N, high: N, expected: str) -> Kind[N]:
    def parse(text: str) -> N:
        value = convert(_plain(text))
        if not low <= value <= high:
            raise ValueError
        return value

    return Kind(expected=expected, parse=parse)


def percent_by_venue(high: float, default: float, example: str) -> Kind[dict[str, float]]:
    """Take a percentage for all venues and others by name; "default" holds for those not named."""

    def parse(text: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for part in text.split(","):
            venue, equals, percent = part.rpartition("=")
            venue = venue.strip() if equals else "default"
            if venue not in {*VENUES, "default"} or venue in found:
                raise ValueError
            found[venue] = number(0, high).parse(percent)
        return {"default": default} | found

    return Kind(expected=f"a percentage from 0 to {high:g}, and others by venue, such as {example}", parse=parse)


def matching(pattern: str) -> Callable[[str], str]:
    """Return a parser that takes what all of `pattern` matches."""

    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text, re.ASCII):
            raise ValueError
        return text

    return parse


def several(parse_one: Callable[[str], T]) -> Callable[[str], tuple[T, ...]]:
    """Return a parser of a comma separated list: in the order given, without repetitions."""
    return lambda text: tuple(dict.fromkeys(parse_one(part.strip()) for part in text.split(",")))


def names_of(names: Mapping[str, Any]) -> Kind[tuple[str, ...]]:
    """Take some of the names of a table."""
    return Kind(expected=f"some of {', '.join(names)}, comma separated", parse=several(matching("|".join(names))))


def _flag(text: str) -> bool:
    if text.lower() in {"on", "true", "yes", "1"}:
        return True
    if text.lower() in {"off", "false", "no", "0"}:
        return False
    raise ValueError


def _time_zone(text: str) -> str:
    try:
        return zoneinfo.ZoneInfo(text).key
    except (zoneinfo.ZoneInfoNotFoundError, OSError) as error:  # OSError: "Europe" is a directory
        raise ValueError from error


FLAG = Kind(expected="on or off", parse=_flag)
ZONE = Kind(expected="a time zone such as Europe/Rome", parse=_time_zone)
COINS = Kind(
    expected="coins, comma separated, such as XMR,DASH",
    parse=lambda text: frozenset(coin.strip() for coin in text.upper().split(",")),
    empty=frozenset(),
)
WINDOW = number(0.1, 7200)  # the arrays keep every tick of it
SECONDS = number(0.1, 86_400)
PAUSE = number(0, 86_400)
COUNT = whole(1, 10_000)
PERCENT = number(0.01, 50)
SHARE = number(0, 1)
POINTS = number(0, 100)
USDT = number(0, 1e12)
