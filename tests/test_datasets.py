"""Every set under one contract; those that are a download are skipped where they are not."""

import hashlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

import gen_audio
from study import datasets

AUDIO_DATA = os.environ.get(datasets.ENVIRONMENT)  # read before any test changes it


def needs(name):
    reason = f"{name} are not here; set {datasets.ENVIRONMENT}, or python -m study.datasets download {name}"
    return pytest.mark.skipif(not datasets.available(name), reason=reason)


def draw_digits():
    return datasets.digits(count=30, rng=np.random.default_rng(0))


def draw_sounds():
    return datasets.sounds(count=12, rng=np.random.default_rng(0))


LOADERS = [
    pytest.param(lambda: datasets.tones("background"), id="background"),
    pytest.param(lambda: datasets.tones("test1", overflow="clip"), id="test1"),
    pytest.param(lambda: datasets.instruments(count=20), id="instruments"),
    pytest.param(draw_digits, id="digits", marks=needs("digits")),
    pytest.param(draw_sounds, id="sounds", marks=needs("sounds")),
]


@pytest.mark.parametrize("load", LOADERS)
def test_contract(load):
    loaded = load()
    assert len({len(loaded), len(loaded.names), len(loaded.labels), len(loaded.groups)}) == 1
    assert list(loaded.names) == sorted(set(loaded.names))
    assert loaded.rate in (8_000, 16_000, 22_050, 44_100) and loaded.source and loaded.name
    for signal in loaded.signals:
        assert signal.ndim == 1 and signal.dtype == np.float32 and len(signal) > 1000
        assert np.all(np.isfinite(signal)) and 0 < np.max(np.abs(signal)) <= 1.01  # Vorbis: 1.0+
    again = load()
    assert again.names == loaded.names and again.labels == loaded.labels
    assert [s.tobytes() for s in again.signals] == [s.tobytes() for s in loaded.signals]


def test_tones_are_the_files_of_gen_audio():
    loaded = datasets.tones("test2")
    files = gen_audio.test_sets()["test2"]
    assert loaded.names == ("sin_100.wav", "sin_1000.wav", "sin_325.wav", "sin_550.wav",
                            "sin_775.wav")  # fmt: skip
    assert loaded.labels[1] == "1000 Hz" and loaded.rate == 16_000
    for name, signal in zip(loaded.names, loaded.signals, strict=True):
        assert np.array_equal(signal * 2**15, files[name])
    with pytest.raises(ValueError, match="test3"):
        datasets.tones("test3")


# Instruments


def test_a_larger_set_of_instruments_begins_with_a_smaller_one():
    few, more = datasets.instruments(count=3), datasets.instruments(count=5)
    assert few.names == more.names[:3]
    assert all(np.array_equal(a, b) for a, b in zip(few.signals, more.signals, strict=False))
    other = datasets.instruments(count=3, seed=1)
    assert not np.array_equal(few.signals[0], other.signals[0])
    assert few.groups[0] == "Acoustic Grand Piano" and few.labels[0] == "piano"


def test_families_cover_the_programs():
    assert len(datasets.FAMILIES) == len(set(datasets.FAMILIES)) == 16


def test_a_note_sounds_at_its_pitch():
    """Middle A is 440 Hz; a semitone is 6 %, the window resolves 1 Hz."""
    signal = datasets.note(73, 69)  # flute
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal))))
    lowest = np.flatnonzero(spectrum > 0.3 * spectrum.max())[0]
    assert lowest == pytest.approx(440, rel=0.015)
    assert signal.shape == (22_050,) and np.max(np.abs(signal)) == pytest.approx(0.5)
    assert signal[-1] == 0.0


@pytest.mark.parametrize(
    "program, pitch, velocity, word",
    [(128, 60, 100, "program"), (0, -1, 100, "pitch"), (0, 60, 0, "velocity"), (78, 84, 60, "sil")],
)
def test_a_bad_note(program, pitch, velocity, word):
    with pytest.raises(ValueError, match=word):
        datasets.note(program, pitch, velocity=velocity)


def test_no_notes():
    with pytest.raises(ValueError, match="count is 0"):
        datasets.instruments(count=0)


# Recordings


@needs("digits")
def test_digits():
    everything = datasets.digits()
    assert len(everything) == 3000 and everything.rate == 8_000
    assert set(everything.labels) == set("0123456789") and len(set(everything.groups)) == 6
    drawn = draw_digits()
    assert len(drawn) == 30 and set(drawn.names) <= set(everything.names)
    with pytest.raises(ValueError, match="rng"):
        datasets.digits(count=3)
    with pytest.raises(ValueError, match="3001"):
        datasets.digits(count=3001, rng=np.random.default_rng(0))


