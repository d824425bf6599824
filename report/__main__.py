"""Render ``report.md`` and its figures from the results, or execute the notebooks.

    $ python -m report                         # writes report.md and figures/*.png
    $ python -m report --check                 # renders again, compares with report.md, writes nothing
    $ python -m report notebooks [NAME ...]    # executes these notebooks, or all, in place

Exit codes: 1 for a missing result, a report that differs, a notebook that fails; 2 for an unknown name.
"""

from __future__ import annotations

import argparse
import difflib
import sys

from audio_distance.storage import replacing
from report import notebooks, rendering
from study import results


def main(argv: list[str] | None = None) -> int:
    """Run the command, by default with the arguments of this process; return its exit code.

    0; 1 for a missing result, a report that differs, a notebook that fails; 2 for an unknown name.
    """
    parser = argparse.ArgumentParser(prog="python -m report", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with report.md only, write nothing")
    commands = parser.add_subparsers(dest="command", metavar="notebooks")
    named = commands.add_parser("notebooks", help="execute the notebooks in place")
    named.add_argument("names", nargs="*", help="names or paths; default: all")
    arguments = parser.parse_args(argv)
    if arguments.command == "notebooks":
        return notebooks.run(arguments.names)
    measured = results.read_all()
    if "challenge" not in measured:
        print(
            "error: results/challenge.json is missing; run: python -m experiments challenge", file=sys.stderr
        )
        return 1
    text = rendering.render(measured)  # first: a template that fails leaves page and figures as they were
    return _check(text) if arguments.check else _write(text, measured)


def _check(text: str) -> int:
    """Print how the committed report differs from ``text``; 1 if it does."""
    old = rendering.REPORT.read_text(encoding="utf-8") if rendering.REPORT.exists() else ""
    change = difflib.unified_diff(
        old.splitlines(), text.splitlines(), "report.md", "rendered", n=0, lineterm=""
    )
    print("\n".join(change) or "report.md is what the results render to")
    return int(old != text)


def _write(text: str, measured: dict[str, dict]) -> int:
    """Save the figures, then the page, whole or not at all."""
    figures = rendering.draw(measured)
    with replacing(rendering.REPORT) as part:
        part.write_text(text, encoding="utf-8")
    print(f"{rendering.REPORT.name} and {len(figures)} figures from {', '.join(measured)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
