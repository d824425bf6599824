"""How sure a value is, and the difference of two: intervals from the unit-by-unit kernel, no bootstrap.

Conventions
    kernel     K, (units, units), symmetric: mean over windows and views of |x - y|^(1/2); 0 on the diagonal
               and between partners.
    draw       what is left out at once: a unit, or a matched pair, or a unit that is in both sets.
    kind       of a draw: of the reference alone (0), of the candidate alone (1), of both (2).
    stratum    the draws of one kind in one block, which are a sample of their own.
    block      a comparison of a part of the units. Sets too large for one kernel are split at random into
               several, and their value is the weighted mean of those of the blocks.

The value V is a U-statistic. Up to second order its error is that of single draws and of pairs of them::

    V - E V  ~  sum_u c_u + sum_{u != v} h_uv        c_u = (size - 1) / size (mean V(-u) - V(-u))

V(-u) is the value without draw u; mean and size are of its stratum; h_uv is what a pair contributes to the
value, centred within the strata. The moments of the error, the first of which is the jackknife's (Efron and
Stein 1981, doi:10.1214/aos/1176345462), are::

    variance       sum over strata of size / (size - 1) sum c_u^2
    third moment   third + 6 curvature,   third = sum c_u^3,   curvature = sum_{u != v} c_u h_uv c_v

The error is taken to follow a gamma distribution with this skewness. The interval is then that of BCa (Efron
1987, doi:10.1080/01621459.1987.10478410) with the gamma in the place of the resampled values and acceleration
third / (6 variance^(3/2)), widened by Student's t over the normal quantile. It is correct to second order,
and reaches further up than down where the variance grows with the value, as where only a part of the files
differs. (A bootstrap would hold copies of a unit at distance zero: its intervals cover nothing.)
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from audio_distance.units import PairCounts

KINDS = 3
LARGEST_SKEWNESS = 3.0  # the square of a normal has 8^(1/2), and sets of one source have no more
SMALLEST_CHANCE = 1e-12  # of an end of an interval, so that its quantile is finite


@dataclass(frozen=True)
class Moments:
    """A value, and what each draw does to it: all that intervals need, without the kernel.

    Attributes
    ----------
    value : float
    units : (draws,) int
        The unit of each draw; of a pair the reference's.
    strata : (draws,) int
        ``KINDS`` * block + kind.
    without : (draws,)
        The value without that draw.
    linear : (draws,)
        c: the draw's own part in the error of the value.
    acting : (draws,)
        sum_v h_uv c_v, what the errors of the other draws do to it; up to a constant of its stratum, in which
        c sums to 0.
    within_reference : float
        The part of the curvature in which both draws are of the reference alone; no candidate changes it.
    """

    value: float
    units: NDArray[np.int_]
    strata: NDArray[np.int_]
    without: NDArray[np.float64]
    linear: NDArray[np.float64]
    acting: NDArray[np.float64]
    within_reference: float

    @property
    def kinds(self) -> NDArray[np.int_]:
        """0 reference, 1 candidate, 2 both: (draws,)."""
        return self.strata % KINDS

    def keys(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """(set, name) of each draw from the names of the units; what is of both stands under "reference"."""
        return [
            ("candidate" if kind == 1 else "reference", names[unit])
            for unit, kind in zip(self.units, self.kinds, strict=True)
        ]


def moments(kernel: ArrayLike, members: ArrayLike, *, partner: ArrayLike | None = None) -> Moments:
    """From the kernel between all units of one comparison.

    Parameters
    ----------
    kernel : array, (units, units)
        See above; used in float64. Two products with a few columns are all that is done with it.
    members : array of int, (units,)
        1 reference, 2 candidate, 3 both.
    partner : array of int, (units,), optional
        The matched unit of the other set, or -1. By default no unit has one.

    Raises
    ------
    ValueError
        With fewer than 3 units in a set: without one of them it would have no pair.
    """
    K, members = np.asarray(kernel, float), np.asarray(members)
    partner = np.full(len(K), -1) if partner is None else np.asarray(partner)
    r, c = ((members & bit > 0).astype(float) for bit in (1, 2))
    n, m = int(r.sum()), int(c.sum())
    if min(n, m) < 3:
        raise ValueError(f"{n} and {m} units; an interval needs at least 3 in each set")
    kind_of = np.where((members == 3) | (partner >= 0), 2, members - 1)
    draws = np.flatnonzero((partner < 0) | (members != 2))
    kinds, mate = kind_of[draws], partner[draws]

    def by_draw(of_units: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of a pair the sum over its two units."""
        return of_units[draws] + np.where(mate >= 0, of_units[mate], 0.0)

    # The part of a pair of units in the value is H_uv = -s_u s_v K_uv.
    s = r / n - c / m
    sums = K @ np.column_stack([r, c, s[:, None] * (kind_of[:, None] == np.arange(KINDS))])
    to_r, to_c, to_kinds = sums[:, 0], sums[:, 1], sums[:, 2:]

    # Kernel sums within the reference, across and within the candidate: of all, and of what each draw adds.
    everything = float(to_r @ r), float(to_r @ c), float(to_c @ c)
    added = by_draw(2 * r * to_r), by_draw(r * to_c + c * to_r), by_draw(2 * c * to_c)
    counts = PairCounts(n, m, int((kinds == 2).sum()))
    without, linear, diagonal = np.zeros((3, len(draws)))
    for kind in np.unique(kinds):
        here = kinds == kind
        size = int(here.sum())
        left = PairCounts(n - (kind != 1), m - (kind != 0), counts.matched - (kind == 2))
        without[here] = left.value(
            *(total - part[here] for total, part in zip(everything, added, strict=True))
        )
        linear[here] = (size - 1) / size * (without[here].mean() - without[here])
        # H has no diagonal, but centred within the stratum it gets one, which no pair of draws is.
        rows = by_draw(-s * to_kinds[:, kind])[here]
        diagonal[here] = (rows.mean() - 2 * rows) / size

    # H c needs no centring: c sums to 0 in every stratum.
    weighted = np.zeros(len(K))
    weighted[draws] = linear
    weighted[mate[mate >= 0]] = linear[mate >= 0]
    weighted *= s
    of_reference = np.where(kind_of == 0, weighted, 0.0)
    products = K @ np.column_stack([weighted, of_reference])
    return Moments(
        value=counts.value(*everything),
        units=draws,
        strata=kinds,
        without=without,
        linear=linear,
        acting=by_draw(-s * products[:, 0]) - diagonal * linear,
        within_reference=-float(of_reference @ products[:, 1] + (diagonal * linear**2)[kinds == 0].sum()),
    )


