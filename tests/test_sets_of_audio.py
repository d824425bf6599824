"""Sets of audio as users have them: odd lists, odd formats, damaged files, invariances, the cache."""

import errno
import itertools
import json
import os
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import example, given, settings
from hypothesis import strategies as st

import metrics
from audio_distance import cache, extraction, features, storage

RATE = 16000


@pytest.fixture
def real(folder_of):
    return folder_of("real", range(4))


@pytest.fixture
def made(folder_of):
    return folder_of("made", range(20, 24))


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def refusal(*arguments, **options):
    with pytest.raises(metrics.AudioError) as error:
        metrics.compare(*arguments, **options)
    return str(error.value)


class TestLists:
    @pytest.mark.parametrize("header", ["", "path\n", "File_Name,label\n", "# a comment\nfilename\n", "\n"])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    def test_csv(self, real, made, tmp_path, header, mark):
        """A header, a byte-order mark, further columns, and paths relative to the list's folder."""
        rows = "".join(f"real/{path.name},label,3\n" for path in files(real))
        (tmp_path / "list.csv").write_text(mark + header + rows, encoding="utf-8")
        assert metrics.distance(tmp_path / "list.csv", made) == metrics.distance(real, made)

    def test_names_with_commas_and_quotes(self, made, tmp_path, noise):
        """A past fault: a quoted name was cut at its comma."""
        names = ["one, two.wav", 'say "hello".wav', "plain.wav"]
        for i, name in enumerate(names):
            soundfile.write(tmp_path / name, noise(i), RATE)
        lines = ['"one, two.wav",1', '"say ""hello"".wav",2', "plain.wav,3"]
        (tmp_path / "list.csv").write_text("\n".join(["path,label", *lines]), encoding="utf-8")
        (tmp_path / "list.txt").write_text("\n".join(names), encoding="utf-8")
        assert metrics.distance(tmp_path / "list.csv", made) == metrics.distance(tmp_path / "list.txt", made)

    def test_the_working_directory_comes_first(self, real, made, tmp_path, monkeypatch):
        (tmp_path / "lists").mkdir()
        (tmp_path / "lists" / "a.txt").write_text("\n".join(f"real/{p.name}" for p in files(real)))
        monkeypatch.chdir(tmp_path)
        assert metrics.distance("lists/a.txt", made) == metrics.distance(real, made)

    def test_a_list_in_another_encoding(self, made, tmp_path):
        """A past fault: a decoding error instead of a sentence."""
        (tmp_path / "list.txt").write_bytes("caf\u00e9.wav\n".encode("latin-1"))
        message = refusal(tmp_path / "list.txt", made)
        assert "list.txt is not UTF-8" in message and "likely saved by" in message

    def test_every_missing_file_is_counted(self, real, made, tmp_path):
        (tmp_path / "list.txt").write_text(f"{files(real)[0]}\ngone.wav\nlost.wav\n")
        message = refusal(tmp_path / "list.txt", made)
        assert "2 of 3 files" in message and "gone.wav" in message and "working directory" in message

    def test_a_file_given_twice_is_a_copy_and_said(self, real, made):
        found = metrics.compare([*files(real), files(real)[0]], made)
        assert any("1 files of the reference are copies" in line for line in found.warnings)

    def test_a_path_in_a_list_that_does_not_exist(self, real, made):
        assert "gone.wav: [Errno 2]" in refusal([*files(real), real / "gone.wav"], made)


