"""What comparing large sets in blocks and parts adds to the error of a value: against all pairs of windows.

More than 2,048 files are compared in blocks, and more than 4,096 windows of a block in parts. The pairs
that never meet are left out without looking at them, so the value stays unbiased, but it scatters more; a
control variate takes most of that off again. Here sets are as large as all pairs can still be taken of them:
in float64, from the definition, by other code than the distance's. Random sets, at three distances, and the
spoken digits in halves: at random, and three speakers against the other three. Seed 0, 5 draws of each.

Conventions
    files, windows   of a side, and of a file. Random files differ in 60 directions, windows of a file in the
                     same ones, by .3 of that. Of a digit it is the first window.
    shift            of every number of the candidate, in its bundled divisors; 0: both sets are of one
                     source. None of digits.
    blocks           to which units are dealt: as many as ``compare`` makes of so many, and ``MANY``, as it
                     makes of sets several times as large. How much is added beside the interval hangs on the
                     number of blocks, and not on their size.
    added            root mean square, over the draws, of the value minus that of all pairs; ``plain`` the
                     same without the control variate.
    half             of the length of the 95 % interval that the comparison gives: mean over the draws.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from tqdm import tqdm

import metrics
from audio_distance.control_variate import corrected, smooth_kernels, sums_of
from audio_distance.description import Sound, SoundSet
from audio_distance.energy import mean_of_blocks, observe, view_kernels
from audio_distance.features import divided, split_views, squared_distances
from audio_distance.units import Pool, block_shares, block_units, make_pool, taken
from study import datasets

DATA = ("digits",)
TAKES = "ten minutes"

SIZES = ((3_000, 1), (1_500, 4), (750, 8))  # blocks; blocks and parts; parts
SHIFTS = (0.0, 0.1, 0.4)
DIGITS = ("digits", "digits of other speakers")
DRAWS = 5
MANY = 12
CHUNK = 2_000  # windows that meet all others at once: 190 MiB in float64


def run(*, quick: bool = False) -> dict:
    """Added error of every kind of sets; ``datasets.MissingData`` without the recordings.

    Returns ``draws`` and ``rows``: ``sounds``, ``files``, ``windows``, ``shift``, ``blocks``; ``value``, mean
    of that of all pairs; ``added``, ``plain``, ``half``; ``difference``, mean of the value minus that of all
    pairs, and ``spread``, standard deviation of the value of all pairs over the draws.
    """
    draws, sizes = (2, ((1_100, 1),)) if quick else (DRAWS, SIZES)
    described, speakers = _digits()
    rows = []
    for files, windows in tqdm(sizes, desc="random sets", leave=False):
        found = [list(_random(files, windows, draw)) for draw in range(draws)]
        for shift, of_shift in zip(SHIFTS, zip(*found, strict=True), strict=True):
            about = {"sounds": "random numbers", "files": files, "windows": windows, "shift": shift}
            rows += _rows(about, of_shift)
    for sounds in tqdm(DIGITS, desc="digits", leave=False):
        halves = [_halves(described, speakers, draw, alike=sounds == DIGITS[0]) for draw in range(draws)]
        of_all = [list(_measured(*half)) for half in halves]
        about = {"sounds": sounds, "files": len(halves[0][0]), "windows": 1, "shift": None}
        rows += _rows(about, of_all)
    return {"draws": draws, "rows": rows}


def _rows(about: Mapping, draws: Sequence[Sequence[Mapping]]) -> list[dict]:
    """A row a number of blocks, from what was measured of each draw."""
    rows = []
    for found in zip(*draws, strict=True):
        value, plain, of_all, half = (
            np.array([draw[name] for draw in found]) for name in ("value", "plain", "of_all", "half")
        )
        rows.append(
            {
                **about,
                "blocks": found[0]["blocks"],
                "value": float(of_all.mean()),
                "added": float(np.sqrt(np.mean((value - of_all) ** 2))),
                "plain": float(np.sqrt(np.mean((plain - of_all) ** 2))),
                "half": float(half.mean()),
                "difference": float(np.mean(value - of_all)),
                "spread": float(of_all.std(ddof=1)),
            }
        )
    return rows


def summary(content: Mapping) -> str:
    """A line a row."""
    lines = []
    for row in content["rows"]:
        share, plain = (row[name] / row["half"] for name in ("added", "plain"))
        lines.append(
            f"{row['sounds']}, {row['files']:,} files of {row['windows']} windows a side, "
            f"{row['blocks']} blocks, value {row['value']:.5f}: added error {row['added']:.5f}, {share:.0%} "
            f"of half the interval ({row['half']:.5f}), {plain:.0%} without the control variate"
        )
    return "\n".join(lines)


def _random(files: int, windows: int, draw: int) -> Iterator[list[dict]]:
    """Of one draw of random sets what ``_measured`` gives, at each shift."""
    reference, candidate = (random_set(files, windows, seed=(files, draw, side)) for side in (0, 1))
    within = sum(mean_within(side) for side in (reference, candidate))  # a shift of all changes it by nothing
    for shift in SHIFTS:
        yield _measured(reference, candidate + np.float32(shift), within=within)


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """All digits in units of the bundled divisors, (files, 1, 1032), and who speaks each, (files,)."""
    digits = datasets.digits()
    vectors = [metrics.describe_signal(signal, digits.rate).vectors[:1] for signal in digits.signals]
    return divided(np.stack(vectors)).astype(np.float32), np.array([n.split("_")[1] for n in digits.names])


def _halves(
    described: np.ndarray, speakers: np.ndarray, draw: int, *, alike: bool
) -> tuple[np.ndarray, np.ndarray]:
    """All digits in two halves: at random, or three speakers and the others."""
    rng = np.random.default_rng(draw)
    order = rng.permutation(len(described))
    half = np.arange(len(described)) < len(described) // 2
    if not alike:
        half = np.isin(speakers[order], rng.permutation(np.unique(speakers))[:3])
    return described[order[half]], described[order[~half]]


def _measured(reference: np.ndarray, candidate: np.ndarray, *, within: float | None = None) -> list[dict]:
    """For each number of blocks: ``value``, ``plain``, ``half``, and ``of_all``, the value of all pairs.

    ``within``: the sum of the means within the sets, if it is known.
    """
    if within is None:
        within = mean_within(reference) + mean_within(candidate)
    of_all = 2 * mean_across(reference, candidate) - within
    pool = _pool(reference, candidate)
    rows = []
    for blocks in [block_units(pool), *([_dealt(pool, MANY)] if len(block_units(pool)) > 1 else [])]:
        value, plain, (low, high) = in_blocks(pool, blocks)
        half = (high - low) / 2
        rows.append({"blocks": len(blocks), "value": value, "plain": plain, "half": half, "of_all": of_all})
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


def _pool(reference: np.ndarray, candidate: np.ndarray) -> Pool:
    """Both sets as ``compare`` pools them."""
    sets = []
    for name, numbers in (("x", reference), ("y", candidate)):
        described = numbers * metrics.constants()[0].astype(np.float32)
        sounds = (
            Sound(f"{name}{i}", f"{name}{i}", metrics.RATE, float(len(rows)), float(len(rows)), -20.0, rows)
            for i, rows in enumerate(described)
        )
        sets.append(SoundSet(name, tuple(sounds), (), 0))
    return make_pool(*sets, paired=False)[0]


def _dealt(pool: Pool, count: int) -> list[np.ndarray]:
    """The units of each of ``count`` blocks, dealt set by set as ``block_units`` deals them."""
    sides = [np.flatnonzero(pool.members == member) for member in (1, 2)]
    return [np.sort(np.concatenate([side[i::count] for side in sides])) for i in range(count)]


def in_blocks(pool: Pool, blocks: Sequence[np.ndarray]) -> tuple[float, float, tuple[float, float]]:
    """Value, that without the control variate, and the interval, as ``compare`` has them.

    (Which spends most of its time on its test.)
    """
    smooth = smooth_kernels(pool, blocks)
    observed, sums = [], []
    for block in (taken(pool, units) for units in blocks):
        observed.append(observe(view_kernels(block), block))
        sums.append(sums_of(smooth, block))
    shares = block_shares(pool, blocks)
    found = mean_of_blocks(shares, corrected(observed, smooth, sums))
    assert found.interval is not None  # of 3 files a side and more
    return found.value, mean_of_blocks(shares, observed).value, found.interval


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
