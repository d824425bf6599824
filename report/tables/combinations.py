"""What each statistic of the test and each part of its numbers adds. All of results/combinations.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from report.numbers import num, signed
from report.tables.table import table_of


def what_each_adds(combinations: Mapping) -> pd.DataFrame:
    """Per cent of draws found, a row a combination; "all minus it" with the standard error over effects.

    Power is the mean over effects and sources, for each number of files; the last column is p of 5 % or less
    after harmless changes, and where nothing was changed.
    """
    power = combinations["power"]
    sizes = sorted({row["files"] for row in power})
    table = []
    for name in power[0]["found"]:
        cells = {"": "**all four**" if name == "all" else name}
        for size in sizes:
            rows = [row for row in power if row["files"] == size]
            cells[f"N = {size}"] = num(_mean(rows, name), 1)
            gains = [100 * (row["found"]["all"] - row["found"][name]) for row in rows]
            error = np.std(gains, ddof=1) / np.sqrt(len(gains))
            cells[f"all minus it, N = {size}"] = (
                "" if name == "all" else f"{signed(np.mean(gains))} ± {num(error, 1)}"
            )
        cells["harmless"] = num(_mean(combinations["harmless"], name), 1)
        table.append(cells)
    return table_of(table)


def _mean(rows: Sequence[Mapping], combination: str) -> float:
    return float(100 * np.mean([row["found"][combination] for row in rows]))
