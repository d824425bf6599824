"""Sets described once and kept without their audio: exact against the audio, whole or refused."""

import dataclasses
import json
import mmap
import shutil
import tracemalloc
import zipfile

import numpy as np
import pytest
import soundfile

import metrics
from audio_distance import description, units
from audio_distance.description import SoundSet

RATE = 16000
QUICK = {"permutations": 99}


@pytest.fixture
def real(folder_of):
    return folder_of("real", range(6))


@pytest.fixture
def made(folder_of):
    return folder_of("made", range(20, 25), seconds=0.4)


@pytest.fixture
def described(real):
    return metrics.describe(real)


def kept(result):
    """All of a comparison but what was passed over in the folders."""
    content = result.to_dict()
    for side in ("reference", "candidate"):
        content[side] = {
            key: content[side][key] for key in ("files", "units", "seconds", "rates", "level_db")
        }
    return content


def saved(description, path):
    description.save(path)
    return metrics.Description.load(path)


def refusal(function, *arguments, **options):
    with pytest.raises(metrics.AudioError) as error:
        function(*arguments, **options)
    return str(error.value)


def refused_of_changed(path, damaged, *, step):
    """How many copies with one bit of another byte are refused by name; the others have the same content."""
    content = path.read_bytes()
    expected = metrics.Description.load(path).to_arrays()
    refused = 0
    for position in range(0, len(content), step):
        changed = bytearray(content)
        changed[position] ^= 1
        damaged.write_bytes(changed)
        try:
            found = metrics.Description.load(damaged).to_arrays()
            assert all(np.array_equal(found[key], expected[key]) for key in expected)
        except metrics.AudioError as error:
            refused += 1
            assert str(error).startswith(str(damaged))
    return refused


class TestExactness:
    def test_either_side_and_both_before_and_after_a_file(self, real, made, tmp_path):
        expected = kept(metrics.compare(real, made, **QUICK))
        a, b = metrics.describe(real), metrics.describe(made)
        for reference, candidate in (
            (a, made),
            (real, b),
            (a, b),
            (saved(a, tmp_path / "a.npz"), made),
            (saved(a, tmp_path / "a.npz"), saved(b, tmp_path / "b.npz")),
            (tmp_path / "a.npz", str(tmp_path / "b.npz")),
        ):
            assert kept(metrics.compare(reference, candidate, **QUICK)) == expected
        assert metrics.distance(a, made) == metrics.distance(real, b) == metrics.distance(real, made)

    @pytest.mark.parametrize(
        ("rates", "common"),
        [((22050, 16000), 16000), ((16000, 22050), 16000), ((44100, 48000), 44100), ((44100, 8000), 8000)],
    )
    def test_at_the_common_rate_of_both(self, noise, rates, common):
        """Several windows a sound; the words are the same too where the common rate is described at all."""
        sets = [[noise(10 * k + i, 1.6, rate) for i in range(3)] for k, rate in enumerate(rates)]
        expected = kept(metrics.compare(*sets, rate=rates, **QUICK))
        described = [
            metrics.describe(sounds, rate=rate, bandwidth_rate=common)
            for sounds, rate in zip(sets, rates, strict=True)
        ]
        assert {one.bandwidth_rate for one in described} == {min(common, metrics.RATE)}
        for pair in ((described[0], sets[1]), (sets[0], described[1]), described):
            found = kept(metrics.compare(*pair, rate=rates, **QUICK))
            if common > metrics.RATE:  # 11,025 Hz in words, and half of 44,100 for files
                found["warnings"] = expected["warnings"]
            assert found == expected

    def test_several_candidates(self, real, made, described):
        candidates = {"made": made, "again": real}
        expected = metrics.compare_each(real, candidates, **QUICK)
        found = metrics.compare_each(described, {**candidates, "again": described}, **QUICK)
        assert {name: kept(one) for name, one in found.items()} == {
            name: kept(one) for name, one in expected.items()
        }
        assert metrics.difference(*found.values()) == metrics.difference(*expected.values())

    def test_shared_content_and_pairs_by_name(self, real, made, described, tmp_path):
        shutil.copytree(real, tmp_path / "copy")
        assert metrics.compare(described, tmp_path / "copy", **QUICK).verdict == "the same set"
        for i, path in enumerate(sorted((tmp_path / "copy").iterdir())[2:]):
            samples, rate = soundfile.read(path)
            soundfile.write(path, np.convolve(samples, [0.5, 0.3 + i / 100])[: len(samples)], rate)
        found = metrics.compare(described, tmp_path / "copy", **QUICK)
        assert (found.paired, found.shared) == (True, 2)
        assert kept(found) == kept(metrics.compare(real, tmp_path / "copy", **QUICK))

    @pytest.mark.parametrize("groups", [r"(\d)\.wav", lambda name: int(name[-5]) % 3, list("aabbcc")])
    def test_groups(self, real, folder_of, groups):
        other = folder_of("other", range(30, 36))
        a, b = metrics.describe(real), metrics.describe(other)
        expected = kept(metrics.compare(real, other, groups=groups, **QUICK))
        assert kept(metrics.compare(a, b, groups=groups, **QUICK)) == expected
        assert kept(metrics.compare(a, other, groups=groups, **QUICK)) == expected


