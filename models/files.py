"""Model files: arrays by name (safetensors) and one JSON header, whose ``version`` must be the reader's.

A ``kind`` ("autoencoder", "classifier") names the header's entry, so that one kind's file is none of the
other's. Arrays of one part of a model share a prefix: ``networks.0.last.bias``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from audio_distance.storage import replacing


def write(
    path: Path | str, arrays: Mapping[str, Tensor], header: Mapping, *, kind: str, version: int
) -> None:
    """Write a model file, whole or not at all. Equal arrays and headers give equal bytes.

    Parameters
    ----------
    path : path
        Is replaced if it is there.
    arrays : mapping
        Tensors by name, of any shape and type that safetensors knows.
    header : mapping
        Of what JSON can hold: all that is needed, beside the arrays, to build the model again.
    kind, version
        Of the model; ``read`` asks for the same.
    """
    # One entry: safetensors writes several in random order.
    content = json.dumps({"version": version, **header})
    with replacing(path) as stage:
        save_file({k: v.contiguous() for k, v in arrays.items()}, stage, metadata={kind: content})
        os.chmod(stage, 0o644)  # safetensors lets nobody else read


def read(path: Path | str, *, kind: str, version: int) -> tuple[dict, dict[str, Tensor]]:
    """Header and arrays. ValueError, naming the file, for another version or what is no such model file."""
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(kind, "{}"))
            if header.get("version") != version:
                raise ValueError(
                    f"{path}: version {header.get('version', 'unknown')} of the {kind}'s model file; this "
                    f"code reads version {version}. Use the code that wrote it, or train again"
                )
            return header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path}: no model file ({error})") from None


def part(arrays: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The arrays of one part, without its prefix."""
    return {k.split(".", 1)[1]: v for k, v in arrays.items() if k.startswith(f"{name}.")}
