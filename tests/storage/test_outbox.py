"""The order and the states of messages on their way to a chat."""

import pytest

from scoring.exits import start
from storage.errors import StorageError
from storage.messages import DeliveryState, FollowUp, Kind, OutboxMessage
from storage.store import Store
from tests.builders import NOW_MS
from tests.storage.builders import (
    entry_message,
    exit_message,
    make_limits,
    make_message,
    make_outcome,
    make_signal,
)
from tests.storage.conftest import Query


@pytest.fixture
async def store(store: Store) -> Store:
    """Return a database with three signals and no messages yet."""
    await store.remember([make_signal(number) for number in (1, 2, 3)], make_limits(next_id=4), [])
    return store


def texts(messages: list[OutboxMessage]) -> list[str]:
    """Return what the messages say."""
    return [message.message.html for message in messages]


async def deliver(store: Store, outbox_id: int, message_id: int = 555) -> None:
    """Send a message as it goes when all is well."""
    await store.outbox.mark_sending(outbox_id)
    await store.outbox.mark_sent(outbox_id, message_id, 1)


async def test_exits_before_entries_before_notices(store: Store) -> None:
    """In each chat exits go before entries and entries before notices, the oldest of a kind first."""
    await store.outbox.enqueue([entry_message(1)])
    await deliver(store, 1)
    for chat_id in ("100", "-200"):
        await store.outbox.enqueue([make_message(chat_id=chat_id, html="notice"), entry_message(2, chat_id)])
        await store.outbox.enqueue([entry_message(3, chat_id), exit_message(1, chat_id)])
    due = await store.outbox.due(0)
    for chat_id in ("100", "-200"):
        of_chat = [message for message in due if message.message.chat_id == chat_id]
        assert texts(of_chat) == ["EXIT 1", "SHORT 2", "SHORT 3", "notice"]


async def test_the_limit_is_per_chat(store: Store) -> None:
    """A chat with a long queue takes no other chat's place."""
    await store.outbox.enqueue([make_message(html=f"old {number}") for number in range(20)])
    await store.outbox.enqueue([make_message(chat_id="7", html="new")])
    assert texts(await store.outbox.due(0, limit=2)) == ["old 0", "old 1", "new"]


async def test_back_off_holds_its_chat_only(store: Store) -> None:
    """While a message backs off, its chat is silent, exits included, and the others go on."""
    await store.outbox.enqueue([entry_message(1), entry_message(2), entry_message(2, "7")])
    await store.outbox.mark_sending(1)
    await store.outbox.mark_retry(1, not_before_ms=5000, error="429: retry after 5")
    await store.outbox.enqueue([exit_message(3)])
    assert [message.message.chat_id for message in await store.outbox.due(4999)] == ["7"]
    due = await store.outbox.due(5000)
    assert texts(due) == ["EXIT 3", "SHORT 1", "SHORT 2", "SHORT 2"]
    assert (due[1].attempts, due[1].error, due[1].may_repeat) == (1, "429: retry after 5", False)


async def test_a_reply_waits_for_its_alert(store: Store) -> None:
    """An exit goes after the alert of its signal in that chat, and replies to it."""
    await store.outbox.enqueue([entry_message(1), exit_message(1), exit_message(1, "7")])
    assert texts(await store.outbox.due(0)) == ["EXIT 1", "SHORT 1"], "chat 7 never had the alert"
    await store.outbox.mark_sending(1)
    assert [message.message.chat_id for message in await store.outbox.due(0)] == ["7"]
    await store.outbox.mark_sent(1, 555, sent_ms=1)
    replies = {message.message.chat_id: message.reply_to_message_id for message in await store.outbox.due(0)}
    assert replies == {"100": 555, "7": None}


