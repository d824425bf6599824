"""The committed notebooks are clean, and the executor refuses what would not be."""

import io
import json
import re
import statistics
import sys
from pathlib import Path

import nbformat
import pandas as pd
import pytest

from report import notebooks
from study import datasets

COMMITTED = sorted(notebooks.FOLDER.glob("*.ipynb"))
MACHINE_PATH = re.compile(r"(?:(?<![\w./])|file://)/(?:home|root|tmp|work|Users|usr)/\w|\b[A-Z]:\\{1,2}\w{2}")


def code_cells(path):
    return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]


def test_there_are_notebooks():
    assert len(COMMITTED) >= 2


@pytest.mark.parametrize("path", COMMITTED, ids=lambda p: p.stem)
class TestCommitted:
    def test_executed_in_order_without_errors(self, path):
        cells = [c for c in code_cells(path) if "".join(c["source"]).strip()]
        assert [c["execution_count"] for c in cells] == list(range(1, len(cells) + 1))
        outputs = [o for c in cells for o in c["outputs"]]
        assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]

    def test_tables_are_whole_and_without_markup(self, path):
        """pandas leaves out the middle of a long table, and shows Markdown in a cell as it is."""
        for cell in code_cells(path):
            for output in cell["outputs"]:
                table = "".join(output.get("data", {}).get("text/html", ""))
                assert not re.search(r"\d+ rows × \d+ columns|<t[hd]>\.\.\.</t[hd]>|<t[hd]>[^<]*`", table)

    def test_no_path_of_one_machine(self, path):
        content = json.loads(path.read_text(encoding="utf-8"))
        for cell in content["cells"]:
            for output in cell.get("outputs", []):
                data = output.get("data", {})
                shown = [data[kind] for kind in data if kind.startswith("text/")]
                for text in [output.get("text", ""), *shown]:
                    assert not MACHINE_PATH.search("".join(text))
            assert not MACHINE_PATH.search("".join(cell["source"]))

    def test_prose_first_and_short_cells(self, path):
        content = json.loads(path.read_text(encoding="utf-8"))
        assert content["cells"][0]["cell_type"] == "markdown"
        lengths = [len("".join(c["source"]).splitlines()) for c in code_cells(path)]
        assert statistics.median(lengths) <= 6

    def test_small_enough_to_open(self, path):
        assert path.stat().st_size < 1.5 * 2**20


@pytest.mark.parametrize("path", COMMITTED[2:8], ids=lambda p: p.stem)
def test_it_shows_more_than_results(path):
    """Of notebooks 03 to 08, most of which draw results: something to listen to, too, and a picture."""
    shown = [output.get("data", {}) for cell in code_cells(path) for output in cell["outputs"]]
    assert any("<audio" in "".join(data.get("text/html", "")) for data in shown)
    assert any("image/png" in data for data in shown)


def said_of(path, cell):
    """The text that a cell of a committed notebook has shown."""
    (found,) = [c for c in code_cells(path) if c["id"] == cell]
    return "".join("".join(o.get("text", "")) or "".join(o["data"]["text/plain"]) for o in found["outputs"])


def table_of(text):
    """The table that a text of pandas is of."""
    return pd.read_csv(io.StringIO(text), sep=r"\s{2,}", engine="python", index_col=0)


# Sentences about what a notebook computes: (notebook, cell that shows it, sentence, what makes it true).
SENTENCES = [
    (
        "03_candidates",
        "three-distances",
        "Frechet is far above zero there",
        lambda text: (t := table_of(text)).frechet["as it is"] > 0.1 * t.frechet["in noise"],
    ),
    (
        "03_candidates",
        "three-distances",
        "The energy distance is near zero.",
        lambda text: abs((t := table_of(text)).energy["as it is"]) < 0.02 * t.energy["in noise"],
    ),
    (
        "03_candidates",
        "three-distances",
        "Frechet takes the noise to be farther away, the energy distance the repeated note.",
        lambda text: (
            (t := table_of(text)).frechet["in noise"] > t.frechet["one note repeated"]
            and t.energy["one note repeated"] > t.energy["in noise"]
        ),
    ),
    (
        "03_candidates",
        "three-distances",
        "and gives both the same value.",
        lambda text: (t := table_of(text)).lost_coverage.iloc[1] == t.lost_coverage.iloc[2] > 0,
    ),
    (
        "04_contrast",
        "one-trial-statistics",
        "On the rows as they come neither finds the rounding. "
        "Whitened, the energy statistic does, and Frechet does not.",
        lambda text: (table_of(text).p > 0.05).tolist() == [True, True, True, False],
    ),
    (
        "05_choice",
        "by-hand-deals",
        "The halvings lie on both sides of zero",
        lambda text: 2 <= int((m := re.search(r"(\d+) of (\d+) below 0", text))[1]) <= int(m[2]) - 2,
    ),
    (
        "06_regressions",
        "heard-judge",
        "One is caught and one is not",
        lambda text: re.search(r"^clipped: worse in envelope.*\nwrong_rate: no worse", text) is not None,
    ),
    (
        "07_autoencoders",
        "ceiling-distances",
        "All bins bring the notes back nearly to where they were, the bands alone do not",
        lambda text: (t := table_of(text).distance)["all bins known"] < 0.2 * t["bands spread evenly"],
    ),
]


