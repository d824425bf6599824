"""Labels of songs learned from samples: planted structure in, what must come out; files; commands."""

import argparse
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_limits

from songs import classifiers, model_files
from songs.classifiers import Collection
from songs.evaluation import evaluate, leak_table
from songs.labelled import (
    DIVISIONS,
    Samples,
    columns_as_samples,
    divide,
    flattened,
    group_of,
    samples_from,
)
from songs.learning import BASELINES, LEARNERS, Answer, Reason, fit, song_means
from songs.scores import MEASURES, Answers, reliability, roc, scores, table


@pytest.fixture(autouse=True)
def one_thread():
    """Of boosted trees, whose threads wait for each other where tests run side by side."""
    with threadpool_limits(1):
        yield


skops = pytest.importorskip("skops.io", reason='pip install -e ".[songs]"')

ROOT = Path(__file__).parents[1]
LEARNED = [name for name in LEARNERS if name not in BASELINES]


def planted(
    seed=0,
    *,
    artists=30,
    songs=4,
    samples=6,
    columns=6,
    signal=0.0,
    artist=0.0,
    labels=("bad", "good"),
    by="song",
):
    """Normal samples; ``signal``: sd by which "level" rises with the label; ``artist``: sd of the artists.

    A label is chance, dealt to songs, or to artists (``by``), in equal numbers.
    """
    rng = np.random.default_rng(seed)
    of_song = np.repeat(np.arange(artists), songs)
    units = artists * songs if by == "song" else artists
    dealt = rng.permutation(np.arange(units) % len(labels))
    label = dealt if by == "song" else dealt[of_song]
    means = artist * rng.normal(size=(artists, columns))[of_song]
    means[:, 0] += signal * label
    song = np.repeat(np.arange(len(label)), samples)
    return Samples(
        means[song] + rng.normal(size=(len(song), columns)),
        np.array(["level", *(f"mfcc_{i}" for i in range(columns - 1))]),
        np.char.add("song", song.astype(str)),
        np.char.add("artist", of_song[song].astype(str)),
        np.array(labels)[label[song]],
    )


@pytest.fixture(scope="module")
def signal():
    """120 songs, 30 artists: "level" is 1 sd higher in good songs."""
    return planted(signal=1.0)


@pytest.fixture(scope="module")
def models(signal):
    return {name: fit(signal, name, yes="good") for name in LEARNERS}


def auc(answers, yes="good"):
    return scores(answers, yes=yes, draws=0)["auc"].value


# Samples


def columns(**changed):
    given = {
        "features": np.arange(8.0).reshape(4, 2),
        "names": ["a", "b"],
        "song": ["s", "s", "t", "t"],
        "artist": ["x", "x", "y", "y"],
        "label": ["good", "good", "bad", "bad"],
    }
    return given | changed


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"features": np.zeros(4)}, r"shape \(4,\) with 2 names"),
        ({"features": np.zeros((4, 3))}, r"shape \(4, 3\) with 2 names"),
        ({"features": np.zeros((0, 2))}, r"shape \(0, 2\)"),
        ({"song": ["s"]}, r"song has the shape \(1,\); 4 samples"),
        ({"names": ["a", "a"]}, "'a' is there 2 times"),
        (
            {"features": np.array([[0, 0], [0, np.nan], [0, 0], [np.inf, np.nan]])},
            "3 numbers.*2 of them in 'b'",
        ),
        ({"artist": ["x", "z", "y", "y"]}, "song s has two values of artist: 'x' and 'z'"),
        ({"label": ["good", "good", "bad", "good"]}, "song t has two values of label: 'bad' and 'good'"),
    ],
)
def test_samples_that_are_none_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Samples(**columns(**changed))


def test_samples_stand_in_one_order(signal):
    order = np.random.default_rng(1).permutation(len(signal))
    again = signal.part(order)  # as a mask would, an order chooses the rows
    for name in ("features", "song", "artist", "label"):
        np.testing.assert_array_equal(getattr(again, name), getattr(signal, name))


def test_labels_are_dealt_anew_by_song(signal):
    dealt = signal.shuffled(3)
    per_song = pd.DataFrame({"song": dealt.song, "label": dealt.label}).groupby("song")["label"].nunique()
    assert (per_song == 1).all() and (dealt.label != signal.label).any()
    assert (np.sort(dealt.label) == np.sort(signal.label)).all()
    np.testing.assert_array_equal(dealt.features, signal.features)


SONGS = pd.DataFrame(
    {
        "content": ["c1", "c2", "c3", "c4", "c1"],
        "label": ["good", "bad", "bad", None, "good"],
        "artist": [" Ann", "ANN ", None, "Ann", None],
        "album": ["One", "Two", "Two", "One", "One"],
    }
)
FEATURES = pd.DataFrame(
    {
        "song": ["c3", "c1", "c1", "c2", "c4"],
        "sample": [0, 0, 1, 0, 0],
        "mfcc": [[1.0, 2.0], [3.0, 4.0], np.array([5.0, 6.0]), [7.0, 8.0], [9.0, 9.0]],
        "tempo_bpm": [60, 120, 121, 90, 10],
        "split": [None] * 5,
        "note": ["text"] * 5,
    }
)


def test_samples_of_the_tables():
    found = samples_from(SONGS, FEATURES)
    assert found.names.tolist() == ["mfcc_0", "mfcc_1", "tempo_bpm"]
    assert found.song.tolist() == ["c1", "c1", "c2", "c3"]  # c4 has no label
    assert found.label.tolist() == ["good", "good", "bad", "bad"]
    np.testing.assert_array_equal(found.features, [[3, 4, 120], [5, 6, 121], [7, 8, 90], [1, 2, 60]])
    # A tag whatever its case; of the copies of c1, the one that has it; an album for who lacks it.
    assert found.artist[1] == found.artist[2] == "ann" and found.artist[3] == "album two"


