"""The value, its parts, its test and its interval for the harder kinds of sets.

Files of several windows, groups, pairs, partly shared sets and copies, each against a definition that is
written out with loops. ``embedding=`` chooses the vectors: a sound is its own table of windows, so that
reading, units, kernel and statistics all run and only the description of a sound is replaced.
"""

import dataclasses
import hashlib
import itertools
import json
import math
import sys
from typing import ClassVar

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from pools import kernels_of, observed, permuted, value_of
from reference import literal as recipe

import metrics
from audio_distance import description, energy, kernel, pooling, resampling, units
from audio_distance.units import pool_of_vectors

RATE = 16000
HEADER = 300  # samples after which a sound says how many windows it holds
SCALE = 1024  # a power of two, so that scaling a float32 changes no digit


def sound_of(windows):
    """A sound that ``read_back`` turns into the given (windows, numbers) table, exactly in float32."""
    windows = np.atleast_2d(np.asarray(windows, np.float32))
    signal = np.zeros(400, np.float32)
    signal[: windows.size] = windows.ravel() / SCALE
    signal[HEADER:] = np.float32(0.5)  # sounding: no vector is silent
    signal[HEADER] = len(windows) / 64
    signal[HEADER + 1] = windows.shape[1] / 64
    return signal


def read_back(signal, rate):
    windows, numbers = round(64 * float(signal[HEADER])), round(64 * float(signal[HEADER + 1]))
    return signal[: windows * numbers].reshape(windows, numbers) * SCALE


def tables(rng, count, *, windows=1, numbers=2, shift=0.0):
    """``count`` files of 1 to ``windows`` windows, in float32 so that nothing is lost on the way."""
    return [np.float32(rng.normal(shift, 1, (rng.integers(1, windows + 1), numbers))) for _ in range(count)]


def options_for(x, y, **options):
    return (
        [sound_of(t) for t in x],
        [sound_of(t) for t in y],
        dict(rate=RATE, embedding=read_back, **options),
    )


def compare(x, y, **options):
    reference, candidate, options = options_for(x, y, **options)
    return metrics.compare(reference, candidate, **options)


def distance(x, y, **options):
    reference, candidate, options = options_for(x, y, **options)
    return metrics.distance(reference, candidate, **options)


def scale_of(x):
    return metrics.divisors(np.concatenate(x))


def file_kernel(a, b, scale):
    """Mean over all pairs of windows of |difference|^(1/2), in plain loops."""
    return float(np.mean([[math.sqrt(np.linalg.norm((u - v) / scale)) for v in b] for u in a]))


def unit_kernel(a, b, scale):
    """Units are lists of files: files weigh alike in a unit, and windows alike in a file."""
    return float(np.mean([[file_kernel(s, t, scale) for t in b] for s in a]))


def literal(x, y, scale, left_out=()):
    """Energy distance of lists of units, without the (i, j) cross pairs in ``left_out``."""
    across = [
        unit_kernel(a, b, scale)
        for (i, a), (j, b) in itertools.product(enumerate(x), enumerate(y))
        if (i, j) not in left_out
    ]
    within = [np.mean([unit_kernel(a, b, scale) for a, b in itertools.permutations(s, 2)]) for s in (x, y)]
    return 2 * float(np.mean(across)) - float(within[0]) - float(within[1])


def alone(files):
    return [[t] for t in files]


def grouped(files, labels):
    return [[t for t, g in zip(files, labels, strict=True) if g == label] for label in sorted(set(labels))]


# The kernel is a difference of float64 products of float32 vectors: a squared distance of order 1 is
# right to 1e-14, and its fourth root to 1e-7 even where two vectors are 1e-7 apart.
EXACT = 1e-7


