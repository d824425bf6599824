"""The bundled constants are made from these windows: they must never change unseen."""

import itertools

import numpy as np
import pytest

from study.datasets import synthetic

# Sines and transforms round differently between machines, by far less than 1e-5.
RMS_OF_THE_FIRST = [0.15875, 0.174409, 0.134027, 0.092421, 0.055816]


@pytest.fixture(scope="module")
def some():
    return np.stack(list(synthetic.windows(60)))


def test_one_second_float32_finite_and_loud(some):
    assert some.shape == (60, 22_050) and some.dtype == np.float32
    assert np.isfinite(some).all()
    np.testing.assert_allclose(np.abs(some).max(axis=1), synthetic.PEAK, rtol=1e-6)


def test_pinned(some):
    rms = np.sqrt(np.mean(some[:5].astype(np.float64) ** 2, axis=1))
    np.testing.assert_allclose(rms, RMS_OF_THE_FIRST, atol=1e-5)


def test_a_window_depends_on_seed_and_index_alone(some):
    np.testing.assert_array_equal(np.stack(list(synthetic.windows(3))), some[:3])
    np.testing.assert_array_equal(synthetic.window(41), some[41])
    assert not np.array_equal(synthetic.window(41, seed=1), some[41])


def test_windows_differ(some):
    unit = some / np.linalg.norm(some, axis=1, keepdims=True)
    similarity = np.abs(unit @ unit.T)[np.triu_indices(60, 1)]
    assert similarity.max() < 0.5


@pytest.mark.parametrize("source, envelope", list(itertools.product(synthetic.SOURCES, synthetic.ENVELOPES)))
def test_every_source_under_every_envelope_is_sound(source, envelope):
    for seed in range(5):
        rng = np.random.RandomState(seed)
        signal, gain = source(rng), envelope(rng)
        assert signal.shape == gain.shape == (synthetic.LENGTH,)
        assert np.isfinite(signal).all() and np.isfinite(gain).all()
        assert gain.min() >= 0.0
        assert np.sqrt(np.mean((signal * gain) ** 2)) > 1e-4


def test_a_plucked_string_sounds_at_its_period():
    """The loop delays by ``period + damping`` samples: there the autocorrelation has its peak."""
    signal = synthetic.plucked_string(np.random.RandomState(3))
    rng = np.random.RandomState(3)
    period = int(synthetic.RATE / np.exp(rng.uniform(np.log(60.0), np.log(1_000.0))))
    spectrum = np.abs(np.fft.rfft(signal, 2 * len(signal))) ** 2
    correlation = np.fft.irfft(spectrum)[: 2 * period]
    lag = period // 2 + np.argmax(correlation[period // 2 : 3 * period // 2])
    assert abs(lag - period) <= 1


def test_no_windows_is_an_error():
    with pytest.raises(ValueError, match="count is 0"):
        list(synthetic.windows(0))
