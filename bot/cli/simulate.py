"""`bot simulate`: serve the simulated market only."""

import argparse
import asyncio
from dataclasses import asdict

import orjson

from bot.cli import demo
from bot.cli.shared import DONE, Subparsers, say
from bot.clock import SystemClock
from bot.lifecycle import Interrupt, until_input_ends
from fetchers.simulated.market import SimulatedMarket
from fetchers.simulated.server import serve


def add(commands: Subparsers) -> None:
    """Add the command."""
    command = commands.add_parser("simulate", help="serve the simulated market only, and print its addresses")
    demo.add_market_arguments(command, "for how long setups are planted")
    command.add_argument("--until-eof", action="store_true", help="end when standard input is closed")
    command.set_defaults(run=run)


async def run(options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Serve it until interrupted, or until standard input ends."""
    clock = SystemClock()
    scenario = demo.scenario_for(demo.demo_settings(), options.seconds)
    start_ms = clock.now_ms()
    market = SimulatedMarket(seed=demo.SEED, coins_per_venue=options.coins, scenario=scenario, start_ms=start_ms)
    servers = await serve(market, clock.now_ms)
    try:
        planted = [asdict(planted) for planted in scenario.planted]
        told = {
            "urls": servers.urls,
            "start_ms": start_ms,
            "planted": planted,
            "legs": list(map(asdict, scenario.legs)),
        }
        say(orjson.dumps(told).decode())
        if options.until_eof:
            await until_input_ends()
        else:
            await asyncio.Event().wait()
    finally:
        await servers.close()
    return DONE
