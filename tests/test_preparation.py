"""What is done to a signal before it is described: level, bandwidth, padding, windows; and its content."""

import math

import numpy as np
import pytest

import metrics

RATE = metrics.RATE
FRAME = RATE // 100  # 10 ms


def tone(amplitude, frames, rate=RATE):
    """Forty periods in every frame of 10 ms, so that each frame has the power of the whole.

    High, so that a high-pass at 30 Hz leaves its level alone and hardly rings where it begins and ends.
    """
    return amplitude * np.sin(2 * np.pi * 40 * np.arange(frames * (rate // 100)) / (rate // 100))


class TestLevel:
    @pytest.mark.parametrize("amplitude", [1.0, 0.1, 0.01])
    def test_of_a_tone(self, amplitude):
        """20 log10 of the RMS, which is the amplitude over the root of 2; trimming takes a sample away."""
        prepared, level = metrics.prepare(tone(amplitude, 50), RATE)
        assert level == pytest.approx(20 * math.log10(amplitude / math.sqrt(2)), abs=0.01)
        assert math.sqrt(np.mean(prepared**2)) == pytest.approx(0.1, rel=1e-3)

    @pytest.mark.parametrize(("below_db", "counts"), [(29, True), (31, False)])
    def test_frames_within_30_db_of_the_loudest_count(self, below_db, counts):
        """Half of the frames are quieter: they take 3 dB from the mean power, or they are left out."""
        signal = np.concatenate([tone(0.5, 50), tone(0.5 * 10 ** (-below_db / 20), 50), tone(0.5, 1)])
        _, level = metrics.prepare(signal, RATE)
        share = (51 + 50 * 10 ** (-below_db / 10)) / 101 if counts else 1.0
        expected = 20 * math.log10(0.5 / math.sqrt(2)) + 10 * math.log10(share)
        # Trimming shifts the frames by one sample, so one frame in a hundred holds both levels.
        assert level == pytest.approx(expected, abs=0.05)

    def test_is_candidate_minus_reference(self):
        rng = np.random.RandomState(0)
        sets = [[gain * rng.normal(0, 0.1, RATE // 4) for _ in range(3)] for gain in (0.1, 1.0)]
        found = metrics.compare(*sets, rate=RATE, paired=False, permutations=99)
        assert found.level_difference_db == pytest.approx(20, abs=1)
        low, high = found.level_interval_db
        assert low < found.level_difference_db < high


class TestTrimming:
    @pytest.mark.parametrize(("edge", "kept"), [(1.1e-3, True), (0.9e-3, False)])
    @pytest.mark.parametrize("place", [0, -1])
    def test_at_a_thousandth_of_the_peak(self, edge, kept, place):
        signal = tone(0.0, 100)
        signal[FRAME * 20 : FRAME * 80] = np.random.RandomState(0).choice([-0.5, 0.5], FRAME * 60)
        signal[place] = edge * 0.5
        prepared, _ = metrics.prepare(signal, RATE)
        assert len(prepared) == (FRAME * 80 if kept else FRAME * 60)

    @pytest.mark.parametrize(("length", "expected"), [(300, 2048), (2047, 2048), (2048, 2048), (2049, 2049)])
    def test_short_sounds_are_padded_behind(self, length, expected):
        prepared, _ = metrics.prepare(np.cos(np.pi * np.arange(length)), RATE)
        assert len(prepared) == expected
        assert np.all(prepared[:length] != 0) and np.all(prepared[length:] == 0)


class TestBandwidth:
    def above(self, prepared, hz):
        power = np.abs(np.fft.rfft(prepared * np.hanning(len(prepared)))) ** 2
        return power[np.fft.rfftfreq(len(prepared), 1 / RATE) > hz].sum() / power.sum()

    @pytest.mark.parametrize("rate", [16000, RATE, 44100])
    def test_is_that_of_the_lower_rate(self, rate):
        """Noise up to half of every rate, and after passing 8 kHz, nothing (-60 dB) above 4.1 kHz."""
        noise = np.random.RandomState(0).normal(0, 0.1, rate)
        assert self.above(metrics.prepare(noise, rate)[0], 4100) > 0.3
        assert self.above(metrics.prepare(noise, rate, bandwidth_rate=8000)[0], 4100) < 1e-6

    @pytest.mark.parametrize(
        ("rate", "bandwidth_rate"), [(8000, 8000), (44100, 32000), (48000, RATE), (8000, 16000)]
    )
    def test_a_rate_that_limits_nothing_changes_nothing(self, rate, bandwidth_rate):
        noise = np.random.RandomState(0).normal(0, 0.1, rate // 2)
        plain, level = metrics.prepare(noise, rate)
        found, same = metrics.prepare(noise, rate, bandwidth_rate=bandwidth_rate)
        assert np.array_equal(found, plain) and level == same


class TestWindows:
    @pytest.mark.parametrize(
        ("length", "count"),
        [
            (2048, 1),
            (RATE, 1),
            (RATE + 1, 2),
            (round(1.5 * RATE), 2),
            (2 * RATE, 2),
            (2 * RATE + 1, 3),
            (3 * RATE, 3),
        ],
    )
    def test_count(self, length, count):
        found = metrics.windows(np.zeros(length, np.float32))
        assert len(found) == count and (count == 1 or {len(w) for w in found} == {RATE})

    def test_start_evenly(self):
        starts = [int(w[0]) for w in metrics.windows(np.arange(3 * RATE + RATE // 2, dtype=np.float32))]
        assert np.ptp(np.diff(starts)) <= 1 and starts[-1] == 2 * RATE + RATE // 2


class TestContent:
    def test_samples_at_another_rate_are_another_sound(self):
        noises = [np.random.RandomState(i).normal(0, 0.1, 8000) for i in range(3)]
        assert metrics.compare(noises, noises, rate=16000, permutations=99).shared == 3
        assert metrics.compare(noises, noises, rate=(16000, 8000), permutations=99).shared == 0
