"""The experiment on coverage: pools are what they are called, and the truth is theirs."""

import numpy as np
import pytest

from experiments import coverage
from study import results


@pytest.fixture(scope="module")
def files():
    """60 files of two numbers, dealt to three pools; those of the candidates have a damaged version."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 2))
    part = np.arange(60) % 3
    damaged = np.flatnonzero(part > 0)
    everything = np.concatenate([points, points[damaged] + [2.0, 0.0]])
    kernel = np.sqrt(np.linalg.norm(everything[:, None] - everything, axis=-1)).astype(np.float32)
    origin = np.concatenate([np.arange(60), damaged])
    return coverage.Files(
        kernel=kernel,
        version=np.repeat(["clean", "shifted"], [60, len(damaged)]),
        label=np.zeros(len(origin)),
        group=np.zeros(len(origin)),
        origin=origin,
        part=part[origin],
    )


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_a_pool_has_its_share_of_damage_and_no_file_twice(files, share):
    pool = files.mixed(1, "shifted", share)
    assert (files.version[pool] == "shifted").mean() == pytest.approx(share, abs=0.05)
    assert len(set(files.origin[pool])) == len(pool) and set(files.part[pool]) == {1}


def test_the_truth_is_the_distance_of_the_pools(files):
    x, y = files.of(0), files.mixed(1, "shifted", 1.0)

    def mean(one, other):
        return np.mean([files.kernel[i, j] for i in one for j in other if i != j])

    assert coverage.value_of(files.kernel, x, y) == pytest.approx(
        2 * mean(x, y) - mean(x, x) - mean(y, y), abs=1e-6
    )
    own = files.origin[y]
    across = np.mean([files.kernel[i, j] for i in own for j in y if files.origin[j] != i])
    assert coverage.value_of(files.kernel, own, y, paired=True) == pytest.approx(
        2 * across - mean(own, own) - mean(y, y), abs=1e-6
    )


def test_a_cell_counts_each_draw_once(files):
    condition = coverage.Condition("made", "all", files.of(0), files.mixed(1, "shifted", 1.0))
    row = coverage.cell(files.kernel, condition, 6, 5, 40)
    assert row["covered"] + row["below"] + row["above"] == 40 and row["covered"] >= 30
    assert row["value"] == coverage.value_of(files.kernel, condition.reference, condition.candidate)
    assert row == coverage.cell(files.kernel, condition, 6, 5, 40)
    pool = files.of(1, "shifted")
    pairs = coverage.Condition("made", "all", files.origin[pool], pool, "pairs")
    assert coverage.cell(files.kernel, pairs, 6, 6, 10)["units"] == [6, 6]


def test_the_farther_candidate_is_not_called_closer(files):
    contest = coverage.Contest("made", "all", files.of(0), files.mixed(1, "shifted", 1.0), files.of(2))
    row = coverage.contest_cell(files.kernel, contest, 6, 40)
    assert row["closer"][0] == 0 < row["closer"][1] and row["gap"] > 0
    assert row == coverage.contest_cell(files.kernel, contest, 6, 40)


def test_equal_is_equal(files):
    one = files.mixed(1, "shifted", 0.5)
    even = coverage._equal(files.kernel, files.of(0), one, lambda s: files.mixed(2, "shifted", s))
    truth = [coverage.value_of(files.kernel, files.of(0), pool) for pool in (one, even)]
    nearby = [
        coverage.value_of(files.kernel, files.of(0), files.mixed(2, "shifted", share))
        for share in np.linspace(0, 1, 41)
    ]
    assert abs(truth[0] - truth[1]) <= min(abs(truth[0] - value) for value in nearby) + 1e-9


def test_the_kernel_is_the_mean_over_the_views():
    vectors = np.random.default_rng(1).normal(size=(4, 1032)).astype(np.float32)
    scale = coverage.metrics.constants()[0]
    views = coverage.split_views(vectors / scale)
    want = np.mean([np.sqrt(np.linalg.norm(v[:, None] - v, axis=-1)) for v in views.values()], axis=0)
    assert coverage.kernel_of(vectors) == pytest.approx(want, abs=1e-5)


def test_a_quick_look_needs_no_recordings(monkeypatch):
    monkeypatch.setattr(coverage, "BURSTS", 90)
    monkeypatch.setattr(coverage, "SIZES", ((5, 5),))
    monkeypatch.setattr(coverage, "DIFFERENCE_SIZES", (10,))
    content = coverage.run(workers=1, quick=True)
    assert {row["source"] for row in content["intervals"]} == {"noise"} and content["differences"]
    named = {row["condition"] for row in (*content["intervals"], *content["differences"])}
    assert len(coverage.summary(content).splitlines()) == len(named)


@pytest.fixture(scope="module")
def content():
    return results.read("coverage")


class TestKept:
    """What is said of the interval, from the result: with 1,000 draws 95 % is known to 1.4 points."""

    def test_all_draws_are_counted(self, content):
        for row in content["intervals"]:
            assert row["covered"] + row["below"] + row["above"] == content["trials"]
        assert coverage.summary(content)

    def test_it_covers_no_less_than_the_plain_jackknife(self, content):
        rows = [row for row in content["intervals"] if row["unit"] != "pairs"]
        assert all(row["covered"] >= row["jackknife"] - 0.01 * content["trials"] for row in rows)

    def test_two_candidates_at_one_distance_are_seldom_told_apart(self, content):
        rows = [row for row in content["differences"] if row["condition"].startswith("equal")]
        assert len(rows) > 20
        assert all(sum(row["closer"]) <= 0.07 * content["trials"] for row in rows)
        assert np.mean([sum(row["closer"]) for row in rows]) <= 0.05 * content["trials"]
