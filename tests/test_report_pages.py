"""The pages to listen to: made again when what they are made from has changed, and only then."""

import base64
import html
import os
import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest

import metrics
from audio_distance import page as page_package
from audio_distance.errors import AudioError
from experiments import unseen
from report import __main__ as command
from report import pages
from report.pages import Key, code_key, examples, kept_key, not_seen, picture, sounds_key
from report.pages.examples import HELD_OUT, Example, freesound_credits
from study import datasets, results

EXAMPLES = {example.name: example for example in examples()}
COMPARISONS = [name for name, example in EXAMPLES.items() if example.document is None]
REMAKE = "make it again: python -m report pages"
SCALE = re.compile(r'aria-label="Scale: (-?[\d.]+), 95 % interval (-?[\d.]+) to (-?[\d.]+)')


def sets_of(name, folder):
    """The sets of an example; the test is skipped where its sounds are not here."""
    try:
        return EXAMPLES[name].sounds(folder)
    except datasets.MissingData as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("name", EXAMPLES)
class TestCommitted:
    @pytest.fixture
    def path(self, name):
        return pages.FOLDER / f"{name}.html"

    def test_fits_the_code(self, name, path):
        kept = kept_key(path)
        assert kept is not None and kept.code == code_key(EXAMPLES[name]), (
            f"{path.name} is of other code; {REMAKE}"
        )

    def test_fits_its_sounds(self, name, path, tmp_path):
        found = sounds_key(sets_of(name, tmp_path))
        assert kept_key(path).sounds == found, f"{path.name} is of other sounds; {REMAKE}"

    def test_says_what_is_measured(self, name, path, tmp_path):
        """The key does not hold the statistics of the package: the numbers do."""
        if name not in COMPARISONS:
            pytest.skip("no comparison: what it says is tested below")
        said = [float(found[1]) for found in SCALE.finditer(path.read_text(encoding="utf-8"))]
        if name == "challenge":
            sets = results.read("challenge")["sets"]
            measured = [
                sets[kind][test]["value"] for kind in ("historic", "clean") for test in ("test1", "test2")
            ]
        else:
            reference, candidate = sets_of(name, tmp_path).values()
            measured = [metrics.distance(reference, candidate, workers=1)]
        assert said == pytest.approx(measured, abs=1e-3), (
            REMAKE
        )  # three decimals, and the last may round over

    def test_is_small_and_says_whose_sounds_it_plays(self, name, path):
        assert path.stat().st_size <= (pages.LARGEST_BYTES if name in COMPARISONS else 1_000_000)
        text = path.read_text(encoding="utf-8")
        for words in (EXAMPLES[name].about, *EXAMPLES[name].credits):
            assert html.escape(words) in text
        assert not re.search(
            r"/(home|root|tmp|work|Users)/\w", re.sub("<script.*?</script>", "", text, flags=re.S)
        )


def test_they_open_in_a_browser():
    """They draw, complain of nothing, and ask for nothing but themselves."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra page-test")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or pytest.skip("no Chromium")
    complaints, requests = [], []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 360, "height": 800})
        page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: requests.append(asked.url))
        places = [(pages.FOLDER / f"{name}.html").as_uri() for name in EXAMPLES]
        for place in places:
            page.goto(place)
            if Path(place).stem in COMPARISONS:
                page.wait_for_selector(".panel[data-drawn]", timeout=120_000)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        browser.close()
    assert complaints == [] and [url for url in requests if not url.startswith(("blob:", "data:"))] == places


SHARE = re.compile(
    r'<tr><th scope="row">([a-z ]+), (\d+)</th><td>(\d+)</td>'
    r"<td>(\d+) % <span>\((\d+) to (\d+)\)</span></td><td>(\d+) % <span>\((\d+) to (\d+)\)</span></td></tr>"
)


def test_the_page_of_what_is_not_seen_says_what_is_measured():
    """Every effect of the result once, with its shares, what its oracle reads, and sounds that are FLAC."""
    text = (pages.FOLDER / "not_seen.html").read_text(encoding="utf-8")
    rows = results.read("unseen")["rows"]
    sections = {
        html.unescape(found[1]): found[0]
        for found in re.finditer(r"<section><h2>(.*?)</h2>.*?</section>", text, re.S)
    }
    names = dict.fromkeys(row["effect"] for row in rows if row["effect"] != unseen.NOTHING)
    assert {*sections} == {*names, "Nothing", "Whose sounds these are"} and {*names} == {*not_seen.WORDS}
    for name, section in sections.items():
        own = [row for row in rows if row["effect"] == name.replace("Nothing", unseen.NOTHING)]
        measured = [
            [
                row["source"],
                size,
                str(found["draws"]),
                *(text for test in unseen.TESTS for text in said(found, test)),
            ]
            for row in own
            for size, found in row["found"].items()
        ]
        assert [list(found) for found in SHARE.findall(section)] == measured, name
        sounds = re.findall(r'src="data:audio/flac;base64,([^"]+)"', section)
        assert len(sounds) == (0 if name not in names else 2 if name in not_seen.TWO_SETS else 4)
        assert all(base64.b64decode(sound).startswith(b"fLaC") for sound in sounds)
        assert all(html.escape(row["reads"]) in section for row in own if name in names)
    assert "<script" not in text


def said(found, test):
    """A share and the ends of its interval, in percent."""
    share, draws = found[test], found["draws"]
    return [f"{100 * number:.0f}" for number in (share / draws, *unseen.interval(share, draws))]


def test_what_is_played_of_what_is_not_seen(tmp_path):
    """Of each set that lacks classes, what is played lacks them; words change, their speakers do not."""
    spoken = {
        effect: [[file.split("_")[:2] for file in files.split()] for files in both]
        for effect, both in not_seen.TWO_SETS.items()
    }
    words = {e: [{word for word, _ in one} for one in both] for e, both in spoken.items()}
    speakers = {e: [[speaker for _, speaker in one] for one in both] for e, both in spoken.items()}
    first, second = words["one class of ten missing"]
    assert len(first) == 10 and len(second) == 9 and second < first
    assert len(words["half of the classes missing"][1]) == 5
    heavy = [word in "01234" for word, _ in spoken["three of four files from half of the classes"][1]]
    assert np.mean(heavy) == 0.75
    assert not set.intersection(*words["other words by the same speakers"])
    assert len(set(map(tuple, speakers["other words by the same speakers"]))) == 1
    exchanged = "who says which word exchanged"
    assert (
        words[exchanged][0] == words[exchanged][1]
        and len({frozenset(one) for one in speakers[exchanged]}) == 1
    )
    assert not {tuple(one) for one in spoken[exchanged][0]} & {tuple(one) for one in spoken[exchanged][1]}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_in_what_is_not_seen(scheme):
    """And every sound can be played."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra page-test")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe-core")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or pytest.skip("no Chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(color_scheme=scheme, bypass_csp=True).new_page()
        page.goto((pages.FOLDER / "not_seen.html").as_uri())
        page.wait_for_function(
            "[...document.querySelectorAll('audio')].every((sound) => sound.duration > 0.1)", timeout=120_000
        )
        found = axe.Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa"]})
        browser.close()
    assert found.violations_count == 0, found.generate_report()


