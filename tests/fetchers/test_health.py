"""A venue's health and the quarantine, under a hand clock."""

import pytest

from fetchers.health import QUOTES, Condition, Notice, Quarantine, VenueHealth

T = 1_700_000_000_000


def test_one_trouble_is_news_once_when_it_begins_and_once_when_it_ends() -> None:
    """A kind of call that fails now and then is one trouble until it has been calm for a while."""
    health = VenueHealth("mexc", T)
    assert health.failure("book", "mexc book: empty", T)
    assert health.success("book", T + 1_000) is None
    assert not health.failure("book", "mexc book: HTML", T + 2_000)
    assert health.condition(T + 3_000) == Condition.DEGRADED
    assert health.since_ms(T + 3_000) == T
    assert health.success("book", T + 10_000) == 10_000
    assert health.success("book", T + 10_001) is None
    assert health.condition(T + 10_001) == Condition.OK
    assert (health.errors, health.last_error) == (2, "mexc book: HTML")


def test_a_venue_is_blind_when_its_quotes_stay_away() -> None:
    """Failing quotes degrade at first and blind after 15 s; a trouble with books never does."""
    health = VenueHealth("mexc", T)
    health.failure("book", "late", T)
    assert health.condition(T + 60_000) == Condition.DEGRADED
    health.success(QUOTES, T + 60_000)
    health.failure(QUOTES, "late", T + 65_000)
    assert health.condition(T + 74_999) == Condition.DEGRADED
    assert health.condition(T + 75_000) == Condition.BLIND
    health.success(QUOTES, T + 80_000)
    assert not health.fails(QUOTES)


def test_a_hold_lasts_as_long_as_the_venue_said() -> None:
    """Held until its time, told with that time; a shorter hold does not cut it short."""
    health = VenueHealth("bybit", T)
    health.hold(T + 600_000)
    health.hold(T + 10_000)
    assert health.condition(T + 599_999) == Condition.HELD
    assert health.since_ms(T) == T + 600_000
    assert health.condition(T + 600_000) == Condition.OK
    assert health.since_ms(T + 600_000) is None


def test_blind_for_two_minutes_is_said_once_and_so_is_being_back() -> None:
    """One notice after two minutes without quotes, one when they have come back to stay."""
    health = VenueHealth("lbank", T)
    health.failure(QUOTES, "refused", T)
    assert health.notice(T + 119_999) is None
    assert health.notice(T + 120_000) == Notice(venue="lbank", is_back=False, since_ms=T)
    health.failure(QUOTES, "refused", T + 150_000)
    assert health.notice(T + 150_000) is None
    health.success(QUOTES, T + 152_000)
    assert health.notice(T + 152_000) is None
    health.success(QUOTES, T + 160_000)
    assert health.notice(T + 160_000) == Notice(venue="lbank", is_back=True, since_ms=T)
    assert health.notice(T + 160_001) is None


def test_an_instrument_that_fails_alone_is_left_out_for_a_growing_while() -> None:
    """Twice bad with others well in between is its own trouble: 30 s, then a minute, and so on up to an hour."""
    quarantine = Quarantine()
    assert quarantine.failure("BAD", T, is_certain=False) == 0
    quarantine.success("GOOD", T + 1)
    assert quarantine.failure("BAD", T + 5_000, is_certain=False) == 30
    assert quarantine.holds("BAD", T + 34_999)
    assert quarantine.count(T + 34_999) == 1
    assert not quarantine.holds("BAD", T + 35_000)
    quarantine.success("GOOD", T + 36_000)
    assert quarantine.failure("BAD", T + 37_000, is_certain=False) == 60
    for _ in range(20):
        longest = quarantine.failure("BAD", T + 38_000, is_certain=True)
    assert longest == pytest.approx(3600)
    quarantine.success("BAD", T + 39_000)
    assert not quarantine.holds("BAD", T + 39_000)
    assert quarantine.failure("BAD", T + 40_000, is_certain=True) == 30


def test_a_trouble_of_all_instruments_leaves_none_out() -> None:
    """While nothing of the venue is well, no instrument is to blame."""
    quarantine = Quarantine()
    for at_ms in range(T, T + 60_000, 5_000):
        assert not any(quarantine.failure(name, at_ms, is_certain=False) for name in ("A", "B", "C"))
    assert not quarantine.holds("A", T + 60_000)


def test_what_the_venue_does_not_know_is_left_out_at_once() -> None:
    """An unknown symbol needs no second look."""
    quarantine = Quarantine()
    assert quarantine.failure("GONE", T, is_certain=True) == 30
    assert not quarantine.holds("OTHER", T)
