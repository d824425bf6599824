"""The kernel |x - y|^(1/2) between all units of a block.

Conventions
    K[i, j]    weighted mean of |x - y|^(1/2) over the windows x of unit i and y of unit j, of one view;
               symmetric, (units, units) float64. Of many windows some pairs: see ``units.window_parts``.
    0          on the diagonal, and between partners: neither pair enters a mean.
    precision  of the distances float64 up to ``DENSE_WINDOWS`` windows, float32 above, where it takes half
               the time: right to about 1e-5 of the spread, and among near copies no finer than that.
               float64 too where some windows are so far off that the others' distances would be rounding
               (``FAR``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from audio_distance.units import Pool, window_parts

DENSE_WINDOWS = 1024  # up to here distances are computed in float64, above in float32
FAR = 100.0  # times the median squared distance from the centre: 10 times as far off as others
CHUNK_ELEMENTS = 2**21  # of a table of window pairs: 16 MiB in float64
SMALL_ELEMENTS = 2**17  # 1 MiB
MIRRORED_UNITS = 64  # at once

Kernel = Callable[..., NDArray[np.float64]]  # ``unit_kernel``, or that under a progress bar


def unit_kernel(view: NDArray[Any], pool: Pool, divisors: ArrayLike = 1.0) -> NDArray[np.float64]:
    """K of one view, (units, units).

    ``view`` is (windows, numbers), of the windows of the ``pool``; ``divisors``, (numbers,), scale it.
    """
    parts = window_parts(pool)
    kernel = np.zeros((pool.size, pool.size))
    for rows, weights in parts:
        starts = np.searchsorted(rows, pool.starts)
        _add_upper_half(kernel, view[rows] / divisors, weights / len(parts) ** 0.5, starts)
    _mirror_upper_half(kernel)
    matched = np.flatnonzero(pool.partner >= 0)
    kernel[matched, pool.partner[matched]] = 0
    return kernel


def _add_upper_half(
    kernel: NDArray[np.float64], view: NDArray[Any], weights: NDArray[np.float64], starts: NDArray[np.int_]
) -> None:
    """Add one part's kernel to the upper half of ``kernel``; below the diagonal it means nothing.

    ``view`` is (windows, numbers), unit after unit from ``starts`` on. A pair of windows counts with the
    product of its ``weights``.
    """
    total, units = len(view), len(starts)
    left, right = _distance_factors(view)
    precision = left.dtype
    # Below this a squared distance is rounding: two copies of a sound are at 0, not at 0.001.
    noise = 8 * float(np.finfo(precision).eps) * float(right[:, -1].max())
    ends = np.append(starts[1:], total)
    owner = np.repeat(np.arange(units), ends - starts)
    single = total == units
    # Small chunks meet fewer pairs twice. Where there are no sums to split, float64 rounds alike in all.
    small = single and precision == np.float64
    step = max(1, (min(SMALL_ELEMENTS, CHUNK_ELEMENTS) if small else CHUNK_ELEMENTS) // total)
    for low in range(0, total, step):
        rows = slice(low, min(low + step, total))
        first = int(owner[low])  # units before this one have met these rows already
        begin = starts[first]
        distances = left[rows] @ right[begin:].T
        distances *= distances > noise
        np.sqrt(np.sqrt(distances, out=distances), out=distances)
        if single:
            kernel[rows, first:] += distances  # all weights are 1
            continue
        # From windows to units: weighted sums over the columns, then over the rows of each unit.
        distances *= weights[begin:].astype(precision)
        by_unit = np.add.reduceat(distances, starts[first:] - begin, axis=1).astype(float)
        by_unit *= weights[rows, None]
        met, row_starts = np.unique(owner[rows], return_index=True)
        sums = np.add.reduceat(by_unit, row_starts, axis=0)
        for unit, sum_of_unit in zip(met.tolist(), sums, strict=True):
            kernel[unit, unit:] += sum_of_unit[unit - first :]


def _mirror_upper_half(kernel: NDArray[np.float64]) -> None:
    """Write it over the lower half, and 0 on the diagonal; in blocks that stay in the processor's cache."""
    for low in range(0, len(kernel), MIRRORED_UNITS):
        high = low + MIRRORED_UNITS
        upper = np.triu(kernel[low:high, low:high], 1)
        kernel[low:high, low:high] = upper + upper.T
        kernel[high:, low:high] = kernel[low:high, high:].T


def _distance_factors(view: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Factors whose product is the matrix of squared distances: [-2x, |x|^2, 1] and [x, 1, |x|^2].

    Centred first, because what cancels in float32 is the part that all vectors share.
    """
    view = view - view.mean(axis=0)
    norms = np.einsum("ij,ij->i", view, view)
    exact = len(view) <= DENSE_WINDOWS or norms.max() > FAR * np.median(norms)
    view = view.astype(np.float64 if exact else np.float32, copy=False)
    norms = np.einsum("ij,ij->i", view, view)[:, None]
    ones = np.ones_like(norms)
    return np.hstack([-2 * view, norms, ones]), np.hstack([view, ones, norms])
