"""How far are the challenge's test1 and test2 from the background, and how much of it is clicks?

The sets of ``gen_audio`` (10 tones of 6 s in the background, 5 in each test), written to a temporary folder
and read back through their file lists; with five seeds of the noise, of which the report shows seed 0.

Conventions
    historic, clean   the sets as first published, in which samples beyond 16 bits wrap to clicks,
                      and the same sets with these samples clipped.
    split             the background against itself: 5 of its 10 files against the other 5.
    clicks            historic minus clean, in the units of the distance.
    published         the Frechet distances with which these sets were scored elsewhere, on two networks.
                      They are quoted, not measured here.
    interleaved       the split into every other tone: as even as two halves of ten tones can be.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from joblib import Parallel, delayed

import gen_audio
import metrics
from study.distances import frechet, gaussian_mmd, permutation_pvalue

DATA = ()
TAKES = "half a minute"

SEED = 0  # of the sets the report speaks of, and of all permutations
SEEDS = tuple(range(5))  # of the noise, to see how much of a distance is luck
TESTS = ("test1", "test2")
OVERFLOWS = {"historic": "wrap", "clean": "clip"}
PUBLISHED = {  # Frechet distances of these very files, by whom and on which embedding
    "source": "the README of github.com/gudgud96/frechet-audio-distance",
    "rows": (
        {
            "by": "google-research/frechet_audio_distance",
            "embedding": "VGGish",
            "test1": 12.4375,
            "test2": 4.7680,
        },
        {
            "by": "frechet-audio-distance, in PyTorch",
            "embedding": "VGGish",
            "test1": 12.7398,
            "test2": 4.9815,
        },
        {
            "by": "frechet-audio-distance, in PyTorch",
            "embedding": "PANN",
            "test1": 0.000465,
            "test2": 0.00008594,
        },
    ),
}
COMMON = ("sin_100.wav", "sin_1000.wav")  # tones that are in the background and in the tests


def run() -> dict:
    """All measurements of the challenge, as the content of ``results/challenge.json``.

    Returns
    -------
    dict
        published             the values first published, quoted
        sets                  "historic" or "clean" -> ``measure``, of seed 0
        clicks                test -> ``clicks``
        split                 ``split`` of the clean background
        without_common_tones  "historic" or "clean" -> test -> value, interval, p_value
        incumbents            ``incumbents``
        seeds                 a row each of ``SEEDS``: seed, and by writing what ``brief`` keeps
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        jobs = [(kind, seed) for seed in SEEDS for kind in OVERFLOWS]
        # Processes, also because each then holds its linear algebra to one thread.
        done = Parallel(n_jobs=-1)(delayed(measure)(folder, kind, seed) for kind, seed in jobs)
        measured = dict(zip(jobs, done, strict=True))
        sets = {kind: measured[kind, SEED] for kind in OVERFLOWS}
        return {
            "published": PUBLISHED,
            "sets": sets,
            "clicks": {test: clicks(sets["historic"][test], sets["clean"][test]) for test in TESTS},
            "split": split(place(folder, "clean", SEED) / "background", folder / "cache"),
            "without_common_tones": {
                kind: without_common_tones(place(folder, kind, SEED), folder / "cache") for kind in OVERFLOWS
            },
            "incumbents": incumbents(folder),
            "seeds": [
                {"seed": seed, **{kind: brief(measured[kind, seed]) for kind in OVERFLOWS}} for seed in SEEDS
            ],
        }


# Measurements


def compared(folder: Path) -> dict[str, metrics.Comparison]:
    """Test -> comparison with the background, through the file lists in ``folder``.

    The lists are read as a user would have them read, so that the result is that of the command line.
    """
    lists = {name: folder / f"test_files_{name}.csv" for name in gen_audio.SETS}
    return metrics.compare_each(
        lists["background"],
        {test: lists[test] for test in TESTS},
        seed=SEED,
        cache=folder.parent / "cache",
    )


def place(folder: Path, kind: str, seed: int) -> Path:
    """Where one writing of the sets lies, below the temporary ``folder``."""
    return folder / f"{kind} {seed}"


def measure(folder: Path, kind: str, seed: int) -> dict:
    """Everything about one writing of the sets; its files are left for what follows.

    Returns, by test, ``metrics.Comparison.to_dict`` without names of folders; ``difference``, test1 minus
    test2 with interval and p-value; ``beyond_16_bits``. ``kind`` is "historic" or "clean", ``seed`` that of
    the noise.
    """
    here = place(folder, kind, seed)
    gen_audio.write(str(here), seed=seed, overflow=OVERFLOWS[kind])
    to_background = compared(here)
    gap = metrics.difference(to_background["test1"], to_background["test2"])
    return {
        **{test: as_dict(to_background[test]) for test in TESTS},
        "difference": {"value": gap.value, "interval": gap.interval, "p_value": gap.p_value},
        "beyond_16_bits": beyond_16_bits(seed),
    }


def brief(measured: dict) -> dict:
    """Of both tests value, 95 % interval and p-value, and nothing else: what changes from seed to seed."""
    return {test: {key: measured[test][key] for key in ("value", "interval", "p_value")} for test in TESTS}


def as_dict(comparison: metrics.Comparison) -> dict:
    """A comparison in plain types, without the names of its folders, which are temporary."""
    content = comparison.to_dict()
    for side in ("reference", "candidate"):
        del content[side]["name"]
    return content


