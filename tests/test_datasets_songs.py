"""Songs that are made here: what is true of them, in the score and in the file; and packaged music."""

import csv
import hashlib
import importlib.metadata
import io
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from study import datasets
from study.datasets import packaged, recordings, scores, songs

pretty_midi = pytest.importorskip("pretty_midi")
tinytag = pytest.importorskip("tinytag")

SMALL = {"artists_per_style": 1, "songs_per_artist": 2, "seconds": 3.0}
ROOT = Path(__file__).parents[1]

any_score = st.builds(
    scores.compose,
    st.sampled_from([*scores.STYLES]),
    st.integers(0, 20),
    number=st.integers(0, 20),
    seconds=st.floats(1, 40),
    seed=st.integers(0, 2**32 - 1),
)


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collection")
    return folder, songs.render(folder, **SMALL)


# Scores


@settings(max_examples=60)
@given(any_score)
def test_tempo_is_that_of_the_midi_file(score):
    """Read back by another library: its tempo, and every onset on a sixteenth of it."""
    file = pretty_midi.PrettyMIDI(io.BytesIO(scores.midi(score)))
    (_, (tempo,)) = file.get_tempo_changes()
    # A file holds whole microseconds a quarter note, 400,000 and more: half of one is 1.3e-6 of it.
    assert tempo == pytest.approx(score.bpm, rel=2e-6)
    onsets = np.concatenate([[note.start for note in part.notes] for part in file.instruments])
    sixteenths = onsets * score.bpm / 60 * 4
    assert np.max(np.abs(sixteenths - np.round(sixteenths))) < 1e-2  # 2e-6 of some 400, and ticks of 1/120
    low, high = scores.STYLES[score.artist.style].bpm
    assert low <= score.bpm <= high and abs(score.bpm - score.artist.bpm) <= scores.TEMPO_SPREAD


@settings(max_examples=60)
@given(any_score)
def test_a_song_is_in_its_key_and_ends_on_its_tonic(score):
    scale = {(score.tonic + step) % 12 for step in scores.SCALES[score.mode]}
    leading = {(score.tonic + 11) % 12} if score.mode == "minor" else set()
    pitched = [note for note in score.notes if note.channel != scores.DRUMS]
    assert {note.pitch % 12 for note in pitched} <= scale | leading
    end = max(note.start for note in pitched)
    third = 4 if score.mode == "major" else 3
    triad = {(score.tonic + step) % 12 for step in (0, third, 7)}
    assert {note.pitch % 12 for note in pitched if note.start == end} == triad
    assert score.tonic in score.artist.tonics and score.key == scores.KEYS[score.tonic]


@settings(max_examples=60)
@given(any_score)
def test_notes_are_possible_and_none_is_struck_while_it_sounds(score):
    ends = {}
    for note in score.notes:
        assert 0 <= note.pitch <= 127 and 1 <= note.velocity <= 127 and note.length > 0
        assert note.start >= ends.get((note.channel, note.pitch), 0)
        ends[note.channel, note.pitch] = note.start + note.length
    bar = scores.STYLES[score.artist.style].metre * scores.TICKS
    assert max(ends.values()) <= score.bars * bar


@pytest.mark.parametrize("style", [*scores.STYLES])
def test_whole_bars_that_last_long_enough(style):
    for number in range(20):
        score = scores.compose(style, 0, number=number, seconds=30, seed=0)
        bar = 60 * scores.STYLES[style].metre / score.bpm
        assert 30 * (1 - 1e-12) <= score.seconds < 30 + bar


def test_a_score_is_the_same_in_another_process():
    code = (
        "import hashlib; from study.datasets import scores; "
        "print(*(hashlib.sha256(scores.midi(scores.compose(s, 1, number=2, seconds=9, seed=3))).hexdigest() "
        "for s in scores.STYLES))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    here = [
        hashlib.sha256(scores.midi(scores.compose(s, 1, number=2, seconds=9, seed=3))).hexdigest()
        for s in scores.STYLES
    ]
    assert done.stdout.split() == here and len(set(here)) == len(scores.STYLES)


def test_what_a_score_depends_on():
    one = scores.compose("march", 1, number=2, seconds=20, seed=3)
    others = [
        scores.compose(style, artist, number=number, seconds=20, seed=seed)
        for style, artist, number, seed in (
            ("dance", 1, 2, 3),
            ("march", 0, 2, 3),
            ("march", 1, 1, 3),
            ("march", 1, 2, 4),
        )
    ]
    assert all(other.notes != one.notes for other in others)
    assert others[2].artist == one.artist  # another song of its artist
    assert others[1].artist != one.artist and others[3].artist != one.artist


