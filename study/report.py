"""Render ``report.md`` and its figures from the results.

    $ python -m study.report            # writes report.md and figures/*.png
    $ python -m study.report --check    # renders again, compares with report.md, writes nothing

Conventions
    results    each ``results/NAME.json`` is the variable NAME of the template; a result that is
               not there is undefined, and its section is left out. Any other name that is unknown
               is an error, so no number can go missing silently.
    numbers    come from results, or from the code they describe (``recipe``); the template holds
               none, and rounding is done by its filters.
"""

from __future__ import annotations

import argparse
import difflib
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2
import numpy as np

import gen_audio
import metrics
from study import plots, results
from study.benchmark import LEVEL, VALUES, mean_power

ROOT = Path(__file__).parents[1]
TEMPLATE = Path(__file__).with_name("report_template.md")
REPORT, FIGURES = ROOT / "report.md", ROOT / "figures"


# Filters


def num(value: float, digits: int = 3) -> str:
    """Fixed digits, and no minus sign before a zero."""
    text = f"{float(value):.{digits}f}"  # float() also refuses an undefined value by name
    return text.lstrip("-") if float(text) == 0 else text


def p_text(value: float) -> str:
    """A p-value: two significant digits, one below a thousandth."""
    return f"{value:.2g}" if value >= 0.001 else f"{value:.1g}"


def interval(pair: Sequence[float], digits: int = 3) -> str:
    return f"{num(pair[0], digits)} to {num(pair[1], digits)}"


def percent(share: float, digits: int = 0) -> str:
    return f"{num(100 * share, digits)} %"


def spread(seeds: Sequence[Mapping], kind: str, test: str) -> str:
    """Smallest to largest value over the seeds."""
    values = [seed[kind][test]["value"] for seed in seeds]
    return interval((min(values), max(values)))


def above(bands: Sequence[Mapping], hertz: float) -> float:
    """Sum of the bands that begin at ``hertz`` or higher."""
    return sum(b["value"] for b in bands if float(b["name"].split("-")[0]) >= hertz)


def power(table: Mapping, name: str) -> str:
    """Mean share of effects found, with its standard error."""
    mean, error = mean_power(table, name)
    return f"{percent(mean)} ± {percent(error, 1)}"


def coverage(row: Mapping[str, Sequence[int]]) -> str:
    """Lowest and highest share over the effects."""
    shares = [held / trials for held, trials in row.values()]
    return f"{num(100 * min(shares), 0)} to {percent(max(shares))}"


def nearest(table: Mapping) -> dict:
    """The pair of different sets with the smallest distance: names and value."""
    return _extreme(table, np.argmin)


def farthest(table: Mapping) -> dict:
    return _extreme(table, np.argmax)


def largest_p(table: Mapping) -> float:
    """Largest p-value between different sets."""
    values = np.array(table["p_value"])
    return float(values[_upper(table)].max())


def pairs(table: Mapping) -> int:
    """Number of pairs of different sets."""
    return math.comb(len(table["names"]), 2)


def _upper(table: Mapping) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(len(table["names"]), 1)


def _extreme(table: Mapping, choose) -> dict:
    rows, columns = _upper(table)
    values = np.array(table["value"])[rows, columns]
    index = int(choose(values))
    names = [table["names"][rows[index]], table["names"][columns[index]]]
    return {"names": names, "value": float(values[index])}


FILTERS = {
    "num": num,
    "p": p_text,
    "interval": interval,
    "percent": percent,
    "spread": spread,
    "above": above,
    "power": power,
    "coverage": coverage,
    "nearest": nearest,
    "farthest": farthest,
    "largest_p": largest_p,
    "pairs": pairs,
}


# Rendering


def context(found: Mapping[str, Mapping]) -> dict:
    """The template's variables: the results, and facts of the code they describe."""
    test1 = found["challenge"]["sets"]["clean"]["test1"]["candidate"]
    return {
        **found,
        "recipe": {name: value for name, value in vars(metrics).items() if name.isupper()},
        "level": LEVEL,
        "measures": list(VALUES),
        # The RMS of a sine is its peak over sqrt(2); the noise is a share of the peak.
        "noise_db": {
            name: -20 * math.log10(noise * math.sqrt(2))
            for name, (_, noise) in gen_audio.SETS.items()
            if noise
        },
        "trim_db": -20 * math.log10(metrics.TRIM),
        "samples": f"{round(test1['seconds'] * test1['rates'][0]):,}",
    }


def render(found: Mapping[str, Mapping]) -> str:
    """The text of report.md from results by name; jinja2.UndefinedError for an unknown name."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters.update(FILTERS)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    lines = template.render(context(found)).splitlines()
    # Blocks that are left out leave their blank lines.
    kept = [line for i, line in enumerate(lines) if line or (i and lines[i - 1])]
    return "\n".join(kept).rstrip() + "\n"


def draw(found: Mapping[str, Mapping]) -> list[Path]:
    """Save the figure of every result that has one; return their paths."""
    FIGURES.mkdir(exist_ok=True)
    saved = []
    for name, (result, figure) in plots.FIGURES.items():
        if result in found:
            saved.append(FIGURES / f"{name}.png")
            # Without the version of the software the same figure is the same file.
            figure(found[result]).savefig(saved[-1], dpi=100, metadata={"Software": None})
    return saved


def main(argv: list[str] | None = None) -> int:
    """Render or check; return the exit code: 1 for a missing result or a report that differs."""
    parser = argparse.ArgumentParser(prog="python -m study.report", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with report.md only")
    arguments = parser.parse_args(argv)
    found = results.read_all()
    if "challenge" not in found:
        print("error: results/challenge.json is missing; run: python -m study.challenge", file=sys.stderr)
        return 1
    text = render(found)
    if arguments.check:
        old = REPORT.read_text(encoding="utf-8") if REPORT.exists() else ""
        change = difflib.unified_diff(
            old.splitlines(), text.splitlines(), "report.md", "rendered", n=0, lineterm=""
        )
        print("\n".join(change) or "report.md is what the results render to")
        return int(old != text)
    figures = draw(found)
    stage = REPORT.with_suffix(".part")
    stage.write_text(text, encoding="utf-8")
    os.replace(stage, REPORT)
    print(f"{REPORT.name} and {len(figures)} figures from {', '.join(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
