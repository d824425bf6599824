"""Collections against each other: sets of songs by tag, song or artist as the unit, the map, fewer songs."""

import numpy as np
import pytest

pytest.importorskip("duckdb")

import metrics
from audio_distance.errors import AudioError
from audio_distance.features import constants
from songs.distances import (
    DESCRIBED,
    Stability,
    artists_of,
    between,
    description_rows,
    descriptions,
    map_of,
    only,
    settings_of_rows,
    songs_of,
    stability,
    table_of,
)
from songs.tables import DESCRIPTIONS, FILES, write_part

RATE = 22050


def content(number):
    return f"{number:064x}"


def noise(rng, tilt):
    """A second of noise that falls by ``tilt`` (exponent of the amplitude over frequency)."""
    spectrum = np.fft.rfft(rng.normal(size=RATE))
    spectrum[1:] *= np.arange(1, len(spectrum)) ** -tilt
    signal = np.fft.irfft(spectrum)
    return (0.1 * signal / signal.std()).astype(np.float32)


def described(name, tilts, first):
    """A set of songs, two samples each; ``tilts`` one of each song, ``first`` the number of the first."""
    rng = np.random.default_rng(first)
    parts = [
        metrics.describe([noise(rng, tilt), noise(rng, tilt)], rate=RATE, bandwidth_rate=RATE)
        for tilt in tilts
    ]
    return metrics.join({content(first + i): part for i, part in enumerate(parts)}, name=name)


@pytest.fixture(scope="module")
def sets():
    rng = np.random.default_rng(5)
    white, pink = rng.normal(0, 0.05, (2, 8))
    return {
        "white": described("white", white, 1),
        "white again": described("white again", rng.normal(0, 0.05, 8), 100),
        "pink": described("pink", 0.5 + pink, 200),
    }


def test_pairs_are_those_of_compare_with_the_song_as_the_unit(sets):
    found = between(sets, permutations=199)
    assert [(p.one, p.other) for p in found.pairs] == [
        ("white", "white again"),
        ("white", "pink"),
        ("white again", "pink"),
    ]
    for pair in found.pairs:
        one = metrics.compare(sets[pair.one], sets[pair.other], groups="folder", permutations=199)
        assert pair.comparison.value == pytest.approx(one.value, rel=1e-6)
        assert pair.comparison.p_value == one.p_value
        assert pair.comparison.reference.units == 8  # songs, of 16 samples
    alike, *other = found.pairs
    assert alike.comparison.p_value > 0.05 and all(
        pair.q == pytest.approx(0.0075, abs=0.01) for pair in other
    )
    assert found.songs == {"white": 8, "white again": 8, "pink": 8} and found.left_out == ()
    matrix = found.matrix()
    assert np.array_equal(matrix, matrix.T) and matrix[0, 2] == other[0].comparison.value
    lines = table_of(found).splitlines()
    assert "white / white again" in lines[1] and lines[-1] == "songs: white 8, white again 8, pink 8"


def test_with_artists_as_the_unit_there_are_as_many_draws_as_artists(sets):
    artists = {content(1 + i): f"artist {i // 2}" for i in range(8)}
    found = between({name: sets[name] for name in ("white", "pink")}, artists, least=3, permutations=99)
    (pair,) = found.pairs
    assert pair.comparison.reference.units == 4 and pair.comparison.candidate.units == 8


def test_small_sets_are_left_out_and_named(sets):
    small = {**sets, "tiny": only(sets["pink"], songs_of(sets["pink"])[:2])}
    assert between(small, permutations=99).left_out == (("tiny", 2),)
    with pytest.raises(AudioError, match=r"1 of 2 sets have 5 or more songs.*pink 8, tiny 2.*without tags"):
        between({"pink": sets["pink"], "tiny": small["tiny"]})


def test_a_plane_shows_points_of_a_plane_as_they_are():
    points = np.random.default_rng(0).normal(size=(6, 2))
    squared = ((points[:, None] - points) ** 2).sum(axis=-1)
    plane, share = map_of(squared)
    again = ((plane[:, None] - plane) ** 2).sum(axis=-1)
    assert np.allclose(again, squared, atol=1e-9) and share == pytest.approx(1)
    assert (plane[np.abs(plane).argmax(axis=0), [0, 1]] > 0).all()


def test_values_below_zero_are_a_distance_of_none_on_the_map():
    values = np.array([[0, -0.01, 1], [-0.01, 0, 1], [1, 1, 0.0]])
    plane, share = map_of(values)
    assert np.allclose(plane[0], plane[1]) and np.hypot(*(plane[0] - plane[2])) == pytest.approx(1)
    assert share == pytest.approx(1)


