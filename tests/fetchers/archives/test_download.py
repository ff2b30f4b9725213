"""Downloads from a server on loopback that has files, checksums and faults as the archives do."""

import gzip
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from fetchers.archives.download import HELD_S, LEDGER, Downloader, DownloadError, check_files, read_ledger
from fetchers.archives.sources import ArchiveFile, bybit_files, vision_files

DAYS = [date(2026, 7, 1)]


class Archive:
    """Serves files by path, with ranges; `faults` are what the next requests for a path get instead."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[int]] = {}
        self.asked: Counter[str] = Counter()
        self.begun: list[int] = []
        self.agents: set[str] = set()

    def put(self, url: str, content: bytes, *, checksum: str | None = None) -> None:
        """Add a file and its checksum."""
        path = "/" + url.partition("://")[2].partition("/")[2]
        self.files[path] = content
        if checksum != "":
            line = f"{checksum or hashlib.sha256(content).hexdigest()}  {path.rpartition('/')[2]}\n"
            self.files[f"{path}.CHECKSUM"] = line.encode()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer; a fault below 100 is how many bytes are sent before the connection is cut."""
        self.asked[request.path] += 1
        self.agents.add(request.headers.get("User-Agent", ""))
        waiting = self.faults.get(request.path, [])
        fault = waiting.pop(0) if waiting else 0
        if fault >= 400:
            return web.Response(status=fault, headers={"Retry-After": "7"} if fault == 429 else {})
        content = self.files.get(request.path)
        if content is None:
            return web.Response(status=404)
        begun = int(request.headers.get("Range", "bytes=0-")[6:-1])
        self.begun.append(begun)
        if begun >= len(content) > 0:
            return web.Response(status=416)
        reply = web.StreamResponse(status=206 if begun else 200, headers={"Content-Length": str(len(content) - begun)})
        await reply.prepare(request)
        if request.method != "HEAD":
            await reply.write(content[begun : begun + fault] if fault else content[begun:])
            if fault and request.transport is not None:
                request.transport.close()
        return reply


@pytest.fixture
async def archive() -> AsyncIterator[tuple[Archive, str]]:
    """Return the archive and where it is."""
    archive, app = Archive(), web.Application()
    app.router.add_route("*", "/{path:.*}", archive.handle)
    async with TestServer(app) as server:
        yield archive, str(server.make_url("")).rstrip("/")


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Return a session with a name, as the archives want one."""
    async with aiohttp.ClientSession(headers={"User-Agent": "sgnl"}) as session:
        yield session


def downloader(session: aiohttp.ClientSession, folder: Path, waits: list[float]) -> Downloader:
    """Return one that notes its waits but the pace."""

    async def sleep(seconds: float) -> None:
        if seconds:
            waits.append(seconds)

    return Downloader(session, folder, pace_s=0, sleep=sleep)


def wanted(base: str) -> list[ArchiveFile]:
    """Return the files of one coin and day."""
    return list(vision_files(["XUSDT"], DAYS, base))


async def test_what_is_there_is_planned_and_fetched_once(
    archive: tuple[Archive, str], session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Absent files are no error; what was fetched is not fetched again, and what was replaced there is."""
    server, base = archive
    files = wanted(base)
    for file in files[:3]:
        server.put(file.url, f"content of {file.url}".encode() * 50)
    loader = downloader(session, tmp_path, [])
    planned = await loader.plan(files)
    assert Counter(one.state for one in planned) == {"wanted": 3, "absent": len(files) - 3}
    done = await loader.fetch(planned)
    assert [one.problem for one in done] == [""] * 3
    assert (tmp_path / files[0].path).read_bytes() == server.files["/" + files[0].url.split("/", 3)[3]]
    assert server.agents == {"sgnl"}
    server.put(files[1].url, b"repaired later")
    again = downloader(session, tmp_path, [])
    assert [one.state for one in (await again.plan(files))[:3]] == ["had", "wanted", "had"]
    await again.fetch(await again.plan(files))
    assert (tmp_path / files[1].path).read_bytes() == b"repaired later"
    assert check_files(tmp_path) == []
    assert len(read_ledger(tmp_path)) == 4


