"""What a set consists of: nothing of a folder, a list or a row in memory is left out without a word."""

import array
import codecs
import io
import os
import shutil
import socket
import unicodedata
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

import metrics
from audio_distance import sources

RATE = 16000
QUICK = {"permutations": 99}


@pytest.fixture
def real(folder_of):
    return folder_of("real", range(4))


@pytest.fixture
def made(folder_of):
    return folder_of("made", range(20, 24))


def refusal(*arguments, **options):
    with pytest.raises(metrics.AudioError) as error:
        metrics.compare(*arguments, **QUICK, **options)
    return str(error.value)


def names(folder):
    return [source.name for source in sources.list_set(folder, "reference", None).sources]


def skipped(reference, candidate):
    return metrics.compare(reference, candidate, on_error="skip", **QUICK).reference.skipped


class TestLinkedFolders:
    """A past fault: a class folder that is a link was left out, and so was one that cannot be opened."""

    def test_a_linked_folder_is_a_folder(self, folder_of, made, tmp_path):
        for name, seeds in (("noise", range(3)), ("more", range(40, 43))):
            shutil.move(folder_of(name, seeds), tmp_path / "copied" / name)
        shutil.copytree(tmp_path / "copied" / "noise", tmp_path / "set" / "noise")
        (tmp_path / "set" / "more").symlink_to(tmp_path / "copied" / "more", target_is_directory=True)
        found, expected = (metrics.compare(tmp_path / name, made, **QUICK) for name in ("set", "copied"))
        assert found.reference.files == 6 and found.value == expected.value

    def test_a_set_that_is_a_link_and_holds_links_only(self, real, made, tmp_path):
        (tmp_path / "only").mkdir()
        (tmp_path / "only" / "tones").symlink_to(real)
        (tmp_path / "link").symlink_to(tmp_path / "only")
        assert metrics.distance(tmp_path / "link", made) == metrics.distance(real, made)

    def test_loops_and_second_ways_add_no_file(self, real, made, tmp_path):
        """The name is the one without a link, wherever the link stands in the alphabet."""
        expected = metrics.distance(real, made)
        (real / "z").mkdir()
        for path in list(real.glob("*.wav"))[:2]:
            path.rename(real / "z" / path.name)
        (real / "a").symlink_to(real / "z")
        (real / "z" / "back").symlink_to(real)
        (real / "self").symlink_to(".")
        (tmp_path / "real_too").symlink_to(real)
        (real / "y").symlink_to(tmp_path / "real_too")
        assert len(names(real)) == 4 and sum(name.startswith("z/") for name in names(real)) == 2
        assert metrics.distance(real, made) == expected

    def test_two_links_to_overlapping_folders(self, real, made, folder_of, tmp_path):
        shutil.move(folder_of("deep", range(50, 53)), folder_of("disk", range(60, 62)))
        (real / "b").symlink_to(tmp_path / "disk")
        (real / "c").symlink_to(tmp_path / "disk" / "deep")
        assert len(names(real)) == 9 == len({name.rsplit("/")[-1] for name in names(real)})

    def test_a_link_to_a_folder_above_is_named(self, real, made):
        """It would bring the candidates into the reference."""
        (real / "up").symlink_to(real.parent)
        assert "up: a link to" in refusal(real, made) and "holds this set" in refusal(real, made)
        assert len(skipped(real, made)) == 1

    def test_links_that_lead_nowhere_are_named(self, real, made, tmp_path):
        """With an extension or without: it may have been a folder on a disk that is not mounted."""
        (real / "tones").symlink_to(tmp_path / "not mounted")
        (real / "x.wav").symlink_to(tmp_path / "gone.wav")
        (real / "round").symlink_to("round")
        message = refusal(real, made)
        assert "3 of 11 files" in message and "tones: a link to" in message and "not mounted" in message
        assert "round: a link to round, which cannot be followed" in message
        assert [line.split(":")[0] for line in skipped(real, made)] == ["round", "tones", "x.wav"]

    def test_hidden_links_are_passed_over(self, real, made, tmp_path):
        (real / ".lock").symlink_to("host.1234")
        (real / ".cache").symlink_to(tmp_path)
        assert metrics.compare(real, made, **QUICK).reference.not_audio == 1

    @pytest.fixture
    def closed(self, monkeypatch):
        """A folder that cannot be opened; root may open all, so it is pretended."""

        def close(folder):
            scandir, access = os.scandir, os.access

            def scan(path):
                if os.fspath(path) == str(folder):
                    raise PermissionError(13, "Permission denied", str(folder))
                return scandir(path)

            monkeypatch.setattr(os, "scandir", scan)
            monkeypatch.setattr(os, "access", lambda path, mode: path != folder and access(path, mode))

        return close

    def test_a_folder_that_cannot_be_opened_is_named(self, real, made, closed, folder_of):
        shutil.move(folder_of("locked", range(3)), real)
        closed(real / "locked")
        message = refusal(real, made)
        assert "1 of 9 files" in message and "locked: a folder that cannot be opened" in message
        (line,) = skipped(real, made)
        assert line.startswith("locked: ") and "Permission denied" in line

    def test_a_set_that_cannot_be_opened(self, real, made, closed):
        closed(real)
        message = refusal(real, made)
        assert "reference: " in message and "cannot be opened" in message and "Permission denied" in message

    def test_a_file_that_may_not_be_read(self, real, made, monkeypatch):
        monkeypatch.setattr(os, "access", lambda path, mode: path.name != "real_02.wav")
        assert "real_02.wav: no permission to read it" in refusal(real, made)


