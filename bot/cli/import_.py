"""`bot import`: public history as tapes: what there is, downloaded and checked, then the days one by one."""

import argparse
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from bot.cli.evidence_tables import number_text
from bot.cli.shared import DONE, FAILED, USAGE, Subparsers, read_config, say
from bot.config.load import load_config
from bot.config.settings import Config
from bot.lifecycle import Interrupt
from bot.logs import set_up_logs
from bot.replay import Replay
from bot.version import VERSION
from fetchers.archives.build import Builder, Files, Range
from fetchers.archives.download import Downloader, Planned, check_files
from fetchers.archives.history_profile import Profile
from fetchers.archives.sources import (
    BYBIT_BOOKS,
    BYBIT_TRADES,
    TARDIS,
    TARDIS_VENUES,
    VISION,
    ArchiveFile,
    bybit_files,
    days_between,
    tardis_files,
    vision_files,
)
from fetchers.transport.session import open_session
from scoring.evidence.ladder import compare_histories

BITCOIN = "BTCUSDT"  #: always imported: its return is a part of every score
ASKS_ABOVE_GB = 5.0
MEGABYTES_A_SECOND = 2.5  #: 20 Mbit/s, for the plan's minutes
REQUESTS_A_SECOND = 15
MIRRORS = {
    "vision": {"base": VISION},
    "bybit": {"trades-base": BYBIT_TRADES, "books-base": BYBIT_BOOKS},
    "tardis": {"base": TARDIS},
}


def add(commands: Subparsers) -> None:
    """Add the command."""
    command = commands.add_parser(
        "import", help="public history as tapes: Binance Vision, Bybit, Tardis, or files here"
    )
    sources = command.add_subparsers(dest="source", metavar="source", required=True)
    for name, text in (
        ("vision", "Binance Vision, USD-M futures: prints, bands of depth, open interest"),
        ("bybit", "Bybit: trades and books"),
        ("tardis", "Tardis: the first day of each month, free"),
        ("raw", "files of Binance Vision that are here already, in any folders"),
    ):
        one = sources.add_parser(name, help=text)
        one.add_argument("--coins", type=_coins, required=True, metavar="A,B or FILE", help="symbols, such as WIFUSDT")
        if name == "tardis":
            one.add_argument("--months", type=_months, required=True, metavar="2026-01..2026-09")
            one.add_argument("--venue", choices=TARDIS_VENUES, default="binance")
        else:
            one.add_argument("--from", type=date.fromisoformat, required=True, dest="first", metavar="DAY", help="UTC")
            one.add_argument(
                "--to", type=date.fromisoformat, required=True, dest="last", metavar="DAY", help="included"
            )
        if name == "raw":
            one.add_argument("folder", type=Path, help="where they are")
        else:
            one.add_argument("--cache", type=Path, help="where downloads are kept (default: DATA_DIR/archives)")
            one.add_argument("--jobs", type=int, default=8, choices=range(1, 17), metavar="1…16", help="at once")
            one.add_argument("--offline", action="store_true", help="use what is in the cache, ask nobody")
            one.add_argument("--dry-run", action="store_true", help="only say what there is")
            one.add_argument("--yes", action="store_true", help=f"do not ask above {ASKS_ABOVE_GB:g} GB")
        for option, base in MIRRORS.get(name, {}).items():
            one.add_argument(f"--{option}", default=base, metavar="URL", help=f"a mirror (default: {base})")
        one.add_argument("--oi", choices=("relaxed", "strict", "off"), default="relaxed", help="open interest")
        one.add_argument(
            "--every",
            type=int,
            default=5,
            choices=range(1, 61),
            metavar="1…60",
            help="seconds a tick; above 10 hardly a reachable price is seen",
        )
        one.add_argument("--book-age", type=int, default=35, metavar="SECONDS", help="older bands are stale")
        one.add_argument("--out", type=Path, help="where the tapes go (default: DATA_DIR/tapes/SOURCE)")
        one.set_defaults(run=run)
    ladder = sources.add_parser(
        "ladder", help="the same Bybit days from books and from bands: what Vision's form costs"
    )
    ladder.add_argument("--coins", type=_coins, required=True, metavar="A,B or FILE", help="symbols, such as WIFUSDT")
    ladder.add_argument("--from", type=date.fromisoformat, required=True, dest="first", metavar="DAY", help="UTC")
    ladder.add_argument("--to", type=date.fromisoformat, required=True, dest="last", metavar="DAY", help="included")
    ladder.add_argument("--cache", type=Path, help="where the downloads are (default: DATA_DIR/archives)")
    ladder.add_argument("--every", type=int, default=5, choices=range(1, 16), metavar="1…15", help="seconds a tick")
    ladder.set_defaults(run=run_ladder)
    check = sources.add_parser("check", help="whether downloaded files are as they were")
    check.add_argument("folder", type=Path, nargs="?", help="(default: DATA_DIR/archives)")
    check.set_defaults(run=run_check)


