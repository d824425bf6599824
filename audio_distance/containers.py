"""What a container promises, against what it holds.

Decoders are made to play on: they read a damaged file as a shorter one, or as another, without a word. Most
containers carry the evidence (sizes, counts, checksums), so it is read here, beside the decoder.

Conventions
    data       the bytes of a whole file; what it is, these decide, never its name.
    part       one stream of a file: a file that was joined from several is read part by part.
    promised   by the header; held, by the file. Where they differ, an ``AudioError`` gives both.
    note       what a reader of the result should know of a file that was read all the same.

Sources: RFC 3533 (Ogg), RFC 9639 (FLAC), ISO 11172-3 and 13818-7 (MPEG, ADTS), ISO 14496-12 (MP4), the LAME
tag (gabriel.mp3-tech.org), Microsoft's RIFF, EBU 3306 (RF64), Apple's AIFF and CAF, Sony's W64, Sun's AU.
"""

from __future__ import annotations

import io
import mmap
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from audio_distance.errors import AudioError

RATES = (1000, 768_000)  # Hz, the limits of files and arrays alike

CHECKS = 2  # version of what is refused here: what was read under another may be damaged

NO_LENGTH = "the header gives no length: read to the end of the file, whether or not it is whole"
JOINED = "several files joined end to end: all of them are heard"


MOST_PARTS = 1000  # of a file

Data = bytes | mmap.mmap  # of a whole file; a large one is mapped, and takes no memory of its own


MAPPED_BYTES = 2**25  # of a map that are read before its pages are given back


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


def kind_of(head: bytes) -> str:
    """The container that the first 12 bytes of a file show, "" if it is none of those known here."""
    if head[:4] in {b"RIFF", b"RIFX", b"RF64"}:
        return "wav" if head[8:12] == b"WAVE" else ""
    if head[:4] == b"FORM":
        return "aiff" if head[8:12] in {b"AIFF", b"AIFC"} else ""
    if head[4:8] == b"ftyp":
        return "mp4"
    if head[:2] > b"\xff\xe0" and head[1] & 0xE0 == 0xE0:  # eleven bits of synchronisation, then the layer
        return "mpeg" if head[1] & 6 else "adts"
    return _MAGIC.get(head[:4], "")