class TestBandwidth:
    def test_the_lowest_rate_of_the_set_up_to_the_limit(self, noise):
        for rate, expected in ((8000, 8000), (22050, 22050), (48000, 22050)):
            sounds = [noise(0, 0.2, rate), noise(1, 0.2, rate)]
            assert metrics.describe(sounds, rate=rate).bandwidth_rate == expected
            assert metrics.describe(sounds, rate=rate, bandwidth_rate=44100).bandwidth_rate == 22050

    def test_mixed_files(self, real, folder_of):
        folder_of("real", [40], rate=8000)
        assert metrics.describe(real).bandwidth_rate == 8000
        assert metrics.describe(real, bandwidth_rate=12000).bandwidth_rate == 12000

    def test_descriptions_of_two_bandwidths(self, real, made, described):
        narrow = metrics.describe(made, bandwidth_rate=8000)
        for message in (
            refusal(metrics.compare, described, narrow),
            refusal(metrics.distance, described, narrow),
            refusal(metrics.compare_each, real, {"candidate": narrow, "other": described}),
        ):
            assert "16000 Hz" in message and "candidate 8000 Hz" in message
            assert "describe them again" in message and "bandwidth_rate=8000" in message
        assert "set 16000 Hz, bandwidth_rate 8000 Hz" in refusal(
            metrics.describe, described, bandwidth_rate=8000
        )
        assert metrics.describe(described).to_arrays()["names"].tolist() == [s.name for s in described.sounds]

    def test_files_of_a_lower_rate(self, described, folder_of, noise):
        """They are compared over the whole bandwidth, unlike two sets of files."""
        low = folder_of("low", range(20, 26), rate=8000)
        found = metrics.compare(described, low, **QUICK)
        (line,) = found.warnings
        assert line == (
            "sample rates below the description's 16000 Hz (6 at 8000 Hz): compared below 8000 Hz all the "
            "same, so what these files lack above 4000 Hz is a difference"
        )
        assert found.bandwidth_hz == 8000 and found.p_value == 0.01
        narrow = metrics.describe([noise(i) for i in range(6)], rate=RATE, bandwidth_rate=8000)
        assert found.value > 10 * abs(metrics.distance(narrow, low))
        # The same of a description that holds such files.
        inside = metrics.describe(low, bandwidth_rate=16000)
        assert metrics.compare(described, inside, **QUICK).warnings == found.warnings

    def test_files_of_a_higher_rate(self, described, folder_of):
        high = folder_of("high", range(20, 26), rate=22050)
        found = metrics.compare(described, high, **QUICK)
        assert any("mixed sample rates" in line and "below 8000 Hz" in line for line in found.warnings)
        limited = metrics.describe(high, bandwidth_rate=16000)
        assert metrics.distance(described, high) == metrics.distance(described, limited)
        # All of the rate 22,050: it is the description that limits them, and it is said.
        found = metrics.compare(high, limited, **QUICK).warnings
        assert "compared below 8000 Hz, the bandwidth of the description (16000 Hz)" in found

    @pytest.mark.parametrize("bandwidth_rate", [16, 0, -16000, 1e6, float("nan")])
    def test_a_rate_out_of_range(self, real, bandwidth_rate):
        message = refusal(metrics.describe, real, bandwidth_rate=bandwidth_rate)
        assert f"bandwidth_rate {bandwidth_rate} Hz is outside" in message and "kHz" in message


