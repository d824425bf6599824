"""Replicates in, verdict out: is the candidate worse than the baseline, and by how much at least?

Conventions
    replicate     one number a seed: a run's metric. ``baseline`` and ``candidate`` are (seeds,) arrays.
    effect        mean of the candidate minus mean of the baseline, signed so that above 0 is *worse*:
                  as it is for a distance, with the sign turned where ``higher_is_better``.
    margin        the worsening that is tolerated, in the metric's unit, 0 or more.
    floor         the smallest effect worth a verdict of better or worse, in the metric's unit.
    interval      1 - level, Student's t: of the differences where seeds pair, else Welch's. It decides
                  everything; ``p_value`` belongs to it.
    pairs         the same seed gives both runs the same data split, order and noise. Then their
                  difference has less spread than either.
    known spread  what the spread over seeds cannot be smaller than: the metric's steps (a share of n files
                  goes in steps of 1 / n), and what the choice of files alone gives. With 2 or 3 seeds equal
                  differences are luck, not certainty: the variance is the larger of the two.

    verdict       rule (low to high is the interval of the effect)
    worse         low > 0, effect >= floor, and not "no worse"
    better        high < 0 and -effect >= floor
    no worse      high < margin
    undecided     everything else; ``more`` says how many seeds would probably decide it

Student's t supposes that the mean difference is about normal. How well it keeps its promise for 3 to 10
seeds, for skewed and heavy-tailed metrics too, is measured by ``experiments.calibration``. The permutation
test supposes nothing, but cannot give less than ``smallest_p``: 3 paired seeds have 2^3 swaps.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache

import numpy as np
from scipy import stats

from ablations.seeds import ALPHA, MOST_SEEDS, fewest_to_permute, seeds_needed, smallest_p

TESTS = ("t", "permutation")
EXIT_CODES = {"better": 0, "no worse": 0, "worse": 1, "undecided": 3}  # 2 is for wrong use
PERMUTATIONS = 9_999  # where there are more rearrangements than that
MOST_FILES = 1_000  # whose shares are told from numbers that know no steps


@dataclass(frozen=True)
class Verdict:
    """What one comparison says; see the module's conventions. ``str()`` is the sentence to read."""

    verdict: str  # better, no worse, worse or undecided
    effect: float
    interval: tuple[float, float]
    level: float  # after sequential looks; that of the interval is it over ``comparisons``
    p_value: float  # two-sided, of no difference; after Holm's correction where several are judged
    p_margin: float  # one-sided, times two: of a worsening by the margin or more; corrected likewise
    baseline: tuple[float, ...]
    candidate: tuple[float, ...]
    paired: bool
    margin: float
    floor: float
    test: str
    smallest_p: float  # that the permutation test can reach with these seeds; corrected likewise
    error: float  # standard error of the effect
    degrees: float  # of freedom, of the error
    comparisons: int = 1  # candidates: the interval is Bonferroni's
    share: float = 1.0  # of the level, that the correction gives it at its first step

    @property
    def exit_code(self) -> int:
        """0: better or no worse; 1: worse; 3: undecided."""
        return EXIT_CODES[self.verdict]

    @property
    def tolerated(self) -> bool:
        """A worsening that is sure, and within the margin: no worse by the rule, and still a loss."""
        sure = self.p_value <= self.level and self.effect > 0 and self.effect >= self.floor
        if self.test == "permutation":
            sure = sure and self.interval[0] > 0
        return self.verdict == "no worse" and sure

    @property
    def more(self) -> int | None:
        """Seeds a side that would decide it in 4 of 5 cases, were effect and spread as seen.

        None where it is decided, and where it would take over 10,000.
        """
        if self.verdict != "undecided":
            return None
        counts = [self.seeds_to(verdict) for verdict in ("worse", "better", "no worse")]
        return min((count for count in counts if count is not None), default=None)

    def seeds_to(self, verdict: str) -> int | None:
        """Seeds a side that would say worse, better or no worse in 4 of 5 cases, were all as seen.

        None for what the effect speaks against, and where it would take over 10,000.
        """
        # How far the interval has to clear a bound, zero or the margin, and at which level.
        gap = {"worse": self.effect, "better": -self.effect, "no worse": self.margin - self.effect}[verdict]
        level = self.level * self.share if verdict != "no worse" else self.level / self.comparisons
        if not gap > 0 or (verdict != "no worse" and gap < self.floor):
            return None
        n, m = len(self.baseline), len(self.candidate)
        spread = self.error / math.sqrt(1 / n if self.paired else 1 / n + 1 / m)
        count = seeds_needed(gap, spread, paired=self.paired, level=level)
        if count is None or verdict == "no worse" or self.test != "permutation":
            return count
        return max(count, fewest_to_permute(level, paired=self.paired))

    def to_dict(self) -> dict:
        """What a result keeps of it, in plain types."""
        names = ("verdict", "effect", "interval", "p_value", "margin")
        return {name: getattr(self, name) for name in names}

    def __str__(self) -> str:
        low, high = self.interval
        side = "pairs of seeds" if self.paired else f"and {len(self.candidate)} seeds"
        text = (
            f"{self.verdict}: effect {self.effect:+.4g} ({100 * (1 - self.level):.4g} % {low:+.4g} to "
            f"{high:+.4g}), p = {self.p_value:.2g}, {len(self.baseline)} {side}"
        )
        if self.verdict == "undecided":
            if self.test == "permutation" and self.smallest_p > self.level:
                text += f"; the permutation test cannot go below p = {self.smallest_p:.2g} with them"
            elif self.more is None:
                text += f"; more than {MOST_SEEDS:,} seeds a side would be needed"
            else:
                text += f"; about {self.more} seeds a side would decide it"
        return text


