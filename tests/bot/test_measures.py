"""What /metrics reads of a whole bot, by Prometheus' own parser: true to the bot, and what the documents ask for."""

import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bot.core.events import SignalEnded, SignalGiven
from bot.measures import readings
from bot.web.door import Door
from tests.bot.builders import make_status, make_venue
from tests.bot.stage import RunningBot, staged
from tests.scoring.frames import outcome, signal

DOCS = Path(__file__).parents[2] / "docs"
PARTS_THAT_MAY_LACK = {"sgnl_mysql_behind_rows", "sgnl_alert_latency_seconds"}


def samples(bot: RunningBot) -> dict[tuple[str, ...], float]:
    """Return every sample by its name and the values of its labels, in the order of the labels' names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(bot.parts.metrics.exposition(bot.live_status.status()).decode())
        for sample in family.samples
    }


async def test_they_are_those_of_the_bot(tmp_path: Path) -> None:
    """Requests are those that the venues have counted, refusals those of the funnel, ages those of the decision."""
    async with staged(tmp_path) as stage, stage.bot() as bot:
        bot.parts.metrics.watch(readings(bot.parts, Door()))
        assert ("sgnl_best_score", "ups") not in samples(bot), "nothing has been scored"
        await bot.tick_for(30)
        found = samples(bot)
        for venue, seen in stage.servers.requests.items():
            counted = {key: n for key, n in found.items() if key[0] == "sgnl_venue_requests_total" and key[2] == venue}
            assert sum(counted.values()) == seen.count
            assert not [key for key in counted if re.search(r"USDT", key[1])], "an endpoint names no instrument"
            assert found["sgnl_venue_errors_total", venue] == 0
        depth, calls = "fapi/v1/depth", bot.feed.status()["binance"].spent["/fapi/v1/depth"].requests
        assert found["sgnl_venue_weight_total", depth, "binance"] == 2 * calls > 0
        funnel = bot.orchestrator.activity.funnels["ups"]
        refused = {key[1]: n for key, n in found.items() if key[0] == "sgnl_refused_total"}
        assert refused == dict(funnel.refused)
        assert {key[1]: n for key, n in found.items() if key[0] == "sgnl_not_seen_total"} == dict(funnel.not_seen)
        assert 0 <= found["sgnl_data_age_seconds", "price", "0.5", "bybit"] <= 5
        assert found["sgnl_best_score", "ups"] == max(row["score"] for row in bot.live_status.markets())
        assert found["sgnl_tasks",] > 0
        assert found["sgnl_queue_length", "page"] == bot.orchestrator.activity.ticks, "nobody hands them on here"


async def test_the_documents_name_what_there_is(tmp_path: Path) -> None:
    """Every figure that docs/ names is exposed by a bot that has ticked, and docs/operations.md names every figure."""
    async with staged(tmp_path) as stage, stage.bot() as bot:
        metrics = bot.parts.metrics
        metrics.watch(readings(bot.parts, Door()))
        await bot.tick_for(4)
        for event in (SignalGiven(signal()), SignalEnded(signal(), outcome())):
            metrics.note(event)
        lacking = make_status(venues=(make_venue("mexc"),), alert_p50_ms=20.0, alert_p95_ms=40.0, mysql_behind=3)
        exposed = {key[0] for key in samples(bot)} | {
            family.name for family in text_string_to_metric_families(metrics.exposition(lacking).decode())
        }
    texts = {path.name: path.read_text() for path in DOCS.rglob("*") if path.suffix in {".md", ".json", ".yml"}}
    named = {name: set(re.findall(r"\b(?:sgnl|process)_[a-z0-9_]+", text)) for name, text in texts.items()}
    assert len(named["sgnl.json"]) > 24
    assert len(named["alert-rules.yml"]) > 12
    for name, figures in named.items():
        assert figures <= exposed, name
    ours = {re.sub(r"_(bucket|count|sum|total|created)$", "", name) for name in exposed if name.startswith("sgnl_")}
    said = {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in named["operations.md"]}
    assert ours - said == set()


@pytest.mark.parametrize("name", ["sgnl.json", "alert-rules.yml"])
def test_queries_are_closed(name: str) -> None:
    """Parentheses, brackets and braces of every query are in pairs."""
    (path,) = DOCS.rglob(name)
    queries = re.findall(r'"expr": "((?:[^"\\]|\\.)*)"|expr: (.*)', path.read_text())
    assert queries
    for query in ("".join(pair) for pair in queries):
        for opened, closed in ("()", "[]", "{}"):
            assert query.count(opened) == query.count(closed), query