class TestArrays:
    def test_every_form_is_the_folder(self, real, made):
        """int16, int32, float64, stereo, one 2-D array, a generator: the samples are the same."""
        expected = metrics.distance(real, made)
        sixteen = [[soundfile.read(p, dtype="int16")[0] for p in files(f)] for f in (real, made)]
        as_int32 = [[a.astype(np.int32) << 16 for a in side] for side in sixteen]
        as_float = [[a / 2**15 for a in side] for side in sixteen]
        stereo = [[np.stack([a, a], axis=1) for a in side] for side in sixteen]
        big_endian = [[a.astype(">i2") for a in side] for side in sixteen]
        for form in (
            sixteen,
            as_int32,
            as_float,
            stereo,
            big_endian,
            [np.stack(s) for s in as_float],
        ):
            assert metrics.distance(*form, rate=RATE) == pytest.approx(expected, abs=1e-12)
        assert metrics.distance((a for a in sixteen[0]), made, rate=RATE) == pytest.approx(
            expected, abs=1e-12
        )

    def test_a_rate_each(self, noise, made):
        low = [noise(i, rate=8000) for i in range(3)]
        found = metrics.compare(low, [noise(9), noise(8), noise(7)], rate=(8000, RATE))
        assert (found.reference.rates, found.candidate.rates) == ((8000,), (RATE,))
        assert found.bandwidth_hz == 4000

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (np.zeros(0), "zero length: 0 samples"),
            (np.zeros((2, 3, 4)), "a sound is"),
            (np.zeros(4000, bool), "type bool"),
            (np.ones(4000, complex), "type complex128"),
            (np.ones(4000, np.int8), "must be int16 or int32"),
            (np.ones(4000, np.uint8), "must be int16 or int32"),
            (np.ones((2, 4000)), "Transpose it"),
            (np.zeros(4000), "silent: peak 0"),
            (np.full(4000, 1e-7), "silent: peak 1e-07, and the limit is 1e-06"),
            (np.r_[np.ones(1600), np.nan], "1 samples are NaN or infinite, the first at 0.100 s"),
            (np.r_[np.ones(1600), -np.inf], "NaN or infinite"),
            (np.full(4000, 1.5), "reach 1.5, and the limit is 1: .* never limited"),
            (np.full(4000, 20000.0), "reach 20000, .* integer samples stored as float"),
            (np.ones(100), "too short: 100 samples, 6.2 ms, and the limit is 11.6 ms"),
        ],
    )
    def test_a_bad_array_is_named_with_its_reason(self, noise, bad, message):
        with pytest.raises(metrics.AudioError, match=message) as error:
            metrics.distance([noise(0), noise(1), bad], [noise(2), noise(3)], rate=RATE)
        assert "reference: [2]: " in str(error.value) and "1 of 5 files" in str(error.value)

    def test_one_signal_is_no_set(self, noise):
        """A past fault: a TypeError about an unsized object."""
        assert "likely one signal" in refusal(noise(0), [noise(1), noise(2)], rate=RATE)

    def test_paths_and_arrays_in_one_list(self, real, noise):
        assert "paths and arrays" in refusal([str(files(real)[0]), noise(1)], real, rate=RATE)

    @pytest.mark.parametrize("rate", [44.1, 0, -1, 1e9, float("nan")])
    def test_a_rate_out_of_range(self, noise, rate):
        assert "kHz" in refusal([noise(0), noise(1)], [noise(2), noise(3)], rate=rate)


LOSSLESS = {
    "FLAC": ("flac", {}),
    "WAV, 24 bits": ("wav", {"subtype": "PCM_24"}),
    "WAV, float": ("wav", {"subtype": "FLOAT"}),
    "WAV, extensible": ("wav", {"format": "WAVEX"}),
    "AIFF": ("aiff", {}),
    "AU": ("au", {}),
    "CAF": ("caf", {}),
    "W64": ("w64", {}),
    "RF64": ("rf64", {}),
}


