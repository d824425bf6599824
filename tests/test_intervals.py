"""Intervals from the kernel, against a literal version with loops, closed forms and scipy.stats."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from audio_distance import intervals
from audio_distance.intervals import combined, difference_of, interval, jackknife_interval, moments

# Sums of some hundred numbers of order 1 in another order.
EXACT = 1e-10


# A literal version: units one by one, every value computed again, H written out


@dataclasses.dataclass
class Literal:
    value: float
    without: list
    linear: np.ndarray
    variance: float
    third: float
    curvature: float
    freedom: float
    smallest: int


def drawn(members, partner):
    """Units of each draw."""
    return [
        (i,) if partner[i] < 0 else (i, int(partner[i]))
        for i in range(len(members))
        if partner[i] < 0 or members[i] == 1
    ]


def energy(kernel, members, partner, out=()):
    """Without the units ``out``, pair by pair."""

    def mean(one, other):
        pairs = [
            kernel[i, j]
            for i, j in itertools.product(range(len(members)), repeat=2)
            if members[i] & one and members[j] & other and i != j and partner[i] != j
            if i not in out and j not in out
        ]
        return sum(pairs) / len(pairs)

    return 2 * mean(1, 2) - mean(1, 1) - mean(2, 2)


def literal(values, draws, kinds, pair):
    """From values without each draw, and ``pair(u, v)``, the part of two draws in the value."""
    linear, variances, freedoms = np.zeros(len(draws)), [], []
    for kind in set(kinds):
        own = [u for u, k in enumerate(kinds) if k == kind]
        size = len(own)
        if size == 1:
            continue
        mean = sum(values[u] for u in own) / size
        for u in own:
            linear[u] = (size - 1) / size * (mean - values[u])
        variances.append((size - 1) / size * sum((values[u] - mean) ** 2 for u in own))
        freedoms.append(size - 1)
    H = np.array([[0.0 if u == v else pair(u, v) for v in range(len(draws))] for u in range(len(draws))])
    h = H.copy()
    for one, other in itertools.product(set(kinds), repeat=2):
        rows, columns = np.flatnonzero(np.equal(kinds, one)), np.flatnonzero(np.equal(kinds, other))
        block = H[np.ix_(rows, columns)]
        h[np.ix_(rows, columns)] = block - block.mean(0) - block.mean(1)[:, None] + block.mean()
    curvature = sum(
        linear[u] * h[u, v] * linear[v] for u, v in itertools.product(range(len(draws)), repeat=2) if u != v
    )
    total = sum(variances)
    freedom = total**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True)) if total else 1
    return Literal(0, values, linear, total, sum(linear**3), curvature, freedom, min(freedoms) + 1)


def literal_moments(kernel, members, partner):
    draws = drawn(members, partner)
    kinds = [2 if len(d) == 2 or members[d[0]] == 3 else members[d[0]] - 1 for d in draws]
    n, m = (sum(1 for member in members if member & bit) for bit in (1, 2))

    def pair(u, v):
        share = [bool(members[i] & 1) / n - bool(members[i] & 2) / m for i in range(len(members))]
        return -sum(share[i] * share[j] * kernel[i, j] for i in draws[u] for j in draws[v])

    found = literal([energy(kernel, members, partner, d) for d in draws], draws, kinds, pair)
    found.value = energy(kernel, members, partner)
    return found


def literal_interval(value, found, level=0.95):
    """BCa with a gamma in the place of the bootstrap, in the words of scipy.stats."""
    z = stats.norm.ppf(0.5 + level / 2)
    believed = max(0, 1 - 2 / (found.smallest - 1))
    a = believed * found.third / found.variance**1.5 / 6
    gamma = stats.pearson3(
        np.clip(believed * (found.third + 6 * found.curvature) / found.variance**1.5, -3, 3)
    )
    z0 = stats.norm.ppf(gamma.cdf(0))
    widened = math.sqrt(found.variance) * stats.t.ppf(0.5 + level / 2, found.freedom) / z
    return [
        value + widened * gamma.ppf(stats.norm.cdf(z0 + (z0 + end) / (1 - a * (z0 + end)))) for end in (-z, z)
    ]


# Cases


def kernel_of(points):
    kernel = np.sqrt(np.linalg.norm(points[:, None] - points, axis=-1))
    np.fill_diagonal(kernel, 0)
    return kernel


def case(n, m, *, pairs=0, shared=0, seed=0):
    """Kernel, members and partners of n and m units, some matched or in both sets, in random order."""
    rng = np.random.default_rng(seed)
    total = n + m - shared
    points = rng.normal(size=(total, 3))
    points[n:] += 4 * (rng.random((m - shared, 1)) < 0.3)
    members = np.repeat([1, 3, 2], [n - shared, shared, m - shared])
    partner = np.full(total, -1)
    partner[:pairs], partner[n : n + pairs] = np.arange(n, n + pairs), np.arange(pairs)
    kernel = kernel_of(points)
    kernel[np.flatnonzero(partner >= 0), partner[partner >= 0]] = 0
    order = rng.permutation(total)
    back = np.append(np.argsort(order), -1)
    return kernel[np.ix_(order, order)], members[order], back[partner[order]]


CASES = {
    "as many": case(9, 9),
    "few against many": case(6, 14),
    "three": case(3, 3),
    "paired": case(8, 8, pairs=8),
    "partly paired": case(7, 9, pairs=3),
    "one pair": case(5, 6, pairs=1),
    "shared": case(9, 8, shared=3),
    "all of one shared": case(5, 8, shared=5),
    "paired and shared": case(8, 7, pairs=3, shared=2),
}


@pytest.mark.parametrize("name", CASES)
def test_moments_are_those_of_a_literal_version(name):
    kernel, members, partner = CASES[name]
    found, want = moments(kernel, members, partner=partner), literal_moments(kernel, members, partner)
    assert found.value == pytest.approx(want.value, abs=EXACT)
    assert [int(u) for u in found.units] == [d[0] for d in drawn(members, partner)]
    assert found.without == pytest.approx(want.without, abs=EXACT)
    assert found.linear == pytest.approx(want.linear, abs=EXACT)
    assert found.linear @ found.acting == pytest.approx(want.curvature, abs=EXACT)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_interval_is_that_of_a_literal_version(name, level):
    kernel, members, partner = CASES[name]
    want = literal_moments(kernel, members, partner)
    found = interval(moments(kernel, members, partner=partner), level=level)
    assert found == pytest.approx(literal_interval(want.value, want, level), abs=1e-8)


def test_skewness_is_believed_in_these_cases():
    """The cases would not tell a wrong skewness from a right one if there were none."""
    lengths = [
        (high - mean.value) / (mean.value - low)
        for mean in (moments(k, m, partner=p) for k, m, p in CASES.values())
        for low, high in [interval(mean)]
    ]
    assert sum(not 0.9 < ratio < 1.1 for ratio in lengths) >= 3


@pytest.mark.parametrize("sizes", [(3, 3), (3, 9), (12, 3)])
def test_with_three_units_on_a_side_it_is_the_plain_jackknife(sizes):
    found = moments(*case(*sizes)[:2])
    strata = [found.without[found.kinds == kind] for kind in (0, 1)]
    assert interval(found, level=0.9) == pytest.approx(
        jackknife_interval(found.value, strata, level=0.9), abs=EXACT
    )


def additive(x, y):
    """A kernel whose value is mean(x) + mean(y): x / 2 + y / 2 across the sets, 0 within."""
    kernel = np.zeros((len(x) + len(y),) * 2)
    kernel[: len(x), len(x) :] = (x[:, None] + y) / 2
    return kernel + kernel.T, np.repeat([1, 2], [len(x), len(y)])


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_of_a_symmetric_mean_it_is_welchs_interval(level):
    x, y = np.array([-3.0, -1, 0, 1, 3]) + 7, np.array([-5.0, -2, -1, 0, 1, 2, 5])
    found = interval(moments(*additive(x, y)), level=level)
    welch = stats.ttest_ind(x, -y, equal_var=False).confidence_interval(level)
    assert found == pytest.approx(welch, abs=EXACT)


def test_of_a_skewed_mean_it_is_the_closed_form():
    """Every c is (x - mean) / n, so all moments are sums, and single draws never act together."""
    x, y = np.array([0.0, 0, 1, 1, 2, 9]), np.array([0.0, 1, 2, 2, 3, 4, 4, 8])
    found = moments(*additive(x, y))
    assert found.linear @ found.acting == pytest.approx(0, abs=EXACT)
    cubes = sum(((s - s.mean()) ** 3).sum() / len(s) ** 3 for s in (x, y))
    parts = [s.var(ddof=1) / len(s) for s in (x, y)]
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / 5 + parts[1] ** 2 / 7)
    want = Literal(0, [], found.linear, sum(parts), cubes, 0.0, freedom, 6)
    assert interval(found) == pytest.approx(literal_interval(x.mean() + y.mean(), want), abs=1e-8)


@given(st.integers(0, 2**32 - 1), st.integers(3, 8), st.integers(3, 8), st.integers(0, 3))
@settings(max_examples=40)
def test_properties(seed, n, m, pairs):
    kernel, members, partner = case(n, m, pairs=pairs, seed=seed)
    found = moments(kernel, members, partner=partner)
    ends = interval(found)
    inner = interval(found, level=0.8)
    assert ends[0] <= inner[0] <= inner[1] <= ends[1]
    # The sets change places, and so does what is of either alone.
    swapped = moments(kernel, np.array([0, 2, 1, 3])[members], partner=partner)
    assert swapped.value == pytest.approx(found.value, abs=EXACT)
    assert interval(swapped) == pytest.approx(ends, abs=1e-8)
    # A louder kernel is a larger value.
    assert interval(moments(3 * kernel, members, partner=partner)) == pytest.approx(
        3 * np.array(ends), abs=1e-8
    )
    # Units in another order.
    order = np.random.default_rng(seed).permutation(len(members))
    back = np.append(np.argsort(order), -1)
    again = moments(kernel[np.ix_(order, order)], members[order], partner=back[partner[order]])
    assert interval(again) == pytest.approx(ends, abs=1e-8)
    names = [f"unit {i}" for i in range(len(members))]
    one, two = (
        dict(zip(f.keys(own), f.without, strict=True))
        for f, own in ((found, names), (again, [names[i] for i in order]))
    )
    assert two == pytest.approx(one, abs=EXACT)


def test_a_set_against_itself_is_at_zero_without_a_doubt():
    kernel = kernel_of(np.random.default_rng(0).normal(size=(6, 3)))
    found = moments(kernel, np.full(6, 3))
    assert found.value == pytest.approx(0, abs=EXACT)
    assert found.linear == pytest.approx(0, abs=EXACT)


def test_copies_of_two_sounds_have_an_interval_of_no_width():
    kernel = np.zeros((7, 7))
    kernel[:4, 4:] = kernel[4:, :4] = 0.5
    found = moments(kernel, [1, 1, 1, 1, 2, 2, 2])
    assert found.value == 1.0 and interval(found) == (1.0, 1.0)


def test_single_precision_is_enough():
    kernel, members, partner = CASES["partly paired"]
    rough = interval(moments(kernel.astype(np.float32), members, partner=partner))
    assert rough == pytest.approx(interval(moments(kernel, members, partner=partner)), abs=1e-5)


@pytest.mark.parametrize("members", [[1, 1, 2, 2, 2], [1, 1, 1, 2, 3]])
def test_two_units_are_too_few(members):
    n, m = (sum(bool(member & bit) for member in members) for bit in (1, 2))
    with pytest.raises(ValueError, match=f"{n} and {m} units; an interval needs at least 3 in each set"):
        moments(np.ones((5, 5)) - np.eye(5), members)


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_level_that_is_none(level):
    found = moments(*CASES["as many"][:2])
    with pytest.raises(ValueError, match=f"level={level}; between 0 and 1 is needed"):
        interval(found, level=level)
    with pytest.raises(ValueError, match=f"level={level}; "):
        difference_of(found, found, keys=([*range(18)], [*range(18)]), level=level)


# Blocks


def test_blocks_are_independent_comparisons_averaged():
    kernels = [case(6, 7, seed=1), case(5, 8, pairs=4, seed=2), case(9, 6, shared=2, seed=3)]
    weights = (0.2, 0.5, 0.3)
    parts = [moments(k, m, partner=p) for k, m, p in kernels]
    found = combined(parts, weights)
    single = [literal_moments(*each) for each in kernels]
    value = sum(w * s.value for w, s in zip(weights, single, strict=True))
    assert found.value == pytest.approx(value, abs=EXACT)
    assert found.linear @ found.acting == pytest.approx(
        sum(w**3 * s.curvature for w, s in zip(weights, single, strict=True)), abs=EXACT
    )
    error = intervals._error(found.strata, found.linear, 0.0, samples=found.kinds)
    assert error.variance == pytest.approx(
        sum(w**2 * s.variance for w, s in zip(weights, single, strict=True)), abs=EXACT
    )
    assert error.third == pytest.approx(
        sum(w**3 * s.third for w, s in zip(weights, single, strict=True)), abs=EXACT
    )
    # Satterthwaite's freedom of a sum of independent variances is that of its parts.
    squares = sum(w**4 * s.variance**2 / s.freedom for w, s in zip(weights, single, strict=True))
    assert error.freedom == pytest.approx(error.variance**2 / squares, rel=1e-9)
    # The value without a unit: the other blocks stay as they are.
    assert found.without[: len(parts[0].units)] == pytest.approx(
        value + 0.2 * (np.array(single[0].without) - single[0].value), abs=EXACT
    )
    assert sorted(found.units) == sorted(set(found.units))


def test_units_of_blocks_are_named_by_where_they_lie():
    kernel, members, _ = case(6, 6)
    one, two = np.array([9, 3, 5, 0, 1, 2]), np.array([4, 6, 7, 8, 10, 11])
    parts = [moments(kernel[np.ix_(u, u)], np.repeat([1, 2], 3)) for u in (one, two)]
    found = combined(parts, (0.5, 0.5), units=(one, two))
    assert [*found.units] == [*one, *two] and [*found.kinds] == [0, 0, 0, 1, 1, 1] * 2
    assert found.keys("abcdefghijkl")[:4] == [
        ("reference", "j"),
        ("reference", "d"),
        ("reference", "f"),
        ("candidate", "a"),
    ]
    assert members.size == 12


def test_one_block_is_the_whole():
    whole = moments(*case(6, 7)[:2])
    for one, other in zip(
        dataclasses.astuple(combined([whole], [1.0])), dataclasses.astuple(whole), strict=True
    ):
        assert other == pytest.approx(one, abs=EXACT)


def test_many_small_blocks_know_their_skewness_together():
    """Blocks of 3 units a side, each of which alone is believed nothing."""
    rng = np.random.default_rng(4)
    parts = [moments(*additive(rng.exponential(size=3), rng.exponential(size=3))) for _ in range(50)]
    low, high = interval(parts[0])
    assert high - parts[0].value == pytest.approx(parts[0].value - low)
    found = combined(parts, [1 / 50] * 50)
    low, high = interval(found)
    assert high - found.value > 1.02 * (found.value - low)


# The difference of two


def three_sets(n, m, k, seed=0):
    """The kernel of a reference of n and candidates of m and k units, and the two comparisons."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n + m + k, 3))
    points[n : n + m] += 2 * (rng.random((m, 1)) < 0.5)
    points[n + m :, 0] += 1
    kernel = kernel_of(points)
    return kernel, [
        moments(kernel[np.ix_(own, own)], np.repeat([1, 2], [n, len(own) - n]))
        for own in (np.arange(n + m), np.append(np.arange(n), np.arange(n + m, n + m + k)))
    ]