def test_songs_of_an_artist_resemble_each_other():
    """Programs, kit and mix are shared; tempi spread less within artists than among them."""
    tempi = np.array(
        [[scores.compose("dance", a, number=n, seconds=2, seed=0).bpm for n in range(10)] for a in range(10)]
    )
    assert np.ptp(tempi, axis=1).max() <= 2 * scores.TEMPO_SPREAD < np.ptp(tempi.mean(axis=1))
    palettes = {(a.programs, a.volumes) for a in (scores.artist("dance", i, seed=0) for i in range(10))}
    assert len(palettes) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"style": "polka"}, "no style 'polka'; there are chorale, dance, ballad, march"),
        ({"seed": -1}, "seed is -1; it is 0 to 2^32 - 1"),
        ({"number": -2}, "number is -2; it is 0 to 2^32 - 1"),
        ({"artist_number": -3}, "number is -3; it is 0 to 2^32 - 1"),
        ({"seconds": 0}, "seconds is 0; a song lasts longer"),
        ({"seconds": float("nan")}, "seconds is nan; a song lasts longer"),
        ({"seconds": float("inf")}, "seconds is inf; a song lasts longer than 0 seconds, and ends"),
    ],
)
def test_no_score_of_what_cannot_be(arguments, message):
    given = {"style": "march", "artist_number": 0, "number": 0, "seconds": 3, "seed": 0} | arguments
    with pytest.raises(ValueError) as error:
        scores.compose(**given)
    assert message in str(error.value)


# The catalogue


def test_the_catalogue():
    table = songs.catalogue()
    assert len(table) == 4 * 8 * 4
    assert len({song.path for song in table}) == len(table)
    assert len({song.artist for song in table}) == 32
    assert len({(song.genre, song.artist_number) for song in table}) == 32
    assert all(song.path.split("/")[0] == song.artist for song in table)
    assert {song.artist_number for song in table} == set(range(8)) and {song.seed for song in table} == {0}
    albums = {(song.artist, song.album) for song in table}
    assert len(albums) == 32 * 4 / songs.SONGS_AN_ALBUM
    assert all(1970 <= song.year < 2030 for song in table)


def test_a_smaller_catalogue_is_part_of_a_larger_one():
    few = songs.catalogue(artists_per_style=2, songs_per_artist=3, seconds=5)
    more = songs.catalogue(artists_per_style=3, songs_per_artist=5, seconds=5)
    assert set(few) < set(more)
    other = songs.catalogue(artists_per_style=2, songs_per_artist=3, seconds=5, seed=1)
    assert not {song.path for song in few} & {song.path for song in other}


def test_names_do_not_run_out_and_then_do():
    table = songs.catalogue(artists_per_style=144, songs_per_artist=1, seconds=1)
    assert len({song.artist for song in table}) == 576
    with pytest.raises(ValueError, match="artists_per_style is 145; there are names for 1 to 144"):
        songs.catalogue(artists_per_style=145)
    with pytest.raises(ValueError, match="artists_per_style is 0; there are names"):
        songs.catalogue(artists_per_style=0)
    with pytest.raises(ValueError, match="songs_per_artist is 0; at least 1 song"):
        songs.catalogue(songs_per_artist=0)


def test_the_taste_is_as_stated():
    """Over 40 artists a style: those liked more are good more often, and so are quick songs.

    With the stated numbers a share of .64 of dances, .45 of marches, .24 of chorales and .18 of ballads is
    good. An artist's share spreads by .35, a style's by .055: the nearest pair below changes places with
    probability .004. The draws are frozen: what holds here holds everywhere.
    """
    table = songs.catalogue(artists_per_style=40, songs_per_artist=10, seconds=1)
    good = {
        style: np.mean([song.label == "good" for song in table if song.genre == style])
        for style in songs.LIKING
    }
    assert {song.label for song in table} == {"good", "bad"}
    assert min(good["dance"], good["march"]) > max(good["chorale"], good["ballad"]) and good["dance"] > 0.5

    def place(song):
        low, high = scores.STYLES[song.genre].bpm
        return (song.bpm - low) / (high - low)

    quick = [song.label == "good" for song in table if place(song) > 0.5]
    slow = [song.label == "good" for song in table if place(song) <= 0.5]
    assert np.mean(quick) > np.mean(slow)
    # The artist is a real grouping: shares of artists vary more than those of groups of ten drawn at random,
    # whose variance is p (1 - p) / 10.
    for style, share in good.items():
        of_artists = [
            np.mean([s.label == "good" for s in table if (s.genre, s.artist_number) == (style, a)])
            for a in range(40)
        ]
        assert np.var(of_artists) > 3 * share * (1 - share) / 10