async def test_a_cut_download_is_resumed(
    archive: tuple[Archive, str], session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """Twice cut, it goes on where it was, and the whole is checked."""
    server, base = archive
    file = wanted(base)[0]
    server.put(file.url, bytes(range(200)))
    server.faults["/" + file.url.split("/", 3)[3]] = [40, 50]
    waits: list[float] = []
    loader = downloader(session, tmp_path, waits)
    (done,) = await loader.fetch(await loader.plan([file]))
    assert done.problem == ""
    assert server.begun[1:] == [0, 40, 90]
    assert len(waits) == 2
    assert not list(tmp_path.rglob("*.part"))


async def test_a_wrong_checksum_costs_no_other_file(
    archive: tuple[Archive, str], session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """It is tried once more, then said in one line, and nothing stays that could be taken for it."""
    server, base = archive
    first, second = wanted(base)[:2]
    server.put(first.url, b"not this", checksum="0" * 64)
    server.put(second.url, b"this")
    loader = downloader(session, tmp_path, [])
    done = {one.path: one.problem for one in await loader.fetch(await loader.plan([first, second]))}
    assert "its SHA-256 is not the archive's" in done[str(first.path)]
    assert done[str(second.path)] == ""
    assert not (tmp_path / first.path).exists()
    assert server.asked["/" + first.url.split("/", 3)[3]] == 2
    assert check_files(tmp_path) == [f"{first.path}: {done[str(first.path)]}"]


async def test_a_file_without_a_checksum_is_checked_by_its_own(
    archive: tuple[Archive, str], session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    """A gzip that is whole counts, one that is cut does not."""
    server, base = archive
    trades, books = bybit_files(["XUSDT"], DAYS, base, base)
    whole = gzip.compress(b"timestamp\n" * 500)
    server.put(trades.url, whole[:-9], checksum="")
    server.put(books.url, b"PK no zip", checksum="")
    loader = downloader(session, tmp_path, [])
    planned = await loader.plan([trades, books])
    assert [one.bytes for one in planned] == [len(whole) - 9, 9]
    assert [one.problem.partition(":")[0] for one in await loader.fetch(planned)] == ["cut or damaged"] * 2
    server.put(trades.url, whole, checksum="")
    (done,) = await loader.fetch(await loader.plan([trades]))
    assert done.problem == ""
    (tmp_path / trades.path).write_bytes(whole[:50])
    assert "SHA-256" in check_files(tmp_path)[-1]


async def test_refusals(archive: tuple[Archive, str], session: aiohttp.ClientSession, tmp_path: Path) -> None:
    """429 waits as long as it says, 403 ten minutes once, 451 is a country's and names PROXY_URL."""
    server, base = archive
    file = wanted(base)[0]
    server.put(file.url, b"content")
    path = "/" + file.url.split("/", 3)[3]
    waits: list[float] = []
    server.faults[f"{path}.CHECKSUM"] = [429, 403, 500]
    loader = downloader(session, tmp_path, waits)
    with pytest.raises(DownloadError, match="PROXY_URL"):
        await loader.plan([file])
    assert waits == [7.0]
    server.faults[f"{path}.CHECKSUM"] = [403]
    planned = await loader.plan([file])
    assert waits[1:] == [HELD_S]
    server.faults[path] = [451]
    with pytest.raises(DownloadError, match="451"):
        await loader.fetch(planned)


async def test_nothing_answers(session: aiohttp.ClientSession, tmp_path: Path, unused_tcp_port: int) -> None:
    """One line with the address, after some tries."""
    waits: list[float] = []
    file = wanted(f"http://127.0.0.1:{unused_tcp_port}")[0]
    with pytest.raises(DownloadError, match=r"127\.0\.0\.1"):
        await downloader(session, tmp_path, waits).plan([file])
    assert len(waits) == 4


def test_a_torn_ledger(tmp_path: Path) -> None:
    """A line torn by a crash is left out."""
    (tmp_path / LEDGER).write_bytes(b'{"url": "u", "path": "p", "sha256": "", "bytes": 1, "problem": "x"}\n{"url": ')
    assert [one.path for one in read_ledger(tmp_path)] == ["p"]
