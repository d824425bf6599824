"""MPEG audio (MP3, layers I and II) and ADTS (AAC): frames that say where the next one is."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from audio_distance.containers.checksums import crc16
from audio_distance.containers.kinds import tag_length, tags_behind
from audio_distance.containers.parts import NO_LENGTH, Contents, Data, Part
from audio_distance.errors import AudioError

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
def mpeg_frame(head: bytes) -> _Frame:
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
    return mpeg_frame(head[:4]).rate


def adts_frame(head: bytes) -> _Frame:
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
    position, last = 0, tags_behind(data)
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


def check_mpeg(data: Data) -> tuple[Contents, int]:
    """MP3, and layers I and II: the frames, and what a Xing or LAME tag in the first promises of them."""
    if data[2] >> 4 == 0:  # free format: only a decoder finds the next frame
        return Contents((Part(data),), (NO_LENGTH,)), len(data)
    parts: list[Part] = []
    notes: list[str] = []
    for run in _chain(data, 4, lambda head: mpeg_frame(head)):
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
    frame = mpeg_frame(head)
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
    own, found = int.from_bytes(lame[34:], "big"), crc16(data[frames[0][0] : tag + 154])
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
    if checksum and b"MP3GAIN" not in data[end : end + 4096] and (found := crc16(data[body:end])) != checksum:
        raise AudioError(
            f"damaged: the header gives the checksum {checksum:04x}, and the frames have {found:04x}; likely "
            "a faulty copy"
        )
    return (lame[21] << 4 | lame[22] >> 4) + ((lame[22] & 15) << 8 | lame[23])


def check_adts(data: Data) -> tuple[Contents, int]:
    frames = [frame for run in _chain(data, 7, adts_frame) for _, frame in run]
    if not frames:
        raise AudioError("holds no whole ADTS frame; likely truncated")
    seconds = sum(frame.samples for frame in frames) / frames[0].rate
    return Contents((Part(data, seconds=seconds),), (NO_LENGTH,)), len(data)
