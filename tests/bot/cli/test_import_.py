"""`bot import` against a server on loopback that has files as the archives do."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import orjson
import pytest

from bot.cli.parser import main
from tests.fetchers.archives.made import bybit_contents, checksum, put_files, vision_contents

ARGUMENTS = ["--coins", "WIFUSDT,1000PEPEUSDT", "--from", "2026-07-01", "--to", "2026-07-01", "--every", "30"]


@pytest.fixture(scope="module")
def archive() -> Iterator[tuple[str, list[str]]]:
    """Return where the made archive is, and what was asked of it."""
    files: dict[str, bytes] = {}
    for file, content in vision_contents().items():
        path = str(file.path).removeprefix("vision")
        files |= {path: content, f"{path}.CHECKSUM": checksum(file, content)}
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked.append(self.path)
            content = files.get(self.path, b"")
            self.send_response(200 if self.path in files else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_import_and_replay(
    archive: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Planned, downloaded, built; a second run downloads nothing; the tapes replay to one digest; check is content."""
    base, asked = archive
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    vision = ["import", "vision", "--base", base, *ARGUMENTS]
    assert main([*vision, "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "17 files to download" in said
    assert "1 are not in the archive" in said
    assert not (tmp_path / "data" / "archives").exists()
    assert main(vision) == 0
    said = capsys.readouterr().out
    assert "17 files downloaded" in said
    assert "not in this history: " in said
    assert "3 instrument-days, 120 ticks, 1 tapes" in said
    asked.clear()
    assert main(vision) == 0
    assert all(path.endswith(".CHECKSUM") for path in asked)
    capsys.readouterr()
    assert main(["import", "check"]) == 0
    tapes = sorted(map(str, (tmp_path / "data" / "tapes" / "vision").iterdir()))
    digests = []
    for _ in range(2):
        capsys.readouterr()
        assert main(["replay", "--json", *tapes]) == 0
        told = orjson.loads(capsys.readouterr().out)
        digests.append(told["digest"])
        assert (told["ticks"], told["sources"]) == (120, ["vision"])
        assert "wall" in told["missing"]
    assert digests[0] == digests[1]


def test_wrong_usage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 for what is asked wrongly, 1 where nothing could be used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    for wrong in (["import"], ["import", "vision", "--coins", "wif"], ["import", "tardis", "--coins", "WIFUSDT"]):
        with pytest.raises(SystemExit, match="2"):
            main(wrong)
    backwards = ["--coins", "WIFUSDT", "--from", "2026-07-02", "--to", "2026-07-01"]
    assert main(["import", "vision", *backwards]) == 2
    assert main(["import", "raw", str(tmp_path), *ARGUMENTS]) == 1
    assert "nothing could be used" in capsys.readouterr().err


def test_ladder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The same minutes from books and from bands are built and played; too few moments are no reason to trust bands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    put_files(tmp_path / "files", bybit_contents())
    days = ["--coins", "WIFUSDT", "--from", "2026-07-01", "--to", "2026-07-01"]
    assert main(["import", "ladder", "--cache", str(tmp_path / "files"), "--every", "15", *days]) == 0
    said = capsys.readouterr().out
    assert "bybit-every_s=15-bands_only=True 2026-07-01: 240 ticks" in said
    assert "0 moments in both" in said
    assert said.endswith("a verdict on Vision's form would be about another score\n")
    assert main(["import", "ladder", "--cache", str(tmp_path / "none"), *days]) == 1
