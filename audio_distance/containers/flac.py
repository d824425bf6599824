"""FLAC: a header with the number of samples and their MD5, and frames with numbers and checksums."""

from __future__ import annotations

from audio_distance.containers.checksums import REVERSED, crc8, crc16
from audio_distance.containers.kinds import tag_length
from audio_distance.containers.parts import NO_LENGTH, Contents, Data, Part, find, refuse_rate, upto
from audio_distance.errors import AudioError

_STREAMINFO = {b"\x00\x00\x00\x22", b"\x80\x00\x00\x22"}  # head of the first block: 34 bytes, or the only one
_SIZES = {1: 192, 2: 576, 3: 1152, 4: 2304, 5: 4608, **{code: 256 << code - 8 for code in range(8, 16)}}


def check_flac(data: Data) -> tuple[Contents, int]:
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
        return Contents((Part(upto(data, end), digest=digest, bits=bits),)), end
    # Without the one or the other the frames tell, by their numbers and checksums.
    held, end = _samples(data)
    if promised and promised != held:
        raise AudioError(f"damaged: the header promises {promised} samples, and the frames hold {held}")
    # libsndfile cannot read a FLAC file of unknown length to its end: tell it.
    whole = data[:18] + (fields | held).to_bytes(8, "big") + data[26:end]
    notes = () if promised or has_digest else (NO_LENGTH,)
    return Contents((Part(whole, digest=digest, bits=bits),), notes), end


def _samples(data: Data) -> tuple[int, int]:
    """Samples of a channel in all frames, and where the last one ends: each whole, and in its turn."""
    position = _first_frame(data)
    samples = frames = 0
    while position < len(data):
        number, size = frame_at(data, position)
        if not size or number != (samples if data[position + 1] & 1 else frames):
            if frames and data[position : position + 4] == b"fLaC":
                return samples, position
            if frames and (tag_length(data, position) or not any(data[position:])):
                return samples, len(data)
            raise AudioError(f"damaged: at byte {position} of {len(data)}, frame {frames} does not begin")
        end = _frame_end(data, position, samples + size if data[position + 1] & 1 else frames + 1)
        if not end:
            raise AudioError(
                f"truncated or damaged: frame {frames} at byte {position} of {len(data)} does not fit "
                "its checksum; likely an interrupted or faulty copy"
            )
        samples, frames, position = samples + size, frames + 1, end
    if not frames:
        raise AudioError("truncated: the file holds no frame; likely an interrupted copy")
    return samples, len(data)


def _first_frame(data: Data) -> int:
    """Where the first frame begins: behind the blocks of metadata."""
    position, last = 4, False
    while not last and position + 4 <= len(data):
        last = data[position] >= 128
        position += 4 + int.from_bytes(data[position + 1 : position + 4], "big")
    return position


def _refuse_unlike_frame(data: Data) -> None:
    """Rate, channels and bits of STREAMINFO against those of the first frame, where that gives them."""
    frame = data[(first := _first_frame(data)) : first + 16]
    if not frame_at(frame, 0)[1]:
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


def _frame_end(data: Data, start: int, following: int) -> int:
    """Where the frame at ``start`` ends, by its checksum; 0 if damaged. The next has the number given."""

    def ends_at(position: int) -> bool:
        stored = int.from_bytes(data[position - 2 : position], "big")
        return crc16(data[start : position - 2].translate(REVERSED), mirrored=True) == stored

    limit = min(len(data), start + (1 << 21))  # no frame is longer: 65535 samples of 8 channels and 32 bits
    other = max(0, data.find(b"fLaC", start, limit))
    position = start + 2
    tries = 20  # a header among the samples by chance has a checksum too; more than one is no chance
    while tries and (position := data.find(data[start : start + 2], position + 1, other or limit)) > 0:
        number, size = frame_at(data, position)
        if size and ends_at(position):
            return position
        tries = 0 if size and number == following else tries - bool(size)
    if not tries:
        return 0
    # The last frame: another file, a tag, nothing, or zeros lie behind it, and it may itself end in zeros.
    zeros = start + len(data[start:limit].rstrip(b"\0"))
    ends = (other, len(data) - 128, zeros, zeros + 1, zeros + 2)
    return next((end for end in ends if start + 10 < end <= limit and ends_at(end)), 0)


def frame_at(data: Data, position: int) -> tuple[int, int]:
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
        size = _SIZES.get(code, 0)
    length += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if length >= len(head) or crc8(head[:length]) != head[length]:
        return 0, 0
    return number, size
