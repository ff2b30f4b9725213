"""Records with arrays to bytes and back: the codec's JSON, then the arrays as they lie in memory, compressed."""

from math import prod
from typing import Any, Literal, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray
from zlib_ng import zlib_ng

from storage.codec import from_plain, to_plain

T = TypeVar("T")

_ARRAY = "array"  #: the one key of the JSON object in place of an array: its number
_LENGTH_BYTES = 4
_LEVEL = 1  #: higher ones take two thirds longer for a tenth less


def to_blob(value: Any) -> bytes:
    """Return a record as bytes."""
    arrays: list[NDArray[Any]] = []

    def take(array: NDArray[Any]) -> dict[str, int]:
        arrays.append(array)
        return {_ARRAY: len(arrays) - 1}

    text = orjson.dumps(to_plain(value), take)
    orders: list[Literal["C", "F"]] = ["F" if array.flags.fnc else "C" for array in arrays]
    shapes = orjson.dumps([[one.dtype.str, one.shape, order] for one, order in zip(arrays, orders, strict=True)])
    packer = zlib_ng.compressobj(_LEVEL)
    parts = [packer.compress(len(part).to_bytes(_LENGTH_BYTES) + part) for part in (text, shapes)]
    # `tobytes` would copy, and keep the interpreter, and with it the loop, while it does
    parts += [packer.compress(array.ravel(order).data) for array, order in zip(arrays, orders, strict=True)]
    return b"".join([*parts, packer.flush()])


def from_blob(kind: type[T], blob: bytes) -> T:
    """Return the record of type `kind` that `to_blob` made `blob` from.

    Raises
    ------
    ValueError
        It is damaged, or older code made it of another record.
    """
    try:
        return _from_blob(kind, blob)
    except (zlib_ng.error, KeyError, TypeError, ValueError) as error:  # type: ignore[misc]  # its stub says no class
        raise ValueError(f"the saved {kind.__name__.lower()} cannot be read: {error!r}") from error


def _from_blob(kind: type[T], blob: bytes) -> T:
    plain = memoryview(zlib_ng.decompress(blob))
    texts = []
    for _ in range(2):
        length = int.from_bytes(plain[:_LENGTH_BYTES])
        texts.append(orjson.loads(plain[_LENGTH_BYTES : _LENGTH_BYTES + length]))
        plain = plain[_LENGTH_BYTES + length :]
    arrays = []
    for code, shape, order in texts[1]:
        size = np.dtype(code).itemsize * prod(shape)
        arrays.append(np.frombuffer(plain[:size], code).reshape(shape, order=order))
        plain = plain[size:]
    return from_plain(kind, _put_back(texts[0], arrays))


def _put_back(plain: Any, arrays: list[NDArray[Any]]) -> Any:
    if isinstance(plain, dict):
        if plain.keys() == {_ARRAY}:
            return arrays[plain[_ARRAY]]
        return {key: _put_back(item, arrays) for key, item in plain.items()}
    return [_put_back(item, arrays) for item in plain] if isinstance(plain, list) else plain
