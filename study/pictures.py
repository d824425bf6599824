"""Pictures of a sound: a waveform and a spectrogram, as small as they are drawn.

Conventions
    signal   mono, floating point, (samples,), full scale 1.0; ``rate`` in Hz.
    dB       of power; of a spectrogram relative to a sine of peak 1, which reads 0 dB.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import scipy.fft
import scipy.signal
import scipy.sparse
import soxr

import metrics

FRAME, HOP = 1024, 256  # samples at 22,050 Hz, of log_mel
FLOOR = 1e-8  # of log_mel: -80 dB relative to full scale
SHOWN_DB = 80  # below the loudest point, in pictures
COLUMNS, ROWS = 80, 32  # of a picture


def log_mel(signal: np.ndarray, rate: int, bands: int = 40) -> np.ndarray:
    """Log-mel spectrogram, (bands, frames), in dB: 46 ms frames every 12 ms, 30 Hz to 11 kHz.

    Relative to a sine of peak 1, not below -80. Resampled to 22,050 Hz, so that signals of all rates are
    drawn alike.
    """
    signal = np.asarray(signal, float)
    if rate != metrics.RATE:
        signal = soxr.resample(signal, rate, metrics.RATE)
    padded = np.pad(signal, FRAME // 2)
    window = scipy.signal.get_window("hann", FRAME)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME)[::HOP] * window
    power = np.square(np.abs(scipy.fft.rfft(frames, axis=1))) / np.square(window.sum() / 2)
    return 10 * np.log10(np.maximum(_mel(bands) @ power.T, FLOOR))


@cache
def _mel(bands: int) -> scipy.sparse.csr_array:
    # Nearly empty, and a dense product this small spends its time on starting threads.
    return scipy.sparse.csr_array(metrics.mel_filters(FRAME, bands, rate=metrics.RATE))


def picture(signal: np.ndarray, rate: int) -> dict:
    """Extremes of the waveform in 80 columns, in hundredths of its peak, and its spectrogram, 32 x 80.

    Levels are whole dB below the loudest point, to 80, one text a band: small enough to be kept.
    """
    signal = np.asarray(signal, float)
    pieces = np.array_split(100 * signal / np.max(np.abs(signal)), COLUMNS)
    mel = log_mel(signal / np.max(np.abs(signal)), rate, ROWS)
    frames = np.linspace(0, mel.shape[1] - 1, COLUMNS).round().astype(int)
    shown = np.clip(np.round(mel.max() - mel[:, frames]), 0, SHOWN_DB).astype(int)
    return {
        "seconds": len(signal) / rate,
        "highest": " ".join(f"{piece.max():.0f}" for piece in pieces),
        "lowest": " ".join(f"{piece.min():.0f}" for piece in pieces),
        "db_below": [" ".join(map(str, row)) for row in shown],
    }
