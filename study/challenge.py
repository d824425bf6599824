"""Measure the challenge: how far are test1 and test2 from the background?

    $ python -m study.challenge

writes ``results/challenge.json``, in about twenty seconds. The sets are those of ``gen_audio``,
written to a temporary folder and read back through their file lists, as a user would.

Conventions
    historic, clean   the sets as first published, in which samples beyond 16 bits wrap to clicks,
                      and the same sets with these samples clipped.
    split             the background against itself: 5 of its 10 files against the other 5.
    clicks            historic minus clean, in the units of the distance.
    published         the Frechet distances of VGGish embeddings with which these sets were first
                      scored. They are quoted, not measured here.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

import gen_audio
import metrics
from study import results
from study.distances import frechet, gaussian_mmd, permutation_pvalue

MADE_BY = "python -m study.challenge"
SEED = 0  # of the sets the report speaks of, and of all permutations
SEEDS = tuple(range(5))  # of the noise, to see how much of a distance is luck
TESTS = ("test1", "test2")
OVERFLOWS = {"historic": "wrap", "clean": "clip"}
PUBLISHED = {
    "test1": 12.4375,
    "test2": 4.7680,
    "source": "README of google-research/frechet_audio_distance, Frechet distance of VGGish "
    "embeddings, one run of the unseeded generator",
}
COMMON = ("sin_100.wav", "sin_1000.wav")  # tones that are in the background and in the tests


def run() -> dict:
    """All measurements of the challenge, as the content of ``results/challenge.json``."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sets = {kind: measure(folder / kind, overflow, SEED) for kind, overflow in OVERFLOWS.items()}
        background = sorted((folder / "clean" / "background").iterdir())
        return {
            "published": PUBLISHED,
            "sets": sets,
            "clicks": {test: clicks(sets["historic"][test], sets["clean"][test]) for test in TESTS},
            "split": split(background, folder / "cache"),
            "without_common_tones": {
                kind: without_common_tones(folder / kind, folder / "cache") for kind in OVERFLOWS
            },
            "incumbents": incumbents(folder),
            "seeds": [
                {"seed": seed, **{kind: brief(folder / f"{kind} {seed}", overflow, seed)
                                  for kind, overflow in OVERFLOWS.items()}}
                for seed in SEEDS
            ],
        }


# Measurements


def compared(folder: Path) -> dict[str, metrics.Comparison]:
    """The background against both tests, through the file lists below ``folder``."""
    lists = {name: folder / f"test_files_{name}.csv" for name in gen_audio.SETS}
    return metrics.compare_each(
        lists["background"],
        {test: lists[test] for test in TESTS},
        seed=SEED,
        cache=folder.parent / "cache",
    )


def measure(folder: Path, overflow: str, seed: int) -> dict:
    """Everything about one writing of the sets; they are left below ``folder``."""
    gen_audio.write(str(folder), seed=seed, overflow=overflow)
    found = compared(folder)
    gap = metrics.difference(found["test1"], found["test2"])
    return {
        **{test: as_dict(found[test]) for test in TESTS},
        "difference": {"value": gap.value, "interval": gap.interval, "p_value": gap.p_value},
        "beyond_16_bits": beyond_16_bits(seed),
    }


def brief(folder: Path, overflow: str, seed: int) -> dict:
    """Value and p of both tests for one seed of the noise."""
    gen_audio.write(str(folder), seed=seed, overflow=overflow)
    return {
        test: {"value": c.value, "p_value": c.p_value, "interval": c.interval}
        for test, c in compared(folder).items()
    }


def as_dict(comparison: metrics.Comparison) -> dict:
    """A comparison in plain types, without the names of folders."""
    found = comparison.to_dict()
    for side in ("reference", "candidate"):
        del found[side]["name"]
    return found


def beyond_16_bits(seed: int) -> dict[str, dict[str, int]]:
    """Set -> file -> samples beyond 16 bits: those that wrap, or are clipped.

    Both writings agree wherever neither had to act, so the samples that differ are those beyond.
    """
    wrapped, clipped = (
        gen_audio.test_sets(seed=seed, overflow=overflow) for overflow in ("wrap", "clip")
    )
    return {
        name: {
            file: int(np.count_nonzero(samples != clipped[name][file]))
            for file, samples in files.items()
        }
        for name, files in wrapped.items()
    }


