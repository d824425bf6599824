"""A distance between two sets of audio files, with its uncertainty, in one file.

    >>> import metrics
    >>> metrics.distance("recordings/", "generated/")            # one signed number
    >>> print(metrics.compare("recordings/", "generated/"))      # with interval, p-value, causes

Conventions
    reference, candidate   a set of sounds: a folder (searched recursively), a file list (``.csv`` or
                           ``.txt``, one path a line), a list of paths, arrays together with ``rate``, or
                           a ``Description``: a set described once and kept without its audio (``describe``).
    signal                 mono float32, (samples,), full scale 1.0; ``rate`` in Hz and never assumed.
    file, window, unit     a file is one draw from its set; a file longer than 1.5 s is described by
                           windows of 1 s, which are *not* draws: the kernel is averaged over the window
                           pairs of two files. With ``groups=`` the group (speaker, song) is the draw.
                           "Unit" below is the draw: file or group.
    view                   one description of a window: envelope (480 numbers), attack (120) and fine
                           structure (432). Frequencies in Hz, levels in dB relative to full scale.
    value                  signed: an unbiased estimate of a quantity that is never negative has to fall
                           below zero about half of the time when that quantity is zero. It is not clipped.

The distance is the generalised energy distance with exponent 1/2 (Szekely and Rizzo 2013,
doi:10.1016/j.jspi.2013.03.018), averaged over the three views::

    K(x, y) = mean over views of |x - y|^(1/2)
    value   = 2 mean K(reference, candidate) - mean K(reference, reference') - mean K(candidate, candidate')

where a unit is never paired with itself (a U-statistic, hence unbiased at every size). Every number is
first divided by a bundled constant made from synthetic audio (``metrics_constants.json``), so values are
symmetric in the two sets, comparable between papers and free of the sets' size. Only numpy, scipy,
soundfile and soxr are needed; joblib shares long work among processes and tqdm draws the progress bar;
``av`` (optional) reads m4a.
"""

import sys

from audio_distance import *  # noqa: F403
from audio_distance import __all__ as __all__
from audio_distance import __version__ as __version__
from audio_distance.audio import EXTENSIONS as EXTENSIONS
from audio_distance.command import main as main
from audio_distance.features import CONSTANTS_FILE as CONSTANTS_FILE
from audio_distance.features import ENVELOPE_BANDS as ENVELOPE_BANDS
from audio_distance.features import ENVELOPE_SIZES as ENVELOPE_SIZES
from audio_distance.features import FINE_BANDS as FINE_BANDS
from audio_distance.features import FINE_SIZES as FINE_SIZES
from audio_distance.features import LOWEST_HZ as LOWEST_HZ
from audio_distance.features import PREPARED_RMS as PREPARED_RMS
from audio_distance.features import SHORTEST_SECONDS as SHORTEST_SECONDS
from audio_distance.features import SILENCE_PEAK as SILENCE_PEAK
from audio_distance.features import TRIM as TRIM

if __name__ == "__main__":
    sys.exit(main())
