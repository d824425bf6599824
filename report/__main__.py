"""Render ``report.md`` and its figures from the results, or execute the notebooks.

$ python -m report                      # writes report.md and figures/*.png
$ python -m report --check              # renders again, compares with report.md, writes nothing
$ python -m report notebooks [NAME ...] # executes these notebooks, or all, in place
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys

from report import notebooks, rendering
from study import results


def main(argv: list[str] | None = None) -> int:
    """Run the command; return the exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments[:1] == ["notebooks"]:
        return notebooks.main(arguments[1:])
    return render(arguments)


def render(argv: list[str]) -> int:
    """Render or check; return the exit code: 1 for a missing result or a report that differs."""
    parser = argparse.ArgumentParser(prog="python -m report", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with report.md only")
    arguments = parser.parse_args(argv)
    found = results.read_all()
    if "challenge" not in found:
        print("error: results/challenge.json is missing; run: python -m study.challenge", file=sys.stderr)
        return 1
    text = rendering.render(found)
    if arguments.check:
        old = rendering.REPORT.read_text(encoding="utf-8") if rendering.REPORT.exists() else ""
        change = difflib.unified_diff(
            old.splitlines(), text.splitlines(), "report.md", "rendered", n=0, lineterm=""
        )
        print("\n".join(change) or "report.md is what the results render to")
        return int(old != text)
    figures = rendering.draw(found)
    stage = rendering.REPORT.with_suffix(".part")
    stage.write_text(text, encoding="utf-8")
    os.replace(stage, rendering.REPORT)
    print(f"{rendering.REPORT.name} and {len(figures)} figures from {', '.join(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
