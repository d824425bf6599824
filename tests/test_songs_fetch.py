"""Songs over HTTP, from a server on this machine that misbehaves in every way that is known."""

import argparse
import contextlib
import hashlib
import http.server
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import example, given
from hypothesis import strategies as st

from audio_distance.errors import AudioError

pytest.importorskip("httpx")
pytest.importorskip("bs4")
pytest.importorskip("protego")

from songs import fetch as module
from songs.catalogues import Song, is_open, songs_of_file, songs_of_page
from songs.fetch import add_arguments, fetch, listed, main
from songs.fetched import HEAD, DiskFull, Folder, file_name
from songs.polite import Client, Clock, Limits, network_of

CC = "https://creativecommons.org/licenses/by/4.0/"
SECONDS = 10  # of a test's requests, at the very most


def sound(seconds=0.5, *, kind="WAV", seed=0, rate=8000):
    """Seeded noise as the bytes of a file."""
    file = io.BytesIO()
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, int(seconds * rate))
    soundfile.write(file, noise, rate, format=kind)
    return file.getvalue()


WAV = sound()  # 8044 bytes


class Server:
    """``answer[path](request)`` sends what it likes; ``asked`` holds (path, headers), in order."""

    def __init__(self):
        self.answer, self.asked = {}, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.asked.append((self.path, dict(self.headers)))
                answer = outer.answer.get(self.path.partition("?")[0])
                self.close_connection = True
                if answer is None:
                    self.reply(404, b"<html>not here</html>", {"Content-Type": "text/html"})
                elif isinstance(answer, bytes):
                    self.reply(200, answer)
                else:
                    answer(self)

            def reply(self, status=200, body=b"", headers=(), *, length=None):
                self.send_response(status)
                for name, value in dict(headers).items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body) if length is None else length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

            def handle(self):
                with contextlib.suppress(OSError):  # the client has left
                    super().handle()

            def finish(self):
                with contextlib.suppress(OSError):
                    super().finish()

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.root = f"http://127.0.0.1:{self.port}"
        self.over = threading.Event()  # of the test: whoever stalls waits for it
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.over.set()
        self._server.shutdown()
        self._server.server_close()

    def paths(self):
        return [path for path, _ in self.asked if path != "/robots.txt"]


class Waits:
    """A clock whose waits take no time, and are written down."""

    def __init__(self):
        self.time, self.waits = 1000.0, []
        self.clock = Clock(now=lambda: self.time, sleep=self.sleep)

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.time += seconds


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def waits():
    return Waits()


LIMITS = Limits(delay=0, tries=3, backoff=1, connect=SECONDS, read=SECONDS, total=3 * SECONDS)


@pytest.fixture
def bring(server, waits, tmp_path):
    """Fetch paths of the server (or songs) into a folder; their outcomes."""

    def run(*wanted, limits=LIMITS, network=network_of, named="", out=tmp_path / "out", **options):
        songs = [
            one if isinstance(one, Song) else Song(server.root + one, license=CC, named=named)
            for one in wanted
        ]
        with Client(limits, clock=waits.clock, network=network) as client:
            return list(fetch(songs, out, client=client, **options))

    run.folder = tmp_path / "out"
    return run


def only(outcomes):
    (outcome,) = outcomes
    return outcome


def ranged(data, etag='"one"', *, breaks_at=None):
    """A server that knows ranges; its first answer breaks off behind ``breaks_at`` bytes."""
    state = {"breaks": breaks_at is not None}

    def answer(request):
        headers = {"ETag": etag, "Accept-Ranges": "bytes"}
        asked = request.headers.get("Range")
        if asked and request.headers.get("If-Range") in {None, etag}:
            first = int(asked.removeprefix("bytes=").rstrip("-"))
            if first >= len(data):
                return request.reply(416, b"", {**headers, "Content-Range": f"bytes */{len(data)}"})
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
            return request.reply(206, data[first:], headers)
        if state.pop("breaks", False):
            return request.reply(200, data[:breaks_at], headers, length=len(data))
        return request.reply(200, data, headers)

    return answer


def ranges(server):
    return [headers.get("Range") for path, headers in server.asked if path != "/robots.txt"]


