"""A process that decides, sends and ends signals until it is killed; it prints a line at every step."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from storage.store import Store
from tests.storage.builders import entry_message, exit_message, make_near_miss, make_outcome, make_signal

CHATS = ("100", "-100200")


def step() -> None:
    """Tell the one who will kill this process that a step is about to begin."""
    sys.stdout.write("step\n")
    sys.stdout.flush()


async def main(path: Path) -> None:
    """Go on from what is saved, for ever."""
    async with await Store.open(path) as store:
        saved = await store.load()
        limits, open_signals = saved.limits, list(saved.open_signals)
        while True:
            number = limits.next_id
            limits = replace(limits, next_id=number + 1)
            step()
            await store.remember(
                [make_signal(number)], limits, [entry_message(number, chat) for chat in CHATS], [make_near_miss()]
            )
            open_signals = list((await store.load()).open_signals)
            step()
            await store.save_open([replace(followed, looked_ms=number) for followed in open_signals])
            for message in await store.outbox.due(0, limit=1):
                step()
                await store.outbox.mark_sending(message.id)
                step()
                await store.outbox.mark_sent(message.id, message.id + 1000, number)
            while len(open_signals) > 2:
                outcome = make_outcome(open_signals.pop(0).signal.id)
                limits = replace(limits, last_exit_ms={"XLM": outcome.exit_ms})
                step()
                await store.record_outcome(outcome, limits, [exit_message(outcome.signal_id, chat) for chat in CHATS])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
