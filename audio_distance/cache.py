"""Described sounds, kept for the next run.

Conventions
    entry      the file of one sound, named by a digest of all that its description depends on.
    failure    of the cache, never of a sound: whatever is wrong with a folder or an entry, the sound is
               described as if there were none, and the run ends with a warning about the cache.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from audio_distance.containers import CHECKS, MAPPED_BYTES, give_back
from audio_distance.description import Sound, fault_of_sound, read_npz, write_npz
from audio_distance.features import constants
from audio_distance.storage import cache_folder

FORMAT = 2  # of an entry: 2 has the seconds that sound


_FACTS = ("content", "rate", "seconds", "sounding_seconds", "level_db", "notes")  # beside the vectors


def cache_or_none(cache: bool | str | os.PathLike[str]) -> Path | None:
    """The cache folder, made if it is not there; None without a cache, and with a warning if it cannot be."""
    if not cache:
        return None
    try:
        folder = cache_folder() if cache is True else Path(cache)
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home folder
        place = "the user's folder" if cache is True else cache
        _warn(f"{place} cannot be made ({error}); nothing is kept, and the result is the same")
        return None
    return folder


def entry_of(
    folder: Path,
    data: bytes | mmap.mmap,
    *,
    bandwidth_rate: int,
    minimum_bits: int,
    peak_limit: float,
    quality: str = "",
) -> Path:
    """Where a file of this content is kept: by content, recipe, and what the reading would refuse.

    ``quality``: who predicts it, with a version; "" if nobody does.
    """
    key = hashlib.sha256()
    for first in range(0, len(data), MAPPED_BYTES):
        key.update(data[first : first + MAPPED_BYTES])
        give_back(data)
    key.update(f"{constants()[1]} {bandwidth_rate} {minimum_bits} {peak_limit} {CHECKS} {FORMAT}".encode())
    if quality:
        key.update(f" {quality}".encode())
    return folder / f"{key.hexdigest()}.npz"


def load_entry(entry: Path, name: str) -> Sound | None:
    """The sound that is kept, under the name it has now; None if it has to be described."""
    try:
        arrays = read_npz(entry)
        facts = json.loads(str(arrays["facts"]))
        facts["notes"] = tuple(facts["notes"])
        sound = Sound(name=name, vectors=arrays["vectors"], **facts)
        return None if fault_of_sound(sound) else sound
    except Exception:  # absent or damaged, in any of a dozen ways: it is made again
        return None


def save_entry(entry: Path, sound: Sound) -> str:
    """Keep a sound; "" or why that failed."""
    facts = {key: getattr(sound, key) for key in _FACTS}
    if sound.quality is not None:
        facts["quality"] = sound.quality
    try:
        write_npz(entry, vectors=sound.vectors, facts=json.dumps(facts))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def warn_of(failures: Iterable[str], folder: Path | None) -> None:
    """One warning for all sounds that could not be kept: their ``failures``, "" for those that were."""
    reasons = Counter(reason for reason in failures if reason)
    if reasons:
        _warn(
            f"{reasons.total()} described sounds could not be kept in {folder} ({', '.join(sorted(reasons))})"
            "; the result is the same, and the next run describes them again"
        )


def _warn(text: str) -> None:
    warnings.warn(f"cache: {text}", stacklevel=2)
