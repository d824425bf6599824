"""Pages to listen to, in ``figures/pages``: three that ``audio_distance.page`` writes, and one of effects.

    python -m report pages [NAME ...]      # makes what does not fit
    python -m report pages --fresh         # makes all whose sounds are here

Conventions
    key       what a page was made from, in a ``<meta>`` of its own. ``code``: the sources of the page, the
              recipe, Bokeh's pin and the example's words, which every checkout can tell. ``sounds``: their
              names and bytes, which takes the sounds.
    fits      a page whose key is that of today is left as it is, to the byte. Made again it would differ on
              another processor, though nothing has changed: libopus chooses its instructions as it runs, and
              numbers differ in the last digit.
    missing   where recordings are not here, the code alone is checked, and the page stays.
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import metrics
from audio_distance import page
from audio_distance.errors import AudioError
from audio_distance.reading import Reading
from audio_distance.storage import replacing
from report.pages.examples import Example, Sets, examples
from study import datasets

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "figures" / "pages"
LARGEST_BYTES = 2_000_000  # of a page: 1.3 MB are BokehJS
_MARK = re.compile(rb'<meta name="made-from" content="code=([0-9a-f]{16}) sounds=([0-9a-f]{16})">')


@dataclass(frozen=True)
class Key:
    """What a page is made from: two digests of 16 hexadecimal digits."""

    code: str
    sounds: str

    @property
    def mark(self) -> bytes:
        """The key as it stands in the page."""
        return f'<meta name="made-from" content="code={self.code} sounds={self.sounds}">'.encode()


def kept_key(path: Path) -> Key | None:
    """The key in a page; None of one that is not there, or has none."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        found = _MARK.search(file.read(1000))  # it is the first thing of the head
    return Key(found[1].decode(), found[2].decode()) if found else None


def code_key(example: Example) -> str:
    """Digest of what makes this page out of its sounds, from the checkout alone: no package is asked.

    A change of any file of ``audio_distance.page`` is another code, a comment too. Of the rest of the package
    it is the recipe that counts: a test holds the numbers on a page against those of the package. A page that
    is no comparison says what it is made of.
    """
    sources = example.made_of or sorted(Path(page.__file__).parent.glob("*.*"), key=lambda path: path.name)
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    words = (example.name, example.title, example.about, *example.credits, str(LARGEST_BYTES))
    return _digest(
        [
            *((path.name, path.read_bytes()) for path in sources),
            ("recipe", metrics.constants()[1].encode()),
            *(("pin", pin.encode()) for pin in pins if pin.startswith("bokeh==") and not example.made_of),
            *(("words", line.encode()) for line in words),
        ]
    )


def sounds_key(sets: Sets) -> str:
    """Digest of names and bytes of all files, set by set; not of where they lie."""
    files = ((name, path) for name, paths in sets.items() for path in paths)
    return _digest((f"{name}/{path.name}", path.read_bytes()) for name, path in files)


def _digest(parts: Iterable[tuple[str, bytes]]) -> str:
    digest = hashlib.sha256()
    for name, content in parts:
        # Lengths keep apart where one part ends and the next begins.
        digest.update(b"%d %d\0%b%b" % (len(name.encode()), len(content), name.encode(), content))
    return digest.hexdigest()[:16]


def make(path: Path, example: Example, sets: Sets, key: Key) -> None:
    """Compare the sets and write the page with its key, whole or not at all.

    ``AudioError`` for what cannot be compared, no Bokeh, and a page that is too large without any sound.
    """
    if example.document is not None:
        text = example.document(sets, title=example.title, about=example.about, credits=example.credits)
        with replacing(path) as part:
            part.write_bytes(_marked(text.encode(), key))
        return
    page.refuse_without_bokeh()
    candidates = {name: files for name, files in sets.items() if name != "reference"}
    with tempfile.TemporaryDirectory() as cache, replacing(path) as part:
        page.write_page(
            part,
            metrics.compare_each(sets["reference"], candidates, cache=cache),
            reference=sets["reference"],
            candidates=candidates,
            reading=Reading(cache=cache),  # so that nothing is described twice
            largest_bytes=LARGEST_BYTES - len(key.mark),
            title=example.title,
            about=example.about,
            credits=example.credits,
        )
        part.write_bytes(_marked(part.read_bytes(), key))


def _marked(content: bytes, key: Key) -> bytes:
    return content.replace(b"<head>", b"<head>" + key.mark, 1)


def run(names: Sequence[str] = (), *, fresh: bool = False) -> int:
    """Make the pages of these names or paths, or all, that do not fit; with ``fresh`` those that do, too.

    Prints a line each, and one of those whose sounds are not here. Returns the exit code: 1 if one cannot be
    made, 2 for an unknown name, before any is.
    """
    known = {example.name: example for example in examples()}
    chosen = [Path(name).name.removesuffix(".html") for name in names] or list(known)
    if unknown := [name for name in chosen if name not in known]:
        print(f"error: no page named {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    unchecked = []
    for name in chosen:
        path = FOLDER / f"{name}.html"
        try:
            print(f"{path.name}: {_made_where_needed(path, known[name], fresh)}", flush=True)
        except datasets.MissingData as error:
            unchecked.append(path.name)
            kept = kept_key(path)
            if kept is None or kept.code != code_key(known[name]):
                what = "not as the code has it" if path.exists() else "not there"
                print(f"warning: {path.name} is {what}, and cannot be made: {error}", file=sys.stderr)
        except AudioError as error:
            print(f"error: {path.name}: {error}", file=sys.stderr)
            return 1
    if unchecked:
        print(f"sounds not here (README, Recordings), so not checked: {', '.join(unchecked)}")
    return 0


def _made_where_needed(path: Path, example: Example, fresh: bool) -> str:
    """What became of the page, in words; ``MissingData`` without its sounds."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        sets = example.sounds(Path(folder))
        key = Key(code_key(example), sounds_key(sets))
        if kept_key(path) == key and not fresh:
            return "as it was"
        make(path, example, sets, key)
    return f"{path.stat().st_size:,} bytes, {time.perf_counter() - started:.0f} s"
