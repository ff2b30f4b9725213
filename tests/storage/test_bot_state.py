"""What the bot keeps between runs."""

from scoring.signals import Limits
from storage.store import Store
from tests.storage.builders import make_limits


async def test_state(store: Store) -> None:
    """A JSON value is kept under its key until the next one replaces it."""
    assert await store.state.get("telegram_offset") is None
    await store.state.put("telegram_offset", 12)
    await store.state.put("telegram_offset", {"offset": 13, "chats": ["1"]})
    assert await store.state.get("telegram_offset") == {"offset": 13, "chats": ["1"]}


async def test_limits(store: Store) -> None:
    """Limits that a command has changed are there after it, fresh ones before."""
    assert await store.state.limits() == Limits.fresh()
    limits = make_limits(next_id=4, muted_coins={"XLM": 2**62})
    await store.state.save_limits(limits)
    assert await store.state.limits() == (await store.load()).limits == limits
