"""Runs in, verdict out: ``python -m ablations compare BASELINE CANDIDATE ...``

Conventions
    run set      all seeds of one name, ``runs/<name>``; a baseline or candidate is such a folder or its name.
    metric       a number of ``metrics.json``; ``distance`` by default, ``curve:STEP:NAME`` an earlier one.
    pairs        seeds that both sides have, where both train on the same data, are compared in pairs; with
                 ``paired=False``, or fewer than two common seeds, all runs of both sides are.
    margin       absolute, or with "%" a share of the baseline's mean.

Every run that is there is used or named as the reason for an error: a damaged one, one that another version
of the distance measured, one whose config differs from that of its neighbours. None is left out silently.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ablations.run import RunError, read
from ablations.statistics import ALPHA, TESTS, Verdict, judge_each


@dataclass(frozen=True)
class RunSet:
    """The replicates of one model: values by seed, and what they were made with (empty: not known)."""

    name: str
    folder: Path
    values: dict[int, float]
    recipe: str
    reference: str  # checksum of the recordings they were compared with


def load(folder: Path | str, *, metric: str = "distance", runs: Path | str = "runs") -> RunSet:
    """Read every seed below a folder, or below ``runs/<name>`` if there is no such folder.

    Raises ``RunError`` for a folder without runs, for a run that is damaged, lacks the metric or has
    none that is finite, and for runs of one name that differ in recipe, reference, config or versions.
    """
    place = Path(folder) if Path(folder).is_dir() else Path(runs) / folder
    if not place.is_dir():
        known = sorted(p.name for p in Path(runs).glob("*") if p.is_dir() and not p.name.startswith("."))
        raise RunError(f"{place}: no such runs; below {runs} there are {', '.join(known) or 'none'}")
    seeds = sorted(
        (p for p in place.iterdir() if p.is_dir() and not p.name.startswith(".")), key=lambda p: p.name
    )
    strange = [p.name for p in seeds if not p.name.isdigit()]
    if strange:
        raise RunError(f"{place} holds {', '.join(strange)}, and a run's folder is its seed, a number")
    if not seeds:
        raise RunError(f"{place}: no runs")
    records = {p: read(p, "record.json") for p in seeds}
    for what, of in (
        ("recipe of the distance", lambda r: r.get("recipe")),
        ("reference recordings", lambda r: r.get("data", {}).get("reference")),
        ("package versions", lambda r: json.dumps(r.get("versions"), sort_keys=True)),
    ):
        _same(records, what, of)
    # Replicates differ in their seed and in nothing else, or their spread is of something else too.
    _same({p: _config(p) for p in seeds}, "config", lambda text: text)
    values = {int(p.name): _value(read(p, "metrics.json"), metric, p) for p in seeds}
    first = next(iter(records.values()))
    return RunSet(
        name=place.name,
        folder=place,
        values=dict(sorted(values.items())),
        recipe=str(first.get("recipe")),
        reference=str(first.get("data", {}).get("reference")),
    )


def _config(place: Path) -> str:
    """The run's config without its seed and where it lies, as text."""
    try:
        lines = (place / "config.yaml").read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise RunError(f"{place / 'config.yaml'} is damaged; delete the run and make it again") from None
    return "\n".join(line for line in lines if line.split(":")[0] not in ("seed", "runs", "tracker"))


def _same(things: Mapping[Path, object], what: str, of) -> None:
    """RunError naming the runs whose ``of(thing)`` is not that of the most."""
    places_by_value: dict[object, list[str]] = {}
    for place, thing in things.items():
        places_by_value.setdefault(of(thing), []).append(place.name)
    if len(places_by_value) > 1:
        groups = sorted(places_by_value.values(), key=len, reverse=True)
        place = next(iter(things)).parent
        raise RunError(
            f"{place}: seeds {', '.join(groups[0])} and {', '.join(s for g in groups[1:] for s in g)} have "
            f"another {what}; they are not replicates of one model: give one of them another name"
        )


def _value(content: Mapping, metric: str, place: Path) -> float:
    """The metric of a run."""
    table, name = content, metric
    if metric.startswith("curve:"):
        _, step, name = metric.split(":")
        points = [point for point in content.get("curve", []) if str(point["step"]) == step]
        if not points:
            steps = ", ".join(str(point["step"]) for point in content.get("curve", []))
            raise RunError(f"{place}: nothing was measured after step {step}; there are {steps}")
        table = points[0]
    if name not in table or isinstance(table[name], (list, dict, str)):
        known = ", ".join(k for k, v in table.items() if isinstance(v, (int, float)))
        raise RunError(f"{place}: no metric {name!r}; there are {known}")
    if table[name] is None or not math.isfinite(table[name]):
        raise RunError(f"{place}: {name} is {table[name]}, not a finite number; did the model diverge?")
    return float(table[name])


