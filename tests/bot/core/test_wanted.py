"""Whom a tick asks for: all that is followed, and who could still pass."""

import numpy as np

from bot.core.wanted import wanted
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
