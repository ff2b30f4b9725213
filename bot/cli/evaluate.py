"""`bot evaluate`: what the score is worth against chance and net of costs (docs/evaluate.md)."""

import argparse
import asyncio
from dataclasses import asdict
from pathlib import Path

import orjson

from bot.cli.evidence_tables import Page, as_html, as_markdown, as_plain, as_text, page_of
from bot.cli.shared import DONE, FAILED, Subparsers, read_config, say
from bot.core.evidence import table_of
from bot.lifecycle import Interrupt
from scoring.evidence.judge import Trial, judge, trial
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
    command.add_argument("--strategy", choices=sorted(STRATEGIES), default="ups", help="whose alerts (default: ups)")
    command.add_argument("--json", action="store_true", help="print JSON")
    command.add_argument("--html", type=Path, metavar="FILE", help="also write a page")
    command.add_argument("--markdown", type=Path, metavar="FILE", help="also write Markdown")
    command.add_argument("--boot", type=_draws, default=10_000, help="draws of each interval (default: 10000)")
    command.add_argument("--seed", type=int, default=1, help="of the draws (default: 1)")
    command.set_defaults(run=run)


async def run(options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Judge the record and print it; the run is noted in the ledger, since each try makes the best one less a proof."""
    config = read_config()
    async with await StoreReader.open(config.database) as reader:
        kinds = [kind for kind in await reader.signals.current_kinds() if kind.strategy == options.strategy]
        closed = [row for row in await reader.signals.closed() if row[0].strategy == options.strategy]
        controls = await reader.controls.results()
    versions = {kind.version for kind in kinds}
    current = [row for row in closed if row[0].version in versions]
    if not current:
        say("no alert of this strategy has ended yet: there is nothing to judge")
        return FAILED
    alerts = await asyncio.to_thread(table_of, current, controls)
    ledger_file = config.data_dir / LEDGER
    config_hash = current[-1][0].config_hash
    ledger = note_trial(ledger_file, trial(alerts, config_hash=config_hash, data_hash=RECORD))
    evidence = await asyncio.to_thread(judge, alerts, ledger=ledger, draws=options.boot, seed=options.seed)
    left_out = len(closed) - len(current)
    said = (*SAID, *([f"{left_out} of other versions left out"] if left_out else []))
    page = page_of(evidence, title=f"What the score of {options.strategy} is worth", said=said)
    _write(options, page)
    plain = {"said": said, **as_plain(evidence)}
    say(orjson.dumps(plain, option=orjson.OPT_INDENT_2).decode() if options.json else as_text(page))
    return DONE


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
