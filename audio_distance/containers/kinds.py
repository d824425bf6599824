"""What the first bytes show: which container, or which tag before, between or behind."""

from __future__ import annotations

import struct

from audio_distance.containers.parts import Data

_MAGIC = {
    b"riff": "w64",
    b"caff": "caf",
    b".snd": "au",
    b"dns.": "au",
    b"OggS": "ogg",
    b"fLaC": "flac",
}


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


def tags_behind(data: Data) -> int:
    """Where the tags at the end of a file begin, of which an APE tag of the first version has no head."""
    end = len(data) - (128 if data[-128:-125] == b"TAG" else 0)
    foot = data[max(0, end - 32) : end]
    return end - (struct.unpack_from("<I", foot, 12)[0] if foot[:8] == b"APETAGEX" else 0)
