"""What a single file does to the numbers of a generated set: the sampling error of one run.

Conventions
    reference, candidate   (windows, 1032) a file: what the distance sees of it, divided.
    without                (candidate files,) a metric: its value without that file. The reference is the same
                           in every run, and so no reason for runs to differ.
    variance               (m - 1) / m sum (without - mean)^2: Tukey's jackknife (Efron and Stein 1981,
                           doi:10.1214/aos/1176345462), of a mean exactly its usual variance.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import cdist, pdist, squareform

from audio_distance.features import split_views
from study.distances import NEIGHBOURS

FILE = "jackknife.npz"  # of a run
FEWEST = 3  # files, for a U-statistic without one of them


def without_each(reference: Sequence[np.ndarray], candidate: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Distance, views, coverage and density without each candidate file.

    Parameters
    ----------
    reference, candidate : sequence of array, (windows, 1032) a file
        As ``tasks.embedded`` gives them. For the distance a pair of files is the mean over its pairs of
        windows; for coverage and density a file is the mean of its windows.

    Returns
    -------
    dict, name -> (candidate files,)
        By the names of metrics.json. Empty below ``FEWEST`` files on either side.
    """
    if min(len(reference), len(candidate)) < FEWEST:
        return {}
    (x, of_x), (y, of_y) = (
        (np.concatenate(side), [len(rows) for rows in side]) for side in (reference, candidate)
    )
    sides = [split_views(rows) for rows in (x, y)]
    views = {
        name.replace(" ", "_"): _energy(
            _kernel(sides[0][name], of_x, sides[0][name], of_x),
            _kernel(sides[0][name], of_x, sides[1][name], of_y),
            _kernel(sides[1][name], of_y, sides[1][name], of_y),
        )
        for name in sides[0]
    }
    found = {"distance": np.mean(list(views.values()), axis=0), **views}
    return found | _neighbours(
        *(np.stack([rows.mean(axis=0) for rows in side]) for side in (reference, candidate))
    )


def _kernel(x: np.ndarray, of_x: Sequence[int], y: np.ndarray, of_y: Sequence[int]) -> np.ndarray:
    """|x - y|^(1/2), the mean over the windows of either file, (files, files); ``of``: how many these are."""
    pairs = np.sqrt(cdist(x, y))
    for axis, counts in ((0, of_x), (1, of_y)):
        starts = np.cumsum([0, *counts[:-1]])
        means = np.add.reduceat(pairs, starts, axis=axis)
        pairs = means / (np.array(counts)[:, None] if axis == 0 else np.array(counts))
    return pairs


def _energy(xx: np.ndarray, xy: np.ndarray, yy: np.ndarray) -> np.ndarray:
    """The energy distance without each candidate file, from the kernels; no file pairs with itself."""
    n, m = xy.shape
    across, within = xy.sum(axis=0), yy.sum(axis=0) - np.diag(yy)
    own = (xx.sum() - np.trace(xx)) / (n * (n - 1))
    between = (across.sum() - across) / (n * (m - 1))
    return 2 * between - own - (within.sum() - 2 * within) / ((m - 1) * (m - 2))


def _neighbours(x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Coverage and density (``study.distances.nearest_neighbour_quality``) without each row of ``y``."""
    k = min(NEIGHBOURS, len(x) - 1, len(y) - 1)
    reach = np.partition(squareform(pdist(x)), k, axis=1)[:, k]
    inside = cdist(x, y) < reach[:, None]
    # A ball is lost where the row was the only one in it.
    held = inside.sum(axis=1)
    lost = (inside & (held == 1)[:, None]).sum(axis=0)
    balls = inside.sum(axis=0)
    return {
        "coverage": ((held > 0).sum() - lost) / len(x),
        "density": (balls.sum() - balls) / (k * (len(y) - 1)),
    }


def variance(without: Sequence[float]) -> float:
    """Of a number by the choice of its files, from its values without each of them, (files,)."""
    return float(np.var(without) * (len(without) - 1))
