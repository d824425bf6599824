"""Which planted bugs does the gate catch, and with how many seeds?

Every config in ``configs/ablation`` with ten seeds on rendered instruments, compared with the base; what the
verdicts were with fewer seeds too. Runs that are there are not made again, so it goes on after an interrupt.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from joblib import delayed

from ablations import compare, plan
from ablations import run as gate
from ablations.config import FOLDER, load
from ablations.statistics import Verdict, judge, judge_each

DATA = ()
NEEDS = ("Hydra",)
TAKES = "half an hour"

SEEDS = 10  # of every ablation; what fewer would have said is told too
MARGIN = "5%"  # of the mean of the base
FEWER = (3, 5, 10)
METRICS = ("distance", "envelope", "attack", "fine_structure")
BASE = "base"


def names() -> list[str]:
    """Ablations by name, the base first: one for every file of ``configs/ablation``."""
    others = sorted(path.stem for path in (FOLDER / "ablation").glob("*.yaml") if path.stem != BASE)
    return [BASE, *others]


def run(*, runs: str = "runs", workers: int = -1, seeds: int = SEEDS) -> dict:
    """Make the runs that are missing, and judge them: what the report and notebook 06 show.

    ``seeds`` a model, of which the first 3, 5 and 10 are judged too; ``runs`` is the folder they lie in.

    Returns
    -------
    dict
        margin, seeds, config   the tolerated worsening; sizes of the sets that were trained on and generated
        ablations               name -> ``why`` (the comment in its config), ``values``: metric -> a number a
                                seed, ``curves`` of (step, distance), ``seconds``; but for the base
                                ``verdicts``: metric -> number of seeds -> verdict among all (Holm), and
                                ``alone``
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
    sides = {name: compare.load(name, runs=runs) for name in names()}
    ablations = {name: _measured(name, side) for name, side in sides.items()}
    _judge(ablations, seeds)
    baseline, half = ablations[BASE]["values"]["distance"], seeds // 2
    return {
        "margin": MARGIN,
        "seeds": seeds,
        "config": {"train": data.train, "reference": data.reference, "generate": generate},
        "ablations": ablations,
        # The base against itself: other seeds, so nothing pairs.
        "itself": _plain(judge(baseline[:half], baseline[half:], paired=False, margin=_margin(baseline))),
        "plan": _plan(sides),
        "data": gate.read(sides[BASE].folder / "0", "record.json")["data"]["reference"],
    }


def _measured(name: str, side: compare.RunSet) -> dict:
    """Numbers of every seed of an ablation, from its runs."""
    tables = [gate.read(side.folder / str(s), "metrics.json") for s in side.values]
    return {
        "why": _why(name),
        "values": {m: [t[m] for t in tables] for m in METRICS},
        "curves": [[[p["step"], p["distance"]] for p in t["curve"]] for t in tables],
        "seconds": [t["seconds"] for t in tables],
    }


def _judge(ablations: dict[str, dict], seeds: int) -> None:
    """Verdicts on every ablation against the base: all together, by metric and number of seeds; and alone."""
    others = [name for name in ablations if name != BASE]
    for count, metric in product((n for n in FEWER if n <= seeds), METRICS):
        baseline = ablations[BASE]["values"][metric][:count]
        candidates = {n: ablations[n]["values"][metric][:count] for n in others}
        verdicts = judge_each(baseline, candidates, paired=True, margin=_margin(baseline))
        for name, verdict in verdicts.items():
            table = ablations[name].setdefault("verdicts", {}).setdefault(metric, {})
            table[str(count)] = _plain(verdict)
    baseline = ablations[BASE]["values"]["distance"]
    for name in others:  # as for somebody who tries this one only
        values = ablations[name]["values"]["distance"]
        ablations[name]["alone"] = _plain(judge(baseline, values, paired=True, margin=_margin(baseline)))


def _margin(baseline: Sequence[float]) -> float:
    return compare.absolute(MARGIN, sum(baseline) / len(baseline))


def _plan(sides: dict[str, compare.RunSet]) -> dict:
    """How many seeds would have been enough to see that a class is dropped."""
    planned = plan.plan(sides[BASE], sides["dropped_class"], margin=MARGIN)
    return {
        "effect": planned.effect,
        "spread": planned.spread,
        "seeds": {str(files): count for files, count in planned.seeds.items()},
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
