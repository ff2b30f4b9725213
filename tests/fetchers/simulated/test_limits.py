from fetchers.simulated.limits import Quota


def test_a_sliding_quota_counts_the_last_window() -> None:
    """A refused request takes no room; room comes back as the oldest leaves."""
    quota = Quota(3, 2_000)
    assert [quota.spend(1, at) for at in (0, 500, 1000, 1999)] == [True, True, True, False]
    assert quota.spend(1, 2_000)
    assert not quota.spend(1, 2_001)
    assert (quota.refused, quota.peak_share, quota.wait_ms(2_001)) == (2, 1.0, 2_000)


def test_a_clock_quota_starts_again_with_the_minute() -> None:
    """A burst at :59 and another at :00 are both within the limit."""
    quota = Quota(2400, 60_000, by_clock=True)
    assert quota.spend(2400, 59_900)
    assert not quota.spend(1, 59_999)
    assert quota.wait_ms(59_900) == 100
    assert quota.spend(2400, 60_000)
    assert quota.used(60_000) == 2400
    assert quota.used(120_000) == 0
