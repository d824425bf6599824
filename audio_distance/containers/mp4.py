"""MP4 (M4A): boxes, each with its name and size."""

from __future__ import annotations

import struct

from audio_distance.containers.parts import Contents, Data, Part
from audio_distance.errors import AudioError


def check_mp4(data: Data) -> tuple[Contents, int]:
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
