"""What do waveforms, spectra and views keep of recordings? Pictures and ratios, for notebook 02.

The first take of every digit by every speaker (60 recordings; what is random is seeded by the recording's
number), and pictures of four recordings. Notebook 02 reads the result, with the recordings and without.
"""

from __future__ import annotations

import numpy as np
import soundfile

from study import datasets, signals
from study.pictures import picture

DATA = ("digits", "sounds")
TAKES = "five seconds"

DIGITS_SHOWN = ("7_jackson_0.wav", "3_theo_0.wav")
SOUNDS_SHOWN = ("Dog bark", "Sea waves")


def run() -> dict:
    """All measurements, as the content of ``results/real_waveforms.json``.

    Returns
    -------
    dict
        pictures        title -> ``study.pictures.picture``: two digits, two environmental sounds
        same_spectrum   see the function
        delay           ``study.signals.delay_curve`` of the 60 recordings, and their number n
        ratios          ``study.signals.ratios`` of them (``table``: change -> measure -> median), and n

    Raises ``datasets.MissingData`` without the recordings.
    """
    digits = datasets.digits()
    named = dict(zip(digits.names, digits.signals, strict=True))
    bases = signals.digit_bases(digits)
    pictures = {}
    for name in DIGITS_SHOWN:
        digit, speaker, _ = name.split("_")
        pictures[f'digit "{digit}", speaker {speaker}'] = picture(named[name], digits.rate)
    for label in SOUNDS_SHOWN:
        path = next(p for p in datasets.files("sounds") if p.parent.name.endswith(label))
        pictures[label.lower()] = picture(*soundfile.read(path))
    example = named[DIGITS_SHOWN[0]]
    return {
        "pictures": pictures,
        "same_spectrum": same_spectrum(example, digits.rate),
        "delay": {**signals.delay_curve(bases, digits.rate), "n": len(bases)},
        "ratios": {"n": len(bases), "table": signals.ratios(bases, digits.rate)},
    }


def same_spectrum(signal: np.ndarray, rate: int) -> dict:
    """Four sounds that share one mean spectrum: as spoken, backwards, phases drawn anew, pieces shuffled.

    ``pictures`` by name, and ``spectra_db``: root-mean-square spectra relative to the largest, in dB to one
    decimal, as text, down to -100 dB; bins from 0 to half the ``rate``.
    """
    changed = signals.changes(signal, rate, 0)
    versions = {"as spoken": signal}
    versions |= {name: changed[name] for name in ("backwards", "random phase", signals.OTHER[2])}
    spectra = {name: signals.mean_spectrum(s, rate) for name, s in versions.items()}
    top = max(s.max() for s in spectra.values())
    return {
        "rate": rate,
        "pictures": {name: picture(s, rate) for name, s in versions.items()},
        "spectra_db": {
            name: " ".join(f"{v:.1f}" for v in 20 * np.log10(np.maximum(s / top, 1e-5)))
            for name, s in spectra.items()
        },
    }