class TestDescribe:
    def test_what_it_says(self, real, described):
        assert (len(described), described.bandwidth_rate) == (6, RATE)
        assert (described.name, described.recipe) == (str(real), metrics.constants()[1])
        assert metrics.describe(real, name="training").name == "training"
        assert "vectors" not in repr(described)
        found = metrics.compare(described, real, **QUICK)
        assert found.reference.name == str(real) and found.reference.seconds == pytest.approx(1.8)

    def test_the_same_errors_as_elsewhere(self, tmp_path, noise, real):
        assert "set: 1 usable sound(s)" in refusal(metrics.describe, [noise(0)], rate=RATE)
        assert "set: arrays need rate=" in refusal(metrics.describe, [noise(0), noise(1)])
        assert "does not exist" in refusal(metrics.describe, tmp_path / "none")
        assert "does not exist" in refusal(metrics.compare, tmp_path / "none.npz", real)
        (real / "bad.wav").write_bytes(b"no sound")
        assert "bad.wav: unreadable" in refusal(metrics.describe, real)

    def test_skipped_files_are_remembered(self, real, made, tmp_path):
        (real / "bad.wav").write_bytes(b"no sound")
        described = saved(metrics.describe(real, on_error="skip"), tmp_path / "a.npz")
        (line,) = described.skipped
        assert len(described) == 6 and line.startswith("bad.wav: unreadable")
        found = metrics.compare(described, made, **QUICK)
        assert found.reference.skipped == (line,)
        assert found.warnings == metrics.compare(real, made, on_error="skip", **QUICK).warnings

    def test_no_other_embedding(self, described, made):
        for pair in ((described, made), (made, described)):
            message = refusal(metrics.compare, *pair, embedding=lambda signal, rate: signal[:4])
            assert "given as a Description" in message and "three views" in message


class TestSample:
    def test_drawn_from_the_seed(self, described):
        names = [sound.name for sound in described.sounds]
        drawn = [[s.name for s in described.sample(3, seed=seed).sounds] for seed in (1, 1, *range(8))]
        assert drawn[0] == drawn[1] and len({tuple(one) for one in drawn}) > 3
        assert all(one == sorted(set(one) & set(names)) and len(one) == 3 for one in drawn)
        assert set(drawn[0]) < {sound.name for sound in described.sample(4, seed=1).sounds}

    def test_all_if_fewer(self, described):
        for count in (6, 7, 1000):
            assert described.sample(count, seed=0).sounds == described.sounds

    def test_is_a_set(self, described, made, tmp_path):
        some = described.sample(3, seed=0)
        assert (len(some), some.name, some.bandwidth_rate) == (3, described.name, RATE)
        chosen = [tmp_path / "real" / sound.name for sound in some.sounds]
        assert metrics.distance(some, made) == metrics.distance(chosen, made)

    def test_too_few(self, described):
        with pytest.raises(ValueError, match="count=1; a set needs at least 2"):
            described.sample(1, seed=0)


