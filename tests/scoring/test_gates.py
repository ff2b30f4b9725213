"""Every gate at, just under and just over its limit, and its words."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from features.frame import PARTS
from features.missing import Missing
from scoring.decide import decide
from scoring.gates import GateFrame, GateInputs, check_gates, verdicts_at
from scoring.limits import after_outcome, after_signal, mute_coin
from scoring.settings import ScoringSettings
from scoring.signals import FOREVER_MS, Limits, Verdict
from tests.builders import NOW_MS, instrument
from tests.scoring.frames import NAN, UPS, check, limits, outcome, passing, refusals, signal

GATES = UPS.gates
TOTAL = 73.8


def above(value: float) -> float:
    """Return the next float up."""
    return float(np.nextafter(value, np.inf))


def below(value: float) -> float:
    """Return the next float down."""
    return float(np.nextafter(value, -np.inf))


def verdict_of(name: str, checked: GateFrame, inputs: GateInputs) -> Verdict:
    """Return one gate's verdict on the first instrument."""
    return next(verdict for verdict in verdicts_at(checked, inputs, 0) if verdict.name == name)


def test_the_table() -> None:
    """The gates are those of the design in its order, each once, and eligibility at the end."""
    assert [gate.name for gate in GATES] == [
        *("score", "bid_depth", "ask_share", "sweep", "oi_divergence", "spread", "stop_distance", "net_take_profit"),
        *(
            "btc_pump",
            "discount",
            "data_age",
            "book",
            "cooldown",
            "open_signal",
            "burst",
            "daily_cap",
            "stoploss_guard",
            "paused",
        ),
        *("muted", "eligible"),
    ]
    assert {part for gate in GATES for part in gate.needs} <= set(PARTS)


def test_nothing_refuses_the_passing_frame() -> None:
    """The frame that the other tests change passes every gate."""
    assert refusals(passing()) == set()


@pytest.mark.parametrize(
    ("gate", "name", "at", "worse", "better"),
    [
        ("bid_depth", "bid_depth_usdt", 5000.0, below(5000), above(5000)),
        ("ask_share", "ask_share", 0.6, below(0.6), above(0.6)),
        ("sweep", "sweep_age_s", 30.0, above(30), below(30)),
    ],
)
def test_gates_that_pass_at_their_limit(gate: str, name: str, at: float, worse: float, better: float) -> None:
    """At least, or at most, so much: the limit itself passes, the next float on the wrong side does not."""
    assert gate not in refusals(passing(**{name: at}))
    assert gate not in refusals(passing(**{name: better}))
    assert refusals(passing(**{name: worse}), min_score=60) == {gate}


@pytest.mark.parametrize(
    ("gate", "name", "at", "passes"),
    [
        ("spread", "spread_bps", 50.0, below(50)),
        ("btc_pump", "btc_return", 0.005, below(0.005)),
    ],
)
def test_gates_that_fail_at_their_limit(gate: str, name: str, at: float, passes: float) -> None:
    """Less than so much: the limit itself fails, and so does more."""
    assert gate not in refusals(passing(**{name: passes}), min_score=60)
    assert refusals(passing(**{name: at}), min_score=60) == {gate}
    assert refusals(passing(**{name: above(at)}), min_score=60) == {gate}


def test_a_discount_to_the_index() -> None:
    """A price half a percent below its index is too late for a SHORT; a premium, or no index, refuses nothing."""
    assert refusals(passing(index_basis=-0.0049)) == set()
    assert refusals(passing(index_basis=-0.0051)) == {"discount"}
    assert refusals(passing(index_basis=0.03)) == set()
    inputs, checked = check(passing(index_basis=NAN, missing={"index": Missing.STALE}))
    assert verdict_of("discount", checked, inputs).passed
    assert verdict_of("discount", checked, inputs).reason == "no index price to compare with"


def test_score() -> None:
    """The score passes at the threshold and fails just under it."""
    inputs, _ = check(passing())
    total = float(inputs.scores.total[0])
    assert total == pytest.approx(TOTAL)
    assert refusals(passing(), min_score=total) == set()
    assert refusals(passing(), min_score=above(total)) == {"score"}


