"""Can another idea be ahead with listeners? Families of measures, nested by laboratory.

19 rated sets from laboratories that published listening tests; nothing is drawn but the bootstrap (2,000
draws, seed 0).

Conventions
    rated set    systems with the mean rating listeners gave each, and recordings (``study.datasets``).
    measure      anything that gives every system of a rated set a number, low for good.
    mean         of correlations: over laboratories, each the mean of its sets (``study.agreement``), here and
                 wherever a measure is chosen.
    family       measures of one idea, the letters (a) to (f) of ``FAMILIES``. One of them has to be
                 chosen, and what the best of many reaches on the sets it was chosen on flatters.
    nested       for each laboratory: the measure with the best mean Spearman correlation over all *other*
                 laboratories is taken, and judged on this one's sets.
    lead         nested minus ``metrics.distance`` as shipped ("windows 1 s, three views"), or minus
                 ``RIVAL``, paired by set; 95 % bootstrap over laboratories. Eight families are eight tries,
                 so nothing is adopted unless an interval at 1 - 5 % / 8 ("corrected", Bonferroni) excludes 0.
    part         energy distance on some columns of the three views; a value is a weighted sum of parts.
    outside      quoted: measured outside this repository, also on sets that are not here.

The ratings never enter a measure, except the learned weights, which see those of the training
laboratories only; their strength of regularisation is chosen by a second, inner round of leaving out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, product

import numpy as np
import scipy.optimize

import metrics
from study import (
    arranged,
    datasets,
    distances,
    embeddings,
    sources,
    trials,
    unbiased,
    vector_measures,
    view_measures,
)
from study.agreement import agreement, by_figures, by_laboratory, laboratory_mean
from study.parts import Part, computed
from study.view_measures import OF_FILES, PREPARATIONS, REGIONS

DATA = ("rated", "rated_more")
TAKES = "ten minutes"

Values = Mapping[str, Mapping[str, float]]  # set -> system -> value
SHIPPED = "windows 1 s, three views"

RIVAL = "aisfx / frechet"  # the incumbent that agreed best with listeners when this was planned

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
FAMILIES = {
    "incumbents": "Frechet and Gaussian MMD on every embedding, one vector a file",
    "a": "windows of 0.5, 1 or 2 s, and whether windows or file means are compared",
    "b grid": "weights of the three views in steps of a quarter",
    "b learned": "weights of three views in three frequency regions, learned by pairs of systems",
    "c": "mean of two or three measures on several embeddings, each over its mean in the set",
    "d": "contributions of single files: median, upper quartile, trimmed mean, nearest, matched names",
    "e": "what is not heard hidden: masking noise, silences cut, both in both sets",
    "f": "unbiased statistics of a network's vectors (aisfx) that see mean and covariance, or more",
    "all": "any of the above but the incumbents and the learned weights",
}
OUTSIDE = {  # quoted, Spearman; "seen": the sets of this experiment, "unseen": ten that no choice had seen
    "source": "a search for better agreement, outside this repository",
    "seen": {"sets": 19, "laboratories": 10},
    "unseen": {"sets": 10},
    "rows": {
        "Frechet on aisfx": {"seen": [0.752], "interval": [0.60, 0.87], "unseen": 0.642},
        "unbiased MMD on aisfx": {"seen": [0.697], "unseen": 0.524},
        "three views": {"seen": [0.665], "unseen": 0.278},
        "file means, windows of 2 s": {"seen": [0.692, 0.696]},
        "the best combination found, nested": {"seen": [0.813], "unseen": 0.522},
    },
    "ceiling": [0.75, 0.80],  # of sets of this size
    "reliability": {  # what limits the correlation: of the ratings, of the choice of clips, of the measure
        "listeners": [0.94],
        "clips": [0.87, 0.93],
        "measure": [0.79, 0.94],
    },
    "lead": 0.10,
    "laboratories_for_lead": 34,  # to tell it from 0
}


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
        "f": {
            name: known[name]
            for p, s in product(unbiased.PREPARATIONS, unbiased.STATISTICS)
            if (name := f"{vector_measures.UNBIASED_ON}{p} / {s}") in known  # else the network is not here
        },
    }
    ideas = ("a", "b grid", "c", "d", "e", "f")
    every["all"] = {n: v for name in ideas for n, v in every[name].items()}
    for name in (*ideas, "all"):
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
    measure with the best mean Spearman over all other laboratories is judged on its sets. Ties go to the
    measure named first.
    """
    judged, chosen = {}, {}
    for laboratory in sorted(set(laboratories.values())):
        training = {s: lab for s, lab in laboratories.items() if lab != laboratory}
        means = {m: _mean_spearman(t, training) for m, t in measures.items()}
        best = chosen[laboratory] = max(means, key=means.get)
        judged |= {s: measures[best][s] for s, lab in laboratories.items() if lab == laboratory}
    return {s: judged[s] for s in laboratories}, chosen


def _mean_spearman(agreed: Mapping[str, Mapping], laboratories: Mapping[str, str]) -> float:
    """Mean over laboratories of the sets in ``laboratories``."""
    each = by_laboratory({s: agreed[s]["spearman"] for s in laboratories}, laboratories)
    return float(np.mean(list(each.values())))


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
            scores = []  # a laboratory each
            for held in sorted(training):
                weights = learn([tables[s] for s in of(training - {held})], strength)
                scores.append(np.mean([judged(weights, s)["spearman"] for s in of({held})]))
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