def combined(
    blocks: Sequence[Moments], weights: Sequence[float], *, units: Sequence[ArrayLike] | None = None
) -> Moments:
    """Of the weighted mean of independent comparisons, V = sum_b w_b V_b.

    Parameters
    ----------
    blocks : sequence of Moments
        As ``moments`` gives them; no unit is in two of them.
    weights : sequence of float
        One a block; they sum to 1.
    units : sequence of arrays of int, optional
        For each block the indices of its units among all. By default they are numbered block after block,
        which is right where every block's last unit is a draw.
    """
    pairs = list(zip(weights, blocks, strict=True))
    value = sum(w * block.value for w, block in pairs)
    if units is None:
        ends = np.cumsum([block.units.max() + 1 for block in blocks])
        units = [np.arange(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    # A weight is in c once and in H once, so that the variance has it squared and third moments cubed.
    return Moments(
        value=value,
        units=np.concatenate([np.asarray(u)[b.units] for u, b in zip(units, blocks, strict=True)]),
        strata=np.concatenate([KINDS * i + block.strata for i, block in enumerate(blocks)]),
        without=np.concatenate([value + w * (block.without - block.value) for w, block in pairs]),
        linear=np.concatenate([w * block.linear for w, block in pairs]),
        acting=np.concatenate([w**2 * block.acting for w, block in pairs]),
        within_reference=sum(w**3 * block.within_reference for w, block in pairs),
    )


def interval(moments: Moments, *, level: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the value that infinitely many units would have.

    Parameters
    ----------
    moments : Moments
    level : float
        Coverage, .95 by default.

    Returns
    -------
    (low, high), of no width where no draw makes a difference.

    Raises
    ------
    ValueError
        For a level that is not between 0 and 1.
    """
    curvature = float(moments.linear @ moments.acting)
    error = _error(moments.strata, moments.linear, curvature, samples=moments.kinds)
    below, above = _margins(error, _normal_quantile(level))
    return moments.value - below, moments.value + above


def difference_of(
    first: Moments,
    second: Moments,
    *,
    keys: tuple[Sequence[Hashable], Sequence[Hashable]],
    level: float = 0.95,
) -> tuple[float, tuple[float, float], float]:
    """The value of one comparison minus that of another with the same reference.

    Parameters
    ----------
    first, second : Moments
    keys : pair of sequences
        What each draw of either is called; draws of one key are left out together.
    level : float
        Coverage, .95 by default.

    Returns
    -------
    value, (low, high), p-value
        Two-sided; the interval of level 1 - p ends at 0. p is 1 where no draw makes a difference.

    Notes
    -----
    The interval of one value, from the moments of the difference. No kernel between the candidates is needed,
    for it is no part of the difference. (Tried as well: limits stratum by stratum, combined by MOVER, Zou and
    Donner 2008, doi:10.1002/sim.3095, with the larger of their p-value and a permutation's. They were wider,
    claimed as much at equal distance and less at unequal ones.)
    """
    value = first.value - second.value
    error = _error_of_difference(first, second, keys)
    below, above = _margins(error, _normal_quantile(level))
    return value, (value - below, value + above), _p_value(error, value)


def jackknife_interval(value: float, strata: Iterable[ArrayLike], level: float = 0.95) -> tuple[float, float]:
    """Stratified delete-one jackknife with t; degrees of freedom after Welch and Satterthwaite.

    Parameters
    ----------
    value : float
        The estimate with all units.
    strata : iterable of arrays
        For each independent sample, the values without each of its units in turn.
    level : float
        Coverage, .95 by default.

    Returns
    -------
    (low, high), symmetric about ``value``; of zero width where no unit makes a difference.

    Notes
    -----
    Not a bootstrap: a resampled set holds copies, a copy of a file is at distance zero from itself, and
    the interval then covers nothing (measured: 0 %). Deterministic besides.
    """
    variance, freedom = jackknife_variance(strata)
    half = float(special.stdtrit(freedom, 0.5 + level / 2)) * math.sqrt(variance)
    return value - half, value + half


def jackknife_variance(strata: Iterable[ArrayLike]) -> tuple[float, float]:
    """Variance of a sum over independent samples, and its degrees of freedom.

    The variance of a stratum of n is (n - 1) / n sum_i (x_i - mean x)^2 (Efron and Stein 1981,
    doi:10.1214/aos/1176345462); degrees of freedom after Satterthwaite (1946, doi:10.2307/3002019).
    A stratum of one unit says nothing of its spread and is left out.
    """
    parts = [((len(s) - 1) * float(np.var(s)), len(s) - 1) for s in map(np.asarray, strata) if len(s) > 1]
    variance = sum(part for part, _ in parts)
    squares = sum(part**2 / freedom for part, freedom in parts)
    return variance, variance**2 / squares if squares > 0 else 1.0


@dataclass(frozen=True)
class _Error:
    """Of an estimate: moments, degrees of freedom, and how much of its skewness is believed (0 to 1)."""

    variance: float
    third: float
    curvature: float
    freedom: float
    known: float


def _error(
    strata: NDArray[np.int_],
    linear: NDArray[np.float64],
    curvature: float,
    *,
    samples: NDArray[np.int_],
) -> _Error:
    """From the draws; ``samples``, (draws,): strata of one sample know together what each alone does not."""
    _, first, place, sizes = np.unique(strata, return_index=True, return_inverse=True, return_counts=True)
    several = sizes > 1  # one draw tells nothing of a spread
    freedom = sizes[several] - 1
    variance = np.bincount(place, linear**2)[several] * sizes[several] / freedom
    total, squares = float(variance.sum()), float((variance**2 / freedom).sum())
    together = np.bincount(samples[first][several], freedom)
    # Skewness from a handful of draws is noise: of 3 in the smallest sample none is believed, of 5 a half.
    smallest = float(together[together > 0].min(initial=math.inf))
    return _Error(
        variance=total,
        third=float((linear**3).sum()),
        curvature=curvature,
        # Satterthwaite (1946, doi:10.2307/3002019).
        freedom=total**2 / squares if squares > 0 else 1.0,
        known=max(0.0, 1 - 2 / smallest),
    )


def _error_of_difference(
    first: Moments, second: Moments, keys: tuple[Sequence[Hashable], Sequence[Hashable]]
) -> _Error:
    """c = c1 - c2, key by key, and H = H1 - H2."""
    place = {key: i for i, key in enumerate(dict.fromkeys([*keys[0], *keys[1]]))}
    linear, acting = np.zeros((2, 2, len(place)))
    kinds = np.full((2, len(place)), KINDS)
    for i, (one, own) in enumerate(zip((first, second), keys, strict=True)):
        at = [place[key] for key in own]
        linear[i, at], acting[i, at], kinds[i, at] = one.linear, one.acting, one.kinds
    # A stratum for each kind in the first together with each kind, or none, in the second.
    strata = (KINDS + 1) * kinds[0] + kinds[1]
    _, stratum, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    both = linear[0] - linear[1]
    both -= (np.bincount(stratum, both) / sizes)[stratum]
    common = (kinds < KINDS).all(axis=0)
    curvature = 0.0
    if not kinds[:, common].any():
        # (c1 - c2)' (H1 - H2) (c1 - c2). Of its terms neither comparison knows c2'H1 c2 and c1'H2 c1, but
        # only the reference is in both, H1 = H2 there, and the other comparison knows it.
        curvature = float(
            linear[0] @ acting[0]
            - linear[1] @ acting[1]
            + 2 * (linear[0] @ acting[1] - linear[1] @ acting[0])
            + second.within_reference
            - first.within_reference
        )
    # Where more is in both (pairs, candidates of one name) no curvature is used: with a kernel of all three
    # sets, which has it, there were more false claims than without.
    return _error(strata, both, curvature, samples=strata)


def _margins(error: _Error, z: float) -> tuple[float, float]:
    """How far the interval reaches below and above; ``z`` is the normal quantile of its level."""
    if error.variance <= 0:
        return 0.0, 0.0
    spread = math.sqrt(error.variance)
    acceleration = error.known * error.third / (6 * spread**3)
    skewness = error.known * (error.third + 6 * error.curvature) / spread**3
    skewness = min(max(skewness, -LARGEST_SKEWNESS), LARGEST_SKEWNESS)
    bias = float(special.ndtri(_gamma_chance(0.0, skewness)))
    scale = spread * float(special.stdtrit(error.freedom, special.ndtr(z))) / z
    ends = []
    for end in (bias - z, bias + z):
        # Beyond the pole of this, which is Efron's (1987) equation, it would turn back.
        chance = float(special.ndtr(bias + end / max(1 - acceleration * end, 0.1)))
        chance = min(max(chance, SMALLEST_CHANCE), 1 - SMALLEST_CHANCE)
        ends.append(scale * _gamma_quantile(chance, skewness))
    return -ends[0], ends[1]


def _p_value(error: _Error, value: float) -> float:
    """1 - level of the interval that ends at 0, by halving."""
    if error.variance <= 0:
        return 1.0
    side = 0 if value > 0 else 1
    low, high = 1e-6, 8.0
    for _ in range(50):
        z = (low + high) / 2
        low, high = (z, high) if _margins(error, z)[side] < abs(value) else (low, z)
    return float(2 * special.ndtr(-low))


def _normal_quantile(level: float) -> float:
    """Of a two-sided level."""
    if not 0 < level < 1:
        raise ValueError(f"level={level}; between 0 and 1 is needed")
    return float(special.ndtri(0.5 + level / 2))


def _gamma_chance(x: float, skewness: float) -> float:
    """P(X <= x) of the gamma distribution with mean 0 and variance 1, mirrored for a skewness below 0."""
    if abs(skewness) < 1e-3:  # as good as normal, and its shape is above 4 million
        return float(special.ndtr(x))
    shape = 4 / skewness**2
    point = max(shape + math.copysign(math.sqrt(shape), skewness) * x, 0.0)
    return float((special.gammainc if skewness > 0 else special.gammaincc)(shape, point))


def _gamma_quantile(chance: float, skewness: float) -> float:
    """The inverse of ``_gamma_chance``. (scipy.stats has both as pearson3, and takes a second to import.)"""
    if abs(skewness) < 1e-3:
        return float(special.ndtri(chance))
    shape = 4 / skewness**2
    point = float((special.gammaincinv if skewness > 0 else special.gammainccinv)(shape, chance))
    return math.copysign(1 / math.sqrt(shape), skewness) * (point - shape)
