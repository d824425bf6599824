"""One row a file, whatever it is called, wherever it lies, whatever is in it; and the files as they were."""

import hashlib
import os
import shutil
import wave

import numpy as np
import pytest
import soundfile

from audio_distance.errors import AudioError
from audio_distance.sources import list_folder
from songs import scan
from songs.__main__ import main
from songs.labels import labels_of
from songs.scan import file_row, index
from songs.tables import connect

RATE = 16000


@pytest.fixture
def music(tmp_path, noise, in_this_process):
    """Five songs in two folders; WAV, FLAC, Ogg Vorbis with tags, MP3."""
    folder = tmp_path / "music"
    for place in ("calm", "loud"):
        (folder / place).mkdir(parents=True)
    soundfile.write(folder / "calm" / "one.wav", noise(1), RATE)
    soundfile.write(folder / "calm" / "two.flac", np.stack([noise(2), noise(3)], 1), RATE)
    tagged(
        folder / "loud" / "three.ogg", noise(4), artist="Ana", title="Three", genre="rock", date="1999-05-01"
    )
    tagged(folder / "loud" / "four.flac", noise(5), artist="Ben", license="CC BY 4.0")
    soundfile.write(folder / "loud" / "five.mp3", noise(6, seconds=1.0, rate=44100), 44100)
    return folder


def tagged(path, signal, **tags):
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for name, text in tags.items():
            setattr(file, name, text)
        file.write(signal)


@pytest.fixture
def files(tmp_path):
    """All rows, by the end of their paths."""

    def read(sql="from files"):
        with connect(tmp_path / "tables") as connection:
            rows = connection.sql(sql).to_arrow_table().to_pylist()
        return {os.path.basename(os.fsdecode(row["path_bytes"])): row for row in rows}

    return read


@pytest.fixture
def scanned(tmp_path, music):
    def scan(*folders, **options):
        return index(folders or [music], tmp_path / "tables", **options)

    return scan


def state_of(folder):
    """All that must not change: names, bytes, times."""
    return {
        path: (path.read_bytes() if path.is_file() else None, path.lstat().st_mtime_ns, path.lstat().st_mode)
        for path in [folder, *folder.rglob("*")]
    }


