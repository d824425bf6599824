"""Kills, a full disk, two writers, many files: what is in the tables in the end is what one calm run gives.

A process of its own forks what is killed, before it has any threads. The moments are counted in calls and not
in seconds: before the k-th call of a function, of Python's or of C, such as the one that renames a part.
"""

import hashlib
import importlib
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audio_distance.errors import AudioError
from songs import engine
from songs.scan import index
from songs.stages import each_song
from songs.tables import SAMPLES, connect

HERE = Path(__file__).parent
KILLS = 20
CHUNK = 3  # files: 8 parts of 22


def samples_of(path):
    """A stage that needs no sound: rows of a file's bytes; of two files none."""
    data = Path(path).read_bytes()
    content = hashlib.sha256(data).hexdigest()
    if Path(path).stem in {"07", "13"}:
        raise AudioError("0 samples")
    return [{"song": content, "sample": i, "rate": 8000, "codes": data[:i]} for i in range(3)]


def one_by_one(function, paths, schema, workers):
    """In place of a pool."""
    return (engine.rows_of(function, path, schema) for path in paths)


def work(music, tables, stage):
    if stage != "samples":
        index([music], tables, label_by_folder=True, workers=1, chunk=CHUNK)
    if stage != "index":
        each_song(SAMPLES, samples_of, tables, settings="s", workers=1, chunk=CHUNK)


def prepare():
    """Import once what every fork would import for itself."""
    engine._by_processes = one_by_one
    for name in ("pandas", "tinytag", "pyarrow.pandas_compat"):
        importlib.import_module(name)


def child(action):
    """Run in a fork; the process id."""
    pid = os.fork()
    if not pid:
        code = 1
        try:
            action()
            code = 0
        finally:
            os._exit(code)
    return pid


def ended(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def call_counted(action, last, told):
    """Run it; at the ``last`` call it is killed, else the number of calls is written."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        if event in ("call", "c_call"):
            calls += 1
            if calls == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(count)
    action()
    sys.setprofile(None)
    told.write_text(str(calls))


def disturb(folder, stage):
    """Tables of a calm run, and of as many as are killed once, each at another call, and then resumed."""
    prepare()
    music, told = folder / "music", folder / "calls"

    if stage == "samples":
        assert not ended(child(lambda: work(music, folder / "indexed", "index")))
        shutil.copytree(folder / "indexed", folder / "calm")
    assert not ended(child(lambda: call_counted(lambda: work(music, folder / "calm", stage), 0, told)))
    calls = int(told.read_text())
    moments = np.random.RandomState(14).randint(1, calls, KILLS)
    codes, parts = [], []
    for i, moment in enumerate(moments):
        tables = folder / f"killed_{i}"
        if stage == "samples":
            shutil.copytree(folder / "indexed", tables)
        codes.append(
            ended(child(lambda: call_counted(lambda: work(music, tables, stage), moment, told)))  # noqa: B023
        )
        parts.append(len(list(tables.glob(f"{'samples' if stage == 'samples' else 'files'}/*.parquet"))))
        assert not ended(child(lambda: work(music, tables, stage)))  # noqa: B023
    print(codes.count(-signal.SIGKILL), len(set(parts)))


def beside_each_other(folder):
    """Two who do the same at once, and one alone."""
    prepare()
    assert not ended(child(lambda: work(folder / "music", folder / "calm", "")))
    pids = [child(lambda: work(folder / "music", folder / "two", "")) for _ in range(2)]
    print(*[ended(pid) for pid in pids])


def fill_disk(folder, stage):
    """No file may grow beyond 2 kB: a part may not; then it may."""
    prepare()
    music = folder / "music"
    if stage == "samples":
        for name in ("calm", "full"):
            assert not ended(child(lambda: work(music, folder / name, "index")))  # noqa: B023
    assert not ended(child(lambda: work(music, folder / "calm", stage)))

    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, resource.RLIM_INFINITY))
        try:
            work(music, folder / "full", stage)
        except AudioError as error:
            print(error, flush=True)

    assert not ended(child(limited))
    left = [path.name for path in (folder / "full").rglob("*") if path.is_file()]
    print(len(left), flush=True)
    assert not ended(child(lambda: work(music, folder / "full", stage)))


@pytest.fixture
def collection(tmp_path, noise):
    """20 short files in two folders, two of them the same; and two that are no sound."""
    for i in range(20):
        folder = tmp_path / "music" / ("calm" if i % 2 else "loud")
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{i:02d}.wav", noise(max(i, 1), seconds=0.02), 8000)
    (tmp_path / "music" / "empty.wav").touch()
    (tmp_path / "music" / "text.ogg").write_text("<html>")
    return tmp_path


def alone(call, folder):
    """One of the functions above in a fresh process; what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", f"import test_songs_faults as f, pathlib; f.{call}"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(engine.CHECKOUT)])},
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr
    return done.stdout.splitlines()


def rows_of(tables):
    """All that the tables hold, but for the time of writing."""
    asked = {
        "files": "select * exclude (written) from files order by all",
        "songs": "from songs order by all",
        "samples": "select * exclude (written) from samples order by all",
    }
    with connect(tables) as connection:
        return {name: connection.sql(sql).fetchall() for name, sql in asked.items()}


@pytest.mark.parametrize("stage", ["index", "samples"])
def test_kills_at_any_moment(collection, stage):
    """A kill may come before the first part and after the last; most have parts before and behind them."""
    (line,) = alone(f"disturb(pathlib.Path({str(collection)!r}), {stage!r})", collection)
    killed, different = map(int, line.split())
    expected = rows_of(collection / "calm")
    assert len(expected["files"]) == 22
    assert len(expected["samples"]) == (17 * 3 + 2 if stage == "samples" else 0)
    assert killed >= KILLS - 2 and different >= 5
    for i in range(KILLS):
        assert rows_of(collection / f"killed_{i}") == expected


def test_two_writers_at_once(collection):
    assert alone(f"beside_each_other(pathlib.Path({str(collection)!r}))", collection) == ["0 0"]
    assert rows_of(collection / "two") == rows_of(collection / "calm")


@pytest.mark.parametrize(("stage", "table"), [("index", "files"), ("samples", "samples")])
def test_a_disk_that_is_full(collection, stage, table):
    before = 0 if stage == "index" else len(list((collection / "full").rglob("*.parquet")))
    reason, left = alone(f"fill_disk(pathlib.Path({str(collection)!r}), {stage!r})", collection)
    assert f"rows of {table} cannot be written to" in reason and "File too large" in reason
    assert "run it again to go on" in reason
    assert rows_of(collection / "full") == rows_of(collection / "calm")
    assert int(left) == before if stage == "index" else int(left) > 0


def test_many_small_files(tmp_path, noise, in_this_process):
    """Each is in the tables once, over several parts."""
    (tmp_path / "music").mkdir()
    for i in range(300):
        soundfile.write(tmp_path / "music" / f"{i:03d}.wav", noise(i, seconds=0.01), 8000)
    found = index([tmp_path / "music"], tmp_path / "tables", workers=1)
    assert found.read == 300 and not found.faults
    done = each_song(SAMPLES, samples_of, tmp_path / "tables", settings="s", workers=1)
    assert done.rows == 900
    assert len(rows_of(tmp_path / "tables")["songs"]) == 300
    assert len(list((tmp_path / "tables" / "files").iterdir())) == 5
