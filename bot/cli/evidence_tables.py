"""A judgement as tables, and the tables as text, Markdown, or one HTML page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from bot.chat.texts.markup import escape
from scoring.evidence.judge import Evidence, Sample
from scoring.evidence.ordering import Ordering
from scoring.evidence.parts import Split
from scoring.evidence.resampling import Estimate

NO_ADVICE = "These figures are about the past of this data. They are no advice to trade."
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .8rem;text-align:right;"
    "border-bottom:1px solid #8884}td:first-child,th:first-child{text-align:left}.verdict{font-size:1.3rem}"
)


@dataclass(frozen=True, slots=True)
class Table:
    """A title, what stands below it in words, and rows of cells."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """All that is said of one judgement."""

    title: str
    lines: tuple[str, ...]
    tables: tuple[Table, ...]


def page_of(evidence: Evidence, *, title: str, said: Sequence[str]) -> Page:
    """Return the judgement in words and tables; `said` names the data, what it lacks and what is only nearly so."""
    samples = {"alerts": evidence.alerts, "moments": evidence.moments}
    lines = (
        f"Verdict: {evidence.verdict}",
        *evidence.reasons,
        f"Alerts it takes to show 0.05 R against chance: {_count(evidence.rows_needed)}",
        f"Alerts it takes to show five points of win rate: {_count(evidence.rows_for_five_points)}",
        f"Configurations tried on this data: {evidence.trials}",
        *said,
        NO_ADVICE,
    )
    tables = tuple(table for name, sample in samples.items() if sample is not None for table in _tables(name, sample))
    return Page(title, lines, tables)


def as_text(page: Page) -> str:
    """Return it for a terminal."""
    lines = [page.title, "", *page.lines]
    for table in page.tables:
        every = [table.columns, *table.rows]
        widths = [max(len(row[place]) for row in every) for place in range(len(table.columns))]
        lines += ["", table.title, *([f"  {table.note}"] if table.note else [])]
        for row in every:
            first, *rest = (cell.rjust(width) for cell, width in zip(row, widths, strict=True))
            lines.append("  ".join(("", row[0].ljust(len(first)), *rest)))
    return "\n".join(lines)


def as_markdown(page: Page) -> str:
    """Return it for a repository's or an issue's page."""
    lines = [f"# {page.title}", "", *(f"- {line}" for line in page.lines)]
    for table in page.tables:
        lines += ["", f"## {table.title}", "", *([table.note, ""] if table.note else [])]
        lines += [_bars(table.columns), "|---" * len(table.columns) + "|", *map(_bars, table.rows)]
    return "\n".join(lines) + "\n"


def as_html(page: Page) -> str:
    """Return one page that needs nothing else."""
    verdict, *rest = page.lines
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{escape(page.title)}</title><style>{_STYLE}</style>",
        f"<h1>{escape(page.title)}</h1><p class=verdict>{escape(verdict)}</p><ul>",
        *(f"<li>{escape(line)}</li>" for line in rest),
        "</ul>",
    ]
    for table in page.tables:
        parts.append(f"<h2>{escape(table.title)}</h2>" + (f"<p>{escape(table.note)}</p>" if table.note else ""))
        parts.append("<table>" + _cells("th", table.columns))
        parts += [_cells("td", row) for row in table.rows]
        parts.append("</table>")
    return "\n".join(parts) + "\n"


def as_plain(value: Any) -> Any:
    """Return a judgement as JSON has it; what has no value is null."""
    if is_dataclass(value):
        return {one.name: as_plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, dict):
        return {str(key): as_plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _tables(name: str, sample: Sample) -> list[Table]:
    summary = (
        ("n", f"{sample.n:,}"),
        ("nobody could enter, or end not known", f"{sample.not_reached:,}"),
        ("UTC days, coins", f"{sample.days}, {sample.coins}"),
        ("R each, net", estimate_text(sample.expectancy)),
        ("the same, clustered", _interval(sample.expectancy.clustered_low, sample.expectancy.clustered_high)),
        ("only rows with all parts, none approximate", f"{estimate_text(sample.strict)}, n {sample.strict.n:,}"),
        *((f"against {arm}", f"{estimate_text(delta)}, n {delta.n:,}") for arm, delta in sample.deltas.items()),
        ("win rate", f"{_share(sample.win_rate)} {_shares(sample.win_rate_low, sample.win_rate_high)}"),
        ("break-even win rate of these rows", _share(sample.break_even_win_rate)),
        ("R each before costs", _r(sample.costs.gross_r)),
        ("costs, R each", _r(sample.costs.gross_r - sample.costs.net_r)),
        ("design effect of days", f"{number_text(sample.design_effect)} (rho {number_text(sample.rho)})"),
        ("AUC of the score", number_text(sample.order.auc)),
        (
            "error taken away by a map of earlier months",
            f"{number_text(sample.calibrated.skill)}, n {sample.calibrated.n:,}",
        ),
    )
    found = [
        Table(f"{name}: summary", "", ("figure", "value"), summary),
        _bands(f"{name}: bands fixed beforehand", sample.order, sample.order_word),
        _bands(f"{name}: fifths", sample.order_by_quintiles, ""),
    ]
    if sample.parts:
        rows = tuple(
            (
                part.name,
                f"{part.n:,}",
                number_text(part.auc_alone),
                number_text(part.p_value),
                number_text(part.p_holm),
                number_text(part.auc_without),
                number_text(part.delta_without),
            )
            for part in sample.parts
        )
        columns = ("part", "n", "AUC alone", "p", "Holm", "AUC of the score without it", "what it adds")
        found.append(Table(f"{name}: parts", "", columns, rows))
    for title, splits in (("gates: rows that pass", sample.gates), ("rows that lack a part", sample.missing)):
        if splits:
            of_both = ("", "n", "R each", "others n", "R each", "difference")
            found.append(Table(f"{name}: {title}", "", of_both, tuple(map(_split, splits))))
    months = tuple((month.name, f"{month.n:,}", _r(month.expectancy_r)) for month in sample.months)
    found.append(Table(f"{name}: months, the worst first", "", ("month", "n", "R each"), months))
    return found


def _bands(title: str, order: Ordering, word: str) -> Table:
    rows = tuple(
        (
            f"{band.low:.4g} to {band.high:.4g}",
            f"{band.n:,}",
            _r(band.mean_r),
            _share(band.win_rate),
            _shares(band.win_rate_low, band.win_rate_high),
        )
        for band in order.bands
    )
    note = (
        f"{word + '; ' if word else ''}p {number_text(order.p_value)} by exchange within a coin's day, "
        f"{order.exchangeable:,} rows can be exchanged; top less bottom {estimate_text(order.top_minus_bottom)}"
    )
    return Table(title, note, ("score", "n", "R each", "win rate", "95 %"), rows)


def _split(one: Split) -> tuple[str, ...]:
    inside, outside = one.inside, one.outside
    return one.name, f"{inside.n:,}", _r(inside.mean), f"{outside.n:,}", _r(outside.mean), estimate_text(one.difference)


def estimate_text(one: Estimate) -> str:
    """Return a mean with its interval, or that it is unproven."""
    return f"{_r(one.mean)} {_interval(one.low, one.high) if one.is_proven else 'unproven'}"


def _interval(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"({low:+.2f} … {high:+.2f})"


def _count(rows: int) -> str:
    return f"{rows:,}" if rows else "not known from these"


def _r(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:+.2f}"


def number_text(value: float) -> str:
    """Return a number, or a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:.3f}"


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.0%}"


def _shares(low: float, high: float) -> str:
    return "-" if math.isnan(low) else f"({low:.0%} … {high:.0%})"


def _bars(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cells(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
