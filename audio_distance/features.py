"""What is measured of a sound: prepared, cut into windows, and described by 1032 numbers in three views.

Conventions
    signal     mono float32, (samples,), full scale 1.0; ``rate`` in Hz.
    window     what one vector describes: 1 s of a prepared signal, or all of it up to 1.5 s.
    vectors    (windows, 1032) float32: envelope (480), attack (120), fine structure (432), see ``VIEWS``.
    divisors   one bundled constant a number (``constants.json``), made from synthetic audio.
"""

from __future__ import annotations

import hashlib
import json
import math
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view

from audio_distance.audio import AudioError

RECIPE_VERSION = 1
CONSTANTS_FILE = Path(__file__).with_name("constants.json")
RATE = 22_050  # Hz, at which every signal is described
WINDOW_SECONDS = 1.0
LONGEST_SINGLE_WINDOW = 1.5  # seconds; a longer file becomes windows of WINDOW_SECONDS
SHORTEST_SECONDS = 256 / RATE  # one frame of the shortest transform
SILENCE_PEAK = 1e-6
TRIM = 1e-3  # of the peak (-60 dB)
PREPARED_RMS = 0.1
LOWEST_HZ = 30.0
ENVELOPE_SIZES, ENVELOPE_BANDS = (256, 1024, 4096), 40
FINE_SIZES, FINE_BANDS = (512, 1024, 2048), 24
VIEWS = {"envelope": 480, "attack": 120, "fine structure": 432}


def prepare(signal: np.ndarray, rate: int, *, bandwidth_rate: int | None = None) -> tuple[np.ndarray, float]:
    """Trim, resample to 22,050 Hz and bring to one level.

    Parameters
    ----------
    signal : array, (samples,) or (samples, channels)
        Channels are averaged.
    rate : int
        Hz.
    bandwidth_rate : int, optional
        Lowest sample rate of both sets: the signal passes through it, so both have one bandwidth.

    Returns
    -------
    (samples,) float32, at least 2048 samples at 22,050 Hz, and the level of the sounding part in dB
    relative to full scale (RMS of the 10 ms frames within 30 dB of the loudest), which is removed.

    Notes
    -----
    Silence is cut at the file's own rate, before resampling: 50 ms of leading zeros then change nothing
    at all, whereas after it the resampler's ringing would move the cut.
    """
    signal = np.asarray(signal, np.float32)
    if signal.ndim > 1:
        signal = signal.mean(axis=1)
    if len(signal) == 0:
        raise AudioError("zero length: 0 samples; likely an empty recording")
    magnitude = np.abs(signal)
    peak = float(magnitude.max())
    if not math.isfinite(peak):
        bad = np.flatnonzero(~np.isfinite(signal))
        raise AudioError(
            f"{len(bad)} samples are NaN or infinite, the first at {bad[0] / rate:.3f} s; "
            "likely a model that diverged"
        )
    if peak <= SILENCE_PEAK:
        raise AudioError(
            f"silent: peak {peak:.2g}, and the limit is {SILENCE_PEAK:g}; likely an empty "
            "recording, or float samples read as integers"
        )
    seconds = len(signal) / rate
    if seconds < SHORTEST_SECONDS:
        raise AudioError(
            f"too short: {len(signal)} samples, {1e3 * seconds:.1f} ms, and the limit is "
            f"{1e3 * SHORTEST_SECONDS:.1f} ms (one analysis frame); likely cut by mistake"
        )
    sounding = np.flatnonzero(magnitude > TRIM * peak)
    signal = signal[sounding[0] : sounding[-1] + 1]
    if bandwidth_rate is not None and bandwidth_rate < min(rate, RATE):
        signal, rate = resample(signal, rate, bandwidth_rate), bandwidth_rate
    signal = resample(signal, rate, RATE)
    starts = np.arange(0, len(signal), RATE // 100)
    power = np.add.reduceat(signal * signal, starts) / np.diff(np.append(starts, len(signal)))
    rms = float(np.sqrt(power[power > power.max() * 1e-3].mean()))
    signal = np.pad(signal * np.float32(PREPARED_RMS / rms), (0, max(0, 2048 - len(signal))))
    return signal, 20 * math.log10(rms)


def resample(signal: np.ndarray, rate: int, target: int) -> np.ndarray:
    if rate == target:
        return signal
    import soxr

    resampled = soxr.resample(signal, rate, target)
    # A click of a few samples can vanish in a low rate; keep one sample so that lengths stay positive.
    return resampled if len(resampled) and np.any(resampled) else signal[np.argmax(np.abs(signal))][None]


def windows(signal: np.ndarray) -> list[np.ndarray]:
    """Windows of 1 s that cover a prepared signal evenly; the signal itself up to 1.5 s.

    The statistics of a window depend on its length, so long files need windows of one length. The count
    is the length rounded up, so no sample is lost; neighbours then overlap a little.
    """
    if len(signal) <= LONGEST_SINGLE_WINDOW * RATE:
        return [signal]
    size = round(WINDOW_SECONDS * RATE)
    count = math.ceil(len(signal) / size)
    starts = np.linspace(0, len(signal) - size, count).round().astype(int)
    return [signal[start : start + size] for start in starts]


def mel_filters(n_fft: int, bands: int) -> np.ndarray:
    """Triangular mel filters of peak 1, 30 Hz to 11,025 Hz, (bands, n_fft // 2 + 1), Slaney's mel scale.

    The same as ``librosa.filters.mel(norm=None)`` (a test compares them); written out because the first
    import of librosa compiles for about 10 s.
    """
    edges = mel_to_hz(np.linspace(hz_to_mel(LOWEST_HZ), hz_to_mel(RATE / 2), bands + 2))
    bins = np.arange(n_fft // 2 + 1) * RATE / n_fft
    width = np.diff(edges)
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    return np.maximum(0, np.minimum(rising, falling))


def hz_to_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + math.log(hz / 1000) * 27 / math.log(6.4)


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * math.log(6.4) / 27))


