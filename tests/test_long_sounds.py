"""Sounds that are too long to be held: described in blocks, to the bit as in one piece, in bounded memory."""

import mmap
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import metrics
from audio_distance import audio, containers, extraction, streaming

RATE = 44100


def recording(seed, seconds, rate=RATE, channels=2):
    """Noise that swells and fades, between silences that are cut and in another level in each channel."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    sound = rng.normal(0, 0.05, (len(time), channels)) * np.linspace(0.5, 1, channels)
    sound *= (1 + np.sin(2 * np.pi * 0.3 * time))[:, None]
    sound[: round(0.07 * len(time))] *= 1e-5
    sound[-round(0.11 * len(time)) :] *= 1e-5
    return sound


@pytest.fixture
def in_blocks(monkeypatch):
    """``describe`` with nothing held, in blocks whose length is no multiple of anything."""

    def described(*arguments, block=50_021, held_seconds=0.0, **options):
        with monkeypatch.context() as patched:
            patched.setattr(extraction, "HELD_BYTES", 0)
            patched.setattr(audio, "BLOCK", block)
            patched.setattr(streaming, "HELD_SECONDS", held_seconds)
            return metrics.describe(*arguments, **options)

    return described


def assert_same(found, expected):
    found, expected = found.to_arrays(), expected.to_arrays()
    assert all(np.array_equal(found[key], expected[key]) for key in expected)


class TestInBlocks:
    @pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "mp3", "opus", "aiff"])
    def test_every_container(self, tmp_path, in_blocks, extension):
        """Opus and MP3 keep a state from frame to frame, which a seek between blocks would lose."""
        rate = 48000 if extension == "opus" else 32000
        options = {"format": "OGG", "subtype": "OPUS"} if extension == "opus" else {}
        for seed in (0, 1):
            path = tmp_path / f"{seed}.{extension}"
            soundfile.write(path, recording(seed, 12, rate), rate, **options)
        expected = metrics.describe(tmp_path)
        assert len(expected.sounds[0].vectors) == 9
        assert_same(in_blocks(tmp_path), expected)

    @pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
    @pytest.mark.parametrize("bandwidth_rate", [None, 8000, 16000])
    def test_every_rate(self, tmp_path, in_blocks, rate, bandwidth_rate):
        for seed in (0, 1):
            soundfile.write(tmp_path / f"{seed}.wav", recording(seed, 7, rate), rate)
        expected = metrics.describe(tmp_path, bandwidth_rate=bandwidth_rate)
        assert_same(in_blocks(tmp_path, bandwidth_rate=bandwidth_rate), expected)

    @pytest.mark.parametrize("block", [997, 65536, 10**9])
    @pytest.mark.parametrize("seconds", [1.9, 5.0])
    def test_every_size_of_a_block(self, tmp_path, in_blocks, block, seconds):
        """Shorter than what the resampler gives at once; as long as the file."""
        for seed in (0, 1):
            soundfile.write(tmp_path / f"{seed}.flac", recording(seed, seconds), RATE)
        assert_same(in_blocks(tmp_path, block=block), metrics.describe(tmp_path))

    def test_by_pyav(self, tmp_path, in_blocks):
        av = pytest.importorskip("av")
        for seed in (0, 1):
            with av.open(str(tmp_path / f"{seed}.m4a"), "w") as container:
                stream = container.add_stream("aac", rate=RATE, layout="stereo")
                sound = np.ascontiguousarray(recording(seed, 8).T, np.float32)
                frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="stereo")
                frame.sample_rate = RATE
                container.mux([*stream.encode(frame), *stream.encode()])
        assert_same(in_blocks(tmp_path), metrics.describe(tmp_path))

    def test_what_sounds_for_a_moment_is_held(self, tmp_path, in_blocks):
        """A click between long silences, even one that is gone at the lower rate."""
        for length in (1, 40):
            sound = np.zeros(20 * RATE)
            sound[9 * RATE : 9 * RATE + length] = 0.5
            soundfile.write(tmp_path / f"{length}.wav", sound, RATE)
        assert_same(
            in_blocks(tmp_path, bandwidth_rate=8000, held_seconds=10),
            metrics.describe(tmp_path, bandwidth_rate=8000),
        )

    def test_three_minutes_beyond_the_limit_of_the_package(self, tmp_path, monkeypatch):
        """With the blocks that users get; only the limit of what is held is lowered."""
        for seed in (0, 1):
            soundfile.write(tmp_path / f"{seed}.flac", recording(seed, 180, 22050, 1), 22050)
        expected = metrics.describe(tmp_path, workers=1)
        called = []
        monkeypatch.setattr(
            extraction,
            "describe_blocks",
            lambda *a, **k: called.append(1) or streaming.describe_blocks(*a, **k),
        )
        monkeypatch.setattr(extraction, "HELD_BYTES", 2**23)
        assert_same(metrics.describe(tmp_path, workers=1), expected)
        assert len(called) == 2

    def test_an_embedding_of_ones_own_is_given_the_whole_sound(self, tmp_path, monkeypatch):
        monkeypatch.setattr(extraction, "HELD_BYTES", 0)
        for seed in range(4):
            soundfile.write(tmp_path / f"{seed}.wav", recording(seed, 3), RATE)
        lengths = []
        paths = sorted(tmp_path.iterdir())
        metrics.distance(
            paths[:2], paths[2:], embedding=lambda signal, rate: lengths.append(len(signal)) or signal[:5]
        )
        assert lengths == [3 * RATE] * 4


class TestRefused:
    """The same words in blocks as in one piece."""

    @pytest.mark.parametrize(
        ("samples", "options", "words"),
        [
            (np.zeros((RATE, 2)), {}, "silent: peak 0"),
            (np.zeros((0, 2)), {}, "zero length"),
            (recording(0, 0.01), {}, "too short"),
            (recording(0, 2) * 30, {"subtype": "FLOAT"}, "float samples reach"),
            (
                np.where(np.arange(2 * RATE) % 50_000 == 49_999, np.nan, 0.1),
                {"subtype": "FLOAT"},
                "1 samples",
            ),
            (recording(0, 2), {"subtype": "PCM_U8"}, "8-bit samples"),
        ],
    )
    def test_alike(self, tmp_path, in_blocks, samples, options, words):
        soundfile.write(tmp_path / "good.wav", recording(1, 2), RATE)
        soundfile.write(tmp_path / "fine.wav", recording(2, 2), RATE)
        soundfile.write(tmp_path / "odd.wav", samples, RATE, **options)
        messages = []
        for describe in (metrics.describe, in_blocks):
            with pytest.raises(metrics.AudioError, match=words) as error:
                describe(tmp_path)
            messages.append(str(error.value))
        assert messages[0] == messages[1]

    def test_truncated(self, tmp_path, in_blocks):
        for name in ("a", "b"):
            soundfile.write(tmp_path / f"{name}.wav", recording(1, 3), RATE)
        content = (tmp_path / "a.wav").read_bytes()
        (tmp_path / "a.wav").write_bytes(content[: len(content) // 2])
        with pytest.raises(metrics.AudioError, match=r"a\.wav: truncated: the header promises"):
            in_blocks(tmp_path)

    def test_overwritten_between_the_passes(self, tmp_path, monkeypatch):
        """By a shorter one, which would leave windows out without a word."""
        long, short = recording(0, 9), recording(1, 3)
        passes = iter([long, long, short])

        def blocks():
            sound = audio.mean_of_channels(next(passes).astype(np.float32))
            return iter(np.array_split(sound, 7))

        monkeypatch.setattr(streaming, "HELD_SECONDS", 0)
        with pytest.raises(metrics.AudioError, match="overwritten meanwhile"):
            streaming.describe_blocks(blocks, RATE, extraction.hashlib.sha256())


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_memory_is_bounded(tmp_path):
    """Five minutes of stereo take no more than one does: in one piece, they take over 300 MB."""
    code = """
