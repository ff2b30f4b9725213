"""A venue's sockets end to end, on loopback and on a virtual clock."""

import asyncio

import pytest

from fetchers.simulated.streams.stream_faults import StreamFault
from fetchers.streams.build import WIRES
from fetchers.streams.channel import State
from tests.fetchers.streams.stage import Stage, lose, rounded, staged
from tests.virtual_time import virtually

VENUES = tuple(WIRES)


@pytest.mark.parametrize("venue", VENUES)
@virtually
async def test_the_stream_gives_the_prints_of_the_market(venue: str) -> None:
    """Every print of every symbol, once, with its values, within the time of two readings."""
    async with staged(venue) as stage:
        await stage.until(0.5)
        await stage.run(5)
        from_ms = stage.clock.now_ms()
        await stage.run(30)
        to_ms = stage.clock.now_ms()
        await stage.run(1)
        given = [one for one in stage.prints(from_ms) if one[1] < to_ms]
        assert rounded(given) == rounded(stage.true_prints(from_ms, to_ms))
        assert len(given) > 100
        report = stage.stream.report(to_ms)
        assert (report.unreadable, report.gaps, report.repeated, report.late) == (0, 0, 0, 0)
        assert {channel.state for channel in report.channels} == {State.LIVE}
        assert not stage.stream.is_lagging(to_ms)
    assert asyncio.all_tasks() == {asyncio.current_task()}


def covered(stage: Stage) -> frozenset[str]:
    """Return what is covered now."""
    return stage.stream.covered(stage.clock.now_ms())


@pytest.mark.parametrize("venue", VENUES)
@virtually
async def test_a_lost_connection_covers_nothing_until_it_is_back(venue: str) -> None:
    """The first prints after it continue only what consecutive numbers prove."""
    async with staged(venue) as stage:
        await stage.until(0.9)
        await stage.run(2)
        await stage.servers.streams[venue].end_all(1012)
        await stage.pump()
        await stage.pump()
        assert covered(stage) == frozenset()
        lost_ms = stage.clock.now_ms()
        seconds = await stage.until(0.9)
        assert seconds < 20
        await stage.run(5)
        (channel,) = stage.stream.report(stage.clock.now_ms()).channels
        assert (channel.losses, channel.close_code) == (1, 1012)
        firsts: dict[str, bool] = {}
        for record in stage.records:
            if record.read_ms > lost_ms:
                for symbol, continues in zip(record.symbols, record.continues.tolist(), strict=True):
                    firsts.setdefault(symbol, continues)
        assert firsts
        assert venue == "binance" or not any(firsts.values())


@virtually
async def test_prints_missed_while_away_are_a_gap() -> None:
    """Binance's numbers show it: what comes after is not taken to continue what came before."""
    async with staged("binance") as stage:
        await stage.until(0.9)
        await stage.run(2)
        stage.servers.stream_faults["binance"]["hang"] = ""
        await stage.servers.streams["binance"].end_all(1006)
        await stage.run(30)
        assert covered(stage) == frozenset()
        assert "handshake" in stage.stream.report(stage.clock.now_ms()).channels[0].error
        del stage.servers.stream_faults["binance"]["hang"]
        back_ms = stage.clock.now_ms()
        await stage.until(0.9)
        await stage.run(10)
        for symbol in covered(stage):
            from_ms = stage.stream.covered_from_ms(symbol)
            assert from_ms is not None
            if from_ms < back_ms:  # so it had no print meanwhile
                assert not [one for one in stage.true_prints(back_ms - 29_000, back_ms) if one[0] == symbol]


@pytest.mark.parametrize("venue", VENUES)
@virtually
async def test_an_old_connection_is_replaced_without_a_gap(venue: str) -> None:
    """Before the venue ends it: the new one is heard first, each print is given once, and coverage never ends."""
    async with staged(venue) as stage:
        await stage.until(0.9)
        await stage.run(2)
        before, from_ms = covered(stage), stage.clock.now_ms()
        stage.stream.retire(from_ms)
        for _ in range(300):
            await stage.pump()
            assert before <= covered(stage)
        to_ms = stage.clock.now_ms()
        await stage.run(1)
        given = [one for one in stage.prints(from_ms) if one[1] < to_ms and one[0] in before]
        true = [one for one in stage.true_prints(from_ms, to_ms) if one[0] in before]
        assert rounded(given) == rounded(true)
        seen = stage.servers.streams_seen[venue]
        assert (seen.connects, seen.open) == (2, 1)
        assert all(bool(one) for record in stage.records[-20:] for one in record.continues.tolist())


