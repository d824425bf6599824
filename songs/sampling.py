"""A song cut into samples: where they start, and their sound; decoded in blocks, whatever its length.

Conventions
    content    sha256 of a file's bytes, 64 hex digits. It alone seeds the draw: a copy under another name,
               another order of files or another process draws the same samples.
    sample     ``seconds`` of a song, mono float32, (samples,), full scale 1.0.
    start      seconds from the song's beginning, on the grid of the song's own rate: ``start * rate`` is a
               whole number of its samples.
    rate       Hz, of the samples as they are given out; the song's own is told apart, and neither assumed.
    codes      mu-law, (samples,) uint8, 0 to 255.
"""

from __future__ import annotations

import hashlib
import math
import mmap
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.audio import ChannelSums, mean_of_channels, read_source
from audio_distance.containers import MAPPED_BYTES, RATES, give_back
from audio_distance.features import peak_of, refuse_unfit
from audio_distance.sources import Source
from songs.places import read
from study.datasets.mu_law import encode

HELD_SAMPLES = 2**25  # of one song, mono, 128 MiB: 12 minutes at 44.1 kHz; a longer one is decoded twice
MARGIN_SECONDS = 0.05  # of the song on either side of a sample, for the resampler: its filter is shorter


@dataclass(frozen=True)
class Settings:
    """Which samples are drawn of a song.

    Parameters
    ----------
    rate : int
        Hz, of the samples. No default: every number in Hz depends on it.
    count : int or None
        Samples of each song, 30 by default; None cuts the whole song end to end (``consecutive``).
    seconds : float
        Length of a sample, 5 by default.

    Raises
    ------
    ValueError
        A rate that no sound has, fewer than one sample, a length that is not positive and finite.
    """

    rate: int
    count: int | None = 30
    seconds: float = 5.0

    def __post_init__(self) -> None:
        if not RATES[0] <= self.rate <= RATES[1] or self.rate != int(self.rate):
            raise ValueError(
                f"rate={self.rate!r}; whole Hz from {RATES[0]} to {RATES[1]} are needed. Was it given in kHz?"
            )
        if self.count is not None and self.count < 1:
            raise ValueError(f"count={self.count}; at least 1 sample of a song is needed, or None for all")
        if not 0 < self.seconds < math.inf:
            raise ValueError(f"seconds={self.seconds}; a positive length of a sample is needed")

    @property
    def digest(self) -> str:
        """What the samples of a given content depend on, in a word: the key of all that is kept of them."""
        count = "all" if self.count is None else f"{self.count}"
        return f"samples-1-{count}x{self.seconds:g}s-{self.rate}Hz"


@dataclass(frozen=True)
class Sample:
    """An excerpt of a song.

    Attributes
    ----------
    content : str
        Of the song.
    index : int
        From 0, in the order of the starts.
    start, seconds : float
        Where it lies; ``seconds`` below those asked for is a song, or the rest of one, that is shorter.
    rate : int
        Hz, of ``signal``.
    signal : (samples,) float32
        Mono: the mean of the channels.
    overlap : float
        Seconds at its beginning that the sample before holds too: above 0 where the song is too short for
        so many samples.
    """

    content: str
    index: int
    start: float
    seconds: float
    rate: int
    signal: NDArray[np.float32]
    overlap: float


# ------------------------------------------------------------------------------------------------ starts


def starts(
    content: str, seconds_of_song: float, *, count: int = 30, seconds: float = 5.0
) -> NDArray[np.float64]:
    """Where samples of a song start, drawn by its content alone: (n,) in seconds, sorted.

    Where the song is long enough no two samples share sound, and every such arrangement is equally likely:
    the gaps between sorted uniform draws, spread by one sample each. A song shorter than ``count`` samples
    in all has them drawn independently of each other, and they overlap. One no longer than ``seconds`` is a
    single sample, (1,), that starts at 0.

    ``content`` is 64 hex digits. ValueError for others, and for a length that is not positive and finite.
    """
    if not 0 < seconds_of_song < math.inf:
        raise ValueError(f"seconds_of_song={seconds_of_song}; a positive length is needed")
    if seconds_of_song <= seconds:
        return np.zeros(1)
    # RandomState: numpy froze its stream, and a table made today is continued in years.
    draws = np.sort(np.random.RandomState(_words(content)).random_sample(count))
    free = seconds_of_song - count * seconds
    if free >= 0:
        return draws * free + np.arange(count) * seconds
    return draws * (seconds_of_song - seconds)


