"""Mu-law: samples as 256 codes, fine near silence and coarse where it is loud.

Conventions
    samples  (samples,) in -1 to 1, full scale 1.0.
    codes    (samples,) uint8, 0 to 255, evenly spaced on the curve ``y`` below.
    cell     the samples that have one code; the outermost two are open, for what is louder is clipped.
    source   the continuous curve of which ITU-T G.711 has the segments, as WaveNet takes it (van den Oord et
             al. 2016, arXiv:1609.03499, section 2.2).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

MU = 255  # of G.711; which gives 256 codes
CODES = MU + 1
SILENCE = 128  # the code of 0, which none is exactly: it decodes to 8.6e-5, -81 dB


def encode(signal: ArrayLike) -> NDArray[np.uint8]:
    """Samples to mu-law codes, (samples,) in -1 to 1 -> (samples,) uint8; beyond full scale is clipped.

        y = sign(x) ln(1 + mu |x|) / ln(1 + mu),    code = round((y + 1) / 2 * mu),    mu = 255

    ``decode`` undoes it: ``encode(decode(code)) == code`` for every code.
    ValueError for samples that are not finite.
    """
    samples = np.asarray(signal, np.float32)
    if not np.isfinite(samples).all():
        raise ValueError(
            f"{np.count_nonzero(~np.isfinite(samples))} samples are NaN or infinite: no code is theirs"
        )
    magnitude = np.log1p(MU * np.minimum(np.abs(samples), 1)) / np.float32(math.log1p(MU))
    return np.floor((np.copysign(magnitude, samples) + 1) / 2 * MU + np.float32(0.5)).astype(np.uint8)


def decode(codes: ArrayLike) -> NDArray[np.float32]:
    """Mu-law codes to samples, (samples,) integers in 0 to 255 -> (samples,) float32 in -1 to 1.

        y = 2 code / mu - 1,    x = sign(y) ((1 + mu)^|y| - 1) / mu

    ValueError for codes outside of 0 to 255, or of another type.
    """
    values = np.asarray(codes)
    if values.dtype.kind not in "iu" or (values.size and not 0 <= values.min() <= values.max() <= MU):
        raise ValueError(f"codes of type {values.dtype}; whole numbers from 0 to {MU} are needed")
    return _expanded(2 * values.astype(np.float64) / MU - 1).astype(np.float32)


def edges() -> NDArray[np.float64]:
    """Where the cells end, (257,): code c is what lies between edge c and edge c + 1; the ends are infinite.

    Halfway between codes on the curve, so that a density of samples gives the probability of each code.
    """
    inner = _expanded(2 * (np.arange(1, CODES) - 0.5) / MU - 1)
    return np.concatenate([[-np.inf], inner, [np.inf]])


def _expanded(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sign(curve) * np.expm1(np.abs(curve) * math.log1p(MU)) / MU