class TestDefinition:
    @pytest.mark.parametrize("seed", range(4))
    def test_files_of_several_windows(self, seed):
        rng = np.random.default_rng(seed)
        x, y = tables(rng, 5, windows=4), tables(rng, 4, windows=4, shift=0.5)
        assert distance(x, y) == pytest.approx(literal(alone(x), alone(y), scale_of(x)), abs=EXACT)

    def test_groups_of_unequal_size_weigh_alike(self):
        rng = np.random.default_rng(10)
        x, y = tables(rng, 7, windows=3), tables(rng, 6, windows=3, shift=0.5)
        labels = [list("aaabbcd"), list("effggg")]
        expected = literal(grouped(x, labels[0]), grouped(y, labels[1]), scale_of(x))
        found = compare(x, y, groups=tuple(labels))
        assert found.value == pytest.approx(expected, abs=EXACT)
        assert (found.reference.units, found.candidate.units, found.paired) == (4, 3, False)

    def test_groups_of_one_name_leave_the_cross_term(self):
        rng = np.random.default_rng(11)
        x, y = tables(rng, 6), tables(rng, 6, shift=0.5)
        labels = [list("aabbcd"), list("aabbce")]
        # a, b, c are in both; d and e are free.
        expected = literal(
            grouped(x, labels[0]), grouped(y, labels[1]), scale_of(x), {(0, 0), (1, 1), (2, 2)}
        )
        found = compare(x, y, groups=tuple(labels))
        assert found.value == pytest.approx(expected, abs=EXACT) and found.paired
        apart = compare(x, y, groups=tuple(labels), paired=False)
        every = literal(grouped(x, labels[0]), grouped(y, labels[1]), scale_of(x))
        assert apart.value == pytest.approx(every, abs=EXACT) and not apart.paired

    def test_a_copy_is_shared_only_as_often_as_both_sets_hold_it(self):
        """Reference a a b c, candidate a d e: one pair (a, a) leaves, the second a keeps its cross terms."""
        rng = np.random.default_rng(12)
        a, b, c, d, e = tables(rng, 5)
        x, y = [a, a, b, c], [a, d, e]
        expected = literal(alone(x), alone(y), scale_of(x), {(0, 0)})
        found = compare(x, y)
        assert found.value == pytest.approx(expected, abs=EXACT) and found.shared == 1
        assert any("1 files of the reference are copies" in line for line in found.warnings)

    def test_a_candidate_inside_the_reference(self):
        rng = np.random.default_rng(13)
        x = tables(rng, 6)
        expected = literal(alone(x), alone(x[:3]), scale_of(x), {(0, 0), (1, 1), (2, 2)})
        found = compare(x, x[:3])
        assert found.value == pytest.approx(expected, abs=EXACT)
        # All that is left over is in the reference: there is nothing to deal anew, and it is said.
        assert found.p_value == 1.0 and found.verdict == "too few files to tell"

    def test_point_masses(self):
        """Two points 1 apart in their own scale: 2 * 1 - 0 - 0, whatever the numbers of files are."""
        x, y = [[[0.0]]] * 3, [[[1.0]]] * 5
        # Copies are all at one point; a scale without spread is .1 of 1, so 1 becomes 10.
        assert distance(x, y) == pytest.approx(2 * math.sqrt(10), abs=EXACT)

    def test_two_gaussians(self):
        """E|a - b|^(1/2) of normals has a closed form for equal means, and an integral otherwise.

        a - b is normal with variance s^2 + t^2, and E|N(0, v)|^(1/2) = (2 v)^(1/4) gamma(3/4) / sqrt(pi).
        Tolerance: four standard errors, taken from the 200 seeded repetitions themselves; by the normal
        approximation the test would fail for one seed in 16,000.
        """
        same = 2**0.25 * math.gamma(0.75) / math.sqrt(math.pi)  # E|N(0, 1)|^(1/2)

        def expected_root(mean, variance):
            normal = scipy.stats.norm(mean, math.sqrt(variance))
            return normal.expect(
                lambda t: math.sqrt(abs(t)),
                lb=mean - 12 * variance,
                ub=mean + 12 * variance,
                epsabs=1e-10,
            )

        assert expected_root(0, 1) == pytest.approx(same, abs=1e-6)
        mean, sigma = 1.0, 1.5
        truth = 2 * expected_root(mean, 1 + sigma**2) - same * 2**0.25 - same * math.sqrt(sigma) * 2**0.25
        rng = np.random.default_rng(14)
        values = []
        for _ in range(200):
            x, y = rng.normal(0, 1, (12, 1)), rng.normal(mean, sigma, (9, 1))
            # The scale is fitted on x; undone here, because the closed form is for numbers as they are.
            x, y = np.float32(x), np.float32(y)
            values.append(distance(x[:, None], y[:, None]) * math.sqrt(metrics.divisors(x)[0]))
        assert abs(np.mean(values) - truth) < 4 * np.std(values) / math.sqrt(len(values))
        assert truth > 10 * np.std(values) / math.sqrt(len(values))  # so the test can fail


class TestIdentity:
    @settings(max_examples=40)
    @given(
        st.lists(st.integers(0, 5), min_size=2, max_size=7),
        st.integers(1, 4),
        st.sampled_from([None, False, True]),
        st.randoms(use_true_random=False),
    )
    def test_a_set_against_itself(self, chosen, windows, paired, random):
        """Exactly 0 with p = 1, with copies inside, in another order, whatever the numbers are."""
        files = tables(np.random.default_rng(len(chosen)), 6, windows=windows)
        x = [files[i] for i in chosen]
        y = random.sample(x, len(x))
        found = compare(x, y, paired=paired)
        assert (found.value, found.p_value, found.verdict) == (0.0, 1.0, "the same set")
        assert found.shared == len(x)

    def test_a_set_against_itself_in_groups(self):
        x = tables(np.random.default_rng(0), 6, windows=3)
        for groups in (list("aabbcc"), (list("aabbcc"), list("ddeeff"))):
            found = compare(x, x, groups=groups)
            assert (found.value, found.p_value) == (0.0, 1.0)