class TestRows:
    def test_facts_and_tags(self, scanned, files, music):
        found = scanned()
        assert (found.read, found.unchanged, found.faults) == (5, 0, ())
        rows = files()
        facts = {name: (row["rate"], row["channels"], row["codec"]) for name, row in rows.items()}
        assert facts == {
            "one.wav": (RATE, 1, "WAV/PCM_16"),
            "two.flac": (RATE, 2, "FLAC/PCM_16"),
            "three.ogg": (RATE, 1, "OGG/VORBIS"),
            "four.flac": (RATE, 1, "FLAC/PCM_16"),
            "five.mp3": (44100, 1, "MP3/MPEG_LAYER_III"),
        }
        three = rows["three.ogg"]
        assert [three[name] for name in ("title", "artist", "genre", "year")] == [
            "Three",
            "Ana",
            "rock",
            1999,
        ]
        assert rows["four.flac"]["license"] == "CC BY 4.0"
        assert rows["one.wav"]["seconds"] == 0.3 and abs(rows["five.mp3"]["seconds"] - 1) < 0.1
        for name, row in rows.items():
            path = next(music.rglob(name))
            assert row["content"] == hashlib.sha256(path.read_bytes()).hexdigest()
            assert row["path"] == str(path) and row["bytes"] == path.stat().st_size
            assert row["group"] == row["artist"] and row["error"] is None

    def test_the_originals_are_not_touched(self, scanned, music):
        before = state_of(music)
        scanned(check=True)
        scanned(label_by_folder=True)
        assert state_of(music) == before

    def test_every_refusal_is_a_row(self, scanned, files, music, noise):
        (music / "empty.wav").touch()
        (music / "text.mp3").write_text("<html>404 Not Found</html>")
        data = (music / "calm" / "two.flac").read_bytes()
        (music / "cut.wav").write_bytes((music / "calm" / "one.wav").read_bytes()[:2000])
        (music / "head.flac").write_bytes(data[:20])
        with wave.open(str(music / "no_samples.wav"), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
        found = scanned()
        rows = files()
        reasons = {os.path.basename(path): reason for path, reason in found.faults}
        assert found.read == 10 and len(rows) == 10
        assert set(reasons) == {"empty.wav", "text.mp3", "cut.wav", "head.flac", "no_samples.wav"}
        assert "0 bytes" in reasons["empty.wav"] and "0 samples" in reasons["no_samples.wav"]
        for name, reason in reasons.items():
            assert rows[name]["error"] == reason and rows[name]["content"] and rows[name]["rate"] is None
        assert len(files("select * from files where error is null")) == 5

    def test_what_a_parser_makes_of_damage(self, music):
        """No single byte that is changed ends in anything but a row."""
        path = music / "loud" / "three.ogg"
        data = bytearray(path.read_bytes())
        for place in np.random.default_rng(0).integers(0, 400, 100):
            path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
            (row,) = file_row(str(path))
            assert row["content"] and (row.get("rate") == RATE or row["error"])

    def test_aac(self, music, noise):
        av = pytest.importorskip("av")
        for name, kind in (("a.m4a", "mp4"), ("b.aac", "adts")):
            with av.open(str(music / name), "w", format=kind) as container:
                stream = container.add_stream("aac", rate=44100, layout="mono")
                signal = noise(1, seconds=1.0, rate=44100).astype(np.float32)[None]
                frame = av.AudioFrame.from_ndarray(signal, format="fltp", layout="mono")
                frame.sample_rate = 44100
                for packet in [*stream.encode(frame), *stream.encode(None)]:
                    container.mux(packet)
            (row,) = file_row(str(music / name))
            assert "error" not in row and (row["rate"], row["channels"]) == (44100, 1)
            assert row["codec"].endswith("/aac") and abs(row["seconds"] - 1) < 0.2


class TestAgain:
    def test_nothing_is_read_and_nothing_is_written(self, scanned, monkeypatch, tmp_path):
        scanned()
        parts = sorted((tmp_path / "tables" / "files").iterdir())
        monkeypatch.setattr(scan, "file_row", None)
        found = scanned()
        assert (found.read, found.unchanged) == (0, 5)
        assert sorted((tmp_path / "tables" / "files").iterdir()) == parts

    def test_a_file_that_cannot_be_read_is_looked_at_but_not_written_again(self, scanned, music, tmp_path):
        (music / "empty.wav").touch()
        scanned()
        parts = sorted((tmp_path / "tables" / "files").iterdir())
        found = scanned()
        assert (found.read, found.unchanged, len(found.faults)) == (1, 5, 1)
        assert sorted((tmp_path / "tables" / "files").iterdir()) == parts

    def test_a_changed_file(self, scanned, files, music, noise):
        scanned()
        before = files()["one.wav"]
        soundfile.write(music / "calm" / "one.wav", noise(9, seconds=0.5), RATE)
        found = scanned()
        assert (found.read, found.unchanged) == (1, 4)
        after = files()["one.wav"]
        assert after["content"] != before["content"] and after["seconds"] == 0.5

    def test_only_check_finds_a_change_that_keeps_size_and_time(self, scanned, files, music, noise):
        path = music / "calm" / "one.wav"
        scanned()
        before, state = files()["one.wav"], path.stat()
        soundfile.write(path, noise(9), RATE)
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
        assert scanned().read == 0 and files()["one.wav"] == before
        assert scanned(check=True).read == 5 and files()["one.wav"]["content"] != before["content"]

    def test_moved_renamed_copied_and_gone(self, scanned, files, music):
        scanned()
        (music / "calm" / "one.wav").rename(music / "loud" / "one.wav")
        (music / "calm" / "two.flac").rename(music / "calm" / "deux.flac")
        shutil.copy(music / "loud" / "three.ogg", music / "copy.ogg")
        (music / "loud" / "five.mp3").unlink()
        found = scanned()
        ends = [(one.rpartition("music/")[2], other.rpartition("music/")[2]) for one, other in found.moved]
        assert sorted(ends) == [("calm/one.wav", "loud/one.wav"), ("calm/two.flac", "calm/deux.flac")]
        assert [path.rpartition("/")[2] for path in found.gone] == ["five.mp3"]
        assert set(files()) == {"one.wav", "deux.flac", "three.ogg", "copy.ogg", "four.flac"}
        songs = {row["title"]: row["copies"] for row in songs_of(files)}
        assert songs == {None: 1, "Three": 2}

    def test_another_folder_is_left_alone(self, scanned, files, music):
        scanned()
        found = scanned(music / "calm")
        assert (found.gone, found.unchanged, len(files())) == ((), 2, 5)

    def test_a_folder_that_is_empty_now_is_not_taken_for_gone(self, scanned, files, music):
        """As of a disk that is not there."""
        scanned()
        shutil.rmtree(music)
        with pytest.raises(AudioError, match="is no folder; give the folder that holds the songs"):
            scanned()
        music.mkdir()
        with pytest.raises(AudioError, match=r"index: .* holds no audio files"):
            scanned()
        assert len(files()) == 5


def songs_of(files):
    return list(files("select s.*, f.path_bytes from songs s join files f using (path)").values())


class TestLabels:
    def test_by_folder(self, scanned, files, music, noise):
        soundfile.write(music / "top.wav", noise(9), RATE)
        scanned(label_by_folder=True)
        labels = {name: row["label"] for name, row in files().items()}
        assert labels == {
            "one.wav": "calm",
            "two.flac": "calm",
            "three.ogg": "loud",
            "four.flac": "loud",
            "five.mp3": "loud",
            "top.wav": None,
        }

    def test_of_a_list(self, scanned, files, music, tmp_path):
        (music / 'line\nbreak, "quoted".wav').write_bytes((music / "calm" / "one.wav").read_bytes())
        (tmp_path / "labels.csv").write_bytes(
            b"\xef\xbb\xbfFile,Label,artist,year,other\r\n"
            b'music/calm/one.wav,good,"Zed\r\nand co",2001,x\r\n'
            + os.fsencode(music / "loud" / "three.ogg")
            + b",bad,,,\r\n"
            b'"music/line\nbreak, ""quoted"".wav",good,,,\r\n'
        )
        found = scanned(labels=tmp_path / "labels.csv")
        rows = files()
        assert not found.faults
        assert [rows["one.wav"][name] for name in ("label", "artist", "group", "year")] == [
            "good",
            "Zed\r\nand co",
            "Zed\r\nand co",
            2001,
        ]
        assert (rows["three.ogg"]["label"], rows["three.ogg"]["artist"]) == ("bad", "Ana")
        assert rows['line\nbreak, "quoted".wav']["label"] == "good" and rows["two.flac"]["label"] is None

    def test_of_a_name_that_is_not_utf_8(self, scanned, files, music, tmp_path):
        name = os.fsdecode(b"caf\xe9.wav")
        shutil.copy(music / "calm" / "one.wav", music / name)
        (tmp_path / "labels.csv").write_bytes(b"path,label\nmusic/caf\xe9.wav,gut\xc3\xa9\n")
        scanned(labels=tmp_path / "labels.csv")
        assert files()[name]["label"] == "gut\u00e9"
        assert files()[name]["path"] == str(music / r"caf\udce9.wav")

    def test_a_list_goes_before_the_folder(self, scanned, files, tmp_path):
        (tmp_path / "labels.csv").write_text("path,label,group\nmusic/calm/one.wav,best,7\n")
        scanned(labels=tmp_path / "labels.csv", label_by_folder=True)
        assert (files()["one.wav"]["label"], files()["one.wav"]["group"]) == ("best", "7")
        assert files()["two.flac"]["label"] == "calm"

    def test_stay_when_nothing_is_said(self, scanned, files, music, tmp_path, noise):
        """Through a new index, a change of the file, and a move; another list replaces them."""
        (tmp_path / "labels.csv").write_text("path,label,group\nmusic/calm/one.wav,best,7\n")
        scanned(labels=tmp_path / "labels.csv")
        scanned(check=True)
        assert (files()["one.wav"]["label"], files()["one.wav"]["group"]) == ("best", "7")
        soundfile.write(music / "calm" / "one.wav", noise(9, seconds=0.5), RATE)
        scanned()
        (music / "calm" / "one.wav").rename(music / "uno.wav")
        scanned()
        assert (files()["uno.wav"]["label"], files()["uno.wav"]["group"]) == ("best", "7")
        (tmp_path / "labels.csv").write_text("path,label\nmusic/calm/two.flac,worst\n")
        scanned(labels=tmp_path / "labels.csv")
        assert (files()["uno.wav"]["label"], files()["two.flac"]["label"]) == (None, "worst")

    def test_of_a_folder_that_was_away(self, scanned, files, music, tmp_path):
        """Through any number of indexings in between, and where it comes back under another name."""
        labels = {"one.wav": "calm", "two.flac": "calm"}
        (tmp_path / "labels.csv").write_text("path,group\nmusic/calm/one.wav,7\n")
        scanned(labels=tmp_path / "labels.csv", label_by_folder=True)
        for back in ("calm", "stille"):
            (music / "calm").rename(tmp_path / "away")
            assert len(scanned().gone) == 2 and scanned().gone == ()
            (tmp_path / "away").rename(music / back)
            assert scanned().read == 2
            rows = files()
            assert {name: rows[name]["label"] for name in labels} == labels
            assert rows["one.wav"]["group"] == "7"

    def test_of_what_was_away_the_content_goes_before_the_name(self, scanned, files, music, tmp_path, noise):
        scanned(label_by_folder=True)
        for path in [*music.glob("*/*.flac"), music / "loud" / "three.ogg"]:
            path.rename(tmp_path / path.name)
        scanned()
        (tmp_path / "two.flac").rename(music / "loud" / "four.flac")
        (tmp_path / "four.flac").rename(music / "calm" / "two.flac")
        tagged(music / "loud" / "three.ogg", noise(4), artist="Ann")  # whose tag was mended meanwhile
        scanned()
        rows = files()
        assert rows["four.flac"]["label"] == "calm" and rows["two.flac"]["label"] == "loud"
        assert (rows["three.ogg"]["label"], rows["three.ogg"]["artist"]) == ("loud", "Ann")

    def test_a_copy_of_what_is_there_has_no_label_of_a_copy_that_went(self, scanned, files, music, tmp_path):
        shutil.copy(music / "calm" / "one.wav", music / "loud" / "uno.wav")
        scanned(label_by_folder=True)
        (music / "loud" / "uno.wav").unlink()
        scanned()
        shutil.copy(music / "calm" / "one.wav", music / "loud" / "eins.wav")
        scanned()
        assert files()["eins.wav"]["label"] is None

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (b"", r"has the columns \(none\); one of paths"),
            (b"song;label\na;b\n", "has the columns song;label; .* with commas between"),
            (b"path,mood\na,b\n", "at least one of label, group"),
            (b"label\nb\n", "one of paths"),
            (b"path,label\n,b\n", "line 2: no path"),
            (b"label,path\nb\n", "line 2: no path"),
            (b"path,year\na,199x\n", "line 2: the year is '199x', and a number"),
            (b"path,label\na,b\na,c\n", "line 3: a stands in it twice"),
            (b"path,label\na,caf\xe9\n", r"line 2: label is caf\\udce9, which is not UTF-8"),
            ("path,label\na,b\n".encode("utf-16"), "is UTF-16, and UTF-8 is needed"),
            (b'path,label\na,"b\nc,d\n', "likely a quote that is not closed"),
            (b"path,label\na\0,b\n", "holds a NUL byte"),
        ],
    )
    def test_a_list_that_is_refused(self, tmp_path, text, reason):
        (tmp_path / "l.csv").write_bytes(text)
        with pytest.raises(AudioError, match=f"(?s)^labels: .*l.csv.*{reason}"):
            labels_of(tmp_path / "l.csv")

    def test_no_list(self, tmp_path):
        with pytest.raises(AudioError, match=r"labels: .*nope\.csv: .*No such file"):
            labels_of(tmp_path / "nope.csv")
        os.mkfifo(tmp_path / "pipe.csv")
        with pytest.raises(AudioError, match="a FIFO, where a file is needed"):
            labels_of(tmp_path / "pipe.csv")

    def test_a_path_outside_the_folders(self, scanned, music, tmp_path):
        (tmp_path / "l.csv").write_text("path,label\nmusic/calm/one.wav,a\nelsewhere/x.wav,b\n")
        with pytest.raises(
            AudioError, match=r"1 of the 2 paths in .*l\.csv are in none of the folders, the first is"
        ):
            scanned(labels=tmp_path / "l.csv")


