"""What the test does not see, beside an oracle that is told what to look at. All of results/unseen.json."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from experiments.unseen import NOTHING, TESTS, interval
from report.numbers import percent, share_text
from report.tables.table import NONE, table_of

TITLES = dict(zip(TESTS, ("the test", "the oracle"), strict=True))
FINDERS = ("the test", "the oracle alone", "nobody")


def not_seen(unseen: Mapping) -> pd.DataFrame:
    """Share of draws with p of 5 % or less, of the test and of the oracle: a row an effect and source.

    With the 95 % interval of the share (Clopper and Pearson); the number of draws is in the titles. The last
    rows are of no effect, so their shares are of false alarms, from more draws.
    """
    effects = [row for row in unseen["rows"] if row["effect"] != NOTHING]
    nothing = [row for row in unseen["rows"] if row["effect"] == NOTHING]
    return table_of(
        {
            "the second set": row["effect"],
            "of": row["source"],
            "the oracle reads": row["reads"],
            **{
                f"{TITLES[test]}, {size} files": _share(row, size, test)
                for size in row["found"]
                for test in TESTS
            },
            "draws": " / ".join(str(found["draws"]) for found in row["found"].values()),
        }
        for row in [*effects, *nothing]
    )


def who_finds(unseen: Mapping) -> pd.DataFrame:
    """Who finds an effect in half of the draws or more, of the larger number of files: one of ``FINDERS``.

    A row an effect, a column a source; what was not measured of a source has no entry.
    """
    effects = [row for row in unseen["rows"] if row["effect"] != NOTHING]
    sources = dict.fromkeys(row["source"] for row in effects)
    table: dict[str, dict[str, str]] = {}
    for row in effects:
        found = list(row["found"].values())[-1]
        enough = [2 * found[test] >= found["draws"] for test in TESTS]
        cells = table.setdefault(row["effect"], dict.fromkeys(sources, NONE))
        cells[row["source"]] = next(
            (who for who, is_enough in zip(FINDERS, [*enough, True], strict=True) if is_enough)
        )
    return table_of({"the second set": effect, **cells} for effect, cells in table.items())


def most_missed(unseen: Mapping, *, count: int = 5) -> pd.DataFrame:
    """The effects by which the oracle is most ahead of the test with the larger number of files.

    A row an effect, of the source where that is most; percent of the draws.
    """
    size = list(unseen["rows"][0]["found"])[-1]

    def lead(row: Mapping) -> float:
        found = row["found"][size]
        return (found["oracle"] - found["distance"]) / found["draws"]

    rows: dict[str, Mapping] = {}
    for row in sorted(unseen["rows"], key=lead, reverse=True):
        rows.setdefault(row["effect"], row)
    return table_of(
        {
            "what was changed": f"{row['effect']} ({row['source']})",
            **{
                f"{TITLES[test]}, {size} files": percent(found[test] / found["draws"])
                for test in TESTS
                for size, found in row["found"].items()
            },
        }
        for row in list(rows.values())[:count]
    )


def _share(row: Mapping, size: str, test: str) -> str:
    found = row["found"][size]
    return share_text(found[test] / found["draws"], interval(found[test], found["draws"]))
