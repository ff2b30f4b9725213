"""Near misses are followed to what they would have made, at no venue's cost, through restarts too."""

import math
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from bot.core.near_misses import MOST_FOLLOWED, NearMisses
from bot.core.open_signals import OpenSignals
from bot.core.tick import Seen, View
from features.facts.market import Trades
from features.frame import FeatureFrame
from features.settings import FeatureSettings
from features.state.market_state import MarketState
from features.state.snapshot import take_windows
from fetchers.poll_plan import Key
from fetchers.simulated.scenario import Planted
from scoring.settings import ScoringSettings
from scoring.signals import ExitReason, NearMiss
from storage.store import Store
from tests.bot.stage import staged
from tests.bot.watched import Watched
from tests.builders import NOW_MS, feature_frame, instrument, trades
from tests.scoring.frames import ideal, levels
from tests.scoring.frames import signal as make_signal

pytestmark = pytest.mark.long

SETTINGS = ScoringSettings()
COINS = ("A", "B", "C")
COLUMN = {("bybit", f"{coin}USDT"): place for place, coin in enumerate(COINS)}


def near_miss(coin: str = "A", **changed: object) -> NearMiss:
    """Return a near miss at 100 with its target at 98 and its stop at 101."""
    record = NearMiss(
        decided_ms=NOW_MS,
        venue="bybit",
        instrument_id=f"{coin}USDT",
        coin=coin,
        score=70.0,
        entry=100.0,
        failed=("score",),
        levels=levels(),
    )
    return replace(record, **changed)  # type: ignore[arg-type]


def frame(seconds: float, **changed: object) -> FeatureFrame:
    """Return what a tick so long after the decision sees."""
    instruments = [instrument(id=f"{coin}USDT") for coin in COINS]
    times = dict.fromkeys(("price_ms", "book_ms"), NOW_MS + round(1000 * seconds))
    return feature_frame(instruments, now_ms=NOW_MS + round(1000 * seconds), **times, **changed)


def view(
    features: FeatureFrame, seen: Seen = MappingProxyType({}), column: Mapping[Key, int] = MappingProxyType(COLUMN)
) -> View:
    """Return that as the market of a tick."""
    return View(features=features, column=column, seen=seen)


def following(store: Store, *, started_ms: int = NOW_MS - 1000) -> NearMisses:
    """Return what follows near misses in a bot that started then."""
    source = Watched(make_signal())
    return NearMisses(store, OpenSignals(source, SETTINGS, max_data_age_s=15.0, started_ms=started_ms, asks=False))


async def remember(store: Store, misses: NearMisses, *new: NearMiss) -> list[NearMiss]:
    """Do what a tick does with new near misses."""
    chosen = misses.choose(new)
    saved = await store.load()
    await store.remember([], saved.limits, [], new, followed=chosen)
    await misses.begin(chosen)
    return chosen


