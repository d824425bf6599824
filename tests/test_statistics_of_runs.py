"""Verdicts on replicates: closed forms, exact enumeration, error rates, and every message."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from ablations.seeds import power, seeds_needed, smallest_p
from ablations.statistics import Verdict, holm, judge, judge_each, spent
from experiments import calibration

values = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=8)


# Closed forms


def test_paired_is_scipys():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=6), rng.normal(0.5, size=6)
    known, found = stats.ttest_rel(b, a), judge(a, b, paired=True)
    assert found.p_value == pytest.approx(known.pvalue, rel=1e-12)
    assert found.interval == pytest.approx(tuple(known.confidence_interval()), rel=1e-12)
    assert found.effect == pytest.approx(np.mean(b - a), rel=1e-12)


def test_unpaired_is_welchs():
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=4), rng.normal(1, 3, size=9)
    known, found = stats.ttest_ind(b, a, equal_var=False), judge(a, b, paired=False)
    assert found.p_value == pytest.approx(known.pvalue, rel=1e-12)
    assert found.interval == pytest.approx(tuple(known.confidence_interval()), rel=1e-12)


def test_permutation_of_pairs_is_exact():
    a, b = np.array([0.1, 0.4, 0.2, 0.9, 0.5]), np.array([0.6, 0.7, 0.9, 1.1, 0.4])
    swaps = [np.dot(signs, b - a) for signs in itertools.product((1, -1), repeat=5)]
    two_sided = np.mean(np.abs(swaps) >= abs(np.sum(b - a)) - 1e-12)
    assert judge(a, b, paired=True, test="permutation").p_value == pytest.approx(two_sided)


@pytest.mark.parametrize(
    ("n", "m", "paired", "p"),
    [
        (3, 3, True, 0.25),
        (3, 3, False, 0.1),
        (6, 6, True, 1 / 32),
        (3, 4, False, 2 / 35),
        (5, 2, False, 2 / 21),
    ],
)
def test_smallest_p_is_reached(n, m, paired, p):
    assert smallest_p(n, m, paired=paired) == pytest.approx(p)
    # Far apart, and differences of unequal size: no other rearrangement is as extreme.
    a, b = np.arange(n) / 10, 100 + 2.0 ** np.arange(m)
    found = judge(a, b, paired=paired, test="permutation")
    assert found.p_value == pytest.approx(p)
    assert found.smallest_p == pytest.approx(p)


def test_too_few_for_a_permutation_test_are_undecided_however_far_apart():
    verdict = judge([0.1, 0.2, 0.3], [9.1, 9.3, 9.2], paired=True, test="permutation")
    assert verdict.verdict == "undecided" and "cannot go below p = 0.25" in str(verdict)
    assert judge([0.1, 0.2, 0.3], [9.1, 9.3, 9.2], paired=True).verdict == "worse"


# Verdicts


@pytest.mark.parametrize(
    ("shift", "margin", "floor", "verdict"),
    [
        (1.0, 0.0, 0.0, "worse"),
        (-1.0, 0.0, 0.0, "better"),
        (0.0, 0.5, 0.0, "no worse"),
        (0.0, 0.0, 0.0, "undecided"),
        (1.0, 0.0, 1.5, "undecided"),  # significant, and below the floor
        (-1.0, 0.0, 1.5, "no worse"),  # certainly not worse, and not better by enough
        (1.0, 2.0, 0.0, "no worse"),  # worse, within the margin
        (1.0, 1.0, 0.0, "worse"),  # at the margin
    ],
)
def test_rules(shift, margin, floor, verdict):
    a = np.array([0.0, 0.1, -0.1, 0.05, -0.05, 0.02])
    b = a + shift + np.array([0.05, -0.05, 0.02, -0.02, 0.03, -0.03])
    found = judge(a, b, paired=True, margin=margin, floor=floor)
    assert found.verdict == verdict
    assert found.exit_code == {"worse": 1, "undecided": 3}.get(verdict, 0)
    assert str(found).startswith(verdict)


@given(values, values)
@settings(max_examples=60)
def test_higher_is_better_is_the_mirror(numbers, other):
    count = min(len(numbers), len(other))
    numbers, other = numbers[:count], other[:count]
    one = judge(numbers, other, paired=True, margin=0.3)
    two = judge([-x for x in numbers], [-x for x in other], paired=True, margin=0.3, higher_is_better=True)
    # Numbers with the other sign round alike: exact.
    assert (one.verdict, one.effect) == (two.verdict, two.effect)


@given(values, values, st.floats(0.01, 100), st.floats(-100, 100))
@example([0.0, 0.0], [0.0, 2e-130], 1.0, 0.0)  # a past bug: the squared variance is zero
@settings(max_examples=60)
def test_units_do_not_matter(a, b, scale, offset):
    options = {"paired": False, "resolution": 0.0}
    one = judge(a, b, margin=1.0, **options)
    two = judge([scale * x + offset for x in a], [scale * x + offset for x in b], margin=scale, **options)
    # Rounding may tip what lies on an edge; elsewhere the verdicts agree.
    if min(abs(one.p_value - 0.05), abs(one.p_margin - 0.05)) > 1e-6 and np.ptp(a) + np.ptp(b) > 1e-3:
        assert one.verdict == two.verdict


def test_equal_runs_are_no_worse_than_what_the_steps_can_tell():
    """Equal in steps of .01: each pair may differ by what was rounded, a variance of .01^2 / 6."""
    same = [0.3, 0.31, 0.29]
    half = stats.t.isf(0.025, 2) * 0.01 / math.sqrt(6 * 3)
    assert judge(same, same, paired=True, margin=1.001 * half).verdict == "no worse"
    assert judge(same, same, paired=True, margin=0.999 * half).verdict == "undecided"
    # Of a metric without steps equal is equal.
    assert judge(same, same, paired=True, margin=1e-9, resolution=0.0).verdict == "no worse"
    assert judge(same, same, paired=True, resolution=0.0).verdict == "undecided"


def test_two_equal_differences_are_no_certainty():
    """The issue's example, once called worse with p = 0: 1 degree of freedom is Cauchy's."""
    found = judge([0.90, 0.91], [0.89, 0.90], paired=True, higher_is_better=True)
    error = 0.01 / math.sqrt(6 * 2)
    assert found.verdict == "undecided" and found.effect == pytest.approx(0.01)
    assert found.p_value == pytest.approx(2 / math.pi * math.atan(error / 0.01), rel=1e-9)


@pytest.mark.parametrize("right", [0.5, 0.9])
def test_wrong_worse_of_twenty_clips_and_two_seeds_is_at_most_half_of_the_level(right):
    """No draws: every pair of differences of two accuracies in twentieths, with its probability."""
    one_side = stats.binom.pmf(np.arange(21), 20, right)
    chances = np.convolve(one_side, one_side[::-1])  # of the differences -20 to 20
    wrong = {None: 0.0, 0.0: 0.0}
    for i, j in itertools.product(range(21, 41), repeat=2):  # of unlike signs t is at most 1
        for resolution in wrong:
            drop = np.array([i - 20, j - 20]) / 20
            found = judge(
                1 - np.zeros(2), 1 - drop, paired=True, higher_is_better=True, resolution=resolution
            )
            wrong[resolution] += (found.verdict == "worse") * chances[i] * chances[j]
    assert wrong[None] < 0.01 < 0.025 < wrong[0.0]
    assert wrong[0.0] == pytest.approx({0.5: 0.037, 0.9: 0.052}[right], abs=0.001)  # once


@pytest.mark.parametrize("metric", calibration.FEW_METRICS)
def test_few_clips_and_seeds_are_not_called_worse_too_often(metric):
    """300 A/A comparisons at 2.5 %: more than 19 have a probability below 1e-4."""
    assert calibration.few(metric, 2, 300)["share"] <= 19 / 300


@pytest.mark.parametrize("kind", ["paired", "unpaired"])
@pytest.mark.parametrize("size", [2, 5])
def test_families_keep_the_level(size, kind):
    """400 A/A comparisons: more than 38 alarms have a probability below 1e-4 at 5 %."""
    found = calibration.judged_as_family(size, kind == "paired", 400)
    assert found["worse"] + found["better"] <= 38 and found["uncorrected"] >= found["share"]


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_a_plan_keeps_what_it_promises_on_average(seeds):
    """Over all that a pilot may see; the spread taken for known promises too much."""
    found = calibration.piloted(seeds, True, 1.0)
    assert found["share"] >= 0.8 > 0.75 > found["plugged_in"]


# Several, and looks


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=10))
def test_holm_lies_between_alone_and_bonferroni(p):
    adjusted = holm(p)
    assert all(a >= x - 1e-15 and a <= min(1, len(p) * x) + 1e-12 for a, x in zip(adjusted, p, strict=True))
    assert np.argsort(adjusted, kind="stable").tolist() == np.argsort(p, kind="stable").tolist() or len(
        set(adjusted)
    ) < len(p)


def test_several_are_corrected_and_keep_their_own_baseline():
    rng = np.random.default_rng(2)
    a = rng.normal(size=6)
    b = a + 0.5 + rng.normal(0, 0.4, size=6)
    alone = judge(a, b, paired=True)
    four = judge_each(a, {"b": b, "c": a + 0.01, "d": a - 0.01, "e": rng.normal(size=6)}, paired=True)
    assert four["b"].p_value >= alone.p_value and four["b"].comparisons == 4
    assert four["b"].interval[0] < alone.interval[0]
    own = judge_each({"b": a[:5], "c": a}, {"b": b[:5], "c": b}, paired=True)
    assert len(own["b"].baseline) == 5 and len(own["c"].baseline) == 6


def test_what_looks_spend_adds_up():
    for looks in (1, 2, 3, 7):
        parts = [spent(k, looks) for k in range(1, looks + 1)]
        assert sum(parts) == pytest.approx(0.05, rel=1e-9)
        assert parts == sorted(parts)
    # Two looks at half and all of the data: 2 - 2 Phi(1.96 sqrt 2) for the first.
    assert spent(1, 2) == pytest.approx(2 * stats.norm.sf(stats.norm.isf(0.025) * math.sqrt(2)), rel=1e-12)


# Seeds


@pytest.mark.parametrize("paired", [True, False])
def test_seeds_needed_are_the_fewest(paired):
    for effect in (0.3, 1.0, 2.5):
        n = seeds_needed(effect, 1.0, paired=paired)
        assert power(n, effect, 1.0, paired=paired) >= 0.8 > power(n - 1, effect, 1.0, paired=paired)


def test_power_is_simulated():
    """20,000 trials: the binomial standard error is .003 and the tolerance four of them."""
    rng = np.random.default_rng(3)
    differences = rng.normal(0.9, 1.0, size=(20_000, 8))
    t = differences.mean(axis=1) / (differences.std(axis=1, ddof=1) / math.sqrt(8))
    share = np.mean(t > stats.t.isf(0.025, 7))
    assert power(8, 0.9, 1.0, paired=True) == pytest.approx(share, abs=0.012)


def test_more_says_how_many():
    rng = np.random.default_rng(4)
    a = rng.normal(size=5)
    b = a + 0.3 + rng.normal(0, 0.5, size=5)
    found = judge(a, b, paired=True)
    spread = np.std(b - a, ddof=1)
    assert found.verdict == "undecided"
    assert found.more == seeds_needed(abs(found.effect), spread, paired=True)
    assert f"about {found.more} seeds" in str(found)
    assert dataclasses.replace(found, verdict="worse").more is None
    # Nothing to find and no margin: no number of seeds decides.
    same = [0.1, 0.2, 0.3]
    assert judge(same, same[::-1], paired=False).more is None
    assert "10,000" in str(judge(same, same[::-1], paired=False))


# Error rates


@pytest.mark.parametrize("metric", calibration.METRICS)
def test_simulated_metrics_have_the_moments_they_say(metric):
    """400,000 draws; the t with 3 degrees has no fourth moment, hence the width of 5 %."""
    found = calibration.draw(metric, 400_000, np.random.default_rng(5))
    assert np.mean(found) == pytest.approx(0, abs=0.01)
    assert np.std(found) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("metric", calibration.METRICS)
@pytest.mark.parametrize("kind", ["paired", "unpaired"])
def test_false_alarms_stay_at_the_level(metric, kind):
    """400 A/A comparisons at n = 5: more than 38 alarms have a probability below 1e-4 at 5 %."""
    found = calibration.false_alarms(metric, 5, kind == "paired", 400)
    assert found["worse"] + found["better"] <= 38


def test_looks_and_families_keep_the_level():
    assert calibration.looked(5, 400)["share"] <= 38 / 400
    assert calibration.several(5, 300)["share"] <= 31 / 300
    assert calibration.looked(5, 400)["uncorrected"] > calibration.looked(5, 400)["share"]


def test_failures_that_few_seeds_do_not_hold_are_not_promised():
    """Half of all samples of 3 hold none, and more than half of these are "no worse".

    300 of them: fewer than 45 or more than half, where 29 % are to be expected, has probability below 1e-6.
    """
    found = calibration.failing(3, 300)
    assert found["unseen"] == pytest.approx(0.8**3)
    assert 45 / 300 <= found["share"] <= found["unseen"]
    assert calibration.failing(30, 100)["share"] < 20 / 100  # of 6 %: below 1e-6 too


def test_few_against_many_are_called_too_often():
    """Of 2 seeds against 10 a tenth, by Welch's test: fewer than 62 or more than 140 has below 1e-4."""
    assert 62 <= 1000 * calibration.unequal("normal", (2, 10), 1000)["share"] <= 140


