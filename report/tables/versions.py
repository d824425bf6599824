"""What versions of the recipe measure, side by side: results/versions.json, and whose part is what."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from experiments.statistics import FIRST_VERSION, mean_power
from report.numbers import num, percent
from report.tables.table import NONE, table_of


def versions_beside(versions: Mapping) -> pd.DataFrame:
    """A row a measure, a column each version of the recipe, the oldest first; "±" is the standard error.

    What one version has not measured is left empty there.
    """
    columns = versions["versions"]
    names = dict.fromkeys(name for column in columns.values() for name in column)
    return table_of(
        {
            "": name,
            **{
                f"version {recipe.partition('-')[0]}": _cell(column.get(name))
                for recipe, column in columns.items()
            },
        }
        for name in names
    )


def power_of_versions(versions: Mapping, statistics: Mapping, combinations: Mapping) -> pd.DataFrame:
    """Share of small effects found by version 1, by its test on the numbers of version 2, and by version 2.

    On the benchmark, where the test of version 1 was chosen, and on the damage of ``combinations``, where
    version 1 itself was not tried. "±" is the standard error over trials, or over effects.
    """
    first = next(iter(versions["versions"].values()))
    rows = [
        {
            "": f"the benchmark, {size}",
            "version 1": _cell(first[f"power, digits, {size}"]),
            "its test on the numbers of version 2": _share(mean_power(statistics[table], FIRST_VERSION)),
            "version 2": _share(mean_power(statistics[table], "this distance")),
        }
        for size, table in (("N = 20", "power_20"), ("N = 50", "power_50"), ("10 pairs", "paired_power_10"))
    ]
    for size in sorted({row["files"] for row in combinations["power"]}):
        found = [row["found"] for row in combinations["power"] if row["files"] == size]
        shares = {name: [row[name] for row in found] for name in ("version 1", "all")}
        mean = {
            name: _share((np.mean(each), np.std(each, ddof=1) / np.sqrt(len(each))))
            for name, each in shares.items()
        }
        rows.append(
            {
                "": f"other damage, N = {size}",
                "version 1": NONE,
                "its test on the numbers of version 2": mean["version 1"],
                "version 2": mean["all"],
            }
        )
    return table_of(rows)


def _share(mean_and_error: tuple[float, float]) -> str:
    mean, error = mean_and_error
    return f"{num(100 * mean, 1)} ± {percent(error, 1)}"


def _cell(measure: Mapping | None) -> str:
    if measure is None:
        return NONE
    form, digits = (percent, 1) if measure["share"] else (num, 3)
    error = "" if measure["error"] is None else f" ± {form(measure['error'], digits).removesuffix(' %')}"
    return f"{form(measure['value'], digits).removesuffix(' %')}{error}{' %' if measure['share'] else ''}"
