"""The same set described by several processes, on several machines, and after its caller was killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import pytest

import metrics
from audio_distance import extraction

RATE = 16000
ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(folder_of, tmp_path):
    """Two folders below one, a file that cannot be read in one of them, and sounds of several windows."""
    folder_of("set/a", range(5))
    folder_of("set/b", range(20, 23), seconds=3.2)
    folder_of("set/b/c", range(30, 34), extension="flac")
    (tmp_path / "set" / "b" / "bad.wav").write_bytes(b"no sound")
    return tmp_path / "set"


@pytest.fixture
def folder_of(tmp_path, noise):
    import soundfile

    def write(name, seeds, *, extension="wav", seconds=0.3):
        (tmp_path / name).mkdir(parents=True)
        for seed in seeds:
            soundfile.write(tmp_path / name / f"{seed:02d}.{extension}", noise(seed, seconds), RATE)

    return write


def assert_same(found, expected):
    found, expected = found.to_arrays(), expected.to_arrays()
    assert list(found) == list(expected)
    for key in expected:
        assert found[key].dtype == expected[key].dtype and found[key].tobytes() == expected[key].tobytes()


class TestJoin:
    def test_folders_described_apart(self, folder, tmp_path):
        whole = metrics.describe(folder, on_error="skip")
        parts = {name: metrics.describe(folder / name, on_error="skip") for name in ("b", "a")}
        assert len(whole) == 12 and len(whole.skipped) == 1
        assert_same(metrics.join(parts, name=str(folder)), whole)
        for name, part in parts.items():
            part.save(tmp_path / f"{name}.npz")
        saved = {name: tmp_path / f"{name}.npz" for name in parts}
        assert_same(metrics.join(saved, name=str(folder)), whole)

    def test_files_of_one_folder_in_any_order(self, folder):
        files = sorted((folder / "a").iterdir())
        parts = [metrics.describe(files[i::2]) for i in (1, 0)]
        assert_same(metrics.join(iter(parts)), metrics.describe(files))
        assert metrics.join(parts).name == "set" and metrics.join(parts, name="all").name == "all"
        assert metrics.join([parts[0]]).name == "set"

    def test_joining_twice_is_joining_once(self, folder):
        files = sorted((folder / "b").rglob("[0-9]*"))
        parts = [metrics.describe(files[i::3]) for i in range(3)]
        assert_same(metrics.join([metrics.join(parts[:2]), parts[2]]), metrics.join(parts))

    def test_folders_whose_names_sort_otherwise_than_their_paths(self, folder):
        """ "a-b/x" is before "a/x" as text, and behind it as a path."""
        shutil.copytree(folder / "a", folder / "a-b")
        shutil.rmtree(folder / "b")
        parts = {name: metrics.describe(folder / name) for name in ("a", "a-b")}
        assert_same(metrics.join(parts, name=str(folder)), metrics.describe(folder))

    def test_it_is_a_set_like_others(self, folder):
        shutil.rmtree(folder / "b" / "c")
        (folder / "b" / "bad.wav").unlink()
        parts = {name: metrics.describe(folder / name) for name in ("a", "b")}
        joined = metrics.join(parts)
        for function in (metrics.distance, lambda *sets: metrics.compare(*sets, permutations=99).p_value):
            assert function(joined, parts["a"]) == function(folder, parts["a"])

    def test_what_differs_is_named(self, folder):
        a = metrics.describe(folder / "a")
        narrow = metrics.describe(folder / "a", bandwidth_rate=8000, name="narrow")
        with pytest.raises(
            metrics.AudioError, match=r"part 1 \(narrow\) has the bandwidth_rate 8000, and part 0"
        ):
            metrics.join([a, narrow])
        with pytest.raises(metrics.AudioError, match=r"part 'old' \(.*a\) has the recipe 0-abc.*one release"):
            metrics.join({"new": a, "old": extraction.Description(a.name, RATE, "0-abc", (), a.sounds)})
        with pytest.raises(
            metrics.AudioError, match=r"the name '00.wav' is in part 0 and in part 1; give parts"
        ):
            metrics.join([a, a])
        with pytest.raises(metrics.AudioError, match="no parts"):
            metrics.join([])
        assert len(metrics.join({"once": a, "again": a})) == 10


class TestBackends:
    @pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
    def test_joblibs_own(self, folder, backend):
        expected = metrics.describe(folder, on_error="skip")
        with joblib.parallel_config(backend=backend, n_jobs=2):
            found = metrics.describe(folder, on_error="skip")
        assert_same(found, expected)

    def test_what_the_caller_has_set_is_used(self, folder, monkeypatch):
        """For little audio too; workers= goes before it, and one worker is this process."""
        seen = []
        monkeypatch.setattr(
            extraction,
            "_in_parallel",
            lambda batches, job, workers: (
                seen.append(workers) or [[extraction._Outcome(None, "x: bad")] * 13]
            ),
        )
        for options in ({}, {"workers": 2}, {"workers": 1}):
            with joblib.parallel_config(backend="threading", n_jobs=3), pytest.raises(metrics.AudioError):
                metrics.describe(folder, **options)
        assert seen == [3, 2]
        with pytest.raises(metrics.AudioError):
            metrics.describe(folder)
        assert seen == [3, 2]

    def test_a_dask_cluster_of_two_processes(self, folder, noise, tmp_path):
        """Over the wire as between machines, but for the address."""
        distributed = pytest.importorskip("distributed")
        expected = metrics.describe(folder, on_error="skip")
        options = {"dashboard_address": None, "host": "127.0.0.1", "threads_per_worker": 1}
        sides = [[noise(10 * side + i) for i in range(8)] for side in range(2)]

        def by_whom(signal, rate):
            (tmp_path / "pids").mkdir(exist_ok=True)
            (tmp_path / "pids" / str(os.getpid())).touch()
            time.sleep(0.05)
            return signal[:4]

        with (
            distributed.LocalCluster(n_workers=2, processes=True, **options) as cluster,
            distributed.Client(cluster) as client,
        ):
            with joblib.parallel_config(backend="dask"):
                assert_same(metrics.describe(folder, on_error="skip"), expected)
                value = metrics.distance(*sides, rate=RATE, embedding=by_whom)
            by = {int(path.name) for path in (tmp_path / "pids").iterdir()}
            assert by == set(client.run(os.getpid).values()) and len(by) == 2 and os.getpid() not in by
            assert value == metrics.distance(*sides, rate=RATE, embedding=by_whom)
            # Its own map, then reduce.
            parts = client.map(
                lambda part: metrics.describe(part, on_error="skip"), [folder / "a", folder / "b"]
            )
            joined = metrics.join(dict(zip("ab", client.gather(parts), strict=True)), name=str(folder))
            assert_same(joined, expected)


CALLER = """
import sys, time
import numpy as np
import metrics

