"""Containers of chunks, each with its name and size: what RIFF, RF64, W64, AIFF and CAF have in common.

Conventions
    layout     how the chunks of a container lie.
    form       bytes of the whole file, as its head gives them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from audio_distance.containers.kinds import kind_of, tag_length
from audio_distance.containers.parts import Data
from audio_distance.errors import AudioError


class Layout(NamedTuple):
    """How the chunks of a container lie."""

    head: str  # name and size
    first: int  # where the first chunk begins
    samples: bytes  # name of the chunk of samples
    align: int  # chunks begin at multiples
    own: int = 0  # what a size counts of the head

    def size(self, data: Data, position: int) -> int:
        """Of the content of the chunk at a position."""
        return int(struct.unpack_from(self.head, data, position)[1]) - self.own


# What programs write that cannot know a size: some subtract their header, of fewer than 256 bytes.
_PLACEHOLDERS = (0x7FFFF000, 2_000_000_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass(frozen=True)
class Chunks:
    found: dict[
        bytes, tuple[int, int]
    ]  # name -> start of the content and its size, of the first of each name
    start: int  # of the samples
    size: int  # promised
    end: int  # where the chunk behind the samples begins

    def content(self, data: Data, name: bytes) -> bytes:
        start, size = self.found.get(name, (0, 0))
        return data[start : start + size]


def walk(data: Data, layout: Layout) -> Chunks:
    """All chunks; AudioError if there are no samples among them."""
    found: dict[bytes, tuple[int, int]] = {}
    position, length, behind = layout.first, struct.calcsize(layout.head), 0
    while position + length <= len(data):
        name, size = struct.unpack_from(layout.head, data, position)
        position += length
        size -= layout.own
        if size < 0 and name != layout.samples:
            break
        found.setdefault(name, (position, size))
        padded = position - layout.first + size  # W64 and RIFF begin at multiples of their alignment
        position = layout.first + -(-padded // layout.align) * layout.align
        if name == layout.samples:
            behind = position
            if size < 0:
                break
    if layout.samples not in found:
        raise AudioError("the file holds no chunk of samples; likely truncated")
    return Chunks(found, *found[layout.samples], behind)


def is_placeholder(size: int) -> bool:
    return size < 0 or size >= 2**62 or any(0 <= value - size < 256 for value in _PLACEHOLDERS)


def refuse_cut(promised: int, held: int) -> None:
    if promised > held:
        raise AudioError(
            f"truncated: the header promises {promised} bytes of samples, "
            f"the file holds {held}; likely an interrupted copy"
        )


def named(data: Data, position: int, length: int = 4) -> bool:
    """Does a chunk's name stand here? Letters, digits and spaces, which samples hardly ever are."""
    name = data[position : position + length]
    return len(name) == length and name.replace(b" ", b"").isalnum()  # of ASCII


def behind(data: Data, chunks: Chunks, layout: Layout, form: int) -> int:
    """Where the file ends or another of its kind begins; AudioError if samples may lie in between.

    Chunks and tags may. Behind the end of the ``form`` they are whole, as in any file that is not cut.
    """
    kind, length = kind_of(data[:12]), struct.calcsize(layout.head)
    start = chunks.start + chunks.size
    # A chunk of odd size that was not padded, as some programs write it.
    position = start if named(data, start) and not named(data, chunks.end) else chunks.end
    while position < len(data):
        rest = len(data) - position - length
        if kind_of(data[position : position + 12]) == kind:
            return position
        if tag := tag_length(data, position):
            position += tag
        elif named(data, position) and (rest <= 0 or form > len(data) or layout.size(data, position) <= rest):
            size = layout.size(data, position) if rest >= 0 else 0
            position += length + -(-max(0, size) // layout.align) * layout.align
        elif not data[position:].strip(b"\0\r\n "):  # padding
            break
        else:
            raise AudioError(
                f"the header promises {chunks.size} bytes of samples, and {len(data) - position} bytes "
                "behind them are no chunk; likely a damaged header, or a file that was joined from parts"
            )
    return len(data)
