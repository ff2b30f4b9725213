"""`bot demo`: the bot's main job against a simulated market that runs in a process of its own.

Time is compressed by settings alone; the bot's code knows nothing of it. What the demo overrides it prints.
"""

import argparse
import asyncio
import os
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from bot.cli.run import run_bot
from bot.cli.shared import DONE, Subparsers, say
from bot.cli.summary import as_text
from bot.clock import SystemClock
from bot.config.load import load_config
from bot.config.settings import SETTINGS, Config
from bot.lifecycle import Interrupt
from features.facts.venues import VENUES
from fetchers.simulated.legs import PlantedLeg
from fetchers.simulated.scenario import Planted, Scenario, default_scenario

SECONDS = 120.0
COINS = 60
SEED = 7
START_DEADLINE_S = 30.0
#: a tick every two seconds is what Binance's published limit leaves room for; the windows shrink with it
OVERRIDES = {
    "REFRESH_INTERVAL": "2",
    "OI_WINDOW_SECONDS": "20",
    "BOOK_WINDOW_SECONDS": "40",
    "FLOW_WINDOW_SECONDS": "10",
    "SWEEP_BASELINE_SECONDS": "30",
    "SWEEP_TTL_SECONDS": "8",
    "BTC_WINDOW_SECONDS": "20",
    "MOMENTUM_WINDOW_SECONDS": "2",
    "BURST_LIMIT": "10",
    "MAX_DAILY_TRADES": "50",
    "STOPLOSS_GUARD_COUNT": "10",
    "SIGNAL_TIMEOUT_SECONDS": "30",
    "REACH_SECONDS": "3",
    "HTTP_PORT": "0",
    "LOG_LEVEL": "WARNING",
}
#: from the environment; with levels among the strategies legs are planted
TAKEN_OVER = ("STRATEGIES", "STREAMS", "QUOTES_INTERVAL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """The simulated market's process as the demo sees it."""

    urls: Mapping[str, str]
    planted: tuple[Planted | PlantedLeg, ...]
    start_ms: int


def add(commands: Subparsers) -> None:
    """Add the command."""
    command = commands.add_parser("demo", help="the same on a simulated market, with nothing configured")
    add_market_arguments(command, "how long (default %(default).0f)")
    command.set_defaults(run=run)


def add_market_arguments(command: argparse.ArgumentParser, seconds_help: str) -> None:
    """Add the length and the size of the simulated market."""
    command.add_argument("--seconds", type=_seconds, default=SECONDS, help=seconds_help)
    command.add_argument("--coins", type=_coins, default=COINS, help="coins a venue (default %(default)s)")


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 1 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"was {text}, expected 1 to 86400")
    return seconds


def _coins(text: str) -> int:
    coins = int(text)
    if not 10 <= coins <= 1000:
        raise argparse.ArgumentTypeError(f"was {text}, expected 10 to 1000")
    return coins


async def run(options: argparse.Namespace, interrupt: Interrupt) -> int:
    """Run the bot against the simulated market, then print what it did."""
    say("SGNL demo: a simulated market of four venues on this machine. Overridden for it:")
    say("  " + ", ".join(f"{name}={value}" for name, value in _settings().items()))
    async with simulated_market(options.seconds, options.coins) as market, temporary_data() as data_dir:
        config = demo_config(market, data_dir)
        done = await run_bot(config, interrupt, seconds=options.seconds)
    say(as_text(done))
    if config.tape.is_on:
        say(f"tape: python -m bot replay {config.tape.folder}/*")
    say(planted_summary(market, done.coins, SystemClock().now_ms()))
    return DONE


def demo_settings() -> Config:
    """Return the settings the simulated market is planted for; the venues' addresses come later."""
    return load_config(_settings())


def _settings() -> dict[str, str]:
    return OVERRIDES | {name: os.environ[name] for name in TAKEN_OVER if name in os.environ}


def scenario_for(config: Config, seconds: float) -> Scenario:
    """Plan what is planted in a market that runs for `seconds`."""
    return default_scenario(
        config.features,
        seconds=seconds,
        signal_timeout_s=config.scoring.signal_timeout_s,
        candle_interval_s=config.kept_candles.candle_interval_s if config.kept_candles else 0,
    )


def demo_config(market: Market, data_dir: Path) -> Config:
    """Return the settings of the demo's bot; with TAPE=on its tape stays, in the DATA_DIR of the environment."""
    own = {"DATA_DIR": str(data_dir), "TAPE": os.environ.get("TAPE", "")}
    config = load_config(_settings() | addresses(market.urls) | own)
    kept = Path(os.environ.get("DATA_DIR") or SETTINGS["DATA_DIR"].default) / "tape"
    return replace(config, tape=replace(config.tape, folder=kept))


def addresses(urls: Mapping[str, str]) -> dict[str, str]:
    """Return the settings that lead a bot to simulated venues at these URLs; their streams are at the same ports."""
    calls = {f"{venue.upper()}_URL": url for venue, url in urls.items()}
    streams = {
        f"{venue.upper()}_STREAM_URL": "ws" + url.removeprefix("http")
        for venue, url in urls.items()
        if VENUES[venue].has_stream
    }
    return calls | streams


@asynccontextmanager
async def simulated_market(seconds: float, coins: int) -> AsyncIterator[Market]:
    """Run the market in a process of its own, so that its work does not count as the bot's; it ends with the context.

    Raises
    ------
    RuntimeError
        It did not come up; its own words are on stderr.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "simulate", "--seconds", str(seconds), "--coins", str(coins), "--until-eof"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C is for the bot, which then ends the market by closing its input
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_DEADLINE_S):
            line = await process.stdout.readline()
        if not line:
            raise RuntimeError("the simulated market did not start")
        told = orjson.loads(line)
        planted = tuple(Planted(**row) for row in told["planted"])
        legs = tuple(PlantedLeg(**row) for row in told["legs"])
        yield Market(urls=told["urls"], planted=(*planted, *legs), start_ms=told["start_ms"])
    finally:
        process.stdin.close()
        await process.wait()


@asynccontextmanager
async def temporary_data() -> AsyncIterator[Path]:
    """Give the demo's database a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="sgnl-demo-") as folder:
        yield Path(folder)


def planted_summary(market: Market, alerted_coins: Iterable[str], ended_ms: int) -> str:
    """Say how many of the setups whose time had come alerted exactly once, and whether a decoy did."""
    times = Counter(alerted_coins)
    due = [planted for planted in market.planted if market.start_ms + 1000 * planted.end_s <= ended_ms]
    setups = [planted.coin for planted in due if planted.lacks is None]
    decoys = [planted.coin for planted in market.planted if planted.lacks is not None]
    once = sum(times[coin] == 1 for coin in setups)
    fooled = [coin for coin in decoys if times[coin]]
    known = {planted.coin for planted in market.planted}
    others = sorted(times.keys() - known)
    return (
        f"planted setups alerted exactly once: {once} of {len(setups)}; "
        f"decoys alerted: {len(fooled)} of {len(decoys)}{_named(fooled)}; others alerted: {len(others)}{_named(others)}"
    )


def _named(coins: Iterable[str]) -> str:
    names = ", ".join(coins)
    return f" ({names})" if names else ""
