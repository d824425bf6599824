"""Rows of names: safe in a spreadsheet, whole after any interrupt; with a model that needs no training."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

import metrics
from models import predict

ROOT = str(Path(metrics.__file__).parent)
RATE = 16000
ODD = [
    "=1+1.wav",
    "+2.wav",
    "-3.wav",
    "@sum(a).wav",
    "\t=4.wav",
    "\uff1d5.wav",
    "one\rtwo.wav",
    "one\ntwo.wav",
    "one\u2028two.wav",
    'say "a", b; c.wav',
    "plain.wav",
]


@pytest.fixture
def model():
    """Names by the level; the labels are a spreadsheet's nightmare."""

    def probabilities(signals, rate):
        loud = float(np.abs(signals[0]).max() > 0.5)
        return np.array([[1 - loud, loud / 2, loud / 2]])

    return SimpleNamespace(names=["=quiet", "'loud", "other"], probabilities=probabilities)


@pytest.fixture
def here(tmp_path, monkeypatch, noise):
    """A folder of odd names, relative to which paths are given; one of them is loud, one is no sound."""
    (tmp_path / "sounds").mkdir()
    monkeypatch.chdir(tmp_path / "sounds")
    for i, name in enumerate(ODD):
        soundfile.write(name, noise(i) * (8 if i == 3 else 1), RATE, format="WAV", subtype="FLOAT")
    Path("silent.wav").write_bytes(b"")
    return tmp_path


