"""Every number of a verdict against a second source: scipy's tests, fractions, quadrature, brute force.

Nothing here asks the code under test for a rule or a level: the rules are written out once more, from their
definitions, so that a change of any of them is seen. ``test_statistics_of_runs.py`` measures error rates.
"""

import dataclasses
import itertools
import math
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from ablations.seeds import power, seeds_needed, smallest_p
from ablations.statistics import Verdict, holm, judge, judge_each, mean_interval, spent, step

ALPHA, CHANCE, MOST = 0.05, 0.8, 10_000  # what the gate promises; on purpose not imported from it
KINDS = pytest.mark.parametrize("paired", [True, False], ids=["paired", "unpaired"])


# The second sources


def drawn(case, *, paired):
    """Baseline and candidate of 2 to 9 seeds, of unlike spread; unlike in number where they do not pair."""
    rng = np.random.default_rng([case, paired])
    n = int(rng.integers(2, 10))
    m = n if paired else int(rng.integers(2, 10))
    baseline = rng.normal(3, 1, n)
    return baseline, (baseline if paired else 3) + rng.normal(rng.normal(), rng.uniform(0.2, 3), m)


def triple(effect, error):
    """Three numbers of this mean and standard error: against zeros, a paired t with 2 degrees of freedom."""
    return effect + error * math.sqrt(3) * np.array([-1.0, 0.0, 1.0])


def triple_of_p(p, *, effect=1.0):
    """Three differences whose two-sided p is ``p``: for 2 degrees of freedom p = 1 - t / sqrt(t^2 + 2)."""
    t = (1 - p) * math.sqrt(2 / (1 - (1 - p) ** 2))
    return triple(effect, abs(effect) / t)


def literal_test(baseline, candidate, *, paired, alternative="two-sided"):
    """Scipy's own t-test of the candidate minus the baseline."""
    if paired:
        return stats.ttest_rel(candidate, baseline, alternative=alternative)
    return stats.ttest_ind(candidate, baseline, equal_var=False, alternative=alternative)


def literal_p_margin(baseline, candidate, margin, *, paired):
    """Twice the one-sided p of "the candidate is worse by the margin or more", at most 1."""
    one_sided = literal_test(baseline, np.asarray(candidate) - margin, paired=paired, alternative="less")
    return min(1.0, 2 * one_sided.pvalue)


def literal_holm(p_values):
    """Holm (1979) from its definition: the smallest level at which the step-down test rejects each.

    At a level, the hypotheses are gone through by their p; the k-th is rejected while p <= level / (m - k),
    k from 0, and nothing after the first that is not. The smallest level is one at which some step turns.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    turns = sorted({(len(p_values) - k) * p_values[i] for k, i in enumerate(order)})

    def rejected(level):
        gone = set()
        for k, i in enumerate(order):
            if (len(p_values) - k) * p_values[i] > level:
                break
            gone.add(i)
        return gone

    return [min(1.0, next(t for t in turns if i in rejected(t))) for i in range(len(p_values))]


def literal_permutation_p(baseline, candidate, *, paired):
    """Every rearrangement in exact fractions; two-sided is twice the rarer side."""
    a, b = ([Fraction(x) for x in side] for side in (baseline, candidate))
    if paired:
        signs = itertools.product((1, -1), repeat=len(a))
        means = [
            sum(s * (y - x) for s, x, y in zip(swap, a, b, strict=True)) / Fraction(len(a)) for swap in signs
        ]
    else:
        dealt = itertools.combinations(a + b, len(b))
        means = [sum(hand) / len(b) - (sum(a + b) - sum(hand)) / len(a) for hand in dealt]
    seen = sum(b) / len(b) - sum(a) / len(a)
    rarer = min(sum(mean >= seen for mean in means), sum(mean <= seen for mean in means))
    return float(min(Fraction(1), Fraction(2 * rarer, len(means))))


@lru_cache(maxsize=4096)
def literal_power(seeds, effect, spread, *, paired, level=ALPHA):
    """Chance of T > t_crit by integrating the normal over the spread that is seen: no noncentral t."""
    degrees = seeds - 1 if paired else 2 * (seeds - 1)
    error = spread * math.sqrt(1 / seeds if paired else 2 / seeds)
    critical = stats.t.ppf(1 - level / 2, degrees)

    def integrand(s):  # chi-distributed: the seen spread over the true one, times sqrt(degrees)
        return stats.chi.pdf(s, degrees) * NormalDist().cdf(
            effect / error - critical * s / math.sqrt(degrees)
        )

    edge = effect / error / critical * math.sqrt(degrees)  # where the second factor falls
    whole = max(stats.chi.isf(1e-14, degrees), 2 * edge)
    return integrate.quad(integrand, 0, whole, points=[edge], epsabs=1e-11, epsrel=1e-11, limit=200)[0]


def scipys_power(seeds, effect, spread, *, paired, level=ALPHA):
    """The same from scipy's noncentral t, fast enough to search with."""
    degrees = seeds - 1 if paired else 2 * (seeds - 1)
    noncentrality = effect / (spread * math.sqrt(1 / seeds if paired else 2 / seeds))
    return 1 - stats.nct.cdf(stats.t.ppf(1 - level / 2, degrees), degrees, noncentrality)


def searched(effect, spread, *, paired, wanted=CHANCE, level=ALPHA, most=2000):
    """The first number of seeds that suffices, one after the other."""
    counts = range(2, most)
    return next(n for n in counts if scipys_power(n, effect, spread, paired=paired, level=level) >= wanted)


# One comparison: the test


@KINDS
@pytest.mark.parametrize("case", range(12))
@pytest.mark.parametrize("margin", [0.0, 0.7, 2.5])
def test_t_is_scipys(case, margin, paired):
    baseline, candidate = drawn(case, paired=paired)
    known = literal_test(baseline, candidate, paired=paired)
    found = judge(baseline, candidate, paired=paired, margin=margin)
    assert found.p_value == pytest.approx(known.pvalue, rel=1e-9)
    assert found.interval == pytest.approx(tuple(known.confidence_interval(0.95)), rel=1e-9)
    assert found.effect == pytest.approx(np.mean(candidate) - np.mean(baseline), rel=1e-12)
    assert found.p_margin == pytest.approx(
        literal_p_margin(baseline, candidate, margin, paired=paired), rel=1e-9
    )
    assert (found.baseline, found.candidate) == (tuple(baseline), tuple(candidate))
    assert (found.level, found.margin, found.floor) == (ALPHA, margin, 0.0)
    assert (found.paired, found.test, found.comparisons) == (paired, "t", 1)


