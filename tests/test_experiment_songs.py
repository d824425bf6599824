"""The experiments on songs in small: parts of them on a few sounds, and what their tables say."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("duckdb")
pytest.importorskip("faiss", reason='pip install -e ".[songs]"')

import metrics
from experiments import songs, songs_speed
from songs.labelled import Samples


def content(number):
    return f"{number:064x}"


def described(songs_of_two, seed):
    """Songs of two samples each, noise."""
    rng = np.random.default_rng(seed)
    parts = {
        content(number): metrics.describe(list(rng.normal(0, 0.1, (2, 11025))), rate=22050)
        for number in range(songs_of_two)
    }
    return metrics.join(parts, name=f"noise {seed}")


def test_of_each_song_the_first_sample_is_kept():
    whole = described(3, 0)
    first = songs._first_samples(whole)
    assert [sound.name for sound in first.sounds] == [f"{content(number)}/[0]" for number in range(3)]


def test_a_set_dealt_to_halves_has_no_distance_on_average():
    """The mean of 30 values is within 4 standard errors of 0, but for 1 in 15,000 seeds."""
    found = songs._lengths({"noise": described(8, 1)}, 30)
    for condition in ("equal", "unequal"):
        assert abs(found[condition]["value"]) < 4 * found[condition]["spread"] / np.sqrt(30)
        assert found[condition]["alarms"] <= 0.3  # 1 in 20 expected; 9 of 30 or more: 1 in 30,000
    assert found["set"] == "noise" and found["draws"] == 30


def test_groups_lie_apart_on_the_plane():
    rng = np.random.default_rng(2)
    song = np.repeat([content(number) for number in range(20)], 3)
    features = rng.normal(size=(60, 5)) + 20 * (np.arange(60) >= 30)[:, None]
    samples = Samples(features, [f"f{i}" for i in range(5)], song, song, ["x"] * 60)
    group = pd.Series({content(number): "ab"[number >= 10] for number in range(20)})
    found = songs._points(samples, group)
    x = np.array(found["x"])
    assert found["group"] == ["a"] * 10 + ["b"] * 10
    assert np.ptp(x[:10]) < abs(x[:10].mean() - x[10:].mean()) > np.ptp(x[10:])
    assert found["shares"][0] > 0.9


def test_cost_is_the_measured_rate_times_the_songs():
    parts = {"all": 1.5, "writing": 0.5, "fingerprint": 0.2}
    cost = songs_speed._cost(parts, {"songs": 100, "index": 3.6})
    assert cost["measured_to"] == 100
    for stage, hours in {"index": 3.6 / 100, "features": 1.0, "fingerprints": 0.1}.items():
        np.testing.assert_allclose(cost["hours"][stage], np.array(songs_speed.ON_PAPER) * hours / 3600)


def test_many_songs_are_counted_in_a_process_of_their_own(tmp_path):
    found = songs_speed._many(tmp_path, 12)
    assert found["songs"] == 12 and found["index"] > found["index again"] > 0
    assert 50 < found["peak"] < 2000  # MiB: an interpreter with numpy and arrow, and no more than that
