"""Spark gives the rows that processes give: in this machine, and by a cluster of a master and a worker."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import test_songs_engine as processes
import test_songs_faults as faults
import test_songs_places as addresses

from audio_distance.errors import AudioError
from songs import engine
from songs.sampling import Settings, sample_song
from songs.scan import index
from songs.stages import each_song
from songs.tables import SAMPLES, connect

pyspark = pytest.importorskip("pyspark")
if shutil.which("java") is None and not os.environ.get("JAVA_HOME"):
    pytest.skip("Spark needs Java", allow_module_level=True)

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def importable():
    """Workers of Spark have to find the functions of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(HERE))
        yield


@pytest.fixture(scope="module")
def local(importable):
    with engine.session("local[2]"):
        yield "local[2]"


@pytest.fixture
def rows(local):
    return partial(processes.rows, engine="spark", master=local)


class TestLocal:
    def test_the_rows_of_processes(self, rows):
        """Every type, null among integers and lists, names in any encoding, errors."""
        paths = processes.NAMES + processes.TRAPS
        assert rows(paths) == processes.expected(paths)

    def test_the_types_are_those_of_the_schema(self, local):
        schema = processes.SCHEMA
        (table,) = engine.run(
            processes.rows_of_name, ["abc"], schema=schema, engine="spark", master=local, workers=1
        )
        assert table.schema == engine.with_path_and_error(schema)

    def test_chunks(self, rows):
        paths = [f"{i:03d}" for i in range(50)]
        assert rows(paths, chunk=4) == processes.expected(paths)

    @pytest.mark.parametrize("trap", ["exit", "kill"])
    def test_a_death_costs_the_path_and_no_other(self, rows, trap):
        paths = [*map(str, range(9)), trap, *map(str, range(9, 12))]
        found = rows(paths)
        (dead,) = [row for row in found if row["error"]]
        assert dead["path_bytes"] == trap.encode() and "the process that read it died" in dead["error"]
        assert [row for row in found if not row["error"]] == processes.expected(set(paths) - {trap})

    def test_an_index_and_its_stage(self, local, tmp_path, noise):
        """The tables that both engines make are equal."""
        (tmp_path / "music").mkdir()
        for i, name in enumerate(["a.wav", "b c\n.flac", os.fsdecode(b"caf\xe9.ogg")]):
            with open(tmp_path / "music" / name, "wb") as file:
                soundfile.write(file, noise(i), 16000, format=("WAV", "FLAC", "OGG")[i])
        (tmp_path / "music" / "bad.mp3").write_text("no")
        found = {}
        for name in engine.ENGINES:
            index([tmp_path / "music"], tmp_path / name, engine=name, master=local, workers=1)
            with connect(tmp_path / name) as connection:
                found[name] = connection.sql("select * exclude (written) from files order by all").fetchall()
        assert found["spark"] == found["processes"] and len(found["spark"]) == 4

    def test_addresses_of_fsspec(self, rows, local, tmp_path):
        """The path is given on as it is; who reads it opens it."""
        pytest.importorskip("fsspec")
        (tmp_path / "song").write_bytes(b"12345")
        shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "song")
        addresses = [f"file://{tmp_path}/song", f"zip://song::file://{tmp_path}/packed.zip"]
        schema = pa.schema([("number", pa.int32())])
        for options in ({"engine": "spark", "master": local}, {"workers": 1}):
            (table,) = engine.run(size_of, addresses, schema=schema, **options)
            assert table["number"].to_pylist() == [5, 5] and table["error"].null_count == 2

    def test_an_index_of_addresses_and_its_stage(self, local, tmp_path, noise):
        """A file system over HTTP and an archive, opened by the workers of both engines; equal tables."""
        (tmp_path / "music" / "calm").mkdir(parents=True)
        for i, name in enumerate(["calm/a.wav", "b c.flac"]):
            soundfile.write(tmp_path / "music" / name, noise(i, seconds=1.0), 16000)
        (tmp_path / "music" / "bad.mp3").write_text("no")
        shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "music")
        hadoop = addresses.Hadoop(tmp_path)
        places = [f"{hadoop.root}/music", f"zip://music::file://{tmp_path}/packed.zip"]
        stage = partial(sample_song, settings=Settings(8000, count=2, seconds=0.3))
        found = {}
        for name in engine.ENGINES:
            options = {"engine": name, "master": local, "workers": 1}
            done = index(places, tmp_path / name, label_by_folder=True, **options)
            assert (done.read, len(done.faults)) == (6, 2)
            assert each_song(SAMPLES, stage, tmp_path / name, settings="s", **options).rows == 4
            with connect(tmp_path / name) as connection:
                found[name] = [
                    connection.sql(f"select * exclude (written) from {table} order by all").fetchall()
                    for table in ("files", "samples")
                ]
        hadoop.close()
        assert found["spark"] == found["processes"] and list(map(len, found["spark"])) == [6, 4]

    def test_an_open_session_stays_open(self, local):
        with engine.session("local[1]") as one, engine.session("local[2]") as other:
            assert one is other
        assert one.range(1).count() == 1


KILLED = 2  # a driver is a JVM that starts, ten seconds of CPU; 20 in the process pool's tests


