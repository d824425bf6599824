"""Files of chunks, one of them of odd length; cut files; and what a kept description depends on."""

import io
import struct

import numpy as np
import pytest
import soundfile

import metrics

RATE = 16000
W64_REST = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # all its chunks' names but "riff" end like this


def samples(count=4000, seed=0):
    return np.random.RandomState(seed).normal(0, 0.1, count)


def container(kind, count=4000):
    data = io.BytesIO()
    soundfile.write(data, samples(count), RATE, format=kind, subtype="PCM_16")
    return data.getvalue()


def riff_chunk(content):
    """The length in the head is that of the content; the file goes on at an even place."""
    return b"note" + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def aiff_chunk(content):
    return b"ANNO" + struct.pack(">I", len(content)) + content + bytes(len(content) % 2)


def w64_chunk(content):
    """The length counts the head of 24 bytes as well; the file goes on at a multiple of 8."""
    return b"note" + W64_REST + struct.pack("<Q", 24 + len(content)) + content + bytes(-len(content) % 8)


# Container: its chunk of any content, the name of the samples' chunk, every length that pads differently.
# libsndfile finds no samples behind an odd chunk of RF64, and says so: such a file is refused.
KINDS = {
    "WAV": (riff_chunk, b"data", (2, 3)),
    "RF64": (riff_chunk, b"data", (2, 4)),
    "AIFF": (aiff_chunk, b"SSND", (2, 3)),
    "W64": (w64_chunk, b"data" + W64_REST, (1, 3, 7, 8)),
}
PADDED = [(kind, length) for kind, (_, _, lengths) in KINDS.items() for length in lengths]


def with_chunk(kind, length, **options):
    """A whole file with a further chunk before the samples."""
    chunk, samples_chunk, _ = KINDS[kind]
    data = container(kind, **options)
    where = data.index(samples_chunk)
    # Not zeros: read as the head of a chunk from a wrong place, they would promise nothing.
    return data[:where] + chunk(b"x" * length) + data[where:]


@pytest.fixture
def written(tmp_path):
    def write(data, kind="wav"):
        path = tmp_path / f"sound.{kind.lower()}"
        path.write_bytes(data)
        return path

    return write


class TestChunks:
    @pytest.mark.parametrize(("kind", "length"), PADDED)
    def test_are_skipped_with_their_padding(self, written, kind, length):
        found, rate = metrics.read(written(with_chunk(kind, length), kind))
        whole, _ = metrics.read(written(container(kind), kind))
        assert rate == RATE and np.array_equal(found, whole) and found.shape == (4000, 1)

    @pytest.mark.parametrize("missing", [1, 2, 999, 7999])
    @pytest.mark.parametrize(("kind", "length"), [(kind, 0) for kind in KINDS] + PADDED)
    def test_a_cut_file_behind_them_is_refused(self, written, kind, length, missing):
        """The samples are the last chunk: what lacks at the end lacks of them, to the byte."""
        data = with_chunk(kind, length) if length else container(kind)
        samples_chunk = KINDS[kind][1]
        head = {"AIFF": 8, "W64": 24}.get(kind, 8)
        start = data.index(samples_chunk) + head
        data = data[: start + 8000 + (8 if kind == "AIFF" else 0) - missing]
        with pytest.raises(metrics.AudioError) as error:
            metrics.read(written(data, kind))
        promised, held = 8000 + 8 * (kind == "AIFF"), len(data) - start
        assert f"promises {promised} bytes of samples, the file holds {held};" in str(error.value)

    @pytest.mark.parametrize("kind", KINDS)
    def test_cut_inside_the_chunk_before(self, written, kind):
        """Neither samples nor a promise of them: unreadable or silent, and never a sound."""
        data = with_chunk(kind, 500)
        with pytest.raises(metrics.AudioError):
            found = metrics.read(written(data[: data.index(b"x" * 20) + 40], kind))
            metrics.prepare(*found)

    def test_a_file_that_goes_on_behind_its_samples(self, written):
        data = container("WAV") + riff_chunk(b"abc") + b"and more"
        assert metrics.read(written(data))[0].shape == (4000, 1)

    @pytest.mark.parametrize("size", [0xFFFFFFFF, 0xFFFFFF00])
    def test_a_stream_that_wrote_no_size(self, written, size):
        data = container("WAV")
        where = data.index(b"data") + 4
        data = data[:where] + struct.pack("<I", size) + data[where + 4 :]
        assert metrics.read(written(data))[0].shape == (4000, 1)

    def test_a_size_just_below_those_of_streams(self, written):
        data = container("WAV")
        where = data.index(b"data") + 4
        data = data[:where] + struct.pack("<I", 0xFFFFFEFF) + data[where + 4 :]
        with pytest.raises(metrics.AudioError, match="promises 4294967039 bytes"):
            metrics.read(written(data))

    def test_rf64_without_its_long_size(self, written):
        """A size of 32 bits in the samples' own head counts, as in WAV."""
        data = container("RF64")
        where = data.index(b"data") + 4
        data = data[:where] + struct.pack("<I", 8000) + data[where + 4 :]
        with pytest.raises(metrics.AudioError, match="promises 8000 bytes of samples, the file holds 7000"):
            metrics.read(written(data[:-1000]))