def keys_of(comparison, candidate):
    return [
        (candidate if kind else "r", int(u))
        for u, kind in zip(comparison.units, comparison.kinds, strict=True)
    ]


@pytest.mark.parametrize("sizes", [(7, 7, 7), (6, 5, 9), (12, 6, 6)])
def test_the_difference_is_that_of_a_literal_version(sizes):
    kernel, (first, second) = three_sets(*sizes)
    n, m, k = sizes
    total, sets = n + m + k, np.repeat([0, 1, 2], sizes)

    def value(out=()):
        def mean(one, other):
            return np.mean(
                [kernel[i, j] for i in np.flatnonzero(sets == one) for j in np.flatnonzero(sets == other)
                 if i != j and i not in out and j not in out]
            )  # fmt: skip

        return 2 * mean(0, 1) - mean(1, 1) - 2 * mean(0, 2) + mean(2, 2)

    def pair(u, v):
        sign = {(0, 1): 1, (1, 0): 1, (0, 2): -1, (2, 0): -1, (1, 1): -1, (2, 2): 1}
        return sign.get((sets[u], sets[v]), 0) * kernel[u, v] / (sizes[sets[u]] * sizes[sets[v]])

    want = literal([value((u,)) for u in range(total)], range(total), [*sets], pair)
    found, ends, p_value = difference_of(
        first, second, keys=(keys_of(first, "one"), keys_of(second, "two")), level=0.9
    )
    assert found == pytest.approx(value(), abs=EXACT)
    assert ends == pytest.approx(literal_interval(value(), want, 0.9), abs=1e-8)
    at_zero = literal_interval(value(), want, 1 - p_value)
    assert min(map(abs, at_zero)) == pytest.approx(0, abs=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(3, 8), st.booleans())
