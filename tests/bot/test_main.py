"""The command line as a user meets it: real processes, their words and their exit codes."""

import asyncio
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from telegram import Bot

from bot.cli import demo
from bot.cli.demo import Market, simulated_market
from bot.clock import SystemClock
from tests.telegram_stand_in import TOKEN, TelegramStandIn

ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:1"

#: the demo runs in real time, and a venue it cannot reach in time is said: it shares the machine with no other file
pytestmark = pytest.mark.alone


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended."""

    code: int | None
    out: str
    err: str


async def start(*arguments: str, **environ: str) -> asyncio.subprocess.Process:
    """Start the command line with nothing configured but `environ`."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", *arguments),
        cwd=environ.pop("cwd", ROOT),
        env=clean_environment(environ),
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
    return demo.addresses(market.urls)


def told_by(telegram: TelegramStandIn, token: str = TOKEN) -> dict[str, str]:
    """Return the settings with which a bot writes to one chat."""
    return {"TELEGRAM_API_URL": telegram.url, "TELEGRAM_BOT_TOKEN": token, "TELEGRAM_CHAT_ID": "100"}


@pytest.fixture(scope="module", autouse=True)
def in_background(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Start what takes long at the beginning of this file, for the tests at its end."""
    nowhere = {"EXCHANGES": "mexc", "MEXC_URL": NOWHERE, "HTTP_PORT": "0", "LOG_LEVEL": "ERROR"}
    data_dir = str(tmp_path_factory.mktemp("alone"))
    processes = {
        "demo": popen("demo", "--seconds", "90"),
        "all out of reach": popen("run", **nowhere, DATA_DIR=data_dir),
    }
    yield processes
    for process in processes.values():
        with process:  # closes what no test has read, too
            process.kill()


def popen(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    """Start the command line for a later test."""
    return subprocess.Popen(
        [sys.executable, "-m", "bot", *arguments],
        cwd=ROOT,
        env=clean_environment(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def clean_environment(environ: dict[str, str]) -> dict[str, str]:
    """Return an environment with nothing of ours configured but `environ`."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"PYTHONPATH": str(ROOT)} | environ


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("TELEGRAM_BOT_TOKEN=12345 AAbb", 2, "TELEGRAM_BOT_TOKEN (.env): expected digits, a colon and the rest, as"),
        (f"TELEGRAM_BOT_TOKEN={TOKEN}\nTELEGRAM_CHAT_ID=my_channel", 2, 'TELEGRAM_CHAT_ID (.env): was "my_channel"'),
        ("DATA_DIR=/dev/null/data", 1, "/dev/null/data/sgnl.db: Not a directory"),
        ("TP_PERCENT=1,7", 2, 'TP_PERCENT (.env): was "1,7", expected a number from 0.01 to 50'),
        ("MIN_SCORE_TRESHOLD=70", 2, "MIN_SCORE_TRESHOLD is no setting, did you mean MIN_SCORE_THRESHOLD?"),
    ],
)
async def test_a_newcomers_typo_ends_in_one_line(tmp_path: Path, line: str, code: int, words: str) -> None:
    """A slip in one of the five most likely places is one line that names it and says what to do."""
    (tmp_path / ".env").write_text(f"{line}\n")
    ended = await run("run", cwd=str(tmp_path), HTTP_PORT="0", LOG_LEVEL="INFO")
    assert ended.code == code
    assert ended.err.count("\n") == 1
    assert words in ended.err


async def test_help_and_version() -> None:
    """Help names every command, and the version is the one of the code."""
    shown = await run("--help")
    assert shown.code == 0
    assert [line.split()[0] for line in shown.out.splitlines() if re.match(r"    \w", line)] == [
        *(
            "run",
            "demo",
            "check",
            "simulate",
            "replay",
            "import",
            "evaluate",
            "sweep",
            "report",
            "why",
            "backup",
            "restore",
        ),
        "unpair",
    ]
    version = await run("--version")
    assert (version.code, version.out.split()[:2]) == (0, ["SGNL", "0.1.0,"])


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
    unknown, *others = ended.err.splitlines()
    assert unknown.startswith(".env, line 2: MIN_SCORE_TRESHOLD is no setting")
    assert {line.partition(" ")[0] for line in others} == {"MIN_SCORE_THRESHOLD", "HTTP_PORT"}
    assert len(others) == 2
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
            **told_by(telegram, token),
        )
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert line.startswith("TELEGRAM_BOT_TOKEN: ")
    assert token not in ended.out + ended.err


