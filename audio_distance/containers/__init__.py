"""What a container promises, against what it holds.

Decoders are made to play on: they read a damaged file as a shorter one, or as another, without a word. Most
containers carry the evidence (sizes, counts, checksums), so it is read here, beside the decoder.

Conventions
    data       the bytes of a whole file; what it is, these decide, never its name.
    part       one stream of a file: a file that was joined from several is read part by part.
    promised   by the header; held, by the file. Where they differ, an ``AudioError`` gives both.
    note       what a reader of the result should know of a file that was read all the same.

What all share is in ``parts`` (bytes of a file), ``kinds`` (what its first ones show), ``chunks`` and
``checksums``; beside them a module for each family. Each has a function a container::

    check_wav(data) -> (contents, end)       of the first file in ``data``, and where it ends

Sources: RFC 3533 (Ogg), RFC 9639 (FLAC), ISO 11172-3 and 13818-7 (MPEG, ADTS), ISO 14496-12 (MP4), the LAME
tag (gabriel.mp3-tech.org), Microsoft's RIFF, EBU 3306 (RF64), Apple's AIFF and CAF, Sony's W64, Sun's AU.
"""

from __future__ import annotations

from collections.abc import Callable

from audio_distance.containers.aiff import check_aiff, check_au, check_caf
from audio_distance.containers.flac import check_flac
from audio_distance.containers.kinds import kind_of, tag_length
from audio_distance.containers.mp4 import check_mp4
from audio_distance.containers.mpeg import check_adts, check_mpeg, mpeg_rate
from audio_distance.containers.ogg import check_ogg
from audio_distance.containers.parts import (
    MAPPED_BYTES,
    NO_LENGTH,
    RATES,
    Contents,
    Data,
    Part,
    find,
    give_back,
    refuse_rate,
)
from audio_distance.containers.wav import check_w64, check_wav
from audio_distance.errors import AudioError

__all__ = [
    "CHECKS",
    "JOINED",
    "MAPPED_BYTES",
    "MOST_PARTS",
    "NO_LENGTH",
    "RATES",
    "Contents",
    "Data",
    "Part",
    "contents",
    "find",
    "give_back",
    "kind_of",
    "mpeg_rate",
    "refuse_rate",
    "tag_length",
]

CHECKS = 2  # version of what is refused here: what was read under another may be damaged
MOST_PARTS = 1000  # of a file
JOINED = "several files joined end to end: all of them are heard"

_CHECKS: dict[str, Callable[[Data], tuple[Contents, int]]] = {  # of the first file, and where it ends
    "wav": check_wav,
    "w64": check_w64,
    "aiff": check_aiff,
    "caf": check_caf,
    "au": check_au,
    "ogg": check_ogg,
    "flac": check_flac,
    "mpeg": check_mpeg,
    "adts": check_adts,
    "mp4": check_mp4,
}


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