# Files


def test_tags_are_read_back_by_another_library(collection):
    folder, table = collection
    assert sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.flac")) == sorted(
        song.path for song in table
    )
    for song in table:
        tag = tinytag.TinyTag.get(folder / song.path)
        assert (tag.title, tag.artist, tag.album, tag.genre) == (
            song.title,
            song.artist,
            song.album,
            song.genre,
        )
        assert (tag.year, tag.track, tag.samplerate, tag.channels) == (
            str(song.year),
            song.number + 1,
            22050,
            1,
        )
        assert tag.duration == pytest.approx(song.seconds, abs=1 / 22050)


def test_levels(collection):
    """Peak 0.9 to half a step of 16 bits, sound from first to last second, silence at the very end."""
    folder, table = collection
    for song in table:
        signal, rate = soundfile.read(folder / song.path)
        assert np.max(np.abs(signal)) == pytest.approx(songs.PEAK, abs=2**-15)
        seconds = signal[: int(song.seconds) * rate].reshape(-1, rate)
        assert np.sqrt(np.mean(seconds**2, axis=1)).min() > 1e-3
        assert np.abs(signal[-10:]).max() < 1e-3


def test_styles_do_not_sound_alike(collection):
    """The logarithm of each style's long-term spectrum: no two correlate beyond .97."""
    folder, table = collection
    levels = {}
    for song in table:
        signal, _ = soundfile.read(folder / song.path)
        windows = signal[: len(signal) // 2048 * 2048].reshape(-1, 2048) * np.hanning(2048)
        levels.setdefault(song.genre, []).append(
            np.log(np.mean(np.abs(np.fft.rfft(windows)) ** 2, axis=0) + 1e-9)
        )
    means = [np.mean(of, axis=0) for of in levels.values()]
    assert np.all(np.abs(np.corrcoef(means) - np.eye(4)) < 0.97)


def test_the_table_beside_the_songs(collection):
    folder, table = collection
    with (folder / songs.TABLE).open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert lines == [{name: str(value) for name, value in asdict(song).items()} for song in table]
    assert datasets.table(folder / songs.TABLE).labels == tuple(
        song.label for song in sorted(table, key=lambda song: song.path)
    )


def test_the_same_bytes_again_and_with_two_workers(collection, tmp_path):
    folder, table = collection
    assert songs.render(tmp_path, **SMALL, workers=2) == table
    for song in table:
        assert (tmp_path / song.path).read_bytes() == (folder / song.path).read_bytes()


def test_what_is_there_stays_and_what_lacks_is_made(collection, tmp_path):
    folder, table = collection
    own = shutil.copytree(folder, tmp_path / "own")
    (own / table[3].path).unlink()
    times = {song.path: (own / song.path).stat().st_mtime_ns for song in table if song != table[3]}
    (own / "notes.txt").write_text("mine")
    assert songs.render(own, **SMALL) == table
    assert {path: (own / path).stat().st_mtime_ns for path in times} == times
    assert (own / table[3].path).read_bytes() == (folder / table[3].path).read_bytes()
    assert (own / "notes.txt").read_text() == "mine"
    assert not list(own.rglob("*.part"))


def test_another_song_in_its_place_is_no_song(collection, tmp_path):
    folder, table = collection
    own = shutil.copytree(folder, tmp_path / "own")
    with pytest.raises(ValueError, match=r"01 - .*\.flac is another song, of 22050 Hz: .* than 16000 Hz"):
        songs.render(own, **SMALL, rate=16000)
    with pytest.raises(ValueError, match=r"is another song, of 22050 Hz: .* other seconds"):
        songs.render(own, **(SMALL | {"seconds": 9.0}))
    (own / table[0].path).write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"\.flac: .* Remove it, to have it rendered again"):
        songs.render(own, **SMALL)
    with pytest.raises(ValueError, match="rate is 22 Hz; 1000 Hz at least"):
        songs.render(tmp_path / "none", **SMALL, rate=22)
    assert not (tmp_path / "none").exists()


def test_an_error_leaves_no_file(collection, tmp_path, monkeypatch):
    monkeypatch.setattr(songs, "PEAK", None)
    with pytest.raises(TypeError):
        songs.render(tmp_path, **SMALL)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_score_too_loud_is_refused():
    score = scores.compose("dance", 0, number=0, seconds=2, seed=0)
    chord = tuple(scores.Note(0, 0, 2000, pitch, 127) for pitch in range(20, 110))
    loud = replace(score, artist=replace(score.artist, volumes=(127, 127, 127)), notes=chord * 3)
    with pytest.raises(ValueError, match="the renderer clips a dance of artist 0"):
        songs.waveform(loud, 22050)