def test_t_of_two_and_three_pairs_in_closed_form():
    """1 degree of freedom is Cauchy's: p = 2/pi atan(1/t). 2 degrees: p = 1 - t / sqrt(t^2 + 2)."""
    two = judge([0.0, 0.0], [1.0, 3.0], paired=True)  # mean 2, standard error 1
    assert two.p_value == pytest.approx(2 / math.pi * math.atan(1 / 2), rel=1e-12)
    half = math.tan(math.pi / 2 * 0.95)
    assert two.interval == pytest.approx((2 - half, 2 + half), rel=1e-12)
    three = judge(np.zeros(3), triple(2.0, 1.0), paired=True, margin=5.0)
    assert three.p_value == pytest.approx(1 - 2 / math.sqrt(6), rel=1e-12)
    assert three.p_margin == pytest.approx(1 - 3 / math.sqrt(11), rel=1e-12)


def test_welch_of_two_and_two_in_closed_form():
    """Variances 2 and 0: all of the error is one side's, and so are the degrees of freedom, 1."""
    found = judge([0.0, 2.0], [4.0, 4.0], paired=False, resolution=0.0)
    assert found.p_value == pytest.approx(2 / math.pi * math.atan(1 / 3), rel=1e-12)
    # Equal variances: 2 degrees of freedom, standard error sqrt(1 + 1).
    found = judge([0.0, 2.0], [4.0, 6.0], paired=False)
    assert found.p_value == pytest.approx(1 - 4 / math.sqrt(2) / math.sqrt(10), rel=1e-12)


@pytest.mark.parametrize("level", [0.05, 0.01, 0.2])
@pytest.mark.parametrize(
    ("share", "verdict"), [(0.98, "no worse"), (1.02, "undecided"), (1.98, "undecided"), (2.02, "undecided")]
)
def test_no_worse_errs_in_half_of_the_level(level, share, verdict):
    """One-sided at level / 2: a p of the margin a little above that, or just below level, is not enough."""
    one_sided = share * level / 2
    t = stats.t.isf(one_sided, 2)
    found = judge(np.zeros(3), triple(1.0, 1.0), paired=True, margin=1.0 + t, level=level)
    assert found.p_margin == pytest.approx(2 * one_sided, rel=1e-9)
    assert found.verdict == verdict
    assert (found.interval[1] < 1.0 + t) == (verdict == "no worse")


@KINDS
def test_at_the_margin_and_above_there_is_no_evidence(paired):
    baseline, candidate = np.arange(4.0), np.array([1.5, 1.5, 3.25, 3.75])
    for margin in (0.0, 0.5, 1.0):  # the effect is 1
        found = judge(baseline, candidate, paired=paired, margin=margin)
        assert found.p_margin == 1.0 and found.verdict != "no worse"


@pytest.mark.parametrize("level", [0.05, 0.01, 0.2])
@pytest.mark.parametrize(("effect", "verdict"), [(1.0, "worse"), (-1.0, "better")])
def test_worse_and_better_together_err_in_the_level(level, effect, verdict):
    for share, wanted in ((0.98, verdict), (1.02, "undecided")):
        found = judge(np.zeros(3), triple_of_p(share * level, effect=effect), paired=True, level=level)
        assert found.p_value == pytest.approx(share * level, rel=1e-9)
        assert found.verdict == wanted


def test_a_p_of_exactly_the_level_is_enough():
    candidate = np.array([1.0, 1.5, 2.0, 1.25])
    p = judge(np.zeros(4), candidate, paired=True).p_value
    assert judge(np.zeros(4), candidate, paired=True, level=p).verdict == "worse"
    assert judge(np.zeros(4), -candidate, paired=True, level=p).verdict == "better"
    p = judge(np.zeros(4), candidate, paired=True, margin=9.0).p_margin
    assert judge(np.zeros(4), candidate, paired=True, margin=9.0, level=p).verdict == "no worse"


def test_an_effect_of_exactly_the_floor_is_enough():
    candidate = np.array([1.75, 2.25, 2.0, 2.0])
    above = math.nextafter(2.0, 3.0)
    assert judge(np.zeros(4), candidate, paired=True, floor=2.0).verdict == "worse"
    assert judge(np.zeros(4), candidate, paired=True, floor=above).verdict == "undecided"
    assert judge(np.zeros(4), -candidate, paired=True, floor=2.0).verdict == "better"
    # Not better by enough, and certainly not worse: the margin of 0 is cleared.
    assert judge(np.zeros(4), -candidate, paired=True, floor=above).verdict == "no worse"


@KINDS
@pytest.mark.parametrize("case", range(30))
def test_verdicts_are_the_modules_rules(case, paired):
    """The table of the module's docstring, by the limits of scipy's interval."""
    baseline, candidate = drawn(100 + case, paired=paired)
    rng = np.random.default_rng(case)
    margin, floor, level = rng.uniform(0, 2), rng.uniform(0, 1), rng.choice([0.05, 0.2, 0.4])
    found = judge(baseline, candidate, paired=paired, margin=margin, floor=floor, level=level)
    low, high = literal_test(baseline, candidate, paired=paired).confidence_interval(1 - level)
    effect = candidate.mean() - baseline.mean()
    if high < 0 and -effect >= floor:
        known = "better"
    elif high < margin:
        known = "no worse"
    elif low > 0 and effect >= floor:
        known = "worse"
    else:
        known = "undecided"
    assert found.verdict == known


# No spread at all, and spread that is known


