"""What a page shows, from its source: Markdown, a notebook with its outputs, or text."""

from __future__ import annotations

import base64
import html
import io
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import nbformat
from bs4 import BeautifulSoup, NavigableString, Tag
from markdown_it import MarkdownIt
from nbconvert import HTMLExporter
from PIL import Image
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.util import ClassNotFound

from report.site.links import ADDRESSES, SiteError, between, is_external, page_of, target

TEMPLATES = Path(__file__).parent
HEADINGS = [f"h{level}" for level in range(1, 7)]
# A number and its unit, and "p = 0.001": where a line may break in the source, but should not on a page.
TOGETHER = re.compile(
    r"(?<=\d) (?=(?:%|k?Hz|dB|m?s|[MG]iB|kbit/s)(?!\w))|(?<=\b[pnN]) (?=[=≤] )|(?<=\b[pnN] [=≤]) (?=-?\d)"
)
NO_BREAK = "\u00a0"


@dataclass(frozen=True)
class Heading:
    """A line of a page's contents: its text, its anchor and its level, of 2 or more."""

    text: str
    anchor: str
    level: int


@dataclass(frozen=True)
class Body:
    """What stands in ``<main>`` of a page.

    ``title`` of the page, ``html`` of its content, its ``headings`` below the title, and the ``sources``,
    relative to the top, that it links to.
    """

    title: str
    html: str
    headings: tuple[Heading, ...]
    sources: tuple[PurePosixPath, ...] = ()


def title_of(root: Path, source: PurePosixPath) -> str:
    """First heading of a source, or the title of what is HTML already."""
    text = (root / source).read_text(encoding="utf-8")
    if source.suffix == ".html":
        found = re.search(r"<title>(.*?)</title>", text, re.S)
        return BeautifulSoup(found[1], "html.parser").get_text() if found else source.stem
    if source.suffix == ".ipynb":
        cells = nbformat.reads(text, as_version=4).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return _title(BeautifulSoup(markdown(text), "html.parser"), source)


def _title(soup: BeautifulSoup, source: PurePosixPath) -> str:
    heading = soup.find("h1")
    return heading.get_text().strip() if heading else source.name


def body_of(root: Path, source: PurePosixPath) -> Body:
    """Render a source of the checkout ``root`` as what stands on its page.

    ``SiteError`` for links to what is not in the checkout, all of them.
    """
    soup = BeautifulSoup(_html(root / source), "html.parser")
    linked = _lead_to_pages(soup, root, source)
    return prepared(soup, title=_title(soup, source), sources=linked, root=root, page=page_of(source))


def prepared(
    soup: BeautifulSoup,
    *,
    title: str,
    page: PurePosixPath,
    root: Path | None = None,
    sources: tuple[PurePosixPath, ...] = (),
) -> Body:
    """The body of rendered HTML: with anchors, with tables and code that may scroll, with sizes of pictures.

    ``root`` is the folder that holds the pictures, for their sizes.
    """
    headings = _with_anchors(soup)
    _keep_units(soup)
    for table in soup.find_all("table"):
        table.wrap(soup.new_tag("div", attrs={"class": "scroll"}))
    for image in soup.find_all("img"):
        _with_size(image, root, page)
    return Body(title=title, html=str(soup), headings=headings, sources=sources)


# What a source says