class TestFetched:
    def test_a_song_its_record_and_the_table(self, server, bring):
        server.answer["/a.wav"] = WAV
        song = Song(server.root + "/a.wav", "An Artist", "A Title", "Folk", CC)
        outcome = only(bring(song))
        record = outcome.record
        assert outcome.state == "fetched"
        assert record.file == f"An Artist - A Title [{song.key}].wav"
        assert (bring.folder / record.file).read_bytes() == WAV
        assert record.sha256 == hashlib.sha256(WAV).hexdigest() and record.bytes == len(WAV)
        assert (record.address, record.final_address) == (song.address, song.address)
        assert (record.license, record.artist, record.title, record.genre) == (
            CC,
            "An Artist",
            "A Title",
            "Folk",
        )
        kept = json.loads((bring.folder / "records" / f"{song.key}.json").read_text())
        assert kept == record.__dict__
        table = (bring.folder / "fetched.csv").read_text().splitlines()
        assert table[0].startswith("path,address") and len(table) == 2 and record.file in table[1]
        assert os.listdir(bring.folder / ".parts") == ["lock"]

    @pytest.mark.parametrize(
        "kind, extension",
        [("WAV", "wav"), ("FLAC", "flac"), ("OGG", "ogg"), ("MP3", "mp3"), ("AIFF", "aiff")],
    )
    def test_the_extension_is_what_the_file_is(self, server, bring, kind, extension):
        server.answer["/song"] = sound(kind=kind)
        assert only(bring("/song")).record.file.endswith(f".{extension}")

    def test_opus_is_told_from_vorbis(self, server, bring):
        file = io.BytesIO()
        soundfile.write(
            file, np.random.default_rng(0).uniform(-0.5, 0.5, 24000), 48000, format="OGG", subtype="OPUS"
        )
        server.answer["/song.ogg"] = file.getvalue()
        assert only(bring("/song.ogg")).record.file.endswith(".opus")

    def test_a_tag_in_front_hides_nothing(self, server, bring):
        server.answer["/a.mp3"] = b"ID3\4\0\0\0\0\x08\0" + bytes(1024) + sound(kind="MP3")
        assert only(bring("/a.mp3")).record.file.endswith(".mp3")

    def test_a_second_run_asks_for_nothing(self, server, bring):
        server.answer["/a.wav"] = WAV
        first, asked = only(bring("/a.wav")), len(server.asked)
        second = only(bring("/a.wav", verify=True))
        assert second.state == "there" and second.record == first.record
        assert len(server.asked) == asked

    def test_verify_finds_what_has_changed(self, server, bring):
        server.answer["/a.wav"] = WAV
        path = bring.folder / only(bring("/a.wav")).record.file
        path.write_bytes(WAV[:-1] + b"\xff")
        assert only(bring("/a.wav")).state == "there"  # the size is right
        assert only(bring("/a.wav", verify=True)).state == "fetched"
        assert path.read_bytes() == WAV

    @pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(WAV[:-1])])
    def test_a_song_that_is_gone_or_cut_is_fetched_again(self, server, bring, harm):
        server.answer["/a.wav"] = WAV
        path = bring.folder / only(bring("/a.wav")).record.file
        harm(path)
        assert only(bring("/a.wav")).state == "fetched" and path.read_bytes() == WAV

    def test_killed_between_record_and_name(self, server, bring):
        server.answer["/a.wav"] = WAV
        record = only(bring("/a.wav")).record
        asked, key = len(server.asked), Song(record.address).key
        os.replace(bring.folder / record.file, bring.folder / ".parts" / f"{key}.part")
        assert only(bring("/a.wav")).state == "there"
        assert (bring.folder / record.file).read_bytes() == WAV and len(server.asked) == asked

    def test_one_name_two_addresses_two_files(self, server, bring):
        server.answer.update({"/a.wav": WAV, "/b.wav": sound(seed=1)})
        songs = [Song(server.root + path, "One", "Same", "", CC) for path in ("/a.wav", "/b.wav", "/a.wav")]
        outcomes = bring(*songs)
        assert [outcome.state for outcome in outcomes] == ["fetched"] * 2  # the third is the first
        assert len({outcome.record.file.lower() for outcome in outcomes}) == 2

    def test_a_failure_is_recorded_and_ends_nothing(self, server, bring):
        server.answer["/b.wav"] = WAV
        song = Song(server.root + "/a.wav", "One", "Gone", "", CC)
        assert [outcome.state for outcome in bring(song, "/b.wav")] == ["failed", "fetched"]
        failed = bring.folder / "records" / f"{song.key}.failed.json"
        told = json.loads(failed.read_text())
        assert (
            told["fault"] == "status 404 Not Found" and told["state"] == "failed" and told["title"] == "Gone"
        )
        server.answer["/a.wav"] = WAV
        bring(song)
        assert not failed.exists()

    def test_what_came_damaged_is_asked_for_again_only_on_demand(self, server, bring):
        server.answer["/a.wav"] = WAV[:30]
        first = only(bring("/a.wav"))
        second = only(bring("/a.wav"))
        assert (first.state, second.state) == ("damaged", "damaged") and len(server.paths()) == 1
        assert second.fault == f"{first.fault}; as an earlier run found, --again asks for it anew"
        server.answer["/a.wav"] = WAV
        assert only(bring("/a.wav", again=True)).state == "fetched"

    def test_what_may_have_been_cut_is_tried_in_the_next_run(self, server, bring):
        def answer(request):
            request.send_response(200)  # and no length
            request.end_headers()
            request.wfile.write(WAV[:-100])

        server.answer["/a.wav"] = answer
        assert only(bring("/a.wav")).state == "failed"
        server.answer["/a.wav"] = WAV
        assert only(bring("/a.wav")).state == "fetched"

    def test_checksum_of_the_catalogue(self, server, bring):
        server.answer["/a.wav"] = WAV
        digest = hashlib.sha256(WAV).hexdigest()
        right = Song(server.root + "/a.wav", license=CC, sha256=digest.upper())
        wrong = replace(right, sha256="0" * 64)
        assert only(bring(wrong)).fault == (
            f"its SHA-256 is {digest[:16]}..., and the catalogue states 0000000000000000..."
        )
        assert only(bring(right)).state == "fetched"

    def test_one_process_at_a_time(self, server, bring):
        pytest.importorskip("fcntl")
        with Folder(bring.folder).alone(), pytest.raises(AudioError, match="another process is fetching"):
            bring("/a.wav")


class TestPolite:
    def test_who_asks_and_for_what(self, server, waits):
        server.answer["/a"] = lambda request: request.reply(200, b"text", {"Content-Type": "text/html"})
        with Client(LIMITS, clock=waits.clock, contact="me@example.org") as client:
            assert client.page(server.root + "/a", named=server.root)[0] == "text"
        for _, headers in server.asked:
            assert (
                headers["User-Agent"].startswith("audio-distance/")
                and "me@example.org" in headers["User-Agent"]
            )
            assert headers["Accept-Encoding"] == "identity"

    def test_robots_are_asked_once_and_obeyed(self, server, bring):
        server.answer.update({"/a.wav": WAV, "/private/b.wav": WAV})
        server.answer["/robots.txt"] = b"User-agent: *\nDisallow: /private/\n"
        fine, forbidden = bring("/a.wav", "/private/b.wav")
        assert fine.state == "fetched"
        assert forbidden.fault == f"{server.root}/robots.txt forbids /private/b.wav to audio-distance"
        assert [path for path, _ in server.asked] == ["/robots.txt", "/a.wav"]

    def test_rules_of_our_name_go_before_those_of_all(self, server, bring):
        server.answer["/a.wav"] = WAV
        server.answer["/robots.txt"] = (
            b"User-agent: *\nDisallow:\n\nUser-agent: audio-distance\nDisallow: /\n"
        )
        assert "forbids" in only(bring("/a.wav")).fault

    @pytest.mark.parametrize(
        ("rules", "path", "may"),
        [  # RFC 9309, 2.2.2 and 2.2.3: the longest rule counts, of two as long the one that allows
            ("Allow: /\nDisallow: /private/\nDisallow: /*.wav$", "/private/a.ogg", False),
            ("Allow: /\nDisallow: /private/\nDisallow: /*.wav$", "/b.wav", False),
            ("Allow: /\nDisallow: /private/\nDisallow: /*.wav$", "/b.wav.ogg", True),
            ("Disallow: /private/\nAllow: /private/open/", "/private/open/a.ogg", True),
            ("Disallow: /songs\nAllow: /songs", "/songs/a.ogg", True),
            ("Disallow: /*/live/", "/2001/live/a.ogg", False),
            ("Disallow: /caf%C3%A9", "/caf%c3%a9.ogg", False),
            ("Disallow: /%7Eana", "/~ana.ogg", False),
            ("Disallow: /a.ogg?id=", "/a.ogg?id=3", False),
            ("Disallow: /a\n\nUser-agent: *\nDisallow: /b", "/b.ogg", False),
        ],
    )
    def test_which_rule_of_robots_counts(self, server, bring, rules, path, may):
        server.answer[path.partition("?")[0]] = WAV
        server.answer["/robots.txt"] = f"User-agent: *\n{rules}\n".encode()
        assert only(bring(path)).state == ("fetched" if may else "failed")
        assert server.paths() == ([path] if may else [])

    def test_robots_of_where_a_redirect_leads(self, server, bring):
        server.answer["/a.wav"] = lambda request: request.reply(302, b"", {"Location": "/private/a.wav"})
        server.answer["/robots.txt"] = b"User-agent: *\nDisallow: /private/\n"
        assert "forbids /private/a.wav" in only(bring("/a.wav")).fault

    def test_robots_that_cannot_be_had_forbid_all(self, server, bring):
        server.answer["/a.wav"] = WAV
        server.answer["/robots.txt"] = lambda request: request.reply(500)
        fault = only(bring("/a.wav")).fault
        assert "robots.txt cannot be had (status 500 Internal Server Error; tried 3 times)" in fault
        assert server.paths() == []

    @pytest.mark.parametrize(
        "robots, delay, expected",
        [
            ("", 1.0, 1.0),
            ("Crawl-delay: 7", 1.0, 7.0),
            ("Crawl-delay: 1.5", 1.0, 1.5),
            ("Crawl-delay: 1", 3.0, 3.0),
            ("Request-rate: 1/5", 1.0, 5.0),
        ],
    )
    def test_waits_between_requests(self, server, bring, waits, robots, delay, expected):
        server.answer.update({"/a.wav": WAV, "/b.wav": sound(seed=1)})
        server.answer["/robots.txt"] = f"User-agent: *\n{robots}\nDisallow: /x\n".encode()
        bring("/a.wav", "/b.wav", limits=replace(LIMITS, delay=delay))
        # Before the song behind robots.txt the delay; its rules hold from then on.
        assert waits.waits == [pytest.approx(delay), pytest.approx(expected)]

    def test_a_delay_that_would_take_for_ever(self, server, bring):
        server.answer["/robots.txt"] = b"User-agent: *\nCrawl-delay: 86400\n"
        assert "asks for 86400 s between requests, more than 120 s" in only(bring("/a.wav")).fault

    def test_backs_off(self, server, bring, waits):
        statuses = [503, 500, 200]
        server.answer["/a.wav"] = lambda request: request.reply(statuses.pop(0), WAV)
        assert only(bring("/a.wav")).state == "fetched"
        assert waits.waits == [pytest.approx(1), pytest.approx(2)]

    @pytest.mark.parametrize("form", ["seconds", "date"])
    def test_retry_after(self, server, bring, waits, form):
        asked = "30" if form == "seconds" else formatdate(time.time() + 30, usegmt=True)
        statuses = [429, 200]
        server.answer["/a.wav"] = lambda request: request.reply(statuses.pop(0), WAV, {"Retry-After": asked})
        assert only(bring("/a.wav")).state == "fetched"
        assert sum(waits.waits) == pytest.approx(30, abs=0 if form == "seconds" else 10)

    def test_retry_after_too_long_is_for_the_next_run(self, server, bring, waits):
        server.answer["/a.wav"] = lambda request: request.reply(503, b"", {"Retry-After": "3600"})
        fault = only(bring("/a.wav")).fault
        assert fault == (
            "status 503 Service Unavailable; it asks to wait 3600 s, more than 120 s: run it again later"
        )
        assert waits.waits == [] and len(server.paths()) == 1

    @pytest.mark.parametrize(
        "status, tries", [(404, 1), (403, 1), (410, 1), (429, 3), (500, 3), (503, 3), (204, 1)]
    )
    def test_tries_of_a_status(self, server, bring, status, tries):
        server.answer["/a.wav"] = lambda request: request.reply(status)
        assert f"status {status}" in only(bring("/a.wav")).fault
        assert len(server.paths()) == tries


