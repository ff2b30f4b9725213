"""An alert and its end: records in, Telegram HTML out."""

from collections.abc import Mapping
from urllib.parse import quote

from bot.chat.texts.marks import SENT_MARK
from bot.chat.texts.markup import Markup, bold, html, link, monospaced
from bot.chat.texts.phrases import (
    age_text,
    coin_name,
    comparison_text,
    duration_text,
    fit,
    headline,
    net_text,
    record_text,
    signed,
    usdt_text,
    venue_name,
    words,
)
from features.facts.venues import VENUES
from scoring.levels import r_by_targets
from scoring.prices import format_price
from scoring.records import BAND_POINTS, band_of
from scoring.signals import ExitReason, Fill, Levels, Outcome, Side, Signal, Unreachable
from scoring.statistics import Record
from storage.messages import Button

_COUNTS = ("no", "one", "two", "three", "four", "five")
_EXIT_WORDS = {
    ExitReason.TAKE_PROFIT: "TP hit",
    ExitReason.STOP_LOSS: "SL hit",
    ExitReason.TRAILING: "Trailing exit",
    ExitReason.TIMEOUT: "Exit, time is up",
    ExitReason.DELISTED: "Ended, the venue trades the pair no more",
    ExitReason.NOT_KNOWN: "Ended, and how is not known",
    ExitReason.NO_LONGER_WATCHED: "No longer watched",
}


_EXIT_WORDS_OF_SIDE = {
    (ExitReason.BTC_PUMP, Side.SHORT): "Exit, BTC is pumping",
    (ExitReason.BTC_PUMP, Side.LONG): "Exit, BTC is falling",
    (ExitReason.LIQUIDITY_FLIP, Side.SHORT): "Exit, the bids came back",
    (ExitReason.LIQUIDITY_FLIP, Side.LONG): "Exit, the asks came back",
}


def render_entry(signal: Signal, *, track_record: str, decided_after_ms: int) -> Markup:
    """Return the alert; `decided_after_ms` runs from the last reply of the tick to the decision.

    The first line fits a lock screen: side, coin, venue, entry, SL, TP.
    """
    levels = signal.levels
    how = "sold at the bid" if signal.side is Side.SHORT else "bought at the ask"
    stop, *targets = (format_price(price, signal.tick_size) for price in (levels.stop, *levels.take_profits))
    return fit(
        html("<b>{}</b> SL {} TP {}", headline(signal), stop, " / ".join(targets)),
        f"TP {levels.take_profit_percent:.2f} %, net {signed(levels.net_take_profit_percent)} %"
        f" · SL {levels.stop_percent:.2f} %, net {signed(-levels.net_stop_percent)} %",
        _targets(levels) if len(targets) > 1 else None,
        f"Can be {how} within 0.1 %: {usdt_text(signal.sellable_usdt)}",
        "",
        bold(f"Score {signal.score:.1f}"),
        _score_table(signal),
        *(f"• {reason}" for reason in signal.reasons),
        signal.borrowed or None,
        signal.caution or None,
        f"Missing: {_missing(signal.missing)}" if signal.missing else None,
        f"Alerts like it, {track_record}",
        html("{}, decided +{} ms{}", _ages(signal), decided_after_ms, SENT_MARK),
        html("#{} · {}", signal.id, _link(signal)),
    )


def _targets(levels: Levels) -> str:
    """Return what some of several targets make when the stop takes the rest: one alone is often a loss."""
    *some, every = r_by_targets(levels)[1:]
    count = len(some) + 1
    words = [
        f"{_COUNTS[hit]} target{'s' if hit > 1 else ''} of {_COUNTS[count]} {_gain_or_loss(r)}"
        for hit, r in enumerate(some, start=1)
    ]
    shares = " / ".join(f"{share:.0%}" for share in levels.shares)
    return f"Closes {shares}. Before costs: {', '.join(words)}, all {_gain_or_loss(every)}"


def _gain_or_loss(r: float) -> str:
    return f"is a loss of {-r:.2f} R" if r < 0 else f"make {r:.2f} R"


def entry_buttons(signal: Signal) -> tuple[Button, ...]:
    """Return the buttons below an alert."""
    return (
        Button(text="Details", press=f"why:{signal.id}"),
        Button(text="Chart", press=f"chart:{signal.id}"),
        Button(text="Mute 1 h", press=f"mute:{signal.id}"),
        Button(text="Copy", copy=copy_text(signal)),
    )


def copy_text(signal: Signal) -> str:
    """Return the alert as Cornix reads it: full pair, the words Entry, Targets, Stop, and no word it would act on.

    References
    ----------
    help.cornix.io/en/articles/5814956-signal-posting
    """
    levels = signal.levels
    entry, stop, *targets = (
        format_price(price, signal.tick_size) for price in (levels.entry, levels.stop, *levels.take_profits)
    )
    pair = signal.pair.partition(":")[0]
    return f"{pair}\n{signal.side.upper()}\nEntry {entry}\nTargets {' '.join(targets)}\nStop {stop}"


