"""Cyclic redundancy checks, CRC-8 and CRC-16, of FLAC's frames and of LAME's tag."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.containers.parts import Data

REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))  # the bits of each byte


def crc8(data: Data) -> int:
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


def crc16(data: Data, *, mirrored: bool = False) -> int:
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
