"""Measures of rated sets by the distance's own numbers: windows, views, frequency regions, single files.

Conventions
    measure     a number of every system of a rated set, its distance to the recordings, low for good.
    unit        what is compared: "windows" (of a file, averaged over the pairs of two files, as
                ``metrics.distance`` does) or "files" (the mean of a file's windows).
    preparation what is done to the prepared signal before it is described: windows of another length,
                masking noise, silences cut.
    part        energy distance on some columns of the three views; a value is a weighted sum of parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
from scipy.spatial.distance import cdist

import metrics
from audio_distance import transforms, views
from audio_distance.features import LACKING
from study import datasets, sources

MASKS = (60, 50, 40, 30)  # dB that the masking noise lies under the sounding part
SILENCE = 30  # dB under the loudest 10 ms: what is quieter is cut by "silences cut"
REGIONS = {"low": (0.0, 800.0), "mid": (800.0, 3200.0), "high": (3200.0, np.inf)}  # Hz
OF_FILES = (  # what is made of the contributions of single files, see ``_of_files``
    "median file",
    "upper quartile of files",
    "trimmed mean of files",
    "nearest recording",
    "matched names",
)


# -------------------------------------------------------------------------------------- preparations


def _cut(seconds: float) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Windows of another length, placed as ``metrics.windows`` places those of 1 s."""

    def windows(signal: np.ndarray) -> list[np.ndarray]:
        size = round(seconds * metrics.RATE)
        if len(signal) <= size:
            return [signal]
        count = int(len(signal) / size + LACKING)
        starts = np.linspace(0, len(signal) - size, count).round().astype(int)
        return [signal[start : start + size] for start in starts]

    return windows


def masked(signal: np.ndarray, decibels: float) -> np.ndarray:
    """The prepared signal with pink noise ``decibels`` under its level (RMS 0.1); float32, (samples,).

    The noise is always the same, so that equal sounds stay equal. It stands for what masks faint sounds: the
    room, and the ear's own threshold.
    """
    # A power of two, so that few noises are made; a longer signal has another noise.
    size = 2 ** int(np.ceil(np.log2(len(signal))))
    noise = _pink(size)[: len(signal)]
    return signal + np.float32(metrics.PREPARED_RMS * 10 ** (-decibels / 20)) * noise


@lru_cache(maxsize=4)
def _pink(size: int) -> np.ndarray:
    """Noise of equal power an octave above 30 Hz, RMS 1, (size,) float32."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(size))
    hz = np.maximum(np.fft.rfftfreq(size, 1 / metrics.RATE), metrics.LOWEST_HZ)
    noise = np.fft.irfft(spectrum / np.sqrt(hz), size)
    return (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)


def without_silences(signal: np.ndarray) -> np.ndarray:
    """The prepared signal without its 10 ms frames more than ``SILENCE`` dB under the loudest.

    What follows a cut is put beside what was before it. Zeros are added to at least 2,048 samples, as in the
    recipe.
    """
    size = metrics.RATE // 100
    frames = signal[: len(signal) // size * size].reshape(-1, size)
    power = (frames**2).mean(axis=1)
    kept = frames[power > power.max() * 10 ** (-SILENCE / 10)].ravel()
    return np.pad(kept, (0, max(0, 2048 - len(kept))))


PREPARATIONS: dict[str, Callable[[np.ndarray], list[np.ndarray]]] = {
    "1 s": metrics.windows,
    "0.5 s": _cut(0.5),
    "2 s": _cut(2.0),
    **{f"masked at -{d} dB": lambda s, d=d: metrics.windows(masked(s, d)) for d in MASKS},
    "silences cut": lambda s: metrics.windows(without_silences(s)),
}


def columns() -> dict[str, np.ndarray]:
    """Columns of the 1032 numbers by part: each view, and each view in each of ``REGIONS``.

    Part -> indices; "envelope", "envelope low" and so on. A band belongs to the region its centre lies in.
    """
    parts = {}
    for view, place in views.VIEW_COLUMNS.items():
        parts[view] = np.arange(place.start, place.stop)
        bands = metrics.FINE_BANDS if view == "fine structure" else metrics.ENVELOPE_BANDS
        # The band is the last axis.
        centres = np.resize(transforms.mel_edges(bands)[1:-1], metrics.VIEWS[view])
        for region, (low, high) in REGIONS.items():
            parts[f"{view} {region}"] = place.start + np.flatnonzero((centres >= low) & (centres < high))
    return parts


# ------------------------------------------------------------------------------------------ measuring


def block_kernel(x: Sequence[np.ndarray], y: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of |a - b|^(1/2) over the window pairs of every two files: (files of x, files of y).

    ``x``, ``y``: a file each, (windows, columns). Euclidean norm over the columns given, so a part of a view
    is measured as if it were all there is.
    """
    # All windows at once, then sums over the blocks of two files.
    starts = [np.cumsum([0, *map(len, side)])[:-1] for side in (x, y)]
    table = np.sqrt(cdist(np.concatenate(x), np.concatenate(y)))
    table = np.add.reduceat(np.add.reduceat(table, starts[0], axis=0), starts[1], axis=1)
    return table / np.outer([len(a) for a in x], [len(b) for b in y])