def test_without_the_sound_font_nothing_is_written(tmp_path, monkeypatch):
    def missing():
        raise datasets.MissingData("instruments: the package pretty_midi, with its SoundFont, is missing")

    monkeypatch.setattr(songs, "sound_font", missing)
    with pytest.raises(datasets.MissingData, match="pretty_midi"):
        songs.render(tmp_path / "none", **SMALL)
    assert not (tmp_path / "none").exists()


# Generated tracks

NOTICE = """\
All music in this directory was generated locally with ACE-Step 1.5.
  post-processing  silence-trimmed, peak normalised to -1 dBFS, Opus 128 kbit/s

nostalgic/
  nostalgic_electronic_2.opus          84 bpm  Bb minor  seed 202  [electronic]

calm/
  calm_acoustic_1.opus                 68 bpm  C major   seed 101  [acoustic]
"""


def test_what_a_notice_states():
    first, second = packaged.stated(NOTICE, Path("tracks"))
    assert first == packaged.Track(
        Path("tracks/calm/calm_acoustic_1.opus"), "calm", "acoustic", bpm=68, key="C", mode="major", seed=101
    )
    assert (second.mood, second.kind) == ("nostalgic", "electronic")
    assert (second.bpm, second.key, second.mode, second.seed) == (84, "Bb", "minor", 202)


@pytest.mark.parametrize(
    ("notice", "message"),
    [
        (NOTICE.replace("68 bpm", "fast"), r"calm_acoustic_1\.opus  .* is not NAME\.opus BPM bpm KEY"),
        (
            NOTICE.replace("nostalgic/\n", ""),
            "is not NAME.opus BPM bpm KEY MODE seed SEED .KIND. below MOOD/",
        ),
        ("MIT License", "LICENSE-MUSIC names no track"),
    ],
)
def test_a_notice_that_cannot_be_read(notice, message):
    with pytest.raises(ValueError, match=message):
        packaged.stated(notice, Path())


class Distribution:
    """As installed: a notice, and the tracks that are named."""

    def __init__(self, root, tracks):
        self.files = []
        (root / "LICENSE-MUSIC").write_text(NOTICE)
        for name in ("LICENSE-MUSIC", *tracks):
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            file = importlib.metadata.PackagePath(name)
            file.dist = self
            self.files.append(file)
        self.locate_file = root.joinpath


TRACKS = ("tracks/calm/calm_acoustic_1.opus", "tracks/nostalgic/nostalgic_electronic_2.opus")


def test_generated_tracks_as_installed(tmp_path, monkeypatch):
    own = Distribution(tmp_path, TRACKS)
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: own)
    folder, table = packaged.generated()
    assert folder == tmp_path / "tracks" and [track.bpm for track in table] == [68, 84]
    (tmp_path / TRACKS[1]).unlink()
    with pytest.raises(
        datasets.MissingData, match=r"nostalgic_electronic_2.opus: 1 of the 2 tracks .* are not"
    ):
        packaged.generated()
    own = Distribution(tmp_path, (*TRACKS, "tracks/calm/more.opus"))
    with pytest.raises(ValueError, match=r"states nothing of more\.opus"):
        packaged.generated()
    own = Distribution(tmp_path, ())
    with pytest.raises(datasets.MissingData, match="0 tracks and 1 files LICENSE-MUSIC"):
        packaged.generated()


