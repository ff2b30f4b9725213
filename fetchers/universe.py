"""Which instruments the bot watches, and which of them may signal.

Pure: from the venues' market lists and bulk replies to instruments, and to counts of what was dropped and why.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from features.declare import COINS, FLAG, USDT, Group
from features.facts.market import BTC, FloatArray, Instrument, Quotes
from fetchers.identity import Identities, Price, identify
from fetchers.listing import NOT_CRYPTO, Listing

VENUES = Group("Venues")
SAME_THING = 2.0  #: beyond this factor a coin and a share of one name are two things; a halted share's price is old

_MILLION = re.compile(r"1M(?=[A-Z]{3,})")  # 1MBABYDOGE
_LEADING = re.compile(r"(10{3,})(?=.*\D)")  # 1000PEPE, 1000000MOG, 10001000SATS (twice); not 1INCH, 10SET or 1000
_TRAILING = re.compile(r"(?<=\D)(10{3,})$")  # SHIB1000


@dataclass(frozen=True, slots=True, kw_only=True)
class UniverseSettings:
    """The band of daily volume that may signal, and the coins that never do."""

    min_quote_volume: float = VENUES.setting(
        "MIN_QUOTE_VOLUME", "500000", USDT, "Pairs that trade less are left out", unit="USDT a day"
    )
    max_quote_volume: float = VENUES.setting(
        "MAX_QUOTE_VOLUME",
        "200000000",
        USDT,
        "Pairs that trade more are left out: the low caps stay",
        unit="USDT a day",
    )
    #: in capitals
    exclude_coins: frozenset[str] = VENUES.setting("EXCLUDE_COINS", "", COINS, "Coins that are never alerted")
    innovation_zone: bool = VENUES.setting(
        "INNOVATION_ZONE",
        "off",
        FLAG,
        "on: contracts of MEXC's Innovation Zone may signal; higher fees, closed in many countries",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """The instruments watched; a new object after each reload."""

    instruments: tuple[Instrument, ...]
    dropped: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  #: venue -> reason -> count
    delisted: frozenset[tuple[str, str]] = frozenset()  #: (venue, id) of what was watched and is traded no more
    identities: Identities = field(default_factory=Identities)

    def eligible_by_venue(self) -> dict[str, int]:
        """Return how many instruments of each venue may signal."""
        return Counter(instrument.venue for instrument in self.instruments if instrument.is_eligible)


class _Values(NamedTuple):
    """One instrument's values in the bulk replies."""

    price: float = math.nan  # [USDT per base]
    price_ms: int = 0  # when it was received
    volume: float = math.nan  # [USDT per 24 h]


def strip_multiplier(base: str) -> tuple[str, float]:
    """Return the coin behind a venue's base, and how many of it one base is: 1000PEPE is (PEPE, 1000.0)."""
    coin, multiplier = base, 1.0
    if match := _MILLION.match(coin):
        coin, multiplier = coin[match.end() :], 1e6
    while match := _LEADING.match(coin):
        coin, multiplier = coin[match.end() :], multiplier * float(match[1])
    if match := _TRAILING.search(coin):
        coin, multiplier = coin[: match.start()], multiplier * float(match[1])
    return coin, multiplier


