"""The site: every source has its page, every link leads somewhere, Markdown is read as GitHub reads it."""

import re
import sys
from pathlib import PurePosixPath

import pytest

for package in ("bs4", "linkify_it", "markdown_it", "nbconvert", "PIL", "pdoc", "pygments"):
    pytest.importorskip(package, reason="the extra site")

import nbformat
from bs4 import BeautifulSoup

from report import __main__ as command
from report import site
from report.site import api, body, links

ROOT = site.ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    return site.build(tmp_path_factory.mktemp("built") / "site")


@pytest.fixture(scope="module")
def soups(built):
    """{page, relative to the top: its HTML} of the pages that are made here."""
    folder = built.index.parent
    pages = [path for path in built.pages if path.parent.name != "pages"]
    return {
        PurePosixPath(path.relative_to(folder).as_posix()): BeautifulSoup(
            path.read_text("utf-8"), "html.parser"
        )
        for path in pages
    }


def sources():
    patterns = ("*.md", "chapters/*.md", "notebooks/*.ipynb", "figures/pages/*.html")
    return [path.relative_to(ROOT) for pattern in patterns for path in sorted(ROOT.glob(pattern))]


def test_every_source_has_its_page_and_a_line_in_the_navigation(built, soups):
    assert {"README.md", "report.md", "chapters/five_projects.md"} < {path.as_posix() for path in sources()}
    listed = [a["href"] for a in soups[PurePosixPath("index.html")].select("#site-pages a")]
    for source in sources():
        page = links.page_of(PurePosixPath(source.as_posix()))
        assert built.index.parent / page in built.pages and listed.count(str(page)) == 1, source
    copied = [path for path in sources() if path.suffix == ".html"]
    assert len(copied) >= 3
    assert all((built.index.parent / path).read_bytes() == (ROOT / path).read_bytes() for path in copied)


def test_every_link_and_anchor_leads_somewhere(built, soups):
    """Read here with another parser than the builder's, and other code."""
    folder, followed = built.index.parent, 0
    for page, soup in soups.items():
        for tag, name in (
            ("a", "href"),
            ("link", "href"),
            ("img", "src"),
            ("script", "src"),
            ("audio", "src"),
        ):
            for address in (found[name] for found in soup.find_all(tag, attrs={name: True})):
                if re.match(r"https?:|mailto:", address) and tag == "a":
                    continue
                if address.startswith("data:"):
                    continue
                path, _, anchor = address.partition("#")
                where = (folder / page).parent / path if path else folder / page
                assert where.is_file() and where.resolve().is_relative_to(folder), f"{page}: {address}"
                other = PurePosixPath(where.resolve().relative_to(folder.resolve()).as_posix())
                if anchor and other in soups:
                    assert soups[other].find(id=anchor), f"{page}: {address}"
                followed += 1
    assert followed > 2000


def test_nothing_is_fetched_from_elsewhere(built):
    assert built.external and all(re.match(r"https?://", address) for address in built.external)
    style = (built.index.parent / "site.css").read_text("utf-8")
    assert "@import" not in style and "url(" not in style


def test_every_page_has_its_title_its_language_and_one_main(soups):
    for page, soup in soups.items():
        assert soup.html["lang"] == "en" and soup.title.get_text() and len(soup.find_all("main")) == 1, page
        assert len(soup.select("main h1")) == 1, page
        assert all(image.get("alt") for image in soup.find_all("img")), page
        current = [a["href"] for a in soup.select("#site-pages [aria-current]")]
        assert current in ([], [page.name]), page


def test_notebooks_show_what_is_kept_in_them(soups):
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        main = soups[PurePosixPath("notebooks", f"{path.stem}.html")].main
        outputs = [o for c in nbformat.read(path, 4).cells for o in c.get("outputs", ())]
        kinds = [kind for output in outputs for kind in output.get("data", ())]
        assert len(main.select('img[src^="data:image/png"]')) == kinds.count("image/png")
        audio = sum("".join(o.get("data", {}).get("text/html", "")).count("<audio") for o in outputs)
        assert len(main.find_all("audio")) == audio
        assert len(main.select(".cell")) == sum(c.cell_type == "code" for c in nbformat.read(path, 4).cells)
    assert "Figure 1 of the section: The ladder" in {
        image["alt"] for image in soups[PurePosixPath("notebooks/07_autoencoders.html")].main.find_all("img")
    }


