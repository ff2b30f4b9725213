"""The web app over real HTTP, before a real database and a bot that holds still."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import yarl
from aiohttp import web

from bot.config.settings import HttpSettings
from bot.core import performance
from bot.core.event_queue import EventQueue
from bot.core.market import PriceHistory
from bot.core.status import BotStatus, Incident
from bot.publish.metrics import Metrics
from bot.web import api
from bot.web.access import Access
from bot.web.app import WebError, build_app, serve
from bot.web.live import Live
from features.facts.market import read_only
from fetchers.health import Condition
from scoring.signals import ExitReason
from storage.store import Store
from tests.bot.builders import make_open_signal, make_status, make_venue
from tests.builders import NOW_MS
from tests.storage.builders import (
    DECIDED_MS,
    make_control,
    make_limits,
    make_near_miss,
    make_outcome,
    make_signal,
)

TOKEN = "0123456789abcdef"
WELL: dict[str, Any] = {
    "status": "ok",
    "problems": [],
    "funnels": {"ups": asdict(make_status().funnels["ups"])},
    "venues": {"binance": "ok", "bybit": "ok"},
    "replies": {"binance": {}, "bybit": {}},
    "incidents": [],
}


class StillBot:
    """A bot at one moment."""

    def __init__(self) -> None:
        self.now = make_status(open_signals=(make_open_signal(),))

    def status(self) -> BotStatus:
        """The moment."""
        return self.now

    def now_ms(self) -> int:
        """The moment."""
        return self.now.now_ms

    def strategies(self) -> tuple[str, ...]:
        """Two, the second of which scores nothing."""
        return ("ups", "levels")

    def markets(self, limit: int = 100, strategy: str = "") -> list[Mapping[str, Any]]:
        """One pair, with a number that is missing and one of numpy's."""
        del limit
        if strategy == "levels":
            return []
        return [{"venue": "bybit", "id": "XLMUSDT", "score": np.float64(71.5), "spread_bps": float("nan")}]

    def market(self, venue: str, instrument_id: str, strategy: str = "") -> Mapping[str, Any] | None:
        """The same pair."""
        del strategy
        return self.markets()[0] if (venue, instrument_id) == ("bybit", "XLMUSDT") else None

    def scores(self, strategy: str = "") -> Mapping[str, Any]:
        """None but the threshold."""
        return {"strategy": strategy or "ups", "threshold": 72.0, "edges": [0, 100], "counts": [0]}

    def positions(self) -> list[Mapping[str, Any]]:
        """No open signal."""
        return []

    async def history(self, venue: str, instrument_id: str) -> PriceHistory | None:
        """Two prices of the pair, one of them missing."""
        if self.market(venue, instrument_id) is None:
            return None
        values = read_only([0.5, float("nan")], np.float64)
        return PriceHistory(time_ms=read_only([1, 2], np.int64), price=values, open_interest=values)

    def levels(self, venue: str, instrument_id: str) -> Mapping[str, Any] | None:
        """The same pair's leg, which has not come back."""
        return {"phase": "leg", "retraced": float("nan")} if (venue, instrument_id) == ("bybit", "XLMUSDT") else None

    def candles(
        self, venue: str, instrument_id: str, interval: str, limit: int, before_ms: int | None = None
    ) -> list[list[float]] | None:
        """Up to two candles of the same pair and of one interval."""
        is_kept = (venue, instrument_id, interval) == ("bybit", "XLMUSDT", "15m")
        candles = [[0, 1.0, 2.0, 0.5, 1.5, 7.0], [900_000, 1.5, 1.5, 1.5, 1.5, 0.0]]
        older = [one for one in candles if before_ms is None or one[0] < before_ms]
        return older[-limit:] if is_kept else None


def app_of(bot: StillBot, store: Store, token: str = "", *hosts: str) -> web.Application:
    """Return the app over a bot and a database."""
    access = Access(token, lambda: NOW_MS)
    return build_app(bot, store, access, Live(bot, EventQueue("test")), hosts, metrics=Metrics().exposition)


