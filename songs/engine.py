"""One function over many paths: in a pool of processes, or on a Spark cluster; the same rows from both.

Conventions
    function   pure and picklable: path in, rows (dictionaries) out. What it raises is the error of its path.
    chunk      paths whose rows are given out, and can be written, together: what an interrupt loses at most.
    rows       an Arrow table: ``path_bytes``, the columns asked for, ``error``. Their order is no matter: it
               differs between engines and from run to run.

Spark is given paths, not what the files hold: its workers read them, from a disk they share or by fsspec.
"""

from __future__ import annotations

import concurrent.futures as futures
import itertools
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from tqdm import tqdm

from audio_distance.errors import AudioError
from audio_distance.extraction import end_with
from audio_distance.output import printable

Rows = Sequence[dict[str, Any]]
Function = Callable[[str], Rows]

ENGINES = ("processes", "spark")
CHECKOUT = Path(__file__).parents[1]
CHUNK = 64  # paths for each worker
PER_TASK = 4  # paths: a task of Spark costs tens of ms, and a song a second


def run(
    function: Function,
    paths: Sequence[str],
    *,
    schema: pa.Schema,
    engine: str = "processes",
    workers: int | None = None,
    master: str = "local[*]",
    stage: str = "reading",
    progress: bool | None = None,
) -> Iterator[pa.Table]:
    """Rows of all paths, chunk by chunk.

    Parameters
    ----------
    function : path -> rows
        Without rows there is one of its path alone, so that every path is accounted for.
    paths : (n,) paths, or addresses that fsspec opens (s3a://, hdfs://) if the function does
    schema : Arrow schema of the rows
        What the function gives beside it is dropped, what it lacks is null.
    engine : "processes" or "spark"
    workers : int, optional
        Processes of the pool, by default one for each core. Spark has as many as ``master`` says.
    master : str
        Spark's: local[N] in this machine, spark://HOST:PORT of a cluster that is there already. Its workers
        need Python with the same packages, and this checkout under the same path.
    stage, progress
        What the bar is called, and whether it is shown: None, on a terminal.

    Raises
    ------
    ValueError
        Another engine.
    AudioError
        Spark or Java is not installed, or the master does not answer.
    """
    if engine not in ENGINES:
        raise ValueError(f"engine: {engine!r} is none of {', '.join(ENGINES)}")
    with_path = with_path_and_error(schema)
    shown = sys.stderr.isatty() if progress is None else progress
    with tqdm(total=len(paths), unit="file", desc=stage, disable=not shown, leave=False) as bar:
        if engine == "spark":
            chunks = _by_spark(function, paths, with_path, master)
        else:
            chunks = _by_processes(function, paths, with_path, workers or os.cpu_count() or 1, bar.update)
        for chunk in chunks:
            yield chunk
            if engine == "spark":
                bar.update(pc.count_distinct(chunk["path_bytes"]).as_py())


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
        reason = str(error)
    except Exception as error:  # of any decoder: the row says which
        reason = f"{type(error).__name__}: {error}"
    return _failed(path, reason, schema)


def _failed(path: bytes, reason: str, schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"path_bytes": path, "error": printable(reason)}], schema=schema)


def _chunks(paths: Iterable[str], size: int) -> Iterator[list[bytes]]:
    encoded = (os.fsencode(path) for path in paths)
    while chunk := list(itertools.islice(encoded, size)):
        yield chunk


# --------------------------------------------------------------------------------------------- processes


def _by_processes(
    function: Function,
    paths: Iterable[str],
    schema: pa.Schema,
    workers: int,
    done: Callable[[int], Any],
) -> Iterator[pa.Table]:
    """The pool is made again when a worker dies, which is what a decoder's crash looks like.

    Whose file it was cannot be known of several that were open: each is then tried alone.
    """
    pool = _pool(workers)
    try:
        for chunk in _chunks(paths, CHUNK * workers):
            batches, unknown = _tried(pool, function, chunk, schema, done)
            if unknown:
                pool.shutdown(cancel_futures=True)
                for path in unknown:
                    batches.append(_alone(function, path, schema))
                    done(1)
                pool = _pool(workers)
            yield pa.Table.from_batches(batches, schema=schema)
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(workers: int) -> futures.ProcessPoolExecutor:
    # Spawned, not forked: a fork copies locks of threads that it does not copy, and one state of a generator
    # for all. https://docs.python.org/3/library/multiprocessing.html#contexts-and-start-methods
    return futures.ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
    )


def _begin(parent: int) -> None:
    """A worker computes in one thread, for there is one for each core, and ends with who started it."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    end_with(parent)


def _tried(
    pool: futures.ProcessPoolExecutor,
    function: Function,
    chunk: Sequence[bytes],
    schema: pa.Schema,
    done: Callable[[int], Any],
) -> tuple[list[pa.RecordBatch], list[bytes]]:
    """Rows, and the paths of which there are none because a process died."""
    batches, unknown = [], []
    try:
        started = {pool.submit(rows_of, function, path, schema): path for path in chunk}
    except futures.process.BrokenProcessPool:
        return [], list(chunk)
    for future, path in started.items():
        try:
            batches.append(future.result())
            done(1)
        except futures.process.BrokenProcessPool:
            unknown.append(path)
    return batches, unknown


def _alone(function: Function, path: bytes, schema: pa.Schema) -> pa.RecordBatch:
    with _pool(1) as pool:
        try:
            return pool.submit(rows_of, function, path, schema).result()
        except futures.process.BrokenProcessPool:
            return _failed(
                path, "the process that read it died; likely a fault of a decoder, or of memory", schema
            )


# ------------------------------------------------------------------------------------------------- Spark


def _by_spark(function: Function, paths: Iterable[str], schema: pa.Schema, master: str) -> Iterator[pa.Table]:
    """Arrow batches in and out of Spark's Python workers: nullable integers and lists keep their types.

    ``mapInPandas`` would turn an integer with a null into a float.
    """
    with _session(master) as spark:
        from pyspark.sql.pandas.types import from_arrow_schema

        spark_schema = from_arrow_schema(schema)
        asked = pa.schema([pa.field("path_bytes", pa.binary())])
        parallel = spark.sparkContext.defaultParallelism

        def described(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for batch in batches:
                for path in batch["path_bytes"].to_pylist():
                    yield rows_of(function, path, schema)

        for chunk in _chunks(paths, CHUNK * parallel):
            frame = spark.createDataFrame(pa.table({"path_bytes": chunk}, schema=asked))
            tasks = max(1, len(chunk) // PER_TASK)
            yield frame.repartition(tasks).mapInArrow(described, spark_schema).toArrow().cast(schema)


@contextmanager
def _session(master: str) -> Iterator[Any]:
    """A session of Spark, ended afterwards; on this machine it talks to no other."""
    try:
        from pyspark.sql import SparkSession
    except ModuleNotFoundError:
        raise AudioError(
            'engine spark: pyspark is not installed; pip install "audio-distance[spark]"'
        ) from None
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else the workers take python3 of the path
    here = master.startswith("local") or "//127.0.0.1" in master
    builder = SparkSession.builder.master(master).appName("songs")
    for key, value in {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
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
            f"engine spark: no session at {master} ({printable(str(error).splitlines()[0])}); likely no Java "
            "(JDK 17: apt-get install openjdk-17-jre-headless), or no cluster at that address"
        ) from None
    try:
        yield spark
    finally:
        spark.stop()
