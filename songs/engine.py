"""One function over many paths: in a pool of processes, or on a Spark cluster; the same rows from both.

Conventions
    function   pure and picklable: path in, rows (dictionaries) out. What it raises is the error of its path,
               and so is the death of the process that runs it.
    chunk      paths whose rows are given out, and can be written, together: what an interrupt loses at most.
    rows       an Arrow table: ``path_bytes``, the columns asked for, ``error``. The rows of one path are
               together in one chunk; else their order is no matter, and differs from run to run.

Spark is given paths, not what the files hold: its workers read them, from a disk they share or by fsspec.
"""

from __future__ import annotations

import concurrent.futures as futures
import itertools
import multiprocessing
import os
import signal
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
from tqdm import tqdm

from audio_distance.errors import AudioError
from audio_distance.extraction import end_with
from audio_distance.output import printable

Rows = Sequence[dict[str, Any]]
Function = Callable[[str], Rows]

ENGINES = ("processes", "spark")
CHECKOUT = Path(__file__).parents[1]
CHUNK = 64  # paths for each worker
AHEAD = 3  # paths for each worker that are handed out: none waits for the next one, few are lost with a pool
PER_TASK = 4  # paths: a task of Spark costs tens of ms, and a song a second
PATIENCE = 60.0  # seconds in which a cluster has to give a worker
_DIED = "the process that read it died; likely a fault of a decoder, or of memory"


