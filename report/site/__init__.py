"""One static site of the report: its pages, README, the notebooks, the pages to listen to, the functions.

    python -m report site [--out DIR]      # default: site/

Conventions
    sources    by folder, so nothing is listed by hand: ``*.md``, ``chapters/*.md``, ``notebooks/*.ipynb``,
               ``figures/pages/*.html``, and every file that one of these links to. The navigation has them in
               the order of the report's links.
    names      a page lies where its source lies: ``chapters/x.md`` is ``chapters/x.html``; README is the
               index. What is HTML already, and pictures, are copied as they are; other text is shown as text.
    Markdown   as GitHub reads it: the same files are read there. Anchors are GitHub's.
    offline    a page asks for nothing outside of the folder, and works from the disk.
    strict     a link or anchor that leads nowhere ends the build; what was there before stays.

Why no site generator: two were tried on these very files. Material for MkDocs reads another Markdown than
GitHub, has links that only colour tells and is wider than a phone. furo (Sphinx with MyST-NB) has code that
no key scrolls, makes downloads of links to HTML pages, and needs twenty packages more. This needs none more.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from report.site import api, links
from report.site.body import SiteError, body_of, title_of
from report.site.frame import Entry, Frame

ROOT = Path(__file__).parents[2]
FOLDERS = {  # what the navigation lists, in its order: heading -> patterns of sources
    "Report": ("README.md", "report.md", "chapters/*.md"),
    "Notebooks": ("notebooks/*.ipynb",),
    "To listen to": ("figures/pages/*.html",),
    "Reference": ("*.md",),
}
MARK = ".nojekyll"  # tells GitHub to serve the files as they are; here, that the folder is a site


@dataclass(frozen=True)
class Site:
    """What was built: its ``index``, its ``pages`` and the ``external`` addresses that they link to."""

    index: Path
    pages: tuple[Path, ...]
    external: tuple[str, ...]


def build(out: Path, *, root: Path = ROOT) -> Site:
    """Build the site of the checkout ``root`` in the folder ``out``, whole or not at all.

    The sources are read as they are: nothing is measured, drawn or executed. A former site in ``out`` is
    replaced.

    Raises
    ------
    SiteError
        For links and anchors that lead nowhere, all of them; a page that would fetch something; a folder
        ``out`` that holds anything but a site.
    """
    if out.exists() and any(out.iterdir()) and not (out / MARK).exists():
        raise SiteError(f"{out} holds other files; name a new folder, or one that holds a site")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        made = Path(folder) / "site"
        made.mkdir()
        (made / MARK).touch()
        _write(made, root)
        found = links.check(made)
        if out.exists():
            shutil.rmtree(out)
        made.rename(out)
    pages = tuple(out / page for page in found.pages)
    return Site(index=out / "index.html", pages=pages, external=found.external)


def _write(out: Path, root: Path) -> None:
    """Write every page; those that are linked to after those of the navigation."""
    groups = {heading: list(_sources(root, patterns)) for heading, patterns in FOLDERS.items()}
    listed = [source for heading, sources in groups.items() for source in sources]
    groups["Reference"] = [source for source in groups["Reference"] if listed.count(source) == 1]
    entries = {
        heading: [Entry(title_of(root, source), str(links.page_of(source))) for source in sources]
        for heading, sources in groups.items()
    }
    entries["Reference"].append(Entry("Functions and classes", f"{api.FOLDER}/index.html"))
    frame = Frame(entries)
    frame.write_style(out)
    waiting, done = list(dict.fromkeys(listed)), set()
    while waiting:
        source = waiting.pop(0)
        if source in done:
            continue
        done.add(source)
        page = links.page_of(source)
        (out / page).parent.mkdir(parents=True, exist_ok=True)
        if page == source:
            shutil.copy(root / source, out / page)
            continue
        body = body_of(root, source)
        waiting += body.sources
        (out / page).write_text(frame.page(page, body, source=source), encoding="utf-8")
    for page, body in api.pages():
        (out / page).parent.mkdir(parents=True, exist_ok=True)
        (out / page).write_text(frame.page(page, body), encoding="utf-8")


def _sources(root: Path, patterns: tuple[str, ...]) -> Iterator[PurePosixPath]:
    """Files of the patterns, in their order; within one, as the report first links to them, then by name."""
    report = root / "report.md"
    text = report.read_text(encoding="utf-8") if report.exists() else ""
    for pattern in patterns:
        found = [PurePosixPath(path.relative_to(root).as_posix()) for path in sorted(root.glob(pattern))]
        places = {source: text.find(f"]({source}") for source in found}
        yield from sorted(found, key=lambda source: places[source] % (len(text) + 1))  # -1, not there: last


def run(out: Path, *, external: bool = False) -> int:
    """Build the site, say where its index is; with ``external``, list the addresses outside that it links to.

    Returns the exit code: 1 if it cannot be built.
    """
    try:
        site = build(out)
    except SiteError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if external:
        print("\n".join(site.external))
    print(f"{site.index}: {len(site.pages)} pages, {len(site.external)} links to elsewhere")
    return 0
