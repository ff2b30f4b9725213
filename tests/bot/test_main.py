"""The command line as a user meets it: real processes, their words and their exit codes."""

import asyncio
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.demo import Market, simulated_market
from tests.telegram_stand_in import TOKEN, TelegramStandIn

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended."""

    code: int | None
    out: str
    err: str


async def start(*arguments: str, **environ: str) -> asyncio.subprocess.Process:
    """Start the command line with nothing configured but `environ`."""
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *arguments),
        cwd=environ.pop("cwd", ROOT),
        env=clean | {"PYTHONPATH": str(ROOT)} | environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def finish(process: asyncio.subprocess.Process, seconds: float = 60) -> Ended:
    """Wait for the end; a process that does not come to it is killed."""
    try:
        async with asyncio.timeout(seconds):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    return Ended(process.returncode, out.decode(), err.decode())


async def run(*arguments: str, **environ: str) -> Ended:
    """Run a command to its end."""
    return await finish(await start(*arguments, **environ))


@pytest.fixture
async def market() -> AsyncIterator[Market]:
    """Yield a small simulated market in its own process."""
    async with simulated_market(30, 12) as running:
        yield running


def addresses(market: Market) -> dict[str, str]:
    """Return the settings that lead a bot to the market."""
    return {f"{venue.upper()}_URL": url for venue, url in market.urls.items()}


async def test_help_and_version() -> None:
    """Help names every command, and the version is the one of the code."""
    shown = await run("--help")
    assert shown.code == 0
    assert all(
        word in shown.out for word in ("run", "demo", "check", "simulate", "replay", "why", "report", "test-alert")
    )
    version = await run("--version")
    assert (version.code, version.out.split()[:2]) == (0, ["SGNL", "0.1.0,"])


@pytest.mark.parametrize("arguments", [["replay"], ["why"], ["report"], ["test-alert"]])
async def test_later(arguments: list[str]) -> None:
    """What is not there yet says so in one line and exits with 2."""
    ended = await run(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"{arguments[0]} comes in a later version of SGNL\n"


@pytest.mark.parametrize("arguments", [["fly"], ["demo", "--seconds", "0"], ["demo", "--coins", "many"]])
async def test_wrong_usage(arguments: list[str]) -> None:
    """Wrong usage exits with 2 and says what was expected."""
    ended = await run(*arguments)
    assert ended.code == 2
    assert "error: argument" in ended.err


async def test_wrong_settings(tmp_path: Path) -> None:
    """All wrong settings are named together, one line each, before anything is opened or written."""
    (tmp_path / ".env").write_text("MIN_SCORE_THRESHOLD=720\nMIN_SCORE_TRESHOLD=70\n")
    ended = await run("run", cwd=str(tmp_path), HTTP_PORT="web")
    assert (ended.code, ended.out) == (2, "")
    assert sorted(line.partition(" ")[0] for line in ended.err.splitlines()) == [
        "HTTP_PORT",
        "MIN_SCORE_THRESHOLD",
        "MIN_SCORE_TRESHOLD",
    ]
    assert [path.name for path in tmp_path.iterdir()] == [".env"]


async def test_taken_port(tmp_path: Path) -> None:
    """A taken port gives one line that names the setting."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = await run("run", DATA_DIR=str(tmp_path), HTTP_PORT=str(port), LOG_LEVEL="ERROR")
    assert ended.code == 1
    assert ended.err == f"HTTP_PORT: port {port} on 127.0.0.1 is in use by another program, choose another\n"


async def test_bad_token(tmp_path: Path) -> None:
    """A token Telegram does not know ends the start with one line that does not show it."""
    token = "123456:" + "x" * 35
    async with TelegramStandIn(lambda: 0) as telegram:
        ended = await run(
            "run",
            DATA_DIR=str(tmp_path),
            HTTP_PORT="0",
            LOG_LEVEL="ERROR",
            TELEGRAM_API_URL=telegram.url,
            TELEGRAM_BOT_TOKEN=token,
            TELEGRAM_CHAT_ID="100",
        )
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert line.startswith("TELEGRAM_BOT_TOKEN: ")
    assert token not in ended.out + ended.err


