"""Autoencoders: the ladder from recordings to samples, recognition, planted faults.

All of results/autoencoders.json. Distances are to 300 held-out recordings. Shares over seeds are means with
the range of the seeds: each is another training, and files of one training say nothing of the next.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from report.figures.autoencoders import CEILINGS
from report.figures.style import words
from report.numbers import effect_text, interval, mean_text, num, p_text, percent, share_text, signed
from report.tables.table import NONE, table_of
from report.trainings import heard, said


def ladder(autoencoders: Mapping) -> pd.DataFrame:
    """Every rung from recordings to samples: distance with interval, verdict and effect.

    Intervals are over files for recordings and round trips, over seeds for models. Verdict and effect
    compare a model with the simple one, seed by seed.
    """
    rows = {"recordings": {"distance": _rung(autoencoders["floor"], 4)}}
    for name, trip in autoencoders["ceiling"].items():
        rows[f"round trip, {CEILINGS[name]}"] = {"distance": _rung(trip, 4)}
    for kind in ("reconstructions", "samples"):
        for name, row in autoencoders["models"].items():
            judged = row.get("verdicts", {}).get(kind)
            rows[f"{words(name)}: {kind}"] = {
                "distance": mean_text(row[kind], 4),
                "against the simple one": said(judged) if judged else "the baseline",
                "effect": effect_text(judged) if judged else "",
            }
    return pd.DataFrame(rows).T.fillna("")


def _heard_text(rows: Sequence[Mapping]) -> str:
    """ "77.0 % (74.7 to 79.0 %)", or of sounds without a label the share that the recogniser is sure of."""
    share = heard(rows)
    if share is None:
        return f"no label ({percent(np.mean([row['sure'] for row in rows]))} sure)"
    return f"{percent(share['mean'], 1)} ({num(100 * share['least'], 1)} to {percent(share['most'], 1)})"


def _rung(row: Mapping, digits: int = 3) -> str:
    return f"{num(row['value'], digits)} ({interval(row['interval'], digits)})"


def models(autoencoders: Mapping) -> pd.DataFrame:
    """What each model costs, and how near it comes: parameters, minutes, reconstructions, samples.

    Minutes are those of a run, evaluations included, on one thread; mean of the seeds.
    """
    return table_of(
        {
            "model": words(name),
            "parameters": f"{row['model'][0]['parameters']:,.0f}",
            "training, minutes": num(np.mean(row["seconds"]) / 60, 1),
            "reconstructions": mean_text(row["reconstructions"]),
            "samples": mean_text(row["samples"]),
        }
        for name, row in autoencoders["models"].items()
    )


def verdicts_of_models(autoencoders: Mapping) -> pd.DataFrame:
    """The gate's verdict on each model's samples, and the share of its digits that is recognised.

    Shares are means over seeds with their range. A model whose samples are meant to be of no digit has no
    right answer: then the share that the recogniser is sure of.
    """
    rows = []
    for name, row in autoencoders["models"].items():
        judged = row.get("verdicts", {}).get("samples")
        effect = f"{signed(judged['effect'], 3)}, p = {p_text(judged['p_value'])}" if judged else NONE
        rows.append(
            {
                "model": words(name),
                "samples against the simple one": said(judged) if judged else "the baseline",
                "effect": effect,
                "digits recognised: reconstructions": _heard_text(row["recognised"]["reconstructions"]),
                "samples": _heard_text(row["recognised"]["samples"]),
            }
        )
    return table_of(rows)


def recognised(autoencoders: Mapping) -> pd.DataFrame:
    """Shares of digits recognised as what they should be: of models mean and range over seeds.

    Of recordings Wilson's interval over files. And how many of the 60 pairs of digit and speaker do not occur
    among 300 sounds, by the recogniser: lost modes, mean over seeds.
    """
    rows = {name: [row] for name, row in autoencoders["recognised"].items()}
    for kind in ("reconstructions", "samples"):
        for name, row in autoencoders["models"].items():
            rows[f"{words(name)}: {kind}"] = row["recognised"][kind]
    table = {}
    for name, seeds in rows.items():
        right = _heard_text(seeds) if heard(seeds) else "no label"
        if name in autoencoders["recognised"]:
            right = share_text(seeds[0]["right"], seeds[0]["interval"])
        missing = [sum(count == 0 for line in row["cells"] for count in line) for row in seeds]
        table[name] = {
            "right": right,
            f"recogniser sure ({percent(autoencoders['sure'])} or more)": percent(
                np.mean([row["sure"] for row in seeds])
            ),
            "missing digit-speaker pairs": num(np.mean(missing), 0 if len(seeds) == 1 else 1),
        }
    return pd.DataFrame(table).T


def faults(autoencoders: Mapping) -> pd.DataFrame:
    """The gate's verdict on each planted fault, among all and as if tried alone.

    The last column is the distance of recordings that only went through the fault's spectrogram and back.
    """
    planted = autoencoders["faults"]
    return table_of(
        {
            "fault": words(name),
            f"distance of samples, mean of {autoencoders['seeds']} seeds": num(np.mean(row["values"])),
            "effect": effect_text(row),
            f"verdict, corrected for {len(planted)}": said(row),
            "tried alone": said(row["alone"]),
            "recordings after the faulty round trip, no model": _rung(row["round_trip"])
            if "round_trip" in row
            else "not in the spectrogram",
        }
        for name, row in planted.items()
    )
