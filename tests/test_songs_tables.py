"""The tables of a collection: parts that are whole or not there, and one row that counts of each key."""

import csv
import io
import os
import subprocess
import sys
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audio_distance.errors import AudioError
from songs import tables
from songs.__main__ import main
from songs.tables import FILES, SAMPLES, connect, write_part


def file_row(path, content="c", **more):
    return {"path": path, "path_bytes": os.fsencode(path), "content": content, **more}


def sample_row(song, sample, settings="s", **more):
    return {"song": song, "settings": settings, "sample": sample, **more}


def asked(folder, sql, **options):
    with connect(folder, **options) as connection:
        return connection.sql(sql).fetchall()


class TestParts:
    def test_there_and_back(self, tmp_path):
        """Every type of the schema, and null."""
        row = file_row("/x", bytes=2**40, seconds=1.5, rate=44100, channels=2, year=1999, gone=False)
        write_part(tmp_path, FILES, [row])
        (found,) = connect(tmp_path).sql("from files").to_arrow_table().to_pylist()
        assert {name: found[name] for name in row} == row and found["artist"] is None

    def test_units_go_into_the_file(self, tmp_path):
        part = write_part(tmp_path, FILES, [file_row("/x")])
        assert pq.read_schema(part).field("seconds").metadata[b"unit"] == b"s"

    def test_no_rows_are_no_part(self, tmp_path):
        assert write_part(tmp_path, FILES, []) is None and not list(tmp_path.iterdir())

    def test_an_arrow_table_is_taken_with_columns_of_less(self, tmp_path):
        rows = pa.table({"path_bytes": [b"x"], "rate": pa.array([8000], pa.int64()), "other": [1]})
        write_part(tmp_path, FILES, rows)
        assert asked(tmp_path, "select path_bytes, rate, artist from files") == [(b"x", 8000, None)]

    def test_a_part_is_never_changed(self, tmp_path):
        part = write_part(tmp_path, FILES, [file_row("/x")])
        before = part.read_bytes()
        write_part(tmp_path, FILES, [file_row("/x", "d")])
        assert part.read_bytes() == before and len(list((tmp_path / "files").iterdir())) == 2

    def test_a_full_disk_leaves_nothing(self, tmp_path, monkeypatch):
        def full(*_, **__):
            raise OSError(28, "No space left on device")

        write_part(tmp_path, FILES, [file_row("/x")])
        with (
            monkeypatch.context() as patch,
            pytest.raises(AudioError, match=r"1 rows of files .*No space left"),
        ):
            patch.setattr(os, "fsync", full)  # all has been written by then, but nothing renamed
            write_part(tmp_path, FILES, [file_row("/y")])
        assert len(list((tmp_path / "files").iterdir())) == 1
        write_part(tmp_path, FILES, [file_row("/y")])
        assert asked(tmp_path, "select path from files order by 1") == [("/x",), ("/y",)]

    def test_a_file_in_place_of_the_folder(self, tmp_path):
        (tmp_path / "files").write_text("")
        with pytest.raises(AudioError, match="cannot be written to"):
            write_part(tmp_path, FILES, [file_row("/x")])

    def test_what_killed_writers_left_is_swept_after_an_hour(self, tmp_path):
        old, new = (tmp_path / "files" / f".{name}.part" for name in ("old", "new"))
        for folder in (old, new):
            folder.mkdir(parents=True)
            (folder / "x.parquet").write_bytes(b"half")
        os.utime(old, (time.time() - 3700,) * 2)
        write_part(tmp_path, FILES, [file_row("/x")])
        assert new.exists() and not old.exists()
        assert asked(tmp_path, "select count(*) from files") == [(1,)]


