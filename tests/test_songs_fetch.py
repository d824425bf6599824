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
