"""A simulated market with a setup from time to time, for as long as a soak takes, in a process of its own.

`python -m tests.soak.market SECONDS COINS` prints its addresses as one line of JSON and ends when its standard input
is closed.
"""

import asyncio
import sys
from collections.abc import Callable

from bot.cli.demo import demo_settings
from bot.clock import SystemClock
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.scenario import Fate, Planted, Scenario
from fetchers.simulated.server import Servers, serve
from tests.torture.market import keep_serving

SEED = 19
MOST_SETUPS = 60  #: each is a coin of its own, listed all the while
EVERY_S, HOLD_S = 60.0, 14.0
FATES: tuple[Fate, ...] = ("take_profit", "stop_loss", "timeout")
VENUES = ("binance", "bybit", "mexc")


def planted(seconds: float) -> tuple[Planted, ...]:
    """Plan one setup a minute; in a longer run fewer, evenly over the whole of it."""
    every_s = max(EVERY_S, seconds / MOST_SETUPS)
    return tuple(
        Planted(
            coin=f"SOAK{number:03}",
            venue=VENUES[number % len(VENUES)],
            start_s=max(24.0, number * every_s),
            hold_s=HOLD_S,
            fate=FATES[number // len(VENUES) % len(FATES)],
        )
        for number in range(1, int(seconds / every_s))
    )


async def serve_market(seconds: float, coins: int, now_ms: Callable[[], int]) -> Servers:
    """Serve the market from now on."""
    scenario = Scenario(settings=demo_settings().features, planted=planted(seconds))
    market = SimulatedMarket(seed=SEED, coins_per_venue=coins, scenario=scenario, start_ms=now_ms())
    return await serve(market, now_ms)


async def main(seconds: float, coins: int) -> None:
    """Serve until standard input ends."""
    await keep_serving(await serve_market(seconds, coins, SystemClock().now_ms))


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), int(sys.argv[2])))
