"""Candidate embeddings: a signal in, rows of numbers out.

Conventions
    signal      mono float32, (samples,), full scale 1.0. ``rate`` in Hz and never assumed.
    embedding   has ``name``, ``rate`` (Hz it works at), ``dimension``, ``licence`` (of the weights, in
                words), ``source``, and ``embed(signal) -> float32 (frames, dimension)`` for a signal at
                ``rate``. ``embed_at(signal, rate)`` takes any rate, ``file_vector`` averages the frames.
    frame       one row: a window of 1 s for the handcrafted ones, what the network reads for the others.
    refused     empty, shorter than 11.6 ms, NaN or infinite, silent (peak at most 1e-6): AudioError, a
                ValueError, for every embedding alike. Shorter than a frame is padded with zeros.

Handcrafted (numpy, scipy and ``metrics.py``; always there)
    three_views     the 1032 numbers of ``metrics.embed`` over their bundled divisors; its parts are
                    envelope (480), attack (120) and fine_structure (432).
    log_mel         mean and standard deviation over time of 80 log mel bands.
    mfcc            the same of 20 mel-frequency cepstral coefficients, their deltas and delta-deltas.
    mean_spectrum   magnitude spectrum averaged over time, in dB.
    mfcc_sequence   40 instants x 13 coefficients, flattened: one row a file, for dynamic time warping.
    waveform        the first second at 8 kHz: the naive one.
    All are prepared alike by ``metrics.prepare`` (trimmed, one level, 22,050 Hz; trimmed before any
    resampling when the rate is told, as ``file_vector`` does) except ``waveform``, which is neither
    trimmed nor levelled.

Networks whose weights lie in a PyPI wheel (extra "networks" of ``pyproject.toml``)
    aisfx, cdpam, musicnn, openwakeword, resemblyzer. The packages pin versions that exclude each other,
    so they are installed without their dependencies and never imported: their weight files are read,
    the network is built here. Nothing is prepared beyond what the network's authors do.

Networks whose weights are a download
    vggish, panns, clap, encodec, wav2vec2, wavlm. Nothing here downloads: ``load`` raises
    ``MissingNetwork`` with the command that does. Only that message and the preprocessing are
    tested by this repository; that the networks give their authors' numbers is not.

One's own: ``from_function(name, function, rate=..., dimension=...)``, and any file NAME.pt2 that holds a
program as ``python -m models export`` writes it: nothing of ``models`` is imported, the file is enough.

    >>> embedding = load("log_mel")
    >>> rows = [file_vector(embedding, signal, rate) for signal in signals]
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import scipy.fft
import scipy.signal
from numpy.lib.stride_tricks import sliding_window_view

import metrics
from audio_distance import views

N_FFT, HOP = 1024, 256  # of log_mel, mfcc and mean_spectrum: 46 ms and 12 ms at 22,050 Hz
SEQUENCE_FRAMES, SEQUENCE_COEFFICIENTS = 40, 13
WHEELS = "pip install --no-deps aisfx Resemblyzer -c constraints.txt"
TORCH = "pip install torch"
EXPORTED = ".pt2"  # of torch.export
CDPAM_SHA256 = "453c8b6edee1a94f0120236156436ff28fe4d8d884485e4a67695c8e8570bdfe"

Describe = Callable[[np.ndarray, int], np.ndarray]


class MissingNetwork(ImportError):
    """A network's package or weights are not on this machine: says what to run."""


@dataclass(frozen=True)
class Embedding:
    """A description of sounds: see the module's conventions.

    ``describe(signal, rate) -> (frames, dimension)`` takes any rate; use ``embed`` or ``embed_at``, which
    check what goes in and what comes out.
    """

    name: str
    rate: int
    dimension: int
    describe: Describe = field(repr=False)
    licence: str = ""
    source: str = ""

    def embed(self, signal: np.ndarray) -> np.ndarray:
        """float32 (frames, dimension) of a mono signal at ``self.rate``; at least one frame."""
        return self.embed_at(signal, self.rate)

    def embed_at(self, signal: np.ndarray, rate: int) -> np.ndarray:
        """The same of a signal at any rate, which is resampled by soxr.

        Raises ``metrics.AudioError`` for a signal that cannot be described, and ``ValueError`` if what
        comes out is not finite (frames, dimension).
        """
        rows = np.asarray(self.describe(_checked(signal, rate), rate), np.float32)
        if rows.ndim != 2 or len(rows) == 0 or rows.shape[1] != self.dimension:
            raise ValueError(
                f"{self.name} gave an array of shape {rows.shape}, and (frames, {self.dimension}) with at "
                "least 1 frame is needed; likely its dimension= is wrong, or one frame lost its first axis"
            )
        if not np.isfinite(rows).all():
            raise ValueError(
                f"{self.name} gave {np.count_nonzero(~np.isfinite(rows))} of {rows.size} numbers that are "
                "NaN or infinite; likely a division by the level, or a logarithm of 0"
            )
        return rows