def test_oi_divergence() -> None:
    """The sub-score passes at its minimum, fails just under it, and never passes on a 5-minute history alone."""
    # sqrt(0.3 * 0.3) of a hundred
    features = passing(open_interest_change=0.006, price_change=-0.003)
    inputs, _ = check(features)
    divergence = float(inputs.scores.sub_scores[0, 0])
    assert divergence == pytest.approx(30)
    assert refusals(features, min_oi_divergence=divergence, min_score=0) == set()
    assert refusals(features, min_oi_divergence=above(divergence), min_score=0) == {"oi_divergence"}
    assert refusals(passing(open_interest_is_live=False)) == {"oi_divergence"}


@pytest.mark.parametrize(("ask", "is_refused"), [(100.32, False), (100.33, False), (100.34, True)])
def test_stop_distance(ask: float, is_refused: bool) -> None:
    """A stop of 69 ticks is two spreads of 34 ticks away, and not of 35 or more."""
    features = passing(best_bid=99.99, best_ask=ask, spread_bps=2.0)
    assert refusals(features) == ({"stop_distance"} if is_refused else set())


def test_stop_distance_counts_the_tick() -> None:
    """A coarse tick pulls the stop toward the entry: 0.7 % of 100 in ticks of half a coin is one spread, not 1.4."""
    coarse = [instrument(tick_size=0.5)]
    features = passing(instruments=coarse, best_bid=100.0, best_ask=100.5, spread_bps=49.0)
    inputs, checked = check(features)
    assert checked.value_of("stop_distance")[0] == 1.0
    assert "stop_distance" in refusals(features)
    assert verdict_of("stop_distance", checked, inputs).reason == "stop 1.0 spreads away < 2"


def test_net_take_profit() -> None:
    """The target after two fees has to pay: at twice its own distance in fees it fails, just under it passes."""
    # 99.99 less 1.7 % in whole ticks is 169 ticks of 9999
    take_profit = 100 * 169 / 9999
    assert refusals(passing(), default_taker_fee_percent=below(take_profit / 2)) == set()
    assert refusals(passing(), default_taker_fee_percent=take_profit / 2) == {"net_take_profit"}


def test_net_take_profit_counts_funding() -> None:
    """A SHORT that would pay 1.6 % at the settlement before its timeout is not worth it; one settled before is."""
    features = passing(funding_interval_h=1.0, funding_rate=-0.016, funding_rate_8h=-0.128)
    assert refusals(features, min_score=60) == {"net_take_profit"}
    assert refusals(features, min_score=60, signal_timeout_s=60.0) == set()


def test_net_take_profit_needs_the_rate_only_where_it_settles() -> None:
    """A missing rate fails the gate where a settlement would fall before the timeout, else it does not matter."""
    features = passing(funding_interval_h=1.0, funding_rate_8h=NAN, missing={"funding": Missing.STALE})
    inputs, checked = check(features, min_score=60)
    verdict = verdict_of("net_take_profit", checked, inputs)
    assert not verdict.passed
    assert verdict.reason == "funding stale"
    assert refusals(features, min_score=60, signal_timeout_s=60.0) == set()


@pytest.mark.parametrize("name", ["price_ms", "book_ms", "trades_ms"])
def test_data_age(name: str) -> None:
    """Prices, book and trades may each be 15 s old, not a millisecond more, and must have been seen."""
    assert refusals(passing(**{name: NOW_MS - 15_000})) == set()
    assert refusals(passing(**{name: NOW_MS - 15_001})) == {"data_age"}
    assert refusals(passing(**{name: 0})) == {"data_age"}


