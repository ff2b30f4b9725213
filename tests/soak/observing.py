"""A look at the bot once a minute, while readers of its page come and go and another program reads its database."""

import asyncio
import sys

import aiohttp

from tests.soak.looks import Look, Observer, table

LOOK_S, ROW_S = 60.0, 300.0
READS = (0.4, 0.7)  #: the share of the run between which another program reads
CLIENT_S = 600.0  #: a reader of /ws stays for so long


async def observe(observer: Observer, seconds: float) -> list[Look]:
    """Look once a minute for so long; meanwhile readers come and go."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    looks = [await observer.look(0.0)]
    async with asyncio.TaskGroup() as group:
        readers = [group.create_task(_read_ws(observer.url, refresh_s)) for refresh_s in (1, 5)]
        while (at_s := looks[-1].at_s) < seconds:
            await asyncio.sleep(max(0.0, began_s + at_s + LOOK_S - loop.time()))
            looks.append(await observer.look(loop.time() - began_s))
            begin, end = READS
            (observer.begin_reading if begin <= looks[-1].at_s / seconds < end else observer.end_reading)()
            if looks[-1].at_s % ROW_S < LOOK_S:
                sys.stderr.write(f"{table(looks[-2:])[-1]}\n")
        for reader in readers:
            reader.cancel()
    observer.end_reading()
    return looks


async def _read_ws(url: str, refresh_s: int) -> None:
    while True:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/ws") as socket:
            await socket.send_json({"refresh_s": refresh_s})
            try:
                async with asyncio.timeout(CLIENT_S):
                    async for _ in socket:
                        pass
            except TimeoutError:
                continue
