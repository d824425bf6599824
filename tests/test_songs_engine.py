"""Processes: every path is accounted for, whatever its function does, and none outlives who started it."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pyarrow as pa
import pytest

from audio_distance.errors import AudioError
from songs import engine
from songs.__main__ import main
from songs.engine import run
from songs.stages import each_song
from songs.tables import FILES, SAMPLES, connect, write_part

SCHEMA = pa.schema(
    [
        ("number", pa.int16()),
        ("pair", pa.list_(pa.float32(), 2)),
        ("several", pa.list_(pa.float32())),
        ("codes", pa.binary()),
        ("text", pa.string()),
    ]
)


def rows_of_name(path):
    """One row a character of the name, at most three, of every type and with nulls; some names are traps."""
    name = os.path.basename(path)
    if name == "exit":
        os._exit(3)
    if name == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "refuse":
        raise AudioError("3 Hz, and the limit is 4")
    if name == "fail":
        raise KeyError("x")
    if name == "type":
        return [{"number": "no number"}]
    if name == "none":
        return []
    return [
        {
            "number": None if i == 1 else i,
            "pair": None if i == 2 else [i, -0.5],
            "several": [0.1] * i,
            "codes": os.fsencode(name) * i,
            "text": ascii(name),
            "beside": 1,
        }
        for i in range(min(len(name), 3))
    ]


def slow(path):
    time.sleep(0.05)
    return [{"number": os.getpid() % 30000, "text": path}]


def rows(paths, **options):
    """All that ``run`` gives, sorted, as what can be compared."""
    found = [row for table in run(rows_of_name, paths, schema=SCHEMA, **options) for row in table.to_pylist()]
    return sorted(found, key=lambda row: (row["path_bytes"], row["number"] or 0, row["pair"] is None))


NAMES = ["a", "bc", "def", "caf\u00e9", "two\nlines", "\u97f3 'quoted\"", os.fsdecode(b"\xff\xe9"), "x" * 250]
TRAPS = ["refuse", "fail", "type", "none"]
EXPECTED_ERRORS = {
    "refuse": "3 Hz, and the limit is 4",
    "fail": "KeyError: 'x'",
    "type": "ArrowInvalid: ",
    "none": "",
}


def expected(paths):
    """What one process and no engine gives."""
    schema = engine.with_path_and_error(SCHEMA)
    found = [
        row for path in paths for row in engine.rows_of(rows_of_name, os.fsencode(path), schema).to_pylist()
    ]
    return sorted(found, key=lambda row: (row["path_bytes"], row["number"] or 0, row["pair"] is None))


class TestRows:
    def test_of_all_paths(self):
        found = rows(NAMES + TRAPS, workers=2)
        assert found == expected(NAMES + TRAPS)
        errors = {os.fsdecode(row["path_bytes"]): row["error"] or "" for row in found}
        for name, reason in EXPECTED_ERRORS.items():
            assert errors[name].startswith(reason) and bool(errors[name]) == bool(reason)
        assert {os.fsdecode(row["path_bytes"]) for row in found} == {*NAMES, *TRAPS}

    def test_come_in_chunks_and_keep_together(self):
        paths = [f"{i:03d}" for i in range(11)]
        sizes = [table.num_rows for table in run(rows_of_name, paths, schema=SCHEMA, workers=1, chunk=4)]
        assert sizes == [12, 12, 9]

    def test_the_types_are_those_of_the_schema(self):
        (table,) = run(rows_of_name, ["abc"], schema=SCHEMA, workers=1)
        assert table.schema.names == ["path_bytes", *SCHEMA.names, "error"]
        assert [table.schema.field(field.name).type for field in SCHEMA] == SCHEMA.types

    def test_of_no_paths(self):
        assert list(run(rows_of_name, [], schema=SCHEMA)) == []

    def test_are_made_by_several_processes_that_are_not_this_one(self):
        (table,) = run(slow, list(map(str, range(40))), schema=SCHEMA, workers=2)
        numbers = set(table["number"].to_pylist())
        assert len(numbers) == 2 and os.getpid() % 30000 not in numbers

    def test_an_unknown_engine(self):
        with pytest.raises(ValueError, match="engine: 'dask' is none of processes, spark"):
            list(run(rows_of_name, ["a"], schema=SCHEMA, engine="dask"))


class TestDeath:
    @pytest.mark.parametrize("trap", ["exit", "kill"])
    def test_costs_the_path_and_no_other(self, trap):
        paths = [*map(str, range(12)), trap, *map(str, range(12, 20))]
        found = rows(paths, workers=2)
        (dead,) = [row for row in found if row["error"]]
        assert dead["path_bytes"] == trap.encode() and "the process that read it died" in dead["error"]
        assert [row for row in found if not row["error"]] == expected(set(paths) - {trap})

    def test_of_every_path(self):
        found = rows([f"{i}/exit" for i in range(2)], workers=1)
        assert [bool(row["error"]) for row in found] == [True] * 2

    def test_before_any_work_is_told_at_once(self, tmp_path):
        """A script without its guard starts itself in every worker, and each ends with an error."""
        script = tmp_path / "script.py"
        script.write_text(
            "import pyarrow as pa\nfrom songs.engine import run\n"
            "def function(path):\n    return []\n"
            "print(list(run(function, ['a'] * 1000, schema=pa.schema([]), workers=2)))\n"
        )
        done = subprocess.run(
            [sys.executable, str(script)],
            capture_output=True,
            text=True,
            timeout=100,
            env={**os.environ, "PYTHONPATH": str(engine.CHECKOUT)},
        )
        assert done.returncode and 'likely a script without if __name__ == "__main__"' in done.stderr

    def test_workers_end_when_their_parent_is_killed(self, tmp_path):
        script = tmp_path / "script.py"
        script.write_text(
            "import os, sys, time\nimport pyarrow as pa\nfrom songs.engine import run\n"
            "def function(path):\n"
            "    open(os.path.join(sys.argv[1], str(os.getpid())), 'w').close()\n"
            "    time.sleep(60)\n"
            "if __name__ == '__main__':\n"
            "    list(run(function, ['a', 'b', 'c'], schema=pa.schema([]), workers=2))\n"
        )
        (tmp_path / "pids").mkdir()
        parent = subprocess.Popen(
            [sys.executable, str(script), str(tmp_path / "pids")],
            env={**os.environ, "PYTHONPATH": str(engine.CHECKOUT)},
        )
        try:
            until(lambda: len(list((tmp_path / "pids").iterdir())) == 2)
        finally:
            parent.kill()
            parent.wait()
        pids = [int(path.name) for path in (tmp_path / "pids").iterdir()]
        until(lambda: not any(map(is_running, pids)))


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition, seconds=100):
    """Wait for what must come; only a fault takes so long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


