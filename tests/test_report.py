"""The report and README say what the results hold, and every link leads somewhere."""

import itertools
import json
import re
from pathlib import Path

import jinja2
import numpy as np
import pytest

import gen_audio
import metrics
from study import plots, report, results

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "report.md", ROOT / "README.md", *sorted((ROOT / "notebooks").glob("*.ipynb"))]
DECIMAL = re.compile(r"(?<![\w.])\d*\.\d+")
# Decimals the template may hold; everything else that looks like a result must be one.
CONSTANTS = set()
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def found():
    return results.read_all()


@pytest.fixture(scope="module")
def challenge(found):
    return found["challenge"]


def prose(page):
    """The markdown of a page; of a notebook, its markdown cells."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


# The report


def test_report_is_what_the_results_render_to(found):
    assert report.REPORT.read_text(encoding="utf-8") == report.render(found)


def test_template_holds_no_results():
    text = report.TEMPLATE.read_text(encoding="utf-8")
    outside = re.sub(r"\{[{%].*?[%}]\}", "", text, flags=re.DOTALL)
    assert set(DECIMAL.findall(outside)) - CONSTANTS == set()


def test_a_changed_result_changes_the_report(found):
    changed = json.loads(json.dumps(found))
    changed["challenge"]["sets"]["clean"]["test2"]["p_value"] = 0.012
    text = report.render(changed)
    assert text != report.render(found)
    assert "The clean test2 is told from the background" in text


def test_sections_of_missing_results_are_left_out(found):
    text = report.render({"challenge": found["challenge"]})
    assert "spoken digits with known damage" not in text
    assert "not measured here: `make study`" in text


@pytest.mark.parametrize("peer", [None, 18.0])
def test_speed_is_told_with_and_without_a_peer(found, peer):
    speed = {
        "embed_ms_per_second": 3.0,
        "transforms_ms_per_second": 1.0,
        "vggish_topology_ms_per_second": peer,
        "large_sets": {"vectors_a_side": 10, "seconds": 4.0, "peak_mib": 500.0},
        "machine": "abacus",
    }
    text = report.render({**found, "speed": speed})
    assert "4.0 s within\n500 MiB (abacus)" in text
    assert ("18.0 ms" in text) == (peer is not None)


def test_a_missing_number_is_an_error(found):
    broken = json.loads(json.dumps(found))
    del broken["challenge"]["split"]["sd"]
    with pytest.raises(jinja2.UndefinedError):
        report.render(broken)


def test_check_tells_a_report_that_differs(tmp_path, monkeypatch, capsys):
    other = tmp_path / "report.md"
    other.write_text(report.REPORT.read_text(encoding="utf-8") + "one more line\n", encoding="utf-8")
    monkeypatch.setattr(report, "REPORT", other)
    assert report.main(["--check"]) == 1
    assert "-one more line" in capsys.readouterr().out


def test_words_of_the_report_hold(challenge):
    """What the template says in words, not in numbers; a change of the distance must not outdate it."""
    historic, clean = challenge["sets"]["historic"], challenge["sets"]["clean"]
    assert max(historic[t]["p_value"] for t in ("test1", "test2")) <= report.ALPHA
    assert min(clean[t]["p_value"] for t in ("test1", "test2")) > report.ALPHA
    assert historic["test1"]["interval"][0] < 0  # "reaches below zero although p is small"
    assert all(challenge["clicks"][t]["share"] >= 1 for t in ("test1", "test2"))
    assert clean["difference"]["value"] > 0
    views = clean["test1"]["views"]
    assert [name for name, value in views.items() if value > 0] == ["fine structure"]
    split = challenge["split"]
    assert split["interleaved"] == split["smallest"] < clean["test2"]["value"]
    assert split["mean"] == 0
    for kinds in challenge["incumbents"].values():  # "all three order the sets alike"
        order = [kinds[k][t]["value"] for k in ("historic", "clean") for t in ("test1", "test2")]
        assert order == sorted(order, reverse=True)
    assert sum(challenge["sets"]["historic"]["beyond_16_bits"]["background"].values()) == 0


def test_another_class_is_farther_than_a_class_from_itself(found):
    for table in (found["real_audio"][name] for name in ("sounds", "speakers")):
        value = np.array(table["value"])
        np.testing.assert_array_equal(value, value.T)
        off_diagonal = value[~np.eye(len(value), dtype=bool)]
        assert off_diagonal.min() > table["split_largest"]


def test_words_of_the_autoencoders_hold(found):
    """The bands and not the phases; half of it back; little beside what the models lose; training helps."""
    a = found["autoencoders"]
    linear, uniform, regression = (a["ceiling"][n]["value"] for n in ("linear", "uniform", "regression"))
    assert linear - a["floor"]["value"] < 0.5 * (regression - linear) and regression < 0.5 * uniform
    for row in a["models"].values():
        assert row["samples"]["mean"] > row["reconstructions"]["mean"] > 1.5 * regression
        curves = np.array(row["curves"])[:, :, 1]
        assert (curves[:, 0] > curves[:, -1]).all()
    assert a["recognised"]["real"]["right"] > 0.95
    understood = {n: row["recognised"]["samples"][0].get("right", 0) for n, row in a["models"].items()}
    assert a["best"] == "vector_quantised" and understood[a["best"]] < 0.5 * understood["residual"]


# Results


@pytest.mark.parametrize("path", sorted(results.FOLDER.glob("*.json")), ids=lambda p: p.stem)
def test_results_have_their_header(path):
    header = results.read(path.stem)["header"]
    assert set(header) >= {"made_by", "recipe", "seed", "versions", "data"}
    assert header["made_by"] == f"python -m experiments {path.stem}"
    assert header["recipe"] == metrics.constants()[1]
    assert set(header["versions"]) == set(results.PACKAGES)


def test_results_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    results.write("one", {"value": np.float64(1 / 3), "tiny": 1e-17, "n": np.int64(3)}, made_by="me")
    kept = results.read("one")
    assert (kept["value"], kept["tiny"], kept["n"]) == (0.333333, 0.0, 3)
    before = (tmp_path / "one.json").read_bytes()
    for bad in ({"value": float("nan")}, {"value": object()}, {"header": 1}):
        with pytest.raises(ValueError):
            results.write("one", bad, made_by="me")
    assert (tmp_path / "one.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["one.json"]
    with pytest.raises(FileNotFoundError, match=r"results/two\.json is missing"):
        results.read("two")


# Figures and links


@pytest.mark.parametrize("name", plots.FIGURES)
def test_figures_draw_from_results_alone(found, name):
    result, draw = plots.FIGURES[name]
    figure = draw(found[result])
    width, _ = figure.get_size_inches()
    assert width == 8
    for axes in figure.axes:
        assert all(t.get_fontsize() >= 10 for t in axes.get_xticklabels() if t.get_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    text = prose(page)
    anchors = {heading_anchor(line) for line in text.splitlines() if line.startswith("#")}
    for _, target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        if path:
            assert (page.parent / path).exists(), f"{page.name}: {target} does not exist"
        elif anchor:
            assert anchor in anchors, f"{page.name}: no heading {anchor}"


def heading_anchor(line):
    """GitHub's rule."""
    words = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower())
    return words.replace(" ", "-")