def test_a_song_without_tags_is_its_own_artist():
    bare = SONGS[["content", "label"]].assign(album=["", " ", None, "", ""])
    found = samples_from(bare, FEATURES)
    assert (found.artist == found.song).all()


@pytest.mark.parametrize(
    ("songs", "features", "message"),
    [
        (SONGS.drop(columns="label"), FEATURES, "songs lacks label; it has content, artist, album"),
        (SONGS, FEATURES.drop(columns="song"), "features lacks song"),
        (SONGS[1:], FEATURES[:1].assign(song="zz"), "features of 1 songs that are not indexed: zz"),
        (
            SONGS.assign(label=["good", "bad", "bad", "bad", "bad"]),
            FEATURES,
            "copies of song c1 .* bad, good",
        ),
        (SONGS.assign(label=None), FEATURES, "none of 4 songs has both a label and features"),
        (SONGS, FEATURES[["song", "sample", "note"]], "no column of numbers among song, sample, note"),
        (
            SONGS,
            FEATURES.assign(mfcc=[[1, 2], [1, 2], [3], [1, 2], [1, 2]]),
            "'mfcc' has lists of 2 and of 1 numbers",
        ),
        (
            SONGS,
            FEATURES.assign(mfcc=[[1, 2], None, [1, 2], [1, 2], [1, 2]]),
            "2 numbers are not finite, 1 of them in 'mfcc_0', first of song c1",
        ),
    ],
)
def test_tables_that_do_not_fit_are_refused(songs, features, message):
    with pytest.raises(ValueError, match=message):
        samples_from(songs, features)


def test_groups_of_columns():
    assert [group_of(name) for name in ("mfcc_12", "tempo_bpm", "mfcc_delta_3", "x_1_2")] == [
        *("mfcc", "tempo_bpm", "mfcc_delta", "x_1")
    ]


# Divisions


@settings(max_examples=40)
@given(
    labels=st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=6, max_size=40),
    folds=st.integers(2, 4),
    division=st.sampled_from(DIVISIONS),
)
def test_a_division_keeps_groups_whole_and_labels_on_both_sides_or_says_why_not(labels, folds, division):
    artist, label = (np.repeat(np.array(column).astype(str), 2) for column in zip(*labels, strict=True))
    song = np.repeat(np.arange(len(labels)).astype(str), 2)
    samples = Samples(np.arange(len(song), dtype=float)[:, None], ["x"], song, artist, label)
    try:
        fold = divide(samples, division, folds=folds)
    except ValueError as error:
        assert any(word in str(error) for word in ("fewer than the", "two labels are needed", "would be"))
        return
    used = fold[fold >= 0]
    assert set(used) == set(range(1 if division == DIVISIONS[0] else folds))
    group = {"songs": samples.song, "artists": samples.artist}.get(division, np.arange(len(song)))
    assert all(len(set(fold[group == g])) == 1 for g in np.unique(group))
    for number in set(used):
        for side in (fold == number, fold != number):
            assert set(samples.label[side]) == set(samples.labels)


def test_refusals_of_divisions_name_counts(signal):
    with pytest.raises(ValueError, match="unknown division 'albums'; of one split"):
        divide(signal, "albums")
    with pytest.raises(ValueError, match="1 folds; at least 2"):
        divide(signal, "artists", folds=1)
    with pytest.raises(ValueError, match="all 60 songs have the label 'good'; two labels are needed"):
        divide(signal.part(signal.label == "good"), "artists")
    few = planted(artists=6, by="artist")
    with pytest.raises(ValueError, match="label 'bad' has 3 artists, fewer than the 5 folds"):
        divide(few, "artists")
    divide(few, "artists", folds=3)


def few(artist, label):
    """Songs with a sample each."""
    song = np.arange(len(label)).astype(str)
    return Samples(np.zeros((len(label), 1)), ["x"], song, list(artist), label)


def test_a_dealing_that_is_hard_to_find_is_found():
    """Of a with both labels, b with a good and c with a bad song, a has to be alone; evenly by label, b and c
    would be apart. Of x, y and z, which a and b have, and c with another z, so have a and b."""
    fold = divide(few("aabc", ["bad", "good", "good", "bad"]), "artists", folds=2)
    assert fold[0] == fold[1] != fold[2] == fold[3]
    fold = divide(few("aaabbbc", ["x", "y", "z"] * 2 + ["z"]), "artists", folds=2)
    assert fold[0] == fold[1] == fold[2] != fold[3] == fold[4] == fold[5]


def test_a_fold_without_a_label_is_refused_with_its_counts():
    """x has a and b, y has b and c, z has c and a: one artist of the three is alone, and lacks a label."""
    samples = few("abbcca", ["x", "x", "y", "y", "z", "z"])
    message = r"fold \d of 2 would be (tested on|learned from) \d x, \d y, \d z songs: no score"
    with pytest.raises(ValueError, match=message):
        divide(samples, "artists", folds=2)
    samples = few("aabbccc", ["bad", "good", "bad", "good", "good", "good", "good"])
    with pytest.raises(ValueError, match="'bad' has 2 artists, fewer than the 3 folds"):
        divide(samples, "artists", folds=3)


# Scores


def some_answers(seed=0, *, artists=12, songs=5, folds=3, labels=2, decimals=1):
    """Answers with ties and a little signal; whole artists in a fold."""
    rng = np.random.default_rng(seed)
    artist = np.repeat(np.arange(artists), songs)
    truth = rng.integers(labels, size=len(artist))
    truth[:labels] = np.arange(labels)
    probability = rng.dirichlet(np.ones(labels), len(artist)) + 0.3 * np.eye(labels)[truth]
    probability = np.round(probability / probability.sum(axis=1, keepdims=True), decimals)
    names = tuple("abcdef"[:labels])
    return Answers(
        names, np.arange(len(artist)).astype(str), truth, probability, artist % folds, artist.astype(str)
    )


