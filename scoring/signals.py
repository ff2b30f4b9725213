"""The records of a decision and of what became of it; nothing here assumes a side or a single target."""

import math
from dataclasses import dataclass, field
from enum import StrEnum

from features.facts.market import key_name


class Side(StrEnum):
    """The direction a signal bets on."""

    SHORT = "short"
    LONG = "long"

    @property
    def direction(self) -> int:
        """Which way the price has to go: 1 up, -1 down."""
        return 1 if self is Side.LONG else -1

    @classmethod
    def of(cls, direction: int) -> "Side":
        """Return LONG for 1, SHORT for -1."""
        return cls.LONG if direction > 0 else cls.SHORT


class ExitReason(StrEnum):
    """Why an open signal ended."""

    TAKE_PROFIT = "take_profit"
    STOP_LOSS = "stop_loss"
    TRAILING = "trailing"
    BTC_PUMP = "btc_pump"
    LIQUIDITY_FLIP = "liquidity_flip"
    TIMEOUT = "timeout"
    DELISTED = "delisted"
    NOT_KNOWN = "not_known"  #: its end cannot be known
    NO_LONGER_WATCHED = "no_longer_watched"  #: its venue was taken out of EXCHANGES


class Unreachable(StrEnum):
    """Why there is no result from the price a person could reach."""

    NO = ""  #: there is one, or the row is older than this reason, or nothing is known at all
    ENDED_BEFORE = "ended before"  #: before REACH_SECONDS were over
    NOT_SEEN = "not seen"  #: no price was seen in time


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One gate's word on one instrument."""

    name: str
    passed: bool
    value: float  #: NaN where what it needs is missing; such a gate fails
    limit: float
    reason: str  #: in plain words with figures, e.g. "score 68.2 < 72"


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Prices on the venue's tick, and what they are worth after costs."""

    side: Side
    entry: float
    take_profits: tuple[float, ...]  #: nearest first
    stop: float
    take_profit_percent: float  #: [%] entry to the targets after rounding, by their shares, > 0
    stop_percent: float  #: [%] entry to stop after rounding, > 0
    cost_percent: float  #: [%] both taker fees and the funding that would settle while held
    net_take_profit_percent: float
    net_stop_percent: float  #: [%] the loss at the stop with costs, > 0
    break_even_win_rate: float  #: [0…1] the share of wins at which these levels pay nothing
    taker_fee_percent: float = math.nan  #: [%] one way; NaN in rows older than it
    shares: tuple[float, ...] = (1.0,)  #: of the position that each take-profit closes
    timeout_s: float = math.nan  #: NaN: SIGNAL_TIMEOUT_SECONDS

    def __post_init__(self) -> None:
        if len(self.shares) != len(self.take_profits) or abs(sum(self.shares) - 1) > 1e-9 or min(self.shares) <= 0:
            raise ValueError(
                f"shares were {self.shares}, expected one above 0 for each of {self.take_profits}, and 1 in all"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTimes:
    """Exchange times of what a decision saw [epoch ms], None where it had none."""

    price_ms: int | None
    book_ms: int | None
    trades_ms: int | None
    open_interest_ms: int | None
    funding_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A decision to alert, with everything needed to explain it later."""

    id: int  #: counts up from 1 and is never reused
    strategy: str = "ups"  #: whose it is; the default is of rows from before there was more than one
    side: Side
    venue: str
    instrument_id: str
    coin: str
    pair: str
    tick_size: float
    decided_ms: int
    levels: Levels
    score: float
    sub_scores: dict[str, float]
    contributions: dict[str, float]  #: they add up to the score exactly
    features: dict[str, float]
    verdicts: tuple[Verdict, ...]
    reasons: tuple[str, ...]  #: strongest first, at most five
    missing: dict[str, str]  #: part -> why
    borrowed: str  #: "" or e.g. "OI and flow: Bybit"
    caution: str = ""  #: what to know of the contract before entering, such as "Innovation Zone: …"
    sellable_usdt: float  #: what the bids within 0.1 % of the best take; of a LONG what the asks give
    data_times: DataTimes
    code_hash: str
    config_hash: str
    version: str = ""  #: of formulas, levels and exits: only equal ones are added up; "" in rows older than it
    plan: dict[str, float] = field(default_factory=dict)  #: why the levels are where they are, as the strategy says

    @property
    def key(self) -> tuple[str, str]:
        """The instrument's (venue, id)."""
        return self.venue, self.instrument_id

    @property
    def key_name(self) -> str:
        """The instrument in one word."""
        return key_name(self.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a signal from one entry price."""

    entry: float
    gross_percent: float
    net_percent: float  #: less both taker fees and settled funding
    r: float  #: net percent in units of the planned risk: the alert's entry to its stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """A share of the position that has been closed."""

    share: float
    price: float
    time_ms: int
    reason: ExitReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a signal."""

    signal_id: int
    reason: ExitReason
    exit_ms: int
    fill: float  #: NaN where there is no result
    ideal: Result | None  #: from the alert's entry; None: not known, the row counts nowhere
    reachable: Result | None  #: from the price a person could reach; None: `unreachable` says why
    mae_percent: float  #: [%] the worst move against the signal, >= 0
    mfe_percent: float  #: [%] the best move for it, >= 0
    held_s: float
    is_ambiguous: bool  #: stop and target in one interval: the stop counts
    note: str  #: "" or how it was settled, e.g. "settled from 1-minute candles after a restart"
    reachable_ms: int | None = None  #: when that price was taken; None without one, and in older rows
    unreachable: Unreachable = Unreachable.NO
    is_by_quotes: bool = False  #: at times, or always, nothing but quotes was seen: a stop may have been missed
    fills: tuple[Fill, ...] = ()  #: of a signal with several targets, the one that ended it last

    @property
    def targets_hit(self) -> int:
        """How many of its targets were hit."""
        hit = sum(one.reason is ExitReason.TAKE_PROFIT for one in self.fills)
        return hit if self.fills else int(self.reason is ExitReason.TAKE_PROFIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """One settlement of funding while a signal was open."""

    time_ms: int
    rate: float  #: [fraction] the last one seen before it; NaN: unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSignal:
    """A signal being followed; `exits.follow` turns one into the next, or into an outcome.

    Its times, the signal's among them, are by the clock of now: they move with it where it is set.
    """

    signal: Signal
    looked_ms: int  #: everything up to here has been judged
    best_price: float  #: the most favourable price seen so far
    worst_price: float  #: the least favourable
    reachable_entry: float | None = None  #: the entry side's quote REACH_SECONDS after the decision, once seen
    flips_running: int = 0  #: fresh books in a row with ask_share at or below the flip, P on the losing side
    last_book_ms: int = 0
    funding_paid_percent: float = 0.0  #: [%] settled before `settlements` were kept, a cost when positive
    is_trailing_armed: bool = False
    reachable_ms: int | None = None  #: when `reachable_entry` was seen
    flip_ms: int = 0  #: time of the last book that counts among `flips_running`
    last_funding_rate: float = math.nan  #: [fraction] per settlement
    settlements: tuple[Settlement, ...] = ()
    tape_ms: int = 0  #: every print up to here has been seen; 0: none came yet
    saw_prints: bool = False  #: prints came; otherwise only quotes were seen
    lacked_prints: bool = False  #: for some time none came, and none were asked for
    unknown_until_ms: int = 0  #: end of the last time that is not known; 0: none
    fills: tuple[Fill, ...] = ()  #: targets that have been hit while others have not

    @property
    def decided_ms(self) -> int:
        """When the signal was decided."""
        return self.signal.decided_ms

    @property
    def next_target(self) -> float:
        """The nearest take-profit that has not been hit."""
        return self.signal.levels.take_profits[len(self.fills)]

    @property
    def is_last_target(self) -> bool:
        """Whether the next target ends it."""
        return len(self.fills) == len(self.signal.levels.take_profits) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits that earlier decisions and the user's commands set: state in, state out, one row in the database."""

    next_id: int = 1
    last_signal_ms: dict[str, int]  #: by coin
    last_exit_ms: dict[str, int]  #: by coin
    last_of_instrument_ms: dict[str, int] = field(default_factory=dict)  #: signal or exit, by Instrument.key_name
    signal_times_ms: tuple[int, ...] = ()  #: of the last three days at least, ascending
    stop_times_ms: tuple[int, ...] = ()  #: stop-losses inside the guard's window, ascending
    guard_until_ms: int = 0
    paused_until_ms: int | None = None  #: None: not paused; FOREVER_MS: until /resume
    muted_coins: dict[str, int]  #: coin -> until [epoch ms]
    muted_venues: dict[str, int]

    @classmethod
    def fresh(cls) -> "Limits":
        """Return the limits of a bot that has never run."""
        return cls(last_signal_ms={}, last_exit_ms={}, muted_coins={}, muted_venues={})


FOREVER_MS = 2**62


class Arm(StrEnum):
    """The part of a control that chance draws."""

    OTHER_INSTRUMENT = "other_instrument"  #: another instrument of the venue, at the time of the alert
    OTHER_TIME = "other_time"  #: the alert's instrument, at a time of the day that follows


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """An instrument or time drawn by chance and followed silently beside an alert, by the same rules."""

    id: int
    signal_id: int  #: the alert it was drawn with
    arm: Arm
    decided_ms: int  #: when it begins
    venue: str
    instrument_id: str
    coin: str
    pair: str
    tick_size: float
    levels: Levels | None  #: None until it begins

    @property
    def key(self) -> tuple[str, str]:
        """The instrument's (venue, id)."""
        return self.venue, self.instrument_id


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """An instrument that almost became a signal: within a few points of the threshold, or stopped by a single gate."""

    strategy: str = "ups"
    decided_ms: int
    venue: str
    instrument_id: str
    coin: str
    score: float
    entry: float  #: the price it would have been entered at, NaN where the book is missing
    failed: tuple[str, ...]  #: names of the gates that refused it
    levels: Levels | None = None  #: to follow what it would have made; None where they cannot be known
