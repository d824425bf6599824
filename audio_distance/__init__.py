"""A distance between two sets of audio, with its uncertainty: see ``metrics`` for its definition.

    >>> import audio_distance
    >>> audio_distance.distance("recordings/", "generated/")            # one signed number
    >>> print(audio_distance.compare("recordings/", "generated/"))      # with interval, p-value, causes

Which way the modules build on each other::

    audio -> features -> description -> extraction      from a file to its numbers
             units -> kernel -> resampling -> energy    from numbers to a value, its test and its interval
             comparison, distance                       what comes out; the functions that people call
             command, __main__                          the same from a shell
"""

from audio_distance.audio import AudioError, read
from audio_distance.comparison import Comparison, Contribution, Difference, Side
from audio_distance.description import Description
from audio_distance.distance import compare, compare_each, describe, difference, distance
from audio_distance.extraction import cache_folder
from audio_distance.features import (
    RATE,
    RECIPE_VERSION,
    VIEWS,
    constants,
    divisors,
    embed,
    mel_filters,
    prepare,
    windows,
)

__version__ = "0.3.0"

__all__ = [
    "RATE",
    "RECIPE_VERSION",
    "VIEWS",
    "AudioError",
    "Comparison",
    "Contribution",
    "Description",
    "Difference",
    "Side",
    "cache_folder",
    "compare",
    "compare_each",
    "constants",
    "describe",
    "difference",
    "distance",
    "divisors",
    "embed",
    "mel_filters",
    "prepare",
    "read",
    "windows",
]