async def test_an_alert_without_a_known_id_holds_no_reply(store: Store) -> None:
    """The exit of an alert that is uncertain, expired or failed goes out on its own."""
    await store.outbox.enqueue([message(number) for number in (1, 2, 3) for message in (entry_message, exit_message)])
    await store.outbox.mark_uncertain(1, "the reply was lost")
    await store.outbox.mark_expired(3)
    await store.outbox.mark_failed(5, "400")
    due = await store.outbox.due(0)
    assert [(message.message.html, message.reply_to_message_id) for message in due] == [
        ("EXIT 1", None),
        ("EXIT 2", None),
        ("EXIT 3", None),
    ]


async def test_uncertain_is_resent_once(store: Store) -> None:
    """A message whose reply was lost may be queued again once, and then carries the warning."""
    await store.outbox.enqueue([entry_message(1)])
    await store.outbox.mark_sending(1)
    await store.outbox.mark_uncertain(1, "the reply was lost")
    assert await store.outbox.due(0) == []
    assert texts(await store.outbox.uncertain()) == ["SHORT 1"]
    await store.outbox.mark_retry(1, not_before_ms=0, error="the reply was lost")
    (again,) = await store.outbox.due(0)
    assert again.may_repeat
    await store.outbox.mark_sending(1)
    await store.outbox.mark_uncertain(1, "the reply was lost again")
    assert await store.outbox.uncertain() == []
    assert (await store.outbox.counts())[DeliveryState.UNCERTAIN] == 1


async def test_what_is_stored_with_a_request(store: Store, query: Query) -> None:
    """The state that a message uses up is stored with the mark that it leaves, or neither is."""
    await store.outbox.enqueue([entry_message(1)])
    query("CREATE TRIGGER broken BEFORE INSERT ON state BEGIN SELECT RAISE(ABORT, 'injected'); END")
    with pytest.raises(StorageError, match="injected"):
        await store.outbox.mark_sending(1, {"sends": [["100", 7]]})
    assert texts(await store.outbox.due(0)) == ["SHORT 1"]
    query("DROP TRIGGER broken")
    await store.outbox.mark_sending(1, {"sends": [["100", 7]]})
    assert await store.outbox.due(0) == []
    assert await store.state.get("sends") == [["100", 7]]


async def test_sending_an_uncertain_message_at_once(store: Store) -> None:
    """An uncertain message sent again without queueing counts as its one repetition as well."""
    await store.outbox.enqueue([entry_message(1)])
    await store.outbox.mark_sending(1)
    await store.outbox.mark_uncertain(1, "the reply was lost")
    await store.outbox.mark_sending(1)
    await store.outbox.mark_uncertain(1, "the reply was lost")
    assert await store.outbox.uncertain() == []


async def test_expired_messages_are_told_once(store: Store) -> None:
    """What expired is counted by chat until a message that tells of it has arrived."""
    await store.outbox.enqueue([entry_message(1), entry_message(2), entry_message(2, "7"), make_message()])
    for outbox_id in (1, 2, 3):
        await store.outbox.mark_expired(outbox_id)
    await deliver(store, 4)
    await store.outbox.enqueue([make_message(), make_message(chat_id="7")])
    assert await untold(store) == {"100": 2, "7": 1}, "the message that has gone did not tell"
    await store.outbox.mark_sending(5)
    await store.outbox.mark_sent(5, 556, 1, told=[1, 2])
    await store.outbox.enqueue([make_message()])
    assert await untold(store) == {"100": 0, "7": 1}


async def untold(store: Store) -> dict[str, int]:
    """Return what the next message of each chat has to tell."""
    return {due.message.chat_id: due.lost.expired for due in await store.outbox.due(0, limit=1)}


async def test_a_change_that_has_to_wait_holds_up_nothing_new(store: Store) -> None:
    """A flood wait of an edit holds the other edits of its chat, and no message."""
    await store.outbox.enqueue([entry_message(1), entry_message(2)])
    await deliver(store, 1)
    await deliver(store, 2)
    await store.outbox.enqueue([FollowUp(signal_id=1, html="one"), FollowUp(signal_id=2, html="one")])
    await store.outbox.mark_retry(1, 5_000, "429")
    assert await store.outbox.due(0) == []
    await store.outbox.enqueue([entry_message(3)])
    assert texts(await store.outbox.due(0)) == ["SHORT 3"]
    await store.outbox.mark_retry(3, 9_000, "429")
    assert await store.outbox.due(6_000) == [], "what is new holds up the changes"


