"""A distance between two sets of audio files, with its uncertainty, in one file.

    >>> import metrics
    >>> metrics.distance("recordings/", "generated/")            # one signed number
    >>> print(metrics.compare("recordings/", "generated/"))      # with interval, p-value, causes

Conventions
    reference, candidate   a set of sounds: a folder (searched recursively), a file list (``.csv`` or
                           ``.txt``, one path a line), a list of paths, arrays together with ``rate``, or
                           a ``Description``: a set described once and kept without its audio (``describe``).
    signal                 mono float32, (samples,), full scale 1.0; ``rate`` in Hz and never assumed.
    file, window, unit     a file is one draw from its set; a file longer than 1.5 s is described by
                           windows of 1 s, which are *not* draws: the kernel is averaged over the window
                           pairs of two files. With ``groups=`` the group (speaker, song) is the draw.
                           "Unit" below is the draw: file or group.
    view                   one description of a window: envelope (480 numbers), attack (120) and fine
                           structure (432). Frequencies in Hz, levels in dB relative to full scale.
    value                  signed: an unbiased estimate of a quantity that is never negative has to fall
                           below zero about half of the time when that quantity is zero. It is not clipped.

The distance is the generalised energy distance with exponent 1/2 (Szekely and Rizzo 2013,
doi:10.1016/j.jspi.2013.03.018), averaged over the three views::

    K(x, y) = mean over views of |x - y|^(1/2)
    value   = 2 mean K(reference, candidate) - mean K(reference, reference') - mean K(candidate, candidate')

where a unit is never paired with itself (a U-statistic, hence unbiased at every size). Every number is
first divided by a bundled constant made from synthetic audio (``metrics_constants.json``), so values are
symmetric in the two sets, comparable between papers and free of the sets' size. Only numpy, scipy,
soundfile and soxr are needed; joblib shares long work among processes and tqdm draws the progress bar;
``av`` (optional) reads m4a.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import itertools
import json
import math
import os
import re
import struct
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view

RECIPE_VERSION = 1
CONSTANTS_FILE = Path(__file__).with_name("metrics_constants.json")

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

EXTENSIONS = frozenset(
    {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".mp4", ".aac"}
    | {".aif", ".aiff", ".aifc", ".au", ".caf", ".w64", ".rf64"}
)
DENSE_WINDOWS = 4096  # up to here the kernel is computed in float64, above in float32
TILE_ELEMENTS = 2**22  # of a kernel tile: 32 MiB in float64
BAND_UNITS = 400  # units a side at most, for the contribution of the bands
PARALLEL_SECONDS = 60.0  # of audio; below it starting processes costs more than it saves
WHITENING_RIDGE = 0.1  # of the mean variance: flat from .01 to .3 in power, see the benchmark


class AudioError(ValueError):
    """Input that cannot be measured: names every bad file, its value, the limit, the likely cause."""


# --------------------------------------------------------------------------------------------- results


@dataclass(frozen=True)
class Side:
    """What was read of one set."""

    name: str
    files: int
    units: int
    seconds: float
    rates: tuple[int, ...]
    level_db: float  # mean level of the sounding part, dB relative to full scale
    skipped: tuple[str, ...]  # one line a file that was left out with on_error="skip"
    not_audio: int  # hidden and non-audio files passed over in a folder


@dataclass(frozen=True)
class Contribution:
    """A part of the value: a candidate file (or group) or a frequency band."""

    name: str
    value: float


@dataclass(frozen=True)
class Comparison:
    """The distance from a reference to a candidate set, and how far it can be trusted.

    Attributes
    ----------
    value : float
        Energy distance, mean over the views; signed, 0 on average for two samples of one source.
    interval : (float, float) or None
        95 % confidence interval (delete-one-unit jackknife with t); None with fewer than 3 units a side.
    null_spread : float
        Standard deviation of the value when the units are dealt to the two sets at random.
    p_value : float
        Permutation p-value of "both sets are draws of one source".
    permutations : int
        Number of rearrangements behind ``p_value``; ``exact`` tells that they are all there are.
    smallest_p : float
        The smallest p-value that these numbers of units can give.
    views : dict
        The value of each view; their mean is ``value``.
    bands : tuple of Contribution
        Share of each mel band in the envelope view; they add up to ``views["envelope"]`` (of the units used).
    units : tuple of Contribution
        All candidate units, the largest contribution first; their mean is ``value``.
    level_difference_db, level_interval_db
        Candidate minus reference; level is no part of the value.
    paired : bool
        True if units were matched by name and swapped in the test.
    shared : int
        Units with the same content in both sets.
    """

    value: float
    interval: tuple[float, float] | None
    null_spread: float
    p_value: float
    permutations: int
    exact: bool
    smallest_p: float
    views: dict[str, float]
    bands: tuple[Contribution, ...]
    units: tuple[Contribution, ...]
    level_difference_db: float
    level_interval_db: tuple[float, float] | None
    reference: Side
    candidate: Side
    paired: bool
    shared: int
    bandwidth_hz: float
    seed: int
    recipe: str
    warnings: tuple[str, ...]
    _deviations: dict[tuple[str, str], float] = field(default_factory=dict, repr=False, compare=False)

    @property
    def verdict(self) -> str:
        """The result in words."""
        return _verdict(self)

    def to_dict(self) -> dict:
        """Plain types, for JSON."""
        result = asdict(self)
        del result["_deviations"]
        return {**result, "verdict": self.verdict}

    def __str__(self) -> str:
        return _describe(self)


@dataclass(frozen=True)
class Difference:
    """Which of two candidates is closer to one reference: ``value`` = first minus second.

    ``interval`` and ``p_value`` come from the jackknife in which the reference is common to both and
    candidate units of the same name are deleted together; they are approximate (t), not exact.
    """

    value: float
    interval: tuple[float, float]
    p_value: float


# --------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class _Source:
    """One sound that has not been read yet."""

    name: str
    path: Path | None = None
    array: np.ndarray | None = None
    rate: int = 0


@dataclass(frozen=True)
class _Sound:
    """One sound, described: ``vectors`` is (windows, numbers), ``content`` a digest of the samples."""

    name: str
    content: str
    rate: int
    seconds: float
    level_db: float
    vectors: np.ndarray


@dataclass(frozen=True)
class _Set:
    name: str
    sounds: tuple[_Sound, ...]
    skipped: tuple[str, ...]
    not_audio: int
    fixed: bool = False  # the bandwidth of the call is that of a Description


def _list_set(source, role: str, rate) -> tuple[str, list[_Source], int]:
    """Name, sounds in sorted order, and the number of files passed over."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir():
            return str(source), *_list_folder(path, role)
        if not path.exists():
            raise AudioError(
                f"{role}: {path} does not exist (looked in {Path.cwd()}). "
                "Give a folder, a .csv or .txt file list, a list of paths, or arrays with rate=."
            )
        if path.suffix.lower() in {".csv", ".txt"}:
            return str(source), _list_file(path, role), 0
        raise AudioError(
            f"{role}: {path} is one file, and a set needs at least 2. "
            "Give a folder, or a .csv or .txt file with one path a line."
        )
    items = list(source)
    if not items:
        raise AudioError(f"{role}: the set is empty (0 sounds, at least 2 are needed).")
    if all(isinstance(item, (str, os.PathLike)) for item in items):
        return role, _sources([Path(item) for item in items]), 0
    if rate is None:
        raise AudioError(
            f"{role}: arrays need rate= in Hz (one number, or a pair for reference and candidate); "
            "a rate that is guessed wrong changes the result silently."
        )
    if not 1000 <= rate <= 768_000:
        raise AudioError(f"{role}: rate {rate} Hz is outside 1000 to 768000 Hz. Was it given in kHz?")
    if any(np.ndim(item) == 0 for item in items):
        raise AudioError(
            f"{role}: a set of arrays is a list of signals, and this one holds single values or paths; "
            "likely one signal given as the set, or paths and arrays in one list"
        )
    width = len(str(len(items)))
    return (
        role,
        [_Source(f"[{i:0{width}d}]", array=np.asarray(item), rate=int(rate)) for i, item in enumerate(items)],
        0,
    )


def _list_folder(folder: Path, role: str) -> tuple[list[_Source], int]:
    paths, passed = [], 0
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                paths.append(Path(root, name))
            else:
                passed += 1
    if not paths:
        raise AudioError(
            f"{role}: {folder} holds no audio files ({passed} other files passed over). "
            f"Known extensions: {' '.join(sorted(EXTENSIONS))}."
        )
    return _sources(paths, folder), passed


