"""TensorFlow checkpoints, read without TensorFlow."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np


def read_tensorflow(index: Path, data: Path) -> dict[str, np.ndarray]:
    """The float32 tensors of a TensorFlow checkpoint of one shard, by name, without TensorFlow.

    The index is a table as LevelDB writes it, uncompressed: blocks of keys, each sharing a prefix with the
    one before, the last block pointing at the others. A value is a protocol buffer: 1 type (1 is float32),
    2 shape, 4 offset, 5 size, in the data file. Raises ``ValueError`` if the index is no such table.
    """
    table, shard = index.read_bytes(), data.read_bytes()
    if table[-8:] != struct.pack("<Q", 0xDB4775248B80FB57):
        raise ValueError(f"{index} is not the index of a TensorFlow checkpoint: its last 8 bytes are wrong")
    tensors = {}
    position = 0
    footer = []
    for _ in range(4):
        number, position = _varint(table[-48:], position)
        footer.append(number)
    for _, handle in _table_entries(table, footer[2], footer[3]):
        offset, position = _varint(handle, 0)
        for key, value in _table_entries(table, offset, _varint(handle, position)[0]):
            fields = dict(_fields(value))
            if key and fields[1] == 1:
                start = fields.get(4, 0)
                shape = [dict(_fields(size))[1] for number, size in _fields(fields[2]) if number == 2]
                values = np.frombuffer(shard[start : start + fields[5]], "<f4")
                tensors[key.decode()] = values.reshape(shape).copy()
    return tensors


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position


def _table_entries(table: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    block = table[offset : offset + size]
    end = size - 4 * (1 + struct.unpack("<I", block[-4:])[0])  # restart points and their count
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        length, position = _varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared + length
        yield key, block[position - length : position]


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each field of a protocol buffer; wire types varint, bytes and fixed32."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        if tag & 7 == 0:
            value, position = _varint(message, position)
        elif tag & 7 == 2:
            length, position = _varint(message, position)
            value, position = message[position : position + length], position + length
        else:
            value, position = message[position : position + 4], position + 4
        yield tag >> 3, value