def by_scikit_learn(answers, k, weights):
    truth, score, called = answers.truth == k, answers.probability[:, k], answers.probability.argmax(1) == k
    of_folds, pairs = [], []
    for number in np.unique(answers.fold):
        inside = (answers.fold == number) & (weights > 0)
        both = weights[inside & truth].sum() * weights[inside & ~truth].sum()
        if both:
            of_folds.append(sk.roc_auc_score(truth[inside], score[inside], sample_weight=weights[inside]))
            pairs.append(both)
    each = {"sample_weight": weights, "zero_division": 0}
    return [
        sk.precision_score(truth, called, **each),
        sk.recall_score(truth, called, **each),
        sk.fbeta_score(truth, called, beta=0.5, **each),
        np.average(of_folds, weights=pairs),
        sk.average_precision_score(truth, score, sample_weight=weights),
        sk.brier_score_loss(truth, score, sample_weight=weights),
    ]


@pytest.mark.parametrize("labels", [2, 3])
def test_measures_of_every_draw_are_those_of_scikit_learn(labels):
    from songs.scores import _measures

    answers = some_answers(labels=labels)
    weights = np.random.default_rng(5).integers(0, 3, size=(6, len(answers)))
    weights[0] = 1
    for k, label in enumerate(answers.labels):
        expected = np.transpose([by_scikit_learn(answers, k, w) for w in weights])
        np.testing.assert_allclose(_measures(answers, weights, label), expected, atol=1e-12)
        found = scores(answers, yes=label, draws=10)
        assert [found[name].value for name in MEASURES] == pytest.approx(expected[:, 0])
    mean = np.mean([by_scikit_learn(answers, k, weights[0]) for k in range(labels)], axis=0)
    whole = scores(answers, draws=10)
    assert [whole[name].value for name in MEASURES] == pytest.approx(mean)


def test_two_labels_have_one_auc_and_one_brier_score():
    first, second = (scores(some_answers(decimals=2), yes=label, draws=0) for label in "ab")
    for name in ("auc", "brier"):
        assert first[name].value == pytest.approx(second[name].value)


def test_pooled_folds_would_rank_below_chance():
    """Each fold answers with the share of good that it learned from: the less, the more it is tested on."""
    fold, truth = np.repeat([0, 1], 10), np.array([1] * 7 + [0] * 3 + [1] * 3 + [0] * 7)
    share = np.where(fold == 0, 0.3, 0.7)
    artist = np.arange(20).astype(str)
    answers = Answers(("bad", "good"), artist, truth, np.stack([1 - share, share], 1), fold, artist)
    assert auc(answers) == 0.5
    assert sk.roc_auc_score(truth, share) == pytest.approx(0.3)


@pytest.mark.parametrize("labels", [2, 3])
def test_the_area_under_the_curve_is_the_auc(labels):
    answers = some_answers(labels=labels)
    for yes in (None, "a"):
        x, y = roc(answers, yes)
        assert y[0] == 0 and y[-1] == 1 and (np.diff(y) >= 0).all()
        # Between two of 1,001 points the curve is a line: off by less than a step in all.
        assert np.trapezoid(y, x) == pytest.approx(scores(answers, yes=yes, draws=0)["auc"].value, abs=1e-3)


def test_reliability_is_of_equally_many():
    answers = some_answers(decimals=3)
    bins = reliability(answers, "b", bins=4)
    assert [n for _, _, n in bins] == [15] * 4 and sorted(bins) == bins
    assert np.average([said for said, _, _ in bins]) == pytest.approx(answers.probability[:, 1].mean())
    assert np.average([true for _, true, _ in bins]) == pytest.approx(answers.truth.mean())


def test_a_test_set_without_a_label_is_refused():
    good = np.ones(160, int)
    ids = np.arange(160).astype(str)
    with pytest.raises(ValueError, match="a test set of 0 bad, 160 good: no measure"):
        Answers(("bad", "good"), ids, good, np.full((160, 2), 0.5), np.zeros(160, int), ids)


def by_artist(seed, artists=30, songs=10):
    """The artist has the label, and an effect of sd 1.5; songs of one differ by sd 1."""
    rng = np.random.default_rng(seed)
    artist = np.repeat(np.arange(artists), songs)
    truth = artist % 2
    score = 1.5 * truth + 1.5 * rng.normal(size=artists)[artist] + rng.normal(size=len(artist))
    ids = np.arange(len(artist)).astype(str)
    both = np.stack([-score, score], 1)
    return Answers(("bad", "good"), ids, truth, both, np.zeros(len(ids), int), artist.astype(str))


def test_intervals_cover_by_artists_and_not_by_songs():
    """The AUC in truth: Phi(1.5 / sqrt(2 * 3.25)), in 200 sets.

    By artists 95 %, of which 30 of them cost some: 0.82 is 3 binomial sd below 0.9. A mean of 15 artists has
    the variance 2.25 / 15 + 1 / 150, of 150 songs as draws 3.25 / 150, a seventh: such intervals cover some
    54 %, and 0.65 is 3 sd above.
    """
    true = norm.cdf(1.5 / np.sqrt(6.5))
    covered = {"artists": 0, "songs": 0}
    for seed in range(200):
        answers = by_artist(seed)
        for name, each in (("artists", answers), ("songs", replace(answers, artist=answers.song))):
            found = scores(each, yes="good", draws=200, seed=seed)["auc"]
            covered[name] += found.low <= true <= found.high
    assert covered["artists"] / 200 > 0.82
    assert covered["songs"] / 200 < 0.65


