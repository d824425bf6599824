"""The page of what the test does not see: each effect to listen to, and how often it was found.

Conventions
    pair      a recording and the same changed, by the functions of ``experiments.unseen``, at one level: the
              recording's peak is ``PEAK`` of full scale. Of an effect on the set, some files of the one set
              after each other, and some of the other.
    sounds    FLAC inside the page, so that what is played is what was measured, to a step of 16 bits. Sea
              waves are played at the digits' rate, ``RATE``: at their own they would be most of the page.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2
import numpy as np
import soundfile
import soxr

from experiments import unseen
from report.numbers import interval, percent
from study import datasets, results
from study.sources import seeded

RATE = 8000  # Hz
PEAK = 0.25
PAUSE = 0.15  # s between two digits
TEMPLATE = Path(__file__).with_name("not_seen.html")
MADE_OF = (  # beside the sounds
    Path(__file__),
    TEMPLATE,
    Path(unseen.__file__),
    Path(datasets.__file__).with_name("distortions.py"),
    results.FOLDER / "unseen.json",
)

CHANGED = ("1_lucas_46.wav", "5_yweweler_20.wav")  # both have quiet parts, which a gate silences
LONG = ("003 - Sea waves/1-28135-A.ogg", "003 - Sea waves/2-132157-A.ogg")
# Effect on the set -> some files of the one, some of the other: words, then who says each.
# Effect on the set -> some files of the one, some of the other: word, speaker and take of each.
TWO_SETS = {
    "one class of ten missing": (
        "0_theo_3 1_yweweler_27 2_george_41 3_theo_49 4_yweweler_3 "
        "5_jackson_36 6_theo_33 7_nicolas_35 8_george_29 9_theo_10",
        "0_yweweler_23 1_theo_18 2_nicolas_24 3_yweweler_44 4_theo_1 "
        "5_yweweler_45 6_george_31 8_theo_38 9_nicolas_21",
    ),
    "half of the classes missing": (
        "0_theo_3 1_yweweler_27 2_george_41 5_jackson_36 7_nicolas_35 9_theo_10",
        "0_yweweler_23 1_theo_18 2_nicolas_24 3_yweweler_44 4_theo_1 0_nicolas_2",
    ),
    "three of four files from half of the classes": (
        "0_theo_3 6_theo_33 2_george_41 8_george_29",
        "0_yweweler_23 1_theo_18 2_nicolas_24 8_theo_38",
    ),
    "other words by the same speakers": (
        "0_theo_3 1_yweweler_27 2_george_41",
        "8_theo_38 5_yweweler_45 6_george_31",
    ),
    "who says which word exchanged": (
        "1_theo_18 3_theo_49 6_yweweler_32 8_yweweler_18",
        "6_theo_33 8_theo_38 1_yweweler_27 3_yweweler_44",
    ),
}
WORDS = {
    "one class of ten missing": "The second set lacks one of the ten classes, another in every draw. Files "
    "of each set are played one after another.",
    "half of the classes missing": "The second set lacks five of the ten classes.",
    "three of four files from half of the classes": "In the second set three of four files are of one half "
    "of the classes, in the first about half of them.",
    "other words by the same speakers": "The first set holds five of the ten digits, the second the other "
    "five, said by the same speakers.",
    "who says which word exchanged": "In the first set three speakers say five of the digits, and the other "
    "three the other five; in the second the other way round. Every speaker and every word is in both sets.",
    "1 % faster": "Played faster, as a tape is: shorter, and higher by a sixth of a semitone.",
    "2 % faster": "Played faster: shorter, and higher by a third of a semitone.",
    "3 % faster": "Played faster: shorter, and higher by half a semitone.",
    "an eighth of a tone higher": "Higher at the same length, by a phase vocoder. The test may find the "
    "vocoder's traces, which an oracle of pitch does not read.",
    "a quarter tone higher": "Half a semitone higher at the same length, by the same vocoder.",
    "room tone gated": "What is more than 45 dB below the loudest 10 ms is digital silence. Files "
    "in which nothing is that quiet are as they were.",
    "compressed 2:1": "Above 20 dB below the highest level, a rise of 2 dB is one of 1 dB.",
    "6 dB quieter at the end": "The level falls evenly through every file.",
    "hum of 100 Hz": "A steady tone, 40 dB below the sound.",
    "reverberation, -22 dB": "A tail that falls by 60 dB within 0.3 s, 22 dB below the sound; the files are "
    "as long as they were.",
    "seconds in another order": "Five seconds of a recording, dealt anew: none follows the one that it "
    "followed. The test takes a file of several seconds as windows of one, and does not keep their order.",
}


@dataclass(frozen=True)
class Played:
    """A sound of the page: what it is, and its FLAC in base 64."""

    words: str
    data: str


def sets(_: Path) -> Mapping[str, Sequence[Path]]:
    """The recordings that are played, by source; ``datasets.MissingData`` where they are not here."""
    digits = {path.name: path for path in datasets.files("digits")}
    sounds = {f"{path.parent.name}/{path.name}": path for path in datasets.files("sounds")}
    names = dict.fromkeys(f"{name}.wav" for both in TWO_SETS.values() for name in " ".join(both).split())
    return {
        "digits": [digits[name] for name in (*CHANGED, *names)],
        "long sounds": [sounds[name] for name in LONG],
    }


def document(
    found: Mapping[str, Sequence[Path]],
    *,
    title: str,
    about: str,
    credits: Sequence[str],
) -> str:
    """The page as HTML, of what ``sets`` gives and of ``results/unseen.json``. All text is escaped."""
    rows = results.read("unseen")["rows"]
    place = {path.name: path for path in found["digits"]}
    effects = [
        {
            "name": effect,
            "words": WORDS[effect],
            "rows": _shares(rows, effect),
            "reads": "; ".join(dict.fromkeys(r["reads"] for r in rows if r["effect"] == effect)),
            "sounds": _two_sets(place, effect)
            if effect in TWO_SETS
            else _pairs(
                found["long sounds"] if effect == "seconds in another order" else found["digits"][:2], effect
            ),
        }
        for effect in WORDS
    ]
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        title=title,
        about=about,
        credits=credits,
        effects=effects,
        nothing=_shares(rows, unseen.NOTHING),
        alpha=percent(unseen.ALPHA),
        level=percent(unseen.LEVEL),
    )


def _shares(rows: Sequence[Mapping], effect: str) -> list[dict]:
    """A row a source and number of files."""
    return [
        {
            "source": row["source"],
            "files": files,
            "draws": found["draws"],
            "shares": [
                {
                    "share": percent(found[test] / found["draws"]),
                    "interval": interval(
                        [100 * end for end in unseen.interval(found[test], found["draws"])], 0
                    ),
                }
                for test in unseen.TESTS
            ],
        }
        for row in rows
        if row["effect"] == effect
        for files, found in row["found"].items()
    ]


def _pairs(paths: Sequence[Path], effect: str) -> list[Played]:
    """Each recording as it is, and changed."""
    change = unseen.CHANGES[effect][0]
    played = []
    for path in paths:
        signal = _read(path)
        seconds = unseen.LONG_SECONDS * RATE
        signal = signal[:seconds]
        changed = change(signal, RATE, seeded("page", effect, path.name))
        played += [
            Played(f"{path.name}, as recorded", _flac(signal)),
            Played(f"{path.name}, changed", _flac(changed)),
        ]
    return played


def _two_sets(place: Mapping[str, Path], effect: str) -> list[Played]:
    """Some files of either set after each other."""
    pause = np.zeros(round(PAUSE * RATE))
    played = []
    for name, files in zip(("first", "second"), TWO_SETS[effect], strict=True):
        parts = [part for file in files.split() for part in (_read(place[f"{file}.wav"]), pause)][:-1]
        said = ", ".join("{} ({})".format(*file.split("_")) for file in files.split())
        played.append(Played(f"{name} set: {said}", _flac(np.concatenate(parts))))
    return played


def _read(path: Path) -> np.ndarray:
    signal, rate = soundfile.read(path)
    if rate != RATE:
        signal = soxr.resample(signal, rate, RATE)
    return PEAK / np.abs(signal).max() * signal


def _flac(signal: np.ndarray) -> str:
    file = io.BytesIO()
    soundfile.write(file, signal, RATE, format="FLAC", subtype="PCM_16")
    return base64.b64encode(file.getvalue()).decode("ascii")
