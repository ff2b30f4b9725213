"""The tape as the bot records it: what each tick took in, and what it held when a file began."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from hashlib import blake2b

import numpy as np
from loguru import logger

from bot.config.settings import DECISIVE, Config
from bot.core.events import Event, LookEnded, TickEnded
from bot.core.orchestrator import Orchestrator
from bot.core.tick import Tick
from bot.version import VERSION
from features.frame import FeatureFrame
from features.state.snapshot import Snapshot, take_snapshot
from fetchers.tape.folder import NewFile, TapeFolder
from fetchers.tape.recording import RecordingFeed, conditions, watched
from fetchers.tape.records import Gap, Header, TapeTick
from fetchers.universe import Universe
from scoring.decide import Decision
from scoring.signals import Limits, OpenSignal
from storage.blobs import to_blob
from storage.codec import to_json

FILE_MS = 3_600_000  #: a file is an hour long
RETRY_MS = 60_000  #: after a gap, until a new file begins: a checkpoint takes some 0.1 s


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """All that a bot held between two ticks, as far as decisions and outcomes depend on it."""

    started_ms: int  #: the bot's start
    limits: Limits
    open_signals: tuple[OpenSignal, ...]
    windows: Snapshot | None  #: None: the market has not begun


def hold(bot: Orchestrator) -> Held:
    """Return what a bot holds now: copies, which may be packed elsewhere."""
    state = bot.market.state
    return Held(
        started_ms=bot.activity.started_ms,
        limits=bot.ledger.limits,
        open_signals=tuple(bot.ledger.open_signals.values()),
        windows=take_snapshot(state) if state.ticks else None,
    )


class Taping:
    """Records; `note` is a subscriber of the events."""

    def __init__(
        self, config: Config, feed: RecordingFeed, folder: TapeFolder, *, hold: Callable[[], Held], now_ms: int
    ) -> None:
        self._config = config
        self._feed = feed
        self._folder = folder
        self._hold = hold
        self._session = uuid.uuid4().hex
        self._parts = 0
        self._began_ms = self._retry_ms = now_ms
        self._watched: Universe | None = None
        self._conditions: Mapping[str, str] = {}
        self._digests: list[str] = []
        self._missing = 0  # ticks since the last record
        self._trouble = ""

    @property
    def waiting(self) -> int:
        """How many records wait for the disk."""
        return self._folder.waiting

    def begin(self, now_ms: int) -> None:
        """Begin the first file, with what was restored; before the first tick."""
        self._began_ms = now_ms
        self._begin_file(now_ms)

    def close(self) -> None:
        """Write what waits; this takes as long as the disk does."""
        self._log_digest()
        self._folder.close()

    def notes(self) -> tuple[str, ...]:
        """Return what /status says of it."""
        size = f"tape: {self._folder.bytes / 1e9:.2f} of {self._config.tape.max_gb:g} GB in {self._folder.path}"
        lacking = f"{self._missing} ticks could not be written" if self._missing else ""
        return ("; ".join(filter(None, (size, self._folder.trouble, lacking))),)

    def note(self, event: Event) -> None:
        """Record a tick or a look that has ended."""
        match event:
            case TickEnded(tick) | LookEnded(tick):
                self._note_tick(tick)

    def _note_tick(self, tick: Tick) -> None:
        taken = self._feed.take()
        self._missing += self._feed.unfinished
        self._feed.unfinished = 0
        self._warn()
        if self._missing or self._folder.trouble or taken is None:
            self._missing += 1
            if tick.ended_ms >= self._retry_ms:
                self._retry_ms = tick.ended_ms + RETRY_MS
                self._begin_file(tick.ended_ms)
            return
        found = conditions(taken.reports or {})
        digest = tick_digest(tick.features, tick.decision)
        record = TapeTick(
            started_ms=tick.started_ms,
            seen_ms=tick.features.now_ms,
            decided_ms=tick.decided_ms,
            ended_ms=tick.ended_ms,
            clock_step_ms=tick.clock_step_ms,
            is_look=tick.is_look,
            heard=taken.heard,
            watched=watched(taken.universe) if taken.universe is not self._watched else None,
            quotes=taken.quotes,
            portions=taken.portions,
            candles=taken.candles,
            conditions=found if found != self._conditions else None,
            limits=tick.commands,
            digest=digest,
        )
        if not self._folder.put(record):
            self._missing += 1
            return
        self._watched, self._conditions = taken.universe, found
        self._digests.append(digest)
        if not 0 <= tick.ended_ms - self._began_ms < FILE_MS:
            self._log_digest()
            self._begin_file(tick.ended_ms)

    def _begin_file(self, now_ms: int) -> None:
        config, held = self._config, self._hold()
        gap = Gap(ticks=self._missing, reason=self._folder.trouble or "a tick failed, or the disk was too slow")
        header = Header(
            started_ms=now_ms,
            session=self._session,
            part=self._parts,
            settings={name: text for name, text in config.texts.items() if name in DECISIVE},
            config_hash=config.scoring.config_hash,
            code_hash=config.scoring.code_hash,
            software=f"SGNL {VERSION}",
        )
        new = NewFile(header=header, gap=gap if self._missing else None, at_ms=now_ms, pack=partial(to_blob, held))
        if self._folder.put(new):
            self._parts += 1
            self._began_ms = now_ms
            self._missing = 0
            self._watched, self._conditions = None, {}

    def _warn(self) -> None:
        trouble = self._folder.trouble
        if trouble and trouble != self._trouble:
            logger.warning("{}", trouble)
        self._trouble = trouble

    def _log_digest(self) -> None:
        if self._digests:
            logger.info(
                "tape: {} ticks, digest of all their decisions {}", len(self._digests), digest_of(self._digests)
            )
        self._digests = []


def tick_digest(features: FeatureFrame, decision: Decision) -> str:
    """Return a digest of every feature of every instrument, and of what was decided on them.

    By which code and settings stays out, so that other code can be held against a tape.
    """
    digest = blake2b(digest_size=8)
    for name in _FEATURES:
        value = getattr(features, name)
        for array in value.values() if isinstance(value, dict) else (value,):
            is_array = isinstance(array, np.ndarray)
            digest.update(np.ascontiguousarray(array).data if is_array else repr(array).encode())
    signals = [replace(one, code_hash="", config_hash="", version="") for one in decision.signals]
    near = [(one.strategy, one.venue, one.instrument_id, one.score, one.failed) for one in decision.near_misses]
    digest.update(to_json([signals, decision.controls, near, decision.limits]).encode())
    return digest.hexdigest()


def digest_of(digests: list[str]) -> str:
    """Return one digest of those of many ticks, in their order."""
    return blake2b("".join(digests).encode(), digest_size=16).hexdigest()


_FEATURES = tuple(one.name for one in fields(FeatureFrame) if one.name != "instruments")