def test_draws_without_a_label_are_left_out_and_said():
    """Of two artists with a label each, half of the draws are of one: sd 0.011 in 2,000."""
    artist = np.repeat(["x", "y"], 5)
    probability = np.linspace(0, 1, 10)
    answers = Answers(
        ("bad", "good"), np.arange(10).astype(str), np.repeat([0, 1], 5),
        np.stack([1 - probability, probability], 1), np.zeros(10, int), artist,
    )  # fmt: skip
    found = scores(answers, yes="good")
    assert found.left_out == pytest.approx(0.5, abs=0.05)
    assert (found["auc"].low, found["auc"].value, found["auc"].high) == (1, 1, 1)
    text = table({"tree": found})
    assert text.endswith(
        f"\n{found.left_out:.2%} of the draws of artists lacked a label and are in no interval"
    )
    one = scores(replace(answers, artist=np.full(10, "x")))
    assert one["auc"].low is None and str(one["auc"]) == "1.000" and one.artists == 1


def test_intervals_are_seeded_and_differences_are_paired():
    answers = some_answers()
    assert (
        scores(answers, seed=1, draws=50)
        == scores(answers, seed=1, draws=50)
        != scores(answers, seed=2, draws=50)
    )
    none = scores(answers, against=answers, draws=50)
    assert all(score.value == score.low == score.high == 0 for score in none.measures.values())
    other = some_answers(seed=9)
    with pytest.raises(ValueError, match="about different songs"):
        scores(answers, against=other)
    with pytest.raises(ValueError, match="no label 'z' among a, b"):
        scores(answers, yes="z")


def test_batches_of_draws_change_nothing(monkeypatch):
    answers = some_answers()
    whole = scores(answers, draws=30)
    monkeypatch.setattr("songs.scores.CELLS", 7 * len(answers))
    parts = scores(answers, draws=30)
    for name in MEASURES:
        assert parts[name].low == pytest.approx(whole[name].low)


# Learning


@pytest.mark.parametrize("learner", LEARNED)
def test_signal_is_found_up_to_what_there_is(signal, learner):
    """A sample's best AUC is Phi(1 / sqrt 2) = 0.76, a song's of 6 samples Phi(sqrt(6 / 2)) = 0.96.

    An AUC of 120 songs that is 0.96 has sd 0.017 (Hanley and McNeil): 4 above is not there; a learner may
    lose what it has to find out.
    """
    found = evaluate(signal, learner, yes="good", folds=3)
    best = norm.cdf(np.sqrt(6 / 2))
    assert 0.85 < auc(found.songs) < best + 0.07
    assert 0.65 < auc(found.samples) < auc(found.songs)
    assert len(found.samples) == 720 and len(found.songs) == 120
    np.testing.assert_allclose(found.songs.probability.sum(axis=1), 1)


def test_baselines_are_what_they_say(signal):
    share = 0.5
    always = scores(evaluate(signal, "always yes", yes="good").songs, yes="good", draws=0)
    told = {name: always[name].value for name in MEASURES}
    expected = {"precision": share, "recall": 1, "f05": 1.25 * share / (0.25 * share + 1), "auc": 0.5}
    assert told == pytest.approx(expected | {"average_precision": share, "brier": 1 - share})
    majority = evaluate(signal, "majority", yes="good")
    assert auc(majority.songs) == 0.5
    np.testing.assert_allclose(majority.songs.probability, 0.5, atol=0.05)


def test_artists_on_both_sides_flatter_and_apart_do_not():
    """Labels by chance to artists who differ. By artist, an AUC of 40 artists has the sd
    sqrt(41 / (12 * 400)) = 0.092, the mean of 5 sets 0.041: 4 of these. Where artists are known, a neighbour
    tells the label."""
    found = {division: [] for division in DIVISIONS}
    for seed in range(5):
        samples = planted(seed, artists=40, songs=4, samples=2, artist=2.0, by="artist")
        for division, values in found.items():
            values.append(auc(evaluate(samples, "neighbours", yes="good", division=division, folds=4).songs))
    means = {division: np.mean(values) for division, values in found.items()}
    assert abs(means["artists"] - 0.5) < 0.165
    for division in DIVISIONS[:3]:
        assert means[division] > 0.8 and means[division] > means["artists"] + 0.15


def leaking(samples):
    """A table of the songs, whose codec gives the label away."""
    song, first = np.unique(samples.song, return_index=True)
    label = samples.label[first]
    codec = np.where(label == "good", "vorbis", "opus")
    columns = {"content": song, "label": label, "artist": samples.artist[first], "codec": codec}
    return pd.DataFrame(columns).assign(rate=44_100)


def test_the_leak_table(signal):
    """12 dealings among 120 songs: each AUC has the sd sqrt(121 / (12 * 3600)) = 0.053, their mean 0.015."""
    rows = leak_table(signal, yes="good", songs=leaking(signal), shuffles=12, folds=3, draws=100)
    assert list(rows) == [*DIVISIONS, "shuffled labels", "codec and rate"]
    for unit in ("samples", "songs"):
        assert rows["shuffled labels"][unit].value == pytest.approx(0.5, abs=0.05)
        assert (
            rows["codec and rate"][unit].value == 1
        )  # the file gives the label away, and no sound was heard
        assert rows["artists"][unit].low < rows["artists"][unit].value < rows["artists"][unit].high
    text = classifiers.leaks_text(rows)
    assert len(text.splitlines()) == 6 and "per song 1.000 (1.000 to 1.000)" in text


def test_columns_of_the_file_are_numbers_by_value():
    songs = SONGS.assign(
        codec=["opus", "vorbis", None, "opus", "opus"], rate=[48_000, 44_100, 44_100, 8000, 48_000]
    )
    found = columns_as_samples(songs, ("codec", "rate"))
    assert found.song.tolist() == ["c1", "c2", "c3"] and set(np.unique(found.features)) == {0, 1}
    np.testing.assert_array_equal(found.features.sum(axis=1), 2)
    with pytest.raises(ValueError, match="songs lacks codec"):
        columns_as_samples(SONGS, ("codec",))