# ------------------------------------------------------------------------------------------------ stages


def content_of(path):
    """The song of a stub: what the file says it is."""
    return Path(path).read_text()


def stub_samples(path, count):
    """As ``sampling.sample_song``: rows of one song; of "bad" none."""
    content = content_of(path)
    if content == "bad":
        raise AudioError("no sound in it")
    if content == "empty":
        return []
    return [{"song": content, "sample": i, "rate": 8000, "codes": content.encode() * i} for i in range(count)]


@pytest.fixture
def collection(tmp_path, in_this_process):
    """Songs whose content is their text; two files of one song, one of a name that is not UTF-8."""
    (tmp_path / "songs").mkdir()
    names = {"a": "1", "b": "2", "copy of b": "2", os.fsdecode(b"\xff\n'"): "3", "d": "bad"}
    for name, text in names.items():
        (tmp_path / "songs" / name).write_text(text)
    paths = [str(tmp_path / "songs" / name) for name in names]
    rows = [
        {"path": ascii(path), "path_bytes": os.fsencode(path), "content": text}
        for path, text in zip(paths, names.values(), strict=True)
    ]
    write_part(tmp_path / "tables", FILES, rows)
    return tmp_path


class TestStage:
    @staticmethod
    def stage(collection, count, **options):
        options = {"workers": 1, "settings": f"{count}", **options}
        return each_song(SAMPLES, partial(stub_samples, count=count), collection / "tables", **options)

    @staticmethod
    def samples(collection):
        with connect(collection / "tables") as connection:
            return connection.sql(
                "select settings, song, sample, rate, codes, error from samples order by all"
            ).fetchall()

    def test_every_song_once_and_its_error_in_a_row(self, collection):
        done = self.stage(collection, 2)
        assert (done.songs, done.done_before, done.rows) == (4, 0, 6)
        ((path, reason),) = done.faults
        assert path.endswith("d'") and reason == "no sound in it"
        good = [("2", song, i, 8000, song.encode() * i, None) for song in "123" for i in range(2)]
        assert self.samples(collection) == [*good, ("2", "bad", None, None, None, "no sound in it")]

    def test_again_only_what_has_failed(self, collection):
        self.stage(collection, 2)
        (collection / "songs" / "d").write_text("bad")
        done = self.stage(collection, 2)
        assert (done.done_before, done.rows, len(done.faults)) == (3, 0, 1)
        done = self.stage(collection, 3)
        assert (done.done_before, done.rows) == (0, 9)
        assert len(self.samples(collection)) == 17

    def test_new_songs_are_added(self, collection):
        self.stage(collection, 1)
        path = str(collection / "songs" / "e")
        Path(path).write_text("5")
        write_part(
            collection / "tables", FILES, [{"path": path, "path_bytes": path.encode(), "content": "5"}]
        )
        assert (self.stage(collection, 1).rows, len(self.samples(collection))) == (1, 5)

    def test_a_file_that_was_changed_meanwhile(self, collection):
        (collection / "songs" / "a").write_text("other")
        done = self.stage(collection, 2)
        reasons = {path[-3:]: reason for path, reason in done.faults}
        assert reasons["/a'"] == "changed since it was indexed; run index again"
        assert [row[-1] for row in self.samples(collection) if row[1] == "1"] == [reasons["/a'"]]
        assert not [row for row in self.samples(collection) if row[1] == "other"]

    def test_a_song_without_rows_is_a_fault(self, collection):
        (collection / "songs" / "a").write_text("empty")
        assert (
            "no rows" in dict((path[-3:], reason) for path, reason in self.stage(collection, 2).faults)["/a'"]
        )

    def test_nothing_is_indexed(self, tmp_path):
        with pytest.raises(
            AudioError, match=r"no song is indexed in .*; first: python -m songs index FOLDER"
        ):
            self.stage(tmp_path, 1)


