"""The catalogue: recorded coins, real oddities, planted coins, and invented low-caps to fill each venue up."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import floor, log10

from features.facts.venues import VENUES
from fetchers.simulated.legs import PlantedLeg
from fetchers.simulated.named_coins import NAMED, ODD, ListingKind
from fetchers.simulated.recordings import Recording
from fetchers.simulated.scenario import Planted
from fetchers.simulated.wires import wire_module


@dataclass(frozen=True, slots=True, kw_only=True)
class Coin:
    """Something with one price path; two coins may share a name."""

    name: str
    price_usdt: float  #: [USDT per coin] around which the path moves
    volume_usdt_24h: float  #: [USDT] on its biggest venue
    volatility: float = 0.03  #: deviation of the log price within a day
    funding_rate_8h: float = 0.0001


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a venue's market list."""

    venue: str
    id: str
    coin: int  #: place in the catalogue's coins
    base: str
    quote: str = "USDT"
    alias: str = ""  #: LBank's display name where it differs from the base
    kind: ListingKind = ListingKind.PERPETUAL
    multiplier: float = 1.0  #: [coins per base]
    contract_size: float = 1.0  #: [base per contract]
    tick: float
    price_decimals: int
    step: float  #: smallest quantity in the venue's own unit (base, MEXC contracts)
    quantity_decimals: int
    spread_bps: float
    depth_usdt: float  #: weighted bid depth within 1 % on an ordinary day
    volume_usdt_24h: float
    open_interest_usdt: float
    funding_interval_h: int = 8
    has_funding: bool = True
    has_index: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ListingRules:
    """One venue's rules for listing coins: LISTING in its wire module."""

    rank: int  #: by what is traded there, 1 for most; the catalogue is drawn in this order
    recorded_share: float = 0.3  #: of a recorded coin's volume
    id_suffix: str = "USDT"  #: after the base
    counts_contracts: bool = False  #: quantities are whole contracts of about 1 USDT, not base coin
    finish: Callable[[Row], Row] = lambda row: row  #: adds what only this venue has


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All coins, and each venue's rows."""

    coins: tuple[Coin, ...]
    rows: dict[str, tuple[Row, ...]]


LEG_PRICE = 2.0  #: [USDT]
_SYLLABLES = [a + b for a, b in zip("BCDFGHJKLMNPRSTVWXYZ", "AOIUAEIUOAEOIUAEIOUE", strict=True)]


def build_catalogue(
    *,
    seed: int,
    coins_per_venue: int,
    planted: tuple[Planted, ...],
    legs: tuple[PlantedLeg, ...] = (),
    recordings: dict[str, Recording],
) -> Catalogue:
    """List the recorded, named and planted coins, and invented ones until each venue has `coins_per_venue` at least."""
    chance = random.Random(seed)
    coins: list[Coin] = []
    rows: dict[str, list[Row]] = {venue: [] for venue in sorted(VENUES, key=lambda venue: _rules(venue).rank)}
    for name, recording in recordings.items():
        volume = recording.traded_per_s()[1] * recording.mean_price * 86400
        coins.append(Coin(name=name, price_usdt=recording.mean_price, volume_usdt_24h=volume))
        for venue, listed_there in rows.items():
            row = _row(venue, len(coins) - 1, coins[-1], share=_rules(venue).recorded_share, digits=5)
            listed_there.append(replace(row, spread_bps=0.0))  # one tick
    for name, price, listed in NAMED:
        coins.append(Coin(name=name, price_usdt=price, volume_usdt_24h=40e6))
        for venue, (base, multiplier, contract_size) in listed.items():
            row = _row(venue, len(coins) - 1, coins[-1], base=base, multiplier=multiplier, contract_size=contract_size)
            rows[venue].append(row)
    _add_odd(coins, rows)
    for setup in planted:
        coins.append(_planted_coin(setup, chance))
        for venue in {setup.venue: None, setup.flow_venue: None}:
            row = _row(venue, len(coins) - 1, coins[-1])
            rows[venue].append(_planted_row(row, setup))
    _fill(coins, rows, coins_per_venue, chance)
    for leg in legs:  # last, so that they change no other coin
        coins.append(Coin(name=leg.coin, price_usdt=LEG_PRICE, volume_usdt_24h=12e6, volatility=0.0))
        row = _row(leg.venue, len(coins) - 1, coins[-1], digits=5)
        rows[leg.venue].append(replace(row, spread_bps=1.0, depth_usdt=30_000.0))
    return Catalogue(coins=tuple(coins), rows={venue: tuple(listed) for venue, listed in rows.items()})