def literal_known_variance(a, b, *, paired, resolution=0.0, files=0.0):
    """Effect, standard error and degrees of freedom where the variance has a least value, written out."""
    if paired:
        differences = [y - x for x, y in zip(a, b, strict=True)]
        variance = max(np.var(differences, ddof=1), 2 * resolution**2 / 12, files)
        return np.mean(differences), math.sqrt(variance / len(a)), len(a) - 1
    squares = []
    for side, own in zip((a, b), files or (0.0, 0.0), strict=True):
        squares.append(max(np.var(side, ddof=1), resolution**2 / 12, own) / len(side))
    down = squares[0] ** 2 / (len(a) - 1) + squares[1] ** 2 / (len(b) - 1)
    return np.mean(b) - np.mean(a), math.sqrt(sum(squares)), sum(squares) ** 2 / down


@KINDS
@pytest.mark.parametrize("resolution", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("files", [0.0, 0.3, 9.0])
@pytest.mark.parametrize("case", range(3))
def test_what_is_known_of_the_spread_is_the_least_of_it(case, files, resolution, paired):
    a, b = drawn(case, paired=paired)
    files = files if paired or not files else (files, 2 * files)
    found = judge(a, b, paired=paired, margin=0.7, resolution=resolution, files_variance=files)
    effect, error, degrees = literal_known_variance(a, b, paired=paired, resolution=resolution, files=files)
    assert (found.effect, found.error, found.degrees) == pytest.approx((effect, error, degrees), rel=1e-9)
    known = stats.t(degrees, loc=effect, scale=error)
    assert found.interval == pytest.approx(known.interval(0.95), rel=1e-9)
    assert found.p_value == pytest.approx(2 * stats.t.sf(abs(effect) / error, degrees), rel=1e-9)
    assert found.p_margin == pytest.approx(min(1, 2 * known.sf(0.7)), rel=1e-9)


@pytest.mark.parametrize(
    ("values", "known"),
    [
        ([0.9, 0.91, 0.89], 1 / 100),
        ([0.9, 0.8, 0.9], 1 / 10),
        ([7 / 30, 8 / 30, 11 / 30], 1 / 30),
        ([0.2333, 0.2667, 0.3667], 1 / 30),
        ([0.010417, 0.03125, 0.072917], 1 / 96),
        ([1.0, 1.5, 2.0], 1 / 2),
        ([3, 7, 90], 1.0),
        ([0.5, 0.5], 0.0),  # nothing is seen of its steps
        ([0.175723, 0.181764, 0.177115], 0.0),
        ([math.pi, math.e, math.sqrt(2)], 0.0),
    ],
)
def test_steps_that_are_seen(values, known):
    assert step(values) == pytest.approx(known, rel=1e-12)
    assert step([-x for x in values]) == pytest.approx(known, rel=1e-12)


@pytest.mark.parametrize("files", range(2, 60, 7))
def test_shares_of_files_show_their_number(files):
    """One more than k of n, k and n without a common divisor: no fewer files have such shares."""
    shares = np.array([0, 1, files - 1]) / files
    assert step(shares) == pytest.approx(1 / files, rel=1e-12)
    assert step(np.round(shares, 6)) == pytest.approx(1 / files, rel=1e-12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": -0.1}, "^resolution is -0.1; it is 0 or more$"),
        ({"resolution": math.nan}, "^resolution is nan"),
        ({"files_variance": -1.0}, "^files_variance is -1.0; it is 0 or more$"),
        ({"files_variance": math.inf}, "^files_variance is inf"),
        (
            {"files_variance": (1.0, 2.0)},
            r"^files_variance is \(1.0, 2.0\); in pairs it is one number, else one of either side$",
        ),
        ({"files_variance": 1.0, "paired": False}, "^files_variance is 1.0; in pairs it is one number"),
    ],
)
def test_known_spread_refused(options, message):
    with pytest.raises(ValueError, match=message):
        judge([1.0, 2.0], [1.0, 2.5], **({"paired": True} | options))


@KINDS
def test_without_spread_and_steps_the_effect_is_certain(paired):
    baseline = np.full(3, 2.0)
    for effect, p, p_margin, verdict in (
        (0.0, 1.0, 0.0, "no worse"),
        (0.25, 0.0, 0.0, "no worse"),
        (0.5, 0.0, 1.0, "worse"),  # at the margin
        (1.0, 0.0, 1.0, "worse"),
        (-1.0, 0.0, 0.0, "better"),
    ):
        found = judge(baseline, baseline + effect, paired=paired, margin=0.5, resolution=0.0)
        assert (found.p_value, found.p_margin, found.verdict) == (p, p_margin, verdict)
        assert found.interval == (effect, effect)
    assert judge(baseline, baseline, paired=paired).verdict == "undecided"


# Which way is worse


@KINDS
@pytest.mark.parametrize("case", range(6))
def test_of_a_score_lower_is_worse(case, paired):
    baseline, candidate = drawn(case, paired=paired)
    found = judge(baseline, candidate, paired=paired, margin=0.5, higher_is_better=True)
    low, high = literal_test(baseline, candidate, paired=paired).confidence_interval(0.95)
    assert found.effect == pytest.approx(np.mean(baseline) - np.mean(candidate), rel=1e-12)
    assert found.interval == pytest.approx((-high, -low), rel=1e-9)
    assert found.p_margin == pytest.approx(
        literal_p_margin(-baseline, -candidate, 0.5, paired=paired), rel=1e-9
    )
    assert (found.baseline, found.candidate) == (tuple(baseline), tuple(candidate))


numbers = st.integers(-40, 40).map(lambda k: k / 8)  # eighths: sums and shifts of them are exact
sides = st.tuples(st.lists(numbers, min_size=2, max_size=7), st.lists(numbers, min_size=2, max_size=7))
MIRROR = {"better": "worse", "worse": "better", "undecided": "undecided"}


@given(sides, st.booleans(), st.sampled_from(["t", "permutation"]))
@settings(max_examples=60)
def test_exchanged_sides_exchange_better_and_worse(both, paired, test):
    a, b = both
    if paired:
        a, b = zip(*zip(a, b, strict=False), strict=True)
    one, two = (judge(*pair, paired=paired, test=test) for pair in ((a, b), (b, a)))
    assert two.effect == -one.effect and two.p_value == pytest.approx(one.p_value, rel=1e-9)
    assert two.interval == pytest.approx((-one.interval[1], -one.interval[0]), rel=1e-9, abs=1e-12)
    # Without a margin and a floor "better" also is "no worse than 0", and only "better" is said.
    assume("no worse" not in (one.verdict, two.verdict))
    assert two.verdict == MIRROR[one.verdict]