class _Bands:
    """A band matrix (bins, bands) kept as a few dense pieces: low bands touch only low bins.

    A mel matrix is nearly empty, and eight bands at a time over their own bins cost a third of one
    dense product.
    """

    def __init__(self, matrix: np.ndarray, piece: int = 8):
        self.bands = matrix.shape[1]
        self.pieces = []
        for first in range(0, self.bands, piece):
            part = matrix[:, first : first + piece]
            used = np.flatnonzero(part.any(axis=1))
            low, high = (used[0], used[-1] + 1) if len(used) else (0, 1)
            self.pieces.append((first, slice(low, high), np.ascontiguousarray(part[low:high], np.float32)))

    def __call__(self, spectra: np.ndarray) -> np.ndarray:
        result = np.empty((len(spectra), self.bands), np.float32)
        for first, used, part in self.pieces:
            np.matmul(spectra[:, used], part, out=result[:, first : first + part.shape[1]])
        return result


@cache
def _transform(n_fft: int) -> tuple[np.ndarray, _Bands, _Bands]:
    """Periodic Hann window; mel power bands (per squared window); means over binary bands."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    mel = mel_filters(n_fft, ENVELOPE_BANDS).T / (window @ window)
    binary = (mel_filters(n_fft, FINE_BANDS) > 0).T.astype(float)
    binary /= np.maximum(binary.sum(axis=0), 1)
    return window.astype(np.float32), _Bands(mel), _Bands(binary)


def embed(signal: np.ndarray) -> np.ndarray:
    """Describe one window: envelope (480), attack (120) and fine structure (432) as (1032,) float32.

    ``signal`` is prepared (see ``prepare``), 2048 samples to 1.5 s at 22,050 Hz. Everything is finite for
    every finite signal, digital silence and a single impulse included.
    """
    keep_freed_memory()
    envelope, attack, fine = [], [], []
    sizes = sorted({*ENVELOPE_SIZES, *FINE_SIZES})
    margin = sizes[-1] // 2
    padded = np.pad(signal, margin)
    for n_fft in sizes:
        window, mel, binary = _transform(n_fft)
        centred = padded[margin - n_fft // 2 : len(padded) - margin + n_fft // 2]
        frames = sliding_window_view(centred, n_fft)[:: n_fft // 4]
        spectrum = scipy.fft.rfft(frames * window, axis=1, overwrite_x=True)
        real, imaginary = np.ascontiguousarray(spectrum.real), np.ascontiguousarray(spectrum.imag)
        power = real * real
        power += imaginary * imaginary
        if n_fft in ENVELOPE_SIZES:
            statistics = _envelope(mel(power), n_fft)
            envelope.append(statistics)
            attack.append(statistics[2] - statistics[3])
        if n_fft in FINE_SIZES:
            fine.append(_fine_structure(real, imaginary, power, binary))
    return np.concatenate([np.ravel(part) for part in (*envelope, *attack, *fine)])


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Let glibc keep the arrays of one transform for the next instead of giving them back.

    Its allocator takes blocks of 128 KiB afresh from the system, page by page, until one larger block has
    been freed; measured here: 6.4 ms of CPU a second of audio before, 3.7 ms after.
    """
    np.empty(2**20)