def test_calibration_does_not_depend_on_workers():
    one, two = (calibration.run(trials=3, workers=w) for w in (1, 2))
    assert one == two


# Messages


@pytest.mark.parametrize(
    ("baseline", "candidate", "options", "message"),
    [
        ([1.0], [1.0, 2.0], {}, "the baseline has 1 replicates"),
        ([1.0, 2.0], [], {}, "the candidate has 0 replicates"),
        ([1.0, np.nan], [1.0, 2.0], {}, "the baseline has 1 values that are not finite, the first at 1"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], {}, "2 and 3 replicates do not pair"),
        ([1.0, 2.0], [1.0, 2.0], {"margin": -1}, "margin is -1"),
        ([1.0, 2.0], [1.0, 2.0], {"floor": math.inf}, "floor is inf"),
        ([1.0, 2.0], [1.0, 2.0], {"level": 5}, "level is 5"),
        ([1.0, 2.0], [1.0, 2.0], {"look": 3, "looks": 2}, "look 3 of 2"),
        ([1.0, 2.0], [1.0, 2.0], {"test": "z"}, "no test 'z'"),
    ],
)
def test_refused(baseline, candidate, options, message):
    with pytest.raises(ValueError, match=message):
        judge(baseline, candidate, paired=True, **options)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1.0, {}), "effect is 0"),
        ((1.0, -1.0, {}), "spread is -1"),
        ((1.0, 1.0, {"power_wanted": 1}), "power is 1"),
    ],
)
def test_plans_refused(arguments, message):
    effect, spread, options = arguments
    with pytest.raises(ValueError, match=message):
        seeds_needed(effect, spread, paired=True, **options)


def test_unknown_metric():
    with pytest.raises(ValueError, match="no metric 'odd'"):
        calibration.draw("odd", 3, np.random.default_rng(0))


def test_a_verdict_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        judge([1.0, 2.0], [1.0, 2.5], paired=True).verdict = "better"
    assert isinstance(judge([1.0, 2.0], [1.0, 2.5], paired=True), Verdict)
