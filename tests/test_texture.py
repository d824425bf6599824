"""The texture of a window: against an independent implementation, by closed forms, and at the edges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import texture as reference

import metrics
from audio_distance import views
from audio_distance.texture import AMPLITUDES, GROUPS, QUANTILES, TEXTURE, texture_names

RATE = metrics.RATE
TIME = np.arange(RATE) / RATE


def parts(window):
    """The numbers of each part of a window."""
    numbers = metrics.embed(np.asarray(window, np.float32))
    return {part: numbers[views.COLUMNS[part]] for part in TEXTURE}


def at_level(signal):
    return np.float32(metrics.PREPARED_RMS * signal / np.sqrt(np.mean(np.square(signal))))


def windows():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(RATE)
    return {
        "noise": at_level(noise),
        "noise of 2048 samples": at_level(noise[:2048]),
        "noise of 7001 samples": at_level(noise[:7001]),
        "decaying noise": at_level(noise * np.exp(-6 * TIME)),
        "tone": at_level(np.sin(2 * np.pi * 440 * TIME)),
        "impulse": 0.1 * np.eye(1, 3000, 1500, dtype=np.float32)[0],
        "constant": np.full(4000, 0.1, np.float32),
        "silence": np.zeros(RATE, np.float32),
    }


@pytest.mark.parametrize("name", windows())
def test_is_the_references(name):
    window = windows()[name]
    found, expected = parts(window), reference.texture(window)
    # A float32 transform of n is off by 2^-24 sqrt(log2 n) of the root mean square of its bins, 2e-7. What
    # that does to log(power + floor) is largest where the power is the floor: the error over the root of the
    # floor, which is 80 dB (1e-4) below for a bin and 60 dB (1e-3) for a mel band. A tone's frames have bins
    # 30 times their root mean square, by which its error is larger than the mean's.
    error = 2e-7 * (30 if name == "tone" else 3)
    log_mel = error / 1e-3
    limits = {
        "spectrum": error / 1e-4,
        "amplitude": 2**-22 / 1e-4,  # a difference of differences near nothing, over its floor
        # log(power + 1e-3) of a fluctuation moves by at most the error over the root of the floor; a cube
        # over the .01 ^ 1.5 of the skewness by three times its own over the root of that.
        "slow modulation": log_mel / np.sqrt(1e-3),
        "fast modulation": log_mel / np.sqrt(1e-3),
        "skewness": 3 * log_mel / np.sqrt(0.01),
    }
    place = 0
    for part, count in TEXTURE.items():
        np.testing.assert_allclose(
            found[part], expected[place : place + count], rtol=1e-5, atol=limits[part], err_msg=part
        )
        place += count
    assert place == len(expected) == 767


def test_noise_agrees_closely():
    """Where no band is near its floor only sums round: 87 frames, 2^-24 each, of logarithms up to 20."""
    window = windows()["noise"]
    found = np.concatenate(list(parts(window).values()))
    np.testing.assert_allclose(found, reference.texture(window), rtol=0, atol=87 * 2**-24 * 20)


def test_every_number_has_a_name_of_its_own():
    names = views.number_names()
    assert len(names) == len(set(names)) == 1799 == sum(views.PARTS.values())
    assert list(names[1032:]) == texture_names()


@pytest.mark.parametrize("hz", [100.0, 2153.3203125, 7000.0])
def test_a_tone_stands_out_where_its_name_says(hz):
    """The largest change of the spectrum that a tone makes is in the bin that is named after it."""
    noise = np.random.default_rng(1).standard_normal(RATE)
    changes = (
        parts(at_level(noise + 0.5 * np.sin(2 * np.pi * hz * TIME)))["spectrum"]
        - parts(at_level(noise))["spectrum"]
    )
    named = texture_names()[int(np.argmax(changes))]
    assert abs(float(named.split()[1]) - hz) <= RATE / 1024 / 2 + 0.5  # half a bin, and the name is rounded


def test_the_spectrum_of_noise_is_its_power():
    """White noise of RMS .1 has the mean power .01 in every bin but those at the ends."""
    rng = np.random.default_rng(2)
    power = np.mean(
        [np.exp(parts(at_level(rng.standard_normal(RATE)))["spectrum"]) for _ in range(20)], axis=0
    )
    # A frame's power is exponential; 87 frames that overlap by three quarters are about 43 independent ones:
    # sd .01 / sqrt(20 * 43), five of them in 511 bins.
    assert np.abs(power[2:-2] - 0.01).max() < 5 * 0.01 / np.sqrt(20 * 43)


def test_quantiles_of_a_ramp():
    """|x| of a ramp from 0 to a is uniform: quantile q is q a; its slope is the same everywhere."""
    ramp = np.linspace(0, 0.17, 5000, dtype=np.float32)
    level, slope, curvature, _ = parts(ramp)["amplitude"].reshape(len(AMPLITUDES), -1)
    # float32 steps of a ramp of .17 are off by 2^-27; over the level, .1, and over the floor, 1e-4.
    np.testing.assert_allclose(np.exp(level), 1.7 * QUANTILES + 1e-4, atol=1e-5)
    np.testing.assert_allclose(slope, np.log(0.17 / 4999 / 0.1 + 1e-4), atol=2**-26 / 0.1 / 4e-4)
    np.testing.assert_allclose(curvature, np.log(1e-4), atol=2**-25 / 0.1 / 1e-4)


@pytest.mark.parametrize(
    ("hz", "part", "band"), [(3, "slow", 1), (6, "slow", 2), (40, "fast", 4), (110, "fast", 6)]
)
def test_modulation_is_where_it_is(hz, part, band):
    """Noise whose level swings at one frequency: it is that band which rises most, in every group."""
    noise = np.random.default_rng(3).standard_normal(RATE)
    modulated = at_level(noise * (1 + 0.7 * np.sin(2 * np.pi * hz * TIME)))
    change = (parts(modulated)[f"{part} modulation"] - parts(at_level(noise))[f"{part} modulation"]).reshape(
        -1, GROUPS
    )
    assert set(np.argmax(change[:, 3:], axis=0)) == {band}  # low groups are narrow: noise itself fluctuates


def test_skewness_turns_with_time():
    """Reversed, every change changes its sign: the skewness is minus what it was where frames coincide."""
    decay = at_level(np.random.default_rng(4).standard_normal(RATE - 2) * np.exp(-(TIME[:-2] * 16 % 4)))
    # Frames are centred on multiples of 256: of 22,016 = 86 x 256 samples the last is too; both ways fit.
    forward, backward = (parts(x)["skewness"] for x in (decay[:22016], decay[:22016][::-1]))
    # But for the periodic window, which is not symmetric: one sample of 1024.
    np.testing.assert_allclose(forward, -backward, atol=0.1)
    assert np.abs(forward).max() > 1


@settings(max_examples=30)
@given(
    samples=st.integers(2048, RATE),
    kind=st.sampled_from(["silence", "impulse", "constant", "noise", "steps", "end"]),
    level=st.sampled_from([1e-30, 1e-4, 0.1, 10.0]),
)
def test_everything_is_finite(samples, kind, level):
    n = np.arange(samples)
    signal = {
        "silence": 0 * n,
        "impulse": n == samples // 2,
        "constant": 0 * n + 1,
        "noise": np.random.default_rng(samples).standard_normal(samples),
        "steps": np.sign(np.sin(n * n * 1e-4)),
        "end": n == samples - 1,
    }[kind]
    numbers = metrics.embed(np.float32(level * signal))
    assert numbers.shape == (1799,) and numbers.dtype == np.float32 and np.all(np.isfinite(numbers))


def test_silence_is_the_floors():
    found = parts(np.zeros(RATE))
    np.testing.assert_allclose(found["spectrum"], np.log(1e-10), rtol=1e-6)
    np.testing.assert_allclose(found["amplitude"], np.log(1e-4), rtol=1e-6)
    np.testing.assert_allclose(found["slow modulation"], np.log(1e-3), rtol=1e-5)
    assert not found["skewness"].any()
