"""The tests of the level comparison against plain code, by enumeration, and at their level."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from audio_distance import pooling
from study import arranged, distances, embeddings, level
from study.draws import draw
from study.sources import Rows, seeded


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(3)
    return rng.normal(size=(9, 30)), rng.normal(0.3, 1.2, size=(6, 30))


def test_every_statistic_is_that_of_plain_code(sets):
    rows = np.concatenate(sets)
    dealt = level.members(9, 6, seed=2)[:4]
    width = distances.median_distance(rows)
    plain = {
        "frechet": distances.frechet,
        "gaussian_mmd": lambda x, y: distances.gaussian_mmd(x, y, bandwidth=width),
        "energy": distances.energy,
    }
    for name, function in plain.items():
        expected = [function(rows[d], rows[~d]) for d in dealt]
        assert arranged.STATISTICS[name](rows, dealt) == pytest.approx(expected, rel=1e-9), name


def test_files_left_out_one_at_a_time_are_those_of_scikit_learn(sets):
    """The penalty is fitted on all files, as the statistic has it; intercept free in both."""
    rows = np.concatenate(sets)
    dealt = level.members(9, 6, seed=2)[:3]
    centred = rows - rows.mean(axis=0)
    penalty = np.mean((centred**2).sum(axis=1))
    expected = []
    for labels in np.where(dealt, 1.0, -1.0):
        errors = []
        for i in range(len(rows)):
            kept = np.arange(len(rows)) != i
            fitted = Ridge(alpha=penalty).fit(rows[kept], labels[kept])
            errors.append(labels[i] - fitted.predict(rows[[i]])[0])
        expected.append(-np.sum(np.square(errors)))
    assert arranged.ridge_classifier(rows, dealt) == pytest.approx(expected, rel=1e-9)


def test_the_observed_arrangement_is_first_and_equal_ones_tie():
    statistics = np.array([1.0, 1.0 + 1e-12, 0.5, 2.0])
    assert arranged.p_value(statistics) == 0.75
    assert level.members(4, 6, seed=0)[0].tolist() == [True] * 4 + [False] * 6
    assert (level.members(4, 6, seed=0).sum(axis=1) == 4).all()


def test_whitened_tests_see_whitened_rows(sets):
    rows, weights = np.concatenate(sets), np.full(15, 1 / 15)
    seen = pooling.whitened(pooling.standardise(rows, weights), weights)
    dealt = level.members(9, 6, seed=5)
    p_values = level.p_values(*sets, seed=5)
    assert tuple(p_values) == level.names()
    assert p_values["whitened energy"] == arranged.p_value(arranged.energy(seen, dealt))
    assert p_values["energy"] == arranged.p_value(arranged.energy(rows, dealt))
    values = level.statistics(*sets, seed=5)
    assert {name: arranged.p_value(each) for name, each in values.items()} == p_values
    assert all(each.shape == (len(dealt),) for each in values.values())


def test_small_shifts_of_correlated_numbers_are_found_whitened_only():
    """What whitening is for: a shift that is small beside the spread, along a direction of no spread."""
    rng = np.random.default_rng(2)
    base = rng.normal(size=(80, 1)) @ np.ones((1, 2)) + rng.normal(0, 0.1, (80, 2))
    x, y = base[:40], base[40:] + np.array([0.1, -0.1])
    p_values = level.p_values(x, y, seed=1)
    for test in level.TESTS:
        assert p_values[level.WHITENED + test] <= 0.01
        if test != "ridge_classifier":  # which frees numbers from each other by itself, with little penalty
            assert p_values[test] > 0.05


def test_false_alarms_are_at_the_level():
    """200 draws at 5 %: more than 21 alarms have a probability below .0005 for each of eight tests."""
    rng = np.random.default_rng(7)
    alarms = dict.fromkeys(level.names(), 0)
    for t in range(200):
        x, y = rng.standard_t(3, size=(2, 8, 20))
        for name, p in level.p_values(x, y, seed=t).items():
            alarms[name] += p <= 0.05
    assert max(alarms.values()) <= 21, alarms


def test_the_oracle_is_exact():
    """Against every division of eight files: no p-value is below the share that is at least as far."""
    labels = np.array(list("aaabbbcc"))
    x, y = labels[:4], labels[4:]

    def chi_square(chosen):
        counts = np.array([[np.sum(labels[list(chosen)] == name)] for name in "abc"]).ravel()
        expected = np.array([1.5, 1.5, 1.0])
        return np.sum((counts - expected) ** 2 / expected)

    each = [chi_square(chosen) for chosen in combinations(range(8), 4)]
    exact = np.mean(np.array(each) >= chi_square(range(4)) - 1e-9)
    assert len(each) == 70  # fewer than the rearrangements of a test: all are made
    assert level.oracle_p_value(x, y, seed=0) == pytest.approx(exact)


def test_the_oracle_reads_the_labels_of_the_files_that_were_drawn():
    rng = np.random.default_rng(0)
    labels = np.repeat(list("abcdefghij"), 12)
    rows = Rows("digits", "any", {"clean": rng.normal(size=(120, 3))}, labels, np.tile([1, 2, 3], 40))
    told = level.only_labels(rows)
    for effect in ("2 labels dropped", "weights 3:1", "half duplicates"):
        x, y = draw(rows, effect, 20, seeded(effect))
        places = [
            [int(np.flatnonzero((rows.versions["clean"] == row).all(axis=1))[0]) for row in side]
            for side in (x, y)
        ]
        read = draw(told["label"], effect, 20, seeded(effect))
        files = draw(told["file"], effect, 20, seeded(effect))
        for side, seen, file in zip(places, read, files, strict=True):
            assert np.unique(labels)[seen[:, 0]].tolist() == labels[side].tolist()
            assert file[:, 0].tolist() == side
    # Five of ten labels gone is in twenty labels; an effect of none is found as often as the level says.
    x, y = draw(told["label"], "5 labels dropped", 20, seeded("five"))
    assert level.oracle_p_value(x[:, 0], y[:, 0], seed=0) <= 0.05


def test_rows_are_told_of_by_embedding_and_test():
    """White against brown noise, six of each: whitened, and by ``compare``, they are told apart."""
    rng = np.random.default_rng(0)
    network = embeddings.load("described")
    x, y = (
        np.stack([embeddings.file_vector(network, make(rng.normal(0, 0.1, 4000)), 8000) for _ in range(6)])
        for make in (np.asarray, np.cumsum)
    )
    p_values = level.of_rows(x, y, "described", rate=8000, seed=0, tests=("energy",))
    assert list(p_values) == ["compare", "three_views / energy", "three_views / whitened energy"]
    assert max(p_values["compare"], p_values["three_views / whitened energy"]) <= 0.01
    assert list(level.of_rows(x, y, "log_mel", seed=0, tests=("energy",))) == [
        "log_mel / energy",
        "log_mel / whitened energy",
    ]
