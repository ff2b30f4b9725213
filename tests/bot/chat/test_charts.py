"""Pictures: drawn from little or much, within a second, and sent as the answer."""

import numpy as np
import pytest

from bot.chat.charts import PriceChart, draw_equity, draw_price, drawable
from bot.core.market import PriceHistory
from features.state.market_state import MarketState
from tests.bot.conftest import GROUP, PERSON, World, listen, look
from tests.builders import NOW_MS, instrument, open_interest, order_book, quotes
from tests.storage.builders import DECIDED_MS, make_limits, make_outcome, make_signal


def history(ticks: int = 360) -> PriceHistory:
    """Return a price that falls by a percent while open interest rises."""
    time_ms = NOW_MS + 5_000 * np.arange(ticks)
    fall = np.linspace(0, 1, ticks)
    return PriceHistory(time_ms=time_ms, price=1.2e-5 * (1 - 0.01 * fall), open_interest=1e6 * (1 + 0.02 * fall))


def chart(**changes: object) -> PriceChart:
    """Return a chart of a short with everything on it."""
    record = {
        "title": "#1 SHORT $$PEPE",
        "history": history(),
        "tick_size": 1e-9,
        "timezone": "Europe/Rome",
        "levels": {"entry": 1.19e-5, "SL": 1.2e-5, "TP 1": 1.17e-5},
        "marks": {"alert": (NOW_MS + 600_000, 1.19e-5)},
        "book": order_book(),
    }
    return PriceChart(**(record | changes))  # type: ignore[arg-type]


def size(png: bytes) -> tuple[int, int]:
    """Return width and height of a PNG."""
    assert png.startswith(b"\x89PNG")
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_a_chart_has_a_size_for_phones() -> None:
    """Upright, and not larger than what phones show; `make bench` says how long it takes."""
    width, height = size(draw_price(chart()))
    assert 700 <= width < height <= 1280


@pytest.mark.parametrize(
    "changes",
    [
        {"book": None},
        {"book": order_book(bids=())},
        {"levels": {}, "marks": {}},
        {"history": history(1)},
        {"history": PriceHistory(time_ms=history().time_ms, price=history().price, open_interest=np.full(360, np.nan))},
    ],
)
def test_what_is_missing_leaves_room(changes: dict[str, object]) -> None:
    """A chart is drawn without a book, without levels, from one tick, and without open interest."""
    size(draw_price(chart(**changes)))


@pytest.mark.parametrize(
    ("title", "drawn"),
    [
        ("#1 SHORT \u5e01\u5b89\u4eba\u751f Binance 0.1234", "#1 SHORT (name below) Binance 0.1234"),
        ("\U0001f680MOON Bybit", "(name below)MOON Bybit"),
        ("#1 SHORT $$PEPE ÄÖ Привет", "#1 SHORT $$PEPE ÄÖ Привет"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_name_the_font_has_no_signs_for(title: str, drawn: str) -> None:
    """Where the font lacks a coin's signs the title points at the text below, and no box is drawn."""
    assert drawable(title) == drawn
    size(draw_price(chart(title=title)))


@pytest.mark.parametrize("count", [1, 200])
def test_equity(count: int) -> None:
    """The curve is drawn from one result on."""
    made = np.cumsum(np.sin(np.arange(count)))
    time_ms = NOW_MS + 3_600_000 * np.arange(count)
    size(draw_equity(time_ms, made, "alerts", "UTC", from_ms=NOW_MS - 86_400_000, to_ms=int(time_ms[-1]) + 1))


def test_between() -> None:
    """A stretch without prices is nothing."""
    part = history().between(NOW_MS + 5_000, NOW_MS + 20_000)
    assert part is not None
    assert len(part.price) == len(part.open_interest) == 4
    assert history().between(0, 1) is None


@pytest.fixture
async def bot(world: World) -> World:
    """Return a world whose bot has watched XLM on Bybit for a minute before and after the alert."""
    xlm = instrument(id="XLMUSDT", tick_size=1e-9)
    state = MarketState((xlm,), world.orchestrator._config.features)
    for now_ms in range(DECIDED_MS - 60_000, DECIDED_MS + 60_000, 5_000):
        state.advance(now_ms)
        ids = {"ids": ("XLMUSDT",)}
        state.append([quotes(now_ms, bid_price=1.2e-5, ask_price=1.21e-5, **ids)])
        state.append([open_interest(id="XLMUSDT", exchange_ms=now_ms)])
    world.orchestrator.market.state = state
    world.orchestrator.market.books[xlm.key] = order_book(id="XLMUSDT")
    look(world.orchestrator, xlm)
    await listen(world)
    await world.clock.advance(60)
    return world


@pytest.mark.parametrize("text", ["/chart XLM", "/chart 1", "/chart #1"])
async def test_chart_command(bot: World, text: str) -> None:
    """/chart answers with a picture of a coin, or of an alert with its levels."""
    await bot.telegram.user_sends(text, user_id=PERSON)
    (answer,) = await bot.telegram.wait_for_messages(1)
    assert answer.picture is not None
    size(answer.picture)
    assert "XLM" in answer.text


async def test_a_group_that_forbids_pictures(bot: World) -> None:
    """Who asks for a picture where none may be sent is told so in words."""
    bot.telegram.without_pictures.add(GROUP)
    await bot.telegram.user_sends("/chart XLM", user_id=PERSON, chat_id=GROUP)
    (answer,) = await bot.telegram.wait_for_messages(1)
    assert (answer.picture, answer.text.splitlines()[-1]) == (
        None,
        "The picture was refused: Not enough rights to send photos to the chat",
    )


async def test_chart_of_what_is_not_kept(bot: World) -> None:
    """An alert whose prices are gone says so."""
    old = make_signal(9, decided_ms=DECIDED_MS - 86_400_000, instrument_id="OLDUSDT")
    await bot.store.remember([old], make_limits(next_id=10), [])
    await bot.telegram.user_sends("/chart 9", user_id=PERSON)
    (answer,) = await bot.telegram.wait_for_messages(1)
    assert answer.text == "The prices around #9 are no longer kept, and the venue gives none"


async def test_profit_command(bot: World) -> None:
    """/profit draws the curve of what ended, and says where nothing has."""
    await bot.telegram.user_sends("/profit 7", user_id=PERSON)
    (answer,) = await bot.telegram.wait_for_messages(1)
    assert answer.text == "No alert that anyone could enter has ended in 7 days: nothing to draw"
    await bot.store.record_outcome(make_outcome(1), make_limits(next_id=4), [])
    await bot.telegram.user_sends("/profit 7d", user_id=PERSON)
    picture = (await bot.telegram.wait_for_messages(2))[-1]
    assert picture.picture is not None
    assert picture.text.startswith("1 alert in 7 days, net of costs")
