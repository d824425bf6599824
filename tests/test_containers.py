"""Files of chunks, one of them of odd length; cut files; and what a kept description depends on."""

import contextlib
import io
import re
import struct
import time

import numpy as np
import pytest
import soundfile

import metrics
from audio_distance import audio, containers
from audio_distance.sources import Source

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


def decoded(written, data, kind="wav", **options):
    return metrics.read(written(data, kind), **options)[0]


def reason(written, data, kind="wav", **options):
    with pytest.raises(metrics.AudioError) as error:
        metrics.read(written(data, kind), **options)
    return str(error.value)


def notes_of(data):
    return audio.read_source(Source("x", data=data), data, minimum_bits=16, peak_limit=1.0).notes


def encoded(form, subtype, seed=0, rate=RATE, seconds=1.0, channels=1, **options):
    data = io.BytesIO()
    shape = (int(rate * seconds), channels)
    sound = np.random.RandomState(seed).normal(0, 0.1, shape)
    soundfile.write(data, sound, rate, format=form, subtype=subtype, **options)
    return data.getvalue()


def aac(form, seed=0, seconds=1.0):
    av = pytest.importorskip("av")
    data, sound = io.BytesIO(), np.random.RandomState(seed).normal(0, 0.1, (1, int(44100 * seconds)))
    with av.open(data, "w", format=form) as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(sound.astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return data.getvalue()


def with_bytes(data, at, new):
    return data[:at] + new + data[at + len(new) :]


JOINABLE = {
    "wav": ("WAV", "PCM_16", RATE),
    "w64": ("W64", "PCM_16", RATE),
    "rf64": ("RF64", "PCM_16", RATE),
    "aiff": ("AIFF", "PCM_16", RATE),
    "caf": ("CAF", "PCM_16", RATE),
    "au": ("AU", "PCM_16", RATE),
    "flac": ("FLAC", "PCM_16", RATE),
    "ogg": ("OGG", "VORBIS", RATE),
    "opus": ("OGG", "OPUS", 48000),
    "mp3": ("MP3", "MPEG_LAYER_III", 44100),
}


class TestJoined:
    """Files end to end, as `cat` and streaming servers make them: all of them are heard, and that is said."""

    @pytest.mark.parametrize("kind", JOINABLE)
    def test_all_is_heard(self, written, kind):
        form, subtype, rate = JOINABLE[kind]
        parts = [
            encoded(form, subtype, seed, rate, seconds) for seed, seconds in ((1, 0.5), (2, 1.0), (3, 0.2))
        ]
        whole = np.concatenate([decoded(written, part, kind) for part in parts])
        assert np.array_equal(decoded(written, b"".join(parts), kind), whole)
        assert notes_of(b"".join(parts)) == (containers.JOINED,) and notes_of(parts[0]) == ()

    def test_mp3_with_tags_in_front_and_behind(self, written):
        parts = [encoded("MP3", "MPEG_LAYER_III", seed, 44100, 0.5) for seed in (1, 2)]
        tagged = [b"ID3\4\0\0\0\0\0\5title" + part + b"TAG" + bytes(125) for part in parts]
        whole = np.concatenate([decoded(written, part, "mp3") for part in parts])
        assert np.array_equal(decoded(written, b"".join(tagged), "mp3"), whole)

    @pytest.mark.parametrize("kind", ["wav", "flac", "ogg"])
    def test_of_two_rates(self, written, kind):
        form, subtype, _ = JOINABLE[kind]
        data = encoded(form, subtype, 1, 16000) + encoded(form, subtype, 2, 24000)
        assert "16000 Hz with 1 channel(s) and 24000 Hz" in reason(written, data, kind)

    @pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
    def test_a_cut_one_among_them(self, written, kind):
        form, subtype, rate = JOINABLE[kind]
        one, other = (encoded(form, subtype, seed, rate) for seed in (1, 2))
        for data in (one[: len(one) * 2 // 3] + other, one + other[: len(other) * 2 // 3]):
            assert reason(written, data, kind)

    def test_m4a(self, written):
        data = aac("mp4")
        assert "joined end to end" in reason(written, data + data, "m4a")

    def test_behind_the_end_there_is_no_sound(self, written):
        data = container("WAV")
        for behind in (bytes(100), b"\r\n", b"TAG" + bytes(125), b"ID3\3\0\0\0\0\0\4tag!"):
            assert np.array_equal(decoded(written, data + behind), decoded(written, data))
        found = reason(written, data + samples(50).astype(np.float32).tobytes())
        assert "promises 8000 bytes of samples, and 200 bytes behind them are no chunk" in found


class TestStreams:
    """What was written to a pipe states no length: read to the end of the file, and that is said."""

    PLACEHOLDERS = (0, 0x7FFFF000, 0x7FFFFFFF, 0x7FFFFFFF - 36, 0x80000000, 2_000_000_000, 0xFFFFFFFF - 36)

    @pytest.mark.parametrize("size", PLACEHOLDERS)
    @pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
    def test_wav(self, written, size, subtype):
        data = encoded("WAV", subtype)
        where = data.index(b"data") + 4
        stream = with_bytes(with_bytes(data, where, struct.pack("<I", size)), 4, struct.pack("<I", size))
        assert np.array_equal(decoded(written, stream), decoded(written, data))
        assert notes_of(stream) == (containers.NO_LENGTH,) and notes_of(data) == ()
        # A part of a sample at the end is no sample.
        assert decoded(written, stream[:-1]).shape == (RATE - 1, 1)

    @pytest.mark.parametrize("size", [100_000, 1_000_000_000, 0x7FFFEE00])
    def test_a_size_that_is_none_of_theirs(self, written, size):
        data = container("WAV")
        data = with_bytes(data, data.index(b"data") + 4, struct.pack("<I", size))
        assert f"truncated: the header promises {size} bytes" in reason(written, data)

    def test_no_samples(self, written):
        data = encoded("WAV", "PCM_16", seconds=0) + riff_chunk(b"abc")
        assert decoded(written, data).shape == (0, 1)

    def test_caf_and_au(self, written):
        data = container("CAF")
        where = data.index(b"data") + 4
        assert notes_of(with_bytes(data, where, struct.pack(">q", -1))) == (containers.NO_LENGTH,)
        assert np.array_equal(
            decoded(written, with_bytes(data, where, struct.pack(">q", -1)), "caf"),
            decoded(written, data, "caf"),
        )
        data = container("AU")
        stream = with_bytes(data, 8, b"\xff" * 4)
        assert np.array_equal(decoded(written, stream, "au"), decoded(written, data, "au"))
        assert notes_of(stream) == (containers.NO_LENGTH,)


class TestSizes:
    """More or less sound than the container states."""

    def test_w64_ends_where_its_samples_do(self, written):
        data = container("W64")
        assert np.array_equal(
            decoded(written, data + w64_chunk(b"x" * 999), "w64"), decoded(written, data, "w64")
        )

    @pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
    def test_caf_one_byte_less(self, written, subtype):
        assert "truncated: the header promises" in reason(written, encoded("CAF", subtype)[:-1], "caf")

    def test_caf_of_a_part_of_a_sample(self, written):
        data = container("CAF")
        where = data.index(b"data") + 4
        (size,) = struct.unpack_from(">q", data, where)
        assert "no whole number of 2-byte packets" in reason(
            written, with_bytes(data[:-1], where, struct.pack(">q", size - 1)), "caf"
        )

    @pytest.mark.parametrize(("kind", "mark", "head"), [("WAV", b"data", "<I"), ("AIFF", b"SSND", ">I")])
    @pytest.mark.parametrize("less", [2, 40, 4000])
    def test_a_size_that_is_too_small(self, written, kind, mark, head, less):
        data = container(kind)
        where = data.index(mark) + 4
        (size,) = struct.unpack_from(head, data, where)
        assert reason(written, with_bytes(data, where, struct.pack(head, size - less)), kind)

    def test_au(self, written):
        data = container("AU")
        assert "promises 7000 bytes of samples, and the file holds 8000" in reason(
            written, with_bytes(data, 8, struct.pack(">I", 7000)), "au"
        )

    def test_aiff_counts_its_samples_twice(self, written):
        data = container("AIFF")
        where = data.index(b"COMM") + 10
        assert "3000 samples of 1 channels are 6000 bytes, and the chunk of samples has 8000" in reason(
            written, with_bytes(data, where, struct.pack(">I", 3000)), "aiff"
        )

    @pytest.mark.parametrize("subtype", ["GSM610", "MS_ADPCM", "IMA_ADPCM", "ALAW", "ULAW"])
    def test_rare_codings_are_read(self, written, subtype):
        assert RATE <= len(decoded(written, encoded("WAV", subtype))) < RATE + 1100


class TestFields:
    """Fields of a head that contradict each other, and rates that no sound has: refused with both values."""

    @pytest.mark.parametrize(
        ("at", "new", "words"),
        [
            (22, struct.pack("<H", 2), "2 channels of 16 bits are 4 bytes, and it gives blocks of 2"),
            (24, struct.pack("<I", 1), "1 Hz in blocks of 2 bytes are 2 bytes a second, and it gives 32000"),
            (24, struct.pack("<I", 999), "are 1998 bytes a second, and it gives 32000"),
            (24, struct.pack("<I", 48000), "are 96000 bytes a second, and it gives 32000"),
            (28, struct.pack("<I", 64000), "are 32000 bytes a second, and it gives 64000"),
            (32, struct.pack("<H", 4), "1 channels of 16 bits are 2 bytes, and it gives blocks of 4"),
            (34, struct.pack("<H", 24), "1 channels of 24 bits are 3 bytes, and it gives blocks of 2"),
            (22, struct.pack("<H", 0), "0 channels"),
            (20, struct.pack("<H", 3), "16 bits to format 3"),
        ],
    )
    def test_of_wav(self, written, at, new, words):
        assert words in reason(written, with_bytes(container("WAV"), at, new))

    @pytest.mark.parametrize("rate", [1, 999, 768_001, 2_000_000])
    @pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "W64"])
    def test_rates_outside_the_limits(self, written, kind, rate):
        data = io.BytesIO()
        soundfile.write(data, samples(), rate, format=kind, subtype="PCM_16")
        path = written(data.getvalue(), kind)
        words = f"a rate of {rate:g} Hz, outside 1000 to 768000 Hz"
        with pytest.raises(metrics.AudioError, match=re.escape(words)):
            metrics.read(path)
        with pytest.raises(metrics.AudioError, match=re.escape(words)):
            audio.rate_of(Source("x", path))

    @pytest.mark.parametrize("rate", [1000, 768_000])
    def test_rates_at_the_limits(self, written, rate):
        data = io.BytesIO()
        soundfile.write(data, samples(), rate, format="WAV", subtype="PCM_16")
        assert metrics.read(written(data.getvalue()))[1] == rate

    def test_of_flac(self, written):
        data = bytearray(encoded("FLAC", "PCM_16"))
        data[19] ^= 0x10  # in the 20 bits of the rate
        assert "and the first frame has 16000 Hz, 1 channels, 16 bits" in reason(written, bytes(data), "flac")

    def test_one_file_of_an_odd_rate_bounds_no_other(self, tmp_path):
        """Its rate is believed until it is read, and not after it was left out."""
        for name, seeds in (("real", range(4)), ("made", range(5, 9))):
            (tmp_path / name).mkdir()
            for seed in seeds:
                soundfile.write(tmp_path / name / f"{name}{seed}.wav", samples(seed=seed), RATE)
        sets = tmp_path / "real", tmp_path / "made"
        expected = metrics.compare(*sets, permutations=99)
        data = io.BytesIO()
        soundfile.write(data, samples(), 2000, format="WAV", subtype="PCM_16")
        (tmp_path / "made" / "odd.wav").write_bytes(data.getvalue()[:-100])
        found = metrics.compare(*sets, permutations=99, on_error="skip")
        assert (
            (found.value, found.bandwidth_hz)
            == (expected.value, expected.bandwidth_hz)
            == (found.value, 8000)
        )
        assert [line.split(":")[0] for line in found.candidate.skipped] == ["odd.wav"]


class TestNames:
    """What a file is decides, not what it is called."""

    @pytest.mark.parametrize("name", ["m4a", "mp3", "flac", "ogg", "aac"])
    @pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3", "aiff"])
    def test_a_file_under_another_name(self, written, kind, name):
        form, subtype, rate = JOINABLE[kind]
        data = encoded(form, subtype, 0, rate)
        assert np.array_equal(decoded(written, data, name), decoded(written, data, kind))
        assert audio.rate_of(Source("x", written(data, name))) == rate

    @pytest.mark.parametrize("form", ["mp4", "adts"])
    def test_aac_under_another_name(self, written, form):
        data = aac(form)
        assert np.array_equal(decoded(written, data, "wav"), decoded(written, data, "m4a"))

    def test_no_name_switches_a_check_off(self, written):
        assert "truncated" in reason(written, container("WAV")[:5000], "m4a")
        data = io.BytesIO()
        soundfile.write(data, 3e4 * samples(), RATE, format="WAV", subtype="FLOAT")
        assert "Likely integer samples stored as float" in reason(written, data.getvalue(), "m4a")


def page_starts(data):
    return [match.start() for match in re.finditer(b"OggS", data)]


class TestOggPages:
    @pytest.fixture(params=[("VORBIS", 44100, 2), ("OPUS", 48000, 1)])
    def ogg(self, request):
        subtype, rate, channels = request.param
        return encoded("OGG", subtype, 0, rate, 3.0, channels)

    def test_the_checksum_is_that_of_the_standard(self, ogg):
        """Against RFC 3533, bit by bit."""
        for page in (b"", b"\0", b"OggS", bytes(range(256))):
            value = 0
            for byte in page:
                value ^= byte << 24
                for _ in range(8):
                    value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
            assert containers.ogg.page_checksum(page) == value

    @pytest.mark.parametrize("seed", range(20))
    def test_one_bit(self, written, ogg, seed):
        at = np.random.RandomState(seed).randint(len(ogg) * 8)
        data = with_bytes(ogg, at // 8, bytes([ogg[at // 8] ^ 1 << at % 8]))
        assert reason(written, data, "ogg")

    def test_a_page_that_is_missing_doubled_or_moved(self, written, ogg):
        a, b, c = page_starts(ogg)[-4:-1]
        assert "pages are missing" in reason(written, ogg[:a] + ogg[b:], "ogg")
        assert reason(written, ogg[:b] + ogg[a:], "ogg")
        assert reason(written, ogg[:a] + ogg[b:c] + ogg[a:b] + ogg[c:], "ogg")

    def test_cut_between_pages(self, written, ogg):
        for end in page_starts(ogg)[3:]:
            assert "not marked as the end of its stream" in reason(written, ogg[:end], "ogg")

    @staticmethod
    def page_behind(ogg, *, flags, number):
        """An empty page of the stream, ``number`` pages behind its last one."""
        serial, last = struct.unpack_from("<II", ogg, page_starts(ogg)[-1] + 14)
        page = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, 2**40, serial, last + number, 0, 0)
        return with_bytes(page, 22, struct.pack("<I", containers.ogg.page_checksum(page)))

    def test_an_end_that_is_marked_more_than_once_is_the_first(self, written, ogg):
        """As in northerners.ogg of wesnoth-1.16-music, whose last page there promises more samples."""
        more = ogg + self.page_behind(ogg, flags=4, number=1) + self.page_behind(ogg, flags=4, number=2)
        assert np.array_equal(metrics.read(written(more, "ogg"))[0], metrics.read(written(ogg, "ogg"))[0])
        assert containers.contents(more).notes == (
            "2 Ogg page(s) lie behind the end of their stream, and are not read",
        )

    @pytest.mark.parametrize(("flags", "number"), [(0, 1), (4, 2), (4, 0)])
    def test_other_pages_behind_the_end_are_damage(self, written, ogg, flags, number):
        page = self.page_behind(ogg, flags=flags, number=number)
        assert "follows page of no stream" in reason(written, ogg + page, "ogg")

    @staticmethod
    def promising(ogg, more):
        """The stream, of which the last page promises ``more`` samples."""
        last = page_starts(ogg)[-1]
        (granule,) = struct.unpack_from("<q", ogg, last + 6)
        page = with_bytes(with_bytes(ogg[last:], 6, struct.pack("<q", granule + more)), 22, bytes(4))
        return ogg[:last] + with_bytes(page, 22, struct.pack("<I", containers.ogg.page_checksum(page)))

    def test_opus_may_promise_less_than_a_packet_too_much(self, written):
        """As track12.opus of warzone2100-music does, by 10 samples."""
        ogg = encoded("OGG", "OPUS", 0, 48000, 3.0, 1)
        promised = soundfile.info(io.BytesIO(ogg)).frames
        held = len(soundfile.read(io.BytesIO(self.promising(ogg, 5000)))[0])  # all that its packets hold
        for missing in (0, 10, 119):
            more = self.promising(ogg, held - promised + missing)
            assert len(metrics.read(written(more, "ogg"))[0]) == held
        with pytest.raises(metrics.AudioError, match=f"truncated: {held} of {held + 120}"):
            metrics.read(written(self.promising(ogg, held - promised + 120), "ogg"))

    def test_something_between_pages(self, written, ogg):
        at = page_starts(ogg)[3]
        assert f"what lies at byte {at} is no Ogg page" in reason(
            written, ogg[:at] + b"?" * 9 + ogg[at:], "ogg"
        )


class TestFlac:
    @pytest.mark.parametrize(
        ("subtype", "channels"), [("PCM_S8", 1), ("PCM_16", 1), ("PCM_16", 2), ("PCM_24", 2)]
    )
    def test_samples_are_those_of_libsndfile_and_have_the_digest(self, written, subtype, channels):
        data = encoded("FLAC", subtype, channels=channels)
        expected, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
        assert np.array_equal(decoded(written, data, "flac", minimum_bits=8), expected)
        wrong = with_bytes(data, 26, bytes([data[26] ^ 1]))
        assert "damaged: the header gives the MD5" in reason(written, wrong, "flac", minimum_bits=8)

    def total(self, data, count):
        fields = int.from_bytes(data[18:26], "big") >> 36 << 36 | count
        return with_bytes(data, 18, fields.to_bytes(8, "big"))

    def digestless(self, data):
        return with_bytes(data, 26, bytes(16))

    def test_of_unknown_length(self, written):
        data = encoded("FLAC", "PCM_16", seconds=1.23)
        for stream, notes in ((data, ()), (self.digestless(data), (containers.NO_LENGTH,))):
            stream = self.total(stream, 0)
            assert np.array_equal(decoded(written, stream, "flac"), decoded(written, data, "flac"))
            assert notes_of(stream) == notes

    @pytest.mark.parametrize("digest", [True, False])
    @pytest.mark.parametrize("count", [1, 8000, 15999, 16001, 32000, 2**36 - 1])
    def test_of_another_length_than_it_states(self, written, count, digest):
        data = encoded("FLAC", "PCM_16")
        assert reason(written, self.total(data if digest else self.digestless(data), count), "flac")

    @pytest.mark.parametrize("count", [0, RATE])
    def test_without_a_digest_the_frames_tell(self, written, count):
        data = self.total(self.digestless(encoded("FLAC", "PCM_16")), count)
        starts = [
            at.start()
            for at in re.finditer(b"\xff\xf8", data)
            if containers.flac.frame_at(data, at.start())[1]
        ]
        assert len(starts) == 4
        a, b, c = starts[1:]
        assert decoded(written, data, "flac").shape == (RATE, 1)
        for damaged in (
            data[:-1],
            data[:c],
            data[: c + 100],
            data[:a] + data[b:],
            data[:b] + data[a:],
            data[:a] + data[b:c] + data[a:b] + data[c:],
            with_bytes(data, b + 500, bytes([data[b + 500] ^ 4])),
        ):
            # Without a length either, nothing tells that the last frames are missing.
            if damaged != data[:c] or count:
                assert reason(written, damaged, "flac")


class TestMpeg:
    @pytest.fixture
    def mp3(self):
        return encoded("MP3", "MPEG_LAYER_III", rate=44100)

    def frames(self, data):
        places = [0]
        while places[-1] < len(data):
            places.append(places[-1] + containers.mpeg.mpeg_frame(data[places[-1] : places[-1] + 4]).length)
        assert places[-1] == len(data) and len(places) > 20
        return places

    def test_the_checksum_is_that_of_the_standard(self):
        assert containers.checksums.crc16(b"123456789") == 0xBB3D  # CRC-16/ARC

    def test_whole(self, written, mp3):
        assert decoded(written, mp3, "mp3").shape == (44100, 1)
        assert notes_of(mp3) == ()

    def test_zeros_inside(self, written, mp3):
        for at in (len(mp3) // 2, self.frames(mp3)[9] + 60):
            found = reason(written, with_bytes(mp3, at, bytes(16)), "mp3")
            assert "damaged" in found and ("checksum" in found or "no frame" in found)

    def test_frames_missing_and_cut(self, written, mp3):
        a, b = self.frames(mp3)[7:9]
        for data in (mp3[:a] + mp3[b:], mp3[:b] + mp3[a:], mp3[:a], mp3[:-1], mp3[: a + 50] + mp3[a + 51 :]):
            assert reason(written, data, "mp3")

    def test_without_a_tag_all_is_heard(self, written):
        """libsndfile takes the length of a stream without a tag from its first frame, the longest here."""
        whole = encoded("MP3", "MPEG_LAYER_III", rate=44100, seconds=3, bitrate_mode="VARIABLE")
        frames = self.frames(whole)
        data = whole[frames[1] :]
        found = decoded(written, data, "mp3")
        assert len(found) >= 1152 * (len(frames) - 3) > 2.9 * 44100
        assert notes_of(data) == (containers.NO_LENGTH,)

    def test_tags_are_no_damage(self, written, mp3):
        ape = b"APETAGEX" + struct.pack("<IIII8x", 2000, 40, 1, 0)
        for data in (
            b"ID3\4\0\0\0\0\0\5title" + mp3,
            mp3 + b"TAG" + bytes(125),
            mp3 + bytes(8) + ape + b"TAG" + bytes(125),
        ):
            assert np.array_equal(decoded(written, data, "mp3"), decoded(written, mp3, "mp3"))

    def test_a_volume_that_mp3gain_has_changed(self, written, mp3):
        """It changes a byte or two of every frame, leaves the checksum, and says so behind the last."""
        at = self.frames(mp3)[8] + 40
        data = with_bytes(mp3, at, bytes([mp3[at] ^ 1]))
        assert "checksum" in reason(written, data, "mp3")
        item = struct.pack("<II", 9, 0) + b"MP3GAIN_UNDO\0+1,+1,N"
        gained = data + item + b"APETAGEX" + struct.pack("<IIII8x", 2000, 32 + len(item), 1, 0)
        assert decoded(written, gained, "mp3").shape == (44100, 1)


class TestAac:
    def test_adts(self, written):
        data = aac("adts")
        assert notes_of(data) == (containers.NO_LENGTH,)
        assert abs(len(decoded(written, data, "aac")) - 44100) < 3000
        for damaged in (
            data[:-1],
            data[: len(data) // 2],
            data[:700] + bytes(50) + data[750:],
            data[:900] + data[901:],
        ):
            assert reason(written, damaged, "aac")

    def test_mp4(self, written):
        data = aac("mp4")
        assert notes_of(data) == ()
        for damaged in (data[:-1], data[: len(data) // 2], data[:3000] + data[3001:]):
            assert reason(written, damaged, "m4a")


class TestReaders:
    """Whatever a decoder raises becomes a line of one file, not the end of the run."""

    @pytest.mark.parametrize("error", [RuntimeError("inside"), ValueError(), MemoryError(), KeyError("rate")])
    def test_any_error(self, tmp_path, monkeypatch, error):
        for seed in range(4):
            soundfile.write(tmp_path / f"{seed}.wav", samples(seed=seed), RATE)
        (tmp_path / "bad.wav").write_bytes(b"RIFF\0\0\0\0WAVEbad")
        plain = soundfile.SoundFile

        def broken(file, *args, **options):
            if isinstance(file, io.BytesIO) and file.getvalue() == (tmp_path / "0.wav").read_bytes():
                raise error
            return plain(file, *args, **options)

        monkeypatch.setattr(soundfile, "SoundFile", broken)
        with pytest.raises(metrics.AudioError) as found:
            metrics.describe(tmp_path)
        lines = str(found.value).splitlines()
        assert lines[0] == "2 of 5 files cannot be measured:"
        assert lines[1].startswith(f"  set: 0.wav: unreadable ({str(error) or type(error).__name__})")
        assert lines[2].startswith("  set: bad.wav: unreadable")
        assert len(metrics.describe(tmp_path, on_error="skip")) == 3

    def test_no_place_in_memory_in_the_words(self, written):
        """Of two runs on one file the words are the same."""
        found = reason(written, b"RIFF" + struct.pack("<I", 100) + b"WAVE" + b"junk" + bytes(50))
        assert found == reason(written, b"RIFF" + struct.pack("<I", 100) + b"WAVE" + b"junk" + bytes(50))
        assert "0x" not in reason(written, b"no sound at all" * 9) + found

    @pytest.mark.parametrize(
        "repeated", [b"ID3\3\0\0\0\0\0\0", b"fLaC", b"OggS", b"note\0\0\0\0", b"\xff\xf8"]
    )
    @pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
    def test_what_repeats_takes_no_time(self, written, kind, repeated):
        """Repeated tags took minutes, when each was cut off the rest by a copy of it."""
        form, subtype, rate = JOINABLE[kind]
        sound = encoded(form, subtype, 0, rate)
        before = time.process_time()
        for data in (repeated * 100_000 + sound, sound + repeated * 100_000):
            with contextlib.suppress(metrics.AudioError):
                metrics.read(written(data, kind))
        assert time.process_time() - before < 10


class TestNotes:
    @pytest.fixture
    def folders(self, tmp_path):
        for name, seeds in (("real", range(4)), ("made", range(5, 9))):
            (tmp_path / name).mkdir()
            for seed in seeds:
                data = io.BytesIO()
                soundfile.write(data, samples(seed=seed), RATE, format="WAV", subtype="PCM_16")
                data = data.getvalue()
                if seed in (5, 7):
                    data = with_bytes(data, data.index(b"data") + 4, b"\xff" * 4)
                (tmp_path / name / f"{name}{seed}.wav").write_bytes(data)
        return tmp_path / "real", tmp_path / "made"

    LINE = f"2 files of the candidate: {containers.NO_LENGTH}"

    def test_one_line_a_kind(self, folders):
        assert self.LINE in metrics.compare(*folders, permutations=99).warnings

    def test_through_the_cache(self, folders, tmp_path):
        first, second = (metrics.compare(*folders, permutations=99, cache=tmp_path / "cache") for _ in "ab")
        assert self.LINE in second.warnings and first == second

    def test_through_a_description(self, folders, tmp_path):
        described = metrics.describe(folders[1])
        described.save(tmp_path / "made.npz")
        loaded = metrics.Description.load(tmp_path / "made.npz")
        assert [sound.notes for sound in loaded.sounds] == [
            (containers.NO_LENGTH,),
            (),
            (containers.NO_LENGTH,),
            (),
        ]
        assert self.LINE in metrics.compare(folders[0], loaded, permutations=99).warnings

    def test_a_description_of_older_days_has_none(self, folders):
        arrays = metrics.describe(folders[1]).to_arrays()
        del arrays["notes"]
        assert all(sound.notes == () for sound in metrics.Description.from_arrays(arrays).sounds)
        assert "notes" not in metrics.describe(folders[0]).to_arrays()

    def test_no_part_of_the_content(self, folders):
        """A stream and its copy with a length are one sound."""
        path = folders[1] / "made5.wav"
        data = path.read_bytes()
        whole = with_bytes(data, data.index(b"data") + 4, struct.pack("<I", 8000))
        (folders[1] / "again.wav").write_bytes(whole)
        assert "1 files of the candidate are copies of others in it" in metrics.compare(*folders).warnings