class TestResumed:
    def test_goes_on_where_it_broke_off(self, server, bring):
        server.answer["/a.wav"] = ranged(WAV, breaks_at=3000)
        record = only(bring("/a.wav")).record
        assert (bring.folder / record.file).read_bytes() == WAV
        assert ranges(server) == [None, "bytes=3000-"]
        assert server.asked[-1][1]["If-Range"] == '"one"'

    def test_in_the_next_run(self, server, bring):
        server.answer["/a.wav"] = ranged(WAV, breaks_at=3000)
        fault = only(bring("/a.wav", limits=replace(LIMITS, tries=1))).fault
        assert fault.startswith("broke off: ") and "tried" not in fault
        assert only(bring("/a.wav")).state == "fetched"
        assert ranges(server) == [None, "bytes=3000-"]

    @pytest.mark.parametrize("etag", ['W/"weak"', ""])
    def test_without_a_validator_from_the_start(self, server, bring, etag):
        server.answer["/a.wav"] = ranged(WAV, etag, breaks_at=3000)
        assert only(bring("/a.wav")).state == "fetched"
        assert ranges(server) == [None, None]

    def test_by_date(self, server, bring):
        def answer(request):
            headers = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
            if request.headers.get("Range"):
                assert request.headers["If-Range"] == headers["Last-Modified"]
                rest = {"Content-Range": f"bytes 5000-{len(WAV) - 1}/{len(WAV)}"}
                return request.reply(206, WAV[5000:], {**headers, **rest})
            request.reply(200, WAV[:5000], headers, length=len(WAV))

        server.answer["/a.wav"] = answer
        assert only(bring("/a.wav")).record.bytes == len(WAV)

    def test_a_file_that_changed_meanwhile_comes_whole(self, server, bring):
        """Where the server knows If-Range: it answers 200."""
        new = sound(seed=1)
        server.answer["/a.wav"] = ranged(WAV, breaks_at=3000)
        bring("/a.wav", limits=replace(LIMITS, tries=1))
        server.answer["/a.wav"] = ranged(new, '"two"')
        assert (bring.folder / only(bring("/a.wav")).record.file).read_bytes() == new
        assert ranges(server) == [None, "bytes=3000-"]

    @pytest.mark.parametrize(
        "change",
        [
            {"ETag": '"two"'},
            {"Content-Range": "bytes 2000-8043/8044"},
            {"Content-Range": "bytes 3000-8043/9999"},
            {"Content-Range": "nonsense"},
            {"Content-Range": "bytes 3000-3000/8044", "short": True},
        ],
        ids=["another version", "another range", "another length", "no range", "less than asked"],
    )
    def test_a_rest_that_does_not_fit_is_not_appended(self, server, bring, change):
        """Where it does not: a mixture of two files would be a sound like any other."""

        def answer(request):
            headers = {"ETag": '"one"'}
            if request.headers.get("Range"):
                rest = WAV[3000:3001] if change.get("short") else WAV[3000:]
                told = {"Content-Range": "bytes 3000-8043/8044", **change}
                told.pop("short", None)
                return request.reply(206, rest, {**headers, **told})
            if len(server.paths()) == 1:
                return request.reply(200, WAV[:3000], headers, length=len(WAV))
            return request.reply(200, WAV, headers)

        server.answer["/a.wav"] = answer
        assert len(WAV) == 8044
        assert (bring.folder / only(bring("/a.wav")).record.file).read_bytes() == WAV
        assert ranges(server) == [None, "bytes=3000-", None]

    def test_a_piece_need_not_repeat_what_if_range_has_settled(self, server, bring):
        """RFC 9110, 15.3.7: other headers than the ETag need not come with it."""

        def answer(request):
            if request.headers.get("Range"):
                told = {"Content-Range": f"bytes 3000-{len(WAV) - 1}/{len(WAV)}", "ETag": '"one"'}
                return request.reply(206, WAV[3000:], told)
            told = {"ETag": '"one"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
            request.reply(200, WAV[:3000], told, length=len(WAV))

        server.answer["/a.wav"] = answer
        assert only(bring("/a.wav")).state == "fetched" and ranges(server) == [None, "bytes=3000-"]

    def test_a_whole_in_place_of_the_rest(self, server, bring):
        def answer(request):
            cut = len(server.paths()) == 1
            request.reply(200, WAV[:3000] if cut else WAV, {"ETag": '"one"'}, length=len(WAV))

        server.answer["/a.wav"] = answer
        assert (bring.folder / only(bring("/a.wav")).record.file).read_bytes() == WAV

    def test_nothing_left_to_ask_for(self, server, bring):
        """Killed behind the last byte: 416, with the length that is there."""
        server.answer["/a.wav"] = ranged(WAV, breaks_at=3000)
        bring("/a.wav", limits=replace(LIMITS, tries=1))
        (bring.folder / ".parts" / f"{Song(server.root + '/a.wav').key}.part").write_bytes(WAV)
        assert only(bring("/a.wav")).state == "fetched"
        assert ranges(server) == [None, f"bytes={len(WAV)}-"]

    def test_more_there_than_the_file_has(self, server, bring):
        server.answer["/a.wav"] = ranged(WAV, breaks_at=3000)
        bring("/a.wav", limits=replace(LIMITS, tries=1))
        (bring.folder / ".parts" / f"{Song(server.root + '/a.wav').key}.part").write_bytes(WAV + b"more")
        assert (bring.folder / only(bring("/a.wav")).record.file).read_bytes() == WAV

    def test_a_piece_nobody_asked_for(self, server, bring):
        piece = {"Content-Range": f"bytes 0-{len(WAV) - 1}/{len(WAV)}"}
        server.answer["/a.wav"] = lambda request: request.reply(206, WAV, piece)
        assert only(bring("/a.wav")).fault == "sends a piece (206) to who asks for the whole"

    def test_a_state_that_was_damaged_is_no_state(self, server, bring):
        server.answer["/a.wav"] = ranged(WAV, breaks_at=3000)
        bring("/a.wav", limits=replace(LIMITS, tries=1))
        (bring.folder / ".parts" / f"{Song(server.root + '/a.wav').key}.json").write_text("{")
        assert only(bring("/a.wav")).state == "fetched"
        assert ranges(server) == [None, None]


PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


class TestMisbehaved:
    """Each is named, and none of it is saved."""

    @pytest.fixture(autouse=True)
    def nothing_is_saved(self, bring):
        yield
        assert not [path for path in bring.folder.iterdir() if path.suffix not in {"", ".csv"}]

    @pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "audio/mpeg", "application/octet-stream"])
    @pytest.mark.parametrize("body", [PAGE, b"\xef\xbb\xbf\n " + PAGE * 99, b'{"error": "no such song"}'])
    def test_a_page_with_status_200(self, server, bring, kind, body):
        server.answer["/a.mp3"] = lambda request: request.reply(200, body, {"Content-Type": kind})
        assert "is a page and no sound" in only(bring("/a.mp3")).fault

    def test_garbage(self, server, bring):
        """And not read to its end, nor kept to go on with."""
        server.answer["/a.mp3"] = ranged(b"\x13\x37" * 5000, breaks_at=5000)
        assert only(bring("/a.mp3")).fault == (
            "is no sound that is known here: it begins with the bytes 13 37 13 37 13 37 13 37"
        )
        assert os.listdir(bring.folder / ".parts") == ["lock"]

    @pytest.mark.parametrize("body", [bytes(2000), b"RIFF\0\0\0\0WAVE", b"ID3\4\0\0\0\0\0\0", WAV[:30]])
    def test_what_only_begins_like_a_sound(self, server, bring, body):
        server.answer["/a.wav"] = body
        assert "is no whole sound" in only(bring("/a.wav")).fault
        assert os.listdir(bring.folder / ".parts") == ["lock"]  # nor is it resumed for ever

    def test_a_whole_container_of_a_codec_that_nobody_knows(self, server, bring):
        server.answer["/a.wav"] = WAV[:20] + b"\x34\x12" + WAV[22:]
        fault = only(bring("/a.wav")).fault
        assert fault.startswith("is no whole sound: unreadable")

    def test_no_protocol_at_all(self, server, bring):
        server.answer["/a.wav"] = lambda request: request.wfile.write(b"\0\1\2 hello\r\n\r\n" * 9)
        assert "broke off" in only(bring("/a.wav")).fault

    def test_closes_at_once(self, server, bring):
        server.answer["/a.wav"] = lambda request: None
        assert "broke off" in only(bring("/a.wav")).fault and len(server.paths()) == 3

    def test_nothing_listens(self, server, bring):
        server.close()
        assert "cannot be had (no connection: " in only(bring("/a.wav")).fault

    def test_fewer_bytes_than_promised(self, server, bring):
        server.answer["/a.wav"] = lambda request: request.reply(200, WAV, length=len(WAV) + 1)
        assert "broke off" in only(bring("/a.wav")).fault

    def test_more_bytes_than_promised(self, server, bring):
        """What lies behind the promised length is not of this answer; the container shows the cut."""
        server.answer["/a.wav"] = lambda request: request.reply(200, WAV, length=len(WAV) // 2)
        assert "is no whole sound" in only(bring("/a.wav")).fault

    def test_no_length_and_a_cut(self, server, bring):
        def answer(request):
            request.send_response(200)
            request.end_headers()
            request.wfile.write(WAV[:-100])

        server.answer["/a.wav"] = answer
        assert "is no whole sound" in only(bring("/a.wav")).fault

    @pytest.mark.parametrize("length", ["-5", "many"])
    def test_a_length_that_is_none(self, server, bring, length):
        server.answer["/a.wav"] = lambda request: request.reply(200, WAV, length=length)
        assert "broke off" in only(bring("/a.wav")).fault

    def test_nothing(self, server, bring):
        server.answer["/a.wav"] = b""
        assert only(bring("/a.wav")).fault == "0 bytes came; tried 3 times"

    @pytest.mark.parametrize("encoding", ["gzip", "br"])
    def test_what_unpacks_to_any_size(self, server, bring, encoding):
        server.answer["/a.wav"] = lambda request: request.reply(200, WAV, {"Content-Encoding": encoding})
        fault = only(bring("/a.wav")).fault
        assert fault == f"packed as {encoding}, which was not asked for and is not unpacked"

    @pytest.mark.parametrize("told", [True, False])
    def test_too_many_bytes(self, server, bring, told):
        def answer(request):
            request.send_response(200)
            if told:
                request.send_header("Content-Length", "1000000000")
            request.send_header("ETag", '"one"')
            request.end_headers()
            request.wfile.write(WAV)
            while not told and not server.over.is_set():
                request.wfile.write(bytes(65536))  # for ever

        server.answer["/a.wav"] = answer
        fault = only(bring("/a.wav", limits=replace(LIMITS, most_bytes=50_000))).fault
        assert "bytes or more, and the limit is 50000 (--most-bytes)" in fault
        assert os.listdir(bring.folder / ".parts") == ["lock"]

    @pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", WAV[:100]])
    def test_a_stall(self, server, bring, sent):
        """Before the head, in it, and in the body."""

        def answer(request):
            if sent.startswith(b"RIFF"):
                request.reply(200, sent, length=len(WAV))
            else:
                request.wfile.write(sent)
            request.wfile.flush()
            server.over.wait(SECONDS)

        server.answer["/a.wav"] = answer
        fault = only(bring("/a.wav", limits=replace(LIMITS, tries=1, read=0.5))).fault
        assert fault == "stalled: not one byte for 0.5 s"

    def drip(self, server, head):
        def answer(request):
            request.wfile.write(head)
            while not server.over.wait(0.01):
                request.wfile.write(b"x")
                request.wfile.flush()

        return answer

    def test_a_drip_in_the_body(self, server, bring):
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + WAV[:HEAD]
        server.answer["/a.wav"] = self.drip(server, head)
        fault = only(bring("/a.wav", limits=replace(LIMITS, lowest_speed=1e6, speed=0.1))).fault
        assert fault.startswith("too slow: ") and "the limit is 1e+06" in fault

    @pytest.mark.parametrize(
        "head",
        [
            b"HTTP/1.1 200 OK\r\nX-Long: ",
            b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + WAV,
            b"HTTP/1.1 200 OK\r\n\r\n" + WAV,  # whose end might be anywhere
        ],
    )
    def test_a_drip_has_an_end(self, server, bring, head):
        """In the head no timeout of a read ever strikes: the time of all tries together does."""
        server.answer["/a.wav"] = self.drip(server, head)
        fault = only(bring("/a.wav", limits=replace(LIMITS, total=0.5))).fault
        assert fault.startswith("took longer than 0.5 s")

    def test_the_disk_is_full(self, server, bring, monkeypatch):
        server.answer["/a.wav"] = ranged(sound(30))
        write, room = module._write, [100_000]

        def until_full(file, piece):
            if (left := room[0] - len(piece)) < 0:
                file.write(piece[: room[0]])  # as a real one: what still fits is there
                raise OSError(28, "No space left on device")
            room[0] = left
            write(file, piece)

        monkeypatch.setattr(module, "_write", until_full)
        with pytest.raises(DiskFull, match="No space left"):
            bring("/a.wav", "/b.wav")
        assert server.paths() == ["/a.wav"]  # and no more is asked for
        monkeypatch.undo()
        outcome = only(bring("/a.wav"))
        path = bring.folder / outcome.record.file
        assert path.read_bytes() == sound(30) and ranges(server)[-1] == "bytes=100000-"
        path.unlink()

    def test_other_faults_of_the_disk_are_raised(self, server, bring, monkeypatch):
        def fails(file, piece):
            raise OSError(5, "Input/output error")

        server.answer["/a.wav"] = WAV
        monkeypatch.setattr(module, "_write", fails)
        with pytest.raises(OSError, match="Input/output"):
            bring("/a.wav")


class TestLedAstray:
    def to(self, target, status=302):
        return lambda request: request.reply(status, b"", {"Location": target})

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect(self, server, bring, status):
        server.answer.update({"/a.wav": self.to("b.wav", status), "/b.wav": WAV})
        record = only(bring("/a.wav")).record
        assert (record.address, record.final_address) == (server.root + "/a.wav", server.root + "/b.wav")

    def test_round_and_round(self, server, bring):
        server.answer.update({"/a.wav": self.to("/b.wav"), "/b.wav": self.to("/a.wav")})
        assert "redirects for ever" in only(bring("/a.wav")).fault
        assert server.paths() == ["/a.wav", "/b.wav"]

    def test_on_and_on(self, server, bring):
        server.answer["/a.wav"] = lambda request: request.reply(
            302, b"", {"Location": f"/a.wav?{len(server.paths())}"}
        )
        assert "more than 10 redirects" in only(bring("/a.wav")).fault

    def test_nowhere(self, server, bring):
        server.answer["/a.wav"] = lambda request: request.reply(302)
        assert only(bring("/a.wav")).fault == "status 302 without a place to go to"

    @pytest.mark.parametrize(
        "target, why",
        [
            ("file:///etc/passwd", "neither http nor https"),
            ("ftp://127.0.0.1/a.wav", "neither http nor https"),
            ("http://u:p@127.0.0.1/a.wav", "carries a password"),
            ("http://127.0.0.1:99999/", "is no address"),
        ],
    )
    def test_out_of_the_web(self, server, bring, target, why):
        server.answer["/a.wav"] = self.to(target)
        fault = only(bring("/a.wav")).fault
        assert fault.startswith("leads to what is not fetched") and why in fault

    @pytest.mark.parametrize("target", ["http://[::1/a.wav", "javascript:alert(1)"])
    def test_to_no_address(self, server, bring, target):
        server.answer["/a.wav"] = self.to(target)
        fault = only(bring("/a.wav")).fault
        assert "Invalid URL in location header" in fault or "leads to, what is no address" in fault

    @pytest.mark.parametrize(
        "host", ["10.0.0.1", "192.168.0.1", "169.254.169.254", "[fe80::1]", "[::ffff:10.0.0.1]"]
    )
    def test_into_a_private_network(self, server, bring, host):
        server.answer["/a.wav"] = self.to(f"http://{host}/a.wav")
        fault = only(bring("/a.wav")).fault
        assert "in a private network" in fault and "127.0.0.1 is loopback" in fault

    def public(self, host):
        """As if localhost were a public name; numbers are what they are."""
        return "public" if host == "localhost" else network_of(host)

    def test_from_public_to_loopback(self, server, bring):
        """By a redirect. Its peer is let pass, as that of a proxy is: this machine plays a public host."""
        server.answer["/a.wav"] = self.to(f"{server.root}/b.wav")
        song = Song(f"http://localhost:{server.port}/a.wav", license=CC)
        with Client(LIMITS, network=self.public) as client:
            client._proxied = True
            fault = only(fetch([song], bring.folder, client=client)).fault
        assert "leads to 127.0.0.1 in a loopback network, and localhost is public" in fault
        assert server.paths() == ["/a.wav"]

    def test_a_name_that_leads_elsewhere_once_it_was_looked_up(self, server, bring):
        song = Song(f"http://localhost:{server.port}/a.wav", license=CC)
        fault = only(bring(song, network=self.public)).fault
        assert "leads to 127.0.0.1, which is not in the network" in fault
        assert server.asked == []  # nothing was sent

    def test_from_a_public_page(self, server, bring):
        fault = only(bring("/a.wav", named=f"http://localhost:{server.port}/", network=self.public)).fault
        assert "leads to 127.0.0.1 in a loopback network, and localhost is public" in fault
        assert server.asked == []

    @pytest.mark.parametrize(
        "host, network",
        [
            ("127.0.0.1", "loopback"),
            ("::1", "loopback"),
            ("::ffff:127.0.0.1", "loopback"),
            ("10.1.2.3", "private"),
            ("169.254.169.254", "private"),
            ("100.64.0.1", "private"),
            ("0.0.0.0", "private"),
            ("224.0.0.1", "private"),
            ("8.8.8.8", "public"),
            ("2001:4860:4860::8888", "public"),
            ("fd00::1", "private"),
        ],
    )
    def test_networks(self, host, network):
        assert network_of(host) == network


def info(**told):
    """As the Free Music Archive writes it."""
    return json.dumps(told).replace("/", "\\/").replace('"', "&quot;")


class TestPages:
    BASE = "https://songs.example/genre/Folk"

    def one(self, html):
        (song,) = songs_of_page(html, self.BASE).songs
        return song

    def test_track_info(self):
        told = info(
            id=1, title="A &amp; B", artistName="An Artist", url="https://songs.example/music/one/",
            playbackUrl="https://songs.example/track/one/stream/", fileUrl="https://files.example/one.mp3",
        )  # fmt: skip
        song = self.one(f'<div class="play-item" data-track-info="{told}"><a class="genre">Folk</a></div>')
        assert song == Song(
            "https://files.example/one.mp3", "An Artist", "A & B", "Folk",
            page="https://songs.example/music/one/", named=self.BASE,
        )  # fmt: skip

    def test_without_a_file_the_download(self):
        told = info(title="T", downloadUrl="/track/one/download/", playbackUrl="/track/one/stream/")
        assert (
            self.one(f'<i data-track-info="{told}">').address == "https://songs.example/track/one/download/"
        )

    @pytest.mark.parametrize("audio", [True, False])
    def test_linked_data(self, audio):
        where = (
            {"audio": {"@type": "AudioObject", "contentUrl": "one.ogg"}}
            if audio
            else {"contentUrl": "one.ogg"}
        )
        data = {
            "@type": "MusicRecording", "name": "T", "byArtist": {"@type": "MusicGroup", "name": "A"},
            "genre": ["Folk", "Jazz"], "license": CC, **where,
        }  # fmt: skip
        html = f'<script type="application/ld+json">{json.dumps({"@graph": [{"track": [data]}]})}</script>'
        assert self.one(html) == Song(
            "https://songs.example/genre/one.ogg", "A", "T", "Folk, Jazz", CC, named=self.BASE
        )

    def test_microdata(self):
        html = f"""<div itemscope itemtype="http://schema.org/MusicRecording"><b itemprop="name">T</b>
            <span itemprop="byArtist" itemscope><i itemprop="name">A</i></span>
            <meta itemprop="genre" content="Folk">
            <link itemprop="license" href="{CC}"><a itemprop="contentUrl" href="/one.flac">get</a></div>"""
        song = self.one(html)
        assert (song.address, song.title, song.genre, song.license) == (
            "https://songs.example/one.flac", "T", "Folk", CC,
        )  # fmt: skip
        assert song.artist == "A"

    def test_rows(self):
        html = f"""<table>
            <tr><td class="track-artist">A</td><td class="track-title">One</td>
                <td><a href="1.mp3">mp3</a></td>
                <td><a rel="license" href="{CC}">CC BY</a></td></tr>
            <tr><td><a href="2.OGG?x=1#top">Two</a> <a href="about.html">?</a></td></tr>
            <tr><td><a href="3.mp3">either</a> <a href="4.mp3">or</a></td></tr></table>"""
        one, two = songs_of_page(html, self.BASE).songs
        assert (one.address, one.artist, one.title, one.license) == (
            "https://songs.example/genre/1.mp3", "A", "One", CC,
        )  # fmt: skip
        assert (two.address, two.title, two.license) == ("https://songs.example/genre/2.OGG?x=1", "Two", "")

    def test_what_one_way_leaves_open_another_fills(self):
        told = info(title="Better", fileUrl="1.mp3")
        html = f'<ul><li data-track-info="{told}"><a href="1.mp3">x</a> <i class="artist">A</i></li></ul>'
        assert (self.one(html).title, self.one(html).artist) == ("Better", "A")

    def test_a_licence_of_another_song_is_not_its_own(self):
        one, two = '<li><a href="1.mp3">1</a></li>', f'<li><a href="2.mp3">2</a><a href="{CC}">cc</a></li>'
        html = f'{one}{two}<a href="{CC}">of the page</a>'
        assert [song.license for song in songs_of_page(html, self.BASE).songs] == ["", CC]

    def test_two_licences_are_none(self):
        other = CC.replace("by", "by-nc")
        html = f'<li><a href="1.mp3">1</a><a href="{CC}">a</a><a href="{other}">b</a></li>'
        assert self.one(html).license == ""

    @pytest.mark.parametrize("tag", ["link", "a"])
    def test_next_page(self, tag):
        assert (
            songs_of_page(f'<{tag} rel="next" href="?page=2">', self.BASE).following == self.BASE + "?page=2"
        )
        assert songs_of_page("<a href='?page=2'>2</a>", self.BASE).following == ""

    @pytest.mark.parametrize(
        "html",
        [
            "",
            "<li>" * 500,
            '<i data-track-info="{">',
            '<i data-track-info="[1]">',
            "<li><a href='http://[.mp3'>x",
            '<script type="application/ld+json">[{"@type": "AudioObject"}, null, 3]</script>',
            '<script type="application/ld+json">{"@type": ["AudioObject"], "audio": [], "url": 7}</script>',
            '<i data-track-info="{&quot;fileUrl&quot;: [[]], &quot;title&quot;: {}}">',
            "<a rel=next href='http://['>",
        ],
    )
    def test_nonsense_is_borne(self, html):
        songs_of_page(html, self.BASE)

    def test_a_page_cut_anywhere_is_borne(self):
        """What is left of it lists the songs that came whole, and no licence that nobody stated."""
        one = info(title="One", fileUrl="1.mp3")
        two = json.dumps({"@type": "AudioObject", "contentUrl": "2.mp3"})
        html = (
            f'<p data-track-info="{one}"><a href="{CC}">cc</a></p>'
            f'<script type="application/ld+json">{two}</script>'
            f'<ul><li><a href="3.mp3">3</a> <a rel="license" href="{CC}">cc</a></li></ul>'
        )
        counts = []
        for end in range(0, len(html) + 1, 3):
            songs = songs_of_page(html[:end], self.BASE).songs
            counts.append(len(songs))
            assert {song.license for song in songs} <= {"", CC}
        assert counts[0] == 0 and counts[-1] == 3

    def test_catalogue_from_page_to_song(self, server, bring, waits):
        """Two pages, and the licence on the page of the song, as on the Free Music Archive."""

        def page(html):
            return lambda request: request.reply(200, html.encode(), {"Content-Type": "text/html"})

        one = info(title="One", artistName="A", url="/music/one/", fileUrl="/files/one.mp3")
        two = info(title="Two", artistName="A", url="/music/two/", fileUrl="/files/two.mp3")
        server.answer["/genre/Folk"] = page(
            f'<p data-track-info="{one}"></p><a rel="next" href="/genre/Folk/2">'
        )
        server.answer["/genre/Folk/2"] = page(
            f'<p data-track-info="{two}"></p><a rel="next" href="/genre/Folk">'
        )
        server.answer["/music/one/"] = page(f'<p data-track-info="{one}"></p><a href="{CC}">CC BY</a>')
        server.answer["/music/two/"] = page("All rights reserved")
        server.answer["/files/one.mp3"] = server.answer["/files/two.mp3"] = sound(kind="MP3")
        with Client(LIMITS, clock=waits.clock) as client:
            songs = list(listed([server.root + "/genre/Folk"], client))
            outcomes = list(fetch(songs, bring.folder, client=client))
        assert [outcome.state for outcome in outcomes] == ["fetched", "refused"]
        assert outcomes[0].record.license == CC and "no licence known" in outcomes[1].fault
        assert server.paths() == [
            "/genre/Folk",
            "/genre/Folk/2",
            "/music/one/",
            "/files/one.mp3",
            "/music/two/",
        ]

    def test_an_address_that_turns_out_a_sound(self, server, waits):
        server.answer["/download"] = WAV
        with Client(LIMITS, clock=waits.clock) as client:
            (song,) = listed([server.root + "/download"], client, license="CC0")
        assert song == Song(server.root + "/download", license="CC0")

    def test_a_page_without_songs(self, server, waits):
        server.answer["/page"] = lambda request: request.reply(200, b"<p>Hi", {"Content-Type": "text/html"})
        with Client(LIMITS, clock=waits.clock) as client:
            outcome = only(listed([server.root + "/page"], client))
        assert outcome.fault == "a page that lists no songs in a way that is known here"

    def test_a_page_that_is_not_there(self, server, waits):
        with Client(LIMITS, clock=waits.clock) as client:
            assert only(listed([server.root + "/page"], client)).fault == "status 404"


class TestLists:
    def written(self, tmp_path, name, text):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    @pytest.mark.parametrize("form", ["csv", "tsv", "json", "object.json", "jsonl"])
    def test_tables(self, tmp_path, form):
        row = {"url": "https://a.example/1.mp3", "artist": "A", "title": "T", "genre": "G", "license": CC}
        text = {
            "csv": "\ufeff" + ",".join(row) + ",more\n" + ",".join(row.values()) + ",x\n",
            "tsv": "\t".join(row) + "\n" + "\t".join(row.values()) + "\n",
            "json": json.dumps([row]),
            "object.json": json.dumps({"version": 1, "songs": [row]}),
            "jsonl": json.dumps(row) + "\n\n",
        }[form]
        (song,) = songs_of_file(self.written(tmp_path, f"list.{form}", text))
        assert song == Song("https://a.example/1.mp3", "A", "T", "G", CC)

    def test_lines(self, tmp_path):
        text = "# all of them\nhttps://a.example/1.mp3#t=3  # the first\n\n  https://a.example/2.mp3\n"
        one, two = songs_of_file(self.written(tmp_path, "list.txt", text), license="CC0")
        assert (one.address, two.address, two.license) == (
            "https://a.example/1.mp3", "https://a.example/2.mp3", "CC0",
        )  # fmt: skip

    @pytest.mark.parametrize(
        "name, text, why",
        [
            ("a.csv", "address,title\nx,y\n", "has no column url, only address, title"),
            ("a.csv", "", "has no column url, only nothing"),
            ("a.csv", "url,title\n,y\n", "entry 1 has no url"),
            ("a.json", "[{", "is no json"),
            ("a.json", '"text"', "is no json"),
            ("a.json", "[3]", "entry 1 has no url"),
            ("a.jsonl", "{}\n{", "is no jsonl"),
            ("a.txt", "/etc/passwd\n", "entry 1: /etc/passwd is neither http nor https"),
            ("a.txt", "https://me:secret@a.example/1.mp3", "an address of a.example carries a password"),
        ],
    )
    def test_faults(self, tmp_path, name, text, why):
        with pytest.raises(AudioError, match=r"a\.\w+: ") as caught:
            songs_of_file(self.written(tmp_path, name, text))
        assert why in str(caught.value) and "secret" not in str(caught.value)

    def test_not_text(self, tmp_path):
        (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(AudioError, match="cannot be read as a list"):
            songs_of_file(tmp_path / "a.csv")


class TestLicences:
    @pytest.mark.parametrize(
        "text",
        [
            "CC BY 4.0",
            "cc-by-nc-sa-3.0",
            "CC-BY-SA-4.0",
            "CC0",
            "CC0-1.0",
            "Public Domain",
            "MIT",
            "GPL-2.0-or-later",
            "GPLv2+",
            "Creative Commons Attribution 4.0 International",
            "Creative Commons Zero",
            "Attribution-NonCommercial-ShareAlike 3.0 Unported",
            "Public Domain Mark 1.0",
            "OGA-BY 3.0",
            "Attribution-NonCommercial-NoDerivatives (aka Music Sharing) 3.0 International License",
            "Creative Commons CC0 1.0 Universal Public Domain Dedication",
            "CC BY-NC-ND 4.0 DEED",
            "http://creativecommons.org/licenses/by-nc-nd/3.0/us/",
            "//creativecommons.org/publicdomain/zero/1.0/",
            "Creative Commons Attribution-NonCommercial 3.0 United States License",
        ],
    )
    def test_open(self, text):
        assert is_open(text)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "All rights reserved",
            "not in the public domain",
            "FMA-Limited: Download Only",
            "by me",
            "proprietary",
            "Creative Commons",
            "http://creativecommons.org/licenses/sampling/1.0/",
            "royalty-free",
            "permitted",
            "http://evil.example/?https://creativecommons.org/licenses/by/4.0/",
            "CC BY 4.0 but not for you",
            "https://creativecommons.org.evil.example/licenses/by/4.0/",
        ],
    )
    def test_not_known_as_open(self, text):
        assert not is_open(text)

    def test_what_is_not_open_is_not_asked_for(self, server, bring):
        server.answer["/a.wav"] = WAV
        closed, none = (
            Song(server.root + f"/{name}.wav", license=text) for name, text in (("a", "Mine"), ("b", ""))
        )
        one, two = bring(closed, none)
        assert one.fault == "its licence is 'Mine', not known as open; --any-license fetches it all the same"
        assert two.fault.startswith("no licence known; ") and (one.state, two.state) == ("refused", "refused")
        assert server.asked == []
        assert only(bring(closed, any_license=True)).record.license == "Mine"