def judge(
    baseline: Sequence[float],
    candidate: Sequence[float],
    *,
    paired: bool,
    margin: float = 0.0,
    floor: float = 0.0,
    higher_is_better: bool = False,
    level: float = ALPHA,
    look: int = 1,
    looks: int = 1,
    test: str = "t",
    seed: int = 0,
    resolution: float | None = None,
    files_variance: float | tuple[float, float] = 0.0,
) -> Verdict:
    """Judge one candidate against the baseline.

    Parameters
    ----------
    baseline, candidate : sequences of float, (seeds,)
        One finite number a run, at least 2 each; of equal length, in the order of the seeds, if paired.
    paired : bool
        Whether value i of both is from the same seed. No default: it changes what is computed.
    margin, floor : float
        In the metric's unit, 0 or more.
    level : float
        Share of wrong verdicts of "worse" or "better" where nothing changed, and half of it of wrong
        "no worse" at the margin.
    look, looks : int
        This is look number ``look`` of ``looks`` planned ones; see ``spent``.
    test : "t" or "permutation"
        Where the p-value is from. The permutation test swaps pairs or deals the runs anew; the verdict
        of better or worse then needs its p and the interval.
    seed : int
        Of the permutation test, where there are too many rearrangements to do all.
    resolution : float, optional
        The metric's steps; by default ``step`` of all values.
    files_variance : float or two of them
        What the choice of files alone gives: variance of the difference in a pair; if not paired, of one
        replicate of the baseline and of the candidate.

    Raises
    ------
    ValueError
        For fewer than 2 seeds, numbers that are not finite, pairs of unequal length, a negative margin,
        floor, resolution or variance, a level outside of 0 to 1, a look that was not planned, an unknown
        test.
    """
    a, b = _checked(baseline, candidate, paired, margin, floor, level, test)
    allowed = spent(look, looks, level=level)
    sign = -1.0 if higher_is_better else 1.0
    known = _known_variance(step([*a, *b]) if resolution is None else resolution, files_variance, paired)
    effect, error, degrees = _effect(sign * a, sign * b, paired, known)
    two_sided = min(1.0, 2 * _upper_tail(abs(effect), error, degrees))
    return decided(
        Verdict(
            verdict="",
            effect=effect,
            interval=(0.0, 0.0),
            level=allowed,
            p_value=two_sided if test == "t" else _permutation_p(sign * a, sign * b, paired, seed),
            p_margin=min(1.0, 2 * _upper_tail(margin - effect, error, degrees)),
            baseline=tuple(a.tolist()),
            candidate=tuple(b.tolist()),
            paired=paired,
            margin=margin,
            floor=floor,
            test=test,
            smallest_p=smallest_p(len(a), len(b), paired=paired),
            error=error,
            degrees=degrees,
        )
    )


