"""The feed and the clock of a replay."""

from features.facts.market import Candles, read_only
from fetchers.health import Condition
from fetchers.tape.player import TapePlayer
from fetchers.tape.records import CandleReply, Watched
from tests.builders import NOW_MS, instrument, order_book, quotes
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
    assert portions == [list(portion) for portion in seen.portions]
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


def test_conditions() -> None:
    """A venue is as it was until the tape says otherwise."""
    player = TapePlayer(NOW_MS)
    player.load(tick(0, conditions={"bybit": "blind"}))
    player.load(tick(1))
    assert player.status()["bybit"].condition is Condition.BLIND