@pytest.mark.parametrize("venue", VENUES)
@virtually
async def test_the_universe_changes(venue: str) -> None:
    """New symbols are subscribed, old ones left; nothing else is asked for, and nothing of what left is given."""
    async with staged(venue) as stage:
        everything = dict(stage.sizes)
        half = dict(list(everything.items())[::2])
        stage.stream.want(half, stage.clock.now_ms())
        stage.sizes = half
        await stage.until(0.9)
        stage.stream.want(everything, stage.clock.now_ms())
        stage.sizes = everything
        await stage.until(0.9)
        stage.stream.want(half, stage.clock.now_ms())
        assert covered(stage) <= set(half)
        stage.records.clear()
        await stage.run(5)
        assert {symbol for symbol, *_ in stage.prints()} <= set(half)
        stage.stream.want({}, stage.clock.now_ms())
        await stage.run(3)
        seen = stage.servers.streams_seen[venue]
        assert (seen.connects, seen.refused, seen.open) == (1, 0, 0)


@pytest.mark.parametrize("venue", VENUES)
@virtually
async def test_an_unknown_symbol_keeps_no_other_out(venue: str) -> None:
    """Whether it is refused, refuses all with it, or is accepted and silent."""
    async with staged(venue) as stage:
        stage.stream.want({**stage.sizes, "NOPEUSDT": 1.0, "NIXUSDT": 1.0}, stage.clock.now_ms())
        await stage.until(0.9)
        await stage.run(2)
        assert stage.servers.streams_seen[venue].refused == (0 if venue == "binance" else 2)


@pytest.mark.parametrize("venue", VENUES)
@virtually
async def test_a_symbol_that_trades_and_is_silent_is_asked_for_again(venue: str) -> None:
    """It is covered no more as soon as the quotes' volume shows it, and is back once it is heard."""
    async with staged(venue) as stage:
        await stage.until(0.9)
        busy = max(covered(stage), key=lambda symbol: sum(one[0] == symbol for one in stage.prints()))
        stage.servers.stream_faults[venue]["stall_one"] = busy
        volume = 1000.0
        for _ in range(60):
            volume += 1.0
            stage.stream.volume_seen(busy, volume, stage.clock.now_ms())
            if busy not in covered(stage):
                break
            await stage.run(1)
        assert busy not in covered(stage)
        assert stage.stream.covered_from_ms(busy) is None
        del stage.servers.stream_faults[venue]["stall_one"]
        await stage.run(8)
        assert busy in covered(stage)
        assert sum(channel.resyncs for channel in stage.stream.report(stage.clock.now_ms()).channels) == 1


@pytest.mark.parametrize("venue", VENUES)
@virtually
async def test_losses_and_no_limit_is_passed(venue: str) -> None:
    """Whatever the code, no subscription is refused and no pace passed; `make torture` has fifty of them."""
    seen = await lose(venue, 4)
    assert seen.connects > 4
    assert (seen.refused, seen.closed_for_pace) == (0, 0)
    assert seen.connects_5_min < 100
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(("fault", "hold_s"), [("too_many", 120), ("forbidden", 600)])
@virtually
async def test_a_refused_handshake_is_a_hold(fault: StreamFault, hold_s: float) -> None:
    """No connection is tried before it is over."""
    async with staged("bybit", start=False) as stage:
        stage.servers.stream_faults["bybit"][fault] = ""
        stage.stream.want(stage.sizes, stage.clock.now_ms())
        await stage.run(3)
        report = stage.stream.report(stage.clock.now_ms())
        assert report.held_until_ms > stage.clock.now_ms() + 1000 * (hold_s - 10)
        assert report.channels[0].state is State.DOWN
        stage.servers.stream_faults["bybit"].clear()
        await stage.run(30)
        assert stage.servers.streams_seen["bybit"].connects == 0


@virtually
async def test_a_pump_that_is_late_is_lag() -> None:
    """What is known is as old as our own reading of it."""
    async with staged("bybit") as stage:
        await stage.until(0.5)
        assert not stage.stream.is_lagging(stage.clock.now_ms())
        await stage.clock.sleep(1)
        assert stage.stream.is_lagging(stage.clock.now_ms())
        await stage.pump()
        await stage.pump()
        assert not stage.stream.is_lagging(stage.clock.now_ms())
