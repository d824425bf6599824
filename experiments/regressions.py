"""Which planted bugs does the gate catch, and with how many seeds?

Every config in ``configs/ablation`` with ten seeds on rendered instruments, compared with the base; what the
verdicts were with fewer seeds too. Runs that are there are not made again, so it goes on after an interrupt.
"""

from __future__ import annotations

from itertools import product

from joblib import Parallel, delayed
from tqdm import tqdm

from ablations import compare, plan
from ablations import run as gate
from ablations.config import FOLDER, load
from ablations.statistics import Verdict, judge, judge_each

DATA = ()
NEEDS = ("Hydra",)
TAKES = "half an hour"

SEEDS = 10
MARGIN = "5%"
FEWER = (3, 5, 10)
METRICS = ("distance", "envelope", "attack", "fine_structure")
BASE = "base"


def names() -> list[str]:
    """Ablations, the base first."""
    others = sorted(path.stem for path in (FOLDER / "ablation").glob("*.yaml") if path.stem != BASE)
    return [BASE, *others]


def run(*, runs: str = "runs", workers: int = -1, seeds: int = SEEDS) -> dict:
    """Make the runs, judge them: what the report and notebook 06 show."""
    configs = [
        load([f"ablation={n}", f"seed={s}", f"runs={runs}"]) for s, n in product(range(seeds), names())
    ]
    done = Parallel(n_jobs=workers, return_as="generator_unordered")(delayed(gate.run)(c) for c in configs)
    for _ in tqdm(done, total=len(configs), desc="runs", unit="run"):
        pass
    data, generate = configs[0].data, configs[0].generate
    measured: dict = {
        "margin": MARGIN,
        "seeds": seeds,
        "config": {"train": data.train, "reference": data.reference, "generate": generate},
        "ablations": {},
    }
    sides = {n: compare.load(n, runs=runs) for n in names()}
    for name, side in sides.items():
        tables = [gate.read(side.folder / str(s), "metrics.json") for s in side.values]
        measured["ablations"][name] = {
            "why": _why(name),
            "values": {m: [t[m] for t in tables] for m in METRICS},
            "curves": [[[p["step"], p["distance"]] for p in t["curve"]] for t in tables],
            "seconds": [t["seconds"] for t in tables],
        }
    others = names()[1:]
    for count in (n for n in FEWER if n <= seeds):
        for metric in METRICS:
            baseline = measured["ablations"][BASE]["values"][metric][:count]
            margin = compare.absolute(MARGIN, sum(baseline) / count)
            candidates = {n: measured["ablations"][n]["values"][metric][:count] for n in others}
            verdicts = judge_each(baseline, candidates, paired=True, margin=margin)
            for name, verdict in verdicts.items():
                table = measured["ablations"][name].setdefault("verdicts", {}).setdefault(metric, {})
                table[str(count)] = _plain(verdict)
    baseline = measured["ablations"][BASE]["values"]["distance"]
    margin = compare.absolute(MARGIN, sum(baseline) / seeds)
    for name in others:  # as for somebody who tries this one only
        row = measured["ablations"][name]
        row["alone"] = _plain(judge(baseline, row["values"]["distance"], paired=True, margin=margin))
    half = seeds // 2  # the base against itself: other seeds, so nothing pairs
    measured["itself"] = _plain(judge(baseline[:half], baseline[half:], paired=False, margin=margin))
    planned = plan.plan(sides[BASE], sides["dropped_class"], margin=MARGIN)
    measured["plan"] = {
        "effect": planned.effect,
        "spread": planned.spread,
        "seeds": {str(files): count for files, count in planned.seeds.items()},
        "file_share": planned.file_share,
        "files": planned.files,
        "text": str(planned),
    }
    record = gate.read(sides[BASE].folder / "0", "record.json")
    measured["data"] = record["data"]["reference"]
    return measured


def _why(name: str) -> str:
    """The comment in the config's file."""
    lines = (FOLDER / "ablation" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    return next(line[2:] for line in lines[1:] if line.startswith("# "))


def _plain(verdict: Verdict) -> dict:
    return {**verdict.to_dict(), "more": verdict.more}
