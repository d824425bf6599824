"""How well do the gate's verdicts keep their promises? False alarms, looks, several at once, power.

2,000 simulated comparisons a cell, with 2, 3, 5 and 10 seeds, each with a seed of its own.

Conventions
    metric    what a seed's number is drawn from: normal; skewed (lognormal); heavy-tailed (Student's t,
              3 degrees); two-peaked (one seed in five fails and is 4 spreads worse).
    A/A       baseline and candidate from one source, so "worse" and "better" are false alarms. In pairs,
              half of the variance is the seed's, common to both.
    family    all metrics of one comparison, correlated as over the seeds of results/regressions.json's base.
    few       20 clips, so that a metric goes in steps or is noisy, and 2 or 3 seeds.
    pilot     seeds whose spread is all that is known where the number of seeds is planned.
    planted   the candidate is worse by the margin; the number of seeds is what ``seeds_needed`` gives.
    at the margin   the candidate is worse by exactly the margin: "no worse" is then the error.
    failing   the same, but all of it is a share of seeds that fail, of the candidate alone: the only cell in
              which the two sides have other distributions.
    unequal   A/A of a few seeds against many, not paired.

As every comparison has its own seed, a cell does not depend on the others or on workers.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from joblib import Parallel, delayed
from scipy import stats
from tqdm import tqdm

from ablations import family, jackknife
from ablations.compare import MARGIN, absolute
from ablations.seeds import ALPHA, MOST_SEEDS, POWER, power, seeds_needed
from ablations.statistics import judge, judge_each
from audio_distance.features import split_views
from audio_distance.views import VIEW_COLUMNS
from study import results
from study.distances import energy, nearest_neighbour_quality
from study.sources import seeded

DATA = ()
NEEDS = ("Hydra",)
TAKES = "a few minutes"

TRIALS = 2000  # standard error of a share of 5 %: half a percentage point
SEEDS = (3, 5, 10)
METRICS = ("normal", "skewed", "heavy-tailed", "two-peaked")
LOOKS = 3
SEVERAL = 5  # ablations judged together
CLIPS = 20  # that a run is measured on where they are few
RIGHT = 0.9  # chance that a clip is named right
LATENT = 6  # dimensions in which clips differ
FEW = (2, 3)  # seeds
FEW_METRICS = ("accuracy", "coverage", "distance")
PILOTS = (2, 3, 5, 10)
FAILURES = 0.2  # share of the candidate's seeds
QUIET = 0.3  # spread over seeds of either side but for failures, in margins: as of pairs that go along
UNEQUAL = ((2, 10), (3, 10))  # seeds of baseline and candidate
SPREADS = 200  # that a pilot may see: the middles of as many equally likely parts


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
    """A/A of ``SEVERAL`` candidates against one baseline of ``size`` seeds, not paired.

    ``share`` and ``interval`` of families with any verdict of worse or better, corrected by Holm
    (``judge_each``); ``uncorrected`` is the share where each is judged as if it were alone.
    """
    hits = naive = 0
    for t in range(trials):
        rng = seeded("family", size, t)
        baseline = rng.standard_normal(size)
        candidates = {str(i): rng.standard_normal(size) for i in range(SEVERAL)}
        verdicts = judge_each(baseline, candidates, paired=False)
        hits += any(v.verdict in ("worse", "better") for v in verdicts.values())
        naive += any(
            judge(baseline, c, paired=False).verdict in ("worse", "better") for c in candidates.values()
        )
    return _share(hits, trials) | {"uncorrected": naive / trials}


def correlated() -> tuple[dict[str, float], np.ndarray]:
    """Means of the family's metrics over the seeds of the base, by name, and their covariance."""
    values = results.read("regressions")["ablations"]["base"]["values"]
    known = {name: values[name] for name in family.METRICS if name in values}
    return {name: float(np.mean(own)) for name, own in known.items()}, np.cov(list(known.values()))


