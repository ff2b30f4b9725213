"""`python -m tests.torture streams`: damaged frames through every reader, every fault of a stream, fifty losses."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context

from fetchers.simulated.streams.stream_faults import StreamFault
from fetchers.streams.build import WIRES
from tests.fetchers.streams.frames import fuzz
from tests.fetchers.streams.stage import Print, Stage, lose, rounded, staged
from tests.virtual_time import run_virtually

FRAMES = 10_000
PROCESSES = 2
LOSSES = 17  #: on each of three venues
FAULT_S = 45.0
NOTICED_S = 32.0  #: silence of MEXC, a push, and the time that few symbols are given
BACK_S = 75.0  #: a back-off of a minute at most, and what is asked for again
HANDSHAKE = ("hang", "forbidden", "too_many")
HOLDS_S = {"forbidden": 600.0, "too_many": 120.0}
#: nothing that can be used comes
MUTE = ("stall", "html", "binary", "truncated", "nan", "negative", "other_product", "past", *HANDSHAKE)
OTHER_CLOCK = ("ahead", "behind")
LATE = ("drip", *OTHER_CLOCK)
FAULTS: tuple[StreamFault, ...] = (
    *("stall", "no_pong", "reset", "hang", "forbidden", "too_many", "drip", "burst", "gap", "duplicate", "disorder"),
    *("replay", "half", "binary", "html", "truncated", "nan", "negative", "other_product", "ahead", "behind", "past"),
)
WHAT = (
    f"Each fault for {FAULT_S:g} s of a virtual clock. `ok`: every print given was the market's, each once; what was "
    "said to continue left nothing out (a lost frame shows on Binance only); nothing was covered where nothing came; "
    "the stream was back so many seconds after the fault's end; no limit was passed and no task left."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamCell:
    """One fault on one venue's stream."""

    venue: str
    fault: StreamFault
    back_s: float  #: from the fault's end
    problems: tuple[str, ...]


def try_fault(venue: str, fault: StreamFault) -> StreamCell:
    """Let a fault last for a while and look at what the stream gave, said to be covered, and how it came back."""
    return run_virtually(_try(venue, fault))


async def _try(venue: str, fault: StreamFault) -> StreamCell:
    problems: list[str] = []
    async with staged(venue, coins=5) as stage:
        clock = stage.clock
        await stage.until(0.7)
        await stage.run(3)
        from_ms = clock.now_ms()
        faults = stage.servers.stream_faults[venue]
        faults[fault] = ""
        if fault in (*HANDSHAKE, "replay", "half"):
            await stage.servers.streams[venue].end_all(1012)
        was_late = False
        while clock.now_ms() < from_ms + 1000 * FAULT_S:
            await stage.pump()
            was_late |= stage.stream.is_lagging(clock.now_ms())
        if fault in MUTE:
            trading = {symbol for symbol, *_ in stage.true_prints(from_ms, clock.now_ms() - round(1000 * NOTICED_S))}
            if trading & stage.stream.covered(clock.now_ms()):
                problems.append("covered though nothing comes")
        if fault in LATE and not was_late:
            problems.append("late, and nobody says so")
        del faults[fault]
        if (hold_s := HOLDS_S.get(fault, 0.0)) > 0:  # nothing is asked before: that time is slept through
            await clock.sleep(hold_s)
        back_s = hold_s + await stage.until(0.7, most_s=BACK_S)
        await stage.run(10)
        to_ms = clock.now_ms()
        await stage.run(1)
        problems += _untrue(stage, fault, from_ms - 4_000, to_ms)
        seen = stage.servers.streams_seen[venue]
        if seen.refused or seen.closed_for_pace or seen.connects_5_min > 100:
            problems.append(f"too much was asked: {seen}")
    if len(asyncio.all_tasks()) > 1:
        problems.append("a task is left")
    return StreamCell(venue=venue, fault=fault, back_s=back_s, problems=tuple(problems))


def _untrue(stage: Stage, fault: StreamFault, from_ms: int, to_ms: int) -> list[str]:
    """Return what was given and is not the market's, or is said to continue what it does not."""
    true = rounded(stage.true_prints(from_ms - 60_000, to_ms + 2_000))
    given = rounded(stage.prints())
    if fault in OTHER_CLOCK:  # times are the venue's own
        true, given = [_timeless(one) for one in true], [_timeless(one) for one in given]
    problems = []
    if invented := Counter(given).keys() - Counter(true).keys():
        problems.append(f"{len(invented)} prints were none: {sorted(invented)[:2]}")
    twice = Counter(given) - Counter(true)
    if twice and not invented and not (fault == "duplicate" and stage.venue == "mexc"):
        problems.append(f"{sum(twice.values())} prints were given twice")
    can_be_seen = stage.venue == "binance" or fault not in ("gap", "duplicate")
    if fault not in OTHER_CLOCK and can_be_seen:
        problems += _holes(stage, true)
    return problems


def _timeless(one: Print) -> Print:
    return (one[0], 0.0, *one[2:])


def _holes(stage: Stage, true: Sequence[Print]) -> list[str]:
    """Return the lists that are said to continue the one before and leave out what was printed between."""
    of: dict[str, list[float]] = {}
    for symbol, at_ms, *_ in true:
        of.setdefault(symbol, []).append(at_ms)
    last: dict[str, float] = {}
    holes = []
    for record in stage.records:
        for i, symbol in enumerate(record.symbols):
            times = record.block[0, record.starts[i] : record.starts[i + 1]]
            if record.continues[i] and symbol in last:
                between = [at_ms for at_ms in of.get(symbol, []) if last[symbol] < at_ms < times[0]]
                if between:
                    holes.append(f"{symbol} left out {len(between)}")
            last[symbol] = float(times[-1])
    return holes[:3]


def streams() -> tuple[list[str], bool]:
    """Return what to write of all, and whether all was well."""
    lines = ["## Streams", "", "`python -m tests.torture streams`."]
    lines += ["", f"{FRAMES:,} damaged frames through each reader, each beside a good one:", ""]
    lines += ["| reader | frames | prints |", "|---|---|---|"]
    lines += [f"| {venue} | {FRAMES:,} | {fuzz(venue, FRAMES):,} |" for venue in WIRES]
    tried = [(venue, fault) for venue in WIRES for fault in FAULTS]
    with get_context("spawn").Pool(PROCESSES) as pool:
        cells = dict(zip(tried, pool.starmap(try_fault, tried, chunksize=1), strict=True))
    lines += ["", WHAT, "", f"| fault | {' | '.join(WIRES)} |", f"|---|{'---|' * len(WIRES)}"]
    for fault in FAULTS:
        lines.append(f"| {fault} | {' | '.join(_mark(cells[venue, fault]) for venue in WIRES)} |")
    bad = [cell for cell in cells.values() if cell.problems]
    lines += ["", *(f"- {cell.venue}, {cell.fault}: {'; '.join(cell.problems)}" for cell in bad)]
    seen = [run_virtually(lose(venue, LOSSES)) for venue in WIRES]
    reconnects = sum(one.connects - 1 for one in seen)
    refused, too_fast = sum(one.refused for one in seen), sum(one.closed_for_pace for one in seen)
    lines.append(
        f"{reconnects} forced reconnects, by every code of a close: {refused} subscriptions refused, {too_fast} "
        "connections closed for their pace."
    )
    return lines, not (bad or refused or too_fast)


def _mark(cell: StreamCell) -> str:
    return "bad" if cell.problems else f"ok, {cell.back_s:.0f} s"