@pytest.mark.parametrize("code", [Missing.CROSSED, Missing.EMPTY, Missing.FROZEN, Missing.STALE, Missing.NOT_SEEN])
def test_book(code: Missing) -> None:
    """A book that is crossed, empty, frozen, stale or not there refuses, and the reason says which."""
    inputs, checked = check(passing(missing={"book": code}))
    verdict = verdict_of("book", checked, inputs)
    assert not verdict.passed
    assert np.isnan(verdict.value)
    assert verdict.reason == f"book {code.text}"


@pytest.mark.parametrize("field", ["last_signal_ms", "last_exit_ms"])
def test_cooldown(field: str) -> None:
    """A minute after the coin's last signal and last exit it may signal again; other coins always may."""
    assert refusals(passing(), limits(**{field: {"C0": NOW_MS - 60_000}})) == set()
    assert refusals(passing(), limits(**{field: {"C0": NOW_MS - 59_999}})) == {"cooldown"}
    assert refusals(passing(), limits(**{field: {"C1": NOW_MS}})) == set()


def test_cooldown_counts_from_the_later() -> None:
    """Of the last signal and the last exit the later one counts."""
    barred = limits(last_signal_ms={"C0": NOW_MS - 500_000}, last_exit_ms={"C0": NOW_MS - 10_000})
    assert refusals(passing(), barred) == {"cooldown"}


def test_a_coin_renamed_at_a_reload_escapes_no_gate() -> None:
    """The same contract under another name is still open, cooling and muted; another coin of the ticker is not open."""
    was = instrument(venue="lbank", id="PEPEUSDT")
    first = decide(NOW_MS, passing(instruments=[was]), Limits.fresh(), (), ScoringSettings(), (UPS,))
    (given,) = first.signals
    renamed = passing(instruments=[replace(was, coin="PEPE@lbank")], now_ms=NOW_MS + 1000)
    assert refusals(renamed, first.limits) == {"cooldown"}
    assert refusals(renamed, open_names={given.coin, given.key_name}) == {"open_signal"}
    assert refusals(renamed, mute_coin(Limits.fresh(), "PEPE", NOW_MS)) == {"muted"}
    ended = after_outcome(Limits.fresh(), given, outcome(exit_ms=NOW_MS), ScoringSettings())
    assert refusals(renamed, ended) == {"cooldown"}
    other = passing(instruments=[instrument(venue="mexc", id="PEPE_USDT", coin="PEPE@mexc")], now_ms=NOW_MS + 1000)
    assert refusals(other, first.limits, open_names={given.coin, given.key_name}) == set()


@pytest.mark.parametrize("muted", ["PUMP", "PUMPFUN", "pumpfun"])
def test_mutes_by_every_name(muted: str) -> None:
    """A mute holds for a coin whatever a venue calls it."""
    one = instrument(venue="mexc", id="PUMPFUN_USDT", coin="PUMP", base="PUMPFUN", other_names=("PUMPFUN",))
    assert refusals(passing(instruments=[one]), mute_coin(Limits.fresh(), muted, NOW_MS)) == {"muted"}


def test_open_signal() -> None:
    """A coin with an open signal is refused, another's is not its business."""
    assert refusals(passing(), open_names={"C0"}) == {"open_signal"}
    assert refusals(passing(), open_names={"C1"}) == set()


def test_burst() -> None:
    """Two signals within five minutes are the burst; one that is five minutes old no longer counts."""
    times = (NOW_MS - 299_999, NOW_MS - 1000)
    assert refusals(passing(), limits(signal_times_ms=times)) == {"burst"}
    assert refusals(passing(), limits(signal_times_ms=(NOW_MS - 300_000, NOW_MS - 1000))) == set()
    assert refusals(passing(), limits(signal_times_ms=times), burst_limit=3) == set()


def test_daily_cap() -> None:
    """Eight signals today are the cap, seven are not; NOW_MS is 22:13 UTC."""
    eight = tuple(NOW_MS - hours * 3_600_000 for hours in range(9, 1, -1))
    assert refusals(passing(), limits(signal_times_ms=eight)) == {"daily_cap"}
    assert refusals(passing(), limits(signal_times_ms=eight[1:])) == set()
    # in Auckland the day began at 11:00 UTC
    yesterday = tuple(NOW_MS - (12 * 3600 - second) * 1000 for second in range(8))
    assert refusals(passing(), limits(signal_times_ms=yesterday)) == {"daily_cap"}
    assert refusals(passing(), limits(signal_times_ms=yesterday), timezone="Pacific/Auckland") == set()


