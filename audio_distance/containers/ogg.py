"""Ogg: pages, each with its number and checksum, of Vorbis, Opus or FLAC alike."""

from __future__ import annotations

import struct
import zlib

from audio_distance.containers.checksums import REVERSED
from audio_distance.containers.parts import Contents, Data, Part
from audio_distance.errors import AudioError


def page_checksum(page: bytes) -> int:
    """Ogg's CRC-32 is zlib's with the bits in the other order, and without its two inversions."""
    mirrored = zlib.crc32(page.translate(REVERSED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


def check_ogg(data: Data) -> tuple[Contents, int]:
    """Every page whole, in sequence, up to the one that ends its stream; chained streams are parts.

    Some encoders mark the end more than once: further pages of the stream behind its end, in sequence and
    each marked as an end too, are noted. The first is taken, as players and libsndfile do.
    """
    position, starts, last = 0, [0], 0  # ``last``: where the pages that are read end
    ended: dict[int, int] = {}  # serial number of a stream that has ended -> the page behind its end
    behind = 0
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
        if (found := page_checksum(page)) != checksum:
            raise AudioError(
                f"damaged: the Ogg page at byte {position} has the checksum {checksum:08x}, and its content "
                f"gives {found:08x}; likely a faulty copy"
            )
        position, start = end, position
        if flags & 4 and ended.get(serial) == number:
            ended[serial] = number + 1
            behind += 1
            continue
        if flags & 2:  # the first page of a stream
            if begun:
                if following:
                    raise AudioError(
                        f"damaged: a new Ogg stream begins at byte {start} before the last one has ended; "
                        "likely joined from parts of which one is cut"
                    )
                starts.append(start)
                begun = False
            following[serial] = number
        else:
            begun = True
        if following.get(serial) != number:
            before = f"{following[serial] - 1} of its stream" if serial in following else "of no stream"
            raise AudioError(
                f"damaged: Ogg page {number} at byte {start} follows page {before}; pages are missing"
            )
        following[serial] = number + 1
        if flags & 4:
            ended[serial] = following.pop(serial)
        last = position
    if following:
        raise AudioError(
            "truncated: the last Ogg page is not marked as the end of its stream; likely an interrupted copy "
            "or recording"
        )
    ends = [*starts[1:], last]
    parts = tuple(Part(data[start:end]) for start, end in zip(starts, ends, strict=True))
    notes = (f"{behind} Ogg page(s) lie behind the end of their stream, and are not read",) if behind else ()
    return Contents(parts, notes), len(data)
