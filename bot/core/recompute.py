"""A signal decided again from its stored input, and whether that gives the same bits."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from loguru import logger

from bot.version import code_hash
from scoring.capture import Capture, Recomputed, recompute
from scoring.signals import Outcome, Signal, Verdict
from scoring.strategies import STRATEGIES
from storage.codec import to_plain
from storage.store import StoreReader


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """A signal, what it was decided on, and what this code makes of that."""

    signal: Signal
    outcome: Outcome | None
    captured: Capture | None  #: None where it was not kept, or not as this code keeps it
    recomputed: Recomputed | None
    code_hash: str  #: of this code
    differences: tuple[str, ...]  #: names of what comes out otherwise

    @property
    def is_same(self) -> bool:
        """Whether the same signal comes out, to the bit."""
        return self.recomputed is not None and not self.differences


async def explain_signal(history: StoreReader, signal_id: int) -> Why | None:
    """Decide a signal again; None where there is no such signal.

    Raises
    ------
    StorageError
        The database cannot be read.
    """
    found = await history.signals.get(signal_id)
    if found is None:
        return None
    try:
        captured = await history.signals.capture(signal_id)
        strategy = STRATEGIES.get(found[0].strategy)  # None: another version's code, or somebody's own, found it
        recomputed = recompute(captured, strategy) if captured is not None and strategy is not None else None
    except ValueError as error:
        logger.warning("signal {} cannot be decided again: {}", signal_id, error)
        captured = recomputed = None
    return Why(
        signal=found[0],
        outcome=found[1],
        captured=captured,
        recomputed=recomputed,
        code_hash=code_hash(),
        differences=tuple(_differences(found[0], recomputed)) if recomputed is not None else (),
    )


def _differences(signal: Signal, recomputed: Recomputed) -> Iterator[str]:
    if recomputed.signal is None:
        yield "signal"
        return
    before, after = to_plain(signal), to_plain(recomputed.signal)
    for name, value in before.items():
        if isinstance(value, dict):
            yield from (f"{name}.{key}" for key in value | after[name] if value.get(key) != after[name].get(key))
        elif value != after[name]:
            yield name
    if not recomputed.books_agree:
        yield "books"


def nearest_gates(verdicts: Sequence[Verdict], count: int = 3) -> list[Verdict]:
    """Return the gates that were passed by the least, in parts of their limits: what had to differ least to refuse."""

    def room(verdict: Verdict) -> float:
        return abs(verdict.value - verdict.limit) / (abs(verdict.limit) or 1.0)

    measured = [one for one in verdicts if one.passed and isfinite(one.value) and isfinite(one.limit)]
    return sorted((one for one in measured if room(one) > 0), key=room)[:count]


def repetition(why: Why) -> str:
    """Return in one line what comes of deciding it again."""
    if why.recomputed is None:
        return "its input was not kept, or by other code: it cannot be decided again"
    made = f"differs in {', '.join(why.differences)}" if why.differences else "the same to the bit"
    return f"decided again from its input: {made}"
