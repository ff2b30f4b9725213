"""`bot evaluate`: what the score is worth against chance and net of costs (docs/evaluate.md)."""

import argparse
import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from bot.cli.evidence_tables import Page, as_html, as_markdown, as_plain, as_text, page_of
from bot.cli.replay import setting
from bot.cli.shared import DONE, FAILED, Subparsers, read_config, say
from bot.core.evidence import table_of
from bot.lifecycle import Interrupt
from bot.logs import set_up_logs
from bot.replay import Replay
from scoring.evidence.judge import Trial, judge, trial
from scoring.evidence.rows import Rows
from scoring.strategies import STRATEGIES
from storage.store import StoreReader

LEDGER = "evidence.jsonl"  #: in DATA_DIR; one line a run
RECORD = "record"  #: the data hash of the bot's own record, which only grows
SAID = (
    "Data: this bot's own closed alerts and their controls, of the newest version",
    "Fees are those of the venues' lists at the time of the alert",
)


def add(commands: Subparsers) -> None:
    """Add the command."""
    command = commands.add_parser("evaluate", help="what the score is worth against chance, net of costs")
    command.add_argument(
        "tapes", type=Path, nargs="*", metavar="TAPE", help="without any the bot's own record is judged"
    )
    command.add_argument(
        "--set", type=setting, action="append", default=[], metavar="NAME=VALUE", help="another setting for the tapes"
    )
    command.add_argument("--strategy", choices=sorted(STRATEGIES), default="ups", help="whose alerts (default: ups)")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--html", type=Path, metavar="FILE", help="also write a page")
    command.add_argument("--markdown", type=Path, metavar="FILE", help="also write Markdown")
    command.add_argument(
        "--label", action="append", default=[], metavar="TEXT", help="said first, such as what data it is"
    )
    command.add_argument("--boot", type=_draws, default=10_000, help="draws of each interval (default: 10000)")
    command.add_argument("--seed", type=int, default=1, help="of the draws (default: 1)")
    command.set_defaults(run=run)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    """The rows to judge, and the words for their source."""

    alerts: Rows
    moments: Rows | None
    config_hash: str
    data_hash: str
    said: tuple[str, ...]


async def run(options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Judge and print; the run is noted in the ledger, since each try makes the best one less a proof."""
    config = read_config()
    data = await (_of_tapes(options) if options.tapes else _of_record(options, config.database))
    if not len(data.alerts) and (data.moments is None or not len(data.moments)):
        say("nothing has ended: there is nothing to judge")
        return FAILED
    made = trial(data.alerts, config_hash=data.config_hash, data_hash=data.data_hash)
    ledger = note_trial(config.data_dir / LEDGER, made)
    evidence = await asyncio.to_thread(
        judge, data.alerts, data.moments, ledger=ledger, draws=options.boot, seed=options.seed
    )
    said = (*options.label, *data.said)
    page = page_of(evidence, title=f"What the score of {options.strategy} is worth", said=said)
    await asyncio.to_thread(_write, options, page)
    plain = {"said": said, **as_plain(evidence)}
    say(orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode() if options.json else as_text(page))
    return DONE


async def _of_record(options: argparse.Namespace, database: Path) -> _Data:
    async with await StoreReader.open(database) as reader:
        kinds = [kind for kind in await reader.signals.current_kinds() if kind.strategy == options.strategy]
        closed = [row for row in await reader.signals.closed() if row[0].strategy == options.strategy]
        controls = await reader.controls.results()
    versions = {kind.version for kind in kinds}
    current = [row for row in closed if row[0].version in versions]
    left_out = len(closed) - len(current)
    return _Data(
        alerts=await asyncio.to_thread(table_of, current, controls),
        moments=None,
        config_hash=current[-1][0].config_hash if current else "",
        data_hash=RECORD,
        said=(*SAID, *([f"{left_out} of other versions left out"] if left_out else [])),
    )


async def _of_tapes(options: argparse.Namespace) -> _Data:
    set_up_logs("ERROR", secrets=())
    async with Replay(changed=dict(options.set), moments_seed=options.seed) as replay:
        done = await replay.play(options.tapes)
    approximate = {name: reason for header in done.headers for name, reason in header.approximate.items()}
    missing = {name: reason for header in done.headers for name, reason in header.missing.items()}
    rows = [(signal, outcome) for signal, outcome in done.rows if outcome is not None]
    alerts = [row for row in rows if row[0].strategy == options.strategy]
    moments = [row for row in done.moments if row[0].strategy == options.strategy]
    venues = sorted({signal.venue for signal, _ in (*rows, *moments)})
    profiles = sorted({header.profile or header.source for header in done.headers})
    return _Data(
        alerts=await asyncio.to_thread(table_of, alerts, done.controls, approximate),
        moments=await asyncio.to_thread(table_of, moments, (), approximate),
        config_hash=" ".join((done.config_hash, *profiles)),
        data_hash=await asyncio.to_thread(hash_of, options.tapes),
        said=(
            f"Data: {len(done.headers)} tapes, {done.ticks} ticks, source and profile {', '.join(profiles)}",
            *(f"Not in this history: {name} ({reason})" for name, reason in sorted(missing.items())),
            *(f"Only nearly so: {name} ({reason})" for name, reason in sorted(approximate.items())),
            f"Venues: {', '.join(venues) or 'none'}; no other was tested",
            *done.lines,
        ),
    )


def hash_of(paths: Sequence[Path]) -> str:
    """Return the hash of these tapes, whatever folder they are in."""
    total = hashlib.sha256()
    for path in sorted(paths, key=lambda path: path.name):
        with path.open("rb") as file:
            total.update(hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()


def note_trial(path: Path, made: Trial) -> list[Trial]:
    """Append a run to the ledger, and return the trials of its data, this one among them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(orjson.dumps(as_plain(made)) + b"\n")
    found = []
    for line in path.read_bytes().splitlines():
        try:
            values = orjson.loads(line)
            ratio = values["sharpe_ratio"]
            one = Trial(**{**asdict(made), **values, "sharpe_ratio": float("nan") if ratio is None else ratio})
        except (orjson.JSONDecodeError, KeyError, TypeError):
            continue  # torn by a crash
        if one.data_hash == made.data_hash:
            found.append(one)
    return found


def _write(options: argparse.Namespace, page: Page) -> None:
    for path, render in ((options.html, as_html), (options.markdown, as_markdown)):
        if path is not None:
            path.write_text(render(page))


def _draws(text: str) -> int:
    draws = int(text)
    if not 100 <= draws <= 1_000_000:
        raise argparse.ArgumentTypeError(f"was {text}, expected 100 to 1000000")
    return draws
