"""The faults of an earlier study, in small: each shows, and the right way beside it does not."""

import multiprocessing

import librosa
import numpy as np
import pytest

from songs import history


def test_always_good_is_nearly_as_good_as_what_was_published():
    """F0.5 of everything: 1.25 p / (0.25 p + 1), with p the share of good."""
    share = history.GOOD / history.SONGS
    found = history.always_yes(history.GOOD, history.SONGS)
    assert found["precision"] == pytest.approx(share) and found["recall"] == 1
    assert found["f05"] == pytest.approx(1.25 * share / (0.25 * share + 1))
    assert round(found["f05"], 3) == 0.332
    assert found["f05"] < history.PUBLISHED["tree"]["f05"] < found["f05"] + 0.03


@pytest.mark.parametrize("yes", [0, 11])
def test_always_yes_needs_a_yes(yes):
    with pytest.raises(ValueError, match=f"{yes} of 10 songs; 1 to 10 are needed"):
        history.always_yes(yes, 10)


@pytest.mark.parametrize("name", history.PUBLISHED)
def test_the_published_numbers_agree_with_each_other(name):
    told = history.PUBLISHED[name]
    f05 = 1.25 * told["precision"] * told["recall"] / (0.25 * told["precision"] + told["recall"])
    # Each of the three was rounded to 0.0005: about as much again arrives in the third.
    assert f05 == pytest.approx(told["f05"], abs=0.0015)


def test_operating_point_by_counts():
    """30 of 40 yes and 20 of 60 no are called yes."""
    assert history.operating_point(30 / 50, 30 / 40, 40 / 100) == pytest.approx((20 / 60, 30 / 40))
    with pytest.raises(ValueError, match="precision 0"):
        history.operating_point(0, 0.5, 0.4)


def test_a_hop_taken_for_the_window_sees_an_eighth_and_six_tempi():
    found = history.hop_taken_for_window()
    assert found["frames"] == 7
    assert round(100 * found["seen"]) == 13
    assert np.round(found["tempi"], 1).tolist() == [80.7, 40.4, 26.9, 20.2, 16.1, 13.5]


def test_the_frames_are_those_of_librosa():
    found = history.hop_taken_for_window(8000, seconds=3.0, hop_length=5000, n_fft=1024)
    sound = np.zeros(24_000)
    assert found["frames"] == librosa.stft(sound, n_fft=1024, hop_length=5000).shape[1]
    assert found["tempi"] == pytest.approx([60 * 8000 / (5000 * lag) for lag in range(1, found["frames"])])


def test_the_best_epoch_on_what_is_reported_is_better_there_alone():
    """An AUC of 60 songs has sd sqrt(61 / (12 * 900)) = 0.075, the mean of 20 of them 0.017: 4 of these.

    The epochs of one network are alike, so that the best of 30 gains about half an sd.
    """
    found = history.checkpoint_optimism()
    assert abs(found["last"] - 0.5) < 0.068 and abs(found["best, elsewhere"] - 0.5) < 0.068
    assert found["best on what is reported"] > max(found["last"], found["best, elsewhere"]) + 0.01


def test_a_grid_over_excerpts_reports_what_no_new_song_gives():
    """An AUC of 40 songs has sd sqrt(41 / (12 * 400)) = 0.092, the mean of 10 of them 0.029: 4 of these.

    Folds of songs report the best of three, with at most 0.85 sd, 0.025, above the mean.
    """
    found = history.grid_optimism()
    assert abs(found["new songs"] - 0.5) < 0.117
    assert abs(found["folds of songs"] - 0.5) < 0.117 + 0.025
    assert found["folds of samples"] > max(found["new songs"], found["folds of songs"]) + 0.05


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="cannot fork")
def test_forked_workers_draw_the_same():
    assert history.forked_draws(3) == {"workers": 3, "inherited": 1, "by content": 3}


def test_without_fork_it_is_said(monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(RuntimeError, match="cannot fork"):
        history.forked_draws(2)


def test_complex_bins_make_contrasts_that_no_sound_has():
    """Magnitudes of white noise: the mean of the lowest over that of the highest bins is some 30 dB. A valley
    of negative real parts is cut at 1e-10, 100 dB down."""
    found = history.complex_contrast()
    assert 5 < found["magnitudes"] < 40 and found["complex"] > 60
