"""Questions that wait for their answers: one after the other in a chat, and no more of one user than they may cost."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from bot.chat.asking.asker import Asker
from bot.tasks import spawn

_MOST_WAITING, _MOST_WAITING_OF_ADMIN, _MOST_WAITING_OF_ALL = 5, 20, 60  #: what questions that wait may cost
_FINISH_S = 2.0


class Waiting:
    """Runs what answers, in tasks of their own."""

    def __init__(self) -> None:
        self._lines: dict[int, asyncio.Lock] = {}  # by chat, where questions are answered one after the other
        self._costs: Counter[int] = Counter()  # of each user's questions that wait
        self._asked: Counter[int] = Counter()  # by chat, how many wait in its line
        self._too_fast: set[int] = set()  # who has had that answer
        self.tasks: set[asyncio.Task[None]] = set()

    def ask(self, asker: Asker, cost: int, answer: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """Answer a question beside the others, and return True, unless its asker waits for too many."""
        most = _MOST_WAITING_OF_ADMIN if asker.is_admin else _MOST_WAITING
        if self._costs[asker.id] + cost > most or self._costs.total() + cost > _MOST_WAITING_OF_ALL:
            return False
        self._costs[asker.id] += cost
        self.later(self._within_budget(asker, cost, answer()))
        return True

    def is_first_refusal(self, asker: Asker) -> bool:
        """Return whether this user has not had the answer yet that they ask too fast; note that they have now."""
        is_first = asker.id not in self._too_fast
        self._too_fast.add(asker.id)
        return is_first

    async def in_line(self, chat: int, answer: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Answer the questions of a chat one after the other, each with what is so when its turn has come."""
        line = self._lines.setdefault(chat, asyncio.Lock())
        self._asked[chat] += 1
        try:
            async with line:
                await answer()
        finally:
            self._asked[chat] -= 1
            if not self._asked[chat]:
                del self._asked[chat], self._lines[chat]

    def later(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        """Do it in a task of its own."""
        return spawn(_done(work), name="answer", keep=self.tasks)

    async def finish(self) -> None:
        """Give the answers under way a moment, then let go of them."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=_FINISH_S)
        for task in self.tasks:
            task.cancel()

    async def _within_budget(self, asker: Asker, cost: int, answer: Coroutine[Any, Any, None]) -> None:
        try:
            await answer
        finally:
            self._costs[asker.id] -= cost
            if not self._costs[asker.id]:  # nothing is kept of who does not wait
                del self._costs[asker.id]
                self._too_fast.discard(asker.id)


async def _done(work: Coroutine[Any, Any, object]) -> None:
    await work