@given(sides, st.booleans(), st.sampled_from([0.25, 2.0, 64.0]), st.sampled_from([-16.0, 0.0, 128.0]))
@settings(max_examples=60)
def test_shifted_and_scaled_numbers_give_the_same_p(both, paired, scale, shift):
    """Powers of two: what is compared is exactly the same, in another unit."""
    a, b = both
    if paired:
        a, b = zip(*zip(a, b, strict=False), strict=True)
    one = judge(a, b, paired=paired, margin=1.0, floor=0.5, resolution=0.125)
    a, b = ([scale * x + shift for x in side] for side in (a, b))
    two = judge(a, b, paired=paired, margin=scale, floor=scale / 2, resolution=scale / 8)
    assert two.effect == pytest.approx(scale * one.effect, rel=1e-9, abs=1e-12)
    assert two.interval == pytest.approx([scale * x for x in one.interval], rel=1e-9, abs=1e-9)
    assert (two.p_value, two.p_margin) == pytest.approx((one.p_value, one.p_margin), rel=1e-9, abs=1e-15)


@given(sides, st.lists(st.floats(0, 20), min_size=2, max_size=2))
@settings(max_examples=60)
def test_a_wider_margin_is_met_more_easily(both, margins):
    narrow, wide = (judge(*both, paired=False, margin=m) for m in sorted(margins))
    assert wide.p_margin <= narrow.p_margin
    assert wide.p_value == narrow.p_value and wide.interval == narrow.interval
    if narrow.verdict == "no worse":
        assert wide.verdict == "no worse"


@given(sides, numbers.filter(lambda x: x > 0))
@settings(max_examples=60)
def test_a_worse_candidate_is_never_judged_better(both, worsening):
    a, b = both
    order = ["better", "no worse", "undecided", "worse"]
    one, two = (judge(a, [x + w for x in b], paired=False, margin=0.5) for w in (0.0, worsening))
    assert order.index(two.verdict) >= order.index(one.verdict)


# Several candidates


@pytest.mark.parametrize(
    "p_values",
    [[], [0.2], [0.01, 0.02, 0.04], [0.04, 0.01, 0.02], [0.03, 0.03, 0.03], [0.01, 0.9, 0.5], [0.0, 1.0]],
)
def test_holm_by_definition(p_values):
    assert holm(p_values) == pytest.approx(literal_holm(p_values), rel=1e-12)


@given(st.lists(st.floats(0, 1), max_size=8))
@settings(max_examples=100)
def test_holm_by_definition_of_any(p_values):
    assert holm(p_values) == pytest.approx(literal_holm(p_values), rel=1e-12, abs=1e-300)


def test_of_several_every_number_is_corrected():
    p = {"a": 0.004, "b": 0.04, "c": 0.02, "d": 0.5}
    candidates = {name: triple_of_p(value) for name, value in p.items()}
    found = judge_each(np.zeros(3), candidates, paired=True, margin=12.0)
    # 4 x .004, 3 x .02, 2 x .04, 1 x .5 by their order
    assert [found[n].p_value for n in "acbd"] == pytest.approx([0.016, 0.06, 0.08, 0.5], rel=1e-9)
    margins = [literal_p_margin(np.zeros(3), candidates[n], 12.0, paired=True) for n in p]
    assert [found[n].p_margin for n in p] == pytest.approx(literal_holm(margins), rel=1e-9)
    for name, verdict in found.items():
        known = literal_test(np.zeros(3), candidates[name], paired=True)
        assert verdict.interval == pytest.approx(tuple(known.confidence_interval(1 - 0.05 / 4)), rel=1e-9)
        assert verdict.comparisons == 4 and verdict.level == ALPHA
        assert verdict.effect == pytest.approx(1.0)


@pytest.mark.parametrize(("effect", "verdict"), [(1.0, "worse"), (-1.0, "better")])
def test_several_have_to_clear_a_higher_bar(effect, verdict):
    """Each p of .03 alone decides; of two it counts .06. One of .02 among two does, as .04."""
    weak, strong = (triple_of_p(p, effect=effect) for p in (0.03, 0.02))
    assert judge(np.zeros(3), weak, paired=True).verdict == verdict
    two = judge_each(np.zeros(3), {"one": weak, "two": weak}, paired=True)
    assert {v.verdict for v in two.values()} == {"undecided"}
    # Holm's second step is not corrected: Bonferroni's would be, and leave .03 undecided.
    two = judge_each(np.zeros(3), {"one": strong, "two": weak}, paired=True)
    assert {v.verdict for v in two.values()} == {verdict}
    assert [v.p_value for v in two.values()] == pytest.approx([0.04, 0.04], rel=1e-9)


def test_several_have_to_clear_the_margin_more_clearly_too():
    """A one-sided p of .015, doubled .03, is "no worse" alone and says nothing for one of two."""
    margin = 1.0 + stats.t.isf(0.015, 2)
    candidate = triple(1.0, 1.0)
    assert judge(np.zeros(3), candidate, paired=True, margin=margin).verdict == "no worse"
    two = judge_each(np.zeros(3), {"one": candidate, "two": candidate}, paired=True, margin=margin)
    assert [v.p_margin for v in two.values()] == pytest.approx([0.06, 0.06], rel=1e-9)
    assert {v.verdict for v in two.values()} == {"undecided"}


