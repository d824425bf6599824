"""Pooled descriptions and their statistics: closed forms, every arrangement there is, degenerate input."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import metrics
from audio_distance import pooling, views
from audio_distance.transforms import mel_edges


def weighted(rng, windows):
    """Starts of units of so many windows, and weights that sum to 1."""
    counts = np.asarray(windows)
    weights = np.concatenate([rng.dirichlet(np.ones(count)) for count in counts]) / len(counts)
    return np.cumsum(counts) - counts, weights


def arranged(members):
    """Every arrangement of units that are 1 or 2 in ``members``, the observed one first."""
    n, units = int((members == 1).sum()), len(members)
    every = [np.isin(np.arange(units), chosen) for chosen in itertools.combinations(range(units), n)]
    return np.stack(sorted(every, key=lambda one: not np.array_equal(one, members == 1)), axis=1).astype("f4")


class TestUsable:
    @pytest.mark.parametrize("rate", [24_200, 44_100, 192_000])
    def test_everything_at_full_bandwidth(self, rate):
        found = pooling.usable_numbers(rate)
        assert list(found) == list(views.PARTS)
        # But for the bins of 0 and 21.5 Hz.
        assert np.array_equal(np.concatenate(list(found.values())), np.delete(np.arange(1799), [1032, 1033]))

    @pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 16_000, 22_050, 24_100])
    def test_names_end_below_the_safe_frequency(self, rate):
        """By the names of the numbers, which say up to where each hears."""
        names, top = views.number_names(), pooling.SAFE * rate / 2
        for part, columns in pooling.usable_numbers(rate).items():
            place = views.COLUMNS[part]
            for i in range(place.start, place.stop):
                spectral = names[i].startswith("spectrum")
                words = [word for word in names[i].replace(",", "").split() if word[0].isdigit()]
                if part == "amplitude":
                    assert i in columns
                    continue
                bands = [word for word in words if "-" in word]
                hears = float(words[0]) if spectral else float(bands[-1].split("-")[1])
                if abs(hears - top) > 1:  # names are rounded
                    assert (i in columns) == (hears < top and not (spectral and hears < 30)), names[i]

    def test_a_part_without_numbers_is_left_out(self):
        """At 500 Hz nothing of the fine structure ends below 228 Hz, and a few bins of the spectrum do."""
        found = pooling.usable_numbers(500)
        assert all(len(columns) for columns in found.values())
        assert "fine structure" not in found and len(found["spectrum"]) == 9
        assert mel_edges(24)[2] > pooling.SAFE * 250


class TestStandardise:
    def test_spread_and_centre(self):
        """All spreads alike: each number has the mean 0 and, with the floor, the variance 1 / 1.01 / 2d."""
        rng = np.random.default_rng(0)
        _, weights = weighted(rng, [2, 3, 1, 4])
        rows = rng.normal(size=(10, 6))
        rows = (rows - weights @ rows) / np.sqrt(weights @ (rows - weights @ rows) ** 2) * 7 + 100
        found = pooling.standardise(rows, weights)
        np.testing.assert_allclose(weights @ found, 0, atol=1e-13)
        np.testing.assert_allclose(weights @ found**2, 1 / 1.01 / 12, rtol=1e-10)

    def test_a_number_that_hardly_varies_counts_little(self):
        rng = np.random.default_rng(1)
        rows = rng.normal(size=(50, 5)) * [1, 1, 1, 1, 1e-3]
        found = pooling.standardise(rows, np.full(50, 1 / 50))
        assert found[:, 4].std() < 0.02 * found[:, 0].std()

    def test_numbers_that_only_round_are_zero(self):
        """Also most of them beside one that varies: the typical spread is then that of the one."""
        rows = np.full((7, 3), 0.1, np.float32).astype(float)
        rows[3, 1] = np.nextafter(np.float32(0.1), np.float32(1))
        rows[:, 2] = np.arange(7)
        found = pooling.standardise(rows, np.full(7, 1 / 7))
        assert not found[:, :2].any()
        np.testing.assert_allclose((found[:, 2] ** 2).mean(), 1 / 1.01 / 6, rtol=1e-9)


class TestWhiten:
    @pytest.mark.parametrize("numbers", [3, 40])  # fewer and more than windows: either Gram matrix
    def test_is_the_covariance_s_inverse_root(self, numbers):
        """Distances between the scores are Mahalanobis' with the ridge, by the definition."""
        rng = np.random.default_rng(2)
        _, weights = weighted(rng, [1, 2, 3, 1, 5])
        rows = rng.normal(size=(12, numbers)) @ rng.normal(size=(numbers, numbers))
        scores, axes = pooling.whiten(rows, weights, ridge=0.2)
        centred = rows - weights @ rows
        covariance = (weights[:, None] * centred).T @ centred
        variance, vectors = np.linalg.eigh(covariance)
        variance, vectors = variance[variance > 1e-9], vectors[:, variance > 1e-9]
        expected = centred @ vectors / np.sqrt((variance + 0.2 * variance.mean()) * 2 * len(variance))
        gram = [table @ table.T for table in (scores, expected)]  # free of signs and order
        np.testing.assert_allclose(*gram, atol=1e-9)
        np.testing.assert_allclose(axes.T @ axes, np.eye(scores.shape[1]), atol=1e-9)

    @pytest.mark.parametrize("numbers", [3, 40])
    def test_scores_and_axes_turn_back(self, numbers):
        """Without a ridge, by the deviations again, the numbers themselves."""
        rng = np.random.default_rng(3)
        weights = np.full(12, 1 / 12)
        rows = rng.normal(size=(12, numbers))
        scores, axes = pooling.whiten(rows, weights, ridge=0.0)
        deviations = np.sqrt(weights @ ((rows - weights @ rows) @ axes) ** 2 * 2 * scores.shape[1])
        np.testing.assert_allclose(scores * deviations @ axes.T, rows - weights @ rows, atol=1e-10)

    def test_a_large_ridge_is_no_whitening(self):
        """Then all directions are divided alike, and distances are the plain ones but for a factor."""
        rng = np.random.default_rng(4)
        rows = rng.normal(size=(30, 4)) * [1, 2, 3, 4]
        scores, axes = pooling.whiten(rows, np.full(30, 1 / 30), ridge=1e9)
        plain = rows - rows.mean(axis=0)
        ratio = (scores @ axes.T) / plain
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-6)

    def test_scores_are_about_1_apart(self):
        """The mean squared distance of two windows is sum v / (v + ridge) / components, at most 1."""
        rng = np.random.default_rng(5)
        rows = rng.normal(size=(400, 10))
        scores, _ = pooling.whiten(rows, np.full(400, 1 / 400), ridge=0.01)
        squared = ((scores[:, None] - scores) ** 2).sum(axis=2).mean()
        assert squared == pytest.approx(1 / 1.01, rel=0.01)

    @pytest.mark.parametrize("shape", [(5, 3), (3, 5), (1, 1)])
    def test_where_nothing_varies(self, shape):
        weights = np.full(shape[0], 1 / shape[0])
        scores, axes = pooling.whiten(np.full(shape, 3.0), weights, ridge=0.1)
        assert scores.shape == (shape[0], 1) and axes.shape == (shape[1], 1)
        assert not scores.any() and not axes.any()
        assert not pooling.whitened(np.full(shape, 3.0), weights).any()

    def test_by_a_factor_distances_are_those_of_the_axes(self):
        """More windows than numbers: Cholesky in place of eigenvectors, one ridge."""
        rng = np.random.default_rng(6)
        _, weights = weighted(rng, [3] * 20)
        rows = rng.normal(size=(60, 8)) @ rng.normal(size=(8, 8))
        scores = [pooling.whiten(rows, weights, ridge=0.05)[0], pooling.whitened(rows, weights, ridge=0.05)]
        distances = [np.linalg.norm(s[:, None] - s, axis=2) for s in scores]
        np.testing.assert_allclose(*distances, rtol=1e-8, atol=1e-10)


