"""A distance between two sets of audio, with its uncertainty: see ``metrics`` for its definition.

    >>> import audio_distance
    >>> audio_distance.distance("recordings/", "generated/")            # one signed number
    >>> print(audio_distance.compare("recordings/", "generated/"))      # with interval, p-value, causes

Which way the modules build on each other::

    sources, containers -> audio             what a set holds, and what a file
    transforms -> texture -> views           what is measured of one window
    features -> streaming                    from samples to numbers, as a whole or block by block
    description -> cache -> extraction       of all files of a set, on all processors, or machines
    units -> kernel -> energy, intervals     from numbers to value and interval
    energy -> control_variate                of sets so large that not all pairs are compared
    pooling -> resampling -> matching        and to the test
    quality                                  how good it sounds, which is no part of the distance
    display -> comparison -> distance        what comes out; the functions that people call
    page                                     the same to look at and listen to, in one HTML file
    output -> command                        the same from a shell
"""

from audio_distance.audio import read
from audio_distance.comparison import Comparison, Difference, Side
from audio_distance.description import Description, join
from audio_distance.distance import compare, compare_each, describe, difference, distance
from audio_distance.energy import Contribution
from audio_distance.errors import AudioError
from audio_distance.features import (
    RECIPE_VERSION,
    constants,
    describe_signal,
    divided,
    divisors,
    prepare,
    split_views,
    windows,
)
from audio_distance.quality import Quality
from audio_distance.reading import Reading
from audio_distance.storage import cache_folder
from audio_distance.transforms import RATE, mel_filters
from audio_distance.views import VIEWS, embed, number_names

__version__ = "0.4.0"

__all__ = [
    "RATE",
    "RECIPE_VERSION",
    "VIEWS",
    "AudioError",
    "Comparison",
    "Contribution",
    "Description",
    "Difference",
    "Quality",
    "Reading",
    "Side",
    "cache_folder",
    "compare",
    "compare_each",
    "constants",
    "describe",
    "describe_signal",
    "difference",
    "distance",
    "divided",
    "divisors",
    "embed",
    "join",
    "mel_filters",
    "number_names",
    "prepare",
    "read",
    "split_views",
    "windows",
]
