"""The report and README say what the results hold, and every link leads somewhere."""

import json
import re
from pathlib import Path

import jinja2
import numpy as np
import pytest

import gen_audio
import metrics
from report import __main__ as command
from report import rendering, tables, trainings
from report.figures.index import FIGURES
from report.tables.table import table_of
from study import results

ROOT = Path(__file__).parents[1]
PAGES = [*rendering.PAGES, ROOT / "README.md", *sorted((ROOT / "notebooks").glob("*.ipynb"))]
DECIMAL = re.compile(r"(?<![\w.])\d*\.\d+")
# Decimals the template may hold; everything else that looks like a result must be one.
CONSTANTS = set()
LINK = re.compile(r"(!?)\[[^\]]*\]\(([^)\s]+)\)")


@pytest.fixture(scope="module")
def committed():
    return results.read_all()


@pytest.fixture(scope="module")
def challenge(committed):
    return committed["challenge"]


def prose(page):
    """The markdown of a page; of a notebook, its markdown cells."""
    text = page.read_text(encoding="utf-8")
    if page.suffix != ".ipynb":
        return text
    cells = json.loads(text)["cells"]
    return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


# The report


@pytest.mark.parametrize("page", rendering.PAGES, ids=lambda page: page.name)
def test_a_page_is_what_the_results_render_to(committed, page):
    assert page.read_text(encoding="utf-8") == rendering.render(committed, page)


@pytest.mark.parametrize("template", rendering.PAGES.values(), ids=lambda template: template.name)
def test_a_template_holds_no_results(template):
    text = template.read_text(encoding="utf-8")
    outside = re.sub(r"\{[{%].*?[%}]\}", "", text, flags=re.DOTALL)
    assert set(DECIMAL.findall(outside)) - CONSTANTS == set()