class TestViews:
    def test_the_last_row_of_a_key_counts(self, tmp_path):
        for content in ("a", "b", "c"):
            write_part(tmp_path, FILES, [file_row("/x", content), file_row(f"/{content}", content)])
        assert asked(tmp_path, "select content from files where path = '/x'") == [("c",)]
        assert asked(tmp_path, "select count(*) from files") == [(4,)]

    def test_samples_of_a_song_are_of_one_run(self, tmp_path):
        """A second run that gave fewer leaves none of the first; other settings lie beside them."""
        write_part(tmp_path, SAMPLES, [sample_row("a", i, rate=8000) for i in range(3)])
        write_part(tmp_path, SAMPLES, [sample_row("a", i, "other") for i in range(5)])
        write_part(tmp_path, SAMPLES, [sample_row("a", i, rate=16000) for i in range(2)])
        found = asked(
            tmp_path, "select settings, count(*), any_value(rate) from samples group by 1 order by 1"
        )
        assert found == [("other", 5, None), ("s", 2, 16000)]

    def test_what_is_gone_is_left_out_until_it_is_back(self, tmp_path):
        for gone, expected in ((None, 1), (True, 0), (None, 1)):
            write_part(tmp_path, FILES, [file_row("/x", gone=gone)])
            assert asked(tmp_path, "select count(*) from files") == [(expected,)]

    def test_songs_are_contents_that_can_be_read(self, tmp_path):
        rows = [
            file_row("/b", "1", title="B"),
            file_row("/a", "1", title="A"),
            file_row("/c", "2", error="no"),
        ]
        write_part(tmp_path, FILES, rows)
        assert asked(tmp_path, "select content, copies, path, title from songs") == [("1", 2, "/a", "A")]

    def test_without_parts_they_are_empty(self, tmp_path):
        for name in ("files", "songs", "samples"):
            assert asked(tmp_path / "none", f"select count(*) from {name}") == [(0,)]

    def test_a_folder_whose_name_is_a_pattern(self, tmp_path):
        folder = tmp_path / "a[b]* 'c'?"
        write_part(folder, FILES, [file_row("/x")])
        assert asked(folder, "select path from files") == [("/x",)]

    def test_columns_of_a_later_version(self, tmp_path):
        """Old parts lack them, new parts have more: both are read."""
        old = FILES.schema.empty_table().select(["path", "path_bytes", "gone", "error", "content", "written"])
        (tmp_path / "files").mkdir()
        one = pa.Table.from_pylist([{**file_row("/old"), "written": 1}], schema=old.schema)
        pq.write_table(one, tmp_path / "files" / "1.parquet")
        assert asked(tmp_path, "select path, artist, rate from files") == [("/old", None, None)]
        assert asked(tmp_path, "select path, license from songs") == [("/old", None)]
        more = one.append_column("mood", pa.array(["calm"])).set_column(0, "path", pa.array(["/new"]))
        more = more.set_column(1, "path_bytes", pa.array([b"/new"]))
        pq.write_table(more, tmp_path / "files" / "2.parquet")
        found = asked(tmp_path, "select path, mood, artist from files order by 1")
        assert found == [("/new", "calm", None), ("/old", None, None)]

    def test_a_column_of_another_type_is_refused(self, tmp_path):
        part = write_part(tmp_path, FILES, [file_row("/x")])
        rows = pq.read_table(part)
        place = rows.schema.get_field_index("rate")
        pq.write_table(rows.set_column(place, "rate", pa.array(["8000"])), tmp_path / "files" / "z.parquet")
        with pytest.raises(
            AudioError, match=r"z\.parquet: the column rate is string, and int32 in the table"
        ):
            connect(tmp_path)

    def test_of_features_the_parts_say_the_types(self, tmp_path):
        for i, kind in enumerate((pa.float32(), pa.float64())):
            (tmp_path / "features").mkdir(exist_ok=True)
            key = {"song": ["a"], "settings": ["s"], "written": [i], "error": pa.nulls(1, pa.string())}
            rows = pa.table({**key, "flux": pa.array([1], kind)})
            pq.write_table(rows, tmp_path / "features" / f"{i}.parquet")
            if not i:
                assert asked(tmp_path, "select flux from features") == [(1,)]
        with pytest.raises(
            AudioError, match=r"1\.parquet: the column flux is double, and float in 0\.parquet"
        ):
            connect(tmp_path)

    def test_a_damaged_part_is_named(self, tmp_path):
        part = write_part(tmp_path, FILES, [file_row("/x")])
        part.write_bytes(part.read_bytes()[:100])
        with pytest.raises(AudioError, match=f"{part.name} cannot be read .*likely a damaged disk"):
            connect(tmp_path)

    def test_a_reader_while_others_write(self, tmp_path):
        """What a connection has seen, it goes on seeing."""
        write_part(tmp_path, FILES, [file_row("/x")])
        with connect(tmp_path) as connection:
            write_part(tmp_path, FILES, [file_row("/y")])
            assert connection.sql("select count(*) from files").fetchall() == [(1,)]
        assert asked(tmp_path, "select count(*) from files") == [(2,)]