def from_function(
    name: str,
    function: Callable[[np.ndarray], np.ndarray],
    *,
    rate: int,
    dimension: int,
    licence: str = "not stated",
    source: str = "own function",
) -> Embedding:
    """An embedding of one's own.

    ``function(signal) -> (frames, dimension)`` gets mono float32 at ``rate`` Hz, resampled by soxr where
    needed. A vector ``(dimension,)`` counts as one frame.

        >>> peak = from_function("peak", lambda signal: [abs(signal).max()], rate=16_000, dimension=1)
    """
    if rate < 1 or dimension < 1:
        raise ValueError(f"{name}: rate {rate} Hz and dimension {dimension}, and both are at least 1")
    return Embedding(
        name, rate, dimension, lambda x, r: np.atleast_2d(function(_resampled(x, r, rate))), licence, source
    )


def file_vector(embedding: Embedding, signal: np.ndarray, rate: int) -> np.ndarray:
    """One row for a file, float64 (dimension,): the mean over its frames.

    ``signal`` is mono at ``rate`` Hz. It is resampled to the embedding's rate by soxr; the handcrafted
    embeddings trim it before that, as ``metrics.prepare`` does. Raises as ``Embedding.embed_at``.
    """
    return embedding.embed_at(signal, rate).mean(axis=0, dtype=np.float64)


@dataclass(frozen=True)
class _Known:
    """What is known of a named embedding before anything is loaded.

    ``packages`` are top-level modules that must be found, ``weights`` gives the paths that must exist,
    ``install`` the command that brings both; ``build`` gets these paths and returns ``describe``.
    """

    rate: int
    dimension: int
    build: Callable[..., Describe]
    licence: str
    source: str
    packages: tuple[str, ...] = ()
    weights: Callable[[], tuple[Path, ...]] = tuple
    install: str = ""

    def missing(self) -> list[str]:
        absent = [f"package {name}" for name in self.packages if importlib.util.find_spec(name) is None]
        return absent or [f"weights {path}" for path in self.weights() if not path.exists()]


@cache
def load(name: str) -> Embedding:
    """The embedding of this name or ``.pt2`` file, weights in memory; the same object each time.

    Raises ``ValueError`` for a name not in ``NAMES`` and for a file that is no such program, and
    ``MissingNetwork`` with the command to run if its package or its weights are not on this machine. Never
    downloads.
    """
    if name.endswith(EXPORTED):
        return _exported(Path(name))
    if name not in _KNOWN:
        raise ValueError(f"unknown embedding {name!r}; known are {', '.join(NAMES)}, and files *{EXPORTED}")
    known = _KNOWN[name]
    if absent := known.missing():
        raise MissingNetwork(f"{name}: {', '.join(absent)} not found. Install with: {known.install}")
    describe = known.build(*known.weights())
    return Embedding(name, known.rate, known.dimension, describe, known.licence, known.source)


def contents(names: Sequence[str]) -> str:
    """SHA-256 of each exported file among ``names``: what these are is not fixed by this code."""
    files = [Path(name) for name in names if name.endswith(EXPORTED)]
    return "".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files if file.exists())


def facts(name: str) -> dict[str, object]:
    """Rate (Hz), dimension, the command that brings it, source and licence; loads nothing.

    ``ValueError`` for a name not in ``NAMES``.
    """
    if name not in _KNOWN:
        raise ValueError(f"unknown embedding {name!r}; known are {', '.join(NAMES)}")
    known = _KNOWN[name]
    return {
        "rate": known.rate,
        "dimension": known.dimension,
        "needs": known.install or "nothing",
        "source": known.source,
        "licence of the weights": known.licence or "none needed",
    }


def installed() -> tuple[str, ...]:
    """Names that ``load`` would load, found by looking for files; imports nothing."""
    return tuple(name for name in NAMES if not _KNOWN[name].missing())


# ---------------------------------------------------------------------------------------- preprocessing


def _checked(signal: np.ndarray, rate: int) -> np.ndarray:
    """Mono float32, refused as ``metrics.prepare`` refuses, so that all embeddings refuse alike."""
    signal = np.asarray(signal, np.float32)
    if signal.ndim != 1:
        raise metrics.AudioError(
            f"signal of shape {signal.shape}, and mono (samples,) is needed; likely channels not averaged"
        )
    seconds = len(signal) / rate
    if seconds < metrics.SHORTEST_SECONDS:
        raise metrics.AudioError(
            f"too short: {len(signal)} samples, {1e3 * seconds:.1f} ms, and the limit is "
            f"{1e3 * metrics.SHORTEST_SECONDS:.1f} ms; likely an empty recording, or cut by mistake"
        )
    peak = float(np.abs(signal).max())
    if not math.isfinite(peak):
        raise metrics.AudioError(
            f"{np.count_nonzero(~np.isfinite(signal))} of {len(signal)} samples are NaN or infinite; "
            "likely a model that diverged"
        )
    if peak <= metrics.SILENCE_PEAK:
        raise metrics.AudioError(
            f"silent: peak {peak:.2g}, and the limit is {metrics.SILENCE_PEAK:g}; likely an empty recording"
        )
    return signal


def _resampled(signal: np.ndarray, rate: int, target: int) -> np.ndarray:
    if rate == target:
        return signal
    import soxr

    return soxr.resample(signal, rate, target)


