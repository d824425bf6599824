"""Every distortion under one contract: identity at 0, graded, repeatable, the input untouched."""

import itertools
import warnings

import numpy as np
import pytest
import scipy.signal

from study.datasets import distortions
from study.datasets.distortions import DISTORTIONS, SEVERITIES

NAMES = sorted(DISTORTIONS)
LENGTH_CHANGES = {"speed", "leading_silence"}
# Against the original sample by sample; a distortion that moves the phase has no order there.
BY_SAMPLES = {
    "clicks", "clipping", "codec_mp3", "codec_opus", "dropouts", "gain", "low_pass", "mu_law",
    "noise", "quantisation", "resampling", "reverberation",
}  # fmt: skip
BY_SPECTRUM = {"griffin_lim", "high_pass", "pitch"}


def tone(rate, seconds, seed=1):
    """A decaying harmonic tone over a noise floor, peak about 0.5, float32."""
    time = np.arange(round(rate * seconds)) / rate
    partials = sum(np.sin(2 * np.pi * 110 * k * time) / k for k in range(1, 25))
    floor = 0.01 * np.random.default_rng(seed).standard_normal(len(time))
    return (0.3 * partials * np.exp(-2 * time) + floor).astype(np.float32)


def run(name, signal, rate, severity, seed=0):
    return DISTORTIONS[name](signal, rate, severity, np.random.default_rng(seed))


def log_spectral_distance(x, y, rate):
    """RMS difference of the log magnitudes, averaged over time: blind to phase."""
    power = [np.mean(np.abs(scipy.signal.stft(z, rate, nperseg=512)[2]), axis=1) for z in (x, y)]
    return np.sqrt(np.mean((np.log(power[0] + 1e-6) - np.log(power[1] + 1e-6)) ** 2))


def test_registry():
    assert set(SEVERITIES) == set(DISTORTIONS) and len(NAMES) == 17
    assert all(len(values) == 5 for values in SEVERITIES.values())
    assert all(function.__doc__ for function in DISTORTIONS.values())


@pytest.mark.parametrize("name", NAMES)
def test_severity_0_is_identity_to_the_bit(name):
    signal = tone(8_000, 0.15)
    signal[:3] = [0.0, -0.0, 1e-42]
    result = run(name, signal, 8_000, 0)
    assert result.tobytes() == signal.tobytes() and result.dtype == np.float32
    assert not np.shares_memory(result, signal)


@pytest.mark.parametrize("rate, seconds", [(8_000, 0.15), (22_050, 0.3), (44_100, 0.2)])
@pytest.mark.parametrize("name", NAMES)
def test_contract(name, rate, seconds):
    signal = tone(rate, seconds)
    before = signal.copy()
    results = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for severity in range(1, 6):
            results.append(run(name, signal, rate, severity))
            again = run(name, signal, rate, severity)
            assert results[-1].tobytes() == again.tobytes()
    for result in results:
        assert result.dtype == np.float32 and result.ndim == 1 and np.all(np.isfinite(result))
        assert not np.array_equal(result, signal)
        assert name in LENGTH_CHANGES or len(result) == len(signal)
    assert np.array_equal(signal, before)


@pytest.mark.parametrize("name", NAMES)
def test_silence_stays_silence(name):
    for severity in range(1, 6):
        result = run(name, np.zeros(1200, np.float32), 8_000, severity)
        assert np.max(np.abs(result)) < 1e-3  # a codec's own noise is below -60 dB


@pytest.mark.parametrize("name", sorted(BY_SAMPLES))
def test_graded_by_samples(name):
    signal = tone(22_050, 1.0)
    errors = [np.linalg.norm(run(name, signal, 22_050, s) - signal) for s in range(6)]
    assert errors == sorted(errors) and len(set(errors)) == 6


@pytest.mark.parametrize("name", sorted(BY_SPECTRUM))
def test_graded_by_spectrum(name):
    signal = tone(22_050, 1.0)
    distances = [log_spectral_distance(signal, run(name, signal, 22_050, s), 22_050) for s in range(6)]
    assert distances == sorted(distances) and len(set(distances)) == 6


