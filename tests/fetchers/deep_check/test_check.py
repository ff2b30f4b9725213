"""`check --deep` against the simulated market: all well, and each ill that it is there to find."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import orjson
import pytest

from fetchers.deep_check.check import DeepCheck
from fetchers.deep_check.steps import Finding
from fetchers.simulated.server import Servers, Spoil, serve
from fetchers.simulated.wire import Answer, Call, Wire, html_answer, json_answer
from fetchers.transport.client import Reply
from fetchers.universe import UniverseSettings
from fetchers.venues import VENUES, build_venues
from tests.fetchers.simulated.stage import START_MS, make_market
from tests.hand_clock import HandClock

NAMES = tuple(VENUES)
CLOUDFRONT = "The Amazon CloudFront distribution is configured to block access from your country."


@dataclass
class Stage:
    """Four servers, and what a check of one of them said and saved."""

    clock: HandClock
    servers: Servers

    async def check(self, name: str) -> tuple[list[Finding], list[tuple[str, Reply]]]:
        """Check one venue to the end."""
        (venue,) = build_venues([name], dict(self.servers.urls), self.clock.now_ms)
        saved: list[tuple[str, Reply]] = []
        check = DeepCheck(
            venue,
            UniverseSettings(),
            refresh_interval_s=5.0,
            now_ms=self.clock.now_ms,
            sleep=self.clock.advance,
            save=lambda step, reply: saved.append((step, reply)),
        )
        await venue.open()
        try:
            return await check.run(), saved
        finally:
            await venue.close()

    async def failures(self, name: str) -> dict[str, str]:
        """Check one venue, and return what came at each step that was not as expected."""
        findings, _ = await self.check(name)
        return {one.step: one.came for one in findings if not one.is_ok}


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    """Four venues a minute into the scenario, and none of their coins invented."""
    clock = HandClock(START_MS + 61_000)
    servers = await serve(make_market(), clock.now_ms)
    yield Stage(clock, servers)
    await servers.close()


@pytest.mark.parametrize("name", NAMES)
async def test_all_is_well(stage: Stage, name: str) -> None:
    """A venue as documented passes every step in about 25 calls and ten seconds, and no reply is left unsaved."""
    started_ms = stage.clock.now_ms()
    findings, saved = await stage.check(name)
    assert [one for one in findings if not one.is_ok] == []
    requests = stage.servers.requests[name]
    assert len(saved) == requests.count
    assert 15 <= requests.count <= 35
    assert requests.refused == 0
    assert 5_000 <= stage.clock.now_ms() - started_ms <= 15_000
    steps = [one.step for one in findings]
    assert steps[:3] == ["list", "clock", "quotes"]
    for what in ("book of quietest ", "book of odd name ", "book of nonsense "):
        assert any(step.startswith(what) for step in steps)
    assert steps[-1] == "traffic"
    assert " MB an hour: " in findings[-1].came


@pytest.mark.parametrize("name", ["binance", "bybit", "mexc"])
async def test_every_endpoint_of_the_bot(stage: Stage, name: str) -> None:
    """What the bot asks of a venue that publishes prints is asked of the quietest pair, the odd one and the leaving."""
    findings, _ = await stage.check(name)
    steps = {one.step.partition(" of ")[0] for one in findings}
    assert {"book", "prints", "candles", "mark candles"} <= steps
    assert ("open interest history" in steps) == (name != "mexc")
    assert ("open interest" in steps) == (name == "binance")  # elsewhere with the quotes
    assert any(" of leaving OLDIE" in one.step and "unknown symbol" in one.came for one in findings)
    nonsense = [one for one in findings if " of nonsense " in one.step]
    assert len(nonsense) == 3
    assert all(one.came.startswith("unknown symbol: ") for one in nonsense)


async def test_a_name_beyond_ascii_is_the_odd_one(stage: Stage) -> None:
    """Binance's Chinese names go through every endpoint."""
    findings, _ = await stage.check("binance")
    odd = {one.step for one in findings if one.step.endswith("币安人生USDT")}
    assert {step.partition(" of ")[0] for step in odd} >= {"book", "prints", "candles"}


async def test_a_country_block_ends_it_at_once(stage: Stage) -> None:
    """A venue that refuses all is asked once, its page is shown, and the others are none the worse."""
    stage.servers.faults["bybit"]["/"] = lambda *_: html_answer(403, CLOUDFRONT)
    findings, saved = await stage.check("bybit")
    assert [one.is_ok for one in findings] == [False]
    assert "block access from your country" in findings[0].came
    assert findings[0].came.endswith("the rest is not asked")
    assert len(saved) <= 2
    assert await stage.failures("mexc") == {}


async def test_a_refusal_of_a_part_is_shown(stage: Stage) -> None:
    """Binance refuses first what the bot could do without: its words are shown, and nothing else is asked."""
    words = {"code": 0, "msg": "Service unavailable from a restricted location according to 'b. Eligibility'"}
    stage.servers.faults["binance"]["/"] = lambda *_: json_answer(words, status=451)
    findings, saved = await stage.check("binance")
    assert [one.step for one in findings] == ["list"]
    assert "/fapi/v1/fundingInfo said HTTP 451, " in findings[0].came
    assert "restricted location" in findings[0].came
    assert len(saved) == 1


