"""What blocks leave out of a value, for the most part put back: a control variate over all pairs of units.

A value from blocks lacks the pairs of units of different blocks, and so it varies with how units are dealt.
The kernel is close to one of low rank::

    A(i, j) = sum_k sign_k f_k(i) f_k(j),    sign_k = 1 or -1,    of units i and j

of which the mean over all pairs, however many, needs the sums of f alone. So it is known how far A's value
from blocks is off A's value from all pairs of the same units. Most of the error that blocks add to the
kernel's value is that, and is taken off: a control variate (Owen 2013, Monte Carlo theory, methods and
examples, 8.9). No bias comes in, whatever f is: dealt at random, A's value from blocks has on average that
of all pairs, as the kernel's has (``units.block_units`` says where that is so only nearly).

The kernel is conditionally negative definite, and so is K(x, y) = (|x - y|^2 + c^2)^(1/4), which has no cusp
at 0. A is K on the span of some windows of the reference, the landmarks z (Nystroem's approximation, Williams
and Seeger 2001, NIPS 13, bordered as such a kernel needs it), and of the rest r it is the part of K that is
linear in the squared distance::

    A(x, y) = k(x)' C^-1 k(y) - 2 slope r(x)'r(y)

    k(x)    (K(x, z_1), ..., K(x, z_L), 1)
    C       K between the landmarks, bordered by ones, with 0 in the corner
    r(x)    x less the landmarks with the weights C^-1 k(x), which sum to 1 (the last number is none), where k
            and C are of the landmarks that are not far off the others
    slope   derivative of s^(1/4) by s, at the median squared distance of landmarks

Three things are as they are so that A does not add error of its own. Without c, a pair of near copies, one of
them a landmark, would be far apart in A. The rest r is kept within the median distance, for the kernel grows
slower than -2 r'r, and a file far off that is no landmark would count more than all others. And landmarks are
of the reference alone, so that two comparisons with it have the same A, and what it leaves cancels in their
difference. (So the last digits change where the two sets are exchanged.)

Conventions
    unit    A of two units is its mean over their windows: k and x of a unit are means over its windows.
    views   each has an A of its own, and so has a caller's embedding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio_distance.energy import Observed, divided_views, moved
from audio_distance.features import squared_distances
from audio_distance.kernel import FAR
from audio_distance.units import PairCounts, Pool, pair_counts

LANDMARKS = 256  # more cost more than they gain
SOFTNESS = 0.01  # c^2, beside the median squared distance of landmarks
SMALLEST = 1e-10  # of the eigenvalues of C, beside the largest: landmarks that are copies of others have less
CHUNK_WINDOWS = 4096  # that meet the landmarks at once


@dataclass(frozen=True)
class SmoothKernel:
    """A of one view.

    Attributes
    ----------
    centre : (numbers,)
        Of the landmarks.
    landmarks : (landmarks, numbers)
        Divided, about the centre.
    typical : float
        Median squared distance of landmarks.
    factors : (landmarks + 1, kept + numbers)
        From k to the first of f, by a root of C^-1, and to the weighted landmarks, which r lacks.
    signs : (kept + numbers,)
        The last are those of the rest, -1.
    """

    centre: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    typical: float
    factors: NDArray[np.float64]
    signs: NDArray[np.float64]

    def of_units(self, view: NDArray[Any], pool: Pool, divisors: NDArray[np.float64]) -> NDArray[np.float64]:
        """f of each unit, (units, kept + numbers), from the ``view``, (windows, numbers), of the ``pool``."""
        count = len(self.landmarks)
        k, means = np.ones((pool.size, count + 1)), np.zeros((pool.size, len(self.centre)))
        k[:, :count] = 0
        owner = np.repeat(np.arange(pool.size), pool.counts)
        for low in range(0, len(owner), CHUNK_WINDOWS):
            rows = np.arange(low, min(low + CHUNK_WINDOWS, len(owner)))
            x = view[rows] / divisors - self.centre
            to_landmarks = _soft(squared_distances(x, self.landmarks), self.typical)
            weights = pool.weights[rows, None]
            units, starts = np.unique(owner[rows], return_index=True)
            k[units, :count] += np.add.reduceat(to_landmarks * weights, starts)
            means[units] += np.add.reduceat(x * weights, starts)
        found = k @ self.factors
        rest = found[:, -len(self.centre) :]
        rest += means
        if self.typical == 0:  # most landmarks are copies of one: no scale, and no derivative
            rest[:] = 0
            return found
        longest = math.sqrt(self.typical)
        lengths = np.linalg.norm(rest, axis=1, keepdims=True)
        rest *= math.sqrt(2 * 0.25 * self.typical**-0.75) * longest / np.maximum(lengths, longest)
        return found


def _soft(squared: NDArray[np.float64], typical: float) -> NDArray[np.float64]:
    """K from squared distances, in their place."""
    squared += SOFTNESS * typical
    return np.sqrt(np.sqrt(squared, out=squared), out=squared)


@dataclass(frozen=True)
class Sums:
    """Of the units of a block, or of several: all that the value of A needs. They add up.

    ``counts``, how many pairs there are; ``reference`` and ``candidate``, the sums of f over the units of a
    set; ``self_reference`` and ``self_candidate``, those of A of each unit with itself; ``matched``, that of
    A over the pairs of a unit with its partner, and with itself if it is in both sets.
    """

    counts: PairCounts
    reference: NDArray[np.float64]
    candidate: NDArray[np.float64]
    self_reference: float
    self_candidate: float
    matched: float

    def __add__(self, other: Sums) -> Sums:
        mine, others = self.counts, other.counts
        return Sums(
            PairCounts(
                mine.reference + others.reference,
                mine.candidate + others.candidate,
                mine.matched + others.matched,
            ),
            self.reference + other.reference,
            self.candidate + other.candidate,
            self.self_reference + other.self_reference,
            self.self_candidate + other.self_candidate,
            self.matched + other.matched,
        )

    def value(self, kernel: SmoothKernel) -> float:
        """Energy distance with A for the kernel, over all pairs of these units."""
        signs = kernel.signs
        return self.counts.value(
            float((self.reference * self.reference) @ signs) - self.self_reference,
            float((self.reference * self.candidate) @ signs) - self.matched,
            float((self.candidate * self.candidate) @ signs) - self.self_candidate,
        )


def smooth_kernels(
    pool: Pool, blocks: Sequence[NDArray[np.int_]], own: NDArray[np.float64] | None = None
) -> tuple[SmoothKernel, ...]:
    """A of each view; none if there is one block, whose value is that of all pairs.

    ``own`` as in ``energy.view_kernels``. Landmarks are windows of the reference, one of a unit, chosen at
    random and the same on every run.
    """
    if len(blocks) == 1:
        return ()
    rows = _landmark_windows(pool)
    return tuple(smooth_kernel(view[rows] / divisors) for view, divisors in divided_views(pool.vectors, own))


def _landmark_windows(pool: Pool) -> NDArray[np.int_]:
    """Of all units of the reference, whether they take part or not, and of nothing else: see above."""
    rng = np.random.default_rng(0)
    units = np.flatnonzero(pool.in_reference)
    units = rng.choice(units, min(LANDMARKS, len(units)), replace=False)
    return np.sort(pool.starts[units] + rng.integers(pool.counts[units]))


def smooth_kernel(landmarks: NDArray[np.float64]) -> SmoothKernel:
    """From divided landmarks, (landmarks, numbers)."""
    count, numbers = landmarks.shape
    squared = squared_distances(landmarks, landmarks)
    np.fill_diagonal(squared, 0)
    typical = float(np.median(squared[np.triu_indices(count, 1)]))
    # r lacks those alone that are not far off most others: of a far one the tiniest weight is a long way.
    near = np.median(squared, axis=1) <= FAR * typical
    centre = landmarks[near].mean(axis=0)
    landmarks = landmarks - centre
    bordered = np.ones((count + 1, count + 1))
    bordered[:count, :count] = _soft(squared, typical)
    bordered[count, count] = 0
    roots, signs = _roots(bordered)
    used = np.append(np.flatnonzero(near), count)
    near_roots, near_signs = _roots(bordered[np.ix_(used, used)])
    weighted = np.zeros((count + 1, numbers))
    weighted[used] = (near_roots * near_signs) @ (near_roots[:-1].T @ landmarks[near])  # from k to C^-1 k z
    return SmoothKernel(
        centre=centre,
        landmarks=landmarks,
        typical=typical,
        factors=np.hstack([roots, -weighted]),
        signs=np.append(signs, np.full(numbers, -1.0)),
    )


def _roots(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """R, (n, kept), and signs, (kept,), so that (R * signs) R' is the inverse of a symmetric ``matrix``."""
    eigenvalues, vectors = np.linalg.eigh(matrix)
    kept = np.abs(eigenvalues) > SMALLEST * np.abs(eigenvalues).max()
    return vectors[:, kept] / np.sqrt(np.abs(eigenvalues[kept])), np.sign(eigenvalues[kept])


