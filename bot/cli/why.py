"""`bot why SIGNAL`: a signal decided again from its stored input, in words or as JSON."""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any

import orjson

from bot.cli.shared import DONE, FAILED, Subparsers, read_config, say
from bot.core.recompute import Why, explain_signal, nearest_gates, repetition
from bot.core.surroundings import Neighbour, market_around
from bot.lifecycle import Interrupt
from features.facts.venues import venue_title
from scoring.prices import format_price
from scoring.signals import Signal
from storage.codec import to_plain
from storage.store import StoreReader


def add(commands: Subparsers) -> None:
    """Add the command."""
    command = commands.add_parser("why", help="decide a past signal again from what was kept of its input")
    command.add_argument("signal", type=int, help="the number after # in the alert")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.set_defaults(run=run)


async def run(options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Decide it again; fail where anything comes out otherwise."""
    config = read_config()
    database = config.database
    async with await StoreReader.open(database) as reader:
        explained = await explain_signal(reader, options.signal)
    if explained is None:
        say(f"there is no signal {options.signal} in {database}", to=sys.stderr)
        return FAILED
    around = await asyncio.to_thread(market_around, config.tape.folder, explained.signal)
    say(as_json(explained, around) if options.json else as_text(explained, around))
    return DONE if explained.is_same else FAILED


def as_text(why: Why, around: Sequence[Neighbour] = ()) -> str:
    """Return it for a terminal, with what a tape has of the market around it."""
    return "\n".join([*_lines(why), *_around_lines(why.signal, around)])


def as_json(why: Why, around: Sequence[Neighbour] = ()) -> str:
    """Return it for programs; the market's cells stay out, the books and prints are in."""
    captured = why.captured
    shown: dict[str, Any] = {
        "signal": why.signal,
        "outcome": why.outcome,
        "is_same": why.is_same,
        "differences": why.differences,
        "code_hash": why.code_hash,
        "nearest_gates": nearest_gates(why.signal.verdicts),
        "around": around,
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
    if nearest := nearest_gates(signal.verdicts):
        yield f"least to spare: {'; '.join(verdict.reason for verdict in nearest)}"
    yield from _input_lines(why)


def _around_lines(signal: Signal, around: Sequence[Neighbour]) -> Iterator[str]:
    if not around:
        return
    yield "on the tape, the same coin: price, five minutes before, five minutes after, spread, funding"
    for one in around:
        instrument = one.instrument
        name = f"{instrument.pair} {venue_title(instrument.venue)}" + (" *" if instrument.key == signal.key else "")
        yield (
            f"  {name:26} {format_price(one.price, instrument.tick_size) if isfinite(one.price) else '-':>12}"
            f" {_signed(one.before_percent)} {_signed(one.after_percent)} {_signed(one.spread_percent)}"
            f" {_signed(100 * one.funding_rate, 4)}"
        )


def _signed(percent: float, digits: int = 2) -> str:
    return f"{percent:>+8.{digits}f} %" if isfinite(percent) else f"{'-':>8}  "


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
