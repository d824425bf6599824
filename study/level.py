"""Every test with the same tools: four rivals of ``compare``, each as it comes and with pooled whitening.

Conventions
    rows         (files, d), one vector a file, of one embedding: what a rival sees.
    as it comes  the rows themselves.
    whitened     standardised and whitened over the files of both sets together (``audio_distance.pooling``),
                 which is what two statistics of ``compare`` do: without it a comparison of tests is one of
                 preparations.
    TESTS        "frechet", "gaussian_mmd" (bandwidth: the median distance of both sets together), "energy"
                 (exponent 1/2), and "ridge_classifier": ridge regression of which set a file is of, its
                 squared error at files left out, one at a time.
    p-values     of permutation tests with the rearrangements that ``compare`` makes for a seed, so that no
                 test is luckier than another. Whitening does not know the sets, so all are exact.
    "EMBEDDING / TEST"    how a p-value is named; "compare" is this distance's own test, and "oracle" one that
                 reads labels (``oracle_p_value``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

import metrics
from audio_distance.pooling import standardise, whitened
from audio_distance.resampling import arrangements
from audio_distance.units import pool_of_vectors
from study import arranged
from study.incumbents import PERMUTATIONS, own_p_value
from study.sources import Rows

TESTS = tuple(arranged.STATISTICS)
WHITENED = "whitened "  # before the name of a test
EMBEDDINGS = ("described", "log_mel", "mean_spectrum", "aisfx")  # "described" has the three views


def names(tests: Sequence[str] = TESTS) -> tuple[str, ...]:
    """The keys of ``p_values``: every test as it comes, then whitened."""
    return (*tests, *(WHITENED + test for test in tests))


def members(reference: int, candidate: int, *, seed: int) -> np.ndarray:
    """Who is dealt to the reference: bool (arrangements, files), as observed first.

    ``reference`` and ``candidate`` are numbers of files; the deals are those of ``compare`` for ``seed``.
    """
    pool = pool_of_vectors(np.zeros((reference, 1)), np.ones((candidate, 1)))
    return arrangements(pool, PERMUTATIONS, seed)[0].T > 0


def p_values(
    reference: np.ndarray, candidate: np.ndarray, *, seed: int, tests: Sequence[str] = TESTS
) -> dict[str, float]:
    """P-value of every one of ``names(tests)`` for rows of two sets, (n, d) and (m, d)."""
    table = statistics(reference, candidate, seed=seed, tests=tests)
    return {name: arranged.p_value(values) for name, values in table.items()}


def statistics(
    reference: np.ndarray, candidate: np.ndarray, *, seed: int, tests: Sequence[str] = TESTS
) -> dict[str, np.ndarray]:
    """What the p-values are made of: name -> (arrangements,), the statistic as observed first.

    Rows of two sets, (n, d) and (m, d); each statistic in its own unit, as ``study.arranged`` has it.
    """
    dealt = members(len(reference), len(candidate), seed=seed)
    rows = np.concatenate([reference, candidate]).astype(float)
    weights = np.full(len(rows), 1 / len(rows))
    table = {}
    for prefix, seen in (("", rows), (WHITENED, whitened(standardise(rows, weights), weights))):
        table |= {prefix + test: arranged.STATISTICS[test](seen, dealt) for test in tests}
    return table


def of_rows(
    reference: np.ndarray,
    candidate: np.ndarray,
    embedding: str,
    *,
    rate: int | None = None,
    seed: int,
    tests: Sequence[str] = TESTS,
) -> dict[str, float]:
    """Every "EMBEDDING / TEST" for rows of two sets in one embedding, (n, d) and (m, d).

    Of "described" those of the three views, and "compare"; ``rate``, Hz, says up to where "compare" looks,
    and no other test needs it.
    """
    table = {}
    if embedding == "described":
        table["compare"] = own_p_value(reference, candidate, seed=seed, rate=rate)
        reference, candidate = metrics.divided(reference), metrics.divided(candidate)
        embedding = "three_views"
    each = p_values(reference, candidate, seed=seed, tests=tests)
    return table | {f"{embedding} / {test}": p for test, p in each.items()}


def only_labels(rows: Rows) -> dict[str, Rows]:
    """The same files by what they are: "label", "group" and "file" -> rows of one number, which is that.

    For ``draw``, which then gives the labels of the files that it would have given: what an oracle reads.
    """
    return {
        name: replace(
            rows, versions=dict.fromkeys(rows.versions, np.unique(each, return_inverse=True)[1][:, None])
        )
        for name, each in {
            "label": rows.labels,
            "group": rows.groups,
            "file": np.arange(len(rows.labels)),
        }.items()
    }


def oracle_p_value(reference: np.ndarray, candidate: np.ndarray, *, seed: int) -> float:
    """P-value of a test that is told each file's label: chi-square of the counts, files dealt as for all.

    ``reference``, ``candidate``: (n,) and (m,) labels of any type. What it does not find at a number of files
    is in the labels of so many files alone, and no test of sounds can be blamed for it.
    """
    dealt = members(len(reference), len(candidate), seed=seed)
    _, label = np.unique(np.concatenate([reference, candidate]), return_inverse=True)
    each = np.eye(label.max() + 1)[label]  # (files, labels)
    counts = dealt @ each
    expected = dealt.sum(axis=1, keepdims=True) * each.mean(axis=0)
    # Of the reference alone: the candidate has what is left, so its terms follow from these.
    return arranged.p_value(((counts - expected) ** 2 / expected).sum(axis=1))