class TestFile:
    def test_arrays_there_and_back(self, noise):
        sounds = [noise(0), noise(1, 3.0), noise(2, 2.0)]
        arrays = metrics.describe(sounds, rate=RATE, name="Größe").to_arrays()
        assert arrays["vectors"].shape == (6, 1799) and arrays["vectors"].dtype == np.float32
        assert arrays["owners"].tolist() == [0, 1, 1, 1, 2, 2]
        assert arrays["names"].tolist() == ["[0]", "[1]", "[2]"] and str(arrays["name"]) == "Größe"
        assert arrays["seconds"].tolist() == [0.3, 3.0, 2.0] and arrays["rates"].tolist() == [RATE] * 3
        assert all(array.dtype != object for array in arrays.values())
        again = metrics.Description.from_arrays(arrays).to_arrays()
        assert list(again) == list(arrays)
        assert all(np.array_equal(again[key], arrays[key]) for key in arrays)
        del arrays["skipped"]
        assert metrics.Description.from_arrays(arrays).skipped == ()

    def test_described_before_what_sounds_was_kept(self, described):
        """The length of the file stands for it."""
        arrays = described.to_arrays()
        del arrays["sounding_seconds"]
        for sound in metrics.Description.from_arrays(arrays).sounds:
            assert sound.sounding_seconds == sound.seconds

    def test_the_same_bytes_and_nothing_else(self, described, tmp_path):
        path = tmp_path / "new" / "a.npz"
        described.save(path)
        first = path.read_bytes()
        metrics.Description.load(path).save(path)
        assert path.read_bytes() == first and list(path.parent.iterdir()) == [path]
        assert path.stat().st_mode & 0o777 == (tmp_path / "real" / "real_00.wav").stat().st_mode & 0o777

    def test_a_failed_write_leaves_the_old_file(self, described, tmp_path, monkeypatch):
        described.save(tmp_path / "a.npz")
        before = (tmp_path / "a.npz").read_bytes()
        monkeypatch.setattr(np, "savez", lambda file, **_: file.write(b"half") / 0)
        with pytest.raises(ZeroDivisionError):
            described.save(tmp_path / "a.npz")
        assert (tmp_path / "a.npz").read_bytes() == before
        assert {path.name for path in tmp_path.iterdir()} == {"real", "a.npz"}

    def test_damage_anywhere_is_seen(self, described, tmp_path):
        """A byte changed is refused, or was none of the content; a file cut is refused."""
        path, damaged = tmp_path / "a.npz", tmp_path / "b.npz"
        described.sample(2, seed=0).save(path)
        content = path.read_bytes()
        assert refused_of_changed(path, damaged, step=97) > 0.8 * len(content) / 97
        for size in (0, 1, 100, len(content) // 2, len(content) - 1):
            damaged.write_bytes(content[:size])
            assert "b.npz: not a described set, or a damaged one" in refusal(
                metrics.Description.load, damaged
            )

    def test_other_files(self, real, tmp_path):
        load = metrics.Description.load
        assert "none.npz cannot be read" in refusal(load, tmp_path / "none.npz")
        assert "real cannot be read" in refusal(load, real)
        np.savez(tmp_path / "other.npz", vectors=np.zeros((3, 1799)))
        message = refusal(metrics.compare, tmp_path / "other.npz", real)
        assert "other.npz: not a described set" in message and "recipe" in message
        np.save(tmp_path / "array.npy", np.zeros(3))
        np.savez(tmp_path / "objects.npz", names=np.array([{}], object))
        for path in (tmp_path / "array.npy", tmp_path / "objects.npz", real / "real_00.wav"):
            assert f"{path}: not a described set" in refusal(load, path)

    def test_of_an_older_recipe_in_memory(self, real):
        """As it comes out of a pickle, which checks nothing: named, and never compared."""
        old = dataclasses.replace(metrics.describe(real), recipe="1-952a9e7e")
        for call in (
            lambda: metrics.compare(old, real),
            lambda: metrics.distance(real, old),
            lambda: metrics.compare_each(real, {"old": old, "new": real}),
        ):
            words = refusal(call)
            assert f"described with recipe 1-952a9e7e, and this package has {metrics.constants()[1]}" in words
            assert "describe the set again from its audio" in words and f"({real})" in words

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            (
                {"recipe": "0-abc"},
                f"described with recipe 0-abc, and this package has {metrics.RECIPE_VERSION}-",
            ),
            ({"recipe": "0-abc"}, "describe the set again"),
            ({"vectors": np.zeros((6, 1798), "f4")}, r"shape \(6, 1798\); \(windows, 1799\) is needed"),
            ({"vectors": np.zeros(1799, "f4")}, r"shape \(1799,\)"),
            ({"vectors": np.full((6, 1799), np.nan, "f4")}, "6 of 6 windows hold NaN or infinite"),
            ({"vectors": np.array(["a"])}, "not a described set, or a damaged one .*ValueError"),
            ({"vectors": np.zeros((5, 1799), "f4")}, "do not fit: 5 windows, 6 owners, and 6 names"),
            ({"owners": np.array([0, 1, 2, 3, 4, 4])}, "do not fit: 6 windows, 6 owners, and 6 names"),
            ({"owners": np.array([0, 1, 3, 2, 4, 5])}, "do not fit"),
            ({"owners": np.array([-1, 0, 1, 2, 3, 4])}, "do not fit"),
            ({"owners": np.zeros((6, 1), int)}, "do not fit"),
            ({"levels": np.zeros(5)}, "6 seconds, 6 sounding_seconds, 5 levels"),
            (
                {
                    **dict.fromkeys(
                        ("owners", "names", "contents", "rates", "seconds", "levels"), np.zeros(0)
                    ),
                    "vectors": np.zeros((0, 1799)),
                },
                "do not fit: 0 windows",
            ),
            ({"names": None}, "not a described set, or a damaged one .*'names'"),
            ({"bandwidth_rate": np.array("wide")}, "not a described set, or a damaged one"),
            ({"bandwidth_rate": np.array(0)}, "bandwidth_rate 0 Hz is outside 1000 to 22050 Hz"),
            ({"bandwidth_rate": np.array(44100)}, "bandwidth_rate 44100 Hz is outside"),
            ({"levels": np.r_[np.zeros(5), np.nan]}, "'real_05.wav' has a level of nan dB; likely damaged"),
            ({"levels": np.r_[np.zeros(5), -np.inf]}, "a level of -inf dB"),
            ({"seconds": np.r_[np.inf, np.ones(5)]}, "'real_00.wav' has a length of inf s"),
            ({"seconds": np.zeros(6)}, "a length of 0.0 s"),
            ({"sounding_seconds": np.full(6, 9.0)}, r"9\.0 s that sound, of 0\.3 s"),
            ({"sounding_seconds": np.full(6, np.nan)}, r"nan s that sound, of 0\.3 s"),
            ({"seconds": np.full(6, np.nan)}, "a length of nan s"),
            ({"rates": np.full(6, 1)}, "a rate of 1 Hz, outside 1000 to 768000 Hz"),
            ({"vectors": np.full((6, 1799), 1e30, "f4")}, r"numbers up to 1e\+30 in its vectors, .* 1e\+06"),
        ],
    )
    def test_arrays_that_are_refused(self, described, tmp_path, changes, message):
        arrays = {
            key: value for key, value in {**described.to_arrays(), **changes}.items() if value is not None
        }
        with pytest.raises(metrics.AudioError, match=message):
            metrics.Description.from_arrays(arrays)
        np.savez(tmp_path / "a.npz", **arrays)
        with pytest.raises(metrics.AudioError, match=f"a.npz: .*{message}"):
            metrics.Description.load(tmp_path / "a.npz")


