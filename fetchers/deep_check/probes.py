"""Checks for one venue each: whether what is written of it (docs/venues.md) still holds."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import pairwise
from typing import Any

from features.facts.market import Instrument
from fetchers.deep_check.steps import Steps
from fetchers.deep_check.verdicts import pass_silently
from fetchers.parsing.payload import member, objects
from fetchers.venues import binance, bybit, lbank, mexc


async def _probe_weights(steps: Steps, watched: list[Instrument]) -> None:
    """Compare what Binance counts for a call with what we count."""
    if not watched:
        return
    key = watched[0].id
    calls: tuple[tuple[str, Mapping[str, str | int], int], ...] = (
        (binance.CLOCK, {}, 1),
        (binance.DEPTH, {"symbol": key, "limit": binance.BOOK_LEVELS}, 2),
        (binance.TRADES, {"symbol": key, "limit": binance.FEW_PRINTS}, 5),
        (binance.OPEN_INTEREST, {"symbol": key}, 1),
    )
    used: list[int] = []

    for path, params, weight in calls:
        ask = partial(steps.venue.ask, path, params, cost={binance.WEIGHT: weight})
        reply = await steps.step(f"weight of {path}", "a reply", ask, pass_silently)
        header = reply.headers.get("X-MBX-USED-WEIGHT-1M", "") if reply is not None else ""
        if not header.isdecimal():
            steps.found("weights", "a count in every reply", is_ok=False, came=f"none in that of {path}")
            return
        used.append(int(header))
    counted = [after - before for before, after in pairwise(used)]
    ours = [weight for _, _, weight in calls[1:]]
    if min(counted) < 0:
        steps.found(
            "weights", f"{ours} for depth, trades, openInterest", is_ok=True, came="the minute turned; no count"
        )
        return
    is_ok = all(theirs <= weight for theirs, weight in zip(counted, ours, strict=True))
    hint = "" if is_ok else ": a weight that we do not know, or another program on this address"
    steps.found("weights", f"{ours} for depth, trades, openInterest", is_ok=is_ok, came=f"{counted}{hint}")


async def _probe_cursor(steps: Steps, _: list[Instrument]) -> None:
    """Follow the cursor of a page of one row, of both lists, to the next."""
    for status in ({"status": "PreLaunch"}, {}):
        pages: list[list[Any]] = []
        cursor = ""
        for _page in range(2):
            params: dict[str, str | int] = {"category": "linear", "limit": 1, **status}
            if cursor:
                params["cursor"] = cursor

            async def ask(params: Mapping[str, str | int] = params) -> tuple[list[Any], str]:
                return bybit.parse_market_page((await steps.venue.ask(bybit.MARKETS, params, cost=bybit.ONE)).json)

            page = await steps.step("cursor", "a page", ask, pass_silently)
            if page is None:
                return
            pages.append(page[0])
            cursor = page[1]
            if not cursor:
                break
        symbols = [row.get("symbol") for rows in pages for row in rows if isinstance(row, dict)]
        what = "of what is to be launched" if status else "of what trades"
        steps.found(
            f"cursor {what}",
            "another pair on the second page, or no second page",
            is_ok=len(set(symbols)) == len(symbols),
            came=f"{len(pages)} pages: {', '.join(map(str, symbols)) or 'empty'}",
        )


async def _probe_levels(steps: Steps, watched: list[Instrument]) -> None:
    """Find out whether LBank gives 25 levels at most: then a side of 25 is cut short and not whole."""
    depths = (25, 50, 200)
    capped = 0
    came = []
    quietest = sorted(watched, key=lambda one: one.volume_usdt_24h)[:3]
    for instrument in quietest:
        counts = []
        for depth in depths:

            async def ask(key: str = instrument.id, depth: int = depth) -> int:
                reply = await steps.venue.ask(lbank.DEPTH, {"symbol": key, "depth": depth}, cost=lbank.ONE)
                call = f"lbank marketOrder {key}"
                book = member(reply.json, "data", dict, call)
                return max(len(member(book, side, list, call)) for side in ("bids", "asks"))

            name = f"{depth} levels of {instrument.id}"
            count = await steps.step(name, "a book", ask, pass_silently)
            if count is None:
                return
            counts.append(count)
        capped += set(counts) == {depths[0]}
        came.append(f"{instrument.id} {counts}")
    if came:
        steps.found(
            f"levels at {depths}",
            "more where more are asked for",
            is_ok=capped < len(came),
            came=", ".join(came)
            + ("; never more than 25, so a side of 25 is cut short" if capped == len(came) else ""),
        )


async def _probe_flags(steps: Steps, _: list[Instrument]) -> None:
    """Count what MEXC's flags say: the rules that separate coins from other contracts rest on them."""

    async def ask() -> list[dict[str, Any]]:
        reply = await steps.venue.ask(mexc.LISTS[0], {}, cost={mexc.DETAIL: 1.0})
        return objects(member(reply.json, "data", list, "mexc detail"), "mexc detail")

    rows = await steps.step("flags", "", ask, pass_silently)
    if not rows:
        return
    plated = sum(row.get("type") == 1 and "tradfi" in str(row.get("conceptPlate")).casefold() for row in rows)
    closed = sum(row.get("apiAllowed") is False for row in rows)
    others = sum(row.get("type") not in (1, 2) for row in rows)
    steps.found(
        "flags",
        "type 1 or 2 throughout, fewer than half closed to the API",
        is_ok=not others and 2 * closed < len(rows),
        came=f"{plated} of type 1 on a tradfi plate, {others} of other types, {closed} of {len(rows)} API-closed",
    )


PROBES: Mapping[str, Callable[[Steps, list[Instrument]], Awaitable[None]]] = {
    binance.NAME: _probe_weights,
    bybit.NAME: _probe_cursor,
    mexc.NAME: _probe_flags,
    lbank.NAME: _probe_levels,
}