import re, sys
from pathlib import Path
import numpy as np
from audio_distance import audio, extraction
audio.HELD_BYTES = extraction.HELD_BYTES = 2**24
job = extraction._Job(22050, None, None, 16, 1.0)
sound = extraction.describe_source(audio.Source("long", Path(sys.argv[1])), job).sound
status = Path("/proc/self/status").read_text()  # ru_maxrss begins with the size of the caller
print(len(sound.vectors), int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 2**10)
"""
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", RATE, 2) as file:
        minute = np.random.default_rng(0).normal(0, 0.05, (60 * RATE, 2)).astype(np.float32)
        for _ in range(5):
            file.write(minute)
    done = subprocess.run(
        [sys.executable, "-c", code, path],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    windows, peak = done.stdout.split()
    assert int(windows) == 300 and float(peak) < 200


@pytest.mark.parametrize("channels", range(1, 12))
@pytest.mark.parametrize("order", ["C", "F"])
def test_the_mean_of_the_channels_is_numpys_to_the_bit(channels, order):
    rng = np.random.default_rng(channels)
    tiny = [1e-45, -1e-45, 1e-38, -1e-38, 0.0, -0.0]
    huge = [3e38, -3e38, 1.0, -1.0, 1 + 2**-23, -1 - 2**-23]
    with np.errstate(all="ignore"):
        for samples in (
            rng.normal(0, 0.1, (1001, channels)),
            rng.integers(-(2**15), 2**15, (1001, channels)) / 2**15,
            rng.choice([-1, 1], (1001, channels)) * 10 ** rng.uniform(-44, 38, (1001, channels)),
            rng.choice(tiny + huge, (1001, channels)),
            np.full((3, channels), -0.0),
            np.zeros((0, channels)),
        ):
            samples = np.asarray(samples, np.float32, order=order)
            found, expected = audio.mean_of_channels(samples), samples.mean(axis=1)
            assert found.dtype == np.float32 and found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("place", [0, 5, 6, 7, 8, 17, -1])
def test_what_is_searched_piece_by_piece_is_found_across_pieces(tmp_path, monkeypatch, mapped, place):
    monkeypatch.setattr(containers.parts, "MAPPED_BYTES", 8)
    content = bytearray(b"." * 21)
    if place >= 0:
        content[place : place + 4] = b"fLaC"
    path = tmp_path / "data"
    path.write_bytes(content)
    with path.open("rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if mapped else bytes(content)
    assert containers.find(data, b"fLaC") == place
    assert containers.find(data, b"fLaC", place + 1) == -1
    assert bytes(data[:]) == content  # given back pages are read again
