"""Samples of songs: where they start, and that they hold what is there."""

import hashlib
import pickle
from functools import partial

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_distance import AudioError
from songs import sampling
from songs.sampling import Settings, consecutive, sample_song, samples_of, starts
from study.datasets.mu_law import encode

CONTENT = hashlib.sha256(b"a song").hexdigest()
RATES = (8_000, 22_050, 44_100, 48_000, 96_000)


def contents(count):
    return [hashlib.sha256(f"song {i}".encode()).hexdigest() for i in range(count)]


def ramp(path, rate, *, seconds=8.0):
    """A file whose samples say where they are: sample i is i / 2^20, to the last bit."""
    signal = np.arange(round(seconds * rate), dtype=np.float32) / 2**20
    soundfile.write(path, signal, rate, subtype="FLOAT")
    return path, signal


class TestStarts:
    @settings(max_examples=100)
    @given(
        st.binary(min_size=32, max_size=32),
        st.floats(0.1, 9000),
        st.integers(1, 60),
        st.floats(0.05, 20),
    )
    def test_inside_sorted_and_apart_where_there_is_room(self, seed, length, count, seconds):
        found = starts(seed.hex(), length, count=count, seconds=seconds)
        if length <= seconds:
            assert found.tolist() == [0]
            return
        assert len(found) == count
        assert found[0] >= 0 and found[-1] + seconds <= length * (1 + 1e-12)
        assert np.all(np.diff(found) >= 0)
        if count * seconds <= length:
            assert np.all(np.diff(found) >= seconds - 1e-9 * length)

    def test_content_alone_decides(self):
        np.testing.assert_array_equal(starts(CONTENT, 200), starts(CONTENT, 200))
        assert np.all(starts(CONTENT, 200) != starts(contents(1)[0], 200))

    def test_stream_is_frozen(self):
        """A table that was begun years ago goes on: these numbers may never change."""
        expected = [4.20432, 14.23580, 19.78638]
        np.testing.assert_allclose(starts(CONTENT, 25, count=3), expected, atol=1e-4)

    @pytest.mark.parametrize(("length", "count"), [(200.0, 30), (60.0, 30)])
    def test_means(self, length, count):
        """Of 400 songs; sorted uniform draws have mean k / (n + 1). At 5 standard errors, 30 times 6e-7."""
        found = np.stack([starts(content, length, count=count) for content in contents(400)])
        share = np.arange(1, count + 1) / (count + 1)
        apart = length >= count * 5
        free = length - count * 5 if apart else length - 5
        expected = free * share + (np.arange(count) * 5 if apart else 0)
        spread = free * np.sqrt(share * (1 - share) / (count + 2))
        assert np.all(abs(found.mean(axis=0) - expected) < 5 * spread / np.sqrt(400))

    @pytest.mark.parametrize(
        ("length", "seconds", "count"), [(20.0, 5.0, 4), (21.0, 5.0, 5), (3.0, 5.0, 1), (0.3, 0.1, 3)]
    )
    def test_consecutive(self, length, seconds, count):
        np.testing.assert_allclose(consecutive(length, seconds=seconds), np.arange(count) * seconds)

    def test_refused(self):
        with pytest.raises(ValueError, match=r"'path\.wav'; 64 hex digits"):
            starts("path.wav", 20)
        for function in (partial(starts, CONTENT), partial(consecutive, seconds=5)):
            with pytest.raises(ValueError, match="seconds_of_song=nan"):
                function(float("nan"))
        with pytest.raises(ValueError, match=r"rate=44\.1.*kHz"):
            Settings(rate=44.1)
        with pytest.raises(ValueError, match="count=0; at least 1"):
            Settings(rate=22050, count=0)
        with pytest.raises(ValueError, match=r"seconds=-1\.0; a positive"):
            Settings(rate=22050, seconds=-1.0)

    def test_digest_tells_settings_apart(self):
        some = [
            Settings(22050),
            Settings(44100),
            Settings(22050, count=29),
            Settings(22050, count=None),
            Settings(22050, seconds=4.5),
        ]
        assert len({each.digest for each in some}) == len(some)


