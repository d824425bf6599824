"""Candidate embeddings: a signal in, rows of numbers out.

Conventions
    signal      mono float32, (samples,), full scale 1.0. ``rate`` in Hz and never assumed.
    embedding   has ``name``, ``rate`` (Hz it works at), ``dimension``, ``licence`` (of the weights, in
                words), ``source``, and ``embed(signal) -> float32 (frames, dimension)`` for a signal at
                ``rate``. ``embed_at(signal, rate)`` takes any rate, ``file_vector`` averages the frames.
    frame       one row: a window of 1 s for the handcrafted ones, what the network reads for the others.
    refused     empty, shorter than 11.6 ms, NaN or infinite, silent (peak at most 1e-6): AudioError, a
                ValueError, for every embedding alike. Shorter than a frame is padded with zeros.

Handcrafted (numpy, scipy and the distance itself; always there)
    described       the 1799 numbers of ``metrics.embed``, as they are: what the test of the distance sees.
    three_views     the first 1032 of them, those of its value, over their bundled divisors; its parts are
                    envelope (480), attack (120) and fine_structure (432).
    log_mel         mean and standard deviation over time of 80 log mel bands.
    mfcc            the same of 20 mel-frequency cepstral coefficients, their deltas and delta-deltas.
    mean_spectrum   magnitude spectrum averaged over time, in dB.
    mfcc_sequence   40 instants x 13 coefficients, flattened: one row a file, for dynamic time warping.
    waveform        the first second at 8 kHz: the naive one.
    All, and the networks below, are given what ``metrics.prepare`` makes of a signal (trimmed, one level,
    22,050 Hz; trimmed before any resampling when the rate is told, as ``file_vector`` does) except
    ``waveform``, which is neither trimmed nor levelled.

Networks whose weights lie in a PyPI wheel (extra ``networks``)
    aisfx (sound effects), resemblyzer (voices). The packages ask for much that is not needed here, so
    they are installed without their dependencies and never imported: their weight files are read, the
    network is built here. What the network's authors do to a signal is done to the prepared one.

One's own: ``from_function(name, function, rate=..., dimension=...)``, and any file NAME.pt2 that holds a
program as ``python -m models export`` writes it: nothing of ``models`` is imported, the file is enough.

    >>> embedding = load("log_mel")
    >>> rows = [file_vector(embedding, signal, rate) for signal in signals]

Modules: ``base`` (what every embedding is), ``inputs`` (spectra, mel bands, blocks), ``handcrafted``,
``networks``, ``registry`` (the names, and loading by name).
"""

from study.embeddings.base import Embedding, MissingNetwork, file_vector, from_function
from study.embeddings.inputs import cut
from study.embeddings.registry import EXPORTED, NAMES, contents, facts, installed, load

__all__ = [
    "EXPORTED",
    "NAMES",
    "Embedding",
    "MissingNetwork",
    "contents",
    "cut",
    "facts",
    "file_vector",
    "from_function",
    "installed",
    "load",
]