def render_track_record(record: Record, score: float) -> str:
    """Return how the alerts of the same kind and band of five points have done, and chance beside them, plain text."""
    band = band_of(score)
    made = f"scores {band} to {band + BAND_POINTS}: {record_text(record)}"
    return "\n".join(filter(None, [made, comparison_text(record)]))


def exit_words(reason: ExitReason, side: Side) -> str:
    """Return why a signal of that side ended."""
    return _EXIT_WORDS.get(reason) or _EXIT_WORDS_OF_SIDE[reason, side]


def ended_text(side: Side, outcome: Outcome) -> str:
    """Return why a signal of that side ended, and what it made."""
    return f"{exit_words(outcome.reason, side)} {net_text(outcome.ideal)}"


def render_exit(signal: Signal, outcome: Outcome, *, reach_s: float) -> Markup:
    """Return the reply that ends an alert; `reach_s` is REACH_SECONDS."""
    title = bold(f"{exit_words(outcome.reason, signal.side)}: {coin_name(signal)} {net_text(outcome.ideal)}")
    way = f"best {signed(outcome.mfe_percent)} %, worst {signed(-outcome.mae_percent)} %"
    note, ends = outcome.note or None, f"#{signal.id}"
    if (ideal := outcome.ideal) is None:
        watched = "It is followed no further, and no record counts it. If you are in it, look after it yourself"
        return fit(title, f"Seen before: {way}", note, watched, ends)
    fill, entry = (format_price(price, signal.tick_size) for price in (outcome.fill, ideal.entry))
    stop = "Trailing stop" if outcome.reason is ExitReason.TRAILING else "Stop"
    return fit(
        title,
        f"{entry} → {fill}, gross {signed(ideal.gross_percent)} %, held {duration_text(outcome.held_s)}",
        _fills(signal, outcome) if len(outcome.fills) > 1 else None,
        f"On the way: {way}",
        _reachable(signal, outcome, reach_s),
        f"{stop} and target were hit between two looks: counted as the stop" if outcome.is_ambiguous else None,
        note,
        ends,
    )


def _fills(signal: Signal, outcome: Outcome) -> str:
    """Return what each target closed, and what the rest was closed by."""
    parts = [f"{fill_words(one, place, signal)}" for place, one in enumerate(outcome.fills, start=1)]
    return f"Closed: {', '.join(parts)}"


def fill_words(fill: Fill, place: int, signal: Signal) -> str:
    """Return which share was closed where, by the target of that place or by whatever else."""
    is_target = fill.reason is ExitReason.TAKE_PROFIT
    what = f"TP {place}" if is_target else exit_words(fill.reason, signal.side)
    return f"{fill.share:.0%} at {format_price(fill.price, signal.tick_size)} ({what})"


def _link(signal: Signal) -> str:
    text = f"{signal.pair} on {venue_name(signal.venue)}"
    if (venue := VENUES.get(signal.venue)) is None:
        return text
    pair = signal.instrument_id.lower() if venue.has_lower_case_pages else signal.instrument_id
    return link(text, venue.pair_page.format(quote(pair, safe="")))


def _score_table(signal: Signal) -> Markup:
    """Points, and how much of its full each sub-score reached; 32 columns fit a phone."""
    rows = (
        f"{words(name)[:19]:<19}{points:5.1f} {signal.sub_scores[name]:4.0f} %"
        for name, points in signal.contributions.items()
    )
    return monospaced("\n".join(rows))


def _missing(missing: Mapping[str, str]) -> str:
    return ", ".join(f"{words(part).lower()} ({why})" for part, why in missing.items())


def _ages(signal: Signal) -> str:
    book_ms, closed_ms = signal.data_times.book_ms, signal.plan.get("closed_ms")
    book = "no book" if book_ms is None else f"book {age_text(signal.decided_ms - book_ms)} old"
    if closed_ms is None:
        return book
    return f"candle closed {duration_text((signal.decided_ms - closed_ms) / 1000)} ago, {book}"


def _reachable(signal: Signal, outcome: Outcome, reach_s: float) -> str:
    after_s = reach_s if outcome.reachable_ms is None else outcome.reachable_ms / 1000 - _decided_s(outcome)
    if (result := outcome.reachable) is not None:
        entry = format_price(result.entry, signal.tick_size)
        return f"From {entry}, the price {duration_text(after_s)} later: {net_text(result)}"
    if outcome.unreachable is Unreachable.ENDED_BEFORE:
        return f"Nobody could have entered: it ended within {duration_text(reach_s)}"
    return f"The price {duration_text(reach_s)} later was not seen: no result from it"


def _decided_s(outcome: Outcome) -> float:
    # by the clock of the exit, which may have been set since the decision
    return outcome.exit_ms / 1000 - outcome.held_s
