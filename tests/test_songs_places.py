"""Songs at addresses: rows as of the same files in a folder, by whoever reads them; and what fails, named.

A real file system over HTTP: Hadoop's WebHDFS, for fsspec brings its client and needs nothing but requests.
"""

import http.server
import json
import os
import shutil
import threading
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import fsspec
import pytest
import soundfile
from fsspec.registry import known_implementations

from audio_distance.errors import AudioError
from songs import features, places, sampling
from songs.__main__ import main
from songs.distances import description_rows
from songs.fingerprint import fingerprint_song
from songs.scan import index
from songs.tables import connect

RATE = 16000
TIME = 1_700_000_000  # s since 1970, when all files were changed; even, for zip has no odd seconds


class Hadoop:
    """What is below a folder, by WebHDFS; ``closed`` paths are refused, and every request is noted."""

    def __init__(self, folder):
        self.closed, self.asked = set(), []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                url = urlsplit(self.path)
                path = unquote(url.path, errors="surrogateescape").removeprefix("/webhdfs/v1").rstrip("/")
                query = {name: values[0] for name, values in parse_qs(url.query).items()}
                outer.asked.append((query["op"], path))
                place = folder / path.lstrip("/")
                if path in outer.closed:
                    return self.refuse(403, "AccessControlException", f"Permission denied: {path}")
                if not place.exists():
                    return self.refuse(404, "FileNotFoundException", f"File does not exist: {path}")
                if query["op"] == "OPEN":
                    first = int(query["offset"])
                    return self.reply(200, place.read_bytes()[first : first + int(query["length"])])
                if query["op"] == "GETFILESTATUS":
                    return self.tell({"FileStatus": status(place)})
                several = sorted(place.iterdir()) if place.is_dir() else [None]
                found = [status(one or place, one.name if one else "") for one in several]
                return self.tell({"FileStatuses": {"FileStatus": found}})

            def refuse(self, code, name, message):
                self.tell({"RemoteException": {"exception": name, "message": message}}, code)

            def tell(self, what, code=200):
                self.reply(code, json.dumps(what).encode())

            def reply(self, code, body):
                self.send_response(code)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.root = f"webhdfs://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def status(place, name=""):
    state = place.stat()
    kind = "SYMLINK" if place.is_symlink() else "DIRECTORY" if place.is_dir() else "FILE"
    milliseconds = state.st_mtime_ns // 10**6
    return {"pathSuffix": name, "type": kind, "length": state.st_size, "modificationTime": milliseconds}


@pytest.fixture
def music(tmp_path, noise):
    """Four songs in two folders, one that is no sound; a text and hidden files."""
    folder = tmp_path / "music"
    for name in ("calm", "loud/deep", ".hidden"):
        (folder / name).mkdir(parents=True)
    for i, name in enumerate(["calm/one.wav", "calm/caf\u00e9 2 +4.flac", "loud/a.ogg", "loud/deep/b.wav"]):
        soundfile.write(folder / name, noise(i, seconds=4.0), RATE)
    (folder / "loud" / "bad.mp3").write_text("no")
    for name in ("notes.txt", ".dot.wav", ".hidden/x.wav"):
        (folder / name).touch()
    for path in folder.rglob("*"):
        os.utime(path, (TIME, TIME))
    return folder


@pytest.fixture
def hadoop(tmp_path):
    server = Hadoop(tmp_path)
    yield server
    server.close()


def packed(folder, archive):
    """The address of a folder in a zip file, beside another folder."""
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, f"all/{path.relative_to(folder)}")
        file.writestr("other/x.wav", b"")
    return f"zip://all::file://{archive}"


def rows_of(tables, *, without=()):
    """Rows by the path below the folder."""
    with connect(tables) as connection:
        rows = connection.sql("select * exclude (written, path) from files").to_arrow_table().to_pylist()
    found = {}
    for row in rows:
        path = os.fsdecode(row.pop("path_bytes"))
        name = path.partition("/music/")[2] or path.removeprefix("zip://all/").partition("::")[0]
        found[name] = {key: value for key, value in row.items() if key not in without}
    return found


SONGS = {"calm/one.wav", "calm/caf\u00e9 2 +4.flac", "loud/a.ogg", "loud/deep/b.wav", "loud/bad.mp3"}


