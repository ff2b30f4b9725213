"""`why SIGNAL`: a signal decided again from its stored input, and whether that gives the same bits."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from loguru import logger

from bot.version import code_hash
from features.facts.venues import venue_title
from scoring.capture import Capture, Recomputed, recompute
from scoring.prices import format_price
from scoring.signals import Outcome, Signal
from scoring.strategies import STRATEGIES
from storage.codec import to_plain
from storage.store import StoreReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """A signal, what it was decided on, and what this code makes of that."""

    signal: Signal
    outcome: Outcome | None
    captured: Capture | None  #: None where it was not kept, or not as this code keeps it
    recomputed: Recomputed | None
    code_hash: str  #: of this code
    differences: tuple[str, ...]  #: names of what comes out otherwise

    @property
    def is_same(self) -> bool:
        """Whether the same signal comes out, to the bit."""
        return self.recomputed is not None and not self.differences


async def explain_signal(history: StoreReader, signal_id: int) -> Why | None:
    """Decide a signal again; None where there is no such signal.

    Raises
    ------
    StorageError
        The database cannot be read.
    """
    found = await history.signals.get(signal_id)
    if found is None:
        return None
    try:
        captured = await history.signals.capture(signal_id)
        strategy = STRATEGIES.get(found[0].strategy)  # None: another version's code, or somebody's own, found it
        recomputed = recompute(captured, strategy) if captured is not None and strategy is not None else None
    except ValueError as error:
        logger.warning("signal {} cannot be decided again: {}", signal_id, error)
        captured = recomputed = None
    return Why(
        signal=found[0],
        outcome=found[1],
        captured=captured,
        recomputed=recomputed,
        code_hash=code_hash(),
        differences=tuple(_differences(found[0], recomputed)) if recomputed is not None else (),
    )


def _differences(signal: Signal, recomputed: Recomputed) -> Iterator[str]:
    if recomputed.signal is None:
        yield "signal"
        return
    before, after = to_plain(signal), to_plain(recomputed.signal)
    for name, value in before.items():
        if isinstance(value, dict):
            yield from (f"{name}.{key}" for key in value | after[name] if value.get(key) != after[name].get(key))
        elif value != after[name]:
            yield name
    if not recomputed.books_agree:
        yield "books"


def as_text(why: Why) -> str:
    """Return it for a terminal."""
    return "\n".join(_lines(why))


def repetition(why: Why) -> str:
    """Return in one line what comes of deciding it again."""
    if why.recomputed is None:
        return "its input was not kept, or by other code: it cannot be decided again"
    made = f"differs in {', '.join(why.differences)}" if why.differences else "the same to the bit"
    return f"decided again from its input: {made}"


def as_json(why: Why) -> str:
    """Return it for programs; the market's cells stay out, the books and prints are in."""
    captured = why.captured
    shown: dict[str, Any] = {
        "signal": why.signal,
        "outcome": why.outcome,
        "is_same": why.is_same,
        "differences": why.differences,
        "code_hash": why.code_hash,
        "recomputed": why.recomputed and {"signal": why.recomputed.signal, "verdicts": why.recomputed.verdicts},
        "input": captured
        and {
            "features_ms": captured.features_ms,
            "instruments": captured.market.instruments,
            "feature_settings": captured.market.settings,
            "books": captured.books,
            "prints": captured.prints,
            "limits": captured.limits,
            "settings": captured.settings,
        },
    }
    return orjson.dumps(to_plain(shown), option=orjson.OPT_SERIALIZE_NUMPY).decode()


def _lines(why: Why) -> Iterator[str]:
    signal, levels = why.signal, why.signal.levels
    entry, stop, *targets = (
        format_price(price, signal.tick_size) for price in (levels.entry, levels.stop, *levels.take_profits)
    )
    decided = datetime.fromtimestamp(signal.decided_ms / 1000, UTC)
    yield f"#{signal.id} {signal.side.upper()} {signal.pair} {venue_title(signal.venue)}"
    yield f"decided {decided:%Y-%m-%d %H:%M:%S}.{signal.decided_ms % 1000:03} UTC"
    yield f"entry {entry} SL {stop} TP {' / '.join(targets)}"
    if (outcome := why.outcome) is not None:
        how = f"ended: {outcome.reason.value.replace('_', ' ')}"
        if outcome.ideal is None:
            yield f"{how}, no result; {outcome.note}"
        else:
            fill = format_price(outcome.fill, signal.tick_size)
            yield f"{how} at {fill}, net {outcome.ideal.net_percent:+.2f} %"
    yield f"score {signal.score:.2f}"
    for name, sub_score in signal.sub_scores.items():
        yield f"  {name.replace('_', ' '):20} {sub_score:6.2f} of 100 gives {signal.contributions[name]:5.2f}"
    yield from (f"  {reason}" for reason in signal.reasons)
    yield "gates"
    verdicts = why.recomputed.verdicts if why.recomputed is not None and why.differences else signal.verdicts
    yield from (f"  {'pass' if verdict.passed else 'FAIL'}  {verdict.reason}" for verdict in verdicts)
    yield from _input_lines(why)


def _input_lines(why: Why) -> Iterator[str]:
    captured, signal = why.captured, why.signal
    if captured is None:
        yield repetition(why)
        return
    prints = sum(len(trades.time_ms) for trades in captured.prints)
    others = " and ".join(f"{one.pair} {venue_title(one.venue)}" for one in captured.market.instruments)
    yield f"input: {others}; {len(captured.books)} books, {prints} prints; settings {signal.config_hash}"
    if signal.code_hash != why.code_hash:
        yield f"decided by code {signal.code_hash}, decided again by {why.code_hash}, which is other code"
    yield repetition(why)
