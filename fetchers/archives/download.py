"""Downloads of archive files: planned, resumed where they were cut, checked before they count, at a polite pace."""

import asyncio
import gzip
import hashlib
import random
import zipfile
import zlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import aiohttp
import orjson
from aiohttp_socks import ProxyError

from features.backoff import backoff
from fetchers.archives.rows import ArchiveError
from fetchers.archives.sources import ArchiveFile

JOBS = 8
PACE_S = 0.05  #: between two requests: the edges ban above 40 to 50 a second
TRIES = 5
HELD_S = 600.0  #: a host that refuses is left alone for so long
DEADLINE_S = 900.0  #: of one file
ASK_S = 60.0  #: of a question
LEDGER = "downloads.jsonl"
_PIECE = 1 << 18
_OK, _PARTIAL, _FORBIDDEN, _NOT_FOUND, _BAD_RANGE, _TOO_MANY, _LEGAL = 200, 206, 403, 404, 416, 429, 451
_FAILED = (aiohttp.ClientError, ProxyError, OSError, TimeoutError)
Item = TypeVar("Item")
Made = TypeVar("Made")
Got = TypeVar("Got")


class DownloadError(Exception):
    """Nothing more can be downloaded; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class _Refused:
    wait_s: float  #: until the next try


@dataclass(frozen=True, slots=True)
class Planned:
    """A file and what is known of it before it is downloaded."""

    file: ArchiveFile
    state: Literal["had", "wanted", "absent"]
    sha256: str  #: "" where the archive publishes none
    bytes: int  #: as the archive says, or as usual for its kind


@dataclass(frozen=True, slots=True)
class Done:
    """The end of one file's download, as the ledger keeps it."""

    url: str
    path: str
    sha256: str
    bytes: int
    problem: str  #: "" or why it cannot be used


