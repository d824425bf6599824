"""What a notebook lets one listen to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from study import datasets, signals


def player(signal: np.ndarray, rate: int, seconds: float = 1.5):
    """A player of the first ``seconds`` of a mono ``signal`` at ``rate`` Hz, 12 dB softer.

    Not normalised, so that a change of level is heard.
    """
    from IPython.display import Audio

    return Audio(np.asarray(signal[: round(seconds * rate)], float) / 4, rate=rate, normalize=False)


@dataclass(frozen=True)
class Versions:
    """One sound and changes of it, to be listened to."""

    signals: Mapping[str, np.ndarray]
    rate: int
    source: str

    def player(self, name: str):
        """A player of the version ``name``, a key of ``signals``."""
        return player(self.signals[name], self.rate)


def example_versions() -> Versions:
    """A note and changes of it (``study.signals.changes``), with where it is from, in words.

    Rendered here, so that no recording is carried by the notebook.
    """
    note = datasets.note(12, 60)
    return Versions(
        {"as played": note, **signals.changes(note, datasets.INSTRUMENT_RATE, 0)},
        datasets.INSTRUMENT_RATE,
        "A marimba, C4, rendered from a sampled instrument.",
    )
