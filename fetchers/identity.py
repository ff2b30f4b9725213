"""Which tickers are the same coin: those whose prices of the same few seconds agree, with patience before a rename.

A coin's name is what limits, mutes and the record go by. So once an instrument has a name, another takes its place only
when two reloads apart say the same, and never while the coin is in use.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from features.facts.market import Instrument
from fetchers.poll_plan import Key

SAME_COIN = 1.03  #: prices of one coin on two venues differ by no more than this factor
SAME_SECONDS_MS = 10_000  #: prices further apart in time are not compared
APART_MS = 60_000  #: between the two reloads that have to agree


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one instrument's coin; its `coin` is still the venue's ticker."""

    instrument: Instrument
    usdt: float  #: per coin; NaN where it is not known
    time_ms: int  #: when that was received


@dataclass(frozen=True, slots=True)
class Renaming:
    """A name that prices ask for, and since when they do."""

    coin: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class Identities:
    """The coin of every instrument that has a price, and what waits to become another."""

    coins: Mapping[Key, str] = field(default_factory=dict)
    renamings: Mapping[Key, Renaming] = field(default_factory=dict)


def identify(prices: Sequence[Price], before: Identities, held: Collection[str] = ()) -> Identities:
    """Return the coin of each instrument: PEPE, or PEPE@lbank where LBank's price says that it is something else.

    The largest group of a ticker that agrees on a price has the ticker itself for a name. Where known instruments would
    change theirs, all of a ticker change together, or none: none while a name or instrument in `held` is among them.
    """
    by_ticker: defaultdict[str, list[Price]] = defaultdict(list)
    for price in prices:
        by_ticker[price.instrument.coin].append(price)
    in_use = {name.upper() for name in held}
    now_ms = max((price.time_ms for price in prices), default=0)
    coins: dict[Key, str] = {}
    renamings: dict[Key, Renaming] = {}
    for ticker, group in by_ticker.items():
        known = {key: before.coins[key] for one in group if (key := one.instrument.key) in before.coins}
        asked = _by_price(ticker, [one for one in group if one.instrument.key not in known or _is_current(one, group)])
        kept = known | _newcomers(asked, known)
        waiting = {
            key: _renaming(coin, before.renamings.get(key), now_ms) for key, coin in asked.items() if kept[key] != coin
        }
        is_agreed = all(now_ms - one.since_ms >= APART_MS for key, one in waiting.items() if key in known)
        if is_agreed and not _is_in_use(group, known, in_use):
            coins |= kept | asked
        else:
            coins |= kept
            renamings |= waiting
    return Identities(coins, renamings)


def _is_current(one: Price, group: Sequence[Price]) -> bool:
    return one.usdt > 0 and max(other.time_ms for other in group) - one.time_ms <= SAME_SECONDS_MS


def _renaming(coin: str, before: Renaming | None, now_ms: int) -> Renaming:
    return before if before is not None and before.coin == coin else Renaming(coin, now_ms)


def _is_in_use(group: Sequence[Price], known: Mapping[Key, str], in_use: Collection[str]) -> bool:
    instruments = [one.instrument for one in group]
    names = {name for one in instruments for name in (*one.names, one.key_name.upper())}
    return any(name in in_use for name in names | {coin.upper() for coin in known.values()})


def _newcomers(asked: Mapping[Key, str], known: Mapping[Key, str]) -> dict[Key, str]:
    # one whose price agrees with known ones has their name, however they will be called
    stands_for = {asked[key]: coin for key, coin in known.items() if key in asked}
    taken = set(known.values())
    return {
        key: stands_for.get(coin, coin if coin not in taken else _alone(coin.partition("@")[0], key))
        for key, coin in asked.items()
        if key not in known
    }


def _by_price(ticker: str, group: Sequence[Price]) -> dict[Key, str]:
    agreed = _largest_agreeing(group)
    others = [one.instrument.key for one in group if one.instrument.key not in agreed]
    venues = [venue for venue, _ in others]
    named = {key: _alone(ticker, key) if venues.count(key[0]) > 1 else f"{ticker}@{key[0]}" for key in others}
    return dict.fromkeys(agreed, ticker) | named


def _alone(ticker: str, key: Key) -> str:
    return f"{ticker}@{':'.join(key)}"


def _largest_agreeing(group: Sequence[Price]) -> set[Key]:
    """Return the keys of the largest set whose prices lie within SAME_COIN: most venues first, then most volume."""
    agreeing = [[one for one in group if one is low or 1.0 <= one.usdt / low.usdt <= SAME_COIN] for low in group]
    largest = max(
        agreeing,
        key=lambda ones: (
            len({one.instrument.venue for one in ones}),
            sum(one.instrument.volume_usdt_24h for one in ones if one.instrument.volume_usdt_24h > 0),
        ),
        default=[],
    )
    return {one.instrument.key for one in largest}
