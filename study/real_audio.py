"""Measure the distance on recordings: what a value means is read off sounds that everybody knows.

    $ python -m study.real_audio

writes ``results/real_audio.json``, in about two minutes on two cores. It needs ESC-10 and the Free
Spoken Digit Dataset (``study.datasets`` says how to bring them).

Conventions
    table     distances of every set to every other, (n, n), symmetric; on the diagonal the mean over
              splits of a set against itself, which is 0 but for chance.
    split     the draws of a set divided at random into two halves; none is in both.
    draw      for environmental sounds the recording a clip was cut from, because several clips of
              one recording are not independent; for digits the file.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

import metrics
from study import datasets, results

MADE_BY = "python -m study.real_audio"
SEED = 0
SPLITS = 10
RECORDING = r"\d-(\d+)-[A-Z]"  # FOLD-SOURCE-TAKE.ogg
FILE = r".+"
TAKES = 10  # of each digit by each speaker
DIGITS = 200  # drawn for the comparison with environmental sounds


def run() -> dict:
    """All measurements, as the content of ``results/real_audio.json``; MissingData without audio."""
    sounds, digits = classes(), speakers()
    with tempfile.TemporaryDirectory() as cache:
        return {
            "sounds": table(sounds, RECORDING, cache),
            "speakers": table(digits, FILE, cache),
            "digits_against_sounds": digits_against_sounds(sounds, cache),
        }


def classes() -> dict[str, list[Path]]:
    """The ten classes of environmental sounds: name -> its clips."""
    found = defaultdict(list)
    for path in datasets.files("sounds"):
        found[path.parent.name.split(" - ", 1)[1]].append(path)
    return dict(found)


def speakers() -> dict[str, list[Path]]:
    """The six speakers: name -> ``TAKES`` recordings of each digit."""
    found = defaultdict(list)
    for path in datasets.files("digits"):
        _, speaker, take = path.stem.split("_")
        if int(take) < TAKES:
            found[speaker].append(path)
    return dict(found)


def table(named: Mapping[str, Sequence[Path]], groups: str, cache: str) -> dict:
    """Every set against every other, and splits of each against itself."""
    names = list(named)
    # The first row reads every file, with all cores; the others find them in the cache.
    rows = [_row(named, names, groups, cache, None)]
    rows += Parallel(n_jobs=-1)(
        delayed(_row)(named, names[i:], groups, cache, 1) for i in range(1, len(names) - 1)
    )
    splits = Parallel(n_jobs=-1)(delayed(_splits)(named[name], groups, cache) for name in names)
    count = len(names)
    value, p_value = np.zeros((count, count)), np.zeros((count, count))
    half_width = np.zeros((count, count))
    for i, row in enumerate(rows):
        for j, found in enumerate(row, start=i + 1):
            value[i, j] = value[j, i] = found.value
            p_value[i, j] = p_value[j, i] = found.p_value
            half_width[i, j] = half_width[j, i] = (found.interval[1] - found.interval[0]) / 2
    np.fill_diagonal(value, np.mean(splits, axis=1))
    np.fill_diagonal(p_value, 1.0)
    return {
        "names": names,
        "files": [len(named[name]) for name in names],
        "draws": [len(_groups(named[name], groups)) for name in names],
        "value": value,
        "interval_half_width": half_width,
        "p_value": p_value,
        "permutations": rows[0][0].permutations,
        "splits": SPLITS,
        "split_sd": np.std(splits, axis=1),
        "split_mean": np.mean(splits),
        "split_largest": np.max(splits),
        "bandwidth_hz": rows[0][0].bandwidth_hz,
    }


def digits_against_sounds(sounds: Mapping[str, Sequence[Path]], cache: str) -> dict:
    """Spoken digits against all environmental sounds."""
    rng = np.random.default_rng(SEED)
    paths = datasets.files("digits")
    drawn = [paths[i] for i in np.sort(rng.choice(len(paths), DIGITS, replace=False))]
    clips = [path for some in sounds.values() for path in some]
    found = metrics.compare(drawn, clips, groups=(FILE, RECORDING), seed=SEED, cache=cache)
    return {
        "value": found.value,
        "interval": found.interval,
        "p_value": found.p_value,
        "permutations": found.permutations,
        "views": found.views,
        "files": [found.reference.files, found.candidate.files],
        "draws": [found.reference.units, found.candidate.units],
        "bandwidth_hz": found.bandwidth_hz,
    }


def _row(named, names, groups, cache, workers) -> list[metrics.Comparison]:
    first, *others = names
    found = metrics.compare_each(
        named[first],
        {name: named[name] for name in others},
        groups=groups,
        paired=False,
        seed=SEED,
        cache=cache,
        workers=workers,
    )
    return list(found.values())


def _groups(paths: Sequence[Path], pattern: str) -> dict[str, list[Path]]:
    """Draw -> its files."""
    found = defaultdict(list)
    for path in paths:
        match = re.search(pattern, path.name)
        found[match.group(match.lastindex or 0)].append(path)
    return dict(found)


def _splits(paths: Sequence[Path], groups: str, cache: str) -> list[float]:
    """Distance between two random halves of the draws, ``SPLITS`` times."""
    draws = list(_groups(paths, groups).values())
    values = []
    for index in range(SPLITS):
        order = np.random.default_rng([SEED, index]).permutation(len(draws))
        halves = (order[: len(order) // 2], order[len(order) // 2 :])
        one, other = ([path for i in half for path in draws[i]] for half in halves)
        values.append(metrics.distance(one, other, groups=groups, paired=False, cache=cache, workers=1))
    return values


def main(argv: list[str] | None = None) -> int:
    """Measure and write the result; return the exit code, 1 where recordings are missing."""
    argparse.ArgumentParser(
        prog="python -m study.real_audio", description=__doc__.splitlines()[0]
    ).parse_args(argv)
    try:
        found = run()
    except datasets.MissingData as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    path = results.write("real_audio", found, made_by=MADE_BY, seed=SEED, data=("sounds", "digits"))
    both = found["digits_against_sounds"]
    print(
        f"{path.parent.name}/{path.name}: {len(found['sounds']['names'])} classes, "
        f"{len(found['speakers']['names'])} speakers; digits against sounds {both['value']:.3f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