class TestPlaces:
    def test_what_is_an_address(self):
        for place in ("s3a://b/x", "zip://a::file:///b.zip", "simplecache::s3://b", "memory://", "http://x/"):
            assert places.is_address(place) and places.local_path(place) is None
        for place in ("/a/b://c", "./s3://b", "a::b", "C:/music", "S3://b", "a b://c", ""):
            assert not places.is_address(place) and places.local_path(place) == Path(place)
        for place in ("file:///a/b::c", "local:///a/b::c"):
            assert places.is_address(place) and places.local_path(place) == Path("/a/b::c")

    def test_the_one_text_of_a_place(self, monkeypatch, tmp_path):
        monkeypatch.chdir(tmp_path)
        for given, told in {
            "a/../b/": f"{tmp_path}/b",
            Path("b"): f"{tmp_path}/b",
            "file://b/": f"file://{tmp_path}/b",
            "s3a://b/c//": "s3a://b/c",
            "memory://": "memory://",
            "zip://a/::file:///x/": "zip://a::file:///x/",
            "zip::file:///x": "zip://::file:///x",
            "simplecache::s3://b/": "simplecache::s3://b",
        }.items():
            assert places.normal(given) == told == places.normal(told)

    def test_below(self):
        for place, folder, rest in [
            ("/a/b/c", "/a", "b/c"),
            ("/a/b", "/", "a/b"),
            ("/ab", "/a", None),
            ("/a", "/a", None),
            ("s3://b/x/y", "s3://b", "x/y"),
            ("s3a://b/x", "s3://b", None),
            ("memory://x", "memory://", "x"),
            ("zip://a/x::file:///z", "zip://a::file:///z", "x"),
            ("zip://x::file:///z", "zip://::file:///z", "x"),
            ("zip://::file:///z", "zip://::file:///z", None),
            ("zip://a/x::file:///y", "zip://a::file:///z", None),
            ("simplecache::s3://b/x", "simplecache::s3://b", "x"),
        ]:
            assert places.below(place, folder) == rest
            assert rest is None or places._joined(folder, rest) == place

    @pytest.mark.parametrize(
        "told",
        [
            {"LastModified": datetime(2023, 11, 14, 22, 13, 20, 999_999, UTC)},
            {"mtime": datetime(2023, 11, 15, 0, 13, 20, tzinfo=timezone(timedelta(hours=2)))},
            {"mtime": TIME + 0.75, "created": 5},
            {"modificationTime": TIME * 1000 + 7},
            {"Last-Modified": "Tue, 14 Nov 2023 22:13:20 GMT"},
            {"updated": "2023-11-14T22:13:20.123Z"},
            {"date_time": (2023, 11, 14, 22, 13, 20)},
            {"mtime": None, "last_modified": "yesterday", "created": datetime(2023, 11, 14, 22, 13, 20)},
        ],
    )
    def test_times_as_file_systems_tell_them(self, told):
        assert places._state({"size": 3, "ETag": "x", **told}) == (3, TIME * 10**9, None)

    def test_a_mark_in_place_of_a_time(self):
        assert places._state({"size": 3, "ETag": '"x"'}) == (3, None, '"x"')
        assert places._state({"size": 3, "ETag": '"x"'}).is_told
        assert not places._state({"size": 3, "date_time": (1980, 0, 0, 0, 0, 0)}).is_told
        assert not places._state({"ETag": '"x"'}).is_told


