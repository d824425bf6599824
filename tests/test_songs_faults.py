"""Kills, a full disk, two writers, many files: what is in the tables in the end is what one calm run gives.

A process of its own forks what is killed, before it has any threads. The moments are counted in calls and not
in seconds: before the k-th call of a function, of Python's or of C, such as the one that renames a part.
"""

import hashlib
import importlib
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import test_songs_fetch as fetching

from audio_distance.errors import AudioError
from songs import engine, features, sampling, tables
from songs.catalogues import Song
from songs.distances import description_rows
from songs.features import describe_song
from songs.fetch import fetch
from songs.fingerprint import fingerprint_song
from songs.polite import Client, Limits
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


def stages():
    """Of every stage beside the index its table, and what the workers do with a song: first one of these
    tests, then the real ones, as cheap as they can be asked for."""
    drawn = sampling.Settings(16000, count=2, seconds=0.2)
    return {
        "samples": (SAMPLES, samples_of),
        "real samples": (SAMPLES, partial(sampling.sample_song, settings=drawn)),
        "features": (
            tables.features(),
            partial(describe_song, settings=features.Settings(16000, count=2, seconds=0.2)),
        ),
        "fingerprints": (tables.FINGERPRINTS, fingerprint_song),
        "descriptions": (tables.DESCRIPTIONS, partial(description_rows, settings=drawn)),
    }


def work(music, folder, stage):
    """The index, a stage of one that is there, or (of "") both."""
    if stage in {"index", ""}:
        index([music], folder, label_by_folder=True, workers=1, chunk=CHUNK)
    if stage != "index":
        table, function = stages()[stage or "samples"]
        each_song(table, function, folder, settings="s", workers=1, chunk=CHUNK if table is SAMPLES else 1)


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


def killed_somewhere(run, told):
    """Exit codes of ``KILLS`` runs, ``run(i, moment)``, each killed at a call that is drawn among all.

    The last is killed at its last call, when every part is written, where hardly any draw is. How many calls
    a run has hangs a little on how long it takes, so one may end before its moment. It has told how many it
    had, and is made again, at the same share of those; ``run`` begins anew.
    """
    for i, share in enumerate([*np.random.RandomState(14).random_sample(KILLS - 1), 1.0]):
        for _ in range(5):
            code = run(i, max(1, round(share * int(told.read_text()))))
            if code:
                break
        yield code


def disturb(folder, stage):
    """Tables of a calm run, and of as many as are killed once, each at another call, and then resumed."""
    prepare()
    music, told = folder / "music", folder / "calls"
    table = "files"
    if stage != "index":
        assert not ended(child(lambda: work(music, folder / "indexed", "index")))
        table = stages()[stage][0].name
        if stage != "samples":  # what is loaded, compiled and cached with the first song is so in every fork
            stages()[stage][1](str(next(music.glob("*/*.wav"))))

    def run(tables, last):
        if stage != "index" and not tables.exists():
            shutil.copytree(folder / "indexed", tables)
        if last is None:
            return ended(child(lambda: work(music, tables, stage)))
        return ended(child(lambda: call_counted(lambda: work(music, tables, stage), last, told)))

    assert not run(folder / "calm", 0)

    def run_anew(i, moment):
        shutil.rmtree(folder / f"killed_{i}", ignore_errors=True)
        return run(folder / f"killed_{i}", moment)

    codes, parts = [], []
    for i, code in enumerate(killed_somewhere(run_anew, told)):
        tables = folder / f"killed_{i}"
        codes.append(code)
        parts.append(len(list(tables.glob(f"{table}/*.parquet"))))
        assert not run(tables, None)
    print(codes.count(-signal.SIGKILL), len(set(parts)))


def disturb_fetching(folder, root):
    """Folders of songs of a calm run, and of killed ones that were run again."""
    asked = [Song(f"{root}/{i}.wav", "", f"Song {i}", "", "CC0") for i in range(4)]
    told = folder / "calls"

    def bring(out):
        with Client(Limits(delay=0)) as client:
            assert all(outcome.record for outcome in fetch(asked, out, client=client))

    assert not ended(child(lambda: call_counted(lambda: bring(folder / "calm"), 0, told)))

    def run_anew(i, moment):
        shutil.rmtree(folder / f"killed_{i}", ignore_errors=True)
        return ended(child(lambda: call_counted(lambda: bring(folder / f"killed_{i}"), moment, told)))

    codes, whole = [], []
    for i, code in enumerate(killed_somewhere(run_anew, told)):
        out = folder / f"killed_{i}"
        codes.append(code)
        whole.append(len(list(out.glob("*.wav"))))
        assert not ended(child(lambda: bring(out)))  # noqa: B023
    print(codes.count(-signal.SIGKILL), len(set(whole)))


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


def rows_of(folder, stage="samples"):
    """All that the tables hold, but for the time of writing; as text, in which NaN is NaN."""
    table = "samples" if stage in {"index", "samples"} else stages()[stage][0].name
    asked = {
        "files": "select * exclude (written) from files order by all",
        "songs": "from songs order by all",
        table: f"select * exclude (written) from {table} order by all",
    }
    with connect(folder, only=("files", table)) as connection:
        return {name: list(map(repr, connection.sql(sql).fetchall())) for name, sql in asked.items()}


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


@pytest.fixture
def songs_of_seconds(tmp_path, noise):
    """5 songs, of which one is silent, in two folders."""
    for i in range(5):
        folder = tmp_path / "music" / ("calm" if i % 2 else "loud")
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{i}.wav", noise(i, seconds=4.0) if i else np.zeros(16000), 16000)
    return tmp_path


@pytest.mark.parametrize(
    ("stage", "rows"), [("real samples", 9), ("features", 9), ("fingerprints", 5), ("descriptions", 9)]
)
def test_kills_at_any_moment_of_the_real_stages(songs_of_seconds, stage, rows):
    """Two rows a song, or one; and one of the silent song, with its error, which a new run tries again."""
    folder = songs_of_seconds
    (line,) = alone(f"disturb(pathlib.Path({str(folder)!r}), {stage!r})", folder)
    killed, different = map(int, line.split())
    expected = rows_of(folder / "calm", stage)
    assert len(expected[stages()[stage][0].name]) == rows
    assert killed >= KILLS - 2 and different >= 3
    for i in range(KILLS):
        assert rows_of(folder / f"killed_{i}", stage) == expected


def test_kills_at_any_moment_of_fetching(tmp_path):
    """Every song is the original, and the table tells of each once; nothing half done is left."""
    server, songs = fetching.Server(), [fetching.sound(8, seed=i) for i in range(4)]  # 128 kB each
    server.answer |= {f"/{i}.wav": fetching.ranged(data) for i, data in enumerate(songs)}
    (line,) = alone(f"disturb_fetching(pathlib.Path({str(tmp_path)!r}), {server.root!r})", tmp_path)
    server.close()
    killed, different = map(int, line.split())
    assert killed >= KILLS - 2 and different >= 3
    expected = fetched(tmp_path / "calm")
    assert [data for name, data in expected.items() if name.endswith(".wav")] == songs
    for i in range(KILLS):
        assert fetched(tmp_path / f"killed_{i}") == expected


def fetched(folder):
    """The files of a folder of songs, but for the time of fetching."""
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {
        name: data if name.endswith(".wav") else re.sub(rb"20\d\d-\d\d-[\dT:.+Z-]+", b"then", data)
        for name, data in sorted(found.items())
    }


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