async def test_two_on_one_token(market: Market, tmp_path: Path) -> None:
    """Whoever is no longer heard is told so in the chat."""
    async with TelegramStandIn(SystemClock().now_ms) as telegram:
        telegram.people.add(100)
        process = await start(
            "run",
            **addresses(market),
            DATA_DIR=str(tmp_path),
            HTTP_PORT="0",
            LOG_LEVEL="ERROR",
            **told_by(telegram),
        )
        await telegram.wait_for(lambda: "getUpdates" in telegram.requests, 30)
        async with Bot(TOKEN, base_url=f"{telegram.url}/bot") as other:
            await other.get_updates(timeout=0)
        await telegram.wait_for(lambda: any("I receive no commands" in one.text for one in telegram.messages), 30)
        process.send_signal(signal.SIGTERM)
        ended = await finish(process)
    assert ended.code == 0
    assert "another program uses TELEGRAM_BOT_TOKEN" in ended.err


async def test_check(market: Market) -> None:
    """Check says of each venue what is kept and dropped and how its clock stands, and which chats Telegram knows."""
    async with TelegramStandIn(lambda: 0) as telegram:
        telegram.people.add(100)
        ended = await run(
            "check",
            **addresses(market),
            **told_by(telegram),
        )
    assert ended.code == 0
    lines = dict(line.removeprefix("ok").strip().split(": ", 1) for line in ended.out.splitlines())
    assert list(lines) == ["settings", "LBank", "Binance", "MEXC", "Bybit", "telegram", "mysql"]
    for venue in ("LBank", "Binance", "MEXC", "Bybit"):
        assert all(word in lines[venue] for word in ("reachable", "kept; dropped: ", "clock ", "round trip "))
    assert "2 not crypto" in lines["LBank"]  # one keeps trading hours, one is gold by its names
    assert "2 not crypto" in lines["Bybit"]
    assert lines["telegram"].endswith(", chats: Ann (100)")
    assert lines["mysql"] == "not configured"


async def test_deep_check(market: Market, tmp_path: Path) -> None:
    """One line for each call of each venue, every reply as a file, what an earlier check left replaced, no secrets."""
    folder = tmp_path / "check"
    folder.mkdir()
    (folder / "bybit-99-of-before.json").write_text("{}")
    ended = await run("check", "--deep", **addresses(market), DATA_DIR=str(tmp_path), HTTP_TOKEN="a-secret-of-the-web")
    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    for venue in ("LBank", "Binance", "MEXC", "Bybit"):
        steps = [line for line in lines if line.startswith(f"ok     {venue}: ") and "; expected " in line]
        assert len(steps) > 5
        assert " MB an hour: " in steps[-1]
        listed = [json.loads(line) for line in (folder / f"{venue.lower()}-replies.jsonl").read_text().splitlines()]
        files = {path.name for path in folder.glob(f"{venue.lower()}-*")} - {f"{venue.lower()}-replies.jsonl"}
        assert {reply["file"] for reply in listed} == files
    assert lines[-1] == f"ok     replies: in {folder}"
    assert not any("a-secret-of-the-web" in path.read_text() for path in folder.iterdir())


async def test_deep_check_fails(market: Market, tmp_path: Path) -> None:
    """A venue out of reach fails each of its steps, and the command; a folder that cannot be written fails it too."""
    environ = addresses(market) | {"MEXC_URL": NOWHERE, "EXCHANGES": "mexc,lbank"}
    ended = await run("check", "--deep", **environ, DATA_DIR=str(tmp_path))
    assert ended.code == 1
    assert "FAILED MEXC: list: Unreachable: mexc " in ended.out
    assert "ok     LBank: traffic: " in ended.out
    (tmp_path / "file").write_text("")
    ended = await run("check", "--deep", **environ, DATA_DIR=str(tmp_path / "file"))
    assert ended.code == 1
    assert "FAILED replies: " in ended.out