class TestSymmetry:
    @pytest.mark.parametrize("paired", [False, True])
    def test_both_orders_of_the_bundled_recipe(self, noise, paired):
        """Value, views and, where all deals are tried, p and null spread. The interval is the same
        too: the two sets only change their names, and the level difference its sign."""
        x, y = [noise(i) for i in range(5)], [np.cumsum(noise(20 + i)) / 40 for i in range(5)]
        one, other = (metrics.compare(a, b, rate=RATE, paired=paired) for a, b in ((x, y), (y, x)))
        assert one.exact and other.exact
        assert one.value == pytest.approx(other.value, abs=1e-12)
        assert list(one.views.values()) == pytest.approx(list(other.views.values()), abs=1e-12)
        assert one.p_value == other.p_value
        # Statistics over arrangements are sums of float32 membership tables.
        assert one.null_spread == pytest.approx(other.null_spread, abs=1e-6)
        assert one.interval == pytest.approx(other.interval, abs=1e-9)
        assert one.level_difference_db == pytest.approx(-other.level_difference_db, abs=1e-12)


class TestUnbiased:
    def test_pairs_of_one_source(self):
        """Pairs whose halves are exchangeable: mean of 300 seeded draws within 4 standard errors of 0
        (one seed in 16,000 fails), and without leaving the pairs out it would not be."""
        rng = np.random.default_rng(30)
        kept, every = [], []
        for _ in range(300):
            common = rng.normal(0, 1, (6, 2))
            x, y = (np.float32(common + rng.normal(0, 0.3, (6, 2))) for _ in "xy")
            kept.append(distance(x[:, None], y[:, None], paired=True))
            every.append(distance(x[:, None], y[:, None], paired=False))
        assert abs(np.mean(kept)) < 4 * np.std(kept) / math.sqrt(300)
        assert np.mean(every) < -4 * np.std(every) / math.sqrt(300)

    def test_groups_of_one_source(self):
        """Groups of unequal size with a strong effect of the group, both sets from one source: the same
        bound, and the same odds of failing."""
        rng = np.random.default_rng(31)
        labels = [list("aaabbcd"), list("eeffggh")]
        values = []
        for _ in range(300):
            sides = []
            for names in labels:
                effect = {name: rng.normal(0, 2, 2) for name in set(names)}
                sides.append([np.float32([effect[name] + rng.normal(0, 0.5, 2)]) for name in names])
            values.append(distance(*sides, groups=tuple(labels)))
        assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(300)


def memberships(n, m, pairs=(), shared=()):
    """Every allowed (reference, candidate) split of units 0..n-1 and n..n+m-1, the observed one first."""
    left = [a for a, _ in pairs]
    right = [b for _, b in pairs]
    dropped = {b for _, b in shared}
    free = [u for u in range(n + m) if u not in {*left, *right, *dropped} | {a for a, _ in shared}]
    mine = [u for u in free if u < n]
    found = []
    for swap in itertools.product((False, True), repeat=len(pairs)):
        for deal in itertools.combinations(free, len(mine)):
            x = [b if s else a for s, (a, b) in zip(swap, pairs, strict=True)] + list(deal)
            y = [a if s else b for s, (a, b) in zip(swap, pairs, strict=True)]
            y += [u for u in free if u not in deal]
            both = [a for a, _ in shared]
            found.append((x + both, y + both, swap, deal))
    found.sort(key=lambda f: (any(f[2]), list(f[3]) != mine))
    return [(x, y) for x, y, *_ in found]


def literal_test(units, splits, pairs=()):
    """The p-value with every split's statistic from its definition, matching and descriptions included.

    ``units`` are lists of files; those that are in no split are copies of others.
    """
    made = []
    for number, files in enumerate(units):
        sounds = [recipe.Sound("", recipe.digest(sound_of(t), RATE), t) for t in files]
        sounds.sort(key=lambda sound: sound.content)
        side = sum(which * (number in split) for which, split in zip((1, 2), splits[0], strict=True))
        made.append(recipe.Unit(tuple(sorted(s.content for s in sounds)), side, str(number), sounds))
    for a, b in pairs:
        made[a].partner, made[b].partner = made[b], made[a]
    ordered = sorted((unit for unit in made if unit.side), key=lambda unit: unit.content)
    place = {int(unit.name): position for position, unit in enumerate(ordered)}
    deals = [([place[u] for u in x], [place[u] for u in y]) for x, y in splits]
    return recipe.p_value(ordered, {"embedding": lambda row: row}, deals)