async def test_check(market: Market) -> None:
    """Check says of each venue what is kept and dropped and how its clock stands, and which chats Telegram knows."""
    async with TelegramStandIn(lambda: 0) as telegram:
        telegram.people.add(100)
        ended = await run(
            "check",
            **addresses(market),
            TELEGRAM_API_URL=telegram.url,
            TELEGRAM_BOT_TOKEN=TOKEN,
            TELEGRAM_CHAT_ID="100",
        )
    assert ended.code == 0
    lines = dict(line.removeprefix("ok").strip().split(": ", 1) for line in ended.out.splitlines())
    assert list(lines) == ["settings", "LBank", "Binance", "MEXC", "Bybit", "telegram", "mysql"]
    for venue in ("LBank", "Binance", "MEXC", "Bybit"):
        assert all(word in lines[venue] for word in ("reachable", "kept; dropped: ", "clock ", "round trip "))
    assert "1 suspended" in lines["LBank"]
    assert "2 not crypto" in lines["Bybit"]
    assert lines["telegram"].endswith(", chats: Ann (100)")
    assert lines["mysql"] == "not configured"


async def test_check_finds_trouble(market: Market) -> None:
    """A venue out of reach, an unknown chat and a MySQL that is not there each fail with their reason."""
    async with TelegramStandIn(lambda: 0) as telegram:
        ended = await run(
            "check",
            "--json",
            **(addresses(market) | {"BYBIT_URL": "http://127.0.0.1:1"}),
            TELEGRAM_API_URL=telegram.url,
            TELEGRAM_BOT_TOKEN=TOKEN,
            TELEGRAM_CHAT_ID="100",
            MYSQL_HOST="127.0.0.1",
            MYSQL_PORT="1",
            MYSQL_PASSWORD="secret-of-mysql",
        )
    assert ended.code == 1
    results = {result["name"]: result for result in json.loads(ended.out)}
    assert [name for name, result in results.items() if not result["is_ok"]] == ["bybit", "telegram", "mysql"]
    assert "127.0.0.1" in results["bybit"]["text"]
    assert "chat not found" in results["telegram"]["text"].lower()
    assert "secret-of-mysql" not in ended.out + ended.err
    assert TOKEN not in ended.out + ended.err


async def test_unreachable_venue(market: Market, tmp_path: Path) -> None:
    """One venue out of reach is one line in the log and the others run; all out of reach is one line and exit 1."""
    nowhere = "http://127.0.0.1:1"
    alone = await start(
        "run", EXCHANGES="mexc", MEXC_URL=nowhere, DATA_DIR=str(tmp_path / "a"), HTTP_PORT="0", LOG_LEVEL="ERROR"
    )
    process = await start(
        "run", **(addresses(market) | {"MEXC_URL": nowhere}), DATA_DIR=str(tmp_path), HTTP_PORT="0", LOG_LEVEL="WARNING"
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        await process.stdout.readline()
        counts = (await process.stdout.readline()).decode()
    process.send_signal(signal.SIGTERM)
    ended = await finish(process)
    assert "MEXC none yet" in counts
    assert ended.code == 0
    assert [line for line in ended.err.splitlines() if "mexc" in line and "127.0.0.1" in line] == ended.err.splitlines()
    assert len(ended.err.splitlines()) == 1
    ended = await finish(alone)
    assert ended.code == 1
    assert len(ended.err.splitlines()) == 1
    assert "no venue could be reached" in ended.err


@pytest.mark.parametrize("seed", range(4))
async def test_interrupt(seed: int, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM end the demo at any moment: no traceback, nothing left behind, exit code 0."""
    draw = random.Random(seed)
    process = await start("demo", "--coins", "12", TMPDIR=str(tmp_path))
    await asyncio.sleep(draw.uniform(0.15, 7.0))
    process.send_signal(draw.choice([signal.SIGINT, signal.SIGTERM]))
    ended = await finish(process, 20)
    assert ended.code == 0
    assert "Traceback" not in ended.err
    assert list(tmp_path.iterdir()) == []


async def test_demo() -> None:
    """The demo alerts within 40 s, follows a signal to its exit, ends by itself with a summary and fools nobody."""
    ended = await finish(await start("demo", "--seconds", "75"), 120)
    assert ended.code == 0
    assert ended.err == ""
    first = next(line for line in ended.out.splitlines() if line.startswith("first alert: "))
    assert float(first.split()[2]) < 40
    assert " hit: " in ended.out or "Exit, time is up" in ended.out
    summary = ended.out.splitlines()[-1]
    setups, decoys, others = summary.split("; ")
    alerted, _, planted = setups.removeprefix("planted setups alerted exactly once: ").partition(" of ")
    assert alerted == planted
    assert int(planted) >= 3
    assert decoys == "decoys alerted: 0 of 7"
    assert others == "others alerted: 0"
    assert all(f"{venue}: " in ended.out for venue in ("LBank", "Binance", "MEXC", "Bybit"))