def test_tables_are_made_in_one_place():
    """The template writes no rows: what a notebook shows and what the report says are one table."""
    for template in rendering.PAGES.values():
        assert not re.findall(r"^\|.*", template.read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("page", rendering.PAGES, ids=lambda page: page.name)
def test_below_each_figure_stand_n_command_and_results(page):
    """In one place, too: a template that writes an image by itself has no such line."""
    assert not re.findall(r"!\[", rendering.PAGES[page].read_text(encoding="utf-8"))
    lines = [*page.read_text(encoding="utf-8").splitlines(), ""]
    image = re.compile(r"!\[([^\]]+)\]\(.*figures/(\w+)\.png\)")
    shown = [(i, *found.groups()) for i, line in enumerate(lines) if (found := image.fullmatch(line))]
    for i, seen, name in shown:
        blank, caption, after = lines[i + 1 : i + 4]
        assert blank == after == "" and seen.endswith((".", "?"))
        assert caption.startswith("*") and caption.endswith(".*") and caption.count("*") == 2
        assert re.search(r"\bn = (\d|the songs drawn)", caption), name
        for source in FIGURES[name][1:]:
            assert f"`python -m experiments {source}`: [{source}.json](" in caption


def test_every_figure_is_on_a_page():
    shown = [
        name
        for template in rendering.PAGES.values()
        for name in re.findall(r'call figure\("(\w+)"\)', template.read_text(encoding="utf-8"))
    ]
    notebooks = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert set(shown) <= set(FIGURES)
    assert [name for name in FIGURES if name not in shown and name not in notebooks] == []


def test_every_chapter_can_be_reached_from_the_report():
    text = rendering.TEMPLATE.read_text(encoding="utf-8")
    for page in rendering.PAGES:
        assert page == rendering.REPORT or f"](chapters/{page.name})" in text, page.name


@pytest.mark.parametrize(
    ("name", "body", "message"),
    [
        ("nothing", "What to see.", r"no figure is named 'nothing'; there are challenge, ruler, real_audio"),
        ("challenge", " \n ", r"the caption of challenge is ''; it needs text"),
        ("challenge", "A *bold* claim.", r"challenge is 'A \*bold\* claim\.'; it needs text, and none with"),
    ],
)
def test_a_figure_that_cannot_be_shown_is_an_error(committed, name, body, message):
    with pytest.raises(ValueError, match=message):
        rendering.figure(committed, ROOT, name, caller=lambda: body)


def test_a_figure_in_markdown(committed, challenge):
    def caption():
        return "Links like\n[this one](#there) `are` words. n = 3."

    assert rendering.figure({"challenge": challenge}, ROOT / "chapters", "challenge", caller=caption) == (
        "![Links like this one are words.](../figures/challenge.png)\n\n"
        "*Links like [this one](#there) `are` words. n = 3. `python -m experiments challenge`: "
        "[challenge.json](../results/challenge.json).*\n"
    )
    # Its second result is not there, so it is not drawn.
    assert rendering.figure({"wavenet": {}}, ROOT, "wavenet_ladder", caller=caption) == ""


def test_a_table_in_markdown():
    table = table_of([{"set": "a|b", "n": 1, "": "right"}, {"set": "c", "n": 2, "": "wrong"}])
    assert tables.markdown(table, bold=["n", "wrong"]).splitlines() == [
        "| set | n | |",
        "|---|---|---|",
        "| a&#124;b | **1** | right |",
        "| c | **2** | **wrong** |",
    ]
    with pytest.raises(ValueError, match="different columns"):
        table_of([{"set": "a", "n": 1}, {"set": "b"}])


def test_a_changed_result_changes_the_report(committed):
    changed = json.loads(json.dumps(committed))
    changed["challenge"]["sets"]["clean"]["test2"]["p_value"] = 0.12
    page = rendering.CHAPTERS / "clicks.md"
    text = rendering.render(changed, page)
    assert text != rendering.render(committed, page)
    assert "for test1 and 0.12 for test2" in text


def test_sections_of_missing_results_are_left_out(committed):
    alone = {"challenge": committed["challenge"]}
    texts = {page.name: rendering.render(alone, page) for page in rendering.PAGES}
    assert "spoken digits with known damage" not in texts["choice.md"]
    assert "nearest pair" not in texts["reading.md"]
    assert "How sure it is" not in texts["report.md"] and "test mostly misses" not in texts["report.md"]


@pytest.mark.parametrize("peer", [None, 18.0])
def test_speed_is_told_with_and_without_a_peer(committed, peer):
    speed = {
        "embed_ms_per_second": 3.0,
        "transforms_ms_per_second": 1.0,
        "vggish_topology_ms_per_second": peer,
        "describing": {"read": 0.5, "mean": 0.1, "prepare": 0.2, "views": 1.7, "all": 2.5},
        "comparing": [{"files": 1000, "windows": 10, "seconds": 4.0, "peak_mib": 500.0}],
        "comparing_mapped": [{"files": 10, "windows": 10, "seconds": 0.25, "peak_mib": 50.0}],
        "machine": "abacus",
    }
    told = {**committed, "speed": {**speed, "header": committed["speed"]["header"]}}
    text = rendering.render(told, rendering.CHAPTERS / "choice.md")
    assert "abacus" in text and "| 1,000 files of 10 s | 4.00 | 8 % | 500 |" in text
    assert "| 10 files of 10 s, mapped | 0.25 | 50 % | 50 |" in text
    assert ("18.0 ms" in text) == (peer is not None)


def test_a_missing_number_is_an_error(committed):
    broken = json.loads(json.dumps(committed))
    del broken["challenge"]["split"]["sd"]
    with pytest.raises(jinja2.UndefinedError):
        rendering.render(broken, rendering.CHAPTERS / "clicks.md")


def test_check_tells_a_report_that_differs(tmp_path, monkeypatch, capsys):
    other = tmp_path / "report.md"
    other.write_text(rendering.REPORT.read_text(encoding="utf-8") + "one more line\n", encoding="utf-8")
    monkeypatch.setattr(rendering, "PAGES", {other: rendering.TEMPLATE})
    assert command.main(["--check"]) == 1
    assert "-one more line" in capsys.readouterr().out


def test_another_class_is_farther_than_a_class_from_itself(committed):
    for table in (committed["real_audio"][name] for name in ("sounds", "speakers")):
        value = np.array(table["value"])
        np.testing.assert_array_equal(value, value.T)
        off_diagonal = value[~np.eye(len(value), dtype=bool)]
        assert off_diagonal.min() > table["split_largest"]


def test_an_interval_that_no_distance_can_have_is_marked(committed):
    """A distance between two sources is never below zero: the star leads to the sentence below the table."""

    def marked(challenge):
        column = tables.answer(challenge)["95 % interval"]
        return list(column.index[column.str.endswith(" *")])

    assert marked(committed["challenge"]) == ["test2, clean"]
    changed = json.loads(json.dumps(committed["challenge"]))
    changed["sets"]["clean"]["test2"]["interval"][1] = 0.01
    assert marked(changed) == []


def test_second_place_is_counted_without_this_distance(committed):
    found = rendering.contrast._rank(committed["trials"])
    assert found["next"] != rendering.contrast.label(rendering.contrast.trials.THIS)
    assert (found["rank"] == 1) == (found["next_behind"] >= 0)


def test_a_verdict_is_said_only_where_its_interval_says_so():
    judged = {"verdict": "worse", "interval": [-0.0001, 0.04]}
    assert trainings.said(judged) == "undecided"
    assert trainings.said({**judged, "interval": [0.0001, 0.04]}) == "worse"
    assert trainings.said({"verdict": "better", "interval": [-0.1, 0.005]}) == "undecided"
    assert trainings.said({"verdict": "no worse", "interval": [-0.1, 0.005]}) == "no worse"


def test_shares_recognised_are_told_over_seeds():
    rows = [{"right": 0.7}, {"right": 0.8}]
    assert trainings.heard(rows) == pytest.approx({"mean": 0.75, "least": 0.7, "most": 0.8})
    assert trainings.heard([{"sure": 0.1}, {"sure": 0.1}]) is None  # meant to be of no digit


def test_figures_of_others_are_quoted_beside(committed):
    beside = tables.beside(committed["classifier"])
    assert beside.loc["ESResNet", "source"] == "quoted: Guzhov and others 2020"
    assert all(source.startswith(("measured here", "quoted: ")) for source in beside["source"])
    whole = committed["classifier"]["divisions"]["sounds"]["accuracy"]
    assert beside.loc["three networks, as shipped", "accuracy"].startswith(f"{100 * whole:.1f} % (")


def test_one_network_beside_three():
    step = {"gain": 0.01, "gain_interval": [-0.01, 0.03], "p_value": 0.2, "verdict": "undecided"}
    steps = dict.fromkeys(("chosen on", "last", "all"), step)
    alone = [[0.8, 0.85]] * 4 + [[0.75, 0.875]]
    committees = {"alone": alone, "together": [[0.85] * 10] * 5, "steps": steps}
    table = tables.one_or_three({"chosen": 4, "committees": committees})
    assert list(table.loc["fold 5, which no choice saw"])[:4] == [
        "81.2 %",
        "85.0 %",
        "+1.0 (-1.0 to +3.0)",
        "trainings",
    ]
    assert rendering.between_seeds({"committees": committees}) == 0.125


# Results


@pytest.mark.parametrize("path", sorted(results.FOLDER.glob("*.json")), ids=lambda p: p.stem)
def test_results_have_their_header(path):
    header = results.read(path.stem)["header"]
    assert set(header) >= {"made_by", "recipe", "seed", "versions", "data"}
    assert header["made_by"] == f"python -m experiments {path.stem}"
    assert re.fullmatch(r"\d+-[0-9a-f]{8}", header["recipe"])
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


def test_a_result_made_again_is_written_only_if_it_says_something_else(tmp_path, monkeypatch):
    """Two processors round 0.1234565 to either side."""
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    content = {"rows": [{"value": 0.123456, "share": -2.42097e-05, "n": 3, "p": 0.01}], "name": "x"}
    path = results.write("one", content, made_by="me")
    before = path.read_bytes()
    rounded = {"rows": [{"value": 0.123457, "share": -2.42087e-05, "n": 3, "p": 0.01}], "name": "x"}
    assert results.write("one", rounded, made_by="me") == path and path.read_bytes() == before
    for key, value in {"value": 0.12346, "share": -2.44e-05, "n": 4, "p": 0.02}.items():
        path.write_bytes(before)
        results.write("one", {**content, "rows": [{**content["rows"][0], key: value}]}, made_by="me")
        assert results.read("one")["rows"][0][key] == value
    for other in ({**content, "rows": []}, {**content, "more": 1}, {"rows": content["rows"]}):
        path.write_bytes(before)
        results.write("one", other, made_by="me")
        assert path.read_bytes() != before
    results.write("one", content, made_by="you")
    assert results.read("one")["header"]["made_by"] == "you"
    path.write_bytes(before[:50])  # damaged
    results.write("one", content, made_by="me")
    assert path.read_bytes() == before


# Words beside figures, and links


def test_the_two_ladders_stand_on_one_floor(committed):
    """The WaveNets are judged with the recordings of the autoencoders: rungs of both can be compared."""
    wavenet, autoencoders = committed["wavenet"], committed["autoencoders"]
    assert wavenet["floor"]["value"] == pytest.approx(autoencoders["floor"]["value"], rel=1e-3)
    assert wavenet["header"]["recipe"] == autoencoders["header"]["recipe"]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page):
    text = prose(page)
    for _, target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = page.parent / path if path else page
        assert place.exists(), f"{page.name}: {target} does not exist"
        if anchor and place.suffix == ".md":
            lines = prose(place).splitlines()
            anchors = {heading_anchor(line) for line in lines if line.startswith("#")}
            assert anchor in anchors, f"{page.name}: no heading {anchor} in {place.name}"


