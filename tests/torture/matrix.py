"""The fault matrix: the whole bot on a virtual clock, one endpoint of one venue going wrong in one way after another.

What must hold, whatever goes wrong: the other venue's tick keeps its cadence; every alert is true to the market as it
was; the venue is back within two ticks of the fault's end (or of the hold it led to); and each kind of call logs one
line when it begins to fail and one when it works again.
"""

import re
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from loguru import logger

from features.facts.market import OrderBook
from fetchers.health import Condition
from fetchers.simulated.scenario import Planted
from fetchers.simulated.server import Fault
from scoring.signals import Signal
from tests.bot.stage import RunningBot, staged
from tests.torture.faults import ENDPOINTS, delisted, faults_of
from tests.virtual_time import VirtualClock, run_virtually

ALL = "all of them"  #: in place of one endpoint's role
TICK_S = 2.0
FAULTY_TICKS, BACK_WITHIN_TICKS, CALM_TICKS = 4, 2, 5
RELOAD_TICKS, WHOLE_TICKS = 14, 40
SETUPS, FIRST_S, EVERY_S, HOLD_S = 60, 22.0, 60.0, 10.0
TOLERANCE = 0.003  #: between an alert's entry and the bids of the seconds before it
MAX_AGE_S = 15.0

_NEWS = re.compile(r"^(?P<venue>\w+)(?: (?P<kind>[\w ]+))?: (?P<what>failing|recovered|no \w+|[\w ]+ are back)")


@dataclass(slots=True)
class Cell:
    """One fault at one endpoint, and what was wrong with how the bot bore it."""

    venue: str
    role: str
    fault: str
    problems: list[str] = field(default_factory=list)


def other_of(venue: str) -> str:
    """Return the healthy venue beside; LBank's coins lend from it."""
    return "binance" if venue == "bybit" else "bybit"


@asynccontextmanager
async def watched(folder: Path, venue: str) -> AsyncIterator[RunningBot]:
    """Run a bot on this venue and another, with a setup on it every minute, on a virtual clock."""
    flow_venue = "bybit" if venue == "lbank" else venue
    planted = [
        Planted(
            coin=f"PLANT{chr(65 + i // 26)}{chr(65 + i % 26)}",
            venue=venue,
            flow_venue=flow_venue,
            start_s=FIRST_S + EVERY_S * i,
            hold_s=HOLD_S,
            fate="take_profit",
        )
        for i in range(SETUPS)
    ]
    async with (
        staged(
            folder,
            *planted,
            exchanges={venue, other_of(venue)},
            clock=VirtualClock(),
            MAX_DAILY_TRADES="1000",
            UNIVERSE_RELOAD_SECONDS="20",
        ) as stage,
        stage.bot() as bot,
    ):
        yield bot


def run_group(group: tuple[str, str]) -> list[Cell]:
    """Run all cells of one (venue, role), one after the other, on one bot; in a process of its own."""
    logger.remove()
    venue, role = group

    async def run() -> list[Cell]:
        with tempfile.TemporaryDirectory() as folder:
            async with watched(Path(folder), venue) as bot:
                if role == ALL:
                    cells = [await try_refusal(bot, venue), await try_delisting(bot, venue)]
                else:
                    cells = [await try_cell(bot, venue, role, name, fault) for name, fault in faults_of(venue, role)]
                return [*cells, await try_whole(bot, venue, role)]

    return run_virtually(run())


async def try_cell(bot: RunningBot, venue: str, role: str, name: str, fault: Fault) -> Cell:
    """Let one thing go wrong for a few ticks, and look at what the bot makes of it."""
    cell = Cell(venue, role, name)
    faults = bot.stage.servers.faults[venue]
    with _log() as lines:
        faults[ENDPOINTS[venue][role]] = fault
        bot.feed._pollers[venue].backfill.renew(bot.stage.clock.now_ms())  # so that its endpoints are asked as well
        await _ticks(bot, cell, FAULTY_TICKS)
        faults.clear()
        await _sit_out_hold(bot, venue)
        await _ticks(bot, cell, BACK_WITHIN_TICKS)
        _check_back(bot, cell)
        await _ticks(bot, cell, CALM_TICKS)
    _check_log(lines, cell)
    return cell


async def try_refusal(bot: RunningBot, venue: str) -> Cell:
    """Let nobody listen for a few ticks."""
    cell = Cell(venue, ALL, "refused")
    with _log() as lines:
        await bot.stage.servers.refuse(venue)
        await _ticks(bot, cell, FAULTY_TICKS)
        await bot.stage.servers.accept(venue)
        await _ticks(bot, cell, BACK_WITHIN_TICKS)
        _check_back(bot, cell)
        await _ticks(bot, cell, CALM_TICKS)
    _check_log(lines, cell)
    return cell


async def try_delisting(bot: RunningBot, venue: str) -> Cell:
    """Let three coins be delisted, and listed again: they leave and enter with the reload, and no column shifts."""
    cell = Cell(venue, ALL, "delisting")
    mine = [one for one in bot.feed.universe.instruments if one.venue == venue and one.base != "BTC"][:3]
    for gone in (True, False):
        if gone:
            bot.stage.servers.faults[venue][""] = delisted(
                frozenset(one.id.split("USDT")[0].strip("_") for one in mine)
            )
        else:
            bot.stage.servers.faults[venue].clear()
        await _ticks(bot, cell, RELOAD_TICKS)
        watched_keys = {one.key for one in bot.feed.universe.instruments}
        if any((one.key in watched_keys) == gone for one in mine):
            cell.problems.append(f"after a reload the coins had not {'left' if gone else 'come back'}")
        state = bot.orchestrator.market.state
        if [one.key for one in state.instruments] != list(state.column):
            cell.problems.append("a column was shifted")
    _check_back(bot, cell)
    return cell


