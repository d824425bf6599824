"""Runs in, verdict out: ``python -m ablations compare BASELINE CANDIDATE ...``

Conventions
    run set      all seeds of one name, ``runs/<name>``; a baseline or candidate is such a folder or its name
                 (``ablations.run_sets``).
    family       the numbers judged by default, together: ``ablations.family``.
    metric       a number of ``metrics.json`` to be judged alone; ``curve:STEP:NAME`` is an earlier one.
    pairs        seeds that both sides have, where both train on the same data, are compared in pairs; with
                 ``paired=False``, or fewer than two common seeds, all runs of both sides are.
    margin       absolute, or with "%" a share of the baseline's mean; of the family see ``family.amounts``.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from ablations import family, summary
from ablations.family import FamilyVerdict
from ablations.run import RunError
from ablations.run_sets import (
    Runs,
    RunSet,
    file_variance,
    file_variance_in_pairs,
    load,
    load_family,
)
from ablations.seeds import ALPHA
from ablations.statistics import TESTS, Verdict, judge, together

MARGIN = "5%"  # of the family: with none nothing is ever no worse
# Of what runs measure; of the numbers of a model of one's own nothing is known.
HIGHER_IS_BETTER = (*family.HIGHER_IS_BETTER, "accuracy", "balanced_accuracy")


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
    paired = _paired(baseline, candidates, paired)
    mean = sum(baseline.values.values()) / len(baseline.values)
    settings = {
        "paired": paired,
        "margin": absolute(margin, mean),
        "floor": absolute(floor, mean, name="floor"),
        "higher_is_better": higher_is_better,
        "level": level,
        "look": look,
        "looks": looks,
        "test": test,
    }
    return together({c.name: _judged(baseline, c, **settings) for c in candidates})


def compare_family(
    baseline: Runs,
    candidates: Sequence[Runs],
    *,
    margin: float | str = MARGIN,
    margins: Mapping[str, float | str] | None = None,
    floor: float | str = 0.0,
    paired: bool | None = None,
    level: float = ALPHA,
    look: int = 1,
    looks: int = 1,
    test: str = "t",
) -> dict[str, FamilyVerdict]:
    """Judge every candidate by every metric of the family; all are corrected together.

    Parameters
    ----------
    baseline, candidates : Runs
        As ``load_family`` reads them.
    margin, floor : float or str
        In the distance's unit, or a share of the baseline's mean distance, "5%"; what the other metrics have
        in its place is told by ``family.amounts``. Of coverage and density 5% is 5 in 100 files.
    margins : mapping, metric -> float or str, optional
        Other margins, in the metric's unit or as a share of its mean; of coverage and density of all files.
    paired, level, look, looks, test
        As ``compare``.

    Returns
    -------
    dict of FamilyVerdict
        By the candidates' names.

    Raises
    ------
    RunError
        As ``compare``.
    ValueError
        As ``statistics.judge``; for a margin of what is no metric of the family.
    """
    if unknown := set(margins or {}) - set(family.METRICS):
        raise ValueError(
            f"margin of {', '.join(sorted(unknown))}: the family has {', '.join(family.METRICS)}"
        )
    paired = _paired(baseline.distance, [c.distance for c in candidates], paired)
    values = baseline.distance.values.values()
    own, floors = (
        family.amounts(absolute(amount, sum(values) / len(values), name=name), absolute(amount, 1.0))
        for amount, name in ((margin, "margin"), (floor, "floor"))
    )
    for metric, amount in (margins or {}).items():
        known = baseline.sides[metric].values.values()
        whole = 1.0 if metric in family.HIGHER_IS_BETTER else sum(known) / len(known)
        own[metric] = absolute(amount, whole, name=f"margin of {metric}")
    settings = {"paired": paired, "level": level, "look": look, "looks": looks, "test": test}
    alone = {
        c.name: {
            metric: _judged(
                baseline.sides[metric],
                c.sides[metric],
                margin=own[metric],
                floor=floors[metric],
                higher_is_better=metric in family.HIGHER_IS_BETTER,
                **settings,
            )
            for metric in family.METRICS
        }
        for c in candidates
    }
    where = {c.name: _where(baseline, c, alone[c.name], paired) for c in candidates}
    return family.judged_together(alone, where)


def _where(baseline: Runs, candidate: Runs, members: Mapping[str, Verdict], paired: bool) -> dict[str, str]:
    """Frequencies at which the envelope differs most; {} where the runs do not tell."""
    seeds = [set(side.distance.values) for side in (baseline, candidate)]
    seeds = [seeds[0] & seeds[1]] * 2 if paired else seeds
    bands = [side.mean_bands(own) for side, own in zip((baseline, candidate), seeds, strict=True)]
    found = family.frequencies(*bands, worse=members["envelope"].effect > 0)
    return {"envelope": found} if found else {}


def _paired(baseline: RunSet, candidates: Sequence[RunSet], paired: bool | None) -> bool:
    """Whether seeds pair; RunError for sides that do not compare, and for pairs that are too few."""
    _check_comparable(baseline, candidates)
    common = {c.name: sorted(set(baseline.values) & set(c.values)) for c in candidates}
    if paired is None:
        return all(len(seeds) >= 2 for seeds in common.values())
    if paired and any(len(seeds) < 2 for seeds in common.values()):
        short = [name for name, seeds in common.items() if len(seeds) < 2]
        raise RunError(f"{', '.join(short)}: fewer than 2 seeds in common with {baseline.name}")
    return paired


def _judged(baseline: RunSet, candidate: RunSet, *, paired: bool, **settings) -> Verdict:
    """One candidate by one metric, with what is known of the metric's precision."""
    # In pairs each candidate has its own baseline: the seeds that it shares.
    common = sorted(set(baseline.values) & set(candidate.values))
    sides = [
        [side.values[s] for s in (common if paired else sorted(side.values))]
        for side in (baseline, candidate)
    ]
    return judge(
        *sides,
        paired=paired,
        resolution=None if None in (baseline.step, candidate.step) else max(baseline.step, candidate.step),
        files_variance=file_variance_in_pairs(baseline, candidate, common) or 0.0
        if paired
        else _files_variances(baseline, candidate),
        **settings,
    )


