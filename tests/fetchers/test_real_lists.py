"""Market lists as the live venues send them: what is no coin, what a coin is called, pages, doubles and refusals."""

from typing import Any

import pytest
from aiohttp import web

from features.facts.market import Instrument
from fetchers.errors import FetchError, RateLimited, UnknownSymbol, Unreachable
from fetchers.listing import Listing
from fetchers.parsing.market_lists import parse_markets
from fetchers.transport.client import Reply
from fetchers.universe import Universe, UniverseSettings, build_universe, strip_multiplier
from fetchers.venues import binance, bybit, lbank, mexc
from fetchers.venues.bybit import Bybit
from fetchers.venues.mexc import Mexc
from tests.builders import NOW_MS, quotes
from tests.fetchers.replies import reply

CCXT = {"binance": binance.CCXT, "bybit": bybit.CCXT, "mexc": mexc.CCXT, "lbank": lbank.CCXT}
LISTING = {"binance": binance.listing, "bybit": bybit.listing, "mexc": mexc.listing, "lbank": lbank.listing}
PLATE = "mc-trade-zone-"


def mexc_row(base: str, name: str, *plates: str, **changed: Any) -> dict[str, Any]:
    """Return a row of contract/detail."""
    return {
        "symbol": f"{base}_USDT",
        "baseCoin": base,
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "baseCoinName": name,
        "futureType": 1,
        "type": 1,
        "state": 0,
        "isHidden": False,
        "contractSize": 1,
        "priceUnit": 0.0001,
        "volUnit": 1,
        "takerFeeRate": 0.0002,
        "apiAllowed": True,
        "conceptPlate": [PLATE + plate for plate in plates],
        **changed,
    }


def binance_row(base: str, contract: str = "PERPETUAL", underlying: str = "COIN", **changed: Any) -> dict[str, Any]:
    """Return a row of exchangeInfo."""
    quote = changed.get("quoteAsset", "USDT")
    return {
        "symbol": base + quote,
        "contractType": contract,
        "deliveryDate": 4133404800000,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "marginAsset": quote,
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "underlyingType": underlying,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "200000", "tickSize": "0.01"},
            {"filterType": "LOT_SIZE", "stepSize": "0.001", "maxQty": "10000", "minQty": "0.001"},
        ],
        **changed,
    }


def lbank_row(base: str, alias: str, *, suspends: int = 0) -> dict[str, Any]:
    """Return a row of the instrument list."""
    return {
        "symbol": f"{base}USDT",
        "symbolAlias": alias,
        "baseCurrency": base,
        "priceCurrency": "USDT",
        "clearCurrency": "USDT",
        "priceTick": 0.01,
        "volumeTick": 0.01,
        "minOrderVolume": "0.01",
        "maxOrderVolume": "1741.0",
        "volumeMultiple": 1,
        "needSuspend": suspends,
    }


def bybit_row(base: str, status: str = "Trading", **changed: Any) -> dict[str, Any]:
    """Return a row of instruments-info."""
    return {
        "symbol": f"{base}USDT",
        "contractType": "LinearPerpetual",
        "status": status,
        "baseCoin": base,
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "launchTime": "1584230400000",
        "deliveryTime": "0",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "50.00", "leverageStep": "0.01"},
        "priceFilter": {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"},
        "lotSizeFilter": {"maxOrderQty": "1500.000", "minOrderQty": "0.001", "qtyStep": "0.001"},
        "isPreListing": status == "PreLaunch",
        "symbolType": "",
        **changed,
    }


async def universe(
    settings: UniverseSettings | None = None, *, price: float = 1.0, **rows: list[dict[str, Any]]
) -> Universe:
    """Build the universe of these lists, everything at one price and within the band."""
    listings: dict[str, tuple[Listing, ...]] = {}
    for venue, listed in rows.items():
        listings[venue] = await parse_markets(CCXT[venue], listed, LISTING[venue])
    replies = {
        venue: [
            quotes(
                venue=venue,
                ids=tuple(row.instrument.id for row in listed),
                bid_price=None,
                ask_price=None,
                mark_price=price,
                volume_usdt_24h=5e6,
            )
        ]
        for venue, listed in listings.items()
    }
    return build_universe(listings, replies, settings or UniverseSettings())


def eligible(built: Universe, venue: str) -> list[str]:
    """Return the ids that may signal."""
    return [one.id for one in built.instruments if one.venue == venue and one.is_eligible]


