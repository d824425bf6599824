"""Openly licensed songs from the web, politely: ``python -m songs fetch``.

Conventions
    address    of a song or page, http or https; a song is known by its address, whatever it is called.
    key        16 hex digits of SHA-256 of the address; it ends every file name: no two addresses share one.
    network    of a host: "public", "private" (with link-local, where clouds keep their keys) or "loopback".
    named      the address that the user gave: a page leads to other addresses, never into another network.
    fault      why a song did not come: one line, kept as a record. It never ends the run; a full disk does.

A folder of songs holds
    Artist - Title [key].ogg    the songs, each written whole or not at all
    records/key.json            what is known of each (``Record``); key.failed.json of those that did not come
    fetched.csv                 all records as a table: path, license, artist, ... (``songs index --labels``)
    .parts/key.part, key.json   what is half done, and of which version of the file

httpx, because its bytes come as they arrive (so that a slow server is told from a stalled one), and it says
to whom it has connected before anything is sent. Tries are counted here and not in the transport: what breaks
off in the middle of a body, only a request for the rest can mend.

Sources: RFC 9110 (ranges, If-Range, Retry-After), RFC 9309 (robots.txt), schema.org (AudioObject,
MusicRecording), the pages of the Free Music Archive (``data-track-info``).
"""

from __future__ import annotations

import argparse
import csv
import errno
import hashlib
import io
import ipaddress
import json
import os
import re
import socket
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import urldefrag, urljoin, urlsplit
from urllib.robotparser import RobotFileParser

from audio_distance import __version__
from audio_distance.audio import rate_of
from audio_distance.containers import contents, give_back, kind_of, tag_length
from audio_distance.errors import AudioError
from audio_distance.output import complain, printable, say
from audio_distance.sources import Source
from audio_distance.storage import replacing

AGENT = "audio-distance"  # what robots.txt may call us
EXTENSIONS = {
    "wav": "wav", "w64": "w64", "aiff": "aiff", "caf": "caf", "au": "au",
    "mpeg": "mp3", "adts": "aac", "mp4": "m4a", "ogg": "ogg", "flac": "flac",
}  # fmt: skip
HEAD = 512  # bytes that tell a sound from an error page
PAGE_BYTES = 2**24  # of a page, at most
MOST_PAGES = 200  # of one catalogue
REDIRECTS = {301, 302, 303, 307, 308}
PASSING = {408, 425, 429, 500, 502, 503, 504}  # statuses that another try may mend
FULL = {errno.ENOSPC, errno.EDQUOT}


@dataclass(frozen=True)
class Limits:
    """What a download may take. Seconds and bytes.

    delay : between two requests to one host; a longer Crawl-delay of its robots.txt goes before.
    tries, backoff : of one address; the waits between them are backoff, 2 backoff, 4 backoff, ...
    longest_wait : a server that asks for more (Retry-After) is left alone until the next run.
    read : without one byte; ``total`` for one address, all tries together.
    lowest_speed : bytes a second, judged every ``speed`` seconds.
    most_bytes : of a song.
    most_redirects : of an address.
    """

    delay: float = 1.0
    tries: int = 5
    backoff: float = 2.0
    longest_wait: float = 120.0
    connect: float = 15.0
    read: float = 30.0
    total: float = 1800.0
    lowest_speed: float = 1000.0
    speed: float = 30.0
    most_bytes: int = 500_000_000
    most_redirects: int = 10


