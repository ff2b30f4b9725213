"""`python -m bot run` that kills itself at a labelled step: `python -m tests.torture.killable STEP NTH`.

The product knows nothing of this: the steps are put around its methods here, before it starts.
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import aiosqlite

import bot.orchestrator
from bot.__main__ import main
from bot.telegram_edge import TelegramSender
from storage.sqlite import Store

NEVER = "never"
STEPS = (
    "after the decision",
    "between the statements of a signal",
    "before the commit of a signal",
    "after the commit of a signal",
    "before the send",
    "after the send",
    "before an exit",
    "between the statements of an exit",
    "before the commit of an exit",
    "after the commit of an exit",
    "before the commit of the windows",
    "at the start",
)
SAVE_EVERY_MS = 1000  #: so that a life of seconds leaves something behind

_writing: ContextVar[str] = ContextVar("what is being written", default="nothing")
Method = Callable[..., Awaitable[Any]]


class Steps:
    """Counts how often the step was reached."""

    def __init__(self, step: str, nth: int) -> None:
        self._step = step
        self._left = nth

    def reach(self, step: str) -> None:
        """Kill this process if this is where it is to die."""
        if step == self._step != NEVER:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def install(steps: Steps) -> None:
    """Put the steps around the product's methods."""
    _around(Store, "load", after=lambda *_: steps.reach("at the start"))
    _around(
        Store,
        "remember",
        writes="a signal",
        before=lambda _, signals, *__: steps.reach("after the decision" if signals else NEVER),
        after=lambda _, signals, *__: steps.reach("after the commit of a signal" if signals else NEVER),
    )
    _around(
        Store,
        "record_outcome",
        writes="an exit",
        before=lambda *_: steps.reach("before an exit"),
        after=lambda *_: steps.reach("after the commit of an exit"),
    )
    _around(Store, "save_windows", writes="the windows")
    _around(
        TelegramSender,
        "send",
        before=lambda *_: steps.reach("before the send"),
        after=lambda *_: steps.reach("after the send"),
    )
    _around(
        aiosqlite.Connection,
        "executemany",
        after=lambda _, __, rows: steps.reach(f"between the statements of {_writing.get()}" if rows else NEVER),
    )
    _around(aiosqlite.Connection, "commit", before=lambda *_: steps.reach(f"before the commit of {_writing.get()}"))


def _around(
    owner: type,
    name: str,
    *,
    before: Callable[..., object] = lambda *_: None,
    after: Callable[..., object] = lambda *_: None,
    writes: str = "",
) -> None:
    inner: Method = getattr(owner, name)

    async def method(*arguments: Any, **named: Any) -> Any:
        before(*arguments)
        # a write of near misses alone is no signal's
        what = writes if name != "remember" or arguments[1] else ""
        token = _writing.set(what) if what else None
        try:
            result = await inner(*arguments, **named)
        finally:
            if token is not None:
                _writing.reset(token)
        after(*arguments)
        return result

    setattr(owner, name, method)


if __name__ == "__main__":
    install(Steps(sys.argv[1], int(sys.argv[2])))
    bot.orchestrator.SAVE_EVERY_MS = SAVE_EVERY_MS
    raise SystemExit(main(["run"]))