async def check_alerts(bot: RunningBot) -> tuple[int, list[str]]:
    """Return how many alerts there were, and which were not true to the market."""
    signals = [signal for signal, _ in await bot.store.signals.find(limit=10_000)]
    return len(signals), [problem for signal in signals if (problem := _untrue(bot, signal))]


async def try_whole(bot: RunningBot, venue: str, role: str) -> Cell:
    """After all of it: the bot still finds the setups that come."""
    cell = Cell(venue, role, "none any more")
    before, _ = await check_alerts(bot)
    await _ticks(bot, cell, WHOLE_TICKS)
    after, untrue = await check_alerts(bot)
    if after == before:
        cell.problems.append("no setup was found afterwards")
    cell.problems += untrue
    return cell


async def _ticks(bot: RunningBot, cell: Cell, count: int) -> None:
    for _ in range(count):
        await _tick(bot, cell)


async def _tick(bot: RunningBot, cell: Cell) -> None:
    clock = bot.stage.clock
    began_ms = clock.now_ms()
    await bot.orchestrator.tick()
    await bot.delivery.drain(1)
    took_s = (clock.now_ms() - began_ms) / 1000
    if took_s > TICK_S:
        cell.problems.append(f"a tick took {took_s:.1f} s of {TICK_S:g}")
    seen_ms = bot.feed.status()[other_of(cell.venue)].last_quotes_ms
    if seen_ms is None or began_ms - seen_ms > 0:
        cell.problems.append(f"no quotes of {other_of(cell.venue)} in a tick")
    await clock.sleep(max(0.0, TICK_S - took_s))


async def _sit_out_hold(bot: RunningBot, venue: str) -> None:
    """Pass over the time the venue asked for, and that until its budget has room: no call of ours goes until then."""
    poller = bot.feed._pollers[venue]
    pools = dict.fromkeys(
        (*poller.venue.candidate_cost, *poller.venue.kept_for_quotes, *poller.venue.history_cost), 1.0
    )
    while (left_ms := poller.venue.budget.held_until_ms(pools) - bot.stage.clock.now_ms()) > 0:
        await bot.stage.clock.sleep(left_ms / 1000)
    # nor is a poll that the cells before have spent the minute's budget for, asking for all history again
    budget, cost = poller.venue.budget, poller.venue.candidate_cost
    kept_free = {pool: (BACK_WITHIN_TICKS + 1) * amount for pool, amount in poller.venue.kept_for_quotes.items()}
    while (wait_s := budget.wait_s(cost, bot.stage.clock.now_ms(), kept_free=kept_free)) > 0:
        await bot.stage.clock.sleep(wait_s)


def _check_back(bot: RunningBot, cell: Cell) -> None:
    report, now_ms = bot.feed.status()[cell.venue], bot.stage.clock.now_ms()
    if report.condition not in (Condition.OK, Condition.DEGRADED):
        cell.problems.append(f"still {report.condition} after two ticks")
    state = bot.orchestrator.market.state
    here = np.array([instrument.venue == cell.venue for instrument in state.instruments])
    waiting = [one.exchange_ms for one in bot.feed._pollers[cell.venue].arrived if isinstance(one, OrderBook)]
    newest = {
        "prices": int(state.price_ms[here].max(initial=0)),
        "books": max(int(state.book_ms[here].max(initial=0)), *waiting, 0),  # the next tick takes the rotation's
    }
    for what, time_ms in newest.items():
        age_ms = now_ms - time_ms
        if age_ms > BACK_WITHIN_TICKS * 1000 * TICK_S:
            cell.problems.append(f"the newest {what} are {age_ms / 1000:.0f} s old after two ticks")


def _check_log(lines: Iterable[str], cell: Cell) -> None:
    begun: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    for line in lines:
        if (news := _NEWS.match(line)) is None:
            continue
        what = news["what"]
        if what == "failing" or what.startswith("no "):
            begun[f"{news['venue']} {news['kind'] or what.removeprefix('no ')}"] += 1
        else:
            ended[f"{news['venue']} {news['kind'] or what.removesuffix(' are back')}"] += 1
    cell.problems += [f"{what}: {count} lines when it began" for what, count in begun.items() if count > 1]
    cell.problems += [f"{what}: {count} lines when it ended" for what, count in ended.items() if count > 1]


def _untrue(bot: RunningBot, signal: Signal) -> str:
    market = bot.stage.servers.market
    elapsed_s = (signal.decided_ms - market.start_ms) / 1000
    if not signal.coin.startswith("PLANT"):
        return f"{signal.coin} was alerted, where nothing was"
    place = market.place(signal.venue, signal.instrument_id)
    assert place is not None
    bids = [
        float(market.snapshot(signal.venue, signal.decided_ms - back).bid_price[place])
        for back in range(0, round(1000 * MAX_AGE_S) + 1, 500)
    ]
    entry = signal.levels.entry
    if not (1 - TOLERANCE) * min(bids) <= entry <= (1 + TOLERANCE) * max(bids):
        return f"{signal.coin} at {elapsed_s:.0f} s: entry {entry} where the bid was {min(bids)} to {max(bids)}"
    number = 26 * (ord(signal.coin[5]) - 65) + ord(signal.coin[6]) - 65
    start_s = FIRST_S + EVERY_S * number
    if not start_s <= elapsed_s <= start_s + HOLD_S + MAX_AGE_S:
        return f"{signal.coin} was alerted at {elapsed_s:.0f} s, its time was {start_s:.0f} to {start_s + HOLD_S:.0f} s"
    return ""


@contextmanager
def _log() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="INFO")
    try:
        yield lines
    finally:
        logger.remove(sink)
