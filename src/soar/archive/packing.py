"""How archives store texts and hashes from layout 5 on: compressed, and as bytes.

Knows bytes and text; knows neither tables nor what the texts mean. The format must stay readable for ever: the
dictionary beside this file never changes; a new one would get a new first byte.
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

RAW, PACKED, SPLICED = b"\x00", b"\x01", b"\x02"
"""The first byte of a stored text says what follows: UTF-8; a Zstandard frame made with the dictionary; or four bytes
that say before which character of the rest the program belongs, then the rest, stored likewise."""

LEVEL = 4
"""A program of 2 KB takes 15 µs and 610 bytes; level 3 takes 9 and 647, level 5 27 and 600. The interpreter lock is
free meanwhile."""

SHORT = 32
"""Shorter outputs are stored as they are: packing would hardly shorten them."""

DICTIONARY = Path(__file__).with_name("packing.zdict")
"""Eight KB of what programs, completions and outputs have in common: short texts repeat little within themselves.
``benchmarks/packing_dictionary.py`` made it."""


class _Frames(threading.local):
    """Compression, per thread: the library's objects serve one thread at a time."""

    def __init__(self) -> None:
        common = ZstdCompressionDict(DICTIONARY.read_bytes())
        common.precompute_compress(level=LEVEL)
        # Magic number and dictionary id are left out: they are the same everywhere.
        how = ZstdCompressionParameters.from_level(LEVEL, format=FORMAT_ZSTD1_MAGICLESS, write_dict_id=False)
        compressor = ZstdCompressor(dict_data=common, compression_params=how)
        self.compress, self.compress_all = compressor.compress, compressor.multi_compress_to_buffer
        self.decompress = ZstdDecompressor(dict_data=common, format=FORMAT_ZSTD1_MAGICLESS).decompress


_frames = _Frames()


def pack(text: str, code: str | None = None) -> bytes:
    """Return a text in stored form, without its program if it contains it."""
    before, rest = _without(text, code)
    plain = rest.encode()
    return before + _shorter(plain, _frames.compress(plain))


def pack_without(texts: Sequence[tuple[str, str | None]]) -> list[bytes]:
    """Return texts, each with its program if that is known, as `pack` does, and like `pack_all` in one call."""
    parts = [_without(text, code) for text, code in texts]
    packed = pack_all([rest for _, rest in parts])
    return [before + frame for (before, _), frame in zip(parts, packed, strict=True)]


def _without(text: str, code: str | None) -> tuple[bytes, str]:
    """Return a text without its program, and the bytes that say where it belongs, none if the text does not hold it."""
    place = text.find(code) if code else -1
    if code and place >= 0:
        return SPLICED + place.to_bytes(4, "big"), text[:place] + text[place + len(code) :]
    return b"", text


def pack_all(texts: Sequence[str]) -> list[bytes]:
    """Return texts in stored form. In one call: each separate compression would release the interpreter lock and wait
    to regain it."""
    plains: list[Any] = [text.encode() for text in texts]
    if not any(plains):
        return [RAW] * len(plains)
    frames = [frame.tobytes() for frame in _frames.compress_all(plains)]
    return list(map(_shorter, plains, frames))


def _shorter(plain: bytes, frame: bytes) -> bytes:
    return PACKED + frame if len(frame) < len(plain) else RAW + plain


def unpack(stored: bytes, code: str | None = None) -> str:
    """Return a stored text, given its program if it has one; `ValueError` if we did not write the bytes."""
    first = stored[:1]
    if first == RAW:
        return stored[1:].decode()
    if first == SPLICED and code is not None:
        place, rest = int.from_bytes(stored[1:5], "big"), unpack(stored[5:])
        return rest[:place] + code + rest[place:]
    if first != PACKED:
        raise ValueError(f"a packed text begins with {first!r}" + (", its program is missing" if not code else ""))
    try:
        return _frames.decompress(stored[1:]).decode()
    except (ZstdError, MemoryError, OverflowError) as error:  # a damaged frame may claim petabytes
        raise ValueError(f"a text cannot be unpacked: {error}") from None


def pack_outputs(texts: Sequence[str]) -> list[str | bytes]:
    """Return the JSON of outputs in stored form. Failures stay text, so that SQL can query how programs fail."""
    long = [text for text in texts if len(text) >= SHORT and not text.startswith("{")]
    packed = dict(zip(long, pack_all(long), strict=True))
    return [packed.get(text, text) for text in texts]


def unpack_output(stored: str | bytes) -> str:
    """Return the JSON that `pack_outputs` was given; `ValueError` as `unpack`."""
    return stored if isinstance(stored, str) else unpack(stored)


def name_of(stored: bytes | None) -> str | None:
    """Return the 32 hex digits of a stored hash, None for None."""
    return None if stored is None else stored.hex()


def stored_name(name: str | None) -> bytes | None:
    """Return a hash in stored form, None for None."""
    return None if name is None else bytes.fromhex(name)


def names_of(stored: bytes) -> tuple[str, ...]:
    """Return the hashes in a stored list of them."""
    digits = stored.hex()
    return tuple([digits[begin : begin + 32] for begin in range(0, len(digits), 32)])
