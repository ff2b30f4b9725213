"""A judgement as text, Markdown, HTML and JSON: all of one page, and nothing of a coin's name is markup."""

import json
import re
from dataclasses import replace

import numpy as np
import orjson

from bot.cli.evidence_tables import NO_ADVICE, as_html, as_markdown, as_plain, as_text, page_of
from scoring.evidence.judge import judge
from tests.scoring.evidence.planted import table

ALERTS = replace(table(seed=1, truth=0.3, days=25), part_names=("<b>sweep", "wall|", "oi"))
EVIDENCE = judge(ALERTS, ALERTS, draws=50)
PAGE = page_of(EVIDENCE, title="What <it> is worth", said=("Data: made",))


def test_text() -> None:
    """Every table is there, both samples, with figures that are the judgement's."""
    text = as_text(PAGE)
    assert text.splitlines()[2] == f"Verdict: {EVIDENCE.verdict}"
    for name in ("alerts", "moments"):
        for table_name in ("summary", "bands fixed beforehand", "fifths", "parts", "gates: rows that pass"):
            assert f"\n{name}: {table_name}" in text
    assert f"{EVIDENCE.alerts.expectancy.mean:+.2f} ({EVIDENCE.alerts.expectancy.low:+.2f}" in text
    assert NO_ADVICE in text
    assert "nan" not in text


def test_markdown_and_html() -> None:
    """Bars and angle brackets of names are escaped; each row has as many cells as its head."""
    for table_lines in re.findall(r"(?:^\|.*\n)+", as_markdown(PAGE), flags=re.MULTILINE):
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table_lines.splitlines()}
        assert len(cells) == 1
    page = as_html(PAGE)
    assert "&lt;b&gt;sweep" in page
    assert "<b>sweep" not in page
    assert page.count("<table>") == page.count("</table>") == len(PAGE.tables)
    assert "http" not in page  # it needs nothing else


def test_json() -> None:
    """What has no value is null, and all figures are there."""
    empty = judge(ALERTS.where(np.zeros(len(ALERTS), bool)), draws=10)
    plain = json.loads(orjson.dumps(as_plain(empty)))
    assert plain["verdict"] == "cannot tell"
    assert plain["alerts"]["expectancy"]["mean"] is None
    assert json.loads(orjson.dumps(as_plain(EVIDENCE)))["moments"]["order"]["auc"] == EVIDENCE.alerts.order.auc
