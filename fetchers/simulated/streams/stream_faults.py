"""What can go wrong on a simulated stream."""

import zlib
from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import orjson

StreamFault: TypeAlias = Literal[
    # life of a connection
    "stall",  # open, pongs, no data
    "stall_one",  # of the named symbol only
    "no_pong",  # data goes on
    "reset",  # in the middle of a frame
    "hang",  # in the handshake
    "forbidden",  # 403 there
    "too_many",  # 429 there
    "drip",  # data comes seconds late
    "burst",  # twenty times the frames
    # order
    "gap",  # each fifth frame is lost
    "duplicate",
    "disorder",
    "replay",  # a new connection begins with the last 5 s
    # subscription
    "half",  # of what is accepted is never sent
    "unsubscribed_goes_on",
    # content
    "binary",
    "html",
    "truncated",
    "nan",
    "negative",
    "other_product",
    "ahead",  # the venue's clock is 30 s ahead
    "behind",  # and 30 s behind
    "past",  # prints of an hour ago
]
Faults: TypeAlias = Mapping[StreamFault, str]
BURST = 19  #: frames of no interest beside each good one
CLOCK_MS: Mapping[StreamFault, int] = {"ahead": 30_000, "behind": -30_000, "past": -3_600_000}
JUNK = orjson.dumps(
    {"stream": "junkusdt@aggTrade", "topic": "publicTrade.JUNKUSDT", "data": [], "channel": "push.deal"}
)


def is_half(topic: str) -> bool:
    """Return whether a topic belongs to the half that is never sent."""
    return zlib.crc32(topic.encode()) % 2 == 0


def spoilt(faults: Faults, frames: dict[str, list[bytes]], now_ms: int) -> dict[str, list[bytes]]:
    """Return the frames of a push by symbol, as they leave the venue for all clients."""
    if "stall_one" in faults:
        frames = {symbol: found for symbol, found in frames.items() if symbol != faults["stall_one"]}
    for fault, by_ms in CLOCK_MS.items():
        if fault in faults:
            frames = {symbol: [_moved(frame, now_ms, by_ms) for frame in found] for symbol, found in frames.items()}
    return frames


def _moved(frame: bytes, now_ms: int, by_ms: int) -> bytes:
    # all times of a frame begin with the same digits as now, but where a second has just begun
    for second in (now_ms // 1000, now_ms // 1000 - 1, now_ms // 1000 + 1):
        frame = frame.replace(b":%d" % second, b":#%d" % (second + by_ms // 1000))
    return frame.replace(b":#", b":")


def _negative(frame: bytes) -> bytes:
    if b'"v":"' in frame or b'"q":"' in frame:
        return frame.replace(b'"q":"', b'"q":"-').replace(b'"v":"', b'"v":"-')
    return frame.replace(b'"v":', b'"v":-')


Damage: TypeAlias = Callable[[list[bytes]], list[bytes]]
DAMAGES: Mapping[StreamFault, Damage] = {
    "gap": lambda frames: [frame for frame in frames if zlib.crc32(frame) % 5],
    "duplicate": lambda frames: [frame for frame in frames for _ in range(2)],
    "disorder": lambda frames: frames[::-1],
    "burst": lambda frames: [one for frame in frames for one in (frame, *[JUNK] * BURST)],
    "binary": lambda frames: [b"\x1f\x8b\x08\x00" + frame[:9] for frame in frames],
    "html": lambda frames: [b"<html><body>502 Bad Gateway</body></html>"] * len(frames),
    "truncated": lambda frames: [frame[: len(frame) // 2] for frame in frames],
    "nan": lambda frames: [frame.replace(b'"p":', b'"p":"NaN","x":') for frame in frames],
    "negative": lambda frames: [_negative(frame) for frame in frames],
    "other_product": lambda frames: [
        frame.replace(b'"st":1', b'"st":2').replace(b'USDT","S"', b'USDC","S"').replace(b"_USDT", b"_USDC")
        for frame in frames
    ],
}


def damaged(faults: Faults, frames: list[bytes]) -> list[bytes]:
    """Return the frames of a push as they reach one client."""
    for fault, damage in DAMAGES.items():
        if fault in faults:
            frames = damage(frames)
    return frames
