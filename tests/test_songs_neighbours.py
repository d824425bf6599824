"""The songs nearest to one: brute force, scales, ties, faults, and the command."""

import argparse
import hashlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_distance.errors import AudioError
from songs import neighbours
from songs.features import COLUMNS, SONG_COLUMNS
from songs.neighbours import Features, nearest, words_for


class TestNearest:
    COLUMNS = ("tempo (1/min)", "level (dB)", "constant")

    def drawn(self, n=60, seed=0):
        rng = np.random.default_rng(seed)
        vectors = np.column_stack([rng.normal(120, 20, n), rng.normal(-20, 5, n), np.full(n, 3.0)])
        return vectors, [hashlib.sha256(bytes([i])).hexdigest() for i in range(n)]

    def test_brute_force(self):
        vectors, songs = self.drawn()
        found = nearest(vectors, vectors[7], k=12, songs=songs, columns=self.COLUMNS, exclude={songs[7]})
        low, high = np.percentile(vectors[:, :2], [25, 75], axis=0)
        differences = (vectors[:, :2] - vectors[7, :2]) / ((high - low) / 1.349)
        distances = np.sqrt(np.mean(differences**2, axis=1))
        expected = [i for i in np.argsort(distances) if i != 7][:12]
        assert [n.song for n in found] == [songs[i] for i in expected]
        np.testing.assert_allclose([n.distance for n in found], distances[expected], rtol=1e-9)

    @given(seed=st.integers(0, 2**32 - 1))
    @settings(max_examples=20)
    def test_order_of_rows_makes_no_difference(self, seed):
        """On a coarse grid, where many are tied: in order of content."""
        rng = np.random.default_rng(seed)
        vectors, songs = rng.integers(0, 3, (40, 3)).astype(float), [f"{i:02d}" for i in range(40)]
        options = {"k": 7, "columns": self.COLUMNS}
        found = nearest(vectors, vectors[0], songs=songs, **options)
        assert [(n.distance, n.song) for n in found] == sorted((n.distance, n.song) for n in found)
        order = rng.permutation(40)
        assert nearest(vectors[order], vectors[0], songs=[songs[i] for i in order], **options) == found
        # All that are as near as the last named have a later content.
        every = nearest(vectors, vectors[0], songs=songs, **(options | {"k": 40}))
        assert every[:7] == found

    def test_an_outlier_sets_no_scale(self):
        vectors, songs = self.drawn()
        near = nearest(vectors, vectors[0], k=5, songs=songs, columns=self.COLUMNS)
        lowest = int(np.argmin(vectors[:, 1]))  # quartiles stay as they are
        vectors[lowest, 1] = -1e9
        again = nearest(vectors, vectors[0], k=60, songs=songs, columns=self.COLUMNS)
        assert again[:5] == near and songs[lowest] not in [n.song for n in near]
        assert again[-1].song == songs[lowest] and again[-1].distance < 10  # 10 and less, over two features

    def test_words(self):
        rng = np.random.default_rng(1)
        vectors = np.column_stack([rng.permutation(101), rng.permutation(101), np.zeros(101)]).astype(float)
        query = np.array([50.0, 50.0, 0.0])
        vectors[0, :2], vectors[1, :2] = (1000, -1000), (50, 50)
        low, high = np.percentile(vectors[:, :2], [25, 75], axis=0)
        vectors[0, :2] = 50 + np.array([2, -1]) * (high - low) / 1.349  # outside the quartiles, which stay
        songs = [f"{i:03d}" for i in range(101)]
        found = {n.song: n for n in nearest(vectors, query, k=101, songs=songs, columns=self.COLUMNS)}
        assert found["001"].reasons == "every feature within half a spread" and found["001"].distance == 0
        # 4 and 1 of 5 squared spreads.
        assert found["000"].reasons == "tempo 80 % (2.0 spreads higher), level 20 % (1.0 spreads lower)"

    def test_words_tell_the_difference_and_not_the_limit(self):
        """A tempo 37 spreads away and a level 12 away count with 10 both: a half each."""
        vectors, songs = self.drawn()
        low, high = np.percentile(vectors[:, :2], [25, 75], axis=0)
        spread = (high - low) / 1.349
        query = vectors[3] - [*(np.array([37, -12]) * spread), 0]
        found = nearest(vectors, query, k=60, songs=songs, columns=self.COLUMNS)
        (far,) = [near for near in found if near.song == songs[3]]
        assert far.reasons == "tempo 50 % (37.0 spreads higher), level 50 % (12.0 spreads lower)"
        assert far.distance == pytest.approx(10, rel=1e-9)

    def test_words_of_groups(self):
        """Of many columns the group is named, with its share: 12, 2 and 9 of 23 squared spreads."""
        columns = [f"mfcc_mean_db_{i}, mean" for i in range(3)]
        columns += [f"chroma_{i}, spread" for i in range(2)] + ["song_tempo_bpm, mean"]
        rng = np.random.default_rng(2)
        vectors = np.column_stack([rng.permutation(101) for _ in columns]).astype(float)
        vectors[0] = [1000, -1000, 1000, 1000, -1000, -1000]
        low, high = np.percentile(vectors, [25, 75], axis=0)
        vectors[0] = 50 + np.array([2, -2, 2, 1, -1, -3]) * (high - low) / 1.349
        songs = [f"{i:03d}" for i in range(101)]
        found = nearest(vectors, np.full(6, 50.0), k=101, songs=songs, columns=columns)
        (words,) = [near.reasons for near in found if near.song == "000"]
        assert words == "timbre (MFCC) 52 %, tempo 39 % (3.0 spreads lower), harmony (chroma) 9 %"

    def test_every_feature_has_words(self):
        for column in (*COLUMNS, *SONG_COLUMNS):
            if column.size:
                name = column.name if column.size == 1 else f"{column.name}_7"
                for statistic in ("mean", "spread"):
                    assert words_for(f"{name}, {statistic}") in neighbours.WORDS.values(), column.name
        assert words_for("mfcc_delta_sd_db_per_s_3, mean") == neighbours.WORDS["mfcc_delta"]
        assert words_for("song_tempo_strength, mean") == neighbours.WORDS["tempo_strength"]
        assert words_for("own_12, spread") == "own" and words_for("levels") == "levels"

    @pytest.mark.parametrize("at_once", [1_024, 7])
    @pytest.mark.parametrize("lacking", [(), (0, 4)])  # features that the query lacks
    def test_brute_force_where_features_are_missing(self, at_once, lacking, monkeypatch):
        """Over the features that both have, pair by pair."""
        monkeypatch.setattr(neighbours, "AT_ONCE", at_once)
        rng = np.random.default_rng(4)
        vectors = rng.normal(size=(40, 6)) * [1, 10, 100, 1, 3, 7]
        vectors[rng.random(vectors.shape) < 0.2] = np.nan
        vectors[11], vectors[23] = np.nan, np.nan  # nothing in common with anyone
        query = rng.normal(size=6)
        query[list(lacking)] = np.nan
        songs = [f"{i:02d}" for i in rng.permutation(40)]
        expected = []
        for row, song in zip(vectors, songs, strict=True):
            squares = []
            for column, one, other in zip(vectors.T, row, query, strict=True):
                low, high = np.percentile(column[~np.isnan(column)], [25, 75])
                if not np.isnan(one - other):
                    squares.append(np.clip((one - other) / ((high - low) / 1.349), -10, 10) ** 2)
            expected.append((np.sqrt(np.mean(squares)) if squares else np.inf, song))
        expected.sort()
        columns = [f"mfcc_{i}" for i in range(6)]
        found = nearest(vectors, query, k=40, songs=songs, columns=columns)
        assert [near.song for near in found] == [song for _, song in expected]
        np.testing.assert_allclose([n.distance for n in found], [d for d, _ in expected], rtol=1e-9)
        last = {near.song: near for near in found[-2:]}
        assert {songs[11], songs[23]} <= {near.song for near in found if np.isinf(near.distance)}
        assert all(near.reasons == "no feature that both have" for near in last.values())

    def test_what_was_not_compared_is_said(self):
        vectors, songs = self.drawn()
        vectors[3, :2] = np.nan, vectors[5, 1] + 20  # dB, some four spreads
        found = nearest(vectors, vectors[5], k=60, songs=songs, columns=self.COLUMNS)
        words = {near.song: near.reasons for near in found}
        assert words[songs[3]].endswith("; not compared: tempo")
        assert words[songs[3]].startswith("level 100 % (")
        assert sum("not compared" in text for text in words.values()) == 1

    def test_exclusion_and_few_songs(self):
        vectors, songs = self.drawn(4)
        found = nearest(vectors, vectors[0], k=9, songs=songs, columns=self.COLUMNS, exclude=songs[:2])
        assert {n.song for n in found} == set(songs[2:])
        assert nearest(vectors, vectors[0], k=9, songs=songs, columns=self.COLUMNS, exclude=songs) == []

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"k": 0}, "k is 0"),
            ({"songs": ["a"] * 5}, "song a is there twice"),
            ({"songs": ["a"]}, r"vectors are \(5, 2\) and query \(2,\) for 1 songs and 2 features"),
            ({"songs": ["a"] * 5, "names": list("vwxyz")}, "song w is there twice"),
            ({"names": ["one.ogg"]}, "1 names for 5 songs"),
            ({"query": [1.0, np.inf]}, "song asked about: y is inf"),
            ({"vectors": [[1, 2], [1, 3], [1, -np.inf], [0, 0], [2, 2]]}, "song c: y is -inf"),
            (
                {"vectors": [[1, 2], [1, 3], [1, np.inf], [0, 0], [2, 2]], "names": list("vwxyz")},
                "song x: y is inf; likely a fault of the step before",
            ),
            ({"vectors": np.ones((5, 2))}, "none of 2 features varies over 5 songs"),
            ({"vectors": np.full((5, 2), np.nan)}, "none of 2 features varies over 5 songs"),
        ],
    )
    def test_refusals(self, change, message):
        given = {
            "vectors": np.arange(10.0).reshape(5, 2),
            "query": [0.0, 0.0],
            "k": 1,
            "songs": list("abcde"),
        }
        given |= {"columns": ["x", "y"]} | change
        with pytest.raises(ValueError, match=message):
            nearest(given.pop("vectors"), given.pop("query"), **given)