class TestFamilies:
    @pytest.fixture
    def made(self):
        rng = np.random.default_rng(7)
        windows = [1, 3, 2, 1, 4, 1]
        starts, weights = weighted(rng, windows)
        vectors = rng.normal(size=(12, 1799)).astype(np.float32) * np.linspace(0.1, 3, 1799)
        return np.float32(vectors), weights, starts

    def test_what_there_is(self, made):
        vectors, _, starts = made
        found = pooling.families(*made, pooling.usable_numbers(44_100))
        assert [v.shape[1] for v in found.described["standardised"]] == list(metrics.VIEWS.values())
        assert [len(v) for v in found.described["whitened"]] == [len(vectors)]
        assert {name: table.shape for name, table in found.numbers.items()} == {
            "plain": (len(starts), 1797),  # without two bins below 30 Hz
            "freed": (len(starts), 1797 - 120),  # nor the attack
        }

    def test_plain_numbers_are_means_of_standardised_ones_in_the_order_of_their_names(self, made):
        vectors, weights, starts = made
        parts = pooling.usable_numbers(16_000)
        found = pooling.families(*made, parts).numbers["plain"]
        for place, column in ((0, parts["envelope"][0]), (-1, parts["skewness"][-1])):
            part = next(columns for columns in parts.values() if column in columns)
            own = pooling.standardise(vectors[:, part].astype(float), weights)[:, list(part).index(column)]
            expected = np.add.reduceat(own * weights, starts) / np.add.reduceat(weights, starts)
            np.testing.assert_allclose(found[:, place], expected, rtol=1e-9, atol=1e-12)

    def test_freed_numbers_are_means_of_whitened_windows_turned_back(self, made):
        vectors, weights, starts = made
        parts = {"envelope": np.arange(480)}
        found = pooling.families(*made, parts).numbers["freed"]
        own = pooling.standardise(vectors[:, :480].astype(float), weights)
        scores, axes = pooling.whiten(own, weights, ridge=pooling.FREED_RIDGE)
        rows = (scores @ axes.T) * weights[:, None]
        expected = np.add.reduceat(rows, starts) / np.add.reduceat(weights, starts)[:, None]
        np.testing.assert_allclose(found, expected, atol=1e-12)

    def test_parts_weigh_with_the_root_of_their_size_together(self, made):
        """The joint matrix is that of all numbers side by side, but without the attack."""
        vectors, weights, _ = made
        found = pooling.families(*made, pooling.usable_numbers(44_100)).described["whitened"][0]
        parts = pooling.usable_numbers(44_100)
        columns = [parts[part] for part in views.PARTS if part != "attack"]
        own = [pooling.standardise(vectors[:, c].astype(float), weights) for c in columns]
        joint = np.hstack([rows * rows.shape[1] ** 0.25 for rows in own])
        expected, _ = pooling.whiten(joint, weights, ridge=pooling.JOINT_RIDGE)
        np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=1e-12)

    def test_nothing_depends_on_the_units_of_the_numbers(self, made):
        vectors, weights, starts = made
        parts = {"embedding": np.arange(5)}
        one = pooling.families(vectors[:, :5], weights, starts, parts)
        other = pooling.families(np.float32(vectors[:, :5] * 4 + 8), weights, starts, parts)
        for a, b in zip([*one.numbers.values()], [*other.numbers.values()], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)

    @pytest.mark.parametrize("numbers", [1, 2, 4, 700])
    @pytest.mark.parametrize("constant", [False, True])
    def test_a_callers_embedding_of_any_width(self, numbers, constant):
        rng = np.random.default_rng(numbers)
        starts, weights = weighted(rng, [1, 2, 1, 1, 3, 1])
        vectors = np.float32(rng.normal(size=(9, numbers)))
        if constant:
            vectors[:] = 0.1
        found = pooling.families(vectors, weights, starts, {"embedding": np.arange(numbers)})
        assert [len(family) for family in found.described.values()] == [1, 1]
        members = np.array([1, 2, 1, 2, 1, 2])
        for table in found.numbers.values():
            assert table.shape == (6, numbers)
            z = pooling.differences(table, arranged(members), sets=members, partner=np.full(6, -1))
            for count in (1, 5):
                scores = pooling.normal_scores(pooling.largest(z, count))
                assert np.all(np.isfinite(scores)) and scores.any() != constant


