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
    value, (low, high) = large_sets.in_blocks(*sides)
    within = sum(large_sets.mean_within(side) for side in sides)
    assert value == pytest.approx(2 * large_sets.mean_across(*sides) - within, abs=1e-6)
    assert low < value < high


def test_in_blocks_the_value_is_another(monkeypatch):
    monkeypatch.setattr(units, "BLOCK_UNITS", 24)
    monkeypatch.setattr(units, "BLOCK_LEAST", 6)
    ((value, of_all, half), *_) = large_sets._drawn(30, 2, 0)
    assert 1e-4 < abs(value - of_all) < half
    assert np.isfinite(half)


def test_the_kept_result_says_it():
    """Parts add hardly anything. Blocks add more than a tenth of half the interval to sets of one source or
    nearly so, and less the farther apart the sets are; never as much as the interval has of it."""
    kept = results.read("large_sets")
    share = {(row["files"], row["windows"], row["shift"]): row["added"] / row["half"] for row in kept["rows"]}
    assert list(share) == [(*size, shift) for size in large_sets.SIZES for shift in large_sets.SHIFTS]
    parts = [of for (files, _, _), of in share.items() if 2 * files <= units.BLOCK_UNITS]
    assert max(parts) < 0.05
    for size in ((3_000, 1), (1_500, 4)):
        near, further, far = (share[*size, shift] for shift in large_sets.SHIFTS)
        assert 0.5 > near > further > far and further > 0.1
    table = tables.added_error(kept)
    assert len(table) == len(kept["rows"]) and not table.isna().any().any()