class TestExactPermutation:
    @pytest.mark.parametrize(("n", "m"), [(2, 3), (3, 3), (4, 3), (3, 5)])
    @pytest.mark.parametrize("seed", [0, 1])
    def test_files_of_several_windows(self, n, m, seed):
        rng = np.random.default_rng(seed)
        x, y = tables(rng, n, windows=3), tables(rng, m, windows=3, shift=0.7)
        found = compare(x, y, paired=False)
        assert found.exact and found.permutations == math.comb(n + m, n)
        splits = memberships(n, m)
        assert found.p_value == pytest.approx(literal_test(alone(x + y), splits), abs=1e-12)
        scale = scale_of(x)
        null = [
            literal(alone([(x + y)[u] for u in a]), alone([(x + y)[u] for u in b]), scale) for a, b in splits
        ]
        # Memberships and counts are float32 tables: six digits of a value of order 1.
        assert found.null_spread == pytest.approx(np.std(null), abs=1e-5)

    @pytest.mark.parametrize("seed", [2, 3])
    def test_swaps_of_pairs(self, seed):
        rng = np.random.default_rng(seed)
        x = tables(rng, 4)
        y = [t + np.float32(rng.normal(0.4, 0.3, t.shape)) for t in x]
        found = compare(x, y, paired=True)
        pairs = [(i, i + 4) for i in range(4)]
        expected = literal_test(alone(x + y), memberships(4, 4, pairs), pairs)
        assert found.exact and found.permutations == 16
        assert found.p_value == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize("seed", [4, 5])
    def test_groups_some_of_them_in_both(self, seed):
        """Groups a and b are swapped, c, d and e dealt anew: 4 * 3 rearrangements."""
        rng = np.random.default_rng(seed)
        x, y = tables(rng, 5, windows=2), tables(rng, 6, windows=2, shift=0.7)
        labels = [list("aabbc"), list("aabded")]
        units = [*grouped(x, labels[0]), *grouped(y, labels[1])]  # a b c | a b d e
        pairs = [(0, 3), (1, 4)]
        found = compare(x, y, groups=tuple(labels))
        assert found.exact and found.permutations == 4 * math.comb(3, 1)
        expected = literal_test(units, memberships(3, 4, pairs), pairs)
        assert found.p_value == pytest.approx(expected, abs=1e-12)

    def test_shared_files_stay_in_both(self):
        rng = np.random.default_rng(6)
        x, y = tables(rng, 4), tables(rng, 3, shift=0.7)
        y = [*y, x[0]]
        found = compare(x, y)
        assert found.exact and found.permutations == math.comb(6, 3)
        expected = literal_test(alone(x + y), memberships(4, 4, shared=[(0, 7)]))
        assert found.p_value == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize(
        ("n", "m", "options", "smallest"),
        [
            (2, 2, {}, 2 / 6),
            (2, 3, {}, 1 / 10),
            (3, 3, {}, 2 / 20),
            (4, 4, {}, 2 / 70),
            (4, 4, {"paired": True}, 2 / 16),
            (6, 6, {"paired": True}, 2 / 64),
            (8, 8, {"permutations": 99}, 1 / 100),
            (6, 6, {"groups": (list("aabbcc"), list("ddeeff"))}, 2 / 20),
        ],
    )
    def test_the_smallest_p_is_said_and_reached(self, n, m, options, smallest):
        """Sets far apart get exactly the smallest p-value; above .05 the result says so in words.

        A split and its mirror image have one statistic when both sets are of one size: hence the 2.
        """
        rng = np.random.default_rng(7)
        x, y = tables(rng, n), tables(rng, m, shift=100)
        found = compare(x, y, **{"paired": False, **options})
        assert found.smallest_p == pytest.approx(smallest)
        assert found.p_value == pytest.approx(smallest)
        warned = any("no p-value below" in line for line in found.warnings)
        assert warned == (smallest > 0.05) == (found.verdict == "too few files to tell")

    def test_the_seed_decides_a_random_test_and_nothing_else(self):
        rng = np.random.default_rng(8)
        x, y = tables(rng, 9), tables(rng, 9, shift=0.4)
        runs = [compare(x, y, paired=False, permutations=199, seed=seed) for seed in (0, 0, 1)]
        assert runs[0] == runs[1] and not runs[0].exact and runs[0].permutations == 199
        assert runs[0].null_spread != runs[2].null_spread
        assert (runs[0].value, runs[0].interval) == (runs[2].value, runs[2].interval)


class TestFalseAlarms:
    """400 seeded null draws at 5 %: 20 alarms are expected of an exact test, and more than 36 have
    probability .0003 (binomial). fewer than 6 have probability
    .00005: a test that never alarms fails too."""

    def alarms(self, draw, **options):
        count = 0
        for trial in range(400):
            x, y = draw(np.random.default_rng([40, trial]))
            pool, _, _ = units.make_pool(
                *(self.loaded(side, role) for role, side in (("r", x), ("c", y))),
                **{"groups": None, "paired": False, **options},
            )
            count += permuted(pool, seed=trial).p_value <= 0.05
        return count

    def loaded(self, side, role):
        """A set as it is after reading; the content names the draw, as a digest would."""
        return description.SoundSet(
            role,
            tuple(
                description.Sound(f"{i:02d}", content, RATE, 1.0, 1.0, -20.0, t)
                for i, t in enumerate(side)
                for content in [hashlib.sha256(t.tobytes()).hexdigest()]
            ),
            (),
            0,
        )

    def test_files_whose_windows_are_nearly_alike(self):
        """Windows of a file share most of what they are: permuting them would raise alarms always."""

        def draw(rng):
            return [
                [
                    np.float32(rng.standard_t(3, 3) + rng.normal(0, 0.1, (rng.integers(1, 6), 3)))
                    for _ in range(n)
                ]
                for n in (8, 6)
            ]

        assert 6 <= self.alarms(draw) <= 36

    def test_groups(self):
        labels = (list("aabbccddeeff"), list("gghhiijjkkll"))

        def draw(rng):
            sides = []
            for names in labels:
                effect = {name: rng.normal(0, 2, 3) for name in sorted(set(names))}
                sides.append([np.float32([effect[name] + rng.normal(0, 0.3, 3)]) for name in names])
            return sides

        assert 6 <= self.alarms(draw, groups=labels) <= 36
        # Dealing the files as if each were a draw is wrong, and the same data show it.
        assert self.alarms(draw) > 60

    def test_groups_in_both_sets_are_swapped(self):
        labels = list("aabbccddeeffgg")

        def draw(rng):
            effect = {name: rng.normal(0, 2, 3) for name in sorted(set(labels))}
            return [[np.float32([effect[name] + rng.normal(0, 0.5, 3)]) for name in labels] for _ in "xy"]

        assert 6 <= self.alarms(draw, groups=labels, paired=None) <= 36