class TestMapped:
    """Sets that are too large to be held: their vectors stay in the file."""

    @pytest.fixture(autouse=True)
    def all_are_large(self, monkeypatch):
        monkeypatch.setattr(description, "MAPPED_BYTES", 1)

    def is_mapped(self, one):
        return all(
            not sound.vectors.flags.owndata and isinstance(sound.vectors.base.base, mmap.mmap)
            for sound in one.sounds
        )

    def test_is_the_set(self, described, made, tmp_path):
        found = saved(described, tmp_path / "a.npz")
        assert self.is_mapped(found) and not self.is_mapped(described)
        arrays = described.to_arrays()
        assert all(np.array_equal(found.to_arrays()[key], arrays[key]) for key in arrays)
        with pytest.raises(ValueError, match="read-only"):
            found.sounds[0].vectors[0] = 0
        before = (tmp_path / "a.npz").read_bytes()
        expected = kept(metrics.compare(described, made, **QUICK))
        assert kept(metrics.compare(tmp_path / "a.npz", made, **QUICK)) == expected
        found.save(tmp_path / "a.npz")  # over the file that it lies in
        assert (tmp_path / "a.npz").read_bytes() == before
        (tmp_path / "a.npz").unlink()
        assert kept(metrics.compare(found, made, **QUICK)) == expected

    def test_only_what_is_large_and_not_packed(self, described, tmp_path, monkeypatch):
        """An older release wrote the vectors first, where they are not aligned to their size."""
        np.savez(tmp_path / "older.npz", **described.to_arrays())
        np.savez_compressed(tmp_path / "packed.npz", **described.to_arrays())
        by_columns = {**described.to_arrays(), "vectors": np.asfortranarray(described.to_arrays()["vectors"])}
        np.savez(tmp_path / "columns.npz", **by_columns)
        for name, mapped in (("older", True), ("packed", False), ("columns", False)):
            found = metrics.Description.load(tmp_path / f"{name}.npz")
            assert self.is_mapped(found) == mapped
            assert np.array_equal(found.to_arrays()["vectors"], described.to_arrays()["vectors"])
        monkeypatch.setattr(description, "MAPPED_BYTES", 2**28)
        assert not self.is_mapped(metrics.Description.load(tmp_path / "older.npz"))

    def test_damage_is_seen(self, described, tmp_path):
        path, damaged = tmp_path / "a.npz", tmp_path / "b.npz"
        described.save(path)
        content = path.read_bytes()
        assert refused_of_changed(path, damaged, step=1499) > 0.8 * len(content) / 1499
        for size in (0, 100, len(content) // 2, len(content) - 1):
            damaged.write_bytes(content[:size])
            message = refusal(metrics.Description.load, damaged)
            assert "b.npz: not a described set, or a damaged one" in message

    def test_a_header_that_promises_more_than_there_is(self, described, tmp_path):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as packed, packed.open("vectors.npy", "w") as member:
            header = {"descr": "<f4", "fortran_order": False, "shape": (2**20, 1799)}
            np.lib.format.write_array_header_1_0(member, header)
            member.write(bytes(1799 * 4))
        message = refusal(metrics.Description.load, tmp_path / "a.npz")
        assert "a.npz: not a described set, or a damaged one" in message

    def test_nothing_is_held_as_a_whole(self, described, tmp_path, monkeypatch):
        """Two parts of 1,500 windows, 10 MiB each: joined, saved, loaded and pooled in less than the half
        of one."""
        monkeypatch.setattr(description, "CHECKED_ROWS", 256)
        monkeypatch.setattr(units, "HELD_WINDOWS", 256)
        rng = np.random.default_rng(0)
        for part in "ab":
            sounds = [
                dataclasses.replace(
                    described.sounds[0],
                    name=f"{i}.wav",
                    content=f"{part}{i}",
                    vectors=rng.random((75, 1799), np.float32),
                )
                for i in range(20)
            ]
            dataclasses.replace(described, sounds=tuple(sounds)).save(tmp_path / f"{part}.npz")
        size = sum(sound.vectors.nbytes for sound in sounds)
        tracemalloc.start()
        whole = metrics.join({part: tmp_path / f"{part}.npz" for part in "ab"})
        whole.save(tmp_path / "whole.npz")
        again = metrics.Description.load(tmp_path / "whole.npz")
        one, other = (SoundSet("set", each.sounds, (), 0) for each in (whole, again))
        pool, _, shared = units.make_pool(one, other, groups=lambda name: name[2:], paired=False)
        several = units.taken(pool, np.arange(10))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert shared == len(pool.names) == 20 and len(several.vectors) == 1500
        assert peak < size / 2
        for sound, same in zip(whole.sounds, again.sounds, strict=True):
            assert sound.name == same.name and np.array_equal(sound.vectors, same.vectors)


class TestMadeByHand:
    """A past fault: numbers that no sound has came out as a distance."""

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"level_db": float("nan")}, "a level of nan dB"),
            ({"seconds": float("inf")}, "a length of inf s"),
            ({"rate": 10**9}, "a rate of 1000000000 Hz"),
            ({"vectors": np.full((1, 1799), 1e30, "f4")}, r"numbers up to 1e\+30"),
            ({"vectors": np.full((1, 1799), np.inf, "f4")}, "NaN or infinite"),
            ({"vectors": np.zeros((0, 1799), "f4")}, r"vectors of shape \(0, 1799\)"),
        ],
    )
    def test_is_refused(self, described, changes, message):
        sounds = (dataclasses.replace(described.sounds[0], **changes), *described.sounds[1:])
        with pytest.raises(metrics.AudioError, match=f"'real_00.wav' has {message}"):
            dataclasses.replace(described, sounds=sounds)

    def test_what_sounds_have_is_far_from_the_limit(self):
        """Impulses, tones, steps, noise and near silence at three rates: no number comes near it."""
        n = np.arange(30_000)
        for rate in (1000, 22050, 192_000):
            for signal in (
                n == 9000,
                np.sin(0.3 * n),
                np.sign(n - 99),
                n % 7 - 3.0,
                1e-5 * np.sin(n**2),
                n % 999 == 0,
            ):
                vectors = metrics.describe_signal(np.float32(signal), rate).vectors
                assert np.abs(vectors).max() < 30

    @pytest.mark.parametrize("lies", [False, True])
    def test_a_file_that_unpacks_to_gigabytes_is_refused_before_it_does(self, real, tmp_path, lies):
        """A megabyte of packed zeros for a gigabyte; a size that is understated ends as damage."""
        path = tmp_path / "bomb.npz"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            with packed.open("vectors.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array_header_1_0(
                    member, {"descr": "<f4", "fortran_order": False, "shape": (2**28,)}
                )
                for _ in range(2**10):
                    member.write(bytes(2**20))
            if lies:
                packed.filelist[0].file_size = 1000
        tracemalloc.start()
        message = refusal(metrics.compare, path, real)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert "bomb.npz: " in message and peak < 2**26
        assert ("not a whole .npz file" if lies else "and the limit is 93,") in message

    def test_a_packed_description_is_read(self, described, tmp_path):
        np.savez_compressed(tmp_path / "a.npz", **described.to_arrays())
        again = metrics.Description.load(tmp_path / "a.npz").to_arrays()
        assert all(np.array_equal(again[key], array) for key, array in described.to_arrays().items())


def test_command_line(described, real, made, tmp_path, capsys):
    described.save(tmp_path / "a.npz")
    results = []
    for reference in (real, tmp_path / "a.npz"):
        assert metrics.main([str(reference), str(made), "--json", "--permutations", "99"]) == 0
        results.append(json.loads(capsys.readouterr().out)["candidates"][str(made)])
    assert results[0] == results[1]
    (tmp_path / "a.npz").write_bytes(b"PK")
    assert metrics.main([str(tmp_path / "a.npz"), str(made)]) == 1
    assert "a.npz: not a described set" in capsys.readouterr().err
