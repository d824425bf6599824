"""Where a link leads: from a source to its page, and in a site that is built."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

COPIED = {".html", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".wav", ".flac", ".ogg", ".mp3", ".pdf"}
COPIED |= {".json", ".csv"}  # a browser shows results by itself, and as a coloured page they are 17 MB
ADDRESSES = ("href", "src", "poster", "data", "action")  # attributes that hold one
_STYLE = re.compile(r"""(?:@import\s+|url\()\s*["']?(?!data:)([^"')\s]+)""")


class SiteError(RuntimeError):
    """The site cannot be built; the message says why, a line for each reason."""


def page_of(source: PurePosixPath) -> PurePosixPath:
    """The page of a source, both relative to the top: itself, where it is copied as it is."""
    if source.suffix in COPIED:
        return source
    if source.suffix in {".md", ".ipynb"}:
        return PurePosixPath("index.html") if str(source) == "README.md" else source.with_suffix(".html")
    return source.with_name(f"{source.name}.html")


def is_external(address: str) -> bool:
    """Whether an address leads out of the site: it has a scheme, or a host."""
    parts = urlsplit(address)
    return bool(parts.scheme or parts.netloc)


def target(page: PurePosixPath, address: str) -> tuple[PurePosixPath, str]:
    """File, relative to the top, and anchor that an address on a page, or in a source, leads to."""
    parts = urlsplit(address)
    path = unquote(parts.path)
    where = posixpath.normpath(posixpath.join(page.parent, path)) if path else str(page)
    return PurePosixPath(where), unquote(parts.fragment)


def between(page: PurePosixPath, other: PurePosixPath) -> str:
    """The address of ``other`` on ``page``."""
    return posixpath.relpath(other, page.parent)


@dataclass(frozen=True)
class Checked:
    """The ``pages`` of a site, and the addresses outside of it that they link to, each once."""

    pages: tuple[PurePosixPath, ...]
    external: tuple[str, ...]


def check(folder: Path) -> Checked:
    """Follow every link of every page of a site.

    Raises
    ------
    SiteError
        With a line for each link or anchor that leads nowhere, each anchor that a page has twice, and each
        thing from elsewhere that a page would fetch by itself.
    """
    read = {
        PurePosixPath(path.relative_to(folder).as_posix()): _read(path)
        for path in sorted(folder.rglob("*.html"))
    }
    faults = [fault for page in read for fault in _faults(folder, page, read)]
    for path in sorted(folder.rglob("*.css")):
        fetched = _STYLE.findall(path.read_text(encoding="utf-8"))
        faults += [f"{path.relative_to(folder)}: fetches {address}" for address in fetched]
    if faults:
        raise SiteError("\n".join(faults))
    external = {address for page in read.values() for _, address in page.links if is_external(address)}
    return Checked(pages=tuple(read), external=tuple(sorted(external)))


@dataclass
class _Page(HTMLParser):
    """What a page links to, as (tag, address), and what can be linked to on it."""

    links: list[tuple[str, str]] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)

    def __post_init__(self):
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id" and value:
                self.anchors.append(value)
            elif name in ADDRESSES and value and not value.startswith(("data:", "blob:")):
                self.links.append((tag, value))
            elif name == "srcset" and value:
                self.links += [(tag, part.split()[0]) for part in value.split(",")]
            elif name == "style" and value:
                self.links += [(tag, address) for address in _STYLE.findall(value)]


def _read(path: Path) -> _Page:
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    return page


def _faults(folder: Path, page: PurePosixPath, read: dict[PurePosixPath, _Page]) -> Iterator[str]:
    here = read[page]
    for anchor in sorted({anchor for anchor in here.anchors if here.anchors.count(anchor) > 1}):
        yield f"{page}: the anchor {anchor} is there twice"
    for tag, address in dict.fromkeys(here.links):
        if is_external(address):
            if tag != "a":
                yield f"{page}: <{tag}> fetches {address}"
            continue
        where, anchor = target(page, address)
        if where.parts[:1] == ("..",) or where.is_absolute() or not (folder / where).is_file():
            yield f"{page}: nothing is at {address}"
        elif anchor and where in read and anchor not in read[where].anchors:
            yield f"{page}: {where} has no anchor {anchor}"
