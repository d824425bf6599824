"""What is measured of a prepared window: 1799 numbers, the three views and the texture.

Conventions
    signal      prepared (see ``features.prepare``): mono float32, (samples,), at 22,050 Hz, RMS 0.1.
    windows     of one length; what is small is computed of several at once, and then they come first.
    spectrum    X[t, k], frame t and bin k: periodic Hann window of n_fft samples, hop n_fft / 4, centred.
    bands       triangles on Slaney's mel scale, 30 Hz to 11,025 Hz; arrays are (frames, bins or bands).
    numbers     those of the value in the order of ``VIEWS``: envelope (480), attack (120), fine structure
                (432); then those of the test alone, as ``texture`` has them. ``PARTS`` are all of them.
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from audio_distance.texture import FAST_SIZE, SPECTRUM_SIZE, TEXTURE, texture, texture_names
from audio_distance.transforms import (
    ENVELOPE_BANDS,
    FINE_BANDS,
    PREPARED_RMS,
    RATE,
    Bands,
    band_floor,
    mel_edges,
    transform,
)

ENVELOPE_SIZES, FINE_SIZES = (256, 1024, 4096), (512, 1024, 2048)
VIEWS = {"envelope": 480, "attack": 120, "fine structure": 432}
PARTS = {**VIEWS, **TEXTURE}
COLUMNS = {  # where the numbers of each part stand among all
    part: slice(end - numbers, end)
    for (part, numbers), end in zip(PARTS.items(), itertools.accumulate(PARTS.values()), strict=True)
}
VIEW_COLUMNS = {view: COLUMNS[view] for view in VIEWS}


def embed(signal: NDArray[np.float32]) -> NDArray[np.float32]:
    """Describe one window, or several: the three views (1032) and the texture (767), float32.

    ``signal`` is prepared (see ``prepare``), 2048 samples to 1 s at 22,050 Hz: (samples,) gives (1799,), and
    (windows, samples) gives (windows, 1799), the same numbers to the bit, in less time. Everything is finite
    for every finite signal, digital silence and a single impulse included.

    Notes
    -----
    Arrays with a number for each bin are made of one window at a time: those of several would leave the
    processor's cache. Arrays with a number for each band are small, and of one window at a time most of their
    time would be spent on calling numpy.

    Written as products of real and imaginary parts. The same in complex numpy, as the equations in
    ``_fine_structure`` stand, is no faster, because sums over bands need both parts by themselves.
    """
    signal = np.asarray(signal, np.float32)
    signals = signal.reshape(-1, signal.shape[-1])
    windows, samples = signals.shape
    envelope, attack, fine = [], [], []
    logs: dict[int, NDArray[np.float32]] = {}
    mean_power = np.empty((windows, SPECTRUM_SIZE // 2 + 1), np.float32)
    # Every size once, 1024 for both views, and one padding for all: half of the longest transform.
    sizes = sorted({*ENVELOPE_SIZES, *FINE_SIZES})
    margin = sizes[-1] // 2
    padded = np.zeros((windows, samples + 2 * margin), np.float32)
    padded[:, margin : margin + samples] = signals
    row, sample = padded.strides
    for n_fft in sizes:
        window, mel, binary = transform(n_fft)
        # (windows, frames, n_fft), and no copy: ``sliding_window_view`` takes as long as a product.
        hop, first = n_fft // 4, margin - n_fft // 2
        shape, strides = (windows, samples // hop + 1, n_fft), (row, hop * sample, sample)
        frames = np.ndarray(shape, np.float32, padded, first * sample, strides)
        mel_power = np.empty((*frames.shape[:2], ENVELOPE_BANDS), np.float32)
        sums = np.empty((windows, 6, frames.shape[1], FINE_BANDS), np.float32)
        for i in range(windows):
            spectrum = scipy.fft.rfft(frames[i] * window, axis=1, overwrite_x=True)
            real, imaginary = spectrum.real, spectrum.imag
            if n_fft in FINE_SIZES:  # which take so many products of them that two copies pay
                real, imaginary = np.ascontiguousarray(real), np.ascontiguousarray(imaginary)
            power = np.square(real)
            power += np.square(imaginary)
            if n_fft == SPECTRUM_SIZE:
                mean_power[i] = power.mean(axis=0)  # before the fine structure overwrites it
            if n_fft in ENVELOPE_SIZES:
                mel(power, out=mel_power[i])
            if n_fft in FINE_SIZES:
                _sums_in_bands(real, imaginary, power, binary, out=sums[i])
        if n_fft in ENVELOPE_SIZES:
            logs[n_fft] = np.log(mel_power + band_floor(n_fft))
            statistics = _envelope(logs[n_fft])
            envelope.append(statistics)
            attack.append(statistics[:, 2] - statistics[:, 3])  # rises minus falls: the sign of time
        if n_fft in FINE_SIZES:
            fine.append(_fine_structure(sums))
    slow, fast = logs[SPECTRUM_SIZE], logs[FAST_SIZE]
    further = texture(signals, power=mean_power, log_bands=slow, fast_log_bands=fast)
    parts = [part.reshape(windows, -1) for part in (*envelope, *attack, *fine, further)]
    return np.concatenate(parts, axis=1).reshape(*signal.shape[:-1], -1)


@lru_cache(maxsize=1)
def number_names() -> tuple[str, ...]:
    """What each of the 1799 numbers is, in words: "envelope falls, 30-150 Hz, 46 ms", "spectrum 2153 Hz".

    The milliseconds are those of n_fft.
    """
    envelope, fine = (_band_names(bands) for bands in (ENVELOPE_BANDS, FINE_BANDS))
    rows = ("mean", "sd", "rises", "falls")
    fine_rows = (
        *("flatness mean", "flatness sd"),
        *("steadiness mean", "steadiness sd", "steadiness modulus", "smoothness mean"),
    )
    return (
        *(
            f"envelope {row}, {b}, {ms}"
            for ms in _milliseconds(ENVELOPE_SIZES)
            for row in rows
            for b in envelope
        ),
        *(f"attack, {b}, {ms}" for ms in _milliseconds(ENVELOPE_SIZES) for b in envelope),
        *(f"{row}, {b}, {ms}" for ms in _milliseconds(FINE_SIZES) for row in fine_rows for b in fine),
        *texture_names(),
    )


def _band_names(bands: int) -> list[str]:
    edges = mel_edges(bands)
    return [f"{low:.0f}-{high:.0f} Hz" for low, high in zip(edges[:-2], edges[2:], strict=True)]


def _milliseconds(sizes: tuple[int, ...]) -> list[str]:
    return [f"{1e3 * size / RATE:.0f} ms" for size in sizes]


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Let glibc keep the arrays of one sound for the next instead of giving them back.

    Its allocator takes blocks of 128 KiB afresh from the system, page by page, until one larger block has
    been freed, and then those that are larger than it. 32 MiB is the largest that counts, the samples of
    three minutes: pages then cost 1 % of describing songs, and 4 % of it where 8 MiB had been freed. For
    processes that are ours, workers and the command: a caller's allocator is left as it is, unless the
    caller calls this.
    """
    np.empty(31 * 2**20, np.uint8)


