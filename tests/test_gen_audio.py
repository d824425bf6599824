"""The files of the tones are pinned: the same on every machine and in every process."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io.wavfile

import gen_audio

WRAPPED = {
    "background/sin_100.wav": "a50ed22b899a2d7dcc38ec154eb931cb4530f1c7b55d751366bc955347b5d1a3",
    "background/sin_200.wav": "2ec8b8f35160e5674056f277834f708e95871f44e319f3de83d7f7a4b9f3ae42",
    "background/sin_300.wav": "abf7124fa3e44dc4bf8d3bd0bf416d3903602f3c698b8eb4389a2b83fd86edbb",
    "background/sin_400.wav": "7669cd05bb380d8b00538be1a4d8fbb642f3d1059e2b4558f7a94947c281b335",
    "background/sin_500.wav": "caecdda82942802a4aaecff4a9c48bfe990a7c9d5f62a9a8011b07192132e52e",
    "background/sin_600.wav": "630c2516012168c040d168fe61b52f593918c0f2c6aa7c3ae792807b8461b10c",
    "background/sin_700.wav": "2a4ccff960851f2c8b123d1d68fa41faa3833d9a0509d80a0d6dfe664482396f",
    "background/sin_800.wav": "877288a461e38e9cb6a6ff319a1783d89f756d33578063044b54be4042b069b3",
    "background/sin_900.wav": "18a0a439713b73b8dd2ac80d21d93082d31ca440e1ba5bd96ec9d228a77a8e20",
    "background/sin_1000.wav": "4eff307f192be89047d77cb84d296b9c207ec372a2cc5f361cfbee265296ca4b",
    "test1/sin_100.wav": "b17a97ca4b98624674246c3818a3f526a673382fff3c066b03dffbd1e1ee0a99",
    "test1/sin_325.wav": "925a9c11301cd1d36ae336037b7a475bb0826a8ec67219402303fe71a5ac63b4",
    "test1/sin_550.wav": "8eb3a0b6e795e3d6cb493cb238622eb56d82ec065c018a422d197f8400e22047",
    "test1/sin_775.wav": "442a2681e8ff59ee033e0dc9ff0320b99cae73f4046558e55d0d6ebc2a1aa525",
    "test1/sin_1000.wav": "a4516db06d0913117cb0faedb84298769dc3bbcdecb93fb33fa20d4ad089ed22",
    "test2/sin_100.wav": "aeca0f6952ca31896c1e93e087e5978ce298193515ddcf28f23e25165f27525d",
    "test2/sin_325.wav": "fe0c0e2a71bc64255c80561dab02c4fcd4e4b61dcf7b39211f377f2df71653c2",
    "test2/sin_550.wav": "eac65273ec57614a3770760601d3abe301a5a8391fdaa5c4b7aaf21b801e7c77",
    "test2/sin_775.wav": "9544d78c8245965e93355d42d077bcc74b8b5fda90f76d29f419dc6c7337c3f0",
    "test2/sin_1000.wav": "c38b75cf8aeb8fc41f4b15924f883fcaa17c4816bc10228ce129e03d645d7819",
}
# The background holds no sample beyond 16 bits, so it is the same in both modes.
CLIPPED = {name: digest for name, digest in WRAPPED.items() if name.startswith("background")} | {
    "test1/sin_100.wav": "ea658bfc77f01b840a42205720668a2a2af0b897caabc4e04ecfe87a0b47b5dd",
    "test1/sin_325.wav": "ca12da926fbcf1a9da3b291a1f0ba0b1a03f0c2fbcbcd62188244314fe3dab2c",
    "test1/sin_550.wav": "d6f08cc0a4c3737da446a61bd25087c7f16de5ad6526adf1098fc9362d822c28",
    "test1/sin_775.wav": "b6694a97f783fc505135433b964d233b1c32dced4fe3fa5444f06e9b0533c7a8",
    "test1/sin_1000.wav": "d3dc0f465e868d1363e6d9ef728cb51554aa96af2a6023df1bc8d5926ed6e8cf",
    "test2/sin_100.wav": "dd7360c1571adfd109c03e3517b7848d574810ec5e3819e03e2c3e1b0b7530bc",
    "test2/sin_325.wav": "844f918e7b17aaad64ecd6b585eb643a78c15ac6c9fb844dbf3a50f64e6d3a06",
    "test2/sin_550.wav": "f458970ad2455f8ce1bf4895fdd1bb1f8fae02f6b529eb61ad7d4e8602353b57",
    "test2/sin_775.wav": "1a73525a20bacf6e0adedc69ccd274bdb0d6281126afaafdf097c89c88c94e78",
    "test2/sin_1000.wav": "20651f9b84b13572eb5c3339494152c1403341f44893aa13a6a6d795a48f1047",
}
BEYOND = {"background": 0, "test1": 1529, "test2": 269}


def digests(folder):
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in Path(folder).rglob("*.wav")
    }


def everything(folder):
    return {path: path.is_file() and path.read_bytes() for path in Path(folder).rglob("*")}


@pytest.mark.parametrize("overflow, pinned", [("wrap", WRAPPED), ("clip", CLIPPED)])
def test_the_files_are_pinned(tmp_path, overflow, pinned):
    assert gen_audio.write(str(tmp_path), seed=0, overflow=overflow) == BEYOND
    assert digests(tmp_path) == pinned
    assert len(pinned) == 20


def test_nothing_is_near_a_change_of_its_truncated_value():
    """Truncation changes at whole numbers other than 0; the sine is exact to 1e-11 there."""
    for _, _, samples in gen_audio._tones(0):
        scaled = 2**15 * samples
        whole = np.round(scaled)
        assert np.min(np.abs(scaled - whole)[whole != 0]) > 1e-7


def test_files_and_lists(tmp_path, monkeypatch):
    """Paths in a list resolve from the working directory, and are all the files there are."""
    monkeypatch.chdir(tmp_path)
    gen_audio.write("some/where")
    for name, (count, _) in gen_audio.SETS.items():
        lines = Path("some/where", f"test_files_{name}.csv").read_text().splitlines()
        assert lines == sorted(str(path) for path in Path("some/where", name).iterdir())
        assert len(lines) == count
        assert all(line.startswith(os.path.join("some/where", name, "sin_")) for line in lines)
        for line in lines:
            rate, samples = scipy.io.wavfile.read(line)
            assert (rate, samples.shape, samples.dtype) == (16_000, (96_000,), np.int16)
    assert sorted(os.listdir("some/where")) == sorted(
        [*gen_audio.SETS, *(f"test_files_{name}.csv" for name in gen_audio.SETS)]
    )


def test_two_processes_agree(tmp_path):
    for folder in ("a", "b"):
        command = [sys.executable, "-m", "gen_audio", "--test_files", str(tmp_path / folder)]
        root = Path(gen_audio.__file__).parent
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        assert "5 files, 1529 samples wrapped" in done.stdout
    assert digests(tmp_path / "a") == digests(tmp_path / "b") == WRAPPED


def test_seeds_differ_in_the_noise_alone():
    zero, one = gen_audio.test_sets(seed=0), gen_audio.test_sets(seed=1)
    for name, files in zero.items():
        for file_name, samples in files.items():
            assert np.array_equal(samples, one[name][file_name]) == (name == "background")


@pytest.mark.parametrize("noise, level", [(1e-4, 76.99), (1e-5, 96.99)])
def test_level_of_the_noise(noise, level):
    """20 log10(sqrt(1/2) / noise); five standard errors, 8.69 / sqrt(2 n) dB each, are 0.1 dB."""
    clean = gen_audio.sine(550.0)
    added = gen_audio.sine(550.0, noise=noise, rng=np.random.RandomState(5)) - clean
    measured = 10 * np.log10(np.mean(clean**2) / np.mean(added**2))
    assert measured == pytest.approx(level, abs=5 * 8.69 / np.sqrt(2 * len(clean)) + 0.005)


def test_the_clean_and_the_clipped_files_have_no_jump():
    """A sine moves at most by its slope, 2 pi f / rate, plus one unit of truncation."""
    clipped = gen_audio.test_sets(overflow="clip")
    for name, (_, noise) in gen_audio.SETS.items():
        for file_name, samples in clipped[name].items():
            frequency = float(file_name[4:-4])
            most = 2**15 * (2 * np.pi * frequency / 15_999 + 12 * noise) + 1  # 2 x 6 sigma
            assert np.max(np.abs(np.diff(samples.astype(int)))) <= most
    wrapped = gen_audio.test_sets()["test1"]["sin_100.wav"].astype(int)
    assert np.max(np.abs(np.diff(wrapped))) > 65_000


def test_to_int16():
    samples = np.array([1.0, -1.0, 0.99999, -0.99999, 1.5, -1.00002, -1.0001, 0.0, 1e-9, -2e-5])
    wrap = gen_audio.to_int16(samples, overflow="wrap")
    clip = gen_audio.to_int16(samples, overflow="clip")
    assert wrap.dtype == clip.dtype == np.int16
    #                         -1.00002 is -32768.66, truncated to what fits; -1.0001 is -32771.3
    assert wrap.tolist() == [-32768, -32768, 32767, -32767, -16384, -32768, 32765, 0, 0, 0]
    assert clip.tolist() == [32767, -32768, 32767, -32767, 32767, -32768, -32768, 0, 0, 0]
    assert gen_audio.wrapped_samples(samples) == 3
    for bad in (np.nan, np.inf, 1e300):
        with pytest.raises(ValueError, match="finite"):
            gen_audio.to_int16(np.array([bad]))
    with pytest.raises(ValueError, match="wrapp"):
        gen_audio.to_int16(samples, overflow="wrapp")


def test_sine_errors():
    with pytest.raises(ValueError, match="rng"):
        gen_audio.sine(100.0, noise=0.1)
    with pytest.raises(ValueError, match="not negative"):
        gen_audio.sine(100.0, noise=-1.0, rng=np.random.RandomState(0))
    with pytest.raises(ValueError, match="at least 2"):
        gen_audio.sine(100.0, seconds=0.0)


# The command line


BAD = {
    "negative seed": (["--seed", "-1"], "seed is -1"),
    "large seed": (["--seed", str(2**32)], "seed is 4294967296"),
    "seed in words": (["--seed", "one"], "--seed"),
    "unknown flag": (["--sead", "1"], "--sead"),
    "abbreviated flag": (["--over", "clip"], "--over"),
    "overflow": (["--overflow", "wrapp"], "'wrapp'"),
    "empty folder": (["--test_files", ""], "test_files is ''"),
    "two lines": (["--test_files", "a\nb"], "on one line"),
    "a file": (["--test_files", "file"], "in the way"),
    "below a file": (["--test_files", "file/below"], "in the way"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_nothing_written(case, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("mine")
    before = everything(tmp_path)
    arguments, words = BAD[case]
    assert gen_audio.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.endswith("\n")
    assert err.startswith("gen_audio: error: ") and words in err
    assert everything(tmp_path) == before


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc, which even root cannot write")
def test_a_folder_that_cannot_be_written(capsys):
    assert gen_audio.main(["--test_files", "/proc/tones"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "cannot write /proc/tones" in err


@pytest.mark.parametrize("in_the_way", ["background", "test2", "test_files_test1.csv"])
def test_something_in_the_way_leaves_all_as_it_was(in_the_way, tmp_path, capsys):
    place = tmp_path / in_the_way
    if place.suffix:
        place.mkdir()
    else:
        place.write_text("mine")
    before = everything(tmp_path)
    assert gen_audio.main(["--test_files", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert everything(tmp_path) == before


def test_a_failure_while_writing_leaves_all_as_it_was(tmp_path, monkeypatch, capsys):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    (tmp_path / "mine.txt").write_text("mine")
    monkeypatch.setattr(scipy.io.wavfile, "write", full)
    for folder in (tmp_path, tmp_path / "new" / "deep"):
        before = everything(tmp_path)
        assert gen_audio.main(["--test_files", str(folder)]) == 2
        assert "No space left" in capsys.readouterr().err
        assert everything(tmp_path) == before


def test_an_earlier_run_is_replaced_and_other_files_are_kept(tmp_path, capsys):
    assert gen_audio.main(["--test_files", str(tmp_path), "--seed", "1"]) == 0
    (tmp_path / "background" / "mine.wav").write_text("mine")
    assert gen_audio.main(["--test_files", str(tmp_path), "--overflow", "clip"]) == 0
    assert "269 samples clipped" in capsys.readouterr().out
    assert (tmp_path / "background" / "mine.wav").read_text() == "mine"
    (tmp_path / "background" / "mine.wav").unlink()
    assert digests(tmp_path) == CLIPPED


def test_help_has_an_example(capsys):
    assert gen_audio.main(["--help"]) == 0
    assert 'python -m gen_audio --test_files "test_audio"' in capsys.readouterr().out