def test_the_functions_are_there(soups):
    page = soups[PurePosixPath("api/audio_distance.html")]
    assert page.find(id="compare") and page.find(id="Comparison")
    conventions = soups[PurePosixPath("api/audio_distance/comparison.html")].main.find("pre").get_text()
    assert re.match(r"value +signed, no unit", conventions) and len(conventions.splitlines()) >= 4
    listed = {a.get_text() for a in soups[PurePosixPath("api/index.html")].main.find_all("a")}
    modules = {
        path.relative_to(ROOT).with_suffix("") for path in (ROOT / "audio_distance").rglob("[a-z]*.py")
    }
    names = {".".join(module.parts) for module in modules} - {"audio_distance.distance"}
    assert listed == names | {"metrics", "audio_distance", "audio_distance.containers", "audio_distance.page"}


# Markdown


def test_markdown_is_github_s():
    html = body.markdown(
        "| a | b |\n|---|---|\n| 1 | x &#124; y |\n\n> [!NOTE]\n> Mind.\n\n- [x] done\n\n"
        "~~old~~ https://a.org report.md x@y.org 2<sup>15</sup>\n\n"
        "```python\nimport os\n```\n\n    as it is\n\n```unheard\nof\n```\n"
    )
    soup = BeautifulSoup(html, "html.parser")
    assert [td.get_text() for td in soup.find_all("td")] == ["1", "x | y"]
    assert soup.select_one(".markdown-alert-note .markdown-alert-title").get_text() == "Note"
    assert soup.select_one("li input[type=checkbox]").has_attr("checked") and soup.s.get_text() == "old"
    assert [a["href"] for a in soup.find_all("a")] == ["https://a.org"] and soup.sup.get_text() == "15"
    assert soup.select_one("pre .kn").get_text() == "import"
    assert [pre.get_text().strip() for pre in soup.find_all("pre")] == ["import os", "as it is", "of"]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("The answer", "the-answer"),
        ("The gate: did this change make the model worse?", "the-gate-did-this-change-make-the-model-worse"),
        ("A `code_word`, and more", "a-code_word-and-more"),
        ("Frechet – or not", "frechet--or-not"),
        ("What it's for", "what-its-for"),
        ("Émile 2.0", "émile-20"),
    ],
)
def test_anchors_are_github_s(heading, anchor):
    soup = BeautifulSoup(body.markdown(f"# Title\n\n## {heading}\n\n## {heading}\n"), "html.parser")
    made = body.prepared(soup, title="Title", page=PurePosixPath("a.html"))
    assert [h.anchor for h in made.headings] == [anchor, f"{anchor}-1"]


def test_no_line_ends_between_a_number_and_its_unit():
    text = "4.4 % of 16 kHz, p = 0.01 and n ≤ 3; 3 sets, 2 minutes `5 %` <!-- 6 % -->\n\n    7 %\n"
    made = body.prepared(BeautifulSoup(body.markdown(text), "html.parser"), title="", page=PurePosixPath("a"))
    assert made.html.replace("\u00a0", "_").split("\n")[0] == (
        "<p>4.4_% of 16_kHz, p_=_0.01 and n_≤_3; 3 sets, 2 minutes <code>5 %</code> <!-- 6 % --></p>"
    )
    assert "<code>7 %\n</code>" in made.html


