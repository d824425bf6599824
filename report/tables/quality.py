"""Direction beside the distance: how predicted quality agrees with listeners, and what it says of no speech.

``quality`` is results/quality.json (scores of files), ``trials`` results/trials.json, which has the distances
to compare with. Intervals are bootstraps over laboratories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from report.numbers import mean_text, num
from report.tables.table import NONE, table_of
from study.agreement import agreement, laboratory_mean

SIGNED, UNSIGNED = "predicted quality", "its difference from the recordings', without sign"
DISTANCE, FRECHET = "this distance", "Frechet on aisfx"
RANKS = "mean of the ranks of predicted quality and Frechet on aisfx"
GROUPS: dict[str, Callable[[Mapping], bool]] = {
    "speech": lambda row: row["kind"] == "speech",
    "speech, ratings read": lambda row: row["kind"] == "speech" and row["figures"] == "read",
    "speech, ratings recalled or second-hand": lambda row: (
        row["kind"] == "speech" and row["figures"] != "read"
    ),
    "music": lambda row: row["kind"] == "music",
    "effects": lambda row: row["kind"] == "effects",
}


def values(quality: Mapping, trials: Mapping, which: str) -> dict[str, dict[str, float]]:
    """Measure -> system -> value of one rated set, low for good.

    The distances are left out where results/trials.json has not measured the set.
    """
    row = quality["rated"][which]
    means = {system: float(np.mean(scores)) for system, scores in row["systems"].items()}
    recordings = float(np.mean(row["reference"]))
    found = {
        SIGNED: {system: -mean for system, mean in means.items()},
        UNSIGNED: {system: abs(mean - recordings) for system, mean in means.items()},
    }
    if which in trials["shipped"] and which in trials["ratings"].get("aisfx", {}):
        found[DISTANCE] = trials["shipped"][which]
        found[FRECHET] = trials["ratings"]["aisfx"][which]["frechet"]
        ranks = [rankdata([found[measure][system] for system in means]) for measure in (SIGNED, FRECHET)]
        found[RANKS] = dict(zip(means, np.mean(ranks, axis=0).tolist(), strict=True))
    return found


def agreements(quality: Mapping, trials: Mapping | None = None) -> dict[str, dict[str, dict]]:
    """Measure -> rated set -> ``study.agreement.agreement``; all measures on the same sets.

    Those are the sets that results/trials.json has, too. Without ``trials``: all sets, and the predicted
    quality alone.
    """
    table: dict[str, dict[str, dict]] = {}
    for which, row in quality["rated"].items():
        measured = values(quality, trials or {"shipped": {}, "ratings": {}}, which)
        if trials is None or FRECHET in measured:
            for measure, of_systems in measured.items():
                table.setdefault(measure, {})[which] = agreement(of_systems, row["ratings"])
    return table


def direction(quality: Mapping, trials: Mapping | None = None) -> pd.DataFrame:
    """Spearman correlation with listeners, mean over laboratories with interval: a measure a row.

    On which sets, ``agreements`` tells. Of one laboratory no interval is known.
    """
    table = agreements(quality, trials)
    rows = []
    for measure, of_sets in table.items():
        cells = {"": measure}
        for group, belongs in GROUPS.items():
            chosen = {which: row for which, row in of_sets.items() if belongs(quality["rated"][which])}
            cells[_head(group, quality, chosen)] = _mean(chosen, quality)
        rows.append(cells)
    return table_of(rows)


def lead(quality: Mapping, trials: Mapping) -> dict:
    """Lead of the predicted quality over this distance on sets of speech: Spearman, paired by set.

    Mean over laboratories with its interval; see ``agreements`` for the sets.
    """
    table = agreements(quality, trials)
    leads = {
        which: {"spearman": row["spearman"] - table[DISTANCE][which]["spearman"]}
        for which, row in table[SIGNED].items()
        if GROUPS["speech"](quality["rated"][which])
    }
    laboratories = {which: quality["rated"][which]["laboratory"] for which in leads}
    return laboratory_mean(leads, laboratories, "spearman")


def _head(group: str, quality: Mapping, chosen: Mapping) -> str:
    laboratories = len({quality["rated"][which]["laboratory"] for which in chosen})
    sets = "1 set" if len(chosen) == 1 else f"{len(chosen)} sets"
    return f"{group} ({sets}" + (f", {laboratories} laboratories)" if laboratories > 1 else ")")


def _mean(chosen: Mapping[str, Mapping], quality: Mapping) -> str:
    if not chosen:
        return NONE
    laboratories = {which: quality["rated"][which]["laboratory"] for which in chosen}
    row = laboratory_mean(dict(chosen), laboratories, "spearman")
    return num(row["mean"], 2) if row["laboratories"] == 1 else mean_text(row, 2)


def noted(quality: Mapping) -> dict[str, dict]:
    """What the note "may not be speech" says: source -> ``speech`` (whether it is), ``sets``, ``noted``.

    Of rated sets a system beside its recordings counts, and the better of the two means, as in ``compare``;
    of others a set by itself. ``means``: name -> that mean.
    """
    means = {
        "spoken digits, 5 of a speaker": (True, _of_unlike(quality, "digits")),
        "rated speech, a system beside recordings": (True, _of_rated(quality, "speech")),
        "environmental sounds, 5 of a class": (False, _of_unlike(quality, "sounds")),
        "rendered notes, 5 of a family": (False, _of_unlike(quality, "instruments")),
        "rated music, a system beside recordings": (False, _of_rated(quality, "music")),
        "rated effects, a system beside recordings": (False, _of_rated(quality, "effects")),
    }
    return {
        source: {
            "speech": speech,
            "sets": len(of_sets),
            "noted": sum(mean < quality["limit"] for mean in of_sets.values()),
            "means": of_sets,
        }
        for source, (speech, of_sets) in means.items()
        if of_sets
    }


def _of_unlike(quality: Mapping, source: str) -> dict[str, float]:
    return {name: float(np.mean(scores)) for name, scores in quality["unlike"][source].items()}


def _of_rated(quality: Mapping, kind: str) -> dict[str, float]:
    return {
        f"{which} {system}": max(float(np.mean(scores)), float(np.mean(row["reference"])))
        for which, row in quality["rated"].items()
        if row["kind"] == kind
        for system, scores in row["systems"].items()
    }


def no_speech(quality: Mapping) -> pd.DataFrame:
    """How often the note errs, a source a row: sets, mean scores from the lowest to the highest, noted."""
    return table_of(
        {
            "": source,
            "speech": "yes" if row["speech"] else "no",
            "sets": row["sets"],
            "mean scores": f"{num(min(row['means'].values()), 2)} to {num(max(row['means'].values()), 2)}",
            "noted": row["noted"],
            "missing or wrong": row["noted"] if row["speech"] else row["sets"] - row["noted"],
        }
        for source, row in noted(quality).items()
    )