def _files_variances(baseline: RunSet, candidate: RunSet) -> tuple[float, float]:
    """Of a run of either side."""
    return tuple(file_variance(side) or 0.0 for side in (baseline, candidate))


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


def is_higher_better(metric: str) -> bool:
    """Whether more of a metric is known to be better, now or as ``curve:STEP:NAME`` after an earlier step."""
    return metric.rsplit(":", 1)[-1] in HIGHER_IS_BETTER


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """What ``compare`` and ``plan`` ask alike: which number of which runs, at which level."""
    parser.add_argument("--metric", help="a number of metrics.json, or curve:STEP:NAME, alone")
    parser.add_argument("--level", type=float, default=ALPHA, help="error rate (default %(default)s)")
    parser.add_argument("--runs", default="runs", help="folder of all runs (default %(default)s)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m ablations compare",
        description="Is a model worse than the baseline? Each side is all seeds of a name, judged by "
        f"{', '.join(family.METRICS)} together, or by one --metric.",
        epilog="exit codes: 0 better or no worse, 1 worse, 3 undecided, 2 wrong use or damaged runs",
    )
    parser.add_argument("baseline", help="folder of runs, or its name below --runs")
    parser.add_argument("candidate", nargs="+", help="the same; several are corrected for their number")
    add_run_options(parser)
    parser.add_argument(
        "--margin",
        action="append",
        default=[],
        help="worsening that is tolerated: a number, or 5%% of the baseline (default 5%%; with --metric 0); "
        "again for one metric of the family: coverage=0.1",
    )
    parser.add_argument(
        "--floor", default="0", help="smallest effect called worse or better (a number or a share)"
    )
    parser.add_argument(
        "--higher-is-better",
        action="store_true",
        help=f"of the --metric; known of {', '.join(HIGHER_IS_BETTER)}",
    )
    parser.add_argument("--unpaired", action="store_true", help="do not pair the runs of equal seeds")
    parser.add_argument("--look", default="1/1", help="2/3: the second of three looks planned beforehand")
    parser.add_argument("--test", choices=TESTS, default="t", help="where p is from (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="everything, for another program")
    parser.add_argument(
        "--undecided",
        choices=("ok", "fail"),
        help="exit with 0 or with 1 where seeds do not suffice, instead of 3",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="DIR",
        help="write DIR/summary.md, to be a pull request's comment, and DIR/effects.png",
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Print a line a candidate; the exit code is the worst of theirs: worse, then undecided.

    0 better or no worse, 1 worse, 3 undecided (or as ``--undecided`` has it). Seeds that only one side has
    are named on stderr: a pair that is left out may be one that failed. ``RunError`` and ValueError are told
    by ``ablations.command``.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        look, looks = (int(part) for part in options.look.split("/"))
    except ValueError:
        parser.error(f"--look: {options.look!r} is not like 2/3")
    general = [text for text in options.margin if "=" not in text]
    single = [text.split("=", 1) for text in options.margin if "=" in text]
    twice = len({metric for metric, _ in single}) < len(single)
    if len(general) > 1 or twice or (options.metric and single):
        parser.error(
            "--margin: one for all, and with --metric no other; for one of the family METRIC=NUMBER, once"
        )
    if options.higher_is_better and not options.metric:
        parser.error("--higher-is-better is of one --metric; of the family it is known")
    settings = {
        "floor": options.floor,
        "paired": False if options.unpaired else None,
        "level": options.level,
        "look": look,
        "looks": looks,
        "test": options.test,
    }
    names = (options.baseline, *options.candidate)
    if options.metric:
        sides = [load(name, metric=options.metric, runs=options.runs) for name in names]
        verdicts = compare(
            sides[0],
            sides[1:],
            margin=general[0] if general else 0.0,
            higher_is_better=options.higher_is_better or is_higher_better(options.metric),
            **settings,
        )
        pairs = {name: verdict.paired for name, verdict in verdicts.items()}
    else:
        families = [load_family(name, runs=options.runs) for name in names]
        verdicts = compare_family(
            families[0],
            families[1:],
            margin=general[0] if general else MARGIN,
            margins=dict(single),
            **settings,
        )
        sides = [runs.distance for runs in families]
        pairs = {name: verdict.members["distance"].paired for name, verdict in verdicts.items()}
    if itself := [side.name for side in sides[1:] if side.folder.resolve() == sides[0].folder.resolve()]:
        raise RunError(f"{itself[0]} is the baseline itself, and no worse than that it always is")
    for side in sides[1:]:
        alone = sorted(set(sides[0].values) ^ set(side.values))
        if pairs[side.name] and alone:
            print(
                f"note: seeds {', '.join(map(str, alone))} are not in both {sides[0].name} and {side.name}: "
                "not used; run them, or compare with --unpaired",
                file=sys.stderr,
            )
    if options.json:
        print(json.dumps({n: asdict(v) | {"more": v.more} for n, v in verdicts.items()}, indent=1))
    else:
        what = f", {options.metric}" if options.metric else ""
        for side in sides[1:]:
            print(f"{side.name} against {sides[0].name}{what}: {verdicts[side.name]}")
            print(summary.table(verdicts[side.name], metric=options.metric or "distance"))
    if options.report:
        summary.write(
            options.report,
            sides[0],
            sides[1:],
            verdicts,
            metric=options.metric or "distance",
            command=shlex.join(["python", "-m", "ablations", "compare", *arguments]),
        )
    codes = {verdict.exit_code for verdict in verdicts.values()}
    worst = 1 if 1 in codes else max(codes)
    return {"ok": 0, "fail": 1, None: 3}[options.undecided] if worst == 3 else worst
