"""The topics of one connection: what to ask for next, what was answered, and what is really heard. Pure.

A venue may accept what it never sends, so an answer alone proves little:

    WAITING    to be asked for
    ASKED      asked for, not answered
    ACCEPTED   answered well; taken for heard for QUIET_MS, while others of the connection are heard, if it is the
               first time: who was silent before is believed once it is heard
    HEARD      a frame came
    REFUSED    not to be asked for before a time

A refused message is asked for again without the symbol it names, or in halves where it names none.
"""

from collections.abc import Iterable, KeysView, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from features.backoff import backoff
from fetchers.streams.wire import Answer, StreamWire

ANSWER_MS = 10_000  #: a message without an answer for so long is asked again
QUIET_MS = 600_000  #: what is accepted and never heard is not believed for longer
REFUSED_MS, LONGEST_REFUSED_MS = 60_000, 3_600_000
MOST_TRIES = 3  #: of a symbol that is silent though it trades


class Stage(StrEnum):
    """How far a symbol's subscription is."""

    WAITING = "waiting"
    ASKED = "asked"
    ACCEPTED = "accepted"
    HEARD = "heard"
    REFUSED = "refused"


@dataclass(slots=True)
class _Topic:
    stage: Stage = Stage.WAITING
    since_ms: int = 0
    batch: int = 0  #: of how many topics a message with it may be; 0: as many as the venue takes
    tries: int = 0  #: asked again since it was silent
    refusals: int = 0
    until_ms: int = 0  #: REFUSED until then

    def enter(self, stage: Stage, now_ms: int) -> None:
        """Begin a stage now."""
        self.stage, self.since_ms = stage, now_ms


@dataclass(frozen=True, slots=True)
class _Message:
    symbols: tuple[str, ...]
    is_subscription: bool
    sent_ms: int