async def test_what_waited_too_long(store: Store) -> None:
    """Alerts expire before the rest; a change that old is left, and a chat that is being served is let alone."""
    await store.outbox.enqueue([entry_message(1), entry_message(2), exit_message(1), entry_message(2, "7")])
    await deliver(store, 1)
    await store.outbox.enqueue([FollowUp(signal_id=1, html="one")])
    assert await store.outbox.expire(NOW_MS + 1, NOW_MS, ["7"]) == ["100"]
    assert texts(await store.outbox.due(0)) == ["EXIT 1", "SHORT 2", "SHORT 1"]
    assert sorted(await store.outbox.expire(NOW_MS + 1, NOW_MS + 1, [])) == ["100", "7"]
    counts = await store.outbox.counts()
    assert (counts[DeliveryState.SENT], counts[DeliveryState.EXPIRED]) == (1, 3)


async def test_a_notice_that_is_over(store: Store) -> None:
    """What was not sent yet under a key can be withdrawn, in every chat; what stands in one stays."""
    await store.outbox.enqueue([make_message(edit_key="blind"), make_message(chat_id="7", edit_key="blind")])
    assert await store.outbox.withdraw("blind")
    assert not await store.outbox.withdraw("blind")
    assert await store.outbox.due(0) == []
    assert await untold(store) == {}


async def test_an_alert_is_queued_once_per_chat(store: Store) -> None:
    """The database itself refuses to alert a signal twice in one chat."""
    await store.outbox.enqueue([entry_message(1), make_message(kind=Kind.NOTICE, signal_id=1)])
    with pytest.raises(Exception, match="UNIQUE"):
        await store.outbox.enqueue([entry_message(1)])


async def test_counts_name_every_state(store: Store) -> None:
    """States without a message count zero."""
    await store.outbox.enqueue([make_message()])
    assert await store.outbox.counts() == dict.fromkeys(DeliveryState, 0) | {DeliveryState.PENDING: 1}


async def test_a_follow_up_changes_the_alert_in_every_chat(store: Store) -> None:
    """A line more makes the alerts that stand due again, to be edited, but in a chat that is ours no more."""
    await store.outbox.enqueue([entry_message(1), entry_message(1, "-200"), entry_message(1, "7"), entry_message(2)])
    for outbox_id in (1, 2, 3, 4):
        await deliver(store, outbox_id)
    await store.chats.keep_only(["100", "-200"])
    await store.save_open([start(make_signal(1))], [FollowUp(signal_id=1, html="one")])
    await store.record_outcome(make_outcome(1), make_limits(next_id=4), [FollowUp(signal_id=1, html="two")])
    due = await store.outbox.due(0)
    assert [(message.message.chat_id, message.message_id, message.follow_up) for message in due] == [
        ("100", 555, "\none\ntwo"),
        ("-200", 555, "\none\ntwo"),
    ]


async def test_a_change_while_it_is_being_sent(store: Store) -> None:
    """What is sent is kept as it was sent, and is due again where a line has been added meanwhile."""
    await store.outbox.enqueue([entry_message(1)])
    (message,) = await store.outbox.due(0)
    await store.outbox.mark_sending(1)
    await store.outbox.enqueue([FollowUp(signal_id=1, html="one")])
    await store.outbox.mark_sent(1, 555, 1, revision=message.revision, html="LATE SHORT 1")
    (again,) = await store.outbox.due(0)
    assert (again.message.html, again.follow_up, again.message_id) == ("LATE SHORT 1", "\none", 555)
    await store.outbox.mark_sending(1)
    await store.chats.keep_only([])
    assert (await store.outbox.counts())[DeliveryState.SENT] == 1, "the alert itself had been sent"