def test_the_number_of_songs_that_is_needed_is_the_first_that_is_steady():
    values = {3: np.array([0.2, 1.8, 1, 1]), 5: np.array([1.2, 0.8, 1, 1]), 8: np.array([1.01, 0.99, 1, 1])}
    assert Stability(values, 1.0).needed() == 5
    assert Stability(values, 1.0).needed(within=0.05) == 8
    assert Stability({3: values[3]}, 1.0).needed() is None


def test_fewer_songs_give_the_same_value_on_average_and_a_wider_spread(sets):
    # With 60 draws of 3 of 8 songs the mean's standard error is a seventh of the spread: within 4 of them
    # but for 1 in 15,000.
    found = stability(sets["white"], sets["pink"], numbers=(3, 5, 8), draws=60)
    assert sorted(found.values) == [3, 5]  # 8 are all there are
    for values in found.values.values():
        assert abs(values.mean() - found.whole) < 4 * values.std(ddof=1) / np.sqrt(60)
    assert found.values[3].std() > found.values[5].std()
    again = stability(sets["white"], sets["pink"], numbers=(3,), draws=60)
    assert np.array_equal(again.values[3], found.values[3])


def test_sets_come_from_the_tables_by_tag(tmp_path, sets):
    rows, files = [], []
    for name in ("white", "pink"):
        for sound in sets[name].sounds:
            song, _, sample = sound.name.partition("/")
            rows.append(
                {
                    "song": song,
                    "settings": settings_of_rows(DESCRIBED),
                    "sample": int(sample.strip("[]")),
                    "rate": sound.rate,
                    "seconds": sound.seconds,
                    "level_db": sound.level_db,
                    "sounding_seconds": sound.sounding_seconds,
                    "recipe": constants()[1],
                    "vectors": sound.vectors.astype("<f4").tobytes(),
                }
            )
        files += [
            {
                "path": f"/{name}/{song}",
                "path_bytes": f"/{name}/{song}".encode(),
                "content": song,
                "genre": name,
            }
            for song in songs_of(sets[name])
        ]
    write_part(tmp_path, FILES, files)
    write_part(tmp_path, DESCRIPTIONS, rows)
    read = dict(descriptions(tmp_path, by="genre"))
    assert sorted(read) == ["pink", "white"]
    for name, one in read.items():
        assert songs_of(one) == songs_of(sets[name])
        assert all(
            np.array_equal(a.vectors, b.vectors) for a, b in zip(one.sounds, sets[name].sounds, strict=True)
        )
    assert metrics.distance(read["white"], read["pink"], groups="folder") == pytest.approx(
        metrics.distance(sets["white"], sets["pink"], groups="folder"), rel=1e-9
    )
    with pytest.raises(ValueError, match="by: 'year' is none of genre, artist, label"):
        next(descriptions(tmp_path, by="year"))


def test_a_song_is_described_by_its_samples(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    rng = np.random.default_rng(3)
    song = np.concatenate([noise(rng, 0.2) for _ in range(40)] + [np.zeros(20 * RATE, np.float32)])
    soundfile.write(tmp_path / "song.wav", song, RATE, subtype="PCM_16")
    rows = description_rows(str(tmp_path / "song.wav"))
    assert 1 <= len(rows) < DESCRIBED.count  # some lie in the silence, and are left out
    for row in rows:
        vectors = np.frombuffer(row["vectors"], "<f4").reshape(-1, 1799)
        begin = round(row["start_seconds"] * RATE)
        excerpt = soundfile.read(tmp_path / "song.wav", dtype="float32")[0][begin : begin + 3 * RATE]
        again = metrics.describe([excerpt, excerpt], rate=RATE).sounds[0].vectors
        assert np.allclose(vectors, again, atol=1e-4)
    soundfile.write(tmp_path / "rest.wav", np.r_[song[:10], np.zeros(20 * RATE)], RATE, subtype="PCM_16")
    with pytest.raises(AudioError, match="no sample of it can be described"):
        description_rows(str(tmp_path / "rest.wav"))


def test_artists_are_those_of_learning(tmp_path):
    """A group goes before the artist, the album stands in, case and spaces make no other; else none."""
    told = [{"group": "G", "artist": "A"}, {"artist": " a B"}, {"artist": "A b "}, {"album": "X"}, {}]
    rows = [
        {"path": f"/{i}", "path_bytes": f"/{i}".encode(), "content": content(i), **row}
        for i, row in enumerate(told)
    ]
    write_part(tmp_path, FILES, rows)
    expected = {content(0): "g", content(1): "a b", content(2): "a b", content(3): "album x"}
    assert artists_of(tmp_path) == expected