class TestSpecialFiles:
    """A past fault: a FIFO was opened, and waited for ever."""

    @pytest.fixture
    def fifo(self, real):
        os.mkfifo(real / "pipe.wav")
        return real / "pipe.wav"

    def test_in_a_folder(self, fifo, real, made):
        os.mkfifo(real / "control")  # without an extension of audio it is another file
        assert "pipe.wav: a FIFO, where a file is needed" in refusal(real, made)
        found = metrics.compare(real, made, on_error="skip", **QUICK)
        assert found.reference.not_audio == 1 and found.reference.files == 4

    def test_in_a_list_and_read_alone(self, fifo, real, made, tmp_path):
        (tmp_path / "list.txt").write_text("".join(f"{path}\n" for path in sorted(real.iterdir())))
        assert "pipe.wav: a FIFO" in refusal(tmp_path / "list.txt", made)
        assert "pipe.wav: a FIFO" in refusal(sorted(real.iterdir()), made)
        with pytest.raises(metrics.AudioError, match="a FIFO"):
            metrics.read(fifo)

    def test_in_place_of_a_list_or_a_description(self, real, made, tmp_path):
        for name in ("list.txt", "list.csv", "set.npz"):
            os.mkfifo(tmp_path / name)
            assert name in refusal(tmp_path / name, made)
        with pytest.raises(metrics.AudioError, match="a FIFO"):
            metrics.Description.load(tmp_path / "set.npz")

    def test_a_socket(self, real, made, monkeypatch):
        monkeypatch.chdir(real)  # the path of a socket is short
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind("s.wav")
            assert "s.wav: a socket" in refusal(real, made)

    def test_a_device(self, real, made):
        assert "a device, where a file is needed" in refusal([*real.iterdir(), "/dev/zero"], made)

    def test_a_folder_in_a_list(self, real, made):
        assert "a folder, where a file is needed" in refusal([*real.iterdir(), made], made)

    def test_a_path_that_cannot_be(self, real, made):
        for path in (real / ("x" * 300), "nul\0.wav"):
            assert "1 of 9 files" in refusal([*real.iterdir(), path], made)
            assert refusal(path, made).startswith("reference: ")