def run(
    function: Function,
    paths: Sequence[str],
    *,
    schema: pa.Schema,
    engine: str = "processes",
    workers: int | None = None,
    master: str = "local[*]",
    chunk: int = CHUNK,
    stage: str = "reading",
    progress: bool | None = None,
) -> Iterator[pa.Table]:
    """Rows of all paths, chunk by chunk.

    Parameters
    ----------
    function : path -> rows
        Without rows there is one of its path alone, so that every path is accounted for.
    paths : (n,) paths, or addresses that fsspec opens (s3a://, hdfs://), as every stage of songs does
    schema : Arrow schema of the rows
        What the function gives beside it is dropped, what it lacks is null.
    engine : "processes" or "spark"
    workers : int, optional
        Processes of the pool, by default one for each core. Spark has as many as ``master`` says.
    master : str
        Spark's: local[N] in this machine, spark://HOST:PORT of a cluster that is there already. Its workers
        need Python with the same packages, and this checkout under the same path.
    chunk : int
        Paths for each worker, 64 by default. All rows of a chunk are in memory: fewer where they are large.
    stage, progress
        What the bar is called, and whether it is shown: None, on a terminal.

    Raises
    ------
    ValueError
        Another engine.
    AudioError
        No worker can be started. Spark or Java is not installed, the master does not answer, or gives no
        worker; or the cluster is lost on the way.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine: {engine!r} is none of {', '.join(ENGINES)}")
    if not paths:
        return
    with_path = with_path_and_error(schema)
    shown = sys.stderr.isatty() if progress is None else progress
    workers = workers or os.cpu_count() or 1
    encoded = map(os.fsencode, paths)
    if engine == "spark":
        outcomes = _by_spark(function, encoded, with_path, master, chunk)
    else:
        outcomes = _by_processes(function, encoded, with_path, workers)
    with tqdm(total=len(paths), unit="file", desc=stage, disable=not shown, leave=False) as bar:
        batches = []
        for batch in outcomes:
            bar.update()
            batches.append(batch)
            if len(batches) == chunk * workers:
                yield pa.Table.from_batches(batches)
                batches = []
        if batches:
            yield pa.Table.from_batches(batches)


def with_path_and_error(schema: pa.Schema) -> pa.Schema:
    """The schema of what ``run`` gives."""
    own = [field for field in schema if field.name not in {"path_bytes", "error"}]
    return pa.schema([pa.field("path_bytes", pa.binary()), *own, pa.field("error", pa.string())])


def rows_of(function: Function, path: bytes, schema: pa.Schema) -> pa.RecordBatch:
    """What a worker does with one path; nothing that its function raises ends a run."""
    try:
        rows: Rows = function(os.fsdecode(path)) or [{}]
        return pa.RecordBatch.from_pylist([{**row, "path_bytes": path} for row in rows], schema=schema)
    except AudioError as error:
        return _failed(path, str(error), schema)
    except Exception as error:  # of any decoder: the row says which
        return _failed(path, f"{type(error).__name__}: {error}", schema)


def _failed(path: bytes, reason: str, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"path_bytes": path, "error": printable(reason)}], schema=schema)


# --------------------------------------------------------------------------------------------- processes


def _by_processes(
    function: Function, paths: Iterator[bytes], schema: pa.Schema, workers: int
) -> Iterator[pa.RecordBatch]:
    """The pool is made again when a worker dies, which is what a decoder's crash looks like.

    Whose file it was cannot be known of several that were open: each is then tried alone.
    """
    pool = _pool(workers, function)
    pending: dict[futures.Future[pa.RecordBatch], bytes] = {}
    try:
        while True:
            suspects: list[bytes] = []
            try:
                for path in itertools.islice(paths, AHEAD * workers - len(pending)):
                    suspects = [path]  # in no one's hands yet
                    pending[pool.submit(rows_of, function, path, schema)] = path
                suspects = []
            except BrokenProcessPool:
                pass
            if not pending and not suspects:
                return
            for future in futures.wait(pending, return_when=futures.FIRST_COMPLETED).done:
                path = pending.pop(future)
                try:
                    yield future.result()
                except BrokenProcessPool:
                    suspects.append(path)
            if suspects:
                pool.shutdown()
                suspects += pending.values()
                pending.clear()
                yield from _alone(function, suspects, schema)
                pool = _pool(workers, function)
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(function: Function, paths: Iterable[bytes], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """One path after another in a process of its own, and in a new one after each that dies."""
    pool = _pool(1, function)
    try:
        for path in paths:
            try:
                batch = pool.submit(rows_of, function, path, schema).result()
            except BrokenProcessPool:
                batch = _failed(path, _DIED, schema)
                pool.shutdown()
                pool = _pool(1, function)
            yield batch
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(workers: int, function: Function) -> futures.ProcessPoolExecutor:
    """Processes that have what the function needs; AudioError if they end before they are given any work."""
    # Spawned, not forked: a fork copies locks of threads that it does not copy, and one state of a generator
    # for all. https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods
    pool = futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
    )
    try:
        pool.submit(_has_arrived, function).result()
    except BrokenProcessPool:
        pool.shutdown()
        raise AudioError(
            f"no worker process can be started for {function!r}; likely a script without "
            'if __name__ == "__main__", a function of a module that the workers do not find, or no memory'
        ) from None
    return pool


def _has_arrived(function: Function) -> bool:
    return callable(function)


def _begin(parent: int) -> None:
    """A worker computes in one thread, for there is one for each core, and ends with who started it."""
    from threadpoolctl import threadpool_limits

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of Ctrl-C the parent tells it
    threadpool_limits(1)
    end_with(parent)


# ------------------------------------------------------------------------------------------------- Spark


def _by_spark(
    function: Function, paths: Iterator[bytes], schema: pa.Schema, master: str, chunk: int
) -> Iterator[pa.RecordBatch]:
    """Each path's rows come as the record batch that a process gives, which Spark hands on as it is.

    Columns of Spark's own would have neither lists of a fixed length nor, by way of pandas, integers that
    are null.
    """

    def described(path: bytes) -> pa.RecordBatch:
        return rows_of(function, path, schema)

    with session(master) as spark:
        context = spark.sparkContext
        while several := list(itertools.islice(paths, chunk * context.defaultParallelism)):
            yield from _collected(context, described, several, schema)


def _collected(
    context: Any, described: Callable[[bytes], pa.RecordBatch], paths: Sequence[bytes], schema: pa.Schema
) -> list[pa.RecordBatch]:
    """Of all paths; where a worker has died, of each half alone, down to the path that kills it."""
    from py4j.protocol import Py4JError

    try:
        tasks = -(-len(paths) // PER_TASK)
        return context.parallelize(paths, tasks).map(described).collect()
    except Py4JError as error:
        text = str(error)
    if "Python worker exited unexpectedly" not in text:
        raise AudioError(
            f"engine spark: {_cause(text)}; likely a worker without the same Python packages and this "
            f"checkout ({CHECKOUT}), or a cluster that has ended: run it again to go on"
        )
    if len(paths) == 1:
        return [_failed(paths[0], _DIED, schema)]
    middle = len(paths) // 2
    return [
        batch
        for half in (paths[:middle], paths[middle:])
        for batch in _collected(context, described, half, schema)
    ]


def _cause(text: str) -> str:
    """Of pages of a stack trace the line that says why."""
    lines = text.splitlines() or [""]
    causes = [line for line in lines if line.startswith("Caused by: ")] or [
        line for line in lines if "Exception: " in line
    ]
    return printable((causes or lines)[-1].removeprefix("Caused by: ").strip()[:500])


@contextmanager
def session(master: str) -> Iterator[Any]:
    """A session of Spark, which ``run`` uses as long as it is open; on this machine it talks to no other.

    One that is open already is used, and left open. ``AudioError`` as of ``run``.
    """
    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)  # not used
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise AudioError(
            'engine spark: pyspark is not installed; pip install "audio-distance[spark]"'
        ) from None
    if (spark := SparkSession.getActiveSession()) is not None:
        yield spark
        return
    _refuse_silent(master)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else the workers take python3 of the path
    os.environ.setdefault("LOG4J_CONFIGURATION_FILE", str(Path(__file__).with_name("log4j2.properties")))
    here = master.startswith("local") or "//127.0.0.1" in master
    if here:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")  # else the JVM looks for one, and says so
    builder = SparkSession.builder.master(master).appName("songs")
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        # Where this checkout lies on the workers' disks too; and one thread for each of them.
        "spark.executorEnv.PYTHONPATH": os.pathsep.join([str(CHECKOUT), os.environ.get("PYTHONPATH", "")]),
        "spark.executorEnv.OMP_NUM_THREADS": "1",
        "spark.executorEnv.OPENBLAS_NUM_THREADS": "1",
        **({"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"} if here else {}),
    }.items():
        builder = builder.config(key, value)
    try:
        spark = builder.getOrCreate()
    except Exception as error:
        raise AudioError(
            f"engine spark: no session at {master} ({_cause(str(error))}); likely no Java "
            "(JDK 17: apt-get install openjdk-17-jre-headless), or a cluster that starts no executor"
        ) from None
    try:
        if master.startswith("spark:"):
            _wait_for_worker(spark, master)
        yield spark
    finally:
        spark.stop()


def _refuse_silent(master: str) -> None:
    """AudioError if nobody listens where the master should: Spark itself would try for a minute."""
    for address in master.removeprefix("spark://").split(",") if master.startswith("spark://") else ():
        host, _, port = address.rpartition(":")
        try:
            socket.create_connection((host, int(port)), timeout=10).close()
            return
        except (OSError, ValueError) as error:
            reason = error
    if master.startswith("spark://"):
        raise AudioError(f"engine spark: no master answers at {master} ({reason}); likely it is not running")


def _wait_for_worker(spark: Any, master: str) -> None:
    """Until the cluster gives one: without it a job waits for ever, and says nothing."""
    end = time.monotonic() + PATIENCE
    while spark.sparkContext._jsc.sc().getExecutorMemoryStatus().size() < 2:  # the driver is one
        if time.monotonic() > end:
            raise AudioError(
                f"engine spark: {master} gave no worker within {PATIENCE:.0f} s; likely it has none, or all "
                "of their cores or memory are taken"
            )
        time.sleep(0.1)
