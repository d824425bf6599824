"""Folders of runs, read: one number a seed, of one metric or of every metric of the family.

Every run that is there is used or named as the reason for an error: a damaged one, one that another version
of the distance measured, one whose config differs from that of its neighbours. None is left out silently.
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ablations import family, jackknife
from ablations.run import RunError, read


@dataclass(frozen=True)
class RunSet:
    """The replicates of one model: values by seed, and what they were made with (empty: not known)."""

    name: str
    folder: Path
    values: dict[int, float]
    recipe: str
    reference: str  # checksum of the recordings they were compared with
    step: float | None = None  # in which the values go
    # By seed, the number without each generated file.
    without: dict[int, np.ndarray] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Runs:
    """The replicates of one model by every metric of the family."""

    sides: dict[str, RunSet]  # metric -> values by seed
    bands: dict[int, dict[str, float]] = field(default_factory=dict)  # seed -> frequencies -> of the envelope

    @property
    def distance(self) -> RunSet:
        return self.sides["distance"]

    @property
    def name(self) -> str:
        return self.distance.name

    def of_seeds(self, seeds: Iterable[int]) -> Runs:
        """These seeds alone."""
        sides = {
            metric: replace(side, values={seed: side.values[seed] for seed in seeds})
            for metric, side in self.sides.items()
        }
        return replace(self, sides=sides)

    def mean_bands(self, seeds: Iterable[int]) -> dict[str, float]:
        """What each band of frequencies contributes to the envelope, mean over seeds; {}: not known."""
        known = [self.bands[seed] for seed in seeds if seed in self.bands]
        return {name: float(np.mean([table[name] for table in known])) for name in (known or [{}])[0]}


def load(folder: Path | str, *, metric: str = "distance", runs: Path | str = "runs") -> RunSet:
    """Read every seed below a folder, or below ``runs/<name>`` if there is no such folder.

    Raises ``RunError`` for a folder without runs, for a run that is damaged, lacks the metric or has
    none that is finite, and for runs of one name that differ in recipe, reference, config or versions.
    """
    side, tables = _read(folder, runs)
    return _of(metric, side, tables)


def load_family(folder: Path | str, *, runs: Path | str = "runs") -> Runs:
    """Read every metric of the family of every seed; see ``load``.

    Raises ``RunError`` as ``load``, and for runs that were measured before there was a family.
    """
    side, tables = _read(folder, runs)
    old = [seed for seed, table in tables.items() if "distance" in table and "coverage" not in table]
    if old:
        raise RunError(
            f"{side.folder}: seeds {', '.join(map(str, old))} were measured by an older version, which knew "
            f"neither coverage nor density; delete these runs and make them again, or judge one number of "
            f"them, with --metric distance"
        )
    bands = {seed: table["bands"] for seed, table in tables.items() if "bands" in table}
    return Runs({metric: _of(metric, side, tables) for metric in family.METRICS}, bands)


def _read(folder: Path | str, runs: Path | str) -> tuple[RunSet, dict[int, dict]]:
    """The runs below a folder, without values yet, and their metrics.json by seed."""
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
    first = next(iter(records.values()))
    side = RunSet(
        name=place.name,
        folder=place,
        values={},
        recipe=str(first.get("recipe")),
        reference=str(first.get("data", {}).get("reference")),
    )
    tables = {int(p.name): read(p, "metrics.json") for p in seeds}
    return side, dict(sorted(tables.items()))


def _of(metric: str, side: RunSet, tables: Mapping[int, Mapping]) -> RunSet:
    """The run set with the values of one metric, and what is known of their precision."""
    without = {}
    for seed in tables:
        path = side.folder / str(seed) / jackknife.FILE
        if path.exists():
            try:
                with path.open("rb") as file, np.load(file) as arrays:
                    without |= {seed: arrays[metric]} if metric in arrays else {}
            except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
                raise RunError(f"{path} is damaged ({error}); delete the run and make it again") from None
    steps = {table.get("steps", {}).get(metric) for table in tables.values()}
    return replace(
        side,
        values={seed: _value(table, metric, side.folder / str(seed)) for seed, table in tables.items()},
        step=steps.pop() if len(steps) == 1 else None,
        without=without,
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


def file_variance(side: RunSet) -> float | None:
    """Variance of a run's number by the choice of generated files; None where the runs do not tell."""
    if not set(side.values) <= set(side.without):
        return None
    return float(np.mean([jackknife.variance(side.without[seed]) for seed in side.values]))


def file_variance_in_pairs(baseline: RunSet, candidate: RunSet, seeds: Sequence[int]) -> float | None:
    """Variance of the difference in a pair by the choice of files; None where the runs do not tell.

    File i of either side was made from the same noise, and where this makes them alike, as after a
    refactoring, leaving both out moves the difference little.
    """
    known = []
    for seed in seeds:
        a, b = baseline.without.get(seed), candidate.without.get(seed)
        if a is None or b is None:
            return None
        alike = len(a) == len(b)
        known.append(jackknife.variance(b - a) if alike else jackknife.variance(a) + jackknife.variance(b))
    return float(np.mean(known))
