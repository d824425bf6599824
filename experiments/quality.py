"""Does a network trained on ratings know which system sounds better, and can it tell that it hears no speech?

Distill-MOS, as ``compare(..., quality="distillmos")`` asks it: on rated sets, the first 5 files by name of
each system; and on 100 other sounds, the only ones that are drawn (seed 1).

Conventions
    score      predicted for one file, 1 to 5; of a system, the mean over its files.
    kind       of a rated set: "speech", "music" or "effects".
    unlike     sets of 5 files of one speaker (digits), class (sounds) or family (instruments): what the
               note "may not be speech" says of them, which looks at the mean score of a set. Its limit was
               chosen by looking at these sources, in part at the same files: shares of errors flatter.
    outside    figures that were measured by others or before, outside this repository, as they were told.

How the scores agree with listeners, and beside what, is worked out where it is shown (``report.tables``): the
distances to compare with are in results/trials.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

import metrics
from audio_distance import quality
from audio_distance.features import trimmed
from study import datasets, sources
from study.embeddings import MissingNetwork
from study.parts import Part, computed

DATA = ("digits", "sounds", "rated", "rated_more")
NEEDS = ("PyTorch", "distillmos")
TAKES = "ten minutes"

PREDICTOR = "distillmos"
FILES = 5
KINDS = {"bigvgan_music": "music", "tta_clotho": "effects"}  # all other rated sets are of speech
FAMILIES = 4  # of instruments
OUTSIDE = {  # Spearman correlations with listeners, as they were told
    "source": "told; neither the code nor the values of single sets were kept",
    "spearman": {
        "the score on sets that were at hand": 0.47,
        "the score on further sets of speech": 0.86,
        "its difference from the recordings', without sign": 0.4,
        "the mean of the ranks of the score and of Frechet on aisfx": 0.75,
    },
    "sources": 15,  # of the last
}


def scores_of(signals: Sequence[np.ndarray], rate: int) -> list[float]:
    """A score for each signal, (samples,) at ``rate`` Hz."""
    return [quality.predicted(PREDICTOR, trimmed(signal, rate), rate) for signal in signals]


def rated_set(which: str) -> dict:
    """Scores of one rated set, its ratings and what is known of them.

    ``reference`` and ``systems`` (name -> list) hold the scores of files.
    """
    rated = datasets.rated(which)
    return {
        "kind": KINDS.get(which, "speech"),
        "laboratory": rated.laboratory,
        "figures": rated.figures,
        "ratings": rated.ratings,
        "reference": scores_of(rated.reference.signals[:FILES], rated.reference.rate),
        "systems": {s: scores_of(a.signals[:FILES], a.rate) for s, a in rated.systems.items()},
    }


def unlike_sets(source: str) -> dict:
    """Sets of ``FILES`` files of "digits", "sounds" or "instruments": name -> scores."""
    audio = {"digits": datasets.digits, "sounds": datasets.sounds, "instruments": datasets.instruments}[
        source
    ]()
    names = audio.groups if source == "digits" else audio.labels
    rng, sets = np.random.default_rng(1), {}
    for name in sorted(set(names))[: FAMILIES if source == "instruments" else None]:
        of = [i for i, other in enumerate(names) if other == name]
        chosen = sorted(rng.permutation(of)[:FILES].tolist())
        sets[name] = scores_of([audio.signals[i] for i in chosen], audio.rate)
    return sets


def run(*, workers: int = 1, fresh: bool = False) -> dict:
    """Score all rated sets there are, and the sets of other sounds (parts that are there are read back).

    Returns
    -------
    dict
        ``by``, ``limit`` (of the note), ``rated`` (set -> what ``rated_set`` gives), ``unlike`` (source ->
        set -> scores) and ``outside``.

    Raises
    ------
    datasets.MissingData
        Where there are no rated sets, digits or sounds.
    embeddings.MissingNetwork
        Where the network is not installed.
    """
    try:
        quality.refuse_missing(PREDICTOR)
    except metrics.AudioError as error:
        raise MissingNetwork(str(error)) from None
    names = datasets.rated_names()
    if not names:
        datasets.rated("any")  # raises, and says what to do
    stamp = [quality.stamp_of(PREDICTOR), FILES, sources.code_stamp(scores_of, rated_set, unlike_sets)]
    parts = {("rated", which): Part(rated_set, (which,), stamp) for which in names}
    parts |= {("unlike", source): Part(unlike_sets, (source,), stamp) for source in sources.SOURCES}
    done = computed(parts, "quality", workers=workers, keep=not fresh, unit="set")
    return {
        "by": PREDICTOR,
        "limit": quality.SPEECH_LEAST,
        "rated": {which: done["rated", which] for which in names},
        "unlike": {source: done["unlike", source] for source in sources.SOURCES},
        "outside": OUTSIDE,
    }


def summary(content: Mapping) -> str:
    """A line a rated set: mean score of the reference and of each system."""
    return "\n".join(
        f"{which:18} {np.mean(row['reference']):.2f}  "
        + ", ".join(f"{system} {np.mean(scores):.2f}" for system, scores in row["systems"].items())
        for which, row in content["rated"].items()
    )
