"""Windows of codes: each code once, with all it depends on; orders; files; memory."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_distance.errors import AudioError
from models.code_windows import Clip, Windows, clip_of, permuted
from study.datasets.mu_law import encode

ROOT = Path(__file__).parents[1]


def clips(lengths):
    """Codes that tell where they are: the place modulo 251."""
    return [Clip(n, held=(np.arange(n) % 251).astype(np.uint8)) for n in lengths]


@given(st.lists(st.integers(1, 90), min_size=1, max_size=6), st.integers(1, 9), st.integers(1, 30))
def test_each_code_is_a_target_once_with_its_context(lengths, field, more):
    windows = Windows(clips(lengths), size=field + more, receptive_field=field)
    seen = Counter()
    for i in range(len(windows)):
        window = windows.at(i)
        assert 0 < window.context + window.targets <= field + more
        assert window.context == field or (window.context == 0 and window.start == 0)
        first = window.start + window.context
        seen.update((window.clip, place) for place in range(first, first + window.targets))
    assert seen == Counter((clip, place) for clip, n in enumerate(lengths) for place in range(n))


def test_a_batch_holds_the_codes_of_its_windows():
    windows = Windows(clips([10, 47]), size=20, receptive_field=8)
    drawn = [windows.at(i) for i in range(len(windows))]
    batch = windows.batch(drawn)
    assert batch.codes.shape == (5, 20) and list(batch.clips) == [0, 1, 1, 1, 1]
    np.testing.assert_array_equal(batch.codes[2], np.arange(12, 32))
    np.testing.assert_array_equal(batch.wanted[2], np.arange(20) >= 8)
    np.testing.assert_array_equal(batch.wanted[0], np.arange(20) < 10)
    assert sum(batch.wanted.sum() for batch in windows.in_turn(2)) == 57


@settings(max_examples=40)
@given(st.integers(1, 3000), st.integers(0, 2**40), st.integers(0, 5))
def test_an_order_is_a_permutation(count, seed, epoch):
    assert sorted(permuted(i, count, key=(seed, epoch)) for i in range(count)) == list(range(count))


def test_orders_differ_by_seed_and_epoch_and_are_mixed():
    orders = {
        key: [permuted(i, 5000, key=key) for i in range(5000)] for key in ((0, 0), (0, 1), (1, 0), (10, 0))
    }
    assert len({tuple(order) for order in orders.values()}) == 4
    for order in orders.values():
        # Of a random permutation both have mean 0 and deviation 1/sqrt(5000) = .014: six of them
        assert abs(np.corrcoef(order, np.arange(5000))[0, 1]) < 0.085
        assert abs(np.corrcoef(order[:-1], order[1:])[0, 1]) < 0.085


def test_an_epoch_follows_an_epoch():
    windows = Windows(clips([30, 70, 5]), size=20, receptive_field=8)
    n = len(windows)
    epochs = [[windows.drawn(e * n + i, seed=3) for i in range(n)] for e in range(2)]
    assert epochs[0] != epochs[1] and set(epochs[0]) == set(epochs[1]) and len(set(epochs[0])) == n


def test_files_of_any_kind_give_the_codes(tmp_path):
    rng = np.random.default_rng(0)
    signal = np.round(0.1 * rng.normal(size=(5000, 2)) * 2**15) / 2**15
    soundfile.write(tmp_path / "a.wav", signal, 8000, subtype="PCM_16")
    codes = encode(signal.astype(np.float32).mean(axis=1))
    np.save(tmp_path / "a.npy", codes)
    (tmp_path / "a.codes").write_bytes(codes.tobytes())
    for name in ("a.wav", "a.npy", "a.codes"):
        clip = clip_of(tmp_path / name, 8000, cache=tmp_path / "cache")
        assert clip.length == 5000
        np.testing.assert_array_equal(clip.read(100, 60), codes[100:160])
    np.testing.assert_array_equal(clip_of(codes, 8000, cache=tmp_path).read(0, 5000), codes)
    np.testing.assert_array_equal(
        clip_of(signal.mean(axis=1).astype(np.float32), 8000, cache=tmp_path).read(0, 5000), codes
    )


def test_a_recording_is_encoded_once_and_by_content(tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.sin(np.arange(44100) / 20), 44100, subtype="PCM_16")
    first = clip_of(tmp_path / "a.wav", 8000, cache=tmp_path / "cache")
    assert abs(first.length - 8000) <= 1
    (tmp_path / "a.wav").rename(tmp_path / "b.wav")
    before = first.path.stat().st_mtime_ns
    assert clip_of(tmp_path / "b.wav", 8000, cache=tmp_path / "cache") == first
    assert first.path.stat().st_mtime_ns == before and len(list((tmp_path / "cache").iterdir())) == 1
    assert clip_of(tmp_path / "b.wav", 16000, cache=tmp_path / "cache").path != first.path


def test_refusals(tmp_path):
    (tmp_path / "empty.codes").touch()
    np.save(tmp_path / "floats.npy", np.zeros(5))
    (tmp_path / "no.npy").write_bytes(b"nothing")
    (tmp_path / "no.wav").write_bytes(b"nothing")
    soundfile.write(tmp_path / "nan.wav", np.full(99, np.nan), 8000, subtype="FLOAT")
    for name, message in {
        "empty.codes": "no codes",
        "floats.npy": r"\(5,\) float64; codes are",
        "no.npy": "no array",
        "no.wav": "unreadable",
        "nan.wav": "NaN",
        "gone.wav": "No such file",
    }.items():
        with pytest.raises(ValueError, match=rf"{name}.*{message}"):
            clip_of(tmp_path / name, 8000, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*"))  # nothing half written
    with pytest.raises(ValueError, match=r"shape \(2, 3\)"):
        clip_of(np.zeros((2, 3)), 8000, cache=tmp_path)
    with pytest.raises(ValueError, match="windows of 8 codes are all context: the receptive field is 8"):
        Windows(clips([9]), size=8, receptive_field=8)
    with pytest.raises(ValueError, match="no clips"):
        Windows([], size=9, receptive_field=8)
    with pytest.raises(IndexError, match="window 1 of 1"):
        Windows(clips([9]), size=9, receptive_field=8).at(1)
    with pytest.raises(IndexError, match="place 3 of 3"):
        permuted(3, 3, key=(0, 0))
    (tmp_path / "short.codes").write_bytes(bytes(50))
    clip = clip_of(tmp_path / "short.codes", 8000, cache=tmp_path)
    (tmp_path / "short.codes").write_bytes(bytes(20))
    with pytest.raises(ValueError, match=r"short.codes: 20 bytes, and 50 codes"):
        clip.read(10, 40)
    assert issubclass(AudioError, ValueError)


PEAK = """
import resource, sys
from pathlib import Path
from models.code_windows import Windows, clip_of
files = sorted(Path(sys.argv[1]).glob("*.codes"))
windows = Windows([clip_of(f, 8000, cache=Path()) for f in files], size=6144, receptive_field=2047)
total = 0
for first in range(0, 4 * (len(windows) // 4), 4):
    batch = windows.batch([windows.drawn(first + i, seed=0) for i in range(4)])
    total += int(batch.wanted.sum())
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(total, peak * (1 if sys.platform == "darwin" else 1024))
"""


def test_memory_does_not_grow_with_the_data(tmp_path):
    """A whole epoch of 4 MB and of 80 MB of codes, each in a process: the peaks are less than 8 MB apart."""
    peaks = {}
    for times in (1, 20):
        folder = tmp_path / str(times)
        folder.mkdir()
        for i in range(2 * times):
            (folder / f"{i}.codes").write_bytes(bytes(2_000_000))
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
        )
        total, peaks[times] = map(int, done.stdout.split())
        assert total > 3_950_000 * times  # all but the windows of an incomplete batch
    assert abs(peaks[20] - peaks[1]) < 8e6, peaks