@pytest.mark.parametrize(
    ("name", "cell", "sentence", "holds"),
    SENTENCES,
    ids=lambda value: value[:40] if isinstance(value, str) else "holds",
)
def test_what_a_notebook_says_of_its_own_numbers_holds(name, cell, sentence, holds):
    """A sentence that other numbers would make false: none of them is true where all numbers are 0."""
    path = notebooks.FOLDER / f"{name}.ipynb"
    content = json.loads(path.read_text(encoding="utf-8"))
    prose = [" ".join("".join(c["source"]).split()) for c in content["cells"] if c["cell_type"] == "markdown"]
    assert any(sentence in text for text in prose), sentence
    text = said_of(path, cell)
    assert holds(text), f"no longer true: {sentence}"
    nothing = re.sub(r"\b\d+(\.\d+)?\b", "0", text).replace("worse in", "undecided in")
    assert not holds(nothing)


def write(folder: Path, *sources: str) -> Path:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    path = folder / "small.ipynb"
    nbformat.write(notebook, path)
    return path


def test_executes_in_place_and_leaves_nothing_that_changes(tmp_path):
    path = write(tmp_path, "x = 20", "x + 22")
    notebooks.execute(path)
    first = path.read_bytes()
    assert code_cells(path)[1]["outputs"][0]["data"]["text/plain"] == ["42"]
    notebooks.execute(path)
    assert path.read_bytes() == first
    assert [p.name for p in tmp_path.iterdir()] == ["small.ipynb"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", r"small\.ipynb: code cell 2 failed[\s\S]*ZeroDivisionError"),
        (
            "import sys; print('hm', file=sys.stderr)",
            r"small\.ipynb: code cell 2 wrote to the error stream:\nhm",
        ),
        ("import os; os._exit(1)", r"small\.ipynb: .*[Kk]ernel died"),
    ],
)
def test_refuses_and_keeps_the_old_file(tmp_path, source, message):
    path = write(tmp_path, "x = 1", source)
    before = path.read_bytes()
    with pytest.raises(notebooks.NotebookError, match=message):
        notebooks.execute(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["small.ipynb"]


def test_runs_this_interpreter_beside_the_notebook_with_the_repository(tmp_path):
    path = write(
        tmp_path, "import os, sys, gen_audio", "print(sys.executable, os.getcwd(), gen_audio.__file__)"
    )
    notebooks.execute(path)
    where = " ".join([sys.executable, str(tmp_path), str(notebooks.FOLDER.parent / "gen_audio.py")])
    assert "".join(code_cells(path)[1]["outputs"][0]["text"]).strip() == where


def test_no_output_depends_on_the_recordings(tmp_path, monkeypatch):
    """With ``AUDIO_DATA`` set the notebook is what it is without."""
    source = "from study import datasets; print(datasets.rated_names())"
    contents = []
    for value in ("", str(tmp_path / "data")):
        (tmp_path / "data" / "rated" / "one").mkdir(parents=True, exist_ok=True)
        (tmp_path / "data" / "rated" / "one" / "ratings.json").write_text("{}")
        monkeypatch.setenv(datasets.ENVIRONMENT, value)
        path = write(tmp_path, source)
        notebooks.execute(path)
        contents.append(code_cells(path)[0]["outputs"])
    assert datasets.rated_names() == ("one",)  # here, where the variable is seen
    assert contents[0] == contents[1]


def test_prints_in_a_row_are_one_output(tmp_path):
    path = write(tmp_path, "import time", "for i in range(3):\n    print(i, flush=True)\n    time.sleep(0.3)")
    notebooks.execute(path)
    assert [o["text"] for o in code_cells(path)[1]["outputs"]] == [["0\n", "1\n", "2\n"]]


@pytest.mark.parametrize("text", ["/home/me", "in /tmp/x", '"/work/a"', "file:///usr/lib", "C:\\Users"])
def test_paths_of_one_machine_are_recognised(text):
    assert MACHINE_PATH.search(text)


@pytest.mark.parametrize(
    "text", ["../test_audio/test1", "notebooks/tmp/x", "and/or", "https://example.org/home/a"]
)
def test_other_paths_are_not(text):
    assert not MACHINE_PATH.search(text)


def test_an_unknown_name_is_one_line(capsys):
    assert notebooks.run(["99_nothing"]) == 2
    assert capsys.readouterr().err == "error: no notebook named 99_nothing in notebooks/\n"
