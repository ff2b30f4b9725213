"""How an open signal ends, as docs/exits.md has it, in plain loops over what was seen: the judge of the judge.

It shares nothing with scoring/exits and bot/core/open_signals.py but the records of scoring.signals. Two things
are done in another way on purpose, so that a mistake is not made twice: a LONG is a SHORT of negative prices, and time
is the venue's, in which a clock that is set does not exist.
"""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from scoring.signals import ExitReason, Side, Signal, Unreachable

NAN = float("nan")
SECOND, MINUTE, DAY = 1_000, 60_000, 86_400_000

Print: TypeAlias = tuple[int, float]  #: (time [ms], price)
Bar: TypeAlias = tuple[int, float, float, float, float]  #: (time it opens [ms], open, high, low, close)
AskCandles: TypeAlias = Callable[[int], Sequence[Bar] | None]  #: since [ms] -> a page, or no answer


@dataclass(frozen=True)
class Reply:
    """Prints as one reply of the venue brought them."""

    until: int  #: its time: every print up to here is in this reply or in those before it
    prints: tuple[Print, ...]
    continues: bool


@dataclass(frozen=True)
class Seen:
    """What one tick saw, prices NaN where it saw none."""

    now: int
    bid: float = NAN
    ask: float = NAN
    price: float = NAN
    ask_share: float = NAN
    book: int = 0
    btc_return: float = NAN
    rate: float = NAN
    interval_h: float = NAN
    next_funding: int = 0
    replies: tuple[Reply, ...] = ()
    is_listed: bool = True
    is_watched: bool = True  #: its venue is among EXCHANGES
    is_well: bool = True  #: its venue answers
    is_delisted: bool = False
    has_prints: bool = True  #: its venue publishes prints and candles


@dataclass(frozen=True)
class Rules:
    """The settings that matter to an exit."""

    timeout_s: float
    reach_s: float
    refresh_s: float
    trails: bool
    asks: bool = True
    fee_percent: float = 0.05
    activation_percent: float = 0.8
    distance_percent: float = 0.4
    pump_percent: float = 0.5
    flip_share: float = 0.35
    max_age_s: float = 15.0


@dataclass
class End:
    """An outcome, in the venue's time."""

    reason: ExitReason
    fill: float
    at: int
    is_ambiguous: bool = False
    is_inside: bool = False  #: within the minute that ends at `at`
    by_quote: bool = False  #: of the quote after a gap
    held_s: float = 0.0
    ideal: tuple[float, float, float] | None = None  #: gross percent, net percent, R
    reachable: tuple[float, float, float] | None = None
    reachable_at: int | None = None
    unreachable: Unreachable = Unreachable.NO
    unknown_until: int = 0
    is_funding_unknown: bool = False
    only_quotes: bool = False
    mae_percent: float = 0.0
    mfe_percent: float = 0.0


@dataclass
class _State:
    """What a database keeps."""

    looked: int
    best: float
    worst: float
    rate: float
    tape: int = 0
    saw_prints: bool = False
    lacked_prints: bool = False
    reach: float | None = None
    reach_at: int | None = None
    flips: int = 0
    flip_at: int = 0
    last_book: int = 0
    unknown_until: int = 0
    settlements: list[tuple[int, float]] = field(default_factory=list)


@dataclass
class _Look:
    """A tick that waits for its judgement."""

    seen: Seen  #: its prices negative for a LONG
    prints: list[Print]
    tape: int
    can_ask: bool
    sees: bool
    gap: bool = False
    gap_from: int = 0
    gap_until: int = 0
    lacks_prints: bool = False  #: for as long as a gap, though quotes came
    leaves_out: bool = False  #: prints that nobody will ask for
    is_gone: bool = False
    later: Sequence[Print] = ()  #: of the looks that waited behind it when candles came
    asked: int = 0  #: when that was


