"""The trials: what a distance finds, orders, overlooks and costs on an embedding, one function each.

Conventions
    draw         two disjoint random samples of N files of a source, the second with an effect
                 (``study.draws``). The same draws are given to every candidate.
    null         draws without an effect. "Found" means: a value above the 95 % quantile of the null
                 draws of the same source, embedding, distance and N. No candidate's own test is used,
                 so distances without one are on the same footing; a user who has no second real set
                 cannot calibrate like this, see ``units`` for tests that need none.
    mid          mean value over the distortions at severity 3: the scale of a candidate.
    candidate    "EMBEDDING / DISTANCE".
    this         the distance of ``metrics`` on one vector a file: ``views_energy`` on three_views.
    seeds        are made of the names of what is drawn (``study.sources.seeded``), so no number depends on
                 the others, on workers or on which candidates run.

Naive distances need what general ones do not (paired sets, sequences) and are tried on their own embedding
only. Where a distance is not defined (pairs of unequal sets) the result is null.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

import metrics
from study import datasets, distances, embeddings, level, sources
from study import soundness as sound_pairs
from study.agreement import spearman
from study.distances import DISTANCES, energy
from study.draws import SMALL_DIVERSITY, all_effects, draw, draw_groups, small_effects
from study.sources import GRADED, Rows, seeded

ALPHA = 0.05  # significance level
# Effects on the set, and what an oracle is told of each file; of a damage it would be told everything.
ORACLE = {
    effect: "file" if "duplicate" in effect else "group" if "group" in effect else "label"
    for effect in SMALL_DIVERSITY
}
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
PERMUTED = level.EMBEDDINGS  # with permutation tests, those of ``compare`` on what is "described"

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
    sides = zip(metrics.split_views(reference).values(), metrics.split_views(candidate).values(), strict=True)
    return float(np.mean([energy(x, y) for x, y in sides]))


def candidates(embedding: str, names: tuple[str, ...]) -> dict[str, Callable]:
    """The distances tried on an embedding: name -> function of two sets of rows.

    ``names`` are the general ones; a naive embedding has its own distance alone, and the three views also
    ``views_energy``.
    """
    naive = {e: d for e, d in NAIVE}
    if embedding in naive:
        return {naive[embedding]: DISTANCES[naive[embedding]]}
    general = {name: DISTANCES[name] for name in names}
    return {"views_energy": views_energy, **general} if embedding == THIS[0] else general


# --------------------------------------------------------------------------------------------- draws


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
    size, table = settings.size, {}
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
        limit, mean = np.quantile(null, 1 - ALPHA), float(null.mean())
        spread = float(null.std(ddof=1)) or 1e-12
        # Pairs are not defined where too few files of a label are left.
        values = {e: v[~np.isnan(v)] for e, v in values.items()}
        means = {e: float(v.mean()) if len(v) else None for e, v in values.items()}
        mid = np.mean([means[f"{kind} 3"] for kind in GRADED])
        steps = ["1 label dropped", "2 labels dropped", "3 labels dropped", "5 labels dropped"]
        curves = {kind: [mean, *(means[f"{kind} {s}"] for s in range(1, 6))] for kind in GRADED}
        curves["labels dropped"] = [mean, *(means[s] for s in steps), means["all labels but 1 dropped"]]
        table[name] = {
            "found": {e: [int((v > limit).sum()), len(v)] for e, v in values.items()},
            "curve": {e: None if m is None else (m - mean) / spread for e, m in means.items()},
            "order": {k: None if None in curve else spearman(range(6), curve) for k, curve in curves.items()},
            "null_over_mid": _share(mean, mid),
            "sd_over_mid": _share(spread, abs(mid)),
            "mid": mid,
        }
    return table


def permutation(rows: Rows, settings: Settings) -> dict:
    """Permutation tests over files at N, which need no null draws: test -> effect -> [p <= 5 %, draws].

    Every test of ``study.level`` on the rows; for what is "described" on its three views, and the test of
    ``metrics.compare`` at the source's rate, and an "oracle" that reads labels, where the effect is one of
    labels. 199 rearrangements, the same for all tests. No choice was made on these files.
    """
    own = rows.embedding == "described"
    rate = sources.source(rows.source, settings.files).rate if own else None
    labelled = level.only_labels(rows) if own else {}
    table: dict = {}
    for effect in ("clean", *small_effects(rows.source)):
        count = 2 * settings.null_draws if effect == "clean" else 3 * settings.effect_draws
        for t in range(count):
            key = (rows.source, effect, settings.size, t)
            x, y = draw(rows, effect, settings.size, seeded(*key))
            p_values = _permutation_p_values(x, y, rows.embedding, seed=t, rate=rate)
            if effect in ORACLE and labelled:
                told = labelled[ORACLE[effect]]
                labels = draw(told, effect, settings.size, seeded(*key))
                p_values["oracle"] = level.oracle_p_value(*(side[:, 0] for side in labels), seed=t)
            for name, p in p_values.items():
                row = table.setdefault(name, {}).setdefault(effect, [0, 0])
                row[0] += int(p <= ALPHA)
                row[1] += 1
    return table


def _permutation_p_values(
    x: np.ndarray, y: np.ndarray, embedding: str, *, seed: int, rate: int | None
) -> dict[str, float]:
    """Test -> p-value of ``level.of_rows``, whose embedding is known here."""
    p_values = level.of_rows(x, y, embedding, rate=rate, seed=seed)
    return {name.rpartition(" / ")[2]: p for name, p in p_values.items()}


def soundness(embedding: str, settings: Settings) -> dict:
    """Pairs of sets that must differ and pairs that must not: pair -> must_differ, files, p-values.

    The pairs are those of ``study.soundness.PAIRS`` (synthetic sounds and all spoken digits), the tests those
    of ``permutation``.
    """
    network, table = embeddings.load(embedding), {}
    for name, (must, size, make) in sound_pairs.PAIRS.items():
        row = table[name] = {"must_differ": must, "files": size}
        # An alarm rate needs more draws than a median.
        for t in range(settings.effect_draws * (1 if must else 2)):
            *signals, rate = make(size, seeded("soundness", name, t))
            x, y = (np.stack([embeddings.file_vector(network, s, rate) for s in part]) for part in signals)
            for test, p in _permutation_p_values(x, y, embedding, seed=t, rate=rate).items():
                row.setdefault(test, []).append(round(p, 4))
    return table


def bias(rows: Rows, settings: Settings) -> dict:
    """Mean and spread between two samples of one source for N = 10 to 300, over mid at N = 50.

    Distance -> N -> ``mean``, ``sd``, ``draws``. One scale for all N, so that a bias which falls with N
    shows; large sets cost more and vary less, so they get fewer draws.
    """
    table = {}
    for name, distance in candidates(rows.embedding, settings.distances).items():
        if name == "dynamic_time_warping":
            continue
        mids = []
        for kind in GRADED:
            x, y = draw(rows, f"{kind} 3", 50, seeded("bias", kind))
            mids.append(_value(distance, x, y, kind))
        mid = float(np.mean(mids))
        table[name] = {}
        for size in BIAS_SIZES:
            if 2 * size > len(rows.labels):
                continue
            count = max(3, min(settings.bias_draws, settings.bias_draws * 40 // size))
            values = [
                _value(distance, *draw(rows, "clean", size, seeded("bias", size, t)), t) for t in range(count)
            ]
            table[name][str(size)] = {
                "mean": _share(np.mean(values), mid),
                "sd": _share(np.std(values, ddof=1), abs(mid)),
                "draws": count,
            }
    return table


def nuisance(rows: Rows, settings: Settings) -> dict:
    """Change of the value when the candidate's files are treated harmlessly; N = 50.

    Nuisance -> mean change over draws, the same files with and without, as a share of the change that
    the distortions at severity 3 make.
    """
    table = {}
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
        table[name] = {v: _share(np.mean(c), np.mean(mids)) for v, c in changes.items()}
    return table


def robustness(rows: Rows, settings: Settings) -> dict:
    """Change of the value when a share of the candidate's files is bad (noise at 0 dB); N = 100.

    Share -> mean change over draws, as a share of the change that distortions at severity 3 make
    when every file has them.
    """
    table, size = {}, 100
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
        table[name] = {f"{share:g}": _share(np.mean(c), np.mean(mids)) for share, c in changes.items()}
    return table


def _share(change: float, whole: float) -> float:
    """``change / whole``; a whole that is nothing leaves nothing to compare with: at most 1000."""
    return float(np.clip(change / whole if whole else np.inf * np.sign(change or 1), -1000, 1000))


def tones(embedding: str, settings: Settings) -> dict:
    """The challenge's sets: values, and whether test1 > test2 > halves of the background.

    Distance -> writing ("wrap", "clip") -> ``test1``, ``test2``, ``halves`` (mean over 21 of the 126
    divisions of the background), ``right``. One vector a file; null where a distance is not defined for 10
    files against 5.
    """
    network = embeddings.load(embedding)
    tables = {}
    for overflow in ("wrap", "clip"):
        for which in ("background", "test1", "test2"):
            audio = datasets.tones(which, overflow=overflow)
            tables[overflow, which] = np.stack(
                [embeddings.file_vector(network, s, audio.rate) for s in audio.signals]
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
        dealt = [windows[i] for i in chosen]
        owner = np.repeat(np.arange(40), [len(rows) for rows in dealt])
        pooled = np.concatenate(dealt)
        for unit, owners in (("frames", np.arange(len(owner))), ("files", owner)):
            inside = int((owner < 20).sum()) if unit == "frames" else 20
            _count(counts, unit, _unit_p_values(pooled, owners, inside, t))
    digits = datasets.digits()
    groups = np.array([f"{g} {x}" for g, x in zip(digits.groups, digits.labels, strict=True)])
    picks = [draw_groups(groups, seeded("groups", t), count=16, files=4) for t in range(trials)]
    needed = np.unique(np.concatenate([np.concatenate(p) for p in picks]))
    table = {i: embeddings.file_vector(network, digits.signals[i], digits.rate) for i in needed}
    for t, pick in enumerate(picks):
        pooled = np.stack([table[i] for files in pick for i in files])
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
        row[unit] = row.get(unit, 0) + int(p <= ALPHA)


def _unit_p_values(pooled: np.ndarray, owners: np.ndarray, inside: int, seed: int) -> dict[str, float]:
    """Permutation p of kernels over units, the first ``inside`` of which are the reference."""
    p_values = {}
    kernels = {
        "energy": distances.energy_kernel(pooled),
        "gaussian_mmd": distances.gaussian_kernel(pooled, distances.median_distance(pooled)),
    }
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    sizes = np.diff([*starts, len(owners)])
    for name, kernel in kernels.items():
        block = np.add.reduceat(np.add.reduceat(kernel, starts, axis=0), starts, axis=1)
        p_values[name] = distances.kernel_permutation_pvalue(
            block / np.outer(sizes, sizes), inside, permutations=199, rng=np.random.default_rng(seed)
        )
    return p_values


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
            system: np.stack([embeddings.file_vector(network, s, rate) for s in sources.at_rate(audio, rate)])
            for system, audio in every.items()
        }
        result[which] = {
            name: {s: _value(distance, table[""], table[s], which, s) for s in rated.systems}
            for name, distance in candidates(embedding, settings.distances).items()
        }
    return result


def shipped(settings: Settings) -> dict:
    """``metrics.distance`` itself, windows and all, on the rated sets: set -> system -> value."""
    values = {}
    for which in datasets.rated_names():
        rated = datasets.rated(which)
        values[which] = {}
        for system, audio in rated.systems.items():
            rate = min(rated.reference.rate, audio.rate)
            pair = [sources.at_rate(rated.reference, rate), sources.at_rate(audio, rate)]
            values[which][system] = metrics.distance(*pair, rate=rate, cache=False)
    return values


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

    costs = {"embedding_ms_per_second": _cpu_ms(embed) / seconds, "dimension": int(table.shape[1])}
    second = table + 0.01 * seeded("cost").standard_normal(table.shape)
    for name, distance in candidates(embedding, settings.distances).items():
        costs[name] = _cpu_ms(lambda distance=distance: _value(distance, table, second, 0))
    return costs


def _cpu_ms(function: Callable[[], object]) -> float:
    took = []
    for _ in range(3):
        started = time.process_time()
        function()
        took.append(1e3 * (time.process_time() - started))
    return float(np.median(took))
