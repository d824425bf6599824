"""Pairs of sets that the distance was not developed with. All of results/soundness.json.

Conventions
    row      of the result: a pair on a source, with the draws that each test found.
    tests    "compare" and ``RIVALS``, the best known or best preparations of each kind; ``judged_right`` adds
             the best of all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from experiments.soundness import COMPARE, ORACLE, is_right
from report import contrast
from report.numbers import percent
from report.tables.table import NONE, table_of

RIVALS = {  # in words; the last three are whitened
    "aisfx / frechet": "Frechet, aisfx",
    "aisfx / gaussian_mmd": "MMD, aisfx",
    "three_views / whitened gaussian_mmd": "MMD, views",
    "mean_spectrum / whitened gaussian_mmd": "MMD, spectrum",
    "three_views / whitened ridge_classifier": "classifier, views",
}
TESTS = (COMPARE, *RIVALS)
GROUPS = {
    "harmless": "harmless changes",
    "few files": "missed before",
    "classes": "classes missing",
    "further": "twenty further pairs",
}


def in_words(test: str) -> str:
    """A test as a table heads its column: "MMD, aisfx"; one that is no rival: "log mel / frechet"."""
    return "`compare`" if test == COMPARE else RIVALS.get(test) or contrast.label(tuple(test.split(" / ")))


def unfamiliar_pairs(soundness: Mapping) -> pd.DataFrame:
    """Per cent of draws with p of 5 % or less, a row a pair and source; bold where that is judged wrong.

    The last row says how many are judged right. ``oracle``, which is told labels, judges only where there are
    any.
    """
    rows = soundness["rows"]
    table = [
        {
            "pair (source)": f"{row['pair']} ({row['source']})",
            "N, draws": f"{row['files']}, {row['draws']}",
            "differ": "must" if row["must_differ"] else "must not",
            **{in_words(test): _cell(row, test) for test in TESTS},
            ORACLE: _cell(row, ORACLE) if ORACLE in row["found"] else NONE,
        }
        for row in rows
    ]
    last = {in_words(test): str(_right(rows, test)) for test in TESTS}
    told = [row for row in rows if ORACLE in row["found"]]
    last[ORACLE] = f"{_right(told, ORACLE)} of {len(told)}"
    empty = dict.fromkeys(("N, draws", "differ"), "")
    return table_of([*table, {"pair (source)": f"judged right, of {len(rows)}", **empty, **last}])


def judged_right(soundness: Mapping) -> pd.DataFrame:
    """How many rows each test judges right, a row a test: all, those that must not differ, then by group.

    Below the tests of the other table the best of all others.
    """
    rows = soundness["rows"]
    others = sorted(set(rows[0]["found"]) - {*TESTS, ORACLE})
    best = max(others, key=lambda test: _right(rows, test))
    chosen = {in_words(test): test for test in TESTS}
    chosen[f"the best of {len(others)} others: {in_words(best)}"] = best
    parts = {"all": rows, "must not differ": [row for row in rows if not row["must_differ"]]}
    parts |= {name: [row for row in rows if row["group"] == group] for group, name in GROUPS.items()}
    return table_of(
        {
            "judged right": words,
            **{f"{name}, of {len(part)}": _right(part, test) for name, part in parts.items()},
        }
        for words, test in chosen.items()
    )


def judged_wrong(
    soundness: Mapping, *, must_differ: bool, test: str = COMPARE, group: str | None = None
) -> list[str]:
    """The rows that a test judges wrong: "polarity inverted (speech, N = 20, 4 of 20)".

    ``group``: of this one alone.
    """
    return [
        f"{row['pair']} ({row['source']}, N = {row['files']}, {row['found'][test]} of {row['draws']})"
        for row in soundness["rows"]
        if row["must_differ"] == must_differ and not is_right(row, test) and group in (None, row["group"])
    ]


def right_of(soundness: Mapping, tests: Iterable[Mapping]) -> list[int]:
    """How many rows each of some tests judges right; ``tests``: rows of ``report.contrast.level``."""
    names = [
        COMPARE if test["test"] == COMPARE else f"{test['embedding']} / {test['test']}" for test in tests
    ]
    return [_right(soundness["rows"], name) for name in names]


def told_by_labels(soundness: Mapping) -> int:
    """How many differences ``compare`` misses that the oracle finds in the labels of as many files."""
    return sum(
        row["must_differ"] and not is_right(row, COMPARE) and ORACLE in row["found"] and is_right(row, ORACLE)
        for row in soundness["rows"]
    )


def _right(rows: Sequence[Mapping], test: str) -> int:
    return sum(is_right(row, test) for row in rows)


def _cell(row: Mapping, test: str) -> str:
    share = percent(row["found"][test] / row["draws"])
    return share if is_right(row, test) else f"**{share}**"