def test_noise_has_its_ratio():
    """20 dB; the standard error of a level from n draws is 8.7 / sqrt(2 n) dB, five are allowed."""
    signal = tone(22_050, 2.0)
    added = run("noise", signal, 22_050, 3) - signal
    ratio = 10 * np.log10(np.mean(signal**2) / np.mean(added**2))
    assert ratio == pytest.approx(20.0, abs=5 * 8.69 / np.sqrt(2 * len(signal)))


def test_low_pass_and_high_pass_have_half_the_amplitude_at_the_cutoff():
    impulse = np.zeros(2**14, np.float32)
    impulse[2**13] = 1.0
    for name, share in (("low_pass", 0.4), ("high_pass", 0.04)):  # 320 Hz of 8 kHz
        response = np.abs(np.fft.rfft(run(name, impulse, 16_000, 3)))
        assert response[round(share * 2**13)] == pytest.approx(0.5, abs=0.02)


def peak_frequency(signal, rate):
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)), 2**18))
    return np.argmax(spectrum) * rate / 2**18


def test_speed_and_pitch_raise_a_tone():
    rate = 16_000
    sine = np.sin(2 * np.pi * 500 * np.arange(2 * rate) / rate).astype(np.float32)
    for severity in range(1, 6):
        factor = SEVERITIES["speed"][severity - 1]
        faster = run("speed", sine, rate, severity)
        assert len(faster) == pytest.approx(len(sine) / factor, abs=1)
        assert peak_frequency(faster, rate) == pytest.approx(500 * factor, rel=1e-3)
        raised = run("pitch", sine, rate, severity)
        factor = 2 ** (SEVERITIES["pitch"][severity - 1] / 12)
        assert peak_frequency(raised, rate) == pytest.approx(500 * factor, rel=2e-3)


@pytest.mark.parametrize("name", ["codec_mp3", "codec_opus", "resampling", "low_pass"])
def test_nothing_is_shifted_in_time(name):
    """MP3's decoder is not told of its delay of 1105 samples at low bit rates."""
    for rate in (8_000, 22_050, 44_100):
        signal = tone(rate, 0.5)
        for severity in range(1, 6):
            result = run(name, signal, rate, severity)
            lag = np.argmax(scipy.signal.correlate(result, signal)) - (len(signal) - 1)
            assert abs(lag) <= 1 + rate // 8_000, (rate, severity)


def test_leading_silence_is_zero_and_then_the_signal():
    signal = tone(8_000, 0.15)
    result = run("leading_silence", signal, 8_000, 2)
    assert not np.any(result[:400]) and np.array_equal(result[400:], signal)


def test_more_clicks_include_the_fewer():
    signal = tone(22_050, 1.0)
    places = [set(np.flatnonzero(run("clicks", signal, 22_050, s) != signal)) for s in range(6)]
    assert all(fewer < more for fewer, more in itertools.pairwise(places))


@pytest.mark.parametrize("severity", [-1, 6, 2.5, True, None, "3", np.nan])
def test_bad_severity(severity):
    with pytest.raises(ValueError, match="severity"):
        run("noise", tone(8_000, 0.15), 8_000, severity)


@pytest.mark.parametrize(
    "signal",
    [np.zeros((2, 100)), np.zeros(100, np.int16), np.zeros(0), np.full(100, np.nan)],
)
def test_bad_signal(signal):
    with pytest.raises(ValueError, match="signal"):
        run("gain", signal, 8_000, 0)


# Damage to a set


def test_shuffled_segments_are_the_same_segments():
    signal = np.arange(1, 1001, dtype=np.float32) / 1000
    shuffled = distortions.shuffle_segments(signal, 1000, 0.3, np.random.default_rng(0))
    assert not np.array_equal(shuffled, signal)
    assert np.array_equal(np.sort(shuffled), signal)
    assert np.count_nonzero(np.diff(shuffled) != np.diff(signal)[0]) >= 1
    two = distortions.shuffle_segments(signal[:400], 1000, 0.3, np.random.default_rng(0))
    assert np.array_equal(two, np.concatenate([signal[300:400], signal[:300]]))
    with pytest.raises(ValueError, match="two"):
        distortions.shuffle_segments(signal, 1000, 1.0, np.random.default_rng(0))


def test_reverse_twice_is_identity():
    signal = tone(8_000, 0.15)
    assert np.array_equal(distortions.reverse(distortions.reverse(signal)), signal)