def test_clips_of_freesound_may_be_passed_on():
    """One clip of each recording, twenty of each class, and a licence that lets them be shown here."""
    listed = [line for line in freesound_credits() if ".ogg: " in line]
    assert len(listed) == len({re.search(r"freesound\.org/s/(\d+)/", line)[1] for line in listed}) == 40
    assert {line.rsplit(", ", 1)[1] for line in listed} == {"CC0 1.0", "CC BY 3.0"}
    assert not [c for line in listed for c in line if not c.isprintable()]


def test_the_digits_are_those_that_no_autoencoder_has_heard(monkeypatch):
    """The first of the reference of the runs' split, for which each signal here is its own place."""
    pytest.importorskip("hydra", reason="the extra gate")
    from ablations import splits
    from ablations.config import load

    speakers = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
    names = sorted(f"{d}_{s}_{take}.wav" for d in range(10) for s in speakers for take in range(50))
    signals, labels = [np.array([place]) for place in range(3000)], [name[0] for name in names]
    digits = datasets.AudioSet("digits", signals, 8000, names, labels, names, "")
    monkeypatch.setattr(splits, "sounds", lambda data: digits)
    reference = splits.split(load(["set=digits"], config_name="vae_simple")).reference
    listed = HELD_OUT.read_text(encoding="utf-8").split()
    assert [names[signal[0]] for signal in reference[: len(listed)]] == listed
    if datasets.available("digits"):
        assert [path.name for path in datasets.files("digits")] == names


def test_the_picture_of_readme_says_what_the_page_says():
    image = pytest.importorskip("PIL.Image", reason="Pillow")
    with image.open(picture.PICTURE) as shown:
        assert shown.size[0] == 2 * picture.WIDTH
        verdict = shown.text["Verdict"]
    assert html.escape(verdict) in picture.PAGE.read_text(encoding="utf-8"), (
        "take it again: make page-picture"
    )
    assert picture.PICTURE.stat().st_size <= 300_000


# When a page is made


@pytest.fixture
def example(monkeypatch, tmp_path, folder_of):
    """The only one there is, of two folders of noises, in a folder of its own."""
    files = {"reference": folder_of("real", range(6)), "made": folder_of("made", range(10, 16))}

    def sounds(_):
        return {name: sorted(folder.iterdir()) for name, folder in files.items()}

    only = Example("only", "One & all", "About <this>", ("<script>x</script> & co.",), sounds)
    monkeypatch.setattr(pages, "examples", lambda: (only,))
    monkeypatch.setattr(pages, "FOLDER", tmp_path / "pages")
    return only


@pytest.fixture
def made(monkeypatch):
    """Names of the pages that were made, each with nothing but its key in it."""
    names = []

    def make(path, example, sets, key):
        names.append(path.name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"<!DOCTYPE html><head>" + key.mark)

    monkeypatch.setattr(pages, "make", make)
    return names


