"""Levels from the wire to the alert and from a tape again: planted legs, and decoys that lack one thing each."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot.cli.demo import demo_settings, scenario_for
from bot.replay import Replay
from fetchers.simulated.coins import LEG_PRICE
from fetchers.simulated.legs import ENTRY, HEIGHT, default_legs
from scoring.signals import ExitReason, Side
from tests.bot.stage import staged
from tests.fetchers.tape.builders import same
from tests.virtual_time import VirtualClock, run_virtually

pytestmark = pytest.mark.long


@pytest.mark.alone
def test_each_planted_leg_is_alerted_once_at_its_price_and_no_decoy_is(tmp_path: Path) -> None:
    """One long and one short of levels, both with all their targets, from the tape to the same bits; decoys never."""
    legs = default_legs(first_s=40, seconds=100)

    async def main() -> None:
        settings = {"STRATEGIES": "ups,levels", "TAPE": "on", "DATA_DIR": str(tmp_path)}
        async with (
            staged(tmp_path, legs=legs, exchanges={"bybit"}, clock=VirtualClock(), **settings) as stage,
            stage.bot() as bot,
        ):
            while stage.clock.monotonic_ms() < stage.start_ms + 100_000:
                await bot.orchestrator.tick()
                await stage.clock.sleep(2)
            rows = sorted(await bot.store.signals.find(), key=lambda row: row[0].id)
        async with Replay() as replay:
            replayed = await replay.play(sorted((tmp_path / "tape").iterdir()))
        assert (replayed.differs_ms, replayed.digest) == (None, replayed.recorded_digest)
        assert same([(replace(signal, code_hash=""), outcome) for signal, outcome in replayed.rows], rows)
        found = {signal.coin: (signal, outcome) for signal, outcome in rows}
        assert len(found) == len(rows)
        assert set(found) == {"LEGUP", "LEGDOWN"}
        for coin, side, share in (("LEGUP", Side.LONG, 1 - ENTRY["long"]), ("LEGDOWN", Side.SHORT, ENTRY["short"])):
            signal, outcome = found[coin]
            assert (signal.strategy, signal.side) == ("levels", side)
            assert signal.levels.entry == pytest.approx(LEG_PRICE * (1 + HEIGHT * share), rel=5e-4)
            assert outcome is not None
            assert outcome.reason is ExitReason.TAKE_PROFIT
            assert outcome.targets_hit == 3

    run_virtually(main())


def test_the_demo_plants_legs_only_where_levels_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain demo has no other coins than before."""
    assert scenario_for(demo_settings(), 120).legs == ()
    monkeypatch.setenv("STRATEGIES", "ups,levels")
    assert {leg.lacks for leg in scenario_for(demo_settings(), 120).legs} == {None, "range", "gone", "zone"}