class Topics:
    """The symbols of one connection."""

    def __init__(self, wire: StreamWire) -> None:
        self._wire = wire
        self._topics: dict[str, _Topic] = {}
        self._leaving: dict[str, None] = {}  # in the order of asking
        self._messages: dict[int, _Message] = {}
        self._number = 0
        self._sent_ms = -wire.message_apart_ms
        self._heard = 0
        self.resyncs = 0  #: symbols asked for again, since they were silent
        self.refused = 0  #: messages that the venue refused

    def __len__(self) -> int:
        return len(self._topics)

    @property
    def symbols(self) -> KeysView[str]:
        """All that are wanted here."""
        return self._topics.keys()

    def room(self) -> int:
        """Return how many more symbols fit."""
        room = self._wire.topics_a_connection - len(self._topics)
        if self._wire.characters_a_connection is not None:
            used = sum(len(self._wire.topic(symbol)) + 1 for symbol in self._topics)
            room = min(room, (self._wire.characters_a_connection - used) // 64)  # longer than any topic
        return max(0, room)

    def add(self, symbols: Iterable[str]) -> None:
        """Want these too."""
        for symbol in symbols:
            self._topics.setdefault(symbol, _Topic())

    def remove(self, symbols: Iterable[str]) -> None:
        """Want these no more."""
        for symbol in symbols:
            topic = self._topics.pop(symbol, None)
            if topic is not None:
                self._heard -= topic.stage is Stage.HEARD
                if topic.stage in (Stage.ASKED, Stage.ACCEPTED, Stage.HEARD):
                    self._leaving[symbol] = None

    def restart(self) -> None:
        """Begin anew on a new connection; what was refused stays so for its time."""
        self._leaving.clear()
        self._messages.clear()
        self._heard = 0
        self._sent_ms = -self._wire.message_apart_ms
        for topic in self._topics.values():
            if topic.stage is not Stage.REFUSED:
                topic.stage, topic.batch = Stage.WAITING, 0

    def next_message(self, now_ms: int) -> bytes | None:
        """Return what to send now, None where nothing is to be said or the pace does not allow it yet."""
        if now_ms - self._sent_ms < self._wire.message_apart_ms:
            return None
        self._give_up_waiting(now_ms)
        most = self._wire.topics_a_message
        if self._leaving:
            symbols = tuple(islice(self._leaving, most))
            for symbol in symbols:
                del self._leaving[symbol]
            return self._send(symbols, now_ms, is_subscription=False)
        batch = None
        chosen: list[str] = []
        for symbol, topic in self._topics.items():
            if topic.stage is not Stage.WAITING:
                continue
            batch = topic.batch if batch is None else batch
            if topic.batch == batch:
                chosen.append(symbol)
                topic.enter(Stage.ASKED, now_ms)
            if len(chosen) >= (batch or most):
                break
        return self._send(tuple(chosen), now_ms, is_subscription=True) if chosen else None

    def take_turn(self, now_ms: int) -> bool:
        """Take the time of a message of another kind; false where the pace does not allow it yet."""
        if now_ms - self._sent_ms < self._wire.message_apart_ms:
            return False
        self._sent_ms = now_ms
        return True

    def _send(self, symbols: Sequence[str], now_ms: int, *, is_subscription: bool) -> bytes:
        self._number += 1
        self._messages[self._number] = _Message(tuple(symbols), is_subscription, now_ms)
        self._sent_ms = now_ms
        write = self._wire.subscribe if is_subscription else self._wire.unsubscribe
        return write([self._wire.topic(symbol) for symbol in symbols], self._number)

    def _give_up_waiting(self, now_ms: int) -> None:
        late = [number for number, one in self._messages.items() if now_ms - one.sent_ms >= ANSWER_MS]
        for number in late:
            for symbol in self._asked(self._messages.pop(number)):
                self._topics[symbol].stage = Stage.WAITING
        for topic in self._topics.values():
            if topic.stage is Stage.REFUSED and now_ms >= topic.until_ms:
                topic.stage = Stage.WAITING

    def _asked(self, message: _Message) -> list[str]:
        """Return the symbols of a subscription that still wait for its answer."""
        return [
            symbol
            for symbol in message.symbols
            if message.is_subscription and symbol in self._topics and self._topics[symbol].stage is Stage.ASKED
        ]

    def answered(self, answer: Answer, now_ms: int) -> None:
        """Take an answer to one of our messages; another one is no answer of ours."""
        number = answer.request
        if self._wire.answers_by_order:
            named = (at for at, one in self._messages.items() if not answer.symbol or answer.symbol in one.symbols)
            number = next(named, None)
        message = self._messages.pop(number, None) if number is not None else None
        if message is None or not message.is_subscription:
            return
        asked = self._asked(message)
        if not answer.error:
            for symbol in asked:
                self._topics[symbol].enter(Stage.ACCEPTED, now_ms)
            return
        self.refused += 1
        if answer.symbol in asked:
            asked.remove(answer.symbol)
            if answer.is_repeated:
                self._topics[answer.symbol].enter(Stage.ACCEPTED, now_ms)
            else:
                self._refuse(answer.symbol, now_ms)
            batch = 0
        elif len(message.symbols) == 1:
            for symbol in asked:
                self._refuse(symbol, now_ms)
            return
        else:
            batch = len(message.symbols) // 2
        for symbol in asked:
            self._topics[symbol].enter(Stage.WAITING, now_ms)
            self._topics[symbol].batch = batch

    def heard(self, symbols: Iterable[str], now_ms: int) -> None:
        """Note that frames of these came; of one that is not wanted, it is asked to end once more."""
        for symbol in symbols:
            topic = self._topics.get(symbol)
            if topic is not None and topic.stage is not Stage.HEARD:
                if topic.stage is Stage.WAITING and topic.tries and symbol in self._leaving:
                    continue  # the old subscription's last words
                self._topics[symbol].enter(Stage.HEARD, now_ms)
                topic.tries = topic.refusals = 0
                self._heard += 1

    def ask_again(self, symbol: str, now_ms: int) -> None:
        """End and renew the subscription of a symbol that trades but is silent; after some tries leave it be."""
        topic = self._topics.get(symbol)
        if topic is None or topic.stage not in (Stage.ACCEPTED, Stage.HEARD):
            return
        self.resyncs += 1
        self._heard -= topic.stage is Stage.HEARD
        topic.tries += 1
        if topic.tries > MOST_TRIES:
            topic.tries = 0
            self._refuse(symbol, now_ms)
        else:
            self._topics[symbol].enter(Stage.WAITING, now_ms)
            topic.batch = 1
        self._leaving[symbol] = None

    def covered(self, now_ms: int) -> set[str]:
        """Return the symbols whose prints surely come."""
        if not self._heard:
            return set()
        return {
            symbol
            for symbol, topic in self._topics.items()
            if topic.stage is Stage.HEARD
            or (topic.stage is Stage.ACCEPTED and not topic.tries and now_ms - topic.since_ms < QUIET_MS)
        }

    def count(self, *stages: Stage) -> int:
        """Return how many symbols are at one of these stages."""
        return sum(topic.stage in stages for topic in self._topics.values())

    def at(self, stage: Stage) -> list[str]:
        """Return the symbols that are at a stage."""
        return [symbol for symbol, topic in self._topics.items() if topic.stage is stage]

    def is_complete(self) -> bool:
        """Return whether nothing is left to be asked for or answered."""
        return not self.count(Stage.WAITING, Stage.ASKED)

    def _refuse(self, symbol: str, now_ms: int) -> None:
        topic = self._topics[symbol]
        wait_ms = backoff(topic.refusals, first=REFUSED_MS, longest=LONGEST_REFUSED_MS)
        topic.refusals += 1
        topic.until_ms = now_ms + round(wait_ms)
        topic.enter(Stage.REFUSED, now_ms)