class Downloader:
    """Plans and fetches into a folder; whatever is there already and checked is not downloaded again."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        folder: Path,
        *,
        jobs: int = JOBS,
        pace_s: float = PACE_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._session = session
        self._folder = folder
        self._jobs = jobs
        self._pace = asyncio.Lock()
        self._pace_s = pace_s
        self._sleep = sleep
        self._ledger = {done.path: done for done in read_ledger(folder) if not done.problem}

    async def plan(self, files: Iterable[ArchiveFile]) -> list[Planned]:
        """Ask of each file whether it is there, with its checksum where one is published.

        Raises
        ------
        DownloadError
            The archive refuses or cannot be reached.
        """
        return await self._each(self._look, list(files))

    async def fetch(self, planned: Sequence[Planned], note: Callable[[Done], None] = lambda _: None) -> list[Done]:
        """Download what is wanted and return what became of it; a file that stays wrong costs no other.

        Raises
        ------
        DownloadError
            The archive refuses or cannot be reached.
        """
        self._folder.mkdir(parents=True, exist_ok=True)

        async def one(item: Planned) -> Done:
            done = await self._download(item)
            with (self._folder / LEDGER).open("ab") as ledger:
                ledger.write(orjson.dumps(done) + b"\n")
            note(done)
            return done

        return await self._each(one, [item for item in planned if item.state == "wanted"])

    async def _each(self, work: Callable[[Item], Awaitable[Made]], items: Sequence[Item]) -> list[Made]:
        made: dict[int, Made] = {}
        places = iter(range(len(items)))

        async def worker() -> None:
            for place in places:  # one iterator for all workers
                made[place] = await work(items[place])

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._jobs):
                    group.create_task(worker())
        except* DownloadError as errors:
            raise errors.exceptions[0] from None
        return [made[place] for place in range(len(items))]

    async def _look(self, file: ArchiveFile) -> Planned:
        method, url = ("GET", f"{file.url}.CHECKSUM") if file.has_checksum else ("HEAD", file.url)
        status, headers, body = await self._ask(method, url)
        if status == _NOT_FOUND:
            return Planned(file, "absent", "", 0)
        sha256 = body.split()[0].decode(errors="replace").lower() if file.has_checksum and body.split() else ""
        size = file.usual_bytes if file.has_checksum else int(headers.get("Content-Length", file.usual_bytes))
        had, target = self._ledger.get(str(file.path)), self._folder / file.path
        if (
            had is not None
            and target.exists()
            and target.stat().st_size == had.bytes
            and had.sha256 == (sha256 or had.sha256)
        ):
            return Planned(file, "had", had.sha256, had.bytes)
        return Planned(file, "wanted", sha256, size)

    async def _download(self, planned: Planned) -> Done:
        file, target = planned.file, self._folder / planned.file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        problem = ""
        for _ in range(2):  # what is wrong once was perhaps replaced in the archive while it was resumed
            status = await self._stream(file.url, part)
            if status == _NOT_FOUND:
                return Done(file.url, str(file.path), "", 0, "the archive does not have it")
            sha256, problem = await asyncio.to_thread(_check, part, target.suffix, planned.sha256)
            if not problem:
                size = part.stat().st_size
                part.replace(target)
                return Done(file.url, str(file.path), sha256, size, "")
            part.unlink(missing_ok=True)
        return Done(file.url, str(file.path), planned.sha256, 0, problem)

    async def _stream(self, url: str, part: Path) -> int:
        """Append to `part` what is not there yet, and return the last status: 200 is whole."""

        async def once(failures: int) -> int | _Refused:
            begun = _size(part)
            ask = self._session.get(url, headers={"Range": f"bytes={begun}-"} if begun else {})
            async with asyncio.timeout(DEADLINE_S), ask as reply:
                if reply.status in (_OK, _PARTIAL):
                    with part.open("ab" if reply.status == _PARTIAL else "wb") as file:
                        async for piece in reply.content.iter_chunked(_PIECE):
                            file.write(piece)
                    return _OK
                if reply.status == _NOT_FOUND:
                    return _NOT_FOUND
                if reply.status == _BAD_RANGE:
                    return _OK if begun else _BAD_RANGE  # all of it is there: the checksum decides
                return _Refused(_pause_s(reply, failures))

        later = "run again later to go on from here"
        return await self._persist(url, once, failed="run again to go on from here", refused=later)

    async def _ask(self, method: str, url: str) -> tuple[int, Mapping[str, str], bytes]:
        async def once(failures: int) -> tuple[int, Mapping[str, str], bytes] | _Refused:
            async with asyncio.timeout(ASK_S), self._session.request(method, url) as reply:
                if reply.status in (_OK, _NOT_FOUND):
                    return reply.status, reply.headers, await reply.read()
                return _Refused(_pause_s(reply, failures))

        return await self._persist(url, once, failed="check the connection or PROXY_URL", refused="run again later")

    async def _persist(
        self, url: str, once: Callable[[int], Awaitable[Got | _Refused]], *, failed: str, refused: str
    ) -> Got:
        """Try TRIES times, in turn and with pauses; `failed` and `refused` say what to do where that was no use."""
        for failures in range(TRIES):
            await self._take_turn()
            try:
                got = await once(failures)
            except _FAILED as error:
                if failures == TRIES - 1:
                    raise DownloadError(f"{url}: {type(error).__name__}: {error}; {failed}") from error
                wait_s = backoff(failures, first=1.0, longest=60.0, draw=random.random())
            else:
                if not isinstance(got, _Refused):
                    return got
                wait_s = got.wait_s
            await self._sleep(wait_s)
        raise DownloadError(f"{url}: refused {TRIES} times; {refused}")

    async def _take_turn(self) -> None:
        async with self._pace:
            await self._sleep(self._pace_s)


def read_ledger(folder: Path) -> list[Done]:
    """Return what was downloaded into the folder, the newest last; a line torn by a crash is left out."""
    try:
        lines = (folder / LEDGER).read_bytes().splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        try:
            found.append(Done(**orjson.loads(line)))
        except (orjson.JSONDecodeError, TypeError):
            continue
    return found


def check_files(folder: Path) -> list[str]:
    """Return a line for each downloaded file that is not as it was when it was checked."""
    newest = {done.path: done for done in read_ledger(folder)}
    problems = []
    for path, done in sorted(newest.items()):
        if done.problem:
            problems.append(f"{path}: {done.problem}")
        elif not (folder / path).exists():
            problems.append(f"{path}: it is not there any more")
        elif problem := _check(folder / path, Path(path).suffix, done.sha256)[1]:
            problems.append(f"{path}: {problem}")
    return problems


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _pause_s(reply: aiohttp.ClientResponse, failures: int) -> float:
    if reply.status == _LEGAL or (reply.status == _FORBIDDEN and failures):
        raise DownloadError(
            f"{reply.url.host} refuses with {reply.status}: probably your country or address;"
            " PROXY_URL names another way out, and another try in ten minutes may do"
        )
    if reply.status in (_FORBIDDEN, _TOO_MANY):
        said = reply.headers.get("Retry-After", "")
        return float(said) if said.isdigit() else HELD_S
    return backoff(failures, first=1.0, longest=60.0, draw=random.random())


def _check(path: Path, suffix: str, sha256: str) -> tuple[str, str]:
    """Return the file's SHA-256, and what is wrong: against the archive's checksum, else by the file's own."""
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256:
        return (
            found,
            "" if found == sha256 else f"its SHA-256 is not the archive's ({found[:12]}, expected {sha256[:12]})",
        )
    try:
        if suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                if (bad := archive.testzip()) is not None:
                    raise ArchiveError(f"{bad} inside is damaged")
        else:
            with gzip.open(path) as packed:
                while packed.read(_PIECE):
                    pass
    except (ArchiveError, zipfile.BadZipFile, gzip.BadGzipFile, EOFError, zlib.error) as error:
        return found, f"cut or damaged: {error}"
    return found, ""