def judged_as_family(size: int, paired: bool, trials: int) -> dict:
    """A/A of the whole family with ``size`` seeds: metrics as correlated as measured, margins as by default.

    ``share`` and ``interval`` of comparisons called worse or better, the counts of ``worse`` and ``better``,
    and ``uncorrected``: the share in which any metric alone is called so.
    """
    means, covariance = correlated()
    margins = family.amounts(absolute(MARGIN, means["distance"]), absolute(MARGIN, 1.0))
    alarms, naive = {"worse": 0, "better": 0}, 0
    common = 0.5 if paired else 0.0
    for t in range(trials):
        rng = seeded("family A/A", size, paired, t)
        # (common, baseline, candidate), seeds, metrics
        drawn = rng.multivariate_normal(np.zeros(len(means)), covariance, size=(3, size))
        rows = [math.sqrt(common) * drawn[0] + math.sqrt(1 - common) * own for own in drawn[1:]]
        sides = [dict(zip(means, (own + list(means.values())).T, strict=True)) for own in rows]
        alone = family.judge_alone(*sides, paired=paired, margins=margins, resolution=0.0)
        naive += any(verdict.verdict in alarms for verdict in alone.values())
        verdict = family.judged_together({"": alone})[""].verdict
        if verdict in alarms:
            alarms[verdict] += 1
    return _share(sum(alarms.values()), trials) | alarms | {"uncorrected": naive / trials}


def few(metric: str, size: int, trials: int) -> dict:
    """A/A in pairs on ``CLIPS`` clips with ``size`` seeds: the share wrongly called worse, at most 2.5 %.

    ``share`` and ``interval`` where the metric's steps and the clips' sampling error are known to the
    verdict; ``unknown``: where the spread over seeds is all it has.
    """
    hits = unknown = 0
    better = metric != "distance"
    for t in range(trials):
        rng = seeded("few", metric, size, t)
        a, b, step, variance = FEW_DRAWS[metric](size, rng)
        known = judge(a, b, paired=True, higher_is_better=better, resolution=step, files_variance=variance)
        hits += known.verdict == "worse"
        blind = judge(a, b, paired=True, higher_is_better=better, resolution=0.0)
        unknown += blind.verdict == "worse"
    return _share(hits, trials) | {"unknown": unknown / trials}


