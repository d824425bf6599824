"""How well do the gate's verdicts keep their promises? False alarms, looks, several at once, power.

2,000 simulated comparisons a cell, with 3, 5 and 10 seeds, each with a seed of its own.

Conventions
    metric    what a seed's number is drawn from: normal; skewed (lognormal); heavy-tailed (Student's t,
              3 degrees); two-peaked (one seed in five fails and is 4 spreads worse).
    A/A       baseline and candidate from one source, so "worse" and "better" are false alarms. In pairs,
              half of the variance is the seed's, common to both.
    planted   the candidate is worse by the margin; the number of seeds is what ``seeds_needed`` gives.
    at the margin   the candidate is worse by exactly the margin: "no worse" is then the error.

As every comparison has its own seed, a cell does not depend on the others or on workers.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from joblib import Parallel, delayed
from scipy import stats
from tqdm import tqdm

from ablations.seeds import ALPHA, POWER, seeds_needed
from ablations.statistics import judge, judge_each
from study.sources import seeded

DATA = ()
NEEDS = ("Hydra",)
TAKES = "a few minutes"

TRIALS = 2000  # standard error of a share of 5 %: half a percentage point
SEEDS = (3, 5, 10)
METRICS = ("normal", "skewed", "heavy-tailed", "two-peaked")
LOOKS = 3
FAMILY = 5  # ablations judged together


def draw(metric: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers of ``size`` seeds of one model, (size,), mean 0 and standard deviation 1.

    ``metric`` is one of ``METRICS``; ValueError for another. All have the same first two moments, so that an
    ``effect`` means the same number of spreads in each of them.
    """
    if metric == "normal":
        return rng.standard_normal(size)
    if metric == "skewed":
        # Of exp(z), z standard normal: mean exp(1/2), variance (e - 1) e.
        spread = math.sqrt((math.e - 1) * math.e)
        return (rng.lognormal(size=size) - math.exp(0.5)) / spread
    if metric == "heavy-tailed":
        return rng.standard_t(3, size) / math.sqrt(3)  # variance 3 / (3 - 2)
    if metric == "two-peaked":
        # 4 with probability 1/5: mean 0.8, variance 16 / 5 * 4 / 5, beside that of the noise.
        failed = rng.random(size) < 0.2
        return (rng.standard_normal(size) + 4 * failed - 0.8) / math.sqrt(1 + 16 * 0.16)
    raise ValueError(f"no metric {metric!r}; there are {', '.join(METRICS)}")