class TestOgg:
    def ogg(self):
        data = io.BytesIO()
        soundfile.write(data, samples(16000), RATE, format="OGG", subtype="VORBIS")
        return data.getvalue()

    def test_whole(self, written):
        assert metrics.read(written(self.ogg(), "ogg"))[0].shape == (16000, 1)

    @pytest.mark.parametrize("missing", [1, 30, 300])
    def test_cut_in_its_last_page(self, written, missing):
        with pytest.raises(metrics.AudioError, match="the last Ogg page is cut"):
            metrics.read(written(self.ogg()[:-missing], "ogg"))

    @pytest.mark.parametrize("kept", [4, 20, 26, 27, 28])
    def test_cut_in_the_head_of_its_last_page(self, written, kept):
        data = self.ogg()
        with pytest.raises(metrics.AudioError, match="the last Ogg page is cut"):
            metrics.read(written(data[: data.rindex(b"OggS") + kept], "ogg"))


class TestLimits:
    def test_of_a_float_files_peak(self, written):
        data = io.BytesIO()
        soundfile.write(data, np.array([0.5, -1.25, 0.5] * 300), RATE, format="WAV", subtype="FLOAT")
        path = written(data.getvalue())
        with pytest.raises(metrics.AudioError, match=r"float samples reach 1\.25, and the limit is 1:"):
            metrics.read(path)
        with pytest.raises(metrics.AudioError, match=r"the limit is 1\.2:"):
            metrics.read(path, peak_limit=1.2)
        assert np.abs(metrics.read(path, peak_limit=1.25)[0]).max() == 1.25

    @pytest.mark.parametrize(
        ("kind", "subtype"), [("WAV", "PCM_U8"), ("AIFF", "PCM_S8"), ("AIFF", "PCM_U8"), ("AU", "PCM_S8")]
    )
    def test_of_bits(self, written, kind, subtype):
        data = io.BytesIO()
        soundfile.write(data, samples(), RATE, format=kind, subtype=subtype)
        path = written(data.getvalue(), kind)
        with pytest.raises(metrics.AudioError, match=rf"8-bit samples \({subtype}\), and the limit is 16"):
            metrics.read(path)
        with pytest.raises(metrics.AudioError, match="the limit is 9"):
            metrics.read(path, minimum_bits=9)
        assert metrics.read(path, minimum_bits=8)[0].shape == (4000, 1)

    @pytest.mark.parametrize(("kind", "full"), [(np.int16, 2**15), (np.int32, 2**31)])
    def test_whole_numbers_are_full_scale_at_their_least(self, kind, full):
        """-full is -1 exactly, so full - 1 is just below 1."""
        quiet = (samples() * full).astype(kind)
        sets = [[quiet + kind(i) for i in range(3)], [quiet[::-1].copy() + kind(i) for i in range(3)]]
        scaled = [[s / full for s in side] for side in sets]
        found = metrics.compare(*sets, rate=RATE, paired=False)
        again = metrics.compare(*scaled, rate=RATE, paired=False)
        assert found.reference.level_db == pytest.approx(again.reference.level_db, abs=1e-6)
        assert found.value == pytest.approx(again.value, abs=1e-4)


class TestKeptDescriptions:
    """A description in the cache is used only under the options with which it was made."""

    @pytest.fixture
    def folders(self, tmp_path):
        def write(subtype, gain=1.0, rate=RATE):
            for name, seeds in (("real", range(3)), ("made", range(5, 8))):
                (tmp_path / name).mkdir()
                for seed in seeds:
                    path = tmp_path / name / f"{name}{seed}.wav"
                    soundfile.write(path, gain * samples(seed=seed), rate, subtype=subtype)
            return tmp_path / "real", tmp_path / "made"

        return write

    def measure(self, folders, **options):
        return metrics.compare(*folders, cache=folders[0].parent / "cache", permutations=99, **options)

    def test_the_limit_of_bits(self, folders):
        folders = folders("PCM_U8")
        assert self.measure(folders, minimum_bits=8).reference.files == 3
        with pytest.raises(metrics.AudioError, match="6 of 6 files"):
            self.measure(folders)

    def test_the_limit_of_the_peak(self, folders):
        folders = folders("FLOAT", gain=5.0)
        assert self.measure(folders, peak_limit=9).reference.files == 3
        with pytest.raises(metrics.AudioError, match="6 of 6 files"):
            self.measure(folders)

    def test_the_bandwidth(self, folders):
        folders = folders("PCM_16")
        wide = self.measure(folders)
        described = metrics.describe(folders[0], bandwidth_rate=8000, cache=folders[0].parent / "cache")
        plain = metrics.describe(folders[0], bandwidth_rate=8000)
        assert np.array_equal(described.to_arrays()["vectors"], plain.to_arrays()["vectors"])
        assert self.measure(folders).value == wide.value

    def test_the_content(self, folders, tmp_path):
        """A file under an old name with new content is described anew, and so is its copy at another rate."""
        folders = folders("PCM_16")
        before = self.measure(folders)
        path = folders[0] / "real0.wav"
        soundfile.write(path, samples(seed=99), RATE)
        assert self.measure(folders).value == metrics.compare(*folders).value != before.value

    def test_is_really_used(self, folders, monkeypatch):
        """Facts and vectors of a kept sound are those that were made, digit by digit."""
        folders = folders("PCM_16")
        first = self.measure(folders)
        monkeypatch.setattr("soundfile.SoundFile.read", None)  # headers can be read, and no samples
        assert self.measure(folders) == first