@needs("sounds")
def test_sounds():
    drawn = draw_sounds()
    assert drawn.rate == 44_100
    for name, label, group in zip(drawn.names, drawn.labels, drawn.groups, strict=True):
        assert name.split("/")[0][6:] == label and name.split("-")[-2] == group


@pytest.fixture
def nothing_here(monkeypatch, tmp_path):
    monkeypatch.setenv(datasets.ENVIRONMENT, str(tmp_path / "local"))
    monkeypatch.setattr(datasets.recordings, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path


@pytest.mark.parametrize("name", ["digits", "sounds"])
def test_missing_data_says_what_to_do(name, nothing_here):
    assert not datasets.available(name)
    with pytest.raises(datasets.MissingData) as error:
        getattr(datasets, name)()
    message = str(error.value)
    assert "\n" not in message and datasets.ENVIRONMENT in message
    assert f"python -m study.datasets download {name}" in message
    assert isinstance(error.value, FileNotFoundError)


def test_part_of_a_set_is_missing_data(nothing_here):
    folder = nothing_here / "local" / "fsdd" / "recordings"
    folder.mkdir(parents=True)
    (folder / "0_george_0.wav").write_bytes(b"")
    with pytest.raises(datasets.MissingData, match="1 of 3000"):
        datasets.digits()


def test_an_unknown_set():
    with pytest.raises(ValueError, match="no set 'birds'"):
        datasets.available("birds")


def test_always_available():
    assert datasets.available("tones") and datasets.available("instruments")


def archive_of(folder, pattern, inside, place):
    """Pack a folder as the archives of commits are packed, with other files beside."""
    with zipfile.ZipFile(place, "w") as archive:
        archive.writestr("repository-0123abc/README.md", "text")
        archive.writestr("repository-0123abc/other/deep/9_x_9.wav", "not of the set")
        for path in folder.glob(pattern):
            relative = path.relative_to(folder).as_posix()
            archive.write(path, "/".join(filter(None, ["repository-0123abc", inside, relative])))


def test_a_fingerprint_is_of_names_and_contents(nothing_here):
    place = nothing_here / "local" / "rated" / "made" / "system"
    place.mkdir(parents=True)
    (place / "a.flac").write_bytes(b"ab")
    (place / "b.flac").write_bytes(b"c")
    assert [path.name for path in datasets.files("rated")] == ["a.flac", "b.flac"]
    first = datasets.fingerprint("rated")
    literal = hashlib.sha256(b"made/system/a.flac\x002\x00abmade/system/b.flac\x001\x00c").hexdigest()
    assert (first["files"], first["sha256"]) == (2, literal) and first["source"]
    (place / "a.flac").write_bytes(b"a")  # the same bytes in all, divided otherwise
    (place / "b.flac").write_bytes(b"bc")
    assert datasets.fingerprint("rated")["sha256"] != literal
    (place / "a.flac").rename(place / "c.flac")
    assert datasets.fingerprint("rated")["files"] == 2


@needs("digits")
def test_a_fingerprint_of_the_digits_is_the_checksum_of_their_download():
    if not AUDIO_DATA:
        pytest.skip("they are in the cache folder, where a download has verified them")
    assert datasets.fingerprint("digits")["sha256"] == datasets.recordings.COLLECTIONS["digits"].checksum


def test_help_teaches(capsys):
    with pytest.raises(SystemExit) as done:
        datasets.recordings.main(["--help"])
    text = capsys.readouterr().out
    assert done.value.code == 0
    for word in ("digits", "sounds", datasets.ENVIRONMENT, "CC BY", "fsdd/recordings", "exit codes"):
        assert word in text
    assert "python -m study.datasets download digits" in text


@needs("digits")
def test_download_unpacks_and_verifies(nothing_here, monkeypatch):
    """The network is replaced by an archive made from the local copy."""
    import pooch

    wanted = datasets.recordings.COLLECTIONS["digits"]
    source = Path(AUDIO_DATA) / wanted.folder if AUDIO_DATA else None
    if source is None or not source.is_dir():
        pytest.skip(f"no local copy: {datasets.ENVIRONMENT} is not set")
    archive = nothing_here / "archive.zip"
    archive_of(source, wanted.pattern, wanted.inside, archive)
    monkeypatch.setattr(pooch, "retrieve", lambda *args, **options: str(archive))
    place = datasets.download("digits")
    assert place == nothing_here / "cache" / wanted.folder and datasets.available("digits")
    assert [p.name for p in place.parent.iterdir()] == ["recordings"]

    monkeypatch.setattr(pooch, "retrieve", None)  # complete: not fetched again
    assert datasets.download("digits") == place


def test_download_of_something_else_leaves_nothing(nothing_here, monkeypatch, capsys):
    import pooch

    archive = nothing_here / "archive.zip"
    archive_of(nothing_here, "*.none", "", archive)
    monkeypatch.setattr(pooch, "retrieve", lambda *args, **options: str(archive))
    assert datasets.recordings.main(["download", "sounds"]) == 2
    assert "does not hold the 400 files" in capsys.readouterr().err
    assert list((nothing_here / "cache").rglob("*")) == []


# Rated sets


def write_rated(root, *, name="made", folder="rated", rates=(8_000, 8_000, 8_000), **changes):
    folder = root / folder / name
    about = {"reference": "real", "ratings": {"good": 4, "bad": 2.5}, "metric": "MOS", "source": "made up"}
    for system, rate in zip(("real", "good", "bad"), rates, strict=True):
        (folder / system).mkdir(parents=True)
        for take in (1, 2):
            noise = np.random.default_rng(take).normal(0, 0.1, rate // 4)
            soundfile.write(folder / system / f"{take}.flac", noise, rate)
    (folder / "ratings.json").write_text(json.dumps({**about, **changes}))
    return folder


@pytest.fixture
def local(monkeypatch, tmp_path):
    monkeypatch.setenv(datasets.ENVIRONMENT, str(tmp_path))
    return tmp_path


def test_a_rated_set_of_ones_own(local):
    write_rated(local, rates=(16_000, 8_000, 8_000))
    assert datasets.rated_names() == ("made",) and datasets.available("rated")
    loaded = datasets.rated("made")
    assert loaded.ratings == {"good": 4.0, "bad": 2.5} and set(loaded.systems) == {"good", "bad"}
    assert loaded.reference.rate == 16_000 and loaded.systems["bad"].rate == 8_000
    assert loaded.reference.groups == loaded.systems["good"].groups == ("1", "2")
    assert loaded.systems["good"].labels == ("good", "good")
    assert (loaded.laboratory, loaded.figures, loaded.licence) == ("made", "unknown", "unknown")


def test_rated_sets_of_both_folders(local):
    """In one list; of one name the first folder's, and a laboratory that the file names."""
    write_rated(local, name="b", folder="rated_more", laboratory="Somewhere")
    write_rated(local, name="a", folder="rated_more", metric="CMOS")
    write_rated(local, name="a")
    assert datasets.rated_names() == ("a", "b")
    assert datasets.rated("a").metric == "MOS" and datasets.rated("b").laboratory == "Somewhere"
    assert datasets.available("rated") and datasets.available("rated_more")
    assert datasets.fingerprint("rated_more")["files"] == 12


def test_rated_sets_that_are_wrong(local):
    with pytest.raises(datasets.MissingData, match=r"'made'.*no download"):
        datasets.rated("made")
    folder = write_rated(local, ratings={"good": 4, "other": 2})
    with pytest.raises(ValueError, match="no FLAC file"):
        datasets.rated("made")
    (folder / "ratings.json").write_text(
        '{"reference": "real", "ratings": {"good": NaN}, "source": "made up"}', encoding="utf-8"
    )
    with pytest.raises(ValueError, match="not finite"):
        datasets.rated("made")


def test_no_rated_sets(nothing_here):
    assert datasets.rated_names() == () and not datasets.available("rated")
    with pytest.raises(ValueError, match="no download"):
        datasets.download("rated")


@pytest.mark.skipif(not datasets.available("rated"), reason=f"no rated sets below {datasets.ENVIRONMENT}")
def test_the_known_rated_sets():
    for name in set(datasets.rated_names()) & set(datasets.RATED):
        loaded = datasets.rated(name)
        assert loaded.figures in {"read", "recalled", "second-hand"} and loaded.source
        assert set(loaded.systems) == set(loaded.ratings) and len(loaded.reference) >= 3  # grad_tts
        if "memory" in loaded.source or "figures recalled" in loaded.source:
            assert loaded.figures == "recalled"
        if "figures read second-hand" in loaded.source:
            assert loaded.figures == "second-hand"
