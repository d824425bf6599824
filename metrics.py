"""A distance between two sets of audio files, with its uncertainty.

    >>> import metrics
    >>> metrics.distance("recordings/", "generated/")            # one signed number
    >>> print(metrics.compare("recordings/", "generated/"))      # with interval, p-value, causes

Conventions
    reference, candidate   a set of sounds: a folder (searched recursively), a file list (``.csv`` or
                           ``.txt``, one path a line), a list of paths, arrays together with ``rate``, rows
                           of ``datasets`` (``compare`` has all forms), or a ``Description``: a set described
                           once and kept without its audio (``describe``).
    signal                 mono float32, (samples,), full scale 1.0; ``rate`` in Hz and never assumed.
    file, window, unit     a file is one draw from its set; a file longer than 1 s is described by
                           windows of 1 s, which are *not* draws: the kernel is averaged over the window
                           pairs of two files. With ``groups=`` the group (speaker, song) is the draw.
                           "Unit" below is the draw: file or group.
    view                   one description of a window: envelope (480 numbers), attack (120) and fine
                           structure (432). Frequencies in Hz, levels in dB relative to full scale.
    value                  signed: an unbiased estimate of a quantity that is never negative has to fall
                           below zero about half of the time when that quantity is zero. It is not clipped.

The definition, in the order in which a sound goes through it; the module after the dash has the code.

1. *Prepare* - ``audio_distance.features``. Mean of the channels; its offset and all below 30 Hz removed
   (Butterworth, order 4); silence cut below 1e-3 of the peak; through the lowest sample rate of all sets to
   22,050 Hz; RMS of the sounding part 0.1; as many windows of 1 s as it has, or all of a
   shorter sound.

2. *Describe* - ``audio_distance.views``. With X[t, k] the spectrum of a window for one n_fft (Hann, hop
   n_fft / 4), b a mel band, Q = |X|^2 + floor and U = X / sqrt(Q)::

       L[t, b]  = log(sum_k mel[b, k] |X[t, k]|^2 + floor)                n_fft 256, 1024, 4096; 40 bands
       envelope = mean_t L, sd_t L, rises rms_t max(dL, 0), falls rms_t min(dL, 0); dL = L[t+1] - L[t]
       attack   = rises - falls
       fine     = flatness of Q in b (mean_t, sd_t), and how evenly phase advances,
                  mean_k U[t+1] conj(U[t])^2 U[t-1], over time            n_fft 512, 1024, 2048; 24 bands
                  (real part: mean_t, sd_t; modulus: mean_t) and over frequency (real part: mean_t)

   The floors are 60 dB under the mean band (L) and 80 dB under the mean bin (Q) at the prepared level: what
   nobody hears there, digital silence or a resampler's rest, is told apart no further.

3. *Scale* - ``audio_distance.features``. Every number is divided by a bundled constant made from synthetic
   audio (``constants.json``), so that values are symmetric in the two sets, comparable between papers and
   free of the sets' size.

4. *Value* - ``audio_distance.kernel``, ``audio_distance.energy``. The generalised energy distance with
   exponent 1/2 (Szekely and Rizzo 2013, doi:10.1016/j.jspi.2013.03.018), averaged over the three views v::

       K(x, y) = mean over v, and over the windows of the units x and y, of |x_v - y_v|^(1/2)
       value   = 2 mean K(reference, candidate) - mean K(reference, reference')
                                                - mean K(candidate, candidate')

   A unit is never paired with itself, nor with the unit that it is a version of: a U-statistic, hence
   unbiased at every size.

5. *Interval* - ``audio_distance.intervals``. From the value without each unit in turn: variance and skewness
   of what a unit does, and how units act together. A gamma distribution with these moments, and the ends that
   Efron's BCa takes of it: further up than down where only some files differ.

6. *Test* - ``audio_distance.matching``, ``audio_distance.pooling``, ``audio_distance.resampling``. Both sets
   are brought to one distribution of windows a unit; the units are dealt to the two sets anew (those that are
   paired are swapped), 999 times or in every way there is. To the numbers of the views come 767 that only
   the test sees (``audio_distance.texture``: spectrum, amplitudes, modulation, skewness of changes). The
   statistic is the largest of four, each brought to a normal scale by its own arrangements: energy distance
   of the views standardised over both sets; of all numbers whitened over both sets; the largest difference
   of a single number; the five largest of numbers freed from what the others foretell of them. p is the
   share of arrangements that reach the observed one, itself among them.

7. *Size* - ``audio_distance.units``. More than 2048 units are dealt at random to blocks of so many, and what
   is found is the mean over these small comparisons: time grows with the units and not with their square.

Why the code is not in this file: ``pip install`` has to work beside a project's own ``metrics.py``, so the
package must not import this module. It is the package's face, and the report is built on it.
"""

import sys

from audio_distance import *  # noqa: F403
from audio_distance import __all__ as __all__
from audio_distance import __version__ as __version__
from audio_distance.command import main as main
from audio_distance.features import CONSTANTS_FILE as CONSTANTS_FILE
from audio_distance.features import SHORTEST_SECONDS as SHORTEST_SECONDS
from audio_distance.features import SILENCE_PEAK as SILENCE_PEAK
from audio_distance.sources import EXTENSIONS as EXTENSIONS
from audio_distance.transforms import ENVELOPE_BANDS as ENVELOPE_BANDS
from audio_distance.transforms import FINE_BANDS as FINE_BANDS
from audio_distance.transforms import LOWEST_HZ as LOWEST_HZ
from audio_distance.transforms import PREPARED_RMS as PREPARED_RMS
from audio_distance.views import ENVELOPE_SIZES as ENVELOPE_SIZES
from audio_distance.views import FINE_SIZES as FINE_SIZES

if __name__ == "__main__":
    sys.exit(main(prog="python -m metrics"))
