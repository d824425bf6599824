"""Can another idea be ahead with listeners? Families of measures, nested by laboratory.

11 rated sets from laboratories that published listening tests, 822 files; nothing is drawn but the bootstrap
(2,000 draws, seed 0).

Conventions
    rated set    systems with the mean rating listeners gave each, and recordings (``study.datasets``).
    measure      anything that gives every system of a rated set a number, low for good.
    family       measures of one idea, the letters (a) to (e) of ``FAMILIES``. One of them has to be
                 chosen, and what the best of many reaches on the sets it was chosen on flatters.
    nested       for each laboratory: the measure with the best mean Spearman correlation on the
                 rated sets of all *other* laboratories is taken, and judged on this one's.
    lead         nested minus ``metrics.distance`` as shipped ("windows 1 s, three views"), paired by
                 set; 95 % bootstrap over laboratories. Seven families are seven tries, so nothing
                 is adopted unless an interval at 1 - 5 % / 7 ("corrected", Bonferroni) excludes 0.
    part         energy distance on some columns of the three views; a value is a weighted sum of parts.

The ratings never enter a measure, except the learned weights, which see those of the training
laboratories only; their strength of regularisation is chosen by a second, inner round of leaving out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import combinations, product

import numpy as np
import scipy.optimize
from scipy.spatial.distance import cdist

import metrics
from audio_distance import transforms, views
from audio_distance.features import LACKING
from study import datasets, distances, embeddings, sources, trials
from study.agreement import agreement, laboratory_mean
from study.distances import DISTANCES
from study.parts import Part, computed

DATA = ("rated",)
TAKES = "some minutes"

Values = Mapping[str, Mapping[str, float]]  # set -> system -> value
SHIPPED = "windows 1 s, three views"

MASKS = (60, 50, 40, 30)  # dB that the masking noise lies under the sounding part
SILENCE = 30  # dB under the loudest 10 ms: what is quieter is cut by "silences cut"
REGIONS = {"low": (0.0, 800.0), "mid": (800.0, 3200.0), "high": (3200.0, np.inf)}  # Hz
STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # of the pull of learned weights towards equal ones
OTHERS = ("log_mel", "mfcc", *trials.NETWORKS)
BASES = (  # of the aggregates: named beforehand, one or two of every embedding
    SHIPPED,
    "files 1 s, fine structure",
    "three_views / frechet",
    "log_mel / frechet",
    "log_mel / gaussian_mmd",
    "mfcc / frechet",
    "mfcc / energy",
    "aisfx / frechet",
    "aisfx / gaussian_mmd",
    "resemblyzer / frechet",
)
OF_FILES = (  # what is made of the contributions of single files, see ``_of_files``
    "median file",
    "upper quartile of files",
    "trimmed mean of files",
    "nearest recording",
    "matched names",
)
FAMILIES = {
    "incumbents": "Frechet and Gaussian MMD on every embedding, one vector a file",
    "a": "windows of 0.5, 1 or 2 s, and whether windows or file means are compared",
    "b grid": "weights of the three views in steps of a quarter",
    "b learned": "weights of three views in three frequency regions, learned by pairs of systems",
    "c": "mean of two or three measures on several embeddings, each over its mean in the set",
    "d": "contributions of single files: median, upper quartile, trimmed mean, nearest, matched names",
    "e": "what is not heard hidden: masking noise, silences cut, both in both sets",
    "all": "any of the above but the incumbents and the learned weights",
}


# -------------------------------------------------------------------------------------- preparations


def _cut(seconds: float) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Windows of another length, placed as ``metrics.windows`` places those of 1 s."""

    def windows(signal: np.ndarray) -> list[np.ndarray]:
        size = round(seconds * metrics.RATE)
        if len(signal) <= size:
            return [signal]
        count = int(len(signal) / size + LACKING)
        starts = np.linspace(0, len(signal) - size, count).round().astype(int)
        return [signal[start : start + size] for start in starts]

    return windows


