"""What does a value mean? Distances between sounds that everybody knows.

All 400 clips of ESC-10 in their ten classes, 600 recordings of the Free Spoken Digit Dataset by its six
speakers (``study.datasets`` says how to bring both), every set against every other and against itself in ten
random halves; and 200 digits against all clips. Seed 0.

Conventions
    table     distances of every set to every other, (n, n), symmetric; on the diagonal the mean over
              splits of a set against itself, which is 0 but for chance.
    split     the draws of a set divided at random into two halves; none is in both.
    draw      for environmental sounds the recording a clip was cut from, because several clips of
              one recording are not independent; for digits the file.
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

import metrics
from study import datasets

DATA = ("sounds", "digits")
TAKES = "two minutes"

SEED = 0
SPLITS = 10
RECORDING = r"\d-(\d+)-[A-Z]"  # FOLD-SOURCE-TAKE.ogg
FILE = r".+"
REPETITIONS = 10  # of each digit by each speaker
DIGITS = 200  # drawn for the comparison with environmental sounds


def run() -> dict:
    """All measurements, as the content of ``results/real_audio.json``.

    ``sounds`` and ``speakers`` are what ``table`` returns, ``digits_against_sounds`` what the function of
    that name does. Descriptions are cached for the time of the run. Raises ``datasets.MissingData`` without
    the recordings.
    """
    sounds, digits = classes(), speakers()
    with tempfile.TemporaryDirectory() as cache:
        return {
            "sounds": table(sounds, RECORDING, cache),
            "speakers": table(digits, FILE, cache),
            "digits_against_sounds": digits_against_sounds(sounds, cache),
        }


def classes() -> dict[str, list[Path]]:
    """The ten classes of environmental sounds: name -> its 40 clips, of 5 s."""
    clips = defaultdict(list)
    for path in datasets.files("sounds"):
        clips[path.parent.name.split(" - ", 1)[1]].append(path)
    return dict(clips)


def speakers() -> dict[str, list[Path]]:
    """The six speakers: name -> ``REPETITIONS`` recordings of each digit, 100 files."""
    recordings = defaultdict(list)
    for path in datasets.files("digits"):
        _, speaker, take = path.stem.split("_")
        if int(take) < REPETITIONS:
            recordings[speaker].append(path)
    return dict(recordings)


def table(named: Mapping[str, Sequence[Path]], groups: str, cache: str) -> dict:
    """Every set against every other, and splits of each against itself.

    Parameters
    ----------
    named : mapping
        Name -> files of a set.
    groups : str
        Pattern in a file's name that tells which draw it belongs to (see ``metrics.compare``).
    cache : str
        Folder of the descriptions.

    Returns
    -------
    dict
        names, files, draws     of each set, (n,)
        value                   (n, n), symmetric; on the diagonal the mean over splits
        interval_half_width     (n, n), of the 95 % interval; 0 on the diagonal
        p_value                 (n, n); 1 on the diagonal
        permutations            behind each p-value
        splits, split_mean, split_largest, split_sd
                                their number, mean and largest value; standard deviation by set
        bandwidth_hz            up to which all were compared
    """
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
        for j, pair in enumerate(row, start=i + 1):
            value[i, j] = value[j, i] = pair.value
            p_value[i, j] = p_value[j, i] = pair.p_value
            half_width[i, j] = half_width[j, i] = (pair.interval[1] - pair.interval[0]) / 2
    np.fill_diagonal(value, np.mean(splits, axis=1))
    np.fill_diagonal(p_value, 1.0)  # not tested: a set is itself
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
    """200 spoken digits, drawn by seed, against all environmental sounds.

    Value, interval, p-value, permutations, views, and of both sides files and draws; compared up to the
    digits' 4 kHz, which ``bandwidth_hz`` states.
    """
    rng = np.random.default_rng(SEED)
    paths = datasets.files("digits")
    drawn = [paths[i] for i in np.sort(rng.choice(len(paths), DIGITS, replace=False))]
    clips = [path for some in sounds.values() for path in some]
    apart = metrics.compare(drawn, clips, groups=(FILE, RECORDING), seed=SEED, cache=cache)
    return {
        "value": apart.value,
        "interval": apart.interval,
        "p_value": apart.p_value,
        "permutations": apart.permutations,
        "views": apart.views,
        "files": [apart.reference.files, apart.candidate.files],
        "draws": [apart.reference.units, apart.candidate.units],
        "bandwidth_hz": apart.bandwidth_hz,
    }


def _row(named, names, groups, cache, workers) -> list[metrics.Comparison]:
    first, *others = names
    comparisons = metrics.compare_each(
        named[first],
        {name: named[name] for name in others},
        groups=groups,
        paired=False,
        seed=SEED,
        cache=cache,
        workers=workers,
    )
    return list(comparisons.values())


def _groups(paths: Sequence[Path], pattern: str) -> dict[str, list[Path]]:
    """Draw -> its files."""
    draws = defaultdict(list)
    for path in paths:
        match = re.search(pattern, path.name)
        draws[match.group(match.lastindex or 0)].append(path)
    return dict(draws)


def _splits(paths: Sequence[Path], groups: str, cache: str) -> list[float]:
    """Distance between two random halves of the draws, ``SPLITS`` times."""
    draws = list(_groups(paths, groups).values())
    values = []
    for index in range(SPLITS):  # draws are divided, not files: clips of one recording stay together
        # By split, not by set: sets of one size are divided alike.
        order = np.random.default_rng([SEED, index]).permutation(len(draws))
        halves = (order[: len(order) // 2], order[len(order) // 2 :])
        one, other = ([path for i in half for path in draws[i]] for half in halves)
        values.append(metrics.distance(one, other, groups=groups, paired=False, cache=cache, workers=1))
    return values


def summary(measured: Mapping) -> str:
    """How much there is, and digits against sounds, in one line."""
    both = measured["digits_against_sounds"]
    return (
        f"{len(measured['sounds']['names'])} classes, {len(measured['speakers']['names'])} speakers; "
        f"digits against sounds {both['value']:.3f}"
    )