def test_generated_tracks_that_are_not_installed(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(datasets.MissingData, match="not installed: pip install immich-memories-music"):
        packaged.generated()


def test_the_generated_tracks():
    try:
        folder, table = packaged.generated()
    except datasets.MissingData as error:
        pytest.skip(str(error))
    assert len(table) == 28 and all(track.path.is_relative_to(folder) for track in table)
    assert {track.mood for track in table} == {"calm", "energetic", "happy", "nostalgic", "tender"}
    assert {track.key for track in table} <= set(scores.KEYS)
    assert all(track.kind in track.path.stem and track.mood in track.path.stem for track in table)
    tempi = {(track.mood, track.kind): track.bpm for track in table}
    assert tempi["calm", "acoustic"] == 68 and tempi["energetic", "electronic"] == 150


# Debian packages

SMALL_PACKAGES = tuple(
    replace(package, count=count) for package, count in zip(packaged.PACKAGES, (2, 1, 1), strict=True)
)


@pytest.fixture
def debian(tmp_path, monkeypatch):
    """An ``apt-get`` that brings packages from a folder, in which there are three of few songs."""
    if not (shutil.which("dpkg-deb") and shutil.which("dpkg")):
        pytest.skip("no dpkg here: packages are built and unpacked with it")
    shelf, programs = tmp_path / "shelf", tmp_path / "bin"
    programs.mkdir()
    for package in SMALL_PACKAGES:
        tree = tmp_path / "trees" / package.name
        for number in range(package.count):
            path = tree / package.pattern.replace("**/", "").replace("*", f"song {number}")
            path.parent.mkdir(parents=True, exist_ok=True)
            rate = 48000 if path.suffix == ".opus" else 44100
            with soundfile.SoundFile(path, "w", rate, 1, format="OGG") as file:
                if path.suffix == ".ogg":
                    file.artist = f"Artist {number}"
                file.write(np.zeros(4800))
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN" / "control").write_text(
            f"Package: {package.name}\nVersion: 1\nArchitecture: all\n"
            "Maintainer: Nobody <nobody@example.org>\nDescription: songs\n"
        )
        shelf.mkdir(exist_ok=True)
        subprocess.run(["dpkg-deb", "--build", tree, shelf], check=True, capture_output=True)
    apt = programs / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$2" >> {shelf}/log\ncp {shelf}/"$2"_* . || exit 100\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(packaged, "PACKAGES", SMALL_PACKAGES)
    monkeypatch.setattr(packaged, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.delenv(datasets.ENVIRONMENT, raising=False)
    return shelf


def test_packages_are_brought_found_and_not_brought_again(debian, capsys, tmp_path, monkeypatch):
    with pytest.raises(
        datasets.MissingData, match=r"0 of 2 songs of wesnoth-1.16-music, 0 of 1 songs of warz"
    ):
        packaged.debian_packages()
    assert recordings.main(["download", "game-music"]) == 0
    place = tmp_path / "cache" / "game-music"
    assert capsys.readouterr().out == f"{place}\n"
    found = packaged.debian_packages()
    assert [(song.package, song.artist, song.licence) for song in found] == [
        ("wesnoth-1.16-music", "Artist 0", "GPL-2+"),
        ("wesnoth-1.16-music", "Artist 1", "GPL-2+"),
        ("warzone2100-music", "", "GPL-2+"),
        ("singularity-music", "Artist 0", "CC BY-SA 3.0"),
    ]
    assert all(song.path.is_relative_to(place) and song.path.is_file() for song in found)
    assert sorted(path.name for path in place.iterdir()) == sorted(p.name for p in SMALL_PACKAGES)
    assert packaged.download() == place
    assert len((debian / "log").read_text().split()) == 3  # none of them twice
    # A folder of one's own comes first, where it is whole.
    shutil.copytree(place, tmp_path / "mine" / "game-music")
    monkeypatch.setenv(datasets.ENVIRONMENT, str(tmp_path / "mine"))
    assert packaged.debian_packages()[0].path.is_relative_to(tmp_path / "mine")
    found[0].path.unlink()
    assert len(packaged.debian_packages()) == 4
    with pytest.raises(datasets.MissingData, match=r"1 of 2 songs of wesnoth-1.16-music in "):
        packaged.debian_packages(place)
    packaged.download(place)
    assert len(packaged.debian_packages(place)) == 4


def test_a_package_with_other_songs_is_not_kept(debian, tmp_path, monkeypatch):
    expected = (replace(SMALL_PACKAGES[0], count=41), *SMALL_PACKAGES[1:])
    monkeypatch.setattr(packaged, "PACKAGES", expected)
    with pytest.raises(
        OSError, match=r"wesnoth.*_1_all\.deb: 2 of 41 songs .* has wesnoth-1.16-music 1:1.16.9-1"
    ):
        packaged.download(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_failure_is_told(debian, capsys, tmp_path):
    next(debian.glob("warzone*")).unlink()
    assert recordings.main(["download", "game-music"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: apt-get download warzone2100-music: exit code 100, cp: ")
    assert [path.name for path in (tmp_path / "cache" / "game-music").iterdir()] == ["wesnoth-1.16-music"]


def test_a_mirror_that_hangs(debian, tmp_path, monkeypatch):
    monkeypatch.setattr(packaged, "DOWNLOAD_SECONDS", 0.2)
    (tmp_path / "bin" / "apt-get").write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(OSError, match=r"apt-get download wesnoth-1.16-music: no end after 0.2 s"):
        packaged.download(tmp_path / "out")


def test_where_there_is_no_apt(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(datasets.MissingData, match="no apt-get here; on Debian 12: apt-get download wesnoth"):
        packaged.download(tmp_path / "out")
    assert not (tmp_path / "out").exists()