def cells(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def paths():
    return sorted(Path(name) for name in os.listdir("."))


def test_no_cell_is_a_formula_and_each_path_is_its_file(model, here):
    out = here / "out.csv"
    rows = list(predict.write(model, paths(), out, key="k"))
    found = cells(out)
    for row in found:
        assert not any(text.startswith(tuple("=+-@\t\r\n\uff1d")) for text in row.values())
        assert row["label"] in ("'=quiet", "''loud", "") and (row["label"] == "") == bool(row["error"])
    assert sorted(Path(row["path"]) for row in found) == paths()  # ./ is part of no path
    assert [row["path"] for row in rows] == [str(path) for path in paths()]
    assert {row["label"] for row in rows} == {"=quiet", "'loud", ""}


def test_an_interrupt_at_any_byte_loses_at_most_the_row_that_it_cuts(model, here, monkeypatch):
    """Names hold every kind of line end; what follows the cut is made again, and nothing else."""
    expected = list(predict.write(model, paths(), here / "whole.csv", key="k"))
    steps = predict.write(model, paths(), here / "out.csv", key="k")
    for _ in paths():
        next(steps)
    steps.close()
    (part,) = here.glob(".out.csv.*.part")
    data = part.read_bytes()
    read, original = [], metrics.read
    monkeypatch.setattr(metrics, "read", lambda path, **o: read.append(path) or original(path, **o))
    # No name has a quote before its line end, so these are the ends of lines; the first is the header's.
    ends = [match.start() for match in re.finditer(b'"\n', data)][1:]
    assert len(ends) == len(expected)
    for cut in range(0, len(data), 7):
        part.write_bytes(data[:cut])
        # Whole behind the last quote, and before the two of the last cell, where all but "" is there.
        kept = sum(
            (end < cut or cut == end - 1) and not row["error"]
            for end, row in zip(ends, expected, strict=True)
        )
        read.clear()
        assert list(predict.write(model, paths(), here / "out.csv", key="k")) == expected
        assert len(read) == len(paths()) - kept
        assert (here / "out.csv").read_bytes() == (here / "whole.csv").read_bytes()


def test_a_restart_that_is_interrupted_keeps_all_rows(model, here, monkeypatch):
    """A past fault: going on emptied the file first, and wrote the rows again one by one."""
    files = paths()
    steps = predict.write(model, files, here / "out.csv", key="k")
    for _ in files[:8]:
        next(steps)
    steps.close()
    (part,) = here.glob(".out.csv.*.part")
    kept = len(cells(part))
    for _ in range(2):
        steps = predict.write(model, files, here / "out.csv", key="k")
        next(steps)
        assert len([row for row in cells(part) if not row["error"]]) == kept == 8
        steps.close()


def test_errors_are_tried_again_in_their_place(model, here, noise):
    list_of = [Path("plain.wav"), Path("silent.wav"), Path("+2.wav")]
    steps = predict.write(model, sorted(list_of), here / "out.csv", key="k")
    for _ in list_of[:2]:
        next(steps)
    for _ in steps:
        break
    steps.close()
    soundfile.write("silent.wav", noise(3), RATE)
    rows = list(predict.write(model, sorted(list_of), here / "out.csv", key="k"))
    assert [row["path"] for row in rows] == ["+2.wav", "plain.wav", "silent.wav"]
    assert [Path(row["path"]) for row in cells(here / "out.csv")] == sorted(list_of)
    assert not any(row["error"] for row in rows)


def test_names_that_are_not_utf_8(model, here, noise):
    os.rename("plain.wav", os.fsdecode(b"caf\xe9.wav"))
    rows = list(predict.write(model, paths(), here / "out.csv", key="k"))
    assert (
        "caf\\udce9.wav" in {row["path"] for row in rows if row["label"]}
        and len(cells(here / "out.csv")) == 12
    )


def test_what_cannot_be_read_has_a_row(model, here, tmp_path):
    """A FIFO does not hang, and a link that leads nowhere is not left out."""
    folder = tmp_path / "folder"
    folder.mkdir()
    os.mkfifo(folder / "pipe.wav")
    (folder / "x.wav").write_bytes(b"no sound")
    (folder / "tones").symlink_to(tmp_path / "not mounted")
    (folder / "more").symlink_to(tmp_path / "sounds")
    rows = {Path(r["path"]).name: r for r in predict.rows(model, predict.audio_files([str(folder)]))}
    assert len(rows) == 3 + 12
    assert "a FIFO" in rows["pipe.wav"]["error"] and "not mounted" in rows["tones"]["error"]
    assert rows["plain.wav"]["label"] == "=quiet"


COMMAND = """
import sys, types
import numpy as np
model = types.SimpleNamespace(names=["one"], probabilities=lambda s, rate: np.array([[1.0]]), temperature=2.0,
                              described=None, facts={})
loaded = types.SimpleNamespace(load=lambda _: model)
sys.modules["models.classifier"] = types.SimpleNamespace(Classifier=loaded)
from models import predict
try:
    sys.exit(predict.main(sys.argv[1:]))
except ValueError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)
"""


@pytest.fixture
def command(here):
    def run(*arguments, shell, **environment):
        """A shell's line, in which $PREDICT stands for the command."""
        line = f'"$0" -c "$CODE" "$@" {shell}'
        return subprocess.run(
            ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}", sys.executable, *map(str, arguments)],
            env={
                **os.environ,
                "CODE": COMMAND,
                "PYTHONPATH": str(Path(metrics.__file__).parent),
                **environment,
            },
            capture_output=True,
            text=True,
        )

    (here / "model").write_bytes(b"weights")
    return run


def test_a_reader_who_leaves_and_one_of_another_encoding(command, here):
    os.remove("silent.wav")
    soundfile.write("\u65e5.wav", np.ones(4000) / 2, RATE)
    for shell in ("| head -n 1", "| true", ">&-"):
        done = command(here / "model", here / "sounds", shell=shell)
        assert (done.returncode, done.stderr) == (0, "")
    done = command(here / "model", here / "sounds", shell="", PYTHONIOENCODING="cp1252")
    assert (done.returncode, done.stderr) == (0, "") and "\\u65e5.wav\tone\t1.000000" in done.stdout
    done = command(here / "model", here / "sounds", shell="> /dev/full")
    assert done.returncode == 2 and done.stderr.startswith("error: the names cannot be written")
    assert done.stderr.count("\n") == 1