@dataclass(frozen=True)
class Clock:
    """Of the waits between requests, so that tests need not wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Song:
    """What a catalogue says of a song; "" where it says nothing."""

    address: str
    artist: str = ""
    title: str = ""
    genre: str = ""
    license: str = ""
    sha256: str = ""  # checked if it is stated
    page: str = ""  # of the song, where its licence may stand
    named: str = ""  # by the user; "": the address itself

    @property
    def key(self) -> str:
        return hashlib.sha256(self.address.encode("utf-8", "surrogateescape")).hexdigest()[:16]


@dataclass(frozen=True)
class Record:
    """One fetched song: what ``records/key.json`` holds."""

    file: str  # name below the folder
    address: str
    final_address: str  # after redirects
    sha256: str
    bytes: int
    license: str
    artist: str
    title: str
    genre: str
    fetched_at: str  # ISO 8601, UTC


@dataclass(frozen=True)
class Outcome:
    """What became of an address.

    state : "fetched", "there", "refused" (by its licence), "damaged" (all of it came and is no whole sound:
    not asked for again until one asks to) or "failed" (the next run tries again).
    """

    state: str
    address: str
    fault: str = ""
    record: Record | None = None


class Fault(Exception):
    """Why an address cannot be had; ``again`` if another try may mend it, at the earliest in ``wait`` s."""

    def __init__(self, reason: str, *, again: bool = False, wait: float = 0.0) -> None:
        super().__init__(printable(" ".join(reason.split())))
        self.again, self.wait = again, wait


class Unfit(Fault):
    """What came is not what was wanted: nothing of it is kept, or the next run would go on with it."""


class DiskFull(Exception):
    """Nothing more can be written; what is half done is kept."""


# Licences

_CC_ADDRESS = re.compile(
    r"(https?:)?//(www\.)?creativecommons\.org/(licenses/by(-nc)?(-nd|-sa)?(-nc)?/|publicdomain/(zero|mark)/|"
    r"licenses/publicdomain)",
    re.I,
)
_VERSION = (
    r"( v?\d(\.\d)?( international| unported| generic| universal| united (states|kingdom)| [a-z]{2})*)?"
    r"( public domain dedication)?( licen[sc]e)?( deed)?"
)
_TERMS = (
    r"( non ?commercial)?( no ?deriv(s|ative|atives)?( works)?| share ?alike)?( non ?commercial)?"
    r"( aka music sharing)?"
)
_OPEN = re.compile(
    rf"cc by( nc)?( nd| sa)?( nc)?{_VERSION}|(cc )?attribution{_TERMS}{_VERSION}"
    rf"|cc ?(0|zero){_VERSION}|(cc )?(pd|pdm|public domain)( mark| dedication)?{_VERSION}"
    r"|(gnu )?[al]?gpl( ?v?\d(\.\d)?)?\+?( only| or later)?|gfdl( \d\.\d)?|(mit|isc|apache|bsd)( license)?"
    r"|expat|bsd \d clause|apache 2\.0|oga by( \d\.\d)?|free art( license)?( \d\.\d)?|licence art libre"
    r"|lal( \d\.\d)?|unlicense",
    re.I,
)


def is_open(license: str) -> bool:
    """Whether a licence, stated as an address or by its name, lets everybody copy the song.

    Creative Commons with all its conditions, CC0, public domain, and the licences of free software, which
    games give their music. Sampling licences, which forbid copies of the whole, are not; nor is what only
    mentions such a name ("not in the public domain").
    """
    text = license.strip()
    if _CC_ADDRESS.match(text):
        return True
    name = re.sub(r"[\s_/(),-]+", " ", text).strip()
    name = re.sub(r"^creative commons (cc ?)?", "cc ", name, flags=re.I)
    return bool(_OPEN.fullmatch(name))


# Catalogues


def songs_of_file(path: Path, *, license: str = "") -> list[Song]:
    """The songs of a list: .csv, .tsv, .json, .jsonl with columns url, artist, title, genre, license, sha256;
    any other file has one address a line, and comments behind #.

    ``license`` is that of songs which state none. Raises AudioError naming file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AudioError(f"{path}: cannot be read as a list ({error})") from None
    kind = path.suffix.lower()
    try:
        if kind in {".csv", ".tsv"}:
            table = csv.DictReader(io.StringIO(text, newline=""), delimiter="," if kind == ".csv" else "\t")
            rows: list[Any] = list(table)
            if "url" not in (table.fieldnames or ()):
                raise AudioError(
                    f"{path}: has no column url, only {', '.join(table.fieldnames or ['nothing'])}"
                )
        elif kind == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        elif kind == ".json":
            held = json.loads(text)
            rows = held if isinstance(held, list) else next(filter(_is_list, held.values()), [])
        else:
            lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
            rows = [{"url": line} for line in lines if line]
    except (ValueError, AttributeError, csv.Error) as error:
        if isinstance(error, AudioError):
            raise
        raise AudioError(f"{path}: is no {kind[1:]} ({error}); likely cut off, or another format") from None
    songs = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not isinstance(row.get("url"), str) or not row["url"].strip():
            raise AudioError(f"{path}: entry {number} has no url")
        address = row["url"].strip()
        if fault := fault_of_address(address):
            raise AudioError(f"{path}: entry {number}: {fault}")
        told = {name: _line(row.get(name)) for name in ("artist", "title", "genre", "license", "sha256")}
        told["license"] = told["license"] or license
        songs.append(Song(urldefrag(address).url, **told))
    return songs


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _line(value: object) -> str:
    """Text of a catalogue in one line; names in a dict or list of schema.org are taken out of it."""
    if isinstance(value, dict):
        value = value.get("name") or value.get("@id") or value.get("url")
    if isinstance(value, list):
        return ", ".join(filter(None, map(_line, value)))
    return " ".join(str(value).split()) if value else ""


def fault_of_address(address: str) -> str:
    """Why an address cannot be fetched, "" if it can."""
    try:
        parts = urlsplit(address)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        return f"{printable(address)} is no address ({error})"
    if parts.scheme not in {"http", "https"}:
        return f"{printable(address)} is neither http nor https"
    if not host or port == 0:
        return f"{printable(address)} names no host"
    if parts.username or parts.password:
        return f"an address of {host} carries a password; what is openly licensed needs none"
    return ""


class Listed(NamedTuple):
    """What a page lists: songs, and the address of the next page, "" on the last."""

    songs: list[Song]
    following: str


def songs_of_page(text: str, address: str, *, named: str = "") -> Listed:
    """The songs that an HTML page lists, in its order, each address once.

    Four ways of saying it are known, and one page may mix them:

    1. ``<div data-track-info='{"title", "artistName", "fileUrl" or "downloadUrl", "url"}'>``, as on the Free
       Music Archive. Its lists state no licence; the page of the song does, to which "url" leads.
    2. JSON-LD: an AudioObject or MusicRecording with contentUrl (or audio), name, byArtist, genre, license.
    3. The same as microdata: itemscope, itemtype and itemprop.
    4. A row (li, tr, article) that holds one link to a sound file; artist and title have such a class.

    A licence is a link with ``rel="license"`` or to Creative Commons, inside the element of the song.
    """
    from bs4 import BeautifulSoup

    page = BeautifulSoup(text, "html.parser")
    found: list[dict[str, str]] = []
    for script in page.select('script[type="application/ld+json"]'):
        with suppress(ValueError):
            found += _linked_data(json.loads(script.get_text()))
    for item in page.select("[data-track-info]"):
        with suppress(ValueError, AttributeError):
            info = json.loads(item["data-track-info"])
            told = {"address": info.get("fileUrl") or info.get("downloadUrl") or info.get("playbackUrl"),
                    "artist": info.get("artistName"), "title": info.get("title"), "page": info.get("url"),
                    "genre": info.get("genre") or _text(item, '.ptxt-genre, [class*="genre"]'),
                    "license": info.get("license") or license_in(item)}  # fmt: skip
            found.append({name: _line(value) for name, value in told.items()})
    for item in page.select('[itemtype$="/AudioObject"], [itemtype$="/MusicRecording"]'):
        told = {name: _property(item, *properties) for name, properties in _PROPERTIES.items()}
        found.append({**told, "license": told["license"] or license_in(item)})
    for item in page.select("li, tr, article"):
        links = {link["href"]: link for link in item.select("a[href], audio[src], source[src]")
                 if link.get("href") and _is_sound_address(link["href"])}  # fmt: skip
        if len(links) == 1:
            ((target, link),) = links.items()
            found.append({
                "address": target, "artist": _text(item, '[class*="artist"]'),
                "title": _text(item, '[class*="title"]') or _line(link.get_text()),
                "genre": _text(item, '[class*="genre"]'), "license": license_in(item),
            })  # fmt: skip
    songs: dict[str, Song] = {}
    for told in found:
        if not told["address"]:
            continue
        told.update({name: _joined(address, told[name]) for name in ("address", "page") if told.get(name)})
        song = Song(**told, named=named or address)
        before = songs.setdefault(song.address, song)  # the more exact way of saying it comes first,
        songs[song.address] = Song(  # the others fill what it leaves open
            **{name: value or getattr(song, name) for name, value in asdict(before).items()}
        )
    following = page.select_one('link[rel~="next"][href], a[rel~="next"][href]')
    return Listed(list(songs.values()), _joined(address, following["href"]) if following else "")


