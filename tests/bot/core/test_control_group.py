"""The control group in the bot: drawn and stored with the alert, followed like it, and unseen by gates and people."""

import asyncio
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.control_group import ControlGroup
from bot.core.open_signals import OpenSignals
from bot.core.tick import Seen, View
from features.facts.market import Candles
from features.frame import FeatureFrame
from fetchers.poll_plan import Key
from fetchers.simulated.scenario import Planted
from scoring.controls import LATE_MS, draw_controls
from scoring.limits import after_outcome
from scoring.records import Closed, kind_of
from scoring.signals import Arm, Control, ExitReason, Outcome
from storage.errors import StorageError
from storage.store import Store
from tests.bot.stage import staged
from tests.bot.watched import Watched
from tests.builders import NOW_MS, instrument, trades
from tests.scoring.frames import SETTINGS, UPS, check, ideal, passing, signal
from tests.storage.builders import make_control

pytestmark = pytest.mark.long

COINS = ("A", "B", "C")
COLUMN = {("bybit", f"{coin}USDT"): place for place, coin in enumerate(COINS)}
ALERT = signal(instrument_id="AUSDT", coin="A", version="1-a")
SETUP = Planted(coin="KORVA", venue="bybit", start_s=22, hold_s=10, fate="take_profit")


class WithoutCandles(Watched):
    """A venue that answers no request for candles."""

    async def fetch_candles(self, _key: Key, _since_ms: int) -> Candles | None:
        """Return nothing."""
        return None


def frame(now_ms: int, **changed: Any) -> FeatureFrame:
    """Return what a tick sees at that time: three instruments at 100, unless changed."""
    instruments = [instrument(id=f"{coin}USDT") for coin in COINS]
    times = dict.fromkeys(("price_ms", "book_ms"), now_ms)
    return passing(instruments=instruments, now_ms=now_ms, **times, **changed)


def view(
    features: FeatureFrame, seen: Seen = MappingProxyType({}), column: Mapping[Key, int] = MappingProxyType(COLUMN)
) -> View:
    """Return that as the market of a tick."""
    return View(features=features, column=column, seen=seen)


def group_of(store: Store, started_ms: int = NOW_MS - 1000) -> ControlGroup:
    """Return the control group of a bot that started then."""
    source = WithoutCandles(ALERT)
    source.universe = replace(source.universe, instruments=frame(NOW_MS).instruments)
    following = OpenSignals(source, SETTINGS, max_data_age_s=15.0, started_ms=started_ms, asks=True)
    return ControlGroup(store, following, SETTINGS, (UPS,))


async def alerted(store: Store, group: ControlGroup) -> dict[Arm, Control]:
    """Do what a tick does with an alert."""
    features = frame(NOW_MS)
    controls = tuple(draw_controls(ALERT, *check(features)))
    await store.remember([ALERT], (await store.load()).limits, [], controls=controls)
    group.add(controls, [ALERT], view(features))
    return {control.arm: control for control in controls}


async def outcomes(store: Store) -> dict[Arm, Outcome | None]:
    """Return how the alert's controls have ended."""
    return {control.arm: outcome for control, outcome in await store.controls.of_signal(ALERT.id)}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """Yield an empty database."""
    async with await Store.open(tmp_path / "sgnl.db") as opened:
        yield opened


