"""How often does the interval hold the true value, and how often is the wrong candidate called closer?

Sets are drawn from pools whose distance is known: that of the whole pools, 250 to 1,500 files each. Spoken
digits and seconds of environmental sounds (ESC-10), a share of them damaged or of another kind, and bursts of
white noise of overlapping durations; 1,000 draws a cell, seed 0. The interval of one value was chosen on
music and noises, that of a difference on digits, ESC-10 and noises with other damage than here.

Conventions
    condition    pools of a reference and of a candidate. "groups": five takes of one speaker and digit are
                 the draw. "pairs": a candidate's file is the damaged version of the reference's.
    units        draws a set.
    covered      draws whose 95 % interval holds the distance of the pools; ``jackknife`` the same for the
                 plain jackknife with Student's t, ``width`` the ratio of both mean widths.
    equal        of two candidates: at one distance. The second's share of damage was found by halving, and
                 whatever is said to be closer is a false claim.
    closer       draws in which the first is closer with p of 5 % or less, and those in which the second is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.signal
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm import tqdm

import metrics
from audio_distance.features import split_views, squared_distances
from audio_distance.intervals import Moments, difference_of, interval, jackknife_interval, moments
from study import datasets
from study.sources import damaged, seeded

DATA = ("digits", "sounds")
TAKES = "three minutes"

TRIALS = 1000
SIZES = ((5, 5), (10, 10), (20, 20), (50, 50), (50, 8), (10, 200))
DIFFERENCE_SIZES = (10, 20, 50, 100)
GROUP = 5  # takes of one speaker and digit
VERSIONS = {
    "digits": ("high_pass 4", "dropouts 3", "quantisation 3"),
    "sounds": ("high_pass 5", "dropouts 4"),
}
DAMAGED = 1000  # files of a source that have damaged versions
BURSTS = 2100


@dataclass(frozen=True)
class Files:
    """All files of a source and their kernel.

    Attributes
    ----------
    kernel : (files, files) float32
    version, label, group : (files,)
        "clean" or the damage; class; speaker.
    origin : (files,)
        The clean file of each; of a clean one itself.
    part : (files,)
        Whose pool a file and its versions are in: the reference's (0), or either candidate's (1, 2).
    """

    kernel: np.ndarray
    version: np.ndarray
    label: np.ndarray
    group: np.ndarray
    origin: np.ndarray
    part: np.ndarray

    def of(self, part: int, version: str = "clean") -> np.ndarray:
        return np.flatnonzero((self.part == part) & (self.version == version))

    def mixed(self, part: int, version: str, share: float) -> np.ndarray:
        """A pool in which this share is damaged; no file is in it twice."""
        versions = self.of(part, version)
        clean = self.of(part)
        # Where all may be damaged, only what has a damaged version is in the pool.
        size = len(versions) if share > 0.5 else min(len(clean), 2 * len(versions))
        bad = versions[: round(share * size)]
        good = clean[~np.isin(self.origin[clean], self.origin[bad])]
        return np.concatenate([good[: size - len(bad)], bad])


@dataclass(frozen=True)
class Condition:
    """Pools of a comparison, as indices into the files of a source (into its groups of files, or pairs)."""

    source: str
    name: str
    reference: np.ndarray
    candidate: np.ndarray
    unit: str = "files"


@dataclass(frozen=True)
class Contest:
    """Pools of two candidates for one reference."""

    source: str
    name: str
    reference: np.ndarray
    first: np.ndarray
    second: np.ndarray


def run(*, workers: int = -1, quick: bool = False) -> dict:
    """Every condition at every size; MissingData without the recordings.

    Returns ``trials``, ``intervals`` (rows of ``source``, ``condition``, ``unit``, ``units``, the true
    ``value``, ``covered``, ``below`` and ``above`` (how often the truth was), ``jackknife``, ``width``) and
    ``differences`` (rows of ``source``, ``condition``, ``units``, the true ``gap``, ``closer``,
    ``jackknife`` (of the jackknife with t, as ``closer``), ``covered``). All counts are of ``trials``.
    """
    trials = 50 if quick else TRIALS
    intervals, differences = [], []
    for source in ("noise",) if quick else ("digits", "sounds", "noise"):
        files = described(source, workers)
        jobs = [
            delayed(cell)(kernel, condition, n, m, trials)
            for condition, kernel in conditions(source, files)
            for n, m in SIZES
            if 3 * n <= len(condition.reference) and 3 * m <= len(condition.candidate)
            if condition.unit != "pairs" or n == m
        ]
        intervals += _done(jobs, workers, f"{source}: intervals")
        jobs = [
            delayed(contest_cell)(files.kernel, contest, n, trials)
            for contest in contests(source, files)
            for n in DIFFERENCE_SIZES
            if 3 * n <= min(map(len, (contest.reference, contest.first, contest.second)))
        ]
        differences += _done(jobs, workers, f"{source}: differences")
    return {"trials": trials, "intervals": intervals, "differences": differences}


def summary(content: Mapping) -> str:
    """A line a condition, in percent: covered (by the jackknife, ratio of widths); claims (jackknife's)."""
    trials, lines = content["trials"], []
    for (source, name), rows in _by_condition(content["intervals"]):
        cells = [
            f"{'/'.join(map(str, r['units']))} {100 * r['covered'] / trials:.1f} "
            f"({100 * r['jackknife'] / trials:.1f}, {r['width']:.2f})"
            for r in rows
        ]
        lines.append(f"{source}, {name}, {rows[0]['value']:.4f}: covered {'  '.join(cells)}")
    for (source, name), rows in _by_condition(content["differences"]):
        cells = [
            f"{r['units']} {100 * sum(r['closer']) / trials:.1f} ({100 * sum(r['jackknife']) / trials:.1f})"
            for r in rows
        ]
        lines.append(f"{source}, {name}, gap {rows[0]['gap']:+.4f}: claims {'  '.join(cells)}")
    return "\n".join(lines)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _by_condition(rows: list[dict]) -> list[tuple[tuple[str, str], list[dict]]]:
    grouped = itertools.groupby(rows, key=lambda row: (row["source"], row["condition"]))
    return [(key, list(own)) for key, own in grouped]


def _done(jobs: list, workers: int, label: str) -> list[dict]:
    rows = Parallel(n_jobs=workers, return_as="generator")(jobs)
    return list(tqdm(rows, total=len(jobs), desc=label, unit="cell", leave=False))


# --------------------------------------------------------------------------------------------- one cell


def cell(kernel: np.ndarray, condition: Condition, n: int, m: int, trials: int) -> dict:
    """Draws of ``n`` and ``m`` units: how often the interval holds the value of the pools."""
    pairs = condition.unit == "pairs"
    truth = value_of(kernel, condition.reference, condition.candidate, paired=pairs)
    rng = seeded("coverage", condition.source, condition.name, n, m)
    members = np.repeat([1, 2], [n, m])
    partner = np.concatenate([np.arange(n, 2 * n), np.arange(n)]) if pairs else None
    counts = dict.fromkeys(("covered", "below", "above", "jackknife"), 0)
    widths = np.zeros(2)
    with threadpool_limits(1):
        for _ in range(trials):
            left = rng.permutation(len(condition.reference))[:n]
            right = left if pairs else rng.permutation(len(condition.candidate))[:m]
            chosen = np.concatenate([condition.reference[left], condition.candidate[right]])
            table = kernel[np.ix_(chosen, chosen)]
            if partner is not None:
                table[np.arange(2 * n), partner] = 0
            found = moments(table, members, partner=partner)
            low, high = interval(found)
            strata = [found.without[found.kinds == kind] for kind in np.unique(found.kinds)]
            plain = jackknife_interval(found.value, strata)
            counts["covered"] += low <= truth <= high
            counts["below"] += truth < low
            counts["above"] += truth > high
            counts["jackknife"] += plain[0] <= truth <= plain[1]
            widths += high - low, plain[1] - plain[0]
    return {
        "source": condition.source,
        "condition": condition.name,
        "unit": condition.unit,
        "units": [n, m],
        "value": truth,
        **{name: int(count) for name, count in counts.items()},
        "width": float(widths[0] / widths[1]),
    }


def contest_cell(kernel: np.ndarray, contest: Contest, n: int, trials: int) -> dict:
    """Draws of ``n`` units a set: how often either candidate is said to be closer."""
    pools = contest.reference, contest.first, contest.second
    truth = value_of(kernel, *pools[:2]) - value_of(kernel, pools[0], pools[2])
    rng = seeded("coverage", contest.source, contest.name, n)
    members = np.repeat([1, 2], n)
    keys = [*range(2 * n)], [*range(n), *range(2 * n, 3 * n)]  # nothing but the reference is in both
    closer, plain, covered = np.zeros(2, int), np.zeros(2, int), 0
    with threadpool_limits(1):
        for _ in range(trials):
            reference, *candidates = (pool[rng.permutation(len(pool))[:n]] for pool in pools)
            found = [
                moments(kernel[np.ix_(chosen, chosen)], members)
                for chosen in (np.concatenate([reference, candidate]) for candidate in candidates)
            ]
            value, (low, high), p_value = difference_of(*found, keys=keys)
            covered += low <= truth <= high
            closer[int(value > 0)] += p_value <= 0.05
            low, high = _jackknife_difference(*found)
            plain += high < 0, low > 0
    return {
        "source": contest.source,
        "condition": contest.name,
        "units": n,
        "gap": truth,
        "closer": closer.tolist(),
        "jackknife": plain.tolist(),
        "covered": int(covered),
    }


def _jackknife_difference(first: Moments, second: Moments) -> tuple[float, float]:
    """Jackknife with Student's t, the units of the reference left out of both."""
    shared, own = first.kinds == 0, first.kinds == 1
    strata = [first.without[shared] - second.without[shared], first.without[own], second.without[own]]
    return jackknife_interval(first.value - second.value, strata)


def value_of(
    kernel: np.ndarray, reference: np.ndarray, candidate: np.ndarray, *, paired: bool = False
) -> float:
    """Of whole pools: the energy distance as a U-statistic; of pairs the cross term without the pair."""
    n, m = len(reference), len(candidate)
    across = kernel[np.ix_(reference, candidate)].sum(dtype=float)
    if paired:
        across -= kernel[reference, candidate].sum(dtype=float)
    within = [kernel[np.ix_(pool, pool)].sum(dtype=float) for pool in (reference, candidate)]
    return 2 * across / (n * m - paired * n) - within[0] / (n * (n - 1)) - within[1] / (m * (m - 1))


# --------------------------------------------------------------------------------------------- the pools


def conditions(source: str, files: Files) -> list[tuple[Condition, np.ndarray]]:
    """What is compared, each with the kernel that its pools are indices into."""
    reference, candidate = files.of(0), files.of(1)
    pools = {"same source": (reference, candidate)}
    if source == "noise":
        duration = files.label.astype(float)  # its place in the range, 0 to 1
        for edge in (0.05, 0.3, 0.6):
            pools[f"durations overlap by {_percent(max(0, 1 - 2 * edge))}"] = (
                reference[duration[reference] < 1 - edge],
                candidate[duration[candidate] > edge],
            )
        return [(Condition(source, name, *both), files.kernel) for name, both in pools.items()]
    strong, other, *_ = VERSIONS[source]
    mild = VERSIONS[source][-1]
    for version, share in (
        (strong, 0.05),
        (strong, 0.1),
        (strong, 0.2),
        (other, 0.3),
        (mild, 1),
        (strong, 1),
    ):
        pools[f"{version} in {_percent(share)}"] = reference, files.mixed(1, version, share)
    what, kind = ("speaker", files.group) if source == "digits" else ("class", files.label)
    kinds = np.unique(kind)
    common, new = candidate[kind[candidate] != kinds[0]], candidate[kind[candidate] == kinds[0]]
    pools[f"another {what} in 10 %"] = (
        reference[kind[reference] != kinds[0]],
        np.concatenate([common, new[: len(common) // 9]]),
    )
    half = np.isin(kind, kinds[: len(kinds) // 2])
    pools[f"another {what} in all"] = reference[half[reference]], candidate[~half[candidate]]
    made = [(Condition(source, name, *both), files.kernel) for name, both in pools.items()]
    if source == "digits":
        made += grouped(files, strong)
        for version in VERSIONS[source]:
            pool = files.of(1, version)
            condition = Condition(source, f"{version} in all, pairs", files.origin[pool], pool, "pairs")
            made.append((condition, files.kernel))
    return made


def grouped(files: Files, version: str) -> list[tuple[Condition, np.ndarray]]:
    """Groups of takes of one speaker and digit: clean, and with a fifth of the groups damaged."""
    made = []
    for share in (0.0, 0.2):
        sides = [_takes(files, 0, files.of(0)), _takes(files, 1, files.of(1))]
        have = [
            i for i, group in enumerate(sides[1]) if np.isin(group, files.origin[files.of(1, version)]).all()
        ]
        version_of = dict(zip(files.origin[files.of(1, version)], files.of(1, version), strict=True))
        for i in have[: round(share * len(sides[1]))]:
            sides[1][i] = np.array([version_of[file] for file in sides[1][i]])
        groups = np.stack([*sides[0], *sides[1]])
        kernel = np.mean(
            [files.kernel[np.ix_(groups[:, i], groups[:, j])] for i in range(GROUP) for j in range(GROUP)],
            axis=0,
        )
        np.fill_diagonal(kernel, 0)
        n = len(sides[0])
        name = f"{version} in {_percent(share)}, groups" if share else "same source, groups"
        condition = Condition("digits", name, np.arange(n), np.arange(n, len(groups)), "groups")
        made.append((condition, kernel))
    return made


def _takes(files: Files, part: int, clean: np.ndarray) -> list[np.ndarray]:
    """Files of one speaker and digit, ``GROUP`` at a time, those that have damaged versions first."""
    have = np.isin(clean, files.origin[files.version != "clean"])
    found = []
    for speaker, digit in itertools.product(np.unique(files.group), np.unique(files.label)):
        own = (files.group[clean] == speaker) & (files.label[clean] == digit)
        ordered = np.concatenate([clean[own & have], clean[own & ~have]])
        found += [ordered[i : i + GROUP] for i in range(0, len(ordered) - GROUP + 1, GROUP)]
    return [found[i] for i in seeded("coverage groups", part).permutation(len(found))]


def contests(source: str, files: Files) -> list[Contest]:
    """Two candidates: at one distance, and at two."""
    reference, first, second = (files.of(part) for part in range(3))
    pools = {"equal: three of one source": (reference, first, second)}
    if source == "noise":
        duration = files.label.astype(float)

        def between(pool: np.ndarray, low: float, high: float) -> np.ndarray:
            return pool[(duration[pool] > low) & (duration[pool] < high)]

        own, longer = between(reference, 0.15, 0.85), between(first, 0.3, 1)
        shorter = _equal(files.kernel, own, longer, lambda share: between(second, 0, 1 - 0.6 * share))
        pools["equal: longer and shorter"] = own, longer, shorter
        pools["longer by 30 % and 10 %"] = reference, longer, between(second, 0.1, 1)
        return [Contest(source, name, *three) for name, three in pools.items()]
    strong, other, *_ = VERSIONS[source]
    mild = VERSIONS[source][-1]
    for share in (0.1, 0.3):
        one = files.mixed(1, strong, share)
        even = _equal(files.kernel, reference, one, lambda s: files.mixed(2, other, s))
        found = float((files.version[even] == other).mean())
        pools[f"equal: {strong} in {_percent(share)}, {other} in {_percent(found)}"] = reference, one, even
    for share, version, rest in (
        (0.2, strong, 0.2),
        (0.2, strong, 0),
        (0.5, strong, 0),
        (0.5, strong, 0.2),
        (1, mild, 0),
    ):
        name = f"{version} in {_percent(share)} and {_percent(rest)}"
        two = files.mixed(2, version, rest)
        pools[("equal: " if share == rest else "") + name] = reference, files.mixed(1, version, share), two
    return [Contest(source, name, *three) for name, three in pools.items()]


def _equal(
    kernel: np.ndarray, reference: np.ndarray, pool: np.ndarray, other: Callable[[float], np.ndarray]
) -> np.ndarray:
    """``other(share)`` at the distance of ``pool``; the value grows with the share."""
    wanted, low, high = value_of(kernel, reference, pool), 0.0, 1.0
    for _ in range(12):
        share = (low + high) / 2
        low, high = (share, high) if value_of(kernel, reference, other(share)) < wanted else (low, share)
    return min((other(low), other(high)), key=lambda p: abs(value_of(kernel, reference, p) - wanted))


# --------------------------------------------------------------------------------------------- the files


def described(source: str, workers: int) -> Files:
    """Signals of a source, damage to a part of them, and the kernel of all."""
    signals, rate, label, group = _noise() if source == "noise" else _recordings(source)
    part = np.where(np.arange(len(signals)) % 2 == 0, 0, 1 + np.arange(len(signals)) // 2 % 2)
    if source == "noise":
        part = np.arange(len(signals)) % 3
    chosen = np.flatnonzero(part > 0)[:DAMAGED]
    jobs = [("clean", i) for i in range(len(signals))]
    jobs += [(version, i) for version in VERSIONS.get(source, ()) for i in chosen]
    done = Parallel(n_jobs=workers, return_as="generator", batch_size=50)(
        delayed(_vector)(signals[i], rate, source, version, i) for version, i in jobs
    )
    rows = list(tqdm(done, total=len(jobs), desc=f"{source}: describing", unit="file", leave=False))
    kept = [k for k, row in enumerate(rows) if row is not None]
    version, origin = (np.array(column) for column in zip(*(jobs[k] for k in kept), strict=True))
    number = {i: place for place, (v, i) in enumerate(jobs[k] for k in kept) if v == "clean"}
    return Files(
        kernel=kernel_of(np.stack([rows[k] for k in kept])),
        version=version,
        label=label[origin],
        group=group[origin],
        origin=np.array([number[i] for i in origin]),
        part=part[origin],
    )


def kernel_of(vectors: np.ndarray) -> np.ndarray:
    """Mean over the views of |x - y|^(1/2): (files, files) float32."""
    scale, _ = metrics.constants()
    views = split_views(vectors[:, : len(scale)] / scale)
    kernel = np.zeros((len(vectors),) * 2, np.float32)
    for view in views.values():
        for start in range(0, len(view), 500):
            kernel[start : start + 500] += squared_distances(view[start : start + 500], view) ** 0.25 / len(
                views
            )
    np.fill_diagonal(kernel, 0)
    return kernel


def _vector(signal: np.ndarray, rate: int, source: str, version: str, number: int) -> np.ndarray | None:
    """The description of the first window of one version, so that a file is a vector; None of silence."""
    with threadpool_limits(1):
        signal = damaged(version, signal, rate, seeded("coverage", source, version, number))
        try:
            return metrics.describe_signal(signal, rate)[0][0]
        except metrics.AudioError:
            return None


def _recordings(source: str) -> tuple[list[np.ndarray], int, np.ndarray, np.ndarray]:
    """Signals in a seeded order with their rate, labels and groups; of sounds every second is a file."""
    audio = datasets.digits() if source == "digits" else datasets.sounds()
    length = audio.rate if source == "sounds" else max(map(len, audio.signals))
    pieces = [
        (signal[start : start + length], label, group)
        for signal, label, group in zip(audio.signals, audio.labels, audio.groups, strict=True)
        for start in range(0, max(1, len(signal) - length // 2), length)
    ]
    # Quieter than 80 dB under full scale is the gap between two sounds.
    pieces = [piece for piece in pieces if source == "digits" or np.sqrt(np.mean(piece[0] ** 2)) > 1e-4]
    pieces = [pieces[i] for i in seeded("coverage", source).permutation(len(pieces))]
    signals, labels, groups = zip(*pieces, strict=True)
    return list(signals), audio.rate, np.array(labels), np.array(groups)


def _noise() -> tuple[list[np.ndarray], int, np.ndarray, np.ndarray]:
    """Bursts of white noise that decay by 60 dB in .1 to 3 s; their label is the place in that range."""
    rate, signals = metrics.RATE, []
    place = seeded("coverage", "noise").uniform(size=BURSTS)
    for number, where in enumerate(place):
        rng = seeded("coverage", "noise", number)
        decay = 10 ** (-3 * np.arange(rate) / (rate * 0.1 * 30**where))
        burst = decay * rng.standard_normal(rate) + 1e-3 * rng.standard_normal(rate)
        signals.append(scipy.signal.sosfilt(_low_pass(rng), burst).astype(np.float32))
    return signals, rate, place.astype(str), np.zeros(BURSTS)


def _low_pass(rng: np.random.Generator) -> np.ndarray:
    return scipy.signal.butter(2, 2000 * 4 ** rng.uniform(), fs=metrics.RATE, output="sos")