class TestLists:
    """A past fault: lines were dropped, or ended in a traceback. Each is named with its number."""

    @pytest.fixture
    def listed(self, real, tmp_path):
        """A list of the set's files in ``template``, a line each, below a head."""

        def write(name, head="", template="real/{}\n", tail="", newline=""):
            lines = "".join(template.format(path.name) for path in sorted(real.iterdir()))
            path = tmp_path / name
            path.write_text(head + lines + tail, encoding="utf-8", newline=newline)
            return path

        return write

    @pytest.mark.parametrize(
        ("name", "head", "template"),
        [
            ("pandas.csv", ",path\n", "7,real/{}\n"),
            ("label.csv", "label,path,fold\n", "dog,real/{},1\n"),
            ("audio.csv", "audio\n", "real/{}\n"),
            ("kaggle.csv", '"File_Name","label"\n', '"real/{}","dog"\n'),
            ("comment.csv", "# made by hand\n\nspeaker,path\n", "lucas,real/{}\n"),
            ("excel.csv", "", "real/{},,\n,,\n"),
            ("mac.csv", "", "real/{}\r"),
            ("windows.txt", "path\r\n", "real/{}\r\n"),
            ("spaces.txt", "", "  real/{} \n"),
            ("UPPER.TXT", "# comment\n", "real/{}\n\n"),
        ],
    )
    def test_everyday_lists(self, listed, real, made, name, head, template):
        assert metrics.distance(listed(name, head, template), made) == metrics.distance(real, made)

    def test_a_folder_called_like_the_header(self, listed, real, made, tmp_path):
        (tmp_path / "audio").mkdir()
        assert metrics.distance(listed("a.csv", "audio\n"), made) == metrics.distance(real, made)

    @pytest.mark.parametrize("form", ["NFC", "NFD"])
    def test_accents_of_another_system(self, made, noise, tmp_path, form):
        for i in range(3):
            soundfile.write(tmp_path / unicodedata.normalize(form, f"caf\u00e9_{i}.wav"), noise(i), RATE)
        for other in ("NFC", "NFD"):
            lines = unicodedata.normalize(other, "".join(f"caf\u00e9_{i}.wav\n" for i in range(3)))
            (tmp_path / "list.txt").write_text(lines, encoding="utf-8")
            assert metrics.compare(tmp_path / "list.txt", made, **QUICK).reference.files == 3

    def test_names_that_look_like_something_else(self, made, noise, tmp_path):
        """A comment, a header, and what Unicode calls an end of line: all of them are files here."""
        odd = ["#3 take.wav", "path", "one\u2028two.wav", "a\x0bb.wav", "c\x85d.wav", " spaces .wav"]
        for i, name in enumerate(odd):
            soundfile.write(tmp_path / name, noise(i), RATE, format="WAV")
        for ending in ("txt", "csv"):
            lines = [f'"{name}"' if name[0] == " " and ending == "csv" else name for name in odd]
            (tmp_path / f"list.{ending}").write_text("\n".join(lines), encoding="utf-8")
            found = metrics.compare(tmp_path / f"list.{ending}", made, **QUICK)
            assert found.reference.files == 6

    @pytest.mark.parametrize(
        ("name", "tail", "message"),
        [
            ("a.txt", "real/gone.wav\n", "first is real/gone.wav in line 5"),
            ("a.txt", "\n\nreal/gone.wav\nx.wav\n", "2 of 6 files .* in line 7 .then lines 8"),
            ("a.csv", "real/gone.wav,1\n", "in line 5"),
            ("a.csv", ",label\n", "an empty name in line 5"),
            ("a.csv", '"real/real_00.wav\n', "line 5 .*a quote that is not closed"),
            ("a.csv", '"one" two.wav\n"three"\n', "line 5 .*a quote that is not closed"),
            ("a.csv", '"real/re\nal.wav"\nx.wav\n', "in line 5 .then lines 7"),
            ("a.txt", "real/real_00.wav\0\n", "a NUL byte in line 5"),
            ("a.csv", "real/real_00.wav\0\n", "a NUL byte in line 5"),
            (
                "a.txt",
                f"real/real_00.wav|{'word ' * 90}\n",
                r"\.\.\. \(466 characters\) in line 5.*columns with \|",
            ),
            ("a.csv", "real/real_00.wav;dog\n", "columns with ;"),
            ("a.txt", "real/real_00.wav\tdog\n", "columns with a tab"),
            ("a.txt", '"real/real_00.wav"\n', "quotes around it"),
            ("a.csv", f'"{"x" * 200_000}"\n', "line 5 .*field larger than field limit"),
        ],
    )
    def test_the_line_is_named(self, listed, made, name, tail, message):
        with pytest.raises(metrics.AudioError, match="(?s)" + message):
            metrics.distance(listed(name, tail=tail), made)

    def test_rows_that_are_too_short(self, listed, made):
        path = listed("a.csv", "label,path\n", "dog,real/{}\n", tail="cat\n")
        assert "an empty name in line 6" in refusal(path, made)

    def test_an_unknown_header_is_named_and_the_known_ones_with_it(self, listed, made):
        message = refusal(listed("a.csv", "slice_file_name,fold\n", "real/{},1\n"), made)
        assert "slice_file_name in line 1" in message and "file_name" in message

    def test_a_folder_in_it_is_no_sound(self, listed, made):
        assert "real: a folder, where a file is needed" in refusal(listed("a.txt", tail="real\n"), made)

    @pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE])
    def test_utf_16_is_said(self, tmp_path, made, mark):
        encoding = "utf-16-le" if mark == codecs.BOM_UTF16_LE else "utf-16-be"
        (tmp_path / "a.csv").write_bytes(mark + "real/real_00.wav\n".encode(encoding))
        assert "is not UTF-8 but UTF-16; likely saved as" in refusal(tmp_path / "a.csv", made)

    def test_the_line_in_another_encoding(self, listed, made, tmp_path):
        path = listed("a.txt")
        path.write_bytes(path.read_bytes() + "caf\u00e9.wav".encode("latin-1"))
        assert "not UTF-8 in line 5" in refusal(path, made)


