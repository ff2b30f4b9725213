"""`bot replay FILES`: what a tape holds decided again, with the recorded settings or others."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from bot.cli.shared import DONE, FAILED, Subparsers, say
from bot.core.performance import figures
from bot.lifecycle import Interrupt
from bot.logs import set_up_logs
from bot.replay import Replay, Replayed
from features.facts.venues import venue_title
from scoring.prices import format_price
from scoring.records import compare
from scoring.signals import Outcome, Signal
from storage.codec import to_plain

SHOWN_TICKS = 100  #: from one line of progress to the next


def add(commands: Subparsers) -> None:
    """Add the command."""
    command = commands.add_parser("replay", help="decide again what was recorded on tapes, without any network")
    command.add_argument("files", type=Path, nargs="+", metavar="FILE", help="such as data/tape/*")
    command.add_argument(
        "--set", type=setting, action="append", default=[], metavar="NAME=VALUE", help="another setting; repeatable"
    )
    command.add_argument(
        "--from", type=_time, default=0, dest="from_ms", metavar="TIME", help="UTC, as 2026-11-28T06:00"
    )
    command.add_argument("--to", type=_time, default=float("inf"), dest="to_ms", metavar="TIME", help="up to then")
    command.add_argument("--json", action="store_true", help="print one JSON object")
    command.set_defaults(run=run)


async def run(options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Play the tapes; fail where, with the recorded settings, anything is decided otherwise."""
    set_up_logs("ERROR", secrets=())
    shows = sys.stderr.isatty()
    changed = dict(options.set)
    playing = Replay(
        changed=changed, from_ms=options.from_ms, to_ms=options.to_ms, progress=_show if shows else _show_nothing
    )
    async with playing as replay:
        done = await replay.play(options.files)
    if shows:
        say("\r" + " " * 60 + "\r", to=sys.stderr)
    for line in done.lines:
        say(line, to=sys.stderr)
    say(as_json(done) if options.json else as_text(done, changed))
    return FAILED if done.differs_ms is not None and not changed else DONE


def as_json(done: Replayed) -> str:
    """Return it for programs."""
    shown = {
        "digest": done.digest,
        "recorded_digest": done.recorded_digest,
        "differs_ms": done.differs_ms,
        "ticks": done.ticks,
        "ticks_per_second": round(done.ticks_per_second, 1),
        "times_real_time": round(done.times_real_time, 1),
        "from_ms": done.first_ms,
        "to_ms": done.last_ms,
        "sources": sorted({header.source for header in done.headers}),
        "missing": _stated(done, "missing"),
        "approximate": _stated(done, "approximate"),
        "signals": [_row(signal, outcome) for signal, outcome in done.rows],
        "figures": figures(compare(_ended(done))),
        "notes": done.lines,
    }
    return orjson.dumps(to_plain(shown)).decode()


def as_text(done: Replayed, changed: Mapping[str, str]) -> str:
    """Return it for people."""
    return "\n".join(_lines(done, changed))


def _lines(done: Replayed, changed: Mapping[str, str]) -> Iterator[str]:
    yield f"{done.ticks} ticks, {_utc(done.first_ms)} to {_utc(done.last_ms)} UTC"
    yield f"{done.ticks_per_second:.0f} ticks a second, {done.times_real_time:.0f} times real time"
    for what in ("missing", "approximate"):
        for name, reason in _stated(done, what).items():
            yield f"{what}: {name} ({reason})"
    for signal, outcome in done.rows:
        yield _signal_line(signal, outcome)
    yield f"{len(done.rows)} signals, {len(_ended(done))} of them ended"
    if ended := _ended(done):
        made = figures(compare(ended))
        yield (
            f"{made['n']} with a result: {made['expectancy_r']:+.2f} R each"
            f" ({made['expectancy_r_low']:+.2f}…{made['expectancy_r_high']:+.2f}), {made['wins']} won, net of costs"
        )
    yield f"digest of all decisions  {done.digest}"
    if done.recorded_digest is None:
        yield "recorded                 none: this is no tape of a live bot"
    elif changed:
        yield f"recorded                 {done.recorded_digest}, with other settings"
    else:
        yield f"recorded                 {done.recorded_digest}: {_agreement(done)}"


def _agreement(done: Replayed) -> str:
    if done.differs_ms is None:
        return "the same to the bit"
    return f"DIFFERS, first in the tick of {_utc(done.differs_ms)} UTC"


def _signal_line(signal: Signal, outcome: Outcome | None) -> str:
    entry = format_price(signal.levels.entry, signal.tick_size)
    line = (
        f"{_utc(signal.decided_ms)}  #{signal.id} {signal.side.upper()} {signal.pair} {venue_title(signal.venue)}"
        f"  {signal.score:.1f}  entry {entry}"
    )
    if outcome is None:
        return f"{line}  still open"
    result = "no result" if outcome.ideal is None else f"net {outcome.ideal.net_percent:+.2f} %"
    return f"{line}  {outcome.reason.value.replace('_', ' ')}, {result}"


def _row(signal: Signal, outcome: Outcome | None) -> dict[str, Any]:
    return {
        "id": signal.id,
        "strategy": signal.strategy,
        "side": signal.side,
        "coin": signal.coin,
        "venue": signal.venue,
        "instrument_id": signal.instrument_id,
        "decided_ms": signal.decided_ms,
        "entry": signal.levels.entry,
        "score": signal.score,
        "outcome": outcome,
    }


def _ended(done: Replayed) -> list[tuple[Signal, Outcome]]:
    return [(signal, outcome) for signal, outcome in done.rows if outcome is not None]


def _stated(done: Replayed, what: str) -> dict[str, str]:
    return {name: reason for header in done.headers for name, reason in getattr(header, what).items()}


def _show(ticks: int, now_ms: int) -> None:
    if ticks % SHOWN_TICKS == 0:
        sys.stderr.write(f"\r{ticks} ticks, {_utc(now_ms)} UTC")
        sys.stderr.flush()


def _show_nothing(_ticks: int, _now_ms: int) -> None:
    return


def _utc(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def setting(text: str) -> tuple[str, str]:
    """Return the name and the value of NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"was {text}, expected NAME=VALUE")
    return name, value


def _time(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"was {text}, expected a time as 2026-11-28T06:00") from error
    return round(1000 * (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())