def test_a_page_is_made_once(example, tmp_path, capsys):
    """Made whole, with its key and its words escaped; then left as it is, to the byte and the second."""
    pytest.importorskip("bokeh", reason="the extra page")
    path = tmp_path / "pages" / "only.html"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert pages.run() == 0
    text = path.read_text(encoding="utf-8")
    assert kept_key(path) == Key(code_key(example), sounds_key(example.sounds(tmp_path)))
    assert "<li>&lt;script&gt;x&lt;/script&gt; &amp; co.</li>" in text and "About &lt;this&gt;" in text
    assert "<script>x" not in text and [*path.parent.iterdir()] == [path]
    before = path.read_bytes(), path.stat().st_mtime_ns
    capsys.readouterr()
    assert command.main(["pages"]) == 0
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert capsys.readouterr().out == "only.html: as it was\n"


def test_a_page_is_made_again_when_its_sounds_or_words_are_others(example, made, tmp_path, monkeypatch):
    assert pages.run() == pages.run() == 0 and len(made) == 1
    (tmp_path / "made" / "made_10.wav").rename(tmp_path / "made" / "made_11b.wav")
    assert pages.run() == pages.run() == 0 and len(made) == 2
    shutil.copy(tmp_path / "real" / "real_00.wav", tmp_path / "made" / "made_12.wav")
    assert pages.run() == pages.run() == 0 and len(made) == 3
    reworded = Example("only", "Another title", example.about, example.credits, example.sounds)
    monkeypatch.setattr(pages, "examples", lambda: (reworded,))
    assert pages.run() == pages.run() == 0 and len(made) == 4
    assert pages.run(fresh=True) == pages.run(["figures/pages/only.html"], fresh=True) == 0 and len(made) == 6


def test_the_code_key_is_of_the_sources_and_the_pin(example, tmp_path, monkeypatch):
    """It asks no package: every checkout of one commit has the same."""
    before = code_key(example)
    source = Path(page_package.__file__).parent
    copy = shutil.copytree(source, tmp_path / "page", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(page_package, "__file__", str(copy / "__init__.py"))
    assert code_key(example) == before
    assert {path.suffix for path in copy.iterdir()} == {".py", ".js", ".css"}
    for path in copy.iterdir():
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        assert code_key(example) != before, path.name
        path.write_bytes(content)
    (tmp_path / "constraints.txt").write_text("bokeh==0\n")
    monkeypatch.setattr(pages, "ROOT", tmp_path)
    assert code_key(example) != before


def test_parts_of_a_key_do_not_run_into_each_other(tmp_path):
    def key(**contents):
        for name, content in contents.items():
            (tmp_path / name).write_bytes(content)
        return sounds_key({"reference": [tmp_path / name for name in contents]})

    assert (
        len({key(a=b"xy", b=b""), key(a=b"x", b=b"y"), key(ab=b"xy"), key(a=b"xy"), key(b=b"", a=b"xy")}) == 5
    )


def test_without_its_sounds_a_page_stays(example, made, tmp_path, monkeypatch, capsys):
    assert pages.run() == 0
    path = tmp_path / "pages" / "only.html"
    before = path.read_bytes()

    def missing(_):
        raise datasets.MissingData("bring them so")

    absent = Example("only", example.title, example.about, example.credits, missing)
    monkeypatch.setattr(pages, "examples", lambda: (absent,))
    capsys.readouterr()
    assert pages.run() == pages.run(fresh=True) == 0 and path.read_bytes() == before
    said = capsys.readouterr()
    assert said.out.splitlines() == 2 * ["sounds not here (README, Recordings), so not checked: only.html"]
    assert said.err == ""
    path.write_bytes(before.replace(b"code=", b"code=0")[: len(before)])
    assert pages.run() == 0
    assert (
        capsys.readouterr().err
        == "warning: only.html is not as the code has it, and cannot be made: bring them so\n"
    )
    path.unlink()
    assert pages.run() == 0
    assert capsys.readouterr().err == "warning: only.html is not there, and cannot be made: bring them so\n"


def test_what_cannot_be_made_is_said_and_the_old_page_stays(example, made, tmp_path, monkeypatch, capsys):
    assert pages.run() == 0
    path = tmp_path / "pages" / "only.html"
    before = path.read_bytes()

    def refuse(*_):
        raise AudioError("no Bokeh")

    monkeypatch.setattr(pages, "make", refuse)
    assert pages.run(fresh=True) == 1 and path.read_bytes() == before
    assert pages.run(["other"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said == ["error: only.html: no Bokeh", "error: no page named other; there are only"]


def test_a_page_without_a_key_has_none(tmp_path):
    assert kept_key(tmp_path / "none.html") is None
    (tmp_path / "plain.html").write_text("<!DOCTYPE html><html><head>")
    assert kept_key(tmp_path / "plain.html") is None


def test_the_picture_says_what_it_needs(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(picture, "PAGE", tmp_path / "none.html")
    assert command.main(["picture"]) == 1
    assert "chromium (apt-get install chromium)" in capsys.readouterr().err