def _joined(base: str, address: str) -> str:
    """An address in full; what is none stays as it is, and is refused when its turn comes."""
    try:
        return urldefrag(urljoin(base, address)).url
    except ValueError:
        return address


_PROPERTIES = {
    "address": ("contentUrl", "audio", "url"),
    "artist": ("byArtist", "creator"),
    "title": ("name",),
    "genre": ("genre",),
    "license": ("license",),
}  # of schema.org


def _is_sound_address(address: str) -> bool:
    suffix = address.partition("?")[0].partition("#")[0].rpartition(".")[2].lower()
    return suffix in {*EXTENSIONS.values(), "opus", "oga", "aif", "aifc", "wave", "mp4"}


def _text(item: Any, selector: str) -> str:
    found = item.select_one(selector)
    return _line(found.get_text()) if found else ""


def _property(item: Any, *names: str) -> str:
    """The first of these itemprops that is stated: its content, address or text."""
    for name in names:
        if found := item.select_one(f'[itemprop~="{name}"]'):
            value = found.get("content") or found.get("href") or found.get("src")
            if text := _line(value or _text(found, '[itemprop~="name"]') or found.get_text()):
                return text
    return ""


def _linked_data(value: Any) -> Iterator[dict[str, str]]:
    """The recordings anywhere in JSON-LD."""
    if isinstance(value, list):
        for part in value:
            yield from _linked_data(part)
    if not isinstance(value, dict):
        return
    kinds = value.get("@type")
    if {"AudioObject", "MusicRecording"} & set(kinds if _is_list(kinds) else [kinds]):
        audio = value.get("audio")
        audio = audio[0] if audio and _is_list(audio) else audio
        inner = audio if isinstance(audio, dict) else {"contentUrl": audio}
        both = {**inner, **{name: given for name, given in value.items() if given}}
        yield {
            "address": _line(both.get("contentUrl") or both.get("url")), "title": _line(both.get("name")),
            "artist": _line(both.get("byArtist") or both.get("creator")), "genre": _line(both.get("genre")),
            "license": _line(both.get("license")),
        }  # fmt: skip
        return
    for part in value.values():
        yield from _linked_data(part)


def license_in(item: Any) -> str:
    """The licence that an element links to, "" if there is none or several that differ."""
    stated = {link["href"] for link in item.select('a[rel~="license"][href], link[rel~="license"][href]')}
    linked = {link["href"] for link in item.select("a[href]") if _CC_ADDRESS.match(link["href"])}
    found = {address.rstrip("/") + "/" for address in stated or linked}
    return found.pop() if len(found) == 1 else ""


# Addresses and hosts


def network_of(host: str) -> str:
    """ "public", "private" or "loopback": the least public of all addresses that a host name stands for.

    A name that is not found counts as public: connecting will say so.
    """
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, ValueError):  # ValueError: a name that cannot be one
        return "public"
    kinds = {_network_of_number(str(number)) for number in found}
    return next(kind for kind in ("loopback", "private", "public") if kind in kinds)