class TestNames:
    def test_that_are_not_utf_8(self, made, noise, tmp_path):
        """A past fault: a file name in latin-1 ended in a traceback wherever it was printed or saved."""
        folder = os.fsdecode(os.fsencode(tmp_path / "sons") + b"\xe9")
        os.mkdir(folder)
        for i in range(3):
            name = os.fsdecode(b"caf\xe9_%d.wav" % i)
            with open(os.path.join(folder, name), "wb") as file:
                file.write(wav(noise(i)).getvalue())
        found = metrics.compare(folder, made, **QUICK)
        str(found).encode("utf-8")
        described = metrics.describe(folder)
        described.save(tmp_path / "kept.npz")
        again = metrics.Description.load(tmp_path / "kept.npz")
        assert [s.name for s in again.sounds] == [f"caf\\udce9_{i}.wav" for i in range(3)]
        assert again.name.endswith("sons\\udce9") and metrics.distance(again, made) == found.value
        open(os.path.join(folder, os.fsdecode(b"\xff.wav")), "wb").close()
        refusal(folder, made).encode("utf-8")
        refusal(folder + "none", made).encode("utf-8")
        for line in skipped(folder, made):
            line.encode("utf-8")


class Tensor:
    """What the tensors of PyTorch and its kin can do, as far as it matters here."""

    def __init__(self, values, *, grad=False, device="cpu", dtype="torch.float32"):
        self.values, self.grad, self.device, self.dtype = np.asarray(values), grad, device, dtype
        self.ndim, self.shape = self.values.ndim, self.values.shape

    def _like(self, **changes):
        return Tensor(
            self.values, **{"grad": self.grad, "device": self.device, "dtype": self.dtype, **changes}
        )

    def detach(self):
        return self._like(grad=False)

    def cpu(self):
        return self._like(device="cpu")

    def float(self):
        return self._like(dtype="torch.float32")

    def __array__(self, dtype=None, copy=None):
        if self.grad:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        if self.device != "cpu":
            raise TypeError("can't convert cuda:0 device type tensor to numpy.")
        if self.dtype == "torch.bfloat16":
            raise TypeError("Got unsupported ScalarType BFloat16")
        return self.values if dtype is None else self.values.astype(dtype)