def sums_of(
    kernels: Sequence[SmoothKernel], block: Pool, own: NDArray[np.float64] | None = None
) -> tuple[Sums, ...]:
    """Of the units of a block, those of each view."""
    views = divided_views(block.vectors, own) if kernels else ()
    return tuple(
        _sums(kernel.of_units(view, block, divisors), kernel.signs, block)
        for kernel, (view, divisors) in zip(kernels, views, strict=True)
    )


def _sums(f: NDArray[np.float64], signs: NDArray[np.float64], block: Pool) -> Sums:
    r, c = block.in_reference.astype(float), block.in_candidate.astype(float)
    own = (f * f) @ signs
    paired = np.flatnonzero((block.partner >= 0) & (block.members == 1))
    return Sums(
        counts=pair_counts(block),
        reference=r @ f,
        candidate=c @ f,
        self_reference=float(r @ own),
        self_candidate=float(c @ own),
        matched=float((r * c) @ own) + float(((f[paired] * f[block.partner[paired]]) @ signs).sum()),
    )


def corrected(
    blocks: Sequence[Observed], kernels: Sequence[SmoothKernel], sums: Sequence[Sequence[Sums]]
) -> list[Observed]:
    """What was observed of each block, less how far A's value of it is off A's value of all pairs.

    ``sums`` has those of each block, view by view, as ``sums_of`` gives them. Nothing is corrected if there
    are no ``kernels``.
    """
    if not kernels:
        return list(blocks)
    totals = [sum(of_view[1:], start=of_view[0]) for of_view in zip(*sums, strict=True)]
    of_all = np.array([total.value(kernel) for total, kernel in zip(totals, kernels, strict=True)])
    return [
        moved(block, of_all - [part.value(kernel) for part, kernel in zip(of_block, kernels, strict=True)])
        for block, of_block in zip(blocks, sums, strict=True)
    ]
