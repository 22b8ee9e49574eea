"""How texts and hashes lie in an archive's tables since layout 5: compressed, and as bytes.

Knows bytes and text; knows neither tables nor what the texts say. What is written here is read for ever: the dictionary
beside this file never changes, another one would have another first byte.
"""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from zstandard import (
    FORMAT_ZSTD1_MAGICLESS,
    ZstdCompressionDict,
    ZstdCompressionParameters,
    ZstdCompressor,
    ZstdDecompressor,
    ZstdError,
)

ALONE, PACKED, BESIDE = b"\x00", b"\x01", b"\x02"
"""The first byte of what is stored: UTF-8 follows; a frame of Zstandard by the dictionary; four bytes that say before
which character of the rest the program belongs, and the rest, stored likewise."""

LEVEL = 3
"""The levels above take two to five times as long and make a program a twentieth smaller."""

SHORT = 32
"""An output of fewer characters is stored as it is: it would hardly become shorter."""

DICTIONARY = Path(__file__).with_name("packing.zdict")
"""What programs, replies and outputs have in common, eight KB of it: short texts repeat little of themselves.
``benchmarks/packing_dictionary.py`` made it."""


class _Frames(threading.local):
    """Compression, a thread's own: what the library makes serves one thread at a time."""

    def __init__(self) -> None:
        common = ZstdCompressionDict(DICTIONARY.read_bytes())
        common.precompute_compress(level=LEVEL)
        # Neither the magic number nor the dictionary's is needed: they are the same everywhere.
        how = ZstdCompressionParameters.from_level(LEVEL, format=FORMAT_ZSTD1_MAGICLESS, write_dict_id=False)
        compressor = ZstdCompressor(dict_data=common, compression_params=how)
        self.compress, self.compress_all = compressor.compress, compressor.multi_compress_to_buffer
        self.decompress = ZstdDecompressor(dict_data=common, format=FORMAT_ZSTD1_MAGICLESS).decompress


_frames = _Frames()


def pack(text: str, code: str | None = None) -> bytes:
    """Return a text as it is stored; without its program where that stands in it."""
    place = text.find(code) if code else -1
    if code and place >= 0:
        return BESIDE + place.to_bytes(4, "big") + pack(text[:place] + text[place + len(code) :])
    plain = text.encode()
    return _shorter(plain, _frames.compress(plain))


def pack_all(texts: Sequence[str]) -> list[bytes]:
    """Return texts as they are stored. All together: for each compression the thread would give way to others, and wait
    for its turn."""
    plains: list[Any] = [text.encode() for text in texts]
    if not any(plains):
        return [ALONE] * len(plains)
    frames = [frame.tobytes() for frame in _frames.compress_all(plains)]
    return list(map(_shorter, plains, frames))


def _shorter(plain: bytes, frame: bytes) -> bytes:
    return PACKED + frame if len(frame) < len(plain) else ALONE + plain


def unpack(stored: bytes, code: str | None = None) -> str:
    """Return the text that was stored, given the program if it has one; `ValueError` where the bytes are nothing of
    ours."""
    first = stored[:1]
    if first == ALONE:
        return stored[1:].decode()
    if first == BESIDE and code is not None:
        place, rest = int.from_bytes(stored[1:5], "big"), unpack(stored[5:])
        return rest[:place] + code + rest[place:]
    if first != PACKED:
        raise ValueError(f"a packed text begins with {first!r}" + (", its program is not there" if not code else ""))
    try:
        return _frames.decompress(stored[1:]).decode()
    except (ZstdError, MemoryError, OverflowError) as error:  # a damaged frame may say that it holds petabytes
        raise ValueError(f"a text cannot be unpacked: {error}") from None


def pack_outputs(texts: Sequence[str]) -> list[str | bytes]:
    """Return the JSON of outputs as it is stored. Failures stay as they are: how programs fail is asked with SQL."""
    long = [text for text in texts if len(text) >= SHORT and not text.startswith("{")]
    packed = dict(zip(long, pack_all(long), strict=True))
    return [packed.get(text, text) for text in texts]


def unpack_output(stored: str | bytes) -> str:
    """Return the JSON that `pack_outputs` was given; `ValueError` as `unpack`."""
    return stored if isinstance(stored, str) else unpack(stored)


def name_of(stored: bytes | None) -> str | None:
    """Return the 32 hex digits of a stored hash, None where there is none."""
    return None if stored is None else stored.hex()


def stored_name(name: str | None) -> bytes | None:
    """Return a hash as it is stored."""
    return None if name is None else bytes.fromhex(name)


def names_of(stored: bytes) -> tuple[str, ...]:
    """Return the hashes in a stored list of them."""
    digits = stored.hex()
    return tuple([digits[begin : begin + 32] for begin in range(0, len(digits), 32)])
