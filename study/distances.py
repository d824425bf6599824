"""Candidate distances between two embedded sets: matrices in, one number out.

Conventions
    reference   float (n, d): one row a draw (a file, described by one vector).
    candidate   float (m, d), the same columns. n and m at least 2, because every distance here
                needs the spread within a set.
    distance    ``f(reference, candidate, *, rng=None) -> float``, larger is farther. ``rng`` is a
                ``numpy.random.Generator``: needed by those in ``DRAWING``, accepted and ignored by
                the others, so that one loop calls all.
    kernel      float (n + m, n + m), symmetric, over the pooled rows, those of the reference first;
                large means alike.
    cost        time in O(), for n rows of d columns in either set, n < d.

Distances, ``DISTANCES`` by name
    frechet                 of the Gaussians of the sets' means and covariances. Biased at small n.
    frechet_infinite        the same, extrapolated to infinite size.
    gaussian_mmd            unbiased squared maximum mean discrepancy, as in Kernel Audio Distance.
    energy, energy_1        generalised energy distance, unbiased, exponent 1/2 and 1. Signed.
    sliced_wasserstein      mean over random directions of the optimal transport in one dimension.
    sinkhorn                entropic optimal transport, debiased.
    classifier_two_sample   how well a linear classifier tells the sets apart.
    lost_precision, lost_recall, lost_density, lost_coverage    of nearest-neighbour balls.
    mauve                   1 - area under the divergence frontier of quantised sets.
    mean_difference         of the mean rows: what people try first, with mean spectra.
    paired_l2               row i against row i: with waveforms as rows.
    dynamic_time_warping    mean alignment cost over all pairs: with sequences of MFCC as rows.

Tests
    permutation_pvalue          over rows, for every distance.
    kernel_permutation_pvalue   over rows, faster, for a statistic of a kernel.
    Rows that belong together (windows of one file) are not draws: permuting them raises false
    alarms far above the nominal level.

All of them raise ValueError, with the value and the limit, for a set that is not a finite matrix of
at least two rows, for two sets of different width, and for a missing ``rng`` where one is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.integrate import trapezoid
from scipy.spatial.distance import cdist, pdist
from scipy.special import rel_entr

Distance = Callable[..., float]

EXTRAPOLATED = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)  # of the smaller set, sizes of frechet_infinite
PROJECTIONS = 128  # of sliced_wasserstein
REGULARISATION = 0.1  # of sinkhorn, of the median squared distance within the reference
FOLDS = 5  # of classifier_two_sample
NEIGHBOURS = 5  # of precision, recall, density and coverage, as Naeem et al. have it
MAUVE_SCALE = 5.0  # as published
CEPSTRA = 13  # columns of a frame in dynamic_time_warping, the usual number of MFCC
PAIRS_AT_ONCE = 400  # bounds the memory of dynamic_time_warping
RELABELLINGS_AT_ONCE = 256  # bounds the memory of a permutation test over many rows
TIE = 1e-12  # of the largest statistic: labellings that are equal but for rounding count as equal


def frechet(reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None) -> float:
    """Return the squared Frechet (2-Wasserstein) distance of the two fitted Gaussians.

    ``|mean_1 - mean_2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)`` with covariances over n - 1 (Dowson
    and Landau 1982, doi:10.1016/0047-259X(82)90077-X; for audio Kilgour et al. 2019,
    arXiv:1812.08466).

    With centred rows ``A = (reference - mean) / sqrt(n - 1)``, so that ``S1 = A'A``, and B
    likewise, the eigenvalues of ``S1 S2`` other than 0 are the squared singular values of ``A B'``.
    The last trace is therefore their sum, the nuclear norm: real for every input, and exact when a
    covariance is singular (n <= d), where a matrix square root turns complex or NaN. In units of
    the embedding, squared; 0 for equal sets, up to rounding.

    Cost n^2 d + n^3, or n d^2 + d^3 when n > d. Blind to all but mean and covariance; biased upwards,
    by an amount that depends on n and the spread.
    """
    reference, candidate = _checked(reference, candidate)
    shift = reference.mean(axis=0) - candidate.mean(axis=0)
    a, b = _covariance_factor(reference), _covariance_factor(candidate)
    fidelity = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(shift @ shift + np.sum(a**2) + np.sum(b**2) - 2.0 * fidelity)


def gaussian_mmd(
    reference: np.ndarray,
    candidate: np.ndarray,
    *,
    bandwidth: float | None = None,
    rng: np.random.Generator | None = None,
) -> float:
    """Return the squared maximum mean discrepancy under a Gaussian kernel, a U-statistic, signed.

    ``mean k(x, x') + mean k(y, y') - 2 mean k(x, y)`` with
    ``k = exp(-|x - y|^2 / (2 bandwidth^2))`` and no row paired with itself (Gretton et al. 2012,
    JMLR 13:723). The default ``bandwidth`` is the median distance within the reference, as in
    Kernel Audio Distance (arXiv:2502.15602, which multiplies by a constant; not done here): from
    the reference alone, so that all candidates are on one scale. From -2 to 2, without unit.

    Unbiased for a given ``bandwidth``. The median follows the reference, so by default the mean at
    equal distributions is not exactly 0 for a small reference: +.007 (standard error .0015) between
    sets of 4 normal numbers, where one value has a standard deviation of .21.

    Cost n^2 d. Blind to differences far finer or far coarser than the bandwidth. ValueError where the
    median is 0.
    """
    reference, candidate = _checked(reference, candidate)
    if bandwidth is None:
        bandwidth = median_distance(reference)
    pooled = np.concatenate([reference, candidate])
    return kernel_statistic(gaussian_kernel(pooled, bandwidth), len(reference))


def energy(
    reference: np.ndarray,
    candidate: np.ndarray,
    *,
    exponent: float = 0.5,
    rng: np.random.Generator | None = None,
) -> float:
    """Return the generalised energy distance, a U-statistic, signed.

    ``2 mean |x - y|^b - mean |x - x'|^b - mean |y - y'|^b`` with ``b = exponent`` and no row paired
    with itself (Szekely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018). In units of the embedding
    to the power b. Unbiased; with ``0 < b < 2`` (ValueError otherwise) its expectation is 0 for
    equal distributions only. The default, 1/2, weighs far pairs less than the usual 1; unlike a
    Gaussian kernel it has no bandwidth to get wrong.

    Cost n^2 d. Blind to little in principle; in practice to a rare mode in a few of many columns.
    """
    reference, candidate = _checked(reference, candidate)
    pooled = np.concatenate([reference, candidate])
    return kernel_statistic(energy_kernel(pooled, exponent), len(reference))


def energy_1(
    reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None
) -> float:
    """Return ``energy`` with exponent 1, ``2 mean |x - y| - mean |x - x'| - mean |y - y'|``.

    (n, d) and (m, d); in units of the embedding; signed, unbiased (Szekely and Rizzo 2013,
    doi:10.1016/j.jspi.2013.03.018). Cost n^2 d. Blind as ``energy``; far pairs and outliers count more.
    """
    return energy(reference, candidate, exponent=1.0)


def frechet_infinite(
    reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None
) -> float:
    """Return the Frechet distance extrapolated to infinitely many rows.

    Frechet distances of k rows of either set, drawn *without* replacement, at ``EXTRAPOLATED`` shares
    of the smaller set, three draws each and one of all; a least-squares line in 1/k; its value at
    1/k = 0 (Chong and Forsyth 2020, arXiv:1911.07023; for audio Gui et al. 2023, arXiv:2311.01616).
    Rows drawn *with* replacement would repeat and shrink the covariance. In units of the embedding,
    squared; below 0 is possible.

    Cost 16 times Frechet. Blind as ``frechet``; the bias is not linear in 1/k while k is below the
    width d, so much of it stays. ValueError for fewer than 4 rows, or without ``rng``.
    """
    reference, candidate = _checked(reference, candidate)
    rng = _drawing(rng, "frechet_infinite")
    least = min(len(reference), len(candidate))
    if least < 4:
        raise ValueError(f"the smaller set has {least} rows; extrapolation needs at least 4")
    sizes = np.unique(np.round(np.array(EXTRAPOLATED) * least).astype(int).clip(2))
    inverse, values = [], []
    for size in sizes:
        for _ in range(1 if size == least else 3):
            x, y = (z[rng.choice(len(z), size, replace=False)] for z in (reference, candidate))
            inverse.append(1.0 / size)
            values.append(frechet(x, y))
    return float(np.polyfit(inverse, values, 1)[1])


def sliced_wasserstein(
    reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None
) -> float:
    """Return the sliced 2-Wasserstein distance over ``PROJECTIONS`` random directions.

    The root of the mean over unit vectors u of the squared 2-Wasserstein distance between the
    projections of (n, d) and (m, d) on u: the integral of the squared difference of their quantile
    functions, exact for sets of unequal size too (Bonneel et al. 2015,
    doi:10.1007/s10851-014-0506-3). In units of the embedding.

    Cost 128 n (d + log n). Blind to what shows in few directions, the more so the larger d; never
    below 0, hence biased upwards. ValueError without ``rng``.
    """
    reference, candidate = _checked(reference, candidate)
    directions = _drawing(rng, "sliced_wasserstein").standard_normal((reference.shape[1], PROJECTIONS))
    directions /= np.linalg.norm(directions, axis=0)
    return float(np.sqrt(np.mean(_transport_1d(reference @ directions, candidate @ directions))))


def _transport_1d(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the squared 2-Wasserstein distance, column by column, of (n, p) and (m, p): (p,)."""
    x, y = np.sort(x, axis=0), np.sort(y, axis=0)
    n, m = len(x), len(y)
    # In units of 1 / (n m), in which the steps of both quantile functions are whole numbers.
    steps = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    widths = np.diff(steps, prepend=0) / (n * m)
    gap = x[(steps - 1) // m] - y[(steps - 1) // n]
    return widths @ gap**2


def sinkhorn(
    reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None
) -> float:
    """Return the Sinkhorn divergence: entropic optimal transport less its value within each set.

    ``S = T(x, y) - T(x, x) / 2 - T(y, y) / 2``, T the transport cost ``sum plan |x - y|^2`` of the
    plan that entropic regularisation gives (Genevay et al. 2018, arXiv:1706.00292) for (n, d) and
    (m, d). The regularisation is ``REGULARISATION`` times the median squared distance within the
    reference; at most 200 stabilised iterations. The least cost of every row, then of every column, is
    subtracted first, which changes no plan and leaves each a term that cannot underflow: as accurate as
    the log domain on far, clustered and outlying sets, ten times as fast. A far outlier left it half a
    percent short of convergence, all else tried below 1e-5.
    In squared units of the embedding.

    Cost n^2 (d + iterations). Blind to small effects at small n: a set is at distance 0 from its own
    rows only, so two samples of one source are not near 0 (biased upwards). ValueError where the
    median is 0.
    """
    reference, candidate = _checked(reference, candidate)
    strength = REGULARISATION * median_distance(reference) ** 2

    def transport(x: np.ndarray, y: np.ndarray) -> float:
        cost = cdist(x, y, "sqeuclidean")
        least = cost - cost.min(axis=1, keepdims=True)
        least -= least.min(axis=0)
        return float(np.sum(_entropic_plan(least, strength) * cost))

    within = transport(reference, reference) + transport(candidate, candidate)
    return transport(reference, candidate) - within / 2


def _entropic_plan(cost: np.ndarray, strength: float, *, iterations: int = 200) -> np.ndarray:
    """Return the (n, m) plan of entropic transport between uniform weights: stabilised scaling.

    The plan is ``u K v`` with ``K = exp((alpha + beta - cost) / strength)``; rows and columns are scaled
    in turn to their sums, 1/n and 1/m (Sinkhorn). Scalings that grow move into the potentials alpha and
    beta before they can overflow (Schmitzer 2019, arXiv:1610.06519, algorithm 2). Ends once the columns'
    sums are within 1e-6 (Euclidean); looked at every 20th time, because it costs more than an iteration.
    """
    n, m = cost.shape
    alpha, beta = np.zeros((n, 1)), np.zeros(m)
    u, v = np.full(n, 1 / n), np.full(m, 1 / m)
    kernel = np.exp(-cost / strength)
    for iteration in range(iterations):
        v = 1 / m / (kernel.T @ u)
        u = 1 / n / (kernel @ v)
        if max(u.max(), v.max()) > 1e3:
            alpha, beta = alpha + strength * np.log(u)[:, None], beta + strength * np.log(v)
            u, v = np.ones(n), np.ones(m)
            kernel = np.exp((alpha + beta - cost) / strength)
        if iteration % 20 == 0 and np.linalg.norm(v * (kernel.T @ u) - 1 / m) <= 1e-6:
            break
    return u[:, None] * kernel * v


def classifier_two_sample(
    reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None
) -> float:
    """Return the cross-validated balanced accuracy of a linear classifier, minus chance (1/2).

    Ridge regression on labels -1 and 1, both sets of equal weight, on (n, d) and (m, d); ``FOLDS``
    stratified folds (fewer for smaller sets); the mean over the sets of the share of held-out rows
    with the right sign, less 1/2 (Lopez-Paz and Oquab 2017, arXiv:1610.06545). The penalty is the
    mean squared norm of a centred row: strong, because there are more columns than rows. From -1/2
    to 1/2, in steps of one row. The same as scikit-learn's ``RidgeClassifier(class_weight="balanced")``
    on the same folds, but solved through inner products of rows, ten times as fast.

    Cost n^2 d + 5 n^3. Blind to sets of equal mean (no plane separates them), and to how far apart
    sets are once a plane does. 0 on average for two samples of one distribution, at every n: a row
    held out is independent of the rows trained on. Rows that belong together (windows of one file)
    are not, and must be averaged before. ValueError without ``rng``.
    """
    reference, candidate = _checked(reference, candidate)
    labels = np.repeat([0, 1], [len(reference), len(candidate)])
    fold = _stratified_folds(labels, _drawing(rng, "classifier_two_sample"))
    pooled = np.concatenate([reference, candidate])
    pooled -= pooled.mean(axis=0)
    right = _ridge_scores(pooled @ pooled.T, labels, fold) > 0.0
    return float(0.5 * (np.mean(~right[labels == 0]) + np.mean(right[labels == 1])) - 0.5)


def _stratified_folds(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return (N,), the fold of each row; each label spreads evenly, so no fold lacks one in training."""
    folds = min(FOLDS, *np.bincount(labels))
    fold = np.empty(len(labels), int)
    for label in (0, 1):
        rows = np.flatnonzero(labels == label)
        fold[rows] = rng.permutation(len(rows)) % folds
    return fold


def _ridge_scores(gram: np.ndarray, labels: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return (N,), what ridge regression trained on the other folds gives a row; above 0: label 1.

    ``gram`` (N, N) holds the inner products of the rows, their mean subtracted.
    """
    penalty = np.trace(gram) / len(gram) or 1.0
    target = 2.0 * labels - 1.0
    scores = np.empty(len(labels))
    for k in range(fold.max() + 1):
        train, test = fold != k, fold == k
        weights = np.where(train, 1.0 / np.bincount(labels[train])[labels], 0.0) * train.sum() / 2
        # Inner products about the weighted mean of the training rows; the intercept is then 0.
        share = weights / weights.sum()
        to_mean = gram @ share
        centred = gram - to_mean[:, None] - to_mean[None] + share @ to_mean
        root = np.sqrt(weights[train])
        system = root[:, None] * centred[np.ix_(train, train)] * root
        system[np.diag_indices(len(root))] += penalty
        solved = np.linalg.solve(system, root * target[train])
        scores[test] = centred[np.ix_(test, train)] @ (root * solved)
    return scores


def nearest_neighbour_quality(
    reference: np.ndarray, candidate: np.ndarray, *, neighbours: int = NEIGHBOURS
) -> dict[str, float]:
    """Return precision, recall, density and coverage of the candidate.

    The open ball of a row reaches to its k-th nearest row in its own set, k = ``neighbours``, lowered
    to one less than the smaller set. precision: share of candidate rows in any ball of the reference;
    recall: share of reference rows in any ball of the candidate (Kynkaanniemi et al. 2019,
    arXiv:1904.06991); density: balls of the reference that hold a candidate row, mean, over k, can
    exceed 1; coverage: share of reference balls that hold a candidate row (Naeem et al. 2020,
    arXiv:2002.09797). (n, d) and (m, d); cost n^2 d. ValueError for ``neighbours`` below 1.
    """
    reference, candidate = _checked(reference, candidate)
    if neighbours < 1:
        raise ValueError(f"neighbours is {neighbours}; at least 1 is needed")
    k = min(neighbours, len(reference) - 1, len(candidate) - 1)
    # The nearest row of the own set is the row itself.
    reach, other = (np.partition(cdist(z, z), k, axis=1)[:, k] for z in (reference, candidate))
    between = cdist(reference, candidate)
    inside = between < reach[:, None]
    return {
        "precision": float(inside.any(axis=0).mean()),
        "recall": float((between < other[None]).any(axis=1).mean()),
        "density": float(inside.sum(axis=0).mean() / k),
        "coverage": float((between.min(axis=1) < reach).mean()),
    }


def lost_precision(
    reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None
) -> float:
    """Return 1 - precision: the share of the candidate that is unlike anything in the reference.

    (n, d) and (m, d), balls to the 5th neighbour, or to the farthest row of a set of 5 or fewer
    (``nearest_neighbour_quality``; Kynkaanniemi et al. 2019, arXiv:1904.06991). From 0 to 1; not 0
    for two samples of one distribution. Cost n^2 d. Blind to lost modes and to damage smaller than the
    balls, which one outlier of the reference makes large.
    """
    return 1.0 - nearest_neighbour_quality(reference, candidate)["precision"]


def lost_recall(
    reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None
) -> float:
    """Return 1 - recall: the share of the reference that the candidate does not reach.

    (n, d) and (m, d), balls to the 5th neighbour, or to the farthest row of a set of 5 or fewer
    (``nearest_neighbour_quality``; Kynkaanniemi et al. 2019, arXiv:1904.06991). From 0 to 1; not 0
    for two samples of one distribution. Cost n^2 d. Blind to bad rows beside good ones: outliers of
    the candidate have balls that reach everything.
    """
    return 1.0 - nearest_neighbour_quality(reference, candidate)["recall"]


def lost_density(
    reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None
) -> float:
    """Return 1 - density: as ``lost_precision``, counting balls, so less moved by one outlier.

    (n, d) and (m, d), balls to the 5th neighbour, or to the farthest row of a set of 5 or fewer
    (``nearest_neighbour_quality``; Naeem et al. 2020, arXiv:2002.09797). At most 1; 0 on average for
    two samples of one distribution, at every n, since a row falls into a ball with probability k/n.
    Cost n^2 d. Blind to lost modes: one typical row, repeated, is *nearer* than 0.
    """
    return 1.0 - nearest_neighbour_quality(reference, candidate)["density"]


def lost_coverage(
    reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None
) -> float:
    """Return 1 - coverage: as ``lost_recall``, by balls of the reference, so without its outliers.

    (n, d) and (m, d), balls to the 5th neighbour, or to the farthest row of a set of 5 or fewer
    (``nearest_neighbour_quality``; Naeem et al. 2020, arXiv:2002.09797). From 0 to 1; for two samples
    of one distribution the product over j < k of (n - 1 - j) / (n + m - 1 - j) on average. Cost n^2 d.
    Blind to damage smaller than the balls and to the weights of modes.
    """
    return 1.0 - nearest_neighbour_quality(reference, candidate)["coverage"]


def mauve(reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None) -> float:
    """Return 1 - the area under the divergence frontier of the quantised sets.

    The pooled rows of (n, d) and (m, d), reduced to the principal components that hold 90 % of the
    variance, are put into (n + m) / 10 clusters (k-means from one k-means++ start, at least 2, at most
    500); with histograms P and Q and R their mixtures, the frontier is
    ``(exp(-5 KL(Q | R)), exp(-5 KL(P | R)))`` (Pillutla et al. 2021, arXiv:2102.01454). From 0 for
    equal histograms to .996 for disjoint ones (``1 - 5 B(6, 5)``).

    Cost n^2 d + n k d a k-means iteration. Blind to everything within a cluster, and small sets have
    few clusters; biased upwards, as histograms of few rows differ by chance. ValueError without
    ``rng``.
    """
    from sklearn.cluster import KMeans

    reference, candidate = _checked(reference, candidate)
    seed = int(_drawing(rng, "mauve").integers(2**31))
    rows = np.concatenate([reference, candidate])
    distinct = len(np.unique(rows, axis=0))
    if distinct == 1:
        return 0.0
    left, values, _ = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    held = np.cumsum(values**2)
    kept = 1 + int(np.searchsorted(held, 0.9 * held[-1]))
    clusters = min(max(2, len(rows) // 10), 500, distinct)
    member = KMeans(clusters, n_init=1, random_state=seed).fit_predict((left * values)[:, :kept])
    p = np.bincount(member[: len(reference)], minlength=clusters) / len(reference)
    q = np.bincount(member[len(reference) :], minlength=clusters) / len(candidate)
    return 1.0 - _frontier_area(p, q)


def _frontier_area(p: np.ndarray, q: np.ndarray) -> float:
    """Return the area under the divergence frontier of two histograms (k,), 25 mixtures; 1 if equal."""
    share = np.linspace(0.0, 1.0, 27)[1:-1, None]
    mixture = share * p + (1 - share) * q
    x, y = (np.exp(-MAUVE_SCALE * np.sum(rel_entr(z, mixture), axis=1)) for z in (q, p))
    x, y = np.r_[1.0, x[::-1], 0.0], np.r_[0.0, y[::-1], 1.0]
    order = np.lexsort((-y, x))
    return float(trapezoid(y[order], x[order]))


def mean_difference(
    reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None
) -> float:
    """Return the Euclidean distance of the two mean rows, ``|mean x - mean y|``.

    (n, d) and (m, d); with mean spectra as rows the "mean spectrum distance" that many compare by eye;
    no source, it is what people try first. In units of the embedding; never below 0, hence biased
    upwards. Cost n d. Blind to everything but the means: two sets of equal mean are at distance 0.
    """
    reference, candidate = _checked(reference, candidate)
    return float(np.linalg.norm(reference.mean(axis=0) - candidate.mean(axis=0)))


def paired_l2(
    reference: np.ndarray, candidate: np.ndarray, *, rng: np.random.Generator | None = None
) -> float:
    """Return the mean Euclidean distance of row i to row i, ``mean |x_i - y_i|``.

    (n, d) and (n, d); with waveforms as rows the sample-by-sample error; no source, it is what people
    try first. In units of the embedding. Cost n d. Blind to likeness without an exact twin: a delay of
    a few samples, which nobody hears, costs as much as another sound, and the rows of an independent
    set of the same source are far. ValueError for sets of unequal length.
    """
    reference, candidate = _checked(reference, candidate)
    _same_length(reference, candidate)
    return float(np.linalg.norm(reference - candidate, axis=1).mean())


def dynamic_time_warping(
    reference: np.ndarray,
    candidate: np.ndarray,
    *,
    coefficients: int = CEPSTRA,
    paired: bool = False,
    rng: np.random.Generator | None = None,
) -> float:
    """Return the mean over all pairs (i, j) of the cost of aligning two sequences, per step.

    A row of (n, d) or (m, d) is a flattened (frames, ``coefficients``) sequence. With c the Euclidean
    distance of two frames, ``D[s, t] = min(D[s-1, t] + c[s, t], D[s, t-1] + c[s, t],
    D[s-1, t-1] + 2 c[s, t])``: the symmetric form of Sakoe and Chiba (1978,
    doi:10.1109/TASSP.1978.1163055), without a window. A diagonal step counts twice, so that the steps
    of every path sum to twice the frames, by which the last D is divided. ``paired``: row i against
    row i only, for a candidate that is a treated copy. In units of the embedding.

    Cost n^2 (d / 13)^2 13, or n of it when paired. Blind to sets: nothing within the sets is
    subtracted, so a varied set is far from itself, and one of its typical rows, repeated, is nearer.
    ValueError where the columns are not a multiple of ``coefficients``, or for paired sets of unequal
    length.
    """
    reference, candidate = _checked(reference, candidate)
    if coefficients < 1 or reference.shape[1] % coefficients:
        raise ValueError(f"{reference.shape[1]} columns are no multiple of {coefficients} coefficients")
    x, y = (z.reshape(len(z), -1, coefficients) for z in (reference, candidate))
    if paired:
        _same_length(reference, candidate)
        cost = np.stack([cdist(a, b) for a, b in zip(x, y, strict=True)], axis=-1)
        return float(_alignment_cost(cost).mean())
    total, frames = 0.0, x.shape[1]
    rows = max(1, PAIRS_AT_ONCE // len(y))
    for start in range(0, len(x), rows):
        part = x[start : start + rows]
        cost = cdist(part.reshape(-1, coefficients), y.reshape(-1, coefficients))
        cost = cost.reshape(len(part), frames, len(y), frames).transpose(1, 3, 0, 2)
        total += _alignment_cost(cost.reshape(frames, frames, -1)).sum()
    return float(total / (len(x) * len(y)))


def _alignment_cost(cost: np.ndarray) -> np.ndarray:
    """Return (p,), the least mean cost over paths from the first to the last frames of (s, s, p)."""
    frames = len(cost)
    total = np.full((frames + 1, frames + 1, cost.shape[2]), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(2 * frames - 1):  # all cells of one anti-diagonal at once
        s = np.arange(max(0, diagonal - frames + 1), min(diagonal, frames - 1) + 1)
        t = diagonal - s
        here = cost[s, t]
        straight = np.minimum(total[s, t + 1], total[s + 1, t])
        total[s + 1, t + 1] = np.minimum(straight, total[s, t] + here) + here
    return total[frames, frames] / (2 * frames)


def median_distance(rows: np.ndarray) -> float:
    """Return the median Euclidean distance over the pairs of different rows of (n, d).

    ValueError if it is 0 (half of the pairs are equal): it could not serve as a bandwidth.
    """
    median = float(np.median(pdist(rows)))
    if median == 0.0:
        raise ValueError(
            "the median distance within the reference is 0: at least half of its pairs of rows are "
            "equal; does it repeat a few files?"
        )
    return median


def gaussian_kernel(pooled: np.ndarray, bandwidth: float) -> np.ndarray:
    """Return ``exp(-|x - y|^2 / (2 bandwidth^2))`` for the rows of (n, d): (n, n).

    ValueError unless ``bandwidth``, in units of the rows, is finite and above 0.
    """
    if not (np.isfinite(bandwidth) and bandwidth > 0.0):
        raise ValueError(f"bandwidth is {bandwidth}; it must be finite and above 0")
    # Not through |x|^2 + |y|^2 - 2xy, which cancels where rows are close.
    return np.exp(cdist(pooled, pooled, "sqeuclidean") / (-2.0 * bandwidth**2))


def energy_kernel(pooled: np.ndarray, exponent: float = 0.5) -> np.ndarray:
    """Return ``-|x - y|^exponent`` for the rows of (n, d): (n, n).

    ValueError unless ``0 < exponent < 2``: from 2 on it is not the kernel of a distance.
    """
    if not 0.0 < exponent < 2.0:
        raise ValueError(
            f"exponent is {exponent}; it must be above 0 and below 2 (at 2, sets of equal mean "
            "are at distance 0)"
        )
    return -(cdist(pooled, pooled) ** exponent)


def kernel_statistic(kernel: np.ndarray, references: int) -> float:
    """Return ``mean k(x, x') + mean k(y, y') - 2 mean k(x, y)``, diagonals left out.

    ``kernel`` (N, N) over the pooled rows, of which the first ``references`` are the reference.
    """
    labels = np.arange(len(kernel))[None] < references
    return float(kernel_statistics(kernel, labels)[0])


def permutation_pvalue(
    reference: np.ndarray,
    candidate: np.ndarray,
    distance: Distance,
    *,
    permutations: int = 999,
    rng: np.random.Generator,
) -> float:
    """Return the p-value of ``distance`` under exchange of rows, computed anew for each labelling.

    ``(1 + c) / (1 + permutations)``, c the labellings with a distance as large as that observed
    (Phipson and Smyth 2010, doi:10.2202/1544-6115.1585): never 0, and exact at every size, also
    where the distance fits something (a bandwidth) on the reference, for it is fitted again.
    Whatever was fitted *before* the call must be fitted on both sets together. The smallest p is
    ``1 / (1 + permutations)``, so the default can reach .001. For a kernel use
    ``kernel_permutation_pvalue``, which is much faster.
    """
    reference, candidate = _checked(reference, candidate)
    pooled = np.concatenate([reference, candidate])
    observed = distance(reference, candidate, rng=rng)
    null = [
        distance(pooled[label], pooled[~label], rng=rng)
        for labels in _relabellings(len(pooled), len(reference), permutations, rng)
        for label in labels
    ]
    return _pvalue(observed, np.array(null))


def kernel_permutation_pvalue(
    kernel: np.ndarray, references: int, *, permutations: int = 999, rng: np.random.Generator
) -> float:
    """Return the p-value of ``kernel_statistic`` under exchange of rows, from one kernel matrix.

    The same labellings and p-value as ``permutation_pvalue`` with the same ``rng``, through one
    matrix product for many labellings. Exact if the kernel does not know the labels: take the
    bandwidth from the *pooled* rows (``gaussian_kernel(pooled, median_distance(pooled))``), not
    from the reference. ValueError unless ``kernel`` is square and both sets have at least 2 rows.
    """
    if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1]:
        raise ValueError(f"the kernel has shape {kernel.shape}; it must be square")
    if not 2 <= references <= len(kernel) - 2:
        raise ValueError(f"{references} of {len(kernel)} rows are the reference; each set needs at least 2")
    observed = kernel_statistics(kernel, np.arange(len(kernel))[None] < references)[0]
    null = [
        kernel_statistics(kernel, labels)
        for labels in _relabellings(len(kernel), references, permutations, rng)
    ]
    return _pvalue(observed, np.concatenate(null))


def _checked(reference: np.ndarray, candidate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sets = {"reference": reference, "candidate": candidate}
    for role, rows in sets.items():
        # float64 throughout: half precision puts such distances off by a percent.
        sets[role] = rows = np.asarray(rows, dtype=np.float64)
        if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] < 1:
            raise ValueError(
                f"the {role} has shape {rows.shape}; it must be (rows, columns) with at least 2 "
                "rows and 1 column"
            )
        if not np.isfinite(rows).all():
            bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
            raise ValueError(f"the {role} has NaN or infinity in {len(bad)} rows, first in {bad[0]}")
    reference, candidate = sets.values()
    if reference.shape[1] != candidate.shape[1]:
        raise ValueError(
            f"the reference has {reference.shape[1]} columns and the candidate "
            f"{candidate.shape[1]}; are they from the same embedding?"
        )
    return reference, candidate


def _drawing(rng: np.random.Generator | None, name: str) -> np.random.Generator:
    if rng is None:
        raise ValueError(f"{name} draws at random and rng is None; pass rng=numpy.random.default_rng(seed)")
    return rng


def _same_length(reference: np.ndarray, candidate: np.ndarray) -> None:
    if len(reference) != len(candidate):
        raise ValueError(
            f"the reference has {len(reference)} rows and the candidate {len(candidate)}; pairs need as "
            "many in each set, in the same order"
        )


def _covariance_factor(rows: np.ndarray) -> np.ndarray:
    """Return R, (min(n, d), d), with ``R'R`` the covariance: smaller than the rows when n > d."""
    centred = (rows - rows.mean(axis=0)) / np.sqrt(len(rows) - 1)
    return np.linalg.qr(centred, mode="r") if len(rows) > rows.shape[1] else centred


def _without_diagonal(kernel: np.ndarray) -> np.ndarray:
    kernel = np.array(kernel, dtype=np.float64)
    np.fill_diagonal(kernel, 0.0)
    return kernel


def kernel_statistics(kernel: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (P,), ``kernel_statistic`` of every labelling: kernel (N, N), labels bool (P, N).

    True is a row of the reference. All are one matrix product; the diagonal takes no part.
    """
    kernel = _without_diagonal(kernel)
    x = labels.astype(np.float64)
    to_x = x @ kernel
    to_y = kernel.sum(axis=0) - to_x
    n, m = labels.sum(axis=1), (~labels).sum(axis=1)
    within_x = np.sum(to_x * x, axis=1) / (n * (n - 1))
    within_y = np.sum(to_y * (1.0 - x), axis=1) / (m * (m - 1))
    between = np.sum(to_y * x, axis=1) / (n * m)
    return within_x + within_y - 2.0 * between


def _relabellings(
    rows: int, references: int, permutations: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield bool (up to 256, rows) blocks, each line with ``references`` True in random places."""
    if permutations < 1:
        raise ValueError(f"permutations is {permutations}; at least 1 is needed")
    label = np.arange(rows) < references
    for start in range(0, permutations, RELABELLINGS_AT_ONCE):
        count = min(RELABELLINGS_AT_ONCE, permutations - start)
        yield rng.permuted(np.tile(label, (count, 1)), axis=1)


def _pvalue(observed: float, null: np.ndarray) -> float:
    if not (np.isfinite(observed) and np.isfinite(null).all()):
        # NaN is not as large as anything: it would pass for the smallest p-value.
        raise ValueError(f"a distance is NaN or infinite (the one observed is {observed})")
    slack = TIE * max(abs(observed), np.max(np.abs(null)))
    return float((1 + np.count_nonzero(null >= observed - slack)) / (1 + len(null)))


DISTANCES: dict[str, Distance] = {
    function.__name__: function
    for function in (
        frechet,
        frechet_infinite,
        gaussian_mmd,
        energy,
        energy_1,
        sliced_wasserstein,
        sinkhorn,
        classifier_two_sample,
        lost_precision,
        lost_recall,
        lost_density,
        lost_coverage,
        mauve,
        mean_difference,
        paired_l2,
        dynamic_time_warping,
    )
}

DRAWING = ("frechet_infinite", "sliced_wasserstein", "classifier_two_sample", "mauve")  # need ``rng``
