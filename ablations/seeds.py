"""How many seeds: the power of a t-test, and of one whose spread is known from a pilot only.

Conventions
    effect    what must not be missed, above 0: a worsening, or the distance of the true effect to the margin.
    spread    standard deviation over seeds: of the differences if paired, else of one side.
    power     chance that the effect is called worse, by a t-test at level / 2 on its side.
    assurance the power, averaged over what a pilot leaves open of the spread (O'Hagan, Stevens and Campbell
              2005, doi:10.1002/pst.175): given s with k degrees of freedom, sigma^2 is k s^2 / chi^2_k.
              A spread plugged in as if it were known promises too much: the pilot's luck is not repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy import special, stats

ALPHA = 0.05  # significance level: share of false verdicts that is accepted
POWER = 0.8  # Cohen's convention
MOST_SEEDS = 10_000  # more than anybody trains
NODES = 100  # of the quadrature over the spread: the assurance is right to 1e-7
TAIL = 1e-14  # of the chi distribution, left out on both sides


def power(seeds: int, effect: float, spread: float, *, paired: bool, level: float = ALPHA) -> float:
    """Chance that a true ``effect`` is called worse with ``seeds`` a side: noncentral t, upper tail.

    ``spread``: standard deviation over seeds, of the differences if paired, else of one side.
    """
    if seeds < 2:
        return 0.0
    degrees, error = _design(seeds, spread, paired)
    if error == 0.0:
        return 1.0 if effect > 0 else 0.0
    return float(stats.nct.sf(stats.t.isf(level / 2, degrees), degrees, effect / error))


def assurance(
    seeds: int, effect: float, spread: float, *, degrees: int, paired: bool, level: float = ALPHA
) -> float:
    """``power`` averaged over the true spread, of which a pilot saw ``spread`` with ``degrees`` of freedom.

    With x = chi_degrees, sigma = spread sqrt(degrees) / x: the integral of the power over the density of x.
    """
    if seeds < 2:
        return 0.0
    own, error = _design(seeds, spread, paired)
    if error == 0.0:
        return 1.0 if effect > 0 else 0.0
    x, weights = _chi(degrees)
    found = stats.nct.sf(stats.t.isf(level / 2, own), own, effect / error * x / math.sqrt(degrees))
    return float(weights @ found)


def _design(seeds: int, spread: float, paired: bool) -> tuple[int, float]:
    """Degrees of freedom and standard error of the effect."""
    degrees = seeds - 1 if paired else 2 * seeds - 2
    return degrees, spread * math.sqrt((1 if paired else 2) / seeds)


@lru_cache(maxsize=64)
def _chi(degrees: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of Gauss and Legendre for means over the chi distribution; weights sum to 1."""
    low, high = stats.chi.ppf(TAIL, degrees), stats.chi.isf(TAIL, degrees)
    nodes, weights = special.roots_legendre(NODES)
    x = low + (high - low) * (nodes + 1) / 2
    density = weights * stats.chi.pdf(x, degrees)
    return x, density / density.sum()


def seeds_needed(
    effect: float,
    spread: float,
    *,
    paired: bool,
    power_wanted: float = POWER,
    level: float = ALPHA,
    degrees: int | None = None,
) -> int | None:
    """Fewest seeds a side with which a true ``effect`` is called worse so often; None: over 10,000.

    By the symmetry of the interval it is also the number that shows "no worse" when the true effect lies
    ``effect`` below the margin.

    Parameters
    ----------
    degrees : int, optional
        Degrees of freedom of the ``spread``, where a pilot saw it: the number that gives ``power_wanted`` on
        average over what it may be (``assurance``). None takes it for known.

    Raises
    ------
    ValueError
        For an effect that is not above 0, a spread below 0, a power outside 0 to 1, and no degree of freedom.
    """
    if not effect > 0 or not math.isfinite(effect):
        raise ValueError(f"effect is {effect}; a number of seeds exists for effects above 0 only")
    if not (spread >= 0 and math.isfinite(spread)):
        raise ValueError(f"spread is {spread}; it is a standard deviation, 0 or more")
    if not 0 < power_wanted < 1:
        raise ValueError(f"power is {power_wanted}; it lies between 0 and 1")
    if degrees is not None and degrees < 1:
        raise ValueError(f"degrees are {degrees}; a spread is seen with 1 degree of freedom or more")

    def chance(seeds: int) -> float:
        if degrees is None:
            return power(seeds, effect, spread, paired=paired, level=level)
        return assurance(seeds, effect, spread, degrees=degrees, paired=paired, level=level)

    return _fewest(chance, power_wanted)


def _fewest(chance: Callable[[int], float], wanted: float) -> int | None:
    """The smallest number from 2 on whose ``chance``, which grows with it, is ``wanted`` or more."""
    low, high = 1, 2
    while high <= MOST_SEEDS and chance(high) < wanted:
        low, high = high, 2 * high
    if high > MOST_SEEDS:
        high = MOST_SEEDS
        if chance(high) < wanted:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if chance(middle) < wanted:
            low = middle
        else:
            high = middle
    return high


def smallest_p(baselines: int, candidates: int, *, paired: bool) -> float:
    """The smallest two-sided p a permutation test can give: 2 over the number of rearrangements."""
    count = 2**baselines if paired else math.comb(baselines + candidates, baselines)
    # What was seen is as extreme as itself: one rearrangement at least, and the rarer side counts twice.
    return min(1.0, 2 / count)


def fewest_to_permute(level: float, *, paired: bool) -> int:
    """Fewest seeds a side with which a permutation test can give a p of ``level``, above 0, or less."""
    seeds = 2
    while smallest_p(seeds, seeds, paired=paired) > level:
        seeds += 1
    return seeds
