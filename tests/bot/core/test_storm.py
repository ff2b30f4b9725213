"""One list for the coins of one storm."""

from bot.core.storm import Storm
from scoring.signals import NearMiss
from tests.storage.builders import DECIDED_MS, make_near_miss


def refused(coin: str, after_s: float = 0, *failed: str) -> NearMiss:
    """Return a coin that only the burst limit refused, or `failed`."""
    return make_near_miss(coin=coin, decided_ms=DECIDED_MS + round(1000 * after_s), failed=failed or ("burst",))


def coins(near_misses: object) -> list[str]:
    """Return their coins."""
    return [near_miss.coin for near_miss in near_misses]  # type: ignore[attr-defined]


def test_it_grows_by_new_coins_only() -> None:
    """The list is told when a coin joins, with all that have joined, under one key."""
    storm = Storm(300)
    assert coins(storm.add([refused("A"), refused("B")])) == ["A", "B"]
    key = storm.key
    assert storm.add([refused("B", 5)]) == ()
    assert set(coins(storm.add([refused("C", 10)]))) == {"A", "B", "C"}
    assert storm.key == key


def test_others_do_not_count() -> None:
    """A coin that another gate refused too is no part of it."""
    storm = Storm(300)
    assert storm.add([refused("A", 0, "score"), refused("B", 0, "score", "burst")]) == ()


def test_a_storm_ends() -> None:
    """After a window without newcomers the next coin begins another list."""
    storm = Storm(300)
    storm.add([refused("A")])
    key = storm.key
    assert coins(storm.add([refused("B", 301)])) == ["B"]
    assert storm.key != key
