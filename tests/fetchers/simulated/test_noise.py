import numpy as np

from fetchers.simulated.noise import bell, drift, keys_of, uniform, walk

KEY = keys_of(1, "a row")
PLACES = np.arange(-5000, 5000, dtype=np.int64)


def test_uniform_is_even_and_the_same_whenever_asked() -> None:
    """Numbers fill [0, 1) evenly, also at negative places, and depend on nothing but key and place."""
    numbers = uniform(KEY, PLACES, 3)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert abs(numbers.mean() - 0.5) < 0.02
    np.testing.assert_array_equal(numbers[::-1][:10], uniform(KEY, PLACES[::-1][:10], 3))
    assert (numbers != uniform(keys_of(2, "a row"), PLACES, 3)).all()


def test_bell_has_unit_deviation_and_never_leaves_three() -> None:
    """Sizes drawn from it are bounded, so no dull level can be a wall."""
    numbers = bell(KEY, PLACES)
    assert np.abs(numbers).max() < 3
    np.testing.assert_allclose((numbers.mean(), numbers.std()), (0, 1), atol=0.03)


def test_drift_is_continuous() -> None:
    """Between two lattice points it moves by small steps only."""
    curve = drift(KEY, np.linspace(-50, 50, 10_001), 10.0)
    assert np.abs(np.diff(curve)).max() < 0.004
    assert -1 <= curve.min() < curve.max() < 1


def test_walk_moves_with_the_root_of_time_and_stays_bounded() -> None:
    """Minutes move little, days much, and the whole never runs away."""
    times = np.arange(-86_400, 86_400, 60, dtype=np.float64)
    path = walk(np.repeat(KEY, len(times)), times)
    assert np.abs(path).max() < 6
    minute, hour = np.diff(path).std(), (path[60:] - path[:-60]).std()
    assert 0.01 < minute < 0.05
    assert 3 < hour / minute < 12
