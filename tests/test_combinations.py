"""What the combinations are tried on: effects do something, and every combination finds what is plain."""

import numpy as np
import pytest

from experiments import combinations
from study.datasets import synthetic


@pytest.mark.parametrize("rate", [8_000, 44_100])
@pytest.mark.parametrize("effect", combinations.EFFECTS)
def test_every_effect_changes_a_sound_and_leaves_one(effect, rate):
    sound = synthetic.window(3).astype(float)[: rate // 3]
    changed = combinations.EFFECTS[effect](sound, rate, np.random.default_rng(0))
    assert np.all(np.isfinite(changed)) and 0.9 * len(sound) < len(changed) < 1.1 * len(sound)
    shorter = min(len(sound), len(changed))
    assert np.abs(changed[:shorter] - sound[:shorter]).max() > 1e-4 * np.abs(sound).max()


@pytest.mark.parametrize("name", combinations.HARMLESS)
def test_what_is_harmless_leaves_the_sound_at_the_rate_it_says(name):
    sound, rate = synthetic.window(4).astype(float), synthetic.RATE
    function, target = combinations.HARMLESS[name]
    changed = function(sound, rate, np.random.default_rng(0))
    assert np.all(np.isfinite(changed))
    if name != "silence":
        assert len(changed) / (target or rate) == pytest.approx(len(sound) / rate, abs=1e-3)


@pytest.fixture(scope="module")
def rows():
    return combinations._described(list(synthetic.windows(24, seed=5)), synthetic.RATE, synthetic.RATE)


def test_every_combination_finds_a_plain_difference(rows):
    """Every number of the second half is three times as large: p is the smallest there is."""
    found = combinations._p_values(rows[:12], 3 * rows[12:], synthetic.RATE, np.random.default_rng(0))
    assert set(found) >= {
        "all",
        "without freed",
        "without spectrum",
        "only plain",
        "views alone",
        "version 1",
    }
    assert set(found.values()) == {1 / (combinations.PERMUTATIONS + 1)}


def test_of_one_source_no_combination_is_sure(rows):
    found = combinations._p_values(rows[:12], rows[12:], synthetic.RATE, np.random.default_rng(0))
    assert min(found.values()) > 0.01


def test_summary_counts_what_is_given():
    row = {
        "source": "digits",
        "effect": "tilt",
        "files": 20,
        "draws": 4,
        "found": {"all": 0.5, "only plain": 0.25},
    }
    said = combinations.summary({"power": [row], "harmless": [{**row, "effect": "gain"}]})
    assert "50.0" in said and "25.0" in said and "+25.0 +- 0.0" in said
