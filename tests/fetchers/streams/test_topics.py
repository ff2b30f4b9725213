"""What is asked for, in which pace, and what is believed of the answers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetchers.streams.build import WIRES
from fetchers.streams.bybit import NAMED
from fetchers.streams.topics import ANSWER_MS, MOST_TRIES, QUIET_MS, REFUSED_MS, Stage, Topics
from fetchers.streams.wire import Answer

BINANCE, BYBIT, MEXC = WIRES["binance"], WIRES["bybit"], WIRES["mexc"]
NAMES = tuple(f"C{i}USDT" for i in range(12))


def subscribed(wire: Any = BYBIT, symbols: Sequence[str] = ("A", "B"), now_ms: int = 0) -> Topics:
    """Return topics that were asked for and accepted."""
    topics = Topics(wire)
    topics.add(symbols)
    number = 0
    while topics.next_message(now_ms) is not None:
        number += 1
        topics.answered(Answer(request=number), now_ms)
        now_ms += wire.message_apart_ms
    return topics


def test_a_message_holds_what_the_venue_takes() -> None:
    """Binance and Bybit take a hundred topics, MEXC one; between two messages is the venue's pace."""
    for wire, messages in ((BINANCE, 2), (BYBIT, 2), (MEXC, 150)):
        topics = Topics(wire)
        topics.add([f"C{i}USDT" for i in range(150)])
        sent, now_ms = 0, 0
        while topics.count(Stage.WAITING):
            sent += topics.next_message(now_ms) is not None
            assert topics.next_message(now_ms + wire.message_apart_ms - 1) is None
            now_ms += wire.message_apart_ms
        assert sent == messages
        assert topics.next_message(now_ms) is None


def test_an_answer_alone_covers_nothing() -> None:
    """Binance accepts what it never sends; once anything is heard here, what was accepted is believed for a while."""
    topics = subscribed()
    assert topics.count(Stage.ACCEPTED) == 2
    assert topics.covered(0) == set()
    topics.heard(["A"], 100)
    assert topics.covered(QUIET_MS - 1) == {"A", "B"}
    assert topics.covered(QUIET_MS) == {"A"}
    topics.heard(["B"], QUIET_MS)
    assert topics.covered(2 * QUIET_MS) == {"A", "B"}


def test_a_frame_counts_before_its_answer() -> None:
    """And an answer that comes later does not set it back."""
    topics = Topics(BYBIT)
    topics.add(["A", "B"])
    topics.next_message(0)
    topics.heard(["A"], 5)
    topics.answered(Answer(request=1), 6)
    assert (topics.count(Stage.HEARD), topics.count(Stage.ACCEPTED)) == (1, 1)


def test_a_refusal_that_names_a_topic_costs_only_that_one() -> None:
    """The others of the message go again, without it; it is tried again after a growing while."""
    topics = Topics(BYBIT)
    topics.add(["A", "NOPE", "B"])
    topics.next_message(0)
    topics.answered(Answer(request=1, error="not found", symbol="NOPE"), 10)
    again = topics.next_message(1000)
    assert again is not None
    assert orjson.loads(again)["args"] == ["publicTrade.A", "publicTrade.B"]
    assert topics.count(Stage.REFUSED) == 1


def test_a_refused_topic_is_asked_for_again_after_a_growing_while() -> None:
    """It may be listed by then."""
    topics, now_ms = Topics(BYBIT), 0
    topics.add(["NOPE"])
    for number, wait_ms in enumerate((REFUSED_MS, 2 * REFUSED_MS, 4 * REFUSED_MS), start=1):
        assert topics.next_message(now_ms) is not None
        topics.answered(Answer(request=number, error="not found", symbol="NOPE"), now_ms)
        assert topics.next_message(now_ms + wait_ms - 1) is None
        now_ms += wait_ms


def test_a_topic_that_is_subscribed_already() -> None:
    """It fails the message of all; it is there, the others are not."""
    topics = Topics(BYBIT)
    topics.add(["A", "B"])
    topics.next_message(0)
    topics.answered(Answer(request=1, error="already subscribed", symbol="A", is_repeated=True), 10)
    assert topics.count(Stage.ACCEPTED) == 1
    again = topics.next_message(1000)
    assert again is not None
    assert orjson.loads(again)["args"] == ["publicTrade.B"]


def test_a_refusal_without_a_name_is_halved() -> None:
    """Until the one is found that is at fault."""
    topics = Topics(BINANCE)
    topics.add(NAMES)
    bad, now_ms, messages = "C7USDT", 0, 0
    while (message := topics.next_message(now_ms)) is not None:
        messages += 1
        asked = orjson.loads(message)["params"]
        topics.answered(Answer(request=messages, error="Invalid" if f"{bad.lower()}@aggTrade" in asked else ""), now_ms)
        now_ms += 400
    assert topics.count(Stage.ACCEPTED) == len(NAMES) - 1
    assert messages <= 12