# README


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_readme_shows_what_the_command_prints(tmp_path, monkeypatch, capsys):
    """Word for word; numbers within what two processors can differ by, p-values within a few deals."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.search(r"```text\n\$ audio-distance (.*?)\n(.*?)```", text, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    gen_audio.write("test_audio")
    assert metrics.main(shown[1].split()) == 0
    printed = capsys.readouterr().out
    number = re.compile(r"-?\d+\.\d+")
    # A sign or a digit more shifts a column, hence spaces and rules count once.
    words = [re.sub(r"\s+|-{2,}", " ", number.sub("#", t)).split() for t in (printed, shown[2])]
    assert words[0] == words[1]
    numbers = [np.array([float(n) for n in number.findall(t)]) for t in (printed, shown[2])]
    np.testing.assert_allclose(*numbers, atol=0.006)


def test_readme_table_is_the_measured_one(found):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    tables = [found["real_audio"][name] for name in ("sounds", "speakers")]
    measured = {
        f"{a} / {b}": table["value"][i][j]
        for table in tables
        for (i, a), (j, b) in itertools.product(enumerate(table["names"]), repeat=2)
    }
    rows = re.findall(r"^\| (.+ / .+) \| (\d\.\d\d) \|$", text, flags=re.MULTILINE)
    assert len(rows) >= 5
    for pair, value in rows:
        assert f"{measured[pair]:.2f}" == value, pair
    sounds = found["real_audio"]["sounds"]
    i, j = (sounds["names"].index(name) for name in ("Rain", "Sea waves"))
    value, half, p = (sounds[key][i][j] for key in ("value", "interval_half_width", "p_value"))
    assert f'"{value:.2f} ({value - half:.2f} to {value + half:.2f}), p = {p:.3f}' in text
