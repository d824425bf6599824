"""The experiment on large sets: all pairs are all pairs, and what was kept says what the report says."""

import numpy as np
import pytest

from audio_distance import units
from experiments import large_sets
from report import tables
from study import results


@pytest.mark.parametrize("windows", [1, 3])
def test_all_pairs_are_those_of_the_distance_where_it_takes_all(windows):
    sides = [large_sets.random_set(12, windows, seed=(0, side)) for side in (0, 1)]
    (found,) = large_sets._measured(*sides)
    assert found["value"] == found["plain"] == pytest.approx(found["of_all"], abs=1e-6)
    within = sum(large_sets.mean_within(side) for side in sides)
    assert large_sets._measured(*sides, within=within) == [found]
    assert found["blocks"] == 1 and found["half"] > 0


def test_in_blocks_the_value_is_another(monkeypatch):
    monkeypatch.setattr(units, "BLOCK_UNITS", 24)
    monkeypatch.setattr(units, "BLOCK_LEAST", 6)
    monkeypatch.setattr(large_sets, "MANY", 5)
    few, many = next(large_sets._random(30, 2, 0))
    assert (few["blocks"], many["blocks"]) == (3, 5)
    for found in (few, many):
        assert abs(found["value"] - found["of_all"]) < abs(found["plain"] - found["of_all"]) < found["half"]
        assert abs(found["plain"] - found["of_all"]) > 1e-4


def test_halves_of_digits():
    described, speakers = np.arange(12.0)[:, None, None], np.repeat(list("abcdef"), 2)
    for alike in (True, False):
        one, other = large_sets._halves(described, speakers, 0, alike=alike)
        assert sorted([*one.ravel(), *other.ravel()]) == list(range(12)) and len(one) == 6
        among = [{speakers[int(i)] for i in half.ravel()} for half in (one, other)]
        assert bool(among[0] & among[1]) == alike


def test_the_kept_result_says_it():
    """What is added is under a tenth of half the interval, and without the control variate it is not."""
    kept = results.read("large_sets")
    expected = [(*size, shift) for size in large_sets.SIZES for shift in large_sets.SHIFTS]
    expected += [(1_500, 1, None)] * len(large_sets.DIGITS)
    rows = {}
    for row in kept["rows"]:
        rows.setdefault((row["sounds"], row["files"], row["windows"], row["shift"]), []).append(row)
    assert [key[1:] for key in rows] == expected
    for (_, files, *_), found in rows.items():
        in_blocks = 2 * files > units.BLOCK_UNITS
        assert [row["blocks"] > 1 for row in found] == ([True, True] if in_blocks else [False])
        for row in found:
            assert row["added"] < 0.1 * row["half"]
            assert row["added"] < row["plain"] if in_blocks else row["added"] == row["plain"]
    assert max(row["plain"] / row["half"] for row in kept["rows"]) > 0.3
    table = tables.added_error(kept)
    assert len(table) == len(kept["rows"]) and not table.isna().any().any()