@pytest.mark.parametrize(
    ("base", "name", "plates", "kind"),
    [
        ("EUR", "EUR", ("web3", "tradfi", "Forex"), 1),
        ("XAU", "GOLD(XAU)", ("metals", "tradfi", "metalsfutures", "Commodities"), 1),
        ("KIMISTOCK", "MOONSHOT", ("Stock", "preipo", "0fees", "tradfi"), 1),
        ("MUSTOCK", "MU", (), 1),
        ("ZINC", "ZINC", ("TRADFI",), 1),
        ("TESLA", "TESLA", (), 2),
        ("NIKKEI", "NIKKEI", ("JapanStock",), 1),
        ("USOIL", "USOIL", ("Oil",), 1),
    ],
)
async def test_any_plate_or_type_of_mexc_tells_what_is_no_coin(
    base: str, name: str, plates: tuple[str, ...], kind: int
) -> None:
    """`type` 2 covers only most of it; a coin on the same list stays."""
    built = await universe(mexc=[mexc_row("FOO", "FOO", "web3"), mexc_row(base, name, *plates, type=kind)])
    assert eligible(built, "mexc") == ["FOO_USDT"]
    assert built.dropped["mexc"] == {"not crypto": 1}


async def test_a_venue_that_calls_gold_a_coin_does_not_unmark_it() -> None:
    """LBank says nothing of it; Binance does, and MEXC's silence is no vote."""
    built = await universe(
        binance=[binance_row("GOLDX", "TRADIFI_PERPETUAL", "COMMODITY")],
        mexc=[mexc_row("GOLDX", "GOLDX", "web3")],
        lbank=[lbank_row("GOLDX", "GOLDX")],
    )
    assert not built.instruments


@pytest.mark.parametrize(
    "other",
    [
        binance_row("MU", "TRADIFI_PERPETUAL", "EQUITY", status="SETTLING", deliveryDate=1789000000000),
        binance_row("MU", "TRADIFI_PERPETUAL", "EQUITY", quoteAsset="USD1"),
        binance_row("MU", "TRADIFI_PERPETUAL", "PREMARKET"),
        binance_row("MU", "PERPETUAL", "INDEX", status="PENDING_TRADING"),
    ],
)
async def test_a_share_that_is_dropped_for_another_reason_still_marks(other: dict[str, Any]) -> None:
    """Whether it is a coin is apart from why a row is dropped."""
    built = await universe(binance=[other], lbank=[lbank_row("MU", "MU"), lbank_row("FOO", "FOO")])
    assert eligible(built, "lbank") == ["FOOUSDT"]


async def test_a_halted_share_marks_on_bybit_too() -> None:
    """Its status is asked after its kind."""
    built = await universe(bybit=[bybit_row("MU", "Closed", symbolType="stock")], lbank=[lbank_row("MU", "MU")])
    assert not built.instruments


async def test_lbanks_names_in_brackets_and_trading_hours() -> None:
    """GOLD(XAU) is XAU, ...STOCK is a share, and what keeps trading hours marks others."""
    built = await universe(
        lbank=[
            lbank_row("GOLD", "GOLD(XAU)"),
            lbank_row("COPPER", "COPPER(XCU)"),
            lbank_row("MUSTOCK", "MU"),
            lbank_row("CEG", "CEG", suspends=1),
            lbank_row("FOO", "FOO"),
        ],
        mexc=[mexc_row("XCU", "XCU", "metals"), mexc_row("CEG", "CEG")],
    )
    assert [one.key for one in built.instruments] == [("lbank", "FOOUSDT")]


async def test_a_coin_with_the_name_of_a_share_stays_by_its_price() -> None:
    """CAT the coin costs a millionth of CAT the share."""
    listings = {
        "binance": await parse_markets(
            CCXT["binance"], [binance_row("CAT", "TRADIFI_PERPETUAL", "EQUITY")], binance.listing
        ),
        "mexc": await parse_markets(CCXT["mexc"], [mexc_row("CAT", "CAT", "web3")], mexc.listing),
    }
    bulk: dict[str, Any] = {"bid_price": None, "ask_price": None, "volume_usdt_24h": 5e6}
    replies = {
        "binance": [quotes(venue="binance", ids=("CATUSDT",), mark_price=400.0, **bulk)],
        "mexc": [quotes(venue="mexc", ids=("CAT_USDT",), mark_price=0.001, **bulk)],
    }
    assert [one.id for one in build_universe(listings, replies, UniverseSettings()).instruments] == ["CAT_USDT"]


async def coin_of(venue: str, row: dict[str, Any]) -> Instrument:
    """Return the instrument of one row."""
    (listing,) = await parse_markets(CCXT[venue], [row], LISTING[venue])
    return listing.instrument


