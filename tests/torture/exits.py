"""Random tapes of open signals, judged by the bot, by tests/exit_reference.py and by what truly happened.

`python -m tests.torture.exits [tapes]` writes docs/torture-exits.md.
"""

import asyncio
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, Self

import numpy as np

from bot.core.open_signals import OpenSignals
from bot.core.tick import View
from features.facts.market import Candles, Trades, read_only
from fetchers.health import Condition
from fetchers.poll_plan import Key
from fetchers.universe import Universe
from scoring.exits import shift_clock, start
from scoring.settings import ScoringSettings
from scoring.signals import ExitReason, Outcome, Result, Side, Signal
from tests.builders import NOW_MS, feature_frame, instrument, trades
from tests.exit_reference import Bar, End, Reference, Reply, Rules, Seen
from tests.scoring.frames import levels, signal

TAPES, PROCESSES, CHUNK = 10_000, 2, 50
RESULT = Path(__file__).parents[2] / "docs" / "torture-exits.md"
MINUTE_MS = 60_000
NAN = float("nan")
#: what goes wrong in each kind of tape; "mixed" has some of everything
KINDS: dict[str, tuple[str, ...]] = {
    "all well": (),
    "prints that fail": ("no prints",),
    "prints that do not continue": ("cut prints",),
    "locked, crossed or missing quotes": ("no quotes",),
    "blind venue": ("blind",),
    "restarts": ("restart",),
    "restarts while candles fail": ("restart", "blind", "no candles"),
    "candles that fail": ("blind", "cut prints", "no candles"),
    "candles with holes": ("blind", "restart", "bar holes"),
    "candles that do not reach back": ("restart", "short history"),
    "a clock that is set": ("clock", "blind", "restart"),
    "market list reloaded": ("unlisted",),
    "pair delisted": ("delisted",),
    "venue taken out": ("blind", "taken out"),
    "funding": ("funding", "blind", "no quotes"),
    "neither prints nor candles": ("no publication", "blind", "no quotes", "restart"),
    "near misses, nothing is asked": ("never asks", "blind", "no prints", "restart"),
    "away for hours": ("away",),
    "several signals at once": ("several", "blind", "cut prints", "no candles", "restart"),
    "mixed": (),
}
MIXED = (
    *("no prints", "cut prints", "no quotes", "blind", "restart", "no candles", "bar holes"),
    *("clock", "unlisted", "funding", "delisted", "taken out", "several"),
)
RARE = ("delisted", "taken out")
#: what may leave an outcome not known at all
LOSING = {"no candles", "bar holes", "short history", "no publication", "never asks", "away"}


@dataclass(frozen=True)
class Spell:
    """A time in which something goes wrong."""

    from_ms: int
    until_ms: int

    def __contains__(self, time_ms: int) -> bool:
        return self.from_ms <= time_ms < self.until_ms


@dataclass(frozen=True)
class Followed:
    """A signal of a tape, by the venue's time."""

    signal: Signal
    asks: bool  #: candles may be asked for it, unlike for a near miss


