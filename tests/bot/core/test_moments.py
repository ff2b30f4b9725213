"""Random moments of a made history."""

from collections import Counter
from pathlib import Path

from bot.replay import Replay, Replayed
from fetchers.archives.history_profile import Profile
from tests.fetchers.archives.made import DAY_MS, SYMBOLS, put_files, vision_contents
from tests.fetchers.archives.test_build import build

SEED = 28  # draws both coins where the hour is warm


async def test_moments(tmp_path: Path) -> None:
    """At most one of a coin and hour, never Bitcoin, the same for a seed, followed to an end by the product's exits."""
    put_files(tmp_path / "files", vision_contents())
    tapes = build(tmp_path / "files", tmp_path / "tapes", SYMBOLS, Profile(source="vision", every_s=30)).report.files

    async def play(seed: int | None) -> Replayed:
        async with Replay(changed={"SIGNAL_TIMEOUT_SECONDS": "300"}, moments_seed=seed) as replay:
            return await replay.play(tapes)

    first, none = await play(SEED), await play(None)
    assert Counter(signal.coin for signal, _ in first.moments) == {"WIF": 1, "PEPE": 1}
    assert len({signal.id for signal, _ in first.moments}) == len(first.moments)
    for signal, outcome in first.moments:
        assert DAY_MS <= signal.decided_ms < outcome.exit_ms <= signal.decided_ms + 360_000
        assert not all(verdict.passed for verdict in signal.verdicts)  # the gates do not choose them
    assert not none.moments
    assert first.digest == none.digest  # who is watched changes nothing that is decided
