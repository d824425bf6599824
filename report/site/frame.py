"""What stands around the content of every page: header, navigation, contents, footer; one style for all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import jinja2

from report.site.body import Body
from report.site.links import between

FOLDER = Path(__file__).parent
FILES = ("site.css", "site.js")
DEEPEST = 3  # level of headings that the contents show


@dataclass(frozen=True)
class Entry:
    """A line of the navigation: a page's title and where it is, relative to the top."""

    title: str
    page: str


class Frame:
    """Makes whole pages; ``entries`` of the navigation are given by heading."""

    def __init__(self, entries: Mapping[str, Sequence[Entry]]):
        self._entries = entries
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER),
            undefined=jinja2.StrictUndefined,
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = environment.get_template("page.html.j2")

    def page(self, page: PurePosixPath, body: Body, *, source: PurePosixPath | None = None) -> str:
        """The HTML of a page, which lies at ``page``; ``source`` is named in its footer."""
        return self._template.render(
            body=body,
            contents=[heading for heading in body.headings if heading.level <= DEEPEST],
            entries=self._entries,
            home=next(iter(self._entries.values()))[0],
            page=str(page),
            source=source,
            to=lambda other: between(page, PurePosixPath(other)),
        )

    def write_style(self, out: Path) -> None:
        """Bring what all pages share to the top of the site."""
        for name in FILES:
            shutil.copy(FOLDER / name, out / name)