@KINDS
@pytest.mark.parametrize("higher_is_better", [False, True])
def test_several_are_each_compared_with_their_own_baseline(paired, higher_is_better):
    names = ("a", "b", "c")
    both = {name: drawn(case, paired=paired) for case, name in enumerate(names)}
    found = judge_each(
        {n: both[n][0] for n in names},
        {n: both[n][1] for n in names},
        paired=paired,
        margin=0.5,
        higher_is_better=higher_is_better,
        level=0.1,
    )
    sign = -1 if higher_is_better else 1
    known = {n: literal_test(sign * both[n][0], sign * both[n][1], paired=paired) for n in names}
    assert list(found) == list(names)
    assert [v.p_value for v in found.values()] == pytest.approx(
        literal_holm([k.pvalue for k in known.values()]), rel=1e-9
    )
    for name, verdict in found.items():
        interval = known[name].confidence_interval(1 - 0.1 / 3)
        assert verdict.interval == pytest.approx(tuple(interval), rel=1e-9)
        assert (verdict.baseline, verdict.candidate) == tuple(map(tuple, both[name]))


def test_one_of_several_is_one():
    baseline, candidate = drawn(0, paired=True)
    assert judge_each(baseline, {"one": candidate}, paired=True, margin=0.3) == {
        "one": judge(baseline, candidate, paired=True, margin=0.3)
    }
    assert judge_each(baseline, {}, paired=True) == {}


# The permutation test


@pytest.mark.parametrize("case", range(8))
@KINDS
def test_permutation_is_every_rearrangement(case, paired):
    """Eighths, so that ties are ties in floating point too."""
    rng = np.random.default_rng([case, 9])
    n = int(rng.integers(3, 7))
    m = n if paired else int(rng.integers(3, 6))
    baseline, candidate = rng.integers(0, 8, n) / 8, rng.integers(0, 12, m) / 8
    known = literal_permutation_p(baseline, candidate, paired=paired)
    for flip in (False, True):
        found = judge(baseline, candidate, paired=paired, test="permutation", higher_is_better=flip)
        assert found.p_value == pytest.approx(known, rel=1e-12)
        assert found.test == "permutation"


def test_permutation_of_13_pairs_is_exact_and_of_14_is_drawn():
    """2^13 = 8,192 swaps are done one by one; of 2^14 some 9,999 are drawn, and the one seen makes 10,000."""
    rng = np.random.default_rng(0)
    differences = rng.normal(0.5, 1, 14)
    for count in (13, 14):
        zeros, candidate = np.zeros(count), differences[:count]
        swapped = np.array(list(itertools.product((1, -1), repeat=count))) @ candidate
        exact = 2 * np.mean(swapped >= candidate.sum() - 1e-12)
        found = judge(zeros, candidate, paired=True, test="permutation")
        if count == 13:
            assert found.p_value == pytest.approx(exact, rel=1e-12)
            continue
        drawn_counts = found.p_value * 10_000 / 2
        assert drawn_counts == pytest.approx(round(drawn_counts), abs=1e-6)
        # Five standard errors of the share of 9,999 draws.
        width = 5 * 2 * math.sqrt(exact / 2 * (1 - exact / 2) / 9_999)
        assert found.p_value == pytest.approx(exact, abs=width) and found.p_value != exact
        again, other = (
            judge(zeros, candidate, paired=True, test="permutation", seed=seed).p_value for seed in (0, 1)
        )
        assert again == found.p_value != other


def test_permutation_needs_the_interval_too():
    """One run far off: every swap makes the mean smaller, and yet the mean is not known to be above 0."""
    candidate = np.array([0.1, 0.2, 0.1, 0.2, 0.1, 40.0])
    for unit in (1, -1, 0.01, -0.01):
        found = judge(np.zeros(6), unit * candidate, paired=True, test="permutation")
        low, high = found.interval
        assert found.p_value == pytest.approx(1 / 32) and low < 0 < high
        assert found.verdict == "undecided"
    close = np.array([0.9, 1.0, 1.1, 1.05, 0.95, 1.02])
    assert judge(np.zeros(6), close, paired=True, test="permutation").verdict == "worse"
    assert judge(np.zeros(6), -close, paired=True, test="permutation").verdict == "better"
    # And the interval needs p: four pairs reach 1/8.
    few = judge(np.zeros(4), close[:4], paired=True, test="permutation")
    assert few.interval[0] > 0 and few.p_value == pytest.approx(1 / 8) and few.verdict == "undecided"
    # At a level of exactly the smallest p it is significant.
    assert judge(np.zeros(6), close, paired=True, test="permutation", level=1 / 32).verdict == "worse"


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (4, 4), (3, 5), (5, 2)])
def test_smallest_p_is_what_the_farthest_runs_get(n, m):
    """Far apart, all unlike: one dealing only is as extreme as the one seen, on its side."""
    baseline, candidate = np.arange(n) / 8, 100 + 2.0 ** np.arange(m)
    known = literal_permutation_p(baseline, candidate, paired=False)
    found = judge(baseline, candidate, paired=False, test="permutation")
    assert found.p_value == pytest.approx(known, rel=1e-12)
    assert smallest_p(n, m, paired=False) == found.smallest_p == pytest.approx(known, rel=1e-12)


def test_smallest_p_of_pairs():
    for n in (2, 3, 6):
        candidate = 100 + 2.0 ** np.arange(n)
        known = literal_permutation_p(np.zeros(n), candidate, paired=True)
        assert smallest_p(n, n, paired=True) == pytest.approx(known) == 2 / 2**n
    assert smallest_p(1, 1, paired=True) == smallest_p(0, 0, paired=True) == 1.0
    assert smallest_p(1, 1, paired=False) == smallest_p(1, 0, paired=False) == 1.0


def test_of_several_the_permutation_test_reaches_less():
    """Six pairs reach 1/32, and one candidate of four with them 4/32: no seeds like these decide it."""
    spread = 2.0 ** np.arange(6) / 64
    four = {name: 10 * k + spread for k, name in enumerate("abcd", start=1)}
    for verdict in judge_each(np.zeros(6), four, paired=True, test="permutation").values():
        assert verdict.smallest_p == verdict.p_value == 4 / 32 and verdict.verdict == "undecided"
        assert str(verdict).endswith("the permutation test cannot go below p = 0.12 with them")
    # The third with 12 pairs of its own may reach 3 / 2^11, and leaves the other two 2/32.
    own = {"a": np.zeros(6), "b": np.zeros(6), "c": np.zeros(12)}
    three = {"a": four["a"], "b": four["b"], "c": 5 + 2.0 ** np.arange(12) / 4096}
    found = judge_each(own, three, paired=True, test="permutation")
    assert [found[n].smallest_p for n in "abc"] == [2 / 32, 2 / 32, 3 / 2**11]
    assert [found[n].p_value for n in "abc"] == [2 / 32, 2 / 32, 3 / 2**11]