def _html(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return markdown(text)
    if path.suffix == ".ipynb":
        return _notebook(text)
    try:
        lexer = get_lexer_for_filename(path.name)
    except ClassNotFound:
        lexer = TextLexer()
    return f"<h1>{html.escape(path.name)}</h1>" + highlight(text, lexer, HtmlFormatter())


def markdown(text: str) -> str:
    """HTML of Markdown as GitHub reads it."""
    parser = MarkdownIt("gfm-like2", {"highlight": _code})
    parser.linkify.set({"fuzzy_link": False, "fuzzy_email": False})  # report.md is no address in Moldova
    return parser.render(text)


def _code(text: str, language: str, _attributes: str = "") -> str:
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return ""  # as it is
    return highlight(text, lexer, HtmlFormatter(nowrap=True))


def _notebook(text: str) -> str:
    """HTML of a notebook with the outputs that are kept in it. No cell is executed."""
    exporter = HTMLExporter(
        extra_template_basedirs=[str(TEMPLATES)],
        template_name="notebook",
        filters={
            "markdown2html": markdown,
            "highlight_code": lambda source, metadata=None: f"<pre>{_code(source, 'python')}</pre>",
        },
    )
    shown, _ = exporter.from_notebook_node(_described(nbformat.reads(text, as_version=4)))
    return shown


def _described(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Give every picture a text: the section that it belongs to, and its number there."""
    section, number = "", 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (found := re.findall(r"^#+ (.+)$", cell.source, re.M)):
            section, number = found[-1], 0
        for output in cell.get("outputs", ()):
            for kind in {"image/png", "image/jpeg"} & {*output.get("data", ())}:
                number += 1
                kept = output.metadata.setdefault(kind, nbformat.NotebookNode())
                kept.setdefault("alt", f"Figure {number} of the section: {section}")
    return notebook


# What a page adds


def _lead_to_pages(soup: BeautifulSoup, root: Path, source: PurePosixPath) -> tuple[PurePosixPath, ...]:
    """Turn links between sources into links between pages; return the sources that are linked to."""
    linked, faults = [], []
    page = page_of(source)
    for tag, name in [(tag, name) for tag in soup.find_all(True) for name in ADDRESSES if tag.get(name)]:
        address = tag[name]
        if is_external(address) or address.startswith("#"):
            continue
        where, anchor = target(source, address)
        if where.parts[:1] == ("..",) or where.is_absolute() or not (root / where).is_file():
            faults.append(f"{source}: no file is at {address}")
            continue
        linked.append(where)
        tag[name] = between(page, page_of(where)) + (f"#{anchor}" if anchor else "")
    if faults:
        raise SiteError("\n".join(faults))
    return tuple(dict.fromkeys(linked))


def _keep_units(soup: BeautifulSoup) -> None:
    """Let no line end between a number and its unit. Code stays to the character: it is copied."""
    for text in soup.find_all(string=TOGETHER):
        if type(text) is NavigableString and not text.find_parent(["code", "pre"]):  # no comment, no script
            text.replace_with(TOGETHER.sub(NO_BREAK, text))


def slug(text: str) -> str:
    """GitHub's anchor of a heading: small letters, no punctuation, a hyphen for a space."""
    return re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")


def _with_anchors(soup: BeautifulSoup) -> tuple[Heading, ...]:
    """Give every heading its anchor, and each anchor once; return the headings but the first of level 1."""
    taken, headings = set(), []
    for tag in soup.find_all(id=True):
        if tag["id"] in taken:
            del tag["id"]  # an address leads to the first
        else:
            taken.add(tag["id"])
    for heading in soup.find_all(HEADINGS):
        if "id" not in heading.attrs:
            heading["id"] = _free(slug(heading.get_text()), taken)
            taken.add(heading["id"])
        headings.append(Heading(heading.get_text().strip(), heading["id"], int(heading.name[1])))
    return tuple(heading for heading in headings if heading.level > 1)


def _free(anchor: str, taken: set[str]) -> str:
    names = (f"{anchor}-{count}" if count else anchor for count in range(len(taken) + 1))
    return next(name for name in names if name not in taken)


def _with_size(image: Tag, root: Path | None, page: PurePosixPath) -> None:
    """Say how large a picture is, so that the page does not jump when it comes; it comes when it is near."""
    address = image.get("src", "")
    if address.startswith("data:image/") and ";base64," in address:
        place = io.BytesIO(base64.b64decode(address.partition(",")[2]))
    elif root is not None and not is_external(address) and not address.endswith(".svg"):
        place = root / target(page, address)[0]
        image["loading"] = "lazy"
    else:
        return
    with Image.open(place) as picture:
        image["width"], image["height"] = map(str, picture.size)