def test_probabilities_hold_on_songs_of_new_artists():
    """In each quarter of 400 new songs, the share of good is within 4 binomial sd of what was said."""
    learned, new = (
        planted(1, artists=100, samples=4, signal=0.7),
        planted(2, artists=100, samples=4, signal=0.7),
    )
    model = fit(learned, "tree", yes="good")
    songs, probability = model.of_songs(new.features, new.song)
    truth = (new.label[np.searchsorted(new.song, songs)] == "good").astype(int)
    ids = np.arange(len(songs)).astype(str)
    answers = Answers(model.labels, ids, truth, probability, np.zeros(len(songs), int), ids)
    for said, true, n in reliability(answers, "good", bins=4):
        assert abs(said - true) < 4 * np.sqrt(said * (1 - said) / n)
    means = song_means(model.of_samples(new.features), new.song)[1]
    # Means of samples say too little of what they know of songs: calibration has to stretch them.
    assert model.slope.min() > 1
    assert np.square(probability[:, 1] - truth).mean() < np.square(means[:, 1] - truth).mean()


def test_calibrated_by_samples_a_model_is_sure_of_what_it_does_not_know():
    """Labels by chance to artists who differ: of new artists nobody can say more than the share, whose Brier
    score is 0.25. Inner folds that part artists find that neighbours are always right."""
    options = {"artists": 40, "samples": 2, "artist": 4.0, "by": "artist"}
    learned, new = planted(0, **options), planted(1, **options)
    found = {}
    for division in ("samples", "artists"):
        songs, probability = fit(learned, "neighbours", division=division).of_songs(new.features, new.song)
        truth = new.label[np.searchsorted(new.song, songs)] == "good"
        found[division] = np.square(probability[:, 1] - truth).mean()
    assert found["artists"] < 0.3 and found["samples"] > found["artists"] + 0.05


def test_calibration_is_not_of_songs_that_were_learned():
    """Without signal, two numbers fitted to 48 other songs cost some 2 * 0.25 / 48 = 0.01 of Brier score on
    new ones. Fitted to the songs that the neighbours were taken from, they promise what is not there."""
    found = []
    for seed in range(6):
        learned, new = planted(seed, artists=12, samples=3), planted(100 + seed, artists=50, samples=3)
        songs, probability = fit(learned, "neighbours").of_songs(new.features, new.song)
        truth = new.label[np.searchsorted(new.song, songs)] == "good"
        found.append(np.square(probability[:, 1] - truth).mean())
    assert np.mean(found) < 0.26


def test_what_learned_nothing_answers_with_the_share():
    """Without signal a slope is as often below zero: of 8 sets, all above has a chance of 1 in 256."""
    fitted = [fit(planted(seed, artists=12, songs=2, samples=2), "tree") for seed in range(8)]
    assert all((model.slope >= 0).all() for model in fitted)
    flat = [model for model in fitted if (model.slope == 0).all()]
    assert flat
    for model in flat:
        np.testing.assert_allclose(model.calibrated(np.array([[0.1, 0.9], [0.9, 0.1]])), 0.5, atol=1e-3)


def test_more_labels_than_two():
    samples = planted(3, artists=30, songs=3, samples=4, signal=2.0, labels=("calm", "mid", "wild"))
    found = evaluate(samples, "tree", folds=3)
    whole = scores(found.songs, draws=20)
    assert whole["auc"].value > 0.85 and auc(found.songs, "wild") > 0.9
    assert found.songs.probability.shape == (90, 3)
    answer = fit(samples, "tree").answer(samples.features[samples.label == "wild"][:4], draws=50)
    assert answer.label == "wild"


def test_rows_and_workers_change_nothing(signal):
    """The same numbers, but for the order in which a sum may be taken."""
    small = signal.part(np.isin(signal.artist, np.unique(signal.artist)[:14]))
    once = evaluate(small, "tree", yes="good", folds=3)
    mixed = small.part(np.random.default_rng(0).permutation(len(small)))
    for again in (
        evaluate(mixed, "tree", yes="good", folds=3),
        evaluate(small, "tree", yes="good", folds=3, workers=2),
    ):
        for unit in ("samples", "songs"):
            one, other = getattr(once, unit), getattr(again, unit)
            assert one.song.tolist() == other.song.tolist()
            np.testing.assert_allclose(one.probability, other.probability, atol=1e-9)
    other = evaluate(small, "tree", yes="good", folds=3, seed=1)
    assert not np.array_equal(other.songs.song, once.songs.song)  # other folds


def test_what_cannot_be_learned_is_refused(signal):
    with pytest.raises(ValueError, match="unknown learner 'svm'; of majority, always yes, tree"):
        fit(signal, "svm")
    with pytest.raises(ValueError, match="yes is None; one of the labels bad, good"):
        fit(signal, "always yes")
    with pytest.raises(ValueError, match="yes is 'great'; one of the labels bad, good"):
        fit(signal, "tree", yes="great")
    one = signal.part(np.isin(signal.artist, signal.artist[:1]))
    with pytest.raises(ValueError, match="has 1 artists, fewer than the 2 folds"):
        fit(one, "tree")


def test_a_grid_asks_for_no_more_neighbours_than_there_are():
    model = fit(planted(artists=4, songs=2, samples=2), "neighbours")
    assert model.estimator[-1].n_neighbors <= 12


def test_features_that_do_not_fit_a_model_are_refused(models):
    with pytest.raises(ValueError, match=r"shape \(1, 5\); \(n, 6\) is needed"):
        models["tree"].of_samples(np.zeros((1, 5)))
    with pytest.raises(ValueError, match="mfcc_1 is not finite"):
        models["tree"].of_samples(np.array([[0, 0, np.nan, 0, 0, 0]]))


# Answers