class Site:
    """A running app and a client of it."""

    def __init__(self, url: str, session: aiohttp.ClientSession, bot: StillBot, store: Store) -> None:
        self.url = url
        self.bot = bot
        self.store = store
        self._session = session

    async def get(self, path: str, *, method: str = "GET", token: str = "") -> tuple[int, Any, Mapping[str, str]]:
        """Return status, JSON and headers."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self._session.request(method, yarl.URL(f"{self.url}{path}", encoded=True), headers=headers) as reply:
            assert reply.content_type == "application/json"
            return reply.status, await reply.json() if method == "GET" else await reply.text(), reply.headers


@pytest.fixture
async def site(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    """Yield the app over two signals, the first of them closed; `request.param` is HTTP_TOKEN."""
    token, bot = getattr(request, "param", ""), StillBot()
    async with await Store.open(tmp_path / "sgnl.sqlite3") as store:
        limits = make_limits()
        await store.remember(
            [make_signal(1), make_signal(2, coin="PEPE", pair="PEPE/USDT", instrument_id="PEPEUSDT")],
            limits,
            [],
            [make_near_miss()],
            followed=[make_near_miss()],
            controls=[make_control(2)],
        )
        await store.record_outcome(make_outcome(1), limits, [])
        await store.record_near_misses([make_outcome(1, is_by_quotes=True)])
        settings = HttpSettings(host="127.0.0.1", port=0, token=token)
        async with (
            serve(app_of(bot, store, token, "x.org"), settings) as url,
            aiohttp.ClientSession() as session,
        ):
            yield Site(url, session, bot, store)


with_token = pytest.mark.parametrize("site", [TOKEN], indirect=True)


async def test_health(site: Site) -> None:
    """200 while all is well, and 503 with the reasons where not; what Telegram did to messages is told either way."""
    status, body, _ = await site.get("/health")
    assert (status, body) == (200, WELL)
    flood = Incident(what="flood wait", count=2, last_ms=DECIDED_MS, words="chat -200: retry after 17")
    site.bot.now = make_status(venues=(make_venue("mexc", state=Condition.BLIND),), incidents=(flood,))
    status, body, _ = await site.get("/health")
    assert status == 503
    assert body == {
        "status": "unwell",
        "problems": ["every venue is blind"],
        "funnels": WELL["funnels"],
        "venues": {"mexc": "blind"},
        "replies": {"mexc": {}},
        "incidents": [{"what": "flood wait", "count": 2, "last_ms": DECIDED_MS, "words": "chat -200: retry after 17"}],
    }


async def test_stats(site: Site) -> None:
    """The record of all and by group, beside chance, with no value where there is none; days are bounded."""
    status, body, _ = await site.get("/api/stats")
    assert status == 200
    total = body["total"]
    assert (total["n"], total["expectancy_r"], total["chance_n"], total["chance_expectancy_r"]) == (1, 1.766, 0, None)
    assert (total["verdict"], total["difference_r_low"]) == ("too few", None)
    assert body["venue"]["bybit"]["n"] == 1
    assert body["left_out"] == 0
    _, body, _ = await site.get("/api/stats?days=1")
    assert body["total"]["n"] == 1
    for wrong in ("days=0", "days=x", "day=1"):
        status, _, _ = await site.get(f"/api/stats?{wrong}")
        assert status == 400


async def test_metrics(site: Site) -> None:
    """The figures come in Prometheus' text format."""
    async with aiohttp.ClientSession() as session, session.get(f"{site.url}/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "sgnl_open_signals 1.0" in await answer.text()


async def test_near_misses(site: Site) -> None:
    """Each with what it would have made, and whether quotes alone have judged that."""
    _, body, _ = await site.get("/api/near_misses")
    assert [(one["near_miss"]["coin"], one["outcome"]["is_by_quotes"]) for one in body["near_misses"]] == [
        ("XLM", True)
    ]
    _, body, _ = await site.get(f"/api/near_misses?since={DECIDED_MS + 1}&limit=5")
    assert body == {"near_misses": [], "refusals": {}}
    status, _, _ = await site.get("/api/near_misses?limit=1001")
    assert status == 400


async def test_one_with_its_controls(site: Site) -> None:
    """A signal comes with what was drawn with it."""
    _, body, _ = await site.get("/api/signals/2")
    ((control),) = body["controls"]
    assert (control["control"]["arm"], control["control"]["coin"]) == ("other_instrument", "PEPE")
    assert control["outcome"] is None


async def test_status(site: Site) -> None:
    """The whole record, with what follows from it."""
    _, body, _ = await site.get("/api/status")
    assert body["problems"] == []
    assert body["status"]["signals_today"] == 3
    assert body["status"]["venues"][1]["venue"] == "bybit"
    assert body["status"]["open_signals"][0]["signal"]["coin"] == "XLM"


async def test_markets(site: Site) -> None:
    """Missing numbers are null, and a pair nobody watches is not found."""
    pair = {"venue": "bybit", "id": "XLMUSDT", "score": 71.5, "spread_bps": None}
    assert (await site.get("/api/markets"))[:2] == (200, {"markets": [pair]})
    assert (await site.get("/api/markets/bybit/XLMUSDT"))[:2] == (200, pair)
    assert (await site.get("/api/markets/mexc/NO%20ONE"))[:2] == (404, {"error": "mexc NO ONE is not watched"})


async def test_strategies(site: Site) -> None:
    """Leaderboard, scores and pair are those of the strategy that is named; one that does not run is refused."""
    assert (await site.get("/api/markets?strategy=levels"))[1] == {"markets": []}
    assert (await site.get("/api/scores?strategy=levels"))[1]["strategy"] == "levels"
    assert (await site.get("/api/scores?strategy="))[1]["strategy"] == "ups"
    error = {"error": 'strategy: was "none", expected one of ups, levels'}
    for path in ("/api/markets", "/api/scores", "/api/markets/bybit/XLMUSDT"):
        assert (await site.get(f"{path}?strategy=none"))[:2] == (400, error)


async def test_days_are_counted_without_a_status(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """To know the time, no whole status is put together."""
    monkeypatch.setattr(site.bot, "status", None)
    for path in ("/api/stats?days=90", "/api/equity?days=90"):
        assert (await site.get(path))[0] == 200


async def test_the_history_is_counted_once_for_all(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty who ask at once are one count; another is made when a signal has ended, and after a minute."""
    counts = 0
    whole = performance.make_report

    async def counted(*arguments: Any) -> Any:
        nonlocal counts
        counts += 1
        return await whole(*arguments)

    monkeypatch.setattr(api, "make_report", counted)
    bodies = await asyncio.gather(*(site.get("/api/stats?days=90") for _ in range(20)))
    assert all(body == bodies[0][1] for _, body, _ in bodies)
    assert counts == 1
    site.bot.now = replace(site.bot.now, now_ms=site.bot.now.now_ms + api.KEPT_MS)
    assert (await site.get("/api/stats?days=90"))[1] == bodies[0][1]
    assert counts == 2
    assert (await site.get("/api/stats"))[1]["total"]["n"] == 1
    assert counts == 3
    await site.store.record_outcome(make_outcome(2), make_limits(), [])
    assert (await site.get("/api/stats"))[1]["total"]["n"] == 2
    assert counts == 4


async def test_candles_and_levels(site: Site) -> None:
    """Closed candles by interval and number, and where a pair stands on its leg; what is not kept is not found."""
    _, body, _ = await site.get("/api/candles/bybit/XLMUSDT?limit=1")
    assert (body["interval"], body["candles"]) == ("15m", [[900_000, 1.5, 1.5, 1.5, 1.5, 0.0]])
    missing = {"error": "no candles of 5m are kept of bybit XLMUSDT"}
    assert (await site.get("/api/candles/bybit/XLMUSDT?interval=5m"))[:2] == (404, missing)
    assert (await site.get("/api/candles/bybit/XLMUSDT?limit=0"))[0] == 400
    _, body, _ = await site.get("/api/candles/bybit/XLMUSDT?limit=1&before=900000")
    assert body["candles"] == [[0, 1.0, 2.0, 0.5, 1.5, 7.0]]
    assert (await site.get("/api/candles/bybit/XLMUSDT?before=yesterday"))[0] == 400
    assert (await site.get("/api/candles/bybit/XLMUSDT?since=1"))[0] == 400
    assert (await site.get("/api/levels/bybit/XLMUSDT"))[:2] == (200, {"phase": "leg", "retraced": None})
    assert (await site.get("/api/levels/bybit/NOUSDT"))[0] == 404


async def test_signals(site: Site) -> None:
    """Newest first, with their outcomes, by coin, time and number."""

    async def ids(query: str) -> list[int]:
        status, body, _ = await site.get(f"/api/signals{query}")
        assert status == 200
        return [row["signal"]["id"] for row in body["signals"]]

    assert await ids("") == [2, 1]
    assert await ids("?symbol=xlmusdt&since=&limit=") == [1]
    assert await ids(f"?since={DECIDED_MS + 2000}") == [2]
    assert await ids("?limit=1") == [2]
    assert await ids("?outcome=open") == [2]
    assert await ids("?outcome=take_profit") == [1]
    assert await ids("?outcome=timeout") == []
    first = (await site.get("/api/signals/1"))[1]["signal"]["decided_ms"]
    second = (await site.get("/api/signals/2"))[1]["signal"]["decided_ms"]
    assert await ids(f"?since={first}&until={second}") == [1]
    assert await ids(f"?until={first}") == []
    assert await ids("/summary") == [2, 1], "the open one first"
    assert await ids("/summary?limit=1") == [2]
    _, body, _ = await site.get("/api/signals/1")
    assert body["outcome"]["reason"] == "take_profit"
    assert body["signal"]["features"]["btc_return"] is None
    assert (await site.get("/api/signals/2"))[1]["outcome"] is None


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("since=yesterday", 'since: was "yesterday", expected a whole number from 0 to 9007199254740992'),
        ("since=-1", 'since: was "-1", expected a whole number from 0 to 9007199254740992'),
        ("limit=0", 'limit: was "0", expected a whole number from 1 to 1000'),
        (f"limit={'9' * 5000}", f'limit: was "{"9" * 40}…", expected a whole number from 1 to 1000'),
        ("since=1%ED%A0%80", 'since: was "1\ufffd\ufffd\ufffd", expected a whole number from 0 to 9007199254740992'),
        (
            "limit=00000000000000000001500",
            'limit: was "00000000000000000001500", expected a whole number from 1 to 1000',
        ),
        (
            f"limit={'0' * 18}1{'0' * 40}",
            f'limit: was "{"0" * 18}1{"0" * 21}…", expected a whole number from 1 to 1000',
        ),
        (f"since={'0' * 5000}", f'since: was "{"0" * 40}…", expected a whole number from 0 to 9007199254740992'),
        (
            f"since={'0' * 20}{'9' * 30}",
            f'since: was "{"0" * 20}{"9" * 20}…", expected a whole number from 0 to {2**53}',
        ),
        ("limit=%D9%A1", 'limit: was "\u0661", expected a whole number from 1 to 1000'),
        ("outcome=won", f'outcome: was "won", expected one of open, {", ".join(ExitReason)}'),
        ("side=down", 'side: was "down", expected one of short, long'),
        ("coin=XLM", "coin: is not known here, expected symbol, since, until, limit, strategy, side or outcome"),
    ],
)
async def test_bad_queries(site: Site, query: str, error: str) -> None:
    """A bad query is refused with its parameter named."""
    assert (await site.get(f"/api/signals?{query}"))[:2] == (400, {"error": error})


@pytest.mark.parametrize(
    "path",
    ["/api/signals/3", f"/api/signals/{10**17}", "/api/signals/x", "/nowhere", "/api/markets/bybit/%FF%ED%A0%80"],
)
async def test_not_found(site: Site, path: str) -> None:
    """What is not there is said so in JSON."""
    status, body, _ = await site.get(path)
    assert status == 404
    assert body["error"]


async def test_index_and_headers(site: Site) -> None:
    """The API describes itself; every answer, errors too, forbids caching, framing and guessing of types."""
    _, body, _ = await site.get("/api/openapi.json")
    assert "/api/signals/{id}" in body["paths"]
    for path in ("/api/status", "/nowhere"):
        _, _, headers = await site.get(path)
        assert (headers["Cache-Control"], headers["Server"]) == ("no-store", "SGNL")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_changed(site: Site, method: str) -> None:
    """Only GET and HEAD are answered."""
    status, _, headers = await site.get("/api/signals", method=method)
    assert (status, headers["Allow"]) == (405, "GET,HEAD")
    assert (await site.get("/api/signals", method="HEAD"))[:2] == (200, "")


@with_token
async def test_token(site: Site) -> None:
    """With HTTP_TOKEN every path asks for it, those that do not exist too."""
    for path in ("/api/status", "/api/signals", "/ws", "/nowhere"):
        status, _, headers = await site.get(path)
        assert (status, headers["WWW-Authenticate"]) == (401, "Bearer")
        assert (await site.get(path, token=f"{TOKEN}x"))[0] == 401
        assert (await site.get(path, token=TOKEN))[0] in {200, 400, 404}
    assert (await site.get("/metrics"))[0] == 401


@with_token
async def test_health_needs_no_token(site: Site) -> None:
    """A container's health check is answered without it, strangers learn nothing more."""
    assert (await site.get("/health"))[1] == {"status": "ok"}
    assert (await site.get("/health", token=TOKEN))[1]["problems"] == []


async def test_taken_port(site: Site) -> None:
    """A port in use is one line that names host, port and setting."""
    port = int(site.url.rpartition(":")[2])
    settings = HttpSettings(host="127.0.0.1", port=port, token="")
    with pytest.raises(WebError) as refused:
        async with serve(aiohttp.web.Application(), settings):
            pass
    assert str(refused.value) == (f"HTTP_PORT: port {port} on 127.0.0.1 is in use by another program, choose another")


async def test_address_of_another_machine() -> None:
    """An address that is not this machine's is one line that names HTTP_HOST."""
    settings = HttpSettings(host="192.0.2.7", port=0, token=TOKEN)
    with pytest.raises(WebError, match=r"^HTTP_HOST: cannot listen on 192\.0\.2\.7, port 0"):
        async with serve(aiohttp.web.Application(), settings):
            pass


async def test_ipv6_url(tmp_path: Path) -> None:
    """An IPv6 address stands in brackets in the URL."""
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    async with await Store.open(tmp_path / "sgnl.sqlite3") as store:
        settings = HttpSettings(host="::1", port=0, token="")
        async with serve(app_of(StillBot(), store), settings) as url:
            assert url.startswith("http://[::1]:")


async def ask(site: Site, request: str) -> tuple[str, str]:
    """Send bytes as they are and return status line and the rest of the answer, "" where the connection is cut."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(site.url.rpartition(":")[2]))
    writer.write(request.encode("latin-1"))
    try:
        async with asyncio.timeout(10):
            answer = (await reader.read()).decode()
    finally:
        writer.close()
    return answer.partition("\r\n")[0], answer


@pytest.mark.parametrize(
    ("host", "is_served"),
    [
        *[
            (host, True)
            for host in ("127.0.0.1", "127.0.0.1:8080", "LOCALHOST:1", "[::1]:80", "sgnl.localhost", "x.org")
        ],
        *[(host, True) for host in ("X.org:443", "localhost.")],
        *[
            (host, False)
            for host in ("evil.example", "rebind.attacker.net:8080", "127.0.0.1.evil.example", "192.0.2.7")
        ],
        *[(host, False) for host in ("", "localhost@evil.example", "localhost evil", "[::1", "evil.x.org")],
    ],
)
async def test_host(site: Site, host: str, is_served: bool) -> None:
    """Only the machine's own names are served, and those of HTTP_HOSTS: another may have been made to lead here."""
    line, answer = await ask(site, f"GET /api/status HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    assert line.split()[1] in ({"200"} if is_served else {"400", "403"})
    assert ("signals_today" in answer) == is_served


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://127.0.0.1:80", "200"), ("http://evil.example", "403"), ("null", "403"), ("http://127.0.0.1:81", "403")],
)
async def test_origin(site: Site, origin: str, status: str) -> None:
    """A page of another site is refused, its own pages are not."""
    request = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:80\r\nOrigin: {origin}\r\nConnection: close\r\n\r\n"
    assert (await ask(site, request))[0].split()[1] == status
