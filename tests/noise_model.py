"""Models for the tests of the gate: made in milliseconds, worse in known ways."""

import numpy as np


class Noise:
    """Noise of a certain loudness at high frequencies; ``tilt`` 0 is what the tests' recordings are."""

    def __init__(self, tilt=0.0, fault="", steps=3):
        self.tilt, self.fault, self.steps = tilt, fault, steps

    def train(self, signals, rate, *, seed):
        self.length = len(signals[0])
        for step in range(1, self.steps + 1):
            if self.fault == "interrupt" and step == 2:
                raise KeyboardInterrupt
            self.step = step
            yield step

    def sample(self, count, *, seed):
        rng = np.random.default_rng([seed, 7])
        found = [tilted(rng, self.length, self.tilt + (self.steps - self.step)) for _ in range(count)]
        if self.fault == "nan":
            found[1][5] = np.nan
        return found


def tilted(rng, length, tilt):
    spectrum = np.fft.rfft(rng.standard_normal(length))
    signal = np.fft.irfft(spectrum * np.linspace(0.1, 1, len(spectrum)) ** tilt, length)
    return (0.3 * signal / np.abs(signal).max()).astype(np.float32)