@pytest.mark.parametrize("learner", LEARNED)
def test_reasons_name_what_was_planted(models, learner):
    model = models[learner]
    song = np.random.default_rng(7).normal(size=(6, 6)) * 0.3
    for level, sign in ((2.5, 1), (-1.5, -1)):
        song[:, 0] = level
        answer = model.answer(song, draws=100)
        assert answer.label == "good" and (answer.probability > 0.5) == (sign > 0)
        first = answer.reasons[0]
        assert first.group == "level" and sign * first.change > 0
        assert first.value == pytest.approx(level) and first.median == pytest.approx(model.medians[0])
        assert {reason.group for reason in answer.reasons} == {"level", "mfcc"}
        assert answer.reasons[1].value is None
        assert answer.low <= answer.probability <= answer.high and answer.share == (sign > 0)


def test_a_song_like_all_others_has_no_reasons(models):
    model = models["network"]
    answer = model.answer(np.repeat(model.medians[None], 3, axis=0), draws=20)
    assert all(reason.change == pytest.approx(0, abs=1e-9) for reason in answer.reasons)
    assert answer.low == pytest.approx(answer.high) == pytest.approx(answer.probability)
    assert "log-odds" not in classifiers.answer_text(answer)


def test_an_answer_in_words():
    reasons = (
        Reason("tempo_bpm", 0.8, 140.0, 118.2), Reason("mfcc", -0.512, None, None),
        Reason("flux", 0.3, 1.0, 2.0), Reason("zcr", 0.2, 0.1, 0.2),
        Reason("chroma", 0.1, None, None), Reason("level", 0.004, 1.0, 1.0),
    )  # fmt: skip
    answer = Answer("good", 0.734, 0.61, 0.819, 0.8, 30, reasons)
    assert classifiers.answer_text(answer) == (
        "good 0.73 (0.61 to 0.82 by the samples drawn), 80% of 30 samples\n"
        "  for good, in log-odds: tempo_bpm +0.80 (140, usually 118.2), flux +0.30 (1, usually 2), "
        "zcr +0.20 (0.1, usually 0.2)\n"
        "  against good, in log-odds: mfcc -0.51"
    )


# Model files

FRESH = """
import sys
import numpy as np
from songs import model_files
for path in sys.argv[2:]:
    model = model_files.load(path)
    np.save(path + ".npy", model.of_songs(np.load(sys.argv[1]), np.repeat(["s", "t"], 5))[1])
"""


def test_a_model_file_gives_the_same_probabilities_in_a_fresh_process(models, tmp_path):
    features = np.random.default_rng(3).normal(size=(10, 6))
    np.save(tmp_path / "features.npy", features)
    three = planted(3, artists=9, songs=2, samples=3, labels=("calm", "mid", "wild"))
    models = models | {f"{name} of three": fit(three, name) for name in ("tree", "boosting")}
    paths = {name: str(tmp_path / f"{name}.skops") for name in models}
    for name, model in models.items():
        model_files.save(model, paths[name])
    command = [sys.executable, "-c", FRESH, str(tmp_path / "features.npy"), *paths.values()]
    subprocess.run(command, cwd=ROOT, check=True, timeout=120)
    for name, model in models.items():
        expected = model.of_songs(features, np.repeat(["s", "t"], 5))[1]
        np.testing.assert_allclose(np.load(paths[name] + ".npy"), expected, rtol=1e-12)


def test_a_model_file_keeps_what_is_known_of_it(models, tmp_path):
    path = tmp_path / "deep" / "model"  # any name, in a folder that is made
    model = replace(models["tree"], facts={"songs": 120, "drawn": {"seconds": 5.0}})
    model_files.save(model, path)
    model_files.save(model, path)  # replaced
    found = model_files.load(path)
    assert found.facts == model.facts and found.yes == "good" and found.labels == model.labels
    assert found.names.tolist() == model.names.tolist() and found.learner == "tree"
    assert [entry.name for entry in path.parent.iterdir()] == ["model"]


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"echo > {self.marker}",)


def test_files_that_would_run_code_are_refused(models, tmp_path):
    marker, path = tmp_path / "ran", tmp_path / "evil"
    pickle.loads(pickle.dumps(Evil(marker)))
    assert marker.exists()  # what it is about
    marker.unlink()
    path.write_bytes(pickle.dumps(Evil(marker)))
    with pytest.raises(ValueError, match="evil: no model file"):
        model_files.load(path)
    content = as_content(models["tree"], tmp_path)
    for evil in (FunctionTransformer(func=os.system), os.system, Evil(str(marker))):
        skops_dump(content | {"estimator": evil}, path)
        with pytest.raises(ValueError, match=r"evil: not loaded, it asks for code .*(system|Evil|posix)"):
            model_files.load(path)
    assert not marker.exists()


def as_content(model, folder):
    """What lies in the model's file."""
    model_files.save(model, folder / "whole")
    return skops.load(folder / "whole", trusted=list(model_files.TRUSTED))


def skops_dump(content, path):
    with open(path, "wb") as file:
        skops.dump(content, file)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"version": 2}, "version 2, here it is 1: train again"),
        ({"scikit-learn": "0.1.2"}, "scikit-learn 0.1.2, here it is"),
        ({"learner": "network"}, "as the learner 'network'"),
        ({"learner": "oracle"}, "oracle"),
        ({"estimator": LogisticRegression()}, r"a LogisticRegression\(\) as the learner 'tree'"),
        ({"labels": ["bad", "best"]}, "an estimator of 6 features and of the labels"),
        ({"labels": ["bad"]}, "arrays of the shapes"),
        ({"names": np.array(["a"]), "medians": np.zeros(1)}, "an estimator of 6 features"),
        ({"slope": np.array([1.0, np.nan])}, "probabilities .*, which are none"),
        ({"facts": "no JSON"}, "no model file of this code"),
    ],
)
def test_files_whose_parts_do_not_fit_are_refused(models, tmp_path, changed, message):
    skops_dump(as_content(models["tree"], tmp_path) | changed, tmp_path / "model")
    with pytest.raises(ValueError, match=f"model: .*{message}"):
        model_files.load(tmp_path / "model")