def _envelope(bands: np.ndarray, n_fft: int) -> np.ndarray:
    """Mean, sd, rms of rises and rms of falls of the log mel power: (4, bands)."""
    floor = np.float32(1e-6 * PREPARED_RMS**2 * n_fft / (2 * ENVELOPE_BANDS))  # 60 dB under the mean band
    log = np.log(bands + floor)
    change = np.diff(log, axis=0)
    frames = max(len(change), 1)
    rises = np.maximum(change, 0)
    change -= rises
    return np.stack(
        [
            *_mean_and_sd(log),
            np.sqrt(np.einsum("tb,tb->b", rises, rises) / frames),
            np.sqrt(np.einsum("tb,tb->b", change, change) / frames),
        ]
    )


def _fine_structure(real, imaginary, power, binary: _Bands) -> np.ndarray:
    """What a log-mel spectrogram cannot see, per band: (6, bands).

    Flatness (log of the geometric over the arithmetic mean power in the band; mean, sd over time), and how
    steadily phase advances: with U = X/|X|, the weighted mean of U[t+1] conj(U[t])^2 U[t-1], which is 1 for a
    steady tone and near 0 for noise (real part: mean, sd; modulus: mean), and the same over neighbouring
    frequencies (real part: mean). Products only; no arctangent. Overwrites its arguments.
    """
    magnitude = np.sqrt(power)
    magnitude += np.float32(1e-20)  # U is 0 where X is 0
    real /= magnitude
    imaginary /= magnitude
    power += np.float32(1e-9)
    flatness = binary(np.log(power, out=magnitude)) - np.log(binary(power))
    weight = np.sqrt(power, out=power)
    total = binary(weight)
    total += np.float32(1e-12)
    result = np.zeros((6, binary.bands), np.float32)
    result[:2] = _mean_and_sd(flatness)
    # Over frequency on flattened arrays, which is faster: what wraps around a row's end falls on the
    # first and last bin, and both lie outside every band.
    flat_real, flat_imaginary, between = real.ravel(), imaginary.ravel(), magnitude.ravel()
    step = _turn(flat_real[1:], flat_imaginary[1:], flat_real[:-1], flat_imaginary[:-1])
    np.multiply(step[0][1:], step[0][:-1], out=between[1:-1])
    between[1:-1] += np.multiply(step[1][1:], step[1][:-1], out=step[0][1:])
    magnitude *= weight
    magnitude[:, 0] = magnitude[:, -1] = 0
    result[5] = _mean(binary(magnitude) / total)
    if len(real) >= 4:
        step = _turn(real[1:], imaginary[1:], real[:-1], imaginary[:-1])
        along, across = _turn(step[0][1:], step[1][1:], step[0][:-1], step[1][:-1])
        along *= weight[1:-1]
        across *= weight[1:-1]
        steady, drift = binary(along) / total[1:-1], binary(across) / total[1:-1]
        result[2:4] = _mean_and_sd(steady)
        result[4] = _mean(np.sqrt(steady * steady + drift * drift))
    return result


