"""The meta-evaluation: every candidate distance on every candidate embedding, through the same trials.

    $ python -m study run            # everything that is installed and present; resumes
    $ python -m study run --quick    # a few minutes: to see it run, writes nothing

Conventions
    draw         two disjoint random samples of N files of a source, the second with an effect. The
                 same draws are given to every candidate.
    effect       a damaged version, or damage to the set (labels dropped, weights changed, ...).
    null         draws without an effect. "Found" means: a value above the 95 % quantile of the null
                 draws of the same source, embedding, distance and N. No candidate's own test is used,
                 so distances without one are on the same footing; a user who has no second real set
                 cannot calibrate like this, see ``units`` for tests that need none.
    mid          mean value over the distortions at severity 3: the scale of a candidate.
    candidate    "EMBEDDING / DISTANCE".
    this         the distance of ``metrics`` on one vector a file: ``views_energy`` on three_views.

Trials, one function each; each is cached as JSON below ``metrics.cache_folder()`` under what it
depends on (rows, code, settings), and ``run`` puts them together as ``results/trials.json``.
Naive distances need what general ones do not (paired sets, sequences) and are tried on their own
embedding only. Where a distance is not defined (pairs of unequal sets) the result is null.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import soxr
from joblib import Parallel, delayed
from scipy.stats import kendalltau, spearmanr
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import metrics
from study import benchmark, datasets, distances, embeddings, results, sources
from study.datasets.distortions import moment_matched
from study.distances import DISTANCES, energy
from study.sources import GRADED, SHUFFLED, Rows, seeded

LEVEL = 0.05
GENERAL_EMBEDDINGS = ("three_views", "envelope", "fine_structure", "log_mel", "mfcc", "mean_spectrum")
GENERAL_DISTANCES = (
    "frechet",
    "frechet_infinite",
    "gaussian_mmd",
    "energy",
    "energy_1",
    "sliced_wasserstein",
    "sinkhorn",
    "classifier_two_sample",
    "lost_precision",
    "lost_recall",
    "lost_density",
    "lost_coverage",
    "mauve",
    "mean_difference",
)
NETWORKS = ("aisfx", "resemblyzer")  # weights inside a PyPI wheel, below 50 ms a second
NAIVE = (("waveform", "paired_l2"), ("mfcc_sequence", "dynamic_time_warping"))
THIS = ("three_views", "views_energy")
SLOW = ("dynamic_time_warping", "classifier_two_sample", "mauve")  # half of the draws in ``power``
PERMUTED = ("three_views", "log_mel", "aisfx")  # with permutation tests of Frechet and Gaussian MMD

GRADED_SMALL = tuple(f"{kind} {severity}" for kind in GRADED for severity in (1, 2))
GRADED_LARGE = tuple(f"{kind} {severity}" for kind in GRADED for severity in (3, 4, 5))
STRUCTURE = (*SHUFFLED, "reversed", "phase randomised")
DIVERSITY = (
    "1 label dropped",
    "2 labels dropped",
    "3 labels dropped",
    "5 labels dropped",
    "all labels but 1 dropped",
    "weights 3:1",
    "weights 9:1",
    "half duplicates",
    "one repeated",
    "moment matched",
)
GROUP_EFFECTS = ("1 group dropped", "2 groups dropped")  # of digits: six speakers
SMALL_DIVERSITY = (*DIVERSITY[:3], "weights 3:1", "half duplicates", *GROUP_EFFECTS)
HARMLESS = ("gain 1", "gain 3", "leading_silence 1", "leading_silence 3", "resampled up and back", "dither")
NUISANCES = (
    *HARMLESS,
    "resampling 1",
)  # the last takes a fifth of the band: not nothing
BIAS_SIZES = (10, 20, 50, 100, 300)
BAD_SHARES = (0.01, 0.05, 0.10)


@dataclass(frozen=True)
class Settings:
    """How much is run; the defaults are those of the report."""

    sources: tuple[str, ...] = sources.SOURCES
    embeddings: tuple[str, ...] = GENERAL_EMBEDDINGS
    size: int = 20  # N of the power trials
    null_draws: int = 100
    effect_draws: int = 10
    bias_draws: int = 20
    unit_trials: int = 200
    files: int | None = None  # of each source; None: all
    distances: tuple[str, ...] = field(default=GENERAL_DISTANCES)


def views_energy(reference: np.ndarray, candidate: np.ndarray, *, rng=None) -> float:
    """The value of ``metrics.distance`` for one vector a file: mean energy distance of the views.

    Rows of ``three_views``, (n, 1032). ``metrics`` takes the windows of a file apart; here a file
    is one vector, as for every candidate.
    """
    edges = np.cumsum([0, *metrics.VIEWS.values()])
    parts = [energy(reference[:, a:b], candidate[:, a:b]) for a, b in pairwise(edges)]
    return float(np.mean(parts))


def candidates(embedding: str, names: tuple[str, ...]) -> dict[str, Callable]:
    """The distances tried on an embedding."""
    naive = {e: d for e, d in NAIVE}
    if embedding in naive:
        return {naive[embedding]: DISTANCES[naive[embedding]]}
    found = {name: DISTANCES[name] for name in names}
    return {"views_energy": views_energy, **found} if embedding == THIS[0] else found


# --------------------------------------------------------------------------------------------- draws


def small_effects(source: str) -> tuple[str, ...]:
    """The effects whose mean share found is the power of a candidate."""
    diversity = [e for e in SMALL_DIVERSITY if source == "digits" or "group" not in e]
    return (*GRADED_SMALL, "shuffled 200 ms", "shuffled 100 ms", "reversed", *diversity)


def all_effects(source: str) -> tuple[str, ...]:
    groups = GROUP_EFFECTS if source == "digits" else ()
    return (*GRADED_SMALL, *GRADED_LARGE, *STRUCTURE, *DIVERSITY, *groups)


def draw(rows: Rows, effect: str, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint samples of ``size`` files, the second with the effect: (size, d) each."""
    clean = rows.versions["clean"]
    if effect in rows.versions and effect != "clean":
        damaged = rows.versions[effect]
        second = rng.permutation(len(damaged))[:size]
        first = rng.permutation(np.setdiff1d(np.arange(len(clean)), second))[:size]
        return clean[first], damaged[second]
    order = rng.permutation(len(clean))
    first, rest = order[:size], order[size:]
    if effect == "clean":
        return clean[first], clean[rest[:size]]
    if effect == "one repeated":
        return clean[first], np.repeat(clean[rest[:1]], size, axis=0)
    if effect == "half duplicates":
        half = rest[: (size + 1) // 2]
        return clean[first], clean[np.concatenate([half, half])[:size]]
    if effect == "moment matched":
        return clean[first], moment_matched(clean, size, rng)
    kinds = rows.groups if "group" in effect else rows.labels
    names = rng.permutation(np.unique(kinds))
    if effect.startswith("weights"):
        heavy = np.isin(kinds, names[: len(names) // 2])
        share = {"3:1": 0.75, "9:1": 0.9}[effect.split()[1]]
        count = round(share * size)
        inside, outside = rest[heavy[rest]], rest[~heavy[rest]]
        return clean[first], clean[np.concatenate([inside[:count], outside[: size - count]])]
    count = len(names) - 1 if effect.startswith("all") else int(effect.split()[0])
    rest = rest[~np.isin(kinds[rest], names[:count])]
    if len(rest) < size:  # few are left of one label: those of the first sample may come again
        rest = np.concatenate([rest, order[:size][~np.isin(kinds[order[:size]], names[:count])]])
    return clean[first], clean[rest[:size]]


def _value(distance: Callable, x: np.ndarray, y: np.ndarray, *key) -> float | None:
    try:
        return float(distance(x, y, rng=seeded(*key)))
    except ValueError:
        return None


# -------------------------------------------------------------------------------------------- trials


def power(rows: Rows, settings: Settings) -> dict:
    """Values of every effect at N: what is found, in what order, and how far.

    For each distance: ``found`` (effect -> draws above the 95 % quantile of the null draws, and
    draws), ``curve`` (effect -> mean value, in standard deviations of the null from its mean),
    ``order`` (distortion -> Spearman correlation of severity 0 to 5 and mean value; also "labels
    dropped" over their number), ``null_over_mid``, ``sd_over_mid``.
    """
    size, found = settings.size, {}
    for name, distance in candidates(rows.embedding, settings.distances).items():
        share = 2 if name in SLOW else 1
        null_draws = settings.null_draws // share
        effect_draws = max(2, settings.effect_draws // share)
        small = small_effects(rows.source)
        values = {}
        for effect in ("clean", *all_effects(rows.source)):
            count = null_draws if effect == "clean" else effect_draws
            if effect != "clean" and effect not in small:
                count = max(2, count // 3)  # plain: their order matters, not whether they are found
            values[effect] = np.array(
                [
                    _value(distance, *draw(rows, effect, size, seeded(rows.source, effect, size, t)), t)
                    for t in range(count)
                ],
                float,
            )
        null = values.pop("clean")
        limit, mean = np.quantile(null, 1 - LEVEL), float(null.mean())
        spread = float(null.std(ddof=1)) or 1e-12
        # Pairs are not defined where too few files of a label are left.
        values = {e: v[~np.isnan(v)] for e, v in values.items()}
        means = {e: float(v.mean()) if len(v) else None for e, v in values.items()}
        mid = np.mean([means[f"{kind} 3"] for kind in GRADED])
        steps = ["1 label dropped", "2 labels dropped", "3 labels dropped", "5 labels dropped"]
        curves = {kind: [mean, *(means[f"{kind} {s}"] for s in range(1, 6))] for kind in GRADED}
        curves["labels dropped"] = [mean, *(means[s] for s in steps), means["all labels but 1 dropped"]]
        found[name] = {
            "found": {e: [int((v > limit).sum()), len(v)] for e, v in values.items()},
            "curve": {e: None if m is None else (m - mean) / spread for e, m in means.items()},
            "order": {
                k: None if None in curve else _spearman(range(6), curve) for k, curve in curves.items()
            },
            "null_over_mid": _share(mean, mid),
            "sd_over_mid": _share(spread, abs(mid)),
            "mid": mid,
        }
    return found


def permutation(rows: Rows, settings: Settings) -> dict:
    """Permutation tests over files at N, which need no null draws: test -> effect -> [p <= 5 %, draws].

    Frechet and Gaussian MMD on the rows and, on three_views, the test of ``metrics.compare`` at the
    source's rate; 199 rearrangements, the same for all tests. No choice was made on these files.
    """
    own = rows.embedding == THIS[0]
    rate = sources.source(rows.source, settings.files).rate if own else None
    found: dict = {}
    for effect in ("clean", *small_effects(rows.source)):
        count = 2 * settings.null_draws if effect == "clean" else 3 * settings.effect_draws
        for t in range(count):
            x, y = draw(rows, effect, settings.size, seeded(rows.source, effect, settings.size, t))
            for name, p in _permutation_p_values(x, y, t, rate):
                row = found.setdefault(name, {}).setdefault(effect, [0, 0])
                row[0] += int(p <= LEVEL)
                row[1] += 1
    return found


def _permutation_p_values(x: np.ndarray, y: np.ndarray, seed: int, rate: int | None):
    """(test, p-value) of Frechet and MMD on rows and, for three_views (``rate`` given), of ``compare``."""
    pool = benchmark.make_pool(x, y)
    members, _ = metrics._arrangements(pool, benchmark.PERMUTATIONS, seed)
    found = benchmark.rearranged_p_values(pool.vectors, members)
    if rate is not None:
        divisors, _ = metrics.constants()
        raw = benchmark.make_pool(*(np.asarray(z * divisors, np.float32) for z in (x, y)))
        found["compare"] = benchmark.own_p_value(raw, seed, rate)
    return [(name.lower().replace(" ", "_"), p) for name, p in found.items()]


def soundness(embedding: str, settings: Settings) -> dict:
    """Pairs of sets that must differ and pairs that must not: pair -> must_differ, files, p-values.

    The pairs are those of ``benchmark.PAIRS`` (synthetic sounds and all spoken digits), the tests those
    of ``permutation``.
    """
    network, found = embeddings.load(embedding), {}
    for name, (must, size, make) in benchmark.PAIRS.items():
        row = found[name] = {"must_differ": must, "files": size}
        # An alarm rate needs more draws than a median.
        for t in range(settings.effect_draws * (1 if must else 2)):
            *signals, rate = make(size, seeded("soundness", name, t))
            x, y = (np.stack([embeddings.file_vector(network, s, rate) for s in part]) for part in signals)
            for test, p in _permutation_p_values(x, y, t, rate if embedding == THIS[0] else None):
                row.setdefault(test, []).append(round(p, 4))
    return found


def bias(rows: Rows, settings: Settings) -> dict:
    """Mean and spread between two samples of one source for N = 10 to 300, over mid at N = 50."""
    found = {}
    for name, distance in candidates(rows.embedding, settings.distances).items():
        if name == "dynamic_time_warping":
            continue
        mids = []
        for kind in GRADED:
            x, y = draw(rows, f"{kind} 3", 50, seeded("bias", kind))
            mids.append(_value(distance, x, y, kind))
        mid = float(np.mean(mids))
        found[name] = {}
        for size in BIAS_SIZES:
            if 2 * size > len(rows.labels):
                continue
            count = max(3, min(settings.bias_draws, settings.bias_draws * 40 // size))
            values = [
                _value(distance, *draw(rows, "clean", size, seeded("bias", size, t)), t) for t in range(count)
            ]
            found[name][str(size)] = {
                "mean": _share(np.mean(values), mid),
                "sd": _share(np.std(values, ddof=1), abs(mid)),
                "draws": count,
            }
    return found


def nuisance(rows: Rows, settings: Settings) -> dict:
    """Change of the value when the candidate's files are treated harmlessly; N = 50.

    Nuisance -> mean change over draws, the same files with and without, as a share of the change that
    the distortions at severity 3 make.
    """
    found = {}
    for name, distance in candidates(rows.embedding, settings.distances).items():
        if name == "dynamic_time_warping":
            continue
        clean, changes, mids = rows.versions["clean"], {v: [] for v in NUISANCES}, []
        for t in range(max(2, settings.effect_draws // 2)):
            second = seeded("nuisance", t).permutation(min(sources.DAMAGED, len(clean)))[:50]
            first = np.setdiff1d(np.arange(len(clean)), second)
            first = seeded("nuisance first", t).permutation(first)[:50]
            before = _value(distance, clean[first], clean[second], t)
            for version in NUISANCES:
                after = _value(distance, clean[first], rows.versions[version][second], t)
                changes[version].append(after - before)
            kind = GRADED[t % len(GRADED)]
            mids += [
                _value(distance, clean[first], rows.versions[f"{k} 3"][second], t) - before
                for k in (kind, GRADED[(t + 5) % len(GRADED)])
            ]
        found[name] = {v: _share(np.mean(c), np.mean(mids)) for v, c in changes.items()}
    return found


def robustness(rows: Rows, settings: Settings) -> dict:
    """Change of the value when a share of the candidate's files is bad (noise at 0 dB); N = 100.

    Share -> mean change over draws, as a share of the change that distortions at severity 3 make
    when every file has them.
    """
    found, size = {}, 100
    clean, bad = rows.versions["clean"], rows.versions["noise 5"]
    for name, distance in candidates(rows.embedding, settings.distances).items():
        if name == "dynamic_time_warping":
            continue
        changes, mids = {share: [] for share in BAD_SHARES}, []
        for t in range(4):
            rng = seeded("robustness", rows.source, t)
            first = rng.permutation(np.arange(len(bad), len(clean)))[:size]  # none has a damaged version
            second = rng.permutation(np.setdiff1d(np.arange(len(clean)), first))[:size]
            before = _value(distance, clean[first], clean[second], t)
            for share in BAD_SHARES:
                mixed = clean[second].copy()
                count = round(share * size)
                mixed[:count] = bad[rng.permutation(len(bad))[:count]]
                changes[share].append(_value(distance, clean[first], mixed, t) - before)
            for kind in GRADED[t::4]:
                mids.append(_value(distance, clean[first], rows.versions[f"{kind} 3"], t) - before)
        found[name] = {f"{share:g}": _share(np.mean(c), np.mean(mids)) for share, c in changes.items()}
    return found


def _share(change: float, whole: float) -> float:
    """``change / whole``; a whole that is nothing leaves nothing to compare with: at most 1000."""
    return float(np.clip(change / whole if whole else np.inf * np.sign(change or 1), -1000, 1000))


def tones(embedding: str, settings: Settings) -> dict:
    """The challenge's sets: values, and whether test1 > test2 > halves of the background."""
    network = embeddings.load(embedding)
    tables = {}
    for overflow in ("wrap", "clip"):
        for which in ("background", "test1", "test2"):
            found = datasets.tones(which, overflow=overflow)
            tables[overflow, which] = np.stack(
                [embeddings.file_vector(network, s, found.rate) for s in found.signals]
            )
    result = {}
    for name, distance in candidates(embedding, settings.distances).items():
        result[name] = {}
        for overflow in ("wrap", "clip"):
            background = tables[overflow, "background"]
            row = {w: _value(distance, background, tables[overflow, w], w) for w in ("test1", "test2")}
            halves = [
                _value(distance, background[list(h)], np.delete(background, list(h), axis=0), "half")
                for h in list(combinations(range(10), 5))[:126:6]
            ]
            row["halves"] = None if None in halves else float(np.mean(halves))
            known = None not in row.values()
            row["right"] = known and row["test1"] > row["test2"] > row["halves"]
            result[name][overflow] = row
    return result


# --------------------------------------------------------------------------------- units of the test


def units(embedding: str, settings: Settings) -> dict:
    """False alarms at 5 % with frames, files and groups as what is dealt: distance -> unit -> share.

    ``frames`` and ``files``: 20 + 20 clips of environmental sounds, all one-second windows of each
    (about five) a row; windows dealt as if they were draws, or whole files (block means of the
    kernel). ``files of groups`` and ``groups``: 8 + 8 groups (speaker and digit) of 4 spoken
    digits each; files dealt as if they were draws, or whole groups.
    """
    network = embeddings.load(embedding)
    counts, trials = {}, settings.unit_trials
    clips = datasets.sounds()
    windows = [_frames(network, s, clips.rate) for s in clips.signals]
    for t in range(trials):
        chosen = seeded("units", t).permutation(len(windows))[:40]
        parts = [windows[i] for i in chosen]
        owner = np.repeat(np.arange(40), [len(p) for p in parts])
        pooled = np.concatenate(parts)
        for unit, owners in (("frames", np.arange(len(owner))), ("files", owner)):
            inside = int((owner < 20).sum()) if unit == "frames" else 20
            _count(counts, unit, _unit_p_values(pooled, owners, inside, t))
    digits = datasets.digits()
    groups = np.array([f"{g} {x}" for g, x in zip(digits.groups, digits.labels, strict=True)])
    names, member = np.unique(groups, return_inverse=True)
    picks = []
    for t in range(trials):
        rng = seeded("groups", t)
        chosen = rng.permutation(len(names))[:16]
        picks.append([rng.permutation(np.flatnonzero(member == g))[:4] for g in chosen])
    needed = np.unique(np.concatenate([np.concatenate(p) for p in picks]))
    table = {i: embeddings.file_vector(network, digits.signals[i], digits.rate) for i in needed}
    for t, parts in enumerate(picks):
        pooled = np.stack([table[i] for part in parts for i in part])
        owner = np.repeat(np.arange(16), 4)
        _count(counts, "files of groups", _unit_p_values(pooled, np.arange(64), 32, t))
        _count(counts, "groups", _unit_p_values(pooled, owner, 8, t))
    return {name: {u: [hits, trials] for u, hits in row.items()} for name, row in counts.items()}


def _frames(network, signal: np.ndarray, rate: int) -> np.ndarray:
    """Rows of the one-second windows of a clip, (windows, d)."""
    pieces = [signal[i : i + rate] for i in range(0, max(1, len(signal) - rate // 2), rate)]
    sounding = [p for p in pieces if np.max(np.abs(p)) > 1e-4]
    return np.stack([embeddings.file_vector(network, p, rate) for p in sounding or [signal]])


def _count(counts: dict, unit: str, p_values: dict[str, float]) -> None:
    for name, p in p_values.items():
        row = counts.setdefault(name, {})
        row[unit] = row.get(unit, 0) + int(p <= LEVEL)


def _unit_p_values(pooled: np.ndarray, owners: np.ndarray, inside: int, seed: int) -> dict[str, float]:
    """Permutation p of kernels over units, the first ``inside`` of which are the reference."""
    found = {}
    kernels = {
        "energy": distances.energy_kernel(pooled),
        "gaussian_mmd": distances.gaussian_kernel(pooled, distances.median_distance(pooled)),
    }
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    sizes = np.diff([*starts, len(owners)])
    for name, kernel in kernels.items():
        block = np.add.reduceat(np.add.reduceat(kernel, starts, axis=0), starts, axis=1)
        found[name] = distances.kernel_permutation_pvalue(
            block / np.outer(sizes, sizes), inside, permutations=199, rng=np.random.default_rng(seed)
        )
    return found


# ----------------------------------------------------------------------------------------- listeners


def ratings(embedding: str, settings: Settings) -> dict:
    """Agreement with listeners: rated set -> distance -> values of the systems.

    One vector a file. Correlations are made of these values by ``agreement``.
    """
    network, result = embeddings.load(embedding), {}
    for which in datasets.rated_names():
        rated = datasets.rated(which)
        every = {"": rated.reference, **rated.systems}
        rate = min(audio.rate for audio in every.values())  # nobody gains by a wider band
        table = {
            system: np.stack([embeddings.file_vector(network, s, rate) for s in _at(audio, rate)])
            for system, audio in every.items()
        }
        result[which] = {
            name: {s: _value(distance, table[""], table[s], which, s) for s in rated.systems}
            for name, distance in candidates(embedding, settings.distances).items()
        }
    return result


def shipped(settings: Settings) -> dict:
    """``metrics.distance`` itself, windows and all, on the rated sets: set -> system -> value."""
    found = {}
    for which in datasets.rated_names():
        rated = datasets.rated(which)
        found[which] = {}
        for system, audio in rated.systems.items():
            rate = min(rated.reference.rate, audio.rate)
            pair = [_at(rated.reference, rate), _at(audio, rate)]
            found[which][system] = metrics.distance(*pair, rate=rate, cache=False)
    return found


def _at(audio: datasets.AudioSet, rate: int) -> list[np.ndarray]:
    """The signals at a rate: arrays given together have one."""
    return [s if audio.rate == rate else soxr.resample(s, audio.rate, rate) for s in audio.signals]


def agreement(values: dict[str, float | None], rated: dict[str, float]) -> dict | None:
    """Spearman, Kendall and the share of pairs ordered as the listeners did; None if undefined.

    Distances fall as ratings rise. Pairs that listeners tie are left out; tied distances count half.
    """
    names = [s for s in rated if s in values]
    if any(values[s] is None for s in names) or len(names) < 3:
        return None
    return dict(_agreement(tuple(-values[s] for s in names), tuple(rated[s] for s in names)))


@lru_cache(maxsize=2**14)  # the report asks for the same ones many times
def _agreement(mine: tuple[float, ...], rated: tuple[float, ...]) -> dict:
    x, y = np.array(mine), np.array(rated)
    first, second = np.triu_indices(len(x), 1)
    order = np.sign(y[first] - y[second])
    agree = np.sign(x[first] - x[second]) * order
    return {
        "spearman": _spearman(x, y),
        "kendall": float(kendalltau(x, y).statistic) if np.ptp(x) and np.ptp(y) else 0.0,
        "pairs": float(np.mean((agree[order != 0] + 1) / 2)),
        "systems": len(x),
    }


def laboratory_mean(
    table: dict[str, dict],
    laboratories: dict[str, str],
    key: str,
    *,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> dict:
    """Mean over rated sets with a bootstrap interval over laboratories (all sets of one together).

    ``table``: set -> what ``agreement`` gives, or a difference of two such. The mean is over sets.
    """
    names = [s for s in table if table[s] is not None]
    labs = sorted({laboratories[s] for s in names})
    groups = [[table[s][key] for s in names if laboratories[s] == lab] for lab in labs]
    return {
        "mean": float(np.mean([table[s][key] for s in names])),
        "interval": bootstrap_interval(groups, level=level, draws=draws, seed=seed),
        "sets": len(names),
        "laboratories": len(labs),
    }


def bootstrap_interval(
    groups: list[list[float]], *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> list[float]:
    """Percentile interval of the mean of all values, whole groups drawn with replacement."""
    sums, counts = np.array([sum(g) for g in groups]), np.array([len(g) for g in groups])
    chosen = np.random.default_rng(seed).integers(len(groups), size=(draws, len(groups)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    return np.quantile(means, [(1 - level) / 2, (1 + level) / 2]).tolist()


def _spearman(x, y) -> float:
    x, y = np.asarray(x, float), np.asarray(y, float)
    constant = np.ptp(x) == 0 or np.ptp(y) == 0
    return 0.0 if constant else float(spearmanr(x, y).statistic)


# ---------------------------------------------------------------------------------------------- time


def cost(embedding: str, settings: Settings) -> dict:
    """CPU milliseconds, medians of three: of the embedding a second of audio, of each distance at N = 50.

    Of one-second notes where instruments are among the sources, else of the first source: a file much
    shorter than a second costs more a second.
    """
    network = embeddings.load(embedding)
    name = "instruments" if "instruments" in settings.sources else settings.sources[0]
    known = sources.source(name, settings.files)
    signals = known.signals[:50]
    table = np.stack([embeddings.file_vector(network, s, known.rate) for s in signals])  # warm
    seconds = sum(len(s) for s in signals) / known.rate

    def embed() -> None:
        for signal in signals:
            embeddings.file_vector(network, signal, known.rate)

    found = {"embedding_ms_per_second": _cpu_ms(embed) / seconds, "dimension": int(table.shape[1])}
    second = table + 0.01 * seeded("cost").standard_normal(table.shape)
    for name, distance in candidates(embedding, settings.distances).items():
        found[name] = _cpu_ms(lambda distance=distance: _value(distance, table, second, 0))
    return found


def _cpu_ms(function: Callable[[], object]) -> float:
    took = []
    for _ in range(3):
        started = time.process_time()
        function()
        took.append(1e3 * (time.process_time() - started))
    return float(np.median(took))


# ----------------------------------------------------------------------------------------------- run


def _part(path: Path, function: Callable, *arguments) -> None:
    """Compute a part and keep it, whole or not at all."""
    with threadpool_limits(1):
        content = results.plain(function(*arguments))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, stage = tempfile.mkstemp(dir=path.parent, suffix=".part")
    with open(handle, "w", encoding="utf-8") as file:
        json.dump(content, file)
    os.replace(stage, path)


def run(settings: Settings, *, workers: int = -1, keep: bool = True) -> dict:
    """Run every trial on everything; parts done before (same code, data, settings) are read back.

    Raises ``datasets.MissingData`` naming what is missing: leave the source out, or bring it.
    """
    naive = tuple(e for e, _ in NAIVE)
    every = (*settings.embeddings, *naive)
    rows = sources.rows(settings.sources, every, files=settings.files, workers=workers)
    rated = datasets.rated_names()
    folder = metrics.cache_folder() / "study" / "parts"
    # A part made by other code is made again; this module's own too.
    code = sources.code_stamp(distances, sources, embeddings, benchmark, sys.modules[__name__])
    code += embeddings.contents(every)
    jobs, places = [], {}

    def plan(key: tuple, function: Callable, *arguments, data: str = "") -> None:
        amount = {k: v for k, v in asdict(settings).items() if k not in ("sources", "embeddings")}
        text = json.dumps([key, code, data, amount])
        name = " ".join(Path(part).name for part in key)
        place = folder / f"{name} {hashlib.sha256(text.encode()).hexdigest()[:20]}.json"
        places[key] = place
        if not (keep and place.exists()):
            jobs.append(delayed(_part)(place, function, *arguments))

    for embedding in every:
        plan(("tones", embedding), tones, embedding, settings)
        plan(("cost", embedding), cost, embedding, settings)
        if rated:
            plan(("ratings", embedding), ratings, embedding, settings, data=" ".join(rated))
        if embedding in PERMUTED and "digits" in settings.sources:
            plan(("soundness", embedding), soundness, embedding, settings)
        if embedding not in naive and {"digits", "sounds"} <= set(settings.sources):
            plan(("units", embedding), units, embedding, settings)
    if rated:
        plan(("shipped",), shipped, settings, data=" ".join(rated))
    for (name, embedding), table in rows.items():
        stamp = hashlib.sha256(table.versions["clean"].tobytes()).hexdigest()
        plan(("power", name, embedding), power, table, settings, data=stamp)
        if embedding not in naive:
            plan(("nuisance", name, embedding), nuisance, table, settings, data=stamp)
            plan(("robustness", name, embedding), robustness, table, settings, data=stamp)
            if name == settings.sources[0]:
                plan(("bias", name, embedding), bias, table, settings, data=stamp)
        if embedding in PERMUTED:
            plan(("permutation", name, embedding), permutation, table, settings, data=stamp)
    done = Parallel(n_jobs=workers, return_as="generator_unordered")(jobs)
    for _ in tqdm(done, total=len(jobs), desc="trials", unit="part"):
        pass
    # Named once, in this order: a name for every number would make the file ten times as long.
    found: dict = {
        "settings": asdict(settings),
        "effects": {name: all_effects(name) for name in settings.sources},
    }
    for key, place in places.items():
        level = found
        for part in key[:-1]:
            level = level.setdefault(part, {})
        content = json.loads(place.read_text(encoding="utf-8"))
        if key[0] == "power":
            content = {name: _packed(row, found["effects"][key[1]]) for name, row in content.items()}
        level[key[-1]] = content
    if rated:
        found["rated"] = {
            which: {
                "ratings": (r := datasets.rated(which)).ratings,
                "laboratory": r.laboratory,
                "figures": r.figures,
                "metric": r.metric,
                "files": [len(r.reference), *(len(s) for s in r.systems.values())],
            }
            for which in rated
        }
    return found


def _packed(row: dict, effects: tuple[str, ...]) -> dict:
    """``found`` and ``curve`` of a row of ``power`` as lists in the order of the effects."""
    curve = [row["curve"][e] for e in effects]
    return {
        **row,
        "found": [row["found"][e][0] for e in effects],
        "draws": [row["found"][e][1] for e in effects],
        "curve": [None if value is None else round(value, 2) for value in curve],
    }


def summary(found: dict) -> str:
    """Power and agreement with listeners, a line each candidate, best power first."""
    lines = []
    for embedding in (*found["settings"]["embeddings"], *(e for e, _ in NAIVE)):
        powers = {s: tables[embedding] for s, tables in found["power"].items()}
        for name in next(iter(powers.values())):
            shares = [
                hits / draws
                for s, table in powers.items()
                for e, hits, draws in zip(
                    found["effects"][s], table[name]["found"], table[name]["draws"], strict=True
                )
                if e in small_effects(s)
            ]
            line = f"{np.mean(shares):.3f} found  {embedding} / {name}"
            if "ratings" in found:
                each = [
                    agreement(found["ratings"][embedding][w][name], r["ratings"])
                    for w, r in found["rated"].items()
                ]
                known = [a["spearman"] for a in each if a]
                line += f"  listeners {np.mean(known):.2f}" if known else ""
            lines.append(line)
    return "\n".join(sorted(lines, reverse=True))