class TestKilled:
    def test_a_driver_killed_at_any_moment(self, local, tmp_path, noise):
        """Resumed by Spark the tables are those of a calm run; the JVM of a killed driver ends by itself."""
        music, told = tmp_path / "music", tmp_path / "calls"
        for i in range(20):
            (music / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
            soundfile.write(music / "ab"[i % 2] / f"{i:02d}.wav", noise(i, seconds=0.02), 8000)
        (music / "text.ogg").write_text("<html>")
        faults.call_counted(lambda: by_spark(music, tmp_path / "calm", local), 0, told)
        expected, codes = faults.rows_of(tmp_path / "calm"), []
        assert [len(rows) for rows in expected.values()] == [21, 20, 18 * 3 + 2]
        for moment in np.random.RandomState(14).randint(1, int(told.read_text()), KILLED):
            tables = tmp_path / f"{moment}"
            done = alone(DRIVER, local, str(music), str(tables), str(moment), str(told))
            codes.append(done.returncode)
            assert codes[-1] in {0, -signal.SIGKILL}, done.stderr[-2000:]
            processes.until(lambda: has_ended(int(done.stdout)))  # noqa: B023
            by_spark(music, tables, local)
            assert faults.rows_of(tables) == expected
        # A run may have some calls less than another, and end before the last of the moments.
        assert codes.count(-signal.SIGKILL) >= KILLED - 1


# Counted from where the work begins: the start of a session is the longest part of it, and leaves nothing.
DRIVER = """
import pathlib, sys, test_songs_faults as faults, test_songs_spark as here
from songs import engine
master, music, tables, moment, told = sys.argv[1:]
with engine.session(master) as spark:
    print(spark.sparkContext._gateway.proc.pid, flush=True)
    work = lambda: here.by_spark(pathlib.Path(music), pathlib.Path(tables), master)
    faults.call_counted(work, int(moment), pathlib.Path(told))
"""


def by_spark(music, tables, master):
    options = {"engine": "spark", "master": master, "workers": 1, "chunk": 3}
    index([music], tables, label_by_folder=True, **options)
    each_song(SAMPLES, faults.samples_of, tables, settings="s", **options)


def has_ended(process):
    """Gone, or dead and waited for by nobody."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def size_of(address):
    import fsspec

    with fsspec.open(address, "rb") as file:
        return [{"number": len(file.read())}]


def alone(code, *arguments, **environment):
    """In a process without the session of this one."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(engine.CHECKOUT)]), **environment},
    )


class TestCluster:
    @pytest.fixture
    def master(self, tmp_path):
        """A master and a worker on loopback, at ports that are free."""
        port, other = free_ports(2)
        home = Path(pyspark.__file__).parent
        spark = ["bash", str(home / "bin" / "spark-class")]  # becomes Java's process, with all that it needs
        kind = "org.apache.spark.deploy"
        address = f"spark://127.0.0.1:{port}"
        options = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
        environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_HOME": str(home)}
        here = ["--host", "127.0.0.1", "--webui-port", "0"]
        worker = ["--cores", "1", "--memory", "2g", "--work-dir", str(tmp_path)]  # an executor asks for 1 GB
        started = []
        try:
            for part in (
                [f"{kind}.master.Master", *here, "--port", str(port)],
                [f"{kind}.worker.Worker", *here, "--port", str(other), *worker, address],
            ):
                started.append(subprocess.Popen([*spark, *part], env=environment, **options))
                processes.until(lambda: answers((port, other)[len(started) - 1]))
            yield address
        finally:
            for process in started:
                process.kill()
                process.wait()

    def test_gives_the_same_rows(self, master):
        """Also of a path that kills its worker."""
        code = (
            "import sys, test_songs_engine as p\n"
            "paths = p.NAMES + p.TRAPS\n"
            "found = p.rows([*paths, 'exit'], engine='spark', master=sys.argv[1], chunk=9)\n"
            "assert [row for row in found if row['path_bytes'] != b'exit'] == p.expected(paths)\n"
            "print(*[row['error'] for row in found if row['path_bytes'] == b'exit'])\n"
        )
        done = alone(code, master)
        assert done.returncode == 0 and "process that read it died" in done.stdout, done.stderr[-2000:]
        assert not re.search("log4j|log level| WARN | ERROR ", done.stderr), done.stderr


class TestRefusals:
    def test_nobody_listens(self):
        (port,) = free_ports(1)
        end = f"engine spark: no master answers at spark://127.0.0.1:{port}"
        with pytest.raises(AudioError, match=end):
            engine._refuse_silent(f"spark://127.0.0.1:{port}")
        with pytest.raises(AudioError, match="no master answers at spark://nonsense"):
            engine._refuse_silent("spark://nonsense")
        engine._refuse_silent("local[2]")

    def test_a_cluster_without_a_worker(self, local, monkeypatch):
        """This session has no executor but the driver."""
        monkeypatch.setattr(engine, "PATIENCE", 0.2)
        with (
            engine.session(local) as spark,
            pytest.raises(AudioError, match="gave no worker within 0 s; likely"),
        ):
            engine._wait_for_worker(spark, "spark://x:1")

    def test_no_java(self, tmp_path):
        code = (
            "from songs import engine\nimport pyarrow as pa, sys\n"
            "from audio_distance.errors import AudioError\n"
            "options = {'schema': pa.schema([]), 'engine': 'spark', 'master': 'local[1]'}\n"
            "try:\n    list(engine.run(len, ['a'], **options))\n"
            "except AudioError as error:\n    print(error)\n"
        )
        done = alone(code, PATH=str(tmp_path) + os.pathsep + "/bin", JAVA_HOME=str(tmp_path))
        assert "engine spark: no session at local[1]" in done.stdout and "likely no Java" in done.stdout

    def test_no_pyspark(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pyspark.sql", None)
        with (
            pytest.raises(AudioError, match="pyspark is not installed; pip install"),
            engine.session("local"),
        ):
            pass


def free_ports(count):
    with_ports = [socket.socket() for _ in range(count)]
    try:
        for one in with_ports:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in with_ports]
    finally:
        for one in with_ports:
            one.close()


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        time.sleep(0.1)
        return False
    return True
