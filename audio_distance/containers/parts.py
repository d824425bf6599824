"""The bytes of a file, in memory or mapped, and the parts of it that a decoder is given."""

from __future__ import annotations

import io
import mmap
from dataclasses import dataclass
from typing import Any, BinaryIO

from audio_distance.errors import AudioError

RATES = (1000, 768_000)  # Hz, the limits of files and arrays alike
NO_LENGTH = "the header gives no length: read to the end of the file, whether or not it is whole"
MAPPED_BYTES = 2**25  # of a map that are read before its pages are given back

Data = bytes | mmap.mmap  # of a whole file; a large one is mapped, and takes no memory of its own


def give_back(data: Data) -> None:
    """Let the system have the pages of a map that were read: the file still holds them."""
    if isinstance(data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        data.madvise(mmap.MADV_DONTNEED)


def find(data: Data, pattern: bytes, start: int = 0) -> int:
    """Where ``pattern`` comes first from ``start`` on, -1 if nowhere; piece by piece, for a map."""
    for first in range(start, len(data), MAPPED_BYTES):
        place = data.find(pattern, first, first + MAPPED_BYTES + len(pattern) - 1)
        give_back(data)
        if place >= 0:
            return place
    return -1


class _Mapped(io.RawIOBase):
    """A map as a file, with a position of its own."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._position, self._read = data, 0, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._data)}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        found = self._data[self._position : self._position + len(buffer)]
        buffer[: len(found)] = found
        self._position += len(found)
        self._read += len(found)
        if self._read >= MAPPED_BYTES:
            give_back(self._data)
            self._read = 0
        return len(found)


@dataclass(frozen=True)
class Part:
    """One stream: what the decoder is given, and what must come out."""

    data: Data
    least: int = 0  # samples of a channel, at least
    digest: bytes = b""  # MD5 of the samples as little-endian integers of ``bits`` bits
    bits: int = 0
    seconds: float = 0.0  # to within .1 s; 0: not known

    def opened(self) -> BinaryIO:
        """As a file, from its start."""
        return (
            io.BytesIO(self.data) if isinstance(self.data, bytes) else io.BufferedReader(_Mapped(self.data))
        )


@dataclass(frozen=True)
class Contents:
    """What keeps its promises: a file, or the first of several that were joined end to end."""

    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()


def upto(data: Data, end: int) -> Data:
    """The first bytes, and no copy where that is all."""
    return data if end >= len(data) else data[:end]


def refuse_rate(rate: float) -> int:
    """The rate in whole Hz, within the limits of ``RATES``."""
    if not RATES[0] <= rate <= RATES[1]:
        raise AudioError(
            f"the header gives a rate of {rate:g} Hz, outside {RATES[0]} to {RATES[1]} Hz; likely a damaged "
            "header, or a file that holds no sound"
        )
    return int(rate)