def consecutive(seconds_of_song: float, *, seconds: float) -> NDArray[np.float64]:
    """Where the samples of a whole song start, cut end to end: (n,) in seconds; the last may be shorter."""
    if not 0 < seconds_of_song < math.inf:
        raise ValueError(f"seconds_of_song={seconds_of_song}; a positive length is needed")
    return np.arange(max(1, math.ceil(seconds_of_song / seconds - 1e-9))) * seconds  # 1e-9: of rounding


def _words(content: str) -> NDArray[np.uint32]:
    """A content as the eight words of 32 bits that seed a generator."""
    try:
        data = bytes.fromhex(content)
    except ValueError:
        data = b""
    if len(data) != 32:
        raise ValueError(f"content={content!r}; 64 hex digits, the sha256 of a file's bytes, are needed")
    return np.frombuffer(data, ">u4").astype(np.uint32)


# ---------------------------------------------------------------------------------------------- samples


def samples_of(song: str | Path | bytes, settings: Settings) -> list[Sample]:
    """The samples of a song, decoded in blocks by the reader of ``audio_distance``.

    Parameters
    ----------
    song : path, address or bytes
        A file of any format that ``metrics`` reads; an address that fsspec opens (``s3a://bucket/song.ogg``,
        ``songs.places``); or all bytes of a file.
    settings : Settings

    Raises
    ------
    AudioError
        Of a file that is damaged, truncated, empty, silent, not finite, or whose channels cancel, with value,
        limit and likely cause; the file is named by who has its path.
    """
    return list(samples_in_turn(song, settings))


def samples_in_turn(song: str | Path | bytes, settings: Settings) -> Iterator[Sample]:
    """``samples_of``, one after another: a whole song cut end to end need not be held either."""
    data = song if isinstance(song, bytes) else read(str(song))
    yield from _samples(data, content_of(data), settings)


def content_of(data: bytes | mmap.mmap) -> str:
    """sha256 of all bytes of a file, 64 hex digits; of a map piece by piece, which stays out of memory."""
    digest = hashlib.sha256()
    for first in range(0, len(data), MAPPED_BYTES):
        digest.update(data[first : first + MAPPED_BYTES])
        give_back(data)
    return digest.hexdigest()


def _samples(data: bytes | mmap.mmap, content: str, settings: Settings) -> Iterator[Sample]:
    source = Source("", data=b"")  # of no array: ``data`` is all of it
    signal = read_source(source, data, minimum_bits=16, peak_limit=1.0, most=0)  # 0: in blocks, of any length
    rate, blocks, length = signal.rate, *_counted(signal.blocks, signal.rate)
    if settings.count is None:
        seconds = consecutive(length / rate, seconds=settings.seconds)
    else:
        seconds = starts(content, length / rate, count=settings.count, seconds=settings.seconds)
    first = [int(start * rate + 1e-6) for start in seconds]  # 1e-6: of rounding, below a whole number
    size = max(1, int(settings.seconds * rate + 1e-6))
    last = [*first[1:], length] if settings.count is None else [min(start + size, length) for start in first]
    ranges = list(zip(first, last, strict=True))
    # Whole steps of both rates, so that a sample at the new rate begins exactly where it does at the old.
    step = rate // math.gcd(rate, settings.rate)
    margin = 0 if rate == settings.rate else step * math.ceil(MARGIN_SECONDS * rate / step)
    cut = _cut(blocks(), [(start - margin, end + margin) for start, end in ranges], length)
    end_before = 0
    for index, ((start, end), excerpt) in enumerate(zip(ranges, cut, strict=True)):
        overlap = max(0, end_before - start) / rate if index else 0.0
        resampled = _resampled(excerpt, rate, settings.rate, margin)
        yield Sample(content, index, start / rate, (end - start) / rate, settings.rate, resampled, overlap)
        end_before = end


