"""The feed and the clock of a replay."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from features.facts.market import Candles, OrderBook, Trades, read_only
from features.state.arrays import STATE
from features.state.market_state import MarketState
from fetchers.health import Condition
from fetchers.tape.player import TapePlayer, joined
from fetchers.tape.records import CandleReply, Watched
from tests.builders import NOW_MS, instrument, order_book, quotes
from tests.features.markets import INSTRUMENTS, SHORT, random_market
from tests.fetchers.tape.builders import tick


def candles_of(received_ms: int) -> Candles:
    """Return a candle as it was received then."""
    price = read_only([1.0], float)
    return Candles(
        venue="bybit",
        id="PEPEUSDT",
        open_ms=read_only([NOW_MS], int),
        open=price,
        high=price,
        low=price,
        close=price,
        received_ms=received_ms,
    )


async def test_a_tick() -> None:
    """A tick is handed out in its order, at its readings of the clock."""
    player, seen = TapePlayer(NOW_MS - 1), tick(0, watched=Watched(instruments=(instrument(),)), clock_step_ms=70)
    assert player.now_ms() == NOW_MS - 1
    assert player.universe.instruments == ()
    player.load(seen)
    assert (player.rebase(), player.rebase()) == (70, 0)
    universe = player.universe
    assert universe.instruments == (instrument(),)
    assert player.now_ms() == player.now_ms() == player.monotonic_ms() == seen.started_ms
    assert await player.poll_quotes() == list(seen.quotes)
    portions = [portion async for portion in player.poll_candidates(list)]
    assert portions == [[one for portion in seen.portions for one in portion]], "in one go: nothing waits in between"
    assert [player.now_ms() for _ in range(3)] == [seen.seen_ms, seen.decided_ms, seen.decided_ms]
    player.load(tick(1))
    assert player.universe is universe, "the same object: nothing was reloaded"
    assert player.rebase() == 0
    player.renew()
    await player.sleep(1e9)
    assert (player.notices(), player.changes()) == ([], {})


async def test_candles() -> None:
    """Candles come where they were asked for, as often as they did, and not again in a later tick."""
    key = ("bybit", "PEPEUSDT")
    known, late = candles_of(NOW_MS), candles_of(NOW_MS + 10_000_000)
    player = TapePlayer(NOW_MS)
    replies = [CandleReply(key=key, since_ms=since_ms, candles=one) for since_ms, one in ((5, known), (6, late))]
    player.load(tick(0, candles=replies))
    assert await player.fetch_candles(key, 5) is known
    assert await player.fetch_candles(key, 5) is None
    assert await player.fetch_candles(key, 6) is None, "it came later than the tick ended"
    player.load(tick(1))
    assert await player.fetch_candles(key, 5) is None


async def test_nothing_from_the_future() -> None:
    """What was received after the polls were over is not handed out, wherever on the tape it stands."""
    later = tick(0).seen_ms + 1
    player = TapePlayer(NOW_MS)
    player.load(tick(0, quotes=[quotes(received_ms=later)], portions=[[order_book(), order_book(received_ms=later)]]))
    assert await player.poll_quotes() == []
    assert [len(portion) async for portion in player.poll_candidates(list)] == [1]
    assert player.from_the_future == 2


@pytest.mark.parametrize("seed", range(12))
def test_joined_portions_leave_the_same_bits(seed: int) -> None:
    """A market that takes each tick in many portions, some of the future, and one that takes few of them."""
    random = np.random.default_rng(seed)
    apart, together = (MarketState(INSTRUMENTS, SHORT) for _ in range(2))
    portions_seen = groups_seen = 0
    for now in random_market(seed, 60, damage=0.2).ticks:
        come = list(now.observations)
        for one in now.observations:  # a second look in the same tick, now and then one of the future
            if isinstance(one, OrderBook | Trades) and random.random() < 0.3:
                later_ms = 200_000 if random.random() < 0.1 else 1
                come.append(replace(one, exchange_ms=one.exchange_ms + later_ms))
        cuts = np.unique(np.append([0, len(come)], random.integers(0, len(come) + 1, 4))).tolist()
        portions = [come[begin:end] for begin, end in pairwise(cuts)]
        groups = list(joined(portions, now.now_ms))
        portions_seen, groups_seen = portions_seen + len(portions), groups_seen + len(groups)
        for state, parts in ((apart, portions), (together, groups)):
            state.advance(now.now_ms)
            for part in parts:
                state.append(part)
    assert groups_seen < portions_seen
    for quantity in STATE:
        assert getattr(apart, quantity.name).tobytes() == getattr(together, quantity.name).tobytes(), quantity.name


def test_conditions() -> None:
    """A venue is as it was until the tape says otherwise."""
    player = TapePlayer(NOW_MS)
    player.load(tick(0, conditions={"bybit": "blind"}))
    player.load(tick(1))
    assert player.status()["bybit"].condition is Condition.BLIND
