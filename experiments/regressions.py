"""Which planted bugs does the gate catch, and with how many seeds? By one number, and by a family of them.

Every config in ``configs/ablation`` with ten seeds on rendered instruments, each compared with the model that
it changes, as by somebody who tries this one only. What fewer seeds would have said is asked of many choices
of 3 and 5 among the ten. Runs that are there are not made again, so it goes on after an interrupt.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product

from joblib import delayed

from ablations import compare, family, plan, run_sets
from ablations import run as gate
from ablations.config import FOLDER, load
from ablations.statistics import Verdict, judge
from study.sources import seeded

DATA = ()
NEEDS = ("Hydra",)
TAKES = "half an hour"

SEEDS = 10  # of every ablation; what fewer would have said is told too
MARGIN = "5%"  # of the mean distance of the baseline
FEWER = (3, 5, 10)
CHOICES = 100  # of fewer seeds among all
BASE = "base"
BASELINES = {"swapped_labels": "by_label"}  # of ablations that change another model than the base


def names() -> list[str]:
    """Ablations by name, the base first: one for every file of ``configs/ablation``."""
    others = sorted(path.stem for path in (FOLDER / "ablation").glob("*.yaml") if path.stem != BASE)
    return [BASE, *others]


def run(*, runs: str = "runs", workers: int = -1, seeds: int = SEEDS) -> dict:
    """Make the runs that are missing, and judge them: what the report and notebook 06 show.

    ``seeds`` a model, of which 3, 5 and 10 are judged; ``runs`` is the folder they lie in.

    Returns
    -------
    dict
        margin, seeds, config   the tolerated worsening; sizes of the sets that were trained on and generated
        ablations               name -> ``why`` (the comment in its config), ``values``: metric -> a number a
                                seed, ``curves`` of (step, distance), ``seconds``; but for the base
                                ``baseline``, ``verdicts``: metric -> verdict of it alone, of all seeds;
                                ``family``, the verdict of all metrics with its sentence ``text``; and
                                ``caught``: seeds -> "distance" and "family" -> verdict -> share of choices
        itself                  half of the base's seeds against the other half: must not be worse or better
        plan                    how many seeds would show a dropped class (``ablations.plan``)
        data                    checksum of the reference recordings

    Raises ``ablations.run.RunError`` for a run of another config under one of these names.
    """
    # Seed by seed: what an interrupt leaves are whole replicates of all of them.
    configs = [
        load([f"ablation={n}", f"seed={s}", f"runs={runs}"]) for s, n in product(range(seeds), names())
    ]
    gate.in_parallel([delayed(gate.run)(config) for config in configs], workers=workers, what="runs")
    data, generate = configs[0].data, configs[0].generate
    sides = {name: run_sets.load_family(name, runs=runs) for name in names()}
    ablations = {name: _measured(name, side) for name, side in sides.items()}
    for name in names()[1:]:
        ablations[name] |= _judged(sides[BASELINES.get(name, BASE)], sides[name])
    base, half = sides[BASE], seeds // 2
    return {
        "margin": MARGIN,
        "seeds": seeds,
        "config": {"train": data.train, "reference": data.reference, "generate": generate},
        "ablations": ablations,
        "itself": _itself(base, half),
        "plan": _plan(sides),
        "data": gate.read(base.distance.folder / "0", "record.json")["data"]["reference"],
    }


def _measured(name: str, side: run_sets.Runs) -> dict:
    """Numbers of every seed of an ablation, from its runs."""
    tables = [gate.read(side.distance.folder / str(s), "metrics.json") for s in side.distance.values]
    return {
        "why": _why(name),
        "values": {m: [t[m] for t in tables] for m in family.METRICS},
        "curves": [[[p["step"], p["distance"]] for p in t["curve"]] for t in tables],
        "seconds": [t["seconds"] for t in tables],
    }


def _judged(baseline: run_sets.Runs, candidate: run_sets.Runs) -> dict:
    """Verdicts on one ablation: of each metric alone, of the family, and of fewer seeds."""
    (of_family,) = compare.compare_family(baseline, [candidate], margin=MARGIN).values()
    alone = {
        metric: compare.compare(
            side,
            [candidate.sides[metric]],
            margin=of_family.members[metric].margin,
            higher_is_better=metric in family.HIGHER_IS_BETTER,
        )[candidate.name]
        for metric, side in baseline.sides.items()
    }
    seeds = list(candidate.distance.values)
    return {
        "baseline": baseline.name,
        "verdicts": {metric: _plain(verdict) for metric, verdict in alone.items()},
        "family": of_family.to_dict() | {"text": str(of_family)},
        "caught": {str(n): _caught(baseline, candidate, n) for n in FEWER if n <= len(seeds)},
    }


def _caught(baseline: run_sets.Runs, candidate: run_sets.Runs, count: int) -> dict:
    """How often ``count`` of the seeds give which verdict, by the distance alone and by the family."""
    seeds, said = list(candidate.distance.values), {"distance": Counter(), "family": Counter()}
    choices = CHOICES if count < len(seeds) else 1
    for choice in range(choices):
        rng = seeded("choice of seeds", count, choice)  # the same for every ablation
        chosen = sorted(rng.choice(seeds, size=count, replace=False).tolist())
        sides = [side.of_seeds(chosen) for side in (baseline, candidate)]
        (of_family,) = compare.compare_family(sides[0], sides[1:], margin=MARGIN).values()
        (alone,) = compare.compare(sides[0].distance, [sides[1].distance], margin=MARGIN).values()
        said["distance"][alone.verdict] += 1
        said["family"][of_family.verdict] += 1
    return {kind: {word: n / choices for word, n in sorted(counts.items())} for kind, counts in said.items()}


def _itself(base: run_sets.Runs, half: int) -> dict:
    """The base against itself: other seeds, so nothing pairs."""
    values = base.distance.values
    margin = _margin(list(values.values()))
    seeds = list(values)
    parts = [base.of_seeds(part) for part in (seeds[:half], seeds[half:])]
    (of_family,) = compare.compare_family(parts[0], parts[1:], margin=MARGIN, paired=False).values()
    sides = [list(part.distance.values.values()) for part in parts]
    alone = _plain(judge(*sides, paired=False, margin=margin))
    return alone | {"family": of_family.to_dict() | {"text": str(of_family)}}


def _margin(baseline: Sequence[float]) -> float:
    return compare.absolute(MARGIN, sum(baseline) / len(baseline))


def _plan(sides: dict[str, run_sets.Runs]) -> dict:
    """How many seeds the distance needs, one of its family, to see that a class is dropped."""
    share = family.WEIGHTS["distance"] / sum(family.WEIGHTS.values())
    planned = plan.plan(sides[BASE].distance, sides["dropped_class"].distance, margin=MARGIN, share=share)
    return {
        "effect": planned.effect,
        "spread": planned.spread,
        "seeds": {str(files): count for files, count in planned.seeds.items()},
        "between": {str(files): list(counts) for files, counts in planned.between.items()},
        "file_share": planned.file_share,
        "files": planned.files,
        "text": str(planned),
    }


def _why(name: str) -> str:
    """The comment in the config's file."""
    lines = (FOLDER / "ablation" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return next(line[2:] for line in lines[1:] if line.startswith("# "))


def _plain(verdict: Verdict) -> dict:
    return {**verdict.to_dict(), "more": verdict.more}