async def test_streams_check(market: Market) -> None:
    """One line for each connection of each venue that has a stream, and one of its prints; one out of reach fails."""
    environ = addresses(market) | {"BYBIT_STREAM_URL": NOWHERE.replace("http", "ws")}
    ended = await run("check", "--streams", "4", **environ)
    assert (ended.code, ended.err.count("lost")) == (1, 1)
    lines = ended.out.splitlines()
    for venue in ("Binance", "MEXC"):
        assert any(re.match(rf"ok     {venue}: trades 1: live, \d+ of \d+ covered", line) for line in lines), lines
        assert any(re.match(rf"ok     {venue}: [\d,]+ prints, .*; 0 gaps", line) for line in lines)
    assert any(line.startswith("FAILED Bybit: trades 1: down, 0 of ") and "last loss: ws" in line for line in lines)
    assert not any(line.startswith(("ok     LBank: trades", "FAILED LBank: trades")) for line in lines)


async def test_check_finds_trouble(market: Market) -> None:
    """A venue out of reach, an unknown chat and a MySQL that is not there each fail with their reason."""
    async with TelegramStandIn(lambda: 0) as telegram:
        ended = await run(
            "check",
            "--json",
            **(addresses(market) | {"BYBIT_URL": "http://127.0.0.1:1"}),
            **told_by(telegram),
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
    """One venue out of reach is one line in the log, and the others run."""
    environ = addresses(market) | {"MEXC_URL": NOWHERE}
    process = await start("run", **environ, DATA_DIR=str(tmp_path), HTTP_PORT="0", LOG_LEVEL="WARNING")
    assert process.stdout is not None
    async with asyncio.timeout(30):
        assert (await process.stdout.readline()).startswith(b"The page: http://127.0.0.1:")
        await process.stdout.readline()
        counts = (await process.stdout.readline()).decode()
    process.send_signal(signal.SIGTERM)
    ended = await finish(process)
    assert "MEXC none yet" in counts
    assert ended.code == 0
    (line,) = ended.err.splitlines()
    assert "mexc" in line
    assert "127.0.0.1" in line


async def test_as_a_service(market: Market, tmp_path: Path) -> None:
    """The service manager is told of start, life and end; only the owner can read what is left on the disk."""
    (tmp_path / ".env").write_text("LOG_LEVEL=INFO\n")
    (tmp_path / ".env").chmod(0o644)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        environ = {"DATA_DIR": str(tmp_path / "data"), "HTTP_PORT": "0", "cwd": str(tmp_path)}
        environ |= {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "2000000"}
        process = await start("run", **addresses(market), **environ)
        said: list[bytes] = []
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(60):
            while said.count(b"WATCHDOG=1") < 3:
                said.append(await loop.sock_recv(manager, 100))
            process.send_signal(signal.SIGTERM)
            while said[-1] != b"STOPPING=1":
                said.append(await loop.sock_recv(manager, 100))
        ended = await finish(process)
    assert said[0] == b"READY=1"
    assert {*said[1:-1]} == {b"WATCHDOG=1"}
    assert ended.code == 0
    assert ".env can be read by other users of this machine: chmod 600 .env" in ended.err
    (log,) = (tmp_path / "data" / "logs").iterdir()
    assert log.read_text().splitlines() == ended.err.splitlines()[-len(log.read_text().splitlines()) :]
    for folder, _, files in os.walk(tmp_path / "data"):
        assert Path(folder).stat().st_mode & 0o077 == 0
        assert not any((Path(folder) / file).stat().st_mode & 0o077 for file in files)


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


def test_all_unreachable(in_background: dict[str, subprocess.Popen[str]]) -> None:
    """Where no venue can be reached the start ends with one line and exit code 1."""
    process = in_background["all out of reach"]
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    (line,) = err.splitlines()
    assert line.startswith("no venue could be reached within 30 s: mexc: ")


def test_demo(in_background: dict[str, subprocess.Popen[str]]) -> None:
    """The demo alerts within 40 s, follows a signal to its exit, ends by itself with a summary and fools nobody."""
    process = in_background["demo"]
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0
    assert err == ""
    first = next(line for line in out.splitlines() if line.startswith("first alert: "))
    assert float(first.split()[2]) < 40
    assert " hit: " in out or "Exit, time is up" in out
    summary = out.splitlines()[-1]
    setups, decoys, others = summary.split("; ")
    alerted, _, planted = setups.removeprefix("planted setups alerted exactly once: ").partition(" of ")
    assert alerted == planted
    assert int(planted) >= 3
    assert decoys == "decoys alerted: 0 of 7"
    assert others == "others alerted: 0"
    assert all(f"{venue}: " in out for venue in ("LBank", "Binance", "MEXC", "Bybit"))
