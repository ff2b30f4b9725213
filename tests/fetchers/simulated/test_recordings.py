import numpy as np

from fetchers.simulated.recordings import DIRECTORY, RECORDED_COINS, load_recordings

RECORDINGS = load_recordings()


def test_recordings_are_small_and_name_their_source() -> None:
    """All are there, below 1.5 MB together, with SOURCE.md and the licence's notice beside them."""
    assert set(RECORDINGS) == set(RECORDED_COINS)
    assert sum(path.stat().st_size for path in DIRECTORY.iterdir()) < 1_500_000
    assert "Permission is hereby granted" in (DIRECTORY / "SOURCE.md").read_text()


def test_a_recording_loops_without_a_jump_and_backward() -> None:
    """Around each turn the price goes back the way it came, before the start as well."""
    bitcoin = RECORDINGS["BTC"]
    once = np.abs(np.diff(bitcoin.mid(np.arange(0, bitcoin.length_s, 0.25)))).max()
    assert np.abs(np.diff(bitcoin.mid(np.arange(-900, 900, 0.25)))).max() <= once
    away = np.arange(0, 50, 0.25)
    np.testing.assert_allclose(bitcoin.mid(bitcoin.length_s + away), bitcoin.mid(bitcoin.length_s - away))
    np.testing.assert_allclose(bitcoin.mid(-away), bitcoin.mid(away))


def test_prints_come_back_in_reverse_with_their_sides_swapped() -> None:
    """What was sold on the way there is bought on the way back, numbered on without a repeat."""
    bitcoin = RECORDINGS["BTC"]
    length_s = bitcoin.length_s
    number, time_s, quantity, is_sell = bitcoin.prints(length_s - 20, length_s)
    back_number, back_s, back_quantity, back_is_sell = bitcoin.prints(length_s, length_s + 20)
    assert len(number) > 100
    assert (np.diff(np.concatenate((time_s, back_s))) >= 0).all()
    assert (np.diff(np.concatenate((number, back_number))) == 1).all()
    both = min(len(number), len(back_number)) - 5
    np.testing.assert_allclose(back_s[:both] - length_s, (length_s - time_s[::-1])[:both])
    np.testing.assert_allclose(back_quantity[:both], quantity[::-1][:both])
    assert (back_is_sell[:both] == ~is_sell[::-1][:both]).all()


def test_the_book_swaps_sides_on_the_way_back() -> None:
    """The bids of the way there are the asks of the way back."""
    solana = RECORDINGS["SOL"]
    at = 30.0
    there, back = solana.book(at), solana.book(2 * solana.length_s - at)
    np.testing.assert_array_equal(there[0], back[2])
    np.testing.assert_array_equal(there[3], back[1])


def test_sparse_quantities_are_there_where_recorded_and_only_there() -> None:
    """Open interest, funding, mark and taker shares exist for the framed coins; the raw ones have prints instead."""
    now = np.array([10.0, 500.0])
    assert RECORDINGS["BTC"].known("open_interest", now) is None
    np.testing.assert_array_equal(RECORDINGS["BTC"].relative_to_mid("mark", now), 1.0)
    sui = RECORDINGS["SUI"]
    assert not sui.has_prints
    open_interest = sui.known("open_interest", now)
    assert open_interest is not None
    np.testing.assert_allclose(open_interest, 95.2e6, rtol=1e-3)
    np.testing.assert_allclose(sui.relative_to_mid("index", now), 1.0, atol=2e-3)
    share = sui.sell_share(np.array([30.0, 2 * sui.length_s - 30.0]))
    assert 0 < share[0] < 1
    np.testing.assert_allclose(share.sum(), 1.0)
