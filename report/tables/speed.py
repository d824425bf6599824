"""What comparing costs beside describing. All of results/speed.json."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from experiments.speed import share_of_describing
from report.numbers import num, percent
from report.tables.table import table_of


def time_of_comparing(speed: Mapping) -> pd.DataFrame:
    """CPU seconds, share of describing and peak memory (sets included) of ``compare``; a row a size.

    Of sets that are mapped, the memory that the process has for itself.
    """
    rows = [("", row) for row in speed["comparing"]]
    rows += [(", mapped", row) for row in speed.get("comparing_mapped", [])]
    return table_of(
        {
            "a side": f"{row['files']:,} files of {row['windows']:,} s{how}",
            "CPU, s": num(row["seconds"], 2 if row["seconds"] < 10 else 0),
            "share of describing": percent(share_of_describing(row, speed)),
            "peak, MiB": num(row["peak_mib"], 0),
        }
        for how, row in rows
    )