def test_drop_labels():
    assert distortions.drop_labels(["a", "b", "a", "c"], ["a"]).tolist() == [1, 3]
    with pytest.raises(ValueError, match="'d'"):
        distortions.drop_labels(["a"], ["d"])
    with pytest.raises(ValueError, match="every"):
        distortions.drop_labels(["a"], ["a"])


def test_repeat_one():
    indices = distortions.repeat_one(7, np.random.default_rng(0))
    assert indices.shape == (7,) and len(set(indices)) == 1 and 0 <= indices[0] < 7
    with pytest.raises(ValueError, match="at least 1"):
        distortions.repeat_one(0, np.random.default_rng(0))


def test_share_of_bad():
    good = [np.full(3, i, np.float32) for i in range(10)]
    bad = [np.full(3, -1 - i, np.float32) for i in range(10)]
    mixed = distortions.share_of_bad(good, bad, 0.3, np.random.default_rng(0))
    replaced = [i for i, signal in enumerate(mixed) if signal[0] < 0]
    assert len(replaced) == 3 and len({mixed[i][0] for i in replaced}) == 3
    assert all(mixed[i] is good[i] for i in range(10) if i not in replaced)
    with pytest.raises(ValueError, match="share"):
        distortions.share_of_bad(good, bad, 1.1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="bad signals"):
        distortions.share_of_bad(good, bad[:2], 0.3, np.random.default_rng(0))


def test_change_weights():
    labels = ["a"] * 10 + ["b"] * 10 + ["c"] * 10
    rng = np.random.default_rng(0)
    chosen = distortions.change_weights(labels, {"a": 3, "b": 1}, 9, rng)
    # 6.75 and 2.25: the larger remainder gets the last one.
    assert [labels[i] for i in chosen].count("a") == 7 and len(set(chosen)) == len(chosen) == 9
    assert all(labels[i] != "c" for i in chosen)
    for weights, message in (
        ({"d": 1}, "no label 'd'"),
        ({"a": -1, "b": 3}, "0 or more"),
        ({"a": 0.0}, "not all 0"),
        ({"a": 1.0}, "11 of label 'a'"),
    ):
        with pytest.raises(ValueError, match=message):
            distortions.change_weights(labels, weights, 11, rng)


def test_duplicates():
    indices = distortions.duplicates(20, 0.25, np.random.default_rng(0))
    assert len(indices) == 20 and len(set(indices)) == 15
    with pytest.raises(ValueError, match="share"):
        distortions.duplicates(20, 1.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match="left to copy"):
        distortions.duplicates(4, 1.0, np.random.default_rng(0))


def test_moment_matched_rows_have_the_moments_and_not_the_shape():
    rng = np.random.default_rng(0)
    rows = rng.choice([-1.0, 1.0], size=(40, 3)) + np.array([0.0, 1.0, 5.0])
    fakes = distortions.moment_matched(rows, 200_000, rng)
    # Standard error of a variance of 1 over 200,000 normal rows: .0032; five of them.
    assert np.cov(fakes.T) == pytest.approx(np.cov(rows.T), abs=0.016)
    assert fakes.mean(axis=0) == pytest.approx(rows.mean(axis=0), abs=0.012)
    assert np.mean(np.abs(fakes[:, 0]) < 0.5) > 0.3 > np.mean(np.abs(rows[:, 0]) < 0.5)
    with pytest.raises(ValueError, match="at least 2 rows"):
        distortions.moment_matched(rows[:1], 5, rng)


@pytest.mark.parametrize("seconds", [0.15, 0.1501])  # an even and an odd number of samples
def test_moment_matched_signals_keep_the_spectrum(seconds):
    signal = tone(10_000, seconds)
    (fake,) = distortions.moment_matched_signals([signal], np.random.default_rng(0))
    before, after = (np.abs(np.fft.rfft(s.astype(float))) for s in (signal, fake))
    # Rounding to float32 adds noise of 6e-8 of the peak to each of 1,500 samples: 1e-6 of a bin of 1.
    assert after == pytest.approx(before, abs=1e-4)
    assert fake.dtype == np.float32 and len(fake) == len(signal)
    assert abs(np.corrcoef(signal, fake)[0, 1]) < 0.5
    with pytest.raises(ValueError, match="floating point"):
        distortions.moment_matched_signals([np.arange(5)], np.random.default_rng(0))
