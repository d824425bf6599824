"""WAV: RIFF, RIFX and RF64; and Sony's W64, which names its chunks by 16 bytes."""

from __future__ import annotations

import struct

from audio_distance.containers.chunks import Chunks, Layout, behind, is_placeholder, named, refuse_cut, walk
from audio_distance.containers.parts import NO_LENGTH, Contents, Data, Part, refuse_rate, upto
from audio_distance.errors import AudioError

_RIFF = Layout("<4sI", 12, b"data", 2)
_RIFX = Layout(">4sI", 12, b"data", 2)
_W64_REST = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # all names of W64 but "riff" end like this
_W64 = Layout("<16sQ", 40, b"data" + _W64_REST, 8, own=24)


def check_wav(data: Data) -> tuple[Contents, int]:
    """RIFF, RIFX and RF64."""
    layout = _RIFX if data[:4] == b"RIFX" else _RIFF
    order = layout.head[0]
    chunks = walk(data, layout)
    size, held = chunks.size, len(data) - chunks.start
    long_sizes = chunks.content(data, b"ds64")
    if size == 0xFFFFFFFF and len(long_sizes) >= 16:
        size = struct.unpack_from("<Q", long_sizes, 8)[0]
    block = _block_of_format(chunks.content(data, b"fmt "), order)
    nothing = size == 0 and held >= block and not named(data, chunks.start)
    if nothing or (size > held and is_placeholder(size)):
        size = held // block * block
        sizes = struct.pack(order + "I", min(size, 0xFFFFFFFF))
        whole = struct.pack(order + "I", min(chunks.start + size - 8, 0xFFFFFFFF))
        start = b"RIFX" if order == ">" else b"RIFF"
        whole = start + whole + data[8 : chunks.start - 4] + sizes + data[chunks.start :]
        return Contents((Part(whole),), (NO_LENGTH,)), len(data)
    refuse_cut(size, held)
    chunks = Chunks(chunks.found, chunks.start, size, chunks.start + size + size % 2)
    form = struct.unpack_from(order + "I", data, 4)[0]
    if form == 0xFFFFFFFF and len(long_sizes) >= 8:
        form = struct.unpack_from("<Q", long_sizes)[0]
    end = behind(data, chunks, layout, 8 + form)
    return Contents((Part(upto(data, end)),)), end


def check_w64(data: Data) -> tuple[Contents, int]:
    chunks = walk(data, _W64)
    held = len(data) - chunks.start
    block = _block_of_format(chunks.content(data, b"fmt " + _W64_REST), "<")
    if chunks.size > held and is_placeholder(chunks.size + 24):
        size = held // block * block
        whole = data[: chunks.start - 8] + struct.pack("<Q", size + 24) + data[chunks.start :]
        return Contents((Part(whole),), (NO_LENGTH,)), len(data)
    refuse_cut(chunks.size, held)
    end = behind(data, chunks, _W64, struct.unpack_from("<Q", data, 16)[0])
    # libsndfile takes what follows the samples for more of them.
    return Contents((Part(upto(data, chunks.start + chunks.size)),)), end


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
