"""What the trials say: candidates side by side, with intervals, and the decision with its weights.

Conventions
    found       the content of ``results/trials.json``; nothing is measured here.
    candidate   a pair (embedding, distance), written "embedding / distance".
    this        ``trials.THIS``, the value of ``metrics.distance`` on one vector a file.
    score       of a candidate by a criterion, 0 (worst) to 1 (best), see ``CRITERIA``. Naive candidates,
                which are not defined everywhere, have none.
    interval    95 %, percentile bootstrap over what the claim generalises to: kinds of effect (a
                distortion with both its severities, in all sources) for power, laboratories for
                agreement with listeners.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import binomtest, rankdata
from scipy.stats import t as student

from study import trials
from study.agreement import agreement, bootstrap_interval, laboratory_mean
from study.draws import small_effects as small_effects_of
from study.sources import GRADED

Candidate = tuple[str, str]
BOOTSTRAP = 2000

CRITERIA = {
    "small damage": "share of small distortions found at N = 20, at 5 %",
    "structure": "share found of shuffled segments, reversal and randomised phase",
    "diversity": "share found of dropped labels and speakers, changed weights, duplicates",
    "order": "mean Spearman correlation of severity and value over the distortions",
    "zero": "1 - |mean value between samples of one source| / mid, at N = 20",
    "harmless": "1 - largest |change| / mid under gain, silence, resampling, dither",
    "listeners": "mean Spearman correlation with listeners' ratings over the rated sets",
    "challenge": "share of the challenge's two writings ordered test1 > test2 > background",
    "cost": "1 - embedding's CPU ms a second of audio / 50",
}


def label(candidate: Candidate) -> str:
    """The candidate in words for tables and axes."""
    return " / ".join(part.replace("_", " ") for part in candidate)


def candidates(found: Mapping, *, naive: bool = False) -> list[Candidate]:
    """Every (embedding, distance) that was tried, in the order of the settings."""
    first = found["power"][next(iter(found["power"]))]
    pairs = [(e, d) for e in first for d in first[e]]
    return [c for c in pairs if naive or c not in trials.NAIVE]


def shares(found: Mapping, candidate: Candidate, effects) -> dict[tuple[str, str], float]:
    """Share of draws found: (source, effect) -> 0 to 1, for the effects a source has."""
    embedding, distance = candidate
    result = {}
    for source, tables in found["power"].items():
        row = tables[embedding][distance]
        for effect, hits, draws in zip(found["effects"][source], row["found"], row["draws"], strict=True):
            if effect in effects:
                result[source, effect] = hits / draws
    return result


def small_effects(found: Mapping) -> tuple[str, ...]:
    """Every small effect of any source."""
    return tuple(dict.fromkeys(e for source in found["power"] for e in small_effects_of(source)))


def power(found: Mapping, candidate: Candidate) -> float:
    """Mean share of the small effects found, over effects and sources."""
    return float(np.mean(list(shares(found, candidate, small_effects(found)).values())))


def power_of_source(found: Mapping, candidate: Candidate, source: str) -> float:
    """Mean share of the small effects found in one source."""
    return float(
        np.mean([v for (s, _), v in shares(found, candidate, small_effects(found)).items() if s == source])
    )


def kind(effect: str) -> str:
    """The kind of an effect: its distortion, or what is done to the set."""
    head, _, tail = effect.rpartition(" ")
    if tail.isdigit():
        return head
    return next((k for k in ("shuffled", "label", "group", "weights") if k in effect), effect)


def test_shares(
    found: Mapping, embedding: str = trials.THIS[0], test: str = "compare"
) -> dict[tuple[str, str], float]:
    """Share of draws in which a permutation test has p <= 5 %; by default that of ``metrics.compare``."""
    return {
        (source, effect): hits / draws
        for source, tables in found["permutation"].items()
        for effect, (hits, draws) in tables[embedding][test].items()
        if effect != "clean"
    }


def power_difference(found: Mapping, candidate: Candidate | None, other: Candidate, *, seed: int = 0) -> dict:
    """Mean difference of power, candidate minus other, with its interval over kinds of effect.

    ``None`` as candidate is the permutation test of ``metrics.compare``, which needs no null draws.
    """
    effects = small_effects(found)
    mine = test_shares(found) if candidate is None else shares(found, candidate, effects)
    return shares_difference(mine, shares(found, other, effects), seed=seed)


def shares_difference(a: Mapping, b: Mapping, *, seed: int = 0) -> dict:
    """Mean difference a - b of shares by (source, effect), with its interval over kinds of effect."""
    grouped: dict[str, list[float]] = {}
    for key in a:
        grouped.setdefault(kind(key[1]), []).append(a[key] - b[key])
    return _bootstrap(list(grouped.values()), seed)


def false_alarms(found: Mapping, embedding: str, test: str) -> dict:
    """Share of p <= 5 % between undamaged samples, all sources together, with its 95 % Wilson interval."""
    rows = [tables[embedding][test]["clean"] for tables in found["permutation"].values()]
    hits, draws = (sum(column) for column in zip(*rows, strict=True))
    low, high = binomtest(hits, draws).proportion_ci(method="wilson")
    return {"share": hits / draws, "interval": [float(low), float(high)], "draws": draws}


def sound(found: Mapping, embedding: str, test: str) -> dict[str, bool]:
    """Pair of sets -> whether a permutation test says what it must.

    Sets that must differ have p <= 5 % in at least half of the draws, those that must not in at most
    15 % of them (by chance 1.6 % of pairs have more in 20 draws).
    """
    found_right = {}
    for name, row in found["soundness"][embedding].items():
        small = np.mean(np.array(row[test]) <= trials.ALPHA)
        found_right[name] = bool(small >= 0.5 if row["must_differ"] else small <= 0.15)
    return found_right


def side_by_side(found: Mapping) -> list[dict]:
    """This distance, and Frechet and Gaussian MMD on each embedding they were tested on: a row each.

    ``zero``: mean between samples of one source over mid, N = 20, with a 95 % interval over draws (t).
    ``lead``: small effects that the test of ``compare`` finds more. ``harmless``: largest |change| / mid.
    ``listeners``, and ``ahead``: what ``metrics.distance`` as shipped has more, where rated sets were there.
    """
    this = trials.THIS
    first = next(iter(found["bias"]))
    rows = [(*this, "compare")]
    rows += [(e, d, d) for e in found["soundness"] for d in ("frechet", "gaussian_mmd")]
    table = []
    for embedding, distance, test in rows:
        zero = found["bias"][first][embedding][distance]["20"]
        half = student.ppf(0.975, zero["draws"] - 1) * zero["sd"] / np.sqrt(zero["draws"])
        tested = test_shares(found, embedding, test)
        right = sound(found, embedding, test)
        row = {
            "label": "this distance" if test == "compare" else label((embedding, distance)),
            "zero": {"mean": zero["mean"], "interval": [zero["mean"] - half, zero["mean"] + half]},
            "power": _mean(tested.values()),
            "lead": None if test == "compare" else shares_difference(test_shares(found), tested),
            "false_alarms": false_alarms(found, embedding, test),
            "harmless": max(
                abs(tables[embedding][distance][v])
                for tables in found["nuisance"].values()
                for v in trials.HARMLESS
            ),
            "right": sum(right.values()),
            "pairs": len(right),
            "wrong": [name for name, good in right.items() if not good],
            "embedding_ms": found["cost"][embedding]["embedding_ms_per_second"],
            "distance_ms": found["cost"][embedding][distance],
        }
        if "rated" in found:
            mine = shipped(found)
            each = mine if test == "compare" else listeners(found, (embedding, distance))
            row["listeners"] = listeners_mean(found, each)
            row["ahead"] = None if test == "compare" else listeners_difference(found, mine, each)
        table.append(row)
    return table


def listeners(found: Mapping, candidate: Candidate) -> dict[str, dict]:
    """Rated set -> agreement of a candidate with the listeners, for the sets where it is defined."""
    embedding, distance = candidate
    each = {
        name: agreement(found["ratings"][embedding][name][distance], row["ratings"])
        for name, row in found["rated"].items()
    }
    return {name: row for name, row in each.items() if row}


def shipped(found: Mapping) -> dict[str, dict]:
    """The same for ``metrics.distance`` as it is shipped, windows and all."""
    return {name: agreement(found["shipped"][name], row["ratings"]) for name, row in found["rated"].items()}


def listeners_mean(found: Mapping, each: Mapping[str, dict], key: str = "spearman") -> dict:
    """Mean over the rated sets, with an interval over laboratories: mean, interval, sets, laboratories."""
    laboratories = {name: row["laboratory"] for name, row in found["rated"].items()}
    return laboratory_mean(each, laboratories, key)


def listeners_difference(found: Mapping, a: Mapping, b: Mapping, key: str = "spearman") -> dict:
    """Mean difference a - b over the sets both have, paired by set."""
    both = {name: {key: a[name][key] - b[name][key]} for name in a if name in b}
    return listeners_mean(found, both, key)


def _bootstrap(groups: list[list[float]], seed: int) -> dict:
    return {
        "mean": float(np.mean(np.concatenate(groups))),
        "interval": bootstrap_interval(groups, draws=BOOTSTRAP, seed=seed),
        "groups": len(groups),
    }


# ------------------------------------------------------------------------------------------- scores


def scores(found: Mapping) -> dict[Candidate, dict[str, float]]:
    """Candidate -> criterion -> score; see ``CRITERIA``. Listeners only where rated sets were there."""
    return {c: _scores(found, c) for c in candidates(found)}


def _scores(found: Mapping, candidate: Candidate) -> dict[str, float]:
    embedding, distance = candidate
    graded = tuple(f"{k} {s}" for k in GRADED for s in (1, 2))
    small = [e for e in small_effects(found) if e not in graded]
    structure = [e for e in small if "shuffled" in e or e == "reversed"] + ["phase randomised"]
    diversity = [e for e in small if e not in structure]
    rows = [tables[embedding][distance] for tables in found["power"].values()]
    changes = [
        max(abs(tables[embedding][distance][v]) for v in trials.HARMLESS)
        for tables in found["nuisance"].values()
    ]
    row = {
        "small damage": _mean(shares(found, candidate, graded).values()),
        "structure": _mean(shares(found, candidate, structure).values()),
        "diversity": _mean(shares(found, candidate, diversity).values()),
        "order": _mean(r["order"][k] for r in rows for k in GRADED),
        "zero": 1 - _mean(min(1.0, abs(r["null_over_mid"])) for r in rows),
        "harmless": 1 - _mean(min(1.0, c) for c in changes),
    }
    if "rated" in found:
        row["listeners"] = _mean(r["spearman"] for r in listeners(found, candidate).values())
    tones = found["tones"][embedding][distance]
    row["challenge"] = _mean(float(t["right"]) for t in tones.values())
    row["cost"] = 1 - found["cost"][embedding]["embedding_ms_per_second"] / 50
    return {name: float(np.clip(value, 0, 1)) for name, value in row.items()}


def _mean(values) -> float:
    return float(np.mean(list(values)))


def ranking(table: Mapping[Candidate, Mapping[str, float]], weights: Mapping[str, float] | None = None):
    """Candidates by weighted mean score, best first: a list of (candidate, score). Equal weights by default.

    ValueError for a weight of an unknown criterion and for weights that are all 0.
    """
    criteria = list(next(iter(table.values())))
    weights = dict.fromkeys(criteria, 1.0) if weights is None else weights
    if unknown := set(weights) - set(criteria):
        raise ValueError(f"no criterion {', '.join(sorted(unknown))}; there are {', '.join(criteria)}")
    total = sum(weights.values())
    if total <= 0:
        raise ValueError("the weights add up to 0; at least one must be above it")
    ranked = [(c, sum(w * row[k] for k, w in weights.items()) / total) for c, row in table.items()]
    return sorted(ranked, key=lambda item: -item[1])


def sensitivity(
    table: Mapping[Candidate, Mapping[str, float]], *, draws: int = 10_000, seed: int = 0
) -> dict[Candidate, dict[str, float]]:
    """How far the ranking depends on the weights: candidate -> share of first places, median rank.

    Weights uniform over all that add up to one (Dirichlet).
    """
    names = list(table)
    values = np.array([list(row.values()) for row in table.values()])
    weights = np.random.default_rng(seed).dirichlet(np.ones(values.shape[1]), size=draws)
    totals = weights @ values.T
    ranks = rankdata(-totals, method="min", axis=1)
    return {
        name: {"first": float(np.mean(ranks[:, i] == 1)), "median_rank": float(np.median(ranks[:, i]))}
        for i, name in enumerate(names)
    }