def _named(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Accuracies of two sides on the same clips, the metric's step, and no known variance."""
    a, b = rng.binomial(CLIPS, RIGHT, size=(2, size)) / CLIPS
    return a, b, 1 / CLIPS, 0.0


def _generated(metric: str, size: int, rng: np.random.Generator):
    """The same of coverage or distance of generated clips, in the numbers that the distance hears."""
    columns = sum(len(range(*own.indices(10**6))) for own in VIEW_COLUMNS.values())
    mixing = rng.standard_normal((LATENT, columns)) / math.sqrt(LATENT * columns)

    def clips() -> np.ndarray:
        noise = 0.3 * rng.standard_normal((CLIPS, columns)) / math.sqrt(columns)
        return rng.standard_normal((CLIPS, LATENT)) @ mixing + noise

    reference = clips()
    values: tuple[list[float], list[float]] = ([], [])
    variances = []
    for _ in range(size):
        without = []
        for side in values:
            made = clips()
            side.append(_measured(metric, reference, made))
            without.append(jackknife.without_each(reference[:, None], made[:, None])[metric])
        variances.append(jackknife.variance(without[1] - without[0]))
    step = 1 / CLIPS if metric == "coverage" else 0.0
    return np.array(values[0]), np.array(values[1]), step, float(np.mean(variances))


def _measured(metric: str, reference: np.ndarray, made: np.ndarray) -> float:
    if metric == "coverage":
        return nearest_neighbour_quality(reference, made)["coverage"]
    pairs = zip(split_views(reference).values(), split_views(made).values(), strict=True)
    return float(np.mean([energy(*pair) for pair in pairs]))


FEW_DRAWS = {
    "accuracy": _named,
    "coverage": lambda size, rng: _generated("coverage", size, rng),
    "distance": lambda size, rng: _generated("distance", size, rng),
}


def piloted(seeds: int, paired: bool, effect: float, spreads: int = SPREADS) -> dict:
    """Power reached on average, of an ``effect`` in spreads, by who plans with the spread of a pilot.

    ``share``: with the number of seeds that the assurance asks for; ``plugged_in``: with the one that takes
    the pilot's spread for the truth; both to be compared with ``promised``. ``seeds``: median number asked
    for, and ``most``, that of the unluckiest pilot in 20. No draws: a pilot's spread is chi-distributed, and
    every one of ``spreads`` equally likely parts of that distribution is gone through.
    """
    degrees = seeds - 1  # of one model, or of differences
    known = np.sqrt(stats.chi2.ppf((np.arange(spreads) + 0.5) / spreads, degrees) / degrees)
    reached, asked = {}, []
    for name, own in (("share", degrees), ("plugged_in", None)):
        counts = [seeds_needed(effect, s, paired=paired, degrees=own) or MOST_SEEDS for s in known.tolist()]
        of = {count: power(count, effect, 1.0, paired=paired) for count in set(counts)}
        reached[name] = float(np.mean([of[count] for count in counts]))
        asked = asked or counts
    return {
        **reached,
        "seeds": int(np.median(asked)),
        "most": int(np.quantile(asked, 0.95)),
        "promised": POWER,
        "effect": effect,
    }


def at_the_margin(metric: str, size: int, trials: int) -> dict:
    """The candidate is worse by exactly the margin, 1 spread: the share called "no worse".

    Paired. This is the type I error of non-inferiority, which must be at most 2.5 %, one-sided.
    """
    hits = 0
    for t in range(trials):
        a, b = sides(metric, size, seeded("margin", metric, size, t), paired=True, effect=1.0)
        hits += judge(a, b, paired=True, margin=1.0).verdict == "no worse"
    return _share(hits, trials)


def failing(size: int, trials: int) -> dict:
    """The candidate is worse by exactly the margin, because some of its seeds fail: the share "no worse".

    Paired. ``FAILURES`` of its seeds are worse by the margin over this share, the others are as the
    baseline's. At most 2.5 % were promised; but a few seeds often hold no failure (``unseen``, the chance of
    that), and then nothing in them tells of one.
    """
    hits = 0
    for t in range(trials):
        rng = seeded("failing", size, t)
        a, b = QUIET * rng.standard_normal((2, size))
        b += (rng.random(size) < FAILURES) / FAILURES
        hits += judge(a, b, paired=True, margin=1.0, resolution=0.0).verdict == "no worse"
    return _share(hits, trials) | {"unseen": (1 - FAILURES) ** size}


def unequal(metric: str, sizes: tuple[int, int], trials: int) -> dict:
    """A/A of ``sizes`` seeds, not paired: the share called worse or better (nominal: 5 %)."""
    hits = 0
    for t in range(trials):
        rng = seeded("unequal", metric, *sizes, t)
        verdict = judge(*(draw(metric, size, rng) for size in sizes), paired=False).verdict
        hits += verdict in ("worse", "better")
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
        margin[metric][seeds] (``at_the_margin``), failing[seeds], unequal[metric]["2 / 10"],
        planted["paired" or "unpaired"][metric][effect],
        family["paired" or "unpaired"][seeds] (``judged_as_family``), few[metric][seeds],
        pilots["paired" or "unpaired"][effect][seeds] (``piloted``). Keys are texts.
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
        **{("failing", str(size)): delayed(failing)(size, trials) for size in SEEDS},
        **{
            ("unequal", metric, " / ".join(map(str, sizes))): delayed(unequal)(metric, sizes, trials)
            for metric in METRICS
            for sizes in UNEQUAL
        },
        **{
            ("planted", kind, metric, f"{effect:g}"): delayed(planted)(
                metric, kind == "paired", effect, trials
            )
            for kind in ("paired", "unpaired")
            for metric in METRICS
            for effect in (0.5, 1.0, 2.0)
        },
        **{
            ("family", kind, str(size)): delayed(judged_as_family)(size, kind == "paired", trials)
            for kind in ("paired", "unpaired")
            for size in (2, *SEEDS)
        },
        **{
            ("few", metric, str(size)): delayed(few)(metric, size, trials)
            for metric in FEW_METRICS
            for size in FEW
        },
        **{
            ("pilots", kind, f"{effect:g}", str(seeds)): delayed(piloted)(
                seeds, kind == "paired", effect, min(SPREADS, trials)
            )
            for kind in ("paired", "unpaired")
            for effect in (0.5, 1.0, 2.0)
            for seeds in PILOTS
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