def masked(signal: np.ndarray, decibels: float) -> np.ndarray:
    """The prepared signal with pink noise ``decibels`` under its level (RMS 0.1); float32, (samples,).

    The noise is always the same, so that equal sounds stay equal. It stands for what masks faint sounds: the
    room, and the ear's own threshold.
    """
    # A power of two, so that few noises are made; a longer signal has another noise.
    size = 2 ** int(np.ceil(np.log2(len(signal))))
    noise = _pink(size)[: len(signal)]
    return signal + np.float32(metrics.PREPARED_RMS * 10 ** (-decibels / 20)) * noise


@lru_cache(maxsize=4)
def _pink(size: int) -> np.ndarray:
    """Noise of equal power an octave above 30 Hz, RMS 1, (size,) float32."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(size))
    hz = np.maximum(np.fft.rfftfreq(size, 1 / metrics.RATE), metrics.LOWEST_HZ)
    noise = np.fft.irfft(spectrum / np.sqrt(hz), size)
    return (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)


def without_silences(signal: np.ndarray) -> np.ndarray:
    """The prepared signal without its 10 ms frames more than ``SILENCE`` dB under the loudest.

    What follows a cut is put beside what was before it. Zeros are added to at least 2,048 samples, as in the
    recipe.
    """
    size = metrics.RATE // 100
    frames = signal[: len(signal) // size * size].reshape(-1, size)
    power = (frames**2).mean(axis=1)
    kept = frames[power > power.max() * 10 ** (-SILENCE / 10)].ravel()
    return np.pad(kept, (0, max(0, 2048 - len(kept))))


PREPARATIONS: dict[str, Callable[[np.ndarray], list[np.ndarray]]] = {
    "1 s": metrics.windows,
    "0.5 s": _cut(0.5),
    "2 s": _cut(2.0),
    **{f"masked at -{d} dB": lambda s, d=d: metrics.windows(masked(s, d)) for d in MASKS},
    "silences cut": lambda s: metrics.windows(without_silences(s)),
}


def columns() -> dict[str, np.ndarray]:
    """Columns of the 1032 numbers by part: each view, and each view in each of ``REGIONS``.

    Part -> indices; "envelope", "envelope low" and so on. A band belongs to the region its centre lies in.
    """
    parts = {}
    for view, place in views.VIEW_COLUMNS.items():
        parts[view] = np.arange(place.start, place.stop)
        bands = metrics.FINE_BANDS if view == "fine structure" else metrics.ENVELOPE_BANDS
        # The band is the last axis.
        centres = np.resize(transforms.mel_edges(bands)[1:-1], metrics.VIEWS[view])
        for region, (low, high) in REGIONS.items():
            parts[f"{view} {region}"] = place.start + np.flatnonzero((centres >= low) & (centres < high))
    return parts


# ------------------------------------------------------------------------------------------ measuring


def block_kernel(x: Sequence[np.ndarray], y: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of |a - b|^(1/2) over the window pairs of every two files: (files of x, files of y).

    ``x``, ``y``: a file each, (windows, columns). Euclidean norm over the columns given, so a part of a view
    is measured as if it were all there is.
    """
    # All windows at once, then sums over the blocks of two files.
    starts = [np.cumsum([0, *map(len, side)])[:-1] for side in (x, y)]
    table = np.sqrt(cdist(np.concatenate(x), np.concatenate(y)))
    table = np.add.reduceat(np.add.reduceat(table, starts[0], axis=0), starts[1], axis=1)
    return table / np.outer([len(a) for a in x], [len(b) for b in y])


