"""Pools of given vectors, in their own scale, through the code under test: kernels, value, test."""

import numpy as np

from audio_distance import energy, matching, resampling


def kernels_of(pool):
    """The kernel of all numbers as one view, (1, units, units)."""
    return energy.view_kernels(pool, np.ones(pool.vectors.shape[1]))


def observed(pool, **options):
    return energy.observe(kernels_of(pool), pool, **options)


def value_of(pool):
    return observed(pool, causes=False).value


def permuted(pool, *, permutations=99, seed=0):
    """The permutation test, as ``compare`` has it for one block of a caller's embedding."""
    arranged = resampling.rearranged(
        kernels_of(pool).mean(axis=0),
        pool,
        matching.matched(pool, seed=seed),
        parts={"embedding": np.arange(pool.vectors.shape[1])},
        permutations=permutations,
        seed=seed,
    )
    return resampling.permutation_test([(1.0, arranged)])