class TestQuery:
    @pytest.fixture
    def ask(self, tmp_path, capsys):
        names = [
            "/caf\u00e9 \u97f3.ogg",
            "/two\nlines.ogg",
            "/\"quoted\", 'too'.ogg",
            os.fsdecode(b"/\xff\xe9.ogg"),
        ]
        rows = [{**file_row(name, str(i)), "path": tables.printable(name)} for i, name in enumerate(names)]
        rows[0] |= {"artist": "x" * 300, "rate": 8000}
        write_part(tmp_path / "tables", FILES, rows)

        def query(sql, *options):
            code = main(["query", sql, "--tables", str(tmp_path / "tables"), *options])
            return code, *capsys.readouterr()

        return query

    def test_a_table(self, ask):
        code, out, err = ask("select rate, count(*) as files from songs group by 1 order by 1")
        assert code == 0 and not err and "files" in out
        assert ["8000", "1"] in [line.replace("\u2502", " ").split() for line in out.splitlines()]
        assert ["NULL", "3"] in [line.replace("\u2502", " ").split() for line in out.splitlines()]

    def test_csv_is_whole(self, ask):
        code, out, _ = ask("select path, path_bytes, artist, rate from files order by content", "--csv")
        rows = list(csv.reader(io.StringIO(out, newline="")))
        assert code == 0 and rows[0] == ["path", "path_bytes", "artist", "rate"]
        assert rows[1] == ["/caf\u00e9 \u97f3.ogg", r"/caf\xC3\xA9 \xE9\x9F\xB3.ogg", "x" * 300, "8000"]
        assert [row[0] for row in rows[2:4]] == ["/two\nlines.ogg", "/\"quoted\", 'too'.ogg"]
        assert rows[4] == [r"/\udcff\udce9.ogg", r"/\xFF\xE9.ogg", "", ""]

    def test_csv_of_many_rows(self, ask):
        _, out, _ = ask("select i from range(2500) as t(i)", "--csv")
        assert out.split() == ["i", *map(str, range(2500))]

    @pytest.mark.parametrize(
        ("sql", "reason"),
        [
            ("selec 1", "syntax error"),
            ("select nope from files", "nope"),
            ("from nope", "Table with name nope does not exist"),
            ("from features", "there are no features yet, which python -m songs features makes"),
            ("select 'a'::int", "Could not convert"),
            ("drop view files", "one statement that selects"),
            ("copy files to 'x.csv'", "one statement that selects"),
            ("select 1; select 2", "one statement that selects"),
            ("", "one statement that selects"),
        ],
    )
    def test_an_error_is_one_line(self, ask, sql, reason):
        for options in ((), ("--csv",)):
            code, _, err = ask(sql, *options)
            assert code == 1 and reason in err and err.count("\n") == 1 and err.startswith("error: query: ")

    def test_nothing_heavy_is_imported(self, tmp_path):
        """Whoever asks of files needs neither librosa nor faiss."""
        code = (
            "import sys; from songs.__main__ import main; "
            "main(['query', 'select count(*) from songs', '--tables', sys.argv[1]]); "
            "print(sorted(set(sys.modules) & {'librosa', 'sklearn', 'faiss', 'pyspark', 'torch'}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
        )
        assert done.stdout.splitlines()[-1] == "[]"


def test_rows_that_are_good_stay_whoever_fails_at_the_song_later(tmp_path):
    """A second writer's function fails at the same song: what the first has written is as true as before."""
    song = {"song": "a" * 64, "settings": "x"}
    tables.write_part(tmp_path, tables.SAMPLES, [{**song, "sample": 0, "seconds": 1.0}])
    tables.write_part(tmp_path, tables.SAMPLES, [{**song, "error": "no memory"}])
    with tables.connect(tmp_path, only=("samples",)) as connection:
        assert connection.sql("select sample, error from samples").fetchall() == [(0, None)]
    tables.write_part(tmp_path, tables.SAMPLES, [{**song, "sample": 5, "seconds": 1.0}])
    with tables.connect(tmp_path, only=("samples",)) as connection:
        assert connection.sql("select sample from samples").fetchall() == [(5,)]
