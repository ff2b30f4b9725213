"""`make torture`: what takes too long for the suite. `python -m tests.torture [matrix] [fuzz] [soak]`, or all of them.

matrix  every fault at every endpoint, on a virtual clock; the result goes to docs/torture.md
fuzz    ten thousand damaged replies through every parser
soak    the bench's market for fifteen minutes of real time
"""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests import bench
from tests.fetchers.test_parsers_fuzz import PARSERS, fuzz
from tests.torture.faults import ENDPOINTS
from tests.torture.matrix import ALL, Cell, run_group

FUZZED = 10_000
SOAK_S = 900.0
PROCESSES = 2
RESULT = Path(__file__).parents[2] / "docs" / "torture.md"


def main(names: Sequence[str]) -> int:
    """Run what is named and return the exit code."""
    failed = False
    if not names or "fuzz" in names:
        for name in PARSERS:
            records, errors = fuzz(name, FUZZED)
            say(f"fuzz {name}: {FUZZED} replies, {records} records, {errors} named errors, nothing else")
    if not names or "matrix" in names:
        failed |= matrix()
    if not names or "soak" in names:
        bench.report(asyncio.run(bench.measure(SOAK_S)))
    return int(failed)


def matrix() -> bool:
    """Run all cells, write the result, and return whether one failed."""
    groups = [(venue, role) for venue, roles in ENDPOINTS.items() for role in (*roles, ALL)]
    cells: list[Cell] = []
    with ProcessPoolExecutor(PROCESSES, max_tasks_per_child=4) as pool:
        for done in pool.map(run_group, groups):
            cells += done
            bad = [cell for cell in done if cell.problems]
            say(f"matrix {done[0].venue} {done[0].role}: {len(done)} cells, {len(bad)} bad")
            for cell in bad:
                say(f"  {cell.fault}: {'; '.join(cell.problems)}")
            RESULT.write_text(render(cells))
    return any(cell.problems for cell in cells)


def render(cells: Iterable[Cell]) -> str:
    """Return the matrix as Markdown."""
    cells = list(cells)
    bad = [cell for cell in cells if cell.problems]
    lines = [
        "# The fault matrix",
        "",
        "Written by `python -m tests.torture matrix`: the whole bot against the simulated market, on a virtual clock,",
        "one endpoint of one venue going wrong in one way for four ticks. `ok`: the other venue's tick kept its",
        "cadence, every alert was true to the market as it was, the venue was back within two ticks of the fault's end",
        "(or of the hold it led to), and each kind of call logged one line when it began to fail and one when it",
        "worked again. The last row asks for the setups that come after all of it: each bot must find them.",
        "",
        f"{len(cells)} cells, {len(bad)} bad.",
    ]
    for venue in ENDPOINTS:
        mine = {(cell.fault, cell.role): cell for cell in cells if cell.venue == venue}
        roles = [*ENDPOINTS[venue], ALL]
        lines += ["", f"## {venue}", "", f"| fault | {' | '.join(roles)} |", f"|---|{'---|' * len(roles)}"]
        for fault in dict.fromkeys(name for name, _ in mine):
            row = (mine.get((fault, role)) for role in roles)
            lines.append(f"| {fault} | {' | '.join(_mark(cell) for cell in row)} |")
    lines += ["", *(f"- {cell.venue} {cell.role}, {cell.fault}: {'; '.join(cell.problems)}" for cell in bad)]
    return "\n".join(lines).rstrip() + "\n"


def _mark(cell: Cell | None) -> str:
    return "" if cell is None else "bad" if cell.problems else "ok"


def say(text: str) -> None:
    """Print a line now."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