# Strictness


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with a README, a page that it links to, a text without a name, and one page of functions."""
    root = tmp_path / "checkout"
    (root / "chapters").mkdir(parents=True)
    (root / "README.md").write_text(
        "# Home\n\n[a](chapters/a.md#two-words) [licence](LICENSE) [out](https://a.org)\n"
    )
    (root / "chapters" / "a.md").write_text("# A\n\n## Two words\n\n[back](../README.md)\n")
    (root / "LICENSE").write_text("Anybody <may>\n")
    page = PurePosixPath("api/index.html")
    soup = BeautifulSoup("<h1>Functions</h1>", "html.parser")
    monkeypatch.setattr(api, "pages", lambda: [(page, body.prepared(soup, title="Functions", page=page))])
    return root


def test_links_between_sources_are_links_between_pages(checkout, tmp_path):
    made = site.build(tmp_path / "out", root=checkout)
    home = BeautifulSoup(made.index.read_text(), "html.parser").main
    assert [a["href"] for a in home.find_all("a")] == [
        "chapters/a.html#two-words",
        "LICENSE.html",
        "https://a.org",
    ]
    other = BeautifulSoup((tmp_path / "out" / "chapters" / "a.html").read_text(), "html.parser").main
    assert [a["href"] for a in other.find_all("a")] == ["../index.html"]
    assert "Anybody &lt;may&gt;" in (tmp_path / "out" / "LICENSE.html").read_text()
    assert made.external == ("https://a.org",) and len(made.pages) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[x](none.md)", "README.md: no file is at none.md"),
        ("[x](../secret.md)", "README.md: no file is at ../secret.md"),
        ("[x](chapters)", "README.md: no file is at chapters"),
        ("![x](figures/none.png)", "README.md: no file is at figures/none.png"),
        ("[x](#none)", "index.html: index.html has no anchor none"),
        ("[x](chapters/a.md#none)", "index.html: chapters/a.html has no anchor none"),
        ('<p id="site-main">', "index.html: the anchor site-main is there twice"),
        ("![x](https://a.org/x.png)", "index.html: <img> fetches https://a.org/x.png"),
        ('<p style="background: url(//a.org/x.png)">', "index.html: <p> fetches //a.org/x.png"),
    ],
)
def test_what_leads_nowhere_ends_the_build_and_the_old_site_stays(checkout, tmp_path, text, message):
    out = tmp_path / "out"
    site.build(out, root=checkout)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    (checkout / "README.md").write_text(f"# Home\n\n{text}\n")
    with pytest.raises(site.SiteError) as raised:
        site.build(out, root=checkout)
    assert str(raised.value) == message
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"checkout", "out"}


def test_a_style_that_fetches_is_refused(tmp_path):
    (tmp_path / "site.css").write_text('@import "https://a.org/font.css";')
    with pytest.raises(links.SiteError, match=r"site\.css: fetches https://a\.org/font\.css"):
        links.check(tmp_path)


def test_a_former_site_is_replaced_and_nothing_else_is(checkout, tmp_path):
    out = tmp_path / "out"
    site.build(out, root=checkout)
    (out / "old.html").touch()
    site.build(out, root=checkout)
    assert not (out / "old.html").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").touch()
    with pytest.raises(site.SiteError, match="holds other files; name a new folder"):
        site.build(other, root=checkout)
    assert [path.name for path in other.iterdir()] == ["letter.txt"]


# The command


def test_the_command_says_where_the_index_is(checkout, tmp_path, monkeypatch, capsys):
    build = site.build
    monkeypatch.setattr(site, "build", lambda out: build(out, root=checkout))
    out = tmp_path / "out"
    assert command.main(["site", "--out", str(out), "--external"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said == ["https://a.org", f"{out / 'index.html'}: 4 pages, 1 links to elsewhere"]
    (checkout / "README.md").write_text("[x](none.md)")
    assert command.main(["site", "--out", str(out)]) == 1
    assert capsys.readouterr().err == "error: README.md: no file is at none.md\n"


def test_the_command_names_what_is_missing(tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.startswith("report.site")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("report.site")
    monkeypatch.setitem(sys.modules, "markdown_it", None)
    assert command.main(["site", "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().err
    assert said == "error: markdown_it is missing; run: pip install -e '.[site]' -c constraints.txt\n"


def test_the_workflow_builds_what_the_makefile_builds():
    workflow = (ROOT / ".github" / "workflows" / "pages.yml").read_text()
    assert "python -m report site --out site" in workflow and "with: {path: site}" in workflow
    assert "\t$(RUN) -m report site\n" in (ROOT / "Makefile").read_text()
    assert "/site/" in (ROOT / ".gitignore").read_text().splitlines()
    pinned = re.findall(r"uses: (\S+)@(\S+)", workflow)
    assert {name for name, _ in pinned} == {
        f"actions/{name}"
        for name in ("checkout", "setup-python", "configure-pages", "upload-pages-artifact", "deploy-pages")
    }
    assert all(re.fullmatch(r"v\d+", version) for _, version in pinned)
