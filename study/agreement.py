"""Agreement of a distance with listeners, and its uncertainty over laboratories.

Conventions
    rated set     the systems of one listening test: system -> mean rating, high for good.
    values        system -> distance to the recordings, low for good; None where it is not defined.
    laboratory    who made a listening test. Tests of one laboratory share listeners, systems and habits, so
                  a mean is over laboratories, each the mean of its sets, and intervals draw laboratories.
    figures       how the ratings of a set reached us, see ``study.datasets.RatedSet``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
from scipy.stats import kendalltau, spearmanr

READ, NOT_READ = "read", "recalled or second-hand"  # how the figures of rated sets reached us


def agreement(values: dict[str, float | None], rated: dict[str, float]) -> dict | None:
    """How far the order by a distance is the order by listeners; None if undefined.

    Parameters
    ----------
    values : dict
        System -> distance, low for good; None where it is not defined.
    rated : dict
        System -> mean rating, high for good. Distances fall as ratings rise, so their sign is turned.

    Returns
    -------
    dict or None
        ``spearman``, ``kendall`` (tau b): 1 is the same order, 0 none. ``pairs``: share of pairs of systems
        ordered as the listeners did; pairs that listeners tie are left out, tied distances count half.
        ``systems``: their number. None for fewer than three systems and where a value is None.
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
        "spearman": spearman(x, y),
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
    """Mean over laboratories, each the mean of its rated sets, with a bootstrap interval over them.

    Not the mean over sets: six sets of one laboratory would outvote five laboratories of one each, and
    the interval, which draws laboratories, would be of another quantity.

    Parameters
    ----------
    table : dict
        Set -> what ``agreement`` gives, or a difference of two such; None is left out.
    laboratories : dict
        Set -> laboratory.
    key : str
        Of the agreement: "spearman", "kendall" or "pairs".
    level, draws, seed
        Of the interval; 2,000 draws, as everywhere in the report.

    Returns
    -------
    dict
        ``mean``, ``interval``, and the numbers of ``sets`` and ``laboratories``.
    """
    means = by_laboratory({s: row[key] for s, row in table.items() if row is not None}, laboratories)
    return {
        "mean": float(np.mean(list(means.values()))),
        "interval": bootstrap_interval([[m] for m in means.values()], level=level, draws=draws, seed=seed),
        "sets": sum(row is not None for row in table.values()),
        "laboratories": len(means),
    }


def by_laboratory(values: Mapping[str, float], laboratories: Mapping[str, str]) -> dict[str, float]:
    """Laboratory -> mean of its sets, sorted by name; ``values`` and ``laboratories`` are by set."""
    grouped: dict[str, list[float]] = {}
    for name, value in values.items():
        grouped.setdefault(laboratories[name], []).append(value)
    return {laboratory: float(np.mean(grouped[laboratory])) for laboratory in sorted(grouped)}


def by_figures(table: Mapping[str, dict], figures: Mapping[str, str]) -> dict[str, dict[str, dict]]:
    """The sets whose ratings were read in the publication, and the others: ``READ`` and ``NOT_READ``.

    ``table`` and ``figures`` are by set; a group without a set is left out.
    """
    groups = {READ: {}, NOT_READ: {}}
    for name, row in table.items():
        groups[READ if figures[name] == READ else NOT_READ][name] = row
    return {name: group for name, group in groups.items() if group}


def bootstrap_interval(
    groups: list[list[float]], *, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> list[float]:
    """Percentile interval of the mean of all values, whole groups drawn with replacement.

    ``groups``: the values of each; large groups weigh by their size, as in the mean (a cluster bootstrap).
    With few groups it is too narrow: 5 laboratories have 126 different draws.
    """
    sums, counts = np.array([sum(g) for g in groups]), np.array([len(g) for g in groups])
    chosen = np.random.default_rng(seed).integers(len(groups), size=(draws, len(groups)))
    means = sums[chosen].sum(axis=1) / counts[chosen].sum(axis=1)
    return np.quantile(means, [(1 - level) / 2, (1 + level) / 2]).tolist()


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Spearman's rank correlation; 0 where one side is constant and there is no order to agree with."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    constant = np.ptp(x) == 0 or np.ptp(y) == 0
    return 0.0 if constant else float(spearmanr(x, y).statistic)
