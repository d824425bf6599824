"""Measures of rated sets on one vector a file: incumbents, and unbiased statistics of a network's vectors.

A measure is a number of every system of a rated set, its distance to the recordings, low for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from study import datasets, embeddings, sources, unbiased
from study.distances import DISTANCES

OWN = ("three_views", "envelope", "fine_structure")  # this distance's numbers
INCUMBENTS = ("frechet", "gaussian_mmd", "energy")
UNBIASED_ON = "aisfx"  # the network on which Frechet agreed best with listeners


def measure(which: str, others: Sequence[str]) -> dict[str, dict[str, float]]:
    """Every measure on one rated set: name -> system -> value.

    ``which`` names the set, ``others`` the embeddings beside ``OWN``, which must be installed. Names are
    "EMBEDDING / DISTANCE", and "aisfx standardised / STATISTIC" and the like for ``study.unbiased``, where
    that network is among them. All systems are brought to the lowest rate in the set, so that none gains
    by a wider band.
    """
    rated = datasets.rated(which)
    every = {"": rated.reference, **rated.systems}
    rate = min(audio.rate for audio in every.values())
    values: dict[str, dict[str, float]] = {}
    for e in (*OWN, *others):
        network = embeddings.load(e)
        table = {
            system: np.stack([embeddings.file_vector(network, s, rate) for s in sources.at_rate(audio, rate)])
            for system, audio in every.items()
        }
        for name in INCUMBENTS:
            values[f"{e} / {name}"] = {
                system: float(
                    DISTANCES[name](table[""], table[system], rng=sources.seeded("listening", which, system))
                )
                for system in rated.systems
            }
        if e != UNBIASED_ON:
            continue
        for preparation, name in product(unbiased.PREPARATIONS, unbiased.STATISTICS):
            values[f"{e}{preparation} / {name}"] = {
                system: float(
                    unbiased.STATISTICS[name](*unbiased.PREPARATIONS[preparation](table[""], table[system]))
                )
                for system in rated.systems
            }
    return values