class TestNames:
    @given(st.text(max_size=300), st.text(max_size=300))
    @example("", " ")
    def test_safe_everywhere(self, artist, title):
        song = Song("https://a.example/1.mp3", artist, title)
        name = file_name(song, "mp3")
        assert len(name.encode("utf-8")) <= 200 and name.endswith(f" [{song.key}].mp3")
        assert not set(name) & set('<>:"/\\|?*\0\n\r') and name[0] not in ".-~ "
        assert Path(name).name == name and Path("folder", name).resolve().parent == Path("folder").resolve()
        assert name.partition(".")[0].upper().rstrip() not in {"CON", "NUL", "COM1"}

    @pytest.mark.parametrize(
        "artist, title, expected",
        [
            ("AC/DC", "What?", "AC_DC - What_"),
            ("", "../../etc/passwd", "_._.._etc_passwd"),
            ("", "con.txt", "_con.txt"),
            ("Sigur\nRós", "", "Sigur Rós"),
            ("caf\udce9", "x", "caf_ - x"),
            ("", "", "a song"),
            ("\n", " ", "a song"),
            ("\t", "x", "x"),
        ],
    )
    def test_made_of(self, artist, title, expected):
        assert file_name(Song("https://a.example/x/a%20song.mp3", artist, title), "ogg").startswith(
            f"{expected} ["
        )

    def test_by_address_alone(self):
        one, two = (Song(f"https://a.example/{number}", "A", "T") for number in (1, 2))
        assert file_name(one, "ogg") != file_name(two, "ogg") and len(one.key) == 16