def clicks(historic: dict, clean: dict) -> dict:
    """What the clicks add to a distance: in all, by view, by band of the envelope view."""
    bands = {band["name"]: band["value"] for band in clean["bands"]}
    return {
        "value": historic["value"] - clean["value"],
        "share": 1 - clean["value"] / historic["value"],
        "views": {name: value - clean["views"][name] for name, value in historic["views"].items()},
        "bands": [
            {"name": band["name"], "value": band["value"] - bands[band["name"]]}
            for band in historic["bands"]
        ],
    }


def split(paths: list[Path], cache: Path) -> dict:
    """Every division of the background into two halves; the distance is symmetric, so each once.

    Each pair of files is as often within a half as across, so the mean is 0 by construction: what
    is measured is the spread.
    """
    first, *others = paths
    values = []
    for chosen in itertools.combinations(others, len(paths) // 2 - 1):
        half = [first, *chosen]
        rest = [path for path in others if path not in chosen]
        values.append(metrics.distance(half, rest, paired=False, cache=cache))
    return {
        "count": len(values),
        "mean": np.mean(values),
        "sd": np.std(values),
        "smallest": min(values),
        "largest": max(values),
        "central_95": np.quantile(values, [0.025, 0.975]),
    }


def without_common_tones(folder: Path, cache: Path) -> dict:
    """The distances when the tones that both sets hold are left out of the background."""
    background = [path for path in (folder / "background").iterdir() if path.name not in COMMON]
    tests = {test: sorted((folder / test).iterdir()) for test in TESTS}
    found = metrics.compare_each(background, tests, seed=SEED, cache=cache, paired=False)
    return {
        test: {"value": c.value, "p_value": c.p_value, "interval": c.interval}
        for test, c in found.items()
    }


def incumbents(folder: Path) -> dict:
    """Frechet distance and Gaussian-kernel MMD of the same numbers, one vector a file.

    The vector of a file is the mean of its windows, divided by the bundled constants. ``split`` is
    the mean over all halves of the background: what a distance says where there is no difference.
    """
    found = {"frechet": {}, "gaussian_mmd": {}}
    for kind in OVERFLOWS:
        rows = {name: vectors(folder / kind / name) for name in gen_audio.SETS}
        for name, distance in (("frechet", frechet), ("gaussian_mmd", gaussian_mmd)):
            found[name][kind] = {
                test: {
                    "value": distance(rows["background"], rows[test]),
                    "p_value": permutation_pvalue(
                        rows["background"], rows[test], distance, rng=np.random.default_rng(SEED)
                    ),
                }
                for test in TESTS
            }
    background = vectors(folder / "clean" / "background")
    halves = [
        np.isin(np.arange(10), [0, *chosen]) for chosen in itertools.combinations(range(1, 10), 4)
    ]
    for name, distance in (("frechet", frechet), ("gaussian_mmd", gaussian_mmd)):
        values = [distance(background[half], background[~half]) for half in halves]
        found[name]["split"] = {"mean": np.mean(values), "sd": np.std(values)}
    return found


def vectors(folder: Path) -> np.ndarray:
    """One described file a row, (files, 1032)."""
    rows = []
    for path in sorted(folder.iterdir()):
        signal, rate = soundfile.read(path, dtype="float32")
        prepared, _ = metrics.prepare(signal, rate, bandwidth_rate=rate)
        rows.append(np.mean([metrics.embed(w) for w in metrics.windows(prepared)], axis=0))
    return np.array(rows) / metrics.constants()[0]


# Command line


def summary(found: dict) -> str:
    """The two distances, historic and clean, in four lines."""
    lines = []
    for kind in OVERFLOWS:
        for test in TESTS:
            c = found["sets"][kind][test]
            low, high = c["interval"]
            lines.append(
                f"{kind:8} {test}: {c['value']:6.3f} ({low:.3f} to {high:.3f}), "
                f"p = {c['p_value']:.3f}, {c['verdict']}"
            )
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Measure, write the result, print a summary; return the exit code."""
    argparse.ArgumentParser(
        prog="python -m study.challenge", description=__doc__.splitlines()[0]
    ).parse_args(argv)
    found = run()
    results.write("challenge", found, made_by=MADE_BY, seed=SEED)
    print(summary(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