def judge_each(
    baseline: Sequence[float] | Mapping[str, Sequence[float]],
    candidates: Mapping[str, Sequence[float]],
    **settings,
) -> dict[str, Verdict]:
    """Judge several candidates, each p-value after Holm's correction (Holm 1979), and decide by these.

    ``baseline`` is one array, or one for each candidate (other seeds may pair with each). The intervals are
    Bonferroni's, level over the number of candidates, so they hold together. ``settings`` as ``judge``.
    """
    own = baseline if isinstance(baseline, Mapping) else dict.fromkeys(candidates, baseline)
    return together({name: judge(own[name], values, **settings) for name, values in candidates.items()})


def together(alone: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """What verdicts of one metric, each by ``judge``, are after the correction of ``judge_each``."""
    count = len(alone)
    if count < 2:
        return dict(alone)
    adjusted = {
        number: holm([getattr(verdict, number) for verdict in alone.values()])
        for number in ("p_value", "p_margin", "smallest_p")
    }
    return {
        name: decided(
            verdict,
            comparisons=count,
            share=1 / count,
            **{number: values[i] for number, values in adjusted.items()},
        )
        for i, (name, verdict) in enumerate(alone.items())
    }


def decided(verdict: Verdict, **numbers) -> Verdict:
    """A verdict with other ``numbers``, as a corrected ``p_value``, and what the conventions make of it."""
    verdict = replace(verdict, **numbers)
    half = verdict.error * _quantile(verdict.level / verdict.comparisons, verdict.degrees)
    low, high = verdict.effect - half, verdict.effect + half
    verdict = replace(verdict, interval=(low, high))
    significant = verdict.p_value <= verdict.level
    if verdict.test == "permutation":
        significant = significant and (low > 0 or high < 0)
    # What is significant is not 0, and what is significantly below the margin is below it.
    if significant and -verdict.effect >= verdict.floor:
        return replace(verdict, verdict="better")
    if verdict.p_margin <= verdict.level:
        return replace(verdict, verdict="no worse")
    if significant and verdict.effect >= verdict.floor:
        return replace(verdict, verdict="worse")
    return replace(verdict, verdict="undecided")


def holm(p_values: Sequence[float], weights: Sequence[float] | None = None) -> list[float]:
    """Adjusted p-values: below the level they are significant with the family's error rate kept.

    Whatever the dependence. ``weights``: how the level is divided at the first step, by default equally; both
    are in Holm (1979).
    """
    p = np.asarray(p_values)
    shares = np.ones(len(p)) if weights is None else np.asarray(weights, float)
    order = np.argsort(p / shares)
    # Of those that are not rejected yet, this one has its share of all their weights.
    left = np.cumsum(shares[order][::-1])[::-1]
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * left / shares[order]))
    return adjusted.tolist()


def spent(look: int, looks: int, *, level: float = ALPHA) -> float:
    """The level that look number ``look`` of ``looks`` may use, so that all together keep ``level``.

    Cumulated level after the share t of all looks: 2 - 2 Phi(z / sqrt t), the O'Brien-Fleming-like
    spending of Lan and DeMets (1983), hard early and almost ``level`` at the end. Each look uses what it
    adds: by the union bound the total is kept for any statistic and any dependence, for some power.
    """
    if not (1 <= look <= looks):
        raise ValueError(f"look {look} of {looks}: looks are planned beforehand and count from 1")
    if looks == 1:
        return level
    z = stats.norm.isf(level / 2)
    until = [2 * stats.norm.sf(z / math.sqrt(k / looks)) if k else 0.0 for k in (look - 1, look)]
    return float(until[1] - until[0])


# --------------------------------------------------------------------------------------------- inside


def _checked(baseline, candidate, paired, margin, floor, level, test) -> tuple[np.ndarray, np.ndarray]:
    sides = {"baseline": np.asarray(baseline, float), "candidate": np.asarray(candidate, float)}
    for role, values in sides.items():
        if values.ndim != 1:
            raise ValueError(f"the {role} is of shape {values.shape}; it is one number a seed, (seeds,)")
        if len(values) < 2:
            raise ValueError(
                f"the {role} has {len(values)} replicates; with fewer than 2 seeds nothing is known of "
                "their spread"
            )
        if not np.isfinite(values).all():
            bad = np.flatnonzero(~np.isfinite(values))
            raise ValueError(f"the {role} has {len(bad)} values that are not finite, the first at {bad[0]}")
    if paired and len(sides["baseline"]) != len(sides["candidate"]):
        raise ValueError(
            f"{len(sides['baseline'])} and {len(sides['candidate'])} replicates do not pair; leave out the "
            "seeds that only one side has, or compare unpaired"
        )
    for name, value in (("margin", margin), ("floor", floor)):
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} is {value}; it is 0 or more, in the metric's unit")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}; it lies between 0 and 1, and 0.05 is usual")
    if test not in TESTS:
        raise ValueError(f"no test {test!r}; there are {', '.join(TESTS)}")
    return sides["baseline"], sides["candidate"]