def cut(frames: np.ndarray, length: int, *, hop: int) -> np.ndarray:
    """Blocks of ``length`` along the first axis, (blocks, length, ...): none of the input is left out.

    Blocks start about ``hop`` apart, spread evenly so that the last one ends with the input (the networks'
    own code drops or pads the rest, which makes the result depend on it). Shorter input is one block,
    padded with zeros at the end.
    """
    if len(frames) <= length:
        return np.pad(frames, [(0, length - len(frames)), *[(0, 0)] * (frames.ndim - 1)])[None]
    count = math.ceil((len(frames) - length) / hop) + 1
    starts = np.linspace(0, len(frames) - length, count).round().astype(int)
    return np.stack([frames[start : start + length] for start in starts])


def power_spectra(
    signal: np.ndarray, window: int, *, hop: int, n_fft: int | None = None, padding: str | None = "constant"
) -> np.ndarray:
    """Squared magnitude of the short-time Fourier transform, (frames, n_fft // 2 + 1) float32.

    Periodic Hann window of ``window`` samples, not normalised. Frames are centred on multiples of ``hop``
    and the ends padded (``padding`` as in ``numpy.pad``); with None the first frame starts at sample 0 and
    no frame passes the end. A signal shorter than a frame is padded with zeros first.
    """
    signal = np.pad(signal, (0, max(0, window - len(signal))))
    if padding is not None:
        signal = np.pad(signal, window // 2, mode=padding)
    frames = sliding_window_view(signal, window)[::hop]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)).astype(np.float32)
    spectra = scipy.fft.rfft(frames * hann, n_fft or window, axis=1)
    return spectra.real**2 + spectra.imag**2


