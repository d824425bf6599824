"""The classifier: divisions, ladder, new folders, and its embedding among others.

``classifier`` is results/classifier.json, ``trained`` results/trained.json.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from report import contrast
from report.figures.classifier import DIVISIONS, RUNGS
from report.figures.style import words
from report.numbers import interval, num, percent, points, share_text
from report.tables.table import NONE, table_of

HELD_OUT = {  # the classifier's divisions, where space allows to say how
    "sounds": "environmental sounds (ESC-10): recordings, published folds",
    "digits": "spoken digits: takes, official test",
    "speakers": "spoken digits: speakers in turn",
    "families": "instruments, ten families: programs",
}


def divisions(classifier: Mapping) -> pd.DataFrame:
    """Accuracy by what is held out, beside two baselines and beside a division that ignores groups.

    The last flatters: recordings of one speaker or program are then on both sides.
    """
    return table_of(
        {
            "held out": HELD_OUT[name],
            "files": row["files"],
            "accuracy": percent(row["accuracy"], 1),
            "95 %": f"{num(100 * row['interval'][0], 1)} to {percent(row['interval'][1], 1)}",
            "commonest label": percent(row["baselines"]["majority"]["accuracy"], 1),
            "MFCC, logistic regression": percent(row["baselines"]["cepstral"]["accuracy"], 1),
            "groups ignored": percent(row["flattered"]["accuracy"], 1) if "flattered" in row else NONE,
        }
        for name, row in classifier["divisions"].items()
    )


def rungs(classifier: Mapping) -> pd.DataFrame:
    """The classifier's ladder, a row a rung: accuracy and interval over folds, and the gate's verdict.

    The gain is over the rung named, paired by fold, in percentage points.
    """
    rows = {}
    for name, row in classifier["ladder"].items():
        rows[RUNGS[name]] = {"accuracy": share_text(row["accuracy"], row["interval"], 1)}
        if "verdict" in row:
            rows[RUNGS[name]] |= {
                "gain, points": points({"mean": row["gain"], "interval": row["gain_interval"]}),
                "against": RUNGS[row["against"] or "whole"],
                "p": f"{row['p_value']:.2g}",
                "verdict": row["verdict"],
            }
    return pd.DataFrame(rows).T.fillna("")


def new_folders(classifier: Mapping) -> pd.DataFrame:
    """Each condition by set, averaged over folds: ``lost``, percentage points of accuracy, and distance.

    Rows in the order they were measured in; a cell is empty where a set has no such condition.
    """
    folders = pd.DataFrame(classifier["folders"])
    folders["lost"] = 100 * folders["drop"]
    folders["folder"] = [
        f"{words(row.kind)}{f', {row.grade}' if row.kind in classifier['changes'] else ''}"
        for row in folders.itertuples()
    ]
    order = list(dict.fromkeys(folders["folder"]))  # as they were measured
    columns = [(name, number) for name in DIVISIONS for number in ("lost", "distance")]
    table = folders.pivot_table(index="folder", columns="data", values=["lost", "distance"], sort=False)
    table = table.swaplevel(axis=1).reindex(index=order, columns=columns)
    return table.map(
        lambda value: "" if pd.isna(value) else f"{value:.3g}" if abs(value) >= 1 else f"{value:.3f}"
    )


def predictions(classifier: Mapping) -> pd.DataFrame:
    """Rank correlation of the accuracy lost with the distance, and with the loss of confidence.

    Spearman's, over conditions, with a bootstrap interval over kinds of change; a set a row.
    """
    rows = []
    for name, row in classifier["prediction"].items():
        if name != "warnings":
            cells = {
                title: f"{num(row[key]['spearman'], 2)} ({interval(row[key]['interval'], 2)})"
                for key, title in (("distance", "distance"), ("less_sure", "loss of confidence"))
            }
            label = "all together" if name == "all" else DIVISIONS[name]
            rows.append({"": label, "conditions": row["conditions"], **cells})
    return table_of(rows)


def warned(classifier: Mapping) -> pd.DataFrame:
    """How many folders ``predict`` would have warned of, by the accuracy that was lost there.

    Few in the first row and all in the last would be right.
    """
    warnings, rows = classifier["prediction"]["warnings"], []
    for place, row in enumerate(warnings):
        least, most = num(100 * row["least_drop"], 0), num(100 * row["most_drop"], 0)
        if place == 0:  # from -1: accuracy may rise
            lost = f"below {most}"
        elif place == len(warnings) - 1:
            lost = f"{least} and more"
        else:
            lost = f"{least} to {most}"
        rows.append(
            {
                "accuracy lost, percentage points": lost,
                "folders": row["folders"],
                "warned of": row["warned"],
            }
        )
    return table_of(rows)


def trained_embeddings(trained: Mapping) -> pd.DataFrame:
    """A trained embedding among others: mean share of small effects found, by source.

    By the energy distance on each, at N of the settings.
    """
    return table_of(
        {"embedding": row["name"], **{source: percent(share) for source, share in row["shares"].items()}}
        for row in contrast.by_embedding(trained)
    )