# Looks


@pytest.mark.parametrize("level", [0.05, 0.01, 0.2])
@pytest.mark.parametrize("looks", [1, 2, 3, 5])
def test_what_a_look_may_spend(level, looks):
    """2 - 2 Phi(z / sqrt t) = erfc(z / sqrt(2 t)), from the standard library."""
    z = NormalDist().inv_cdf(1 - level / 2)
    until = [0.0, *(math.erfc(z / math.sqrt(2 * k / looks)) for k in range(1, looks + 1))]
    assert [spent(k, looks, level=level) for k in range(1, looks + 1)] == pytest.approx(
        np.diff(until).tolist(), rel=1e-8
    )
    assert spent(1, 1, level=level) == level
    assert spent(looks, looks) == pytest.approx(
        math.erfc(NormalDist().inv_cdf(0.975) / math.sqrt(2))
        - (math.erfc(NormalDist().inv_cdf(0.975) / math.sqrt(2 * (looks - 1) / looks)) if looks > 1 else 0)
    )


@pytest.mark.parametrize(("look", "looks"), [(0, 1), (-1, 3), (4, 3), (1, 0)])
def test_looks_count_from_1_and_are_planned(look, looks):
    message = rf"^look {look} of {looks}: looks are planned beforehand and count from 1$"
    with pytest.raises(ValueError, match=message):
        spent(look, looks)
    with pytest.raises(ValueError, match=message):
        judge([0.0, 1.0], [0.0, 2.0], paired=True, look=look, looks=looks)


def test_a_look_is_judged_by_what_it_may_spend():
    candidate = triple_of_p(0.02)
    zeros = np.zeros(3)
    for look, verdict in ((1, "undecided"), (2, "worse")):  # .0056 and .0444
        found = judge(zeros, candidate, paired=True, look=look, looks=2)
        assert found.level == pytest.approx(spent(look, 2), rel=1e-12) and found.verdict == verdict
        known = literal_test(zeros, candidate, paired=True).confidence_interval(1 - found.level)
        assert found.interval == pytest.approx(tuple(known), rel=1e-9)
    # The level is shared out among the looks first and among the candidates then.
    each = judge_each(
        zeros, {"a": candidate, "b": candidate}, paired=True, look=2, looks=2, level=0.1, margin=1.0
    )["a"]
    known = literal_test(zeros, candidate, paired=True).confidence_interval(1 - spent(2, 2, level=0.1) / 2)
    assert each.interval == pytest.approx(tuple(known), rel=1e-9)


# How many seeds


@KINDS
@pytest.mark.parametrize("level", [0.05, 0.01])
@pytest.mark.parametrize(("effect", "spread"), [(1.0, 1.0), (0.3, 0.5), (2.0, 0.4)])
def test_power_by_quadrature(effect, spread, paired, level):
    for seeds in (2, 3, 7, 20):
        known = literal_power(seeds, effect, spread, paired=paired, level=level)
        assert power(seeds, effect, spread, paired=paired, level=level) == pytest.approx(known, abs=1e-8)
    assert power(5, effect, spread, paired=paired) == power(5, effect, spread, paired=paired, level=0.05)


@KINDS
def test_power_at_its_ends(paired):
    assert power(1, 1.0, 1.0, paired=paired) == power(0, 1.0, 0.0, paired=paired) == 0.0
    # Without spread it is found for certain, and where there is nothing to find, for certain not.
    assert [power(2, effect, 0.0, paired=paired) for effect in (1e-9, 0.0, -1.0)] == [1.0, 0.0, 0.0]
    assert power(9, 0.0, 1.0, paired=paired) == pytest.approx(0.025)
    assert power(2, 0.0, 1.0, paired=paired, level=0.2) == pytest.approx(0.1)


@KINDS
@pytest.mark.parametrize("level", [0.05, 0.05 / 4, 0.2])
@pytest.mark.parametrize("wanted", [0.8, 0.3, 0.95])
def test_seeds_needed_one_after_the_other(paired, level, wanted):
    for effect in (0.25, 0.6, 0.9, 1.7, 4.0, 30.0):
        known = searched(effect, 1.0, paired=paired, wanted=wanted, level=level)
        assert seeds_needed(effect, 1.0, paired=paired, power_wanted=wanted, level=level) == known
        assert seeds_needed(2 * effect, 2.0, paired=paired, power_wanted=wanted, level=level) == known


@KINDS
def test_seeds_needed_by_default(paired):
    assert seeds_needed(0.7, 1.0, paired=paired) == searched(0.7, 1.0, paired=paired)
    assert seeds_needed(1e-9, 0.0, paired=paired) == 2


@KINDS
@pytest.mark.parametrize("seeds", [2, 3, 4, 5, 8, 9, 4096, 8191, 8192, 8193, 9999, 10_000])
def test_the_last_seed_that_is_needed(seeds, paired):
    """The effect that just so many seeds find in 4 of 5 cases: a little more is found, a little less not."""

    def missing(effect):
        return scipys_power(seeds, effect, 1.0, paired=paired) - CHANCE

    effect = optimize.brentq(missing, 1e-3, 100.0, xtol=1e-13, rtol=1e-13)
    assert seeds_needed(effect * (1 + 1e-6), 1.0, paired=paired) == seeds
    fewer = seeds_needed(effect * (1 - 1e-6), 1.0, paired=paired)
    assert fewer == (None if seeds == MOST else seeds + 1)


def test_the_level_holds_for_the_most_seeds_too():
    """Over 10,000 at 1 %; at 5 % fewer, though more than the largest power of two below."""
    assert 8192 < seeds_needed(0.0295, 1.0, paired=True) < MOST
    assert seeds_needed(0.0295, 1.0, paired=True, level=0.01) is None


