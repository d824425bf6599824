"""The test is exact whatever the data are, and no data make a number that is none.

Small sets are relabelled in every way there is: each of these is as likely as the others if both sets are
draws of one source, so p <= a may come in no more than a share a of them.
"""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pools import kernels_of, value_of
from scipy.spatial.distance import cdist

import metrics
from audio_distance import kernel, resampling
from audio_distance.units import Pool, pool_of_vectors

RATE = 16000

KINDS = {
    "normal": lambda rng, n, d: rng.normal(size=(n, d)),
    "heavy tails": lambda rng, n, d: rng.standard_cauchy((n, d)),
    "zeros and ones": lambda rng, n, d: rng.integers(0, 2, (n, d)),
    "on a line": lambda rng, n, d: np.outer(rng.normal(size=n), np.arange(1, d + 1)),
    "one far off": lambda rng, n, d: np.vstack([np.full((1, d), 1e6), rng.normal(size=(n - 1, d))]),
    "a number that never changes": lambda rng, n, d: np.hstack(
        [np.full((n, 1), 0.1), rng.normal(size=(n, d))]
    ),
    "all alike": lambda rng, n, d: np.full((n, d), 0.1),
}


def pool_with(rng, kind, *, reference, candidate, pairs, shared, windows, numbers):
    """Free units of either set, pairs and shared ones, of 1 to ``windows`` windows each."""
    units = reference + candidate + 2 * pairs + shared
    counts = rng.integers(1, windows + 1, units)
    partner = np.full(units, -1)
    first = reference + candidate
    for i in range(first, first + 2 * pairs, 2):
        partner[i], partner[i + 1] = i + 1, i
    return Pool(
        vectors=np.float32(KINDS[kind](rng, int(counts.sum()), numbers)),
        starts=np.cumsum(counts) - counts,
        weights=np.repeat(1 / counts, counts),
        files=np.repeat(np.arange(units), counts),
        members=np.array([1] * reference + [2] * candidate + [1, 2] * pairs + [3] * shared),
        partner=partner,
        names=tuple(f"{i:02d}" for i in range(units)),
        levels=np.zeros(units),
        sounding=np.ones(units),
    )


def all_arrangements(pool):
    """All arrangements, with the windows as they are: to match their numbers one has to look at the sets."""
    arranged = resampling.rearranged(
        kernels_of(pool)[0],
        pool,
        pool,
        parts={"embedding": np.arange(pool.vectors.shape[1])},
        permutations=999,
        seed=0,
    )
    return resampling.permutation_test([(1.0, arranged)])


@settings(max_examples=80)
@given(
    kind=st.sampled_from(list(KINDS)),
    reference=st.integers(0, 4),
    candidate=st.integers(0, 3),
    pairs=st.integers(0, 3),
    shared=st.integers(0, 2),
    windows=st.sampled_from([1, 3]),
    numbers=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_p_is_at_most_a_in_no_more_than_a_share_a_of_all_relabellings(kind, seed, **sizes):
    both = sizes["pairs"] + sizes["shared"]
    assume(min(sizes["reference"], sizes["candidate"]) + both >= 2)
    pool = pool_with(np.random.default_rng(seed), kind, **sizes)
    members, exact = resampling.arrangements(pool, 150, 0)
    assume(exact)
    tests = [
        all_arrangements(
            dataclasses.replace(pool, members=np.where(pool.members == 3, 3, np.where(column, 1, 2)))
        )
        for column in members.T
    ]
    p = np.array([test.p_value for test in tests])
    for a in p:
        assert np.mean(p <= a) <= a + 1e-9
    assert all(np.isfinite(test.null_distribution).all() for test in tests)
    if kind == "all alike":
        assert np.all(p == 1)


@settings(max_examples=60)
@given(
    kind=st.sampled_from(list(KINDS)),
    n=st.integers(2, 9),
    m=st.integers(2, 9),
    numbers=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
def test_the_value_is_that_of_all_distances(kind, n, m, numbers, seed):
    """A squared distance is right to 8 eps of the largest squared norm, 1e-15 of 1e12 at worst."""
    rows = np.float32(KINDS[kind](np.random.default_rng(seed), n + m, numbers)).astype(float)
    x, y = rows[:n], rows[n:]
    across, within = np.sqrt(cdist(x, y)), [np.sqrt(cdist(s, s)).sum() for s in (x, y)]
    expected = 2 * across.mean() - within[0] / (n * (n - 1)) - within[1] / (m * (m - 1))
    size = np.square(rows - rows.mean(axis=0)).sum(axis=1).max()
    limit = 1e-12 + 4 * (8 * np.finfo(float).eps * size) ** 0.25
    assert value_of(pool_of_vectors(x, y)) == pytest.approx(expected, abs=limit)


@pytest.mark.parametrize("far", [0.0, 1e2, 1e4, 1e6])
def test_one_window_far_off_leaves_the_others_their_distances(far, monkeypatch):
    """In float32 these would be rounding of its own: from 100 spreads on wrong by as much as the value."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(60, 3)), rng.normal(size=(60, 3))
    y[0] += far
    pool = pool_of_vectors(x, y)
    dense = value_of(pool)
    monkeypatch.setattr(kernel, "DENSE_WINDOWS", 1)
    assert value_of(pool) == pytest.approx(dense, abs=1e-6)


class TestOwnEmbeddings:
    def compare(self, tables, n, **options):
        """Sounds that say which of the ``tables``, (windows, numbers) each, they stand for."""
        sounds = np.full((len(tables), 400), 0.5, np.float32)
        sounds[:, 0] = 0.25 + np.arange(len(tables)) / 4096
        return metrics.compare(
            list(sounds[:n]),
            list(sounds[n:]),
            rate=RATE,
            embedding=lambda signal, _: tables[round((float(signal[0]) - 0.25) * 4096)],
            permutations=99,
            **options,
        )

    @pytest.mark.parametrize("windows", [1, 60])  # 19 and 1,140: float64 and float32
    @pytest.mark.parametrize("power", [-120, -60, 60, 120])
    def test_their_unit_changes_nothing(self, windows, power):
        """A power of two, so that no digit is lost: 1e-36 to 1e36."""
        rng = np.random.default_rng(2)
        tables = [rng.normal(i >= 10, 1, (windows, 3)).astype(np.float32) for i in range(19)]
        one, other = (self.compare([np.float32(t * u) for t in tables], 10) for u in (1.0, 2.0**power))
        assert other.value == pytest.approx(one.value, abs=1e-5) and other.p_value == one.p_value
        assert other.scores == pytest.approx(one.scores, abs=1e-3)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(("n", "m"), [(2, 2), (2, 9), (10, 10)])
    @pytest.mark.parametrize("windows", [1, 60])
    def test_every_number_of_a_result_is_one(self, kind, n, m, windows):
        rng = np.random.default_rng(3)
        rows = np.float32(KINDS[kind](rng, (n + m) * windows, 3))
        for paired in {False, n == m}:
            found = self.compare(np.split(rows, n + m), n, paired=paired)
            json.dumps(found.to_dict(), allow_nan=False)
            assert np.isfinite(found.null_distribution).all() and np.isfinite(found.null_values).all()
            assert all(np.isfinite(value) for value in found.leave_one_out.values())
            if kind == "all alike":
                assert (found.value, found.p_value, found.null_spread) == (0.0, 1.0, 0.0)
                assert found.interval in (None, (0.0, 0.0))
