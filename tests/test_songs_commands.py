"""The commands of a music collection, one after another, as a user calls them: rendered songs, no pool."""

import csv
import shutil

import pytest

pytest.importorskip("faiss", reason='pip install -e ".[songs]"')
pytest.importorskip("skops", reason='pip install -e ".[songs]"')

from songs.__main__ import COMMANDS, main
from study.datasets import songs as rendered

FEATURES = ("--count", "2", "--seconds", "3")


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    """Sixteen songs of 12 s, two artists a style; a copy of one that is cut and softer."""
    import soundfile

    folder = tmp_path_factory.mktemp("music") / "music"
    made = rendered.render(folder, artists_per_style=2, songs_per_artist=2, seconds=12)
    signal, rate = soundfile.read(folder / made[0].path)
    soundfile.write(folder / "copy.flac", signal[rate:] / 4, rate)
    soundfile.write(folder / "short.flac", signal[: 2 * rate], rate)  # too short for a tempo
    with (folder.parent / "labels.csv").open("w", newline="") as file:
        rows = [(folder / song.path, "good" if song.genre in {"dance", "march"} else "bad") for song in made]
        csv.writer(file).writerows([("path", "label"), *rows, (folder / "short.flac", "good")])
    return folder


@pytest.fixture
def told(capsys, monkeypatch, in_this_process, tmp_path_factory, music):
    """Run a command on the tables of this module: exit code, lines of standard output, standard error."""
    tables = music.parent / "tables"

    def run(command, *arguments, code=0):
        own = [] if command == "like" else ["--tables", str(tables)]
        capsys.readouterr()
        assert main([command, *map(str, arguments), *own]) == code
        output = capsys.readouterr()
        return output.out.splitlines(), output.err

    return run


def test_from_files_to_answers(told, music):
    """In one test, since each step needs the ones before it."""
    (line,), _ = told("index", music, "--labels", music.parent / "labels.csv")
    assert line == "18 files read, 0 as they were, 0 moved, 0 gone, 1 others passed over: 1 .csv"
    (line,), _ = told("index", music)
    assert line.startswith("0 files read, 18 as they were")

    rows, _ = told(
        "query", "select genre, count(*) as n from songs group by 1 order by 1 nulls last", "--csv"
    )
    assert list(csv.reader(rows))[1:-1] == [[style, "4"] for style in sorted(rendered.STYLES)]

    (line,), _ = told("samples", *FEATURES)
    assert line.startswith("18 songs: 0 done before, 35 rows written to samples")
    (line,), _ = told("features", *FEATURES)
    assert line.startswith("18 songs: 0 done before, 35 rows written to features")
    (line,), _ = told("features", *FEATURES)
    assert line.startswith("18 songs: 18 done before, 0 rows")

    model = music.parent / "taste.skops"
    lines, notes = told("train", "--out", model, "--scored", "majority,tree", "--folds", "2", *FEATURES)
    assert any("17 songs of 9 artists" in line for line in lines) and model.is_file()
    assert "note: 1 of 17 songs name neither group nor artist nor album" in notes
    song = next(music.rglob("01*.flac"))
    lines, _ = told("like", song, "--model", model)
    assert str(song) in lines[0] and "of 2 samples" in lines[0]
    assert lines[-1].startswith("  the model has learned from this very song")
    lines, _ = told("like", music / "copy.flac", music / "short.flac", "--model", model)
    assert (
        sum("learned from" in line for line in lines) == 1 and len([li for li in lines if "good" in li]) >= 2
    )

    assert len(told("similar", music / "short.flac", "--k", "3", *FEATURES)[0]) == 4
    header, *lines = told("similar", song, "--k", "3", *FEATURES)[0]
    assert header.split("\t")[0] == "distance" and len(lines) == 3 and str(song) not in "".join(lines)
    lines, _ = told("duplicates")
    assert any("copy.flac" in line for line in lines)

    # Copies of which two labels are told: none of them is taken.
    twin = music / "twin.flac"
    shutil.copyfile(song, twin)
    labels = music.parent / "twin.csv"
    labels.write_text((music.parent / "labels.csv").read_text() + f"{twin},neither\n")
    told("index", music, "--labels", labels)
    _, error = told("train", "--out", model, *FEATURES, code=1)
    assert "have the labels" in error
    twin.unlink()
    told("index", music, "--labels", music.parent / "labels.csv")
    lines, _ = told("distances", "--by", "genre", "--least", "4", "--permutations", "99")
    assert len([line for line in lines if " / " in line]) == 6


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        ("train", ("--out", "x.skops", "--count", "7"), "no features of features-2-samples-1-7x5s-22050Hz"),
        ("query", ("select nothing from songs",), "error: query:"),
        ("index", ("nowhere",), "nowhere is no folder"),
        ("features", ("--rate", "22"), "Was it given in kHz?"),
        ("distances", ("--least", "1000"), "sets have 1000 or more songs"),
    ],
)
def test_what_cannot_be_is_one_line(told, music, command, arguments, message):
    told("index", music)
    _, error = told(command, *arguments, code=1)
    assert message in error and len(error.splitlines()) == 1


def test_a_collection_that_was_moved_keeps_what_is_known_of_it(told, music, tmp_path):
    told("index", music)
    told("features", *FEATURES)
    place = music / "moved"
    place.mkdir()
    song = next(music.rglob("02*.flac"))
    shutil.move(song, place / song.name)
    lines, _ = told("index", music)
    assert lines[0] == f"moved: {song} -> {place / song.name}"
    (line,), _ = told("features", *FEATURES)
    assert " 18 done before, 0 rows" in line
    shutil.move(place / song.name, song)


def test_every_command_has_help(capsys):
    for name in COMMANDS:
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
        assert f"python -m songs {name}" in capsys.readouterr().out