COMMAND = "import argparse, sys; from songs.fetch import *; p = argparse.ArgumentParser(prog='fetch'); " \
    "add_arguments(p); sys.exit(main(p.parse_args()))"  # fmt: skip


class TestCommand:
    def run(self, *words):
        parser = argparse.ArgumentParser(prog="fetch")
        add_arguments(parser)
        return main(parser.parse_args([str(word) for word in words]))

    def test_all_fetched(self, server, tmp_path, capsys):
        server.answer["/a.wav"] = WAV
        words = (server.root + "/a.wav", "--license", "CC0", "--out", tmp_path / "out", "--delay", "0")
        assert self.run(*words) == 0
        assert (
            capsys.readouterr().out
            == "1 songs fetched (0.0 MB), 0 were there, 0 not openly licensed, 0 damaged, 0 failed\n"
        )
        assert self.run(*words) == 0
        assert capsys.readouterr().out.startswith("0 songs fetched (0.0 MB), 1 were there")

    def test_some_are_not(self, server, tmp_path, capsys):
        server.answer["/a.wav"] = WAV
        path = tmp_path / "list.csv"
        path.write_text(
            f"url,license\n{server.root}/a.wav,CC0\n{server.root}/b.wav,CC0\n{server.root}/c.wav,\n"
        )
        assert self.run(path, "--out", tmp_path / "out", "--delay", "0") == 1
        said = capsys.readouterr()
        assert said.out.startswith("1 songs fetched") and said.out.endswith(
            "1 not openly licensed, 0 damaged, 1 failed\n"
        )
        assert f"failed: {server.root}/b.wav: status 404" in said.err
        assert f"not fetched: {server.root}/c.wav: no licence known" in said.err

    @pytest.mark.parametrize(
        "words, why",
        [
            (["nothing.csv", "--out", "x"], "neither an address (http, https) nor a file"),
            (["ftp://a.example/x", "--out", "x"], "neither http nor https"),
            (["https://a.example/x"], "required: --out"),
            (["https://a.example/x", "--out", "x", "--delay", "-1"], "at least 0 is needed"),
            (["https://a.example/x", "--out", "x", "--timeout", "0"], "more than 0 is needed"),
            (["https://a.example/x", "--out", "x", "--most-bytes", "nan"], "more than 0 is needed"),
            (["https://a.example/x", "--out", "x", "--tries", "0"], "invalid choice"),
        ],
    )
    def test_wrong_use(self, capsys, words, why):
        with pytest.raises(SystemExit) as caught:
            self.run(*words)
        assert caught.value.code == 2 and why in capsys.readouterr().err

    def test_help_teaches(self, capsys):
        with pytest.raises(SystemExit) as caught:
            self.run("--help")
        said = capsys.readouterr().out
        assert (
            caught.value.code == 0
            and "examples:" in said
            and "exit codes:" in said
            and "--any-license" in said
        )

    def test_interrupted(self, server, tmp_path, capsys, monkeypatch):
        def interrupted(file, piece):
            raise KeyboardInterrupt

        server.answer["/a.wav"] = WAV
        monkeypatch.setattr(module, "_write", interrupted)
        assert self.run(server.root + "/a.wav", "--license", "CC0", "--out", tmp_path, "--delay", "0") == 130
        assert "run it again to go on" in capsys.readouterr().err

    def test_disk_full(self, server, tmp_path, capsys, monkeypatch):
        def full(file, piece):
            raise OSError(28, "No space left on device")

        server.answer["/a.wav"] = WAV
        monkeypatch.setattr(module, "_write", full)
        assert self.run(server.root + "/a.wav", "--license", "CC0", "--out", tmp_path, "--delay", "0") == 1
        assert "No space left on device; make room and run it again" in capsys.readouterr().err

    def test_a_folder_that_is_a_file(self, tmp_path, capsys):
        (tmp_path / "out").write_text("")
        assert self.run("http://127.0.0.1:1/a.wav", "--license", "CC0", "--out", tmp_path / "out") == 1
        assert "stopped: " in capsys.readouterr().err


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a system without kill -9")
class TestKilled:
    def test_kill_9_in_the_middle_and_again(self, server, tmp_path):
        """Killed at three moments of one download, then left alone: the file is the original."""
        data = sound(30)  # 480 kB
        whole, stops = ranged(data), [100_000, 250_000, 400_000]

        def answer(request):
            if not stops:
                return whole(request)
            first = int((request.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
            request.send_response(206 if first else 200)
            request.send_header("ETag", '"one"')
            request.send_header("Content-Length", str(len(data) - first))
            if first:
                request.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
            request.end_headers()
            request.wfile.write(data[first : stops[0]])
            request.wfile.flush()
            server.over.wait(SECONDS * 3)

        server.answer["/a.wav"] = answer
        words = [server.root + "/a.wav", "--license", "CC0", "--out", str(tmp_path / "out"), "--delay", "0"]
        part = tmp_path / "out" / ".parts" / f"{Song(words[0]).key}.part"
        while stops:
            process = subprocess.Popen([sys.executable, "-c", COMMAND, *words], cwd=Path(__file__).parents[1])
            end = time.monotonic() + SECONDS * 6
            while not part.exists() or part.stat().st_size < stops[0]:
                assert process.poll() is None and time.monotonic() < end
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert not list((tmp_path / "out").glob("*.wav"))
            stops.pop(0)
        assert (
            subprocess.run([sys.executable, "-c", COMMAND, *words], cwd=Path(__file__).parents[1]).returncode
            == 0
        )
        (path,) = (tmp_path / "out").glob("*.wav")
        assert path.read_bytes() == data
        assert ranges(server) == [None, "bytes=100000-", "bytes=250000-", "bytes=400000-"]