def heading_anchor(line):
    """GitHub's rule."""
    words = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower())
    return words.replace(" ", "-")


# README


CODE_COLUMNS = 91  # of a page of GitHub at 832 px: what is longer is cut


@pytest.mark.parametrize("page", rendering.PAGES, ids=lambda p: p.name)
def test_pages_are_plain_to_read(page):
    """No number with an exponent, and no line of code that a page cuts."""
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"\d(?:\.\d+)?e-\d+", text) == []
    code = "".join(re.findall(r"\n\n((?:    (?!- ).*\n)+)", text)).splitlines()
    assert [line for line in code if len(line) - 4 > CODE_COLUMNS] == []


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_readme_shows_what_the_command_prints(tmp_path, monkeypatch, capsys):
    """Line for line, some left out; numbers within what two processors can differ by, p a few deals."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```text\n(.*?)```", text, flags=re.DOTALL)
    call, *shown = "\n".join(blocks).splitlines()
    monkeypatch.chdir(tmp_path)
    gen_audio.write("test_audio")
    assert metrics.main(call.removeprefix("$ audio-distance ").split()) == 0
    number = re.compile(r"-?\d+\.\d+")

    def words(line):
        # A sign or a digit more shifts a column, hence spaces and rules count once.
        return re.sub(r"\s+|-{2,}", " ", number.sub("#", line)).split()

    printed = iter(capsys.readouterr().out.splitlines())
    told = [line for line in shown if line]
    assert len(told) >= 12
    for line in told:
        found = next((other for other in printed if words(other) == words(line)), None)
        assert found is not None, line
        numbers = [np.array([float(n) for n in number.findall(t)]) for t in (found, line)]
        np.testing.assert_allclose(*numbers, atol=0.006)


def test_what_readme_quotes_is_measured(committed):
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    sounds = committed["real_audio"]["sounds"]
    i, j = (sounds["names"].index(name) for name in ("Rain", "Sea waves"))
    value, half, p = (sounds[key][i][j] for key in ("value", "interval_half_width", "p_value"))
    assert f'"{value:.2f} ({value - half:.2f} to {value + half:.2f}), p = {p:.3f}' in text
    assert (
        f"n = {sounds['files'][0]} clips a class, {committed['real_audio']['speakers']['files'][0]} digits"
        in text
    )