class TestPlaces:
    def test_links_and_loops_and_what_leads_nowhere(self, scanned, files, music, tmp_path):
        shutil.move(music / "calm", tmp_path / "elsewhere")
        (music / "linked").symlink_to(tmp_path / "elsewhere")
        (music / "loud" / "round").symlink_to(music)
        (music / "up").symlink_to(tmp_path)
        (music / "away").symlink_to(tmp_path / "not mounted")
        found = scanned(label_by_folder=True)
        rows = files()
        assert found.read == 7 and rows["one.wav"]["label"] == "linked"
        assert rows["one.wav"]["path"] == str(music / "linked" / "one.wav")
        reasons = {os.path.basename(path): reason for path, reason in found.faults}
        assert "which holds this set: not followed" in reasons["up"]
        assert "cannot be followed" in reasons["away"] and set(reasons) == {"up", "away"}

    def test_every_link_that_is_passed_over_is_named_once(self, scanned, music, tmp_path):
        """Loops, a folder with two names, and one that a link reaches from within another."""
        shutil.copytree(music / "loud", tmp_path / "elsewhere" / "in")
        for name, target in {
            "calm/loop": music / "calm",
            "calm/root": "..",
            "first": tmp_path / "elsewhere",
            "second": tmp_path / "elsewhere",
            "within": tmp_path / "elsewhere" / "in",
            ".hidden": music,
        }.items():
            (music / name).symlink_to(target)
        found = scanned()
        assert (found.read, found.faults) == (8, ()) and scanned().repeated == found.repeated
        assert found.repeated == (
            (str(music / "calm" / "loop"), str(music / "calm")),
            (str(music / "calm" / "root"), str(music)),
            (str(music / "second"), str(music / "first")),
            (str(music / "within"), str(music / "first" / "in")),
        )
        listed = scanned(music, music / "calm")
        assert (listed.unchanged, listed.repeated[0][0]) == (8, str(music / "calm" / "loop"))

    def test_what_is_passed_over_is_counted_by_kind(self, scanned, music, tmp_path):
        names = [
            "a.wma",
            "b.WMA",
            "calm/c.ape",
            "cover.jpg",
            "No. 5",
            "README",
            ".nomedia",
            ".d.wav",
            "e.x y",
        ]
        for name in names:
            (music / name).touch()
        (music / "away").symlink_to(tmp_path / "not mounted")  # is a row
        passed = scanned(music, music / "calm").passed
        assert passed == (
            ("without extension", 3),
            (".wma", 2),
            ("hidden", 2),
            (".ape", 1),
            (".jpg", 1),
        )
        assert sum(count for _, count in passed) == list_folder(music, "").passed

    def test_fifo(self, scanned, files, music):
        os.mkfifo(music / "pipe.wav")
        ((path, reason),) = scanned().faults
        assert path.endswith("pipe.wav") and "a FIFO, where a file is needed" in reason
        assert files()["pipe.wav"]["error"] == reason

    def test_a_folder_that_cannot_be_opened_takes_no_song_away(self, scanned, files, music, monkeypatch):
        """Root may open all, so it is pretended."""
        scanned()
        scandir, locked = os.scandir, music / "calm"

        def closed(path):
            if path == str(locked):
                raise PermissionError(13, "Permission denied", str(locked))
            return scandir(path)

        with monkeypatch.context() as patch:
            patch.setattr(os, "scandir", closed)
            found = scanned()
        ((path, reason),) = found.faults
        assert path == str(locked) and "Permission denied" in reason and found.gone == ()
        assert set(files()) == {"one.wav", "two.flac", "three.ogg", "four.flac", "five.mp3", "calm"}
        assert scanned().gone == (str(locked),) and "calm" not in files()

    @pytest.mark.parametrize(
        "name",
        [
            "caf\u00e9 \u97f3\u697d.wav",
            " a  b .wav",
            "two\nlines.wav",
            'it\'s "q".wav',
            os.fsdecode(b"\xff\xe9.wav"),
        ],
    )
    def test_names(self, scanned, files, music, name):
        folder = music / name.removesuffix(".wav")
        folder.mkdir()
        shutil.copy(music / "calm" / "one.wav", folder / name)
        assert scanned(label_by_folder=True).faults == () and scanned().unchanged == 6
        row = files()[name]
        assert os.fsdecode(row["path_bytes"]) == str(folder / name) and row["rate"] == RATE
        row["path"].encode("utf-8")
        assert row["label"] == scan.printable(folder.name)

    def test_two_ways_to_one_folder(self, scanned, files, music, tmp_path):
        found = scanned(music, music / "calm", label_by_folder=True)
        assert found.read == 5 and files()["one.wav"]["label"] == "calm"


