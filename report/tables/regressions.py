"""The gate: verdicts on planted bugs, and how well verdicts keep their promises.

``regressions`` is results/regressions.json, ``calibration`` results/calibration.json.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from report.figures.style import words
from report.numbers import effect_text, percent
from report.tables.table import table_of


def verdicts(regressions: Mapping) -> pd.DataFrame:
    """What the gate says of each ablation, a row each.

    The effect is the mean difference of the distance to the base in pairs of seeds (above 0: worse), with
    its interval; verdicts with all seeds and with the first few, corrected by Holm for all ablations; tried
    alone; and by view.
    """
    seeds = str(regressions["seeds"])
    rows = []
    for name, row in regressions["ablations"].items():
        if "verdicts" not in row:  # the baseline
            continue
        judged = row["verdicts"]
        views = [judged[view][seeds]["verdict"] for view in ("envelope", "attack", "fine_structure")]
        rows.append(
            {
                "ablation": words(name),
                "what it is": row["why"],
                f"effect on the distance, {seeds} pairs of seeds": effect_text(judged["distance"][seeds], 4),
                **{f"verdict with {n}": verdict["verdict"] for n, verdict in judged["distance"].items()},
                f"tried alone, {seeds}": row["alone"]["verdict"],
                "envelope, attack, fine structure": ", ".join(views),
            }
        )
    return table_of(rows)


def verdicts_by_seeds(regressions: Mapping) -> pd.DataFrame:
    """The verdict on every (ablation, metric), by number of seeds.

    The metrics are the distance and its three views; corrected for all ablations within a metric.
    """
    rows = {}
    for name, row in regressions["ablations"].items():
        for metric, by_seeds in row.get("verdicts", {}).items():
            rows[name, metric] = {f"{n} seeds": verdict["verdict"] for n, verdict in by_seeds.items()}
    return pd.DataFrame(rows).T


def alarms(calibration: Mapping) -> pd.DataFrame:
    """Share of verdicts of worse or better where nothing changed, by (pairing, metric) and seeds.

    Nominal: .05; 2,000 comparisons a cell, so .04 to .06 is chance.
    """
    rows = {
        (kind, metric): {f"{n} seeds": cell["share"] for n, cell in row.items()}
        for kind, table in calibration["false_alarms"].items()
        for metric, row in table.items()
    }
    return pd.DataFrame(rows).T.round(4)


def promises(calibration: Mapping) -> pd.DataFrame:
    """Regressions caught with as many seeds as planned, by (pairing, metric) and effect in spreads.

    Share (seeds a side); 80 % were promised.
    """
    rows = {
        (kind, metric): {
            f"{effect} spreads": f"{percent(cell['share'], 1)} ({cell['seeds']} seeds)"
            for effect, cell in row.items()
        }
        for kind, table in calibration["planted"].items()
        for metric, row in table.items()
    }
    return pd.DataFrame(rows).T