def contributions(x: Sequence[np.ndarray], y: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What each candidate file adds to the energy distance, (m,), and the kernel across, (n, m).

    ``x`` holds the n files of the reference, ``y`` the m of the candidate, both (windows, columns) each. The
    mean of the contributions is the unbiased energy distance, as in ``audio_distance.energy``::

        2 mean_i K(x_i, y_j) - mean_{i != i'} K(x_i, x_i') - mean_{j' != j} K(y_j, y_j')
    """
    across, within, other = block_kernel(x, y), block_kernel(x, x), block_kernel(y, y)
    n, m = across.shape
    inside = (within.sum() - np.trace(within)) / (n * (n - 1))
    own = (other.sum(axis=1) - np.diag(other)) / (m - 1)
    return 2 * across.mean(axis=0) - inside - own, across


def measure(which: str) -> dict[str, dict[str, float]]:
    """Every part on one rated set, named ``which``: name -> system -> value, low for good.

    Names are "UNIT PREPARATION, PART" ("windows 1 s, envelope low"), and "WAY, VIEW" for the ways of
    ``OF_FILES``. Regions and ways are made for windows of 1 s only. All systems are brought to the lowest
    rate in the set, so that none gains by a wider band.
    """
    rated = datasets.rated(which)
    every = {"": rated.reference, **rated.systems}
    rate = min(audio.rate for audio in every.values())
    # Prepared once at one rate; what differs between preparations is done to the prepared signal.
    prepared = {
        system: [metrics.prepare(s, rate)[0] for s in sources.at_rate(audio, rate)]
        for system, audio in every.items()
    }
    part_columns = columns()
    values: dict[str, dict[str, float]] = {}

    def put(name: str, system: str, value: float) -> None:
        values.setdefault(name, {})[system] = float(value)

    for preparation, windows in PREPARATIONS.items():
        rows = {
            system: [metrics.divided(np.stack([metrics.embed(w) for w in windows(s)])) for s in signals]
            for system, signals in prepared.items()
        }
        # A file as one window: its mean.
        means = {system: [r.mean(axis=0, keepdims=True) for r in table] for system, table in rows.items()}
        for unit, table in (("windows", rows), ("files", means)):
            for part, wanted in part_columns.items():
                if part not in metrics.VIEWS and (unit, preparation) != ("windows", "1 s"):
                    continue
                x = [r[:, wanted] for r in table[""]]
                for system in rated.systems:
                    each, across = contributions(x, [r[:, wanted] for r in table[system]])
                    put(f"{unit} {preparation}, {part}", system, each.mean())
                    if part in metrics.VIEWS and (unit, preparation) == ("windows", "1 s"):
                        for name, value in _of_files(each, across, rated, system).items():
                            put(f"{name}, {part}", system, value)
    return values


def _of_files(
    each: np.ndarray, across: np.ndarray, rated: datasets.RatedSet, system: str
) -> dict[str, float]:
    """Other ways than the mean from contributions of files to a value."""
    ordered = np.sort(each)
    cut = len(each) // 10 or int(len(each) > 2)  # a tenth at each end, at least one of three files
    place = {name: i for i, name in enumerate(rated.reference.names)}
    pairs = [(place[n], j) for j, n in enumerate(rated.systems[system].names) if n in place]
    values = (
        np.median(each),
        np.quantile(each, 0.75),
        ordered[cut : len(ordered) - cut].mean(),
        across.min(axis=0).mean(),
        # Where no names match (unpaired generation) there is nothing to match: the nearest stands in.
        np.mean([across[p] for p in pairs]) if pairs else across.min(axis=0).mean(),
    )
    return dict(zip(OF_FILES, values, strict=True))
