"""Apple's AIFF, AIFC and CAF, and Sun's AU: samples with the high byte first, as a rule."""

from __future__ import annotations

import struct

from audio_distance.containers.chunks import Layout, behind, refuse_cut, walk
from audio_distance.containers.parts import NO_LENGTH, Contents, Data, Part, refuse_rate, upto
from audio_distance.errors import AudioError

_AIFF = Layout(">4sI", 12, b"SSND", 2)
_CAF = Layout(">4sq", 8, b"data", 1)
_AIFC_BYTES = {b"fl32": 4, b"FL32": 4, b"fl64": 8, b"FL64": 8, b"alaw": 1, b"ALAW": 1, b"ulaw": 1, b"ULAW": 1}
_AIFC_LINEAR = {b"NONE", b"twos", b"sowt", b"raw ", b"in24", b"in32", b"23ni", b"42ni"}


def check_aiff(data: Data) -> tuple[Contents, int]:
    """AIFF and AIFC, whose sizes count the samples twice: in bytes, and one by one."""
    chunks = walk(data, _AIFF)
    refuse_cut(chunks.size, len(data) - chunks.start)
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
    end = behind(data, chunks, _AIFF, 8 + struct.unpack_from(">I", data, 4)[0])
    return Contents((Part(upto(data, end)),)), end


def check_caf(data: Data) -> tuple[Contents, int]:
    chunks = walk(data, _CAF)
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
    refuse_cut(chunks.size, held)
    if coding == b"lpcm" and (chunks.size - 4) % packet:  # 4: the edit count
        raise AudioError(
            f"the header contradicts itself: {chunks.size - 4} bytes of samples are no whole number of "
            f"{packet}-byte packets; likely damaged"
        )
    end = behind(data, chunks, _CAF, len(data))
    return Contents((Part(upto(data, end)),)), end


def check_au(data: Data) -> tuple[Contents, int]:
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
    refuse_cut(size, held)
    end = start + size
    if data[end : end + 4] != data[:4] and any(data[end:]):
        raise AudioError(
            f"the header promises {size} bytes of samples, and the file holds {held}; likely a damaged header"
        )
    return Contents((Part(upto(data, end)),)), end if any(data[end:]) else len(data)
