"""Statistics of two sets of files under many arrangements at once, and their p-value.

Conventions
    rows       (files, d), one vector a file, of both sets together.
    dealt      bool (arrangements, files): who is dealt to the reference; as observed first.
    statistic  ``STATISTICS[name](rows, dealt)``: (arrangements,), large where the sets are far apart. What it
               fits (a bandwidth, a penalty) is fitted on all rows and does not know the sets.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from study.distances import energy_kernel, gaussian_kernel, kernel_statistics, median_distance

TIE = 1e-9  # of the largest statistic: arrangements that differ by less are equal up to rounding


def p_value(statistics: np.ndarray) -> float:
    """Share of the arrangements that are at least as far as the observed one, which is the first."""
    slack = TIE * np.abs(statistics).max()
    return float(np.mean(statistics >= statistics[0] - slack))


def frechet(rows: np.ndarray, dealt: np.ndarray) -> np.ndarray:
    """Frechet distance of every arrangement, through the files' inner products.

    tr sqrt(S1 S2) is the nuclear norm of the product of the two centred data factors, an n x m matrix
    of inner products, so nothing of size d x d appears. ``distances.frechet`` gives the same (tested).
    """
    gram = rows @ rows.T
    n = int(dealt[0].sum())
    order = np.argsort(~dealt, axis=1, kind="stable")
    a, b = order[:, :n], order[:, n:]
    aa, bb, ab = (gram[x[:, :, None], y[:, None, :]] for x, y in ((a, a), (b, b), (a, b)))
    means = [block.mean(axis=(1, 2)) for block in (aa, bb, ab)]
    shift = means[0] + means[1] - 2 * means[2]
    spread = sum(
        (np.trace(block, axis1=1, axis2=2) - block.shape[1] * mean) / (block.shape[1] - 1)
        for block, mean in zip((aa, bb), means, strict=False)
    )
    centred = ab - ab.mean(axis=1, keepdims=True) - ab.mean(axis=2, keepdims=True) + means[2][:, None, None]
    nuclear = np.linalg.svd(centred, compute_uv=False).sum(axis=1)
    return shift + spread - 2 * nuclear / np.sqrt((a.shape[1] - 1) * (b.shape[1] - 1))


def gaussian_mmd(rows: np.ndarray, dealt: np.ndarray) -> np.ndarray:
    """Of a Gaussian kernel; a bandwidth that knew the sets would make the test anticonservative."""
    return kernel_statistics(gaussian_kernel(rows, median_distance(rows)), dealt)


def energy(rows: np.ndarray, dealt: np.ndarray) -> np.ndarray:
    """The generalised energy distance with exponent 1/2."""
    return kernel_statistics(energy_kernel(rows), dealt)


def ridge_classifier(rows: np.ndarray, dealt: np.ndarray) -> np.ndarray:
    """Minus the squared error of ridge regression of the set, at files left out one at a time.

    With H the matrix that makes fitted values of labels y, the error at a file that is left out is
    (y - Hy) / (1 - h), exactly (Allen 1974, doi:10.1080/00401706.1974.10489157), so that no arrangement has
    to be fitted. Intercept free; penalty the mean squared norm of a centred file, as in
    ``distances.classifier_two_sample``. Squared errors, because shares of files would nearly all tie.
    """
    centred = rows - rows.mean(axis=0)
    gram = centred @ centred.T
    penalty = np.trace(gram) / len(gram) or 1.0
    hat = np.linalg.solve(gram + penalty * np.eye(len(gram)), gram) + 1 / len(gram)
    labels = np.where(dealt.T, 1.0, -1.0)
    errors = (labels - hat @ labels) / (1 - np.diag(hat))[:, None]
    return -(errors**2).sum(axis=0)


STATISTICS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    function.__name__: function for function in (frechet, gaussian_mmd, energy, ridge_classifier)
}
