"""What did a new version of the recipe change? Both side by side: zero, false alarms, power, listeners.

Most is read from the results of ``statistics``, ``trials``, ``lengths``, ``challenge`` and ``speed``, which
say what they are measured on; those of another recipe than the one at work are left out. Measured here is the
agreement with listeners on all rated sets there are.

Conventions
    version     of the recipe, as every result names it ("1-952a9e7e"). Its column is kept when the recipe
                changes: this result is the only one that remembers.
    measure     ``value``, and where there is one its standard ``error``; ``n``: of how many; ``share``: if it
                is one, of trials, pairs, files or a mid distortion. Power and false alarms are at 5 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from joblib import Parallel, delayed
from tqdm import tqdm

import metrics
from study import datasets, results
from study.agreement import agreement, by_laboratory
from study.draws import small_effects

DATA = ("rated", "rated_more")
TAKES = "two minutes"

# Kept as it was measured first: a time is of a machine and of an hour, and both versions had the same.
ONCE = ("describing, ms a second of audio",)
# No longer measured, nor kept of older versions: there is one mean of agreement, that over laboratories.
GONE = ("listeners, Spearman, mean of sets", "listeners, pairs in order, mean of sets")


def run(*, workers: int = -1, quick: bool = False) -> dict:
    """The column of the recipe at work, beside those that are there.

    Returns ``versions``: recipe -> measure -> ``value``, ``error`` (or null) and ``n``; and ``listeners``:
    recipe -> rated set -> ``spearman``, ``pairs``, ``laboratory``. MissingData without rated sets.
    """
    recipe = metrics.constants()[1]
    try:
        before = results.read("versions")
    except FileNotFoundError:
        before = {"versions": {}, "listeners": {}}
    found = listeners(workers=workers, most=2 if quick else None)
    measured = {
        n: content for n, content in results.read_all().items() if content["header"]["recipe"] == recipe
    }
    column = dict(measures(measured)) | dict(_of_listeners(found))
    column |= measured_once(before["versions"].get(recipe, {}))
    kept = {
        version: {name: row for name, row in known.items() if name not in GONE}
        for version, known in before["versions"].items()
    }
    return {
        "versions": {**kept, recipe: column},
        "listeners": {**before["listeners"], recipe: found},
    }


def measured_once(column: Mapping[str, dict]) -> dict[str, dict]:
    """Of a column that there is already, what another run does not replace."""
    return {name: row for name, row in column.items() if name in ONCE}


def summary(content: Mapping) -> str:
    """A line a measure, a column a version."""
    versions = content["versions"]
    names = list(dict.fromkeys(name for column in versions.values() for name in column))
    lines = [" " * 46 + "  ".join(f"{version:>14}" for version in versions)]
    for name in names:
        cells = (
            f"{column[name]['value']:14.4g}" if name in column else " " * 14 for column in versions.values()
        )
        lines.append(f"{name:46}" + "  ".join(cells))
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------ listeners


def listeners(*, workers: int = -1, most: int | None = None) -> dict[str, dict]:
    """Rated set -> ``spearman``, ``pairs``, ``systems``, ``laboratory`` of the distance's order of systems.

    ``most`` takes the first so many sets.
    """
    names = datasets.rated_names()[:most]
    if not names:
        raise datasets.MissingData("no rated sets; README says how to bring them")
    done = Parallel(n_jobs=workers, return_as="generator")(delayed(_agreement)(name) for name in names)
    each = list(tqdm(done, total=len(names), desc="rated sets", unit="set"))
    return dict(zip(names, each, strict=True))


def _agreement(name: str) -> dict:
    rated = datasets.rated(name)
    rate = min(rated.reference.rate, *(system.rate for system in rated.systems.values()))
    described = {
        system: metrics.describe(
            list(audio.signals), rate=audio.rate, bandwidth_rate=rate, on_error="skip", workers=1
        )
        for system, audio in {"": rated.reference, **rated.systems}.items()
    }
    values = {
        system: metrics.distance(described[""], described[system], paired=False) for system in rated.systems
    }
    return {**agreement(values, rated.ratings), "laboratory": rated.laboratory}


def _of_listeners(found: Mapping[str, Mapping]) -> Iterator[tuple[str, dict]]:
    """Mean over laboratories, each the mean of its sets: what the interval draws."""
    for key, name in (("spearman", "listeners, Spearman"), ("pairs", "listeners, pairs in order")):
        laboratories = {which: row["laboratory"] for which, row in found.items()}
        means = list(by_laboratory({which: row[key] for which, row in found.items()}, laboratories).values())
        yield name, _measure(np.mean(means), np.std(means, ddof=1) / np.sqrt(len(means)), len(means))


# -------------------------------------------------------------------------------------- other results


def measures(measured: Mapping[str, Mapping]) -> Iterator[tuple[str, dict]]:
    """Measures of the results that there are: (name, ``value`` with ``error`` and ``n``)."""
    if "statistics" in measured:
        yield from _of_statistics(measured["statistics"])
    if "trials" in measured:
        yield from _of_trials(measured["trials"])
    if "lengths" in measured:
        # Clips below a second differ in what is measured of them, which the verdict says.
        rows = [row for row in measured["lengths"]["conditions"] if row["reference"] != 0.5]
        shares = [row["found"][0] / row["found"][1] for row in rows]
        error = np.std(shares, ddof=1) / np.sqrt(len(shares))
        yield "false alarms, unequal lengths, mean", _measure(np.mean(shares), error, len(shares), share=True)
        yield "false alarms, unequal lengths, worst", _measure(max(shares), None, len(shares), share=True)
    if "challenge" in measured:
        for test in ("test1", "test2"):
            row = measured["challenge"]["sets"]["historic"][test]
            yield f"challenge, {test}", _measure(row["value"], None, row["candidate"]["files"])
    if "speed" in measured:
        yield "describing, ms a second of audio", _measure(measured["speed"]["describing"]["all"], None, 1)


def _of_statistics(found: Mapping) -> Iterator[tuple[str, dict]]:
    for size in ("20", "50", "300"):
        row = found["bias"][size]["this distance"]
        yield (
            f"zero, digits, N = {size}, of a mid distortion",
            _measure(row["mean_null_over_mid"], row["standard_error"], row["trials"], share=True),
        )
    for setting, row in found["false_alarms"].items():
        if "wrong" not in setting:
            yield (
                f"false alarms, {setting}",
                _measure(row["share"], row["standard_error"], row["trials"], share=True),
            )
    for table, name in (
        ("power_20", "N = 20"),
        ("power_50", "N = 50"),
        ("paired_power_10", "10 pairs"),
    ):
        yield f"power, digits, {name}", _power(row["this distance"] for row in found[table].values())
    for size, table in found["coverage"].items():
        shares = [hits / trials for hits, trials in table.values()]
        yield f"coverage, digits, N = {size}, lowest", _measure(min(shares), None, len(shares), share=True)
    for must, name in ((True, "that must differ, seen"), (False, "that must not, flagged")):
        rows = [row for row in found["soundness"] if row["must_differ"] is must]
        share = np.mean([row["share_p_below_5_percent"] for row in rows])
        yield f"pairs {name}", _measure(share, None, len(rows), share=True)


def _of_trials(found: Mapping) -> Iterator[tuple[str, dict]]:
    for source, table in found["permutation"].items():
        compare = table["three_views"]["compare"]
        yield f"power, {source}, N = 20, trials", _power(compare[effect] for effect in small_effects(source))
        hits, trials = compare["clean"]
        yield f"false alarms, {source}, N = 20, trials", _share(hits, trials)
    for source, table in found["nuisance"].items():
        for change, share in table["three_views"]["views_energy"].items():
            if change in ("resampled up and back", "dither", "resampling 1"):
                yield f"{change}, {source}, of a mid distortion", _measure(share, None, 5, share=True)
    for must, name in ((True, "that must differ, seen, trials"), (False, "that must not, flagged, trials")):
        rows = [row for row in found["soundness"]["three_views"].values() if row["must_differ"] is must]
        p_values = np.concatenate([row["compare"] for row in rows])
        yield f"pairs {name}", _share(int((p_values <= 0.05).sum()), len(p_values))


def _power(rows) -> dict:
    """Mean share over effects that weigh alike."""
    counts = np.array(list(rows), float)
    shares = counts[:, 0] / counts[:, 1]
    error = np.sqrt((shares * (1 - shares) / counts[:, 1]).sum()) / len(shares)
    return _measure(shares.mean(), error, len(shares), share=True)


def _share(hits: int, trials: int) -> dict:
    share = hits / trials
    return _measure(share, np.sqrt(share * (1 - share) / trials), trials, share=True)


def _measure(value: float, error: float | None, n: int, *, share: bool = False) -> dict:
    return {
        "value": float(value),
        "error": None if error is None else float(error),
        "n": n,
        "share": share,
    }