def wav(samples, rate=RATE):
    data = io.BytesIO()
    soundfile.write(data, samples, rate, format="WAV", subtype="FLOAT")
    return data


FORMS = {
    "(signal, rate)": lambda x: (x, RATE),
    "[signal, rate]": lambda x: [x, RATE],
    "(rate, signal)": lambda x: (RATE, x),
    "(tensor, rate) of torchaudio": lambda x: (Tensor(x[None]), np.int64(RATE)),
    "a row of datasets": lambda x: {"path": None, "array": x, "sampling_rate": RATE},
    "a row with the sound as audio": lambda x: {"audio": {"array": x, "sampling_rate": RATE}, "text": "one"},
    "a row of two channels": lambda x: {"array": np.stack([x, x]), "sampling_rate": RATE},
    "a row that is not decoded": lambda x: {"bytes": wav(x).getvalue(), "path": "somewhere/else.wav"},
    "a decoder of torchcodec": lambda x: SimpleNamespace(
        get_all_samples=lambda: SimpleNamespace(data=Tensor(np.stack([x, x])), sample_rate=RATE)
    ),
    "bytes": lambda x: wav(x).getvalue(),
    "bytearray": lambda x: bytearray(wav(x).getvalue()),
    "memoryview": lambda x: memoryview(wav(x).getvalue()),
    "BytesIO, at its end": wav,
    "a list": lambda x: x.tolist(),
    "array.array": lambda x: array.array("f", x),
    "one row": lambda x: x[None],
    "one column": lambda x: x[:, None],
    "tensor": Tensor,
    "tensor with a gradient": lambda x: Tensor(x, grad=True),
    "tensor on a GPU": lambda x: Tensor(x[None], device="cuda:0"),
    "tensor of bfloat16": lambda x: Tensor(x, dtype="torch.bfloat16"),
}


