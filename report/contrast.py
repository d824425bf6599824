"""What the trials say: candidates side by side, with intervals, and the decision with its weights.

Conventions
    results     the content of ``results/trials.json``; nothing is measured here.
    candidate   a pair (embedding, distance), written "embedding / distance".
    this        ``trials.THIS``, the value of ``metrics.distance`` on one vector a file.
    score       of a candidate by a criterion, 0 (worst) to 1 (best), see ``CRITERIA``. Naive candidates,
                which are not defined everywhere, have none.
    interval    95 %, percentile bootstrap over what the claim generalises to: kinds of effect (a
                distortion with both its severities, in all sources) for power, laboratories for
                agreement with listeners.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import binomtest, rankdata

from study import trials
from study.agreement import agreement, bootstrap_interval, by_figures, laboratory_mean
from study.draws import small_effects as small_effects_of
from study.level import WHITENED, names
from study.sources import GRADED

Candidate = tuple[str, str]
NORMAL = 1.96  # standard errors of a 95 % interval of a mean of a hundred draws and more
GENERATION = "sc09_uncond"  # the rated set of free generation that has its recordings
BOOTSTRAP = 2000  # draws of kinds or laboratories
WEIGHT_DRAWS = 10_000  # standard error of a share: half a percentage point at most

CRITERIA = {
    "small damage": "share of small distortions found at N = 20, at 5 %",
    "structure": "share found of shuffled segments, reversal and randomised phase",
    "diversity": "share found of dropped labels and speakers, changed weights, duplicates",
    "order": "mean Spearman correlation of severity and value over the distortions",
    "zero": "1 - |mean value between samples of one source| / mid, at N = 20",
    "harmless": "1 - largest |change| / mid under gain, silence, resampling, dither",
    "listeners": "mean Spearman correlation with listeners' ratings over the laboratories that asked them",
    "challenge": "share of the challenge's two writings ordered test1 > test2 > background",
    "cost": "1 - embedding's CPU ms a second of audio / 50",
}


def label(candidate: Candidate) -> str:
    """The candidate in words for tables and axes: "three views / energy"."""
    return " / ".join(part.replace("_", " ") for part in candidate)


def candidates(results: Mapping, *, naive: bool = False) -> list[Candidate]:
    """Every (embedding, distance) that was tried, in the order of the settings; naive ones if asked for."""
    first = results["power"][next(iter(results["power"]))]  # every source has the same candidates
    pairs = [(e, d) for e in first for d in first[e]]
    return [c for c in pairs if naive or c not in trials.NAIVE]


def shares(results: Mapping, candidate: Candidate, effects) -> dict[tuple[str, str], float]:
    """Share of draws in which each effect is seen: (source, effect) -> 0 to 1.

    ``effects`` are those asked for; of a source only the ones it has. Seen: the value is above the 95 %
    quantile of the candidate's own null draws, so .05 is chance.
    """
    embedding, distance = candidate
    result = {}
    for source, tables in results["power"].items():
        row = tables[embedding][distance]
        for effect, hits, draws in zip(results["effects"][source], row["found"], row["draws"], strict=True):
            if effect in effects:
                result[source, effect] = hits / draws
    return result


def small_effects(results: Mapping) -> tuple[str, ...]:
    """Every small effect of any source, each once: those that make up the power."""
    return tuple(dict.fromkeys(e for source in results["power"] for e in small_effects_of(source)))


def power(results: Mapping, candidate: Candidate) -> float:
    """Mean share of the small effects that a candidate sees, over effects and sources: 0 to 1.

    Every pair of source and effect weighs alike.
    """
    return float(np.mean(list(shares(results, candidate, small_effects(results)).values())))


def power_of_source(results: Mapping, candidate: Candidate, source: str) -> float:
    """The same in one source."""
    effects = small_effects(results)
    return _mean(v for (s, _), v in shares(results, candidate, effects).items() if s == source)


def kind(effect: str) -> str:
    """The kind of an effect, which intervals draw: "noise 2" is noise, "2 labels dropped" a label.

    Severities of one distortion, and dropping one label or three, rise and fall together; taken as separate
    draws they would make intervals too narrow.
    """
    head, _, tail = effect.rpartition(" ")  # "noise 2": a distortion and its severity
    if tail.isdigit():
        return head
    return next((k for k in ("shuffled", "label", "group", "weights") if k in effect), effect)


def test_shares(
    results: Mapping, embedding: str = trials.THIS[0], test: str = "compare"
) -> dict[tuple[str, str], float]:
    """Share of draws in which a permutation test has p <= 5 %: (source, effect) -> 0 to 1.

    By default that of ``metrics.compare``; ``test`` may also be one of ``study.level.names()`` on an
    embedding it was tested on, or "oracle", which has the effects on labels alone. A
    test needs no null draws, so its share is not comparable with that of another's value without saying so.
    """
    return {
        (source, effect): hits / draws
        for source, tables in results["permutation"].items()
        for effect, (hits, draws) in tables[embedding][test].items()
        if effect != "clean"  # nothing differs there: false alarms, not power
    }


def test_power_by_source(results: Mapping) -> dict[str, float]:
    """Mean share of the small effects that the test of ``metrics.compare`` finds, by source."""
    found = test_shares(results)
    return {
        source: _mean(share for (of, _), share in found.items() if of == source)
        for source in results["permutation"]
    }


def power_difference(
    results: Mapping, candidate: Candidate | None, other: Candidate, *, seed: int = 0
) -> dict:
    """Mean difference of power, candidate minus other, with its interval over kinds of effect.

    ``None`` as candidate is the permutation test of ``metrics.compare``, which needs no null draws. Both
    sides saw the same draws, so the difference is paired by (source, effect). Returns ``mean``,
    ``interval``, ``groups``.
    """
    effects = small_effects(results)
    mine = test_shares(results) if candidate is None else shares(results, candidate, effects)
    return shares_difference(mine, shares(results, other, effects), seed=seed)


def shares_difference(a: Mapping, b: Mapping, *, seed: int = 0) -> dict:
    """Mean difference a - b of shares by (source, effect), with its interval over kinds of effect.

    ``mean``; ``interval``, percentile bootstrap of ``BOOTSTRAP`` draws of whole kinds; ``groups``, their
    number. ``b`` must have every key of ``a``.
    """
    grouped: dict[str, list[float]] = {}
    for key in a:
        # All sources and severities of a kind are one draw.
        grouped.setdefault(kind(key[1]), []).append(a[key] - b[key])
    return _bootstrap(list(grouped.values()), seed)


def false_alarms(results: Mapping, embedding: str, test: str) -> dict:
    """Share of p <= 5 % between undamaged samples, all sources together: nominal .05.

    ``interval`` is Wilson's, 95 %; ``draws`` the trials behind it. ``test`` as in
    ``test_shares``.
    """
    rows = [tables[embedding][test]["clean"] for tables in results["permutation"].values()]
    hits, draws = (sum(column) for column in zip(*rows, strict=True))
    low, high = binomtest(hits, draws).proportion_ci(method="wilson")
    return {"share": hits / draws, "interval": [float(low), float(high)], "draws": draws}


def sound(results: Mapping, embedding: str, test: str) -> dict[str, bool]:
    """Pair of sets -> whether a permutation test says what it must.

    Sets that must differ have p <= 5 % in at least half of the draws, those that must not in at most
    15 % of them (by chance 1.6 % of pairs have more in 20 draws).
    """
    right = {}
    for name, row in results["soundness"][embedding].items():
        small = np.mean(np.array(row[test]) <= trials.ALPHA)
        right[name] = bool(small >= 0.5 if row["must_differ"] else small <= 0.15)
    return right


def side_by_side(results: Mapping) -> list[dict]:
    """This distance, and Frechet and Gaussian MMD on each embedding they were tested on: a row each.

    Returns
    -------
    list of dict
        label          in words
        zero           mean between samples of one source, as a share of the mean over mid distortions at the
                       same N, mean over the sources; its 95 % interval over draws
        power, lead    small effects found by the permutation test, 0 to 1; what the test of ``compare``
                       finds more
        false_alarms   as the function
        harmless       largest |change| / mid by what no listener hears
        right, pairs, wrong
                       pairs of sets judged as they must be, of how many, and the names of the others
        embedding_ms, distance_ms
                       CPU milliseconds a second of audio; of the distance at N = 50
        listeners, ahead
                       mean Spearman; what ``metrics.distance`` as shipped has more. Where rated sets were
                       there.
    """
    this = trials.THIS
    rows = [(*this, "compare")]
    rows += [(e, d, d) for e in results["soundness"] for d in ("frechet", "gaussian_mmd")]
    table = []
    for embedding, distance, test in rows:
        zero = [tables[embedding][distance] for tables in results["power"].values()]
        mean = _mean(z["null_over_mid"] for z in zero)
        errors = [z["sd_over_mid"] / np.sqrt(results["settings"]["null_draws"]) for z in zero]
        half = NORMAL * np.linalg.norm(errors) / len(zero)
        tested = test_shares(results, embedding, test)
        right = sound(results, embedding, test)
        row = {
            "label": "this distance" if test == "compare" else label((embedding, distance)),
            "zero": {"mean": mean, "interval": [mean - half, mean + half]},
            "power": _mean(tested.values()),
            "lead": None if test == "compare" else shares_difference(test_shares(results), tested),
            "false_alarms": false_alarms(results, embedding, test),
            "harmless": max(
                abs(tables[embedding][distance][v])
                for tables in results["nuisance"].values()
                for v in trials.HARMLESS
            ),
            "right": sum(right.values()),
            "pairs": len(right),
            "wrong": [name for name, good in right.items() if not good],
            "embedding_ms": results["cost"][embedding]["embedding_ms_per_second"],
            "distance_ms": results["cost"][embedding][distance],
        }
        if "rated" in results:
            mine = shipped(results)
            each = mine if test == "compare" else listeners(results, (embedding, distance))
            row["listeners"] = listeners_mean(results, each)
            row["ahead"] = None if test == "compare" else listeners_difference(results, mine, each)
        table.append(row)
    return table


def level(results: Mapping) -> list[dict]:
    """Every rival test with the same tools, and this distance's own: a row each.

    The tests of ``study.level``: same preparation, draws and rearrangements, each as it comes and with pooled
    whitening. All small effects at N of the settings.

    Returns
    -------
    list of dict
        embedding, test     as in the results; "compare" is the first
        label               in words
        power, lead         share of small effects found; what ``compare`` finds more, with its interval over
                            kinds of effect (None for itself)
        false_alarms        as the function
        right, pairs, wrong
                            pairs of sets judged as they must be, of how many, and the names of the others
        sound               no pair is judged wrong
    """
    mine, table = test_shares(results), []
    rows = [(trials.THIS[0], "compare")]
    rows += [(e, test) for e in results["soundness"] for test in names()]
    for embedding, test in rows:
        tested = test_shares(results, embedding, test)
        right = sound(results, embedding, test)
        wrong = [name for name, good in right.items() if not good]
        own = test == "compare"
        table.append(
            {
                "embedding": embedding,
                "test": test,
                "label": "this distance" if own else label((embedding, test)),
                "power": _mean(tested.values()),
                "lead": None if own else shares_difference(mine, tested),
                "false_alarms": false_alarms(results, embedding, test),
                "right": len(right) - len(wrong),
                "pairs": len(right),
                "wrong": wrong,
                "sound": not wrong,
            }
        )
    return table


def by_kind(results: Mapping, tests: Sequence[tuple[str, str]]) -> list[dict]:
    """Share found of each kind of small effect: a row a kind, in the order of the effects.

    ``tests`` are pairs (embedding, test). A row has ``kind``, ``effects`` (with their sources), ``draws`` of
    all of them, ``found`` (a share each of ``tests``) and ``oracle``: what a test that reads labels finds, or
    None where an effect is no matter of labels.
    """
    embedding = trials.THIS[0]
    shares = [test_shares(results, *test) for test in tests]
    told = test_shares(results, embedding, "oracle")
    rows: dict[str, dict] = {}
    for source, effect in shares[0]:
        row = rows.setdefault(kind(effect), {"keys": [], "draws": 0})
        row["keys"].append((source, effect))
        row["draws"] += results["permutation"][source][embedding]["compare"][effect][1]
    return [
        {
            "kind": name,
            "effects": len(row["keys"]),
            "draws": row["draws"],
            "found": [_mean(each[key] for key in row["keys"]) for each in shares],
            "oracle": _mean(told[key] for key in row["keys"]) if row["keys"][0] in told else None,
        }
        for name, row in rows.items()
    ]


def listeners(results: Mapping, candidate: Candidate) -> dict[str, dict]:
    """Rated set -> agreement of a candidate with the listeners, for the sets where it is defined.

    As ``study.agreement.agreement``: Spearman, Kendall, share of pairs, systems.
    """
    embedding, distance = candidate
    each = {
        name: agreement(results["ratings"][embedding][name][distance], row["ratings"])
        for name, row in results["rated"].items()
    }
    # None where a distance is not defined, as for sets of other sizes.
    return {name: row for name, row in each.items() if row}


def shipped(results: Mapping) -> dict[str, dict]:
    """The same for ``metrics.distance`` as it is shipped: windows as draws within a file, not their mean."""
    return {
        name: agreement(results["shipped"][name], row["ratings"]) for name, row in results["rated"].items()
    }


def listeners_mean(results: Mapping, each: Mapping[str, dict], key: str = "spearman") -> dict:
    """Mean of ``key`` over laboratories, each the mean of its rated sets, with an interval over them.

    ``each``: set -> agreement, or a difference of two. Returns ``mean``, ``interval``, ``sets``,
    ``laboratories``.
    """
    laboratories = {name: row["laboratory"] for name, row in results["rated"].items()}
    return laboratory_mean(each, laboratories, key)


def listeners_by_figures(results: Mapping, each: Mapping[str, dict]) -> dict[str, dict]:
    """``listeners_mean`` of the sets whose ratings were read in the publication, and of the others.

    By ``study.agreement.READ`` and ``NOT_READ``; a group without a set is left out.
    """
    figures = {name: row["figures"] for name, row in results["rated"].items()}
    return {group: listeners_mean(results, rows) for group, rows in by_figures(each, figures).items()}


def listeners_difference(results: Mapping, a: Mapping, b: Mapping, key: str = "spearman") -> dict:
    """As ``listeners_mean`` of the differences a - b of ``key`` over the sets both have, paired by set."""
    both = {name: {key: a[name][key] - b[name][key]} for name in a if name in b}
    return listeners_mean(results, both, key)


def _bootstrap(groups: list[list[float]], seed: int) -> dict:
    return {
        "mean": float(np.mean(np.concatenate(groups))),
        "interval": bootstrap_interval(groups, draws=BOOTSTRAP, seed=seed),
        "groups": len(groups),
    }


# ------------------------------------------------------------------------------------------- scores


def scores(results: Mapping) -> dict[Candidate, dict[str, float]]:
    """Candidate -> criterion -> score, 0 (worst) to 1 (best); see ``CRITERIA`` for what each is.

    Of the general candidates. ``listeners`` only where rated sets were there: a criterion is there for all
    or for none.
    """
    return {c: _scores(results, c) for c in candidates(results)}


def _scores(results: Mapping, candidate: Candidate) -> dict[str, float]:
    embedding, distance = candidate
    graded = tuple(f"{k} {s}" for k in GRADED for s in (1, 2))
    small = [e for e in small_effects(results) if e not in graded]
    # Randomised phases are no small effect, but structure is all that they take away.
    structure = [e for e in small if "shuffled" in e or e == "reversed"] + ["phase randomised"]
    diversity = [e for e in small if e not in structure]
    rows = [tables[embedding][distance] for tables in results["power"].values()]
    changes = [
        max(abs(tables[embedding][distance][v]) for v in trials.HARMLESS)
        for tables in results["nuisance"].values()
    ]
    row = {
        "small damage": _mean(shares(results, candidate, graded).values()),
        "structure": _mean(shares(results, candidate, structure).values()),
        "diversity": _mean(shares(results, candidate, diversity).values()),
        "order": _mean(r["order"][k] for r in rows for k in GRADED),
        # From 1 on a distance says as much of nothing as of a mid distortion: it is as bad as can be.
        "zero": 1 - _mean(min(1.0, abs(r["null_over_mid"])) for r in rows),
        "harmless": 1 - _mean(min(1.0, c) for c in changes),
    }
    if "rated" in results:
        row["listeners"] = listeners_mean(results, listeners(results, candidate))["mean"]
    tones = results["tones"][embedding][distance]
    row["challenge"] = _mean(float(t["right"]) for t in tones.values())
    # 50 ms a second is a twentieth of real time: what is slower is scored 0.
    row["cost"] = 1 - results["cost"][embedding]["embedding_ms_per_second"] / 50
    # A correlation below 0 is as bad as none.
    return {name: float(np.clip(value, 0, 1)) for name, value in row.items()}


def _mean(values) -> float:
    return float(np.mean(list(values)))


def ranking(table: Mapping[Candidate, Mapping[str, float]], weights: Mapping[str, float] | None = None):
    """Candidates by weighted mean score, best first: a list of (candidate, score).

    ``weights``: criterion -> 0 or more; by default all alike, and those not named count nothing. They need
    not add up to 1. ValueError for an unknown criterion and for weights that are all 0.
    """
    criteria = list(next(iter(table.values())))
    weights = dict.fromkeys(criteria, 1.0) if weights is None else weights
    if unknown := set(weights) - set(criteria):
        raise ValueError(f"no criterion {', '.join(sorted(unknown))}; there are {', '.join(criteria)}")
    total = sum(weights.values())
    if total <= 0:
        raise ValueError("the weights add up to 0; at least one must be above it")
    # The sort is stable: of equal scores the one that was tried first.
    ranked = [(c, sum(w * row[k] for k, w in weights.items()) / total) for c, row in table.items()]
    return sorted(ranked, key=lambda item: -item[1])


def sensitivity(
    table: Mapping[Candidate, Mapping[str, float]], *, draws: int = 10_000, seed: int = 0
) -> dict[Candidate, dict[str, float]]:
    """How far the ranking depends on the weights: candidate -> ``first`` and ``median_rank``.

    ``first`` is the share of ``draws`` of weights under which a candidate is first, ties included. Weights
    are uniform over all that add up to one (Dirichlet, every parameter 1): no criterion is preferred, and
    any may dominate.
    """
    names = list(table)
    values = np.array([list(row.values()) for row in table.values()])
    weights = np.random.default_rng(seed).dirichlet(np.ones(values.shape[1]), size=draws)
    totals = weights @ values.T  # (draws, candidates)
    ranks = rankdata(-totals, method="min", axis=1)
    return {
        name: {"first": float(np.mean(ranks[:, i] == 1)), "median_rank": float(np.median(ranks[:, i]))}
        for i, name in enumerate(names)
    }


def by_embedding(results: Mapping) -> list[dict]:
    """Mean share of small effects seen by the energy distance, by source, an embedding of the study a row.

    Of the three views the mean of their energy distances. ``name`` in words, ``shares``: source -> 0 to 1.
    """
    rows = []
    for embedding in results["settings"]["embeddings"]:
        # The distance as it is meant: view by view on the three views.
        candidate = (embedding, "views_energy" if embedding == trials.THIS[0] else "energy")
        shares = {s: power_of_source(results, candidate, s) for s in results["power"]}
        rows.append({"name": Path(embedding).stem.replace("_", " "), "shares": shares})
    return rows


# ------------------------------------------------------------------- what the report says in prose


def summary(results: Mapping) -> dict:
    """What the report says of the trials beside its tables.

    Counts, shares and labels by name, of the private functions below; ``frames`` and ``files`` are the mean
    false alarms where windows, and where files, are dealt. The template names each of them, and an unknown
    one is an error.
    """
    others = [c for c in candidates(results) if c != trials.THIS]
    content = _powers(results, others) | _robustness(results) | _comparison(results) | _rank(results)
    for unit in ("frames", "files"):
        tables = results["units"].values()
        content[unit] = _mean(row[unit][0] / row[unit][1] for table in tables for row in table.values())
    if "rated" in results:
        content |= _listeners(results, others)
    return content


def _powers(results: Mapping, others: Sequence[Candidate]) -> dict:
    """How much the value and the test find, and against how many candidates more or less."""
    values = [power_difference(results, trials.THIS, c)["interval"] for c in others]
    tests = [power_difference(results, None, c)["interval"] for c in others]
    return {
        "count": len(candidates(results, naive=True)),
        "others": len(others),
        "this_power": power(results, trials.THIS),
        "test_power": _mean(test_shares(results).values()),
        "test_over_value": power_difference(results, None, trials.THIS),
        "significantly_worse": sum(low > 0 for low, _ in values),
        "significantly_better": sum(high < 0 for _, high in values),
        "test_ahead": sum(low > 0 for low, _ in tests),
        "test_behind": sum(high < 0 for _, high in tests),
    }


def _robustness(results: Mapping) -> dict:
    """Order over severities, and what harmless changes and bad files do; changes as shares of mid."""
    embedding, this = trials.THIS
    nuisance = [tables[embedding][this] for tables in results["nuisance"].values()]
    return {
        "kinds": len(GRADED),
        "order": {
            name: _mean(
                tables[embedding][distance]["order"][kind]
                for tables in results["power"].values()
                for kind in GRADED
            )
            for name, distance in (("this", this), ("frechet", "frechet"), ("gaussian_mmd", "gaussian_mmd"))
        },
        "harmless": max(abs(row[change]) for row in nuisance for change in trials.HARMLESS),
        "resampling": _mean(row["resampling 1"] for row in nuisance),
        "bad": _mean(tables[embedding][this]["0.05"] for tables in results["robustness"].values()),
    }


def _comparison(results: Mapping) -> dict:
    """Where this distance is not ahead: side by side with Frechet and MMD, and with the same tools."""
    own, *others = level(results)
    as_they_come = {(r["embedding"], r["test"]): r["power"] for r in others}
    return {
        "level": {
            "own": own,
            "rivals": len(others),
            "behind": sum(r["lead"]["interval"][0] > 0 for r in others),
            "ahead": [r for r in others if r["lead"]["interval"][1] < 0],
            "more": [r for r in others if r["power"] > own["power"]],
            "next": _next(own, others),
            # What whitening brings each statistic on each embedding, mean.
            "whitening": _mean(
                power - as_they_come[e, test.removeprefix(WHITENED)]
                for (e, test), power in as_they_come.items()
                if test.startswith(WHITENED)
            ),
            "effects": len(test_shares(results)),
            "draws": 3 * results["settings"]["effect_draws"],
            "pairs_by_embedding": {
                e: _mean(r["right"] / r["pairs"] for r in others if r["embedding"] == e)
                for e in results["soundness"]
            },
        },
        "side_by_side": side_by_side(results),
    }


def _next(own: Mapping, others: Sequence[Mapping]) -> dict:
    """The rival that finds more than ``own`` and judges most pairs right: what a next recipe would try first.

    Its row, and ``gain``: what it finds more, as a lead with its interval. Of equally sound ones the more
    powerful; where none finds more, of all.
    """
    more = [row for row in others if row["power"] > own["power"]] or list(others)
    row = max(more, key=lambda row: (row["right"], row["power"]))
    low, high = row["lead"]["interval"]
    return {**row, "gain": {"mean": -row["lead"]["mean"], "interval": [-high, -low]}}


def _rank(results: Mapping) -> dict:
    """The place of this distance by score, and how far it depends on the weights."""
    table = scores(results)
    order = ranking(table)
    ranked, totals = [c for c, _ in order], dict(order)
    own = totals.pop(trials.THIS)
    others = [c for c in ranked if c != trials.THIS]
    places = sensitivity(table, draws=WEIGHT_DRAWS)
    often = max((c for c in places if c != trials.THIS), key=lambda c: places[c]["first"])
    return {
        "rank": ranked.index(trials.THIS) + 1,
        "scored": len(ranked),
        "score": own,
        "next": label(others[0]),
        "next_behind": own - totals[others[0]],  # below 0 where that one is first
        "weight_draws": f"{WEIGHT_DRAWS:,}",
        "first_share": places[trials.THIS]["first"],
        "often_first": label(often),
        "often_share": places[often]["first"],
    }


def _listeners(results: Mapping, others: Sequence[Candidate]) -> dict:
    """What the rated sets are, and which candidates agree with listeners better or worse."""
    rated, mine = results["rated"], listeners(results, trials.THIS)
    gaps = {c: listeners_difference(results, mine, listeners(results, c))["interval"] for c in others}
    return {
        "generation": shipped(results).get(GENERATION),
        "systems": sum(len(row["ratings"]) for row in rated.values()),
        "laboratories": len({row["laboratory"] for row in rated.values()}),
        "recalled": [name for name, row in rated.items() if row["figures"] == "recalled"],
        "second_hand": [name for name, row in rated.items() if row["figures"] == "second-hand"],
        "listeners_worse": sum(low > 0 for low, _ in gaps.values()),
        "listeners_better": [label(c) for c, (_, high) in gaps.items() if high < 0],
    }
