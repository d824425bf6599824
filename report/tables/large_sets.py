"""What blocks and parts add to the error of a value. All of results/large_sets.json."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from report.numbers import num, percent
from report.tables.table import table_of


def added_error(large_sets: Mapping) -> pd.DataFrame:
    """Value of all pairs, half of the 95 % interval, and the error that blocks and parts of windows add.

    A row a kind of sets and number of blocks; the added error is a root mean square over the draws, and its
    share, and that without the control variate, is of half the interval.
    """
    return table_of(
        {
            "sets": row["sounds"],
            "files × windows": f"{row['files']:,} × {row['windows']}",
            "blocks": row["blocks"],
            "value": num(row["value"], 5),
            "half of the interval": num(row["half"], 5),
            "added error": num(row["added"], 5),
            "its share": percent(row["added"] / row["half"]),
            "share without the correction": percent(row["plain"] / row["half"]),
        }
        for row in large_sets["rows"]
    )