def _add_odd(coins: list[Coin], rows: dict[str, list[Row]]) -> None:
    for name, price, kind, listed in ODD:
        if price:
            coins.append(Coin(name=name, price_usdt=price, volume_usdt_24h=20e6))
        place = max(i for i, coin in enumerate(coins) if coin.name == name)
        for venue, (row_id, base, quote) in listed.items():
            row = _row(venue, place, coins[place], base=base, share=0.1)
            rows[venue].append(replace(row, id=row_id, quote=quote, kind=kind))


def _planted_coin(setup: Planted, chance: random.Random) -> Coin:
    # a fine tick (a mantissa of 2 to 9), and hardly a move of its own: what happens is the setup
    price = chance.uniform(2, 9) * 10.0 ** chance.randint(-3, 0)
    return Coin(name=setup.coin, price_usdt=price, volume_usdt_24h=12e6, volatility=0.004)


def _planted_row(row: Row, setup: Planted) -> Row:
    depth = {"bid_depth": 4_000.0, "spread": 150_000.0}.get(setup.lacks or "", 30_000.0)
    return replace(row, spread_bps=90.0 if setup.lacks == "spread" else 3.0, depth_usdt=depth)


def _fill(coins: list[Coin], rows: dict[str, list[Row]], coins_per_venue: int, chance: random.Random) -> None:
    taken = {coin.name for coin in coins}
    names = _invent_names(chance)
    while wanting := [venue for venue in rows if _count(rows[venue]) < coins_per_venue]:
        name = next(names)
        if name in taken:
            continue
        taken.add(name)
        coins.append(
            Coin(
                name=name,
                price_usdt=10.0 ** chance.uniform(-5.5, 2.5),
                # mostly between 0.5 and 200 million, some outside on purpose: the universe filters them
                volume_usdt_24h=10.0 ** min(max(chance.gauss(6.8, 0.65), 5.0), 8.6),
                volatility=chance.uniform(0.02, 0.05),
                funding_rate_8h=min(max(chance.gauss(0.00006, 0.00009), -0.0004), 0.00035),
            )
        )
        for share, venue in enumerate(chance.sample(wanting, k=min(len(wanting), chance.choice((1, 2, 2, 3, 4))))):
            interval = chance.choice((8, 8, 4, 4, 1))
            digits = chance.choice((3, 4, 4, 5))
            row = _row(venue, len(coins) - 1, coins[-1], share=0.6**share, digits=digits)
            spread = chance.uniform(2, 20)
            rows[venue].append(replace(row, funding_interval_h=interval, spread_bps=spread))


def _count(rows: list[Row]) -> int:
    return sum(row.kind is ListingKind.PERPETUAL for row in rows)


def _invent_names(chance: random.Random) -> Iterator[str]:
    while True:
        yield "".join(chance.choices(_SYLLABLES, k=chance.choice((2, 3, 3)))) + chance.choice(("", "N", "R", "X"))


def _rules(venue: str) -> ListingRules:
    rules: ListingRules = wire_module(venue).LISTING
    return rules


def _row(
    venue: str,
    place: int,
    coin: Coin,
    *,
    base: str = "",
    multiplier: float = 1.0,
    contract_size: float = 0.0,
    share: float = 1.0,
    digits: int = 4,
) -> Row:
    rules = _rules(venue)
    base = base or coin.name
    price = coin.price_usdt * multiplier
    tick_power = floor(log10(price)) - digits
    if rules.counts_contracts:
        contract_size = contract_size or 10.0 ** round(log10(1 / price))  # about 1 USDT
        step_power = 0
    else:
        contract_size = 1.0
        step_power = min(0, round(log10(0.1 / price)))
    volume = coin.volume_usdt_24h * share
    row = Row(
        venue=venue,
        id=base + rules.id_suffix,
        coin=place,
        base=base,
        alias=base,
        multiplier=multiplier,
        contract_size=contract_size,
        tick=float(f"1e{tick_power}"),
        price_decimals=max(0, -tick_power),
        step=float(f"1e{step_power}"),
        quantity_decimals=-step_power,
        spread_bps=1.0,
        depth_usdt=min(max(0.0015 * volume, 1_500.0), 2e6),
        volume_usdt_24h=volume,
        open_interest_usdt=0.3 * volume,
    )
    return rules.finish(row)