class TestDifferences:
    @staticmethod
    def naive(numbers, members, sets):
        """Difference of the means, by the definition; shared units are in both."""
        shared = (sets == 3)[:, None]
        first, second = members, np.where(shared, 1, 1 - members)
        return (first / first.sum(axis=0)).T @ numbers - (second / second.sum(axis=0)).T @ numbers

    @pytest.mark.parametrize("sizes", [(3, 4), (5, 2), (4, 4)])
    def test_over_all_deals_they_have_mean_0_and_variance_1(self, sizes):
        rng = np.random.default_rng(8)
        sets = np.repeat([1, 2], sizes)
        numbers = rng.normal(size=(sum(sizes), 6)) ** 3 + 50
        members = arranged(sets)
        z = pooling.differences(numbers, members, sets=sets, partner=np.full(len(sets), -1))
        np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-10)
        np.testing.assert_allclose(z.std(axis=0), 1, rtol=1e-10)
        plain = self.naive(numbers, members, sets)
        np.testing.assert_allclose(z, (plain - plain.mean(axis=0)) / plain.std(axis=0), atol=1e-9)

    def test_with_pairs_and_shared_units(self):
        """Two pairs, a shared unit and free ones, of sets of different size: all swaps and all deals."""
        rng = np.random.default_rng(9)
        sets = np.array([1, 2, 3, 1, 1, 2, 2, 1, 2, 2])
        partner = np.array([5, 7, -1, -1, 8, 0, -1, 1, 4, -1])
        free, pairs = [3, 6, 9], [(0, 5), (7, 1), (4, 8)]
        every = []
        for chosen in free:
            for swaps in itertools.product((0, 1), repeat=3):
                one = np.isin(np.arange(10), [2, chosen])
                for (a, b), swap in zip(pairs, swaps, strict=True):
                    one[b if swap else a] = True
                every.append(one)
        members = np.stack(every, axis=1).astype(np.float32)
        numbers = rng.normal(size=(10, 5)) - 20
        z = pooling.differences(numbers, members, sets=sets, partner=partner)
        plain = self.naive(numbers, members, sets)
        np.testing.assert_allclose(z, (plain - plain.mean(axis=0)) / plain.std(axis=0), atol=1e-9)

    def test_a_number_that_never_changes_is_0(self):
        """Also where it is constant but for rounding."""
        sets = np.array([1, 1, 2, 2])
        numbers = np.stack([np.arange(4.0), np.full(4, 0.1), 0.1 + 1e-16 * np.arange(4)], axis=1)
        z = pooling.differences(numbers, arranged(sets), sets=sets, partner=np.full(4, -1))
        assert z[:, 0].any() and not z[:, 1:].any()

    def test_all_units_shared(self):
        z = pooling.differences(
            np.arange(6.0).reshape(3, 2), np.ones((3, 1), "f4"), sets=np.full(3, 3), partner=np.full(3, -1)
        )
        assert not z.any()