async def test_both_to_their_ends(store: Store) -> None:
    """The other instrument meets its stop by a print, the other time begins at its time and meets its target."""
    group = group_of(store)
    other, later = (await alerted(store, group)).values()
    assert other.levels is not None
    assert group.keys(NOW_MS) == {("bybit", other.instrument_id)}
    key = ("bybit", other.instrument_id)
    above = trades([(NOW_MS + 4000, 102.0, 1.0, False)], id=other.instrument_id, exchange_ms=NOW_MS + 5000)
    (closed,) = await group.follow(view(frame(NOW_MS + 5000), {key: [above]}))
    assert closed == Closed(kind_of(ALERT), ALERT.score, NOW_MS, True, None, None, is_control=True), "before 15 s"
    stopped = (await outcomes(store))[Arm.OTHER_INSTRUMENT]
    assert stopped is not None
    assert (stopped.reason, stopped.fill) == (ExitReason.STOP_LOSS, 102.0)
    assert stopped.signal_id == other.id

    begin_ms = later.decided_ms + 2000
    assert group.keys(begin_ms) == {("bybit", "AUSDT")}, "it is polled as soon as its time has come"
    assert await group.follow(view(frame(begin_ms, best_bid=90.0, best_ask=90.02))) == []
    (begun, _) = (await store.controls.of_signal(ALERT.id))[1]
    assert begun.levels is not None
    assert (begun.decided_ms, begun.levels.entry) == (begin_ms, 90.0)
    prints = trades([(begin_ms + 16_000, 90.0, 1.0, True)], id="AUSDT", exchange_ms=begin_ms + 16_000)
    quote = {"best_bid": 90.0, "best_ask": 90.02}
    await group.follow(view(frame(begin_ms + 16_000, **quote), {("bybit", "AUSDT"): [prints]}))
    below = trades([(begin_ms + 19_000, 80.0, 1.0, True)], id="AUSDT", exchange_ms=begin_ms + 20_000)
    (closed,) = await group.follow(view(frame(begin_ms + 20_000, **quote), {("bybit", "AUSDT"): [below]}))
    ended = (await outcomes(store))[Arm.OTHER_TIME]
    assert ideal(ended).r > 1
    assert closed.r == pytest.approx(ideal(ended).r)
    assert (closed.decided_ms, closed.score) == (NOW_MS, ALERT.score), "it stands under its alert's day and band"
    assert [one async for one in store.controls.closed_figures()] == [closed._replace(net_percent=None, r=None), closed]
    assert group.followed == {}
    assert (await store.load()).controls == ()


async def test_a_restart(store: Store) -> None:
    """One that is followed goes on from its last look, one that waits keeps its time."""
    other, later = (await alerted(store, group_of(store))).values()
    first = group_of(store)
    first.resume((await store.load()).controls)
    assert list(first.followed) == [other.id], "killed right after the commit of the alert"
    await first.follow(view(frame(NOW_MS + 5000, best_bid=99.0, best_ask=99.02)))
    again = group_of(store)
    again.resume((await store.load()).controls)
    assert [(one.looked_ms, one.best_price) for one in again.followed.values()] == [(NOW_MS + 5000, 99.02)]
    assert again.keys(later.decided_ms) >= {("bybit", "AUSDT")}
    await again.follow(view(frame(later.decided_ms), column={}))
    late = await again.follow(view(frame(later.decided_ms + LATE_MS + 1), column={}))
    assert {(one.is_known, one.is_control) for one in late} == {(False, True)}
    ended = (await outcomes(store))[Arm.OTHER_TIME]
    assert ended is not None
    assert (ended.reason, ended.note) == (ExitReason.NOT_KNOWN, "it could not be entered at its time")


async def test_the_clock_is_set(store: Store) -> None:
    """A step moves what is followed and what waits, in memory as on disk."""
    group = group_of(store)
    other, later = (await alerted(store, group)).values()
    step_ms = 3_600_000
    group.shift_clock(step_ms)
    limits = (await store.load()).limits
    await store.shift_clock(step_ms, limits, (), (), tuple(group.followed.values()))
    for moved in (group, group_of(store)):
        if moved is not group:
            moved.resume((await store.load()).controls)
        assert moved.followed[other.id].decided_ms == other.decided_ms + step_ms
        assert moved.followed[other.id].looked_ms == NOW_MS + step_ms
        assert ("bybit", "AUSDT") not in moved.keys(later.decided_ms)
        assert ("bybit", "AUSDT") in moved.keys(later.decided_ms + step_ms)


async def test_with_the_alert_or_not_at_all(store: Store) -> None:
    """Alert and controls are one transaction."""
    one, other = draw_controls(ALERT, *check(frame(NOW_MS)))
    twice = replace(other, id=one.id)
    with pytest.raises((StorageError, sqlite3.IntegrityError)):
        await store.remember([ALERT], (await store.load()).limits, [], controls=[one, twice])
    assert await store.signals.find() == []
    assert await store.controls.of_signal(ALERT.id) == []


async def test_a_full_disk(store: Store, tmp_path: Path) -> None:
    """What is done with controls while memory stands in for the disk is brought to the disk later."""
    group = group_of(store)
    other, later = (await alerted(store, group)).values()
    good = store.database._writer
    async with await Store.open(tmp_path / "other.db") as broken:
        await broken.database._writer.execute("PRAGMA query_only = ON")
        store.database._writer = broken.database._writer
        below = trades([(NOW_MS + 4000, 90.0, 1.0, True)], id=other.instrument_id, exchange_ms=NOW_MS + 5000)
        try:
            await group.follow(view(frame(NOW_MS + 5000), {("bybit", other.instrument_id): [below]}))
            assert store.database.fault != ""
            await group.follow(view(frame(later.decided_ms)))
        finally:
            store.database._writer = good
    await store.database.recover()
    assert store.database.fault == ""
    found = {
        control.arm: (control.levels is not None, outcome) for control, outcome in await store.controls.of_signal(1)
    }
    assert found[Arm.OTHER_TIME] == (True, None)
    assert found[Arm.OTHER_INSTRUMENT][1] is not None


