"""Songs over HTTP, from a server on this machine that misbehaves in every way that is known."""

import argparse
import hashlib
import http.server
import io
import json
import os
import signal
import socket
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
from hypothesis import given
from hypothesis import strategies as st

from audio_distance.errors import AudioError

pytest.importorskip("httpx")
pytest.importorskip("bs4")

from songs import fetch as module
from songs.fetch import (
    HEAD,
    Client,
    Clock,
    Fault,
    Folder,
    Limits,
    Song,
    add_arguments,
    fetch,
    file_name,
    is_open,
    listed,
    main,
    network_of,
    songs_of_file,
    songs_of_page,
)

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
    """``answer[path](request)``: what is sent, byte by byte if need be. ``asked``: (path, headers), in order."""

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
                try:
                    super().handle()
                except OSError:  # the client has left
                    self.close_connection = True

            def finish(self):
                try:
                    super().finish()
                except OSError:
                    pass

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


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture
def waits():
    return Waits()


LIMITS = Limits(delay=0, tries=3, backoff=1, connect=2, read=0.3, total=SECONDS)


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
        "kind, extension", [("WAV", "wav"), ("FLAC", "flac"), ("OGG", "ogg"), ("MP3", "mp3"), ("AIFF", "aiff")]
    )
    def test_the_extension_is_what_the_file_is(self, server, bring, kind, extension):
        server.answer["/song"] = sound(kind=kind)
        assert only(bring("/song")).record.file.endswith(f".{extension}")

    def test_opus_is_told_from_vorbis(self, server, bring):
        file = io.BytesIO()
        soundfile.write(file, np.random.default_rng(0).uniform(-0.5, 0.5, 24000), 48000, format="OGG", subtype="OPUS")
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
        assert told["fault"] == "status 404 Not Found" and told["state"] == "failed" and told["title"] == "Gone"
        server.answer["/a.wav"] = WAV
        bring(song)
        assert not failed.exists()

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
        server.answer["/a"] = b"text"
        with Client(LIMITS, clock=waits.clock, contact="me@example.org") as client:
            assert client.page(server.root + "/a", named=server.root)[0] == "text"
        for _, headers in server.asked:
            assert headers["User-Agent"].startswith("audio-distance/") and "me@example.org" in headers["User-Agent"]
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
        server.answer["/robots.txt"] = b"User-agent: *\nDisallow:\n\nUser-agent: audio-distance\nDisallow: /\n"
        assert "forbids" in only(bring("/a.wav")).fault

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
        [("", 1.0, 1.0), ("Crawl-delay: 7", 1.0, 7.0), ("Crawl-delay: 1", 3.0, 3.0), ("Request-rate: 1/5", 1.0, 5.0)],
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

    @pytest.mark.parametrize("status, tries", [(404, 1), (403, 1), (410, 1), (429, 3), (500, 3), (503, 3), (204, 1)])
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
        assert fault.startswith("broke off: ") and fault.endswith("tried 1 times")
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
        [{"ETag": '"two"'}, {"Content-Range": "bytes 2000-8043/8044"}, {"Content-Range": "bytes 3000-8043/9999"},
         {"Content-Range": "nonsense"}, {"Content-Range": "bytes 3000-3000/8044", "short": True}],
        ids=["another version", "another range", "another length", "no range", "less than asked"],
    )  # fmt: skip
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
        server.answer["/a.mp3"] = b"\x13\x37" * 5000
        assert only(bring("/a.mp3")).fault == (
            "is no sound that is known here: it begins with the bytes 13 37 13 37 13 37 13 37"
        )

    @pytest.mark.parametrize("body", [bytes(2000), b"RIFF\0\0\0\0WAVE", b"ID3\4\0\0\0\0\0\0", WAV[:30]])
    def test_what_only_begins_like_a_sound(self, server, bring, body):
        server.answer["/a.wav"] = body
        assert "is no whole sound" in only(bring("/a.wav")).fault
        assert os.listdir(bring.folder / ".parts") == ["lock"]  # nor is it resumed for ever

    def test_no_protocol_at_all(self, server, bring):
        server.answer["/a.wav"] = lambda request: request.wfile.write(b"\0\1\2 hello\r\n\r\n" * 9)
        assert "broke off" in only(bring("/a.wav")).fault

    def test_closes_at_once(self, server, bring):
        server.answer["/a.wav"] = lambda request: None
        assert "broke off" in only(bring("/a.wav")).fault and len(server.paths()) == 3

    def test_nothing_listens(self, server, bring):
        server.close()
        assert "cannot be had (broke off" in only(bring("/a.wav")).fault

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
            request.end_headers()
            request.wfile.write(WAV)
            while not told and not server.over.is_set():
                request.wfile.write(bytes(65536))  # for ever

        server.answer["/a.wav"] = answer
        fault = only(bring("/a.wav", limits=replace(LIMITS, most_bytes=50_000))).fault
        assert "bytes or more, and the limit is 50000 (--most-bytes)" in fault

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
        fault = only(bring("/a.wav", limits=replace(LIMITS, tries=1, read=0.1))).fault
        assert fault == "stalled: not one byte for 0.1 s; tried 1 times"

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
        "head", [b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + WAV]
    )
    def test_a_drip_has_an_end(self, server, bring, head):
        """In the head no timeout of a read ever strikes: the time of all tries together does."""
        server.answer["/a.wav"] = self.drip(server, head)
        fault = only(bring("/a.wav", limits=replace(LIMITS, total=0.5))).fault
        assert fault == "took longer than 0.5 s altogether"

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
        with pytest.raises(module.DiskFull, match="No space left"):
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
            ("http://", "names no host"),
        ],
    )
    def test_out_of_the_web(self, server, bring, target, why):
        server.answer["/a.wav"] = self.to(target)
        fault = only(bring("/a.wav")).fault
        assert fault.startswith("leads to what is not fetched") and why in fault

    @pytest.mark.parametrize("host", ["10.0.0.1", "192.168.0.1", "169.254.169.254", "[fe80::1]", "[::ffff:10.0.0.1]"])
    def test_into_a_private_network(self, server, bring, host):
        server.answer["/a.wav"] = self.to(f"http://{host}/a.wav")
        fault = only(bring("/a.wav")).fault
        assert "in a private network" in fault and "127.0.0.1 is loopback" in fault

    def public(self, host):
        """As if localhost were a public name; numbers are what they are."""
        return "public" if host == "localhost" else network_of(host)

    def test_from_public_to_loopback(self, server, bring):
        """By a redirect. The peer is let pass: here a public host is played by this machine."""
        server.answer["/a.wav"] = self.to(f"{server.root}/b.wav")
        song = Song(f"http://localhost:{server.port}/a.wav", license=CC)
        asked = iter(["public"])  # robots.txt

        def network(host):
            return "public" if host == "localhost" or (host == "127.0.0.1" and self.is_peer) else network_of(host)

        self.is_peer = True
        with Client(LIMITS, network=network) as client:
            refuse = client._refuse

            def before_connecting(address, named):
                self.is_peer = False
                refuse(address, named)
                self.is_peer = True

            client._refuse = before_connecting
            outcome = only(fetch([song], bring.folder, client=client))
        assert "leads to 127.0.0.1 in a loopback network, and localhost is public" in outcome.fault
        assert server.paths() == ["/a.wav"] and next(asked)

    def test_a_name_that_leads_elsewhere_once_it_was_looked_up(self, server, bring):
        song = Song(f"http://localhost:{server.port}/a.wav", license=CC)
        fault = only(bring(song, network=self.public)).fault
        assert "leads to 127.0.0.1, which is not in the network" in fault
        assert server.asked == []  # nothing was sent

    def test_from_a_public_page(self, server, bring):
        fault = only(bring("/a.wav", named="http://192.0.2.1/", network=lambda host: "loopback" if host == "127.0.0.1" else "public")).fault
        assert "leads to 127.0.0.1 in a loopback network" in fault

    @pytest.mark.parametrize(
        "host, network",
        [("127.0.0.1", "loopback"), ("::1", "loopback"), ("::ffff:127.0.0.1", "loopback"), ("10.1.2.3", "private"),
         ("169.254.169.254", "private"), ("100.64.0.1", "private"), ("0.0.0.0", "private"), ("224.0.0.1", "private"),
         ("8.8.8.8", "public"), ("2001:4860:4860::8888", "public"), ("fd00::1", "private")],
    )  # fmt: skip
    def test_networks(self, host, network):
        assert network_of(host) == network
