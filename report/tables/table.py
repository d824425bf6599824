"""What every table is made and written with."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import pandas as pd

NONE = "–"  # a cell that cannot have a value


def markdown(table: pd.DataFrame, bold: Collection[str] = ()) -> str:
    """A table in Markdown; ``bold`` names columns, or texts of cells, that are set in bold.

    "|" in a cell is escaped, as it would end the cell.
    """

    def cell(text, column: str = "") -> str:
        text = str(text).replace("|", "&#124;")
        return f"**{text}**" if text in bold or column in bold else text

    head = [table.index.name or "", *map(str, table.columns)]
    lines = [head]
    for name, row in table.iterrows():
        lines.append([cell(name), *(cell(text, column) for column, text in row.items())])
    first, *others = (f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)
    return "\n".join([first, "|" + "---|" * len(head), *others])


def table_of(rows: Iterable[Mapping]) -> pd.DataFrame:
    """A row a mapping, its first key the index. ValueError where keys differ: no number goes missing."""
    rows = list(rows)
    if any(row.keys() != rows[0].keys() for row in rows):
        raise ValueError(f"rows of one table have different columns: {[list(row) for row in rows]}")
    table = pd.DataFrame(rows)
    head = table.columns[0]
    return table.set_index(head).rename_axis(head or None)