@pytest.mark.parametrize(
    ("code", "name", "coin"),
    [("FILECOIN", "FIL", "FIL"), ("PUMPFUN", "PUMP", "PUMP"), ("LONGXIA", "龙虾", "龙虾"), ("GAS", "", "GAS")],
)
async def test_mexcs_coins_are_called_as_its_app_shows_them(code: str, name: str, coin: str) -> None:
    """`baseCoin` is a code of its own, and remains a name that EXCLUDE_COINS understands."""
    instrument = await coin_of("mexc", mexc_row(code, name))
    assert (instrument.id, instrument.base, instrument.coin) == (f"{code}_USDT", coin, coin)
    built = await universe(UniverseSettings(exclude_coins=frozenset({code})), mexc=[mexc_row(code, name)])
    assert built.dropped["mexc"] == {"excluded": 1}


def test_a_million_is_a_multiplier_too() -> None:
    """Binance's 1MBABYDOGE is 1000000BABYDOGE elsewhere."""
    assert strip_multiplier("1MBABYDOGE") == ("BABYDOGE", 1e6)
    assert strip_multiplier("1MX") == ("1MX", 1.0)


async def test_a_row_that_is_listed_twice_counts_once() -> None:
    """The first one wins."""
    built = await universe(bybit=[bybit_row("AAA"), bybit_row("BBB"), bybit_row("AAA")])
    assert eligible(built, "bybit") == ["AAAUSDT", "BBBUSDT"]
    assert built.dropped["bybit"] == {"listed twice": 1}


async def test_the_innovation_zone_is_left_out_unless_it_is_wanted() -> None:
    """By its fee, which goes into the instrument."""
    rows = [mexc_row("FOO", "FOO"), mexc_row("NUDES", "NUDES", "innovation", takerFeeRate=0.001)]
    assert eligible(await universe(mexc=rows), "mexc") == ["FOO_USDT"]
    built = await universe(UniverseSettings(innovation_zone=True), mexc=rows)
    assert [one.id for one in built.instruments] == ["FOO_USDT", "NUDES_USDT"]
    assert [one.taker_fee_percent for one in built.instruments] == pytest.approx([0.02, 0.1])


@pytest.mark.parametrize(("closed", "marked"), [(1, 1), (3, 0)])
async def test_closed_to_the_api_means_the_zone_only_while_few_are(closed: int, marked: int) -> None:
    """Until March 2026 all contracts were."""
    rows = [mexc_row(f"C{i}", f"C{i}", apiAllowed=i >= closed) for i in range(3)]
    listings = mexc.mark_innovation_zone(await parse_markets(CCXT["mexc"], rows, mexc.listing), rows)
    assert sum(one.instrument.is_innovation_zone for one in listings) == marked


class BybitPages:
    """Bybit's list in pages of one row; a cursor comes encoded, and one that does not decode to its own is refused."""

    def __init__(self, *, is_in_circle: bool = False) -> None:
        self.asked: list[str] = []
        self._is_in_circle = is_in_circle

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.raw_path)
        is_ahead = request.query.get("status") == "PreLaunch"
        rows = [bybit_row("BIO", "PreLaunch")] if is_ahead else [bybit_row(base) for base in ("BTC", "ETH", "XRP")]
        places = {f"first={row['symbol']}&last={row['symbol']}": place for place, row in enumerate(rows)}
        cursor = request.query.get("cursor", "")
        if cursor and cursor not in places:
            return web.json_response({"retCode": 10001, "retMsg": "params error: cursor invalid", "time": NOW_MS})
        place = places[cursor] + 1 if cursor and not self._is_in_circle else 0
        page = rows[place : place + 1]
        encoded = f"first%3D{page[0]['symbol']}%26last%3D{page[0]['symbol']}" if page else ""
        result = {"category": "linear", "list": page, "nextPageCursor": encoded}
        return web.json_response({"retCode": 0, "retMsg": "OK", "result": result, "time": NOW_MS})


