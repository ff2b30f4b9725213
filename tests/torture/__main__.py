"""`make torture`: what takes too long for the suite; `python -m tests.torture [NAME...]` runs these parts, or all.

matrix  every fault at every endpoint, on a virtual clock
fuzz    ten thousand damaged replies through every parser
wire    the whole bot on the four wires for a quarter of an hour of a virtual clock
streams damaged frames through every reader of a stream
soak    the bench's market for fifteen minutes of real time

Each writes its result into docs/torture.md, in place of its last one.
"""

import asyncio
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path

from tests import bench
from tests.fetchers.test_parsers_fuzz import PARSERS, fuzz
from tests.torture.faults import ENDPOINTS
from tests.torture.matrix import ALL, Cell, run_group
from tests.torture.streams import streams
from tests.torture.wire import wire

FUZZED = 10_000
SOAK_S = 900.0
PROCESSES = 2
RESULT = Path(__file__).parents[2] / "docs" / "torture.md"


def main(names: Sequence[str]) -> int:
    """Run what is named, write down what came of it, and return the exit code."""
    is_good = True
    for name, part in PARTS.items():
        if not names or name in names:
            lines, is_well = part()
            is_good &= is_well
            RESULT.write_text(with_section(RESULT.read_text(), lines))
    return int(not is_good)


def with_section(text: str, lines: Sequence[str]) -> str:
    """Return a document with these lines, of which the first is a heading, in place of the section so headed."""
    sections = re.split(r"^(?=## )", text.rstrip() + "\n\n", flags=re.MULTILINE)
    new = "\n".join(lines).rstrip() + "\n\n"
    places = [place for place, section in enumerate(sections) if section.startswith(f"{lines[0]}\n")]
    sections[slice(places[0], places[0] + 1) if places else slice(len(sections), None)] = [new]
    return "".join(sections).rstrip() + "\n"


def matrix() -> tuple[list[str], bool]:
    """Run all cells; return what to write of them, and whether all were well."""
    groups = [(venue, role) for venue, roles in ENDPOINTS.items() for role in (*roles, ALL)]
    cells: list[Cell] = []
    # a process for each group, so that none has the memory of those before it
    with get_context("spawn").Pool(PROCESSES, maxtasksperchild=1) as pool:
        for done in pool.imap(run_group, groups):
            cells += done
            bad = [cell for cell in done if cell.problems]
            say(f"matrix {done[0].venue} {done[0].role}: {len(done)} cells, {len(bad)} bad")
            for cell in bad:
                say(f"  {cell.fault}: {'; '.join(cell.problems)}")
    return render(cells), not any(cell.problems for cell in cells)


def render(cells: Iterable[Cell]) -> list[str]:
    """Return the matrix as Markdown."""
    cells = list(cells)
    bad = [cell for cell in cells if cell.problems]
    lines = [
        "## The fault matrix",
        "",
        "`python -m tests.torture matrix`: the whole bot against the simulated market, on a virtual clock, one",
        "endpoint of one venue going wrong in one way for four ticks. `ok`: the other venue's tick kept its cadence,",
        "every alert was true to the market as it was, the venue was back within two ticks of the fault's end (or of",
        "the hold it led to), and each kind of call logged one line when it began to fail and one when it worked",
        "again. The last row asks for the setups that come after all of it: each bot must find them.",
        "",
        f"{len(cells)} cells, {len(bad)} bad.",
    ]
    for venue in ENDPOINTS:
        mine = {(cell.fault, cell.role): cell for cell in cells if cell.venue == venue}
        roles = [*ENDPOINTS[venue], ALL]
        lines += ["", f"### {venue}", "", f"| fault | {' | '.join(roles)} |", f"|---|{'---|' * len(roles)}"]
        for fault in dict.fromkeys(name for name, _ in mine):
            row = (mine.get((fault, role)) for role in roles)
            lines.append(f"| {fault} | {' | '.join(_mark(cell) for cell in row)} |")
    return [*lines, "", *(f"- {cell.venue} {cell.role}, {cell.fault}: {'; '.join(cell.problems)}" for cell in bad)]


def _mark(cell: Cell | None) -> str:
    return "" if cell is None else "bad" if cell.problems else "ok"


def fuzzed() -> tuple[list[str], bool]:
    """Damage replies; anything but records and named errors is raised."""
    lines = ["| parser | replies | records | named errors |", "|---|---|---|---|"]
    for name in PARSERS:
        records, errors = fuzz(name, FUZZED)
        lines.append(f"| {name} | {FUZZED:,} | {records:,} | {errors:,} |")
        say(lines[-1])
    what = "`python -m tests.torture fuzz`: damaged replies, and what came of each; nothing else came of any."
    return ["## Fuzzed replies", "", what, "", *lines], True


def soak() -> tuple[list[str], bool]:
    """Watch a market of full size for long; return what to write of it, and whether no limit was passed."""
    measured = asyncio.run(bench.measure(SOAK_S))
    figures = bench.report(measured)
    say(figures)
    what = f"`python -m tests.torture soak`: {SOAK_S / 60:.0f} minutes of real time."
    over = [name for name, venue in measured.run.venues.items() if max(venue.used_share.values()) > 1]
    return ["## Soak", "", what, "", "```", figures, "```"], not over


PARTS: Mapping[str, Callable[[], tuple[list[str], bool]]] = {
    "fuzz": fuzzed,
    "matrix": matrix,
    "wire": wire,
    "streams": streams,
    "soak": soak,
}


def say(text: str) -> None:
    """Print a line now."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
