"""The WaveNet: bits a sample, distance and words beside other models, faults, what making and training cost.

Of results/wavenet.json, wavenet_speed.json and wavenet_training.json.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from report.figures.style import words
from report.numbers import effect_text, interval, mean_text, num, p_text, percent, share_text
from report.tables.table import NONE, table_of

PREDICTORS = {
    "uniform": "every code alike",
    "marginal": "shares of the codes",
    "markov": "shares after each code",
    "linear": "best fixed linear predictor",
    "scaled": "the same, its scale following the signal",
    "adaptive": "adaptive linear predictor (NLMS)",
}
FAULTS = {
    "none": "none",
    "unshifted": "the target is the input",
    "undilated": "every dilation is 1",
    "same": 'padding "same", half of it ahead',
    "off_by_one": "codes off by one",
}
NETWORKS = {"unconditional": "WaveNet", "conditional": "WaveNet, told the digit"}


def wavenet_ladder(wavenet: Mapping, autoencoders: Mapping) -> pd.DataFrame:
    """From recordings to samples: distance with interval, coverage, and digits recognised.

    ``autoencoders``: of results/autoencoders.json, judged with the same recordings by the same functions;
    what another version of the recipe measured is no rung of this ladder. Intervals of networks are over
    seeds, of recordings over files; words are of seed 0. Who was not told a digit has no answer: then the
    share that the recogniser is sure of.
    """
    rows = [
        _rung("recordings", wavenet["floor"], wavenet["recognised"]["real"]),
        _rung("through 256 codes", wavenet["ceiling"], wavenet["recognised"]["mu-law"]),
    ]
    rows += [
        _trained(
            f"{words(name)} autoencoder: {kind}", row[kind], row["quality"][kind], row["recognised"][kind][0]
        )
        for kind in ("reconstructions", "samples")
        for name, row in models_of_one_recipe(wavenet, autoencoders).items()
    ]
    rows += [
        _trained(f"{NETWORKS[name]}: samples", row["distance"], row["quality"], row["recognised"])
        for name, row in wavenet["networks"].items()
    ]
    return table_of(rows)


def models_of_one_recipe(wavenet: Mapping, autoencoders: Mapping) -> Mapping:
    """The autoencoders that can stand beside the WaveNets; none where another recipe has judged them."""
    one = {results["header"]["recipe"] for results in (wavenet, autoencoders)}
    return autoencoders["models"] if len(one) == 1 else {}


def _rung(name: str, row: Mapping, heard: Mapping) -> dict:
    return {
        "": name,
        "distance": f"{num(row['value'], 4)} ({interval(row['interval'], 4)})",
        "coverage": percent(row["quality"]["coverage"]),
        "digits recognised": _heard(heard),
    }


def _trained(name: str, distance: Mapping, quality: Mapping, heard: Mapping) -> dict:
    return {
        "": name,
        "distance": mean_text(distance, 4),
        "coverage": percent(quality["coverage"]),
        "digits recognised": _heard(heard),
    }


def _heard(row: Mapping) -> str:
    if "right" in row:
        return share_text(row["right"], row["interval"])
    return f"no label ({percent(row['sure'])} sure)"


def bits_of_digits(wavenet: Mapping) -> pd.DataFrame:
    """Bits a sample of the validation recordings; of networks mean and interval over seeds."""
    rows = [
        {"predictor": PREDICTORS[name], "bits a sample": num(bits, 2)}
        for name, bits in wavenet["predictors"].items()
    ]
    rows += [
        {"predictor": NETWORKS[name], "bits a sample": mean_text(row["bits"], 3)}
        for name, row in wavenet["networks"].items()
    ]
    return table_of(rows)


def bits_of_songs(wavenet: Mapping) -> pd.DataFrame:
    """Bits a sample of songs that were not trained on, and what each network has seen for them."""
    songs = wavenet["songs"]
    none = {"steps": NONE, "share of the songs heard": NONE, "sees, ms": NONE}
    rows = [
        {"predictor": PREDICTORS[name], "bits a sample": num(bits, 2), **none}
        for name, bits in songs["predictors"].items()
    ]
    rows += [
        {
            "predictor": f"WaveNet, {name}",
            "bits a sample": num(row["bits"], 2),
            "steps": f"{row['steps']:,}",
            "share of the songs heard": percent(row["epochs"]),
            "sees, ms": num(1000 * row["receptive_field"] / wavenet["config"]["rate"], 0),
        }
        for name, row in songs["networks"].items()
    ]
    return table_of(rows)


def told_the_digit(wavenet: Mapping) -> pd.DataFrame:
    """The gate's verdict on the network that is told the digit, against the one that is not."""
    return table_of(
        {
            "judged by": "bits a sample" if measure == "bits" else measure,
            "verdict": row["verdict"],
            "effect": effect_text(row, 4),
            "p": p_text(row["p_value"]),
        }
        for measure, row in wavenet["verdicts"].items()
    )


def wavenet_faults(wavenet: Mapping) -> pd.DataFrame:
    """What faulty networks tell of themselves."""
    return table_of(
        {
            "fault of the training": FAULTS[name],
            "bits it tells, digits": num(row["claim"], 2),
            "bits it tells, white noise (8 are possible)": num(row["claim_on_noise"], 2),
        }
        for name, row in wavenet["faults"].items()
    )


def wavenet_speed(wavenet_speed: Mapping) -> pd.DataFrame:
    """Samples a second of CPU on one core, by network."""
    return table_of(
        {
            "network": f"{name}, {row['multiply_adds']:,} multiply-adds a sample",
            "10 s at 8 kHz, s of CPU": num(row["ten_seconds_cpu"], 2),
            **{
                f"samples a second, {clips} at once": f"{batch['per_second']:,.0f}"
                for clips, batch in row["batches"].items()
            },
            "limit of one clip": f"{row['limits_per_second']['bandwidth']:,.0f}",
            "of many": f"{row['limits_per_second']['arithmetic']:,.0f}",
            "without a cache": num(row["naive_per_second"], 0),
        }
        for name, row in wavenet_speed["networks"].items()
    )


def wavenet_training(wavenet_training: Mapping) -> pd.DataFrame:
    """Wall time of a training step by processes and threads."""
    return table_of(
        {
            "processes x threads": name,
            "seconds a step": num(row["seconds"]),
            "times as fast": num(row["speed_up"], 2),
            "losses apart by at most, bits": num(row["largest_difference_of_losses"], 6),
        }
        for name, row in wavenet_training["arrangements"].items()
    )