def analyse(
    parts: Mapping[str, Values],
    ratings: Values,
    laboratories: Mapping[str, str],
    figures: Mapping[str, str],
) -> dict:
    """Every family: how many measures, what the best reaches in hindsight, nested, and the lead.

    Parameters
    ----------
    parts : mapping
        As ``families`` takes them: name -> set -> system -> value.
    ratings : mapping
        Set -> system -> mean rating, high for good.
    laboratories : mapping
        Set -> who made the listening test; what is left out is a laboratory, with all its sets.
    figures : mapping
        Set -> how its ratings reached us, see ``study.datasets.RatedSet``.

    Returns
    -------
    dict
        shipped    the distance as it is: ``sets`` (set -> Spearman), ``spearman`` and ``pairs`` (mean,
                   interval over laboratories), ``by_figures`` (``READ`` and ``NOT_READ`` -> the mean Spearman
                   of those sets alone), and its leads: over itself, 0, and over ``RIVAL``
        rival      the same of ``RIVAL``; not there without its network
        families   name -> the same of the nested choice; ``lead_spearman``, ``lead_pairs`` (over the distance
                   as shipped) and ``lead_rival`` with ``corrected`` intervals; ``measures`` (their number),
                   ``best`` and ``hindsight`` (which, and its mean Spearman, on the sets it was chosen on);
                   ``chosen``: laboratory -> measure
        members    measure -> mean Spearman, for looking up; without family (c), which has hundreds
    """
    tables = {
        name: {m: agreements(v, ratings) for m, v in members.items()}
        for name, members in families(parts).items()
    }
    shipped, rival = tables["a"][SHIPPED], tables["incumbents"].get(RIVAL)

    def summary(agreed: Mapping[str, Mapping]) -> dict:
        return _summary(agreed, laboratories, figures, shipped=shipped, rival=rival)

    by_family = {}
    for name, measures in tables.items():
        means = {m: _mean_spearman(t, laboratories) for m, t in measures.items()}
        best = max(means, key=means.get)
        judged, chosen = nested(measures, laboratories)
        by_family[name] = {
            "measures": len(measures),
            "best": best,
            "hindsight": means[best],
            "chosen": chosen,
            **summary(judged),
        }
    judged, chosen = nested_learning(parts, ratings, laboratories)
    by_family["b learned"] = {"chosen": chosen, **summary(judged)}
    return {
        "shipped": summary(shipped),
        **({"rival": {"name": RIVAL, **summary(rival)}} if rival else {}),
        "families": {name: by_family[name] for name in FAMILIES},
        "members": {
            m: round(_mean_spearman(t, laboratories), 4)
            for name, table in tables.items()
            if name != "c"
            for m, t in table.items()
        },
    }


def _summary(
    agreed: Mapping[str, Mapping],
    laboratories: Mapping[str, str],
    figures: Mapping[str, str],
    *,
    shipped: Mapping[str, Mapping],
    rival: Mapping[str, Mapping] | None,
) -> dict:
    """Agreement a set, its mean, apart by how ratings reached us too, and its leads, paired by set."""
    corrected = 1 - trials.ALPHA / (len(FAMILIES) - 1)  # Bonferroni; the incumbents are no try of ours

    def lead(other: Mapping[str, Mapping], key: str) -> dict:
        gaps = {s: {key: agreed[s][key] - other[s][key]} for s in laboratories}
        wide = laboratory_mean(gaps, laboratories, key, level=corrected)
        return {**laboratory_mean(gaps, laboratories, key), "corrected": wide["interval"]}

    return {
        "sets": {s: agreed[s]["spearman"] for s in laboratories},
        **{k: laboratory_mean(agreed, laboratories, k) for k in ("spearman", "pairs")},
        "by_figures": {
            group: laboratory_mean(rows, laboratories, "spearman")
            for group, rows in by_figures(agreed, figures).items()
        },
        **{f"lead_{k}": lead(shipped, k) for k in ("spearman", "pairs")},
        **({"lead_rival": lead(rival, "spearman")} if rival else {}),
    }


def measured_on(measured: Mapping) -> list[str]:
    """The folders of rated sets behind a result, for its header: one may be missing."""
    return [name for name in DATA if datasets.available(name)]


def run(*, workers: int = -1, fresh: bool = False) -> dict:
    """Measure all rated sets (parts that are there are read back) and analyse.

    ``fresh`` measures again what is there. Networks that are not installed are left out, and the result names
    those that were here.

    Returns
    -------
    dict
        ``laboratories`` and ``figures`` (by set), ``networks``, ``outside``, and what ``analyse`` returns.

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
    rated = {which: datasets.rated(which) for which in names}
    laboratories = {which: r.laboratory for which, r in rated.items()}
    if len(set(laboratories.values())) < 3:
        raise ValueError(f"{len(set(laboratories.values()))} laboratories; leaving out two needs 3 or more")
    figures = {which: r.figures for which, r in rated.items()}
    networks = [e for e in OTHERS if e in embeddings.installed()]
    # Made with other code it is made again.
    data = (datasets, sources.at_rate, sources.seeded)
    views = sources.code_stamp(*data, view_measures)
    vectors = sources.code_stamp(*data, arranged, distances, embeddings, unbiased, vector_measures)
    planned = {(which, "views"): Part(view_measures.measure, (which,), views) for which in names}
    planned |= {
        (which, "vectors"): Part(vector_measures.measure, (which, networks), [networks, vectors])
        for which in names
    }
    measured = computed(planned, "listening", workers=workers, keep=not fresh, unit="part")
    by_part = {
        name: {which: measured[which, kind][name] for which in names}
        for kind in ("views", "vectors")
        for name in measured[names[0], kind]
    }
    analysed = analyse(by_part, {w: r.ratings for w, r in rated.items()}, laboratories, figures)
    return {
        "laboratories": laboratories,
        "figures": figures,
        "networks": networks,
        "outside": OUTSIDE,
        **analysed,
    }
