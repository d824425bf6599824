"""What a recording sounds like from second to second, so that a copy is recognised after it was changed.

Conventions
    signal        mono, floating point, (samples,), full scale 1.0; ``rate`` in Hz, 8,000 or more.
    anchor        a moment at which much begins at once: it stays with the music, wherever a copy starts.
    vector        the log spectrogram within 1.5 s of an anchor: 96 numbers as int8; compared by cosine.
    alignment     the straight line on which the anchors of two songs agree:
                  second t of the first is second offset + t / speed of the second.
    share         of the anchors in the overlap of two aligned songs, those that agree: 0 to 1.

Why this survives the usual changes. Level: the logarithm makes it an added constant, which the transform over
bands drops with its lowest coefficients, and slow changes of the spectrum (equalisers) with it. Low-pass
filters and codecs: bands end at 3.1 kHz. Other starts: anchors and not a grid. Speed, 2.5 % with the pitch:
0.43 semitones and at most 0.04 s within a vector, both below what its coefficients resolve (1.5 semitones,
0.3 s); over a whole song it is a slope, which the alignment finds. The alignment, and not the vectors, tells
copies from songs that share a loop or an instrument. What it cannot tell from a copy is a sequenced score,
rendered again by the same instruments up to 4 % faster or slower, or with a part left out.

Landmarks whose ratios do not change with speed are the usual way to the last of these: quads of peaks
(Sonnleitner and Widmer, DAFx 2014), triplets (Six and Leman, Panako, ISMIR 2014).
They bear 20 % and more, which is not asked here; pairs of peaks (Wang, ISMIR 2003) bear noise, but no speed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal
import soxr

from audio_distance.audio import ChannelSums, mean_of_channels, read_source
from audio_distance.errors import AudioError
from audio_distance.sources import Source
from songs.places import read

SETTINGS = "fingerprints-1"  # of the rows: another number where any constant below changes
RATE = 8_000  # Hz, at which sounds are described
N_FFT = 2_048  # 0.26 s: as long as semitones need at the lowest band
HOP = 400  # 0.05 s
LOWEST_HZ = 130.8  # C3, centre of the lowest band
BANDS = 56  # semitones, the highest at 3,136 Hz
FLOOR = 1e-3  # of the mean band power: 30 dB below it, what a codec leaves out counts for nothing
APART = 6  # frames, 0.3 s: an anchor is the strongest beginning so far around
REACH, STEP = 30, 4  # frames: a vector samples 1.5 s to each side, every 0.2 s
TIME_ORDERS = slice(0, 6)  # of the cosine transform over 3 s: periods down to 1.3 s
BAND_ORDERS = slice(4, 20)  # over 56 semitones: 28 down to 5.9; those below are level and equaliser
DIMENSIONS = 6 * 16

SIMILARITY = 0.8  # cosine at which two vectors may be the same moment
SPEEDS = 0.035  # how far speeds are searched to each side of 1
SPEED_STEP = 0.0025  # 0.1 s in 80 s to each side of the middle; the fit finds what lies between
TOLERANCE = 0.1  # s from the line, two frames
SHORTEST = 2.0  # s of agreeing anchors, below which a speed cannot be fitted
SONGS_AT_ONCE = 1_024  # in the index: 130 MB of songs of 4 minutes
QUERIES = 32  # vectors of a song that search the others


@dataclass(frozen=True)
class Fingerprint:
    """A song as its anchors.

    Attributes
    ----------
    anchors : (n,) float32
        Seconds, rising; none of silence, and of a sound shorter than 3 s.
    vectors : (n, 96) int8
        Each with its largest modulus at 127.
    seconds : float
        Of the whole song.
    """

    anchors: np.ndarray
    vectors: np.ndarray
    seconds: float

    def unit(self) -> np.ndarray:
        """The vectors at length 1, (n, 96) float32."""
        vectors = self.vectors.astype(np.float32)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


@dataclass(frozen=True)
class Alignment:
    """How a second song follows a first: second t of the first is second ``offset + t / speed`` of it.

    Attributes
    ----------
    matches : int
        Anchors that agree on the line.
    share : float
        Of the anchors in the overlap, 0 to 1.
    speed : float
        1.025: the second is the first, 2.5 % faster. 1.0 where nothing agrees.
    offset : float
        s; -10: the second has lost 10 s at the start.
    """

    matches: int
    share: float
    speed: float
    offset: float


def fingerprint(signal: np.ndarray, rate: int) -> Fingerprint:
    """Describe a mono signal, (samples,), at ``rate`` Hz.

    About 1.4 anchors a second, 8.5 kB a minute. A level makes no difference. Raises AudioError for a
    rate below 8,000 Hz, whose upper bands would be empty, and for anything but a finite, floating-point,
    one-dimensional array: integers would be taken for floats beyond full scale.
    """
    signal = np.asarray(signal)
    if signal.ndim != 1 or not np.issubdtype(signal.dtype, np.floating):
        raise AudioError(
            f"signal is {signal.dtype} of shape {signal.shape}; it is floating point, (samples,)"
        )
    if not rate >= RATE:
        raise AudioError(f"rate is {rate} Hz, and at least {RATE} are needed: the bands reach 3.1 kHz")
    if not np.all(np.isfinite(signal)):
        raise AudioError("signal has values that are not finite; likely a fault of the step before")
    seconds = len(signal) / rate
    if rate != RATE and len(signal):
        signal = soxr.resample(signal, rate, RATE)
    levels = _levels(signal.astype(np.float32))
    frames = _anchors(levels)
    vectors = _vectors(levels, frames)
    peaks = np.abs(vectors).max(axis=1, initial=0.0)
    told = peaks > 1e-3  # around the others nothing changes from band to band
    scaled = np.round(127 * vectors[told] / peaks[told, None]).astype(np.int8)
    return Fingerprint((frames[told] * HOP / RATE).astype(np.float32), scaled, seconds)


def _filters() -> np.ndarray:
    """Triangles a semitone to each side, (bands, bins), each of sum 1."""
    semitones = 12 * np.log2(np.arange(1, N_FFT // 2 + 1) * RATE / N_FFT / LOWEST_HZ)
    filters = np.maximum(0.0, 1.0 - np.abs(semitones - np.arange(BANDS)[:, None]))
    filters /= filters.sum(axis=1, keepdims=True)
    return np.pad(filters, ((0, 0), (1, 0))).astype(np.float32)


def _levels(signal: np.ndarray) -> np.ndarray:
    """Log power of the bands, (frames, bands), above a floor that follows the level of the song."""
    padded = np.pad(signal, N_FFT // 2)  # frame i is centred on sample i * HOP
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]
    window, filters = scipy.signal.get_window("hann", N_FFT).astype(np.float32), _filters()
    powers = []
    for start in range(0, len(frames), 1024):  # 50 s: windowed frames are five times the signal
        spectrum = scipy.fft.rfft(frames[start : start + 1024] * window, axis=1)
        powers.append((spectrum.real**2 + spectrum.imag**2) @ filters.T)
    power = np.concatenate(powers).astype(np.float64)
    mean = power.mean()
    return np.zeros_like(power) if mean == 0.0 else np.log(power / mean + FLOOR)


def _anchors(levels: np.ndarray) -> np.ndarray:
    """Frames at which the bands rise most within 0.3 s, and whose vector lies inside the song."""
    rises = np.maximum(np.diff(levels, axis=0, prepend=levels[:1]), 0.0).sum(axis=1)
    rises = scipy.ndimage.gaussian_filter1d(rises, 1.5)  # 0.08 s, within which a codec moves a beginning
    peak = (rises == scipy.ndimage.maximum_filter1d(rises, 2 * APART + 1)) & (rises > 0.0)
    peak[:REACH] = peak[len(peak) - REACH :] = False
    return np.flatnonzero(peak) if len(peak) > 2 * REACH else np.empty(0, int)


def _vectors(levels: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """Cosine transform over time and bands around each frame, (frames, 96)."""
    smooth = scipy.ndimage.gaussian_filter1d(levels, 0.6 * STEP, axis=0)
    around = np.arange(-REACH, REACH + 1, STEP)
    patches = smooth[frames[:, None] + around] * scipy.signal.windows.cosine(len(around))[:, None]
    if not len(patches):
        return np.empty((0, DIMENSIONS))
    orders = scipy.fft.dctn(patches, axes=(1, 2), norm="ortho")[:, TIME_ORDERS, BAND_ORDERS]
    return orders.reshape(len(frames), DIMENSIONS)


def align(first: Fingerprint, second: Fingerprint, *, similarity: float = SIMILARITY) -> Alignment:
    """The line on which most anchors of two songs agree: a Hough search over speeds, then least squares.

    Speeds within 3.5 % are found. An anchor may agree with several of the other song, as in loops, and
    counts once. Exchanging the songs gives the inverse line.
    """
    nothing = Alignment(0, 0.0, 1.0, 0.0)
    if not len(first.anchors) or not len(second.anchors):
        return nothing
    one, other = first.anchors.astype(np.float64), second.anchors.astype(np.float64)
    rows, columns = np.nonzero(first.unit() @ second.unit().T >= similarity)
    if not len(rows):
        return nothing
    x, y = one[rows], other[columns]
    middle = np.median(x)  # offsets there do not depend on the slope
    x = x - middle
    steps = np.arange(-round(SPEEDS / SPEED_STEP), round(SPEEDS / SPEED_STEP) + 1)
    most, slope, offset = 0, 1.0, 0.0
    for step in sorted(steps, key=abs):  # of equal speeds the one next to 1
        rest = np.sort(y - x / (1.0 + step * SPEED_STEP))
        count = np.searchsorted(rest, rest + 2 * TOLERANCE, side="right") - np.arange(len(rest))
        best = int(np.argmax(count))
        if count[best] > most:
            most, slope = int(count[best]), 1.0 / (1.0 + step * SPEED_STEP)
            offset = float(np.median(rest[best : best + most]))
    for _ in range(4):  # the line of those that agree; of a long song its ends join step by step
        near = np.abs(y - slope * x - offset) <= TOLERANCE
        if not near.any() or np.ptp(x[near]) < SHORTEST:
            break
        fitted, fitted_offset = np.polyfit(x[near], y[near], 1)
        if not abs(1.0 / fitted - 1.0) <= SPEEDS + SPEED_STEP:
            break
        slope, offset = float(fitted), float(fitted_offset)
    near = np.abs(y - slope * x - offset) <= TOLERANCE
    matches = min(len(np.unique(rows[near])), len(np.unique(columns[near])))
    offset -= slope * middle
    inside = [
        np.sum((mapped >= ends[0] - TOLERANCE) & (mapped <= ends[-1] + TOLERANCE))
        for mapped, ends in ((slope * one + offset, other), ((other - offset) / slope, one))
    ]
    return Alignment(
        matches, float(matches / max(1, matches, min(inside))), float(1.0 / slope), float(offset)
    )


def candidates(
    songs: Sequence[Fingerprint], *, queries: int = QUERIES, similarity: float = SIMILARITY
) -> list[tuple[int, int]]:
    """Pairs (i, j), i < j, sorted, of which at least one of ``queries`` vectors lies near one of the other.

    Exact: faiss compares each query with every vector by its inner product, the vectors of 1,024 songs at a
    time, so that memory grows with the fingerprints (34 kB for 4 minutes) and the queries (12 kB) alone. The
    queries of a song are spread evenly over it: of a copy that shares a tenth of the song, three see it.
    """
    import faiss

    counts = [len(song.anchors) for song in songs]
    chosen = [np.unique(np.linspace(0, n - 1, min(n, queries)).round().astype(int)) for n in counts]
    asker = np.repeat(np.arange(len(songs)), [len(c) for c in chosen])
    asked = [song.unit()[c] for song, c in zip(songs, chosen, strict=True)]
    vectors = np.concatenate([np.empty((0, DIMENSIONS), np.float32), *asked])
    pairs: set[tuple[int, int]] = set()
    for first in range(0, len(songs), SONGS_AT_ONCE):
        index = faiss.IndexFlatIP(DIMENSIONS)
        for song in songs[first : first + SONGS_AT_ONCE]:
            index.add(song.unit())
        owner = first + np.repeat(np.arange(len(songs) - first), counts[first:])
        for start in range(0, len(vectors), 2_048):  # many queries are one BLAS product, few as many scans
            limits, _, found = index.range_search(vectors[start : start + 2_048], similarity)
            who = np.repeat(asker[start : start + 2_048], np.diff(limits.astype(np.int64)))
            both = np.stack([np.minimum(who, owner[found]), np.maximum(who, owner[found])], axis=1)
            pairs.update(map(tuple, np.unique(both[both[:, 0] != both[:, 1]], axis=0).tolist()))
    return sorted(pairs)


def fingerprint_song(path: str) -> list[dict[str, Any]]:
    """One row of a file, of this machine or at an address (``songs.places``).

    ``song`` (sha256 of its bytes), ``seconds``, ``rate`` (Hz, as stored), ``anchors`` (bytes of float32) and
    ``vectors`` (bytes of int8, 96 an anchor), little-endian.

    Any type that the package reads, of any length, in blocks. AudioError for what cannot be read: the reason
    alone, since ``songs.engine`` names the path.
    """
    data = read(path)
    try:
        # Loud floats and 8 bits do not matter here: a level changes nothing.
        signal = read_source(Source("", data=b""), data, minimum_bits=8, peak_limit=math.inf)
        resampler = soxr.ResampleStream(signal.rate, RATE, 1, dtype="float32")
        channels, parts, samples = ChannelSums(), [], 0
        for block in signal.blocks():
            mono = mean_of_channels(block)
            channels.add(block, mono)
            samples += len(mono)
            parts.append(resampler.resample_chunk(mono))
        parts.append(resampler.resample_chunk(np.empty(0, np.float32), last=True))
        channels.notes()  # refuses channels that cancel each other
        found = fingerprint(np.concatenate(parts), RATE)
    except OSError as error:
        raise AudioError(f"unreadable ({error.strerror or error}); likely a disk that failed") from None
    return [
        {
            "song": hashlib.sha256(data).hexdigest(),
            "seconds": samples / signal.rate,
            "rate": signal.rate,
            "anchors": found.anchors.astype("<f4").tobytes(),
            "vectors": found.vectors.tobytes(),
        }
    ]


def from_row(row: Mapping[str, Any]) -> Fingerprint:
    """A row of ``fingerprint_song`` as a Fingerprint; ValueError for bytes that do not fit together."""
    anchors = np.frombuffer(row["anchors"], "<f4")
    if len(row["vectors"]) != DIMENSIONS * len(anchors):
        raise ValueError(
            f"song {row['song']}: {len(row['vectors'])} bytes of vectors for {len(anchors)} anchors, and "
            f"{DIMENSIONS} each are needed; likely written by another version"
        )
    return Fingerprint(
        anchors, np.frombuffer(row["vectors"], np.int8).reshape(-1, DIMENSIONS), float(row["seconds"])
    )