@settings(max_examples=40)
def test_properties_of_the_difference(seed, n, common):
    _, (first, second) = three_sets(n, 5, 5, seed)
    keys = keys_of(first, "one"), keys_of(second, "one" if common else "two")
    value, (low, high), p_value = difference_of(first, second, keys=keys)
    assert 0 < p_value <= 1 and (p_value <= 0.05) == (not low <= 0 <= high)
    turned, ends, p_turned = difference_of(second, first, keys=keys[::-1])
    assert turned == -value and p_turned == pytest.approx(p_value, abs=1e-6)
    assert ends == pytest.approx((-high, -low), abs=1e-8)


def test_candidates_of_one_name_are_left_out_together():
    """Values without a name in both; what acts together is not in either comparison, and is not used."""
    n, m = 6, 8
    _, (first, second) = three_sets(n, m, m)
    keys = [keys_of(first, "one"), keys_of(first, "one")]
    found, ends, _ = difference_of(first, second, keys=keys)
    kinds = [0] * n + [1] * m
    want = literal([*(first.without - second.without)], range(n + m), kinds, lambda u, v: 0.0)
    assert ends == pytest.approx(literal_interval(found, want), abs=1e-8)


def test_names_that_one_comparison_has_alone_are_a_stratum():
    n, m = 5, 7
    _, (first, second) = three_sets(n, m, m)
    keys = keys_of(first, "one"), [*keys_of(first, "one")[:-3], "x", "y", "z"]
    found, ends, _ = difference_of(first, second, keys=keys)
    kinds = [0] * n + [1] * 4 + [2] * 3 + [3] * 3
    # The value without a unit in units of its own comparison; its stratum is smaller than its set.
    own = [first.linear[: n + 4] - second.linear[: n + 4], first.linear[-3:], -second.linear[-3:]]
    c = np.concatenate(own)
    want = literal([0.0] * len(c), range(len(c)), kinds, lambda u, v: 0.0)
    variances = []
    for kind, freedom in zip(range(4), (4, 3, 2, 2), strict=True):
        here = np.equal(kinds, kind)
        c[here] -= c[here].mean()
        variances.append((c[here] ** 2).sum() * (freedom + 1) / freedom)
    want = dataclasses.replace(want, variance=sum(variances), third=(c**3).sum(), smallest=3)
    squares = sum(v**2 / f for v, f in zip(variances, (4, 3, 2, 2), strict=True))
    want.freedom = sum(variances) ** 2 / squares
    assert ends == pytest.approx(literal_interval(found, want), abs=1e-8)