class TestParts:
    SETS: ClassVar = {
        "files": dict(n=5, m=4),
        "pairs": dict(n=5, m=5, paired=True),
        "groups": dict(n=7, m=6, groups=(list("aabbcdd"), list("aaeffb"))),
        "shared": dict(n=5, m=4, shared=2),
    }

    def make(self, *, n, m, shared=0, **options):
        rng = np.random.default_rng(50)
        x, y = tables(rng, n, windows=3), tables(rng, m, windows=3, shift=0.5)
        y[:shared] = x[:shared]
        return x, y, options

    @pytest.mark.parametrize("kind", SETS)
    def test_contributions_of_the_candidates_average_to_the_value(self, kind):
        x, y, options = self.make(**self.SETS[kind])
        found = compare(x, y, **options)
        parts = [unit.value for unit in found.units]
        assert np.mean(parts) == pytest.approx(found.value, abs=1e-12)
        assert parts == sorted(parts, reverse=True) and len(parts) == found.candidate.units
        assert list(found.views) == ["embedding"] and found.bands == ()

    def test_the_farthest_candidate_is_named_first(self):
        rng = np.random.default_rng(51)
        y = tables(rng, 5)
        y[3] = y[3] + 50
        assert compare(tables(rng, 6), y, paired=False).units[0].name == "[3]"

    @pytest.mark.parametrize("kind", SETS)
    def test_the_value_without_a_unit_is_that_of_the_smaller_sets(self, kind, monkeypatch):
        """Each leave-one-out value against sets from which the files are really taken away."""
        x, y, options = self.make(**self.SETS[kind])
        found = compare(x, y, **options)
        # The scale belongs to the whole reference: taking a file away must not change it.
        scale = scale_of(x)
        monkeypatch.setattr(sys.modules["audio_distance.distance"], "own_scale", lambda loaded: scale)
        groups = options.get("groups") or tuple([f"[{i}]" for i in range(len(s))] for s in (x, y))
        shared = self.SETS[kind].get("shared", 0)
        joint = set(groups[0]) & set(groups[1]) if kind in {"pairs", "groups"} else set(groups[1][:shared])
        assert len(found.leave_one_out) == len(set(groups[0])) + len(set(groups[1]) - joint)
        for (role, name), value in found.leave_one_out.items():
            out = [
                {i for i, g in enumerate(side) if g == name and (role == own or name in joint)}
                for own, side in zip(("reference", "candidate"), groups, strict=True)
            ]
            rest = [[t for i, t in enumerate(s) if i not in o] for s, o in zip((x, y), out, strict=True)]
            labels = tuple(
                [g for i, g in enumerate(s) if i not in o] for s, o in zip(groups, out, strict=True)
            )
            again = dict(options, groups=labels) if kind == "groups" else options
            assert distance(*rest, **again) == pytest.approx(value, abs=EXACT), (role, name)

    def test_interval_is_the_jackknife_with_t(self):
        """(n - 1) / n times the sum of squares in each set, degrees of freedom after Welch; of 3 files in the
        smaller set no skewness is believed."""
        x, y, _ = self.make(n=6, m=3)
        found = compare(x, y, paired=False)
        sides = [
            np.array([v for (own, _), v in found.leave_one_out.items() if own == role])
            for role in ("reference", "candidate")
        ]
        parts = [(len(s) - 1) / len(s) * ((s - s.mean()) ** 2).sum() for s in sides]
        freedom = sum(parts) ** 2 / sum(p**2 / (len(s) - 1) for p, s in zip(parts, sides, strict=True))
        half = scipy.stats.t.ppf(0.975, freedom) * math.sqrt(sum(parts))
        assert found.interval == pytest.approx((found.value - half, found.value + half), abs=1e-9)

    def test_interval_holds_the_truth_often_enough(self):
        """Two normals a unit apart in each of two numbers: of 200 seeded intervals at 95 %, fewer than 176
        (88 %) hold the truth with probability .00003, if 95 % of all intervals do."""
        rng = np.random.default_rng(52)
        many = [
            value_of(pool_of_vectors(rng.normal(0, 1, (400, 2)), rng.normal(1, 1, (400, 2))))
            for _ in range(20)
        ]
        truth, held = np.mean(many), 0
        for _ in range(200):
            pool = pool_of_vectors(rng.normal(0, 1, (15, 2)), rng.normal(1, 1, (15, 2)))
            low, high = observed(pool).interval
            held += low <= truth <= high
        assert held >= 176

    def test_level_interval_is_welchs(self, noise):
        x = [noise(i) * (0.5 + i / 10) for i in range(5)]
        y = [noise(i + 10) * (0.3 + i / 10) for i in range(4)]
        found = metrics.compare(x, y, rate=RATE, paired=False)
        levels = [[metrics.prepare(s, RATE)[1] for s in side] for side in (x, y)]
        welch = scipy.stats.ttest_ind(levels[1], levels[0], equal_var=False).confidence_interval(0.95)
        assert found.level_difference_db == pytest.approx(np.mean(levels[1]) - np.mean(levels[0]), abs=1e-12)
        assert found.level_interval_db == pytest.approx((welch.low, welch.high), abs=1e-9)

    @pytest.mark.parametrize("options", [{}, {"groups": (list("aabbc"), list("aaded"))}, {"paired": True}])
    def test_bands_add_up_to_the_envelope(self, noise, options):
        """Files of several windows, groups, pairs; the clamp of a squared distance at 1e-12 moves
        coinciding windows by 1e-3 at most, and there are none."""
        x, y = ([noise(s + i, seconds=1.8) for i in range(5)] for s in (0, 10))
        found = metrics.compare(x, y, rate=RATE, **options)
        assert sum(band.value for band in found.bands) == pytest.approx(found.views["envelope"], abs=1e-6)
        assert np.mean(list(found.views.values())) == pytest.approx(found.value, abs=1e-12)
        assert len(found.bands) == metrics.ENVELOPE_BANDS

    def test_a_tone_shows_in_its_band(self, noise):
        tone = 0.5 * np.sin(2 * np.pi * 2000 * np.arange(4800) / RATE)
        found = metrics.compare(
            [noise(i) for i in range(6)],
            [noise(i + 10) + tone for i in range(6)],
            rate=RATE,
            paired=False,
        )
        largest = max(found.bands, key=lambda band: band.value)
        low, high = map(float, largest.name.removesuffix(" Hz").split("-"))
        assert low < 2000 < high

    def test_bands_of_large_sets_use_some_units(self, noise, monkeypatch):
        """With a limit of three units a side, the shares add up to the value of those units alone."""
        x, y = ([noise(s + i) for i in range(4)] for s in (0, 10))
        monkeypatch.setattr(energy, "BAND_UNITS", 3)
        found = metrics.compare(x, y, rate=RATE, paired=False)
        candidates = [
            metrics.compare(a, b, rate=RATE, paired=False).views["envelope"]
            for a in map(list, itertools.combinations(x, 3))
            for b in map(list, itertools.combinations(y, 3))
        ]
        assert np.min(np.abs(np.array(candidates) - sum(band.value for band in found.bands))) < 1e-6

    @pytest.mark.parametrize("last", [2, 3])
    def test_bands_of_many_windows_are_those_of_some_of_every_unit(self, last, monkeypatch):
        """Up to four windows a unit and side all count, above it a part of them; the parts add up to the
        value of the envelope on these."""
        rng = np.random.default_rng(53)
        scale, _ = metrics.constants()
        windows = [2, 3, 1, last]
        vectors = scale * rng.normal(size=(sum(windows), len(scale)))
        pool = dataclasses.replace(
            pool_of_vectors(vectors[:2], vectors[2:4]),
            vectors=vectors,
            starts=np.cumsum([0, *windows[:-1]]),
            weights=np.repeat(1 / np.array(windows), windows),
            files=np.repeat(np.arange(4), windows),
        )
        monkeypatch.setattr(energy, "BAND_UNITS", 2)
        rows, weights = units.window_parts(pool, 8)[0]
        assert len(rows) == (8 if last == 2 else 6)
        part = dataclasses.replace(
            pool,
            vectors=vectors[rows],
            starts=np.searchsorted(rows, pool.starts),
            weights=weights,
            files=pool.files[rows],
        )
        found = sum(band.value for band in energy.band_contributions(pool))
        assert found == pytest.approx(energy.observe(energy.view_kernels(part), part).views[0], abs=1e-6)

    def test_standardised_numbers_by_their_formula(self):
        """Standard deviation and a tenth of the median one; so divided that two rows are about 1 apart."""
        rng = np.random.default_rng(54)
        view, weights = rng.normal(3, [0.1, 1, 1, 2, 5], (12, 5)), rng.dirichlet(np.ones(12))
        spread = np.sqrt(np.diag(np.cov(view.T, aweights=weights, ddof=0)))
        expected = (view - np.average(view, axis=0, weights=weights)) / np.hypot(
            spread, 0.1 * np.median(spread)
        )
        found = pooling.standardise(view, weights)
        assert found == pytest.approx(expected / math.sqrt(2 * 5), abs=1e-12)
        assert not pooling.standardise(np.zeros((12, 5)), weights).any()

    @pytest.mark.parametrize("rows", [4, 12])  # fewer than the numbers, and more
    @pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
    def test_whitened_numbers_by_their_formula(self, rows, scale):
        """Two components vary, and the others are rounding at any scale; whichever way the axes point."""
        rng = np.random.default_rng(55)
        weights = rng.dirichlet(np.ones(rows))
        view = scale * rng.normal(size=(rows, 2)) @ rng.normal(size=(2, 6))
        centred = view - np.average(view, axis=0, weights=weights)
        variance, axes = np.linalg.eigh(np.cov(view.T, aweights=weights, ddof=0))
        scores = (
            centred @ axes[:, -2:] / np.sqrt(variance[-2:] + 0.1 * variance[-2:].mean()) / math.sqrt(2 * 2)
        )
        found, back = pooling.whiten(view, weights, ridge=0.1)
        assert found.shape == (rows, 2) and back.shape == (6, 2)
        assert found @ found.T == pytest.approx(scores @ scores.T, abs=1e-9)
        assert back.T @ back == pytest.approx(np.eye(2), abs=1e-9)
        # Turned back they are as far apart, and lie in the directions of the numbers that vary.
        assert found @ back.T == pytest.approx(scores @ axes[:, -2:].T, abs=1e-9)
        still, nowhere = pooling.whiten(np.zeros((rows, 6)), weights, ridge=0.1)
        assert still.shape == (rows, 1) and nowhere.shape == (6, 1) and not still.any() and not nowhere.any()

    @pytest.mark.parametrize("rows", [4, 6, 7, 20])
    def test_the_quick_way_to_whitened_windows_leaves_them_as_far_apart(self, rows):
        """By Cholesky's factor with more windows than numbers; a number that never changes is no number."""
        rng = np.random.default_rng(56)
        weights = rng.dirichlet(np.ones(rows))
        view = rng.normal(size=(rows, 6)) @ rng.normal(size=(6, 6))
        view[:, 2] = 1.5
        expected = np.array(recipe.whiten(list(view), weights, 0.01))
        for found in (pooling.whitened(view, weights), pooling.whiten(view, weights, ridge=0.01)[0]):
            gaps, same = (np.linalg.norm(table[:, None] - table, axis=2) for table in (found, expected))
            assert gaps == pytest.approx(same, abs=1e-9)
        still = pooling.whitened(np.zeros((rows, 3)), weights)
        assert still.shape == (rows, 1) and not still.any()


