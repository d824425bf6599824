"""What a recording sounds like from second to second, so that a copy is recognised after it was changed.

Conventions
    signal        mono, floating point, (samples,), full scale 1.0; ``rate`` in Hz, 8,000 or more.
    anchor        a moment at which much begins at once: it stays with the music, wherever a copy starts.
    vector        the log spectrogram within 1.5 s of an anchor: 96 numbers as int8; compared by cosine.
    spectrum      the half second from an anchor on, finer than semitones: 17 Fourier coefficients over the
                  logarithm of frequency, as int8.

Why this survives the usual changes. Level: the logarithm makes it an added constant, which the transform over
bands drops with its lowest coefficients, and slow changes of the spectrum (equalisers) with it. Low-pass
filters and codecs: bands end at 3.1 kHz, those of spectra at 3.7. Other starts: anchors and not a grid.
Speed, 2.5 % with the pitch: 0.43 semitones and at most 0.04 s within a vector, both below what its
coefficients resolve (1.5 semitones, 0.3 s); over a whole song it is a slope. A spectrum shows it, as a turn
of the coefficients that ``alignment`` undoes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
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

SETTINGS = "fingerprints-2"  # of the rows: another number where any constant below changes
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
FINE_FFT = 4_096  # 0.5 s
FINE_DELAY = 1_600  # samples from an anchor to the middle of its spectrum: what begins, not what went before
FINE_HZ, FINE_SEMITONES, FINE_BANDS = 261.6, 46, 8  # from C4 up to 3.7 kHz, eight bands a semitone
FINE_ORDERS = np.arange(4, 37, 2)  # periods of 11.5 to 1.3 semitones; windowed, odd orders add little


@dataclass(frozen=True)
class Fingerprint:
    """A song as its anchors.

    Attributes
    ----------
    anchors : (n,) float32
        Seconds, rising; none of silence, and of a sound shorter than 3 s.
    vectors : (n, 96) int8
        Each with its largest modulus at 127.
    spectra : (n, 34) int8
        Real parts, then imaginary; likewise. 0 where there is nothing in their bands.
    seconds : float
        Of the whole song.
    """

    anchors: np.ndarray
    vectors: np.ndarray
    spectra: np.ndarray
    seconds: float

    def unit(self) -> np.ndarray:
        """The vectors at length 1, (n, 96) float32."""
        vectors = self.vectors.astype(np.float32)
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)


def fingerprint(signal: np.ndarray, rate: int) -> Fingerprint:
    """Describe a mono signal, (samples,), at ``rate`` Hz.

    About 1.4 anchors a second, 11 kB a minute. A level makes no difference. Raises AudioError for a
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
    signal = signal.astype(np.float32)
    levels = _levels(signal)
    frames = _anchors(levels)
    vectors = _vectors(levels, frames)
    told = np.abs(vectors).max(axis=1, initial=0.0) > 1e-3  # around others nothing changes from band to band
    samples = frames[told] * HOP
    spectra = _scaled(_spectra(signal, samples + FINE_DELAY))
    return Fingerprint((samples / RATE).astype(np.float32), _scaled(vectors[told]), spectra, seconds)


def _scaled(numbers: np.ndarray) -> np.ndarray:
    """Rows as int8, each with its largest modulus at 127."""
    peaks = np.abs(numbers).max(axis=1, keepdims=True, initial=0.0)
    return np.round(127 * numbers / np.maximum(peaks, 1e-12)).astype(np.int8)


def _powers(signal: np.ndarray, centres: np.ndarray, n_fft: int) -> Iterator[np.ndarray]:
    """Power of frames about some samples, (1024 or fewer, bins) at once: frames are many times the signal."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(signal, n_fft // 2), n_fft)
    window = scipy.signal.get_window("hann", n_fft).astype(np.float32)
    for start in range(0, len(centres), 1024):
        spectrum = scipy.fft.rfft(frames[centres[start : start + 1024]] * window, axis=1)
        yield spectrum.real**2 + spectrum.imag**2


def _filters() -> np.ndarray:
    """Triangles a semitone to each side, (bands, bins), each of sum 1."""
    semitones = 12 * np.log2(np.arange(1, N_FFT // 2 + 1) * RATE / N_FFT / LOWEST_HZ)
    filters = np.maximum(0.0, 1.0 - np.abs(semitones - np.arange(BANDS)[:, None]))
    filters /= filters.sum(axis=1, keepdims=True)
    return np.pad(filters, ((0, 0), (1, 0))).astype(np.float32)


def _levels(signal: np.ndarray) -> np.ndarray:
    """Log power of the bands, (frames, bands), above a floor that follows the level of the song."""
    filters = _filters()
    powers = [power @ filters.T for power in _powers(signal, np.arange(0, len(signal) + 1, HOP), N_FFT)]
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


def _spectra(signal: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Fourier transform of the root of the magnitude over fine bands around each sample, (samples, 34).

    The root, where a logarithm would need a floor: what a codec leaves out is small as it stands.
    """
    bands = FINE_SEMITONES * FINE_BANDS
    # Low bands are narrower than a bin: their power is the integral of the spectrum between their edges.
    edges = FINE_HZ * 2 ** (np.arange(bands + 1) / (12 * FINE_BANDS)) * FINE_FFT / RATE + 0.5
    below, part = edges.astype(int), edges % 1
    window = scipy.signal.windows.hann(bands + 2)[1:-1]
    parts = [np.empty((0, 2 * len(FINE_ORDERS)))]
    for power in _powers(signal, centres, FINE_FFT):
        sums = np.pad(np.cumsum(power, axis=1, dtype=np.float64), ((0, 0), (1, 0)))
        sums = sums[:, below] * (1 - part) + sums[:, below + 1] * part
        roots = np.maximum(np.diff(sums, axis=1) / np.diff(edges), 0.0) ** 0.25
        roots -= np.average(roots, axis=1, weights=window)[:, None]
        orders = scipy.fft.rfft(roots * window, axis=1)[:, FINE_ORDERS]
        parts.append(np.concatenate([orders.real, orders.imag], axis=1))
    return np.concatenate(parts)


def fingerprint_song(path: str) -> list[dict[str, Any]]:
    """One row of a file, of this machine or at an address (``songs.places``).

    ``song`` (sha256 of its bytes), ``seconds``, ``rate`` (Hz, as stored), ``anchors`` (bytes of float32),
    ``vectors`` and ``spectra`` (bytes of int8, 96 and 34 an anchor), little-endian.

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
            "spectra": found.spectra.tobytes(),
        }
    ]


def from_row(row: Mapping[str, Any]) -> Fingerprint:
    """A row of ``fingerprint_song`` as a Fingerprint; ValueError for bytes that do not fit together."""
    anchors = np.frombuffer(row["anchors"], "<f4")
    numbers = []
    for name, width in (("vectors", DIMENSIONS), ("spectra", 2 * len(FINE_ORDERS))):
        if len(row[name]) != width * len(anchors):
            raise ValueError(
                f"song {row['song']}: {len(row[name])} bytes of {name} for {len(anchors)} anchors, and "
                f"{width} each are needed; likely written by another version"
            )
        numbers.append(np.frombuffer(row[name], np.int8).reshape(-1, width))
    return Fingerprint(anchors, *numbers, float(row["seconds"]))
