"""The experiment on unequal lengths: both sets are of one source, cut as a condition says."""

import pytest

from experiments import lengths
from report import tables
from study import results


@pytest.fixture(scope="module")
def described():
    """Pieces of 50 clips of white noise."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lengths, "CLIPS", 50)
        return lengths._described("white noise", 1)


def sides(described, kind, condition, trial=0):
    return lengths._sides(described, "white noise", kind, condition, trial)


def clips(sounds):
    return {sound.name.split()[0] for sound in sounds}


@pytest.mark.parametrize("condition", lengths.LENGTHS)
def test_files_have_their_lengths_and_no_clip_is_on_both_sides(described, condition):
    both = sides(described, "files", condition)
    for sounds, seconds in zip(both, condition, strict=True):
        assert len(sounds) == lengths.FILES
        assert all(sound.seconds == pytest.approx(seconds, abs=1e-4) for sound in sounds)  # whole samples
    assert not clips(both[0]) & clips(both[1])


def test_pairs_are_the_same_clips_under_the_same_names(described):
    both = sides(described, "pairs", (1.4, 1.6))
    assert [s.name for s in both[0]] == [s.name for s in both[1]]
    assert both[0][0].seconds < both[1][0].seconds
    assert {s.content for s in both[0]}.isdisjoint(s.content for s in both[1])


def test_groups_hold_so_many_pieces_of_a_clip(described):
    one, two = sides(described, "groups", (1, 2))
    assert (len(one), len(two)) == (lengths.FILES, 2 * lengths.FILES)
    assert len(clips(two)) == lengths.FILES and not clips(one) & clips(two)


@pytest.mark.parametrize(
    ("kind", "condition", "small"),
    [("files", (1.0, 1.0), False), ("files", (1.0, 5.0), True), ("groups", (1, 2), True)],
)
def test_p_is_small_where_lengths_differ_and_noted(described, kind, condition, small):
    """Nothing else differs. Of 5 trials with equal lengths all reach p <= .05 with a probability of 3e-7."""
    trials = [lengths._compared(*sides(described, kind, condition, t), kind, t) for t in range(5)]
    assert all(trial["p_value"] <= lengths.ALPHA for trial in trials) == small
    assert all(trial["noted"] == small for trial in trials)


def test_the_kept_result_says_it():
    rows = results.read("lengths")["conditions"]
    assert len(rows) == 2 * len(lengths._conditions())
    table = tables.unequal_lengths(results.read("lengths"))
    assert len(table) == len(lengths._conditions()) and not table.isna().any().any()