class TestChunks:
    @pytest.mark.parametrize("elements", [1, 37, 400])
    @pytest.mark.parametrize("kind", TestParts.SETS)
    def test_any_size_of_a_chunk_gives_the_same(self, kind, elements, monkeypatch):
        """Chunks that cut through files, groups and pairs; the same sums in another order."""
        x, y, options = TestParts().make(**TestParts.SETS[kind])
        dense = compare(x, y, **options)
        monkeypatch.setattr(kernel, "CHUNK_ELEMENTS", elements)
        chunked = compare(x, y, **options)
        assert chunked.value == pytest.approx(dense.value, abs=1e-12)
        assert chunked.interval == pytest.approx(dense.interval, abs=1e-9)
        assert chunked.p_value == dense.p_value
        assert chunked.null_spread == pytest.approx(dense.null_spread, abs=1e-6)

    @pytest.mark.parametrize("kind", TestParts.SETS)
    def test_float32_agrees_with_float64(self, kind, monkeypatch):
        """A squared distance near 1 is right to 8 * 2^-24 of the largest norm (about 30 here), its
        fourth root to a quarter of that: 4e-6."""
        x, y, options = TestParts().make(**TestParts.SETS[kind])
        dense = compare(x, y, **options)
        monkeypatch.setattr(kernel, "DENSE_WINDOWS", 1)
        single = compare(x, y, **options)
        assert single.value == pytest.approx(dense.value, abs=1e-5)
        assert single.p_value == dense.p_value

    @pytest.mark.parametrize("elements", [1, 37, 400])
    def test_every_arrangement_has_the_value_of_its_sets(self, elements, monkeypatch):
        """The values themselves: the test's p and spread would not show what is added to all of them."""
        monkeypatch.setattr(kernel, "CHUNK_ELEMENTS", elements)
        rng = np.random.default_rng(61)
        pool = pool_of_vectors(rng.normal(0, 1, (5, 3)), rng.normal(1, 1, (4, 3)))
        members, exact = resampling.arrangements(pool, 29, 0)
        assert members.shape == (9, 30) and not exact
        found = resampling.arranged_values(kernels_of(pool)[0], pool, members)
        dealt = [dataclasses.replace(pool, members=np.where(column, 1, 2)) for column in members.T]
        assert found == pytest.approx([value_of(one) for one in dealt], abs=1e-12)

    @pytest.mark.parametrize("count", [1, 5, 6, 7, 11, 12, 1000])
    def test_every_arrangement_is_in_one_chunk(self, count):
        chunks = resampling.chunks(count, 6)
        sizes = [len(range(count)[chunk]) for chunk in chunks]
        assert np.concatenate([np.arange(count)[chunk] for chunk in chunks]).tolist() == [*range(count)]
        assert all(6 <= size < 12 for size in sizes) or sizes == [count]

    @pytest.mark.parametrize("chunk", [1, 7, 64])
    @pytest.mark.parametrize("kind", TestParts.SETS)
    def test_chunks_of_arrangements_change_nothing(self, kind, chunk, monkeypatch):
        x, y, options = TestParts().make(**TestParts.SETS[kind])
        whole = compare(x, y, **options)
        monkeypatch.setattr(resampling, "CHUNK", chunk)
        chunked = compare(x, y, **options)
        assert chunked.p_value == whole.p_value and chunked.value == whole.value
        assert chunked.null_distribution == pytest.approx(whole.null_distribution, abs=1e-9)
        assert chunked.scores == pytest.approx(whole.scores, abs=1e-9)

    def test_differences_are_those_of_every_arrangement(self):
        """Few can be told apart here, and each is made once."""
        rng = np.random.default_rng(62)
        means, sets = rng.normal(size=(7, 4)), np.array([1, 1, 2, 2, 1, 2, 3])
        pool = dataclasses.replace(
            pool_of_vectors(means[:3], means[3:]), members=sets, partner=np.array([2, -1, 0, -1, -1, -1, -1])
        )
        dealt, _ = resampling.arrangements(pool, 99, 1, block=0)
        members, place = resampling._distinct(dealt)
        assert members.shape[1] < len(place) == 100
        moving = pooling.moving_parts(means, sets=sets, partner=pool.partner)
        found = resampling.Differences(moving, members, place)
        expected = pooling.differences(means, dealt, sets=sets, partner=pool.partner)
        assert found.shape == expected.shape
        # Two that differ, of which the second is the first to have been met.
        again = 50 + int(np.flatnonzero(np.diff(place[50:]) < 0)[0])
        for rows in (slice(0, 100), slice(0, 9), slice(50, 51), slice(again, again + 2)):
            assert found[rows] == pytest.approx(expected[rows], abs=1e-12)

    def test_identity_holds_in_float32(self, monkeypatch):
        monkeypatch.setattr(kernel, "DENSE_WINDOWS", 1)
        x = tables(np.random.default_rng(60), 6, windows=3)
        assert distance([*x, x[0]], [x[0], *x]) == 0.0


