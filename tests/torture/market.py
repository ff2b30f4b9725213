"""A simulated market full of setups, in a process of its own: `python -m tests.torture.market SEED SECONDS`.

It prints its addresses as one line of JSON and ends when its standard input is closed.
"""

import asyncio
import json
import sys

from bot.clock import SystemClock
from bot.config.load import load_config
from bot.lifecycle import until_input_ends
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.scenario import Fate, Planted, Scenario
from fetchers.simulated.server import Servers, serve

#: everything short, so that a life of seconds sees signals and exits; but a restart takes less than a third of the
#: open interest's window, so that some row of the last life is always old enough
SETTINGS = {
    "EXCHANGES": "bybit",
    "REFRESH_INTERVAL": "0.5",
    "OI_WINDOW_SECONDS": "16",
    "BOOK_WINDOW_SECONDS": "20",
    "FLOW_WINDOW_SECONDS": "6",
    "SWEEP_BASELINE_SECONDS": "20",
    "SWEEP_TTL_SECONDS": "6",
    "BTC_WINDOW_SECONDS": "10",
    "MOMENTUM_WINDOW_SECONDS": "1",
    "SIGNAL_TIMEOUT_SECONDS": "5",
    "REACH_SECONDS": "1",
    "COOLDOWN_SECONDS": "5",
    # a group takes 20 messages a minute: as many as these alerts and their exits make
    "BURST_LIMIT": "2",
    "BURST_WINDOW_SECONDS": "12",
    "NOTICE_MESSAGES": "off",
    "STORM_MESSAGES": "off",
    "STOPLOSS_GUARD_COUNT": "100",
    "HTTP_PORT": "0",
    "LOG_LEVEL": "WARNING",
}
EVERY_S = 3.0  #: a setup begins
HOLD_S = 12.0
FATES: tuple[Fate, ...] = ("take_profit", "stop_loss", "timeout")


async def main(seed: int, seconds: float) -> None:
    """Serve until standard input ends."""
    clock = SystemClock()
    planted = tuple(
        Planted(coin=f"KILL{number:03}", venue="bybit", start_s=number * EVERY_S, hold_s=HOLD_S, fate=FATES[number % 3])
        for number in range(2, int(seconds / EVERY_S))
    )
    scenario = Scenario(settings=load_config(SETTINGS).features, planted=planted)
    market = SimulatedMarket(seed=seed, coins_per_venue=12, scenario=scenario, start_ms=clock.now_ms())
    servers = await serve(market, clock.now_ms)
    await keep_serving(servers)


async def keep_serving(servers: Servers) -> None:
    """Print the addresses, and close the servers when standard input ends."""
    try:
        sys.stdout.write(json.dumps(servers.urls) + "\n")
        sys.stdout.flush()
        await until_input_ends()
    finally:
        await servers.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), float(sys.argv[2])))
