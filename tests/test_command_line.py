"""The command line as it is typed, and what importing does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import metrics
from audio_distance import command

ROOT = Path(metrics.__file__).parent
RATE = 16000


@pytest.fixture
def sets(folder_of, tmp_path):
    """Four noises, four more of the same source, and four tones."""
    folders = [folder_of("real", range(4)), folder_of("same", range(10, 14))]
    (tmp_path / "tones").mkdir()
    for i in range(4):
        tone = np.sin(np.arange(6000) * (0.1 + i / 50)) / 2
        soundfile.write(tmp_path / "tones" / f"t{i}.wav", tone, RATE)
    return [*map(str, folders), str(tmp_path / "tones")]


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "metrics", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, **environment},
    )


def main(capsys, *arguments):
    """Exit code, standard output and standard error, in this process."""
    try:
        code = metrics.main(list(map(str, arguments)))
    except SystemExit as stop:
        code = stop.code
    captured = capsys.readouterr()
    return code, captured.out, captured.err


class TestTable:
    def test_one_row_a_candidate_and_who_is_closer(self, sets, capsys):
        code, out, err = main(capsys, *sets)
        lines = out.splitlines()
        assert (code, err) == (0, "")
        assert " ".join(lines[0].split()) == "candidate distance 95 % interval p files verdict"
        assert [line.split()[0] for line in lines[2:4]] == sets[1:]
        found = metrics.compare_each(sets[0], {name: name for name in sets[1:]})
        for line, name in zip(lines[2:4], sets[1:], strict=True):
            assert f"{found[name].value:.3f}" in line and line.endswith(found[name].verdict)
            assert "4 / 4" in line
        assert lines[-1].startswith(f"{sets[1]} is closer than {sets[2]}: difference")

    def test_bytes_do_not_depend_on_the_process(self, sets):
        runs = [run(*sets, "--json", PYTHONHASHSEED=seed, OMP_NUM_THREADS="1") for seed in ("1", "2")]
        assert runs[0].stdout == runs[1].stdout != "" and runs[0].returncode == 0
        assert runs[0].stderr == runs[1].stderr == ""

    def test_workers_change_no_byte(self, sets):
        one, two = (run(*sets, "--workers", str(n)) for n in (1, 2))
        assert one.stdout == two.stdout != "" and two.stderr == ""


class TestJson:
    def test_holds_what_compare_gives(self, sets, capsys):
        code, out, err = main(capsys, *sets, "--json", "--seed", "3", "--permutations", "199")

        def refuse(name):
            raise AssertionError(f"{name} is no JSON")

        found = json.loads(out, parse_constant=refuse)
        assert (code, err) == (0, "") and found["reference"] == sets[0]
        each = metrics.compare_each(sets[0], {n: n for n in sets[1:]}, seed=3, permutations=199)
        assert list(found["candidates"]) == sets[1:]
        for name in sets[1:]:
            assert found["candidates"][name] == json.loads(json.dumps(each[name].to_dict()))

    def test_groups_and_pairs(self, sets, capsys):
        code, out, _ = main(capsys, *sets[:2], "--json", "--groups", r"_.(\d)")
        found = json.loads(out)["candidates"][sets[1]]
        assert code == 0 and found["paired"] and found["reference"]["units"] == 4
        code, out, _ = main(capsys, *sets[:2], "--json", "--groups", r"_.(\d)", "--paired", "no")
        assert code == 0 and not json.loads(out)["candidates"][sets[1]]["paired"]

    def test_skip_counts_what_is_left_out(self, sets, capsys):
        Path(sets[1], "bad.wav").write_bytes(b"")
        code, out, err = main(capsys, *sets[:2], "--json")
        assert (code, out) == (1, "") and "bad.wav: 0 bytes" in err and "--skip" in err
        code, out, err = main(capsys, *sets[:2], "--json", "--skip")
        found = json.loads(out)["candidates"][sets[1]]
        assert (code, err) == (0, "") and found["candidate"]["files"] == 4
        assert [line.split(":")[0] for line in found["candidate"]["skipped"]] == ["bad.wav"]

    def test_cache(self, sets, capsys, tmp_path, monkeypatch):
        monkeypatch.setenv("AUDIO_DISTANCE_CACHE", str(tmp_path / "cache"))
        first, second = (main(capsys, *sets[:2], "--json", "--cache") for _ in range(2))
        assert first == second and len(list((tmp_path / "cache").glob("*.npz"))) == 8


class TestExitCodes:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "required"),
            (["a"], "CANDIDATE"),
            (["a", "b", "--permutations", "98"], "--permutations 98: at least 99"),
            (["a", "b", "--permutations", "many"], "invalid int value"),
            (["a", "b", "--seed", "-1"], "--seed -1: at least 0"),
            (["a", "b", "--seed", str(2**63)], "at most 2**63 - 1"),
            (["a", "b", "--workers", "0"], "--workers 0: at least 1"),
            (["a", "b", "--groups", "["], "is not a regular expression"),
            (["a", "b", "--paired", "maybe"], "invalid choice"),
            (["a", "b", "b"], "named twice"),
        ],
    )
    def test_2_for_wrong_use(self, capsys, arguments, message):
        code, out, err = main(capsys, *arguments)
        assert (code, out) == (2, "") and message in err and "Traceback" not in err

    def test_1_for_input_that_cannot_be_measured(self, sets, capsys, tmp_path):
        (tmp_path / "empty").mkdir()
        for arguments, message in (
            ([sets[0], tmp_path / "none"], "does not exist"),
            ([sets[0], tmp_path / "empty"], "holds no audio files"),
            ([sets[0], Path(sets[1], "same_10.wav")], "is one file"),
            ([*sets[:2], "--paired", "yes"], "0 names match"),
            ([*sets[:2], "--groups", "never"], "does not match"),
        ):
            code, out, err = main(capsys, *arguments)
            assert (code, out) == (1, "") and err.startswith("error: ") and message in err

    def test_130_when_interrupted(self, sets, capsys, monkeypatch):
        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(command, "described_each", interrupted)
        code, out, err = main(capsys, *sets[:2])
        assert (code, out) == (130, "") and "interrupted" in err

    def test_0_for_help_which_explains_every_option(self, capsys):
        code, out, err = main(capsys, "--help")
        assert (code, err) == (0, "")
        for word in (
            "examples:",
            "exit codes:",
            "--json",
            "--page",
            "--groups",
            "--quality",
            "--workers",
            "--seed",
            "--skip",
        ):
            assert word in out

    def test_of_a_process(self, sets):
        """The same codes outside of this process, and not one line on the wrong channel."""
        bad = run(sets[0], "nowhere")
        assert (bad.returncode, bad.stdout) == (1, "") and bad.stderr.count("\n") == 1
        assert run(sets[0]).returncode == 2 and run("--version").stdout.startswith("recipe version ")


class TestOutput:
    """A past fault: a traceback where the output takes not every letter, or nobody reads it to the end."""

    @pytest.fixture
    def shell(self, sets):
        def run_in_bash(line, *arguments, **environment):
            """A line in which "$@" is the command with its arguments; the code is the first process's."""
            return subprocess.run(
                ["bash", "-c", f"{line}; exit ${{PIPESTATUS[0]}}", "bash", sys.executable, "-m", "metrics"]
                + [str(argument) for argument in arguments],
                cwd=ROOT,
                env={**os.environ, **environment},
                capture_output=True,
            )

        return run_in_bash

    @pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
    @pytest.mark.parametrize("more", [[], ["--json"]])
    def test_in_any_encoding(self, sets, tmp_path, encoding, more):
        """Japanese and an é in UTF-8, and one in latin-1, which Python holds as a lone surrogate."""
        made = os.fsencode(tmp_path) + "/\u65e5\u672c caf\u00e9".encode() + b" \xe9"
        os.rename(os.fsencode(sets[2]), made)
        done = subprocess.run(
            [sys.executable, "-m", "metrics", sets[0], made, *more],
            cwd=ROOT,
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        out = done.stdout.decode(encoding)
        if more:
            (name,) = json.loads(out)["candidates"]
            assert name == f"{tmp_path}/\u65e5\u672c caf\u00e9 \\udce9"
        else:
            assert "caf" in out and r" \udce9" in out
            assert ("\u65e5" in out) == (encoding == "utf-8") and ("\u00e9" in out) == (encoding != "ascii")

    def test_errors_in_any_encoding(self, sets):
        done = run(sets[0], "\u65e5\u672c", PYTHONIOENCODING="cp1252:strict")
        assert done.returncode == 1 and "does not exist" in done.stderr and "Traceback" not in done.stderr

    @pytest.mark.parametrize("line", ['"$@" | head -n 1', '"$@" | true', '"$@" >&-', '"$@" 2>&1 >&- | true'])
    def test_a_reader_who_leaves(self, sets, shell, line):
        done = shell(line, *sets)
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.count(b"\n") == ("head" in line)

    @pytest.mark.parametrize("word", ["--help", "--version"])
    def test_of_help_too(self, shell, word):
        done = shell('"$@" | true', word)
        assert (done.returncode, done.stderr) == (0, b"")

    def test_the_code_of_an_error_whose_reader_has_left(self, sets, shell):
        done = shell('"$@" 2>&1 | true', sets[0], "nowhere")
        assert (done.returncode, done.stderr) == (1, b"")

    def test_a_full_disk(self, sets, shell):
        done = shell('"$@" > /dev/full', *sets)
        assert done.returncode == 1 and done.stdout == b""
        assert done.stderr == b"error: the result cannot be written ([Errno 28] No space left on device)\n"

    def test_a_cache_that_cannot_be_used_is_a_line(self, sets, capsys, tmp_path, monkeypatch):
        expected = main(capsys, *sets[:2])[1]
        (tmp_path / "cache").write_text("a file")
        monkeypatch.setenv("AUDIO_DISTANCE_CACHE", str(tmp_path / "cache"))
        code, out, err = main(capsys, *sets[:2], "--cache")
        assert (code, out) == (0, expected)
        assert err.startswith("warning: cache: the user's folder cannot be made") and err.count("\n") == 1


class TestImports:
    def test_importing_loads_nothing_heavy_and_says_nothing(self):
        code = "import sys, threading, metrics; print(threading.active_count(), *sys.modules)"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        )
        threads, *modules = done.stdout.split()
        heavy = {
            "torch",
            "librosa",
            "numba",
            "sklearn",
            "pandas",
            "matplotlib",
            "joblib",
            "av",
            "soxr",
        }
        assert not heavy & {module.split(".")[0] for module in modules}
        assert threads == "1" and done.stderr == ""