class TestCommand:
    """``samples`` with a stub in place of what cuts songs."""

    def test_options_reach_the_function(self, collection, monkeypatch, capsys):
        class Settings(SimpleNamespace):
            def __init__(self, rate, count, seconds):
                if rate < 1000:
                    raise ValueError(f"rate={rate}; was it given in kHz?")
                super().__init__(count=count, digest=f"{count}x{seconds:g}@{rate}")

        stub = ModuleType("songs.sampling")
        stub.Settings = Settings
        stub.sample_song = lambda path, settings: stub_samples(path, settings.count or 1)
        monkeypatch.setitem(sys.modules, "songs.sampling", stub)
        arguments = ["samples", "--tables", str(collection / "tables"), "--workers", "1"]
        assert main([*arguments, "--count", "2", "--seconds", "0.5", "--rate", "8000"]) == 1
        out, err = capsys.readouterr()
        assert out == "4 songs: 0 done before, 6 rows written to samples (2x0.5@8000), 1 songs without\n"
        assert err.endswith("d': no sound in it\n") and err.count("\n") == 1
        assert main([*arguments, "--whole"]) == 1 and "(Nonex5@22050)" in capsys.readouterr().out
        assert main([*arguments, "--rate", "44"]) == 1
        assert capsys.readouterr().err == "error: rate=44; was it given in kHz?\n"
        with pytest.raises(SystemExit, match="2"):
            main([*arguments[:-1], "0"])
        assert "at least 1 is needed" in capsys.readouterr().err