def test_no_answer() -> None:
    """What is not answered is asked for again."""
    topics = Topics(BYBIT)
    topics.add(["A"])
    assert topics.next_message(0) is not None
    assert topics.next_message(ANSWER_MS - 1) is None
    assert topics.next_message(ANSWER_MS) is not None


def test_answers_without_a_name_come_in_order() -> None:
    """Those of MEXC; a refusal names its contract."""
    topics = Topics(MEXC)
    topics.add(["A", "NOPE", "B"])
    for i in range(3):
        topics.next_message(100 * i)
    topics.answered(Answer(error="not exists", symbol="NOPE"), 400)
    topics.answered(Answer(), 400)
    topics.answered(Answer(), 400)
    assert (topics.count(Stage.ACCEPTED), topics.count(Stage.REFUSED)) == (2, 1)
    topics.answered(Answer(), 400)  # to nothing of ours


def test_a_silent_symbol_is_left_and_asked_for_again() -> None:
    """Alone, and not for ever: then it is refused for a while."""
    topics = subscribed()
    topics.heard(["A", "B"], 10)
    now_ms, number = 1000, 1
    for _ in range(MOST_TRIES):
        topics.ask_again("A", now_ms)
        assert topics.covered(now_ms) == {"B"}
        operations = []
        while (message := topics.next_message(now_ms)) is not None:
            operations.append((orjson.loads(message)["op"], orjson.loads(message)["args"]))
            number += 1
            topics.answered(Answer(request=number), now_ms)
            now_ms += 1000
        assert operations == [("unsubscribe", ["publicTrade.A"]), ("subscribe", ["publicTrade.A"])]
    topics.ask_again("A", now_ms)
    assert topics.count(Stage.REFUSED) == 1
    assert topics.resyncs == MOST_TRIES + 1


def test_symbols_that_leave() -> None:
    """They are unsubscribed if they were asked for, and forgotten."""
    topics = subscribed()
    topics.heard(["A", "B"], 10)
    topics.add(["NEW"])
    topics.remove(["A", "NEW", "NEVER"])
    message = topics.next_message(1000)
    assert message is not None
    assert orjson.loads(message) == {"req_id": "2", "op": "unsubscribe", "args": ["publicTrade.A"]}
    assert topics.covered(1000) == {"B"}
    topics.heard(["A"], 1001)  # its last words
    assert topics.covered(1001) == {"B"}


def test_a_new_connection_begins_anew() -> None:
    """But what was refused stays so."""
    topics = Topics(BYBIT)
    topics.add(["A", "NOPE"])
    topics.next_message(0)
    topics.answered(Answer(request=1, error="not found", symbol="NOPE"), 10)
    topics.next_message(1000)
    topics.heard(["A"], 1001)
    topics.restart()
    assert topics.covered(1002) == set()
    message = topics.next_message(1003)
    assert message is not None
    assert orjson.loads(message)["args"] == ["publicTrade.A"]


def test_room() -> None:
    """By topics, and on Bybit by characters."""
    topics = Topics(BINANCE)
    assert topics.room() == 200
    topics.add(["A"])
    assert topics.room() == 199
    assert Topics(replace(BYBIT, characters_a_connection=640)).room() == 10


class _Bybit:
    """The venue's side: all topics of a message or none, and none twice."""

    def __init__(self, unknown: set[str]) -> None:
        self.unknown, self.held = unknown, set[str]()

    def answer(self, message: bytes) -> Answer:
        asked = orjson.loads(message)
        number, topics = int(asked["req_id"]), [one.removeprefix("publicTrade.") for one in asked["args"]]
        assert len(set(topics)) == len(topics) > 0
        if asked["op"] == "unsubscribe":
            self.held -= set(topics)
            return Answer(request=number)
        for topic in topics:
            assert topic not in self.held, "asked for twice"
            if topic in self.unknown:
                return Answer(request=number, error="error:handler not found", symbol=topic)
        self.held |= set(topics)
        return Answer(request=number)


@given(st.lists(st.sets(st.sampled_from(NAMES)), min_size=1, max_size=6), st.sets(st.sampled_from(NAMES), max_size=4))
def test_what_the_venue_holds_becomes_what_is_wanted(wanted: list[set[str]], unknown: set[str]) -> None:
    """However the universe changes, no topic is asked for twice, and unknown ones keep none of the others out."""
    topics, venue, now_ms = Topics(replace(BYBIT, topics_a_message=5)), _Bybit(unknown), 0
    for symbols in wanted:
        topics.remove([symbol for symbol in topics.symbols if symbol not in symbols])
        topics.add(sorted(symbols))
        for _ in range(3 * len(NAMES)):
            now_ms += 250
            message = topics.next_message(now_ms)
            if message is not None:
                topics.answered(venue.answer(message), now_ms)
        assert venue.held == symbols - unknown
        assert topics.is_complete()


@pytest.mark.parametrize("words", ["error:handler not found,topic:publicTrade.A", "topic: publicTrade.A "])
def test_a_refused_topic_is_named(words: str) -> None:
    """As Bybit writes it."""
    found = NAMED.search(words)
    assert found is not None
    assert found[1] == "A"