class TestMemory:
    """A past fault: tracebacks and wrong causes for what loaders give."""

    @pytest.fixture
    def signals(self, noise):
        return [[noise(s + i).astype(np.float32) for i in range(4)] for s in (0, 20)]

    @pytest.mark.parametrize("form", FORMS)
    def test_forms_are_the_signal(self, signals, form):
        given = [[FORMS[form](x) for x in side] for side in signals]
        assert metrics.distance(*given, rate=RATE) == metrics.distance(*signals, rate=RATE)
        if any(word in form for word in ("rate", "row of", "row with", "row that", "torchcodec", "yte")):
            assert metrics.distance(*given) == metrics.distance(*signals, rate=RATE)

    def test_an_open_file(self, signals, tmp_path):
        for i, x in enumerate(signals[0]):
            soundfile.write(tmp_path / f"{i}.wav", x, RATE, subtype="FLOAT")
        given = [(tmp_path / f"{i}.wav").open("rb") for i in range(4)]
        given[0].read()
        assert metrics.distance(given, signals[1], rate=RATE) == metrics.distance(*signals, rate=RATE)
        for file in given:
            file.close()
        text = [io.StringIO("x"), *signals[0]]
        assert "[0]: a file opened as text" in refusal(text, signals[1], rate=RATE)

    def test_files_that_soundfile_opened(self, real, made):
        given = [soundfile.SoundFile(path) for path in sorted(real.iterdir())]
        assert metrics.distance(given, made) == metrics.distance(real, made)
        for file in given:
            file.close()

    def test_rows_with_the_path_of_a_file(self, real, made):
        paths = sorted(real.iterdir())
        rows = [{"path": str(path), "bytes": None} for path in paths]
        for given in (rows, [{"audio": row} for row in rows], [{"text": "x", "audio": p} for p in paths]):
            assert metrics.distance(given, made) == metrics.distance(real, made)
        assert "[4]: [Errno 2]" in refusal([*rows, {"path": "gone.wav", "bytes": None}], made)

    def test_a_rate_each(self, noise, made):
        rates = [8000, 16000, 22050]
        given = [(noise(i, rate=rate), rate) for i, rate in enumerate(rates)]
        found = metrics.compare(given, made, **QUICK)
        assert found.reference.rates == (8000, 16000, 22050) and found.bandwidth_hz == 4000
        assert metrics.compare(given, made, rate=44100, **QUICK) == found  # of those without one

    def test_iterators_and_columns(self, signals, real, made):
        pandas = pytest.importorskip("pandas")
        expected = metrics.distance(*signals, rate=RATE)
        column = pandas.DataFrame({"sound": signals[0], "label": 1})["sound"]
        for given in (iter(signals[0]), (x for x in signals[0]), column, column[::-1][::-1]):
            assert metrics.distance(given, signals[1], rate=RATE) == expected
        paths = pandas.Series([str(path) for path in sorted(real.iterdir())], index=list("abcd"))
        assert metrics.distance(paths, made) == metrics.distance(real, made)

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (None, "None; a sound in memory is an array, a pair"),
            ({"text": "one"}, "a row with 'text'; a sound in memory"),
            ({}, "a row with nothing in it"),
            (b"", "0 bytes"),
            (b"no sound", "unreadable"),
            (float("nan"), "nan; a sound in memory"),
            ((np.ones(4000), 44.1), "rate 44.1 Hz is outside 1000 to 768000 Hz. Was it given in kHz?"),
            ((np.ones(4000), "cat"), "rate 'cat' is no number of Hz"),
            ((np.ones(4000), RATE, "text"), "gives no samples"),
            ([[1.0, 2.0], [3.0]], "gives no samples"),
            (np.ones(4000, int), "type int64; integer samples must be int16 or int32.*astype.numpy.int16"),
            ([1, 2, 3] * 2000, "type int64; integer samples"),
            (np.ones(4000, np.uint16), "type uint16; integer samples"),
            (np.ma.masked_greater(np.r_[np.ones(9), 2.0], 1.5), "1 samples are masked"),
            (np.ones((2, 4000)), "Transpose it"),
            (np.array(["a", "b"]), "a sound is"),
            (object(), "a sound in memory is"),
        ],
    )
    def test_what_is_not_plain_is_named_with_what_to_pass(self, signals, bad, message):
        given = [*signals[0], bad]
        with pytest.raises(metrics.AudioError, match=r"(?s)1 of 9 files.*reference: \[4\]: .*" + message):
            metrics.distance(given, signals[1], rate=RATE)
        found = metrics.compare(given, signals[1], rate=RATE, on_error="skip", **QUICK)
        assert found.value == metrics.distance(*signals, rate=RATE) and len(found.reference.skipped) == 1

    @pytest.mark.parametrize(
        ("bad", "message"),
        [
            (7, "an int is no set"),
            (None, "a NoneType is no set"),
            (b"RIFF", "is one file"),
            (io.BytesIO(b"RIFF"), "is one file"),
            ({"array": [0.0], "sampling_rate": RATE}, "a dict with the keys array, sampling_rate"),
            (np.ones((4000, 2)), "one signal of 2 channels given as the set"),
            (np.ones(4000), "likely one signal given as the set"),
            ((np.ones(4000), RATE), "one pair (signal, rate) given as the set"),
            ([0.5, 0.25], "likely one signal given as the set"),
            ([], "the set is empty"),
        ],
    )
    def test_what_is_no_set(self, made, bad, message):
        found = refusal(bad, made, rate=RATE)
        assert found.startswith("reference: ") and message in found

    def test_a_table_is_no_set(self, made):
        pandas = pytest.importorskip("pandas")
        message = refusal(pandas.DataFrame({"path": ["a.wav"], "label": ["x"]}), made)
        assert "a DataFrame with the columns path, label; give the one" in message

    def test_a_rate_that_some_lack(self, signals):
        given = [(signals[0][0], RATE), *signals[0][1:]]
        assert "and [1] has none" in refusal(given, signals[1])

    def test_real_tensors(self, signals):
        torch = pytest.importorskip("torch")
        expected = metrics.distance(*signals, rate=RATE)
        tensors = [torch.from_numpy(x) for x in signals[0]]
        for given in (
            tensors,
            [x[None].clone().requires_grad_() for x in tensors],
            [(x[None], torch.tensor(RATE)) for x in tensors],
            torch.stack(tensors),
            torch.stack(tensors)[:, None],
        ):
            assert metrics.distance(given, signals[1], rate=RATE) == expected
        rounded = [x.bfloat16() for x in tensors]
        as_float = [x.float() for x in rounded]
        assert metrics.distance(rounded, signals[1], rate=RATE) == metrics.distance(
            as_float, signals[1], rate=RATE
        )


