"""How sure the value is, and the difference of two values: intervals from the unit-by-unit kernel.

Conventions
    kernel     (units, units), symmetric: mean over windows and views of |x - y|^(1/2); 0 on the diagonal and
               between partners.
    draw       what is left out at once: a unit, or a matched pair, or a unit that is in both sets.
    stratum    draws of one kind, a sample of its own: of the reference alone (kind 0), of the candidate
               alone (1), of both at once (2).
    block      a comparison of a part of the units; sets that are too large for one kernel are the weighted
               mean of several, whose strata are independent.

The value V is a U-statistic. To second order its error is that of a polynomial in the draws::

    V - E V ~ sum_u c_u + 1/2 sum_{u != v} h_uv,        c_u = (size - 1) / size (mean of V(-u) - V(-u))

with V(-u) the value without draw u, means over its stratum, and h the kernel of second order. Its moments, of
which today's jackknife has the first (Efron and Stein 1981, doi:10.1214/aos/1176345462), are those of V::

    variance   sum over strata of size / (size - 1) sum c^2
    third      sum c^3: the skewness of single draws
    curvature  sum_{u != v} c_u H_uv c_v: how draws act together, with H the part of each pair in the value

The error is taken for a gamma's with skewness (third + 6 curvature) / variance^(3/2), and the interval is what
BCa (Efron 1987, doi:10.1080/01621459.1987.10478410) makes of it with acceleration third / (6 variance^(3/2)),
widened by the ratio of Student's quantile to the normal one. It is correct to second order, and reaches
further up than down where the variance grows with the value: where only a part of the files differs, or rare
kinds. No bootstrap is drawn: copies of a unit would be at distance zero.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from audio_distance.units import PairCounts

KINDS = 3  # of draws: of the reference alone, of the candidate alone, of both
LARGEST_SKEWNESS = 3.0  # beyond it the gamma's ends are those of few draws
SMALLEST_CHANCE = 1e-12  # of an end of an interval: keeps quantiles finite


@dataclass(frozen=True)
class Moments:
    """The value, and what each draw does to it.

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
        c above: the draw's own part in the error of the value.
    acting : (draws,)
        H c, without the draw itself: its part in the error together with the other draws.
    """

    value: float
    units: NDArray[np.int_]
    strata: NDArray[np.int_]
    without: NDArray[np.float64]
    linear: NDArray[np.float64]
    acting: NDArray[np.float64]

    @property
    def kinds(self) -> NDArray[np.int_]:
        """0 reference, 1 candidate, 2 both: (draws,)."""
        return self.strata % KINDS


def moments(kernel: ArrayLike, members: ArrayLike, *, partner: ArrayLike | None = None) -> Moments:
    """From the kernel between all units of one comparison.

    Parameters
    ----------
    kernel : array, (units, units)
        See above. Used in float64; three products with it are all the work.
    members : array of int, (units,)
        1 reference, 2 candidate, 3 in both.
    partner : array of int, (units,), optional
        The matched unit of the other set, or -1 (all of them by default).

    Raises
    ------
    ValueError
        With fewer than 3 units in a set: without one of them, a set would have no pair.
    """
    K, members = np.asarray(kernel, float), np.asarray(members)
    partner = np.full(len(K), -1) if partner is None else np.asarray(partner)
    in_reference, in_candidate = (members & 1) > 0, (members & 2) > 0
    n, m = int(in_reference.sum()), int(in_candidate.sum())
    if min(n, m) < 3:
        raise ValueError(f"{n} and {m} units; an interval needs 3 in each set")
    joint = (members == 3) | (partner >= 0)
    kind_of_unit = np.where(joint, 2, members - 1)
    draws = np.flatnonzero((partner < 0) | (members != 2))  # a pair is one draw
    kinds, mate = kind_of_unit[draws], partner[draws]

    def by_draw(of_unit: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over the one or two units of each draw."""
        return of_unit[draws] + np.where(mate >= 0, of_unit[mate], 0)

    # H_uv = -s_u s_v K_uv: the part of a pair of units in the value, both of its orders together being 2 H.
    s = in_reference / n - in_candidate / m
    own = s[:, None] * (kind_of_unit[:, None] == np.arange(KINDS))
    sums = K @ np.column_stack([in_reference, in_candidate, own])
    to_reference, to_candidate, to_kinds = sums[:, 0], sums[:, 1], sums[:, 2:]

    # The value, and the value without each draw, from what its units add to the three sums.
    counts = PairCounts(n, m, int(joint[draws].sum()))
    totals = [float(a @ b) for a, b in _sides(in_reference, in_candidate, to_reference, to_candidate)]
    left_out = (
        by_draw(2 * in_reference * to_reference),
        by_draw(in_reference * to_candidate + in_candidate * to_reference),
        by_draw(2 * in_candidate * to_candidate),
    )
    value = counts.value(*totals)
    without, linear, diagonal = np.zeros((3, len(draws)))
    for kind in np.unique(kinds):
        here = kinds == kind
        size = int(here.sum())
        left = PairCounts(n - (kind != 1), m - (kind != 0), counts.matched - (kind == 2))
        without[here] = left.value(
            *(total - part[here] for total, part in zip(totals, left_out, strict=True))
        )
        linear[here] = (size - 1) / size * (without[here].mean() - without[here])
        # Of H centred within the stratum, as the kernel of second order is.
        rows = by_draw(-s * to_kinds[:, kind])[here]
        diagonal[here] = rows.mean() / size - 2 * rows / size

    of_unit = np.zeros(len(K))
    of_unit[draws] = linear
    of_unit[mate[mate >= 0]] = linear[mate >= 0]
    # No centring here: c sums to 0 in every stratum.
    acting = by_draw(-s * (K @ (s * of_unit))) - diagonal * linear
    return Moments(value, draws, kinds, without, linear, acting)