class TestFormats:
    @pytest.mark.parametrize("name", LOSSLESS)
    def test_lossless_formats_are_the_same_sound(self, real, tmp_path, name):
        """The same 16-bit samples in another container are the same content: all files are shared."""
        extension, options = LOSSLESS[name]
        (tmp_path / "other").mkdir()
        for path in files(real):
            target = tmp_path / "other" / f"{path.stem}.{extension.upper()}"
            soundfile.write(
                target,
                soundfile.read(path)[0],
                RATE,
                **{"format": extension.upper(), **options},
            )
        found = metrics.compare(real, tmp_path / "other")
        assert (found.shared, found.value, found.verdict) == (4, 0.0, "the same set")

    @pytest.mark.parametrize("extension", ["flac", "aiff", "au", "caf", "w64", "rf64", "wav", "ogg", "mp3"])
    def test_a_cut_file_is_refused(self, folder_of, made, extension):
        """A past fault: AIFF, AU, W64 and RF64 were read as shorter files without a word."""
        folder = folder_of("cut", range(3), extension=extension, format=extension.upper(), seconds=2.0)
        path = files(folder)[1]
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 3 // 5])
        message = refusal(folder, made)
        assert f"{path.name}: " in message and ("truncated" in message or "unreadable" in message)
        assert "likely" in message or "could be read" in message

    def test_a_wav_of_a_stream_has_no_size_and_is_read(self, real, made):
        """Recorders that write to a pipe leave 0xFFFFFFFF as the number of bytes."""
        expected = metrics.distance(real, made)
        path = files(real)[0]
        data = bytearray(path.read_bytes())
        where = data.index(b"data") + 4
        data[where : where + 4] = struct.pack("<I", 0xFFFFFFFF)
        path.write_bytes(bytes(data))
        assert metrics.distance(real, made) == pytest.approx(expected, abs=1e-12)

    def test_a_chunk_of_odd_length_before_the_samples(self, real, made):
        expected = metrics.distance(real, made)
        path = files(real)[0]
        data = path.read_bytes()
        where = data.index(b"data")
        path.write_bytes(data[:where] + b"note" + struct.pack("<I", 3) + b"abc\0" + data[where:])
        assert metrics.distance(real, made) == pytest.approx(expected, abs=1e-12)

    def test_hidden_folders_other_files_and_capital_letters(self, real, made):
        expected = metrics.distance(real, made)
        files(real)[0].rename(real / "LOUD.WAV")
        (real / ".git").mkdir()
        (real / ".git" / "x.wav").write_bytes(b"never opened")
        (real / "._mac.wav").write_bytes(b"never opened")
        (real / "readme.txt").write_text("x")
        found = metrics.compare(real, made)
        assert found.value == expected and found.reference.not_audio == 2

    @pytest.fixture
    def m4a(self, tmp_path, noise):
        av = pytest.importorskip("av")

        def write(path, seed):
            with av.open(str(path), "w") as container:
                stream = container.add_stream("aac", rate=44100)
                frame = av.AudioFrame.from_ndarray(
                    np.float32(noise(seed, 2.0, 44100))[None], format="fltp", layout="mono"
                )
                frame.sample_rate = 44100
                for packet in [*stream.encode(frame), *stream.encode(None)]:
                    container.mux(packet)

        (tmp_path / "phone").mkdir()
        for seed in range(3):
            write(tmp_path / "phone" / f"{seed}.m4a", seed)
        return tmp_path / "phone"

    def test_a_damaged_m4a_is_named(self, m4a, made):
        """A past fault: the decoder's own error reached the caller, without the file's name."""
        path = m4a / "1.m4a"
        data = np.frombuffer(path.read_bytes(), np.uint8).copy()
        rng = np.random.default_rng(0)
        where = rng.integers(len(data) // 4, len(data) // 2, 400)
        data[where] ^= rng.integers(1, 255, 400).astype(np.uint8)
        path.write_bytes(data.tobytes())
        assert "1.m4a: unreadable" in refusal(m4a, made)
        assert metrics.compare(m4a, made, on_error="skip").reference.files == 2

    def test_a_cut_m4a_is_named(self, m4a, made):
        path = m4a / "2.m4a"
        path.write_bytes(path.read_bytes()[:5000])
        assert "2.m4a: unreadable" in refusal(m4a, made)

    def test_m4a_without_av(self, m4a, made, monkeypatch):
        monkeypatch.setitem(sys.modules, "av", None)
        message = refusal(m4a, made)
        assert "3 of 7 files" in message and "pip install av" in message


class TestGroups:
    def test_labels_must_be_as_many_as_sounds(self, real, made):
        """A past fault: labels too many were ignored, and a skipped file moved all later labels."""
        assert "6 labels for the 4 sounds of the reference" in refusal(real, made, groups=[1, 1, 2, 2, 3, 3])
        assert "3 labels for the 4 sounds" in refusal(real, made, groups=[1, 1, 2])
        (made / "a.wav").write_bytes(b"")
        message = refusal(real, made, groups=([1, 1, 2, 2], [0, 3, 3, 4, 4]), on_error="skip")
        assert "5 labels for the 4 sounds of the candidate" in message and "mapping" in message

    def test_a_pattern_whose_group_took_no_part(self, real, made):
        assert "does not match" in refusal(real, made, groups=r"real_(00)|_")

    @pytest.mark.parametrize("kind", ["mapping", "callable", "labels", "pattern"])
    def test_forms_of_one_grouping_agree(self, real, made, kind):
        groups = {
            "mapping": {p.name: int(p.stem[-1]) // 2 for f in (real, made) for p in files(f)},
            "callable": lambda name: int(name[-5]) // 2,
            "labels": [0, 0, 1, 1],
            "pattern": r"_.([01]|[23])",
        }
        found = metrics.compare(real, made, groups=groups[kind], paired=False)
        assert found.reference.units == (4 if kind == "pattern" else 2)
        if kind != "pattern":
            assert found.value == metrics.distance(real, made, groups=[0, 0, 1, 1], paired=False)


class TestEmbedding:
    @pytest.mark.parametrize(
        ("gives", "message"),
        [
            (lambda s, r: np.zeros((2, 2, 2)), r"shape \(2, 2, 2\)"),
            (lambda s, r: [], "is needed"),
            (lambda s, r: [1.0, np.nan], "NaN"),
            (lambda s, r: [1.0, np.inf], "infinite"),
            (lambda s, r: [[1, 2], [3]], "gave no array"),
            (lambda s, r: "words", "gave no array"),
            (lambda s, r: np.fft.rfft(s)[:3], "complex"),
            (lambda s, r: np.ones(2 + (s[0] > 0)), "different lengths"),
        ],
    )
    def test_what_is_no_table_of_numbers_is_refused(self, real, made, gives, message):
        with pytest.raises(metrics.AudioError, match=message):
            metrics.distance(real, made, embedding=gives)

    def test_gets_mono_at_the_common_rate_as_recorded(self, real, folder_of, noise):
        seen = []

        def listen(signal, rate):
            seen.append((signal.ndim, rate, len(signal)))
            return [signal.std(), len(signal) / rate]

        stereo = [np.stack([noise(i, rate=48000)] * 2, axis=1) for i in range(3)]
        metrics.distance(real, stereo, rate=48000, embedding=listen)
        assert set(seen) == {(1, RATE, int(0.3 * RATE))}


class TestInvariances:
    def test_names_change_nothing(self, real, made, tmp_path):
        expected = metrics.compare(real, made)
        for path in files(real):
            path.rename(path.with_name(f"{9 - int(path.stem[-1])}_renamed.wav"))
        found = metrics.compare(real, made)
        assert (found.value, found.interval, found.p_value) == (
            expected.value,
            expected.interval,
            expected.p_value,
        )

    @pytest.mark.parametrize("shape", ["flat", "deep"])
    def test_folders_below_change_nothing(self, real, made, shape):
        expected = metrics.distance(real, made)
        if shape == "deep":
            for i, path in enumerate(files(real)):
                (real / str(i) / "x").mkdir(parents=True)
                path.rename(real / str(i) / "x" / path.name)
        assert metrics.distance(real, made) == expected

    @pytest.mark.parametrize("rate", [8000, 22050, 44100])
    @pytest.mark.parametrize("gain", [1e-2, 0.3, 4.0])
    def test_gain(self, noise, rate, gain):
        """A power of two changes no digit. Otherwise float32 rounding: in the value below 1e-4 at full
        bandwidth; at a lower rate the phase of the empty bands, which is rounding itself, may add a
        twentieth of the null's spread."""
        x, y = ([noise(s + i, rate=rate) * 0.2 for i in range(5)] for s in (0, 9))
        plain = metrics.compare(x, y, rate=rate)
        scaled = metrics.compare(x, [gain * s for s in y], rate=rate, peak_limit=9)
        limit = 1e-4 if rate >= metrics.RATE else max(1e-4, 0.05 * plain.null_spread)
        if gain == 4.0:
            limit = 1e-12
        assert scaled.value == pytest.approx(plain.value, abs=limit)
        assert scaled.level_difference_db == pytest.approx(
            plain.level_difference_db + 20 * np.log10(gain), abs=1e-3
        )

    @pytest.mark.parametrize("rate", [8000, 44100])
    @pytest.mark.parametrize("where", ["before", "after", "both"])
    def test_silence_around_a_sound_changes_nothing(self, noise, rate, where):
        sound, gap = noise(3, rate=rate), np.zeros(rate // 20)
        parts = {"before": [gap, sound], "after": [sound, gap], "both": [gap, sound, gap]}[where]
        assert np.array_equal(
            metrics.prepare(np.concatenate(parts), rate)[0], metrics.prepare(sound, rate)[0]
        )

    def test_a_rate_round_trip_is_small_beside_the_null(self, noise):
        """8 kHz to 16 kHz and back. White noise up to 4 kHz loses its last percent of band to the filters,
        and the rest is unmoved: less than half of the null's spread."""
        x, y = ([noise(s + i, rate=8000, seconds=0.5) for i in range(6)] for s in (0, 10))
        back = [soxr.resample(soxr.resample(s, 8000, 16000, "VHQ"), 16000, 8000, "VHQ") for s in y]
        plain = metrics.compare(x, y, rate=8000, paired=False)
        again = metrics.compare(x, back, rate=8000, paired=False, peak_limit=2)
        assert abs(again.value - plain.value) < 0.5 * plain.null_spread

    def test_workers(self, real, made, monkeypatch):
        """Asked for, or started because the work is long: the same bytes."""
        one, two = (metrics.compare(real, made, workers=n) for n in (1, 2))
        monkeypatch.setattr(extraction, "PARALLEL_SECONDS", 0.0)
        assert one == two == metrics.compare(real, made)
        for left, right in zip(one.units, two.units, strict=True):
            assert left == right

    def test_bad_files_found_by_workers_are_all_named(self, real, made):
        for name in ("u.wav", "v.wav"):
            soundfile.write(made / name, np.zeros(5000), RATE)
        message = refusal(real, made, workers=2)
        assert "2 of 10 files" in message and "u.wav: silent" in message and "v.wav: silent" in message


class TestWindows:
    @settings(max_examples=60)
    @given(st.integers(2048, 12 * metrics.RATE))
    def test_are_of_one_length_from_end_to_end_and_hardly_overlap(self, length):
        signal = np.arange(length, dtype=np.float32)  # integers below 2**24 are exact
        found = metrics.windows(signal)
        if length <= metrics.RATE:
            assert len(found) == 1 and len(found[0]) == length
            return
        assert {len(w) for w in found} == {metrics.RATE}
        starts = [int(w[0]) for w in found]
        assert starts[0] == 0 and (len(found) == 1 or found[-1][-1] == length - 1)
        assert all(0.9 * metrics.RATE - 1 <= b - a < 2 * metrics.RATE for a, b in itertools.pairwise(starts))
        assert 0 <= length - len(found) * metrics.RATE + 0.1 * metrics.RATE < metrics.RATE + 1


class TestCache:
    def measure(self, real, made, tmp_path, **options):
        return metrics.compare(real, made, cache=tmp_path / "cache", **options)

    @pytest.fixture
    def counted(self, monkeypatch):
        """Embeddings that were really made."""
        calls, embed = [], metrics.embed
        monkeypatch.setattr(features, "embed", lambda signal: calls.append(1) or embed(signal))
        return calls

    def test_the_same_result_with_without_and_again(self, real, made, tmp_path, counted):
        plain = metrics.compare(real, made)
        first, second = (self.measure(real, made, tmp_path) for _ in range(2))
        assert plain == first == second and len(counted) == 16

    def test_only_content_counts(self, real, made, tmp_path, counted):
        self.measure(real, made, tmp_path)
        counted.clear()
        shutil.copytree(real, tmp_path / "moved")
        files(tmp_path / "moved")[0].rename(tmp_path / "moved" / "zzz.wav")
        self.measure(tmp_path / "moved", made, tmp_path)
        assert not counted
        soundfile.write(tmp_path / "moved" / "zzz.wav", np.arange(4000) % 7 / 9, RATE)
        self.measure(tmp_path / "moved", made, tmp_path)
        assert len(counted) == 1

    def test_another_bandwidth_or_recipe_is_another_entry(
        self, real, made, folder_of, tmp_path, counted, monkeypatch
    ):
        self.measure(real, made, tmp_path)
        counted.clear()
        low = folder_of("low", range(30, 33), rate=8000)
        assert self.measure(real, low, tmp_path) == metrics.compare(real, low)
        assert len(counted) == 7 * 2  # four of real again at 4 kHz, three new, and all without a cache
        counted.clear()
        scale, _ = metrics.constants()
        monkeypatch.setattr(cache, "constants", lambda: (scale, "99-00000000"))
        self.measure(real, made, tmp_path)
        assert len(counted) == 8

    @pytest.mark.parametrize(
        "damage",
        [
            lambda b: b"",
            lambda b: b[: len(b) // 2],
            lambda b: b[:-1],
            lambda b: b"damaged",
            lambda b: b[:400] + bytes([b[400] ^ 255]) + b[401:],
            *[lambda b, at=at: b[:at] + bytes([b[at] ^ 255]) + b[at + 1 :] for at in range(-600, 0, 60)],
        ],
    )
    def test_a_damaged_entry_is_made_again(self, real, made, tmp_path, damage):
        """A past fault: a half-written or flipped entry stopped the run with an error of its container."""
        expected = self.measure(real, made, tmp_path)
        entry = files(tmp_path / "cache")[0]
        whole = entry.read_bytes()
        entry.write_bytes(damage(whole))
        assert self.measure(real, made, tmp_path) == expected

    def test_nothing_is_written_beside_the_data_and_nothing_unfinished_stays(self, real, made, tmp_path):
        before = files(real), files(made)
        self.measure(real, made, tmp_path)
        assert (files(real), files(made)) == before
        assert {path.suffix for path in files(tmp_path / "cache")} == {".npz"}

    def test_a_write_that_fails_leaves_no_part_and_blames_no_sound(self, real, made, tmp_path, monkeypatch):
        """A past fault: good sounds were called unmeasurable, and left out with on_error="skip"."""

        def fails(*_, **__):
            raise OSError(errno.ENOSPC, "No space left on device")

        expected = metrics.compare(real, made)
        monkeypatch.setattr(np, "savez", fails)
        for on_error in ("raise", "skip"):
            with pytest.warns(
                UserWarning, match=r"cache: 8 described sounds .*cache \(No space left on device\)"
            ):
                assert self.measure(real, made, tmp_path, on_error=on_error) == expected
        assert files(tmp_path / "cache") == []

    def test_a_disk_that_is_full_on_the_way(self, real, made, tmp_path, monkeypatch):
        replace, done = os.replace, []

        def full(*paths):
            done.append(paths)
            if len(done) > 5:
                raise OSError(errno.ENOSPC, "No space left on device")
            replace(*paths)

        monkeypatch.setattr(os, "replace", full)
        with pytest.warns(UserWarning, match="cache: 3 described sounds could not be kept"):
            found = self.measure(real, made, tmp_path)
        assert found == metrics.compare(real, made) and len(files(tmp_path / "cache")) == 5

    def test_the_warning_of_workers_is_one(self, real, made, tmp_path):
        """Other processes meet the folder's fault; who called hears of it."""
        for path in (real, made):  # an entry whose place is taken by a folder cannot be written
            for file in files(path):
                entry = cache.entry_of(
                    tmp_path / "cache",
                    file.read_bytes(),
                    bandwidth_rate=RATE,
                    minimum_bits=16,
                    peak_limit=1.0,
                )
                entry.mkdir(parents=True)
        with pytest.warns(UserWarning) as warned:
            found = self.measure(real, made, tmp_path, workers=2)
        (one,) = warned
        assert "cache: 8 described sounds could not be kept" in str(one.message)
        assert found == metrics.compare(real, made)

    @pytest.mark.parametrize("place", ["file", "below a file", "no home"])
    def test_a_folder_that_cannot_be_is_the_caches_fault(self, real, made, tmp_path, monkeypatch, place):
        """It is told of, and the number is the same without it."""
        (tmp_path / "file").write_text("a file")
        where = {"file": tmp_path / "file", "below a file": tmp_path / "file" / "cache", "no home": True}[
            place
        ]
        for name in ("AUDIO_DISTANCE_CACHE", "XDG_CACHE_HOME"):
            monkeypatch.delenv(name, raising=False)

        def homeless():
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(Path, "home", homeless)
        with pytest.warns(UserWarning, match="^cache: .* cannot be made .*the result is the same"):
            assert metrics.compare(real, made, cache=where) == metrics.compare(real, made)

    def test_a_folder_that_may_only_be_read(self, real, made, tmp_path, monkeypatch, counted):
        """What it holds is used, and what it lacks is described. (Pretended: root may write anywhere.)"""
        expected = self.measure(real, made, tmp_path)
        files(tmp_path / "cache")[0].unlink()
        counted.clear()

        def denied(*_, **__):
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(storage.tempfile, "TemporaryDirectory", denied)
        with pytest.warns(UserWarning, match=r"cache: 1 described sounds .* \(Permission denied\)"):
            assert self.measure(real, made, tmp_path) == expected
        assert len(counted) == 1

    @pytest.mark.parametrize(
        "fact", [{"level_db": float("nan")}, {"seconds": -1.0}, {"rate": 0}, {"more": 1}, {}]
    )
    def test_an_entry_that_holds_no_sound_is_made_again(self, real, made, tmp_path, fact):
        expected = self.measure(real, made, tmp_path)
        entry = files(tmp_path / "cache")[0]
        with np.load(entry) as kept:
            facts, vectors = json.loads(str(kept["facts"])), kept["vectors"]
        cache.write_npz(entry, vectors=vectors if fact else vectors * 1e30, facts=json.dumps(facts | fact))
        assert self.measure(real, made, tmp_path) == expected

    def test_an_own_embedding_is_never_kept(self, real, made, tmp_path):
        self.measure(real, made, tmp_path, embedding=lambda s, r: [s.std(), s.max()])
        assert files(tmp_path / "cache") == []

    def test_the_users_folder(self, tmp_path, monkeypatch):
        monkeypatch.delenv("AUDIO_DISTANCE_CACHE", raising=False)
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        assert metrics.cache_folder() == tmp_path / "audio-distance"
        monkeypatch.setenv("AUDIO_DISTANCE_CACHE", str(tmp_path / "own"))
        assert metrics.cache_folder() == tmp_path / "own"


class TestAnySignal:
    @settings(max_examples=60)
    @given(
        seed=st.integers(0, 2**32 - 1),
        length=st.integers(300, 4000),
        rate=st.sampled_from([8000, 16000, 22050, 44100, 48000]),
        level=st.floats(-5.5, 0),
        kind=st.sampled_from(["noise", "tone", "gated constant", "impulses", "steps", "two far clicks"]),
    )
    @example(seed=61022, length=300, rate=8000, level=-5.0, kind="tone")  # a faint one of 11 Hz
    def test_gives_1799_finite_numbers_and_a_finite_distance(self, seed, length, rate, level, kind):
        rng = np.random.default_rng(seed)
        n = np.arange(length)
        radians = rng.uniform(0, np.pi)  # a sample, of the tone
        signal = {
            "noise": lambda: rng.normal(0, 1, length),
            "tone": lambda: np.sin(n * radians + 1),
            "gated constant": lambda: np.maximum(n // (length // 3) % 2, 0.1),
            "impulses": lambda: (rng.random(length) < 0.01) + np.eye(1, length, length // 2)[0],
            "steps": lambda: np.sign(rng.normal(0, 1, length)) * (n // 50 % 3) + np.eye(1, length)[0],
            "two far clicks": lambda: np.eye(1, length)[0] - np.eye(1, length, length - 1)[0],
        }[kind]()
        signal = signal / np.abs(signal).max() * 10**level
        if length / rate < metrics.SHORTEST_SECONDS:
            with pytest.raises(metrics.AudioError, match="too short"):
                metrics.prepare(signal, rate)
            return
        try:
            prepared, decibels = metrics.prepare(signal, rate)
        except metrics.AudioError as refusal:  # right of a tone that nobody hears, and of nothing else
            assert "nothing above 30 Hz" in str(refusal)
            assert kind == "tone" and radians * rate / (2 * np.pi) < metrics.LOWEST_HZ
            return
        vector = metrics.embed(prepared)
        assert vector.shape == (1799,) and np.all(np.isfinite(vector)) and np.isfinite(decibels)
        others = [rng.normal(0, 0.05, 4000) for _ in range(3)]
        assert np.isfinite(metrics.distance([signal, others[0]], others[1:], rate=rate))
