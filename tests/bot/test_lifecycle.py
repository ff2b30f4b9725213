"""The order of a bot's life, whatever happens in it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from bot.lifecycle import Interrupt, Service, run_beside, started
from bot.tasks import spawn


class Diary:
    """What happened, in its order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def service(self, name: str, *, fails: str = "", is_companion: bool = False) -> Service:
        """Return a service that writes its start, its run, the end of that and its stop; one of them may fail."""

        def step(what: str) -> Callable[[], Awaitable[None]]:
            async def act() -> None:
                self.lines.append(f"{what} {name}")
                if fails == what:
                    raise ValueError(name)

            return act

        def run() -> Coroutine[Any, Any, None]:
            return self._run(name, fails=fails == "run")

        return Service(name=name, start=step("start"), run=run, stop=step("stop"), is_companion=is_companion)

    async def _run(self, name: str, *, fails: bool) -> None:
        self.lines.append(f"run {name}")
        if fails:
            raise ValueError(name)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # what was fetched is finished
            self.lines.append(f"end {name}")

    async def work(self) -> None:
        """Tick once."""
        await asyncio.sleep(0.01)
        self.lines.append("work")

    async def live(self, *services: Service) -> None:
        """Live to the end of the work."""
        async with started(services):
            await run_beside(services, self.work())
            self.lines.append("record the end")


async def test_a_whole_life() -> None:
    """Starts in order, a companion beside them; runs end with the work, before anything stops; stops in reverse."""
    diary = Diary()
    await diary.live(diary.service("a"), diary.service("b", is_companion=True), diary.service("c"))
    assert diary.lines == [
        *("start a", "start b", "start c"),
        *("run b", "run a", "run c"),
        *("work", "end a", "end c", "record the end"),
        *("stop c", "end b", "stop b", "stop a"),
    ]


async def test_a_companion_runs_while_others_start() -> None:
    """A page answers while a pairing still waits."""
    diary = Diary()
    waits = Service(name="waits", start=lambda: asyncio.sleep(0.01))
    await diary.live(diary.service("page", is_companion=True), waits, diary.service("late"))
    assert diary.lines.index("run page") < diary.lines.index("start late")


async def test_a_start_that_fails() -> None:
    """It ends the bot with its error; it and those before it are stopped, those behind it never begin."""
    diary = Diary()
    with pytest.raises(ValueError, match="b"):
        await diary.live(diary.service("a"), diary.service("b", fails="start"), diary.service("c"))
    assert diary.lines == ["start a", "start b", "stop b", "stop a"]


async def test_a_service_that_fails() -> None:
    """It ends the bot with its own error, and everything stops."""
    diary = Diary()
    with pytest.raises(ValueError, match="b"):
        await diary.live(diary.service("a"), diary.service("b", fails="run"))
    assert diary.lines == ["start a", "start b", "run a", "run b", "end a", "stop b", "stop a"]


async def test_a_companion_that_fails() -> None:
    """Nothing else ends."""
    diary = Diary()
    await diary.live(diary.service("a", fails="run", is_companion=True), diary.service("b"))
    assert diary.lines[-4:] == ["end b", "record the end", "stop b", "stop a"]


async def test_a_stop_that_fails() -> None:
    """The others are stopped all the same."""
    diary = Diary()
    with pytest.raises(ValueError, match="b"):
        await diary.live(diary.service("a"), diary.service("b", fails="stop"), diary.service("c"))
    assert diary.lines[-3:] == ["stop c", "stop b", "stop a"]


async def test_cancelled() -> None:
    """Whoever cancels it, mid-work or mid-start, leaves nothing running."""
    diary = Diary()
    task = spawn(diary.live(diary.service("a"), diary.service("b")), name="life", keep=set())
    await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert diary.lines[:4] == ["start a", "start b", "run a", "run b"]
    assert sorted(diary.lines[4:6]) == ["end a", "end b"]
    assert diary.lines[6:] == ["stop b", "stop a"]


@pytest.mark.parametrize(
    ("is_graceful", "signals", "is_cancelled"), [(False, 1, True), (True, 1, False), (True, 2, True)]
)
async def test_interrupt(*, is_graceful: bool, signals: int, is_cancelled: bool) -> None:
    """A signal cancels the command; one that ends in its own way is asked first, and cancelled by the second."""
    task = spawn(asyncio.sleep(0.05), name="command", keep=set())
    interrupt = Interrupt(task)
    interrupt.is_graceful = is_graceful
    for _ in range(signals):
        interrupt()
    await asyncio.wait([task])
    assert interrupt.asked.is_set()
    assert task.cancelled() == is_cancelled
