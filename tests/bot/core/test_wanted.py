"""Whom a tick asks for: all that is followed, and who could still pass."""

import numpy as np

from bot.core.wanted import WARM_MS, HotList, wanted
from features.frame import FeatureFrame
from fetchers.poll_plan import Key, Wanted
from scoring.signals import Limits
from tests.scoring.frames import SETTINGS, UPS, passing


def ask(frame: FeatureFrame, *open_keys: Key) -> list[Wanted]:
    """Return whom UPS wants of the frame."""
    column = {one.key: place for place, one in enumerate(frame.instruments)}
    return wanted(frame, column, (UPS,), Limits.fresh(), SETTINGS, open_keys=open_keys, open_names=())


def test_candidates_have_their_margin() -> None:
    """Who could pass is a candidate by as much as the bound is over the threshold; who cannot is not asked for."""
    frame = passing(3, momentum_z=np.array([-2.0, 9.0, -2.0]), btc_return=0.0)
    bound = UPS.bound(frame, SETTINGS, Limits.fresh(), ()) - UPS.lowest_score(SETTINGS)
    found = ask(frame)
    assert [(one.key, one.bound) for one in found] == [
        (instrument.key, margin)
        for instrument, margin in zip(frame.instruments, bound.tolist(), strict=True)
        if margin >= 0
    ]
    assert found


def test_what_is_open_comes_first() -> None:
    """An open signal's instrument is asked for whatever its bound, also where it is watched no more."""
    frame = passing(2, price_ms=0)
    key = frame.instruments[1].key
    first, second, *_ = ask(frame, key, ("bybit", "GONE"))
    assert (first.key, first.kind) == (key, "open")
    assert (second.key, second.kind, second.lender) == (("bybit", "GONE"), "open", None)


def test_a_candidate_stays_warm_for_ten_minutes() -> None:
    """A candidate is asked for once in a tick, for ten minutes from the last time, the latest first."""
    hot, column = HotList(), {("bybit", name): place for place, name in enumerate("ABC")}
    first, second = (Wanted(key=("bybit", name), kind="candidate") for name in "AB")
    assert hot.extend([first], 0, column) == [first]
    assert [(one.key[1], one.kind) for one in hot.extend([second], 1000, column)] == [("B", "candidate"), ("A", "warm")]
    assert [(one.key[1], one.kind) for one in hot.extend([], WARM_MS - 1, column)] == [("B", "warm"), ("A", "warm")]
    assert [one.key[1] for one in hot.extend([], WARM_MS, column)] == ["B"]
    assert hot.extend([], WARM_MS + 1000, column) == []


def test_the_warm_are_watched_and_not_followed() -> None:
    """What is followed is asked for as that; what is not watched, or was only followed, is not kept warm."""
    hot, column = HotList(), {("bybit", "A"): 0, ("bybit", "B"): 1}
    hot.extend([Wanted(key=("bybit", name), kind="candidate") for name in "AB"], 0, column)
    followed = Wanted(key=("bybit", "A"), kind="open")
    assert hot.extend([followed], 1000, {("bybit", "A"): 0}) == [followed]
    hot = HotList()
    hot.extend([followed], 0, column)
    assert hot.extend([], 1000, column) == []