class Reference:
    """One signal, from its decision to its end."""

    def __init__(self, signal: Signal, rules: Rules, rate: float) -> None:
        self.rules = rules
        self.side = signal.side
        levels = signal.levels
        self.sign = 1 if signal.side is Side.SHORT else -1
        self.decided = signal.decided_ms
        self.due = self.decided + round(SECOND * rules.timeout_s)
        self.entry, self.stop, self.target = (
            self.sign * price for price in (levels.entry, levels.stop, levels.take_profits[0])
        )
        self.state = _State(self.decided, self.entry, self.entry, rate)
        self.silence = SECOND * max(rules.max_age_s, 2.5 * rules.refresh_s)
        self.restart()

    def restart(self) -> None:
        """Forget what only the memory held."""
        self.waiting: list[_Look] = []
        self.tape = self.state.tape
        self._calm()

    def _calm(self) -> None:
        self.ask_at, self.pause, self.asked_first = 0, 0, 0

    # what a tick brings

    def tick(self, seen: Seen, ask_candles: AskCandles) -> End | None:
        """Look once; `ask_candles` is the venue as it is now."""
        self._note(self._mirrored(seen))
        candles: list[Bar] = []
        is_asked = is_whole = False
        while self.waiting:
            one = self.waiting[0]
            bars: list[Bar] | None = None
            is_gap, is_given_up = one.gap, False
            if one.gap and one.can_ask:
                if not is_asked:
                    candles, is_whole = self._ask(seen.now, ask_candles)
                    is_asked = True
                one.later = [pair for behind in self.waiting[1:] for pair in behind.prints]
                one.asked = seen.now
                if is_whole:
                    bars = candles
                    self.tape = max(self.tape, one.seen.now)
                elif candles and (end := self._shown_already(one, candles)):
                    return end
                elif one.lacks_prints:
                    is_gap = False
                elif not self._gives_up(self.waiting[-1].seen):
                    return None
                else:
                    is_given_up = True
            if is_given_up and not one.is_gone:
                return self._with_result(self.state, End(ExitReason.NOT_KNOWN, NAN, min(one.seen.now, self.due)))
            end = self._judge(self.state, one, is_gap, bars)
            if end:
                return self._with_result(self.state, end)
            del self.waiting[0]
        return None

    def _mirrored(self, seen: Seen) -> Seen:
        if self.side is Side.SHORT:
            return seen
        replies = tuple(
            Reply(one.until, tuple((at, -p) for at, p in one.prints), one.continues) for one in seen.replies
        )
        values = vars(seen) | {"bid": -seen.ask, "ask": -seen.bid, "price": -seen.price, "replies": replies}
        return Seen(**values | {"ask_share": 1 - seen.ask_share, "btc_return": -seen.btc_return})

    def _note(self, seen: Seen) -> None:
        can_ask = self.rules.asks and seen.is_watched and (seen.has_prints or not seen.is_listed)
        prints = [one for reply in seen.replies for one in reply.prints if one[0] > self.decided]
        tape = max([0, *(reply.until for reply in seen.replies)])
        has_quote = not math.isnan(seen.bid) and not math.isnan(seen.ask)
        if seen.is_listed:
            after = max([self.decided, *(at for at, _ in self.state.settlements)])
            self.state.settlements += [(at, self.state.rate) for at in settlements(after, seen)]
            self.state.rate = self.state.rate if math.isnan(seen.rate) else seen.rate
        one = _Look(seen, prints, tape, can_ask, has_quote or (can_ask and tape > 0))

        last_seen = max([self.state.looked, *(earlier.seen.now for earlier in self.waiting if earlier.sees)])
        tape_known = self.tape or self.decided
        hole = find_hole(seen.replies, tape_known)
        is_late = seen.now - max(tape_known, tape) > self.silence
        one.leaves_out = not can_ask and (is_late or hole is not None)
        hole = hole if can_ask else None
        is_silent = not one.sees and seen.now - last_seen > self.silence
        if hole:
            one.gap, (one.gap_from, one.gap_until) = True, hole
        elif seen.is_delisted and is_silent:
            one.gap, one.gap_from, one.is_gone = True, last_seen, True
        elif not has_quote and seen.now >= self.due + MINUTE:
            one.gap, one.gap_from = True, min(last_seen, self.due)
        elif seen.now - max(last_seen, tape if can_ask else 0) > self.silence:
            one.gap, one.gap_from = True, min(last_seen, self.tape or last_seen)
        elif can_ask and is_late:
            one.gap, one.gap_from, one.lacks_prints = True, tape_known, True
        self.tape = max(self.tape, tape)
        if self.waiting and not self.waiting[-1].sees:
            self.waiting.pop()  # nothing was seen: it is part of the new one's gap
        self.waiting.append(one)

    # candles

    def _ask(self, now: int, ask_candles: AskCandles) -> tuple[list[Bar], bool]:
        if now < self.ask_at:
            return [], False
        until = min(now, self.due + 2 * MINUTE)
        since = min(one.gap_from for one in self.waiting if one.gap)
        bars: dict[int, Bar] = {}
        while since < until:
            page = ask_candles(since)
            for bar in page or ():
                bars[bar[0]] = bar
                since = max(since, bar[0] + MINUTE)
            if not page or len(page) < 500:
                break
        have = [self._mirrored_bar(bars[at]) for at in sorted(bars)]
        if have and since >= until:
            self._calm()
            return have, True
        self.pause = min(max(5 * SECOND, 2 * self.pause), MINUTE)
        self.ask_at = now + self.pause
        if not self.waiting[-1].seen.is_well:
            self.asked_first = 0
        elif not self.asked_first:
            self.asked_first = now
        is_patient = not self.asked_first or now - self.asked_first < MINUTE
        if have and page is not None and not is_patient:
            self._calm()  # nobody traded in the newest minute
            return have, True
        return have, False

    def _mirrored_bar(self, bar: Bar) -> Bar:
        at, opens, high, low, close = bar
        return bar if self.side is Side.SHORT else (at, -opens, -low, -high, -close)

    def _shown_already(self, one: _Look, candles: list[Bar]) -> End | None:
        trial = copy.deepcopy(self.state)
        end = self._judge(trial, one, True, candles)
        if end is None or math.isnan(end.fill) or end.at > candles[-1][0] + MINUTE:
            return None
        return self._with_result(trial, end)

    def _gives_up(self, newest: Seen) -> bool:
        if not newest.is_well:
            return newest.now >= self.due + DAY
        since = self.asked_first or newest.now  # the first failure while the venue is well
        if not newest.is_delisted:
            since = max(since, self.due)
        return newest.now >= since + 2 * MINUTE

    # judging

    def _judge(self, state: _State, one: _Look, is_gap: bool, bars: list[Bar] | None) -> End | None:
        now = one.seen.now
        if is_gap:
            state.flips = 0
        if is_gap and bars is not None:
            before = copy.deepcopy(state)
            end = self._judge_bars(state, one, bars)
            if end == "once more":
                vars(state).update(vars(before))
            elif isinstance(end, End):
                end.at = min(end.at, one.asked)
                return end
        is_too_late = is_gap and bars is None and now >= self.due + MINUTE
        if not is_too_late and (end := self._judge_own(state, one)):
            is_printed = end.reason is ExitReason.TRAILING or any(at == end.at for at, _ in one.prints)
            end.by_quote = is_gap and not is_printed
            if bars is None and ((is_gap and not end.by_quote) or one.lacks_prints):
                state.unknown_until = max(state.unknown_until, end.at if one.lacks_prints else one.gap_until or now)
            return end
        if is_gap and bars is None:
            state.unknown_until = max(state.unknown_until, one.gap_until or now)
        if not one.seen.is_watched:
            return End(ExitReason.NO_LONGER_WATCHED, NAN, min(now, self.due))
        if one.is_gone:
            return End(ExitReason.DELISTED, NAN, min(now, self.due))
        return End(ExitReason.NOT_KNOWN, NAN, self.due) if is_too_late else None

    def _judge_bars(self, state: _State, one: _Look, bars: list[Bar]) -> End | str | None:
        now, start, until = one.seen.now, one.gap_from, one.gap_until or one.seen.now
        known, last = start, NAN
        for bar in bars:
            opens_at, opens, _, _, close = bar
            if opens_at + MINUTE <= start or opens_at >= until:
                continue
            if math.isnan(last) and opens_at - start > MINUTE:
                break
            if opens_at > known:
                state.unknown_until = max(state.unknown_until, opens_at)
            if opens_at >= self.due:
                if math.isnan(last) or opens_at < self.due + MINUTE:
                    return End(ExitReason.TIMEOUT, opens, opens_at, is_inside=True)
                return End(ExitReason.TIMEOUT, last, self.due, is_inside=True)
            if end := self._judge_bar(state, one, bar, until):
                return end
            known, last = opens_at + MINUTE, close
        if math.isnan(last):
            return End(ExitReason.NOT_KNOWN, NAN, min(now, self.due))
        has_quote = not math.isnan(one.seen.ask)
        if now >= self.due + MINUTE or (one.is_gone and not has_quote):
            reason = ExitReason.DELISTED if one.is_gone else ExitReason.TIMEOUT
            return End(reason, last, min(now, self.due), is_inside=True)
        if known >= until:
            state.looked = max(state.looked, until)
        elif has_quote or one.tape:
            state.unknown_until = max(state.unknown_until, until)
        else:
            return "once more"
        return None

    def _judge_bar(self, state: _State, one: _Look, bar: Bar, until: int) -> End | None:
        opens_at, opens, high, low, _ = bar
        ends_at = opens_at + MINUTE
        level = self._trail(state.best)
        is_trailed = high >= level
        is_perhaps_trailed = high >= self._trail(min(state.best, low))  # which of its two ends came first?
        if opens_at < self.decided:  # what it shows may be from before
            if high >= self.stop or low < self.target or is_perhaps_trailed:
                state.unknown_until = max(state.unknown_until, min(ends_at, until))
            return None
        reach = self.decided + round(SECOND * self.rules.reach_s)
        is_in_reach = reach <= opens_at <= reach + 10 * SECOND and opens_at >= one.gap_from
        if state.reach is None and is_in_reach and opens < self.stop:
            state.reach, state.reach_at = opens, opens_at
        own = [price for at, price in one.prints if opens_at <= at < ends_at]
        after = [price for at, price in [*one.prints, *one.later] if until <= at < ends_at]
        unknown = max(state.unknown_until, min(ends_at, until))
        if any(price >= high for price in after):  # the prints show it, and when
            if high >= min(self.stop, level):
                state.unknown_until = unknown
                return None
            high = -math.inf
        if high >= self.stop:
            fill = max(self.stop, opens, *[price for price in own if price >= self.stop][:1])
            widen(state, fill)
            return End(ExitReason.STOP_LOSS, fill, ends_at, is_ambiguous=low < self.target, is_inside=True)
        if is_trailed and opens_at >= max(one.gap_from, state.looked):
            fill = max(level, opens, *[price for price in own if price >= level][:1])
            widen(state, fill)
            return End(ExitReason.TRAILING, fill, ends_at, is_ambiguous=low < self.target, is_inside=True)
        if is_perhaps_trailed:
            state.unknown_until = unknown
        if low < self.target:
            if not any(price <= low for price in after):
                widen(state, high, self.target)
                return End(ExitReason.TAKE_PROFIT, self.target, ends_at, is_inside=True)
            state.unknown_until = unknown
        goes_on = ends_at > until and max(one.asked, one.seen.now) > until  # its best may be from after the gap
        widen(state, high, NAN if goes_on else low)
        return None

    def _judge_own(self, state: _State, one: _Look) -> End | None:
        seen, now = one.seen, one.seen.now
        age = now - self.decided
        state.tape = max(state.tape, one.tape)
        state.saw_prints = state.saw_prints or one.tape > 0
        state.lacked_prints = state.lacked_prints or one.leaves_out
        if end := self._stop_or_target(state, one):
            return end
        trailed = self._trailing(state, one)
        widen(state, *(price for _, price in one.prints), seen.ask)
        self._count_flips(state, seen)
        if trailed:
            widen(state, trailed.fill)
            return trailed
        if not math.isnan(seen.ask):
            if seen.btc_return >= self.rules.pump_percent / 100:
                return End(ExitReason.BTC_PUMP, seen.ask, now)
            if state.flips >= 2:
                return End(ExitReason.LIQUIDITY_FLIP, seen.ask, now)
            if now >= self.due:
                return End(ExitReason.TIMEOUT, seen.ask, now)
            reach = SECOND * self.rules.reach_s
            if state.reach is None and reach <= age <= reach + 10 * SECOND:
                state.reach, state.reach_at = seen.bid, now
        if one.tape or not math.isnan(seen.ask):
            state.looked = max(state.looked, now)
        return None

    def _stop_or_target(self, state: _State, one: _Look) -> End | None:
        seen, now = one.seen, one.seen.now
        stops = [hit for hit in one.prints if hit[1] >= self.stop]
        targets = [hit for hit in one.prints if hit[1] < self.target]
        is_stop, is_target = bool(stops) or seen.bid >= self.stop, bool(targets) or seen.ask <= self.target
        if not is_stop and not is_target:
            return None
        hits = stops if is_stop else targets
        at = hits[0][0] if hits else now
        for one_print in one.prints:
            if hits and one_print is hits[0]:
                break
            widen(state, one_print[1])
        fill = self.target
        if is_stop:
            fill = max([self.stop, *(price for _, price in stops[:1]), *([] if math.isnan(seen.ask) else [seen.ask])])
        widen(state, fill)
        reason = ExitReason.STOP_LOSS if is_stop else ExitReason.TAKE_PROFIT
        return End(reason, fill, at, is_ambiguous=is_stop and is_target)

    def _trailing(self, state: _State, one: _Look) -> End | None:
        ask = one.seen.ask
        best, late_best = state.best, math.inf
        for at, price in [*one.prints, (one.seen.now, ask)]:
            level = self._trail(best)
            if at <= state.looked and (at, price) in one.prints:  # it may be older than the best price that was seen
                if price >= level and price < self._trail(late_best):
                    state.unknown_until = max(state.unknown_until, state.looked)
                level = self._trail(late_best)
                late_best = min(late_best, price)
            if price >= level:
                return End(ExitReason.TRAILING, max([level, price, *([] if math.isnan(ask) else [ask])]), at)
            best = min(best, price)
        return None

    def _trail(self, best: float) -> float:
        """Return the trailing stop, or infinity while none is armed; a hair nearer than exact, against rounding."""
        hair = 1e-10 / 100
        armed = self.entry - abs(self.entry) * (self.rules.activation_percent / 100 - hair)
        if not self.rules.trails or best > armed:
            return math.inf
        return best + abs(best) * (self.rules.distance_percent / 100 - hair)

    def _count_flips(self, state: _State, seen: Seen) -> None:
        if math.isnan(seen.ask_share) or seen.book <= state.last_book:
            return
        if not -2 * SECOND <= seen.now - seen.book <= SECOND * self.rules.max_age_s:
            return
        state.last_book = seen.book
        price = (seen.bid + seen.ask) / 2 if math.isnan(seen.price) else seen.price
        if not (seen.ask_share <= self.rules.flip_share and price > self.entry):
            state.flips = 0
            return
        apart = seen.book - state.flip_at
        if state.flips and apart < SECOND * self.rules.refresh_s:
            return
        state.flips = state.flips + 1 if state.flips and apart <= 30 * SECOND else 1
        state.flip_at = seen.book

    # what it made

    def _with_result(self, state: _State, end: End) -> End:
        end.held_s = max(0, end.at - self.decided) / SECOND
        end.mae_percent = max(0.0, 100 * (state.worst - self.entry) / abs(self.entry))
        end.mfe_percent = max(0.0, 100 * (self.entry - state.best) / abs(self.entry))
        if math.isnan(end.fill):
            return end
        paid = [rate for at, rate in state.settlements if at < end.at or (at == end.at and not end.is_inside)]
        end.is_funding_unknown = any(math.isnan(rate) for rate in paid)
        funding = sum(-100 * self.sign * rate for rate in paid if not math.isnan(rate))  # a SHORT is paid
        costs = 2 * self.rules.fee_percent + funding
        end.ideal = self._made(self.entry, end.fill, costs)
        end.unknown_until = state.unknown_until
        end.only_quotes = (state.lacked_prints or not state.saw_prints) and not end.is_inside
        if state.reach is not None:
            end.reachable, end.reachable_at = self._made(state.reach, end.fill, costs), state.reach_at
        elif end.held_s < self.rules.reach_s:
            end.unreachable = Unreachable.ENDED_BEFORE
        else:
            end.unreachable = Unreachable.NOT_SEEN
        end.fill *= self.sign
        return end

    def _made(self, entry: float, fill: float, costs: float) -> tuple[float, float, float]:
        gross = 100 * (entry - fill) / abs(entry)
        risk = 100 * (self.stop - self.entry) / abs(self.entry)
        return gross, gross - costs, (gross - costs) / risk


def widen(state: _State, *prices: float) -> None:
    """Let the extremes hold these prices too."""
    for price in prices:
        if math.isfinite(price):
            state.best, state.worst = min(state.best, price), max(state.worst, price)


def find_hole(replies: Sequence[Reply], known: int) -> tuple[int, int] | None:
    """Return (from, until) of the prints that no reply brought; several holes are one."""
    hole: tuple[int, int] | None = None
    for reply in replies:
        first = reply.prints[0][0] if reply.prints else reply.until
        if not reply.continues and first > known:
            hole = (hole[0] if hole else known, first)
        known = max(known, reply.until)
    return hole


def settlements(after: int, seen: Seen) -> Iterator[int]:
    """Yield the settlements later than `after` and not after now."""
    if math.isnan(seen.interval_h):
        if after < seen.next_funding <= seen.now:
            yield seen.next_funding
        return
    interval = round(seen.interval_h * 3_600_000)
    at = seen.next_funding % interval
    at += (after // interval - 1) * interval
    while at <= seen.now:
        if at > after:
            yield at
        at += interval