def slow(signal, rate):
    print("describing", flush=True)
    time.sleep(float(sys.argv[1]))
    return signal[:4]

sounds = np.random.default_rng(0).normal(0, 0.1, (8, 1600))
metrics.distance(sounds[:4], sounds[4:], rate=16000, embedding=slow, workers=2)
print("idle", flush=True)
time.sleep(60)
"""


def descendants(pid):
    """Of a process, itself left out: from /proc."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}


def running(pid):
    """Whether a process is there, and not one that has ended and waits to be asked."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize(
    ("sleep", "line"), [(60, "describing"), (60, "describing"), (60, "describing"), (0, "idle"), (0, "idle")]
)
def test_workers_end_when_their_caller_is_killed(sleep, line):
    """In the middle of a sound, and while they wait for more: 21 of 24 kills used to leave them behind."""
    caller = subprocess.Popen(
        [sys.executable, "-c", CALLER, str(sleep)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    with caller:
        while line not in caller.stdout.readline():
            assert caller.poll() is None
        workers = descendants(caller.pid)
        assert len(workers) >= 2
        os.kill(caller.pid, signal.SIGKILL)
    end = time.monotonic() + 10
    while (left := [pid for pid in workers if running(pid)]) and time.monotonic() < end:
        time.sleep(0.1)
    assert not left