def sides(
    metric: str, size: int, rng: np.random.Generator, *, paired: bool, effect: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Baseline and candidate, (size,) each; the candidate's mean is higher, so worse, by ``effect`` spreads.

    ``paired`` gives seed i of both sides a common part of half the variance, as runs that share a seed share
    data and initial weights.
    """
    common = draw(metric, size, rng) if paired else np.zeros(size)
    share = math.sqrt(0.5) if paired else 1.0  # both halves of the variance add up to 1
    return tuple(share * (common + draw(metric, size, rng)) + e for e in (0.0, effect))


def false_alarms(metric: str, size: int, paired: bool, trials: int) -> dict:
    """A/A: verdicts of worse and better in ``trials`` comparisons of ``size`` seeds a side.

    Returns ``share`` of both together (nominal: 5 %) with its 95 % Wilson ``interval``, ``trials``, and the
    counts of ``worse`` and of ``better``.
    """
    alarms = {"worse": 0, "better": 0}
    for t in range(trials):
        rng = seeded("A/A", metric, size, paired, t)
        verdict = judge(*sides(metric, size, rng, paired=paired), paired=paired).verdict
        if verdict in alarms:
            alarms[verdict] += 1
    return _share(sum(alarms.values()), trials) | alarms


def looked(size: int, trials: int) -> dict:
    """A/A with ``LOOKS`` looks while seeds come in, ``size`` pairs at each, stopping at the first verdict.

    ``share`` and ``interval`` of comparisons that were called worse or better at any look, by verdicts that
    know of the looks; ``uncorrected`` is the share without this knowledge, which is what repeated looking
    costs.
    """
    hits = naive = 0
    for t in range(trials):
        a, b = sides("normal", size * LOOKS, seeded("looks", size, t), paired=True)
        parts = [(a[: size * k], b[: size * k]) for k in range(1, LOOKS + 1)]
        hits += any(
            judge(*part, paired=True, look=k, looks=LOOKS).verdict in ("worse", "better")
            for k, part in enumerate(parts, start=1)
        )
        naive += any(judge(*part, paired=True).verdict in ("worse", "better") for part in parts)
    return _share(hits, trials) | {"uncorrected": naive / trials}


def several(size: int, trials: int) -> dict:
    """A/A of ``FAMILY`` candidates against one baseline of ``size`` seeds, not paired.

    ``share`` and ``interval`` of families with any verdict of worse or better, corrected by Holm
    (``judge_each``); ``uncorrected`` is the share where each is judged as if it were alone.
    """
    hits = naive = 0
    for t in range(trials):
        rng = seeded("family", size, t)
        baseline = rng.standard_normal(size)
        candidates = {str(i): rng.standard_normal(size) for i in range(FAMILY)}
        verdicts = judge_each(baseline, candidates, paired=False)
        hits += any(v.verdict in ("worse", "better") for v in verdicts.values())
        naive += any(
            judge(baseline, c, paired=False).verdict in ("worse", "better") for c in candidates.values()
        )
    return _share(hits, trials) | {"uncorrected": naive / trials}


def at_the_margin(metric: str, size: int, trials: int) -> dict:
    """The candidate is worse by exactly the margin, 1 spread: the share called "no worse".

    Paired. This is the type I error of non-inferiority, which must be at most 2.5 %, one-sided.
    """
    hits = 0
    for t in range(trials):
        a, b = sides(metric, size, seeded("margin", metric, size, t), paired=True, effect=1.0)
        hits += judge(a, b, paired=True, margin=1.0).verdict == "no worse"
    return _share(hits, trials)


def planted(metric: str, paired: bool, effect: float, trials: int) -> dict:
    """A regression of ``effect`` spreads, with as many seeds as ``seeds_needed`` asks for.

    ``share`` and ``interval`` called worse, to be compared with ``promised`` (the power asked for, 80 %);
    ``seeds`` a side. The number is computed for normal spreads; the other metrics show what the promise is
    worth elsewhere.
    """
    size = seeds_needed(effect, 1.0, paired=paired)
    hits = 0
    for t in range(trials):
        a, b = sides(metric, size, seeded("planted", metric, paired, effect, t), paired=paired, effect=effect)
        hits += judge(a, b, paired=paired).verdict == "worse"
    return _share(hits, trials) | {"seeds": size, "promised": POWER, "effect": effect}


def _share(hits: int, trials: int) -> dict:
    low, high = stats.binomtest(hits, trials).proportion_ci(method="wilson")
    return {"share": hits / trials, "interval": [float(low), float(high)], "trials": trials}


def options(parser: argparse.ArgumentParser) -> None:
    """Adds ``--trials``, comparisons a cell: the width of the intervals falls with its root."""
    parser.add_argument(
        "--trials", type=_count, default=TRIALS, help="comparisons a cell (default %(default)s)"
    )


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text}; at least 1")
    return int(text)


def run(*, trials: int = TRIALS, workers: int = -1) -> dict:
    """All cells, in parallel; with ``trials`` comparisons each.

    Returns
    -------
    dict
        ``level`` (0.05) and ``trials``; then a table by name, of what the function of that name returns:
        false_alarms["paired" or "unpaired"][metric][seeds], looks[seeds], several[seeds],
        margin[metric][seeds] (``at_the_margin``), planted["paired" or "unpaired"][metric][effect]. Keys are
        texts.
    """
    jobs = {
        **{
            ("false_alarms", kind, metric, str(size)): delayed(false_alarms)(
                metric, size, kind == "paired", trials
            )
            for kind in ("paired", "unpaired")
            for metric in METRICS
            for size in SEEDS
        },
        **{("looks", str(size)): delayed(looked)(size, trials) for size in SEEDS},
        **{("several", str(size)): delayed(several)(size, trials) for size in SEEDS},
        **{
            ("margin", metric, str(size)): delayed(at_the_margin)(metric, size, trials)
            for metric in METRICS
            for size in SEEDS
        },
        **{
            ("planted", kind, metric, f"{effect:g}"): delayed(planted)(
                metric, kind == "paired", effect, trials
            )
            for kind in ("paired", "unpaired")
            for metric in METRICS
            for effect in (0.5, 1.0, 2.0)
        },
    }
    done = Parallel(n_jobs=workers, return_as="generator")(jobs.values())
    measured: dict = {"level": ALPHA, "trials": trials}
    for key, value in zip(jobs, tqdm(done, total=len(jobs), desc="calibration", unit="cell"), strict=True):
        table = measured
        for word in key[:-1]:
            table = table.setdefault(word, {})
        table[key[-1]] = value
    return measured