def beyond_16_bits(seed: int) -> dict[str, dict[str, int]]:
    """Set -> file -> samples beyond 16 bits: those that wrap, or are clipped.

    Both writings agree wherever neither had to act, so the samples that differ are those beyond.
    """
    wrapped, clipped = (gen_audio.test_sets(seed=seed, overflow=overflow) for overflow in ("wrap", "clip"))
    return {
        name: {file: int(np.count_nonzero(samples != clipped[name][file])) for file, samples in files.items()}
        for name, files in wrapped.items()
    }


def clicks(historic: dict, clean: dict) -> dict:
    """What the clicks add to a distance: the historic comparison minus the clean one.

    ``value`` in units of the distance, ``share`` of the historic value, ``views`` by name, ``bands`` of the
    envelope view (name in Hz, value). A difference of two estimates: it has no test of its own.
    """
    bands = {band["name"]: band["value"] for band in clean["bands"]}  # the same in both writings
    return {
        "value": historic["value"] - clean["value"],
        "share": 1 - clean["value"] / historic["value"],
        "views": {name: value - clean["views"][name] for name, value in historic["views"].items()},
        "bands": [
            {"name": band["name"], "value": band["value"] - bands[band["name"]]} for band in historic["bands"]
        ],
    }


def split(folder: Path, cache: Path) -> dict:
    """Every division of the background's ten tones into two halves, 126 in all.

    The distance is symmetric, so each is counted once: the first tone is always in the first half. A pair of
    files is as often within a half as across, so the mean is 0 by construction: what is measured is the
    spread.

    Returns ``count``, ``half`` (files in one), ``mean``, ``sd``, ``smallest``, ``largest``, ``central_95``
    (the 2.5 and 97.5 % quantiles) and ``interleaved``, in units of the distance.
    """
    first, *others = sorted(folder.iterdir(), key=frequency)  # by pitch: 1000 is after 775
    values = {}
    for chosen in itertools.combinations(others, 4):
        half = (first, *chosen)
        rest = tuple(path for path in others if path not in chosen)
        values[half] = metrics.distance(half, rest, paired=False, cache=cache)
    every = np.array(list(values.values()))
    return {
        "count": len(every),
        "half": len(half),
        "mean": every.mean(),
        "sd": every.std(),
        "smallest": every.min(),
        "largest": every.max(),
        "central_95": np.quantile(every, [0.025, 0.975]),
        "interleaved": values[(first, *others[1::2])],
    }


def frequency(path: Path) -> float:
    """Hz of a tone, from the name of its file, ``sin_325.wav``."""
    return float(path.stem.removeprefix("sin_"))


def without_common_tones(folder: Path, cache: Path) -> dict:
    """Test -> value, interval and p-value when the tones that both sets hold are left out of the background.

    100 and 1000 Hz are in the background and in the tests. Without them it holds 8 files.
    """
    background = [path for path in (folder / "background").iterdir() if path.name not in COMMON]
    tests = {test: sorted((folder / test).iterdir()) for test in TESTS}
    comparisons = metrics.compare_each(background, tests, seed=SEED, cache=cache, paired=False)
    return brief({test: as_dict(comparison) for test, comparison in comparisons.items()})


def incumbents(folder: Path) -> dict:
    """Frechet distance and Gaussian-kernel MMD of the same numbers, one vector a file.

    The vector of a file is the mean of its windows, divided by the bundled constants: (files, 1032) a set.

    Returns, by "frechet" and "gaussian_mmd", by writing and test ``value`` and ``p_value`` (permutations
    over files, seeded), and ``split``: mean and standard deviation over all halves of the background, which
    is what a distance says where there is no difference.
    """
    table = {"frechet": {}, "gaussian_mmd": {}}
    for kind in OVERFLOWS:
        rows = {name: vectors(place(folder, kind, SEED) / name) for name in gen_audio.SETS}
        for name, distance in (("frechet", frechet), ("gaussian_mmd", gaussian_mmd)):
            table[name][kind] = {
                test: {
                    "value": distance(rows["background"], rows[test]),
                    "p_value": permutation_pvalue(
                        rows["background"], rows[test], distance, rng=np.random.default_rng(SEED)
                    ),
                }
                for test in TESTS
            }
    background = vectors(place(folder, "clean", SEED) / "background")
    # The file at place 0 is always inside, as in ``split``.
    halves = [np.isin(np.arange(10), [0, *chosen]) for chosen in itertools.combinations(range(1, 10), 4)]
    for name, distance in (("frechet", frechet), ("gaussian_mmd", gaussian_mmd)):
        values = [distance(background[half], background[~half]) for half in halves]
        table[name]["split"] = {"mean": np.mean(values), "sd": np.std(values)}
    return table


def vectors(folder: Path) -> np.ndarray:
    """One described file a row, (files, 1032) in units of the bundled constants; files by name."""
    rows = []
    for path in sorted(folder.iterdir()):
        signal, rate = soundfile.read(path, dtype="float32")
        rows.append(np.mean(metrics.describe_signal(signal, rate, bandwidth_rate=rate)[0], axis=0))
    return metrics.divided(np.array(rows))


# In words


def summary(measured: dict) -> str:
    """The two distances, historic and clean, in four lines."""
    lines = []
    for kind in OVERFLOWS:
        for test in TESTS:
            c = measured["sets"][kind][test]
            low, high = c["interval"]
            lines.append(
                f"{kind:8} {test}: {c['value']:6.3f} ({low:.3f} to {high:.3f}), "
                f"p = {c['p_value']:.3f}, {c['verdict']}"
            )
    return "\n".join(lines)