def compare(
    baseline: RunSet,
    candidates: Sequence[RunSet],
    *,
    margin: float | str = 0.0,
    floor: float | str = 0.0,
    paired: bool | None = None,
    higher_is_better: bool = False,
    level: float = ALPHA,
    look: int = 1,
    looks: int = 1,
    test: str = "t",
) -> dict[str, Verdict]:
    """Judge every candidate against the baseline; several are corrected by Holm.

    Parameters
    ----------
    baseline, candidates : RunSet
        As ``load`` reads them.
    margin, floor : float or str
        In the metric's unit, or a share of the baseline's mean, "5%".
    paired : bool, optional
        By default seeds are paired where every candidate shares two or more with the baseline.
    higher_is_better, level, look, looks, test
        As ``statistics.judge``.

    Returns
    -------
    dict of Verdict
        By the candidates' names.

    Raises
    ------
    RunError
        For runs that were measured by another recipe or against other recordings, and for pairs that
        share fewer than two seeds; for candidates of one name.
    ValueError
        As ``statistics.judge``.
    """
    _check_comparable(baseline, candidates)
    common = {c.name: sorted(set(baseline.values) & set(c.values)) for c in candidates}
    if paired is None:
        paired = all(len(seeds) >= 2 for seeds in common.values())
    elif paired and any(len(seeds) < 2 for seeds in common.values()):
        short = [name for name, seeds in common.items() if len(seeds) < 2]
        raise RunError(f"{', '.join(short)}: fewer than 2 seeds in common with {baseline.name}")
    # In pairs each candidate has its own baseline: the seeds that it shares.
    own = {c.name: common[c.name] if paired else sorted(baseline.values) for c in candidates}
    mean = sum(baseline.values.values()) / len(baseline.values)
    return judge_each(
        {c.name: [baseline.values[s] for s in own[c.name]] for c in candidates},
        {c.name: [c.values[s] for s in (own[c.name] if paired else sorted(c.values))] for c in candidates},
        paired=paired,
        margin=absolute(margin, mean),
        floor=absolute(floor, mean, name="floor"),
        higher_is_better=higher_is_better,
        level=level,
        look=look,
        looks=looks,
        test=test,
    )


def _check_comparable(baseline: RunSet, candidates: Sequence[RunSet]) -> None:
    """RunError for candidates of one name, and for numbers that were measured otherwise."""
    names = [c.name for c in candidates]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise RunError(
            f"several candidates are called {', '.join(repeated)}: verdicts go by name; give each another"
        )
    for other in candidates:
        for what, a, b in (
            ("recipe of the distance", baseline.recipe, other.recipe),
            ("reference recordings", baseline.reference, other.reference),
        ):
            # Empty: values by seed that somebody gave, of which nothing is known.
            if a and b and a != b:
                raise RunError(
                    f"{baseline.folder} and {other.folder} differ in the {what}: their numbers do not compare"
                )


def absolute(amount: float | str, mean: float, *, name: str = "margin") -> float:
    """A margin in the metric's unit: a number, or "5%" of the baseline's mean. ValueError otherwise.

    ``name`` is what the amount is in the call, for messages.
    """
    text = str(amount).strip()
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        raise ValueError(f"{name} {amount!r} is neither a number nor a share like 5%") from None
    # The size of the mean: an unbiased distance may be below 0, a tolerance may not.
    return value / 100 * abs(mean) if text.endswith("%") else value


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What ``compare`` and ``plan`` ask alike: which number of which runs, at which level."""
    parser.add_argument("--metric", default="distance", help="a number of metrics.json, or curve:STEP:NAME")
    parser.add_argument("--level", type=float, default=ALPHA, help="error rate (default %(default)s)")
    parser.add_argument("--runs", default="runs", help="folder of all runs (default %(default)s)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ablations compare",
        description="Is a model worse than the baseline? Each side is all seeds of a name.",
        epilog="exit codes: 0 better or no worse, 1 worse, 3 undecided, 2 wrong use or damaged runs",
    )
    parser.add_argument("baseline", help="folder of runs, or its name below --runs")
    parser.add_argument("candidate", nargs="+", help="the same; several are corrected for their number")
    add_run_options(parser)
    parser.add_argument(
        "--margin", default="0", help="worsening that is tolerated: a number, or 5%% of the baseline"
    )
    parser.add_argument(
        "--floor", default="0", help="smallest effect called worse or better (a number or a share)"
    )
    parser.add_argument("--higher-is-better", action="store_true", help="of the metric, as of an accuracy")
    parser.add_argument("--unpaired", action="store_true", help="do not pair the runs of equal seeds")
    parser.add_argument("--look", default="1/1", help="2/3: the second of three looks planned beforehand")
    parser.add_argument("--test", choices=TESTS, default="t", help="where p is from (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="everything, for another program")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Print a line a candidate; the exit code is the worst of theirs: worse, then undecided.

    0 better or no worse, 1 worse, 3 undecided. Seeds that only one side has are named on stderr: a pair that
    is left out may be one that failed. ``RunError`` and ValueError are told by ``ablations.command``.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        look, looks = (int(part) for part in options.look.split("/"))
    except ValueError:
        parser.error(f"--look: {options.look!r} is not like 2/3")
    sides = [
        load(name, metric=options.metric, runs=options.runs)
        for name in (options.baseline, *options.candidate)
    ]
    verdicts = compare(
        sides[0],
        sides[1:],
        margin=options.margin,
        floor=options.floor,
        paired=False if options.unpaired else None,
        higher_is_better=options.higher_is_better,
        level=options.level,
        look=look,
        looks=looks,
        test=options.test,
    )
    for side in sides[1:]:
        alone = sorted(set(sides[0].values) ^ set(side.values))
        if verdicts[side.name].paired and alone:
            print(
                f"note: seeds {', '.join(map(str, alone))} are not in both {sides[0].name} and {side.name}: "
                "not used; run them, or compare with --unpaired",
                file=sys.stderr,
            )
    if options.json:
        print(json.dumps({n: asdict(v) | {"more": v.more} for n, v in verdicts.items()}, indent=1))
    else:
        for side in sides[1:]:
            print(f"{side.name} against {sides[0].name}, {options.metric}: {verdicts[side.name]}")
    codes = {verdict.exit_code for verdict in verdicts.values()}
    return 1 if 1 in codes else max(codes)