def _effect(a: np.ndarray, b: np.ndarray, paired: bool, known: Sequence[float]) -> tuple[float, float, float]:
    """Effect, its standard error and degrees of freedom; ``known`` variances are the least there are."""
    effect = float(b.mean() - a.mean())
    if paired:
        variance = max(float(np.var(b - a, ddof=1)), known[0])
        return effect, math.sqrt(variance / len(a)), len(a) - 1
    seen = [max(float(side.var(ddof=1)), least) for side, least in zip((a, b), known, strict=True)]
    parts = np.array(seen) / [len(a), len(b)]
    degrees = np.array([len(a) - 1, len(b) - 1])
    if parts.sum() == 0.0:
        return effect, 0.0, float(degrees.sum())
    # Welch and Satterthwaite, in shares: squares of tiny variances would vanish.
    shares = parts / parts.sum()
    return effect, float(math.sqrt(parts.sum())), float(1 / (shares**2 / degrees).sum())


def _known_variance(
    resolution: float, files_variance: float | tuple[float, float], paired: bool
) -> tuple[float, ...]:
    """The least variance: of the difference in a pair, or of a replicate of either side.

    Rounding to steps of q has variance q^2 / 12 (Sheppard), and a difference twice that. Both are part of
    the spread over seeds, so it is the larger that counts, not their sum.
    """
    files = tuple(np.atleast_1d(files_variance).tolist())
    if len(files) != (1 if paired else 2) and files != (0.0,):
        raise ValueError(
            f"files_variance is {files_variance}; in pairs it is one number, else one of either side"
        )
    for name, value in (("resolution", resolution), *(("files_variance", value) for value in files)):
        if not (value >= 0 and math.isfinite(value)):
            raise ValueError(f"{name} is {value}; it is 0 or more")
    rounding = resolution**2 / (6 if paired else 12)
    return tuple(max(rounding, value) for value in (files if len(files) > 1 or paired else 2 * files))


def step(values: Sequence[float]) -> float:
    """The step in which values go, seen from them: 1 / n for the fewest files n of which all are shares.

    Exactly, or where there is no such n up to ``MOST_FILES``, within half of the last digit that is written
    (7/30 may be written .2333). 0 where there is none so either, and where all values are equal.
    """
    x = np.unique(np.asarray(values, float))
    if len(x) < 2:
        return 0.0
    counts = np.arange(1, MOST_FILES + 1)
    off = np.abs(x[:, None] * counts - np.rint(x[:, None] * counts)).max(axis=0) / counts
    digit = 10.0 ** min(Decimal(repr(value)).normalize().as_tuple().exponent for value in x.tolist())
    for tolerance in (1e-12 * float(np.abs(x).max()), digit / 2):
        if (possible := counts[off <= tolerance]).size:
            return 1 / int(possible[0])
    return 0.0


def _upper_tail(distance: float, error: float, degrees: float) -> float:
    if error == 0.0:
        return 0.0 if distance > 0 else 1.0
    return float(stats.t.sf(distance / error, degrees))


def _permutation_p(a: np.ndarray, b: np.ndarray, paired: bool, seed: int) -> float:
    result = stats.permutation_test(
        (b, a),
        lambda x, y, axis=-1: x.mean(axis=axis) - y.mean(axis=axis),
        permutation_type="samples" if paired else "independent",
        vectorized=True,
        n_resamples=PERMUTATIONS,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)


@lru_cache(maxsize=1024)
def _quantile(level: float, degrees: float) -> float:
    return float(stats.t.isf(level / 2, degrees))


def mean_interval(values: Sequence[float], *, level: float = ALPHA) -> list[float]:
    """Low and high of the mean of ``values`` (two or more independent ones), Student's t."""
    half = _quantile(level, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    return [float(np.mean(values) - half), float(np.mean(values) + half)]
