"""Which tickers are the same coin, over reloads in which prices drift apart and come back."""

import math
from collections.abc import Iterable, Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from fetchers.identity import APART_MS, SAME_COIN, SAME_SECONDS_MS, Identities, Price, identify
from tests.builders import NOW_MS, instrument

VENUES = ("bybit", "mexc", "lbank")


def prices(
    by_venue: Mapping[str, float], now_ms: int = NOW_MS, *, late: Mapping[str, int] | None = None
) -> list[Price]:
    """Return a price of PEPE on each venue, those of `late` that many milliseconds old."""
    return [
        Price(instrument(venue=venue, id="PEPEUSDT", volume_usdt_24h=5e6), usdt, now_ms - (late or {}).get(venue, 0))
        for venue, usdt in by_venue.items()
    ]


def names(found: Identities) -> dict[str, str]:
    """Return the coin by venue."""
    return {venue: coin for (venue, _), coin in found.coins.items()}


def after(before: Identities, minutes: float, by_venue: Mapping[str, float], held: Iterable[str] = ()) -> Identities:
    """Return what a reload makes of them that long after NOW_MS."""
    return identify(prices(by_venue, NOW_MS + round(60_000 * minutes)), before, frozenset(held))


AGREE = dict.fromkeys(VENUES, 1.0)
APART = AGREE | {"lbank": 1.031}  # LBank's index lags a fall
ONE_COIN = identify(prices(AGREE), Identities())


def test_the_first_reload_decides_at_once() -> None:
    """Nobody knows the instruments yet."""
    assert names(ONE_COIN) == dict.fromkeys(VENUES, "PEPE")
    assert names(identify(prices(APART), Identities())) == {"bybit": "PEPE", "mexc": "PEPE", "lbank": "PEPE@lbank"}


def test_one_reload_renames_nobody() -> None:
    """Prices that part for a moment leave the names as they are, and nothing is remembered once they agree again."""
    parted = after(ONE_COIN, 15, APART)
    assert names(parted) == names(ONE_COIN)
    together = after(parted, 30, AGREE)
    assert (names(together), dict(together.renamings)) == (names(ONE_COIN), {})
    assert names(after(together, 45, APART)) == names(ONE_COIN), "the count begins anew"


def test_two_reloads_apart_rename() -> None:
    """What two reloads say at least a minute apart is so, both ways; a reload right behind the first is none."""
    first = after(ONE_COIN, 15, APART)
    assert names(after(first, 15.5, APART)) == names(ONE_COIN)
    second = after(first, 16, APART)
    assert names(second) == {"bybit": "PEPE", "mexc": "PEPE", "lbank": "PEPE@lbank"}
    back = after(after(second, 31, AGREE), 46, AGREE)
    assert names(back) == names(ONE_COIN)


def test_another_name_the_second_time() -> None:
    """The two reloads have to say the same."""
    first = after(ONE_COIN, 15, APART)
    second = after(first, 30, AGREE | {"mexc": 1.04})
    assert names(second) == names(ONE_COIN)
    assert names(after(second, 45, AGREE | {"mexc": 1.04}))["mexc"] == "PEPE@mexc"


def test_what_is_in_use_keeps_its_name() -> None:
    """While a coin or one of its instruments is open, muted or cooling, none of the ticker is renamed; later it is."""
    for held in ({"PEPE"}, {"lbank:PEPEUSDT"}, {"bybit:PEPEUSDT"}, {"pepe"}):
        found = ONE_COIN
        for reload in range(1, 6):
            found = after(found, 15 * reload, APART, held)
            assert names(found) == names(ONE_COIN)
        assert names(after(found, 90, APART))["lbank"] == "PEPE@lbank"
    assert names(after(after(ONE_COIN, 15, APART), 30, APART, {"DOGE"}))["lbank"] == "PEPE@lbank"


