"""Value and test on spoken digits: bias, power, false alarms, soundness.

All of results/statistics.json.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from experiments.statistics import DISTORTED, EFFECTS, KINDS, SHUFFLED, mean_power
from report.numbers import num, p_text, percent
from report.tables.table import NONE, table_of
from study.incumbents import VALUES


def benchmark(statistics: Mapping) -> pd.DataFrame:
    """Bias and power of this distance beside Frechet and Gaussian MMD on the same numbers.

    First a row each N: mean (standard deviation) of the value between two samples of one source, in units of
    a mid distortion's value. Then the mean share of effects found at p of 5 % or less, with its binomial
    standard error: 32 small effects at N = 20 and 50, 24 distortions in 10 matched pairs.
    """
    titles = dict(zip(VALUES, ("this distance", "Frechet", "Gaussian MMD"), strict=True))
    rows = []
    for size, row in statistics["bias"].items():
        what = f"two samples of one source, N = {size}: mean (sd), share of a mid distortion's value"
        cells = {
            title: f"{num(row[name]['mean_null_over_mid'])} ({num(row[name]['sd_null_over_mid'])})"
            for name, title in titles.items()
        }
        rows.append({"": what, **cells})
    for key, what in (
        ("power_20", "small effects found at p ≤ 5 %, N = 20"),
        ("power_50", "the same, N = 50"),
        ("paired_power_10", "distortions found, matched pairs, N = 10"),
    ):
        rows.append({"": what, **{title: _power(statistics[key], name) for name, title in titles.items()}})
    return table_of(rows)


def files_needed(statistics: Mapping) -> pd.DataFrame:
    """How often ``compare`` finds damage, a row a kind, by number of files: for who plans a listening set.

    Mean share of draws with p of 5 % or less over the effects of the kind. Distortions at the two mildest of
    five severities; matched pairs have distortions alone.
    """
    columns = {
        "10 matched pairs": statistics["paired_power_10"],
        "20 files": statistics["power_20"],
        "50 files": statistics["power_50"],
    }
    kinds = {
        "very mild damage to every file (severity 1 of 5)": [e for e in DISTORTED if e.endswith(" 1")],
        "mild damage to every file (severity 2)": [e for e in DISTORTED if e.endswith(" 2")],
        "pieces of 100 or 200 ms in another order, or played backwards": [*SHUFFLED, "reversed"],
        "one or two of six speakers missing": [e for e in EFFECTS if "speaker" in e],
        "one to three of ten words missing": [e for e in EFFECTS if "digits" in e],
    }
    return table_of(
        {
            "what differs": name,
            **{
                title: percent(np.mean([_share(table[effect]) for effect in effects]))
                if set(effects) <= set(table)
                else NONE
                for title, table in columns.items()
            },
        }
        for name, effects in kinds.items()
    )


def mostly(found: Mapping, *, severity: int) -> dict[str, list[float]]:
    """Kinds of distortion by whether ``compare`` finds them in most draws, at one severity.

    ``found``: of an effect the draws and those in which it is found, as ``power_20``. ``found`` and
    ``missed`` of the result hold a share of draws a kind.
    """
    shares = [_share(found[f"{kind} {severity}"]) for kind in KINDS]
    half = 0.5
    return {
        "found": [share for share in shares if share > half],
        "missed": [share for share in shares if share <= half],
    }


def _share(tested: Mapping) -> float:
    found, trials = tested["this distance"]
    return found / trials


def _power(table: Mapping, name: str) -> str:
    """Mean share of effects found, with its standard error."""
    mean, error = mean_power(table, name)
    return f"{percent(mean)} ± {percent(error, 1)}"


def false_alarms(statistics: Mapping) -> pd.DataFrame:
    """Share of p of 5 % or less where nothing differs, by what is drawn, with its standard error; trials.

    Above 5 % is wrong, as in the row that says so: files of one group dealt as if they were draws.
    """
    return table_of(
        {
            "": name,
            "share of p ≤ 5 %": f"{percent(row['share'], 1)} ± {percent(row['standard_error'], 1)}",
            "trials": row["trials"],
        }
        for name, row in statistics["false_alarms"].items()
    )


def soundness(statistics: Mapping) -> pd.DataFrame:
    """Pairs of sets that must differ, and pairs that must not, a row each.

    Median over the draws of p and of the value in null spreads, share of draws with p of 5 % or less, and
    whether it is as it must be (``experiments.statistics.soundness`` has the rule).
    """
    return table_of(
        {
            "pair": row["pair"],
            "N": row["files"],
            "must differ": "yes" if row["must_differ"] else "no",
            "median p": p_text(row["median_p"]),
            "median value, in null spreads": num(row["median_null_spreads"], 1),
            "p ≤ 5 %": percent(row["share_p_below_5_percent"]),
            "": "right" if row["right"] else "wrong",
        }
        for row in statistics["soundness"]
    )
