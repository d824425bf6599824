"""Every form of a set, every format, every refusal; the cache; the command line."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import metrics
from audio_distance import features

RATE = 16000
ROOT = Path(metrics.__file__).parent


def noise(seed, seconds=0.4, rate=RATE):
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * rate))


@pytest.fixture
def folders(tmp_path):
    """Two folders of four files, one of them in a folder below."""
    for name, first in (("real", 0), ("made", 10)):
        (tmp_path / name / "more").mkdir(parents=True)
        for i in range(4):
            place = tmp_path / name / ("more" if i == 3 else "")
            soundfile.write(place / f"{name}_{i}.wav", noise(first + i), RATE)
    return tmp_path / "real", tmp_path / "made"


def wavs(folder):
    return sorted(folder.rglob("*.wav"))


def write_list(path, files, header=None):
    path.write_text("\n".join([*([header] if header else []), *map(str, files)]) + "\n", encoding="utf-8")
    return path


class TestForms:
    def test_all_forms_give_one_number(self, folders, tmp_path):
        real, made = folders
        expected = metrics.distance(real, made)
        arrays = [[soundfile.read(p)[0] for p in wavs(f)] for f in folders]
        stereo = [[np.stack([a, a], axis=1) for a in side] for side in arrays]
        sixteen = [[np.round(a * 2**15).astype(np.int16) for a in side] for side in arrays]
        forms = [
            [str(real), str(made)],
            [wavs(real), wavs(made)[::-1]],
            [write_list(tmp_path / "a.csv", wavs(real)), write_list(tmp_path / "b.txt", wavs(made))],
            [write_list(tmp_path / "c.csv", wavs(real), header="path"), made],
            [write_list(tmp_path / "d.csv", [p.relative_to(tmp_path) for p in wavs(real)]), made],
        ]
        assert [metrics.distance(*form) for form in forms] == [expected] * len(forms)
        for form in (arrays, stereo, sixteen, [np.stack(side) for side in arrays]):
            assert metrics.distance(*form, rate=RATE) == pytest.approx(expected, abs=1e-12)

    @pytest.mark.parametrize("extension", ["wav", "flac", "ogg", "opus", "mp3"])
    def test_formats(self, tmp_path, extension):
        options = {"format": "OGG", "subtype": "OPUS"} if extension == "opus" else {}
        for i in range(3):
            soundfile.write(tmp_path / f"{i}.{extension}", noise(i), RATE, **options)
        found = metrics.compare(tmp_path, [noise(9), noise(10), noise(11)], rate=RATE)
        assert found.reference.files == 3 and np.isfinite(found.value)

    def test_m4a(self, tmp_path):
        av = pytest.importorskip("av")
        for i in range(2):
            with av.open(str(tmp_path / f"{i}.m4a"), "w") as container:
                stream = container.add_stream("aac", rate=44100)
                frame = av.AudioFrame.from_ndarray(
                    noise(i, 1.0, 44100).astype(np.float32)[None], format="fltp", layout="mono"
                )
                frame.sample_rate = 44100
                for packet in [*stream.encode(frame), *stream.encode(None)]:
                    container.mux(packet)
        found = metrics.compare(tmp_path, [noise(8, 1, 44100), noise(9, 1, 44100)], rate=44100)
        assert found.reference.rates == (44100,) and found.reference.seconds == pytest.approx(2, abs=0.1)

    def test_m4a_without_av_says_what_to_install(self, tmp_path, monkeypatch):
        for i in range(2):
            (tmp_path / f"{i}.m4a").write_bytes(b"\0\0\0\x10ftypM4A \0\0\0\0")
        monkeypatch.setitem(sys.modules, "av", None)
        with pytest.raises(metrics.AudioError, match="pip install av"):
            metrics.distance(tmp_path, tmp_path)

    def test_hidden_and_other_files_are_passed_over_and_counted(self, folders):
        real, made = folders
        (real / "notes.md").write_text("x")
        (real / ".hidden.wav").write_bytes(b"x")
        assert metrics.compare(real, made).reference.not_audio == 2

    def test_mixed_rates_share_the_lowest_bandwidth_and_say_so(self, folders, tmp_path):
        soundfile.write(folders[1] / "low.wav", noise(99, rate=8000), 8000)
        found = metrics.compare(*folders)
        assert found.bandwidth_hz == 4000
        assert any("below 4000 Hz" in line and "1 at 8000 Hz" in line for line in found.warnings)

    def test_names_that_match_are_pairs(self, folders, tmp_path):
        for path in wavs(folders[0]):
            other = tmp_path / "copy" / path.relative_to(folders[0]).with_suffix(".flac")
            other.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(other, 0.5 * soundfile.read(path)[0] + 0.01 * noise(1), RATE)
        found = metrics.compare(folders[0], tmp_path / "copy")
        assert found.paired and any("4 pairs of files found by name" in line for line in found.warnings)
        assert not metrics.compare(folders[0], tmp_path / "copy", paired=False).paired

    @pytest.mark.parametrize("groups", [r"_(\d)", "folder", lambda name: name[-5], [1, 2, 3, 1]])
    def test_forms_of_groups(self, folders, groups):
        found = metrics.compare(*folders, groups=groups)
        assert found.reference.files == 4 and 2 <= found.reference.units <= 4


BAD = {
    "silence": (lambda p: soundfile.write(p, np.zeros(8000), RATE), r"silent: peak 0.*limit is 1e-06"),
    "nan": (
        lambda p: soundfile.write(p, np.full(8000, np.nan), RATE, "FLOAT"),
        r"8000 samples are NaN.*diverged",
    ),
    "inf": (
        lambda p: soundfile.write(p, np.r_[noise(0), np.inf], RATE, "FLOAT"),
        r"1 samples are NaN or inf",
    ),
    "short": (
        lambda p: soundfile.write(p, noise(0)[:50], RATE),
        r"too short: 50 samples, 3.1 ms.*limit is 11.6 ms",
    ),
    "text": (lambda p: p.write_text("hello"), r"unreadable.*likely not audio"),
    "empty": (lambda p: p.write_bytes(b""), r"0 bytes; likely"),
    "no samples": (lambda p: soundfile.write(p, np.zeros(0), RATE), r"zero length: 0 samples"),
    "eight bits": (
        lambda p: soundfile.write(p, noise(0), RATE, "PCM_U8"),
        r"8-bit.*limit is 16 bits.*export",
    ),
    "beyond range": (
        lambda p: soundfile.write(p, noise(0) * 30000, RATE, "FLOAT"),
        r"limit is 1:.*integer samples",
    ),
    "cut": (lambda p: cut(p), r"truncated: the header promises 12800 bytes.*interrupted copy"),
}


def cut(path):
    soundfile.write(path, noise(0), RATE)
    path.write_bytes(path.read_bytes()[:6000])


class TestRefusals:
    @pytest.mark.parametrize("kind", BAD)
    def test_a_bad_file_is_named_with_its_reason(self, folders, kind):
        make, message = BAD[kind]
        make(folders[1] / "bad.wav")
        with pytest.raises(metrics.AudioError, match=message) as error:
            metrics.compare(*folders)
        assert "candidate: bad.wav" in str(error.value)

    def test_all_bad_files_at_once_and_skip(self, folders):
        for kind in ("silence", "text", "cut"):
            BAD[kind][0](folders[1] / f"{kind}.wav")
        with pytest.raises(metrics.AudioError, match="3 of 11 files") as error:
            metrics.compare(*folders)
        assert all(f"{kind}.wav" in str(error.value) for kind in ("silence", "text", "cut"))
        found = metrics.compare(*folders, on_error="skip")
        assert len(found.candidate.skipped) == 3 and found.candidate.files == 4
        assert any("3 files of the candidate were left out" in line for line in found.warnings)

    @pytest.mark.parametrize("extension", ["flac", "ogg", "mp3"])
    def test_cut_compressed_files(self, folders, extension):
        path = folders[1] / f"cut.{extension}"
        soundfile.write(path, noise(0, 2.0), RATE)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(metrics.AudioError, match=rf"cut\.{extension}: (truncated|unreadable)"):
            metrics.compare(*folders)

    def test_limits_can_be_lifted(self, folders):
        soundfile.write(folders[1] / "u8.wav", noise(5), RATE, "PCM_U8")
        soundfile.write(folders[1] / "loud.wav", noise(6) * 10, RATE, "FLOAT")
        assert metrics.compare(*folders, minimum_bits=8, peak_limit=10).candidate.files == 6

    @pytest.mark.parametrize(
        ("make", "options", "message"),
        [
            (lambda p: p / "none", {}, "does not exist"),
            (lambda p: (p / "empty").mkdir() or p / "empty", {}, "holds no audio files"),
            (lambda p: wavs(p)[0], {}, "is one file, and a set needs at least 2"),
            (lambda p: wavs(p)[:1], {}, r"1 usable sound\(s\)"),
            (lambda p: [], {}, "the set is empty"),
            (lambda p: [noise(0), noise(1)], {}, "arrays need rate="),
            (lambda p: [noise(0), noise(1)], {"rate": 44.1}, "Was it given in kHz"),
            (lambda p: [noise(0), np.zeros((4, 4, 4))], {"rate": RATE}, "a sound is"),
            (lambda p: [noise(0), np.zeros((2, 9000))], {"rate": RATE}, "Transpose it"),
            (lambda p: write_list(p / "l.csv", ["gone.wav"]), {}, "1 of 1 files in .* do not exist"),
            (lambda p: write_list(p / "l.csv", []), {}, "names no files"),
            (lambda p: p, {"groups": "never(x)"}, "does not match"),
            (lambda p: p, {"groups": lambda name: "one"}, "at least 2 groups"),
            (lambda p: p, {"groups": [1, 2]}, "2 labels"),
            (lambda p: p, {"groups": {"a": 1}}, "no group is given"),
            (lambda p: p, {"paired": True}, "0 names match"),
            (lambda p: p, {"embedding": lambda s, r: np.zeros((2, 2, 2))}, "is needed"),
            (lambda p: p, {"embedding": lambda s, r: [np.nan]}, "NaN"),
        ],
    )
    def test_a_set_that_cannot_be_measured(self, folders, make, options, message):
        with pytest.raises(metrics.AudioError, match=message):
            metrics.compare(make(folders[0]), folders[1], **options)

    @pytest.mark.parametrize(
        "options", [{"permutations": 9}, {"seed": -1}, {"workers": 0}, {"on_error": "ignore"}]
    )
    def test_wrong_options(self, folders, options):
        with pytest.raises(ValueError, match=next(iter(options))):
            metrics.compare(*folders, **options)


class TestCache:
    def test_hit_miss_and_damage(self, folders, tmp_path, monkeypatch):
        cache = tmp_path / "cache"
        before = sorted(p for f in folders for p in f.rglob("*"))
        first = metrics.compare(*folders, cache=cache).to_dict()
        assert sorted(p for f in folders for p in f.rglob("*")) == before
        entries = sorted(cache.iterdir())
        assert len(entries) == 8 and all(p.suffix == ".npz" for p in entries)

        calls = []
        embed = metrics.embed
        monkeypatch.setattr(features, "embed", lambda signal: calls.append(1) or embed(signal))
        assert metrics.compare(*folders, cache=cache).to_dict() == first and not calls
        (folders[0] / "real_0.wav").rename(folders[0] / "renamed.wav")
        assert metrics.compare(*folders, cache=cache).value == first["value"] and not calls
        soundfile.write(folders[0] / "renamed.wav", noise(77), RATE)
        entries[3].write_bytes(b"damaged")
        assert metrics.compare(*folders, cache=cache).value != first["value"] and 1 <= len(calls) <= 2

    def test_an_interrupted_run_leaves_whole_entries(self, folders, tmp_path, monkeypatch):
        embed, done = metrics.embed, []

        def stops(signal):
            if len(done) == 3:
                raise KeyboardInterrupt
            done.append(1)
            return embed(signal)

        monkeypatch.setattr(features, "embed", stops)
        with pytest.raises(KeyboardInterrupt):
            metrics.compare(*folders, cache=tmp_path / "cache")
        monkeypatch.setattr(features, "embed", lambda signal: done.append(1) or embed(signal))
        metrics.compare(*folders, cache=tmp_path / "cache")
        assert len(done) == 8 and not list((tmp_path / "cache").glob("*.part"))

    def test_is_in_the_users_cache_folder(self, monkeypatch, tmp_path):
        monkeypatch.setenv("AUDIO_DISTANCE_CACHE", str(tmp_path))
        assert metrics.cache_folder() == tmp_path


def run(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "metrics", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        **options,
    )


class TestCommandLine:
    def test_table_and_which_is_closer(self, folders, tmp_path):
        (tmp_path / "other").mkdir()
        for i in range(4):
            soundfile.write(
                tmp_path / "other" / f"{i}.wav", np.sin(np.arange(6000) * (0.1 + i / 50)) / 2, RATE
            )
        done = run(*folders, tmp_path / "other")
        assert done.returncode == 0 and done.stderr == ""
        assert done.stdout.splitlines()[0].split() == [
            "candidate", "distance", "95", "%", "interval", "p", "files", "verdict",
        ]  # fmt: skip
        assert "null spread" in done.stdout and f"than {tmp_path / 'other'}" in done.stdout

    def test_json(self, folders):
        done = run(*folders, "--json", "--groups", r"_(\d)", "--workers", "2", "--seed", "3")
        found = json.loads(done.stdout)["candidates"][str(folders[1])]
        assert found["seed"] == 3 and found["verdict"] and len(found["interval"]) == 2

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (["nowhere", "nowhere"], 1, "does not exist"),
            (["only"], 2, "required"),
            (["a", "b", "--seed", "-1"], 2, "--seed -1: at least 0"),
            (["a", "b", "--workers", "0"], 2, "--workers 0: at least 1"),
            (["a", "b", "--groups", "("], 2, "not a regular expression"),
            (["a", "b", "b"], 2, "named twice"),
            (["a", "b", "--typo"], 2, "unrecognized"),
        ],
    )
    def test_exit_codes(self, arguments, code, message):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (code, "") and message in done.stderr

    def test_help_teaches(self):
        done = run("--help")
        assert done.returncode == 0 and "exit codes" in done.stdout and "examples" in done.stdout


class TestImports:
    def imported(self, path):
        names = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names.add(node.module.split(".")[0])
        return names

    @pytest.mark.parametrize("name", ["metrics", "gen_audio"])
    def test_top_level_files_stand_alone(self, name):
        rooms = {"study", "ablations", "models", "report", "songs"}
        ours = {"metrics", "gen_audio", "tests", "notebooks"} | rooms
        found = self.imported(ROOT / f"{name}.py") & ours
        assert found <= {name}  # its own name only where it runs as a script

    def test_data_flows_one_way(self):
        after = {"ablations", "models", "experiments", "report", "songs", "tests", "notebooks"}
        for path in (ROOT / "study").rglob("*.py"):
            assert not self.imported(path) & after, path.name

    def test_importing_starts_no_work_and_no_heavy_library(self):
        code = "import sys, metrics; print(sorted(m for m in sys.modules if '.' not in m))"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
        )
        loaded = set(ast.literal_eval(done.stdout))
        assert not loaded & {
            "torch",
            "librosa",
            "numba",
            "sklearn",
            "pandas",
            "matplotlib",
            "soundfile",
            "joblib",
        }
        assert os.listdir(ROOT) and done.stderr == ""
