"""The kernel |x - y|^(1/2) between all units, in tiles of bounded size.

Conventions
    tile       K[first:last, first:], (views, last - first, units - first): the upper half, row by row.
    K[i, j]    weighted mean of |x - y|^(1/2) over the windows x of unit i and y of unit j.
    precision  float64 up to ``DENSE_WINDOWS`` windows, float32 above, where it takes half the time; a value
               is then right to about 1e-5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.units import Pool

DENSE_WINDOWS = 4096  # up to here the kernel is computed in float64, above in float32
TILE_ELEMENTS = 2**22  # of a kernel tile: 32 MiB in float64

Tile = tuple[int, int, NDArray[Any]]
Tiles = Callable[
    [Sequence[NDArray[Any]], Pool], Iterator[Tile]
]  # ``unit_tiles``, or that under a progress bar


def unit_tiles(views: Sequence[NDArray[Any]], pool: Pool) -> Iterator[Tile]:
    """The upper half of the unit-by-unit kernel in tiles of bounded size.

    Yields first, last and K[first:last, first:], (views, last - first, units - first); the rest follows
    from symmetry. ``views`` are scaled vectors, each (windows, numbers). A unit with itself and with its
    partner is 0: neither pair enters a mean.
    """
    total = len(pool.vectors)
    ends = np.append(pool.starts[1:], total)
    precision: type[np.floating[Any]] = np.float64 if total <= DENSE_WINDOWS else np.float32
    left, right = zip(*(_distance_factors(view, precision) for view in views), strict=True)
    weights = None if len(pool.starts) == total else pool.weights.astype(precision)
    # Below this a squared distance is rounding: two copies of a sound are at 0, not at 0.001.
    noise = [8 * np.finfo(precision).eps * float(factor[:, -1].max()) for factor in right]
    step = max(1, TILE_ELEMENTS // total)
    first = 0
    while first < pool.size:
        # As many whole units as fit, and at least one, however many windows it has.
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
                # From windows to units: weighted sums over the columns, then over the rows of each unit.
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


def _distance_factors(
    view: NDArray[Any], precision: type[np.floating[Any]]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Factors whose product is the matrix of squared distances: [-2x, |x|^2, 1] and [x, 1, |x|^2].

    Centred first, because what cancels in float32 is the part that all vectors share.
    """
    view = (view - view.mean(axis=0)).astype(precision)
    norms, ones = np.einsum("ij,ij->i", view, view)[:, None], np.ones((len(view), 1), precision)
    return np.hstack([-2 * view, norms, ones]), np.hstack([view, ones, norms])
