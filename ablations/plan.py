"""How many seeds and files: ``python -m ablations plan PILOT --margin 5%``

Conventions
    pilot        runs of one or two names that exist. Two or three seeds know the spread badly, and a number
                 that took theirs for the truth would promise too much: it is the power averaged over what
                 they leave open that is wanted (``seeds.assurance``).
    effect       the worsening that must not be missed: the margin.
    files        the more files a run generates, the less of the spread is sampling: spread^2 = model^2 +
                 file^2 / files. The second part is the pilot's jackknife, of the differences if paired, and
                 the spread is never taken to be smaller than it.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from ablations import family
from ablations.compare import absolute, add_run_options
from ablations.run import RunError
from ablations.run_sets import RunSet, file_variance, file_variance_in_pairs, load
from ablations.seeds import ALPHA, POWER, assurance, seeds_needed, smallest_p

Count = int | None  # of seeds; None: over 10,000


@dataclass(frozen=True)
class Plan:
    """What it takes; ``seeds`` by number of files, None where over 10,000 would be needed."""

    effect: float
    spread: float
    spread_interval: tuple[float, float]  # 95 %, chi-squared
    paired: bool
    power: float
    level: float
    seeds: dict[int, Count]  # files a run -> seeds a side
    between: dict[
        int, tuple[Count, Count]
    ]  # the same, were the spread known to be at the ends of its interval
    now: float  # chance with the pilot's seeds
    files: int  # a run, of the pilot
    pilot_seeds: int
    file_share: float | None  # of the variance; None where it cannot be told

    def __str__(self) -> str:
        low, high = self.spread_interval
        side = "pairs of seeds" if self.paired else "seeds a side"
        lines = [
            f"effect {self.effect:.4g}, spread {self.spread:.4g} (95 % {low:.4g} to {high:.4g}) over "
            f"{self.pilot_seeds} {side} of {self.files} files: found in {self.now:.0%} of cases as it is"
        ]
        if self.file_share is not None:
            lines.append(f"{self.file_share:.0%} of the variance is the choice of generated files")
        for files, seeds in self.seeds.items():
            least = "" if seeds is None else f", smallest p of a permutation test {self._least(seeds):.2g}"
            few, many = (_words(count) for count in self.between[files])
            lines.append(
                f"{files:6d} files a run: {_words(seeds)} {side} for a chance of {self.power:.0%} ({few} to "
                f"{many}, as the spread may be){least}"
            )
        return "\n".join(lines)

    def _least(self, seeds: int) -> float:
        return smallest_p(seeds, seeds, paired=self.paired)


def _words(count: Count) -> str:
    return "over 10,000" if count is None else f"{count:,}"


def plan(
    pilot: RunSet,
    other: RunSet | None = None,
    *,
    margin: float | str,
    power_wanted: float = POWER,
    level: float = ALPHA,
    share: float = 1.0,
) -> Plan:
    """Seeds and files needed to find a worsening by ``margin``, from pilot runs.

    Parameters
    ----------
    pilot : RunSet
        Two seeds or more of the baseline; the fewer, the more are asked for.
    other : RunSet, optional
        The same seeds of a second model: then the spread is that of the differences in pairs.
    margin : float or str
        The worsening that must not be missed, in the metric's unit or as a share, "5%".
    power_wanted, level : float
        Chance to find it; error rate of the verdicts.
    share : float
        Of the level, for one of several metrics that are judged together: what ``compare`` gives it first.

    Raises
    ------
    ValueError
        For a margin of 0, and for a single seed, which tells nothing of the spread. RunError, which is one,
        for runs that made no sounds.
    """
    values = np.array(list(pilot.values.values()))
    effect = absolute(margin, float(values.mean()))
    if not effect > 0:
        raise ValueError("margin is 0: no number of seeds finds a worsening by nothing; try --margin 5%")
    paired = other is not None
    if other is not None:
        common = sorted(set(pilot.values) & set(other.values))
        values = np.array([other.values[s] - pilot.values[s] for s in common])
    if len(values) < 2:
        raise ValueError(f"{len(values)} pilot seeds tell nothing of the spread; run 2 or more")
    of_files = file_variance(pilot) if other is None else file_variance_in_pairs(pilot, other, common)
    # Seeds that happen to be alike are luck: as ``compare``, it takes no less than what files alone give.
    spread = max(float(values.std(ddof=1)), math.sqrt(of_files or 0.0))
    degrees = len(values) - 1
    # Chi-squared: (n - 1) s^2 / sigma^2 of normal values.
    bounds = spread * np.sqrt(degrees / stats.chi2.ppf([0.975, 0.025], degrees))
    sides = [pilot] if other is None else [pilot, other]
    count = min(_files(side) for side in sides)
    known = of_files is not None and spread > 0
    share_of_files = of_files / spread**2 if known else None
    asked = {"paired": paired, "level": level * share}
    wanted = asked | {"power_wanted": power_wanted}
    spreads = _spreads(spread, count, share_of_files)
    return Plan(
        effect=effect,
        spread=spread,
        spread_interval=(float(bounds[0]), float(bounds[1])),
        paired=paired,
        power=power_wanted,
        level=level,
        seeds={n: seeds_needed(effect, own, degrees=degrees, **wanted) for n, own in spreads.items()},
        between={
            n: tuple(seeds_needed(effect, own * end / spread if spread else 0.0, **wanted) for end in bounds)
            for n, own in spreads.items()
        },
        now=assurance(len(values), effect, spread, degrees=degrees, **asked),
        files=count,
        pilot_seeds=len(values),
        file_share=share_of_files,
    )


def _spreads(spread: float, count: int, share: float | None) -> dict[int, float]:
    """Files a run -> spread over seeds, from that with ``count`` files, of which ``share`` is sampling.

    Where the share is not known nothing can be said of another number of files.
    """
    if share is None:
        return {count: spread} if count >= 2 else {}
    # The model's part of the variance stays, the files' part goes with 1 / files.
    return {
        files: spread * np.sqrt(1 - share + share * count / files)
        for files in sorted({count // 2, count, 2 * count, 4 * count})
        if files >= 2
    }


def _files(side: RunSet) -> int:
    """Generated files of the run that has fewest. RunError where there are none to count."""
    folders = [side.folder / str(seed) / "audio" for seed in side.values]
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        raise RunError(f"{missing[0]}: no such folder; a plan is of models that make sounds")
    return min(len(list(folder.iterdir())) for folder in folders)


def main(arguments: Sequence[str]) -> int:
    """Print the plan; exit code 0, or 2 where no number of seeds will do."""
    parser = argparse.ArgumentParser(
        prog="python -m ablations plan",
        description="Seeds and files needed for a wanted power, from runs that exist.",
        epilog="With a second name the seeds are compared in pairs, which needs fewer where they go along. "
        "Without --metric the distance is planned for as compare judges it, together with other metrics.",
    )
    parser.add_argument("pilot", help="folder of runs, or its name below --runs")
    parser.add_argument("other", nargs="?", help="a second model with the same seeds: plan for pairs")
    parser.add_argument("--margin", required=True, help="worsening not to be missed: a number, or 5%%")
    parser.add_argument("--power", type=float, default=POWER, help="chance to find it (default %(default)s)")
    add_run_options(parser)
    options = parser.parse_args(arguments)
    metric = options.metric or "distance"
    sides = [
        load(name, metric=metric, runs=options.runs)
        for name in (options.pilot, options.other)
        if name is not None
    ]
    planned = plan(
        *sides,
        margin=options.margin,
        power_wanted=options.power,
        level=options.level,
        share=1.0 if options.metric else family.WEIGHTS[metric] / sum(family.WEIGHTS.values()),
    )
    print(planned)
    return 2 if all(seeds is None for seeds in planned.seeds.values()) else 0