class TestDifference:
    @pytest.fixture
    def three(self):
        rng = np.random.default_rng(70)
        reference, near, far = (tables(rng, 8, shift=shift) for shift in (0, 0.3, 3.0))
        sides = {k: [sound_of(t) for t in v] for k, v in {"near": near, "far": far}.items()}
        return metrics.compare_each(
            [sound_of(t) for t in reference], sides, rate=RATE, embedding=read_back, paired=False
        )

    def test_the_closer_candidate_is_below_zero(self, three):
        found = metrics.difference(three["near"], three["far"])
        assert found.value < 0 and found.interval[1] < 0 and found.p_value < 0.01

    def test_is_antisymmetric(self, three):
        one = metrics.difference(three["near"], three["far"])
        other = metrics.difference(three["far"], three["near"])
        assert one.value == -other.value and one.p_value == pytest.approx(other.p_value, abs=1e-12)
        assert one.interval == pytest.approx((-other.interval[1], -other.interval[0]), abs=1e-12)

    def test_of_a_candidate_and_itself(self, three):
        found = metrics.difference(three["far"], three["far"])
        assert (found.value, found.interval, found.p_value) == (0.0, (0.0, 0.0), 1.0)

    def test_needs_one_reference_and_one_recipe(self, three, noise):
        with pytest.raises(metrics.AudioError, match="compare_each"):
            metrics.difference(
                three["near"],
                metrics.compare([noise(i) for i in range(3)], [noise(9), noise(8)], rate=RATE),
            )
        small = compare(tables(np.random.default_rng(1), 2), tables(np.random.default_rng(2), 3))
        same = dataclasses.replace(small, bandwidth_hz=three["near"].bandwidth_hz)
        with pytest.raises(metrics.AudioError, match="at least 3 units"):
            metrics.difference(three["near"], same)


class TestResult:
    def test_is_frozen_and_plain(self, noise):
        found = metrics.compare([noise(i) for i in range(4)], [noise(i + 9) for i in range(3)], rate=RATE)
        with pytest.raises(dataclasses.FrozenInstanceError):
            found.value = 0.0
        plain = found.to_dict()
        # Strict JSON: neither NaN nor Infinity.
        assert json.loads(json.dumps(plain, allow_nan=False))["value"] == found.value
        assert plain["verdict"] == found.verdict and "leave_one_out" not in plain
        assert f"distance {found.value:.3f}" in str(found)

    def test_own_embedding_is_said(self):
        rng = np.random.default_rng(80)
        assert "scaled on the reference" in compare(tables(rng, 3), tables(rng, 3)).recipe