async def run(options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Plan, download, build; holes are said and cost nothing else."""
    config = read_config()
    days = options.months if options.source == "tardis" else days_between(options.first, options.last)
    if not days:
        say("--to lies before --from", to=sys.stderr)
        return USAGE
    load_config(_profile(options).settings)  # what cannot be replayed is not worth a download
    symbols = list(dict.fromkeys((BITCOIN, *options.coins)))
    folder = options.folder if options.source == "raw" else options.cache or config.data_dir / "archives"
    if options.source != "raw" and not options.offline:
        code = await _download(config, options, _files_of(options, symbols, days), folder)
        if code is not None:
            return code
    return _build(config, options, symbols, days, folder)


async def run_ladder(options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Build the days twice, replay both with the same random moments, and say how far they agree."""
    set_up_logs("ERROR", secrets=())
    config = read_config()
    files = Files(options.cache or config.data_dir / "archives")
    symbols, days = list(dict.fromkeys((BITCOIN, *options.coins))), days_between(options.first, options.last)
    volume = Range(least=0, most=float("inf"))
    played = []
    with tempfile.TemporaryDirectory(prefix="sgnl-ladder-") as folder:
        for bands_only in (False, True):
            profile = Profile(source="bybit", every_s=options.every, bands_only=bands_only)
            builder = Builder(files, profile, volume, Path(folder) / profile.name, f"SGNL {VERSION}")
            for day in builder.build(symbols, days, "bybit"):
                say(f"{profile.name} {day}: {builder.report.ticks} ticks so far")
            if not builder.report.files:
                say("nothing could be used: import these Bybit days first", to=sys.stderr)
                return FAILED
            async with Replay(moments_seed=1) as replay:
                played.append(await replay.play(builder.report.files))
    full, poorer = played
    made = compare_histories(
        *([signal for signal, _ in one.moments] for one in played),
        *([signal for signal, _ in one.rows] for one in (full, poorer)),
    )
    say(f"{made.moments} moments in both, rank correlation of scores {number_text(made.rank_correlation)} (wants 0.7)")
    say(f"{made.found} of {made.alerts} alerts found again within a minute, wants 60 %")
    for gate, share in made.gate_agreement.items():
        say(f"gate {gate}: the same in {share:.0%}")
    word = (
        "may be judged on Vision's form"
        if made.is_enough
        else "a verdict on Vision's form would be about another score"
    )
    say(word)
    return DONE


async def run_check(options: argparse.Namespace, _interrupt: Interrupt) -> int:
    """Say which files are not as they were."""
    folder = options.folder or read_config().data_dir / "archives"
    problems = check_files(folder)
    for problem in problems:
        say(problem)
    say(
        f"{len(problems)} of the files below {folder} cannot be used"
        if problems
        else f"all files below {folder} are well"
    )
    return FAILED if problems else DONE


def plan_text(planned: Sequence[Planned], free_bytes: int) -> str:
    """Return what is going to be downloaded, in figures."""
    states = Counter(one.state for one in planned)
    wanted = [one for one in planned if one.state == "wanted"]
    size = sum(one.bytes for one in wanted)
    minutes = (size / 1e6 / MEGABYTES_A_SECOND + len(wanted) / REQUESTS_A_SECOND) / 60
    return (
        f"{states['wanted']} files to download, about {size / 1e9:.2f} GB, {minutes:.0f} minutes at 20 Mbit/s;"
        f" {states['had']} are here, {states['absent']} are not in the archive; {free_bytes / 1e9:.0f} GB of disk left"
    )


def _files_of(options: argparse.Namespace, symbols: Sequence[str], days: Sequence[date]) -> list[ArchiveFile]:
    if options.source == "vision":
        return list(vision_files(symbols, days, options.base))
    if options.source == "bybit":
        return list(bybit_files(symbols, days, options.trades_base, options.books_base))
    return list(tardis_files(options.venue, symbols, days, options.base))


async def _download(
    config: Config, options: argparse.Namespace, files: Sequence[ArchiveFile], folder: Path
) -> int | None:
    """Download and return None, or the exit code where it ends here."""
    async with open_session(files[0].url, config.venues.route, sockets=options.jobs) as session:
        loader = Downloader(session, folder, jobs=options.jobs)
        planned = await loader.plan(files)
        config.data_dir.mkdir(parents=True, exist_ok=True)
        say(plan_text(planned, shutil.disk_usage(config.data_dir).free))
        size_gb = sum(one.bytes for one in planned if one.state == "wanted") / 1e9
        if options.dry_run:
            return DONE
        if size_gb > ASKS_ABOVE_GB and not options.yes:
            say(f"this is over {ASKS_ABOVE_GB:g} GB: give --yes", to=sys.stderr)
            return USAGE
        done = await loader.fetch(planned, lambda one: say(f"{one.path}: {one.problem}") if one.problem else None)
    say(f"{sum(not one.problem for one in done)} files downloaded")
    return None


def _build(
    config: Config, options: argparse.Namespace, symbols: Sequence[str], days: Sequence[date], folder: Path
) -> int:
    profile = _profile(options)
    volume = Range(least=config.universe.min_quote_volume, most=config.universe.max_quote_volume)
    out = options.out or config.data_dir / "tapes" / profile.source
    builder = Builder(Files(folder), profile, volume, out, f"SGNL {VERSION}")
    for day in builder.build(symbols, days, getattr(options, "venue", "")):
        say(f"{day}: {builder.report.ticks} ticks so far, {len(builder.report.files)} files")
    report = builder.report
    for line in report.lines:
        say(line)
    for title, counts in (("instrument-days left out", report.left_out), ("defects", report.defects)):
        if counts:
            say(f"{title}: " + ", ".join(f"{count} {reason}" for reason, count in counts.most_common()))
    for title, named in (("not in this history", profile.missing), ("only nearly so", profile.approximate)):
        say(f"{title}: " + "; ".join(f"{name} ({reason})" for name, reason in named.items()))
    if not report.files:
        say("nothing could be used", to=sys.stderr)
        return FAILED
    say(f"{report.instrument_days} instrument-days, {report.ticks} ticks, {len(report.files)} tapes in {out}")
    return DONE


def _profile(options: argparse.Namespace) -> Profile:
    source = "vision" if options.source == "raw" else options.source
    return Profile(source=source, every_s=options.every, book_age_s=options.book_age, open_interest=options.oi)


def _coins(text: str) -> list[str]:
    names = Path(text).read_text().split() if Path(text).is_file() else text.split(",")
    symbols = [name.strip().upper() for name in names if name.strip()]
    if wrong := [one for one in symbols if not re.fullmatch(r"[A-Z0-9]{2,30}USDT", one)]:
        raise argparse.ArgumentTypeError(f"{', '.join(wrong[:3])}: expected symbols such as WIFUSDT, or a file of them")
    return symbols


def _months(text: str) -> list[date]:
    first, _, last = text.partition("..")
    begin, end = (date.fromisoformat(f"{month}-01") for month in (first, last or first))
    count = 12 * (end.year - begin.year) + end.month - begin.month + 1
    return [date(begin.year + (begin.month - 1 + n) // 12, (begin.month - 1 + n) % 12 + 1, 1) for n in range(count)]