class TestRows:
    def test_file_addresses_are_the_folder(self, music, tmp_path, in_this_process):
        """Links, loops, and names that no other address could have."""
        (music / "loud" / "loop").symlink_to(music)
        shutil.copy(music / "calm" / "one.wav", music / os.fsdecode(b"caf\xe9 a::b #?.wav"))
        local = index([music], tmp_path / "local", label_by_folder=True)
        there = index([f"file://{music}/"], tmp_path / "there", label_by_folder=True)
        assert rows_of(tmp_path / "there") == rows_of(tmp_path / "local")
        assert (there.read, there.passed) == (local.read, local.passed) == (6, ((".txt", 1), ("hidden", 1)))
        assert there.repeated == ((f"file://{music}/loud/loop", f"file://{music}"),)
        assert there.faults[0][0] == f"file://{music}/loud/bad.mp3"
        assert index([f"file://{music}"], tmp_path / "there", label_by_folder=True).unchanged == 5

    def test_of_an_archive(self, music, tmp_path, in_this_process):
        """The rows of the folder but for the path; then with what changed, moved and went."""
        index([music], tmp_path / "local", label_by_folder=True)
        tables, archive = tmp_path / "there", tmp_path / "all.zip"
        address = packed(music, archive)
        found = index([address], tables, label_by_folder=True)
        assert set(rows_of(tables)) == SONGS
        whole = rows_of(tables, without=("modified",))  # which zip has in the time of its maker's place
        assert whole == rows_of(tmp_path / "local", without=("modified",))
        assert (found.read, found.passed) == (5, ((".txt", 1), ("hidden", 1)))
        assert index([address], tables).unchanged == 4  # the fault is looked at again

        (music / "calm" / "one.wav").rename(music / "loud" / "uno.wav")
        (music / "loud" / "a.ogg").unlink()
        os.utime(music / "loud" / "deep" / "b.wav", (TIME + 2, TIME + 2))
        found = index([packed(music, archive)], tables)
        assert (found.read, found.unchanged) == (3, 1)
        assert found.moved == (
            (f"zip://all/calm/one.wav::file://{archive}", f"zip://all/loud/uno.wav::file://{archive}"),
        )
        assert found.gone == (f"zip://all/loud/a.ogg::file://{archive}",)
        assert rows_of(tables)["loud/uno.wav"]["label"] == "calm"

    def test_of_hadoop_by_processes(self, music, hadoop, tmp_path, monkeypatch):
        """The workers read, not who starts them; nothing is asked for but to read."""
        monkeypatch.setattr(places, "read", None)  # of this process, not of theirs
        address = f"{hadoop.root}/music"
        found = index([address], tmp_path / "there", label_by_folder=True, workers=2)
        assert found.read == 5 and [path for path, _ in found.faults] == [f"{address}/loud/bad.mp3"]
        monkeypatch.undo()
        index([music], tmp_path / "local", label_by_folder=True, workers=1)
        assert rows_of(tmp_path / "there") == rows_of(tmp_path / "local")
        assert {path for operation, path in hadoop.asked if operation == "OPEN"} == {
            f"/music/{name}" for name in SONGS
        }
        hadoop.asked.clear()
        assert index([address], tmp_path / "there", workers=1).unchanged == 4
        assert [path for operation, path in hadoop.asked if operation == "OPEN"] == ["/music/loud/bad.mp3"]

    def test_what_no_state_is_told_of_is_read_every_time(
        self, music, hadoop, tmp_path, in_this_process, monkeypatch
    ):
        address = f"{hadoop.root}/music/calm"
        told = {"etag": "one"}
        monkeypatch.setattr(places, "_state", lambda info: places.State(info["size"], None, told["etag"]))
        for etag, unchanged in (("one", 0), ("one", 2), ("two", 0), (None, 0), (None, 0)):
            told["etag"] = etag
            assert index([address], tmp_path / "tables").unchanged == unchanged

    def test_every_stage_opens_addresses(self, music, hadoop):
        """What the workers of each stage do with a song: the same rows as of the file."""
        drawn = sampling.Settings(RATE, count=2, seconds=1.0)
        for stage in (
            partial(sampling.sample_song, settings=drawn),
            partial(features.describe_song, settings=features.Settings(RATE, count=2, seconds=1.0)),
            partial(description_rows, settings=drawn),
            fingerprint_song,
        ):
            there, local = stage(f"{hadoop.root}/music/loud/a.ogg"), stage(str(music / "loud" / "a.ogg"))
            assert len(there) == len(local) > 0 and repr(there) == repr(local)


class TestLabels:
    def test_of_a_list_of_addresses(self, music, hadoop, tmp_path, in_this_process):
        address = f"{hadoop.root}/music"
        (tmp_path / "l.csv").write_text(f"path,label\n{address}/calm/one.wav,good\n{music}/loud/a.ogg,bad\n")
        index([address, music / "loud"], tmp_path / "tables", labels=tmp_path / "l.csv")
        with connect(tmp_path / "tables") as connection:
            labels = connection.sql(
                "select path, label from files where label is not null order by label desc"
            )
            assert labels.fetchall() == [(f"{address}/calm/one.wav", "good"), (f"{music}/loud/a.ogg", "bad")]

    def test_an_address_in_none_of_the_folders(self, music, tmp_path):
        (tmp_path / "l.csv").write_text("path,label\ns3://b/one.wav,good\n")
        with pytest.raises(AudioError, match=r"in none of the folders, the first is s3://b/one\.wav"):
            index([music], tmp_path / "tables", labels=tmp_path / "l.csv")


