"""Tapes played again: the same orchestrator and the same `decide()`, on a feed and a clock that come from files.

The database is a temporary one, so nothing live is touched, and no message leaves.
"""

import io
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import partial
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Self

from bot.chat.delivery.sender import TerminalSender
from bot.config.load import ConfigError, load_config
from bot.config.settings import REPLAYABLE, SETTINGS, Config
from bot.core.arrived import Arrived
from bot.core.events import Event, LookEnded, TickEnded
from bot.core.moments import Moments
from bot.core.taping import Held, digest_of, tick_digest
from bot.core.tick import Tick
from bot.version import code_hash
from bot.wiring import Bot
from features.state.snapshot import restore
from fetchers.tape.files import read_tape
from fetchers.tape.player import TapePlayer
from fetchers.tape.records import Checkpoint, Gap, Header, TapeError, TapeTick
from scoring.signals import Arm, Limits, Outcome, Signal
from storage.blobs import from_blob
from storage.codec import from_plain, to_plain
from storage.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The result of a replay."""

    headers: Sequence[Header]  #: of the files
    ticks: int
    seconds: float  #: it took
    first_ms: int  #: of the market; 0 where there was no tick
    last_ms: int
    digest: str  #: of all decisions, features included
    recorded_digest: str | None  #: as they are on the tape; None where it is of no live bot
    differs_ms: int | None  #: the first tick whose decision is not the recorded one
    rows: Sequence[tuple[Signal, Outcome | None]]  #: in the order of their decisions
    lines: Sequence[str]  #: what is to be said of the files
    controls: Sequence[tuple[int, Arm, float]] = ()  #: (alert's id, arm, R) of what chance drew
    moments: Sequence[tuple[Signal, Outcome]] = ()  #: moments drawn by chance, whatever the gates said, that have ended
    config_hash: str = ""  #: of the settings that were decided with

    @property
    def ticks_per_second(self) -> float:
        """How fast it was."""
        return self.ticks / self.seconds if self.seconds else 0.0

    @property
    def times_real_time(self) -> float:
        """How many seconds of the market a second played."""
        return (self.last_ms - self.first_ms) / 1000 / self.seconds if self.seconds else 0.0


@dataclass(slots=True, kw_only=True)
class _Digests:
    made: list[str] = field(default_factory=list)
    recorded: list[str] = field(default_factory=list)
    differs_ms: int | None = None
    first_ms: int = 0
    last_ms: int = 0

    def note(self, tick: TapeTick, made: str) -> None:
        self.first_ms = self.first_ms or tick.started_ms
        self.last_ms = tick.started_ms
        self.made.append(made)
        self.recorded.append(tick.digest)
        if self.differs_ms is None and tick.digest not in ("", made):
            self.differs_ms = tick.started_ms


class Replay:
    """Plays files in the order of their names; each uninterrupted part of them has a bot of its own.

    Where settings are `changed`, a part goes on from the signals and limits of the one before, not from the recorded.

    Raises
    ------
    ConfigError
        One of them is no setting, or one of what was taken in, which is the tape's.
    """

    def __init__(
        self,
        *,
        changed: Mapping[str, str] | None = None,
        from_ms: int = 0,
        to_ms: float = float("inf"),
        progress: Callable[[int, int], None] = lambda _ticks, _now_ms: None,
        moments_seed: int | None = None,
    ) -> None:
        self._changed = dict(changed or {})
        if wrong := self._changed.keys() - REPLAYABLE:
            raise ConfigError([_not_replayable(name) for name in sorted(wrong)])
        self._from_ms = from_ms
        self._to_ms = to_ms
        self._progress = progress
        self._moments_seed = moments_seed
        self._moments: Moments | None = None
        self._moment_rows: list[tuple[Signal, Outcome]] = []
        self._controls: dict[tuple[int, Arm], float] = {}
        self._config_hash = ""
        self._resources = AsyncExitStack()
        self._headers: list[Header] = []
        self._player = TapePlayer(0)
        self._bot: Bot | None = None
        self._store: Store | None = None
        self._last: Tick | None = None
        self._digests = _Digests()
        self._given: set[int] = set()  # ids of the signals that the store was given
        self._rows: dict[int, tuple[Signal, Outcome | None]] = {}
        self._lines: list[str] = []

    async def __aenter__(self) -> Self:
        self._folder = Path(self._resources.enter_context(tempfile.TemporaryDirectory(prefix="sgnl-replay-")))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    async def play(self, paths: Sequence[Path]) -> Replayed:
        """Play the files and return what came of it.

        Raises
        ------
        TapeError
            A file cannot be read, is no tape, or was recorded by another version that kept its state otherwise.
        ConfigError
            A changed setting cannot be used.
        """
        began_s = time.perf_counter()
        for path in self._needed(sorted(paths, key=lambda path: path.name)):
            await self._play_file(path)
        await self._keep_rows()
        seconds, digests = time.perf_counter() - began_s, self._digests
        if self._player.from_the_future:
            self._lines.append(f"left out: {self._player.from_the_future} observations from the future")
        return Replayed(
            headers=self._headers,
            ticks=len(digests.made),
            seconds=seconds,
            first_ms=digests.first_ms,
            last_ms=digests.last_ms,
            digest=digest_of(digests.made),
            recorded_digest=digest_of(digests.recorded) if digests.made and all(digests.recorded) else None,
            differs_ms=digests.differs_ms,
            rows=[row for _, row in sorted(self._rows.items()) if row[0].decided_ms >= self._from_ms],
            lines=self._lines,
            controls=[(signal_id, arm, r) for (signal_id, arm), r in sorted(self._controls.items())],
            moments=self._moment_rows,
            config_hash=self._config_hash,
        )

    def _needed(self, paths: Sequence[Path]) -> Iterator[Path]:
        """Yield the files from the last one on that begins before what is asked for."""
        started_ms = [next(iter(read_tape(path))).started_ms for path in paths]  # type: ignore[union-attr]
        first = max((place for place, one_ms in enumerate(started_ms) if one_ms <= self._from_ms), default=0)
        yield from (
            path for path, one_ms in zip(paths[first:], started_ms[first:], strict=True) if one_ms < self._to_ms
        )

    async def _play_file(self, path: Path) -> None:
        goes_on = False
        for record in read_tape(path, self._lines.append):
            if isinstance(record, Header):
                before = self._headers[-1] if self._headers else None
                goes_on = before is not None and (before.session, before.part + 1) == (record.session, record.part)
                self._headers.append(record)
                if not goes_on:
                    await self._end_bot()
            elif isinstance(record, Gap):
                self._lines.append(f"{path}: {record.ticks} ticks before it were not recorded: {record.reason}")
                goes_on = False
                await self._end_bot()
            elif isinstance(record, Checkpoint):
                if not goes_on:
                    await self._begin_bot(_held(record, path))
            elif record.started_ms >= self._to_ms:
                return
            else:
                await self._play_tick(record)

    async def _play_tick(self, tick: TapeTick) -> None:
        bot = self._bot or await self._begin_bot(None)
        for changes in tick.limits:
            await bot.orchestrator.ledger.change_limits(partial(_changed, changes))
        self._player.load(tick)
        for portion in await self._player.listen():
            await bot.orchestrator.market.append(portion)
        await (bot.orchestrator.look(()) if tick.is_look else bot.orchestrator.tick())
        assert self._last is not None
        if (self._last.features.now_ms, self._last.decided_ms) != (tick.seen_ms, tick.decided_ms):
            raise RuntimeError("the tick did not read the clock where the tape has its readings")
        if tick.started_ms >= self._from_ms:
            self._digests.note(tick, tick_digest(self._last.features, self._last.decision))
        if self._moments is not None:
            self._moment_rows += await self._moments.follow(self._last, _seen(tick))
        self._progress(len(self._digests.made), tick.started_ms)

    async def _begin_bot(self, held: Held | None) -> Bot:
        header = self._headers[-1]
        self._player = player = _at(held.started_ms if held else header.started_ms, self._player)
        store = self._store
        if store is None or not self._changed:
            path = self._folder / f"{len(self._headers)}.db"
            store = self._store = await self._resources.enter_async_context(await Store.open(path))
            if held is not None:
                self._given = {one.signal.id for one in held.open_signals}
                await store.remember(
                    [one.signal for one in held.open_signals], held.limits, [], still_open=held.open_signals
                )
        config = self._config(header)
        sender = TerminalSender(io.StringIO())
        bot = self._bot = Bot(config, clock=player, feed=player, store=store, sender=sender, subscribers=[self._note])
        self._config_hash = config.scoring.config_hash
        if self._moments_seed is not None:
            self._moments = Moments(
                player,
                config.scoring,
                max_data_age_s=config.features.max_data_age_s,
                started_ms=player.now_ms(),
                seed=self._moments_seed,
            )
        player.load(_moment(header.started_ms))
        await bot.orchestrator.restore()
        if held is not None and held.windows is not None:
            if held.windows.settings == config.features:
                bot.orchestrator.market.state = restore(held.windows)
            else:
                self._lines.append("the windows begin empty: they were recorded with other settings")
        return bot

    async def _end_bot(self) -> None:
        await self._keep_rows()
        self._bot = None

    async def _keep_rows(self) -> None:
        if self._store is None:
            return
        for signal, outcome in await self._store.signals.find(limit=1_000_000):
            if signal.id in self._rows or signal.id not in self._given:
                self._rows[signal.id] = signal, outcome
        for signal_id, arm, r in await self._store.controls.results():
            self._controls[signal_id, arm] = r

    def _config(self, header: Header) -> Config:
        config = load_config({**header.settings, **self._changed})
        scoring = replace(config.scoring, code_hash=code_hash())
        if not self._changed and header.config_hash:
            # it is of all settings, of which a tape has some
            scoring = replace(scoring, config_hash=header.config_hash)
        return replace(config, scoring=scoring)

    def _note(self, event: Event) -> None:
        match event:
            case TickEnded(tick) | LookEnded(tick):
                self._last = tick


def _seen(tick: TapeTick) -> Arrived:
    """Return the books and prints of a tick by instrument, but of those that were not known yet."""
    return Arrived(one for one in chain(*tick.heard, tick.quotes, *tick.portions) if one.received_ms <= tick.seen_ms)


def _not_replayable(name: str) -> str:
    if name in SETTINGS:
        return f"{name}: cannot be another in a replay: what was watched, when and by whom is the tape's"
    near = get_close_matches(name.upper(), REPLAYABLE, n=1)
    return f"{name}: is no setting{f', did you mean {near[0]}?' if near else ''}"


def _held(checkpoint: Checkpoint, path: Path) -> Held:
    try:
        return from_blob(Held, checkpoint.state)
    except ValueError as error:
        raise TapeError(f"{path}: it was recorded by a version that kept its state otherwise: {error}") from error


def _changed(changes: Mapping[str, object], limits: Limits) -> Limits:
    plain = to_plain(limits)
    return from_plain(Limits, {**plain, **changes})


def _moment(now_ms: int) -> TapeTick:
    return TapeTick(started_ms=now_ms, seen_ms=now_ms, decided_ms=now_ms, ended_ms=now_ms)


def _at(now_ms: int, before: TapePlayer) -> TapePlayer:
    """Return a player that has not begun, with the count of the one before."""
    player = TapePlayer(now_ms)
    player.from_the_future = before.from_the_future
    return player