def _sides(
    in_reference: NDArray[np.bool_],
    in_candidate: NDArray[np.bool_],
    to_reference: NDArray[np.float64],
    to_candidate: NDArray[np.float64],
) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """What the sums over pairs within the reference, across and within the candidate are products of."""
    return [(to_reference, in_reference), (to_reference, in_candidate), (to_candidate, in_candidate)]


def combined(
    blocks: Sequence[Moments], weights: Sequence[float], *, units: Sequence[ArrayLike] | None = None
) -> Moments:
    """Of the weighted mean of independent comparisons: V = sum_b w_b V_b.

    Parameters
    ----------
    blocks : sequence of Moments
        No unit is in two of them.
    weights : sequence of float
        One a block; they sum to 1.
    units : sequence of arrays of int, optional
        For each block the index among all units of each of its own; as they stand in it by default.

    Notes
    -----
    The weight enters the variance squared, third moment and curvature to the third power: ``linear`` has it
    once, ``acting`` (H and c) twice.
    """
    value = sum(w * block.value for w, block in zip(weights, blocks, strict=True))
    units = units if units is not None else [np.arange(block.units.max() + 1) for block in blocks]

    def joined(parts: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        return np.concatenate(parts)

    pairs = list(zip(weights, blocks, strict=True))
    return Moments(
        value=value,
        units=np.concatenate([np.asarray(u)[b.units] for u, b in zip(units, blocks, strict=True)]),
        strata=np.concatenate([KINDS * i + block.kinds for i, block in enumerate(blocks)]),
        without=joined([value + w * (block.without - block.value) for w, block in pairs]),
        linear=joined([w * block.linear for w, block in pairs]),
        acting=joined([w**2 * block.acting for w, block in pairs]),
    )


def interval(moments: Moments, *, level: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the value at infinitely many units.

    Parameters
    ----------
    moments : Moments
    level : float
        Coverage, .95 by default.

    Returns
    -------
    (low, high), of zero width where no draw makes a difference.
    """
    strata = _strata(moments.strata, moments.linear, moments.linear * moments.acting)
    # Blocks of one kind know together what each alone does not.
    by_kind = np.bincount(strata.labels % KINDS, strata.freedom)
    known = _known(by_kind[by_kind > 0])
    below, above = _margins(
        float(strata.variance.sum()),
        float(strata.third.sum()),
        float(strata.curvature.sum()),
        freedom=_freedom(strata),
        known=known,
        z=_two_sided(level),
    )
    return moments.value - below, moments.value + above


def difference_of(
    first: Moments,
    second: Moments,
    *,
    names: tuple[Sequence[Hashable], Sequence[Hashable]],
    level: float = 0.95,
) -> tuple[float, tuple[float, float], float]:
    """Value of the first comparison minus that of the second, its interval and p-value.

    Parameters
    ----------
    first, second : Moments
        Of two candidates and one reference.
    names : pair of sequences
        What each draw of either is called; draws of one name are left out together.
    level : float
        Coverage, .95 by default.

    Returns
    -------
    value, (low, high), p-value
        Two-sided: the interval of level 1 - p ends at 0.
    """
    value = first.value - second.value
    strata = _common_strata(first, second, names)
    z = _two_sided(level)
    below, above = _combined_margins(strata, z)
    return value, (value - below, value + above), _p_value(strata, value)


def _common_strata(
    first: Moments, second: Moments, names: tuple[Sequence[Hashable], Sequence[Hashable]]
) -> _Strata:
    """A stratum for each pair of kinds that a draw is of in the two comparisons (or in one alone)."""
    place = {name: i for i, name in enumerate(dict.fromkeys([*names[0], *names[1]]))}
    linear = np.zeros(len(place))
    label = np.zeros(len(place), int)
    for sign, base, part, own in ((1, 1, first, names[0]), (-1, KINDS + 1, second, names[1])):
        at = [place[name] for name in own]
        linear[at] += sign * part.linear
        label[at] += base * (part.kinds + 1)
    _, members = np.unique(label, return_inverse=True)
    linear -= (np.bincount(members, linear) / np.bincount(members))[members]
    return _strata(label, linear, np.zeros(len(linear)))


def _combined_margins(strata: _Strata, z: float) -> tuple[float, float]:
    """Root of the sum of squares over the strata: MOVER (Zou and Donner 2008, doi:10.1002/sim.3095)."""
    freedom, known = _freedom(strata), _known(strata.freedom)
    each = np.array(
        [
            _margins(*three, freedom=freedom, known=known, z=z)
            for three in zip(strata.variance, strata.third, strata.curvature, strict=True)
        ]
    ).reshape(-1, 2)
    squares = (each * np.abs(each)).sum(axis=0)  # a margin may be on the other side of the value
    below, above = np.sign(squares) * np.sqrt(np.abs(squares))
    return float(below), float(above)


def _p_value(strata: _Strata, value: float) -> float:
    """1 - level of the interval that ends at zero, found by halving."""
    if not strata.variance.sum() > 0:
        return 1.0
    side = 0 if value > 0 else 1
    low, high = 1e-6, 8.0
    for _ in range(50):
        z = (low + high) / 2
        low, high = (z, high) if _combined_margins(strata, z)[side] < abs(value) else (low, z)
    return float(2 * special.ndtr(-low))


@dataclass(frozen=True)
class _Strata:
    """Moments stratum by stratum, all (strata,); those of a single draw, which has no spread, left out."""

    labels: NDArray[np.int_]
    variance: NDArray[np.float64]
    third: NDArray[np.float64]
    curvature: NDArray[np.float64]
    freedom: NDArray[np.float64]


def _strata(labels: NDArray[np.int_], linear: NDArray[np.float64], curvature: NDArray[np.float64]) -> _Strata:
    """From the draws' stratum, linear part, and product of linear part and what the others do to it."""
    names, place, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    several = sizes > 1
    squares, cubes, together = (
        np.bincount(place, part, len(names))[several] for part in (linear**2, linear**3, curvature)
    )
    freedom = sizes[several] - 1.0
    return _Strata(names[several], squares * (freedom + 1) / freedom, cubes, together, freedom)


def _freedom(strata: _Strata) -> float:
    """Degrees of freedom of a sum of variances (Satterthwaite 1946, doi:10.2307/3002019)."""
    squares = float((strata.variance**2 / strata.freedom).sum())
    return float(strata.variance.sum()) ** 2 / squares if squares > 0 else 1.0


def _known(freedom: NDArray[np.float64]) -> float:
    """How much of an observed skewness is believed: none up to 4 draws in the smallest sample."""
    return max(0.0, 1 - 3 / float(freedom.min(initial=math.inf)))


def _two_sided(level: float) -> float:
    return float(special.ndtri(0.5 + level / 2))


def _margins(
    variance: float, third: float, curvature: float, *, freedom: float, known: float, z: float
) -> tuple[float, float]:
    """How far the interval reaches below and above; ``z`` is the normal quantile of its level."""
    if variance <= 0:
        return 0.0, 0.0
    spread = math.sqrt(variance)
    acceleration = known * third / (6 * spread**3)
    skewness = known * (third + 6 * curvature) / spread**3
    skewness = min(max(skewness, -LARGEST_SKEWNESS), LARGEST_SKEWNESS)
    bias = float(special.ndtri(_gamma_chance(0.0, skewness)))
    widened = spread * float(special.stdtrit(freedom, special.ndtr(z))) / z
    ends = []
    for signed in (-z, z):
        shifted = bias + signed
        # Efron's (1987) equation for BCa, with the root of its denominator kept away.
        chance = float(special.ndtr(bias + shifted / max(1 - acceleration * shifted, 0.1)))
        chance = min(max(chance, SMALLEST_CHANCE), 1 - SMALLEST_CHANCE)
        ends.append(widened * _gamma_quantile(chance, skewness))
    return -ends[0], ends[1]


def _gamma_chance(x: float, skewness: float) -> float:
    """P(X <= x) for a gamma of mean 0 and variance 1, mirrored where ``skewness`` is negative."""
    if abs(skewness) < 1e-3:  # the normal; its shape would be over 4 million
        return float(special.ndtr(x))
    shape = 4 / skewness**2
    point = max(shape + math.copysign(math.sqrt(shape), skewness) * x, 0.0)
    return float((special.gammainc if skewness > 0 else special.gammaincc)(shape, point))


def _gamma_quantile(chance: float, skewness: float) -> float:
    """The inverse of ``_gamma_chance``."""
    if abs(skewness) < 1e-3:
        return float(special.ndtri(chance))
    shape = 4 / skewness**2
    point = (special.gammaincinv if skewness > 0 else special.gammainccinv)(shape, chance)
    return math.copysign(1 / math.sqrt(shape), skewness) * (float(point) - shape)
