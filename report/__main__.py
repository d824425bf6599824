"""Render ``report.md``, ``chapters/`` and their figures from the results, or make what else they show.

    $ python -m report                         # writes report.md, chapters/*.md and figures/*.png
    $ python -m report --check                 # renders again, compares with what is there, writes nothing
    $ python -m report notebooks [NAME ...]    # executes these notebooks, or all, in place
    $ python -m report pages [NAME ...]        # figures/pages: makes what does not fit code and sounds
    $ python -m report picture                 # figures/listening_page.png, of such a page, in Chromium
    $ python -m report site [--out DIR]        # all of it as one static site, in site/

Exit codes: 1 for a missing result, a report that differs, a notebook, page or site that fails; 2 for an
unknown name.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from audio_distance.storage import replacing
from report import notebooks, pages, rendering
from report.pages import picture
from study import results


def main(argv: list[str] | None = None) -> int:
    """Run the command, by default with the arguments of this process; return its exit code.

    0; 1 for a missing result, a report that differs, a notebook, page or site that fails; 2 for an unknown
    name.
    """
    parser = argparse.ArgumentParser(prog="python -m report", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with what is there, write nothing")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    named = commands.add_parser("notebooks", help="execute the notebooks in place")
    named.add_argument("names", nargs="*", help="names or paths; default: all")
    made = commands.add_parser("pages", help="make the example pages that do not fit code and sounds")
    made.add_argument("names", nargs="*", help="names or paths; default: all")
    made.add_argument("--fresh", action="store_true", help="make those that fit, too")
    commands.add_parser("picture", help="draw README's picture of a page (Playwright, Chromium)")
    built = commands.add_parser("site", help="build one static site of all this (the extra site)")
    built.add_argument("--out", type=Path, default=Path("site"), metavar="DIR", help="default: site")
    built.add_argument(
        "--external", action="store_true", help="list the addresses elsewhere that it links to"
    )
    arguments = parser.parse_args(argv)
    if arguments.command == "notebooks":
        return notebooks.run(arguments.names)
    if arguments.command == "pages":
        return pages.run(arguments.names, fresh=arguments.fresh)
    if arguments.command == "picture":
        return picture.run()
    if arguments.command == "site":
        return _site(arguments.out, external=arguments.external)
    measured = results.read_all()
    if "challenge" not in measured:
        print(
            "error: results/challenge.json is missing; run: python -m experiments challenge", file=sys.stderr
        )
        return 1
    # First: a template that fails leaves pages and figures as they were.
    texts = {page: rendering.render(measured, page) for page in rendering.PAGES}
    return _check(texts) if arguments.check else _write(texts, measured)


def _site(out: Path, *, external: bool) -> int:
    """Build the site; 1 without what the extra ``site`` holds."""
    try:
        from report import site
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "report":
            raise
        print(
            f"error: {error.name} is missing; run: pip install -e '.[site]' -c constraints.txt",
            file=sys.stderr,
        )
        return 1
    return site.run(out, external=external)


def _check(texts: dict[Path, str]) -> int:
    """Print how the committed pages differ from ``texts``; 1 if one does."""
    differ = 0
    for page, text in texts.items():
        old = page.read_text(encoding="utf-8") if page.exists() else ""
        change = difflib.unified_diff(
            old.splitlines(), text.splitlines(), page.name, "rendered", n=0, lineterm=""
        )
        print("\n".join(change) or f"{page.name} is what the results render to")
        differ |= old != text
    return int(differ)


def _write(texts: dict[Path, str], measured: dict[str, dict]) -> int:
    """Save the figures, then the pages, each whole or not at all."""
    figures = rendering.draw(measured)
    for page, text in texts.items():
        with replacing(page) as part:
            part.write_text(text, encoding="utf-8")
    names = ", ".join(page.name for page in texts)
    print(f"{names} and {len(figures)} figures from {', '.join(measured)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