def _network_of_number(number: str) -> str:
    address = ipaddress.ip_address(number.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback:
        return "loopback"
    return "public" if address.is_global and not address.is_multicast else "private"


class _Watch:
    """Of one request: ends it when its time is over, and refuses a peer that is in another network.

    The name was looked up before; that it leads elsewhere when the connection is made is an old trick.
    """

    def __init__(self, allowed: Callable[[str], bool], seconds: float) -> None:
        self._allowed, self._socket, self.late = allowed, None, False
        self._timer = threading.Timer(max(seconds, 0.001), self._end)
        self._timer.daemon = True

    def __enter__(self) -> _Watch:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def __call__(self, event: str, info: Mapping[str, Any]) -> None:
        """What httpcore calls at every event of a request (its extension "trace")."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._socket = info["return_value"].get_extra_info("socket")
            peer = info["return_value"].get_extra_info("server_addr")
            if peer and not self._allowed(peer[0]):
                raise Fault(
                    f"its host name leads to {peer[0]}, which is not in the network of what was asked for"
                )
            if self.late:
                self._end()

    def _end(self) -> None:
        self.late = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


class Client:
    """Asks one thing at a time, and never what robots.txt forbids or sooner than a host wants to be asked.

    Parameters
    ----------
    limits, clock
        See there.
    contact : str
        How to reach who runs this, for those who run the servers: it goes into the User-Agent.
    network : callable
        Host name -> network, ``network_of`` but in tests.
    """

    def __init__(self, limits: Limits, *, contact: str = "", clock: Clock | None = None,
                 network: Callable[[str], str] = network_of) -> None:  # fmt: skip
        import httpx

        self.limits, self.clock, self._network = limits, clock or Clock(), network
        reach = f"; {contact}" if contact else ""
        self.agent = f"{AGENT}/{__version__} (songs fetch{reach})"
        self._http = httpx.Client(
            headers={"User-Agent": self.agent, "Accept": "*/*", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(limits.read, connect=limits.connect),
            limits=httpx.Limits(max_keepalive_connections=0),  # each request shows its peer
            follow_redirects=False,  # each hop is looked at
        )
        proxies = {"http_proxy", "https_proxy", "all_proxy"}
        self._proxied = bool(proxies & {name.lower() for name in os.environ})  # then every peer is the proxy
        self._robots: dict[str, RobotFileParser | str] = {}  # or why there is none
        self._next: dict[str, float] = {}  # host -> when it may be asked again

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    @contextmanager
    def open(self, address: str, *, named: str, headers: Mapping[str, str] | None = None, seconds: float,
             robots: bool = True) -> Iterator[Any]:  # fmt: skip
        """The response at the end of all redirects; its body has not been read. Raises Fault."""
        seen = [address]
        end = time.monotonic() + seconds
        while True:
            self._refuse(seen[-1], named)
            if robots:
                self._obey(seen[-1], named)
            self._take_turn(seen[-1])
            with self._request(seen[-1], named, headers or {}, end - time.monotonic()) as response:
                if response.status_code not in REDIRECTS:
                    yield response
                    return
                target = response.headers.get("location", "")
            if not target:
                raise Fault(f"status {response.status_code} without a place to go to")
            seen.append(_joined(seen[-1], target))
            if seen[-1] in seen[:-1]:
                raise Fault(f"redirects for ever: {seen[-1]} leads back to itself")
            if len(seen) > self.limits.most_redirects + 1:
                raise Fault(f"more than {self.limits.most_redirects} redirects, the last to {seen[-1]}")

    def _refuse(self, address: str, named: str) -> None:
        """A redirect, or a page, may lead to what is public or as private as what the user named."""
        if fault := fault_of_address(address):
            raise Fault(f"leads to what is not fetched: {fault}")
        host = urlsplit(address).hostname or ""
        if not self._allowed(host, named):
            raise Fault(
                f"leads to {host} in a {self._network(host)} network, and {urlsplit(named).hostname} is "
                f"{self._network(urlsplit(named).hostname or '')}; likely an attack on this machine's network"
            )

    def _allowed(self, host: str, named: str) -> bool:
        return self._network(host) in {"public", self._network(urlsplit(named).hostname or "")}

    @contextmanager
    def _request(self, address: str, named: str, headers: Mapping[str, str], seconds: float) -> Iterator[Any]:
        import httpx

        def allowed(peer: str) -> bool:
            return self._proxied or self._allowed(peer, named)

        limits = self.limits
        late = f"took longer than {limits.total:g} s, or as a page {4 * limits.read:g} s, tries and all"
        with _Watch(allowed, seconds) as watch:
            try:
                with self._http.stream(
                    "GET", address, headers=dict(headers), extensions={"trace": watch}
                ) as found:
                    yield found
                if watch.late:  # where no length was told, the end of the connection is that of the body
                    raise Fault(late)
            except httpx.ConnectTimeout:
                raise Fault(f"no connection within {limits.connect:g} s", again=True) from None
            except httpx.TimeoutException:
                raise Fault(f"stalled: not one byte for {limits.read:g} s", again=True) from None
            except (httpx.InvalidURL, UnicodeError) as error:
                raise Fault(f"is, or leads to, what is no address: {error}") from None
            except httpx.ConnectError as error:
                raise Fault(f"no connection: {error}", again=True) from None
            except httpx.HTTPError as error:
                if watch.late:
                    raise Fault(late) from None
                raise Fault(f"broke off: {str(error) or type(error).__name__}", again=True) from None

    def _take_turn(self, address: str) -> None:
        """Wait until the host of an address may be asked."""
        host = urlsplit(address).netloc.lower()
        if (wait := self._next.get(host, 0.0) - self.clock.now()) > 0:
            self.clock.sleep(wait)
        self._next[host] = self.clock.now() + max(self.limits.delay, self._crawl_delay(address))

    def hold_off(self, address: str, seconds: float) -> None:
        """Ask nothing of a host for this long."""
        host = urlsplit(address).netloc.lower()
        self._next[host] = max(self._next.get(host, 0.0), self.clock.now() + seconds)

    def _crawl_delay(self, address: str) -> float:
        rules = self._robots.get(_root(address))
        if not isinstance(rules, RobotFileParser):
            return 0.0
        rate = rules.request_rate(AGENT)
        return max(float(rules.crawl_delay(AGENT) or 0), rate.seconds / rate.requests if rate else 0.0)

    def _obey(self, address: str, named: str) -> None:
        """RFC 9309: no robots.txt (4xx) allows all, one that cannot be had forbids all."""
        root = _root(address)
        if root not in self._robots:
            try:
                self._robots[root] = self._rules(root, named)
            except Fault as fault:
                self._robots[root] = str(fault)
        rules = self._robots[root]
        if isinstance(rules, str):
            raise Fault(f"{root}/robots.txt cannot be had ({rules}), so nothing there may be asked for")
        if not rules.can_fetch(AGENT, address):
            raise Fault(f"{root}/robots.txt forbids {urlsplit(address).path or '/'} to {AGENT}")
        if (delay := self._crawl_delay(address)) > self.limits.longest_wait:
            raise Fault(f"{root}/robots.txt asks for {delay:g} s between requests, more than "
                        f"{self.limits.longest_wait:g} s")  # fmt: skip

    def _rules(self, root: str, named: str) -> RobotFileParser:
        text, status, _ = self.tried(lambda: self._read(f"{root}/robots.txt", named, robots=False), root)
        rules = RobotFileParser()
        rules.parse(text.splitlines() if status == 200 else [])
        return rules

    def _read(
        self, address: str, named: str, *, robots: bool = True, html: bool = False
    ) -> tuple[str | None, int, str]:
        """Text, status and final address; no text of what is no page if ``html`` is asked for."""
        with self.open(address, named=named, seconds=4 * self.limits.read, robots=robots) as response:
            if response.status_code in PASSING or response.status_code >= 500:
                raise fault_of_status(response)
            final = str(response.url)
            if html and "html" not in response.headers.get("content-type", "").lower():
                return None, response.status_code, final
            refuse_encoding(response)
            data = bytearray()
            for piece in response.iter_raw():
                data += piece
                if len(data) > PAGE_BYTES:
                    raise Fault(f"a page of more than {PAGE_BYTES} bytes")
            try:
                text = data.decode(response.charset_encoding or "utf-8", "replace")
            except LookupError:  # a charset that nobody knows
                text = data.decode("utf-8", "replace")
            return text.removeprefix("\ufeff"), response.status_code, final

    def refuse_size(self, count: int | None) -> None:
        """Unfit if a song has, or would have, more bytes than are allowed."""
        if count and count > self.limits.most_bytes:
            raise Unfit(
                f"has {count} bytes or more, and the limit is {self.limits.most_bytes} (--most-bytes)"
            )

    def page(self, address: str, *, named: str) -> tuple[str, str] | None:
        """Text and final address of a page; None of what is no HTML, whose body stays where it is."""
        text, status, final = self.tried(lambda: self._read(address, named, html=True), address)
        if status != 200:
            raise Fault(f"status {status}")
        return None if text is None else (text, final)

    def tried(self, action: Callable[[], Any], address: str) -> Any:
        """What ``action`` returns, tried again after a Fault that may pass, each time after a longer wait."""
        for count in range(self.limits.tries):
            try:
                return action()
            except Fault as fault:
                if not fault.again:
                    raise
                wait = max(fault.wait, self.limits.backoff * 2**count)
                if fault.wait > self.limits.longest_wait:
                    self.hold_off(address, fault.wait)
                    raise Fault(f"{fault}; it asks to wait {fault.wait:g} s, more than "
                                f"{self.limits.longest_wait:g} s: run it again later") from None  # fmt: skip
                if count + 1 == self.limits.tries:
                    raise Fault(f"{fault}; tried {count + 1} times" if count else str(fault)) from None
                self.hold_off(address, wait)
        raise AssertionError("at least one try")


def _root(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.lower()}"


def fault_of_status(response: Any) -> Fault:
    """A status that is no success; what Retry-After asks for, in seconds or as a date."""
    again, wait = response.status_code in PASSING, 0.0
    asked = response.headers.get("retry-after", "").strip()
    if asked.isdigit():
        wait = float(asked)
    elif asked:
        with suppress(ValueError, TypeError):
            date = parsedate_to_datetime(asked)
            wait = max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return Fault(f"status {response.status_code} {response.reason_phrase}", again=again, wait=wait)


def refuse_encoding(response: Any) -> None:
    """Nothing is unpacked: what was packed, though asked not to be, may become any size."""
    if (encoding := response.headers.get("content-encoding", "identity").lower()) != "identity":
        raise Fault(f"packed as {printable(encoding)}, which was not asked for and is not unpacked")


# The folder


class Part:
    """What is there of one address, and of which version of it."""

    def __init__(self, folder: Path, key: str) -> None:
        self.path, self._state = folder / f"{key}.part", folder / f"{key}.json"
        try:
            self.version: dict[str, Any] = json.loads(self._state.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.version = {}

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def validator(self) -> str:
        """What If-Range may carry: a strong ETag, else a date; without one no rest can be trusted to fit."""
        etag = self.version.get("etag", "")
        return etag if etag.startswith('"') else self.version.get("last_modified", "")

    def begin(self, version: dict[str, Any]) -> None:
        """Empty, for this version. In this order: a kill in between leaves no old bytes under a new name."""
        with _telling_full():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_bytes(b"")
        _write_json(self._state, version)
        self.version = version

    def clear(self) -> None:
        """Nothing of it can be used."""
        self.path.unlink(missing_ok=True)
        self._state.unlink(missing_ok=True)
        self.version = {}

    def become(self, path: Path) -> None:
        os.replace(self.path, path)
        self._state.unlink(missing_ok=True)


class Folder:
    """A folder of songs: see above. One process at a time may fetch into it (``alone``)."""

    def __init__(self, path: Path) -> None:
        self.path, self._records = path, path / "records"

    def part(self, song: Song) -> Part:
        return Part(self.path / ".parts", song.key)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """AudioError if another process fetches into the folder; a killed one holds nothing."""
        (self.path / ".parts").mkdir(parents=True, exist_ok=True)
        self._records.mkdir(exist_ok=True)
        with (self.path / ".parts" / "lock").open("w") as lock:
            with suppress(ModuleNotFoundError):  # Windows
                import fcntl

                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise AudioError(f"{self.path}: another process is fetching into it") from None
            yield

    def record(self, song: Song, *, verify: bool = False) -> Record | None:
        """The record of a song that is there: its size is compared, and its checksum if ``verify``."""
        record = _record_of(self._records / f"{song.key}.json")
        if record is None:
            return None
        path, part = self.path / record.file, self.part(song)
        # A record is written before its song takes its name, so that no song is ever without one.
        if not path.exists() and part.size == record.bytes and _sha256(part.path) == record.sha256:
            part.become(path)
        if not path.is_file() or path.stat().st_size != record.bytes:
            return None
        return record if not verify or _sha256(path) == record.sha256 else None

    def keep(self, song: Song, part: Part, *, final: str) -> Record:
        """Name what a part holds, if it is a whole sound, and record it; else Unfit."""
        found = _sha256(part.path)
        if song.sha256 and found != song.sha256.lower():
            raise Unfit(f"its SHA-256 is {found[:16]}..., and the catalogue states {song.sha256[:16]}...")
        name = file_name(song, extension_of(part.path))
        record = Record(
            file=name, address=song.address, final_address=final, sha256=found, bytes=part.size,
            license=song.license, artist=song.artist, title=song.title, genre=song.genre,
            fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )  # fmt: skip
        _write_json(self._records / f"{song.key}.json", asdict(record))
        part.become(self.path / name)
        (self._records / f"{song.key}.failed.json").unlink(missing_ok=True)
        return record

    def tell(self, song: Song, outcome: Outcome) -> None:
        """Record why a song did not come."""
        told = {
            "state": outcome.state,
            "fault": outcome.fault,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        _write_json(self._records / f"{song.key}.failed.json", {**asdict(song), **told})

    def damage(self, song: Song) -> str:
        """What was wrong with a song that came whole in an earlier run, "" if nothing is known."""
        try:
            told = json.loads((self._records / f"{song.key}.failed.json").read_text(encoding="utf-8"))
            same = told["sha256"] == song.sha256  # a catalogue that was corrected is believed
            return str(told["fault"]) if told["state"] == "damaged" and same else ""
        except (OSError, ValueError, LookupError, TypeError):
            return ""

    def records(self) -> list[Record]:
        """Of all songs that are there, by file name."""
        found = [_record_of(path) for path in self._records.glob("*.json") if not path.match("*.failed.json")]
        there = (record for record in found if record and (self.path / record.file).is_file())
        return sorted(there, key=lambda record: record.file)

    def write_table(self) -> None:
        """``fetched.csv``: the records, in the columns that ``songs index --labels`` reads."""
        names = [item.name for item in fields(Record) if item.name != "file"]
        with (
            _durably(self.path / "fetched.csv") as part,
            part.open("w", encoding="utf-8", newline="") as file,
        ):
            table = csv.writer(file)
            table.writerow(["path", *names])
            table.writerows(
                [record.file, *(getattr(record, name) for name in names)] for record in self.records()
            )


def _record_of(path: Path) -> Record | None:
    try:
        return Record(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None  # the song is fetched again


@contextmanager
def _durably(path: Path) -> Iterator[Path]:
    """``replacing``, on the disk before it takes its name; a disk that is full is DiskFull."""
    with _telling_full(), replacing(path) as part:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())


@contextmanager
def _telling_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(error.strerror) from None
        raise


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with _durably(path) as part:
        part.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _write(file: BinaryIO, piece: bytes) -> None:
    """All of a piece: a write without a buffer may take less."""
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_name(song: Song, extension: str) -> str:
    """``Artist - Title [key].extension``: one name of at most 200 bytes on every file system, of one address.

    An _ replaces what some system forbids: slashes, <>:"|?*, control characters, a leading dot or dash, the
    devices of Windows. The key also keeps names apart that differ by case or accents alone.
    """
    text = " - ".join(filter(None, (song.artist, song.title))) or _stem(song.address) or "song"
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    text = "".join(
        "_" if letter in '<>:"/\\|?*' or unicodedata.category(letter)[0] == "C" else letter for letter in text
    )
    text = re.sub(r"^[.\-~ ]", "_", text)
    text = re.sub(r"^(con|prn|aux|nul|com\d|lpt\d)(?=[.\s]|$)", r"_\1", text, flags=re.I)
    text = text.encode()[:170].decode(errors="ignore").rstrip(" .")
    return f"{text} [{song.key}].{extension}"


def _stem(address: str) -> str:
    from urllib.parse import unquote

    return unquote(urlsplit(address).path).rstrip("/").rpartition("/")[2].rpartition(".")[0]


# One song


def refuse_page(head: bytes) -> None:
    """Unfit if the first bytes of a file are those of a page, or of nothing that sounds."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] in {b"<", b"{", b"["}:
        begin = printable(" ".join(text[:60].decode("utf-8", "replace").split()))
        raise Unfit(f"is a page and no sound, likely an error with status 200; it begins {begin!r}")
    head = head.lstrip(b"\0")  # in front of some MP3
    if head and not kind_of(head[:12]) and not tag_length(head):
        raise Unfit(f"is no sound that is known here: it begins with the bytes {head[:8].hex(' ')}")


def extension_of(path: Path) -> str:
    """What the name of a sound should end with; Unfit if the file is no sound, or not whole.

    Its containers' own sizes, counts and checksums are read; it is not decoded.
    """
    source = Source(str(path), path)
    data = source.read()
    try:
        refuse_page(data[:HEAD])
        start = len(data[:HEAD]) - len(data[:HEAD].lstrip(b"\0"))
        while not kind_of(data[start : start + 12]) and (tag := tag_length(data, start)):
            start += tag
        kind = kind_of(data[start : start + 12])
        contents(data)
        if kind not in {"mp4", "adts"}:  # need a package that may not be there
            rate_of(source)
        if kind not in EXTENSIONS:
            raise AudioError("holds tags and no sound")
        return "opus" if kind == "ogg" and b"OpusHead" in data[start : start + 64] else EXTENSIONS[kind]
    except AudioError as error:
        raise Unfit(f"is no whole sound: {error}") from None
    finally:
        give_back(data)


def _attempt(client: Client, song: Song, part: Part, end: float, received: Callable[[int], None]) -> str:
    """Bring a part to its end; the final address. What it holds so far is kept wherever it can be used."""
    offset = part.size if part.validator else 0
    headers = {"Range": f"bytes={offset}-", "If-Range": part.validator} if offset else {}
    named, seconds = song.named or song.address, end - time.monotonic()
    with client.open(song.address, named=named, headers=headers, seconds=seconds) as response:
        status, final = response.status_code, str(response.url)
        told = {
            "address": final,
            "etag": response.headers.get("etag", ""),
            "last_modified": response.headers.get("last-modified", ""),
        }
        first, total = _content_range(response.headers.get("content-range", ""))
        if status == 416 and offset:
            if total == offset:
                return final  # all of it was there
            part.clear()
            raise Fault(f"has no bytes behind {offset}: the file has changed", again=True)
        if status not in {200, 206}:
            raise fault_of_status(response)
        refuse_encoding(response)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in {"text/html", "application/xhtml+xml", "application/json"}:
            raise Fault(f"is a page and no sound: {kind} with status {status}")
        if status == 206:
            if not offset:
                raise Fault("sends a piece (206) to who asks for the whole")
            # Where If-Range was heeded, a piece need not repeat both.
            held = {name: part.version.get(name, "") for name in ("etag", "last_modified") if told[name]}
            changed = [name for name, value in held.items() if told[name] != value]
            if first != offset or changed or (total or 0) != (part.version.get("total") or total or 0):
                part.clear()
                seen = ", ".join(changed) or f"it begins at {first}, of {total}"
                raise Fault(f"the rest from byte {offset} does not fit: another {seen}", again=True)
        else:
            offset, total = 0, int(response.headers.get("content-length", 0)) or None
            client.refuse_size(total)
            part.begin({**told, "total": total})
        _receive(client, response, part, offset, received)
        if total and part.size != total:
            part.clear()
            raise Fault(f"{part.size} bytes came of {total}", again=True)
        return final


def _content_range(text: str) -> tuple[int, int | None]:
    """First byte (-1 if none is told) and length of the whole, of ``bytes 5-9/10`` or ``bytes */10``."""
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", text.strip())
    if not found:
        return -1, None
    return int(found[1] or -1), int(found[2]) if found[2] != "*" else None


def _receive(client: Client, response: Any, part: Part, held: int, received: Callable[[int], None]) -> None:
    """Append a body to a part, as its bytes come."""
    limits, head, is_looked_at = client.limits, b"", held > 0
    since, counted = time.monotonic(), 0
    with _telling_full(), part.path.open("ab", buffering=0) as file:
        for piece in response.iter_raw():
            held += len(piece)
            client.refuse_size(held)
            if not is_looked_at:
                head += piece[:HEAD]
                if len(head) >= HEAD:
                    refuse_page(head)
                    is_looked_at = True
            _write(file, piece)
            received(len(piece))
            counted += len(piece)
            if (spent := time.monotonic() - since) >= limits.speed:
                if counted < limits.lowest_speed * spent:
                    raise Fault(
                        f"too slow: {counted / spent:.0f} bytes/s for {spent:.0f} s, and the limit is "
                        f"{limits.lowest_speed:g}; {held} bytes are kept"
                    )
                since, counted = time.monotonic(), 0
        os.fsync(file.fileno())
    if not held:
        raise Fault("0 bytes came", again=True)


def fetch_song(
    song: Song,
    folder: Folder,
    client: Client,
    *,
    verify: bool = False,
    again: bool = False,
    any_license: bool = False,
    received: Callable[[int], None] = lambda count: None,
) -> Outcome:
    """Bring one song, unless it is there, by the rules above. Raises DiskFull, and OSError of the folder."""
    if record := folder.record(song, verify=verify):
        return Outcome("there", song.address, record=record)
    if not again and (fault := folder.damage(song)):
        return Outcome("damaged", song.address, f"{fault}; as an earlier run found, --again asks for it anew")
    part = folder.part(song)
    whole = False
    try:
        if not song.license and song.page:  # the page of the song may tell what the list did not
            page = client.page(song.page, named=song.named or song.address)
            song = _with_page(song, *page) if page else song
        if not any_license and not is_open(song.license):
            stated = f"its licence is {song.license!r}, not known as open" if song.license else ""
            why = f"{stated or 'no licence known'}; --any-license fetches it all the same"
            outcome = Outcome("refused", song.address, why)
            folder.tell(song, outcome)
            return outcome
        end = time.monotonic() + client.limits.total
        final = client.tried(lambda: _attempt(client, song, part, end, received), song.address)
        whole = bool(part.version.get("total"))  # by the server's own count
        return Outcome("fetched", song.address, record=folder.keep(song, part, final=final))
    except Fault as fault:
        if isinstance(fault, Unfit):
            part.clear()
        outcome = Outcome("damaged" if whole else "failed", song.address, str(fault))
        folder.tell(song, outcome)
        return outcome


def _with_page(song: Song, text: str, address: str) -> Song:
    """A song with the licence and genre that its own page states."""
    from bs4 import BeautifulSoup

    same = next(
        (found for found in songs_of_page(text, address).songs if found.address == song.address), song
    )
    license = same.license or license_in(BeautifulSoup(text, "html.parser"))
    return replace(song, license=license, genre=song.genre or same.genre)


def fetch(
    songs: Iterable[Song],
    out: Path,
    *,
    client: Client,
    verify: bool = False,
    again: bool = False,
    any_license: bool = False,
    received: Callable[[int], None] = lambda count: None,
) -> Iterator[Outcome]:
    """Bring songs into a folder, one after another, and tell what became of each.

    Raises DiskFull, OSError of the folder, AudioError if another process fetches into it. However it ends,
    ``fetched.csv`` tells what is there.
    """
    folder = Folder(out)
    with folder.alone():
        try:
            for song in {song.key: song for song in songs}.values():
                yield fetch_song(
                    song,
                    folder,
                    client,
                    verify=verify,
                    again=again,
                    any_license=any_license,
                    received=received,
                )
        finally:
            with suppress(DiskFull):
                folder.write_table()


def listed(given: Sequence[str], client: Client, *, license: str = "") -> Iterator[Song | Outcome]:
    """The songs of addresses, pages and lists; an Outcome of each page that cannot be read."""
    for name in given:
        if not re.match(r"https?://", name, re.I):
            yield from songs_of_file(Path(name), license=license)
        elif _is_sound_address(name):
            yield Song(urldefrag(name).url, license=license)
        else:
            yield from _listed_by_pages(urldefrag(name).url, client, license)


def _listed_by_pages(address: str, client: Client, license: str) -> Iterator[Song | Outcome]:
    """The songs of a page and those behind it; of an address that is no page, itself."""
    seen: set[str] = set()
    following = address
    while following and following not in seen:
        seen.add(following)
        try:
            if len(seen) > MOST_PAGES:
                raise Fault(f"more than {MOST_PAGES} pages")
            page = client.page(following, named=address)
            if page is None and following == address:
                yield Song(address, license=license)
                return
            found = songs_of_page(*(page or ("", following)), named=address)
            if not found.songs:
                raise Fault("a page that lists no songs in a way that is known here")
        except Fault as fault:
            yield Outcome("failed", following, str(fault))
            return
        for song in found.songs:
            yield song if song.license or song.page else replace(song, license=license)
        following = found.following


# The command

_EPILOG = """\
examples:
  python -m songs fetch catalogue.csv --out music
  python -m songs fetch https://example.org/genre/Folk --out music --contact me@example.org
  python -m songs fetch https://example.org/a.ogg --license CC-BY-4.0 --out music
  python -m songs index music --labels music/fetched.csv

what is given:
  an address of a sound, of a page that lists sounds (and of the pages behind it, rel="next"), or a file:
  .csv .tsv .json .jsonl with url, artist, title, genre, license, sha256, or one address a line (# comments)

what is not fetched:
  a song without an open licence (Creative Commons, CC0, public domain, free software), what robots.txt
  forbids, a page in place of a sound, a damaged sound. Each is named, with the reason, here and in
  FOLDER/records; run the command again for those that failed: songs that are there are not asked for, and
  what is half done goes on where it stopped.

exit codes: 0 all are there, 1 some are not, 2 wrong use of the command, 130 interrupted
"""


def _given(text: str) -> str:
    """An address that can be fetched, or a file that is there."""
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.I):
        if fault := fault_of_address(text):
            raise argparse.ArgumentTypeError(fault)
    elif not os.path.isfile(text):
        raise argparse.ArgumentTypeError(f"{printable(text)} is neither an address (http, https) nor a file")
    return text


def _above_zero(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: more than 0 is needed")
    return value


def _not_below_zero(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: at least 0 is needed")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``songs fetch``."""
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, _EPILOG
    limits = Limits()
    parser.add_argument("given", nargs="+", type=_given, metavar="URL|CATALOGUE", help="see below")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FOLDER", help="of the songs; made if need be"
    )
    parser.add_argument(
        "--license",
        default="",
        metavar="NAME",
        help="of songs that come without one, as CC-BY-4.0: you have read it, where it stands",
    )
    parser.add_argument(
        "--any-license", action="store_true", help="fetch what is not known to be open as well"
    )
    parser.add_argument(
        "--verify", action="store_true", help="read the songs that are there and compare checksums"
    )
    parser.add_argument("--again", action="store_true", help="ask again for songs that were damaged, too")
    parser.add_argument(
        "--contact",
        default="",
        metavar="TEXT",
        help="an address that goes into the User-Agent, so that a server's owner can reach you",
    )
    parser.add_argument(
        "--delay",
        type=_not_below_zero,
        default=limits.delay,
        metavar="S",
        help=f"between two requests to a host, default {limits.delay:g} s; robots.txt may ask for more",
    )
    parser.add_argument(
        "--tries",
        type=int,
        choices=range(1, 21),
        default=limits.tries,
        metavar="N",
        help=f"of an address, each after a longer wait, default {limits.tries}",
    )
    parser.add_argument(
        "--timeout",
        type=_above_zero,
        default=limits.read,
        metavar="S",
        help=f"without a byte, default {limits.read:g} s",
    )
    parser.add_argument(
        "--total",
        type=_above_zero,
        default=limits.total,
        metavar="S",
        help=f"for one song, default {limits.total:g} s; the next run goes on with it",
    )
    parser.add_argument(
        "--lowest-speed",
        type=_not_below_zero,
        default=limits.lowest_speed,
        metavar="B",
        help=f"bytes a second over {limits.speed:g} s, default {limits.lowest_speed:g}",
    )
    parser.add_argument("--most-bytes", type=_above_zero, default=limits.most_bytes, metavar="B",
                        help=f"of a song, default {limits.most_bytes:g}")  # fmt: skip


def main(arguments: argparse.Namespace) -> int:
    """Fetch, naming on standard error all that did not come; the exit code."""
    from tqdm import tqdm

    limits = Limits(
        delay=arguments.delay, tries=arguments.tries, read=arguments.timeout, total=arguments.total,
        lowest_speed=arguments.lowest_speed, most_bytes=int(arguments.most_bytes),
    )  # fmt: skip
    states = dict.fromkeys(("fetched", "there", "refused", "damaged", "failed"), 0)
    arrived = 0

    def count(outcome: Outcome) -> None:
        states[outcome.state] += 1
        if outcome.fault:
            word = "not fetched" if outcome.state == "refused" else outcome.state
            with tqdm.external_write_mode():
                complain(f"{word}: {printable(outcome.address)}: {outcome.fault}")

    code = 0
    with Client(limits, contact=arguments.contact) as client:
        try:
            songs: list[Song] = []
            known = listed(arguments.given, client, license=arguments.license)
            for found in tqdm(known, unit="song", desc="listing", delay=0.5, leave=False, disable=None):
                count(found) if isinstance(found, Outcome) else songs.append(found)
            with tqdm(
                total=len(songs), unit="song", desc="fetching", delay=0.5, leave=False, disable=None
            ) as bar:

                def received(size: int) -> None:
                    nonlocal arrived
                    arrived += size
                    bar.set_postfix_str(f"{arrived / 1e6:.1f} MB")

                outcomes = fetch(
                    songs,
                    arguments.out,
                    client=client,
                    verify=arguments.verify,
                    again=arguments.again,
                    any_license=arguments.any_license,
                    received=received,
                )
                for outcome in outcomes:
                    count(outcome)
                    bar.update()
        except DiskFull as error:
            complain(f"stopped: {arguments.out}: {error}; make room and run it again, what came is kept")
            code = 1
        except OSError as error:
            complain(f"stopped: {arguments.out}: {error}")
            code = 1
        except KeyboardInterrupt:
            complain("interrupted; run it again to go on, what came is kept")
            code = 130
    say(
        f"{states['fetched']} songs fetched ({arrived / 1e6:.1f} MB), {states['there']} were there, "
        f"{states['refused']} not openly licensed, {states['damaged']} damaged, {states['failed']} failed"
    )
    return code or int(states["refused"] + states["damaged"] + states["failed"] > 0)