async def serve(handler: Any) -> tuple[web.AppRunner, str]:
    """Serve on a free port."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    return runner, f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]


@pytest.mark.parametrize(("is_in_circle", "asked"), [(False, 6), (True, 4)])
async def test_bybits_pages_are_each_read_once(is_in_circle: bool, asked: int) -> None:
    """The cursor goes back on the wire as it came, on the list ahead too, and one that leads in a circle ends."""
    pages = BybitPages(is_in_circle=is_in_circle)
    runner, url = await serve(pages.answer)
    venue = Bybit(url, lambda: NOW_MS)
    await venue.open()
    try:
        listings = await venue.load_markets()
    finally:
        await venue.close()
        await runner.cleanup()
    ids = {one.instrument.id for one in listings}
    assert ids == ({"BTCUSDT", "BIOUSDT"} if is_in_circle else {"BTCUSDT", "ETHUSDT", "XRPUSDT", "BIOUSDT"})
    assert len(pages.asked) == asked
    assert "cursor=first%3DBTCUSDT%26last%3DBTCUSDT" in pages.asked[1]


async def test_bybit_loads_without_the_list_of_what_is_ahead() -> None:
    """It is a part that the venue works without."""

    async def answer(request: web.Request) -> web.Response:
        if "status" in request.query:
            return web.json_response({"retCode": 10001, "retMsg": "params error: status invalid", "time": NOW_MS})
        result = {"category": "linear", "list": [bybit_row("BTC")], "nextPageCursor": ""}
        return web.json_response({"retCode": 0, "retMsg": "OK", "result": result, "time": NOW_MS})

    runner, url = await serve(answer)
    venue = Bybit(url, lambda: NOW_MS)
    await venue.open()
    try:
        assert len(await venue.load_markets()) == 1
    finally:
        await venue.close()
        await runner.cleanup()


async def test_mexcs_list_has_a_second_path() -> None:
    """The documented one, should the old one go."""

    async def answer(request: web.Request) -> web.Response:
        if not request.path.endswith("/country"):
            return web.json_response({"success": False, "code": 404, "message": "Not Found"}, status=404)
        return web.json_response({"success": True, "code": 0, "data": [mexc_row("FOO", "FOO")]})

    runner, url = await serve(answer)
    venue = Mexc(url, lambda: NOW_MS)
    await venue.open()
    try:
        assert len(await venue.load_markets()) == 1
    finally:
        await venue.close()
        await runner.cleanup()


COUNTRY = (
    b"<HTML><HEAD><TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY><H1>403 ERROR</H1><H2>The "
    b"request could not be satisfied.</H2>The Amazon CloudFront distribution is configured to block access from your "
    b"country.</BODY></HTML>"
)


def refused(raise_for_reply: Any, answer: Reply) -> FetchError:
    """Return what a reply is judged to be."""
    with pytest.raises(FetchError) as caught:
        raise_for_reply(answer)
    return caught.value


@pytest.mark.parametrize(
    "raise_for_reply", [binance.raise_for_reply, bybit.raise_for_reply, mexc.raise_for_reply, lbank.raise_for_reply]
)
def test_a_country_block_keeps_its_words(raise_for_reply: Any) -> None:
    """They come as a page, not as JSON."""
    error = refused(raise_for_reply, reply(COUNTRY, status=403))
    assert isinstance(error, RateLimited)
    assert "block access from your country" in str(error)


@pytest.mark.parametrize(
    ("raise_for_reply", "answer", "kind"),
    [
        (
            binance.raise_for_reply,
            reply({"code": -4108, "msg": "Symbol is on delivering or settling."}, status=400),
            UnknownSymbol,
        ),
        (binance.raise_for_reply, reply({"code": -4141, "msg": "Symbol is closed."}, status=400), UnknownSymbol),
        (bybit.raise_for_reply, reply({"retCode": 10029, "retMsg": "The requested symbol is invalid"}), UnknownSymbol),
        (bybit.raise_for_reply, reply({"retCode": 429, "retMsg": "high server load"}), Unreachable),
        (bybit.raise_for_reply, reply({"retCode": 10009, "retMsg": "Service Restricted: your region."}), RateLimited),
        (bybit.raise_for_reply, reply({"retCode": 10024, "retMsg": "Compliance rules."}), RateLimited),
    ],
)
def test_codes(raise_for_reply: Any, answer: Reply, kind: type[FetchError]) -> None:
    """Each is what the caller must do about it."""
    assert type(refused(raise_for_reply, answer)) is kind


@pytest.mark.parametrize(
    ("pool", "held"), [("statistics", "statistics"), ("funding info", "funding info"), ("weight", None)]
)
def test_a_pool_of_its_own_is_held_alone(pool: str, held: str | None) -> None:
    """429 on Binance's statistics is about those; a ban is about everything."""
    error = refused(binance.raise_for_reply, reply({"code": -1003, "msg": "Too many"}, status=429, pools=(pool,)))
    assert isinstance(error, RateLimited)
    assert error.pool == held
    banned = refused(binance.raise_for_reply, reply({"code": -1003, "msg": "banned"}, status=418, pools=(pool,)))
    assert isinstance(banned, RateLimited)
    assert banned.pool is None
