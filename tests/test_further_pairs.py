"""The twenty further pairs: every change does what its pair says, and no more."""

import dataclasses

import numpy as np
import pytest
import soxr
from scipy.signal import butter, hilbert, sosfilt

from study import datasets, further_pairs, soundness

RATE = 22_050


def tone(hz, seconds=1.0, rate=RATE, peak=0.5):
    return peak * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate)) / rate)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_ten_must_differ_and_ten_must_not_and_none_is_of_the_first_list():
    assert [pair.must_differ for pair in further_pairs.PAIRS.values()] == 10 * [True] + 10 * [False]
    assert not further_pairs.PAIRS.keys() & soundness.PAIRS.keys()
    assert {pair.source for pair in further_pairs.PAIRS.values()} == {
        *("speech", "sounds", "instruments", "music")
    }


def test_sets_are_float32_within_full_scale():
    loud, soft = 3 * tone(440), tone(440)
    pair = further_pairs.Pair("tones", False, lambda size, rng: (size * [loud], size * [soft], RATE))
    x, y, rate = pair.draw(rng())
    assert len(x) == len(y) == further_pairs.FILES and rate == RATE
    assert np.abs(x[0]).max() == pytest.approx(1) and np.allclose(y[0], soft, atol=1e-7)
    assert {s.dtype for s in (*x, *y)} == {np.dtype(np.float32)}


def test_a_change_is_of_sounds_that_are_not_in_the_reference():
    def source(count, rng):
        return [np.full(2, float(i)) for i in range(count)], RATE

    x, y, _ = further_pairs._changed(source, further_pairs._inverted)(3, rng())
    assert [s[0] for s in x] == [0, 1, 2] and [s[0] for s in y] == [-3, -4, -5]
    x, y, _ = further_pairs._changed(source, further_pairs._inverted, reference=further_pairs._echo)(1, rng())
    assert len(x[0]) > len(y[0])


# What must be heard


def test_an_echo_comes_back_once_after_a_fifth_of_a_second():
    click = np.zeros(1000)
    click[0] = 1
    echoed = further_pairs._echo(click, 1000, rng())
    assert np.flatnonzero(echoed).tolist() == [0, 200] and echoed[200] == pytest.approx(0.7)
    assert len(echoed) == len(further_pairs._room_for_echo(click, 1000, rng())) == 1250


def test_a_ring_modulator_leaves_two_tones_of_one():
    power = np.abs(np.fft.rfft(further_pairs._ring_modulated(tone(1000), RATE, rng()))) ** 2
    assert sorted(np.argsort(power)[-2:]) == [850, 1150]


def test_beeps_are_as_loud_as_the_sound():
    noise = 0.1 * rng().standard_normal(2 * RATE)
    beeps = further_pairs._alarm(noise, RATE, rng()) - noise
    assert further_pairs._rms(beeps) == pytest.approx(further_pairs._rms(noise))
    assert np.argmax(np.abs(np.fft.rfft(beeps))) == 2 * 1000
    assert 0.25 < np.mean(beeps != 0) < 0.36  # three tenths of the time


def test_a_loop_is_the_loudest_tenth_of_a_second():
    signal = rng().standard_normal(2000) * np.repeat([1, 1, 5, 1], 500)
    looped = further_pairs._looped(signal, 1000, rng())
    assert len(looped) == 2000 and np.array_equal(looped[:-100], looped[100:])
    starts = [i for i in range(0, 2000, 100) if np.array_equal(signal[i : i + 100], looped[:100])]
    assert len(starts) == 1 and 1000 <= starts[0] < 1500


def test_a_vibrato_swings_by_a_semitone_six_times_a_second():
    swung = further_pairs._vibrato(tone(440), RATE, rng())
    phase = np.unwrap(np.angle(hilbert(swung)))[::100]
    semitones = 12 * np.log2(np.diff(phase) * RATE / (2 * np.pi * 100) / 440)[22:-22]  # a tenth off each end
    assert np.abs(semitones).max() == pytest.approx(1, abs=0.1)
    assert np.sum(np.diff(np.sign(semitones)) > 0) in (4, 5)  # in eight tenths of a second


def cents(pieces):
    """Power between 200 and 1500 Hz and its place beside the nearest semitone of A = 440 Hz, in cents."""
    power, hz = [], np.fft.rfftfreq(8 * 3 * RATE, 1 / RATE)
    band = (hz > 200) & (hz < 1500)
    for piece in pieces:
        power.append(np.abs(np.fft.rfft(piece * np.hanning(len(piece)), 8 * len(piece)))[band] ** 2)
    # Harmonics 3 and 6 are 2 cents from a semitone, 5 is 14.
    return np.sum(power, axis=0), 100 * ((12 * np.log2(hz[band] / 440) + 0.5) % 1 - 0.5)


def test_music_in_tune_and_out_of_tune():
    in_tune, rate = further_pairs.music(3, rng())
    out_of_tune, _ = further_pairs.music(3, rng(), in_tune=False)
    assert rate == RATE and {len(s) for s in in_tune} == {3 * RATE}
    assert all(np.abs(s).max() == pytest.approx(0.5) for s in (*in_tune, *out_of_tune))
    away = []
    for pieces in (in_tune, out_of_tune):
        power, beside = cents(pieces)
        away.append(power[np.abs(beside) > 30].sum() / power[np.abs(beside) < 20].sum())
    assert away[0] < 0.5 < 2 < away[1]