def test_files_that_are_no_models_are_refused(models, tmp_path, monkeypatch):
    path = tmp_path / "model"
    skops_dump([1, 2], path)
    with pytest.raises(ValueError, match="no model file of this code"):
        model_files.load(path)
    model_files.save(models["tree"], path)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="model: no model file"):
            model_files.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", "{}")
    with pytest.raises(ValueError, match="model: no model file"):
        model_files.load(path)
    path.write_bytes(whole)
    monkeypatch.setattr(model_files, "LARGEST", 100)
    with pytest.raises(ValueError, match="bytes when unpacked; at most 100"):
        model_files.load(path)
    with pytest.raises(FileNotFoundError):
        model_files.load(tmp_path / "none")


def tree_with(estimator, **changed):
    """Changes the first node of a fitted tree."""
    state = estimator.tree_.__getstate__()
    nodes = state["nodes"].copy()
    for name, value in changed.items():
        nodes[name][0] = value
    estimator.tree_.__setstate__(state | {"nodes": nodes})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"left_child": 10**6}, "node of a tree outside"),
        ({"right_child": 0}, "a tree that leads back"),
        ({"right_child": -7}, "node of a tree outside"),
        ({"feature": 6}, "feature of a tree outside of the 6"),
        ({"feature": -1}, "feature of a tree outside"),
    ],
)
def test_trees_that_lead_outside_are_refused(signal, tmp_path, changed, message):
    model = fit(signal, "tree")
    tree_with(model.estimator, **changed)
    model_files.save(model, tmp_path / "model")
    with pytest.raises(ValueError, match=message):
        model_files.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"left": 10**6}, "node of a tree outside"),
        ({"left": 0}, "a tree that leads back"),
        ({"feature_idx": 6}, "feature of a tree outside of the 6"),
        ({"is_categorical": 1}, "asks for categories"),
    ],
)
def test_boosted_trees_that_lead_outside_are_refused(signal, tmp_path, changed, message):
    model = fit(planted(artists=4, songs=3, samples=10, signal=2.0), "boosting")
    for name, value in changed.items():
        model.estimator._predictors[0][0].nodes[name][0] = value
    model_files.save(model, tmp_path / "model")
    with pytest.raises(ValueError, match=message):
        model_files.load(tmp_path / "model")


def test_neighbours_with_labels_from_elsewhere_are_refused(tmp_path):
    for change, message in ((99, "label of a neighbour outside of the 2"), (None, "neighbours of the shape")):
        model = fit(planted(artists=4, songs=2, samples=2), "neighbours")
        last = model.estimator[-1]
        if change is None:
            last._y = last._y[:-1]
        else:
            last._y[0] = change
        model_files.save(model, tmp_path / "model")
        with pytest.raises(ValueError, match=message):
            model_files.load(tmp_path / "model")


# Commands


def arguments(command, *words):
    parser = argparse.ArgumentParser()
    getattr(classifiers, f"add_{command}_arguments")(parser)
    alone = () if command == "like" else ("--workers", "1")  # else one a core
    return parser.parse_args([*alone, *map(str, words)])


@pytest.fixture(scope="module")
def trained(signal, tmp_path_factory):
    """The model file that ``train`` writes."""
    out = tmp_path_factory.mktemp("trained") / "taste.skops"
    words = ("--out", out, "--learner", "tree", "--scored", "majority,always yes,tree", "--folds", 3)
    args = arguments("train", *words)
    assert (
        classifiers.train_main(
            args, read=lambda given: Collection(signal, {"seconds": 5.0, "asked": given.folds})
        )
        == 0
    )
    return out


def test_train_says_how_good_it_is_and_writes_a_model(signal, tmp_path, capsys):
    small = signal.part(np.isin(signal.artist, np.unique(signal.artist)[:14]))
    out = tmp_path / "m"
    words = ("--out", out, "--learner", "tree", "--scored", "always yes,tree", "--leaks", "--folds", 2)
    given = Collection(small, songs=leaking(small))
    assert classifiers.train_main(arguments("train", *words), read=lambda asked: given) == 0
    said = capsys.readouterr().out
    assert said.startswith("56 songs of 14 artists: ") and "'good' in question; artists kept apart" in said
    for part in ("per sample", "per song", "always yes ", "tree ", "shuffled labels ", "codec and rate "):
        assert f"\n{part}" in said
    assert said.endswith(f"{out}: tree, learned from all 56 songs\n")
    facts = model_files.load(out).facts
    assert facts["songs"] == 56 and sum(facts["labels"].values()) == 56 and facts["artists"] == 14
    assert f"{facts['scores']['auc']['value']:.3f} (" in said


def test_workers_change_no_model_file(signal, tmp_path):
    """By default one a core. Of the file only the numbers differ by which it names its own parts."""
    parser = argparse.ArgumentParser()
    classifiers.add_train_arguments(parser)
    assert parser.parse_args(["--out", "m"]).workers is None
    small = signal.part(np.isin(signal.artist, np.unique(signal.artist)[:14]))
    files = {}
    for number in (1, 2):
        out = tmp_path / f"{number}"
        words = ("--out", out, "--scored", "tree,boosting", "--folds", 3, "--workers", number)
        assert classifiers.train_main(arguments("train", *words), read=lambda asked: Collection(small)) == 0
        files[number] = parts_of(out)
    assert files[1] == files[2] and len(files[1][1]) > 5 and "average_precision" in files[1][0]