def test_the_command_prints_a_line_a_song():
    vectors, songs = TestNearest().drawn(6)
    artists = ["x", "x", "y", "", "y", "x"]
    table = Features(songs, [f"{i}.ogg" for i in range(6)], artists, TestNearest.COLUMNS, vectors)
    content = {"0.ogg": songs[0], "3.ogg": songs[3], "new.ogg": "f" * 64}

    def printed(*arguments):
        parser = argparse.ArgumentParser()
        neighbours.add_similar_arguments(parser)
        out = io.StringIO()
        asked = {  # song and its features
            name: (song, vectors[songs.index(song) if song in songs else 0]) for name, song in content.items()
        }
        assert neighbours.similar(parser.parse_args(arguments), table, asked=asked.get, out=out) == 0
        header, *lines = out.getvalue().splitlines()
        assert header == "distance\tname\tdiffers"
        return [line.split("\t")[1] for line in lines]

    assert len(printed("0.ogg")) == 5 and "0.ogg" not in printed("0.ogg")
    assert printed("0.ogg", "--k", "2") == printed("0.ogg")[:2]
    assert set(printed("0.ogg", "--other-artists")) == {"2.ogg", "3.ogg", "4.ogg"}
    assert len(printed("3.ogg", "--other-artists")) == 5  # of no known artist
    assert printed("new.ogg")[0] == "0.ogg" and len(printed("new.ogg")) == 6  # none of the collection