def test_music_of_another_tuning_is_higher_by_that():
    middles = []
    for tuning in (440.0, 450.0):
        power, beside = cents(further_pairs.music(3, rng(), tuning=tuning)[0])
        middles.append(np.angle(np.sum(power * np.exp(2j * np.pi * beside / 100))) * 100 / (2 * np.pi))
    assert middles[1] - middles[0] == pytest.approx(1200 * np.log2(450 / 440), abs=4)


def test_music_that_stumbles_has_its_beats_elsewhere():
    """Rises of level above 5 kHz, where drums are: how much stronger on the eighths than on average."""
    contrasts = {}
    for steady in (True, False):
        ratios = []
        for seed in range(3):
            piece = further_pairs.music(1, rng(seed), steady=steady)[0][0]
            eighth = 30 / rng(seed).uniform(90, 130)  # what a piece draws first
            high = sosfilt(butter(4, 5000, "highpass", fs=RATE, output="sos"), piece)
            level = np.sqrt(np.mean(high[: len(high) // 220 * 220].reshape(-1, 220) ** 2, axis=1))
            rise = np.maximum(np.diff(level), 0)
            places = np.round(np.arange(1, 3 / eighth - 1) * eighth * RATE / 220).astype(int)
            near = np.max([rise[places + shift] for shift in (-1, 0, 1)], axis=0)
            ratios.append(near.mean() / rise.mean())
        contrasts[steady] = np.mean(ratios)
    assert contrasts[True] > 2 * contrasts[False], contrasts


# What must not be heard


def test_a_delay_is_of_less_than_a_sample():
    signal = tone(1000) * np.hanning(RATE)
    late = further_pairs._delayed(signal, RATE, rng())
    turn = np.angle(np.fft.rfft(late)[1000] / np.fft.rfft(signal)[1000])
    assert 0.1 <= -turn * RATE / (2 * np.pi * 1000) <= 0.9
    assert further_pairs._rms(late) == pytest.approx(further_pairs._rms(signal), rel=1e-4)


def test_levels_ends_and_polarity():
    signal = tone(440)
    assert np.array_equal(further_pairs._inverted(signal, RATE, rng()), -signal)
    for seed in range(20):
        louder = further_pairs._level(signal, RATE, rng(seed))
        assert np.abs(20 * np.log10(louder[1:] / signal[1:])).max() <= 0.5 + 1e-9
        shorter = further_pairs._trimmed(signal, RATE, rng(seed))
        assert len(signal) - 2 * 0.02 * RATE < len(shorter) <= len(signal)
        assert any(np.array_equal(signal[i : i + len(shorter)], shorter) for i in range(RATE // 50))


def test_nothing_below_15_hz_is_left_and_the_rest_is():
    slow, fast = tone(5, 4), tone(60, 4)
    middle = slice(RATE, -RATE)
    assert np.abs(further_pairs._no_infrasound(slow, RATE, rng())[middle]).max() < 1e-3
    assert np.abs(further_pairs._no_infrasound(fast, RATE, rng()) - fast)[middle].max() < 1e-3


@pytest.mark.parametrize(
    ("code", "rate", "least"), [(further_pairs._mp3, 44_100, 40), (further_pairs._vorbis, 22_050, 30)]
)
def test_codecs_leave_little_and_in_its_place(code, rate, least):
    signal = soxr.resample(further_pairs.music(1, rng())[0][0], RATE, rate)
    coded = code(signal, rate, rng())
    assert len(coded) == len(signal)
    error = further_pairs._rms(coded - signal) / further_pairs._rms(signal)
    assert 1e-6 < error < 10 ** (-least / 20)


# On recordings, where they are


@pytest.mark.skipif(not datasets.available("digits"), reason="no recordings of digits")
def test_two_talkers_are_two_speakers_and_takes_are_even_and_odd(monkeypatch):
    asked = []
    whole = datasets.digits()

    def digits(*, count=None, rng=None):
        asked.append(whole if count is None else whole.subset(rng.choice(len(whole), count, replace=False)))
        return asked[-1]

    monkeypatch.setattr(datasets, "digits", digits)
    name_of = {signal.tobytes(): name for signal, name in zip(whole.signals, whole.names, strict=True)}
    x, y, _ = further_pairs._takes(5, rng())
    takes = [[int(name_of[s.tobytes()].split(".")[0].split("_")[2]) % 2 for s in side] for side in (x, y)]
    assert takes == [5 * [0], 5 * [1]]
    x, y, _ = further_pairs._two_talkers(3, rng())
    groups = dict(zip(whole.names, whole.groups, strict=True))
    for mixed in y:
        inside = [
            n
            for s, n in zip(asked[-1].signals, asked[-1].names, strict=True)
            if len(s) <= len(mixed) and abs(np.corrcoef(s, mixed[: len(s)])[0, 1]) > 0.45
        ]
        assert len({groups[n] for n in inside}) == 2


@pytest.mark.skipif(
    not (datasets.available("digits") and datasets.available("sounds")), reason="no recordings"
)
def test_every_pair_can_be_drawn(monkeypatch):
    monkeypatch.setattr(further_pairs, "NOTES", 128)
    monkeypatch.setattr(further_pairs, "PITCHED", ("organ",))
    further_pairs._notes.cache_clear()
    for name, pair in further_pairs.PAIRS.items():
        few = dataclasses.replace(pair, files=2)
        x, y, rate = few.draw(rng(1))
        assert len(x) == len(y) == 2 and 8_000 <= rate <= 44_100, name
        assert all(np.isfinite(s).all() and np.abs(s).max() > 1e-4 for s in (*x, *y)), name
    further_pairs._notes.cache_clear()
