"""Closed candles of all instruments, of one interval and a longer one made of it, and what is read from them.

A candle that was stored stays as it is: what was read from it is a fact. Where a venue gives another one later, that is
counted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from features.candle_readings import CandleReadings, no_readings, read_candles
from features.candle_settings import CandleSettings
from features.facts.market import Candles, FloatArray, IntArray
from features.state.candle_beginning import begin
from features.state.candle_ring import COLUMNS, READ, CandleRing
from features.state.candle_track import CandleTrack, empty_track, step, step_longer

WINDOW_ROWS, LONGER_WINDOW_ROWS = 240, 64
SPARE_ROWS = 16  #: what lags behind the newest candle of all by as many still has its whole window
LONGEST_GAP = 3  #: missing candles in a row that are taken as nothing traded
MOST_STEPS = 8  #: candles that are taken one by one; after a longer absence all that are stored are read anew


@dataclass(frozen=True, slots=True, kw_only=True)
class CandleSnapshot:
    """The candles of a store as a record."""

    settings: CandleSettings
    open_ms: IntArray
    values: FloatArray
    newest_ms: IntArray
    longer_open_ms: IntArray
    longer_values: FloatArray
    longer_newest_ms: IntArray
    track: CandleTrack | None = None  #: None: an older version took it; it is made of the candles


@dataclass(frozen=True, slots=True)
class _Arrived:
    """Candles of several replies side by side, by instrument and time."""

    column: IntArray
    open_ms: IntArray
    values: FloatArray  #: (5, k)

    def take(self, places: IntArray) -> "_Arrived":
        return _Arrived(self.column[places], self.open_ms[places], self.values[:, places])


class CandleStore:
    """The candles of n instruments and their readings, which are always those of the candles."""

    def __init__(self, tick_size: FloatArray, settings: CandleSettings) -> None:
        n = len(tick_size)
        self.settings = settings
        self.tick_size = tick_size
        self.base = CandleRing(n, settings.candle_interval_s, WINDOW_ROWS + SPARE_ROWS)
        self.longer = CandleRing(n, settings.confirm_interval_s, LONGER_WINDOW_ROWS + SPARE_ROWS)
        self.track: CandleTrack = empty_track(n)
        self.readings = CandleReadings(**no_readings(n))
        self.rewritten = 0  #: candles that a venue gave differently later

    def append(self, columns: Sequence[int], replies: Sequence[Candles]) -> None:
        """Store closed candles, one reply of an instrument each, and read them."""
        arrived = self._newer(self._arrived(columns, replies))
        if not len(arrived.column):
            return
        before_ms, interval_ms = self._time_before(arrived), self.base.interval_ms
        absent = (arrived.open_ms - self.base.newest_ms[arrived.column]) // interval_ms
        self.base.put(arrived.column, arrived.open_ms, arrived.values)
        is_hole = (before_ms == 0) | (arrived.open_ms - before_ms > (LONGEST_GAP + 1) * interval_ms)
        begins, returns = (np.zeros(len(self.tick_size), bool) for _ in range(2))
        begins[arrived.column[is_hole]] = returns[arrived.column[absent > MOST_STEPS]] = True
        returns &= ~begins
        with np.errstate(invalid="ignore"):
            if begins.any():
                self._begin_arrived(arrived.take(np.flatnonzero(begins[arrived.column])))
            self._begin_stored(np.flatnonzero(returns))
            self._step(arrived.take(np.flatnonzero(~(begins | returns)[arrived.column])))
        self.read(np.unique(arrived.column))

    def read(self, columns: IntArray) -> None:
        """Read the candles of some instruments."""
        newest_ms = self.base.newest_ms[columns]
        with np.errstate(invalid="ignore"):
            read = read_candles(self.track, columns, newest_ms, self.tick_size[columns], self.settings)
        self.readings.put(columns, read)

    def copy_columns(self, source: "CandleStore", there: IntArray, here: IntArray) -> None:
        """Take over the columns `there` of `source` as `here`."""
        for mine, other in ((self.base, source.base), (self.longer, source.longer)):
            mine.open_ms[...] = other.open_ms
            mine.values[:, :, here] = other.values[:, :, there]
            mine.newest_ms[here] = other.newest_ms[there]
        self.rewritten = source.rewritten
        self.track.copy_columns(source.track, there, here)
        for one in fields(CandleReadings):
            getattr(self.readings, one.name)[..., here] = getattr(source.readings, one.name)[..., there]

    def snapshot(self, columns: IntArray) -> CandleSnapshot:
        """Return the candles of some instruments."""
        return CandleSnapshot(
            settings=self.settings,
            open_ms=self.base.open_ms.copy(),
            values=self.base.values[:, :, columns],
            newest_ms=self.base.newest_ms[columns],
            longer_open_ms=self.longer.open_ms.copy(),
            longer_values=self.longer.values[:, :, columns],
            longer_newest_ms=self.longer.newest_ms[columns],
            track=self.track.of(columns),
        )

    @classmethod
    def restore(cls, snapshot: CandleSnapshot, tick_size: FloatArray) -> "CandleStore":
        """Return the store that was taken, read anew.

        Raises
        ------
        ValueError
            Its arrays do not fit its settings.
        """
        store = cls(tick_size, snapshot.settings)
        for ring, prefix in ((store.base, ""), (store.longer, "longer_")):
            for name in ("open_ms", "values", "newest_ms"):
                _take(getattr(ring, name), getattr(snapshot, prefix + name))
        everyone = np.arange(len(tick_size))
        if snapshot.track is None:
            store._begin_stored(everyone)
        else:
            for one in fields(CandleTrack):
                _take(getattr(store.track, one.name), getattr(snapshot.track, one.name))
        store.read(everyone)
        return store

    def _arrived(self, columns: Sequence[int], replies: Sequence[Candles]) -> _Arrived:
        interval_s = self.settings.candle_interval_s
        chosen = [(column, one) for column, one in zip(columns, replies, strict=True) if one.interval_s == interval_s]
        if not chosen:
            return _Arrived(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((COLUMNS, 0)))
        came = [one for _, one in chosen]
        times = [one.open_ms for one in came]
        prices = [[one.open for one in came], [one.high for one in came], [one.low for one in came]]
        volumes = [np.zeros(len(one.open_ms)) if one.volume_base is None else one.volume_base for one in came]
        values = [*prices, [one.close for one in came], volumes]
        arrived = _Arrived(
            np.repeat([column for column, _ in chosen], [len(one) for one in times]),
            np.concatenate(times),
            np.array([np.concatenate(one) for one in values]),
        )
        is_on_grid = arrived.open_ms % self.base.interval_ms == 0
        order = np.lexsort((arrived.open_ms, arrived.column))
        order = order[is_on_grid[order]]
        same = (np.diff(arrived.column[order]) == 0) & (np.diff(arrived.open_ms[order]) == 0)
        return arrived.take(order[np.append(True, ~same)[: len(order)]])

    def _newer(self, arrived: _Arrived) -> _Arrived:
        """Return what is newer than what is stored, short gaps filled; the rest is compared with that."""
        is_newer = arrived.open_ms > self.base.newest_ms[arrived.column]
        if not is_newer.all():
            older = arrived.take(np.flatnonzero(~is_newer))
            self.rewritten += len(self.base.put(older.column, older.open_ms, older.values))
            arrived = arrived.take(np.flatnonzero(is_newer))
        missing = (arrived.open_ms - self._time_before(arrived)) // self.base.interval_ms - 1
        extra = np.where(missing <= LONGEST_GAP, missing, 0)
        if not extra.any():
            return arrived
        is_first = np.append(True, np.diff(arrived.column) != 0)
        close_before = np.where(is_first, self.track.close[arrived.column], np.roll(arrived.values[3], 1))
        place = np.repeat(np.arange(len(extra)), extra + 1)
        left = np.repeat(np.cumsum(extra + 1), extra + 1) - 1 - np.arange(len(place))  # candles up to the one that came
        values = arrived.values[:, place]
        values[:4] = np.where(left > 0, close_before[place], values[:4])
        values[4] = np.where(left > 0, 0.0, values[4])
        return _Arrived(arrived.column[place], arrived.open_ms[place] - left * self.base.interval_ms, values)

    def _time_before(self, arrived: _Arrived) -> IntArray:
        # when the candle before each opened, 0 where there is none
        is_first = np.append(True, np.diff(arrived.column) != 0)[: len(arrived.column)]
        return np.where(is_first, self.base.newest_ms[arrived.column], np.roll(arrived.open_ms, 1))

    def _step(self, arrived: _Arrived) -> None:
        """Take candles that follow those that are known."""
        longer = self.longer
        for open_ms in np.unique(arrived.open_ms).tolist():
            columns = arrived.column[arrived.open_ms == open_ms]
            step(self.track, self.base, columns, open_ms, self.settings)
            if (open_ms + self.base.interval_ms) % longer.interval_ms:
                continue
            parts = longer.interval_ms // self.base.interval_ms
            whole = columns[self.track.whole_rows[columns] >= parts]
            rows, _ = self.base.rows_until(open_ms, parts)
            longer_ms = open_ms + self.base.interval_ms - longer.interval_ms
            values = _joined(self.base.values[:, rows[:, np.newaxis], whole][:, np.newaxis])[:, 0]
            longer.put(whole, np.full(len(whole), longer_ms), values)
            step_longer(self.track, longer, whole, longer_ms, self.settings.swing_strength)

    def _begin_arrived(self, arrived: _Arrived) -> None:
        # a first reply is longer than the ring, and gives as many of the longer candles
        newest_ms = self.base.newest_ms[arrived.column]
        for last_ms in np.unique(newest_ms).tolist():
            part = arrived.take(np.flatnonzero(newest_ms == last_ms))
            columns, place = np.unique(part.column, return_inverse=True)
            age = (last_ms - part.open_ms) // self.base.interval_ms
            values = np.full((COLUMNS, int(age.max()) + 1, len(columns)), np.nan)
            values[:, -1 - age, place] = part.values
            longer_ms, longer = self._put_longer(columns, values, last_ms)
            self._begin(columns, longer, last_ms, longer_ms[-1:])

    def _begin_stored(self, columns: IntArray) -> None:
        newest_ms = self.base.newest_ms[columns]
        for last_ms in np.unique(newest_ms[newest_ms > 0]).tolist():
            some = columns[newest_ms == last_ms]
            self._put_longer(some, self.base.window(some, WINDOW_ROWS), last_ms)
            self._begin(some, self.longer.window(some, LONGER_WINDOW_ROWS), last_ms, self.longer.newest_ms[some])

    def _begin(self, columns: IntArray, longer: FloatArray, last_ms: int, longer_last_ms: IntArray) -> None:
        candles = self.base.window(columns, WINDOW_ROWS, READ)
        begin(self.track, columns, candles, longer[READ], last_ms, longer_last_ms, self.settings)

    def _put_longer(self, columns: IntArray, values: FloatArray, last_ms: int) -> tuple[IntArray, FloatArray]:
        longer_ms, longer = self._aggregated(last_ms, values)
        row, which = np.nonzero(~np.isnan(longer[3]))
        self.longer.put(columns[which], longer_ms[row], longer[:, row, which])
        return longer_ms, longer

    def _aggregated(self, last_ms: int, values: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return the longer candles, (k,) and (5, k, m), NaN where a part is missing."""
        interval_ms, longer_ms = self.base.interval_ms, self.longer.interval_ms
        parts, rows = longer_ms // interval_ms, values.shape[1]
        end = rows - (last_ms + interval_ms) % longer_ms // interval_ms
        count = max(end, 0) // parts
        whole = values[:, end - count * parts : end].reshape(COLUMNS, count, parts, values.shape[2])
        last_longer_ms = (last_ms + interval_ms) // longer_ms * longer_ms - longer_ms
        return last_longer_ms - longer_ms * np.arange(count - 1, -1, -1), _joined(whole)


def _joined(parts: FloatArray) -> FloatArray:
    """Return one candle of each (k, parts), (5, k, m): NaN where a part is."""
    first, last = parts[0, :, 0], parts[3, :, -1]
    joined = np.array([first, parts[1].max(axis=1), parts[2].min(axis=1), last, parts[4].sum(axis=1)])
    joined[:, np.isnan(parts[3]).any(axis=1)] = np.nan
    return joined


def _take(mine: FloatArray | IntArray, taken: FloatArray | IntArray) -> None:
    if taken.shape != mine.shape:
        raise ValueError("the candles were not those that the settings need")
    mine[...] = taken
