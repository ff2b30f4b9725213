"""The pace on a clock, and over a restart."""

from pathlib import Path

from bot.chat.delivery.sender import TERMINAL_CHAT
from bot.chat.delivery.turns import Turns
from bot.tasks import spawn
from storage.store import Store
from tests.builders import NOW_MS
from tests.hand_clock import HandClock


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    """Twenty in a minute are twenty, whichever run sent them, and the terminal counts in none."""
    clock = HandClock()
    async with await Store.open(tmp_path / "sgnl.db") as store:
        first = Turns(store, clock)
        await first.recall()
        for _ in range(20):
            await first.take("-200")
            await first.take(TERMINAL_CHAT)
            await clock.advance(2)
        second = Turns(store, clock)
        await second.recall()
        assert second.wait_s("-200") == first.wait_s("-200") == 26
        await clock.advance(26)
        assert second.wait_s("-200") == 0
        assert second.wait_s("-200", is_answer=True) == 12


async def test_an_answer_is_the_first(tmp_path: Path) -> None:
    """An answer that is quicker than the outbox waits for what the last run sent, and is counted once."""
    clock = HandClock()
    async with await Store.open(tmp_path / "sgnl.db") as store:
        await store.state.put("sends", [["100", NOW_MS - 3_000]] * 2)
        turns = Turns(store, clock)
        answering = spawn(turns.wait("100", is_urgent=False), name="answer", keep=set())
        await clock.wait_for_sleepers(1)
        await clock.advance(0.3)
        await answering
        await turns.recall()
        assert turns.wait_s("100") == 0
        assert await store.state.get("sends") == [["100", NOW_MS - 3_000]] * 2 + [["100", NOW_MS + 300]]


async def test_a_clock_set_back_meanwhile(tmp_path: Path) -> None:
    """What was sent at a time that is yet to come was sent just now, at the latest."""
    async with await Store.open(tmp_path / "sgnl.db") as store:
        await store.state.put("sends", [["100", NOW_MS + 3_600_000]] * 3)
        turns = Turns(store, HandClock())
        await turns.recall()
        assert turns.wait_s("100") == 3.3