def test_daily_cap_while_the_clock_is_behind() -> None:
    """A clock that stands before the last signal bars them all, and says so."""
    inputs, checked = check(passing(), limits(signal_times_ms=(NOW_MS + 1,)))
    verdict = verdict_of("daily_cap", checked, inputs)
    assert not verdict.passed
    assert verdict.reason == "the clock is behind the last signal"


@pytest.mark.parametrize(
    ("gate", "until"),
    [
        ("stoploss_guard", lambda until_ms: {"guard_until_ms": until_ms}),
        ("paused", lambda until_ms: {"paused_until_ms": until_ms}),
        ("muted", lambda until_ms: {"muted_coins": {"C0": until_ms}}),
        ("muted", lambda until_ms: {"muted_venues": {"bybit": until_ms}}),
    ],
)
def test_gates_until(gate: str, until: Any) -> None:
    """Guard, pause and mutes bar until their time, and not at it."""
    assert refusals(passing(), limits(**until(NOW_MS))) == set()
    assert refusals(passing(), limits(**until(NOW_MS + 1))) == {gate}
    assert refusals(passing(), limits(**until(FOREVER_MS))) == {gate}


def test_mutes_of_others() -> None:
    """Another coin's or venue's mute does not bar."""
    barred = limits(muted_coins={"C1": FOREVER_MS}, muted_venues={"mexc": FOREVER_MS})
    assert refusals(passing(), barred) == set()


def test_eligible() -> None:
    """What is only watched to lend never signals."""
    assert refusals(passing(instruments=[instrument(id="C0USDT", is_eligible=False)])) == {"eligible"}


@pytest.mark.parametrize(
    ("gate", "changed"),
    [
        ("bid_depth", {"bid_depth_usdt": NAN}),
        ("ask_share", {"ask_share": NAN}),
        ("sweep", {"sweep_multiple": NAN, "sweep_age_s": NAN}),
        ("sweep", {"sweep_multiple": 0.0, "sweep_age_s": NAN}),
        ("oi_divergence", {"open_interest_change": NAN, "missing": {"open_interest_change": Missing.WARMING_UP}}),
        ("oi_divergence", {"price_change": NAN, "missing": {"price_change": Missing.WARMING_UP}}),
        ("spread", {"spread_bps": NAN}),
        ("stop_distance", {"best_ask": NAN}),
        ("net_take_profit", {"best_bid": NAN}),
        ("stop_distance", {"volatility_minute": NAN}),
        ("btc_pump", {"btc_return": NAN}),
    ],
)
def test_missing_data_fails_the_gate_that_needs_it(gate: str, changed: dict[str, Any]) -> None:
    """NaN never passes, and no sweep is no sweep."""
    assert gate in refusals(passing(**changed), min_score=0)


def test_none_short_circuits() -> None:
    """With nothing known and everything barred each gate still gives its word and a reason."""
    floats = (
        "bid_depth_usdt",
        "ask_share",
        "sweep_multiple",
        "open_interest_change",
        "spread_bps",
        "best_bid",
        "btc_return",
    )
    barred = limits(paused_until_ms=FOREVER_MS, muted_coins={"C0": FOREVER_MS})
    features = passing(**dict.fromkeys(floats, NAN), missing=dict.fromkeys(PARTS, Missing.NOT_SEEN), book_ms=0)
    inputs, checked = check(features, barred)
    verdicts = verdicts_at(checked, inputs, 0)
    assert len(verdicts) == len(GATES)
    assert all(verdict.reason for verdict in verdicts)
    failed = {verdict.name for verdict in verdicts if not verdict.passed}
    assert failed >= {"score", "bid_depth", "sweep", "spread", "btc_pump", "data_age", "book", "paused", "muted"}