def asked_for(*arguments):
    parser = argparse.ArgumentParser()
    neighbours.add_similar_arguments(parser)
    return parser.parse_args(arguments)


def test_names_break_no_row():
    vectors, songs = TestNearest().drawn(4)
    names = ["a\ttab.flac", "b\nline.flac", "back\\slash \x1b[2J.flac", "plain.flac"]
    table = Features(songs, names, [""] * 4, TestNearest.COLUMNS, vectors)
    out = io.StringIO()
    args = asked_for("new.ogg")
    assert neighbours.similar(args, table, asked=lambda _: ("f" * 64, vectors[0]), out=out) == 0
    rows = [line.split("\t") for line in out.getvalue().split("\n")[:-1]]
    assert [len(row) for row in rows] == [3] * 5
    told = {r"a\ttab.flac", r"b\nline.flac", r"back\\slash \x1b[2J.flac", "plain.flac"}
    assert {row[1] for row in rows[1:]} == told


def test_errors_name_the_file():
    vectors, songs = TestNearest().drawn(4)
    vectors[2, 1] = np.inf
    table = Features(songs, list("abcd"), [""] * 4, TestNearest.COLUMNS, vectors)
    with pytest.raises(AudioError, match=r"^new\.ogg: song c: level \(dB\) is inf"):
        neighbours.similar(asked_for("new.ogg"), table, asked=lambda _: ("f" * 64, vectors[0]))

    def damaged(path):
        raise AudioError("truncated")

    with pytest.raises(AudioError, match=r"^new\.ogg: truncated$"):
        neighbours.similar(asked_for("new.ogg"), table, asked=damaged)


@pytest.mark.parametrize("k", ["0", "-3", "nan", "2.5", "many"])
def test_k_out_of_its_limit_is_wrong_use(k, capsys):
    with pytest.raises(SystemExit, match="2"):
        asked_for("new.ogg", "--k", k)
    assert f"argument --k: '{k}', and a whole number of at least 1 is needed" in capsys.readouterr().err
