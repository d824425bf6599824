"""The gate tried on planted bugs: ``python -m ablations study`` -> results/regressions.json

Every config in ``configs/ablation`` with ``SEEDS`` seeds, compared with the base; what the verdicts were with
fewer seeds too. Runs that are there are not made again, so it goes on after an interrupt.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product

from joblib import Parallel, delayed
from tqdm import tqdm

from ablations import compare, plan, run
from ablations.config import FOLDER, load
from ablations.statistics import Verdict, judge, judge_each
from study import results

SEEDS = 10
MARGIN = "5%"
FEWER = (3, 5, 10)
METRICS = ("distance", "envelope", "attack", "fine_structure")
BASE = "base"


def names() -> list[str]:
    """Ablations, the base first."""
    others = sorted(path.stem for path in (FOLDER / "ablation").glob("*.yaml") if path.stem != BASE)
    return [BASE, *others]


def study(*, runs: str, seeds: int = SEEDS, workers: int = -1) -> dict:
    """Make the runs, judge them: what the report and notebook 06 show."""
    configs = [
        load([f"ablation={n}", f"seed={s}", f"runs={runs}"]) for s, n in product(range(seeds), names())
    ]
    done = Parallel(n_jobs=workers, return_as="generator_unordered")(delayed(run.run)(c) for c in configs)
    for _ in tqdm(done, total=len(configs), desc="runs", unit="run"):
        pass
    data, generate = configs[0].data, configs[0].generate
    found: dict = {
        "margin": MARGIN,
        "seeds": seeds,
        "config": {"train": data.train, "reference": data.reference, "generate": generate},
        "ablations": {},
    }
    sides = {n: compare.load(n, runs=runs) for n in names()}
    for name, side in sides.items():
        tables = [run.read(side.folder / str(s), "metrics.json") for s in side.values]
        found["ablations"][name] = {
            "why": _why(name),
            "values": {m: [t[m] for t in tables] for m in METRICS},
            "curves": [[[p["step"], p["distance"]] for p in t["curve"]] for t in tables],
            "seconds": [t["seconds"] for t in tables],
        }
    others = names()[1:]
    for count in (n for n in FEWER if n <= seeds):
        for metric in METRICS:
            baseline = found["ablations"][BASE]["values"][metric][:count]
            margin = compare.absolute(MARGIN, sum(baseline) / count)
            candidates = {n: found["ablations"][n]["values"][metric][:count] for n in others}
            verdicts = judge_each(baseline, candidates, paired=True, margin=margin)
            for name, verdict in verdicts.items():
                table = found["ablations"][name].setdefault("verdicts", {}).setdefault(metric, {})
                table[str(count)] = _plain(verdict)
    baseline = found["ablations"][BASE]["values"]["distance"]
    margin = compare.absolute(MARGIN, sum(baseline) / seeds)
    for name in others:  # as for somebody who tries this one only
        row = found["ablations"][name]
        row["alone"] = _plain(judge(baseline, row["values"]["distance"], paired=True, margin=margin))
    half = seeds // 2  # the base against itself: other seeds, so nothing pairs
    found["itself"] = _plain(judge(baseline[:half], baseline[half:], paired=False, margin=margin))
    planned = plan.plan(sides[BASE], sides["dropped_class"], margin=MARGIN)
    found["plan"] = {
        "effect": planned.effect,
        "spread": planned.spread,
        "seeds": {str(files): count for files, count in planned.seeds.items()},
        "file_share": planned.file_share,
        "files": planned.files,
        "text": str(planned),
    }
    record = run.read(sides[BASE].folder / "0", "record.json")
    found["data"] = record["data"]["reference"]
    return found


def _why(name: str) -> str:
    """The comment in the config's file."""
    lines = (FOLDER / "ablation" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return next(line[2:] for line in lines[1:] if line.startswith("# "))


def _plain(verdict: Verdict) -> dict:
    return {**verdict.to_dict(), "more": verdict.more}


def main(arguments: Sequence[str]) -> int:
    """``python -m ablations study``: write results/regressions.json."""
    parser = argparse.ArgumentParser(
        prog="python -m ablations study",
        description="Every ablation with ten seeds against the base; goes on after an interrupt.",
    )
    parser.add_argument("--runs", default="runs", help="folder of the runs (default %(default)s)")
    parser.add_argument("--workers", type=int, default=-1, help="processes; -1: one a core (default)")
    options = parser.parse_args(arguments)
    found = study(runs=options.runs, workers=options.workers)
    print(results.write("regressions", found, made_by="python -m ablations study", seed=0))
    return 0