class TestPairs:
    """A past fault: one silent, one extra or one decomposed name ended pairing for all, without a word."""

    @pytest.fixture
    def versions(self, noise, tmp_path):
        """Six recordings and their versions, with an accent in each name."""
        folders = tmp_path / "real", tmp_path / "made"
        for k, folder in enumerate(folders):
            folder.mkdir()
            for i in range(6):
                sound = noise(i) + k * 0.01 * noise(50 + i)
                soundfile.write(folder / f"caf\u00e9_{i}.wav", sound, RATE, subtype="FLOAT")
        return folders

    def note(self, found):
        (line,) = [line for line in found.warnings if "pair" in line and "found by name" not in line]
        return line

    def test_composed_and_decomposed_names_match(self, versions):
        expected = metrics.compare(*versions, **QUICK)
        for path in list(versions[1].iterdir()):
            path.rename(path.with_name(unicodedata.normalize("NFD", path.name)))
        found = metrics.compare(*versions, **QUICK)
        assert found.paired and expected.paired
        assert (found.value, found.p_value) == (expected.value, expected.p_value)
        assert metrics.compare(*versions, paired=True, **QUICK).value == expected.value
        groups = metrics.compare(*versions, groups=r"(.*)\.", **QUICK)
        assert groups.paired and groups.value == pytest.approx(expected.value, abs=1e-12)

    def test_an_extra_name_is_the_reason(self, versions, noise):
        soundfile.write(versions[1] / "readme_voice.wav", noise(9), RATE)
        found = metrics.compare(*versions, **QUICK)
        assert not found.paired and found.value == metrics.distance(*versions, paired=False)
        assert self.note(found) == (
            "not compared in pairs, though 6 names match (for pairs, all must): 1 files of the candidate "
            "without a partner, the first: 'readme_voice.wav'"
        )
        message = refusal(*versions, paired=True)
        assert "paired: 6 names match, 1 do not (1 files of the candidate without a partner" in message
        assert not any("pair" in line for line in metrics.compare(*versions, paired=False, **QUICK).warnings)

    def test_a_file_that_was_left_out_leaves_its_partner_alone(self, versions):
        soundfile.write(versions[1] / "caf\u00e9_2.wav", np.zeros(RATE), RATE)
        skip = {"on_error": "skip", **QUICK}
        found = metrics.compare(*versions, **skip)
        assert not found.paired and found.value == metrics.distance(*versions, on_error="skip", paired=False)
        alone = "1 files of the reference whose partner was left out, the first: 'caf\u00e9_2.wav'"
        assert self.note(found) == (
            f"not compared in pairs, though 5 names match (paired=True pairs the others): {alone}"
        )
        found = metrics.compare(*versions, paired=True, **skip)
        assert found.paired and self.note(found) == f"in no pair: {alone}"
        assert found.permutations == 2**5  # what is alone has nobody to be swapped with
        assert (found.reference.files, found.candidate.files) == (6, 5)
        # A stranger beside it is no partner that was left out.
        (versions[1] / "caf\u00e9_4.wav").rename(versions[1] / "other.wav")
        message = refusal(*versions, paired=True, **{"on_error": "skip"})
        assert (
            "whose partner was left out" in message and "without a partner, the first: 'other.wav'" in message
        )

    def test_a_name_that_is_used_twice(self, versions, noise):
        """A past fault: an IndexError with paired=True."""
        soundfile.write(versions[0] / "caf\u00e9_0.flac", noise(9), RATE)
        assert "under a name that is used twice, the first: 'caf\u00e9_0.flac'" in self.note(
            metrics.compare(*versions, **QUICK)
        )
        assert "used twice" in refusal(*versions, paired=True)

    def test_half_of_the_smaller_set_is_worth_a_word(self, versions):
        paths = [sorted(folder.iterdir()) for folder in versions]
        for matching, told in ((2, True), (1, False)):
            found = metrics.compare(paths[0][:4], [*paths[1][4 - matching : 4], *paths[1][4:]][:4], **QUICK)
            assert any("names match" in line for line in found.warnings) == told

    def test_brackets_in_names_are_no_positions(self, versions):
        """A past fault: files called "[one].wav" were taken for arrays, and never paired."""
        for folder in versions:
            for path in list(folder.iterdir()):
                path.rename(path.with_name(f"[{path.stem}].wav"))
        assert metrics.compare(*versions, **QUICK).paired

    def test_arrays_lose_partners_too(self, noise):
        x = [noise(i) for i in range(5)]
        y = [0.9 * s + 0.1 * noise(50 + i) for i, s in enumerate(x)]
        y[3] = np.zeros(4000)
        found = metrics.compare(x, y, rate=RATE, paired=True, on_error="skip", **QUICK)
        assert found.paired and "whose partner was left out, the first: '[3]'" in self.note(found)
        assert "4 reference and 5 candidate arrays" in refusal(
            x[:4], [*y[:3], *x[3:]], rate=RATE, paired=True
        )

    def test_files_and_arrays_have_no_names_in_common(self, versions, noise):
        """A past fault: paired=True gave unpaired numbers."""
        arrays = [noise(30 + i) for i in range(6)]
        message = refusal(versions[0], arrays, rate=RATE, paired=True)
        assert "the reference has files and the candidate sounds in memory" in message
        assert not metrics.compare(versions[0], arrays, rate=RATE, **QUICK).paired

    def test_the_test_is_exact_with_some_alone(self, noise):
        """Pairs of one source, a third of the partners missing: p is at most .1 in a tenth of the draws."""
        rng = np.random.default_rng(0)
        low = 0
        for _ in range(100):
            x = [rng.normal(0, 0.1, 600) for _ in range(9)]
            y = [0.7 * s + 0.7 * rng.normal(0, 0.1, 600) for s in x]
            y = [np.zeros(600) if i in (1, 4, 7) else s for i, s in enumerate(y)]
            x = [0.7 * s + 0.7 * rng.normal(0, 0.1, 600) for s in x]
            low += (
                metrics.compare(x, y, rate=RATE, paired=True, on_error="skip", permutations=99).p_value <= 0.1
            )
        # Binomial(100, .1): beyond 19 in two of a thousand.
        assert low <= 19