def build_universe(
    listings: Mapping[str, Sequence[Listing]],
    quotes: Mapping[str, Iterable[Quotes]],
    settings: UniverseSettings,
    *,
    keep: Collection[tuple[str, str]] = (),
    before: Identities | None = None,
    held: Collection[str] = (),
) -> Universe:
    """Return what to watch, by venue as given and in the order of its list.

    Eligible is what trades within the volume band and is not excluded. Kept beside it, not eligible: Bitcoin, `keep`
    (the instruments of open signals) and possible lenders. Everything else is counted in `dropped`. `before` are the
    names of the last reload; no coin or instrument (`Instrument.key_name`) in `held` gets another.
    """
    dropped: dict[str, Counter[str]] = {venue: Counter() for venue in listings}
    prices: list[Price] = []
    reasons: dict[tuple[str, str], str] = {}  # why it cannot signal; "" if it can
    values = {venue: _values_by_id(quotes.get(venue, ())) for venue in listings}
    not_crypto = _not_crypto(listings, values)
    for venue, rows in listings.items():
        seen: set[str] = set()
        for row in rows:
            instrument = row.instrument
            if instrument.id in seen:  # a page that overlaps, or a filter that the venue ignores
                dropped[venue]["listed twice"] += 1
                continue
            seen.add(instrument.id)
            found = values[venue].get(instrument.id, _Values())
            reason = NOT_CRYPTO if instrument.key in not_crypto else row.dropped
            reason = reason or ("" if found.price > 0 else "no price")
            if reason and instrument.key not in keep:
                dropped[venue][reason] += 1
            else:
                instrument = replace(instrument, volume_usdt_24h=found.volume)
                reasons[instrument.key] = reason or _why_not_eligible(instrument, settings)
                prices.append(Price(instrument, found.price / instrument.multiplier, found.price_ms))
    identities = identify(prices, before or Identities(), held)
    named = [replace(one.instrument, coin=identities.coins[one.instrument.key]) for one in prices]
    borrowed = {one.coin for one in named if not reasons[one.key] and not _publishes_all(one)}
    instruments: list[Instrument] = []
    for instrument in named:
        lends = _publishes_all(instrument) and instrument.coin in borrowed
        if not reasons[instrument.key]:
            instruments.append(instrument)
        elif lends or instrument.coin == BTC or instrument.key in keep:
            instruments.append(replace(instrument, is_eligible=False))
        else:
            dropped[instrument.venue][reasons[instrument.key]] += 1
    return Universe(
        instruments=tuple(instruments),
        dropped={venue: dict(counts) for venue, counts in dropped.items()},
        identities=identities,
    )


def _not_crypto(
    listings: Mapping[str, Sequence[Listing]], values: Mapping[str, Mapping[str, _Values]]
) -> set[tuple[str, str]]:
    """Return the keys of what is a share, a commodity, a currency or an index.

    A venue's own flags decide where there are any. A row without is what the rows of other venues that share a name
    with it, and have no quite other price, are said to be, whatever those are dropped for; an explicit coin wins.
    """
    said: dict[bool, defaultdict[str, list[float]]] = {True: defaultdict(list), False: defaultdict(list)}
    prices = {
        row.instrument.key: values[venue].get(row.instrument.id, _Values()).price / row.instrument.multiplier
        for venue, rows in listings.items()
        for row in rows
    }
    everything = [row for rows in listings.values() for row in rows]
    for row in everything:
        if row.is_crypto is not None:
            for name in row.instrument.names:
                said[row.is_crypto][name].append(prices[row.instrument.key])

    def is_named(instrument: Instrument, by_name: Mapping[str, Sequence[float]]) -> bool:
        price = prices[instrument.key]
        others = (other for name in instrument.names for other in by_name.get(name, ()))
        # an unknown price separates no coins
        return any(not max(price / other, other / price) > SAME_THING for other in others)

    return {
        row.instrument.key
        for row in everything
        if row.is_crypto is False
        or (
            row.is_crypto is None and is_named(row.instrument, said[False]) and not is_named(row.instrument, said[True])
        )
    }


def _values_by_id(quotes: Iterable[Quotes]) -> dict[str, _Values]:
    columns: defaultdict[str, dict[str, tuple[float, int]]] = defaultdict(dict)
    for reply in quotes:
        for name in ("index_price", "mark_price", "bid_price", "volume_usdt_24h"):
            values: FloatArray | None = getattr(reply, name)
            if values is not None:
                pairs = zip(reply.ids, values.tolist(), strict=True)
                columns[name].update((key, (value, reply.received_ms)) for key, value in pairs if value > 0)
    volumes = columns["volume_usdt_24h"]
    # the index first: it is nobody's own opinion
    prices = columns["bid_price"] | columns["mark_price"] | columns["index_price"]
    unknown = math.nan, 0
    return {
        key: _Values(*prices.get(key, unknown), volumes.get(key, unknown)[0]) for key in prices.keys() | volumes.keys()
    }


def _why_not_eligible(instrument: Instrument, settings: UniverseSettings) -> str:
    if instrument.names & settings.exclude_coins:
        return "excluded"
    if instrument.is_innovation_zone and not settings.innovation_zone:
        return "innovation zone"
    if math.isnan(instrument.volume_usdt_24h):
        return "no volume"
    if instrument.volume_usdt_24h < settings.min_quote_volume:
        return "volume too low"
    if instrument.volume_usdt_24h > settings.max_quote_volume:
        return "volume too high"
    return ""


def _publishes_all(instrument: Instrument) -> bool:
    return instrument.publishes_trades and instrument.publishes_open_interest
