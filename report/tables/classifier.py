"""The classifier: divisions, ladder, new folders, and its embedding among others.

``classifier`` is results/classifier.json, ``trained`` results/trained.json.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from report import contrast
from report.figures.classifier import DIVISIONS, RUNGS
from report.figures.style import words
from report.numbers import interval, num, percent, points, share_text, signed
from report.references import references
from report.tables.table import NONE, table_of

QUOTED = Path(__file__).with_name(
    "esc10.csv"
)  # accuracies on the published folds, as their authors give them
STATISTICS = (
    ("spearman", "interval", "rank correlation"),
    ("area", "area_interval", "area"),
)
HELD_OUT = {  # the classifier's divisions, where space allows to say how
    "sounds": "environmental sounds (ESC-10): recordings, published folds",
    "digits": "spoken digits: takes, official test",
    "speakers": "spoken digits: speakers in turn",
    "families": "instruments, ten families: programs",
}


def divisions(classifier: Mapping) -> pd.DataFrame:
    """Accuracy by what is held out, beside two baselines and beside a division that ignores groups.

    The last flatters: recordings of one speaker or program are then on both sides. It is of the same files,
    in as many folds of the same sizes.
    """
    return table_of(
        {
            "held out": HELD_OUT[name],
            "files": row["files"],
            "accuracy": percent(row["accuracy"], 1),
            "95 %": f"{num(100 * row['interval'][0], 1)} to {percent(row['interval'][1], 1)}",
            "commonest label": percent(row["baselines"]["majority"]["accuracy"], 1),
            "MFCC, logistic regression": percent(row["baselines"]["cepstral"]["accuracy"], 1),
            "groups ignored": share_text(row["flattered"]["accuracy"], row["flattered"]["interval"], 1)
            if "flattered" in row
            else NONE,
        }
        for name, row in classifier["divisions"].items()
    )


def beside(classifier: Mapping) -> pd.DataFrame:
    """The classifier on the environmental sounds beside others: measured on the same folds, then quoted.

    Quoted are ``QUOTED``; of these nothing is known but the mean.
    """
    ladder, on = classifier["ladder"], classifier["divisions"]["sounds"]
    rows = [
        (RUNGS["cepstral"], ladder["cepstral"], "nothing"),
        ("one network", ladder["single"], "nothing"),
        ("three networks, as shipped", on, "nothing"),
    ]
    rival = classifier["pretrained"]
    rows.append((f"{rival['embedding']}, logistic regression", rival, "sound effects"))
    with QUOTED.open(newline="", encoding="utf-8") as file:
        quoted = list(csv.DictReader(file))
    papers = references()
    return table_of(
        [
            {
                "": name,
                "accuracy": share_text(row["accuracy"], row["interval"], 1),
                "learned before from": before,
                "source": "measured here",
            }
            for name, row, before in rows
        ]
        + [
            {
                "": row["model"],
                "accuracy": percent(float(row["percent"]) / 100, 1),
                "learned before from": row["learned before from"],
                "source": f"quoted: {papers[row['reference']].cited}",
            }
            for row in quoted
        ]
    )


def rungs(classifier: Mapping) -> pd.DataFrame:
    """The classifier's ladder, a row a rung: accuracy and interval over folds, and the gate's verdict.

    Accuracy and gain stand apart for the folds that length, steps and members were chosen on and for the last
    one. The gain is over the rung named, between runs of the same seeds, paired by fold, in points.
    """
    rows, count, ladder = {}, classifier["chosen"], classifier["ladder"]
    chosen, last = f"folds 1 to {count}", f"fold {count + 1}"
    for name, row in ladder.items():
        networks = row["networks"]
        rows[RUNGS[name]] = {
            "networks a fold": f"{networks} sets of three" if networks > 5 else str(networks),
            "accuracy": share_text(row["accuracy"], row["interval"], 1),
            chosen: percent(_mean(row["values"][:count]), 1),
            last: percent(_mean(row["values"][count:]), 1),
        }
        if "verdict" in row:
            gains = row["gains"]
            rows[RUNGS[name]] |= {
                "gain, points": points({"mean": row["gain"], "interval": row["gain_interval"]}),
                f"gain, {chosen}": signed(100 * _mean(gains[:count])),
                f"gain, {last}": signed(100 * _mean(gains[count:])),
                "against": RUNGS[row["against"] or "whole"],
                "p": f"{row['p_value']:.2g}",
                "verdict": row["verdict"],
            }
    return pd.DataFrame(rows).T.fillna("")


def one_or_three(classifier: Mapping) -> pd.DataFrame:
    """Is the mean of three networks better than one? The gate's verdict on each part of the folds.

    Accuracies are means over networks and over sets of three of them. Over folds the interval is of other
    recordings; on one fold it is of other trainings.
    """
    count, committees = classifier["chosen"], classifier["committees"]
    parts = {
        "chosen on": (f"folds 1 to {count}, where it was chosen", slice(None, count), "folds"),
        "last": (f"fold {count + 1}, which no choice saw", slice(count, None), "trainings"),
        "all": ("all folds", slice(None), "folds"),
    }
    rows = []
    for part, (name, folds, over) in parts.items():
        one, three = (_mean(map(_mean, committees[kind][folds])) for kind in ("alone", "together"))
        step = committees["steps"][part]
        rows.append(
            {
                "": name,
                "one network": percent(one, 1),
                "three": percent(three, 1),
                "gain, points": points({"mean": step["gain"], "interval": step["gain_interval"]}),
                "interval over": over,
                "p": f"{step['p_value']:.2g}",
                "verdict": step["verdict"],
            }
        )
    return table_of(rows)


def _mean(values) -> float:
    values = list(values)
    return sum(values) / len(values)


def calibrations(classifier: Mapping) -> pd.DataFrame:
    """Two scores of the probabilities, as trained and after the temperature of the other folds.

    The calibration error, in percentage points, says how far the chance of the likeliest label is off; log
    loss, in nats, counts every probability given to the truth. Lower is better. Without the digits' one fold.
    """
    return table_of(
        {
            "": DIVISIONS[name],
            "calibration error, as trained": num(100 * row["raw"]["error"], 1),
            "with temperature": num(100 * row["calibrated"]["error"], 1),
            "log loss, as trained": num(row["raw"]["log_loss"]),
            "log loss, with temperature": num(row["calibrated"]["log_loss"]),
        }
        for name, row in classifier["divisions"].items()
        if row["calibrated"]
    )


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
    """How the distance, and the loss of confidence, go with the accuracy lost; a set a row.

    Spearman's rank correlation, and the area under the ROC curve by which each tells costly conditions from
    others; over conditions, with bootstrap intervals over kinds of change. Then the mean over the sets, and
    all conditions in one heap, where sets are told from each other too.
    """
    labels = {**DIVISIONS, "within": "within the sets, mean", "all": "all in one heap"}
    rows, prediction = [], classifier["prediction"]
    for name, label in labels.items():
        row, cells = prediction[name], {}
        for statistic, ends, title in STATISTICS:
            for key, what in (("distance", "distance"), ("less_sure", "loss of confidence")):
                value, ends_of = row[key][statistic], row[key][ends]
                cells[f"{title}, {what}"] = (
                    NONE if value is None else f"{num(value, 2)} ({interval(ends_of, 2)})"
                )
        counts = f"{row['conditions']} ({row['costly']})"
        rows.append({"": label, "conditions (costly)": counts, **cells})
    return table_of(rows)


def warned(classifier: Mapping) -> pd.DataFrame:
    """How many folders ``predict`` would have warned of, by the accuracy that was lost there, set by set.

    None in the first row and all in the last would be right.
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
                "warned of, all": f"{row['warned']} of {row['folders']}",
                **{
                    DIVISIONS[name]: f"{warned} of {folders}" if folders else NONE
                    for name, (folders, warned) in row["by_set"].items()
                },
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
