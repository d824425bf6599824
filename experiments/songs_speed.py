"""How many songs a minute, on how many workers, at what memory, and what would a million cost?

Songs rendered for the purpose (``study.datasets.songs``), 32 s each, through index and features of ``songs``
as the commands run them: by processes and by Spark in this machine, one worker and two. Beside it the time of
one song of four minutes by part (decoding, features, writing), and index, query and nearest songs at ``MANY``
songs, which are files of a tenth of a second and drawn features.

Conventions
    seconds    of wall clock, the start of the pool or of Spark included; the best of ``REPEATS``.
    a minute   songs of four minutes described in one, measured on two processes.
    peak       largest resident set of a process and its largest child, MiB.
    cost       of songs of four minutes on two cores, from rates that were measured: on paper beyond ``MANY``.
"""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile

from audio_distance.audio import read
from songs import engine
from songs.features import Settings, describe_song
from songs.fingerprint import fingerprint_song
from songs.neighbours import nearest
from songs.reading import samples_of_songs
from songs.sampling import samples_of
from songs.scan import index
from songs.stages import each_song
from songs.tables import FILES, connect, features, write_part
from study.datasets import songs as rendered

DATA = ()
NEEDS = ("the extras songs and spark, and Java",)
TAKES = "ten minutes"

RATE = 22_050  # Hz
SETTINGS = Settings(RATE, count=6)
DEFAULT = Settings(RATE)  # 30 samples of 5 s
MANY = 10_000
REPEATS = 2
SONGS_TIMED = 12  # of four minutes
ON_PAPER = (100, 1_000, 10_000, 100_000, 1_000_000)
MINUTES = 4  # of a song of the cost
PUBLISHED = {
    "1": 701.9,
    "2": 388.9,
    "4": 196.2,
}  # seconds of Spark by local cores, of the study that is rebuilt


def run(*, quick: bool = False) -> dict:
    """Engines, parts of a song, many songs, cost; ``quick`` takes fewer and shorter songs."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        artists = 1 if quick else 4
        rendered.render(place / "music", artists_per_style=artists, songs_per_artist=2)
        engines, same = _engines(place, repeats=1 if quick else REPEATS)
        song = place / "song.ogg"
        _long_song(place / "music", song, seconds=20 if quick else 60 * MINUTES)
        parts = _parts(song)
        minute = _a_minute(place, seconds=20 if quick else 60 * MINUTES)
        many = _many(place, 200 if quick else MANY)
    return {
        "published": {"spark_seconds": PUBLISHED},
        "songs": 4 * artists * 2,
        "engines": engines,
        "same_rows": same,
        "parts": parts,
        "songs_a_minute": minute,
        "many": many,
        "cost": _cost(parts, many),
    }


def _engines(place: Path, *, repeats: int) -> tuple[dict[str, dict[str, float]], bool]:
    """Seconds of index and features by engine and workers; whether all wrote the same rows."""
    function = partial(describe_song, settings=SETTINGS)
    seconds: dict[str, dict[str, float]] = {}
    rows = []
    for name, options in (
        ("processes", [{"engine": "processes", "workers": workers} for workers in (1, 2)]),
        ("Spark", [{"engine": "spark", "master": f"local[{workers}]"} for workers in (1, 2)]),
    ):
        for workers, option in zip((1, 2), options, strict=True):
            best = np.inf
            for repeat in range(repeats):
                tables = place / f"{name}-{workers}-{repeat}"
                start = time.perf_counter()
                index([place / "music"], tables, **option)
                each_song(features(), function, tables, settings=SETTINGS.digest, **option)
                best = min(best, time.perf_counter() - start)
            seconds.setdefault(name, {})[str(workers)] = best
            rows.append(_rows(tables))
    return seconds, all(one == rows[0] for one in rows[1:])


def _rows(tables: Path) -> str:
    """All rows but the time of writing, as text: there a number that is not computed is equal to itself."""
    with connect(tables, only=("features",)) as connection:
        rows = connection.sql("select * exclude (written) from features order by song, sample")
        return repr(rows.fetchall())


def _long_song(music: Path, song: Path, *, seconds: int) -> None:
    """A song in stereo at 44.1 kHz, of the rendered ones joined."""
    signals = [read(path)[0] for path in sorted(music.rglob("*.flac"))]
    joined = np.resize(np.concatenate(signals)[:, 0], seconds * RATE)
    stereo = np.repeat(joined, 2)[:, None] * np.array([[1.0, 0.9]])
    with soundfile.SoundFile(song, "w", 2 * RATE, 2, format="OGG", subtype="VORBIS") as file:
        for block in np.array_split(stereo, seconds):  # libsndfile fails on a long write of Vorbis
            file.write(block)


def _a_minute(place: Path, *, seconds: int) -> float:
    """Songs of ``seconds`` that two processes described in a minute: their features, 30 samples of 5 s each.

    Of wall clock, from files to rows, the start of the pool included.
    """
    folder = place / "long"
    folder.mkdir()
    for number in range(SONGS_TIMED):
        _long_song(place / "music", folder / f"{number}.ogg", seconds=seconds)  # no two Ogg files are alike
    tables = place / "long-tables"
    start = time.perf_counter()
    index([folder], tables, workers=2)
    function = partial(describe_song, settings=DEFAULT)
    stage = each_song(features(), function, tables, settings=DEFAULT.digest, workers=2)
    assert stage.songs == SONGS_TIMED and not stage.faults
    return 60 * SONGS_TIMED / (time.perf_counter() - start)


def _parts(song: Path) -> dict[str, float]:
    """CPU seconds of one song, by part; the best of three, in one process."""
    path = str(song)
    schema = engine.with_path_and_error(features().schema)

    def best(function) -> float:
        times = []
        for _ in range(3):
            start = time.process_time()
            function()
            times.append(time.process_time() - start)
        return min(times)

    rows = describe_song(path, DEFAULT)  # which compiles and imports what is needed
    found = {
        "all": best(lambda: describe_song(path, DEFAULT)),
        "decoding and sampling": best(lambda: samples_of(path, DEFAULT)),
        "fingerprint": best(lambda: fingerprint_song(path)),
        "harmonic": best(lambda: describe_song(path, Settings(RATE, harmonic=True))),
    }
    with tempfile.TemporaryDirectory() as folder:
        table = pa.Table.from_pylist(rows, schema=schema)
        found["writing"] = best(lambda: write_part(Path(folder), features(), table))
    found["features"] = found["all"] - found["decoding and sampling"]
    return found


def _many(place: Path, number: int) -> dict[str, float]:
    """Index, query and nearest songs at many songs, in a process of their own, which tells its peak."""
    command = [sys.executable, "-c", _MANY.format(number=number, place=str(place / "many"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    return json.loads(done.stdout.splitlines()[-1])


_MANY = """
import experiments.songs_speed as speed
if __name__ == "__main__":
    speed.print_many({number}, {place!r})