async def test_in_a_bot(tmp_path: Path) -> None:
    """A real alert draws two controls, one runs to its end through a kill; nobody is told and no limit knows."""
    async with staged(tmp_path, SETUP, exchanges={"bybit"}) as stage:
        async with stage.bot() as bot:
            await bot.tick_for(30)
            ((alert, _),) = await bot.store.signals.find()
            controls = {control.arm: control for control, _ in await bot.store.controls.of_signal(alert.id)}
            assert list(controls) == [Arm.OTHER_INSTRUMENT, Arm.OTHER_TIME]
            other = controls[Arm.OTHER_INSTRUMENT]
            assert (other.venue, other.decided_ms) == (alert.venue, alert.decided_ms)
            assert ("bybit", other.instrument_id) in bot.orchestrator.ledger.open_keys()
            assert bot.orchestrator.ledger.open_names() == {"KORVA", alert.key_name}
            limits = bot.orchestrator.ledger.limits
            assert set(limits.last_signal_ms) == {"KORVA"}
            assert set(limits.last_of_instrument_ms) == {alert.key_name}
        async with stage.bot() as bot:
            await bot.tick_for(120)
            ((alert, outcome),) = await bot.store.signals.find()
            assert outcome is not None
            ended = {control.arm: end for control, end in await bot.store.controls.of_signal(alert.id)}
            assert ended[Arm.OTHER_TIME] is None
            end = ended[Arm.OTHER_INSTRUMENT]
            assert end is not None
            assert end.ideal is not None
            assert end.reason is ExitReason.TIMEOUT
            assert bot.orchestrator.ledger.limits == after_outcome(limits, alert, outcome, stage.config.scoring)
            record = bot.orchestrator.ledger.records.like(alert)
            assert (record.alerts.n, record.chance.n) == (1, 1)
    with closing(sqlite3.connect(tmp_path / "sgnl.db")) as database:
        told = database.execute("SELECT kind, signal_id, html FROM outbox").fetchall()
    assert {signal_id for kind, signal_id, _ in told if kind in ("entry", "exit")} == {alert.id}
    assert not any(other.coin in html for _, _, html in told)


@given(
    st.lists(
        st.tuples(st.sampled_from([5, 10, 40]), st.floats(97.5, 101.5), st.booleans(), st.booleans()),
        min_size=1,
        max_size=30,
    )
)
@settings(max_examples=40, deadline=None)
def test_followed_like_an_alert(looks: list[tuple[int, float, bool, bool]]) -> None:
    """A control on an alert's own instrument and time has the alert's own outcome, to the bit, whatever is seen."""

    async def follow() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with await Store.open(Path(folder) / "sgnl.db") as store:
                group, source = group_of(store), WithoutCandles(ALERT)
                twin = make_control(levels=ALERT.levels, decided_ms=NOW_MS, instrument_id="AUSDT", coin="A")
                await store.remember([ALERT], (await store.load()).limits, [], controls=[twin])
                group.add([twin], [ALERT], view(frame(NOW_MS)))
                alerts = OpenSignals(source, SETTINGS, max_data_age_s=15.0, started_ms=NOW_MS - 1000, asks=True)
                alerts.begin([ALERT], view(frame(NOW_MS)))
                now_ms = NOW_MS
                for wait_s, price, has_print, has_quote in looks:
                    now_ms += 1000 * wait_s
                    quote = (price, price + 0.02) if has_quote else (float("nan"), float("nan"))
                    one = trades([(now_ms, price, 1.0, True)], id="AUSDT", exchange_ms=now_ms)
                    seen = {("bybit", "AUSDT"): [one] if has_print else []}
                    features = frame(now_ms, best_bid=quote[0], best_ask=quote[1])
                    ((_, after),) = await alerts.judge(view(features, seen))
                    await group.follow(view(features, seen))
                    if isinstance(after, Outcome):
                        ended = (await outcomes(store))[Arm.OTHER_INSTRUMENT]
                        assert repr(ended) == repr(replace(after, signal_id=twin.id))
                        return
                    (followed,) = group.followed.values()
                    assert repr(replace(followed, signal=ALERT)) == repr(after)

    asyncio.run(follow())
