"""Controls, from what was drawn to how it ended."""

from scoring.controls import as_signal
from scoring.exits import start
from scoring.records import Closed, Kind
from scoring.signals import Arm
from storage.store import Store
from tests.storage.builders import DECIDED_MS, make_control, make_limits, make_outcome, make_signal


async def test_from_the_draw_to_the_end(store: Store) -> None:
    """Controls come with their alert's signal, open until they have an outcome, those drawn for later not begun."""
    signal = make_signal(1, features={})
    other = make_control(1)
    later = make_control(1, Arm.OTHER_TIME, levels=None, decided_ms=DECIDED_MS + 9_000)
    await store.remember([signal], make_limits(next_id=2), [], controls=[other, later])
    begun = start(as_signal(other, signal))
    assert await store.controls.open() == ((other, signal, begun), (later, signal, None))
    at_last = make_control(1, Arm.OTHER_TIME, decided_ms=DECIDED_MS + 9_500)
    await store.record_controls([at_last], [begun], [make_outcome(other.id)])
    assert await store.controls.open() == ((at_last, signal, start(as_signal(at_last, signal))),)
    assert await store.controls.of_signal(1) == [(other, make_outcome(other.id)), (at_last, None)]
    assert await store.controls.of_signal(2) == []


async def test_what_the_statistics_take(store: Store) -> None:
    """An ended control counts as its alert's signal with an outcome of its own."""
    signal = make_signal(1, features={})
    control = make_control(1)
    await store.remember([signal], make_limits(next_id=2), [], controls=[control])
    assert await store.controls.closed() == []
    outcome = make_outcome(control.id)
    await store.record_controls([], [], [outcome])
    ((of_signal, ended),) = await store.controls.closed()
    assert (of_signal, ended.exit_ms, ended.signal_id) == (signal, outcome.exit_ms, signal.id)
    assert await store.controls.closed(outcome.exit_ms + 1) == []
    reached = [] if outcome.reachable is None else [(control.signal_id, control.arm, outcome.reachable.r)]
    assert await store.controls.results() == reached
    assert outcome.reachable is not None
    figures = (signal.score, signal.decided_ms, True, outcome.reachable.net_percent, outcome.reachable.r, True)
    kind = Kind(signal.strategy, signal.side, signal.version)
    assert [closed async for closed in store.controls.closed_figures()] == [Closed(kind, *figures)]
