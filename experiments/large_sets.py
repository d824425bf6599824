"""What comparing large sets in blocks and parts adds to the error of a value: against all pairs of windows.

More than 2,048 files are compared in blocks, and more than 4,096 windows of a block in parts. The pairs
that never meet are left out without looking at them, so the value stays unbiased, but it scatters more. Here
sets are as large as all pairs can still be taken of them: in float64, from the definition, by other code than
the distance's. Synthetic sets, seed 0, 5 draws of a size, each at three distances.

Conventions
    files, windows   of a side, and of a file. Files differ in 60 directions, windows of a file in the same
                     ones, by .3 of that.
    shift            of every number of the candidate, in its bundled divisors; 0: both sets are of one
                     source.
    added            root mean square, over the draws, of the value minus that of all pairs.
    half             of the length of the 95 % interval that the comparison gives: mean over the draws.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from tqdm import tqdm

import metrics
from audio_distance.control_variate import corrected, smooth_kernels, sums_of
from audio_distance.description import Sound, SoundSet
from audio_distance.energy import mean_of_blocks, observe, view_kernels
from audio_distance.features import split_views, squared_distances
from audio_distance.units import block_shares, block_units, make_pool, taken

DATA = ()
TAKES = "five minutes"

SIZES = ((3_000, 1), (1_500, 4), (750, 8))  # blocks; blocks and parts; parts
SHIFTS = (0.0, 0.1, 0.4)
DRAWS = 5
CHUNK = 2_000  # windows that meet all others at once: 190 MiB in float64


def run(*, quick: bool = False) -> dict:
    """Added error at every size and shift.

    Returns ``draws`` and ``rows``: ``files``, ``windows``, ``shift``; ``value``, mean of that of all pairs;
    ``added``, ``half``; ``difference``, mean of the value minus that of all pairs, and ``spread``, standard
    deviation of the value of all pairs over the draws.
    """
    draws, sizes = (2, ((1_100, 1),)) if quick else (DRAWS, SIZES)
    rows = []
    for files, windows in tqdm(sizes, desc="sizes", leave=False):
        found = np.array([_drawn(files, windows, draw) for draw in range(draws)])  # (draws, shifts, 3)
        for shift, (value, of_all, half) in zip(SHIFTS, np.moveaxis(found, 0, 2), strict=True):
            rows.append(
                {
                    **{"files": files, "windows": windows, "shift": shift, "value": float(of_all.mean())},
                    "added": float(np.sqrt(np.mean((value - of_all) ** 2))),
                    "half": float(half.mean()),
                    "difference": float(np.mean(value - of_all)),
                    "spread": float(of_all.std(ddof=1)),
                }
            )
    return {"draws": draws, "rows": rows}


def summary(content: Mapping) -> str:
    """A line a size and shift."""
    return "\n".join(
        f"{row['files']:5,} files of {row['windows']} windows a side, value {row['value']:.5f}: added error "
        f"{row['added']:.5f}, {row['added'] / row['half']:.0%} of half the interval ({row['half']:.5f})"
        for row in content["rows"]
    )


def _drawn(files: int, windows: int, draw: int) -> list[tuple[float, float, float]]:
    """Of one draw at each shift: the value, that of all pairs, and half the interval."""
    reference, candidate = (random_set(files, windows, seed=(files, draw, side)) for side in (0, 1))
    within = [mean_within(side) for side in (reference, candidate)]  # a shift of all changes it by nothing
    rows = []
    for shift in SHIFTS:
        moved = candidate + np.float32(shift)
        value, (low, high) = in_blocks(reference, moved)
        rows.append((value, 2 * mean_across(reference, moved) - sum(within), (high - low) / 2))
    return rows


def random_set(files: int, windows: int, *, seed: tuple[int, ...]) -> np.ndarray:
    """Numbers in units of the bundled divisors, (files, windows, 1032) float32."""
    directions = np.random.default_rng(0).standard_normal((60, len(metrics.constants()[0])), np.float32) / 8
    rng = np.random.default_rng(seed)
    places = rng.standard_normal((files, 1, 60), np.float32)
    places = places + np.float32(0.3) * rng.standard_normal((files, windows, 60), np.float32)
    numbers = places @ directions
    numbers += np.float32(0.2) * rng.standard_normal(numbers.shape, np.float32)
    return numbers


def in_blocks(reference: np.ndarray, candidate: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Value and interval as ``compare`` has them, which spends most of its time on its test."""
    sets = []
    for name, numbers in (("x", reference), ("y", candidate)):
        described = numbers * metrics.constants()[0].astype(np.float32)
        sounds = (
            Sound(f"{name}{i}", f"{name}{i}", metrics.RATE, float(len(rows)), float(len(rows)), -20.0, rows)
            for i, rows in enumerate(described)
        )
        sets.append(SoundSet(name, tuple(sounds), (), 0))
    pool, _, _ = make_pool(*sets, paired=False)
    blocks = block_units(pool)
    smooth = smooth_kernels(pool, blocks)
    parts = [taken(pool, units) for units in blocks]
    observed = [observe(view_kernels(part), part) for part in parts]
    each = corrected(observed, smooth, [sums_of(smooth, part) for part in parts])
    found = mean_of_blocks(block_shares(pool, blocks), each)
    assert found.interval is not None  # of 3 files a side and more
    return found.value, found.interval


def mean_across(x: np.ndarray, y: np.ndarray) -> float:
    """Mean of |x - y|^(1/2) over all pairs of windows of two sets, and over the views."""
    return float(np.mean([_total(x, y, view) for view in metrics.VIEWS])) / (x[..., 0].size * y[..., 0].size)


def mean_within(x: np.ndarray) -> float:
    """The same within one set, over the pairs of windows of different files."""
    files, windows, _ = x.shape
    of_all = float(np.mean([_total(x, x, view, within=True) for view in metrics.VIEWS]))
    return of_all / (files * (files - 1) * windows**2)


def _total(x: np.ndarray, y: np.ndarray, view: str, *, within: bool = False) -> float:
    """Sum over all pairs of windows; ``within`` one set without those of one file."""
    one, other = (split_views(side)[view].astype(float) for side in (x, y))
    others, total = other.reshape(-1, other.shape[2]), 0.0
    step = max(1, CHUNK // x.shape[1])
    for first in range(0, len(one), step):
        some = one[first : first + step]
        table = np.sqrt(np.sqrt(squared_distances(some.reshape(-1, some.shape[2]), others)))
        if within:
            of_files = table.reshape(len(some), x.shape[1], len(y), y.shape[1])
            of_files[np.arange(len(some)), :, first + np.arange(len(some)), :] = 0
        total += float(table.sum())
    return total
