"""Chats that refuse the bot, that are ours no more, and that have a new id."""

import pytest

from storage.messages import DeliveryState, FollowUp
from storage.store import Store
from tests.storage.builders import entry_message, exit_message, make_limits, make_message, make_signal


@pytest.fixture
async def store(store: Store) -> Store:
    """Return a database with three signals and no messages yet."""
    await store.remember([make_signal(number) for number in (1, 2, 3)], make_limits(next_id=4), [])
    return store


async def deliver(store: Store, outbox_id: int, message_id: int = 555) -> None:
    """Send a message as it goes when all is well."""
    await store.outbox.mark_sending(outbox_id)
    await store.outbox.mark_sent(outbox_id, message_id, 1)


async def test_a_blocked_chat(store: Store) -> None:
    """A chat that refuses the bot is remembered with the first time and the last reason; what is for it waits."""
    await store.outbox.enqueue([entry_message(1), entry_message(1, "7")])
    await store.chats.block("100", "Forbidden", 5)
    await store.chats.block("100", "Forbidden: bot was blocked by the user", 9)
    await store.outbox.enqueue([entry_message(2)])
    assert await store.chats.blocked() == {"100": "Forbidden: bot was blocked by the user"}
    assert await store.chats.blocked_since_ms() == {"100": 5}
    assert await store.chats.waiting_counts() == {"100": 2, "7": 1}
    await store.chats.unblock("100")
    assert await store.chats.blocked() == {}


async def test_a_chat_that_is_ours_no_more(store: Store) -> None:
    """What waits for a chat that the settings no longer name is given up, and what stands there is left as it is."""
    await store.outbox.enqueue(
        [entry_message(1), entry_message(1, "7"), entry_message(2, "7"), make_message(chat_id="8")]
    )
    await deliver(store, 1)
    await deliver(store, 2)
    await store.chats.keep_only(["100"])
    await store.outbox.enqueue([FollowUp(signal_id=1, html="one")])
    assert [message.message.chat_id for message in await store.outbox.due(0)] == ["100"]
    counts = await store.outbox.counts()
    assert (counts[DeliveryState.SENT], counts[DeliveryState.FAILED], counts[DeliveryState.PENDING]) == (1, 2, 1)
    await store.chats.keep_only(["100", "7"])
    await store.outbox.enqueue([FollowUp(signal_id=1, html="two")])
    assert [message.message.chat_id for message in await store.outbox.due(0)] == ["100", "7"], "named again"


async def test_a_chat_with_a_new_id(store: Store) -> None:
    """What stood in the old chat is not replied to or edited any more, in its topics either."""
    await store.outbox.enqueue([entry_message(1, "-200"), entry_message(2, "-200:7"), entry_message(3)])
    for outbox_id in (1, 2, 3):
        await deliver(store, outbox_id)
    await store.outbox.enqueue([FollowUp(signal_id=1, html="one")])
    await store.chats.forget_messages("-200")
    await store.outbox.enqueue([FollowUp(signal_id=number, html="two") for number in (1, 2)])
    await store.outbox.enqueue([exit_message(1, "-200"), exit_message(2, "-200:7"), exit_message(3)])
    due = await store.outbox.due(0)
    assert [message.reply_to_message_id for message in due] == [None, None, 555]
    assert (await store.outbox.counts())[DeliveryState.SENT] == 3