def tag_length(data: Data, position: int = 0) -> int:
    """Bytes of the tag (ID3, APE, Lyrics3) at a position, 0 if there is none."""
    head = data[position : position + 32]
    if head[:3] == b"ID3" and len(head) >= 10 and max(head[6:10]) < 128:
        size = sum(byte << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        return size + (20 if head[5] & 0x10 else 10)
    if head[:8] == b"APETAGEX" and len(head) == 32:
        size, flags = struct.unpack_from("<I4xI", head, 12)
        return 32 + (size if flags & 0x20000000 else 0)  # a head before its items, or a foot behind them
    if head[:3] == b"TAG":
        return 128
    if head[:11] == b"LYRICSBEGIN":
        end = data.find(b"LYRICS200", position)
        return end + 9 - position if end >= 0 else 0
    return 0


def _tags_behind(data: Data) -> int:
    """Where the tags at the end of a file begin, of which an APE tag of the first version has no head."""
    end = len(data) - (128 if data[-128:-125] == b"TAG" else 0)
    foot = data[max(0, end - 32) : end]
    return end - (struct.unpack_from("<I", foot, 12)[0] if foot[:8] == b"APETAGEX" else 0)


def contents(data: Data) -> Contents:
    """The parts of a file, each as its decoder is to be given it; AudioError if it breaks its promises."""
    parts: list[Part] = []
    notes: list[str] = []
    while data:
        start = 0
        while not kind_of(data[start : start + 12]) and (tag := tag_length(data, start)):
            start += tag
        if start:  # a tag may precede anything
            data = data[start:]
        check = _CHECKS.get(kind_of(data[:12]))
        if check is None:
            parts.append(Part(data))
            break
        found, end = check(data)
        parts += found.parts
        notes += found.notes
        data = data[end:]
        if data and len(parts) >= MOST_PARTS:
            raise AudioError(f"joined from more than {MOST_PARTS} files; likely damaged")
    if len(parts) > 1:
        notes.append(JOINED)
    return Contents(tuple(parts), tuple(dict.fromkeys(notes)))


def _upto(data: Data, end: int) -> Data:
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


# Chunks: WAV, RF64, W64, AIFF, CAF


class _Layout(NamedTuple):
    """How the chunks of a container lie."""

    head: str  # name and size
    first: int  # where the first chunk begins
    samples: bytes  # name of the chunk of samples
    align: int  # chunks begin at multiples
    own: int = 0  # what a size counts of the head

    def size(self, data: Data, position: int) -> int:
        """Of the content of the chunk at a position."""
        return int(struct.unpack_from(self.head, data, position)[1]) - self.own


_RIFF = _Layout("<4sI", 12, b"data", 2)
_RIFX = _Layout(">4sI", 12, b"data", 2)
_AIFF = _Layout(">4sI", 12, b"SSND", 2)
_CAF = _Layout(">4sq", 8, b"data", 1)
_W64_REST = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # all names of W64 but "riff" end like this
_W64 = _Layout("<16sQ", 40, b"data" + _W64_REST, 8, own=24)

# What programs write that cannot know a size: some subtract their header, of fewer than 256 bytes.
_PLACEHOLDERS = (0x7FFFF000, 2_000_000_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass(frozen=True)
class _Chunks:
    found: dict[
        bytes, tuple[int, int]
    ]  # name -> start of the content and its size, of the first of each name
    start: int  # of the samples
    size: int  # promised
    end: int  # where the chunk behind the samples begins

    def content(self, data: Data, name: bytes) -> bytes:
        start, size = self.found.get(name, (0, 0))
        return data[start : start + size]


def _walk(data: Data, layout: _Layout) -> _Chunks:
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
    return _Chunks(found, *found[layout.samples], behind)


def _is_placeholder(size: int) -> bool:
    return size < 0 or size >= 2**62 or any(0 <= value - size < 256 for value in _PLACEHOLDERS)


def _refuse_cut(promised: int, held: int) -> None:
    if promised > held:
        raise AudioError(
            f"truncated: the header promises {promised} bytes of samples, "
            f"the file holds {held}; likely an interrupted copy"
        )


def _named(data: Data, position: int, length: int = 4) -> bool:
    """Does a chunk's name stand here? Letters, digits and spaces, which samples hardly ever are."""
    name = data[position : position + length]
    return len(name) == length and name.replace(b" ", b"").isalnum()  # of ASCII


def _behind(data: Data, chunks: _Chunks, layout: _Layout, form: int) -> int:
    """Where the file ends or another of its kind begins; AudioError if samples may lie in between.

    Chunks and tags may. Behind the end of the ``form`` they are whole, as in any file that is not cut.
    """
    kind, length = kind_of(data[:12]), struct.calcsize(layout.head)
    start = chunks.start + chunks.size
    # A chunk of odd size that was not padded, as some programs write it.
    position = start if _named(data, start) and not _named(data, chunks.end) else chunks.end
    while position < len(data):
        rest = len(data) - position - length
        if kind_of(data[position : position + 12]) == kind:
            return position
        if tag := tag_length(data, position):
            position += tag
        elif _named(data, position) and (
            rest <= 0 or form > len(data) or layout.size(data, position) <= rest
        ):
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


def _wav(data: Data) -> tuple[Contents, int]:
    """RIFF, RIFX and RF64."""
    layout = _RIFX if data[:4] == b"RIFX" else _RIFF
    order = layout.head[0]
    chunks = _walk(data, layout)
    size, held = chunks.size, len(data) - chunks.start
    long_sizes = chunks.content(data, b"ds64")
    if size == 0xFFFFFFFF and len(long_sizes) >= 16:
        size = struct.unpack_from("<Q", long_sizes, 8)[0]
    block = _block_of_format(chunks.content(data, b"fmt "), order)
    nothing = size == 0 and held >= block and not _named(data, chunks.start)
    if nothing or (size > held and _is_placeholder(size)):
        size = held // block * block
        sizes = struct.pack(order + "I", min(size, 0xFFFFFFFF))
        whole = struct.pack(order + "I", min(chunks.start + size - 8, 0xFFFFFFFF))
        start = b"RIFX" if order == ">" else b"RIFF"
        whole = start + whole + data[8 : chunks.start - 4] + sizes + data[chunks.start :]
        return Contents((Part(whole),), (NO_LENGTH,)), len(data)
    _refuse_cut(size, held)
    chunks = _Chunks(chunks.found, chunks.start, size, chunks.start + size + size % 2)
    form = struct.unpack_from(order + "I", data, 4)[0]
    if form == 0xFFFFFFFF and len(long_sizes) >= 8:
        form = struct.unpack_from("<Q", long_sizes)[0]
    end = _behind(data, chunks, layout, 8 + form)
    return Contents((Part(_upto(data, end)),)), end


def _w64(data: Data) -> tuple[Contents, int]:
    chunks = _walk(data, _W64)
    held = len(data) - chunks.start
    block = _block_of_format(chunks.content(data, b"fmt " + _W64_REST), "<")
    if chunks.size > held and _is_placeholder(chunks.size + 24):
        size = held // block * block
        whole = data[: chunks.start - 8] + struct.pack("<Q", size + 24) + data[chunks.start :]
        return Contents((Part(whole),), (NO_LENGTH,)), len(data)
    _refuse_cut(chunks.size, held)
    end = _behind(data, chunks, _W64, struct.unpack_from("<Q", data, 16)[0])
    # libsndfile takes what follows the samples for more of them.
    return Contents((Part(_upto(data, chunks.start + chunks.size)),)), end


def _block_of_format(content: bytes, order: str) -> int:
    """Bytes of a block (a sample of each channel) of a ``fmt `` chunk whose fields agree with each other."""
    if len(content) < 16:
        raise AudioError("the header has no whole chunk fmt; likely truncated or damaged")
    fields: tuple[int, ...] = struct.unpack_from(order + "HHIIHH", content)
    tag, channels, rate, bytes_a_second, block, bits = fields
    if tag == 0xFFFE and len(content) >= 26:
        tag = struct.unpack_from(order + "H", content, 24)[0]
    if not channels or not block:
        raise AudioError(f"the header gives {channels} channels in blocks of {block} bytes; it is damaged")
    samples = 1  # of a channel in a block
    if tag in {1, 3, 6, 7}:
        expected = channels * -(-bits // 8)
        if block != expected:
            raise AudioError(
                f"the header contradicts itself: {channels} channels of {bits} bits are {expected} bytes, "
                f"and it gives blocks of {block}; likely damaged"
            )
        allowed = {1: range(1, 33), 3: (32, 64), 6: (8,), 7: (8,)}[tag]
        if bits not in allowed:
            raise AudioError(
                f"the header gives {bits} bits to format {tag}, which has none such; it is damaged"
            )
    elif tag in {2, 17, 49} and len(content) >= 20:  # MS and IMA ADPCM, GSM 6.10
        samples = struct.unpack_from(order + "H", content, 18)[0]
    else:
        samples = 0
    expected_rate = rate * block / max(1, samples)
    if samples and abs(bytes_a_second - expected_rate) > (
        0 if samples == 1 else max(2, 0.01 * expected_rate)
    ):
        raise AudioError(
            f"the header contradicts itself: {rate} Hz in blocks of {block} bytes are {expected_rate:.0f} "
            f"bytes a second, and it gives {bytes_a_second}; likely damaged"
        )
    refuse_rate(rate)
    return block


_AIFC_BYTES = {b"fl32": 4, b"FL32": 4, b"fl64": 8, b"FL64": 8, b"alaw": 1, b"ALAW": 1, b"ulaw": 1, b"ULAW": 1}
_AIFC_LINEAR = {b"NONE", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"23ni", b"42ni"}


def _aiff(data: Data) -> tuple[Contents, int]:
    """AIFF and AIFC, whose sizes count the samples twice: in bytes, and one by one."""
    chunks = _walk(data, _AIFF)
    _refuse_cut(chunks.size, len(data) - chunks.start)
    common = chunks.content(data, b"COMM")
    if len(common) < 18:
        raise AudioError("the header has no whole chunk COMM; likely truncated or damaged")
    channels, count, bits = struct.unpack_from(">HIH", common)
    coding = common[18:22] if data[8:12] == b"AIFC" else b"NONE"
    width = _AIFC_BYTES.get(coding, -(-bits // 8) if coding in _AIFC_LINEAR else 0)
    held = chunks.size - 8 - struct.unpack_from(">I", data, chunks.start)[0] if chunks.size >= 8 else 0
    if width and held - count * channels * width not in (0, 1):  # 1: a padding that was counted
        raise AudioError(
            f"the header contradicts itself: {count} samples of {channels} channels are "
            f"{count * channels * width} bytes, and the chunk of samples has {held}; likely damaged"
        )
    end = _behind(data, chunks, _AIFF, 8 + struct.unpack_from(">I", data, 4)[0])
    return Contents((Part(_upto(data, end)),)), end


def _caf(data: Data) -> tuple[Contents, int]:
    chunks = _walk(data, _CAF)
    held = len(data) - chunks.start
    description = chunks.content(data, b"desc")
    if len(description) < 32:
        raise AudioError("the header has no whole chunk desc; likely truncated or damaged")
    rate, coding, _, packet, _, channels, bits = struct.unpack_from(">d4sIIIII", description)
    refuse_rate(rate)
    if coding == b"lpcm" and (packet != channels * -(-bits // 8) or not packet):
        raise AudioError(
            f"the header contradicts itself: {channels} channels of {bits} bits, and packets of {packet} "
            "bytes; likely damaged"
        )
    if chunks.size == -1:  # by the format's rule, if the samples are its last chunk
        size = 4 + (held - 4) // max(1, packet) * max(1, packet)
        whole = data[: chunks.start - 8] + struct.pack(">q", size) + data[chunks.start : chunks.start + size]
        return Contents((Part(whole),), (NO_LENGTH,)), len(data)
    _refuse_cut(chunks.size, held)
    if coding == b"lpcm" and (chunks.size - 4) % packet:  # 4: the edit count
        raise AudioError(
            f"the header contradicts itself: {chunks.size - 4} bytes of samples are no whole number of "
            f"{packet}-byte packets; likely damaged"
        )
    end = _behind(data, chunks, _CAF, len(data))
    return Contents((Part(_upto(data, end)),)), end


def _au(data: Data) -> tuple[Contents, int]:
    """One header and then samples to the end, little-endian if its magic is written backwards."""
    order = ">" if data[:4] == b".snd" else "<"
    if len(data) < 24:
        raise AudioError(f"truncated: the header has 24 bytes, the file holds {len(data)}")
    start, size = struct.unpack_from(order + "II", data, 4)
    held = len(data) - start
    if start < 24 or held <= 0:
        raise AudioError(
            f"the header puts the samples at byte {start} of {len(data)}; likely truncated or damaged"
        )
    if size == 0xFFFFFFFF:
        return Contents((Part(data),), (NO_LENGTH,)), len(data)
    _refuse_cut(size, held)
    end = start + size
    if data[end : end + 4] != data[:4] and any(data[end:]):
        raise AudioError(
            f"the header promises {size} bytes of samples, and the file holds {held}; likely a damaged header"
        )
    return Contents((Part(_upto(data, end)),)), end if any(data[end:]) else len(data)


# Ogg

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # the bits of each byte


def _ogg_checksum(page: bytes) -> int:
    """Ogg's CRC-32 is zlib's with the bits in the other order, and without its two inversions."""
    mirrored = zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def _ogg(data: Data) -> tuple[Contents, int]:
    """Every page whole, in sequence, up to the one that ends its stream; chained streams are parts."""
    position, starts = 0, [0]
    following: dict[int, int] = {}  # serial number of a stream that has not ended -> its next page
    begun = False  # a page that does not begin a stream has been seen in this part
    cut = "truncated: the last Ogg page is cut; likely an interrupted copy"
    while position < len(data):
        head = data[position : position + 27]
        if head[:4] != b"OggS" or len(head) < 27:
            if data.find(b"OggS", position + 1) >= 0:
                raise AudioError(f"damaged: what lies at byte {position} is no Ogg page, and pages follow")
            if not following:  # a tag, or padding, behind the last page
                break
            raise AudioError(cut)
        flags, serial, number, checksum, segments = struct.unpack_from("<xB8xIIIB", head, 4)
        lengths = data[position + 27 : position + 27 + segments]
        end = position + 27 + segments + sum(lengths)
        if len(lengths) < segments or end > len(data):
            raise AudioError(cut)
        page = data[position : position + 22] + bytes(4) + data[position + 26 : end]
        if (found := _ogg_checksum(page)) != checksum:
            raise AudioError(
                f"damaged: the Ogg page at byte {position} has the checksum {checksum:08x}, and its content "
                f"gives {found:08x}; likely a faulty copy"
            )
        if flags & 2:  # the first page of a stream
            if begun:
                if following:
                    raise AudioError(
                        f"damaged: a new Ogg stream begins at byte {position} before the last one has ended; "
                        "likely joined from parts of which one is cut"
                    )
                starts.append(position)
                begun = False
            following[serial] = number
        else:
            begun = True
        if following.get(serial) != number:
            before = f"{following[serial] - 1} of its stream" if serial in following else "of no stream"
            raise AudioError(
                f"damaged: Ogg page {number} at byte {position} follows page {before}; pages are missing"
            )
        following[serial] = number + 1
        if flags & 4:
            del following[serial]
        position = end
    if following:
        raise AudioError(
            "truncated: the last Ogg page is not marked as the end of its stream; likely an interrupted copy "
            "or recording"
        )
    ends = [*starts[1:], position]
    parts = tuple(Part(data[start:end]) for start, end in zip(starts, ends, strict=True))
    return Contents(parts), len(data)


# FLAC


def _flac(data: Data) -> tuple[Contents, int]:
    """STREAMINFO against the frames; its MD5 is compared once the samples are decoded."""
    if len(data) < 42:
        raise AudioError(f"truncated: a FLAC header has 42 bytes, the file holds {len(data)}")
    fields = int.from_bytes(data[18:26], "big")  # rate 20 bits, channels 3, bits 5, samples 36
    rate, bits, promised = fields >> 44, (fields >> 36 & 31) + 1, fields & (2**36 - 1)
    refuse_rate(rate)
    _refuse_unlike_frame(data)
    has_digest = any(data[26:42])
    digest = (
        data[26:42] if has_digest and bits in (8, 16, 24) else b""
    )  # others are padded in ways of their own
    end = 42
    while (end := find(data, b"fLaC", end + 1)) > 0 and data[end + 4 : end + 8] not in _STREAMINFO:
        continue
    end = end if end > 0 else len(data)
    if promised > 6554 * len(data):  # a frame has at least 10 bytes, and at most 65,535 samples
        raise AudioError(
            f"the header promises {promised} samples, more than {len(data)} bytes can hold; it is damaged"
        )
    if promised and has_digest:
        return Contents((Part(_upto(data, end), digest=digest, bits=bits),)), end
    # Without the one or the other the frames tell, by their numbers and checksums.
    held, end = _flac_samples(data)
    if promised and promised != held:
        raise AudioError(f"damaged: the header promises {promised} samples, and the frames hold {held}")
    # libsndfile cannot read a FLAC file of unknown length to its end: tell it.
    whole = data[:18] + (fields | held).to_bytes(8, "big") + data[26:end]
    notes = () if promised or has_digest else (NO_LENGTH,)
    return Contents((Part(whole, digest=digest, bits=bits),), notes), end


_STREAMINFO = {b"\x00\x00\x00\x22", b"\x80\x00\x00\x22"}  # head of the first block: 34 bytes, or the only one
_FLAC_SIZES = {1: 192, 2: 576, 3: 1152, 4: 2304, 5: 4608, **{code: 256 << code - 8 for code in range(8, 16)}}


def _flac_samples(data: Data) -> tuple[int, int]:
    """Samples of a channel in all frames, and where the last one ends: each whole, and in its turn."""
    position = _flac_first(data)
    samples = frames = 0
    while position < len(data):
        number, size = _flac_frame(data, position)
        if not size or number != (samples if data[position + 1] & 1 else frames):
            if frames and data[position : position + 4] == b"fLaC":
                return samples, position
            if frames and (tag_length(data, position) or not any(data[position:])):
                return samples, len(data)
            raise AudioError(f"damaged: at byte {position} of {len(data)}, frame {frames} does not begin")
        end = _flac_frame_end(data, position, samples + size if data[position + 1] & 1 else frames + 1)
        if not end:
            raise AudioError(
                f"truncated or damaged: frame {frames} at byte {position} of {len(data)} does not fit "
                "its checksum; likely an interrupted or faulty copy"
            )
        samples, frames, position = samples + size, frames + 1, end
    if not frames:
        raise AudioError("truncated: the file holds no frame; likely an interrupted copy")
    return samples, len(data)


def _flac_first(data: Data) -> int:
    """Where the first frame begins: behind the blocks of metadata."""
    position, last = 4, False
    while not last and position + 4 <= len(data):
        last = data[position] >= 128
        position += 4 + int.from_bytes(data[position + 1 : position + 4], "big")
    return position


def _refuse_unlike_frame(data: Data) -> None:
    """Rate, channels and bits of STREAMINFO against those of the first frame, where that gives them."""
    frame = data[(first := _flac_first(data)) : first + 16]
    if not _flac_frame(frame, 0)[1]:
        return
    fields = int.from_bytes(data[18:22], "big")
    rate, channels, bits = fields >> 12, (fields >> 9 & 7) + 1, (fields >> 4 & 31) + 1
    rates = (0, 88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 0, 0, 0, 0)
    own = (
        rates[frame[2] & 15] or rate,
        2 if frame[3] >> 4 > 7 else (frame[3] >> 4) + 1,
        (bits, 8, 12, bits, 16, 20, 24, 32)[frame[3] >> 1 & 7],
    )
    if own != (rate, channels, bits):
        raise AudioError(
            f"the header contradicts itself: {rate} Hz, {channels} channels, {bits} bits, and the "
            f"first frame has {own[0]} Hz, {own[1]} channels, {own[2]} bits; likely damaged"
        )


def _flac_frame_end(data: Data, start: int, following: int) -> int:
    """Where the frame at ``start`` ends, by its checksum; 0 if damaged. The next has the number given."""

    def ends_at(position: int) -> bool:
        stored = int.from_bytes(data[position - 2 : position], "big")
        return _crc16(data[start : position - 2].translate(_REVERSED), mirrored=True) == stored

    limit = min(len(data), start + (1 << 21))  # no frame is longer: 65535 samples of 8 channels and 32 bits
    other = max(0, data.find(b"fLaC", start, limit))
    position = start + 2
    tries = 20  # a header among the samples by chance has a checksum too; more than one is no chance
    while tries and (position := data.find(data[start : start + 2], position + 1, other or limit)) > 0:
        number, size = _flac_frame(data, position)
        if size and ends_at(position):
            return position
        tries = 0 if size and number == following else tries - bool(size)
    if not tries:
        return 0
    # The last frame: another file, a tag, nothing, or zeros lie behind it, and it may itself end in zeros.
    zeros = start + len(data[start:limit].rstrip(b"\0"))
    ends = (other, len(data) - 128, zeros, zeros + 1, zeros + 2)
    return next((end for end in ends if start + 10 < end <= limit and ends_at(end)), 0)


def _flac_frame(data: Data, position: int) -> tuple[int, int]:
    """Number of a frame, or of its first sample, and its samples of a channel (RFC 9639); 0: no frame."""
    head = data[position : position + 16]
    if len(head) < 10 or head[0] != 0xFF or head[1] & 0xFE != 0xF8 or head[2] < 16 or head[2] & 15 == 15:
        return 0, 0
    # The number is coded as UTF-8 codes a character.
    more = max(0, len(f"{head[4]:08b}".split("0")[0]) - 1)
    number = head[4] & (0x7F >> (more + 1 if more else 0))
    for byte in head[5 : 5 + more]:
        number = number << 6 | byte & 0x3F
    length, code = 5 + more, head[2] >> 4
    if code in (6, 7):
        size = int.from_bytes(head[length : length + code - 5], "big") + 1
        length += code - 5
    else:
        size = _FLAC_SIZES.get(code, 0)
    length += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if length >= len(head) or _crc8(head[:length]) != head[length]:
        return 0, 0
    return number, size


def _crc8(data: Data) -> int:
    """CRC-8 of polynomial 7, bit by bit: for a few bytes."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value << 1 & 0xFF ^ (7 if value & 0x80 else 0)
    return value


@cache
def _zeros_appended(level: int) -> NDArray[Any]:
    """What 2 ** (level + 1) more bytes of zero make of every CRC-16 (polynomial 0x8005, low bit first)."""
    if level:
        half: NDArray[Any] = _zeros_appended(level - 1)
        return np.take(half, half)
    table: NDArray[Any] = np.arange(65536, dtype=np.uint16)
    for _ in range(16):
        table = (table >> 1) ^ (np.uint16(0xA001) * (table & 1))
    return table


def _crc16(data: Data, *, mirrored: bool = False) -> int:
    """CRC-16 of polynomial 0x8005, as a tree: that of AB is that of A and len(B) zeros, xor that of B.

    Zeros in front change nothing, so that every level has an even number. With ``mirrored``, the result's
    bits in the other order.
    """
    length = 2 << max(0, len(data) - 1).bit_length()
    values = _zeros_appended(0)[np.frombuffer(bytes(length - len(data)) + data, "<u2")]
    level = 0
    while len(values) > 1:
        values = _zeros_appended(level)[values[0::2]] ^ values[1::2]
        level += 1
    value = int(values[0])
    return int(f"{value:016b}"[::-1], 2) if mirrored else value


# MPEG audio and ADTS: frames that say where the next one is

_BITRATES = {  # kbit/s by (version is 1, layer)
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


class _Frame(NamedTuple):
    length: int  # bytes; 0: no frame
    samples: int = 0  # of a channel
    rate: int = 0
    kind: tuple[int, ...] = ()  # what stays the same within a stream


_NO_FRAME = _Frame(0)


@cache
def _mpeg_frame(head: bytes) -> _Frame:
    """What three bytes of a header and the channel mode say (ISO 11172-3, 2.4.1.3)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return _NO_FRAME
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or rate == 3 or bitrate in (0, 15):
        return _NO_FRAME
    hertz = (44100, 48000, 32000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    bits = 1000 * _BITRATES[version == 3, layer][bitrate]
    slot = 4 if layer == 1 else 1
    length = slot * (samples // 8 // slot * bits // hertz + padding)
    return _Frame(length, samples, hertz, (version, layer, rate, head[3] >> 6 == 3))


def mpeg_rate(head: bytes) -> int:
    """Hz, by the header of an MPEG frame; 0 if only a decoder can tell."""
    return _mpeg_frame(head[:4]).rate


def _adts_frame(head: bytes) -> _Frame:
    """What an ADTS header of 7 bytes says (ISO 13818-7, 6.2)."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return _NO_FRAME
    rate = head[2] >> 2 & 15
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    if rate > 12 or length < 7:
        return _NO_FRAME
    hertz = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)[rate]
    return _Frame(length, 1024 * (1 + (head[6] & 3)), hertz, (head[1], head[2], head[3] & 0xF0))


def _chain(data: Data, head: int, frame_of: Callable[[bytes], _Frame]) -> list[list[tuple[int, _Frame]]]:
    """Runs of frames with their positions: tags part them, and nothing else may lie between or behind."""
    runs: list[list[tuple[int, _Frame]]] = [[]]
    position, last = 0, _tags_behind(data)
    kind: tuple[int, ...] = ()
    while position < len(data):
        frame = frame_of(data[position : position + head])
        if frame.length and frame.kind == (kind or frame.kind):
            if position + frame.length > len(data):
                raise AudioError(
                    f"truncated: the last frame has {frame.length} bytes, the file holds "
                    f"{len(data) - position} of them; likely an interrupted copy"
                )
            kind = frame.kind
            runs[-1].append((position, frame))
            position += frame.length
        elif tag := tag_length(data, position):
            position += tag
            if runs[-1]:
                runs.append([])
        elif position >= last or not any(data[position:]):  # a tag, or padding
            break
        else:
            what = f"a frame of another kind ({frame.rate} Hz)" if frame.length else "no frame"
            raise AudioError(
                f"damaged or joined: at byte {position} of {len(data)}, behind {sum(map(len, runs))} frames, "
                f"there is {what}"
            )
    return [run for run in runs if run]


def _mpeg(data: Data) -> tuple[Contents, int]:
    """MP3, and layers I and II: the frames, and what a Xing or LAME tag in the first promises of them."""
    if data[2] >> 4 == 0:  # free format: only a decoder finds the next frame
        return Contents((Part(data),), (NO_LENGTH,)), len(data)
    parts: list[Part] = []
    notes: list[str] = []
    for run in _chain(data, 4, lambda head: _mpeg_frame(head)):
        # A tag in a later frame begins another file.
        tags = [place for place in range(len(run)) if _xing(data, *run[place])]
        firsts = sorted({0, *tags})
        for first, last in zip(firsts, [*firsts[1:], len(run)], strict=True):
            frames = run[first:last]
            start, end = frames[0][0], frames[-1][0] + frames[-1][1].length
            tag = _xing(data, *frames[0])
            least = (len(frames) - 3) * frames[0][1].samples  # decoders leave out up to two, and the tag's
            if tag:
                least -= _refuse_unlike_tag(data, tag, frames, end)
            else:
                notes.append(NO_LENGTH)
            lengths = [frame.length for _, frame in frames]
            varies = max(lengths) - min(lengths) > 4  # padding aside
            stream = data[start:end]
            if varies and not tag and frames[0][1].kind[1] == 3:
                stream = _counted(stream, frames)
            parts.append(Part(stream, least=least))
    return Contents(tuple(parts), tuple(notes)), len(data)


_ENCODERS = {b"LAME", b"Lavf", b"Lavc"}  # these write the whole tag, with a checksum of the frames


def _counted(stream: bytes, frames: list[tuple[int, _Frame]]) -> bytes:
    """With a Xing tag in front: without one, libsndfile takes all frames to be as long as the first."""
    head = bytes([stream[0], stream[1] | 1, 0xE0 | stream[2] & 0x0C, stream[3]])  # longest, unprotected
    frame = _mpeg_frame(head)
    tag = bytes(_side_information(head, frame)) + b"Xing" + struct.pack(">II", 1, len(frames))
    return (head + tag).ljust(frame.length, b"\0") + stream


def _side_information(head: bytes, frame: _Frame) -> int:
    """Bytes between the header and a tag."""
    version, _, _, mono = frame.kind
    length = (17 if mono else 32) if version == 3 else (9 if mono else 17)
    return length + (0 if head[1] & 1 else 2)  # a checksum of the frame


def _xing(data: Data, position: int, frame: _Frame) -> int:
    """Where the Xing or Info tag in a frame of layer III begins, 0 if it has none."""
    if frame.kind[1] != 3:
        return 0
    place = position + 4 + _side_information(data[position : position + 4], frame)
    named = data[place : place + 4] in (b"Xing", b"Info") or data[place + 120 : place + 124] in _ENCODERS
    return place if named else 0


def _refuse_unlike_tag(data: Data, tag: int, frames: list[tuple[int, _Frame]], end: int) -> int:
    """Number of frames and checksum by the tag; returns the samples that it has decoders leave out."""
    lame = data[tag + 120 : tag + 156]
    whole = lame[:4] in _ENCODERS and len(lame) == 36
    if whole and (data[tag : tag + 4] not in (b"Xing", b"Info") or data[tag + 4 : tag + 8] != b"\0\0\0\x0f"):
        raise AudioError("damaged: the tag in the first frame has lost its name or its flags")
    own, found = int.from_bytes(lame[34:], "big"), _crc16(data[frames[0][0] : tag + 154])
    if lame[:4] == b"LAME" and own and own != found:  # FFmpeg counts it otherwise
        raise AudioError(
            f"damaged: the tag in the first frame has the checksum {own:04x}, its content gives {found:04x}"
        )
    if data[tag + 7] & 1:
        promised, held = struct.unpack_from(">I", data, tag + 8)[0], len(frames) - 1
        if promised - held not in (0, 1):  # some count the frame that holds the tag
            raise AudioError(
                f"truncated or damaged: the header promises {promised} frames, the file holds {held}; likely "
                "an interrupted copy"
            )
    if not whole:
        return 0
    checksum = struct.unpack_from(">H", lame, 32)[0]
    body = frames[1][0] if len(frames) > 1 else end
    # mp3gain changes the volume of each frame afterwards, and says so in an APE tag.
    if (
        checksum
        and b"MP3GAIN" not in data[end : end + 4096]
        and (found := _crc16(data[body:end])) != checksum
    ):
        raise AudioError(
            f"damaged: the header gives the checksum {checksum:04x}, and the frames have {found:04x}; likely "
            "a faulty copy"
        )
    return (lame[21] << 4 | lame[22] >> 4) + ((lame[22] & 15) << 8 | lame[23])


def _adts(data: Data) -> tuple[Contents, int]:
    frames = [frame for run in _chain(data, 7, _adts_frame) for _, frame in run]
    if not frames:
        raise AudioError("holds no whole ADTS frame; likely truncated")
    seconds = sum(frame.samples for frame in frames) / frames[0].rate
    return Contents((Part(data, seconds=seconds),), (NO_LENGTH,)), len(data)


def _mp4(data: Data) -> tuple[Contents, int]:
    """The boxes end where the file does; their tables are the demuxer's to check."""
    position = 0
    found: list[bytes] = []
    while position + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, position)
        if size == 1 and position + 16 <= len(data):
            size = struct.unpack_from(">Q", data, position + 8)[0]
        size = size or len(data) - position
        if not all(32 <= byte < 127 or byte == 0xA9 for byte in name) or size < 8:
            if any(data[position:]) and len(data) - position > 64:
                raise AudioError(f"damaged: what lies at byte {position} is no box of an MP4 file")
            break
        if name == b"ftyp" and found:
            raise AudioError(
                f"MP4 files joined end to end: another begins at byte {position}, which no decoder hears; "
                "join them with a tool for it"
            )
        if position + size > len(data):
            raise AudioError(
                f"truncated: the box {name.decode('latin-1')} promises {size} bytes, the file holds "
                f"{len(data) - position}; likely an interrupted copy"
            )
        found.append(name)
        position += size
    if b"moov" not in found:
        raise AudioError("truncated: the box moov, which says where the samples are, is missing")
    return Contents((Part(data),)), len(data)


_MAGIC = {
    b"riff": "w64",
    b"caff": "caf",
    b".snd": "au",
    b"dns.": "au",
    b"OggS": "ogg",
    b"fLaC": "flac",
}
_CHECKS: dict[str, Callable[[Data], tuple[Contents, int]]] = {  # of the first file, and where it ends
    "wav": _wav,
    "w64": _w64,
    "aiff": _aiff,
    "caf": _caf,
    "au": _au,
    "ogg": _ogg,
    "flac": _flac,
    "mpeg": _mpeg,
    "adts": _adts,
    "mp4": _mp4,
}
