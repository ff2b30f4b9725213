"""The whole bot on the four venues' wires: their truths, their limits, and one of them blocked by country meanwhile."""

import re
import tempfile
from collections import Counter
from pathlib import Path

from loguru import logger

from features.facts.venues import VENUES
from fetchers.health import Condition
from fetchers.simulated.named_coins import ListingKind
from fetchers.simulated.server import Requests
from fetchers.simulated.wire import Answer, Call, Wire
from fetchers.transport.pools import HEADROOM
from fetchers.venues import bybit
from fetchers.venues.mexc import LIMITS, WINDOW_MS
from tests.bot.stage import RunningBot, staged
from tests.virtual_time import VirtualClock, run_virtually

TICK_S, MINUTES, BLOCKED = 5.0, 15.0, "mexc"
BLOCK_FROM_S, BLOCK_TO_S = 60.0, 100.0
HELD_S = 600.0  #: after a refusal by its edge a venue is left alone so long
LBANK_REQUESTS_A_SECOND = 20  #: of the widest limit that the bot ever takes


def try_wire(folder: Path, minutes: float) -> dict[str, Requests]:
    """Run for so long and return what each venue saw.

    Only coins may signal, each page is loaded once a reload, no limit is passed and no second takes a burst. While MEXC
    answers that it is blocked in this country it is named so, and no other venue misses a tick.
    """
    pages: Counter[tuple[str, str]] = Counter()

    def note(_: Wire, call: Call, answer: Answer) -> Answer:
        pages[call.query.get("status", ""), call.query.get("cursor", "")] += 1
        return answer

    async def main() -> dict[str, Requests]:
        clock = VirtualClock()
        async with staged(folder, exchanges=VENUES, clock=clock, REFRESH_INTERVAL=f"{TICK_S:g}") as stage:
            faults = stage.servers.faults
            faults["bybit"][bybit.MARKETS] = note
            async with stage.bot() as bot:
                began_ms, words, loads, universe = clock.now_ms(), set(), 1, bot.feed.universe
                while (passed_s := (clock.now_ms() - began_ms) / 1000) < 60 * minutes:
                    is_blocked = BLOCK_FROM_S <= passed_s < BLOCK_TO_S
                    faults[BLOCKED] |= {"": "country"} if is_blocked else {}
                    if not is_blocked:
                        faults[BLOCKED].pop("", None)
                    due_ms = clock.now_ms() + round(1000 * TICK_S)
                    await bot.orchestrator.tick()
                    await bot.delivery.drain(1)
                    _check_tick(bot)
                    loads, universe = loads + (bot.feed.universe is not universe), bot.feed.universe
                    words |= {bot.feed.status()[BLOCKED].last_error} if is_blocked else set()
                    await clock.sleep(max(0, due_ms - clock.now_ms()) / 1000)
                assert any("it looks like a block of your country" in one for one in words), words
                is_over = 60 * minutes > BLOCK_TO_S + HELD_S + 2 * TICK_S
                assert not is_over or bot.feed.status()[BLOCKED].condition is Condition.OK, "it is not back"
                assert len(set(pages.values())) == 1, f"a page was loaded more often than others: {pages}"
                return stage.servers.requests

    seen = run_virtually(main())
    assert not any(one.refused for one in seen.values())
    for pool, most in seen["mexc"].peak_seconds.items():
        limit = LIMITS[re.split("[/_]", pool)[0]]
        assert most <= limit * (1 - HEADROOM) * 1000 / WINDOW_MS + 1, f"mexc {pool}: {most} in a second"
    most = max(seen["lbank"].peak_seconds.values())
    assert most <= LBANK_REQUESTS_A_SECOND * (1 - HEADROOM) + 1, f"lbank: {most} in a second"
    return seen


def _check_tick(bot: RunningBot) -> None:
    market, now_ms = bot.stage.servers.market, bot.stage.clock.now_ms()
    kinds = {(name, row.id): row.kind for name, rows in market.rows.items() for row in rows}
    eligible = [one.key for one in bot.feed.universe.instruments if one.is_eligible]
    assert {kinds[key] for key in eligible} == {ListingKind.PERPETUAL}
    assert {venue for venue, _ in eligible} == set(VENUES)
    for name, report in bot.feed.status().items():
        if name != BLOCKED:
            assert report.condition is Condition.OK, f"{name}: {report.condition}, {report.last_error}"
            assert report.last_quotes_ms is not None
            assert now_ms - report.last_quotes_ms <= 1000 * TICK_S, f"{name}: no quotes in a tick"


def wire() -> tuple[list[str], bool]:
    """Run a quarter of an hour; return what to write of it, and whether all was well."""
    logger.remove()
    what = (
        f"`python -m tests.torture wire`: the whole bot for {MINUTES:g} minutes of a virtual clock, a tick every "
        f"{TICK_S:g} s. Only coins were eligible, each page of a list was loaded once, and while {BLOCKED.upper()} was "
        f"blocked by country for {BLOCK_TO_S - BLOCK_FROM_S:g} s no other venue missed a tick."
    )
    table = "| venue | requests | over a limit | fullest window | most of one limit in a second |"
    lines = ["## The four wires", "", what, "", table, "|---|---|---|---|---|"]
    with tempfile.TemporaryDirectory() as folder:
        try:
            seen = try_wire(Path(folder), MINUTES)
        except AssertionError as error:
            return [lines[0], "", f"failed: {error}"], False
    lines += [
        f"| {name} | {one.count:,} | {one.refused} | {max(one.peak_shares.values()):.0%} | "
        f"{max(one.peak_seconds.values()):g} |"
        for name, one in seen.items()
    ]
    return lines, True
