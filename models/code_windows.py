"""Clips of mu-law codes in files, and windows of them in random order, in memory that does not grow.

Conventions
    clip      the codes of one recording; what is before it is silence. It lies in a file that is read in
              pieces (not mapped: pages of a map that were read stay in memory), or is an array.
    window    a piece of a clip: ``context`` codes that are only seen, then ``targets`` that are predicted.
              A clip's first window has no context, for silence is known; later ones have a receptive field.
              So each code of a clip is the target of exactly one window, and with all that it depends on.
    order     of an epoch: a permutation of all windows that is computed place by place from seed and epoch
              (``permuted``). Nothing is held of it, so a place in it is all there is to remember to go on.
    cache     recordings are decoded and encoded once, to files named by content and rate.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from audio_distance.audio import mean_of_channels, read_source
from audio_distance.errors import AudioError
from audio_distance.sources import Source, fault_of
from audio_distance.storage import replacing
from study.datasets.mu_law import encode

VERSION = 1  # of how recordings become codes
BLOCK = 2**20  # bytes at once


@dataclass(frozen=True)
class Clip:
    """Codes of one recording: ``length`` bytes of a file behind ``offset``, or ``held``."""

    length: int
    path: Path | None = None
    offset: int = 0
    held: np.ndarray | None = None

    def read(self, start: int, count: int) -> np.ndarray:
        """(count,) uint8 from ``start``; ValueError, naming the file, if it has become shorter."""
        if self.held is not None:
            return self.held[start : start + count]
        codes = np.fromfile(self.path, np.uint8, count=count, offset=self.offset + start)
        if len(codes) < count:
            raise ValueError(
                f"{self.path}: {self.offset + start + len(codes)} bytes, and {self.length} codes behind "
                f"{self.offset} bytes were there before; likely overwritten. Make it again"
            )
        return codes


# ------------------------------------------------------------------------------------------------- clips


def clip_of(sound: np.ndarray | Path | str, rate: int, *, cache: Path) -> Clip:
    """A clip of a recording.

    Parameters
    ----------
    sound : path or array
        An audio file of any format that ``metrics`` reads, which is resampled; a ``.npy`` or ``.codes`` file
        of uint8, (samples,), which are codes at ``rate`` already (``.codes`` has no header); an array of
        uint8, codes too; or of floats, samples at ``rate``.
    rate : int
        Hz, of the codes.
    cache : path
        Folder to keep the codes of audio files in. It is made, and may be deleted.

    Raises
    ------
    ValueError
        Naming the file: what cannot be read, is empty, or no array of codes. (``AudioError`` is one.)
    """
    if isinstance(sound, (str, Path)):
        return _of_file(Path(sound), rate, cache)
    array = np.asarray(sound)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"a sound of shape {array.shape}; (samples,) and at least one are needed")
    return Clip(len(array), held=array if array.dtype == np.uint8 else encode(array))


def _of_file(path: Path, rate: int, cache: Path) -> Clip:
    if fault := fault_of(path):
        raise AudioError(f"{path}: {fault}")
    if path.suffix == ".codes":
        clip = Clip(path.stat().st_size, path)
    elif path.suffix == ".npy":
        try:
            mapped = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError) as error:
            raise ValueError(f"{path}: no array ({error})") from None
        if mapped.dtype != np.uint8 or mapped.ndim != 1:
            raise ValueError(f"{path}: {mapped.shape} {mapped.dtype}; codes are (samples,) uint8")
        clip = Clip(len(mapped), path, mapped.offset)
    else:
        kept = cache / f"{_content(path)}-{rate}-{VERSION}.codes"
        if not kept.exists():
            _write(path, rate, kept)
        clip = Clip(kept.stat().st_size, kept)
    if not clip.length:
        raise ValueError(f"{path}: no codes; likely an interrupted copy")
    return clip


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(path: Path, rate: int, kept: Path) -> None:
    """Decode, mean of channels, resample, encode: block by block, whatever the length."""
    import soxr

    source = Source(str(path), path)
    try:
        signal = read_source(source, source.read(), minimum_bits=8, peak_limit=1.0, most=0)
        resampler = None if signal.rate == rate else soxr.ResampleStream(signal.rate, rate, 1)
        with replacing(kept) as part, part.open("wb") as file:
            for block in signal.blocks():
                mono = mean_of_channels(block)
                if not np.isfinite(mono).all():
                    raise AudioError("holds samples that are NaN or infinite; likely damaged")
                file.write(encode(mono if resampler is None else resampler.resample_chunk(mono)).tobytes())
            if resampler is not None:
                file.write(encode(resampler.resample_chunk(np.empty(0, np.float32), last=True)).tobytes())
            file.flush()
            os.fsync(file.fileno())
    except (AudioError, OSError) as error:
        raise AudioError(f"{path}: {error}") from None


# ----------------------------------------------------------------------------------------------- windows


@dataclass(frozen=True)
class Window:
    """Where a window is: codes ``start`` to ``start + context + targets`` of a clip, by its number."""

    clip: int
    start: int
    context: int
    targets: int


@dataclass(frozen=True)
class Batch:
    """(rows, places) uint8 codes, which of them are targets, and the number of each row's clip, (rows,).

    Rows that end before the longest one are filled with 0, which no target sees.
    """

    codes: np.ndarray
    wanted: np.ndarray
    clips: np.ndarray


class Windows:
    """All windows of clips, in an order of each epoch.

    Parameters
    ----------
    clips : sequence of Clip
    size : int
        Places of a window, of which ``receptive_field`` are context in all but a clip's first.
    receptive_field : int

    Raises
    ------
    ValueError
        For no clips, or windows that would be all context.
    """

    def __init__(self, clips: Sequence[Clip], *, size: int, receptive_field: int) -> None:
        if not clips:
            raise ValueError("no clips: nothing to predict")
        if size <= receptive_field:
            raise ValueError(
                f"windows of {size} codes are all context: the receptive field is {receptive_field}. "
                f"Several times as much is of use, {4 * receptive_field} or so"
            )
        self.clips, self.size, self.receptive_field = clips, size, receptive_field

    @cached_property
    def _ends(self) -> np.ndarray:
        """Number of windows of all clips up to each: 8 bytes a clip are all that is held."""
        lengths = np.array([clip.length for clip in self.clips])
        step = self.size - self.receptive_field
        return np.cumsum(1 + -(-np.maximum(lengths - self.size, 0) // step))

    def __len__(self) -> int:
        return int(self._ends[-1])

    def at(self, index: int) -> Window:
        """The window of a number, from 0, clip by clip. IndexError beyond the last."""
        if not 0 <= index < len(self):
            raise IndexError(f"window {index} of {len(self)}")
        clip = int(np.searchsorted(self._ends, index, side="right"))
        place = index - (int(self._ends[clip - 1]) if clip else 0)
        length, step = self.clips[clip].length, self.size - self.receptive_field
        if not place:
            return Window(clip, 0, 0, min(length, self.size))
        first = self.size + (place - 1) * step  # of the targets
        return Window(clip, first - self.receptive_field, self.receptive_field, min(step, length - first))

    def drawn(self, position: int, *, seed: int) -> Window:
        """The window at a position of the endless order: epoch after epoch, each in its own."""
        epoch, place = divmod(position, len(self))
        return self.at(permuted(place, len(self), key=(seed, epoch)))

    def batch(self, windows: Sequence[Window]) -> Batch:
        """The codes of windows, one a row."""
        places = max(window.context + window.targets for window in windows)
        codes = np.zeros((len(windows), places), np.uint8)
        wanted = np.zeros(codes.shape, bool)
        for row, window in enumerate(windows):
            end = window.context + window.targets
            codes[row, :end] = self.clips[window.clip].read(window.start, end)
            wanted[row, window.context : end] = True
        return Batch(codes, wanted, np.array([window.clip for window in windows]))

    def in_turn(self, rows: int) -> Iterator[Batch]:
        """All windows, clip by clip, in batches."""
        for first in range(0, len(self), rows):
            yield self.batch([self.at(i) for i in range(first, min(first + rows, len(self)))])


def permuted(place: int, count: int, *, key: tuple[int, int]) -> int:
    """Where a pseudo-random permutation of ``range(count)`` sends ``place``, in constant memory.

    A Feistel network of four rounds (Luby and Rackoff 1988) over the next larger square of a power of two;
    what falls outside is sent on until it is inside (cycle walking, Black and Rogaway 2002): four steps at
    most on average. ``key`` is (seed, epoch). IndexError for a place outside.
    """
    if not 0 <= place < count:
        raise IndexError(f"place {place} of {count}")
    half = max(1, ((count - 1).bit_length() + 1) // 2)
    mask = (1 << half) - 1
    while True:
        left, right = place >> half, place & mask
        for turn in range(4):
            digest = hashlib.blake2b(f"{key[0]} {key[1]} {turn} {right}".encode(), digest_size=8).digest()
            left, right = right, left ^ int.from_bytes(digest, "little") & mask
        place = left << half | right
        if place < count:
            return place
