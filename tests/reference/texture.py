"""The texture of a window written out a second time: complex numbers, loops, float64.

Nothing of the code under test is imported. Numbers of one window of samples at 22,050 Hz and RMS .1, in order
    spectrum    513   log(mean_t |X[t, k]|^2 + 1e-8 * .01), n = 1024; |X|^2 over the sum of the squared window
    amplitude    64   log(q + 1e-4) of 16 quantiles q each of |x|, |x'|, |x''| and of the RMS of frames of 220
                      samples (the last as short as it is), all over .1
    slow         60   modulation of log mel power, n = 1024, in six bands of modulation frequency by ten groups of
                      four mel bands: log(mean |F|^2 / frames + .001)
    fast         80   n = 256, the four bands of a group averaged first, in eight bands
    skewness     50   of the change of a group's mean over 1, 2, 4, 8 and 16 frames of n = 1024:
                      mean d^3 / (mean d^2 + .01)^1.5, 0 if there are no such frames
"""

import math

import numpy as np

RATE = 22050
QUANTILES = [0.02 + 0.88 * i / 9 for i in range(10)] + [0.95, 0.98, 0.99, 0.995, 0.999, 1.0]
SLOW = [0.7, 2, 4, 8, 16, 32, 44]
FAST = [2, 4, 8, 16, 32, 64, 96, 128, 173]


def texture(window):
    x = np.asarray(window, float)
    spectra, log = log_mel(x, 1024)
    _, fast_log = log_mel(x, 256)
    fast_groups = [[[np.mean(row[4 * g : 4 * g + 4])] for g in range(10)] for row in fast_log]
    groups = [[row[4 * g : 4 * g + 4] for g in range(10)] for row in log]
    return np.array(
        [
            *(math.log(np.mean([p[k] for p in spectra]) + 1e-10) for k in range(513)),
            *amplitude(x),
            *modulation(groups, 256, SLOW, 64),
            *modulation(fast_groups, 64, FAST, 256),
            *skewness(groups),
        ]
    )


def log_mel(x, n):
    """Power spectra, and logs of 40 triangular mel bands of it, a row a frame."""
    hann = np.array([0.5 - 0.5 * math.cos(2 * math.pi * i / n) for i in range(n)])
    padded = np.concatenate([np.zeros(n // 2), x, np.zeros(n // 2)])
    edges = [from_mel(to_mel(30) + (to_mel(RATE / 2) - to_mel(30)) * i / 41) for i in range(42)]
    hz = np.arange(n // 2 + 1) * RATE / n
    triangles = [
        np.interp(hz, [low, peak, high], [0, 1, 0], left=0, right=0)
        for low, peak, high in zip(edges, edges[1:], edges[2:], strict=False)
    ]
    floor = 1e-6 * 0.01 * n / 80
    spectra = []
    for start in range(0, len(padded) - n + 1, n // 4):
        spectra.append(np.abs(np.fft.rfft(padded[start : start + n] * hann)) ** 2 / np.sum(hann**2))
    return spectra, [[math.log(band @ power + floor) for band in triangles] for power in spectra]


def to_mel(hz):
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def from_mel(mel):
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def amplitude(x):
    frames = [math.sqrt(np.mean(x[i : i + 220] ** 2)) for i in range(0, len(x), 220)]
    slope = x[1:] - x[:-1]
    for values in (np.abs(x), np.abs(slope), np.abs(slope[1:] - slope[:-1]), frames):
        for q in QUANTILES:
            yield math.log(np.quantile(values, q) / 0.1 + 1e-4)


def modulation(groups, hop, edges, least):
    """Of (frames, groups, bands of a group); bands of modulation first, then groups."""
    table = np.array(groups)
    frames = len(table)
    size = max(frames, least)
    hann = np.array([0.5 - 0.5 * math.cos(2 * math.pi * (t + 1) / (frames + 1)) for t in range(frames)])
    for low, high in zip(edges, edges[1:], strict=False):
        bins = [k for k in range(size // 2 + 1) if low <= k * RATE / hop / size < high]
        for g in range(10):
            powers = []
            for course in table[:, g].T:
                centred = (course - course.mean()) * hann
                for k in bins:
                    wave = np.exp(-2j * np.pi * k * np.arange(frames) / size)
                    powers.append(abs(centred @ wave) ** 2 / frames)
            yield math.log(np.mean(powers) + 1e-3)


def skewness(groups):
    means = np.array(groups).mean(axis=2)
    for lag in (1, 2, 4, 8, 16):
        for course in means.T:
            change = course[lag:] - course[:-lag]
            if not len(change):
                yield 0.0
                continue
            yield np.mean(change**3) / (np.mean(change**2) + 0.01) ** 1.5