def _envelope(log: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean, sd, rms of rises and rms of falls of the log mel power L, for each band::

        L[t, b] = log(sum_k mel[b, k] |X[t, k]|^2 + floor),   D[t, b] = L[t + 1, b] - L[t, b]
        rises   = sqrt(mean_t max(D, 0)^2),                   falls   = sqrt(mean_t min(D, 0)^2)

    (windows, frames, bands) -> (windows, 4, bands).
    ``floor`` is 60 dB under the mean power of a band at the prepared level, so that digital silence and
    what a recording leaves between sounds are told apart no further than an ear does.
    """
    change = log[:, 1:] - log[:, :-1]
    frames = max(change.shape[1], 1)
    rises = np.maximum(change, 0)
    change -= rises
    result = np.empty((len(log), 4, log.shape[2]), np.float32)
    result[:, 0], result[:, 1] = _mean_and_sd(log)
    result[:, 2] = np.sqrt(np.einsum("wtb,wtb->wb", rises, rises) / frames)
    result[:, 3] = np.sqrt(np.einsum("wtb,wtb->wb", change, change) / frames)
    return result


def _fine_structure(sums: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a log-mel spectrogram cannot see, per band, (windows, 6, frames, bands) -> (windows, 6, bands)::

        Q[t, k]  = |X[t, k]|^2 + floor,     w = sqrt(Q),     U = X / w
        flatness = mean_k log Q - log mean_k Q                                         over bins k of a band
        steady   = sum_k w U[t+1, k] conj(U[t, k])^2 U[t-1, k] / sum_k w               over time
        smooth   = sum_k w U[t, k+1] conj(U[t, k])^2 U[t, k-1] / sum_k w               over frequency

    The rows are mean and sd over time of flatness, mean and sd of the real part of steady, mean of its
    modulus, mean of the real part of smooth. A phase that advances evenly gives 1 (a steady tone, over time;
    a click, over frequency), noise about 0: vocoders, codecs and Griffin-Lim are heard here.

    ``floor`` is 80 dB under the mean power of a bin at the prepared level, a little above the noise of 16
    bits: a bin well below it counts as even and without phase. What resamplers and encoders leave in an
    empty band would otherwise count like the sound. ``sums`` are those of ``_sums_in_bands``.
    """
    level, log, total, smooth, along, across = sums.swapaxes(0, 1)
    windows, _, frames, bands = sums.shape
    result = np.zeros((windows, 6, bands), np.float32)
    result[:, 0], result[:, 1] = _mean_and_sd(log - np.log(level))
    if frames >= 4:  # fewer frames hold no second difference worth a spread
        steady, drift = along[:, 1:-1] / total[:, 1:-1], across[:, 1:-1] / total[:, 1:-1]
        result[:, 2], result[:, 3] = _mean_and_sd(steady)
        result[:, 4] = _mean(np.sqrt(steady * steady + drift * drift))
    result[:, 5] = _mean(smooth / total)
    return result


def _sums_in_bands(
    real: NDArray[np.float32],
    imaginary: NDArray[np.float32],
    power: NDArray[np.float32],
    binary: Bands,
    *,
    out: NDArray[np.float32],
) -> None:
    """What ``_fine_structure`` needs of one window, (frames, bins) -> ``out``, (6, frames, bands).

    Sums over the bins k of a band, over the number of bins: of Q, of log Q, of w; of the real part of
    w U[t, k+1] conj(U[t, k])^2 U[t, k-1]; of the real and of the imaginary part of
    w U[t+1, k] conj(U[t, k])^2 U[t-1, k], 0 for the first and the last frame. Products only; no arctangent.
    Overwrites its arguments.
    """
    n_fft = 2 * (power.shape[1] - 1)
    power += np.float32(1e-8 * PREPARED_RMS**2 * 3 / 8 * n_fft)  # 3 / 8: mean square of the Hann window
    weight = np.sqrt(power)
    real /= weight
    imaginary /= weight
    binary(power, out=out[0])
    binary(np.log(power, out=power), out=out[1])
    binary(weight, out=out[2])
    # Over frequency on flattened arrays, which is faster: what wraps around a row's end falls on the
    # first and last bin, and both lie outside every band. The products take the place of the power.
    flat_real, flat_imaginary, between = real.ravel(), imaginary.ravel(), power.ravel()
    step = _turn(flat_real[1:], flat_imaginary[1:], flat_real[:-1], flat_imaginary[:-1])
    np.multiply(step[0][1:], step[0][:-1], out=between[1:-1])
    between[1:-1] += np.multiply(step[1][1:], step[1][:-1], out=step[0][1:])
    power *= weight
    power[:, 0] = power[:, -1] = 0
    binary(power, out=out[3])
    out[4:, 0] = out[4:, -1] = 0
    if len(real) >= 3:
        step = _turn(real[1:], imaginary[1:], real[:-1], imaginary[:-1])
        along, across = _turn(step[0][1:], step[1][1:], step[0][:-1], step[1][:-1])
        along *= weight[1:-1]
        across *= weight[1:-1]
        binary(along, out=out[4, 1:-1])
        binary(across, out=out[5, 1:-1])


def _mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over time, (windows, frames, bands) -> (windows, bands); a product is faster than ``mean``."""
    frames = values.shape[1]
    return np.full(frames, 1 / frames, np.float32) @ values


def _mean_and_sd(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Over time, (windows, frames, bands) -> (windows, bands) each."""
    mean = _mean(values)
    centred = values - mean[:, None]
    return mean, np.sqrt(np.einsum("wtb,wtb->wb", centred, centred) / values.shape[1])


def _turn(
    real: NDArray[np.float32],
    imaginary: NDArray[np.float32],
    real_before: NDArray[np.float32],
    imaginary_before: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Real and imaginary part of U conj(V)."""
    along = real * real_before
    along += imaginary * imaginary_before
    across = imaginary * real_before
    across -= real * imaginary_before
    return along, across
