"""Dockerfile, as far as it can be held to anything without Docker: its files are put together here, and run."""

import asyncio
import fnmatch
import json
import re
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.test_layers import MAY_IMPORT

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[1]
LINES = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8")).splitlines()
STEPS = [(word, rest) for word, _, rest in (line.partition(" ") for line in LINES) if word and word != "#"]


def values(word: str) -> list[str]:
    """Return what follows each instruction of that name."""
    return [rest for name, rest in STEPS if name == word]


def test_the_base_is_one_image() -> None:
    """Both stages begin with one base, by version and digest; the second one has the packages of the first."""
    assert re.fullmatch(r"PYTHON=python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", values("ARG")[0])
    assert values("FROM") == ["${PYTHON} AS packages", "${PYTHON}"]
    assert "--from=packages /venv /venv" in values("COPY")


def test_the_packages_are_those_of_the_lock() -> None:
    """They come by hash, and nothing is compiled."""
    (install,) = (line for line in values("RUN") if "install" in line)
    assert "--require-hashes -r requirements.lock" in install
    assert "--only-binary=:all:" in install
    assert "requirements.lock ." in values("COPY")


def test_it_runs_as_nobody_special() -> None:
    """It is no root, may write its data folder only, and the code is not its own."""
    assert values("USER") == ["sgnl"]
    words = [word for word, _ in STEPS]
    after = words[words.index("USER") :]
    assert "COPY" not in after
    assert "RUN" not in after
    assert [line for line in values("RUN") if "chown" in line] == [
        "useradd --create-home --uid 10001 sgnl && mkdir -m 700 /app/data && chown sgnl /app/data"
    ]
    assert not [line for line in values("COPY") if "--chown" in line]
    assert values("VOLUME") == ["/app/data"]


def test_what_is_copied_is_a_whole_bot(tmp_path: Path) -> None:
    """The files of the image alone, in a folder of their own, are a bot that knows its version and its settings."""
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".env", ".git", "data"} <= set(ignored)
    copied = [line.split() for line in values("COPY") if not line.startswith(("--from", "requirements"))]
    assert {source for source, _ in copied} == set(MAY_IMPORT), "every room, and nothing else"
    for source, target in copied:
        assert not any(fnmatch.fnmatch(source, pattern) for pattern in ignored)
        shutil.copytree(ROOT / source, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__"))
    command = json.loads(values("ENTRYPOINT")[0])
    for arguments in (["--version"], ["check", "--help"]):
        done = subprocess.run(
            [sys.executable, *command[1:], *arguments],
            cwd=tmp_path,
            env={"PATH": ""},
            check=True,
            capture_output=True,
            timeout=60,
        )
        assert done.stdout
    assert (tmp_path / "bot" / "web" / "static" / "app.js").exists()
    assert (command[0], values("CMD")) == ("python", ['["run"]'])


@asynccontextmanager
async def health(status: int) -> AsyncIterator[int]:
    """Serve /health with a status, and give the port."""
    app = web.Application()

    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({}, status=status)

    app.add_routes([web.get("/health", answer)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(("status", "is_healthy"), [(200, True), (503, False)])
async def test_the_health_check_reads_health(status: int, is_healthy: bool) -> None:
    """Its own command ends well by 200, and badly by 503."""
    (check,) = values("HEALTHCHECK")
    command = json.loads(check.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    async with health(status) as port:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *command[1:2],
            command[2].replace(":8080", f":{port}"),
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert (await process.wait() == 0) is is_healthy