"""


def print_many(number: int, folder: str) -> None:
    """What ``_many`` tells, as JSON."""
    place = Path(folder)
    (place / "music").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in range(number):
        soundfile.write(place / "music" / f"{i:05}.wav", rng.normal(0, 0.1, RATE // 10), RATE)
    found: dict[str, float] = {"songs": number}

    def timed(name, function):
        start = time.perf_counter()
        function()
        found[name] = time.perf_counter() - start

    timed("index", lambda: index([place / "music"], place / "tables", workers=2))
    timed("index again", lambda: index([place / "music"], place / "tables", workers=2))

    def query():
        with connect(place / "tables") as connection:
            connection.sql("select rate, count(*), sum(seconds) from songs group by 1").fetchall()

    timed("query", query)
    vectors = rng.normal(size=(number, 300))
    songs = [f"{i:064x}" for i in range(number)]
    columns = [f"feature_{i}" for i in range(300)]
    timed("nearest", lambda: nearest(vectors, vectors[0], k=10, songs=songs, columns=columns))
    _drawn_features(place / "tables", songs, rng)
    timed("reading features", lambda: samples_of_songs(place / "tables", DEFAULT))
    # Not ru_maxrss, which starts at what the parent had when it forked.
    own = int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text(encoding="utf-8"))[1])
    child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    found |= {"peak": own / 1024, "peak of a worker": child / 1024}
    print(json.dumps(found))


def _drawn_features(tables: Path, songs: Sequence[str], rng: np.random.Generator) -> None:
    """Features of 30 samples a song that nobody heard, in parts of 500 songs, as ``features`` writes them.

    The views are left out, which nothing reads that learns.
    """
    rows = [
        {"path": content, "path_bytes": content.encode(), "content": content, "label": "good"}
        for content in songs
    ]
    write_part(tables, FILES, rows)
    schema = features().schema
    for start in range(0, len(songs), 500):
        song = np.repeat(songs[start : start + 500], DEFAULT.count)
        columns = {"song": song, "settings": [DEFAULT.digest] * len(song)}
        columns["sample"] = np.tile(np.arange(DEFAULT.count), len(song) // DEFAULT.count)
        for field in schema:
            size = field.type.list_size if pa.types.is_fixed_size_list(field.type) else 1
            if pa.types.is_floating(field.type) and field.name not in columns:
                columns[field.name] = rng.normal(size=len(song))
            elif size > 1 and field.name != "views":
                drawn = pa.array(rng.normal(size=len(song) * size).astype(np.float32))
                columns[field.name] = pa.FixedSizeListArray.from_arrays(drawn, size)
        write_part(tables, features(), pa.table(columns))


def _cost(parts: dict[str, float], many: dict[str, float]) -> dict:
    """Hours of every stage on two cores, by number of songs."""
    an_hour = 3600
    each = {  # seconds of two cores
        "index": many["index"] / many["songs"],
        "features": (parts["all"] + parts["writing"]) / 2,
        "fingerprints": parts["fingerprint"] / 2,
    }
    return {
        "songs": list(ON_PAPER),
        "measured_to": many["songs"],
        "hours": {
            stage: [seconds * songs / an_hour for songs in ON_PAPER] for stage, seconds in each.items()
        },
    }


def summary(found: dict) -> str:
    """Songs a minute, engines, memory."""
    lines = [f"{found['songs_a_minute']:.0f} songs of {MINUTES} minutes a minute on two cores"]
    for name, seconds in found["engines"].items():
        lines.append(f"{name:10} {seconds['1']:.1f} s on one worker, {seconds['2']:.1f} s on two")
    many = found["many"]
    lines.append(f"same rows: {found['same_rows']}; peak at {many['songs']:,}: {many['peak']:.0f} MiB")
    return "\n".join(lines)
