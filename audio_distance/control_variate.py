"""What blocks leave out of a value, for the most part put back: a control variate over all pairs of units.

A value from blocks lacks the pairs of units of different blocks, and so it varies with how units are dealt.
The kernel is close to one of low rank::

    A(x, y) = sum_k sign_k f_k(x) f_k(y),    sign_k = 1 or -1

of which the mean over all pairs, however many, needs the sums of f alone. How far A's value from blocks is
off A's value from all pairs is therefore known. It is most of the error of the kernel's value from blocks,
and is taken off: a control variate (Owen 2013, Monte Carlo theory, methods and examples, 8.9). That adds no
bias, whatever A is: over all ways to deal the units, both values of A have one mean.

A is the kernel between what x and y are on the span of some landmarks (Nystroem's approximation; Williams and
Seeger 2001, NIPS 13), and of what that leaves, e, the part that is linear in the squared distance::

    A(x, y) = k(x)' C^-1 k(y) - 2 slope e(x)'e(y)

    k(x)    (K(x, z_1), ..., K(x, z_L), 1) of the landmarks z
    C       the same of the landmarks themselves, bordered by ones, with 0 in the corner: C^-1 k(x) holds
            weights of the landmarks that sum to 1, and a number
    e(x)    x less the landmarks so weighted
    slope   of |d|^(1/2) over |d|^2, where |d|^2 is the mean of that between landmarks

Conventions
    unit    A of two units is its mean over their windows, so f of a unit is its mean over the windows.
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
from audio_distance.units import PairCounts, Pool, pair_counts

LANDMARKS = 256  # more would cost more than they gain: of what blocks add, a fifth or less is left
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
    factors : (landmarks + 1, kept)
        From k to the first f, the root of C^-1.
    slope : float
        See above; e times the root of twice as much is the rest of f.
    signs : (kept + numbers,)
    """

    centre: NDArray[np.float64]
    landmarks: NDArray[np.float64]
    factors: NDArray[np.float64]
    slope: float
    signs: NDArray[np.float64]

    def of_units(self, view: NDArray[Any], pool: Pool, divisors: NDArray[np.float64]) -> NDArray[np.float64]:
        """f of each unit, (units, kept + numbers), from the ``view``, (windows, numbers), of the ``pool``."""
        count = len(self.landmarks)
        means = np.zeros((pool.size, count + 1 + len(self.centre)))  # of k, and of the numbers themselves
        means[:, count] = 1
        owner = np.repeat(np.arange(pool.size), pool.counts)
        for low in range(0, len(owner), CHUNK_WINDOWS):
            rows = np.arange(low, min(low + CHUNK_WINDOWS, len(owner)))
            x = view[rows] / divisors - self.centre
            weights = pool.weights[rows, None]
            units, starts = np.unique(owner[rows], return_index=True)
            near = np.sqrt(np.sqrt(squared_distances(x, self.landmarks)))
            means[units, :count] += np.add.reduceat(near * weights, starts)
            means[units, count + 1 :] += np.add.reduceat(x * weights, starts)
        f = means[:, : count + 1] @ self.factors
        of_landmarks = (f * self.signs[: f.shape[1]]) @ self.factors[:count].T
        rest = means[:, count + 1 :] - of_landmarks @ self.landmarks
        return np.hstack([f, math.sqrt(2 * self.slope) * rest])


@dataclass(frozen=True)
class Sums:
    """Of the units of a block, or of several: all that the value of A needs. They add up.

    ``counts``, how many pairs there are; ``reference`` and ``candidate``, the sums of f over the units of a
    set; ``own_reference`` and ``own_candidate``, those of A of each unit with itself; ``matched``, that of A
    over the pairs of a unit with its partner, and with itself if it is in both sets.
    """

    counts: PairCounts
    reference: NDArray[np.float64]
    candidate: NDArray[np.float64]
    own_reference: float
    own_candidate: float
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
            self.own_reference + other.own_reference,
            self.own_candidate + other.own_candidate,
            self.matched + other.matched,
        )

    def value(self, signs: NDArray[np.float64]) -> float:
        """Energy distance with A for the kernel, over all pairs of these units."""
        return self.counts.value(
            float((self.reference * self.reference) @ signs) - self.own_reference,
            float((self.reference * self.candidate) @ signs) - self.matched,
            float((self.candidate * self.candidate) @ signs) - self.own_candidate,
        )


def smooth_kernels(
    pool: Pool, blocks: Sequence[NDArray[np.int_]], own: NDArray[np.float64] | None = None
) -> tuple[SmoothKernel, ...]:
    """A of each view, with landmarks from the units that are in the ``blocks``; none of one block.

    Parameters as in ``energy.view_kernels``. Landmarks are windows, one of a unit, chosen at random and the
    same on every run.
    """
    if len(blocks) == 1:
        return ()
    rng = np.random.default_rng(0)
    units = np.concatenate(blocks)
    units = rng.choice(units, min(LANDMARKS, len(units)), replace=False)
    rows = np.sort(pool.starts[units] + rng.integers(pool.counts[units]))
    return tuple(_smooth_kernel(view[rows] / divisors) for view, divisors in divided_views(pool.vectors, own))


def _smooth_kernel(landmarks: NDArray[np.float64]) -> SmoothKernel:
    """From divided landmarks, (landmarks, numbers)."""
    centre = landmarks.mean(axis=0)
    landmarks = landmarks - centre
    count, numbers = landmarks.shape
    squared = squared_distances(landmarks, landmarks)
    np.fill_diagonal(squared, 0)
    bordered = np.ones((count + 1, count + 1))
    bordered[:count, :count] = np.sqrt(np.sqrt(squared))
    bordered[count, count] = 0
    eigenvalues, vectors = np.linalg.eigh(bordered)
    kept = np.abs(eigenvalues) > SMALLEST * np.abs(eigenvalues).max()
    typical = float(squared.sum()) / (count * (count - 1))
    return SmoothKernel(
        centre=centre,
        landmarks=landmarks,
        factors=vectors[:, kept] / np.sqrt(np.abs(eigenvalues[kept])),
        slope=0.25 * typical**-0.75 if typical > 0 else 0.0,
        signs=np.append(np.sign(eigenvalues[kept]), np.full(numbers, -1.0)),
    )


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
        own_reference=float(r @ own),
        own_candidate=float(c @ own),
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
    signs = [kernel.signs for kernel in kernels]
    totals = [sum(of_view[1:], start=of_view[0]) for of_view in zip(*sums, strict=True)]
    of_all = np.array([total.value(s) for total, s in zip(totals, signs, strict=True)])
    return [
        moved(block, of_all - [part.value(s) for part, s in zip(of_block, signs, strict=True)])
        for block, of_block in zip(blocks, sums, strict=True)
    ]