@given(width=st.integers(1, 12), count=st.integers(1, 7), seed=st.integers(0, 9))
def test_largest_is_the_sum_of_the_largest_squares(width, count, seed):
    z = np.random.default_rng(seed).normal(size=(5, width))
    expected = [sum(sorted((x * x for x in row), reverse=True)[:count]) for row in z.tolist()]
    np.testing.assert_allclose(pooling.largest(z, count), expected, rtol=1e-12)


class TestNormalScores:
    @pytest.mark.parametrize("shape", [0.6, 2.0, 30.0])
    def test_gammas_become_normal(self, shape):
        """Of gammas of skewness up to 2.6: quantiles as a normal distribution has them.

        Wilson and Hilferty's are off by less than .1 between the 1st and the 99.9th percent for a shape of
        2 and more, by less than .25 above the median for .6; 40,000 draws by .02 in the 99.9th.
        """
        from scipy.special import ndtri

        values = np.random.default_rng(10).gamma(shape, 3.0, 40_000) + 5
        scores = pooling.normal_scores(values)
        shares = np.array([0.5, 0.9, 0.95, 0.99, 0.999])
        np.testing.assert_allclose(
            np.quantile(scores, shares), ndtri(shares), atol=0.1 if shape >= 2 else 0.25
        )

    @given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
    def test_keep_the_order(self, values):
        values = np.array(values)
        scores = pooling.normal_scores(values)
        assert np.all(np.isfinite(scores))
        assert np.all(np.diff(scores[np.argsort(values, kind="stable")]) >= -1e-9)

    def test_do_not_depend_on_units(self):
        values = np.random.default_rng(11).normal(size=200) ** 2
        np.testing.assert_allclose(
            pooling.normal_scores(values), pooling.normal_scores(3 * values - 4), atol=1e-10
        )

    def test_of_equal_values_are_0(self):
        assert not pooling.normal_scores(np.full(7, 3.3)).any()
