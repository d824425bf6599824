"""The songs nearest to one: brute force, scales, ties, faults, and the command."""

import argparse
import hashlib
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("faiss")

from songs import neighbours
from songs.neighbours import Features, nearest


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
    @settings(max_examples=20, deadline=None)
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
        # The interquartile range of 0 to 100 is 50: a spread of 37.06.
        query = np.array([50.0, 50.0, 0.0])
        vectors[0, :2], vectors[1, :2] = (50 + 37.064 * 2, 50 - 37.064), (50, 50)
        songs = [f"{i:03d}" for i in range(101)]
        found = {n.song: n for n in nearest(vectors, query, k=101, songs=songs, columns=self.COLUMNS)}
        assert found["001"].reasons == "every feature within half a spread" and found["001"].distance == 0
        assert found["000"].reasons == "tempo (1/min) 2.0 spreads higher, level (dB) 1.0 spreads lower"

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
            ({"query": [1.0, np.inf]}, "song asked about: y is inf"),
            ({"vectors": [[1, 2], [1, 3], [1, np.nan], [0, 0], [2, 2]]}, "song c: y is nan"),
            ({"vectors": np.ones((5, 2))}, "none of 2 features varies over 5 songs"),
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