@pytest.mark.parametrize(("name", "path"), [("mexc", "/api/v1/contract/deals"), ("bybit", "/v5/market/orderbook")])
async def test_a_page_in_place_of_one_endpoint(stage: Stage, name: str, path: str) -> None:
    """A challenge on one endpoint fails its own steps only, each with the beginning of the page."""
    stage.servers.faults[name][path] = "html"
    failures = await stage.failures(name)
    assert failures
    assert all(step.startswith(("prints of ", "prints again", "book of ")) for step in failures)
    assert all("said HTTP 200, " in came and "Just a moment..." in came for came in failures.values())


async def test_a_part_of_the_quotes_that_is_missing(stage: Stage) -> None:
    """A bulk call that the bot can do without for a while is still told of, by the columns it should have brought."""
    stage.servers.faults["mexc"]["/api/v1/contract/funding_rate"] = _json({"success": False, "code": 9999})
    failures = await stage.failures("mexc")
    assert "funding_interval_h 100.0%" in failures["quotes"]
    assert list(failures) == ["quotes"]


async def test_a_list_that_repeats(stage: Stage) -> None:
    """Rows that come twice are counted."""

    def repeat(_: Wire, call: Call, answer: Answer) -> Answer:
        payload = orjson.loads(answer.body)
        payload["symbols"] += payload["symbols"][:3]
        return replace(answer, body=orjson.dumps(payload))

    stage.servers.faults["binance"]["/fapi/v1/exchangeInfo"] = repeat
    assert "3 repeated" in (await stage.failures("binance"))["list"]


async def test_a_cursor_that_leads_nowhere(stage: Stage) -> None:
    """A cursor that gives the first page again is found on a page of one row."""

    def ignore(wire: Wire, call: Call, _: Answer) -> Answer:
        query = {name: value for name, value in call.query.items() if name != "cursor"}
        return wire.answer(replace(call, query=query))

    stage.servers.faults["bybit"]["/v5/market/instruments-info"] = ignore
    assert (await stage.failures("bybit"))["cursor of what trades"] == "2 pages: BTCUSDT, BTCUSDT"


async def test_a_weight_that_we_do_not_know(stage: Stage) -> None:
    """Trades that weigh more than we count are found by the venue's own count."""
    more = 0

    def heavier(_: Wire, call: Call, answer: Answer) -> Answer:
        nonlocal more
        more += 20 if call.path.endswith("/trades") else 0
        used = int(answer.headers["X-MBX-USED-WEIGHT-1M"]) + more
        return replace(answer, headers={"X-MBX-USED-WEIGHT-1M": str(used)})

    for path in ("time", "depth", "trades", "openInterest"):
        stage.servers.faults["binance"][f"/fapi/v1/{path}"] = heavier
    assert (await stage.failures("binance"))["weights"].startswith("[2, 25, 1]: a weight that we do not know")


async def test_a_count_that_is_missing(stage: Stage) -> None:
    """Without its header the budget would be blind."""
    stage.servers.faults["binance"]["/fapi/v1/depth"] = lambda _, __, answer: replace(answer, headers={})
    assert (await stage.failures("binance"))["weights"] == "none in that of /fapi/v1/depth"


async def test_levels_that_are_capped(stage: Stage) -> None:
    """Three books of 25 levels at any depth are a cap, and a side of 25 is then not whole."""

    def cap(_: Wire, __: Call, answer: Answer) -> Answer:
        payload = orjson.loads(answer.body)
        for side in ("bids", "asks"):
            payload["data"][side] = payload["data"][side][:25]
        return replace(answer, body=orjson.dumps(payload))

    stage.servers.faults["lbank"]["/cfd/openApi/v1/pub/marketOrder"] = lambda wire, call, answer: (
        cap(wire, call, answer) if b'"bids"' in answer.body else answer
    )
    assert "a side of 25 is cut short" in (await stage.failures("lbank"))["levels at (25, 50, 200)"]


async def test_flags_that_say_nothing_any_more(stage: Stage) -> None:
    """Once most contracts are closed to the API, as before 2026, that tells nothing."""

    def close(_: Wire, __: Call, answer: Answer) -> Answer:
        payload = orjson.loads(answer.body)
        for row in payload["data"]:
            row["apiAllowed"] = False
        return replace(answer, body=orjson.dumps(payload))

    stage.servers.faults["mexc"]["/api/v1/contract/detail"] = close
    failures = await stage.failures("mexc")
    assert list(failures) == ["flags"]


async def test_a_nonsense_symbol_that_is_answered(stage: Stage) -> None:
    """A venue that answers for what nobody lists has changed its words for it."""
    stage.servers.faults["lbank"]["/cfd/openApi/v1/pub/marketOrder"] = lambda wire, call, answer: (
        answer if b'"bids"' in answer.body else _json({"error_code": 777, "success": False})(wire, call, answer)
    )
    failures = await stage.failures("lbank")
    assert list(failures) == ["book of nonsense SGNLNOSUCHUSDT"]
    assert failures["book of nonsense SGNLNOSUCHUSDT"].startswith("BadPayload: ")


def _json(payload: object) -> Spoil:
    return lambda _wire, _call, answer: replace(answer, body=orjson.dumps(payload))