class TestCommand:
    def test_says_what_it_found_and_names_what_it_could_not_read(self, music, tmp_path, capsys):
        arguments = ["index", str(music), "--tables", str(tmp_path / "tables"), "--label", "folder"]
        (music / "notes.txt").touch()
        assert main(arguments) == 0
        assert (
            capsys.readouterr().out
            == "5 files read, 0 as they were, 0 moved, 0 gone, 1 others passed over: 1 .txt\n"
        )
        (music / "again").symlink_to("calm")
        assert main(arguments) == 0
        assert capsys.readouterr().out.splitlines()[0] == (
            f"passed over: {music / 'again'} leads to {music / 'calm'}, which is listed already"
        )
        (music / "again").unlink()
        (music / "calm" / "one.wav").rename(music / "calm" / "uno.wav")
        (music / "loud" / "five.mp3").write_bytes(b"")
        (music / "loud" / "four.flac").unlink()
        assert main(arguments) == 1
        out, err = capsys.readouterr()
        assert out.splitlines() == [
            f"moved: {music / 'calm' / 'one.wav'} -> {music / 'calm' / 'uno.wav'}",
            f"gone: {music / 'loud' / 'four.flac'}",
            "2 files read, 2 as they were, 1 moved, 1 gone, 1 others passed over: 1 .txt",
        ]
        assert err.startswith(f"{music / 'loud' / 'five.mp3'}: 0 bytes") and err.count("\n") == 1

    def test_wrong_use(self, tmp_path, capsys):
        assert main(["index", str(tmp_path / "none"), "--tables", str(tmp_path)]) == 1
        assert "is no folder" in capsys.readouterr().err
        for arguments in ([], ["nope"], ["index"]):
            with pytest.raises(SystemExit) as stop:
                main(arguments)
            assert stop.value.code == 2
