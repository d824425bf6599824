"""Make ``audio_distance/constants.json``: the divisor of each of the 1032 numbers of the distance.

    python -m study.constants            # writes the package's file, about a minute
    python -m study.constants --check    # makes them again and compares, writes nothing

The audio is synthetic and seeded (``study.datasets.synthetic``): no download, no licence, no overlap with
anything the distance is evaluated on. Six significant digits are kept, more than two machines' rounding
can move, so the file is the same wherever it is made.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from tqdm import tqdm

import metrics
from audio_distance.storage import replacing
from study.datasets import synthetic

WINDOWS, SEED = 900, 0


def make(windows: int = WINDOWS, *, seed: int = SEED, progress: bool = False) -> dict:
    """Content of the constants file, from ``windows`` synthetic one-second signals.

    900 signals, so that the divisors, made of standard deviations, are known to some 2 %. Returns
    ``recipe_version``, ``made_by``, ``windows``, ``seed`` and ``divisors``: view -> a list of its numbers.
    """
    signals = tqdm(synthetic.windows(windows, seed=seed), total=windows, disable=not progress, leave=False)
    vectors = np.stack([metrics.embed(metrics.prepare(signal, metrics.RATE)[0]) for signal in signals])
    return {
        "recipe_version": metrics.RECIPE_VERSION,
        "made_by": "python -m study.constants",
        "windows": windows,
        "seed": seed,
        "divisors": {
            # Six digits: what a machine rounds otherwise is not kept.
            name: [float(f"{value:.6g}") for value in metrics.divisors(part)]
            for name, part in metrics.split_views(vectors).items()
        },
    }


def largest_change(first: dict, second: dict) -> float:
    """Largest relative difference between the divisors of two constants files."""
    one, two = (np.concatenate([c["divisors"][name] for name in metrics.VIEWS]) for c in (first, second))
    return float(np.max(np.abs(one / two - 1)))


def write(content: dict, path: Path) -> None:
    """As JSON, a number a line, so that a change shows where it is; whole or not at all."""
    with replacing(path) as part:
        part.write_text(json.dumps(content, indent=0) + "\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Write the file, or with ``--check`` compare; exit code 1 where a divisor differs by more than 1e-4."""
    parser = argparse.ArgumentParser(prog="python -m study.constants", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the bundled file, write nothing")
    arguments = parser.parse_args(argv)
    content = make(progress=sys.stderr.isatty())
    if arguments.check:
        change = largest_change(content, json.loads(metrics.CONSTANTS_FILE.read_text(encoding="utf-8")))
        print(f"largest relative change of a divisor: {change:.2g} (limit 1e-4)")
        return int(change > 1e-4)
    write(content, metrics.CONSTANTS_FILE)
    print(f"{metrics.CONSTANTS_FILE.name}: {sum(metrics.VIEWS.values())} divisors from {WINDOWS} windows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
