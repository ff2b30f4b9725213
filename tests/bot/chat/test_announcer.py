"""What the running bot says of its limits, on the simulated market."""

from pathlib import Path

from fetchers.simulated.scenario import Planted
from tests.bot.stage import staged


def setup(coin: str, venue: str, fate: str = "timeout") -> Planted:
    """A setup that is there after 22 s."""
    return Planted(coin=coin, venue=venue, start_s=22, hold_s=10, fate=fate)  # type: ignore[arg-type]


async def test_storm(tmp_path: Path) -> None:
    """The coin that only the burst limit refused is named once, and is no signal."""
    pair = (setup("KORVA", "bybit"), setup("NIMBA", "mexc"))
    async with staged(tmp_path, *pair, exchanges={"bybit", "mexc"}, BURST_LIMIT="1") as stage, stage.bot() as bot:
        await bot.tick_for(36)
        ((signal, _),) = await bot.store.signals.find()
        text = stage.terminal.getvalue()
    (other,) = {"KORVA", "NIMBA"} - {signal.coin}
    assert text.count("Many at once") == 1
    assert f" {other} " in text.partition("no record counts them:")[2].splitlines()[1]


async def test_guard_and_cap(tmp_path: Path) -> None:
    """The day's last alert and a stop too many are told, once each; the guard with its end."""
    stopped = setup("KORVA", "bybit", "stop_loss")
    async with (
        staged(tmp_path, stopped, exchanges={"bybit"}, STOPLOSS_GUARD_COUNT="1", MAX_DAILY_TRADES="1") as stage,
        stage.bot() as bot,
    ):
        await bot.tick_for(60)
        text = stage.terminal.getvalue()
    assert text.count("All 1 alerts of today are used") == 1
    assert text.count("Stop-loss guard: 1 stop within 1 h") == 1
    assert text.index("SL hit") < text.index("Stop-loss guard")
