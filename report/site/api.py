"""The pages of the package's functions and classes, by pdoc."""

from __future__ import annotations

import html
import pkgutil
import re
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pdoc.doc
import pdoc.render
from bs4 import BeautifulSoup

import audio_distance
from report.site.body import Body, Heading, prepared

FOLDER = "api"
TEMPLATES = Path(__file__).parent / "pdoc"


def names() -> list[str]:
    """Modules that have a page: the two that are imported by name, then those of the package.

    Not ``audio_distance.distance``: that name is the function, as everywhere.
    """
    found = pkgutil.walk_packages(audio_distance.__path__, "audio_distance.")
    inner = sorted(module.name for module in found if "._" not in module.name)
    return ["metrics", "audio_distance", *(name for name in inner if name != "audio_distance.distance")]


def pages() -> Iterator[tuple[PurePosixPath, Body]]:
    """The page that lists the modules, then each module's: where it is in the site, and what it shows."""
    pdoc.render.configure(docformat="numpy", search=False, show_source=False, template_directory=TEMPLATES)
    modules = {name: pdoc.doc.Module.from_name(name) for name in names()}
    for module in modules.values():
        # A line and what stands indented below it is kept as it is: Markdown
        # would make one paragraph of both.
        module.docstring = re.sub(r"^(\S.*)\n(?= {4}\S)", r"\1\n\n", module.docstring, flags=re.M)
    index = PurePosixPath(FOLDER, "index.html")
    yield index, prepared(_list(modules), title="Functions and classes", page=index)
    for name, module in modules.items():
        page = PurePosixPath(FOLDER, *name.split(".")).with_suffix(".html")
        with warnings.catch_warnings():
            # Types that are imported for mypy alone: pdoc shows them as they are written, and says so.
            warnings.filterwarnings("ignore", "Error parsing type annotation", UserWarning)
            text = pdoc.render.html_module(module, modules)
        yield page, _body(BeautifulSoup(text, "html.parser"), name, page)


def _list(modules: dict[str, pdoc.doc.Module]) -> BeautifulSoup:
    lines = (
        f'<dt><a href="{name.replace(".", "/")}.html">{name}</a></dt>'
        f"<dd>{html.escape(module.docstring.partition(chr(10))[0])}</dd>"
        for name, module in modules.items()
    )
    return BeautifulSoup(f"<h1>Functions and classes</h1><dl>{''.join(lines)}</dl>", "html.parser")


def _body(soup: BeautifulSoup, name: str, page: PurePosixPath) -> Body:
    """The page of a module: its contents are what it defines, by name."""
    for link in soup.select("a.headerlink"):
        link["aria-label"] = f"Link to {link['href'].removeprefix('#')}"
        link.string = "#"
    for text in soup.find_all(string=re.compile("::\\s*$")):  # where code follows, in reStructuredText
        if text.find_parent("pre") is None:
            text.replace_with(text.rstrip()[:-1])
    body = prepared(soup, title=name, page=page)
    defined = tuple(Heading(section["id"], section["id"], 2) for section in soup.select("section[id]"))
    return replace(body, headings=defined)
