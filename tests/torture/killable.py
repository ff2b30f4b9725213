"""Bots as `python -m bot run` starts them, except that they kill themselves at a labelled step.

The product knows nothing of this: the steps are put around its methods here, before it starts.
"""

import json
import os
import signal
import sqlite3
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, NoReturn, cast

import bot.core.orchestrator
import storage.connection
from bot.chat.bot_api.sending import TelegramSender
from bot.cli.parser import main
from storage.connection import Connection, Statement
from storage.store import Store
from storage.windows import Windows

NEVER, AT_THE_START = "never", "at the start"
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
    "before the windows",
    AT_THE_START,
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
    _around(Store, "load", after=lambda *_: steps.reach(AT_THE_START))
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
    _around(Windows, "save", before=lambda *_: steps.reach("before the windows"))
    _around(
        TelegramSender,
        "send",
        before=lambda *_: steps.reach("before the send"),
        after=lambda *_: steps.reach("after the send"),
    )
    _inside_transactions(steps)


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


def _inside_transactions(steps: Steps) -> None:
    # a transaction runs in the connection's thread, where the context is another
    run = storage.connection._transact
    written = ["nothing"]  # now: one transaction at a time
    _around(Connection, "transact", before=lambda *_: written.append(_writing.get()))

    class Stepping:
        def __init__(self, connection: sqlite3.Connection) -> None:
            self._connection = connection

        def executemany(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
            self._connection.executemany(sql, rows)
            steps.reach(f"between the statements of {written[-1]}")

        def commit(self) -> None:
            steps.reach(f"before the commit of {written[-1]}")
            self._connection.commit()

        def rollback(self) -> None:
            self._connection.rollback()

    def stepping(connection: Any, statements: Sequence[Statement], given_up: threading.Event) -> None:
        run(cast("sqlite3.Connection", Stepping(connection)), statements, given_up)

    storage.connection._transact = stepping


def nurse() -> None:
    """Start a bot for every line of standard input; say its process id and, once it has ended, its exit code.

    It imports once and forks, which takes nothing: most of a short life would else be spent on starting Python.
    """
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _live(**order)
        _tell(pid)
        _tell(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _tell(number: int) -> None:
    sys.stdout.write(f"{number}\n")
    sys.stdout.flush()


def _live(step: str, nth: int, environ: dict[str, str], errors: str) -> NoReturn:
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream, target in enumerate((nothing, nothing, os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))):
        os.dup2(target, stream)
    os.environ.clear()
    os.environ.update(environ)
    install(Steps(step, nth))
    bot.core.orchestrator.SAVE_EVERY_MS = SAVE_EVERY_MS
    code = 1
    try:
        code = main(["run"])
    except Exception:  # noqa: BLE001 - whatever it is has to be read by the one who started this
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    nurse()