def contributions(x: Sequence[np.ndarray], y: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """What each candidate file adds to the energy distance, (m,), and the kernel across, (n, m).

    ``x`` holds the n files of the reference, ``y`` the m of the candidate, both (windows, columns) each. The
    mean of the contributions is the unbiased energy distance, as in ``audio_distance.energy``::

        2 mean_i K(x_i, y_j) - mean_{i != i'} K(x_i, x_i') - mean_{j' != j} K(y_j, y_j')
    """
    across, within, other = block_kernel(x, y), block_kernel(x, x), block_kernel(y, y)
    n, m = across.shape
    inside = (within.sum() - np.trace(within)) / (n * (n - 1))
    own = (other.sum(axis=1) - np.diag(other)) / (m - 1)
    return 2 * across.mean(axis=0) - inside - own, across


def measure(which: str, networks: Sequence[str]) -> dict[str, dict[str, float]]:
    """Every measure and every part on one rated set: name -> system -> value, low for good.

    ``which`` names the set, ``networks`` the embeddings of ``OTHERS`` that are here. Names are "UNIT
    PREPARATION, PART" ("windows 1 s, envelope low"), "WAY, VIEW" for the ways of ``OF_FILES``, and
    "EMBEDDING / DISTANCE". Regions and ways are made for windows of 1 s only: families (b) and (d) ask for
    no others. All systems are brought to the lowest rate in the set, so that none gains by a wider band.
    """
    rated = datasets.rated(which)
    every = {"": rated.reference, **rated.systems}
    rate = min(audio.rate for audio in every.values())
    # Prepared once at one rate; what differs between families is done to the prepared signal.
    prepared = {
        system: [metrics.prepare(s, rate)[0] for s in sources.at_rate(audio, rate)]
        for system, audio in every.items()
    }
    part_columns = columns()
    values: dict[str, dict[str, float]] = {}

    def put(name: str, system: str, value: float) -> None:
        values.setdefault(name, {})[system] = float(value)

    for preparation, windows in PREPARATIONS.items():
        rows = {
            system: [metrics.divided(np.stack([metrics.embed(w) for w in windows(s)])) for s in signals]
            for system, signals in prepared.items()
        }
        # A file as one window: its mean.
        means = {system: [r.mean(axis=0, keepdims=True) for r in table] for system, table in rows.items()}
        for unit, table in (("windows", rows), ("files", means)):
            for part, wanted in part_columns.items():
                if part not in metrics.VIEWS and (unit, preparation) != ("windows", "1 s"):
                    continue
                x = [r[:, wanted] for r in table[""]]
                for system in rated.systems:
                    each, across = contributions(x, [r[:, wanted] for r in table[system]])
                    put(f"{unit} {preparation}, {part}", system, each.mean())
                    if part in metrics.VIEWS and (unit, preparation) == ("windows", "1 s"):
                        for name, value in _of_files(each, across, rated, system).items():
                            put(f"{name}, {part}", system, value)
    for e in ("three_views", "envelope", "fine_structure", *(o for o in OTHERS if o in networks)):
        network = embeddings.load(e)
        table = {
            system: np.stack([embeddings.file_vector(network, s, rate) for s in sources.at_rate(audio, rate)])
            for system, audio in every.items()
        }
        for name, system in product(("frechet", "gaussian_mmd", "energy"), rated.systems):
            value = DISTANCES[name](table[""], table[system], rng=sources.seeded("listening", which, system))
            put(f"{e} / {name}", system, value)
    return values


def _of_files(
    each: np.ndarray, across: np.ndarray, rated: datasets.RatedSet, system: str
) -> dict[str, float]:
    """Other ways than the mean from contributions of files to a value."""
    ordered = np.sort(each)
    cut = len(each) // 10 or int(len(each) > 2)  # a tenth at each end, at least one of three files
    place = {name: i for i, name in enumerate(rated.reference.names)}
    pairs = [(place[n], j) for j, n in enumerate(rated.systems[system].names) if n in place]
    values = (
        np.median(each),
        np.quantile(each, 0.75),
        ordered[cut : len(ordered) - cut].mean(),
        across.min(axis=0).mean(),
        # Where no names match (unpaired generation) there is nothing to match: the nearest stands in.
        np.mean([across[p] for p in pairs]) if pairs else across.min(axis=0).mean(),
    )
    return dict(zip(OF_FILES, values, strict=True))


# ------------------------------------------------------------------------------------------- families


def families(parts: Mapping[str, Values]) -> dict[str, dict[str, Values]]:
    """The measures among which each family chooses: family -> measure -> set -> system -> value.

    ``parts`` is what ``measure`` gives for each set, turned: name -> set -> system -> value. Families are
    the keys of ``FAMILIES`` but "b learned", whose measures are fitted. Their order is fixed: of equal
    measures the first is chosen.
    """
    known, views = _measures(parts), tuple(metrics.VIEWS)
    steps = [w for w in product(np.arange(5) / 4, repeat=3) if sum(w) == 1]
    every: dict[str, dict[str, Values]] = {
        "incumbents": {n: v for n, v in known.items() if n.endswith(("/ frechet", "/ gaussian_mmd"))},
        "a": {
            f"{u} {p}, three views": known[f"{u} {p}, three views"]
            for u, p in product(("windows", "files"), ("0.5 s", "1 s", "2 s"))
        },
        "b grid": {
            f"{unit} 1 s, " + " + ".join(f"{a:g} {v}" for a, v in zip(w, views, strict=True)): _mean(
                parts, [f"{unit} 1 s, {v}" for v in views], w
            )
            for unit, w in product(("windows", "files"), steps)
        },
        "c": {
            " + ".join(names): _over_mean([known[n] for n in names])
            for count in (2, 3)
            for names in combinations([b for b in BASES if b in known], count)
        },
        "d": {
            **{f"{n}, three views": _three(parts, n) for n in OF_FILES},
            **{f"{n}, {view}": parts[f"{n}, {view}"] for n in OF_FILES for view in views},
        },
        "e": {
            f"{u} {p}, {v}": known[f"{u} {p}, {v}"]
            for u, p, v in product(
                ("windows", "files"), PREPARATIONS, ("three views", "fine structure", "envelope")
            )
            if p.startswith(("masked", "silences"))
        },
    }
    every["all"] = {n: v for name in ("a", "b grid", "c", "d", "e") for n, v in every[name].items()}
    for name in ("a", "b grid", "c", "d", "e", "all"):
        every[name][SHIPPED] = known[SHIPPED]  # doing nothing is always among the choices
    return every


def _measures(parts: Mapping[str, Values]) -> dict[str, Values]:
    """Measure -> values: incumbents, and for every unit and preparation the views, alone and together."""
    known = {name: values for name, values in parts.items() if " / " in name}
    for unit, preparation in product(("windows", "files"), PREPARATIONS):
        known[f"{unit} {preparation}, three views"] = _three(parts, f"{unit} {preparation}")
        for view in metrics.VIEWS:
            known[f"{unit} {preparation}, {view}"] = parts[f"{unit} {preparation}, {view}"]
    return known


def _three(parts: Mapping[str, Values], prefix: str) -> Values:
    return _mean(parts, [f"{prefix}, {view}" for view in metrics.VIEWS])


def _mean(
    parts: Mapping[str, Values], names: Sequence[str], weights: Sequence[float] | None = None
) -> Values:
    """Weighted mean of parts, system by system."""
    first = parts[names[0]]
    return {
        w: {s: float(np.average([parts[n][w][s] for n in names], weights=weights)) for s in first[w]}
        for w in first
    }


def _over_mean(measures: Sequence[Values]) -> Values:
    """Mean of measures, each over its mean in the set: they have no common unit."""
    scaled = [
        {w: {s: v / np.mean(np.abs(list(t.values()))) for s, v in t.items()} for w, t in of.items()}
        for of in measures
    ]
    return {w: {s: float(np.mean([t[w][s] for t in scaled])) for s in scaled[0][w]} for w in scaled[0]}


# ---------------------------------------------------------------------------------------------- nested


def agreements(values: Values, ratings: Values) -> dict[str, dict]:
    """Set -> ``study.agreement.agreement`` of one measure: Spearman, Kendall, share of pairs."""
    return {name: agreement(values[name], ratings[name]) for name in values}


def nested(
    measures: Mapping[str, Mapping[str, Mapping]], laboratories: Mapping[str, str]
) -> tuple[dict[str, Mapping], dict[str, str]]:
    """Agreement on each set with the choice made on other laboratories, and what was chosen for each.

    ``measures``: measure -> set -> agreement; ``laboratories``: set -> laboratory. For each laboratory the
    measure with the best mean Spearman on all other sets is judged on its sets. Ties go to the measure named
    first.
    """
    judged, chosen = {}, {}
    for laboratory in sorted(set(laboratories.values())):
        training = [s for s, lab in laboratories.items() if lab != laboratory]
        means = {m: np.mean([t[s]["spearman"] for s in training]) for m, t in measures.items()}
        best = chosen[laboratory] = max(means, key=means.get)
        judged |= {s: measures[best][s] for s, lab in laboratories.items() if lab == laboratory}
    return {s: judged[s] for s in laboratories}, chosen


def learn(sets_of_parts: Iterable[tuple[np.ndarray, np.ndarray]], strength: float) -> np.ndarray:
    """Weights of parts, (parts,) >= 0 with mean 1, under which better systems have lower values.

    Parameters
    ----------
    sets_of_parts : iterable of pairs of arrays
        A rated set each: (systems, parts), each value over the set's mean, and ratings, (systems,), high for
        good. Sets weigh alike, however many systems they have.
    strength : float
        Of the pull towards equal weights: it multiplies the mean squared distance of the weights from 1.

    The loss is the mean over sets of log(1 + exp(-margin)) over pairs of systems that listeners told apart
    (RankNet, Burges et al. 2005), a margin being the difference of the two weighted values. Convex, so
    L-BFGS-B reaches its minimum from equal weights; where all weights are 0, they are taken as equal.
    """
    gaps = []  # a set each: (pairs, parts), worse minus better
    for parts, ratings in sets_of_parts:
        first, second = np.triu_indices(len(ratings), 1)
        sign = np.sign(ratings[first] - ratings[second])
        kept = sign != 0
        gaps.append((sign[:, None] * (parts[second] - parts[first]))[kept])
    count = gaps[0].shape[1]

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        total = strength * np.mean((weights - 1) ** 2)
        slope = strength * 2 * (weights - 1) / count  # the gradient, term by term as the loss
        for gap in gaps:
            margin = gap @ weights / count
            total += np.mean(np.logaddexp(0, -margin)) / len(gaps)
            slope -= (gap / (1 + np.exp(margin))[:, None]).mean(axis=0) / count / len(gaps)
        return total, slope

    fitted = scipy.optimize.minimize(
        loss, np.ones(count), jac=True, method="L-BFGS-B", bounds=[(0, None)] * count
    )
    weights = fitted.x
    # The order of systems does not depend on the scale; mean 1 makes weights comparable.
    return weights / weights.mean() if weights.any() else np.ones(count)


def nested_learning(parts: Mapping[str, Values], ratings: Values, laboratories: Mapping[str, str]):
    """As ``nested`` for learned weights: agreement a set, and laboratory -> strength and weights.

    ``parts``: name -> set -> system -> value, of which those of a region count; ``ratings``: set -> system
    -> rating. Two rounds of leaving out: within the training laboratories each is left out once more, to
    choose among ``STRENGTHS``; the weights are then learned on all of them and judged on the laboratory left
    out at first.
    """
    names = [name for name in parts if name.split()[-1] in REGIONS]
    tables = {}
    for which, row in ratings.items():
        table = np.array([[parts[n][which][s] for n in names] for s in row])
        # Over the mean: one strength must suit sets whose values differ by tens.
        tables[which] = (table / np.mean(np.abs(table)), np.array(list(row.values())))

    def judged(weights: np.ndarray, which: str) -> dict:
        values = dict(zip(ratings[which], tables[which][0] @ weights, strict=True))
        return agreement(values, ratings[which])

    def of(laboratories_left: set[str]) -> list[str]:
        return [s for s, lab in laboratories.items() if lab in laboratories_left]

    judged_sets, chosen, everyone = {}, {}, set(laboratories.values())
    for laboratory in sorted(everyone):
        training = everyone - {laboratory}
        inner = {}
        for strength in STRENGTHS:
            scores = []
            for held in sorted(training):
                weights = learn([tables[s] for s in of(training - {held})], strength)
                scores += [judged(weights, s)["spearman"] for s in of({held})]
            inner[strength] = np.mean(scores)
        best = max(inner, key=inner.get)  # of equal ones the weakest pull
        weights = learn([tables[s] for s in of(training)], best)
        chosen[laboratory] = {
            "strength": best,
            "weights": dict(zip(names, np.round(weights, 3).tolist(), strict=True)),
        }
        judged_sets |= {s: judged(weights, s) for s in of({laboratory})}
    return {s: judged_sets[s] for s in laboratories}, chosen


# ------------------------------------------------------------------------------------------------- run


def analyse(parts: Mapping[str, Values], ratings: Values, laboratories: Mapping[str, str]) -> dict:
    """Every family: how many measures, what the best reaches in hindsight, nested, and the lead.

    Parameters
    ----------
    parts : mapping
        As ``families`` takes them: name -> set -> system -> value.
    ratings : mapping
        Set -> system -> mean rating, high for good.
    laboratories : mapping
        Set -> who made the listening test; what is left out is a laboratory, with all its sets.

    Returns
    -------
    dict
        shipped    the distance as it is: ``sets`` (set -> Spearman), ``spearman`` and ``pairs`` (mean,
                   interval over laboratories), and its lead over itself, 0
        families   name -> the same of the nested choice; ``lead_spearman`` and ``lead_pairs`` with
                   ``corrected`` intervals; ``measures`` (their number), ``best`` and ``hindsight``
                   (which, and its mean Spearman, on the sets it was chosen on); ``chosen``: laboratory ->
                   measure
        members    measure -> mean Spearman, for looking up; without family (c), which has hundreds
    """
    tables = {
        name: {m: agreements(v, ratings) for m, v in members.items()}
        for name, members in families(parts).items()
    }
    shipped = tables["a"][SHIPPED]
    by_family = {}
    for name, measures in tables.items():
        means = {m: float(np.mean([r["spearman"] for r in t.values()])) for m, t in measures.items()}
        best = max(means, key=means.get)
        judged, chosen = nested(measures, laboratories)
        by_family[name] = {
            "measures": len(measures),
            "best": best,
            "hindsight": means[best],
            "chosen": chosen,
            **_summary(judged, shipped, laboratories),
        }
    judged, chosen = nested_learning(parts, ratings, laboratories)
    by_family["b learned"] = {"chosen": chosen, **_summary(judged, shipped, laboratories)}
    return {
        "shipped": _summary(shipped, shipped, laboratories),
        "families": {name: by_family[name] for name in FAMILIES},
        "members": {
            m: round(float(np.mean([r["spearman"] for r in t.values()])), 4)
            for name, table in tables.items()
            if name != "c"
            for m, t in table.items()
        },
    }


def _summary(
    agreed: Mapping[str, Mapping], shipped: Mapping[str, Mapping], laboratories: Mapping[str, str]
) -> dict:
    """Agreement a set, its mean over sets, and its lead over the distance as shipped, paired by set."""
    corrected = 1 - trials.ALPHA / (len(FAMILIES) - 1)  # Bonferroni; the incumbents are no try of ours
    leads = {s: {k: agreed[s][k] - shipped[s][k] for k in ("spearman", "pairs")} for s in laboratories}
    return {
        "sets": {s: agreed[s]["spearman"] for s in laboratories},
        **{k: laboratory_mean(agreed, laboratories, k) for k in ("spearman", "pairs")},
        **{
            f"lead_{k}": {
                **laboratory_mean(leads, laboratories, k),
                "corrected": laboratory_mean(leads, laboratories, k, level=corrected)["interval"],
            }
            for k in ("spearman", "pairs")
        },
    }


def run(*, workers: int = -1, fresh: bool = False) -> dict:
    """Measure all rated sets (parts that are there are read back) and analyse.

    ``fresh`` measures again what is there. Networks that are not installed are left out, and the result names
    those that were here.

    Returns
    -------
    dict
        ``laboratories`` (set -> laboratory), ``networks``, and what ``analyse`` returns.

    Raises
    ------
    datasets.MissingData
        Where there are no rated sets.
    ValueError
        For fewer than three laboratories: nothing could be left out twice.
    """
    names = datasets.rated_names()
    if not names:
        datasets.rated("any")  # raises, and says what to do
    laboratories = {which: datasets.rated(which).laboratory for which in names}
    if len(set(laboratories.values())) < 3:
        raise ValueError(f"{len(set(laboratories.values()))} laboratories; leaving out two needs 3 or more")
    networks = [e for e in OTHERS if e in embeddings.installed()]
    # Made with other code it is made again.
    code = sources.code_stamp(distances, embeddings, datasets, sources, sys.modules[__name__])
    measured = computed(
        {(which,): Part(measure, (which, networks), [networks, code]) for which in names},
        "listening",
        workers=workers,
        keep=not fresh,
        unit="set",
    )
    by_part = {m: {w: measured[w,][m] for w in names} for m in measured[names[0],]}
    analysed = analyse(by_part, {w: datasets.rated(w).ratings for w in names}, laboratories)
    return {"laboratories": laboratories, "networks": networks, **analysed}