Blocks = Callable[[], Iterable[NDArray[np.float32]]]


def _counted(blocks: Blocks, rate: int) -> tuple[Blocks, int]:
    """A song as mono blocks, and how many samples it has: what no header tells for certain.

    The blocks are kept, so that the song is decoded once, unless it is so long that it is decoded again.
    """

    def mono() -> Iterator[NDArray[np.float32]]:
        channels = ChannelSums()
        for block in blocks():
            mean = mean_of_channels(block)
            channels.add(block, mean)
            yield mean
        channels.notes()  # which refuses those that cancel

    held: list[NDArray[np.float32]] | None = []
    length, peak, bad = 0, 0.0, np.empty(0, int)
    for block in mono():
        block_peak = peak_of(block)
        if not math.isfinite(block_peak):
            bad = np.append(bad, length + np.flatnonzero(~np.isfinite(block)))
        peak, length = max(peak, block_peak), length + len(block)
        if length > HELD_SAMPLES:
            held = None
        if held is not None:
            held.append(block)
    refuse_unfit(length, rate, peak=peak, bad=bad)
    return (mono if held is None else lambda: held), length


def _cut(
    blocks: Iterable[NDArray[np.float32]], ranges: Sequence[tuple[int, int]], length: int
) -> Iterator[NDArray[np.float32]]:
    """The samples of each range (first, one behind the last) of a song that comes in blocks.

    Ranges are sorted, and may overlap; what they ask for before and behind the song is zeros. No more is
    held than one block and one range.
    """
    incoming, held, offset = iter(blocks), np.empty(0, np.float32), 0
    for first, last in ranges:
        inside = max(first, 0), min(last, length)
        while offset + len(held) < inside[1]:
            drop = min(max(inside[0] - offset, 0), len(held))
            held, offset = np.concatenate([held[drop:], next(incoming)]), offset + drop
        part = held[inside[0] - offset : inside[1] - offset]
        yield np.pad(part, (inside[0] - first, last - inside[1]))


def _resampled(excerpt: NDArray[np.float32], rate: int, target: int, margin: int) -> NDArray[np.float32]:
    """``excerpt`` without its margins, at ``target`` Hz, by soxr at its default, high quality.

    As cut from the whole song resampled: an excerpt alone would begin and end with the ringing of a step.
    """
    if rate == target:
        return excerpt
    import soxr

    whole: NDArray[np.float32] = soxr.resample(excerpt, rate, target)
    first = margin * target // rate  # exact: see where the margin is chosen
    size = max(1, round((len(excerpt) - 2 * margin) * target / rate))
    return whole[first : first + size].copy()


def sample_song(path: str, settings: Settings) -> list[dict[str, Any]]:
    """The samples of one song as rows, for ``songs.engine``: pure, and it travels to another process.

    A row has ``song`` (its content), ``sample`` (0, 1, ...), ``start_seconds``, ``seconds``,
    ``overlap_seconds``, ``rate`` (Hz) and ``codes`` (bytes, one a sample of the signal). ``AudioError`` as of
    ``samples_of``.
    """
    return [
        {**row_of(sample), "codes": encode(sample.signal).tobytes()}
        for sample in samples_in_turn(path, settings)
    ]


def row_of(sample: Sample) -> dict[str, Any]:
    """What a row says of a sample beside its numbers or codes."""
    return {
        "song": sample.content,
        "sample": sample.index,
        "start_seconds": sample.start,
        "seconds": sample.seconds,
        "overlap_seconds": sample.overlap,
        "rate": sample.rate,
    }