@dataclass
class Tape:
    """What truly happened, in the venue's time, and what of it the ticks saw."""

    number: int
    kind: str
    wrong: set[str]  #: what goes wrong
    followed: tuple[Followed, ...]
    rules: Rules
    rate: float
    times: np.ndarray[Any, np.dtype[np.int64]]
    prices: np.ndarray[Any, np.dtype[np.float64]]
    ticks: list[Seen]
    steps: dict[int, int]  #: number of the tick -> by how much the clock was set just before it [ms]
    restarts: set[int]  #: numbers of the ticks that are the first of a process
    hidden: set[int]  #: minutes the venue has no candle of, though something was traded
    closes_ms: int  #: when its trading ends
    omits: bool  #: minutes without a print have no candle; otherwise it is that of the last price
    failing: list[Spell]
    lag_ms: int  #: so long after it begins a minute appears among the candles

    def candles(self, now_ms: int, since_ms: int) -> list[Bar] | None:
        """Return what the venue answers, the running minute as far as it has come."""
        if any(now_ms in spell for spell in self.failing):
            return None
        page: list[Bar] = []
        for opens_ms in range(since_ms // MINUTE_MS * MINUTE_MS, now_ms - self.lag_ms + 1, MINUTE_MS):
            bar = self._bar(opens_ms, min(opens_ms + MINUTE_MS, now_ms + 1))
            if bar is not None and opens_ms not in self.hidden:
                page.append(bar)
            if len(page) == 500:
                break
        return page

    def _bar(self, opens_ms: int, until_ms: int) -> Bar | None:
        first, last = np.searchsorted(self.times, [opens_ms, until_ms])
        if first == last and (self.omits or opens_ms >= self.closes_ms):
            return None
        prices = self.prices[first:last] if first < last else self.prices[first - 1 : first]
        return opens_ms, float(prices[0]), float(prices.max()), float(prices.min()), float(prices[-1])


def make_tape(number: int) -> Tape:
    """Return the tape of this number, always the same."""
    random = np.random.default_rng([13, number])
    kind = list(KINDS)[number % len(KINDS)]
    wrong = set(KINDS[kind])
    if kind == "mixed":
        wrong = {name for name in MIXED if random.random() < (0.1 if name in RARE else 0.4)}
    is_long = "away" in wrong
    side = Side.SHORT if random.random() < 0.5 else Side.LONG
    rules = Rules(
        timeout_s=float(random.choice([14_400, 43_200] if is_long else [240, 600, 900])),
        reach_s=float(random.choice([15, 15, 35])),
        refresh_s=float(random.choice([5, 5, 5, 10, 15])),
        trails=bool(random.random() < 0.5),
    )
    decided = NOW_MS + int(random.integers(0, MINUTE_MS))
    due = decided + round(1000 * rules.timeout_s)
    end = due + 15 * MINUTE_MS
    gone = decided + int(random.integers(20_000, due - decided)) if "delisted" in wrong else end
    every_s = float(random.choice([20, 60] if is_long else [0.7, 2, 8, 30]))
    times, prices = _path(random, decided, min(end, gone), every_s)
    minutes = range(int(times[0]) // MINUTE_MS * MINUTE_MS, end, MINUTE_MS)
    hidden = {opens_ms for opens_ms in minutes if "bar holes" in wrong and random.random() < 0.2}
    if "short history" in wrong:
        begins_ms = decided + int(random.integers(0, due - decided))
        hidden = {opens_ms for opens_ms in minutes if opens_ms < begins_ms}
    spells = {name: _spells(random, decided, due) if name in wrong else [] for name in MIXED}
    failing = spells["no candles"]
    if failing and random.random() < 0.3:
        failing = [Spell(failing[0].from_ms, end)]
    if random.random() < 0.5:
        failing = [*failing, *spells["blind"]]
    if is_long:
        from_ms = decided + int(random.integers(0, 600_000))
        spells["restart"] = [Spell(from_ms, from_ms + int(random.integers(3_600_000, due - decided)))]
    tape = Tape(
        number=number,
        kind=kind,
        wrong=wrong,
        followed=tuple(_followed(random, wrong, side, decided, due, times, prices)),
        rules=rules,
        rate=float(random.choice([NAN, 0.0003, -0.001])) if "funding" in wrong else 0.0,
        times=times,
        prices=prices,
        ticks=[],
        steps={},
        restarts=set(),
        hidden=hidden,
        closes_ms=min(end, gone),
        omits="bar holes" in wrong,
        failing=failing,
        lag_ms=int(random.choice([0, 0, 3_000, 20_000])),
    )
    _watch(tape, Random(number), spells, end, gone)
    return tape


def _followed(
    random: np.random.Generator, wrong: set[str], side: Side, decided: int, due: int, times: Any, prices: Any
) -> Iterator[Followed]:
    """Yield the signal, and where there are several two controls of its minute and of later, and a near miss."""
    yield Followed(signal(side, decided_ms=decided), asks="never asks" not in wrong)
    if "several" in wrong:
        halfway = (decided + due) // 2
        for number, asks in enumerate((True, True, False), 2):
            at = int(random.integers(decided, decided + 10_000 if number == 2 else halfway))
            entry = float(prices[np.searchsorted(times, at, side="right") - 1])
            side = Side.SHORT if random.random() < 0.5 else Side.LONG
            changed = {"entry": entry, "take_profits": (entry * (1 + 0.02 * side.direction),)}
            one = levels(side, **changed, stop=entry * (1 - 0.01 * side.direction))
            yield Followed(signal(side, id=number, decided_ms=at, levels=one), asks=asks)


def _path(random: np.random.Generator, decided: int, end: int, every_s: float) -> tuple[Any, Any]:
    """Return times and prices of the prints, at 100 when the signal is decided."""
    begin = decided - 5 * MINUTE_MS
    count = int((end - begin) / 1000 / every_s * 1.2) + 20
    times = begin + np.cumsum(np.maximum(1, random.exponential(1000 * every_s, count))).astype(np.int64)
    times = np.unique([begin, *times[times < end]])
    per_print = random.choice([0.001, 0.003, 0.006, 0.02]) * math.sqrt(every_s / 60)
    moves = random.normal(0, per_print, len(times))
    moves += np.where(
        random.random(len(times)) < random.choice([0, 0.002, 0.02]), random.normal(0, 0.012, len(times)), 0
    )
    walk = np.cumsum(moves)
    walk -= walk[np.searchsorted(times, decided) - 1]
    return times, np.round(100 * np.exp(walk), 2)


def _spells(random: np.random.Generator, decided: int, due: int) -> list[Spell]:
    starts = random.integers(decided, due + MINUTE_MS, int(random.integers(1, 4)))
    lengths = np.exp(random.normal(3.7, 1.2, len(starts)))  # 40 s, from seconds to many minutes
    return [
        Spell(int(at), int(at) + round(1000 * min(600.0, float(length))))
        for at, length in zip(starts, lengths, strict=True)
    ]


def _watch(tape: Tape, random: Random, spells: dict[str, list[Spell]], end: int, gone: int) -> None:
    """Write down what each tick sees."""
    rules, times, prices, wrong = tape.rules, tape.times, tape.prices, tape.wrong
    decided = tape.followed[0].signal.decided_ms
    publishes = "no publication" not in wrong
    taken_out = random.randrange(decided, end) if "taken out" in wrong else end
    interval_h = random.choice([0.05, 0.1, 1.0, NAN]) if "funding" in wrong else 8.0
    is_pumping = random.random() < 0.1
    no_rates = random.random() < 0.3
    named = decided + random.randrange(-300_000, 600_000) if "funding" in wrong else 0
    if random.random() < 0.5:
        named -= named % MINUTE_MS  # as they are, on the minute
    if "clock" in wrong and not named:
        named = decided + 3_600_000  # a day's whole hours are another day's where the clock is set
    flicker = random.choice([0, 0, 0.1, 0.4])
    share, was_away = 0.5, False
    is_first = bool(wrong) and random.random() < 0.3  # otherwise the pair was watched before its decision
    told_until = 0 if is_first else decided - random.randrange(0, 5_000)
    now = decided
    while now < end:
        now += round(1000 * rules.refresh_s) + random.randrange(0, 300)

        def has(name: str, at: int = now) -> bool:
            return any(at in spell for spell in spells[name])

        if has("restart"):
            was_away = True
            continue
        was_away |= now >= taken_out > now - round(1000 * rules.refresh_s) - 300  # EXCHANGES are read at the start
        if was_away:
            tape.restarts.add(len(tape.ticks))
            is_first, was_away, told_until = True, False, 0
        if "clock" in wrong and random.random() < 0.03:
            tape.steps[len(tape.ticks)] = random.choice([random.randrange(-3_600_000, 3_600_001), 700, -20_000])
        is_blind, is_gone = has("blind"), now >= gone
        is_watched, is_listed = now < taken_out, not has("unlisted")
        if is_gone and now >= gone + 2 * MINUTE_MS:
            is_listed = False
        count = int(np.searchsorted(times, now, side="right"))
        price = float(prices[count - 1])
        half = 0.01 * random.randrange(1, 6)
        bid, ask = round(price - half, 2), round(price + half, 2)
        if is_blind or is_gone or not is_listed or has("no quotes") or (wrong and random.random() < flicker / 4):
            bid = ask = price = NAN  # as the state has what is locked, crossed or missing
        elif random.random() < 0.1:
            price = NAN
        replies: list[Reply] = []
        is_silent = is_blind or is_gone or has("no prints") or (wrong and random.random() < flicker)
        if publishes and is_listed and not is_silent:
            until = now - random.randrange(0, 200)
            cut = has("cut prints")
            first_ms = told_until if told_until and not cut else until - random.randrange(1_000, 40_000)
            first_ms = max(first_ms, told_until)
            low, high = np.searchsorted(times, [first_ms, until], side="right")
            rows = tuple(zip(times[low:high].tolist(), prices[low:high].tolist(), strict=True))
            replies = [Reply(until, rows, continues=not is_first and first_ms == told_until)]
            told_until, is_first = until, False
        share = min(1.0, max(0.0, 0.5 + 0.8 * (share - 0.5) + random.gauss(0, 0.1)))
        has_book = not is_blind and is_listed and random.random() < 0.5
        next_ms = named
        if named and not math.isnan(interval_h):
            next_ms += -(-(now - named) // round(interval_h * 3_600_000)) * round(interval_h * 3_600_000)
        tape.ticks.append(
            Seen(
                now=now,
                bid=bid if is_watched else NAN,
                ask=ask if is_watched else NAN,
                price=price if is_watched else NAN,
                ask_share=share if has_book else NAN,
                book=now - random.choice([0, 500, 3_000, 14_000, 16_000, -1_000, -3_000]),
                btc_return=random.gauss(0, 0.002 if is_pumping else 0.001) if random.random() < 0.9 else NAN,
                rate=NAN if is_blind or no_rates else random.choice([NAN, 0.0001, 0.0002, -0.0004, 0.002]),
                interval_h=interval_h,
                next_funding=next_ms,
                replies=tuple(replies) if is_watched else (),
                is_listed=is_listed and is_watched,
                is_watched=is_watched,
                is_well=not is_blind,
                is_delisted=is_gone and now >= gone + MINUTE_MS,
                has_prints=publishes,
            )
        )


class _Venue:
    """The feed, where `OpenSignals` asks one; its times are by the bot's clock, which is `offset_ms` ahead."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.offset_ms = 0
        self.seen = Seen(now=0)
        one = tape.followed[0].signal
        self.key: Key = (one.venue, one.instrument_id)
        self.instrument = instrument(venue=one.venue, id=one.instrument_id)
        self.universe = Universe(instruments=(self.instrument,))

    def status(self) -> Any:
        """Return how the venues are doing."""
        condition = Condition.OK if self.seen.is_well else Condition.BLIND
        return {self.key[0]: SimpleNamespace(condition=condition)} if self.seen.is_watched else {}

    async def fetch_candles(self, key: Key, since_ms: int) -> Candles | None:
        """Answer as the tape has it."""
        page = self.tape.candles(self.seen.now, since_ms - self.offset_ms)
        if page is None:
            return None
        columns = np.array(page, float).reshape(-1, 5).T
        return Candles(
            venue=key[0],
            id=key[1],
            open_ms=read_only(columns[0] + self.offset_ms, np.int64),
            open=read_only(columns[1], np.float64),
            high=read_only(columns[2], np.float64),
            low=read_only(columns[3], np.float64),
            close=read_only(columns[4], np.float64),
            received_ms=self.seen.now + self.offset_ms,
        )

    def prints(self) -> list[Trades]:
        """Return the replies of this tick."""
        return [
            trades(
                [(at + self.offset_ms, price, 1.0, True) for at, price in reply.prints],
                venue=self.key[0],
                id=self.key[1],
                exchange_ms=reply.until + self.offset_ms,
                continues=reply.continues,
            )
            for reply in self.seen.replies
        ]


FRAMES = {flag: feature_frame([instrument(publishes_trades=flag)]) for flag in (True, False)}


async def judged_by_bot(tape: Tape) -> dict[int, tuple[Outcome, int]]:
    """Return what the bot makes of each signal, and how far its clock is ahead then [ms]."""
    rules = tape.rules
    settings = ScoringSettings(
        signal_timeout_s=rules.timeout_s,
        reach_s=rules.reach_s,
        refresh_interval_s=rules.refresh_s,
        trailing_enabled=rules.trails,
    )
    venue = _Venue(tape)
    following: dict[bool, OpenSignals] = {}
    coming = sorted(tape.followed, key=lambda one: one.signal.decided_ms)
    outcomes: dict[int, tuple[Outcome, int]] = {}
    for number, seen in enumerate(tape.ticks):
        venue.seen = seen
        venue.universe = replace(venue.universe, delisted=frozenset({venue.key} if seen.is_delisted else ()))
        if not following or number in tape.restarts:
            kept = {asks: tuple(one.open.values()) for asks, one in following.items()}
            started_ms = seen.now + venue.offset_ms - (1_000 if following else 3_600_000)
            for asks in (True, False):
                one = OpenSignals(venue, settings, max_data_age_s=15.0, started_ms=started_ms, asks=asks)
                one.add(kept.get(asks, ()))
                following[asks] = one
        if step_ms := tape.steps.get(number):
            venue.offset_ms += step_ms
            for one in following.values():
                one.shift_clock(step_ms)
        while coming and coming[0].signal.decided_ms <= seen.now:
            begun = shift_clock(start(coming[0].signal, tape.rate), venue.offset_ms)
            following[coming.pop(0).asks].add([begun])
        offset_ms = venue.offset_ms
        values = {
            "best_bid": seen.bid,
            "best_ask": seen.ask,
            "price": seen.price,
            "ask_share": seen.ask_share,
            "book_ms": seen.book + offset_ms,
            "funding_rate": seen.rate,
            "funding_interval_h": seen.interval_h,
            "next_funding_ms": seen.next_funding and seen.next_funding + offset_ms,
        }
        arrays: dict[str, Any] = {name: np.array([value]) for name, value in values.items()}
        frame = replace(FRAMES[seen.has_prints], now_ms=seen.now + offset_ms, btc_return=seen.btc_return, **arrays)
        column = {venue.key: 0} if seen.is_listed else {}
        for one in following.values():
            for before, after in await one.judge(View(features=frame, column=column, seen={venue.key: venue.prints()})):
                if isinstance(after, Outcome):
                    outcomes[before.signal.id] = after, offset_ms
                    one.remove(before.signal.id)
        if len(outcomes) == len(tape.followed):
            break
    return outcomes


def judged_by_reference(tape: Tape, one: Followed) -> End | None:
    """Return what the reference makes of a signal."""
    reference = Reference(one.signal, replace(tape.rules, asks=one.asks), tape.rate)
    for number, seen in enumerate(tape.ticks):
        if seen.now < one.signal.decided_ms:
            continue
        if number in tape.restarts:
            reference.restart()
        if end := reference.tick(seen, lambda since_ms, now_ms=seen.now: tape.candles(now_ms, since_ms)):  # type: ignore[misc]
            return end
    return None


def differences(outcome: Outcome, offset_ms: int, end: End) -> list[str]:
    """Return where the two differ, each with both values."""
    minute = math.ceil((end.unknown_until + offset_ms) / MINUTE_MS)
    clock = f"{datetime.fromtimestamp(60 * minute, UTC):%H:%M}"
    reachable_at = end.reachable_at
    pairs: dict[str, tuple[Any, Any]] = {
        "reason": (outcome.reason, end.reason),
        "fill": (outcome.fill, end.fill),
        "exit_ms": (outcome.exit_ms - offset_ms, end.at),
        "held_s": (outcome.held_s, end.held_s),
        "is_ambiguous": (outcome.is_ambiguous, end.is_ambiguous),
        "reachable_ms": (outcome.reachable_ms, None if reachable_at is None else reachable_at + offset_ms),
        "unreachable": (outcome.unreachable, end.unreachable),
        "unknown": ("unknown until" in outcome.note, end.unknown_until > 0),
        "unknown until": (f"unknown until {clock}" in outcome.note, end.unknown_until > 0),
        "funding unknown": ("funding unknown" in outcome.note, end.is_funding_unknown),
        "only quotes": ("only quotes were seen" in outcome.note, end.only_quotes),
        "by quotes": (outcome.is_by_quotes, end.only_quotes),
        "first quote": ("settled from the first quote" in outcome.note, end.by_quote),
        "mae": (outcome.mae_percent, end.mae_percent),
        "mfe": (outcome.mfe_percent, end.mfe_percent),
    }
    for name, mine, theirs in (("ideal", outcome.ideal, end.ideal), ("reachable", outcome.reachable, end.reachable)):
        pairs[name] = (figures(mine), theirs)
    return [
        f"{name}: bot {mine}, reference {theirs}" for name, (mine, theirs) in pairs.items() if not same(mine, theirs)
    ]


def figures(result: Result | None) -> tuple[float, float, float] | None:
    """Return what the reference names of a result."""
    return None if result is None else (result.gross_percent, result.net_percent, result.r)


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal, floats to twelve digits."""
    if isinstance(one, tuple) and isinstance(other, tuple):
        return all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


def contradictions(tape: Tape, one: Followed, outcome: Outcome, end: End, offset_ms: int) -> list[str]:
    """Return where an outcome goes against what truly happened, or says that it is not known though it could be.

    A level that was passed after the time said to be unknown is missed, except within the end's minute where candles
    told of it; where prints did, within the time that may pass without them, if they had not come yet.
    """
    found: list[str] = []
    is_unknown = outcome.reason is ExitReason.NOT_KNOWN or end.unknown_until > 0
    if is_unknown and not tape.wrong:
        found.append("not known, though all was seen")
    if outcome.reason is ExitReason.NOT_KNOWN and not tape.wrong & LOSING and one.asks:
        found.append("not known, though it could be found out")
    if outcome.ideal is None:
        return found
    exit_ms, levels = outcome.exit_ms - offset_ms, one.signal.levels
    sign = 1 if one.signal.side is Side.SHORT else -1
    is_held = (tape.times > one.signal.decided_ms) & (tape.times <= exit_ms)
    truth = [
        (int(at), sign * float(price)) for at, price in zip(tape.times[is_held], tape.prices[is_held], strict=True)
    ]
    quotes = [seen for seen in tape.ticks if one.signal.decided_ms <= seen.now <= exit_ms and not math.isnan(seen.bid)]
    stop, target = sign * levels.stop, sign * levels.take_profits[0]
    entering = [sign * (seen.bid if sign > 0 else seen.ask) for seen in quotes]
    leaving = [(seen.now, sign * (seen.ask if sign > 0 else seen.bid)) for seen in quotes]
    was_stopped = any(price >= stop for _, price in truth) or any(price >= stop for price in entering)
    had_target = any(price < target for _, price in truth) or any(price <= target for _, price in leaving)
    if outcome.reason is ExitReason.STOP_LOSS:
        if not was_stopped:
            found.append("a stop that was never touched")
        if sign * outcome.fill < stop:
            found.append("a stop filled better than its level")
    if outcome.reason is ExitReason.TAKE_PROFIT and not had_target:
        found.append("a target that was never reached")
    if outcome.reason is ExitReason.TRAILING and not has_trailed(tape, one, truth, leaving):
        found.append("a trailing stop that was never passed")
    if outcome.is_ambiguous or end.only_quotes or end.by_quote:
        return found  # it says itself what it rests on
    if "from 1-minute candles" in outcome.note:
        shown_ms, told = exit_ms - MINUTE_MS, set()
    else:
        silence_s = max(tape.rules.max_age_s, 2.5 * tape.rules.refresh_s)
        shown_ms, told = exit_ms - round(1000 * silence_s), told_ms(tape, exit_ms)
    is_last = (
        "up to the last of them" in outcome.note
    )  # nobody can tell a minute without candle from the end of trading
    missed = [
        price
        for at, price in truth
        if at > end.unknown_until
        and (at <= shown_ms or (at < exit_ms and at in told))
        and not (is_last and at // MINUTE_MS * MINUTE_MS in tape.hidden)
    ]
    if any(price >= stop for price in missed):
        found.append("a stop before the end was missed")
    if any(price < target for price in missed):
        found.append("a target before the end was missed")
    return found


def told_ms(tape: Tape, exit_ms: int) -> set[int]:
    """Return the times of the prints that the process which found the end was told of."""
    last = min((number for number, seen in enumerate(tape.ticks) if seen.now >= exit_ms), default=len(tape.ticks) - 1)
    first = max((number for number in tape.restarts if number <= last), default=0)
    return {at for seen in tape.ticks[first : last + 1] for reply in seen.replies for at, _ in reply.prints}


def has_trailed(
    tape: Tape, one: Followed, truth: Sequence[tuple[int, float]], leaving: Sequence[tuple[int, float]]
) -> bool:
    """Return whether the trailing stop was ever passed, by true prints and quotes in their true order."""
    sign = 1 if one.signal.side is Side.SHORT else -1
    entry = best = sign * one.signal.levels.entry
    for _, price in sorted([*truth, *leaving]):
        is_armed = best <= entry - abs(entry) * (tape.rules.activation_percent / 100 - 1e-9)
        if is_armed and price >= best + abs(best) * (tape.rules.distance_percent / 100 - 1e-9):
            return True
        best = min(best, price)
    return False


@dataclass
class Tally:
    """What came of many tapes."""

    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)  #: (kind, reason)
    marks: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def __iadd__(self, other: "Tally") -> Self:
        self.reasons += other.reasons
        self.marks += other.marks
        self.problems += other.problems
        return self


def try_tapes(numbers: Sequence[int]) -> Tally:
    """Judge these tapes thrice."""
    return asyncio.run(_try_tapes(numbers))


async def _try_tapes(numbers: Sequence[int]) -> Tally:
    tally = Tally()
    for number in numbers:
        tape = make_tape(number)
        outcomes = await judged_by_bot(tape)
        for one in tape.followed:
            end = judged_by_reference(tape, one)
            if end is None or one.signal.id not in outcomes:
                found = ["still open at the end of the tape"]
            else:
                outcome, offset_ms = outcomes[one.signal.id]
                found = [
                    *differences(outcome, offset_ms, end),
                    *contradictions(tape, one, outcome, end, offset_ms),
                ]
                tally.reasons[tape.kind, outcome.reason] += 1
                for mark in ("unknown until", "funding unknown", "only quotes were seen", "1-minute candles"):
                    tally.marks[mark] += mark in outcome.note
                tally.marks["stop and target in one interval"] += outcome.is_ambiguous
                tally.marks["reachable"] += outcome.reachable is not None
            tally.marks[one.signal.side] += 1
            tally.marks["trailing on"] += tape.rules.trails
            name = f"tape {number}, {tape.kind}, signal {one.signal.id}, {one.signal.side}"
            tally.problems += [f"{name}: {problem}" for problem in found]
    return tally


def chunks(count: int) -> Iterator[range]:
    """Yield the numbers of all tapes, some at a time."""
    return (range(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK))


def render(tally: Tally, count: int) -> str:
    """Return the result as Markdown."""
    reasons = [reason for reason in ExitReason if any(tally.reasons[kind, reason] for kind in KINDS)]
    rows = [f"| {kind} | {' | '.join(f'{tally.reasons[kind, reason]:,}' for reason in reasons)} |" for kind in KINDS]
    marks = [f"| {mark} | {number:,} |" for mark, number in sorted(tally.marks.items())]
    return (
        "\n".join(
            [
                "# Open signals on random tapes",
                "",
                "`python -m tests.torture.exits`: random tapes of prints, quotes and candles in which something goes",
                "wrong, judged by `bot/core/open_signals.py` and by `tests/exit_reference.py`, a plain reference",
                "written apart. Compared are the reason, the fill, the time, gross, net and R from both entries, how",
                "long each signal was held, the extremes, and what is said to be unknown.",
                "",
                "And no outcome may go against what truly happened: a stop, target or trailing stop that was never",
                "reached, a fill better than the stop, or a stop or target passed before the end and after the time",
                "said to be unknown. Left are the minute of an end that candles show, and prints that had not come",
                "yet within the 15 s or 2.5 ticks that make a gap. Nor may it be not known where it could be.",
                "",
                f"{count:,} tapes, {len(tally.problems):,} mismatches.",
                "",
                f"| tapes with | {' | '.join(reason.replace('_', ' ') for reason in reasons)} |",
                f"|---|{'---|' * len(reasons)}",
                *rows,
                "",
                "| of all of them | |",
                "|---|---|",
                *marks,
                "",
                *(f"- {one}" for one in tally.problems[:20]),
            ]
        ).rstrip()
        + "\n"
    )


def main(count: int = TAPES) -> int:
    """Judge all tapes, write down what came of them, and return the exit code."""
    tally = Tally()
    with get_context("spawn").Pool(PROCESSES) as pool:
        for done in pool.imap(try_tapes, chunks(count)):
            tally += done
    RESULT.write_text(render(tally, count))
    sys.stdout.write(f"{count:,} tapes, {len(tally.problems):,} mismatches\n" + "\n".join(tally.problems[:20]) + "\n")
    return int(bool(tally.problems))


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
