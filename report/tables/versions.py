"""What versions of the recipe measure, side by side. All of results/versions.json."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

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


def _cell(measure: Mapping | None) -> str:
    if measure is None:
        return NONE
    form, digits = (percent, 1) if measure["share"] else (num, 3)
    error = "" if measure["error"] is None else f" ± {form(measure['error'], digits).removesuffix(' %')}"
    return f"{form(measure['value'], digits).removesuffix(' %')}{error}{' %' if measure['share'] else ''}"
