"""One socket: reading in batches, and its end."""

import asyncio
import shutil
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from fetchers.errors import Unreachable
from fetchers.streams.web_socket import WebSocket, session_for
from fetchers.transport.route import ANY_ROUTE


@asynccontextmanager
async def served(messages: int, apart_s: float, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve a socket that sends numbered messages and closes."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        for i in range(messages):
            await socket.send_str(str(i))
            if apart_s:
                await asyncio.sleep(apart_s)
        await socket.close(code=1012)
        return socket

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    yield f"ws{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


async def test_what_comes_while_it_is_paused_is_read_at_once() -> None:
    """A wake-up takes all of it, in order, and the close after it is known."""
    async with served(200, 0.001) as url, session_for(url, ANY_ROUTE) as session:
        socket = await WebSocket.open(session, url, 0, is_compressed=True)
        assert socket.can_pause
        frames: list[bytes] = []
        wakes = 0
        while not socket.ended:
            socket.pause()
            await asyncio.sleep(0.05)
            before = len(frames)
            socket.resume()
            await asyncio.sleep(0.005)
            frames += socket.take()
            wakes += len(frames) > before
        assert frames == [b"%d" % i for i in range(200)]
        assert wakes <= 40
        assert socket.close_code == 1012
        await socket.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Return a certificate of this machine, and its key."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    openssl = shutil.which("openssl")
    assert openssl, "openssl is needed for this test"
    subprocess.run(
        [openssl, *command, *names, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    return certificate, key


async def test_the_raw_transport_under_tls_is_found(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pausing TLS's own transport would not stop the wake-ups; this test says so if a library's inside changes."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(*certificate)
    async with served(50, 0.002, server) as url:
        monkeypatch.setattr(
            "aiohttp.connector._SSL_CONTEXT_VERIFIED", ssl.create_default_context(cafile=certificate[0])
        )
        async with session_for(url, ANY_ROUTE) as session:
            socket = await WebSocket.open(session, url, 0, is_compressed=True)
            assert socket.can_pause
            socket.pause()
            await asyncio.sleep(0.05)
            first = len(socket.take())
            await asyncio.sleep(0.05)
            assert len(socket.take()) <= max(5, 50 - first - 20)
            socket.resume()
            await asyncio.sleep(0.2)
            await socket.close()


async def test_nobody_is_there() -> None:
    """One error names the address."""
    async with session_for("ws://127.0.0.1:9/", ANY_ROUTE) as session:
        with pytest.raises(Unreachable, match=r"127\.0\.0\.1:9"):
            await WebSocket.open(session, "ws://127.0.0.1:9/", 0, is_compressed=False)


async def test_a_message_to_a_closed_socket() -> None:
    """Is an error of the kind that everybody expects."""
    async with served(1, 0) as url, session_for(url, ANY_ROUTE) as session:
        socket = await WebSocket.open(session, url, 0, is_compressed=False)
        await socket._reader
        with pytest.raises(Unreachable):
            await socket.send(b"x")
        began = time.monotonic()
        await socket.close(is_polite=False)
        assert time.monotonic() - began < 1