def _mean(values: np.ndarray) -> np.ndarray:
    """Over time, (frames, bands) -> (bands,); a product is three times as fast as ``mean`` at these sizes."""
    return np.full(len(values), 1 / len(values), np.float32) @ values


def _mean_and_sd(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = _mean(values)
    centred = values - mean
    return mean, np.sqrt(np.einsum("tb,tb->b", centred, centred) / len(values))


def _turn(real, imaginary, real_before, imaginary_before) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary part of U conj(V)."""
    along = real * real_before
    along += imaginary * imaginary_before
    across = imaginary * real_before
    across -= real * imaginary_before
    return along, across


@cache
def constants(path: Path = CONSTANTS_FILE) -> tuple[np.ndarray, str]:
    """Bundled divisor of each of the 1032 numbers, and the recipe's name with their checksum.

    Raises ``AudioError`` if the file is missing, or not of this recipe. Made by ``make constants``.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        version, numbers = content["recipe_version"], content["divisors"]
    except FileNotFoundError:
        raise AudioError(
            f"{path} is missing: it travels with metrics.py. Copy it from the repository, "
            "or make it again with: python -m study.constants"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise AudioError(f"{path} is not a constants file ({error!r})") from None
    if version != RECIPE_VERSION:
        raise AudioError(
            f"{path} is of recipe version {version}, and this metrics.py is of version "
            f"{RECIPE_VERSION}: take both from one release"
        )
    counts = {name: len(values) for name, values in numbers.items()}
    divisors = np.array([value for values in numbers.values() for value in values], float)
    if counts != VIEWS or not np.all(np.isfinite(divisors) & (divisors > 0)):
        raise AudioError(f"{path} holds {counts} positive numbers, and {VIEWS} are needed")
    digest = hashlib.sha256(divisors.astype(np.float32).tobytes()).hexdigest()[:8]
    return divisors, f"{RECIPE_VERSION}-{digest}"


def divisors(vectors: np.ndarray, *, floor: float = 0.1) -> np.ndarray:
    """Divisor of each number of one view, so that two random windows are about 1 apart.

    ``vectors`` is (windows, numbers). Each number's standard deviation, kept off zero by a tenth of the
    median one, times the root of the median squared distance.
    """
    vectors = np.asarray(vectors, float)
    spread = vectors.std(axis=0)
    typical = np.median(spread[spread > 0]) if np.any(spread > 0) else 1.0
    spread = np.sqrt(spread**2 + (floor * typical) ** 2)
    return spread * math.sqrt(_median_squared_distance(vectors / spread))


def _median_squared_distance(vectors: np.ndarray, most: int = 900) -> float:
    some = vectors[:: max(1, len(vectors) // most)]
    squared = squared_distances(some, some)[np.triu_indices(len(some), 1)]
    return float(np.median(squared)) or 1.0


def squared_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    squared = left @ right.T
    squared *= -2
    squared += np.einsum("ij,ij->i", left, left)[:, None]
    squared += np.einsum("ij,ij->i", right, right)
    return np.maximum(squared, 0, out=squared)


def audible_numbers(rate: int) -> list[np.ndarray]:
    """Which numbers of each view the test uses, for sets whose lowest sample rate is ``rate``.

    Bands of the fine structure that reach above the common bandwidth hold what resamplers leave there, far
    below the sound (the envelope has a floor). Whitened, that is as loud as the rest, and the test would
    tell resamplers apart: measured on digits resampled there and back, p <= .05 in more than half of all
    draws, although the value does not move.
    """
    upper = mel_to_hz(np.linspace(hz_to_mel(LOWEST_HZ), hz_to_mel(RATE / 2), FINE_BANDS + 2))[2:]
    inside = np.tile(upper <= rate / 2 + 1e-6, 6 * len(FINE_SIZES))
    return [np.ones(VIEWS["envelope"], bool), np.ones(VIEWS["attack"], bool), inside]