def test_the_difference_to_itself_is_none():
    kernel, members, partner = CASES["partly paired"]
    found = moments(kernel, members, partner=partner)
    keys = found.keys([str(i) for i in range(len(members))])
    assert difference_of(found, found, keys=(keys, keys)) == (0.0, (0.0, 0.0), 1.0)


def test_of_pairs_a_common_shift_cancels():
    """Reference and both candidates hold the same names: a draw is all three."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(8, 3))
    comparisons = []
    for shift in (0.5, 0.6):
        points = np.concatenate([x, x + [shift, 0, 0] + 0.01 * rng.normal(size=x.shape)])
        kernel, partner = kernel_of(points), np.r_[8:16, 0:8]
        kernel[np.arange(16), partner] = 0
        comparisons.append(moments(kernel, np.repeat([1, 2], 8), partner=partner))
    keys = [c.keys([str(i % 8) for i in range(16)]) for c in comparisons]
    _, (low, high), _ = difference_of(*comparisons, keys=keys)
    alone = [np.diff(interval(c))[0] for c in comparisons]
    assert high - low < 0.5 * math.hypot(*alone)


# The gamma distribution


@given(st.floats(-3, 3), st.floats(0.001, 0.999))
def test_the_gamma_is_scipys(skewness, chance):
    """Below a skewness of .001 it is taken for the normal, off by Cornish and Fisher's first term: .0014."""
    z = stats.norm.ppf(chance)
    tolerance = 1e-7 if abs(skewness) >= 1e-3 else abs(skewness) / 6 * abs(z**2 - 1) + 1e-6
    point = intervals._gamma_quantile(chance, skewness)
    assert point == pytest.approx(stats.pearson3(skewness).ppf(chance), abs=tolerance)
    assert intervals._gamma_chance(point, skewness) == pytest.approx(chance, abs=1e-9)