class TestFaults:
    def test_a_folder_and_a_file_that_are_refused(self, music, hadoop, tmp_path, in_this_process):
        """Rows with their errors; nothing below the folder is taken for gone."""
        address = f"{hadoop.root}/music"
        index([address], tmp_path / "tables")
        hadoop.closed |= {"/music/loud", "/music/calm/one.wav"}
        os.utime(music / "calm" / "one.wav")
        found = index([address], tmp_path / "tables")
        assert found.gone == () and dict(found.faults) == {
            f"{address}/loud": "a folder that cannot be opened (Permission denied: /music/loud)",
            f"{address}/calm/one.wav": "unreadable (Permission denied: /music/calm/one.wav); likely no "
            "credentials here, or such as may not read it",
        }
        assert set(rows_of(tmp_path / "tables")) == {*SONGS, "loud"}
        hadoop.closed.clear()
        assert index([address], tmp_path / "tables").gone == (f"{address}/loud",)

    def test_links_and_names_that_an_address_cannot_hold(self, music, hadoop, tmp_path, in_this_process):
        shutil.copy(music / "calm" / "one.wav", music / "a::b.wav")
        (music / "link").symlink_to("calm")
        address = f"{hadoop.root}/music"
        reasons = dict(index([address], tmp_path / "tables").faults)
        assert '"::" in its name' in reasons[f"{address}/a::b.wav"]
        assert (
            reasons[f"{address}/link"]
            == "a symlink, where a file is needed; at an address it is not followed"
        )
        (music / "a::b.wav").unlink()
        assert index([address], tmp_path / "tables").gone == (f"{address}/a::b.wav",)

    def test_a_song_that_went_since(self, music, hadoop):
        with pytest.raises(AudioError, match=r"not exist: /music/x\.wav\); likely removed or renamed"):
            sampling.samples_of(f"{hadoop.root}/music/x.wav", sampling.Settings(RATE))

    def test_places_that_are_refused(self, music, hadoop, tmp_path, monkeypatch):
        monkeypatch.setitem(known_implementations, "s3", {"class": "no_such_package.S3"})
        monkeypatch.setitem(known_implementations, "odd", {"class": "json.nothing.X", "err": "needs libodd"})
        hadoop.closed.add("/music")
        (tmp_path / "bad.zip").write_text("no")
        fsspec.filesystem("memory").pipe("/empty/notes.txt", b"")
        for address, reason in {
            f"{hadoop.root}/none": r"cannot be listed \(File does not exist: /none\); likely removed",
            f"{hadoop.root}/music": r"cannot be listed \(Permission denied.*; likely no credentials here",
            f"{hadoop.root}/music/calm/one.wav": "is no folder; give the folder that holds the songs",
            "webhdfs://127.0.0.1:1/x": r"cannot be listed \(.*; likely no network, a wrong host",
            "s3a://bucket/x": "no way to open s3a://bucket/x: no_such_package is not installed; pip install",
            "nope://x": "no way to open nope://x: fsspec knows no file system nope; likely a typing error",
            f"zip://::file://{tmp_path}/bad.zip": r"cannot be listed \(.*; likely a damaged archive, or none",
            f"zip://::file://{tmp_path}/none.zip": "cannot be listed .*; likely removed or renamed",
            "memory://empty": r"holds no audio files \(1 other files passed over\). Known extensions: .aac",
            f"file://{tmp_path}/none": "is no folder; give the folder that holds the songs",
        }.items():
            with pytest.raises(AudioError, match=reason) as refusal:
                index([address], tmp_path / "tables")
            assert address in str(refusal.value) and "\n" not in str(refusal.value)
        assert not (tmp_path / "tables").exists()

    def test_the_words_of_libraries_in_one_line(self):
        class NoCredentialsError(Exception):
            pass

        assert places._reason(KeyError("x")) == "KeyError: 'x'"
        assert places._reason(OSError("two\nlines " + "x" * 999)) == "two lines " + "x" * 190
        assert places._cause(NoCredentialsError()).startswith("no credentials here")
        assert places._cause(OSError("Unable to load libjvm")).startswith("no Java or no Hadoop")


def test_the_command(music, hadoop, tmp_path, in_this_process, capsys):
    (music / "loud" / "bad.mp3").unlink()
    words = [f"{hadoop.root}/music/", "--tables", str(tmp_path / "tables"), "--label", "folder"]
    assert main(["index", *words]) == 0
    assert capsys.readouterr().out.startswith("4 files read, 0 as they were")
    assert main(["index", "nope://x", *words[1:]]) == 1
    assert capsys.readouterr().err.startswith("error: no way to open nope://x")