def _list_file(path: Path, role: str) -> list[_Source]:
    """Paths of a file list: the first column; relative to the working directory, else to the list."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise AudioError(
            f"{role}: the file list {path} is not UTF-8 ({error}); likely saved by a spreadsheet in "
            "another encoding"
        ) from None
    if path.suffix.lower() == ".csv":
        entries = [row[0].strip() for row in csv.reader(lines, skipinitialspace=True) if row]
    else:
        entries = [line.strip() for line in lines]
    entries = [entry for entry in entries if entry and not entry.startswith("#")]
    if entries and entries[0].lower() in {"path", "file", "filename", "file_name", "name"}:
        entries = entries[1:]
    if not entries:
        raise AudioError(f"{role}: the file list {path} names no files.")
    found = [Path(entry) if Path(entry).exists() else path.parent / entry for entry in entries]
    missing = [entry for entry, file in zip(entries, found, strict=True) if not file.exists()]
    if missing:
        raise AudioError(
            f"{role}: {len(missing)} of {len(entries)} files in {path} do not exist, the first is "
            f"{missing[0]}. Paths are taken relative to the working directory ({Path.cwd()}) "
            f"or to the list's folder."
        )
    return _sources(found)


def _sources(paths: Sequence[Path], folder: Path | None = None) -> list[_Source]:
    """Named by the path below the folder; without one, below the deepest common folder."""
    paths = sorted(paths)
    if folder is None:
        folder = Path(os.path.commonpath([path.absolute().parent for path in paths]))
        return [_Source(path.absolute().relative_to(folder).as_posix(), path) for path in paths]
    return [_Source(path.relative_to(folder).as_posix(), path) for path in paths]


def _rate_of(source: _Source) -> int:
    """Sample rate from the header; raises AudioError with the reason if there is none."""
    if source.path is None:
        return source.rate
    import soundfile

    if source.path.stat().st_size == 0:
        raise AudioError("0 bytes; likely an interrupted copy or a disk that was full")
    if source.path.suffix.lower() in {".m4a", ".mp4", ".aac"}:
        with _open_av(source.path) as container:
            return container.streams.audio[0].rate
    try:
        return soundfile.info(str(source.path)).samplerate
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"unreadable ({error}); likely not audio, or damaged") from None


def _open_av(path: Path):
    try:
        import av
    except ModuleNotFoundError:
        raise AudioError(
            f"{path.suffix} needs the optional package av (pip install av), which is not installed"
        ) from None
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError) as error:
        raise AudioError(f"unreadable ({error}); likely not audio, or damaged") from None
    if not container.streams.audio:
        container.close()
        raise AudioError("holds no audio stream")
    return container


def read(path, *, minimum_bits: int = 16, peak_limit: float = 1.0) -> tuple[np.ndarray, int]:
    """One file as the distance reads it: (samples, channels) float32, full scale 1.0, and its rate in Hz.

    ``AudioError`` with value, limit and likely cause, as ``compare`` tells of a file.
    """
    source = _Source(str(path), Path(path))
    try:
        rate = _rate_of(source)
        samples = _read(source, source.path.read_bytes(), minimum_bits=minimum_bits, peak_limit=peak_limit)
    except OSError as error:
        raise AudioError(f"unreadable ({error})") from None
    return samples, rate


def _read(source: _Source, data: bytes | None, *, minimum_bits: int, peak_limit: float) -> np.ndarray:
    """Samples as (samples, channels) float32, or AudioError with value, limit and likely cause."""
    if source.path is None:
        return _from_array(source.array, peak_limit)
    if source.path.suffix.lower() in {".m4a", ".mp4", ".aac"}:
        with _open_av(source.path) as container:
            import av

            try:
                frames = [frame.to_ndarray() for frame in _resampled_to_float(container)]
            except av.FFmpegError as error:
                raise AudioError(f"unreadable ({error}); likely damaged or truncated") from None
        if not frames:
            raise AudioError("holds no samples; likely truncated")
        return np.concatenate(frames, axis=1).T
    import soundfile

    _refuse_truncated(data)
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            if file.subtype in {"PCM_U8", "PCM_S8", "DPCM_8"} and minimum_bits > 8:
                raise AudioError(
                    f"8-bit samples ({file.subtype}), and the limit is {minimum_bits} bits: their noise, "
                    "about 50 dB below the sound, would count as a difference. Likely an export setting; "
                    "convert the source again, or pass minimum_bits=8"
                )
            expected, is_float = file.frames, file.subtype in {"FLOAT", "DOUBLE"}
            samples = file.read(dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"unreadable ({error}); likely damaged or truncated") from None
    if len(samples) < expected < 2**62:
        raise AudioError(f"truncated: {len(samples)} of {expected} samples could be read")
    if is_float:
        _refuse_out_of_range(samples, peak_limit)
    return samples


def _from_array(array: np.ndarray, peak_limit: float) -> np.ndarray:
    if array.ndim not in (1, 2) or array.dtype.kind not in "fiu":
        raise AudioError(
            f"array of shape {array.shape} and type {array.dtype}; a sound is (samples,) or "
            "(samples, channels) of float or integer type"
        )
    if array.ndim == 2 and array.shape[1] > 64:
        raise AudioError(
            f"array of shape {array.shape} has {array.shape[1]} channels (limit 64); "
            "is it (channels, samples)? Transpose it"
        )
    if array.dtype.kind in "iu":
        if array.dtype.itemsize < 2 or array.dtype.kind == "u":
            raise AudioError(f"array of type {array.dtype}; integer samples must be int16 or int32")
        return np.atleast_2d((array / -float(np.iinfo(array.dtype).min)).astype(np.float32).T).T
    samples = np.atleast_2d(array.astype(np.float32).T).T
    _refuse_out_of_range(samples, peak_limit)
    return samples


def _refuse_out_of_range(samples: np.ndarray, peak_limit: float) -> None:
    peak = float(np.abs(samples).max(initial=0))
    if np.isfinite(peak) and peak > peak_limit:
        cause = "integer samples stored as float" if peak > 64 else "a signal that was never limited"
        raise AudioError(
            f"float samples reach {peak:.6g}, and the limit is {peak_limit:g}: a player would clip them. "
            f"Likely {cause}; scale it, or pass peak_limit="
        )


def _resampled_to_float(container) -> Iterator:
    import av

    resampler = av.AudioResampler(format="fltp")
    for frame in container.decode(audio=0):
        yield from resampler.resample(frame)


def _refuse_truncated(data: bytes) -> None:
    """libsndfile reads a cut file as a shorter one without a word; compare sizes with the headers."""
    promised, start = _promised_samples(data)
    held = len(data) - start
    if promised > held and promised % 2**32 < 0xFFFFFF00:  # streams write no size
        raise AudioError(
            f"truncated: the header promises {promised} bytes of samples, "
            f"the file holds {held}; likely an interrupted copy"
        )
    if data[:4] == b"OggS":
        last = data.rfind(b"OggS")
        page = data[last : last + 27 + 255]
        lengths = page[27 : 27 + page[26]] if len(page) >= 27 else b""
        if len(page) < 27 or last + 27 + len(lengths) + sum(lengths) > len(data):
            raise AudioError("truncated: the last Ogg page is cut; likely an interrupted copy")


def _promised_samples(data: bytes) -> tuple[int, int]:
    """Bytes of samples after the header of a WAV, RF64, W64, AIFF or AU file, and where they start."""
    if data[:4] == b".snd" and len(data) >= 12:
        start, size = struct.unpack_from(">II", data, 4)
        return size, start
    # Form, layout of a chunk's head, first chunk, name of the samples' chunk, alignment.
    for form, head, position, samples, align in (
        (b"RIFF", "<4sI", 12, b"data", 2),
        (b"RF64", "<4sI", 12, b"data", 2),
        (b"FORM", ">4sI", 12, b"SSND", 2),
        (b"riff", "<16sQ", 40, b"data", 8),
    ):
        if not data.startswith(form):
            continue
        long_size = None
        while position + struct.calcsize(head) <= len(data):
            name, size = struct.unpack_from(head, data, position)
            position += struct.calcsize(head)
            if form == b"riff":  # W64 counts the head as well
                size = max(0, size - struct.calcsize(head))
            if name == b"ds64" and position + 16 <= len(data):
                long_size = struct.unpack_from("<Q", data, position + 8)[0]
            if name[:4] == samples:
                return (long_size if size == 0xFFFFFFFF and long_size is not None else size), position
            position += -(-size // align) * align
    return 0, 0


# ------------------------------------------------------------------------------------------- preparing


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
        signal, rate = _resample(signal, rate, bandwidth_rate), bandwidth_rate
    signal = _resample(signal, rate, RATE)
    starts = np.arange(0, len(signal), RATE // 100)
    power = np.add.reduceat(signal * signal, starts) / np.diff(np.append(starts, len(signal)))
    rms = float(np.sqrt(power[power > power.max() * 1e-3].mean()))
    signal = np.pad(signal * np.float32(PREPARED_RMS / rms), (0, max(0, 2048 - len(signal))))
    return signal, 20 * math.log10(rms)


def _resample(signal: np.ndarray, rate: int, target: int) -> np.ndarray:
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


# ------------------------------------------------------------------------------------------- embedding


def mel_filters(n_fft: int, bands: int) -> np.ndarray:
    """Triangular mel filters of peak 1, 30 Hz to 11,025 Hz, (bands, n_fft // 2 + 1), Slaney's mel scale.

    The same as ``librosa.filters.mel(norm=None)`` (a test compares them); written out because the first
    import of librosa compiles for about 10 s.
    """
    edges = _mel_to_hz(np.linspace(_hz_to_mel(LOWEST_HZ), _hz_to_mel(RATE / 2), bands + 2))
    bins = np.arange(n_fft // 2 + 1) * RATE / n_fft
    width = np.diff(edges)
    rising = (bins - edges[:-2, None]) / width[:-1, None]
    falling = (edges[2:, None] - bins) / width[1:, None]
    return np.maximum(0, np.minimum(rising, falling))


def _hz_to_mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + math.log(hz / 1000) * 27 / math.log(6.4)


def _mel_to_hz(mel: np.ndarray) -> np.ndarray:
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
    _keep_freed_memory()
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
def _keep_freed_memory() -> None:
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
    squared = _squared_distances(some, some)[np.triu_indices(len(some), 1)]
    return float(np.median(squared)) or 1.0


# ---------------------------------------------------------------------------------------------- kernel


def _squared_distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    squared = left @ right.T
    squared *= -2
    squared += np.einsum("ij,ij->i", left, left)[:, None]
    squared += np.einsum("ij,ij->i", right, right)
    return np.maximum(squared, 0, out=squared)


@dataclass(frozen=True)
class _Pool:
    """All units of both sets, windows stacked unit after unit.

    ``members`` is 1 for reference, 2 for candidate, 3 for a unit that is in both; ``partner[i]`` is the
    matched unit of the other set or -1; ``weights`` (windows,) sum to 1 within a unit.
    """

    vectors: np.ndarray
    starts: np.ndarray
    weights: np.ndarray
    members: np.ndarray
    partner: np.ndarray
    names: tuple[str, ...]
    levels: np.ndarray

    @property
    def size(self) -> int:
        return len(self.starts)


def _unit_tiles(views: Sequence[np.ndarray], pool: _Pool) -> Iterator[tuple[int, int, np.ndarray]]:
    """The upper half of the unit-by-unit kernel in tiles of bounded size.

    Yields first, last and K[first:last, first:], (views, last - first, units - first); the rest follows
    from symmetry. ``views`` are scaled vectors, each (windows, numbers). A unit with itself and with its
    partner is 0: neither pair enters a mean.
    """
    total = len(pool.vectors)
    ends = np.append(pool.starts[1:], total)
    precision = np.float64 if total <= DENSE_WINDOWS else np.float32
    left, right = zip(*(_distance_factors(view, precision) for view in views), strict=True)
    weights = None if len(pool.starts) == total else pool.weights.astype(precision)
    # Below this a squared distance is rounding: two copies of a sound are at 0, not at 0.001.
    noise = [8 * np.finfo(precision).eps * float(factor[:, -1].max()) for factor in right]
    step = max(1, TILE_ELEMENTS // total)
    first = 0
    while first < pool.size:
        last = max(first + 1, int(np.searchsorted(ends, pool.starts[first] + step, side="right")))
        begin, end = pool.starts[first], ends[last - 1]
        tile = np.zeros((len(views), last - first, pool.size - first), precision)
        for low in range(begin, end, step):
            rows = slice(low, min(low + step, end))
            for index in range(len(views)):
                kernel = left[index][rows] @ right[index][begin:].T
                kernel *= kernel > noise[index]
                np.sqrt(np.sqrt(kernel, out=kernel), out=kernel)
                if weights is None:
                    tile[index] = kernel
                    continue
                kernel *= weights[begin:]
                kernel *= weights[rows, None]
                by_unit = np.add.reduceat(kernel, pool.starts[first:] - begin, axis=1)
                owners = np.searchsorted(pool.starts, np.arange(rows.start, rows.stop), side="right") - 1
                units, starts = np.unique(owners, return_index=True)
                tile[index, units - first] += np.add.reduceat(by_unit, starts, axis=0)
        units = np.arange(first, last)
        tile[:, units - first, units - first] = 0
        matched = units[pool.partner[first:last] >= first]
        tile[:, matched - first, pool.partner[matched] - first] = 0
        yield first, last, tile
        first = last


def _distance_factors(view: np.ndarray, precision: type) -> tuple[np.ndarray, np.ndarray]:
    """Factors whose product is the matrix of squared distances: [-2x, |x|^2, 1] and [x, 1, |x|^2].

    Centred first, because what cancels in float32 is the part that all vectors share.
    """
    view = (view - view.mean(axis=0)).astype(precision)
    norms, ones = np.einsum("ij,ij->i", view, view)[:, None], np.ones((len(view), 1), precision)
    return np.hstack([-2 * view, norms, ones]), np.hstack([view, ones, norms])


# ------------------------------------------------------------------------------------------ statistics


@dataclass(frozen=True)
class _Counts:
    """How many pairs enter each mean."""

    reference: int
    candidate: int
    matched: int

    def value(self, within_reference, across, within_candidate):
        """Energy distance from sums over ordered pairs (any array shape)."""
        n, m = self.reference, self.candidate
        return (
            2 * across / (n * m - self.matched)
            - within_reference / (n * (n - 1))
            - within_candidate / (m * (m - 1))
        )


def _counts(pool: _Pool) -> _Counts:
    shared = int((pool.members == 3).sum())
    pairs = int((pool.partner >= 0).sum()) // 2
    return _Counts(int((pool.members & 1 > 0).sum()), int((pool.members & 2 > 0).sum()), shared + pairs)


def _arrangements(pool: _Pool, permutations: int, seed: int) -> tuple[np.ndarray, bool]:
    """Membership in the reference, (units, arrangements), the observed one first.

    Pairs are swapped, all other units dealt anew, shared ones stay in both. Every arrangement there is,
    if there are no more than ``permutations`` + 1, else that many at random.
    """
    in_reference = (pool.members & 1 > 0).astype(np.float32)
    left = np.flatnonzero((pool.partner >= 0) & (pool.members == 1))
    right = pool.partner[left]
    free = np.flatnonzero((pool.partner < 0) & (pool.members != 3))
    chosen = int((pool.members[free] == 1).sum())
    count = 2 ** min(len(left), 60) * math.comb(len(free), chosen)
    exact = count <= permutations + 1
    if exact:
        deals = list(itertools.combinations(free, chosen))
        swaps = list(itertools.product((0, 1), repeat=len(left)))
        members = np.repeat(in_reference[:, None], count, axis=1)
        for column, (swap, deal) in enumerate(itertools.product(swaps, deals)):
            members[left, column], members[right, column] = np.subtract(1, swap), swap
            members[free, column] = 0
            members[list(deal), column] = 1
        observed = int(np.flatnonzero((members == in_reference[:, None]).all(axis=0))[0])
        members[:, [0, observed]] = members[:, [observed, 0]]
        return members, True
    rng = np.random.default_rng(seed)
    members = np.repeat(in_reference[:, None], permutations + 1, axis=1)
    for column in range(1, permutations + 1):
        swap = rng.integers(0, 2, len(left))
        members[left, column], members[right, column] = 1 - swap, swap
        members[free, column] = members[rng.permutation(free), 0]
    return members, False


def _arranged_values(tiles, pool: _Pool, members: np.ndarray) -> np.ndarray:
    """Value for every arrangement of ``members``; ``tiles`` as ``_unit_tiles`` yields, one view."""
    both = 1.0 + (pool.members == 3)
    within, toward, everything = np.zeros(members.shape[1]), np.zeros(members.shape[1]), 0.0
    for first, last, kernel in tiles:
        size = last - first
        kernel = kernel.copy()
        kernel[:, :size] /= 2  # the square on the diagonal is met from both sides
        mine, others = members[first:last], members[first:]
        within += 2 * np.einsum("up,up->p", kernel @ others.astype(kernel.dtype), mine, dtype=float)
        totals = kernel @ both[first:]
        toward += totals @ mine + (both[first:last] @ kernel) @ others
        everything += 2 * float(totals @ both[first:last])
    return _counts(pool).value(within, toward - within, everything - 2 * toward + within)


@dataclass(frozen=True)
class _Observed:
    """The value, its views, and what each unit does to it."""

    views: np.ndarray  # (views,)
    unit_contributions: np.ndarray  # (units,), for candidate units; their mean is the value
    deviations: dict[tuple[str, str], float]  # (set, name) -> leave-one-out value
    interval: tuple[float, float] | None


def _observe(views: Sequence[np.ndarray], pool: _Pool, *, causes: bool = True) -> _Observed:
    """The value from scaled views; with ``causes``, also what each unit does to it."""
    counts = _counts(pool)
    n, m = counts.reference, counts.candidate
    reference, candidate = (pool.members & 1 > 0).astype(float), (pool.members & 2 > 0).astype(float)
    to_reference = np.zeros((len(views), pool.size))
    to_candidate = np.zeros((len(views), pool.size))
    sides = np.stack([reference, candidate], axis=1)
    for first, last, kernel in _unit_tiles(views, pool):
        sums = kernel @ sides[first:].astype(kernel.dtype)
        below = sides[first:last].astype(kernel.dtype).T @ kernel[:, :, last - first :]
        to_reference[:, first:last] += sums[..., 0]
        to_candidate[:, first:last] += sums[..., 1]
        to_reference[:, last:] += below[:, 0]
        to_candidate[:, last:] += below[:, 1]
    xx, xy, yy = to_reference @ reference, to_reference @ candidate, to_candidate @ candidate
    by_view = counts.value(xx, xy, yy)
    xx, xy, yy = xx.mean(), xy.mean(), yy.mean()
    to_reference, to_candidate = to_reference.mean(axis=0), to_candidate.mean(axis=0)
    contributions = (
        2 * to_reference * m / (n * m - counts.matched) - to_candidate / (m - 1) - xx / (n * (n - 1))
    )
    deviations, strata = {}, defaultdict(list)
    if causes and min(n, m) >= 3:
        for i in range(pool.size):
            out = [i] if pool.partner[i] < 0 else [i, pool.partner[i]]
            joint = len(out) == 2 or pool.members[i] == 3
            if len(out) == 2 and pool.members[i] == 2:
                continue  # left out together with its partner
            from_reference = sum(to_reference[u] for u in out if pool.members[u] & 1)
            from_candidate = sum(to_candidate[u] for u in out if pool.members[u] & 2)
            across = sum(
                (to_candidate[u] if pool.members[u] & 1 else 0)
                + (to_reference[u] if pool.members[u] & 2 else 0)
                for u in out
            )
            left = _Counts(
                n - (joint or pool.members[i] == 1),
                m - (joint or pool.members[i] == 2),
                counts.matched - joint,
            )
            role = "candidate" if pool.members[i] == 2 else "reference"
            value = left.value(xx - 2 * from_reference, xy - across, yy - 2 * from_candidate)
            deviations[role, pool.names[i]] = float(value)
            strata["joint" if joint else role].append(float(value))
    interval = _jackknife_interval(float(by_view.mean()), strata.values()) if deviations else None
    return _Observed(by_view, contributions, deviations, interval)


def _jackknife_interval(value: float, strata, level: float = 0.95) -> tuple[float, float]:
    """Stratified delete-one jackknife with t; degrees of freedom after Welch and Satterthwaite."""
    from scipy.special import stdtrit

    variance, freedom = _jackknife_variance(strata)
    half = float(stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(variance)
    return value - half, value + half


def _jackknife_variance(strata) -> tuple[float, float]:
    parts = [((len(s) - 1) * float(np.var(s)), len(s) - 1) for s in map(np.asarray, strata) if len(s) > 1]
    variance = sum(part for part, _ in parts)
    squares = sum(part**2 / freedom for part, freedom in parts)
    return variance, variance**2 / squares if squares > 0 else 1.0


def difference(first: Comparison, second: Comparison) -> Difference:
    """Is the first candidate closer to the reference than the second, and how sure is that?

    Both comparisons must have the same reference and bandwidth, as ``compare_each`` gives them. Value:
    first minus second, so below zero the first is closer. Interval and p-value: delete-one-unit jackknife
    of the difference, a reference unit deleted from both at once, candidate units of one name too.
    """
    if first.recipe != second.recipe or first.bandwidth_hz != second.bandwidth_hz:
        raise AudioError("the two comparisons differ in recipe or bandwidth: make both with compare_each")
    references = [{name for role, name in c._deviations if role == "reference"} for c in (first, second)]
    if not references[0] or references[0] != references[1]:
        raise AudioError("the two comparisons need one reference of at least 3 units: use compare_each")
    strata = defaultdict(list)
    for key in sorted({*first._deviations, *second._deviations}):
        one = first._deviations.get(key, first.value) - first.value
        two = second._deviations.get(key, second.value) - second.value
        held = (key in first._deviations) + 2 * (key in second._deviations)
        strata[key[0], held].append(one - two)
    value = first.value - second.value
    variance, freedom = _jackknife_variance(strata.values())
    from scipy.special import stdtr

    p_value = 2 * float(stdtr(freedom, -abs(value) / math.sqrt(variance))) if variance > 0 else 1.0
    return Difference(value, _jackknife_interval(value, strata.values()), min(1.0, p_value))


# ------------------------------------------------------------------------------------------------ test


def _standardise(view: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Each number by its standard deviation over the pooled units: the same for every arrangement."""
    centred = view - weights @ view
    spread = np.sqrt(weights @ centred**2)
    typical = np.median(spread[spread > 0]) if np.any(spread > 0) else 1.0
    return centred / np.sqrt(spread**2 + (0.1 * typical) ** 2) / math.sqrt(2 * view.shape[1])


def _whiten(view: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Principal components of the pooled units, each divided by sqrt(variance + ridge)."""
    weighted = np.sqrt(weights)[:, None] * (view - weights @ view)
    if len(view) <= view.shape[1]:
        _, spread, axes = np.linalg.svd(weighted, full_matrices=False)
        variance = spread**2
    else:
        variance, axes = np.linalg.eigh(weighted.T @ weighted)
        axes = axes.T
    kept = variance > 1e-10 * max(float(variance.max(initial=0)), 1e-300)
    variance, axes = variance[kept], axes[kept]
    if not len(variance):
        return np.zeros((len(view), 1))
    scores = (view - weights @ view) @ axes.T
    return scores / np.sqrt(variance + WHITENING_RIDGE * variance.mean()) / math.sqrt(2 * len(variance))


def _test_families(
    views: Sequence[np.ndarray], weights: np.ndarray, audible: Sequence[np.ndarray] | None = None
) -> list[list[np.ndarray]]:
    """The pooled descriptions whose statistics the test combines.

    Standardised numbers see broad changes (a class that is missing), whitened ones small consistent
    changes (a codec); whitened twice, from the numbers as they are and from standardised ones, because
    the ridge damps other directions in each. Attack is linear in the envelope, so it is never whitened.
    ``audible`` masks the numbers of each view that are used (see ``_audible_numbers``).
    """
    if audible is not None:
        views = [view[:, used] for view, used in zip(views, audible, strict=True)]
    standardised = [_standardise(view, weights) for view in views]
    whitened = [0] if len(views) == 1 else [0, 2]
    return [
        standardised,
        *([_whiten(family[i], weights) for i in whitened] for family in (views, standardised)),
    ]


@dataclass(frozen=True)
class _Test:
    p_value: float
    null_spread: float
    permutations: int
    exact: bool
    smallest_p: float


def _permutation_test(views, scaled, pool: _Pool, *, permutations: int, seed: int, audible=None) -> _Test:
    """Permutation test of "one source": the largest of three studentised energy distances.

    ``views`` are the numbers as they are, ``scaled`` those of the value (for its null spread). Every
    description is fitted on the pooled units, which no rearrangement changes, so the test is exact:
    P(p <= alpha) <= alpha for exchangeable units at every size.
    """
    members, exact = _arrangements(pool, permutations, seed)
    if members.shape[1] == 1:  # every unit is in both sets
        return _Test(1.0, 0.0, 0, True, 1.0)

    def arranged(family):
        tiles = ((*tile, kernel.mean(axis=0)) for *tile, kernel in _unit_tiles(family, pool))
        return _arranged_values(tiles, pool, members)

    families = _test_families(views, pool.weights / pool.size, audible)
    statistics = np.array([_studentise(arranged(family)) for family in families])
    largest = statistics.max(axis=0)
    count = len(largest)
    # Arrangements that are equal up to rounding are ties, and ties count as reached.
    reached = int((largest >= largest[0] - 1e-6).sum())
    symmetric = 2 if exact and int((largest >= largest.max() - 1e-6).sum()) >= 2 else 1
    null = arranged(scaled)[0 if exact else 1 :]
    return _Test(
        p_value=reached / count,
        null_spread=float(null.std()),
        permutations=count if exact else count - 1,
        exact=exact,
        smallest_p=(symmetric if exact else 1) / count,
    )


def _studentise(values: np.ndarray) -> np.ndarray:
    spread = values.std()
    return (values - values.mean()) / spread if spread > 1e-12 else np.zeros_like(values)


# ------------------------------------------------------------------------------- from sounds to result

Embedding = Callable[[np.ndarray, int], np.ndarray]


def _describe_sound(
    source: _Source,
    *,
    bandwidth_rate: int,
    embedding: Embedding | None,
    cache: Path | None,
    minimum_bits: int,
    peak_limit: float,
) -> _Sound | str:
    """One sound read, prepared and embedded; a string says why it cannot be."""
    try:
        data = None if source.path is None else source.path.read_bytes()
        entry = None
        if cache is not None and data is not None and embedding is None:
            key = hashlib.sha256(data)
            key.update(f"{constants()[1]} {bandwidth_rate} {minimum_bits} {peak_limit}".encode())
            entry = cache / f"{key.hexdigest()}.npz"
            if (found := _load_entry(entry, source.name)) is not None:
                return found
        samples = _read(source, data, minimum_bits=minimum_bits, peak_limit=peak_limit)
        rate = _rate_of(source)
        mono = samples.mean(axis=1)
        signal, level = prepare(mono, rate, bandwidth_rate=bandwidth_rate)
        if embedding is None:
            vectors = np.stack([embed(window) for window in windows(signal)])
        else:
            vectors = _embed_with(embedding, mono, rate, bandwidth_rate)
        digest = hashlib.sha256(np.ascontiguousarray(mono).tobytes() + str(rate).encode()).hexdigest()
        sound = _Sound(source.name, digest, rate, len(mono) / rate, level, vectors)
        if entry is not None:
            _save_entry(entry, sound)
        return sound
    except (AudioError, OSError) as error:
        return f"{source.name}: {error}"


def _embed_with(embedding: Embedding, mono: np.ndarray, rate: int, bandwidth_rate: int) -> np.ndarray:
    """A caller's embedding gets the sound at the common rate, otherwise as it was recorded."""
    if bandwidth_rate < rate:
        mono, rate = _resample(mono, rate, bandwidth_rate), bandwidth_rate
    found = embedding(mono, rate)
    try:
        found = np.asarray(found)
        vectors = np.atleast_2d(np.real(found).astype(np.float32))
    except (TypeError, ValueError) as error:
        raise AudioError(f"the embedding gave no array ({error}); (d,) or (frames, d) is needed") from None
    if np.iscomplexobj(found):
        raise AudioError("the embedding gave complex numbers; give their modulus, or both parts")
    if vectors.ndim != 2 or vectors.size == 0:
        raise AudioError(f"the embedding gave shape {vectors.shape}; (d,) or (frames, d) is needed")
    if not np.all(np.isfinite(vectors)):
        raise AudioError("the embedding gave NaN or infinite numbers")
    return vectors


def cache_folder() -> Path:
    """The user's cache folder for embeddings: $AUDIO_DISTANCE_CACHE, else the platform's usual place."""
    if os.environ.get("AUDIO_DISTANCE_CACHE"):
        return Path(os.environ["AUDIO_DISTANCE_CACHE"])
    if sys.platform == "win32" and os.environ.get("LOCALAPPDATA"):
        return Path(os.environ["LOCALAPPDATA"], "audio-distance")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "audio-distance"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "audio-distance"


def _load_entry(path: Path, name: str) -> _Sound | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as entry:
            vectors, facts = entry["vectors"], json.loads(str(entry["facts"]))
        if vectors.ndim == 2 and vectors.shape[1] == sum(VIEWS.values()) and np.all(np.isfinite(vectors)):
            return _Sound(name=name, vectors=vectors, **facts)
    except Exception:  # absent or damaged, in any of a dozen ways: it is made again
        return None
    return None


def _save_entry(path: Path, sound: _Sound) -> None:
    facts = {key: getattr(sound, key) for key in ("content", "rate", "seconds", "level_db")}
    _write_npz(path, vectors=sound.vectors, facts=json.dumps(facts))


def _write_npz(path: Path, **arrays) -> None:
    """Whole or not at all, in place of an older file; the same bytes every time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, suffix=".part") as folder:
        part = Path(folder, path.name)
        with part.open("wb") as file:
            np.savez(file, **arrays)
        os.replace(part, path)


def _load_sets(
    sources: Mapping[str, object],
    *,
    rate,
    embedding,
    on_error: str,
    workers: int | None,
    cache: bool | str | os.PathLike,
    progress: bool | None,
    minimum_bits: int,
    peak_limit: float,
    bandwidth_rate: int | None = None,
) -> tuple[list[_Set], int]:
    """Read and embed every set that is not a Description already.

    The common rate is ``bandwidth_rate``, else that of the Descriptions, else the lowest found in all sets.
    """
    sources = {role: _opened(source) for role, source in sources.items()}
    fixed = {role: s.bandwidth_rate for role, s in sources.items() if isinstance(s, Description)}
    if fixed and embedding is not None:
        raise AudioError(
            f"embedding: {' and '.join(fixed)} given as a Description, which holds the three views and no "
            "audio for another embedding; give the audio"
        )
    if bandwidth_rate is not None:
        fixed["bandwidth_rate"] = bandwidth_rate
    if len(set(fixed.values())) > 1:
        raise AudioError(
            f"bandwidth_rate: {', '.join(f'{role} {value} Hz' for role, value in fixed.items())}, and all "
            "Descriptions in one call need the same; describe them again from their audio with one, such as "
            f"bandwidth_rate={min(fixed.values())}"
        )
    if on_error not in {"raise", "skip"}:
        raise ValueError(f"on_error={on_error!r}; it is 'raise' or 'skip'")
    rates = rate if isinstance(rate, (tuple, list)) else [rate] * len(sources)
    if len(rates) != len(sources):
        raise ValueError(f"{len(rates)} rates for {len(sources)} sets")
    listed = [
        (source.name, [], 0) if isinstance(source, Description) else _list_set(source, role, r)
        for (role, source), r in zip(sources.items(), rates, strict=True)
    ]
    problems: dict[int, list[str]] = defaultdict(list)
    usable: list[list[_Source]] = []
    found_rates: list[int] = []
    for index, (_, items, _) in enumerate(listed):
        usable.append([])
        for item in items:
            try:
                found_rates.append(_rate_of(item))
                usable[index].append(item)
            except (AudioError, OSError) as error:
                problems[index].append(f"{item.name}: {error}")
    common = next(iter(fixed.values()), min(found_rates, default=RATE))
    folder = None
    if cache:
        folder = cache_folder() if cache is True else Path(cache)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AudioError(f"cache: the folder {folder} cannot be made ({error})") from None
    jobs = [item for items in usable for item in items]
    options = dict(
        bandwidth_rate=common,
        embedding=embedding,
        cache=folder,
        minimum_bits=minimum_bits,
        peak_limit=peak_limit,
    )
    described = iter(list(_run(jobs, options, workers=workers, progress=progress)))
    sets = []
    for index, (source, (name, _, passed)) in enumerate(zip(sources.values(), listed, strict=True)):
        if isinstance(source, Description):
            sets.append(_Set(name, source._sounds, source.skipped, passed, True))
            continue
        results = [next(described) for _ in usable[index]]
        problems[index] += [result for result in results if isinstance(result, str)]
        sounds = tuple(result for result in results if isinstance(result, _Sound))
        sets.append(_Set(name, sounds, tuple(sorted(problems[index])), passed, bool(fixed)))
    bad = [f"  {list(sources)[i]}: {line}" for i in sorted(problems) for line in sorted(problems[i])]
    if bad and on_error == "raise":
        raise AudioError(
            f"{len(bad)} of {sum(len(items) for _, items, _ in listed)} files cannot be measured:\n"
            + "\n".join(bad)
            + '\nMend or remove them, or leave them out: on_error="skip", or --skip.'
        )
    for (role, _), loaded in zip(sources.items(), sets, strict=True):
        if len(loaded.sounds) < 2:
            raise AudioError(
                f"{role}: {len(loaded.sounds)} usable sound(s) in {loaded.name}, and a distance "
                "needs at least 2: one sound says nothing about the spread of its set."
                + "".join(f"\n  {line}" for line in loaded.skipped)
            )
    widths = {sound.vectors.shape[1] for loaded in sets for sound in loaded.sounds}
    if len(widths) > 1:
        raise AudioError(f"the embedding gave vectors of different lengths: {sorted(widths)}")
    return sets, common


def _opened(source):
    """The Description in a ``.npz`` file; every other source as it is."""
    is_path = isinstance(source, (str, os.PathLike))
    saved = is_path and Path(source).suffix.lower() == ".npz" and Path(source).is_file()
    return Description.load(source) if saved else source


def _run(jobs: Sequence[_Source], options: dict, *, workers: int | None, progress: bool | None) -> Iterator:
    """``_describe_sound`` over all jobs, in order; the same results for every number of workers."""
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers}; at least 1 is needed")
    if workers is None:
        workers = os.cpu_count() or 1
        if _seconds_about(jobs) < PARALLEL_SECONDS or options["embedding"] is not None:
            workers = 1
    workers = min(workers, max(1, len(jobs)))
    if workers == 1:
        results = (_describe_sound(job, **options) for job in jobs)
    else:
        from joblib import Parallel, delayed

        size = max(1, min(32, len(jobs) // (4 * workers)))
        batches = [jobs[i : i + size] for i in range(0, len(jobs), size)]
        done = Parallel(n_jobs=workers, return_as="generator")(
            delayed(_describe_batch)(batch, options) for batch in batches
        )
        results = itertools.chain.from_iterable(done)
    if progress is False or (progress is None and not sys.stderr.isatty()):
        return results
    from tqdm import tqdm

    return tqdm(results, total=len(jobs), unit="file", desc="reading", delay=0.5, leave=False)


def _describe_batch(batch: Sequence[_Source], options: dict) -> list[_Sound | str]:
    return [_describe_sound(job, **options) for job in batch]


def _seconds_about(jobs: Sequence[_Source]) -> float:
    """Seconds of audio, roughly: files at 100 kB a second, which no format exceeds by far."""
    return sum(
        len(job.array) / job.rate if job.path is None else job.path.stat().st_size / 1e5 for job in jobs
    )


def _group_function(groups, role: str, sounds: int) -> Callable[[str, int], str] | None:
    """From a sound's name and position to its group."""
    if groups is None:
        return None
    if isinstance(groups, tuple) and len(groups) == 2:
        groups = groups[role != "reference"]
    if callable(groups):
        return lambda name, _: str(groups(name))
    if isinstance(groups, str):
        if groups == "folder":
            return lambda name, _: Path(name).parent.as_posix()
        pattern = re.compile(groups)

        def searched(name, _):
            match = pattern.search(name)
            if match is None or (pattern.groups and match.group(1) is None):
                raise AudioError(f"groups: the pattern {groups!r} does not match {name!r} of the {role}")
            return match.group(1) if pattern.groups else match.group(0)

        return searched
    if isinstance(groups, Mapping):

        def looked_up(name, _):
            for key in (name, Path(name).name):
                if key in groups:
                    return str(groups[key])
            raise AudioError(f"groups: no group is given for {name!r} of the {role}")

        return looked_up
    labels = [str(label) for label in groups]
    if len(labels) != sounds:
        raise AudioError(
            f"groups: {len(labels)} labels for the {sounds} sounds of the {role}; one each is needed "
            "(where files are skipped, give a mapping from name to group)"
        )
    return lambda _, position: labels[position]


def _units(loaded: _Set, role: str, groups) -> dict[str, list[_Sound]]:
    """Unit name -> its sounds."""
    group_of = _group_function(groups, role, len(loaded.sounds))
    units = defaultdict(list)
    for position, sound in enumerate(loaded.sounds):
        units[sound.name if group_of is None else group_of(sound.name, position)].append(sound)
    if len(units) < 2:
        raise AudioError(
            f"{role}: groups put all {len(loaded.sounds)} sounds into one, and the group is the "
            "draw: at least 2 groups a set are needed"
        )
    return units


def _pair_key(name: str) -> str:
    return Path(name).with_suffix("").as_posix()


def _make_pool(reference: _Set, candidate: _Set, *, groups, paired: bool | None) -> tuple[_Pool, bool, int]:
    """Units of both sets in one order that depends on their content only; pairs; number of shared units.

    A unit whose content is in both sets is one draw: it enters once, as a member of both.
    """
    sides = [_units(reference, "reference", groups), _units(candidate, "candidate", groups)]
    contents = [
        {name: tuple(sorted(sound.content for sound in sounds)) for name, sounds in side.items()}
        for side in sides
    ]
    shared = Counter(contents[0].values()) & Counter(contents[1].values())
    rows: list[tuple[tuple, int, str, list[_Sound]]] = []
    left: list[list[str]] = [[], []]
    for index in (0, 1):
        remaining = shared.copy()
        for name, content in contents[index].items():
            if remaining[content] > 0:
                remaining[content] -= 1
                if index == 0:
                    rows.append((content, 3, name, sides[0][name]))
            else:
                left[index].append(name)
                rows.append((content, index + 1, name, sides[index][name]))
    keys = [{_pair_key(name) if groups is None else name: name for name in names} for names in left]
    common = set(keys[0]) & set(keys[1])
    named = groups is not None or all(not name.startswith("[") for names in left for name in names)
    matched = bool(common) and len(keys[0]) == len(left[0]) == len(left[1]) == len(keys[1]) == len(common)
    if paired is True and groups is None and not named:  # arrays: by position
        if len(left[0]) != len(left[1]):
            raise AudioError(
                f"paired: {len(reference.sounds)} reference and {len(candidate.sounds)} "
                "candidate arrays; pairs need as many of both, in one order"
            )
        matched, common = True, set(keys[0]) & set(keys[1])
    elif paired is True and not matched and sum(map(len, left)):
        odd = sorted({*keys[0], *keys[1]} - common)
        raise AudioError(
            f"paired: {len(common)} names match, {len(odd)} do not, the first is {odd[0]!r}; "
            "pairs need the same names below both folders (extensions may differ)"
        )
    use_pairs = paired is not False and ((matched and (named or paired is True)) or groups is not None)
    rows.sort(key=lambda row: (row[0], row[1], row[2]))
    index_of = {(member, name): i for i, (_, member, name, _) in enumerate(rows)}
    partner = np.full(len(rows), -1)
    if use_pairs:
        for key in common:
            a, b = index_of[1, keys[0][key]], index_of[2, keys[1][key]]
            partner[a], partner[b] = b, a
    vectors, starts, weights = [], [], []
    position = 0
    for *_, sounds in rows:
        starts.append(position)
        for sound in sounds:
            vectors.append(sound.vectors)
            weights.append(np.full(len(sound.vectors), 1 / (len(sound.vectors) * len(sounds))))
            position += len(sound.vectors)
    pool = _Pool(
        vectors=np.concatenate(vectors).astype(np.float32),
        starts=np.array(starts),
        weights=np.concatenate(weights),
        members=np.array([member for _, member, _, _ in rows]),
        partner=partner,
        names=tuple(name for _, _, name, _ in rows),
        levels=np.array([np.mean([sound.level_db for sound in sounds]) for *_, sounds in rows]),
    )
    return pool, bool((partner >= 0).any()), sum(shared.values())


def _value_views(pool: _Pool, own: np.ndarray | None) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Numbers as they are and scaled for the value, a list over views each."""
    if own is not None:
        return [pool.vectors.astype(float)], [pool.vectors / own]
    sizes = np.cumsum(list(VIEWS.values()))[:-1]
    scale, _ = constants()
    return (
        np.split(pool.vectors.astype(float), sizes, axis=1),
        np.split(pool.vectors / scale, sizes, axis=1),
    )


def _audible_numbers(rate: int) -> list[np.ndarray]:
    """Which numbers of each view the test uses, for sets whose lowest sample rate is ``rate``.

    Bands of the fine structure that reach above the common bandwidth hold what resamplers leave there, far
    below the sound (the envelope has a floor). Whitened, that is as loud as the rest, and the test would
    tell resamplers apart: measured on digits resampled there and back, p <= .05 in more than half of all
    draws, although the value does not move.
    """
    upper = _mel_to_hz(np.linspace(_hz_to_mel(LOWEST_HZ), _hz_to_mel(RATE / 2), FINE_BANDS + 2))[2:]
    inside = np.tile(upper <= rate / 2 + 1e-6, 6 * len(FINE_SIZES))
    return [np.ones(VIEWS["envelope"], bool), np.ones(VIEWS["attack"], bool), inside]


def _own_scale(loaded: _Set) -> np.ndarray:
    return divisors(np.concatenate([sound.vectors for sound in loaded.sounds]))


# -------------------------------------------------------------------------------------- described sets

# Arrays of one value a sound, and their types, in the order of _Sound.
_COLUMNS = {"names": str, "contents": str, "rates": int, "seconds": float, "levels": float}


@dataclass(frozen=True, eq=False)
class Description:
    """A set described once (``describe``), without its audio; used wherever a set is.

    ``len()`` is its number of sounds.
    """

    name: str
    bandwidth_rate: int  # Hz, at most 22,050: its bandwidth, and that of all that is compared with it
    recipe: str  # constants()[1]
    skipped: tuple[str, ...]  # one line a file that was left out with on_error="skip"
    _sounds: tuple[_Sound, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self._sounds)

    def sample(self, count: int, *, seed: int) -> Description:
        """``count`` sounds (2 or more) drawn without replacement, in their old order; all, if fewer."""
        if count < 2:
            raise ValueError(f"count={count}; a set needs at least 2 sounds")
        chosen = np.sort(np.random.default_rng(seed).permutation(len(self))[:count])
        return replace(self, _sounds=tuple(self._sounds[i] for i in chosen))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """As plain arrays, for any container.

        ``vectors`` (windows, 1032) float32; ``owners`` (windows,), the position of each window's sound;
        one value a sound: ``names``, ``contents`` (digests), ``rates`` (Hz), ``seconds``, ``levels`` (dB
        relative to full scale); ``skipped`` (files,); 0-d: ``bandwidth_rate`` (Hz), ``recipe``, ``name``.
        """
        rows = [(s.name, s.content, s.rate, s.seconds, s.level_db) for s in self._sounds]
        columns = zip(_COLUMNS.items(), zip(*rows, strict=True), strict=True)
        return {
            "vectors": np.concatenate([sound.vectors for sound in self._sounds]),
            "owners": np.repeat(np.arange(len(self)), [len(sound.vectors) for sound in self._sounds]),
            **{key: np.array(column, kind) for (key, kind), column in columns},
            "skipped": np.array(self.skipped, str),
            **{key: np.array(getattr(self, key)) for key in ("bandwidth_rate", "recipe", "name")},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Description:
        """From what ``to_arrays`` gives (``skipped`` may be missing).

        Raises ``AudioError`` if arrays are missing or do not fit each other, are of another recipe or
        width, or not finite.
        """
        try:
            recipe, name, rate = str(arrays["recipe"]), str(arrays["name"]), int(arrays["bandwidth_rate"])
            vectors, owners = np.asarray(arrays["vectors"], np.float32), np.asarray(arrays["owners"], int)
            columns = [np.asarray(arrays[key], kind) for key, kind in _COLUMNS.items()]
            skipped = tuple(np.asarray(arrays.get("skipped", ()), str).tolist())
        except (KeyError, TypeError, ValueError) as error:
            raise AudioError(f"not a described set, or a damaged one ({error!r})") from None
        if recipe != constants()[1]:
            raise AudioError(
                f"described with recipe {recipe}, and this metrics.py has {constants()[1]}: describe the "
                "set again from its audio"
            )
        if vectors.ndim != 2 or vectors.shape[1] != sum(VIEWS.values()):
            raise AudioError(f"vectors of shape {vectors.shape}; (windows, {sum(VIEWS.values())}) is needed")
        if bad := int((~np.isfinite(vectors)).any(axis=1).sum()):
            raise AudioError(f"{bad} of {len(vectors)} windows hold NaN or infinite numbers; likely damaged")
        starts = np.flatnonzero(np.diff(owners.ravel(), prepend=-1))
        fitting = owners.shape == vectors.shape[:1] and {c.shape for c in columns} == {starts.shape}
        if not fitting or not starts.size or not np.array_equal(owners[starts], np.arange(len(starts))):
            raise AudioError(
                f"arrays that do not fit: {len(vectors)} windows, {owners.size} owners, and "
                f"{', '.join(f'{c.size} {key}' for key, c in zip(_COLUMNS, columns, strict=True))}"
            )
        rows = zip(*(c.tolist() for c in columns), np.split(vectors, starts[1:]), strict=True)
        return cls(name, rate, recipe, skipped, tuple(_Sound(*row) for row in rows))

    def save(self, path: str | os.PathLike) -> None:
        """Write ``to_arrays`` as a ``.npz`` file, whole or not at all; the same bytes every time."""
        _write_npz(Path(path), **self.to_arrays())

    @classmethod
    def load(cls, path: str | os.PathLike) -> Description:
        """Read what ``save`` wrote; ``AudioError`` names the file and what is wrong with it."""
        try:
            with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
                whole = file.zip.testzip() is None
                arrays = dict(file)
        except OSError as error:
            raise AudioError(f"{path} cannot be read ({error})") from None
        except Exception:  # in any of a dozen ways
            whole = False
        if not whole:
            raise AudioError(f"{path}: not a described set, or a damaged one (not a whole .npz file)")
        try:
            return cls.from_arrays(arrays)
        except AudioError as error:
            raise AudioError(f"{path}: {error}") from None


def describe(
    source,
    *,
    rate=None,
    bandwidth_rate=None,
    on_error="raise",
    workers=None,
    cache=False,
    progress=None,
    minimum_bits=16,
    peak_limit=1.0,
    name=None,
) -> Description:
    """Describe a set once, to compare with it often, or where its audio is not at hand.

    ``compare(describe(a, bandwidth_rate=r), b)`` is ``compare(a, b)`` if ``r`` is the lowest sample rate of
    both. The other arguments and the errors are those of ``compare``.

    Parameters
    ----------
    bandwidth_rate : int, optional
        Hz: the sample rate to whose bandwidth the description is limited; by default the lowest in the set.
        At most 22,050 counts, for nothing is described above 11,025 Hz. Files of a lower rate stay as they
        are; what they lack above is then a difference, and results say so.
    name : str, optional
        By default the path of the folder or file list, else "set".
    """
    if bandwidth_rate is not None:
        if not 1000 <= bandwidth_rate <= 768_000:
            raise AudioError(
                f"bandwidth_rate {bandwidth_rate} Hz is outside 1000 to 768000 Hz. Was it in kHz?"
            )
        bandwidth_rate = min(int(bandwidth_rate), RATE)
    (loaded,), common = _load_sets(
        {"set": source},
        rate=rate,
        embedding=None,
        on_error=on_error,
        workers=workers,
        cache=cache,
        progress=progress,
        minimum_bits=minimum_bits,
        peak_limit=peak_limit,
        bandwidth_rate=bandwidth_rate,
    )
    name = loaded.name if name is None else str(name)
    return Description(name, min(common, RATE), constants()[1], loaded.skipped, loaded.sounds)


# ------------------------------------------------------------------------------------------- comparing


def distance(
    reference,
    candidate,
    *,
    rate=None,
    groups=None,
    paired=None,
    embedding=None,
    on_error="raise",
    workers=None,
    cache=False,
    progress=None,
    minimum_bits=16,
    peak_limit=1.0,
) -> float:
    """Distance from one set of sounds to another: signed, 0 on average for two samples of one source.

    The value of ``compare`` without its test, interval and causes; the arguments mean the same, and a set
    may be a ``Description`` here as well.

    Examples
    --------
    >>> import numpy as np
    >>> noise = np.random.default_rng(0).normal(0, 0.1, (8, 22050))
    >>> distance(noise, noise, rate=22050)
    0.0
    """
    sets, _ = _load_sets(
        {"reference": reference, "candidate": candidate},
        rate=rate,
        embedding=embedding,
        on_error=on_error,
        workers=workers,
        cache=cache,
        progress=progress,
        minimum_bits=minimum_bits,
        peak_limit=peak_limit,
    )
    pool, _, _ = _make_pool(*sets, groups=groups, paired=paired)
    _, scaled = _value_views(pool, _own_scale(sets[0]) if embedding is not None else None)
    return float(_observe(scaled, pool, causes=False).views.mean())


def compare(
    reference,
    candidate,
    *,
    rate=None,
    groups=None,
    paired=None,
    embedding=None,
    permutations=999,
    seed=0,
    on_error="raise",
    workers=None,
    cache=False,
    progress=None,
    minimum_bits=16,
    peak_limit=1.0,
) -> Comparison:
    """Distance from a reference to a candidate set, with its test, interval and causes.

    Parameters
    ----------
    reference, candidate : path, list of paths, list of arrays, or Description
        A folder (recursive), a ``.csv`` or ``.txt`` file list, a list of paths, arrays of shape
        (samples,) or (samples, channels), or a ``Description`` (or the path of one saved as ``.npz``). At
        least 2 sounds each; 20 or more tell something.
    rate : int or (int, int)
        Sample rate of arrays in Hz, one for both sets or one each; files carry their own. Sets of
        different rates are compared over the bandwidth of the lowest rate found, which the result states.
        With a ``Description``, over its bandwidth; what files of a lower rate lack above it is then part
        of the value, and ``warnings`` says so. Several need one ``bandwidth_rate``.
    groups : optional
        Makes the group (speaker, song, source) the unit of the value, test and interval: a regular
        expression whose first group is searched in the file name, ``"folder"``, a mapping from name to
        group, a callable on the name, a list of labels in sorted file order, or a pair of any of these.
        Groups of one name in both sets are swapped in the test, the others dealt anew.
    paired : bool, optional
        Files of the same name in both sets are two versions of one thing (a vocoder's output beside the
        recording): the test swaps them, and the pair leaves the cross term. By default (None) done if all
        names match, and said; False never; True demands it (arrays: by position).
    embedding : callable, optional
        From (signal, rate) to (d,) or (frames, d), in place of the three views. ``signal`` is mono as
        recorded, at the common rate. Its numbers are scaled by their spread on the reference, so the value
        is no longer symmetric. Not with a ``Description``, which holds no audio.
    permutations : int
        Rearrangements in the test, 999 or more for p near .001; all of them if there are no more than that.
    seed : int
        Of the permutations: the same p-value on every run.
    on_error : "raise" or "skip"
        One bad file stops the run and all bad files are named; "skip" leaves them out and counts them.
    workers : int, optional
        Processes; by default all cores once there is a minute of audio. The result does not depend on it.
    cache : bool or path
        Keep embeddings in the user's cache folder (``cache_folder()``) or the folder given, keyed by the
        content of each file; an interrupted run resumes from them.
    progress : bool, optional
        Progress bar; by default only on a terminal.
    minimum_bits, peak_limit : int, float
        Refuse linear 8-bit files, and float samples beyond full scale.

    Returns
    -------
    Comparison

    Raises
    ------
    AudioError
        A set that cannot be measured; the message names each file, the value, the limit, the cause.

    Notes
    -----
    Memory: embeddings 4 KiB a second of audio in memory; the kernel in tiles of 32 MiB; the test a table
    of units x permutations in float32 (80 MB for 20,000 units and 999).
    """
    return compare_each(
        reference,
        {"candidate": candidate},
        rate=rate,
        groups=groups,
        paired=paired,
        embedding=embedding,
        permutations=permutations,
        seed=seed,
        on_error=on_error,
        workers=workers,
        cache=cache,
        progress=progress,
        minimum_bits=minimum_bits,
        peak_limit=peak_limit,
    )["candidate"]


def compare_each(
    reference,
    candidates: Mapping[str, object],
    *,
    rate=None,
    groups=None,
    paired=None,
    embedding=None,
    permutations=999,
    seed=0,
    on_error="raise",
    workers=None,
    cache=False,
    progress=None,
    minimum_bits=16,
    peak_limit=1.0,
) -> dict[str, Comparison]:
    """``compare`` of several candidates with one reference, which is read once.

    All sets are brought to the bandwidth of the lowest sample rate among them (of the Descriptions, if there
    are any), so that the values can be held against each other; ``difference`` then tells which is closer.
    Arguments as in ``compare``.
    """
    if permutations < 99:
        raise ValueError(f"permutations={permutations}; at least 99 are needed for a test at 5 %")
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed={seed}; 0 to 2**63 - 1 is needed")
    if not candidates:
        raise AudioError("no candidate set is given")
    roles = [f"candidate {name}" if name == "reference" else name for name in candidates]
    sets, common = _load_sets(
        {"reference": reference, **dict(zip(roles, candidates.values(), strict=True))},
        rate=_rates(rate, len(candidates)),
        embedding=embedding,
        on_error=on_error,
        workers=workers,
        cache=cache,
        progress=progress,
        minimum_bits=minimum_bits,
        peak_limit=peak_limit,
    )
    own = _own_scale(sets[0]) if embedding is not None else None
    return {
        name: _compare_loaded(
            sets[0], loaded, common, own, groups=groups, paired=paired, permutations=permutations, seed=seed
        )
        for name, loaded in zip(candidates, sets[1:], strict=True)
    }


def _rates(rate, candidates: int):
    return [rate[0], *[rate[1]] * candidates] if isinstance(rate, (tuple, list)) else rate


def _compare_loaded(
    reference: _Set, candidate: _Set, common: int, own, *, groups, paired, permutations, seed
):
    pool, is_paired, shared = _make_pool(reference, candidate, groups=groups, paired=paired)
    views, scaled = _value_views(pool, own)
    observed = _observe(scaled, pool)
    audible = _audible_numbers(common) if own is None else None
    test = _permutation_test(views, scaled, pool, permutations=permutations, seed=seed, audible=audible)
    in_candidate = np.flatnonzero(pool.members & 2)
    order = sorted(in_candidate, key=lambda i: (-observed.unit_contributions[i], pool.names[i]))
    level, level_interval = _level_difference(pool)
    result = Comparison(
        value=float(observed.views.mean()),
        interval=observed.interval,
        null_spread=test.null_spread,
        p_value=test.p_value,
        permutations=test.permutations,
        exact=test.exact,
        smallest_p=test.smallest_p,
        views=dict(zip(VIEWS if own is None else ["embedding"], map(float, observed.views), strict=True)),
        bands=_band_contributions(scaled[0], pool) if own is None else (),
        units=tuple(Contribution(pool.names[i], float(observed.unit_contributions[i])) for i in order),
        level_difference_db=level,
        level_interval_db=level_interval,
        reference=_side(reference, int((pool.members & 1 > 0).sum())),
        candidate=_side(candidate, len(in_candidate)),
        paired=is_paired,
        shared=shared,
        bandwidth_hz=min(common, RATE) / 2,
        seed=seed,
        recipe=constants()[1] if own is None else "own embedding, scaled on the reference",
        warnings=_warnings(reference, candidate, common, pool, is_paired, shared, test, groups),
        _deviations=observed.deviations,
    )
    return result


def _side(loaded: _Set, units: int) -> Side:
    sounds = loaded.sounds
    return Side(
        name=loaded.name,
        files=len(sounds),
        units=units,
        seconds=float(sum(s.seconds for s in sounds)),
        rates=tuple(sorted({s.rate for s in sounds})),
        level_db=float(np.mean([s.level_db for s in sounds])),
        skipped=loaded.skipped,
        not_audio=loaded.not_audio,
    )


def _level_difference(pool: _Pool) -> tuple[float, tuple[float, float] | None]:
    """Candidate minus reference in dB, with Welch's 95 % interval over units."""
    reference, candidate = pool.levels[pool.members & 1 > 0], pool.levels[pool.members & 2 > 0]
    value = float(candidate.mean() - reference.mean())
    if min(len(reference), len(candidate)) < 3:
        return value, None
    # The jackknife of a mean is its usual standard error.
    strata = [
        sign * np.array([s.sum() - x for x in s]) / (len(s) - 1)
        for sign, s in ((-1, reference), (1, candidate))
    ]
    return value, _jackknife_interval(value, strata)


def _band_contributions(envelope: np.ndarray, pool: _Pool) -> tuple[Contribution, ...]:
    """Share of each mel band in the envelope view's value.

    A pair's kernel |d|^(1/2) is divided among the bands by their share of |d|^2, so the parts add up
    exactly. Of large sets: the first ``BAND_UNITS`` units a side in the order of their contents' digests
    (a random choice that is the same on every run), with at most ``BAND_UNITS`` * 4 windows.
    """
    ends = np.append(pool.starts[1:], len(pool.vectors))
    chosen = np.union1d(*(np.flatnonzero(pool.members & side)[:BAND_UNITS] for side in (1, 2)))
    if (ends - pool.starts)[chosen].sum() > 4 * BAND_UNITS:
        envelope, weights = np.add.reduceat(envelope * pool.weights[:, None], pool.starts)[chosen], None
        owner = np.arange(len(chosen))
    else:
        rows = np.concatenate([np.arange(pool.starts[unit], ends[unit]) for unit in chosen])
        owner = np.repeat(np.arange(len(chosen)), (ends - pool.starts)[chosen])
        envelope, weights = envelope[rows], pool.weights[rows]
    r, c = (np.isin(chosen, np.flatnonzero(pool.members & side)[:BAND_UNITS]) for side in (1, 2))
    allowed = (chosen[:, None] != chosen) & (pool.partner[chosen][:, None] != chosen)
    coefficient = (
        2 * allowed * np.outer(r, c) / max(allowed[np.ix_(r, c)].sum(), 1)
        - allowed * np.outer(r, r) / max(allowed[np.ix_(r, r)].sum(), 1)
        - allowed * np.outer(c, c) / max(allowed[np.ix_(c, c)].sum(), 1)
    )
    pairs = coefficient[np.ix_(owner, owner)]
    if weights is not None:
        pairs *= np.outer(weights, weights)
    pairs *= np.maximum(_squared_distances(envelope, envelope), 1e-12) ** -0.75
    pairs += pairs.T
    by_band = envelope.reshape(len(envelope), len(ENVELOPE_SIZES), 4, ENVELOPE_BANDS)
    edges = _mel_to_hz(np.linspace(_hz_to_mel(LOWEST_HZ), _hz_to_mel(RATE / 2), ENVELOPE_BANDS + 2))
    totals, result = pairs.sum(axis=1), []
    for band in range(ENVELOPE_BANDS):
        part = by_band[..., band].reshape(len(envelope), -1)
        # Half the sum over pairs of pairs[i, j] |part_i - part_j|^2, without a third axis.
        value = totals @ (part * part).sum(axis=1) - ((pairs @ part) * part).sum()
        result.append(Contribution(f"{edges[band]:.0f}-{edges[band + 2]:.0f} Hz", float(value)))
    return tuple(result)


# ------------------------------------------------------------------------------------------- in words


def _warnings(reference, candidate, common, pool, is_paired, shared, test, groups) -> tuple[str, ...]:
    lines = []
    sounds = [*reference.sounds, *candidate.sounds]
    rates = Counter(sound.rate for sound in sounds)
    lower = sorted(rate for rate in rates if rate < common)  # none without a Description
    if lower:
        seen = ", ".join(f"{rates[rate]} at {rate} Hz" for rate in lower)
        lines.append(
            f"sample rates below the description's {common} Hz ({seen}): compared below {common / 2:.0f} Hz "
            f"all the same, so what these files lack above {lower[0] / 2:.0f} Hz is a difference"
        )
    elif reference.fixed and common not in rates and common < RATE:
        lines.append(f"compared below {common / 2:.0f} Hz, the bandwidth of the description ({common} Hz)")
    elif len(rates) > 1:
        seen = ", ".join(f"{count} at {rate} Hz" for rate, count in sorted(rates.items()))
        lines.append(
            f"mixed sample rates ({seen}): compared below {common / 2:.0f} Hz, the bandwidth all have"
        )
    elif common < RATE:
        whose = "all files have" if common in rates else "another candidate has"
        lines.append(f"compared below {common / 2:.0f} Hz: {whose} a rate of {common} Hz")
    if shared:
        lines.append(
            f"{shared} {'groups' if groups is not None else 'files'} have the same content in both sets: "
            "each is one draw, and its pair is left out"
        )
    if is_paired:
        unit = "groups" if groups is not None else "files"
        lines.append(
            f"{int((pool.partner >= 0).sum()) // 2} pairs of {unit} found by name: the test swaps them "
            "(paired=False switches this off)"
        )
    for side, loaded in (("reference", reference), ("candidate", candidate)):
        if loaded.skipped:
            lines.append(
                f"{len(loaded.skipped)} files of the {side} were left out, the first: {loaded.skipped[0]}"
            )
        copies = len(loaded.sounds) - len({sound.content for sound in loaded.sounds})
        if copies:
            lines.append(f"{copies} files of the {side} are copies of others in it")
    if test.smallest_p > 0.05:
        lines.append(
            f"with these numbers of units no p-value below {test.smallest_p:.2g} is possible: "
            "nothing can be shown, whatever the sounds are"
        )
    medians = [float(np.median([s.seconds for s in loaded.sounds])) for loaded in (reference, candidate)]
    if max(medians) > 1.25 * min(medians):
        lines.append(
            f"median durations differ ({medians[0]:.2f} s and {medians[1]:.2f} s): part of the value, and of "
            "a small p-value (longer files vary less from one to the next); cut them alike"
        )
    return tuple(lines)


def _verdict(result: Comparison) -> str:
    if result.shared and result.shared == result.reference.units == result.candidate.units:
        return "the same set"
    if result.smallest_p > 0.05:
        return "too few files to tell"
    if result.p_value <= 0.05:
        if result.value <= 0:
            return "different in kind, though not in the value"
        return "different"
    return "no difference shown"


def _interval_text(interval: tuple[float, float] | None, digits: int = 3) -> str:
    if interval is None:
        return "not available"
    low, high = (round(end, digits) + 0.0 for end in interval)  # no "-0.0"
    return f"{low:.{digits}f} to {high:.{digits}f}"


def _p_text(result: Comparison) -> str:
    return f"{result.p_value:.2g}" if result.p_value >= 0.001 else f"{result.p_value:.1g}"


def _regions(bands: Sequence[Contribution], width: int = 8) -> str:
    """Neighbouring mel bands together, as text."""
    parts = []
    for first in range(0, len(bands), width):
        some = bands[first : first + width]
        low, high = some[0].name.split("-")[0], some[-1].name.split("-")[1]
        parts.append(f"{low}-{high} {sum(band.value for band in some):.3f}")
    return ", ".join(parts)


def _describe(result: Comparison) -> str:
    r = result
    kind = "all" if r.exact else "random"
    interval = _interval_text(r.interval)
    lines = [
        f"distance {r.value:.3f}   95 % interval {interval}   p = {_p_text(r)}   {r.verdict}",
        f"  {r.reference.files} reference files ({r.reference.seconds:.1f} s), "
        f"{r.candidate.files} candidate files ({r.candidate.seconds:.1f} s)",
        f"  {r.permutations} {kind} rearrangements; null spread {r.null_spread:.3f}",
        "  views: " + ", ".join(f"{name} {value:.3f}" for name, value in r.views.items()),
    ]
    if r.bands and r.p_value <= 0.05:
        lines.append("  envelope by band: " + _regions(r.bands))
    if r.p_value <= 0.05:
        lines.append("  farthest candidates: " + ", ".join(f"{u.name} {u.value:.2f}" for u in r.units[:3]))
    interval = f" ({_interval_text(r.level_interval_db, 1)})" if r.level_interval_db else ""
    lines.append(
        f"  level, not part of the distance: {round(r.level_difference_db, 1) + 0.0:+.1f} dB{interval}"
    )
    return "\n".join(lines + [f"  note: {line}" for line in r.warnings])


# --------------------------------------------------------------------------------------- command line

_EPILOG = """\
examples:
  python -m metrics recordings/ generated/
  python -m metrics recordings/ model_a/ model_b/ --json > result.json
  python -m metrics test_files_background.csv test_files_test1.csv
  python -m metrics recordings/ generated/ --groups '^(speaker\\d+)_'

reading the table:
  distance   signed; 0 on average for two samples of one source, so a small negative value means "none seen"
  interval   95 %, from leaving out one file (or group) at a time
  p          chance of a split at least this uneven if both sets came from one source

exit codes: 0 measured, 1 input that cannot be measured, 2 wrong use of the command, 130 interrupted
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m metrics",
        description="Distance from one set of sounds to others, with interval, p-value and causes.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "reference",
        metavar="REFERENCE",
        help="folder, .csv/.txt file list or .npz description of real sounds",
    )
    parser.add_argument("candidates", metavar="CANDIDATE", nargs="+", help="the same of sounds to judge")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--groups",
        metavar="PATTERN",
        help="regular expression found in the file name, or 'folder': what it captures "
        "(speaker, song) is the unit of test and interval",
    )
    parser.add_argument(
        "--paired",
        choices=("auto", "yes", "no"),
        default="auto",
        help="files of the same name are two versions of one thing (default: if all match)",
    )
    parser.add_argument("--permutations", type=int, default=999, metavar="N", help="default 999")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the permutations, default 0")
    parser.add_argument("--workers", type=int, metavar="N", help="processes, default: all cores on long work")
    parser.add_argument("--skip", action="store_true", help="leave bad files out instead of stopping")
    parser.add_argument(
        "--cache",
        action="store_true",
        help="keep embeddings in the user's cache folder; an interrupted run resumes",
    )
    parser.add_argument("--version", action="version", version=f"recipe version {RECIPE_VERSION}")
    return parser


def _table(results: Mapping[str, Comparison]) -> str:
    rows = [("candidate", "distance", "95 % interval", "p", "files", "verdict")]
    rows += [
        (
            name,
            f"{r.value:.3f}",
            _interval_text(r.interval),
            _p_text(r),
            f"{r.reference.files} / {r.candidate.files}",
            r.verdict,
        )
        for name, r in results.items()
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _ranking(results: Mapping[str, Comparison]) -> list[str]:
    """Which candidate is closer, in words, for neighbours in the order of distance."""
    order = sorted(results, key=lambda name: results[name].value)
    lines = []
    for near, far in itertools.pairwise(order):
        if results[near].interval is None or results[far].interval is None:
            continue
        gap = difference(results[far], results[near])
        sure = "is closer than" if gap.p_value <= 0.05 else "cannot be told from"
        lines.append(
            f"{near} {sure} {far}: difference {gap.value:.3f} "
            f"({_interval_text(gap.interval)}), p = {gap.p_value:.2g}"
        )
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    for name, value, least in (
        ("--permutations", arguments.permutations, 99),
        ("--seed", arguments.seed, 0),
        ("--workers", arguments.workers, 1),
    ):
        if value is not None and value < least:
            parser.error(f"{name} {value}: at least {least} is needed")
    if arguments.seed >= 2**63:
        parser.error(f"--seed {arguments.seed}: at most 2**63 - 1 is possible")
    if arguments.groups not in (None, "folder"):
        try:
            re.compile(arguments.groups)
        except re.error as error:
            parser.error(f"--groups {arguments.groups!r} is not a regular expression: {error}")
    if len(set(arguments.candidates)) < len(arguments.candidates):
        parser.error("a candidate is named twice")
    try:
        results = compare_each(
            arguments.reference,
            {name: name for name in arguments.candidates},
            groups=arguments.groups,
            paired={"auto": None, "yes": True, "no": False}[arguments.paired],
            permutations=arguments.permutations,
            seed=arguments.seed,
            workers=arguments.workers,
            on_error="skip" if arguments.skip else "raise",
            cache=arguments.cache,
        )
    except AudioError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; with --cache the files read so far are kept", file=sys.stderr)
        return 130
    if arguments.json:
        print(
            json.dumps(
                {
                    "reference": arguments.reference,
                    "candidates": {name: r.to_dict() for name, r in results.items()},
                },
                indent=2,
            )
        )
        return 0
    print(_table(results))
    for name, result in results.items():
        body = str(result).split("\n")[1:]
        print("\n".join(["", f"{name}", *body]))
    ranking = _ranking(results)
    if ranking:
        print("\n".join(["", *ranking]))
    return 0


if __name__ == "__main__":
    from metrics import main as imported_main  # worker processes find functions by module name

    sys.exit(imported_main())