async def outcomes(store: Store) -> dict[str, ExitReason | None]:
    """Return how near misses have ended by coin."""
    rows = await store.near_misses.find(0)
    return {one.coin: outcome.reason if outcome else None for one, outcome in rows}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Yield an empty database."""
    async with await Store.open(tmp_path / "sgnl.db") as opened:
        yield opened


async def test_to_its_end(store: Store) -> None:
    """One is stopped by the quotes, one reaches its target by a print that came along, one is still open."""
    misses = following(store)
    await remember(store, misses, *map(near_miss, COINS))
    bids, asks = [101.5, 99.0, 99.5], [101.6, 99.1, 99.6]
    key = ("bybit", "BUSDT")
    print_below = trades([(NOW_MS + 4000, 97.9, 1.0, True)], id="BUSDT")
    await misses.follow(view(frame(5, best_bid=bids, best_ask=asks), {key: [print_below]}))
    assert await outcomes(store) == {"A": ExitReason.STOP_LOSS, "B": ExitReason.TAKE_PROFIT, "C": None}
    rows = {one.coin: outcome for one, outcome in await store.near_misses.find(0)}
    assert rows["A"] is not None
    assert rows["A"].fill == 101.6
    assert ideal(rows["A"]).net_percent == pytest.approx(-1.7)
    assert [one.signal.coin for one in misses.followed.values()] == ["C"]


async def test_what_quotes_alone_have_judged_is_marked(store: Store) -> None:
    """Where prints came all the time it is judged like a signal; where they left a gap or never came it says so."""
    misses = following(store)
    await remember(store, misses, *map(near_miss, COINS))
    quiet = {"best_bid": 99.9, "best_ask": 100.0}

    def prints(coin: str, seconds: float, *, continues: bool = True) -> dict[tuple[str, str], list[Trades]]:
        now_ms = NOW_MS + round(1000 * seconds)
        one = trades([(now_ms, 99.95, 1.0, True)], id=f"{coin}USDT", exchange_ms=now_ms, continues=continues)
        return {("bybit", one.id): [one]}

    for seconds in range(5, 60, 5):
        seen = prints("A", seconds) | (prints("B", seconds) if seconds in (5, 55) else {})
        await misses.follow(view(frame(seconds, **quiet), seen))
    await misses.follow(view(frame(60, best_bid=97.0, best_ask=97.1)))
    rows = {one.coin: outcome for one, outcome in await store.near_misses.find(0)}
    assert {coin: outcome and (outcome.is_by_quotes, outcome.note) for coin, outcome in rows.items()} == {
        "A": (False, ""),
        "B": (True, "at times only quotes were seen"),
        "C": (True, "only quotes were seen"),
    }


async def test_prints_with_a_hole_are_not_all(store: Store) -> None:
    """Prints that do not continue the last ones may have left out a stop."""
    misses = following(store)
    await remember(store, misses, near_miss("A"))
    for seconds, continues in ((5, True), (10, False)):
        now_ms = NOW_MS + 1000 * seconds
        one = trades([(now_ms, 99.95, 1.0, True)], id="AUSDT", exchange_ms=now_ms, continues=continues)
        await misses.follow(view(frame(seconds, best_bid=99.9, best_ask=100.0), {("bybit", "AUSDT"): [one]}))
    await misses.follow(view(frame(15, best_bid=97.0, best_ask=97.1)))
    ((_, outcome),) = await store.near_misses.find(0)
    assert outcome is not None
    assert outcome.is_by_quotes


async def test_a_restart(store: Store) -> None:
    """What is followed goes on from where it was saved, and says that a restart came between."""
    misses = following(store)
    await remember(store, misses, near_miss("A"), near_miss("B"))
    await misses.follow(view(frame(5, best_bid=[99.0, 99.5, 1], best_ask=[99.1, 99.6, 1.1])))
    saved = await store.load()
    assert [one.signal.coin for one in saved.followed] == ["A", "B"], "killed before the windows were saved"
    assert [one.looked_ms for one in saved.followed] == [NOW_MS, NOW_MS]
    await store.windows.save(take_windows(MarketState((), FeatureSettings())), tuple(misses.followed.values()))
    saved = await store.load()
    assert [(one.looked_ms, one.best_price) for one in saved.followed] == [(NOW_MS + 5000, 99.1), (NOW_MS + 5000, 99.6)]

    again = following(store, started_ms=NOW_MS + 60_000)
    again.resume(saved.followed)
    await again.follow(view(frame(70, best_bid=[102.0, 99.5, 1], best_ask=[102.1, 99.6, 1.1])))
    ((_, ended),) = [row for row in await store.near_misses.find(0) if row[1] is not None]
    assert ended is not None
    assert ended.note == "settled from the first quote after a restart; only quotes were seen"
    assert [one.signal.coin for one in (await store.load()).followed] == ["B"]


async def test_one_of_a_coin(store: Store) -> None:
    """A coin that is being followed is not followed twice, though every near miss is kept."""
    misses = following(store)
    await remember(store, misses, near_miss("A"))
    assert await remember(store, misses, near_miss("A", decided_ms=NOW_MS + 5000, failed=("sweep",))) == []
    assert len(await store.near_misses.find(0)) == 2
    assert len(misses.followed) == 1


async def test_no_more_than_so_many(store: Store) -> None:
    """The best are followed as far as there is room; those without levels cannot be."""
    misses = following(store)
    many = [near_miss(f"C{number}") for number in range(MOST_FOLLOWED + 5)]
    chosen = await remember(store, misses, near_miss("A", levels=None, entry=math.nan), *many)
    assert chosen == many[:MOST_FOLLOWED]
    assert len((await store.load()).followed) == MOST_FOLLOWED


async def test_unseen_and_gone(store: Store) -> None:
    """One without a quote waits, be its pair watched or not; at its time-out what it made is not known."""
    misses = following(store)
    await remember(store, misses, near_miss("A"), near_miss("Z"))
    await misses.follow(view(frame(5, best_bid=math.nan, best_ask=math.nan)))
    assert [one.signal.coin for one in misses.followed.values()] == ["A", "Z"]
    await misses.follow(view(frame(3610)))
    assert await outcomes(store) == {"A": ExitReason.TIMEOUT, "Z": None}
    await misses.follow(view(frame(4000)))
    assert await outcomes(store) == {"A": ExitReason.TIMEOUT, "Z": ExitReason.NOT_KNOWN}
    rows = {one.coin: outcome for one, outcome in await store.near_misses.find(0)}
    assert rows["Z"] is not None
    assert (rows["Z"].ideal, rows["Z"].reachable) == (None, None)


async def test_in_the_bot(tmp_path: Path) -> None:
    """A decoy that one gate refuses is followed to its target although nothing is polled for it."""
    decoy = Planted(coin="KORVA", venue="bybit", start_s=22, hold_s=10, fate="take_profit", lacks="bid_depth")
    async with staged(tmp_path, decoy, exchanges={"bybit"}) as stage, stage.bot() as bot:
        await bot.tick_for(75)
        assert await bot.store.signals.find() == []
        rows = await bot.store.near_misses.find(0)
        ended = [outcome for one, outcome in rows if one.coin == "KORVA" and outcome is not None]
        assert ended
        assert {outcome.reason for outcome in ended} <= {ExitReason.TAKE_PROFIT, ExitReason.TIMEOUT}