@KINDS
def test_exactly_the_power_that_is_wanted_is_enough(paired):
    for seeds in (2, 4, 5, 6, 8):
        wanted = power(seeds, 1.0, 1.0, paired=paired)
        assert seeds_needed(1.0, 1.0, paired=paired, power_wanted=wanted) == seeds
    effect = 0.03
    wanted = power(MOST, effect, 1.0, paired=paired)
    assert seeds_needed(effect, 1.0, paired=paired, power_wanted=wanted) == MOST


def test_more_is_for_the_bound_that_is_nearer():
    baseline, candidate = np.zeros(4), np.array([1.5, -1.0, 1.0, 0.5])  # effect 0.5
    spread = float(np.std(candidate, ddof=1))

    def more(**options):
        found = judge(baseline, candidate, paired=True, **options)
        assert found.verdict == "undecided"
        return found.more

    def need(gap, **options):
        return searched(gap, spread, paired=True, **options)

    assert more() == need(0.5)  # to zero: "worse"
    assert more(margin=0.75) == need(0.5)  # the margin is only .25 off
    assert more(margin=1.25) == need(0.75)  # to the margin: "no worse"
    assert more(margin=0.25) == need(0.5)  # the effect is above the margin
    assert more(floor=0.5) == need(0.5)
    assert more(floor=0.625, margin=1.25) == need(0.75)  # too small to be called worse
    assert more(floor=1.0, margin=0.625) == need(0.125)
    assert more(floor=0.625) is None and more(floor=0.625, margin=0.5) is None
    assert more(floor=0.625, margin=0.5 + 1e-3) is None  # over 10,000
    assert more(margin=0.5 + 1e-3) == need(0.5)  # one bound out of reach does not hide the other
    symmetric = judge([0.0, 1.0, 2.0, 1.0], [1.0, 0.0, 1.0, 2.0], paired=True, margin=0.5)  # effect 0
    assert symmetric.more == searched(0.5, math.sqrt(4 / 3), paired=True)
    assert dataclasses.replace(symmetric, margin=0.0).more is None
    assert more(level=0.01) == need(0.5, level=0.01)
    assert more(look=1, looks=2) == need(0.5, level=spent(1, 2))


def test_more_of_a_candidate_that_seems_better():
    baseline, candidate = np.zeros(4), -np.array([1.5, -1.0, 1.0, 0.5])
    spread = float(np.std(candidate, ddof=1))
    for options, gap in (({}, 0.5), ({"margin": 0.25}, 0.75), ({"floor": 0.5}, 0.5)):
        found = judge(baseline, candidate, paired=True, **options)
        assert found.verdict == "undecided" and found.more == searched(gap, spread, paired=True)
    # As a score, the other way round; and what counts is the difference, whatever the sign.
    flipped = judge(baseline, -candidate, paired=True, margin=0.25, higher_is_better=True)
    assert flipped.more == searched(0.75, spread, paired=True)
    # Not better by enough for the floor: to be no worse than 0 is what is left.
    floored = judge(baseline, candidate, paired=True, floor=0.75)
    assert floored.more == searched(0.5, spread, paired=True)


@pytest.mark.parametrize("case", range(8))
def test_more_of_unpaired_sides_supposes_one_spread(case):
    """The common spread under which these seeds would have had the standard error that was seen."""
    baseline, candidate = drawn(40 + case, paired=False)
    found = judge(baseline, candidate, paired=False, level=1e-4)
    known = literal_test(baseline, candidate, paired=False)
    error = abs(found.effect / known.statistic)
    spread = error / math.sqrt(1 / len(baseline) + 1 / len(candidate))
    assert found.verdict == "undecided"
    assert found.more == searched(abs(found.effect), spread, paired=False, level=1e-4, most=10_000)


@KINDS
def test_more_seeds_are_needed_for_several(paired):
    baseline, candidate = np.array([0.5, 0.0, 1.0, 0.25]), np.array([1.5, 1.0, 0.5, 1.25])
    alone = judge(baseline, candidate, paired=paired)
    four = judge_each(baseline, dict.fromkeys("abcd", candidate), paired=paired)["a"]
    sd = (
        np.std(candidate - baseline, ddof=1)
        if paired
        else np.sqrt((np.var(baseline, ddof=1) + np.var(candidate, ddof=1)) / 2)
    )
    assert alone.more == searched(alone.effect, sd, paired=paired)
    assert four.more == searched(alone.effect, sd, paired=paired, level=ALPHA / 4) > alone.more


def test_nothing_more_where_it_is_decided():
    for shift, margin, verdict in ((1.0, 0.0, "worse"), (-1.0, 0.0, "better"), (0.0, 1.0, "no worse")):
        found = judge(np.zeros(3), triple(shift, 0.01), paired=True, margin=margin)
        assert found.verdict == verdict and found.more is None


# What is said


@pytest.mark.parametrize(
    ("candidate", "options", "sentence"),
    [
        (
            [1.0, 1.5, 2.0],
            {},
            "worse: effect +1.5 (95 % +0.2579 to +2.742), p = 0.035, 3 pairs of seeds",
        ),
        (
            [-1.0, -1.5, -2.0],
            {},
            "better: effect -1.5 (95 % -2.742 to -0.2579), p = 0.035, 3 pairs of seeds",
        ),
        (
            [1.0, 1.5, 2.0],
            {"margin": 4.0, "level": 0.1},
            "no worse: effect +1.5 (90 % +0.6571 to +2.343), p = 0.035, 3 pairs of seeds",
        ),
        (
            [1.0, 1.5, 5.0],
            {},
            "undecided: effect +2.5 (95 % -2.914 to +7.914), p = 0.19, 3 pairs of seeds; about 9 seeds "
            "a side would decide it",
        ),
        (
            [1.0, 1.5, 5.0],
            {"floor": 9.0},
            "undecided: effect +2.5 (95 % -2.914 to +7.914), p = 0.19, 3 pairs of seeds; more than 10,000 "
            "seeds a side would be needed",
        ),
        (
            [1.0, 1.5, 2.0],
            {"test": "permutation"},
            "undecided: effect +1.5 (95 % +0.2579 to +2.742), p = 0.25, 3 pairs of seeds; the permutation "
            "test cannot go below p = 0.25 with them",
        ),
        (
            [1.0, 1.5, 5.0],
            {"test": "permutation", "level": 0.25, "floor": 9.0},
            "undecided: effect +2.5 (75 % +0.4822 to +4.518), p = 0.25, 3 pairs of seeds; more than 10,000 "
            "seeds a side would be needed",
        ),
        (
            [1.0, 1.5, 5.0, 2.0],
            {"paired": False},
            "undecided: effect +2.375 (95 % -0.4695 to +5.219), p = 0.077, 3 and 4 seeds; about 6 seeds "
            "a side would decide it",
        ),
    ],
)
def test_sentences(candidate, options, sentence):
    paired = options.pop("paired", True)
    found = judge([0.0, 0.0, 0.0], candidate, paired=paired, **options)
    assert str(found) == sentence