def parts_of(path):
    """Schema and arrays of a model file, which call each other by their places in memory: here by order."""
    names = {}
    with zipfile.ZipFile(path) as archive:
        schema = re.sub(
            r'(?<="__id__": )\d+|(?<=")\d+(?=\.npy")',
            lambda found: names.setdefault(found[0], f"<{len(names)}>"),
            archive.read("schema.json").decode(),
        )
        return schema, [archive.read(f"{n}.npy") for n in names if f"{n}.npy" in archive.namelist()]


def test_train_refuses_in_one_line(signal, tmp_path, capsys):
    good = signal.part(signal.label == "good")
    args = arguments("train", "--out", tmp_path / "m", "--scored", "tree")
    assert classifiers.train_main(args, read=lambda given: Collection(good)) == 1
    assert capsys.readouterr().err == "error: all 60 songs have the label 'good'; two labels are needed\n"
    args = arguments("train", "--out", tmp_path / "m", "--yes", "great")
    assert classifiers.train_main(args, read=lambda given: Collection(signal)) == 1
    assert "no song has the label 'great'; there are bad, good" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    with pytest.raises(SystemExit):
        arguments("train", "--out", "m", "--scored", "svm")
    assert "unknown svm; of majority" in capsys.readouterr().err


def test_without_skops_it_is_said_before_anything_is_read(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    assert classifiers.train_main(arguments("train", "--out", "m"), read=None) == 1
    assert capsys.readouterr().err.endswith('; pip install -e ".[songs]"\n')


def test_an_interrupt_has_its_exit_code(tmp_path, capsys):
    def read(given):
        raise KeyboardInterrupt

    assert classifiers.roc_main(arguments("roc", "--out", tmp_path / "x.png"), read=read) == 130
    assert capsys.readouterr().err == "interrupted\n"


@pytest.mark.parametrize("labels", [("bad", "good"), ("calm", "mid", "wild")])
def test_roc_draws_and_prints(tmp_path, capsys, labels):
    samples = planted(artists=12, songs=3, samples=3, signal=1.0, labels=labels)
    out = tmp_path / "deep" / "roc.png"
    args = arguments("roc", "--out", out, "--scored", "majority,always yes,tree", "--folds", 2)
    assert classifiers.roc_main(args, read=lambda given: Collection(samples)) == 0
    assert out.read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert ("always yes" in said) == ("means over the labels" not in said) == (len(labels) == 2)


def describe(path, drawn):
    """Samples as features would be described; what the model was told of them comes back."""
    assert drawn == {"seconds": 5.0, "asked": 3}
    if "broken" in path:
        raise ValueError("no audio in it")
    rng = np.random.default_rng(0)
    names = {"short": [], "other": ["bpm"]}.get(path, ["mfcc", "level", "extra"])
    count = 0 if path == "short" else 6
    rows = {
        "mfcc": rng.normal(size=(count, 5)).tolist(),
        "level": [1.0] * count,
        "extra": [0] * count,
        "bpm": [1] * count,
    }
    return [{"song": "c", "sample": i, **{name: rows[name][i] for name in names}} for i in range(count)]


def test_like_answers_what_it_can_and_names_what_it_cannot(trained, capsys):
    args = arguments("like", "a.ogg", "broken.ogg", "short", "other", "caf\udce9.ogg", "--model", trained)
    assert classifiers.like_main(args, describe=describe) == 1
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("a.ogg: good ") and "of 6 samples" in lines[0]
    assert "for good, in log-odds: level +" in lines[1] and "(1, usually 0." in lines[1]
    assert "caf\\udce9.ogg: good " in out
    assert err.splitlines() == [
        "broken.ogg: no audio in it",
        "short: no samples: is the song shorter than one?",
        "other: 6 of 6 features are missing: level, mfcc_0, mfcc_1, mfcc_2, mfcc_3; the model learned from "
        "samples that were described otherwise",
    ]


def test_like_as_json(trained, capsys):
    args = arguments("like", "a.ogg", "b.ogg", "--model", trained, "--json")
    assert classifiers.like_main(args, describe=describe) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["path"] == "a.ogg" and first | {"path": "b.ogg"} == second
    assert first["label"] == "good" and first["reasons"][0]["group"] == "level" and 0 <= first["share"] <= 1


def test_like_without_a_model(tmp_path, capsys):
    args = arguments("like", "a.ogg", "--model", tmp_path / "none")
    assert classifiers.like_main(args, describe=describe) == 1
    assert "none" in capsys.readouterr().err


def test_numbers_of_features_come_by_name(models):
    rows = [
        {"mfcc": [1, 2, 3, 4, 5], "level": 0.5, "more": 9},
        {"mfcc": [6, 7, 8, 9, 0], "level": 1, "more": 9},
    ]
    found = classifiers.features_of(rows, models["tree"])
    np.testing.assert_array_equal(found, [[0.5, 1, 2, 3, 4, 5], [1, 6, 7, 8, 9, 0]])
    assert flattened(pd.DataFrame(rows))[1].tolist() == [*(f"mfcc_{i}" for i in range(5)), "level", "more"]


def test_the_area_over_recall_is_the_average_precision():
    """As scikit-learn defines both: steps between the points, of all folds together."""
    rng = np.random.default_rng(4)
    truth = rng.integers(0, 2, 200)
    yes = np.clip(0.3 * truth + rng.normal(0.4, 0.2, 200), 0, 1)
    names = np.array([f"s{i}" for i in range(200)])
    answers = Answers(
        ("bad", "good"), names, truth, np.stack([1 - yes, yes], axis=1), np.zeros(200, int), names
    )
    recall, precision = classifiers.precision_over_recall(answers, "good")
    assert (np.diff(recall) >= 0).all() and recall[0] == 0 and recall[-1] == 1
    area = float((np.diff(recall) * precision[1:]).sum())
    assert area == pytest.approx(scores(answers, yes="good", draws=0)["average_precision"].value)
