"""What is done to a signal before it is described: level, bandwidth, padding, windows; and its content."""

import math

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

import metrics
from audio_distance import audio, extraction, features

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
    @pytest.mark.parametrize("at_once", [1, 7, 100, 4096])
    def test_parts_are_one_piece_to_the_bit(self, at_once, monkeypatch):
        """Quiet parts, and loud ones, in front, between and behind; cuts within a part and at its ends."""
        quiet, loud = noise(0, 300, 1e-5), noise(1, 200)
        for sound in (
            np.concatenate([quiet, loud, quiet, loud, quiet]),
            np.concatenate([loud, quiet]),
            np.concatenate([quiet, loud]),
            np.concatenate([quiet[:99], loud[:101], quiet]),
        ):
            monkeypatch.setattr(features, "FILTERED", 2**20)
            whole = features.trimmed(sound, RATE)
            monkeypatch.setattr(features, "FILTERED", at_once)
            assert np.array_equal(features.trimmed(sound, RATE), whole) and len(whole) < len(sound)

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


def noise(seed, length=RATE // 2, spread=0.1):
    return np.random.RandomState(seed).normal(0, spread, length).astype(np.float32)


def prepared(signal, rate=RATE):
    return metrics.prepare(signal, rate)[0]


class TestOffset:
    """A constant added to all samples is not heard, and leaves no trace."""

    @pytest.mark.parametrize("offset", [1e-4, 0.01, -0.1, 0.5])
    @pytest.mark.parametrize("rate", [8000, RATE, 44100])
    def test_leaves_no_trace(self, rate, offset):
        """Samples below 1 are rounded by 2^-25, which neither the filter nor the level makes much of."""
        plain, level = metrics.prepare(noise(0, rate // 2), rate)
        found, same = metrics.prepare(noise(0, rate // 2) + np.float32(offset), rate)
        assert len(found) == len(plain) and same == pytest.approx(level, abs=1e-4)
        np.testing.assert_allclose(found, plain, atol=1e-6)

    @pytest.mark.parametrize("offset", [0.001, 0.01, 0.1])
    def test_moves_no_value(self, offset):
        sets = [[noise(i) for i in range(8)], [noise(i, spread=0.05).cumsum() * 0.02 for i in range(8, 16)]]
        plain = metrics.distance(*sets, rate=RATE, paired=False)
        moved = metrics.distance(sets[0], [s + offset for s in sets[1]], rate=RATE, paired=False)
        assert moved == pytest.approx(plain, abs=1e-4) and plain > 0.1

    @pytest.mark.parametrize("length", [256, 2000, RATE])
    @pytest.mark.parametrize("offset", [0.01, -0.25])
    def test_alone_is_refused_by_name(self, length, offset):
        words = rf"nothing above 30 Hz: a constant offset of {offset}.*not connected"
        with pytest.raises(metrics.AudioError, match=words):
            metrics.prepare(np.full(length, offset), RATE)
        with pytest.raises(metrics.AudioError, match=words):
            metrics.distance([np.full(length, offset), noise(1)], [noise(2), noise(3)], rate=RATE)

    def test_of_a_click_is_none(self):
        """One sample: the filter's answer is its impulse response, 1 at first, and that of zeros is 0."""
        sound, _ = metrics.prepare(np.eye(1, 3000, 500)[0], RATE)
        assert len(sound) == 2048 and np.count_nonzero(sound) == 1

    def test_at_the_start_is_the_mean_of_the_middle_half(self):
        start = np.float32([9, -9, 9, 9, -9, 1, 2, 3, 4, 5, 6, 7, 8, 100, -100, 50, 40, -80, -70, -60])
        # Of 20 samples (5 ms at 4 kHz) the middle ten, from -9 to 9: -9, 1, 2, ..., 8, 9.
        middle = np.sort(start)[5:15]
        assert features.offset_at_start(start, 4000) == pytest.approx(middle.mean(), rel=1e-12)
        assert features.offset_at_start(np.append(start, 1e6), 4000) == pytest.approx(
            middle.mean(), rel=1e-12
        )
        assert features.offset_at_start(np.float32([1.0, 1.0]), 4000) == 0.0


class TestHighPass:
    @pytest.mark.parametrize("rate", [44, 999, 10**6])
    def test_a_rate_that_no_sound_has_is_refused(self, rate):
        with pytest.raises(metrics.AudioError, match=rf"rate {rate} Hz is outside 1000 to 768000 Hz.*kHz"):
            metrics.prepare(noise(0), rate)

    @pytest.mark.parametrize("rate", [1000, 768_000])
    def test_the_limits_of_rates_are_described(self, rate):
        assert np.all(np.isfinite(metrics.describe_signal(noise(0, rate // 10), rate)[0]))

    @pytest.mark.parametrize("rate", [1000, 8000, 44100, 192000])
    @pytest.mark.parametrize("hz", [15, 30, 60, 240])
    def test_is_a_butterworth_filter_of_order_4_at_30_hz(self, rate, hz):
        """|H|^2 = 1 / (1 + (tan(pi 30 / rate) / tan(pi hz / rate))^8), of the impulse response of 2 s."""
        impulse = np.eye(1, 2 * rate, dtype=np.float32)[0]
        response, _ = features.high_pass(impulse, rate, offset=0.0)
        found = abs(np.exp(-2j * np.pi * hz / rate * np.arange(len(response))) @ response.astype(float))
        tangents = math.tan(math.pi * 30 / rate) / math.tan(math.pi * hz / rate)
        # Samples rounded to float32 add up to 2^-25 of their sum of magnitudes, below 4.
        assert found == pytest.approx(1 / math.sqrt(1 + tangents**8), abs=1e-6)

    @given(st.sets(st.integers(1, 3999), max_size=6), st.integers(0, 9))
    def test_blocks_are_one_piece_to_the_bit(self, cuts, seed):
        sound, state, found = noise(seed, 4000) + np.float32(0.1), None, []
        for block in np.split(sound, sorted(cuts)):
            passed, state = features.high_pass(block, RATE, offset=0.1, state=state)
            found.append(passed)
        assert np.array_equal(np.concatenate(found), features.high_pass(sound, RATE, offset=0.1)[0])

    @pytest.mark.parametrize("hz", [1, 3, 7])
    def test_rumble_moves_the_value_little(self, hz):
        """40 dB below the peaks of sounds that are cut out of a recording, at any phase."""
        time = np.arange(RATE // 2) / RATE
        sets = [[noise(i) for i in range(8)], [noise(i).cumsum() * 0.02 for i in range(8, 16)]]
        rumble = [0.004 * np.sin(2 * np.pi * hz * time + i) for i in range(8)]
        found = metrics.distance(sets[0], [s + r for s, r in zip(sets[1], rumble, strict=True)], rate=RATE)
        assert found == pytest.approx(metrics.distance(*sets, rate=RATE), abs=0.005)

    @given(
        st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 3), st.sampled_from([8000, RATE, 48000])
    )
    def test_digital_silence_around_changes_nothing(self, before, behind, seed, rate):
        sound = noise(seed, 6000) + np.float32(0.02)
        found = prepared(np.concatenate([np.zeros(before), sound, np.zeros(behind)]), rate)
        assert np.array_equal(found, prepared(sound, rate))

    @pytest.mark.parametrize("hiss", [1e-6, 2e-5])
    def test_its_ring_is_not_a_part_of_the_sound(self, hiss):
        """A low note that ends at once: what is below a thousandth of its peak is cut, with the ring."""
        note = 0.5 * np.cos(2 * np.pi * 50 * np.arange(RATE // 4) / RATE)
        found = prepared(np.concatenate([note, hiss * np.sign(noise(0, RATE // 4))]))
        assert abs(len(found) - len(note)) <= 1

    @pytest.mark.parametrize("gain", [0.013, 0.37, 3.0])
    def test_a_gain_changes_nothing(self, gain):
        sound = np.concatenate([noise(0, 3000) * 1e-3, noise(1, 8000), noise(2, 3000) * 1e-3]) + 0.01
        np.testing.assert_allclose(prepared(gain * sound), prepared(sound), atol=1e-6)


class TestChannels:
    def stereo(self, right, seed=0):
        left = noise(seed)
        return np.stack([left, right(left)], axis=1)

    def measured(self, right, **options):
        plain = [noise(i) for i in range(10, 13)]
        return metrics.compare(
            plain, [self.stereo(right, i) for i in range(3)], rate=RATE, permutations=99, **options
        )

    @pytest.mark.parametrize(
        ("right", "below"),
        [
            (lambda x: -x, "90 dB or more"),
            (lambda x: -0.999 * x, "66 dB"),  # 20 log10(2 / .001)
            (lambda x: -0.99 * x, "46 dB"),
            (lambda x: 0.3 - x, r"[4-9]\d dB.*"),  # an offset hides nothing but what float32 rounds
        ],
    )
    def test_that_cancel_are_refused(self, right, below):
        words = rf"channels 1 and 2 cancel: their mean is {below} below them, and the limit is 40 dB"
        with pytest.raises(metrics.AudioError, match=words):
            self.measured(right)
        with pytest.raises(metrics.AudioError, match=words):
            metrics.prepare(self.stereo(right), RATE)

    def test_more_than_two_that_cancel(self):
        left, other = noise(0), noise(1)
        with pytest.raises(metrics.AudioError, match="the 4 channels cancel"):
            metrics.prepare(np.stack([left, other, -left, -other], axis=1), RATE)

    @pytest.mark.parametrize(
        ("right", "note"),
        [
            (lambda x: -0.9 * x, "channels 1 and 2 nearly cancel: their mean is 20 dB or more below them"),
            (lambda x: 0 * x, "channel 2 is silent beside the others"),
            (lambda x: 0 * x + 0.2, "channel 2 is silent beside the others"),
            (lambda x: 0.9e-3 * x[::-1], "channel 2 is silent beside the others"),
        ],
    )
    def test_what_is_noted(self, right, note):
        found = self.measured(right)
        assert f"3 files of the candidate: {note}" in found.warnings

    @pytest.mark.parametrize(
        "right",
        [lambda x: x, lambda x: x[::-1], lambda x: -0.7 * x, lambda x: 1.1e-3 * x, lambda x: -x[::-1]],
    )
    def test_what_is_not(self, right):
        assert not [line for line in self.measured(right).warnings if "channel" in line]

    def test_several_silent_ones(self, tmp_path):
        for seed in range(2):
            sound = noise(seed)
            soundfile.write(tmp_path / f"{seed}.wav", np.stack([0 * sound, sound, 0 * sound], axis=1), RATE)
        notes = [sound.notes for sound in metrics.describe(tmp_path).sounds]
        assert notes == [("channels 1, 3 are silent beside the others",)] * 2

    @pytest.mark.parametrize("channels", [2, 3, 7])
    @pytest.mark.parametrize("length", [1, 63, 64, 1000])
    def test_sums_are_those_of_the_channels(self, channels, length):
        """Whatever the blocks, against float64; float32 sums of up to 1,000 terms are right to 1e-5."""
        rng = np.random.RandomState(channels)
        samples = rng.normal(0.1, 0.1, (length, channels)).astype(np.float32)
        sums = audio.ChannelSums()
        for block in np.array_split(samples, min(3, length)):
            sums.add(block, audio.mean_of_channels(block))
        both = np.column_stack([samples.mean(axis=1), samples]).astype(float)
        np.testing.assert_allclose(sums.first, both.sum(axis=0), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(sums.second, (both**2).sum(axis=0), rtol=1e-4)
        assert sums.samples == length

    def test_are_told_alike_of_a_long_file(self, tmp_path, monkeypatch):
        sounds = {"a": lambda x: x, "b": lambda x: 0 * x, "c": lambda x: -0.9 * x}
        for name, right in sounds.items():
            soundfile.write(tmp_path / f"{name}.wav", self.stereo(right), RATE, subtype="FLOAT")
        expected = metrics.describe(tmp_path)
        monkeypatch.setattr(extraction, "HELD_BYTES", 0)
        assert [s.notes for s in metrics.describe(tmp_path).sounds] == [s.notes for s in expected.sounds]
        assert [len(s.notes) for s in expected.sounds] == [0, 1, 1]
        soundfile.write(tmp_path / "d.wav", self.stereo(lambda x: -x), RATE)
        with pytest.raises(metrics.AudioError, match=r"d\.wav: channels 1 and 2 cancel"):
            metrics.describe(tmp_path)


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
            (RATE + 1, 1),
            (round(1.5 * RATE), 1),
            (round(1.89 * RATE), 1),
            (round(1.91 * RATE), 2),
            (2 * RATE, 2),
            (2 * RATE + 1, 2),
            (3 * RATE, 3),
            (round(9.95 * RATE), 10),
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
