"""What unequal lengths do to the p-value. All of results/lengths.json."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from report.numbers import percent
from report.tables.table import table_of

WORDS = {
    "files": "files of {} s and {} s",
    "short": "files of {} s and {} s",
    "mixed": "files of {} s and {} s, mixed",
    "unequal files": "50 files of {} s and 10 of {} s",
    "pairs": "the same clips, cut to {} s and {} s, in pairs",
}


def unequal_lengths(lengths: Mapping) -> pd.DataFrame:
    """Share of p of 5 % or less where both sets are of one source, a row each way of cutting them.

    A column each source, with the number of trials in its title; the last columns say in how many of them a
    note says that windows were left out, and the verdict that short clips differ in length (of all sources
    together). 5 % is right.
    """
    sources = list(dict.fromkeys(row["source"] for row in lengths["conditions"]))
    trials = lengths["conditions"][0]["found"][1]
    ways: dict[str, dict[str, Mapping]] = {}
    for row in lengths["conditions"]:
        words = WORDS.get(row["unit"], "groups of {} and {} files of 1 s")
        ways.setdefault(words.format(row["reference"], row["candidate"]), {})[row["source"]] = row
    return table_of(
        {
            "both sets of one source": way,
            **{f"{s}, {trials} trials": percent(rows[s]["found"][0] / trials, 1) for s in sources},
            "note: windows left out": percent(sum(row["noted"] for row in rows.values()) / len(rows)),
            "verdict names the length": percent(sum(row["short"] for row in rows.values()) / len(rows)),
        }
        for way, rows in ways.items()
    )