def test_what_a_result_keeps():
    found = judge(np.zeros(3), [1.0, 1.5, 2.0], paired=True, margin=0.25)
    assert found.to_dict() == {
        "verdict": "worse",
        "effect": 1.5,
        "interval": found.interval,
        "p_value": found.p_value,
        "margin": 0.25,
    }
    codes = {"better": 0, "no worse": 0, "worse": 1, "undecided": 3}
    assert {v: dataclasses.replace(found, verdict=v).exit_code for v in codes} == codes
    assert isinstance(found, Verdict)


@KINDS
@pytest.mark.parametrize("test", ["t", "permutation"])
def test_numbers_are_plain(paired, test):
    """Of Python's own types: what is written as JSON, or printed, has no numpy in it."""
    found = judge(np.arange(3), [1.0, 1.5, 2.0], paired=paired, margin=1.0, look=1, looks=2, test=test)
    several = judge_each(np.arange(3), {"a": [1.0, 1.5, 2.0], "b": np.arange(3)}, paired=paired, test=test)
    for verdict in (found, *several.values()):
        plain = (verdict.effect, verdict.level, verdict.p_value, verdict.p_margin, verdict.smallest_p)
        everything = (*plain, *verdict.interval, *verdict.baseline, *verdict.candidate)
        assert {type(x) for x in everything} == {float}
    assert type(power(5, 1.0, 1.0, paired=paired)) is type(spent(1, 2)) is float
    assert type(seeds_needed(1.0, 1.0, paired=paired)) is int


@pytest.mark.parametrize("level", [0.05, 0.2])
def test_interval_of_a_mean_is_scipys(level):
    values = [0.3, 0.5, 0.1, 0.9]
    known = stats.ttest_1samp(values, 0).confidence_interval(1 - level)
    found = mean_interval(values, level=level)
    assert found == pytest.approx(list(known), rel=1e-12) and all(type(x) is float for x in found)
    assert mean_interval(values) == mean_interval(values, level=0.05)


# What is refused


@pytest.mark.parametrize("role", ["baseline", "candidate"])
@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "has 0 replicates; with fewer than 2 seeds nothing is known of their spread"),
        ([1.0], "has 1 replicates; with fewer than 2 seeds nothing is known of their spread"),
        (1.0, r"is of shape \(\); it is one number a seed, \(seeds,\)$"),
        ([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], r"is of shape \(2, 3\); it is one number a seed, \(seeds,\)$"),
        ([1.0, math.nan], "has 1 values that are not finite, the first at 1"),
        ([1.0, 2.0, math.inf, -math.inf], "has 2 values that are not finite, the first at 2"),
    ],
)
def test_values_refused(role, values, message):
    sides = {"baseline": [1.0, 2.0], "candidate": [1.0, 2.0], role: values}
    with pytest.raises(ValueError, match=f"^the {role} {message}"):
        judge(**sides, paired=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"margin": -0.1}, r"^margin is -0.1; it is 0 or more, in the metric's unit$"),
        ({"margin": math.nan}, "^margin is nan"),
        ({"margin": math.inf}, "^margin is inf"),
        ({"floor": -0.1}, "^floor is -0.1; it is 0 or more"),
        ({"floor": math.nan}, "^floor is nan"),
        ({"level": 0.0}, r"^level is 0.0; it lies between 0 and 1, and 0\.05 is usual$"),
        ({"level": 1.0}, "^level is 1.0"),
        ({"level": math.nan}, "^level is nan"),
        ({"test": "sign"}, r"^no test 'sign'; there are t, permutation$"),
    ],
)
def test_settings_refused(options, message):
    with pytest.raises(ValueError, match=message):
        judge([1.0, 2.0], [1.0, 2.0], paired=True, **options)
    with pytest.raises(ValueError, match=message):
        judge_each([1.0, 2.0], {"a": [1.0, 2.0], "b": [1.0, 2.0]}, paired=True, **options)


def test_unequal_sides_do_not_pair():
    message = (
        "^2 and 3 replicates do not pair; leave out the seeds that only one side has, or compare unpaired$"
    )
    with pytest.raises(ValueError, match=message):
        judge([1.0, 2.0], [1.0, 2.0, 3.0], paired=True)
    assert judge([1.0, 2.0], [1.0, 2.0, 3.0], paired=False).verdict == "undecided"


@pytest.mark.parametrize(
    ("effect", "spread", "wanted", "message"),
    [
        (0.0, 1.0, 0.8, r"^effect is 0.0; a number of seeds exists for effects above 0 only$"),
        (-1.0, 1.0, 0.8, "^effect is -1.0"),
        (math.nan, 1.0, 0.8, "^effect is nan"),
        (math.inf, 1.0, 0.8, "^effect is inf"),
        (1.0, -1.0, 0.8, r"^spread is -1.0; it is a standard deviation, 0 or more$"),
        (1.0, math.nan, 0.8, "^spread is nan"),
        (1.0, math.inf, 0.8, "^spread is inf"),
        (1.0, 1.0, 0.0, r"^power is 0.0; it lies between 0 and 1$"),
        (1.0, 1.0, 1.0, "^power is 1.0"),
        (1.0, 1.0, math.nan, "^power is nan"),
    ],
)
def test_plans_refused(effect, spread, wanted, message):
    with pytest.raises(ValueError, match=message):
        seeds_needed(effect, spread, paired=True, power_wanted=wanted)
