"""The challenge: its two distances, as published and clean, by view and beside the incumbents.

All of results/challenge.json.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from report.numbers import interval, num, p_text, percent
from report.tables.table import table_of

TESTS = ("test1", "test2")
WRITINGS = {"historic": "", "clean": " clean"}
LABELS = {"historic": "as published", "clean": "clean"}


def answer(challenge: Mapping) -> pd.DataFrame:
    """Both tests as published and clean, a row each: distance to the background, 95 % interval, p, verdict.

    10 files of the background against 5 of a test; p of 999 permutations over files. An interval with a star
    is below zero, where no distance between two sources can lie.
    """
    rows = []
    for writing, label in LABELS.items():
        for test in TESTS:
            c = challenge["sets"][writing][test]
            rows.append(
                {
                    f"{c['candidate']['files']} files each": f"{test}, {label}",
                    "distance": num(c["value"]),
                    "95 % interval": interval(c["interval"]) + (" *" if c["interval"][1] < 0 else ""),
                    "p": p_text(c["p_value"]),
                    "verdict": c["verdict"],
                }
            )
    return table_of(rows)


def clicks(challenge: Mapping) -> pd.DataFrame:
    """How much of each distance is clicks: as published, clean, and the difference, also as a share.

    A test a row. The difference is of two estimates on the same tones; it has no interval of its own.
    """
    return table_of(
        {
            "": test,
            "as published": num(challenge["sets"]["historic"][test]["value"]),
            "clean": num(challenge["sets"]["clean"][test]["value"]),
            "clicks (the difference)": num(challenge["clicks"][test]["value"]),
            "clicks, share": percent(challenge["clicks"][test]["share"]),
        }
        for test in TESTS
    )


def published(challenge: Mapping) -> pd.DataFrame:
    """Frechet distances of these very files that others published, a row a program and embedding.

    Quoted, as written there; ``ratio`` is test1 over test2.
    """
    return table_of(
        {
            "program": row["by"],
            "embedding": row["embedding"],
            **{test: np.format_float_positional(row[test], 4, fractional=False, trim="-") for test in TESTS},
            "ratio": num(row["test1"] / row["test2"], 1),
        }
        for row in challenge["published"]["rows"]
    )


def parts(challenge: Mapping) -> pd.DataFrame:
    """The parts of each value, a row a view, a column a test and writing; its mean is the distance."""
    sets = challenge["sets"]
    return table_of(
        {
            "": view,
            **{
                f"{test}{writing}": num(sets[which][test]["views"][view])
                for test in TESTS
                for which, writing in WRITINGS.items()
            },
        }
        for view in sets["historic"]["test1"]["views"]
    )


def incumbents(challenge: Mapping) -> pd.DataFrame:
    """The challenge by Frechet and Gaussian MMD on the numbers of this distance, and by it.

    Columns: each test in both writings, value (p of permutations over files); and the background against
    itself, mean and standard deviation over all halves of its ten files, which should be 0. Values of
    different rows have different units.
    """
    measured = {
        "Frechet": challenge["incumbents"]["frechet"],
        "Gaussian MMD, unbiased": challenge["incumbents"]["gaussian_mmd"],
        "this distance": {**challenge["sets"], "split": challenge["split"]},
    }
    return table_of(
        {
            "one vector a file": name,
            **{
                f"{test}{writing} (p)": _value_and_p(row[which][test])
                for which, writing in WRITINGS.items()
                for test in TESTS
            },
            "background against itself": f"{num(row['split']['mean'])} ± {num(row['split']['sd'])}",
        }
        for name, row in measured.items()
    )


def _value_and_p(row: Mapping) -> str:
    return f"{num(row['value'])} ({p_text(row['p_value'])})"