def test_words() -> None:
    """A verdict says its figures: which way they compare, and by how much."""
    barred = limits(last_signal_ms={"C0": NOW_MS - 23_000}, paused_until_ms=NOW_MS + 600_000)
    features = passing(bid_depth_usdt=3200.0, btc_return=0.0062, sweep_multiple=0.0, sweep_age_s=NAN)
    inputs, checked = check(features, barred, open_names={"C0"})
    reasons = {verdict.name: verdict.reason for verdict in verdicts_at(checked, inputs, 0)}
    assert reasons == {
        "score": "score 53.0 < 72",
        "bid_depth": "bid depth 3,200 < 5,000 USDT",
        "ask_share": "asks 0.700 ≥ 0.6 of the book's depth",
        "sweep": "no sweep in the last 30 s",
        "oi_divergence": "OI divergence 100.0 ≥ 30",
        "spread": "spread 0.020 % < 0.5 %",
        "stop_distance": "stop 34.5 spreads away ≥ 2",
        "net_take_profit": "take-profit net of costs 1.59 % > 0 %",
        "btc_pump": "BTC +0.62 % ≥ 0.5 %",
        "discount": "price +0.00 % past the index < 0.5 %",
        "data_age": "oldest data 0.0 s ≤ 15 s",
        "book": "book whole and moving",
        "cooldown": "last signal or exit of the coin 23 s ago < 60 s",
        "open_signal": "the coin has an open signal",
        "burst": "0 signals in the burst window < 2",
        "daily_cap": "0 signals today < 8",
        "stoploss_guard": "not resting after stop-losses",
        "paused": "paused for another 600 s",
        "muted": "not muted",
        "eligible": "watched for signals",
    }


def test_columns_do_not_mix() -> None:
    """One instrument's failure is its own."""
    inputs, checked = check(passing(3, bid_depth_usdt=[9000.0, 10.0, 9000.0]))
    assert checked.passed.all(axis=0).tolist() == [True, False, True]
    assert np.array_equal(check_gates(GATES, inputs).passed, checked.passed)


def test_after_a_signal_all_is_as_if_checked_anew() -> None:
    """Looking only at the gates that count signals says what looking at all of them says, signal after signal."""
    settings = {"max_daily_trades": 2, "burst_limit": 3}
    instruments = [instrument(venue=venue, id=f"C{coin}USDT") for coin in range(3) for venue in ("binance", "mexc")]
    inputs, checked = check(passing(instruments=instruments), **settings)
    changed = set()
    for number in range(3):
        coin = inputs.features.instruments[2 * number].coin
        given = signal(id=number + 1, coin=coin, decided_ms=inputs.now_ms)
        open_names = {*inputs.open_names, coin}
        inputs = replace(inputs, limits=after_signal(inputs.limits, given, inputs.settings), open_names=open_names)
        checked, before = check_gates(GATES, inputs, before=checked), checked
        anew = check_gates(GATES, inputs)
        assert np.array_equal(checked.values, anew.values, equal_nan=True)
        assert np.array_equal(checked.passed, anew.passed)
        changed |= {
            gate.name for gate, was, now in zip(GATES, before.passed, anew.passed, strict=True) if (was != now).any()
        }
    assert changed == {gate.name for gate in GATES if gate.counts_signals}


@pytest.mark.parametrize(
    ("name", "changed", "reason"),
    [
        ("spread", {"spread_bps": 49.99}, "spread 0.499 % < 0.5 %"),
        ("ask_share", {"ask_share": 0.59996}, "asks 0.599 < 0.6 of the book's depth"),
        ("data_age", {"price_ms": NOW_MS - 15_010}, "oldest data 15.1 s > 15 s"),
    ],
)
def test_a_printed_figure_keeps_its_sentence_true(name: str, changed: dict[str, float], reason: str) -> None:
    """What is just short of a limit is not rounded onto it."""
    inputs, checked = check(passing(**changed))
    assert verdict_of(name, checked, inputs).reason == reason