def test_groups_that_change_places_do_so_together() -> None:
    """Where the larger group becomes the smaller, no moment gives two things one name."""
    many = {"bybit": 1.0, "mexc": 1.0, "lbank": 9.0}
    before = identify(prices(many), Identities())
    more = many | {"binance": 9.0, "okx": 9.0}
    for held in ((), {"PEPE"}):
        found = after(before, 15, more, held)
        assert names(found) == names(before) | {"binance": "PEPE@lbank", "okx": "PEPE@lbank"}
    assert names(after(found, 30, more)) == {
        "bybit": "PEPE@bybit",
        "mexc": "PEPE@mexc",
        **dict.fromkeys(("lbank", "binance", "okx"), "PEPE"),
    }


def test_prices_of_other_seconds_are_not_compared() -> None:
    """A venue that answered minutes ago says nothing of what a coin is now."""
    stale = {"lbank": SAME_SECONDS_MS + 1}
    found = ONE_COIN
    for reload in range(1, 4):
        found = identify(prices(APART, NOW_MS + reload * 900_000, late=stale), found)
        assert names(found) == names(ONE_COIN)
    assert not found.renamings


def test_no_price() -> None:
    """An instrument of an open signal that has no price now is still what it was."""
    found = after(after(ONE_COIN, 15, AGREE | {"lbank": math.nan}), 30, AGREE | {"lbank": math.nan})
    assert names(found) == names(ONE_COIN)


def test_two_namesakes_on_one_venue() -> None:
    """They are not one coin because neither is the known one."""
    others = [
        Price(instrument(venue="lbank", id=f"{n}PEPEUSDT", coin="PEPE"), usdt, NOW_MS) for n, usdt in ((1, 5), (2, 9))
    ]
    found = identify([*prices({"bybit": 1.0, "mexc": 1.0}), *others], Identities())
    assert len(set(found.coins.values())) == 3


@given(
    reloads=st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from(VENUES), st.sampled_from([1.0, 1.02, 1.031, 1.2, 7.0]), min_size=1),
            st.integers(min_value=1_000, max_value=3_600_000),
            st.sampled_from([(), ("PEPE",), ("mexc:PEPEUSDT",)]),
        ),
        max_size=12,
    )
)
@settings(max_examples=300, deadline=None)
def test_any_reloads(reloads: list[tuple[dict[str, float], int, tuple[str, ...]]]) -> None:
    """A known name changes only unheld, at the price's word of two reloads apart; a new one never joins another's."""
    found, now_ms = Identities(), NOW_MS
    asked: dict[str, tuple[str, int]] = {}  # by venue: the other name the prices ask for, and since when
    for by_venue, step_ms, held in reloads:
        now_ms += step_ms
        fresh = names(identify(prices(by_venue, now_ms), Identities()))
        before, found = found, identify(prices(by_venue, now_ms), found, held)
        was = names(before)
        asked = {
            venue: asked[venue] if asked.get(venue, ("", 0))[0] == coin else (coin, now_ms)
            for venue, coin in fresh.items()
            if was.get(venue, coin) != coin
        }
        known = {venue: coin for venue, coin in names(found).items() if venue in was}
        changed = {venue for venue, coin in known.items() if coin != was[venue]}
        is_held = any(name == "PEPE" or name.partition(":")[0] in by_venue for name in held)
        may_change = not is_held and all(now_ms - since_ms >= APART_MS for _, since_ms in asked.values())
        assert changed == (set(asked) if may_change else set())
        new = set(names(found)) - set(was)
        asked |= {venue: (fresh[venue], now_ms) for venue in new if names(found)[venue] != fresh[venue]}
        for venue in new:
            sharers = [other for other, coin in known.items() if coin == names(found)[venue] and other in by_venue]
            prices_of = [sorted((by_venue[venue], by_venue[other])) for other in sharers]
            assert not sharers or any(high <= SAME_COIN * low for low, high in prices_of)
