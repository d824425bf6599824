"""Sets with listeners' ratings; local folders only, since most are demo pages that state no licence.

Conventions
    system      what made a folder of audio: a vocoder, a codec, a model. One of them, the reference, is
                the recordings.
    rating      mean over listeners and utterances of one system, higher is better, in the unit of the
                test (``metric``: MOS, MUSHRA, ...): comparable within a set only.
    layout      ``AUDIO_DATA/rated/NAME/SYSTEM/*.flac``, files of one utterance under one name, and
                ``NAME/ratings.json``: ``reference``, ``ratings`` (system -> mean), ``metric``, ``source``.
                Further sets below ``rated_more/`` in the same layout. All of them were looked at when
                measures were chosen, so none is a proof of a choice by itself.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from study.datasets.audio_set import AudioSet, MissingData, read_mono
from study.datasets.recordings import ENVIRONMENT

FOLDERS = ("rated", "rated_more")  # below AUDIO_DATA
DEMO_PAGE = "demo page, no licence stated"
RATED = {  # set -> who ran the listening test, how its figures reached us, what its audio may be used for
    "codec_mushra": ("Graz", "read", "CC BY 4.0"),
    "hifigan_seen": ("Kakao", "recalled", DEMO_PAGE),
    "hifigan_unseen": ("Kakao", "recalled", DEMO_PAGE),
    "hifigan_tts": ("Kakao", "recalled", DEMO_PAGE),
    "vits_ljspeech": ("Kakao", "read", DEMO_PAGE),
    "vits_ablation": ("Kakao", "read", DEMO_PAGE),
    "vits_vctk": ("Kakao", "read", DEMO_PAGE),
    "bigvgan_music": ("NVIDIA", "second-hand", DEMO_PAGE),
    "bigvgan_libritts": ("NVIDIA", "second-hand", DEMO_PAGE),
    "sc09_uncond": ("DiffWave", "read", DEMO_PAGE),
    "tta_clotho": ("Milan", "read", DEMO_PAGE),
    "fastspeech2": ("Zhejiang", "second-hand", DEMO_PAGE),
    "fs2s_ablation": ("Zhejiang", "recalled", DEMO_PAGE),
    "glow_tts": ("Kakao", "recalled", DEMO_PAGE),
    "grad_tts": ("Huawei", "second-hand", DEMO_PAGE),  # one figure of seven recalled
    "melgan_ablation": ("Mila", "recalled", DEMO_PAGE),
    "styletts2_id": ("Columbia", "second-hand", DEMO_PAGE),
    "styletts2_ood": ("Columbia", "recalled", DEMO_PAGE),  # some of them
    "vocos_encodec": ("Gemelo", "read", DEMO_PAGE),
}


@dataclass(frozen=True)
class RatedSet:
    """Systems with the mean rating listeners gave each, and the recordings they imitate.

    ``figures`` says how the ratings reached us: "read" in the source, "second-hand", "recalled" from
    memory, or "unknown". Sets of one ``laboratory`` share listeners, systems or recordings: they are
    not independent, and an interval is over laboratories.
    """

    name: str
    reference: AudioSet
    systems: dict[str, AudioSet]
    ratings: dict[str, float]  # system -> mean rating, higher is better
    metric: str
    source: str
    laboratory: str
    figures: str
    licence: str


def rated_names() -> tuple[str, ...]:
    """Return the rated sets in the ``FOLDERS`` of ``AUDIO_DATA``, sorted; none if there are no such folders.

    A name that both folders have is there once: the first folder's.
    """
    return tuple(sorted(_places()))


def _places() -> dict[str, Path]:
    """Rated set -> its folder."""
    local = os.environ.get(ENVIRONMENT)
    if not local:
        return {}
    found = [
        path.parent for folder in reversed(FOLDERS) for path in Path(local, folder).glob("*/ratings.json")
    ]
    return {place.name: place for place in found}


def rated(name: str) -> RatedSet:
    """Return a rated set: ``NAME/SYSTEM/*.flac`` and ``NAME/ratings.json`` in a folder of ``FOLDERS``.

    The label of a file is its system, its group the utterance (its name). The file ``ratings.json``
    holds ``reference`` (a system's folder), ``ratings`` (system -> mean), ``metric``, ``source``. A
    set that is not in ``RATED`` has the laboratory that the file names, or is one of its own, with figures
    "unknown". MissingData where
    it is not there (there is no download: most are demo pages without a licence), ValueError for a
    system without files or rating and for ratings that are not finite.
    """
    place = _places().get(name)
    if place is None:
        raise MissingData(
            f"rated set {name!r}: not found; put it below the folder {FOLDERS[0]}/ of {ENVIRONMENT} "
            "(there is no download: most are demo pages that state no licence)"
        )
    about = json.loads((place / "ratings.json").read_text(encoding="utf-8"))
    laboratory, figures, licence = RATED.get(name, (about.get("laboratory", name), "unknown", "unknown"))
    ratings = {system: float(value) for system, value in about["ratings"].items()}
    if not all(np.isfinite(value) for value in ratings.values()):
        raise ValueError(f"{place / 'ratings.json'}: a rating is not finite")
    return RatedSet(
        name=name,
        reference=_system(place / about["reference"], name, about["source"]),
        systems={system: _system(place / system, name, about["source"]) for system in ratings},
        ratings=ratings,
        metric=about.get("metric", ""),
        source=about["source"],
        laboratory=laboratory,
        figures=figures,
        licence=licence,
    )


def _system(place: Path, name: str, source: str) -> AudioSet:
    """The audio of one system, at the lowest rate of its files: a few sets mix them."""
    paths = sorted(place.glob("*.flac"))
    if not paths:
        raise ValueError(f"{place} holds no FLAC file; {name}/ratings.json names it as a system")
    recorded = [read_mono(path) for path in paths]
    rate = min(own for _, own in recorded)
    signals = [signal if own == rate else soxr.resample(signal, own, rate) for signal, own in recorded]
    return AudioSet(
        name=f"{name} {place.name}",
        signals=tuple(signal.astype(np.float32) for signal in signals),
        rate=rate,
        names=tuple(path.name for path in paths),
        labels=(place.name,) * len(paths),
        groups=tuple(path.stem for path in paths),
        source=source,
    )