@cache
def mel_matrix(
    rate: int, n_fft: int, bands: int, low: float, high: float, scale: str = "slaney", norm: str = "area"
) -> np.ndarray:
    """Triangular mel filters, (n_fft // 2 + 1, bands) float32, to multiply spectra from the right.

    ``low`` and ``high`` in Hz. ``scale``: "slaney" or "htk", triangles straight in Hz, as in librosa, or
    "htk in mel", triangles straight in mel with the bin at 0 Hz left out, as VGGish has them. ``norm``:
    "area" (2 / width in Hz), "sum" (weights of a band add up to 1) or "peak" (height 1).
    """
    bins = np.arange(n_fft // 2 + 1) * rate / n_fft
    if scale == "slaney":
        edges = views.mel_to_hz(np.linspace(views.hz_to_mel(low), views.hz_to_mel(high), bands + 2))
    else:
        mels = np.linspace(_htk_mel(low), _htk_mel(high), bands + 2)
        edges = mels if scale == "htk in mel" else 700 * (10 ** (mels / 2595) - 1)
    if scale == "htk in mel":
        bins = _htk_mel(bins)
    rising = (bins - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - bins) / np.diff(edges)[1:, None]
    matrix = np.maximum(0, np.minimum(rising, falling))
    if scale == "htk in mel":
        matrix[:, 0] = 0
    if norm == "area":
        matrix *= (2 / (edges[2:] - edges[:-2]))[:, None]
    elif norm == "sum":
        matrix /= np.maximum(matrix.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    return matrix.T.astype(np.float32)


def _htk_mel(hz):
    return 2595 * np.log10(1 + np.asarray(hz) / 700)


def aisfx_input(signal: np.ndarray) -> np.ndarray:
    """44,100 Hz -> (blocks, 100, 96): log mel of 2.3 s, half overlapping, as aisfx's own librosa variant.

    Peak 1; 2048-point frames every 1024; 96 bands of the HTK scale up to 22,050 Hz, weights adding up to 1;
    log10(1 + 10^4 power) over 9.4578, the largest value of the authors' training data.
    """
    power = power_spectra(signal / np.abs(signal).max(), 2048, hop=1024)
    log = np.log10(1 + 1e4 * (power @ mel_matrix(44_100, 2048, 96, 0, 22_050, "htk", "sum")))
    return cut(log / np.float32(9.457798957824707), 100, hop=50)


def cdpam_input(signal: np.ndarray) -> np.ndarray:
    """22,050 Hz -> (blocks, samples): 2 s side by side, in steps of 16-bit samples, up to +-32768.

    The authors average over the whole recording; blocks bound the memory. Up to 2 s the two agree.
    """
    steps = np.round(signal * 32768)
    return cut(steps, min(len(steps), 44_100), hop=44_100)


def musicnn_input(signal: np.ndarray) -> np.ndarray:
    """16,000 Hz -> (blocks, at most 187, 96): log mel of 3 s, side by side.

    512-point frames every 256; 96 bands of Slaney's scale up to 8 kHz; log10(1 + 10^4 power). A shorter
    signal is not padded, because the network pools over what there is. (The authors round the power to
    16 bits first, which changes values by less than 1e-3.)
    """
    log = np.log10(1 + 1e4 * (power_spectra(signal, 512, hop=256) @ mel_matrix(16_000, 512, 96, 0, 8_000)))
    return cut(log, min(len(log), 187), hop=187)


def resemblyzer_input(signal: np.ndarray) -> np.ndarray:
    """16,000 Hz -> (blocks, 160, 40): mel power (no logarithm) of 1.6 s, every 0.77 s.

    Raised, never lowered, to an RMS of -30 dB relative to full scale; 400-point frames every 160. The
    authors also cut out what a voice detector calls no speech; not done here, where not all is speech.
    """
    rms = math.sqrt(float(np.mean(signal.astype(float) ** 2)))
    signal = signal * np.float32(max(1.0, 10 ** (-30 / 20) / rms))
    return cut(power_spectra(signal, 400, hop=160) @ mel_matrix(16_000, 400, 40, 0, 8_000), 160, hop=77)


def openwakeword_input(signal: np.ndarray) -> np.ndarray:
    """16,000 Hz -> (1, samples) in steps of 16-bit samples; zeros at the end up to the 0.78 s of a frame."""
    steps = np.clip(np.round(signal * 32768), -32768, 32767)
    return np.pad(steps, (0, max(0, 12_480 - len(steps))))[None]


def vggish_input(signal: np.ndarray) -> np.ndarray:
    """16,000 Hz -> (blocks, 96, 64): log(magnitude mel + 0.01) of 0.96 s, side by side.

    400-sample frames every 160 in a 512-point transform, not centred; 64 bands from 125 to 7,500 Hz
    (Hershey et al. 2017, arXiv:1609.09430, and the code with it).
    """
    magnitude = np.sqrt(power_spectra(signal, 400, hop=160, n_fft=512, padding=None))
    bands = magnitude @ mel_matrix(16_000, 512, 64, 125, 7_500, "htk in mel", "peak")
    return cut(np.log(cut(bands, max(len(bands), 96), hop=1)[0] + np.float32(0.01)), 96, hop=96)


def panns_input(signal: np.ndarray) -> np.ndarray:
    """32,000 Hz -> (blocks, at most 1001, 64): mel power in dB of 10 s, side by side.

    1024-point frames every 320, ends reflected; 64 bands of Slaney's scale from 50 to 14,000 Hz; floor
    -100 dB (Kong et al. 2020, arXiv:1912.10211). Shorter than 1 s is padded with zeros to 1 s, because the
    network halves time five times.
    """
    signal = np.pad(signal, (0, max(0, 32_000 - len(signal))))
    power = power_spectra(signal, 1024, hop=320, padding="reflect") @ mel_matrix(32_000, 1024, 64, 50, 14_000)
    decibels = 10 * np.log10(np.maximum(power, 1e-10))
    return cut(decibels, min(len(decibels), 1001), hop=1001)


def waveform_blocks(signal: np.ndarray, rate: int, seconds: float) -> np.ndarray:
    """(blocks, samples) of at most ``seconds``, side by side; at least 0.4 s, padded with zeros."""
    signal = np.pad(signal, (0, max(0, round(0.4 * rate) - len(signal))))
    longest = round(seconds * rate)
    return cut(signal, min(len(signal), longest), hop=longest)


# ------------------------------------------------------------------------------------------ handcrafted


def _by_window(row: Callable[[np.ndarray], np.ndarray]) -> Callable[[], Describe]:
    """One row for each window of 1 s of the prepared signal (the whole, up to 1.5 s)."""

    def describe(signal: np.ndarray, rate: int) -> np.ndarray:
        return np.stack([row(window) for window in metrics.windows(metrics.prepare(signal, rate)[0])])

    return lambda: describe


def _view(name: str | None) -> Callable[[np.ndarray], np.ndarray]:
    """The numbers of one view of ``metrics.embed``, all for None, over the bundled divisors."""
    sizes = list(metrics.VIEWS.values())
    first = 0 if name is None else sum(sizes[: list(metrics.VIEWS).index(name)])
    wanted = slice(first, first + (sum(sizes) if name is None else metrics.VIEWS[name]))
    return lambda window: metrics.embed(window)[wanted] / metrics.constants()[0][wanted]


def _spectra(window: np.ndarray) -> np.ndarray:
    """Power per squared window of 1024-point frames, (frames, 513); Hann's squares sum to 3 n / 8."""
    return power_spectra(window, N_FFT, hop=HOP) / np.float32(0.375 * N_FFT)


def _log_bands(window: np.ndarray, bands: int) -> np.ndarray:
    """Natural logarithm of the mel power, (frames, bands), floor 60 dB under the mean band."""
    floor = np.float32(1e-6 * metrics.PREPARED_RMS**2 * N_FFT / (2 * bands))
    return np.log(_spectra(window) @ _filters(bands) + floor)


@cache
def _filters(bands: int) -> np.ndarray:
    return metrics.mel_filters(N_FFT, bands, rate=metrics.RATE).T.astype(np.float32)


def _mean_and_sd(frames: np.ndarray) -> np.ndarray:
    return np.concatenate([frames.mean(axis=0), frames.std(axis=0)])


def _cepstrum(window: np.ndarray, count: int) -> np.ndarray:
    """First ``count`` mel-frequency cepstral coefficients: orthonormal DCT-II of 40 log mel bands."""
    return scipy.fft.dct(_log_bands(window, 40), axis=1, norm="ortho")[:, :count]


def _mfcc(window: np.ndarray) -> np.ndarray:
    """Mean, then sd, of 20 coefficients, slopes and curvatures (least squares over 9 frames, as librosa)."""
    cepstrum = _cepstrum(window, 20)
    change = [
        scipy.signal.savgol_filter(cepstrum, 9, order, deriv=order, axis=0, mode="nearest")
        for order in (1, 2)
    ]
    return _mean_and_sd(np.hstack([cepstrum, *change]))


def _mean_spectrum(window: np.ndarray) -> np.ndarray:
    """dB relative to full scale per bin, floor -120 dB."""
    return 20 * np.log10(np.sqrt(_spectra(window)).mean(axis=0) + 1e-6)


def _mfcc_sequence() -> Describe:
    def describe(signal: np.ndarray, rate: int) -> np.ndarray:
        cepstrum = _cepstrum(metrics.prepare(signal, rate)[0], SEQUENCE_COEFFICIENTS)
        instants = np.linspace(0, len(cepstrum) - 1, SEQUENCE_FRAMES)
        columns = [np.interp(instants, np.arange(len(cepstrum)), column) for column in cepstrum.T]
        return np.stack(columns, axis=1).reshape(1, -1)

    return describe


def _waveform() -> Describe:
    def describe(signal: np.ndarray, rate: int) -> np.ndarray:
        start = _resampled(signal, rate, 8_000)[:8_000]
        return np.pad(start, (0, 8_000 - len(start)))[None]

    return describe


# ---------------------------------------------------------------- networks with their weights in a wheel


def _in_package(package: str, *files: str) -> Callable[[], tuple[Path, ...]]:
    """Paths of files inside an installed package, which is not imported."""

    def paths() -> tuple[Path, ...]:
        folder = Path(importlib.util.find_spec(package).submodule_search_locations[0])
        return tuple(folder / file for file in files)

    return paths


def _torch_describe(network, prepare: Callable[[np.ndarray], np.ndarray], rate: int, at_once: int = 16):
    """Describe with a torch function of (blocks, ...) -> (rows, dimension), some blocks at a time."""
    import torch

    def describe(signal: np.ndarray, signal_rate: int) -> np.ndarray:
        blocks = torch.from_numpy(
            np.ascontiguousarray(prepare(_resampled(signal, signal_rate, rate)), np.float32)
        )
        with torch.inference_mode():
            return np.concatenate([network(part).numpy() for part in blocks.split(at_once)])

    return describe


def _exported(path: Path) -> Embedding:
    """A program of ``torch.export``, (1, window) -> (1, dimension), and its entry embedding.json.

    The signal is cut where it is quieter than ``trim`` of its peak at both ends, brought to ``level`` peak,
    and read in windows that overlap by half.
    """
    if not path.exists():
        raise MissingNetwork(f"{path}: not found. Make it with: python -m models export MODEL --out {path}")
    try:
        import torch
    except ImportError:
        raise MissingNetwork(f"{path}: needs PyTorch. Install with: {TORCH}") from None

    entry = {"embedding.json": ""}
    try:
        program = torch.export.load(path, extra_files=entry).module()
        about = json.loads(entry["embedding.json"])
        rate, window, dimension = (int(about[key]) for key in ("rate", "window", "dimension"))
    except Exception as error:  # zip, flatbuffer and JSON errors of several libraries
        raise ValueError(f"{path}: no exported embedding ({type(error).__name__}: {error})") from None

    def describe(signal: np.ndarray, signal_rate: int) -> np.ndarray:
        loud = np.flatnonzero(np.abs(signal) > about["trim"] * np.abs(signal).max())
        signal = _resampled(signal[loud[0] : loud[-1] + 1], signal_rate, rate)
        signal = signal * np.float32(about["level"] / max(float(np.abs(signal).max()), 1e-9))
        if len(signal) < window:
            before = (window - len(signal)) // 2
            signal = np.pad(signal, (before, window - len(signal) - before))
        blocks = torch.from_numpy(cut(signal.astype(np.float32), window, hop=window // 2))
        with torch.inference_mode():
            return np.concatenate([program(block[None]).numpy() for block in blocks])

    source = f"trained on {about.get('facts', {}).get('data', 'unknown data')}, {path.name}"
    return Embedding(path.stem, rate, dimension, describe, "that of its training data", source)


def _double_convolutions(widths: tuple[int, ...]):
    """Pairs of 3 x 3 convolution, batch norm and ReLU, the blocks of PANNs (arXiv:1912.10211) and aisfx."""
    from torch import nn

    blocks = nn.Sequential()
    for i, (before, after) in enumerate(zip((1, *widths), widths, strict=False), 1):
        block = nn.Sequential()
        for j, width in ((1, before), (2, after)):
            block.add_module(f"conv{j}", nn.Conv2d(width, after, 3, padding=1, bias=False))
            block.add_module(f"bn{j}", nn.BatchNorm2d(after))
            block.add_module(f"relu{j}", nn.ReLU())
        blocks.add_module(f"conv_block{i}", block)
    return blocks


def _with_prefix(state: dict, prefix: str) -> dict:
    return {key[len(prefix) :]: value for key, value in state.items() if key.startswith(prefix)}


def _read_torch(path: Path, *, sha256: str | None = None):
    """A torch checkpoint, read without running code from it; numpy numbers, which some hold, are let through.

    Given ``sha256``, the file is of a kind that can only be read by running what it says: it has to be
    that very file, else ValueError.
    """
    import torch

    if sha256 is not None:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != sha256:
            raise ValueError(
                f"{path} has SHA-256 {found}, and {sha256} is expected; likely another version of the package"
            )
        return torch.load(path, map_location="cpu", weights_only=False)
    scalar, array = np.int64(0).__reduce__()[0], np.zeros(0).__reduce__()[0]
    allowed = [(scalar, "numpy.core.multiarray.scalar"), (array, "numpy.core.multiarray._reconstruct")]
    allowed += [scalar, array, np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in ("i8", "f8", "f4"))]
    with torch.serialization.safe_globals(allowed):
        return torch.load(path, map_location="cpu", weights_only=True)


def _aisfx(path: Path) -> Describe:
    import torch

    blocks = _double_convolutions((64, 128, 256, 512)).eval()
    blocks.load_state_dict(_with_prefix(_read_torch(path)[0], "embedding_net."))

    def network(spectrograms):
        x = spectrograms[:, None]
        for i, block in enumerate(blocks, 1):
            x = block(x)
            if i < 4:
                x = torch.nn.functional.max_pool2d(x, 2)
        return x.mean(dim=3).amax(dim=2)

    return _torch_describe(network, aisfx_input, 44_100)


def _cdpam(path: Path) -> Describe:
    """The "acoustics" half of the encoder's output, of length 1, which the authors' distance compares."""
    from torch import nn

    network, width, before = nn.ModuleDict({"encoder": nn.ModuleList(), "ebatch": nn.ModuleList()}), 64, 1
    for i in range(1, 17):
        width *= 2 if i % 4 == 0 else 1
        network["encoder"].append(nn.Conv1d(before, width, 15, padding=7))
        network["ebatch"].append(nn.BatchNorm1d(width))
        before = width
    network.eval().load_state_dict(
        _with_prefix(_read_torch(path, sha256=CDPAM_SHA256)["state"], "base_encoder.")
    )

    def encode(signals):
        x = signals[:, None]
        for i, (convolve, normalise) in enumerate(
            zip(network["encoder"], network["ebatch"], strict=True), start=1
        ):
            x = nn.functional.leaky_relu(normalise(convolve(x)), 0.1)
            if i % 4 == 0:
                x = x[:, :, ::2]
        return nn.functional.normalize(x.mean(dim=2)[:, :512], dim=1)

    return _torch_describe(encode, cdpam_input, metrics.RATE, at_once=1)


def _resemblyzer(path: Path) -> Describe:
    """d-vectors (Wan et al. 2018, arXiv:1710.10467): last state of three LSTM layers, projected, length 1."""
    import torch
    from torch import nn

    network = nn.ModuleDict(
        {"lstm": nn.LSTM(40, 256, num_layers=3, batch_first=True), "linear": nn.Linear(256, 256)}
    )
    state = _read_torch(path)["model_state"]
    network.load_state_dict({key: value for key, value in state.items() if not key.startswith("similarity")})

    def encode(spectrograms):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # 480 small products in a row: threads would mostly wait for each other
        try:
            hidden = network["lstm"](spectrograms)[1][0][-1]
        finally:
            torch.set_num_threads(threads)
        return nn.functional.normalize(network["linear"](hidden).relu(), dim=1)

    return _torch_describe(encode, resemblyzer_input, 16_000)


def _openwakeword(mel_path: Path, embedding_path: Path) -> Describe:
    """Google's speech embedding: a row for each 0.78 s, every 80 ms."""
    import onnxruntime

    mel = onnxruntime.InferenceSession(mel_path, providers=["CPUExecutionProvider"])
    network = onnxruntime.InferenceSession(embedding_path, providers=["CPUExecutionProvider"])

    def describe(signal: np.ndarray, rate: int) -> np.ndarray:
        steps = openwakeword_input(_resampled(signal, rate, 16_000))
        bands = mel.run(None, {"input": steps})[0].reshape(-1, 32) / 10 + 2
        blocks = cut(bands, 76, hop=8)[..., None]
        parts = [blocks[i : i + 64] for i in range(0, len(blocks), 64)]
        return np.concatenate([network.run(None, {"input_1": part})[0].reshape(-1, 96) for part in parts])

    return describe


def _musicnn(index: Path, data: Path) -> Describe:
    """The penultimate layer of MTT_musicnn (200 numbers), which the tags are read from."""
    layers = _musicnn_layers(read_tensorflow(index, data))
    return _torch_describe(lambda spectrograms: layers(spectrograms)[0], musicnn_input, 16_000, at_once=4)


def _musicnn_layers(weights: dict[str, np.ndarray]):
    """(blocks, frames, 96) -> (penultimate layer, logits of the 50 tags of MagnaTagATune)."""
    import torch
    from torch.nn import functional

    weights = {key: torch.from_numpy(value) for key, value in weights.items()}

    def numbered(name: str, number: int, part: str):
        return weights[f"{name}_{number}/{part}" if number else f"{name}/{part}"]

    def normalise(x, number: int):
        parts = [
            numbered("batch_normalization", number, part)
            for part in ("moving_mean", "moving_variance", "gamma", "beta")
        ]
        return functional.batch_norm(x, *parts, eps=1e-3)  # TensorFlow's default

    def convolve(x, number: int):
        kernel = numbered("conv2d", number, "kernel").permute(3, 2, 0, 1)
        before = (kernel.shape[2] - 1) // 2
        x = functional.pad(x, (0, 0, before, kernel.shape[2] - 1 - before))  # as "same" pads along time
        x = functional.conv2d(x, kernel, numbered("conv2d", number, "bias")).relu()
        return normalise(x, number + 1).amax(dim=3)

    def layers(spectrograms):
        x = normalise(spectrograms[:, None], 0)
        front = torch.cat([convolve(x, number) for number in range(5)], dim=1)
        parts = [front, convolve(front.mT[:, None], 5)]
        for number in (6, 7):
            parts.append(convolve(parts[-1].mT[:, None], number) + parts[-1])
        x = torch.cat(parts, dim=1)
        x = normalise(torch.stack([x.amax(dim=2), x.mean(dim=2)], dim=2).flatten(1), 9)
        x = normalise((x @ weights["dense/kernel"] + weights["dense/bias"]).relu(), 10)
        return x, x @ weights["dense_1/kernel"] + weights["dense_1/bias"]

    return layers


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


# ------------------------------------------------------------- networks whose weights are a download


def _torch_checkpoint(file: str) -> Callable[[], tuple[Path, ...]]:
    """Where ``torch.hub`` keeps a downloaded file."""

    def paths() -> tuple[Path, ...]:
        cache_folder = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return (Path(os.environ.get("TORCH_HOME") or Path(cache_folder, "torch"), "hub/checkpoints", file),)

    return paths


def _hub_snapshot(repository: str) -> Callable[[], tuple[Path, ...]]:
    """Files of a model in the cache of the Hugging Face hub: configuration, preprocessing, weights."""

    def paths() -> tuple[Path, ...]:
        cache_folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        home = Path(os.environ.get("HF_HOME") or cache_folder / "huggingface")
        folder = Path(
            os.environ.get("HF_HUB_CACHE") or home / "hub", f"models--{repository.replace('/', '--')}"
        )
        reference = folder / "refs" / "main"
        snapshot = folder / "snapshots" / (reference.read_text().strip() if reference.exists() else "main")
        weights = snapshot / "pytorch_model.bin"
        if not weights.exists():
            weights = snapshot / "model.safetensors"
        return snapshot / "config.json", snapshot / "preprocessor_config.json", weights

    return paths


def _vggish(path: Path) -> Describe:
    """The 128 numbers before the last ReLU, without the authors' PCA and quantisation."""
    from torch import nn

    layers: list[nn.Module] = []
    for before, after, pooled in (
        *((1, 64, True), (64, 128, True), (128, 256, False)),
        *((256, 256, True), (256, 512, False), (512, 512, True)),
    ):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()] + [nn.MaxPool2d(2)] * pooled
    dense = [nn.Linear(12_288, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(), nn.Linear(4096, 128)]
    network = nn.ModuleDict({"features": nn.Sequential(*layers), "embeddings": nn.Sequential(*dense)})
    network.load_state_dict(_read_torch(path))

    def encode(spectrograms):
        maps = network["features"](spectrograms[:, None])
        return network["embeddings"](maps.permute(0, 2, 3, 1).flatten(1))  # channels last, as TensorFlow

    return _torch_describe(encode, vggish_input, 16_000)


def _panns(path: Path) -> Describe:
    """CNN14's 2048 numbers before the classes."""
    import torch
    from torch import nn

    network = nn.ModuleDict({"bn0": nn.BatchNorm2d(64), "fc1": nn.Linear(2048, 2048)})
    network.update(dict(_double_convolutions((64, 128, 256, 512, 1024, 2048)).named_children()))
    state = _read_torch(path)["model"]
    network.load_state_dict({key: state[key] for key in network.state_dict()})
    network.eval()

    def encode(spectrograms):
        x = network["bn0"](spectrograms.mT[..., None]).transpose(1, 3)  # normalised per band
        for i in range(1, 7):
            x = network[f"conv_block{i}"](x)
            if i < 6:
                x = nn.functional.avg_pool2d(x, 2)
        x = x.mean(dim=3)
        return torch.relu(network["fc1"](x.amax(dim=2) + x.mean(dim=2)))

    return _torch_describe(encode, panns_input, 32_000, at_once=4)


def _transformers(rows: Callable, *, rate: int, seconds: float) -> Callable[..., Describe]:
    """A model of the Hugging Face hub; ``rows(model, inputs)`` gives (rows, dimension) of a block."""

    def build(configuration: Path, *_: Path) -> Describe:
        import torch
        from transformers import AutoFeatureExtractor, AutoModel

        extract = AutoFeatureExtractor.from_pretrained(configuration.parent, local_files_only=True)
        model = AutoModel.from_pretrained(configuration.parent, local_files_only=True).eval()

        def describe(signal: np.ndarray, signal_rate: int) -> np.ndarray:
            blocks = waveform_blocks(_resampled(signal, signal_rate, rate), rate, seconds)
            with torch.inference_mode():
                inputs = [extract(block, sampling_rate=rate, return_tensors="pt") for block in blocks]
                return np.concatenate([rows(model, each).numpy() for each in inputs])

        return describe

    return build


def _clap_rows(model, inputs):
    features = model.get_audio_features(**inputs)
    return features if hasattr(features, "numpy") else features.pooler_output  # from transformers 5 on


def _encodec_rows(model, inputs):
    return model.encoder(inputs["input_values"])[0].T


def _hidden_rows(model, inputs):
    return model(**inputs).last_hidden_state[0]


# ---------------------------------------------------------------------------------------------- registry


def _handcrafted(
    dimension: int, build, *, rate: int = metrics.RATE, source: str = "common practice"
) -> _Known:
    return _Known(rate, dimension, build, "none needed: computed by this repository", source)


def _wheel(package: str, files: tuple[str, ...], rate: int, dimension: int, build, licence, source) -> _Known:
    engine = "onnxruntime" if package == "openwakeword" else "torch"
    install = f"{WHEELS} && pip install {engine}"
    packages = (engine, package)
    return _Known(rate, dimension, build, licence, source, packages, _in_package(package, *files), install)


def _download(url: str, file: str, rate: int, dimension: int, build, source: str) -> _Known:
    fetch = f"import torch; torch.hub.load_state_dict_from_url('{url}', file_name='{file}')"
    install = f'{TORCH} && python -c "{fetch}"'
    return _Known(rate, dimension, build, NOT_CHECKED, source, ("torch",), _torch_checkpoint(file), install)


def _hub(repository: str, rate: int, dimension: int, rows, seconds: float, source: str) -> _Known:
    install = f"{TORCH} transformers && hf download {repository}"
    build = _transformers(rows, rate=rate, seconds=seconds)
    packages = ("torch", "transformers")
    return _Known(rate, dimension, build, NOT_CHECKED, source, packages, _hub_snapshot(repository), install)


NOT_CHECKED = "not checked by this repository: see the page the weights come from"
_OWN = "metrics.py of this repository"
_KNOWN: dict[str, _Known] = {
    "three_views": _handcrafted(1032, _by_window(_view(None)), source=_OWN),
    "envelope": _handcrafted(480, _by_window(_view("envelope")), source=_OWN),
    "attack": _handcrafted(120, _by_window(_view("attack")), source=_OWN),
    "fine_structure": _handcrafted(432, _by_window(_view("fine structure")), source=_OWN),
    "log_mel": _handcrafted(160, _by_window(lambda window: _mean_and_sd(_log_bands(window, 80)))),
    "mfcc": _handcrafted(
        120, _by_window(_mfcc), source="Davis and Mermelstein 1980, doi:10.1109/TASSP.1980.1163420"
    ),
    "mean_spectrum": _handcrafted(N_FFT // 2 + 1, _by_window(_mean_spectrum)),
    "mfcc_sequence": _handcrafted(
        SEQUENCE_FRAMES * SEQUENCE_COEFFICIENTS,
        _mfcc_sequence,
        source="Sakoe and Chiba 1978, doi:10.1109/TASSP.1978.1163055",
    ),
    "waveform": _handcrafted(8_000, _waveform, rate=8_000),
    "aisfx": _wheel(
        "aisfx",
        ("models/checkpoint.pth",),
        *(44_100, 512, _aisfx),
        "CC BY 4.0, stated for the model (the classifier of the package says MIT)",
        "Ma and Lerch 2022, Proc. ISMIR, pp. 866-875",
    ),
    "cdpam": _wheel(
        "cdpam",
        ("CDPAM_trained/scratchJNDdefault_best_model.pth",),
        *(metrics.RATE, 512, _cdpam),
        "MIT by the package's classifier; the package holds no licence text and says nothing of the weights",
        "Manocha et al. 2021, arXiv:2102.05109",
    ),
    "musicnn": _wheel(
        "musicnn",
        ("MTT_musicnn/.index", "MTT_musicnn/.data-00000-of-00001"),
        *(16_000, 200, _musicnn),
        "ISC for the package; it says nothing of the weights, which were trained on MagnaTagATune",
        "Pons and Serra 2019, arXiv:1909.06654",
    ),
    "openwakeword": _wheel(
        "openwakeword",
        ("resources/models/melspectrogram.onnx", "resources/models/embedding_model.onnx"),
        *(16_000, 96, _openwakeword),
        "CC BY-NC-SA 4.0, stated for all models in the package: no commercial use. (It also says that Google "
        "gives the speech embedding under Apache 2.0; read here as the stricter)",
        "Lin et al. 2020, arXiv:2002.01322",
    ),
    "resemblyzer": _wheel(
        "resemblyzer",
        ("pretrained.pt",),
        *(16_000, 256, _resemblyzer),
        "Apache 2.0 for the package; it says nothing of the weights on their own",
        "Wan et al. 2018, arXiv:1710.10467",
    ),
    "vggish": _download(
        "https://github.com/harritaylor/torchvggish/releases/download/v0.1/vggish-10086976.pth",
        "vggish-10086976.pth",
        *(16_000, 128, _vggish),
        "Hershey et al. 2017, arXiv:1609.09430",
    ),
    "panns": _download(
        "https://zenodo.org/record/3987831/files/Cnn14_mAP%3D0.431.pth",
        "Cnn14_mAP=0.431.pth",
        *(32_000, 2048, _panns),
        "Kong et al. 2020, arXiv:1912.10211",
    ),
    "clap": _hub("laion/clap-htsat-unfused", 48_000, 512, _clap_rows, 10, "Wu et al. 2023, arXiv:2211.06687"),
    "encodec": _hub(
        "facebook/encodec_24khz", 24_000, 128, _encodec_rows, 10, "Defossez et al. 2022, arXiv:2210.13438"
    ),
    "wav2vec2": _hub(
        "facebook/wav2vec2-base", 16_000, 768, _hidden_rows, 10, "Baevski et al. 2020, arXiv:2006.11477"
    ),
    "wavlm": _hub(
        "microsoft/wavlm-base-plus", 16_000, 768, _hidden_rows, 10, "Chen et al. 2022, arXiv:2110.13900"
    ),
}
NAMES: tuple[str, ...] = tuple(_KNOWN)
