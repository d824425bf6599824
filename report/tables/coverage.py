"""How often intervals hold the truth, and which claims of "closer" hold: results/coverage.json."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from report.numbers import num
from report.tables.table import NONE, table_of


def coverage_of_intervals(coverage: Mapping) -> pd.DataFrame:
    """Share of draws whose 95 % interval holds the pools' distance, in per cent; a row a condition.

    A column each pair of sizes; in brackets the plain jackknife with Student's t on the same draws.
    """
    sizes = list(dict.fromkeys(_size(row) for row in coverage["intervals"]))
    rows: dict[str, dict[str, str]] = {}
    for row in coverage["intervals"]:
        cells = rows.setdefault(f"{row['source']}: {row['condition']}", {})
        shares = [100 * row[key] / coverage["trials"] for key in ("covered", "jackknife")]
        cells[_size(row)] = f"{num(shares[0], 1)} ({num(shares[1], 1)})"
    return table_of(
        {"units a set": name, **{size: cells.get(size, NONE) for size in sizes}}
        for name, cells in rows.items()
    )


def claims_of_closer(coverage: Mapping) -> pd.DataFrame:
    """Share of draws in which a candidate is called closer with p of 5 % or less, in per cent.

    At equal distance every claim is wrong and all are counted; else the first number is of right claims, the
    second of wrong ones. In brackets the plain jackknife.
    """
    sizes = list(dict.fromkeys(row["units"] for row in coverage["differences"]))
    rows: dict[str, dict[int, str]] = {}
    for row in coverage["differences"]:
        cells = rows.setdefault(f"{row['source']}: {row['condition']}", {})
        equal = row["condition"].startswith("equal")
        texts = []
        for key in ("closer", "jackknife"):
            first, second = (100 * count / coverage["trials"] for count in row[key])
            texts.append(num(first + second, 1) if equal else f"{num(second, 1)}, {num(first, 1)}")
        cells[row["units"]] = f"{texts[0]} ({texts[1]})"
    return table_of(
        {
            "": name,
            **{f"N = {size}": cells.get(size, NONE) for size in sizes},
        }
        for name, cells in rows.items()
    )


def held(coverage: Mapping, *, fewest: int, most: int) -> list[float]:
    """Shares of draws whose 95 % interval holds the truth, a condition each.

    Of the conditions whose smaller set has ``fewest`` to ``most`` units.
    """
    return [
        row["covered"] / coverage["trials"]
        for row in coverage["intervals"]
        if fewest <= min(row["units"]) <= most
    ]


def in_order(coverage: Mapping, damaged: str, *, units: int) -> dict[str, list[float]]:
    """Shares of draws in which the test says which of two damaged candidates is closer, a source each.

    ``damaged``: how many files of the two are, as the conditions end: "50 % and 20 %". ``right`` are the
    claims that the less damaged one is closer, ``wrong`` the others.
    """
    rows = [
        row["closer"]
        for row in coverage["differences"]
        if row["units"] == units
        and row["condition"].endswith(f" in {damaged}")
        and not row["condition"].startswith("equal")
    ]
    return {
        name: [row[place] / coverage["trials"] for row in rows]
        for place, name in enumerate(("wrong", "right"))
    }


def _size(row: Mapping) -> str:
    return " against ".join(map(str, row["units"]))