class TestSamples:
    @pytest.mark.parametrize("rate", RATES)
    def test_exact_at_own_rate(self, tmp_path, rate):
        path, signal = ramp(tmp_path / "ramp.wav", rate)
        found = samples_of(path, Settings(rate=rate, count=5, seconds=1.5))
        assert [sample.index for sample in found] == [0, 1, 2, 3, 4]
        for sample in found:
            first = round(sample.start * rate)
            assert first == pytest.approx(sample.start * rate, abs=1e-6)
            np.testing.assert_array_equal(sample.signal, signal[first : first + round(1.5 * rate)])
            assert (sample.seconds, sample.overlap) == (1.5, 0)

    @pytest.mark.parametrize("rate", RATES)
    def test_exact_to_a_sample_when_resampled(self, tmp_path, rate):
        """The line through the middle of a sample, at its beginning: soxr keeps a ramp to 20 bits."""
        target = 22_050
        path, _ = ramp(tmp_path / "ramp.wav", rate)
        for sample in samples_of(path, Settings(rate=target, count=4, seconds=1.5)):
            assert len(sample.signal) == round(1.5 * target)
            middle = slice(target // 4, -target // 4)
            times = np.arange(len(sample.signal))[middle] / target
            slope, at_start = np.polyfit(times, sample.signal[middle].astype(float) * 2**20, 1)
            assert at_start == pytest.approx(sample.start * rate, abs=1)
            assert slope == pytest.approx(rate, rel=1e-4)

    @pytest.mark.parametrize(("rate", "target"), [(44_100, 22_050), (48_000, 22_050), (8_000, 22_050)])
    def test_as_cut_from_the_whole_song_resampled(self, tmp_path, rate, target):
        """Of samples that start on both grids; about a song are zeros, which soxr needs to be told."""
        noise = 0.2 * np.random.RandomState(0).standard_normal(4 * rate).clip(-4, 4).astype(np.float32)
        soundfile.write(tmp_path / "noise.wav", noise, rate, subtype="FLOAT")
        found = samples_of(tmp_path / "noise.wav", Settings(rate=target, count=None, seconds=1.0))
        whole = soxr.resample(np.pad(noise, rate), rate, target)[target:-target]
        assert len(found) == 4
        np.testing.assert_allclose(np.concatenate([s.signal for s in found]), whole, atol=2e-5)

    def test_consecutive_is_the_song(self, tmp_path):
        path, signal = ramp(tmp_path / "ramp.wav", 8_000, seconds=7.3)
        found = samples_of(path, Settings(rate=8_000, count=None, seconds=2.0))
        np.testing.assert_array_equal(np.concatenate([sample.signal for sample in found]), signal)
        assert [sample.seconds for sample in found] == pytest.approx([2, 2, 2, 1.3])

    def test_short_song_is_one_sample(self, tmp_path):
        path, signal = ramp(tmp_path / "ramp.wav", 8_000, seconds=2.0)
        (only,) = samples_of(path, Settings(rate=8_000))
        assert (only.start, only.seconds) == (0, 2)
        np.testing.assert_array_equal(only.signal, signal)

    def test_overlap_is_said(self, tmp_path):
        path, _ = ramp(tmp_path / "ramp.wav", 8_000, seconds=6.0)
        found = samples_of(path, Settings(rate=8_000, count=8, seconds=2.0))
        ends = [0.0] + [sample.start + sample.seconds for sample in found]
        shared = [max(0, end - sample.start) for end, sample in zip(ends, found, strict=False)]
        assert [sample.overlap for sample in found] == pytest.approx(shared)
        assert sum(shared) >= 8 * 2 - 6  # as much as does not fit

    def test_a_long_song_is_decoded_again_and_the_same(self, tmp_path, monkeypatch):
        path, _ = ramp(tmp_path / "ramp.wav", 96_000)
        held = samples_of(path, Settings(rate=22_050, count=9, seconds=0.5))
        monkeypatch.setattr(sampling, "HELD_SAMPLES", 1000)
        for once, twice in zip(held, samples_of(path, Settings(22_050, 9, 0.5)), strict=True):
            np.testing.assert_array_equal(once.signal, twice.signal)
            assert once.start == twice.start

    def test_copies_paths_bytes_and_addresses(self, tmp_path):
        import fsspec

        path, _ = ramp(tmp_path / "ramp.wav", 8_000)
        data = path.read_bytes()
        other = tmp_path / "ein anderer\nName ü.flac"
        other.write_bytes(data)
        with fsspec.open("memory://songs/ramp.wav", "wb") as file:
            file.write(data)
        few = Settings(rate=16_000, count=3, seconds=1.0)
        rows = sample_song(str(path), few)
        for same in (str(other), "memory://songs/ramp.wav", data):
            assert sample_song(same, few) == rows
        assert {row["song"] for row in rows} == {hashlib.sha256(data).hexdigest()}
        assert [len(row["codes"]) for row in rows] == [16_000] * 3

    def test_rows_travel(self, tmp_path):
        path, _ = ramp(tmp_path / "ramp.wav", 8_000)
        function = pickle.loads(pickle.dumps(partial(sample_song, settings=Settings(8_000, 2, 1.0))))
        rows = function(str(path))
        assert list(rows[0]) == [
            *("song", "sample", "start_seconds", "seconds", "overlap_seconds", "rate", "codes")
        ]
        signal = samples_of(path, Settings(8_000, 2, 1.0))[1].signal
        assert rows[1]["codes"] == encode(signal).tobytes()

    def test_mean_of_channels(self, tmp_path):
        left, right = np.random.RandomState(1).uniform(-0.5, 0.5, (2, 16_000)).astype(np.float32)
        soundfile.write(tmp_path / "two.wav", np.stack([left, right], 1), 8_000, subtype="FLOAT")
        (only,) = samples_of(tmp_path / "two.wav", Settings(8_000, 1, 2.0))
        np.testing.assert_allclose(only.signal, (left + right) / 2, atol=1e-7)

    @pytest.mark.parametrize(
        ("signal", "message"),
        [
            (np.zeros(8000), "silent: peak 0"),
            (np.r_[np.ones(8000), np.nan], r"1 samples are NaN or infinite, the first at 1\.000 s"),
            (np.sin(np.arange(8000))[:, None] * [0.5, -0.5], "channels 1 and 2 cancel"),
            (1.9 * np.sin(np.arange(8000)), "float samples reach 1.89"),
        ],
    )
    def test_refused(self, tmp_path, signal, message):
        soundfile.write(tmp_path / "bad.wav", signal.astype(np.float32), 8_000, subtype="FLOAT")
        with pytest.raises(AudioError, match=message):
            samples_of(tmp_path / "bad.wav", Settings(rate=8_000))

    def test_broken_files(self, tmp_path):
        path, _ = ramp(tmp_path / "ramp.wav", 8_000)
        (tmp_path / "cut.wav").write_bytes(path.read_bytes()[:20_000])
        (tmp_path / "empty.ogg").touch()
        (tmp_path / "page.mp3").write_text("<html>404 Not Found</html>")
        for name, message in (
            ("cut.wav", "truncated"),
            ("empty.ogg", "0 bytes"),
            ("page.mp3", "unreadable"),
            ("none.wav", "No such file"),
            ("", "a folder, where a file is needed"),
        ):
            with pytest.raises(AudioError, match=message):
                samples_of(tmp_path / name, Settings(rate=8_000))

    @settings(max_examples=60)
    @given(st.data())
    def test_cut_is_slicing(self, data):
        length = data.draw(st.integers(1, 60))
        song = np.arange(1, length + 1, dtype=np.float32)
        borders = sorted(data.draw(st.lists(st.integers(0, length), max_size=6)))
        blocks = np.split(song, borders)
        size = data.draw(st.integers(1, 30))
        first = sorted(data.draw(st.lists(st.integers(-5, length - 1), min_size=1, max_size=8)))
        ranges = [(start, max(start + size, 1)) for start in first]
        padded = np.pad(song, (40, 120))
        for cut, (start, end) in zip(sampling._cut(blocks, ranges, length), ranges, strict=True):
            np.testing.assert_array_equal(cut, padded[start + 40 : end + 40])
