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
    ("kind", "condition"),
    [("files", (1.0, 5.0)), ("files", (1.4, 1.6)), ("pairs", (1.0, 5.0)), ("groups", (1, 4))],
)
def test_windows_left_out_are_noted_and_p_is_not_small_for_them(described, kind, condition):
    """Nothing but the lengths differs. Of 10 trials at 5 % four or more come with a probability of .001; with
    the windows as they are all ten do."""
    trials = [lengths._compared(*sides(described, kind, condition, t), kind, t) for t in range(10)]
    assert sum(trial["p_value"] <= lengths.ALPHA for trial in trials) <= 3
    cut = condition != (1.4, 1.6)  # which are two windows each
    assert all(trial["noted"] == cut and not trial["short"] for trial in trials)


def test_short_clips_are_in_the_verdict(described):
    trial = lengths._compared(*sides(described, "short", (0.5, 1.0)), "short", 0)
    assert trial["short"] and not trial["noted"]


def test_files_of_mixed_lengths(described):
    left, right = sides(described, "mixed", ("1 to 5", "1 to 2"))
    assert {round(s.seconds, 2) for s in left} <= {1, 1.05, 1.4, 1.6, 2, 2.05, 3, 4, 5}
    assert {round(s.seconds, 2) for s in right} <= {1, 1.05, 1.4, 1.6, 2}
    assert len(left) == len(right) == lengths.FILES and not clips(left) & clips(right)


def test_sets_of_unequal_size(described):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lengths, "UNEQUAL_FILES", ((5.0, 1.0), (30, 10)))
        left, right = sides(described, "unequal files", (5.0, 1.0))
    assert (len(left), len(right)) == (30, 10)


def test_the_kept_result_says_it():
    """In the words of the report: short clips, and pairs of sounds with pauses, are found; no others."""
    rows = results.read("lengths")["conditions"]
    often = [(r["unit"], r["source"]) for r in rows if r["found"][0] > 0.1 * r["found"][1]]
    both = ["environmental sounds", "white noise"]
    assert sorted(often) == [("pairs", both[0]), *(("short", source) for source in both)]
    assert len(rows) == 2 * len(lengths._conditions())
    table = tables.unequal_lengths(results.read("lengths"))
    assert len(table) == len(lengths._conditions()) and not table.isna().any().any()
